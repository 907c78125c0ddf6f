"""Foreign text, such as the name of a host, as a part of names in protocols and files."""

from __future__ import annotations

import re

_UNSAFE = re.compile(rb"[^A-Za-z0-9.-]")
NAME_MAX = 64


def safe_name(text: str, *, default: str = "unnamed") -> str:
    """`text` in letters, digits, `.`, `-` and `_`: other bytes are `_` and two hex digits.

    At most NAME_MAX characters; `default` where `text` is empty. Redis, for one, refuses the name
    of a client that has a space in it or letters beyond ASCII.
    """
    raw = text.encode("utf-8", "surrogateescape") or default.encode()
    return _UNSAFE.sub(lambda match: b"_" + match[0].hex().encode(), raw).decode()[:NAME_MAX]
