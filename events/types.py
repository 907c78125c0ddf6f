"""What can happen: one frozen struct a fact, and the envelope that carries it into the log.

Rule of this file: history is for ever. Structs are encoded as arrays, so fields are only ever
appended, each with a default; tags are never reused, and a renamed event leaves its old tag in
`FORMER_NAMES`. tests/unit/events/test_wire_format.py pins the bytes.

Amounts are integers in base units of their token (lamports for SOL) within u64. Times are µs since
the Unix epoch, UTC. A fact stands alone: it repeats the decimals and the signature it needs to be
shown without its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec

from events.secret import SecretBytes, restored, stored

U64_MAX = 2**64 - 1

Amount = Annotated[int, msgspec.Meta(ge=0, le=U64_MAX)]


class Status(StrEnum):
    """The public status of an order. `NEXT` in `events.order` says what may follow what."""

    PENDING = "pending"
    WATCHING = "watching"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class EngineStatus(StrEnum):
    """The status of the engine's switch. The events of API keys carry `running`, too."""

    HALTED = "halted"
    RUNNING = "running"


if TYPE_CHECKING:
    StreamStatus = Status | EngineStatus
else:
    # The decoder takes no union of two enums. The members equal those of the two and are not the
    # same objects: the status of an event is compared by `==`.
    StreamStatus = StrEnum("StreamStatus", {**Status.__members__, **EngineStatus.__members__})


TERMINAL = frozenset({Status.CONFIRMED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})


