"""Which build wrote an event: the version and a hash of the source that runs."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from events.version import VERSION

PACKAGES = ("engine", "events", "gateway", "projections", "stages")


@cache
def build_id() -> str:
    """Returns for instance `0.1.0+5e1f3a9c`; the same source gives the same id anywhere."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in (".py", ".lua", ".sql"):
                digest.update(str(file.relative_to(root)).encode())
                digest.update(file.read_bytes())
    return f"{VERSION}+{digest.hexdigest()[:8]}"
