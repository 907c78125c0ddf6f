"""The name under which the acts of the person at this terminal are recorded."""

from __future__ import annotations

import getpass


def whoami() -> str:
    """Returns the user's login name, or "operator" where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"
