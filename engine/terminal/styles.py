"""Colours of the terminal. Where stdout is not a terminal, or NO_COLOR is set, text stays as it
is, and rich is not loaded.
"""

from __future__ import annotations

import sys

STATUS_STYLES = {
    "confirmed": "green", "failed": "red", "expired": "yellow", "cancelled": "yellow",
    "submitted": "cyan", "watching": "magenta",
}  # fmt: skip
"""Status of an order -> its style; others have none."""


def styled(text: str, style: str) -> str:
    """Returns one line of text, in a style of rich's where stdout takes colours."""
    if not style or not sys.stdout.isatty():
        return text
    from rich.console import Console
    from rich.text import Text

    console = Console()
    with console.capture() as capture:
        console.print(Text(text, style), soft_wrap=True, end="")
    return capture.get()
