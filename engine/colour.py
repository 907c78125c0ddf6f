"""Whether colours are wanted on a stream."""

from __future__ import annotations

import os
from typing import TextIO


def colourful(stream: TextIO) -> bool:
    """Whether it is a terminal, and NO_COLOR is not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
