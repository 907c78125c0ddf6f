"""A question to a node, and the answers of several nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from stages.venues.solana.rpc.faults import SIZED

T = TypeVar("T")


class Ask(NamedTuple):
    """A method, its parameters, and how its answer is read."""

    method: str
    params: Sequence[Any]
    answer: msgspec.json.Decoder[Any]
    check: Callable[[Any], str] = lambda _: ""
    """Why a result is none; empty for a good one. A node that gives such is left for another."""

    @property
    def size(self) -> int:
        """How many items it holds, where they may be split."""
        return len(self.params[0]) if self.method in SIZED else 0


class Heard(list[T]):
    """Answers of several nodes. `refusals`: why others, which do not serve a method, gave none."""

    refusals: tuple[str, ...] = ()
