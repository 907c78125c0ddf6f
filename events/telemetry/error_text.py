"""The text of an error for people, as log lines and error messages carry it. Pure."""

from __future__ import annotations


def error_text(error: BaseException) -> str:
    """Returns type and message, such as `ConnectionResetError: closed by the server`."""
    name, message = type(error).__name__, str(error).strip()
    return f"{name}: {message}" if message else name