class Fact(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all facts; the tag is the class name."""


class TokenWarning(msgspec.Struct, frozen=True, array_like=True):
    """What somebody may do to a token of a route; see `events.token_warnings`."""

    code: str
    token: str
    """Its symbol."""


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """One swap of a route, through one pool."""

    dex: str
    family: str
    """The pool program, such as `raydium-clmm`."""
    pool: str
    """Its address."""
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    amount_out: int
    fee: int
    fee_on_output: bool
    price_impact_ppm: int
    """How far below the pool's spot price, fees apart, in millionths."""
    exact_out: bool
    """Whether amount_out is exact and amount_in the estimate, or the other way round."""
    transfer_fee_in: int = 0
    """What the mint of token_in withholds; part of amount_in, no part of `fee`."""
    transfer_fee_out: int = 0
    """What the mint of token_out withholds; not in amount_out, no part of `fee`."""


class Fill(msgspec.Struct, frozen=True, array_like=True):
    """One swap of a route as it was executed, in base units."""

    pool: str
    """Its address."""
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    """What reached the pool; 0 where the chain does not tell."""
    amount_out: int
    """What left the pool; 0 where the chain does not tell."""
    leftover: int = 0
    """What the wallet keeps of token_out, where that is the token between two swaps: the second
    swap took the rest. Of several swaps into that token the first has all of it."""


class Quote(msgspec.Struct, frozen=True, array_like=True):
    """What one route through a venue would give. `amount_out` is what the wallet would receive,

    pool fees off. Routes are compared by it less `cost`; see `events.best_quote`.
    """

    dex: str
    pool: str
    amount_in: int
    amount_out: int
    fee: int
    """All fees of pools and mints in base units of token_in; what is taken elsewhere is valued at
    its rate."""
    slot: int
    error: str = ""
    """The stable code of the refusal; the amounts are 0 then, unless they are why."""
    price_impact_ppm: int = 0
    cost: int = 0
    """Of the transaction: in base units of token_out, or of token_in if the output is exact."""
    legs: tuple[Leg, ...] = ()
    """Swaps side by side, or one after the other; none where the venue has no pools to name."""
    warnings: tuple[TokenWarning, ...] = ()
    """Of the tokens of its legs; a recorded route keeps those of the chosen quote only."""


class OrderSubmitted(Fact, frozen=True, array_like=True, tag=True):
    """An order was accepted."""

    order_type: str
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    slippage_bps: int
    min_amount_out: int | None = None
    expires_at_us: int | None = None
    client_order_id: str | None = None
    idempotency_key: str | None = None
    target_price: str = ""
    """Of a limit order: least token_out per token_in, whole tokens, net; a decimal string."""
    time_in_force: str = ""
    """GTC or GTT for limit and sniper orders; IOC or FOK for market orders with min_amount_out,
    which a swap (all or nothing) makes the same; empty: market, tried again as set."""
    min_liquidity: int | None = None
    """Of a sniper: least liquidity of the pool, in base units of token_in."""
    max_price: str = ""
    """Of a sniper: most token_in paid per token_out, whole tokens; a decimal string."""
    exact_amount_out: int | None = None
    """Of swap mode exactOut: what is to come out, exactly; amount_in is 0 then."""
    max_amount_in: int | None = None
    """Of swap mode exactOut: the most that may go in."""
    traceparent: str = ""
    """Of whoever submitted it, as W3C Trace Context has it; no part of what was asked for."""


class RoutingStarted(Fact, frozen=True, array_like=True, tag=True):
    """The venues are being asked for quotes."""


class OrderRouted(Fact, frozen=True, array_like=True, tag=True):
    """The route is chosen. `min_amount_out` is fixed from here on and never loosened."""

    dex: str
    pool: str
    amount_out: int
    min_amount_out: int
    price: str
    """Expected net amount_out / amount_in in whole tokens, a decimal string rounded down."""
    quotes: tuple[Quote, ...]
    decimals_in: int
    decimals_out: int
    chosen: int = -1
    """Which of the quotes won; -1 in logs from before there were several a venue."""
    amount_in: int = 0
    """Of swap mode exactOut: what is expected to go in."""
    max_amount_in: int = 0
    """Of swap mode exactOut: the most that may go in, fixed from here on."""


class TransactionBuilt(Fact, frozen=True, array_like=True, tag=True):
    """A transaction was signed. `raw` never leaves the engine: it permits a broadcast."""

    attempt: int
    signature: str
    last_valid_height: int
    raw: SecretBytes
    least_slot: int = 0
    """It can only land in a later slot: that of the node's answer with the blockhash. 0: not known,
    as in logs from before it was written down."""


class TransactionSubmitted(Fact, frozen=True, array_like=True, tag=True):
    """Written durably before the send: from here on the transaction may land."""

    attempt: int
    signature: str


class TransactionExpired(Fact, frozen=True, array_like=True, tag=True):
    """Proof of death: the chain finalized past its last valid height without it."""

    attempt: int
    signature: str
    last_valid_height: int
    finalized_height: int
    handed_over: bool = True
    """Whether a node took it, as far as is known. One that none took spends no attempt."""


class TransactionInDoubt(Fact, frozen=True, array_like=True, tag=True):
    """The chain cannot say what became of the transaction; the engine keeps asking."""

    signature: str
    reason: str
    detail: str = ""
    """What is missing, in words: a method that no node serves."""


class OrderConfirmed(Fact, frozen=True, array_like=True, tag=True):
    """The swap landed at the configured commitment."""

    signature: str
    amount_out: int
    executed_price: str
    decimals_out: int
    slot: int
    amount_in: int = 0
    """What left the wallet, in base units; 0 where that is the order's amount_in."""
    decimals_in: int = 0
    fee_lamports: int = 0
    """What the network took for the transaction."""
    rent_lamports: int = 0
    """What was laid down for token accounts that the transaction opened."""
    fills: tuple[Fill, ...] = ()
    """Of each swap of the route, in its order; none where the venue has no pools to name."""


class OrderFailed(Fact, frozen=True, array_like=True, tag=True):
    """No transaction of this order can land any more, or none was ever sent."""

    stage: str
    reason: str
    attempts: int
    detail: str = ""
    actor: str = ""
    fee_lamports: int = 0
    """What the network took for a transaction that failed on chain."""


class OrderExpired(Fact, frozen=True, array_like=True, tag=True):
    """`expires_at_us` passed before anything was sent."""

    stage: str
    reason: str
    attempts: int


class AttemptFailed(Fact, frozen=True, array_like=True, tag=True):
    """A venue refused or did not answer before the send; the order is tried again."""

    stage: str
    attempt: int
    error: str
    detail: str
    next_attempt_at_us: int


class OrderParked(Fact, frozen=True, array_like=True, tag=True):
    """The engine itself cannot continue this order; an operator decides."""

    stage: str
    reason: str
    actor: str


class OrderRequeued(Fact, frozen=True, array_like=True, tag=True):
    """An operator put a parked order back to work."""

    reason: str
    actor: str


class TransactionRecovered(Fact, frozen=True, array_like=True, tag=True):
    """An operator closes a parked order by the chain's record: this transaction is the order's, and
    its end follows in the same append.
    """

    signature: str
    reason: str
    actor: str
    dex: str = ""
    """Where it was executed; empty where the record does not tell, or where that is the route."""
    pool: str = ""
    others: tuple[str, ...] = ()
    """Further transactions that executed the order, if it was executed more than once."""


class OrderArmed(Fact, frozen=True, array_like=True, tag=True):
    """A limit or sniper order waits from here on; what happens at `slot` or later counts."""

    slot: int


class OrderTriggered(Fact, frozen=True, array_like=True, tag=True):
    """What the order waited for has happened: the tick or the pool event that did it."""

    cause: str
    """`tick`, `pool-created`, `pool-opened` or `liquidity-added`."""
    dex: str
    pool: str
    slot: int
    price: str
    """Net token_out per token_in there, whole tokens; a decimal string rounded down."""
    liquidity: int = 0
    """Of the pool, in base units of token_in; 0 for a tick."""
    decimals_in: int = 0
    first_slot: int | None = None
    """The first slot that counted for the order: its own, or that in which its price was amended,
    as the venue told it. None: said by a build that did not ask."""


class OrderRearmed(Fact, frozen=True, array_like=True, tag=True):
    """The price touched and retreated before a swap was made: the order waits again.

    Said where no transaction of the order can land any more: before the send, or once it failed on
    chain. `slot` is the first whose ticks count again.
    """

    stage: str
    reason: str
    slot: int
    amount_out: int
    """The best that was offered, 0 where that is not known."""
    min_amount_out: int
    quotes: tuple[Quote, ...] = ()
    decimals_in: int = 0
    decimals_out: int = 0
    fee_lamports: int = 0
    """What the network took for a transaction that failed on chain."""
    paused_until_slot: int = 0
    """Until then a price that neither left nor rose since does not count; 0: all prices count."""


class OrderAmended(Fact, frozen=True, array_like=True, tag=True):
    """The terms of a waiting limit order are these from now on."""

    actor: str
    target_price: str
    expires_at_us: int | None


class OrderCancelled(Fact, frozen=True, array_like=True, tag=True):
    """The order was called off: nothing of it was sent, or what was is proved dead."""

    actor: str
    reason: str = ""


class EngineHalted(Fact, frozen=True, array_like=True, tag=True):
    """From here on nothing is sent and no trigger fires. Of the stream `ENGINE_STREAM_ID`."""

    reason: str
    actor: str


class EngineResumed(Fact, frozen=True, array_like=True, tag=True):
    """What `EngineHalted` stopped continues."""

    reason: str
    actor: str


class KeyCreated(Fact, frozen=True, array_like=True, tag=True):
    """An API key was created. Of `KEYS_ID`, the stream of the keys, as are the next two."""

    key_id: str
    account: str
    scopes: tuple[str, ...]
    digest: bytes
    """SHA-256 of the secret; the secret itself is nowhere."""
    label: str
    expires_at_us: int
    """0: never."""
    actor: str


class KeyRotated(Fact, frozen=True, array_like=True, tag=True):
    """A key has another secret; the one before is good for a while."""

    key_id: str
    digest: bytes
    old_until_us: int
    actor: str


class KeyRevoked(Fact, frozen=True, array_like=True, tag=True):
    """A key is good for nothing any more."""

    key_id: str
    reason: str
    actor: str


AnyFact = (
    OrderSubmitted
    | RoutingStarted
    | OrderRouted
    | TransactionBuilt
    | TransactionSubmitted
    | TransactionExpired
    | TransactionInDoubt
    | OrderConfirmed
    | OrderFailed
    | OrderExpired
    | AttemptFailed
    | OrderParked
    | OrderRequeued
    | TransactionRecovered
    | OrderArmed
    | OrderTriggered
    | OrderRearmed
    | OrderAmended
    | OrderCancelled
    | EngineHalted
    | EngineResumed
    | KeyCreated
    | KeyRotated
    | KeyRevoked
)


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A fact about one order, at one version of it, said at one time by one build."""

    order_id: str
    version: int
    """1 for the first event of the order, then without gaps."""
    time_us: int
    """The writer's clock; never goes back within an order."""
    status: StreamStatus
    """The order's status after this event, or that of its stream."""
    account: str
    build: str
    fact: AnyFact

    @property
    def name(self) -> str:
        """The event's public name, such as `OrderRouted`."""
        return type(self.fact).__name__


FACTS: dict[str, type[Fact]] = {kind.__name__: kind for kind in Fact.__subclasses__()}

_encoder = msgspec.msgpack.Encoder(enc_hook=stored)
_decoder = msgspec.msgpack.Decoder(Event, dec_hook=restored)
_many_decoder = msgspec.msgpack.Decoder(list[Event], dec_hook=restored)
_raw_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])


