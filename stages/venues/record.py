"""The chain's record of one finalized transaction, for orders that are settled by an operator."""

from __future__ import annotations

from typing import NamedTuple

from events.types import Fill
from stages.venues import Outcome


class Record(NamedTuple):
    """A finalized transaction that the engine's wallet paid for."""

    signature: str
    outcome: Outcome
    """`landed` with its amounts, or `failed` with its reason."""
    orders: tuple[str, ...]
    """The ids of orders that it names."""
    tokens: tuple[str, str] | None = None
    """Symbols, or mints without a symbol: input and output. None where the record does not tell: of
    a failure, and of a chain whose record has no tokens."""
    dex: str = ""
    """Of a swap through one pool, as the next."""
    pool: str = ""
    fills: tuple[Fill, ...] = ()
    """Of each swap, in order; none where a token is not known."""
