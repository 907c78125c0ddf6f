"""A second net under the type of secrets: what others' words hold of them never reaches a log.

Libraries write what they were given into their errors. The texts of the settings' secrets are known
when logging is set up, so the rendered line is looked through for them once more.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import structlog

from engine.settings import Settings
from events.secret import MASK, SecretText, SecretUrl

LENGTH_MIN = 6
WORD_MIN = 12
"""Shorter texts, or words such as the password `postgres`, would mask text that is not secret."""


class Scrubber:
    """The last processor: masks what is known to be secret in a rendered line."""

    def __init__(self, settings: Settings) -> None:
        masked = {text for text in texts(settings) if _is_telling(text)}
        both = masked | {json.dumps(text)[1:-1] for text in masked}
        self._texts = sorted(both, key=len, reverse=True)

    def __call__(
        self, _: object, __: str, rendered: str | structlog.typing.EventDict
    ) -> str | structlog.typing.EventDict:
        """Part of structlog."""
        return self.scrub(rendered) if isinstance(rendered, str) else rendered

    def scrub(self, rendered: str) -> str:
        """Masks the secrets of a rendered line."""
        for text in self._texts:
            rendered = rendered.replace(text, MASK)
        return rendered


def texts(settings: Settings) -> set[str]:
    """Every text of the settings that opens a door."""
    collected: set[str] = set()
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        for url in value if isinstance(value, tuple) else (value,):
            if isinstance(url, SecretUrl):
                collected.update(url.parts())
            elif isinstance(url, SecretText) and url and not _is_path(url.reveal()):
                collected.add(url.reveal())
    return collected


def _is_telling(text: str) -> bool:
    return len(text) >= (WORD_MIN if text.isalpha() else LENGTH_MIN)


def _is_path(text: str) -> bool:
    """Whether the text is a file path, such as that of the wallet.

    A path is not secret, and a log line has to name the missing file.
    """
    return "/" in text and not text.lstrip().startswith("[") and Path(text).is_absolute()
