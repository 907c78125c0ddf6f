"""`Order`, the aggregate: the state that its events fold to, and its encoding in heads and archive.

Rule of this file: heads and rows outlive builds, so fields are only ever appended, each with a
default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import msgspec

from events.order.order_types import OrderType, order_type
from events.quote import Fill, Leg, TokenWarning
from events.secret import SecretBytes, restored, stored
from events.status import TERMINAL, Status


class Transaction(msgspec.Struct, frozen=True, array_like=True):
    """The one transaction of an order that may be alive."""

    attempt: int
    signature: str
    last_valid_height: int
    raw: SecretBytes
    submitted_at_us: int = 0
    """0 until `TransactionSubmitted`."""
    least_slot: int = 0
    """It can only land in a later slot; 0: not known."""


@final
class Order(msgspec.Struct, array_like=True):
    """An order as its events left it. Amounts in base units, times in µs.

    Not frozen for speed alone: only `evolve` and `advance` write.
    """

    id: str
    account: str = ""
    version: int = 0
    status: Status = Status.PENDING
    type: str = "market"
    token_in: str = ""
    token_out: str = ""
    decimals_in: int = 0
    decimals_out: int = 0
    amount_in: int = 0
    slippage_bps: int = 0
    min_amount_out: int | None = None
    expires_at_us: int | None = None
    client_order_id: str | None = None
    idempotency_key: str | None = None
    created_at_us: int = 0
    updated_at_us: int = 0
    dex: str = ""
    pool: str = ""
    quoted_amount_out: int | None = None
    price: str = ""
    transaction: Transaction | None = None
    attempts: int = 0
    """Failures before the send and transactions proved dead."""
    next_attempt_at_us: int = 0
    in_doubt: bool = False
    parked: str = ""
    """Why the engine stopped work on this order; empty when it did not."""
    signature: str = ""
    amount_out: int | None = None
    executed_price: str = ""
    failed_stage: str = ""
    reason: str = ""
    target_price: str = ""
    time_in_force: str = ""
    min_liquidity: int | None = None
    max_price: str = ""
    watch_slot: int = 0
    """The first slot whose ticks count, once the order rests."""
    triggered: bool = False
    """Whether what a limit or sniper order waits for has happened (and not retreated)."""
    retreats: int = 0
    """How often the price retreated since the order was submitted or amended."""
    transactions: int = 0
    """How many were built."""
    counts_from_us: int = 0
    """What happened before does not count: the target price was amended then, or an operator put
    the order back to work. 0: all since `watch_slot` counts."""
    exact_amount_out: int | None = None
    """Of swap mode exactOut: what is to come out; amount_in is then what the route takes."""
    max_amount_in: int | None = None
    legs: tuple[Leg, ...] = ()
    """The swaps of the route."""
    stale_route: bool = False
    """Whether the route could not be built: the router looks for another."""
    fee_lamports: int = 0
    """What the network took for all its transactions so far, landed or failed."""

    amount_taken: int = 0
    """What left the wallet, once that is known and may differ from amount_in."""

    reserved: tuple[()] = ()
    """Of the stream of API keys, which is stored in this layout: see `events.streams.layout`."""

    paused_until_slot: int = 0
    """Until then a price that neither left nor rose since the last retreat does not count."""
    outages: int = 0
    """How often in a row it could not be worked on for want of a node that answers. No attempts:
    they only make the waits longer."""
    doubt: str = ""
    """What is missing for an answer, by the last doubt; empty where time may bring one."""

    rent_lamports: int = 0
    """What was laid down for token accounts that its transaction opened and left open."""
    fills: tuple[Fill, ...] = ()
    """The swaps of the route as they were executed."""
    warnings: tuple[TokenWarning, ...] = ()
    """What the authorities of the route's tokens may do to them."""

    trigger_price: str = ""
    """Of the tick or the pool event that triggered it last."""

    detail: str = ""
    """What its failure adds to `reason`."""

    @property
    def kind(self) -> OrderType:
        """What is special about its type."""
        return order_type(self.type)

    @property
    def patient(self) -> bool:
        """Whether no number of failed attempts ends it: see `OrderType.patient`."""
        return self.kind.patient

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to this order any more."""
        return self.status in TERMINAL


_encoder = msgspec.msgpack.Encoder(enc_hook=stored)
_decoder = msgspec.msgpack.Decoder(Order, dec_hook=restored)


encode: Callable[[Order], bytes] = _encoder.encode
"""The order as it stands in heads and in the `orders` table."""

decode: Callable[[bytes], Order] = _decoder.decode
"""Inverse of `encode`. Raises `msgspec.DecodeError`."""
