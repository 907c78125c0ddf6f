"""The ports of the stages: venues that quote, a chain that carries transactions.

An answer is given at once or as an awaitable; a refusal is `VenueRefusal` with a stable code. A
market is an option of the setting VENUES: see `engine.venues`.

Imports `runtime.stage`, and no stage or concrete venue. Public: the protocols here, and
`venue_group`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from events.order import Order, Transaction
from events.reason_codes import MaybeReason
from events.secret import SecretBytes
from events.types import Quote
from stages.runtime.stage import VenueRefusal


class Built(msgspec.Struct, frozen=True, gc=False):
    """A signed transaction. It may land until the chain's height passes `last_valid_height`."""

    signature: str
    raw: SecretBytes
    last_valid_height: int
    least_slot: int = 0
    """It can only land in a later slot; 0: not known."""


class LegOutcome(NamedTuple):
    """One swap as it was executed, in base units. See `events.types.Fill`."""

    amount_in: int
    amount_out: int
    leftover: int = 0


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The state of one transaction on chain.

    `absent` alone does not prove that it is dead: that takes a finalized height past the last valid
    one.
    """

    state: Literal["landed", "failed", "absent", "unknown"]
    amount_out: int = 0
    slot: int = 0
    reason: MaybeReason = ""
    finalized_height: int = 0
    amount_in: int = 0
    """The input that left the wallet; 0 where that is the order's amount_in."""
    fee_lamports: int = 0
    rent_lamports: int = 0
    """The rent of token accounts that the transaction opened."""
    detail: str = ""
    """With `unknown`: what is missing, in words."""
    handed_over: bool = True
    """With a proof of death: whether a node took the transaction, as far as is known."""
    legs: tuple[LegOutcome, ...] = ()
    """Of each swap of the transaction, in its order."""


class Pair(NamedTuple):
    """The tokens of a swap, by symbol. The two directions are two pairs."""

    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int

    @property
    def key(self) -> str:
        """Its name in logs and leases."""
        return f"{self.token_in}>{self.token_out}"


class Tick(NamedTuple):
    """A pair's price at a slot: what the best venue pays net, at the least, for small amounts."""

    dex: str
    pool: str
    slot: int
    price: str
    """token_out per token_in in whole tokens, as `events.money.price` writes it."""


PoolCause = Literal["pool-created", "pool-opened", "liquidity-added"]
"""A new pool takes swaps; a pool that existed takes swaps (again); its liquidity grew."""


class PoolEvent(NamedTuple):
    """A pool began to take swaps, or gained liquidity."""

    cause: PoolCause
    dex: str
    pool: str
    slot: int
    price: str
    """As of a tick."""
    liquidity: int
    """The balance of the pool after it, in base units of the pair's token_in."""


class Venue(Protocol):
    """A place that quotes swaps and reports prices and pool events.

    Ticks and pool events can be asked for again, so that a watcher that was away misses none.
    """

    name: str

    def slot(self) -> int:
        """The newest slot."""
        ...

    def slot_at(self, time_us: int) -> int:
        """The slot of a time (µs since the epoch), or a slot shortly before it."""
        ...

    async def next_slot(self, after: int) -> int:
        """The newest slot, as soon as there is one later than `after`."""
        ...

    def ticks(self, pair: Pair, first: int, last: int) -> Sequence[Tick]:
        """The pair's ticks from slot `first` through `last`; none where nothing is tradable."""
        ...

    def pools(self, pair: Pair, first: int, last: int) -> Sequence[PoolEvent]:
        """The pair's pool events from slot `first` through `last`, in order."""
        ...

    def quotes(self, order: Order) -> Sequence[Quote] | Awaitable[Sequence[Quote]]:
        """The quote of each route through this venue for the order now. Raises VenueRefusal."""
        ...


class Chain(Protocol):
    """Builds, sends and follows transactions."""

    @property
    def first_wait_ms(self) -> int:
        """How long to wait at least before asking again for an outcome."""
        ...

    @property
    def rebroadcast_ms(self) -> int:
        """Time between two sends of the same bytes, where no setting gives it."""
        ...

    def build(self, order: Order) -> Built | Awaitable[Built]:
        """A signed transaction for the order's route. Raises VenueRefusal."""
        ...

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        """Sends transactions, all at once. An error tells nothing about which were accepted."""
        ...

    def outcomes(self, sent: Sequence[Transaction]) -> Sequence[Outcome | Awaitable[Outcome]]:
        """The outcome of each transaction. Never raises VenueRefusal: `unknown` is an outcome."""
        ...


__all__ = [
    "Built",
    "Chain",
    "LegOutcome",
    "Outcome",
    "Pair",
    "PoolCause",
    "PoolEvent",
    "Tick",
    "Venue",
    "VenueRefusal",
]