encode: Callable[[Event], bytes] = _encoder.encode
"""The exact bytes that are hashed, logged and archived."""

FORMER_NAMES = {
    "OrderRested": "OrderArmed",
    "OrderRetreated": "OrderRearmed",
    "OrderReplayed": "OrderRequeued",
}
"""Names that events had in earlier builds: the tag in stored bytes, and the name it has now.

Stored bytes keep their tag, since hashes cover them. Only reading knows of it.
"""


def current_name(name: str) -> str:
    """The name that an event has now, given that or a former one."""
    return FORMER_NAMES.get(name, name)


def decode(body: bytes | msgspec.Raw) -> Event:
    """Inverse of `encode`. Raises `msgspec.DecodeError` for bytes that no known event has."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        renamed = _under_current_name(body)
        if renamed is None:
            raise
        return _decoder.decode(renamed)
    except UnicodeDecodeError as error:
        # msgspec lets it pass: a damaged length makes text of bytes.
        raise msgspec.DecodeError(str(error)) from None


def decode_many(bodies: bytes) -> list[Event]:
    """The events of a msgpack array. Raises `msgspec.DecodeError` where one cannot be read."""
    try:
        return _many_decoder.decode(bodies)
    except msgspec.ValidationError:  # a former name, maybe
        return [decode(body) for body in _raw_decoder.decode(bodies)]


class _Tag(msgspec.Struct, array_like=True):
    name: str


class _Tagged(msgspec.Struct, array_like=True):
    order_id: msgspec.Raw
    version: msgspec.Raw
    time_us: msgspec.Raw
    status: msgspec.Raw
    account: msgspec.Raw
    build: msgspec.Raw
    fact: _Tag


_tag_decoder = msgspec.msgpack.Decoder(_Tagged)


def _under_current_name(body: bytes | msgspec.Raw) -> bytes | None:
    """The event's bytes with the tag of now; None where the tag is not a former one."""
    name = _tag_decoder.decode(body).fact.name
    if name not in FORMER_NAMES:
        return None
    *envelope, [_, *fields] = msgspec.msgpack.decode(body)
    return msgspec.msgpack.encode([*envelope, [FORMER_NAMES[name], *fields]])
