"""The shapes of public objects, one struct an object; frames are in `event_schemas`.

Rule of this file: pure. The documents are made from these types, and the test suite holds
everything that leaves a gateway against them. A type with `of` also makes the JSON that is sent.
A field without a default is always present; one with UNSET is present where it has a value. Objects
in responses may gain fields: clients skip unknown ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from events import types as t
from events.money import to_tokens
from events.token_warnings import TEXTS
from projections.views.enums import (
    FailureReason,
    OrderStatus,
    OrderType,
    ParkedCode,
    StageName,
    SwapMode,
    TimeInForce,
    TokenWarningCode,
    WaitReason,
)
from projections.views.formats import bps, signed_tokens, tokens_or_none

UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
DECIMAL = r"^\d+(\.\d+)?$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"

OrderId = Annotated[str, Meta(pattern=UUID, extra_json_schema={"format": "uuid"})]
Amount = Annotated[str, Meta(pattern=DECIMAL, description="Whole tokens, exact.")]
Price = Annotated[str, Meta(pattern=DECIMAL, description="tokenOut for one tokenIn.")]
Bps = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$", description="Basis points, exact.")]
Time = Annotated[
    str,
    Meta(pattern=TIME, description="UTC, to the µs.", extra_json_schema={"format": "date-time"}),
]
Cursor = Annotated[str, Meta(description="Where to continue; opaque.")]
Position = Annotated[int, Meta(ge=0, description="Place in the log: ascending, without gaps.")]
Count = Annotated[int, Meta(ge=0)]
Fees = Annotated[
    int, Meta(ge=0, description="Lamports: network fees of all its transactions that landed.")
]
Rent = Annotated[
    int, Meta(ge=0, description="Lamports deposited for token accounts that it left open.")
]


class Shape(msgspec.Struct, rename="camel"):
    """Base of all shapes."""


class Links(Shape):
    """Where to read an order, its events, and where to follow it."""

    self: str
    events: str
    stream: str


class TokenWarning(Shape):
    """What the issuer of a token of the route may do to it."""

    code: TokenWarningCode
    token: str
    text: Annotated[str, Meta(description="The same for people.")]

    @classmethod
    def of(cls, warning: t.TokenWarning) -> Self:
        """The warning with its text."""
        return cls(warning.code, warning.token, TEXTS.get(warning.code, ""))


class Leg(Shape):
    """One swap of a route, through one pool."""

    dex: str
    family: Annotated[str, Meta(description="The pool program, such as `raydium-clmm`.")]
    pool: str
    token_in: str
    token_out: str
    amount_in: Amount
    amount_out: Amount
    fee: Amount
    fee_token: str
    price_impact_bps: Bps
    transfer_fee_in: (
        Annotated[
            str, Meta(pattern=DECIMAL, description="What tokenIn's mint withholds of amountIn.")
        ]
        | UnsetType
    ) = UNSET
    transfer_fee_out: (
        Annotated[
            str,
            Meta(
                pattern=DECIMAL,
                description="What tokenOut's mint withholds before amountOut arrives.",
            ),
        ]
        | UnsetType
    ) = UNSET

    @classmethod
    def of(cls, leg: t.Leg) -> Self:
        """The recorded leg."""
        into, out = leg.decimals_in, leg.decimals_out
        return cls(
            dex=leg.dex,
            family=leg.family,
            pool=leg.pool,
            token_in=leg.token_in,
            token_out=leg.token_out,
            amount_in=to_tokens(leg.amount_in, into),
            amount_out=to_tokens(leg.amount_out, out),
            fee=to_tokens(leg.fee, out if leg.fee_on_output else into),
            fee_token=leg.token_out if leg.fee_on_output else leg.token_in,
            price_impact_bps=bps(leg.price_impact_ppm),
            transfer_fee_in=to_tokens(leg.transfer_fee_in, into) if leg.transfer_fee_in else UNSET,
            transfer_fee_out=(
                to_tokens(leg.transfer_fee_out, out) if leg.transfer_fee_out else UNSET
            ),
        )


class Fill(Shape):
    """One swap of a route as it was executed, by the balances of its pool."""

    pool: str
    token_in: str
    token_out: str
    amount_in: Amount | None
    amount_out: Amount | None

    @classmethod
    def of(cls, fill: t.Fill) -> Self:
        """The recorded fill."""
        return cls(
            pool=fill.pool,
            token_in=fill.token_in,
            token_out=fill.token_out,
            amount_in=tokens_or_none(fill.amount_in or None, fill.decimals_in),
            amount_out=tokens_or_none(fill.amount_out or None, fill.decimals_out),
        )


class Leftover(Shape):
    """What a wallet keeps of the token between two swaps: the second one took the rest."""

    token: str
    amount: Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$", description="Whole tokens, exact.")]

    @classmethod
    def all_of(cls, fills: Sequence[t.Fill]) -> list[Self]:
        """Of each token between two swaps; less than nothing where the wallet gave some."""
        return [
            cls(fill.token_out, signed_tokens(fill.leftover, fill.decimals_out))
            for fill in fills
            if fill.leftover
        ]


class Quote(Shape):
    """What one route through a venue would give, or why it cannot be used."""

    dex: str
    pool: str
    error: FailureReason | UnsetType = UNSET
    amount_in: Amount | UnsetType = UNSET
    amount_out: Amount | UnsetType = UNSET
    fee: Amount | UnsetType = UNSET
    cost: (
        Annotated[
            str,
            Meta(
                pattern=DECIMAL,
                description="Of the transaction: in tokenOut, or in tokenIn for exactOut.",
            ),
        ]
        | UnsetType
    ) = UNSET
    price_impact_bps: Bps | UnsetType = UNSET
    slot: Count | UnsetType = UNSET
    legs: list[Leg] | UnsetType = UNSET
    warnings: (
        Annotated[
            list[TokenWarning],
            Meta(description="Of the tokens of its legs. A route records the chosen quote's only."),
        ]
        | UnsetType
    ) = UNSET

    @classmethod
    def of(
        cls, quote: t.Quote, decimals_in: int, decimals_out: int, *, exact_out: bool = False
    ) -> Self:
        """The quote, whether it can be used or not."""
        error = quote.error or UNSET
        if not quote.amount_out:
            return cls(quote.dex, quote.pool, error=error)
        return cls(
            dex=quote.dex,
            pool=quote.pool,
            error=error,
            amount_in=to_tokens(quote.amount_in, decimals_in),
            amount_out=to_tokens(quote.amount_out, decimals_out),
            fee=to_tokens(quote.fee, decimals_in),
            cost=to_tokens(quote.cost, decimals_in if exact_out else decimals_out),
            price_impact_bps=bps(quote.price_impact_ppm),
            slot=quote.slot,
            legs=[Leg.of(leg) for leg in quote.legs],
            warnings=[TokenWarning.of(warning) for warning in quote.warnings],
        )


class Terms(Shape):
    """What was asked for."""

    type: OrderType
    token_in: str
    token_out: str
    amount: Annotated[
        str, Meta(pattern=DECIMAL, description="Of tokenIn, or of tokenOut for exactOut.")
    ]
    swap_mode: SwapMode
    max_amount_in: Amount | None
    slippage_bps: Count
    min_amount_out: Amount | None
    expires_at: Time | None
    client_order_id: str | None
    target_price: Price | None
    time_in_force: TimeInForce | None
    min_liquidity: Amount | None
    max_price: Annotated[str, Meta(pattern=DECIMAL)] | None
    min_price: Price | None


class Waiting(Shape):
    """Why an order waits."""

    reason: WaitReason
    text: Annotated[str, Meta(description="The same for people.")]
    until: (
        Annotated[
            str,
            Meta(
                pattern=TIME,
                description="When work on it is expected to continue: UTC, in microseconds.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET


class Order(Terms):
    """An order as it is now. Every field is always there; null is "not yet" or "none"."""

    order_id: OrderId
    status: OrderStatus
    requested_amount: Amount
    requested_token: str
    amount_in: Amount | None
    dex: str | None
    legs: list[Leg]
    warnings: list[TokenWarning]
    price: Price | None
    executed_price: Price | None
    amount_out: Amount | None
    signature: str | None
    tx_hash: Annotated[str, Meta(description="The signature, once confirmed.")] | None
    explorer_url: Annotated[str, Meta(description="Of the transaction, for people.")] | None
    fee_lamports: Fees | None
    rent_lamports: Rent | None
    fills: list[Fill]
    leftovers: list[Leftover]
    attempts: Count
    next_attempt_at: Time | None
    waiting: (
        Annotated[
            Waiting, Meta(description="Null once it has ended, or while the log does not answer.")
        ]
        | None
    )
    in_doubt: Annotated[bool, Meta(description="Its outcome cannot be determined yet.")]
    parked: ParkedCode | None
    parked_detail: str | None
    reason: FailureReason | None
    detail: str | None
    failed_stage: StageName | None
    account: str
    created_at: Time
    updated_at: Time
    version: Annotated[int, Meta(ge=1)]
    links: Links
