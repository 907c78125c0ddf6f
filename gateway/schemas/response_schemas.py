"""The shapes of responses other than orders and frames, which are in `projections.views.schemas`.

Rule of this file: types only. A field without a default is always present.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from gateway.http.problem_codes import CODES
from projections.views.enums import (
    REF,
    BatchStatus,
    CancelStatus,
    FailureReason,
    OrderStatus,
    OrderType,
    SwapMode,
    TestOutcome,
    enum_schema,
)
from projections.views.enums import EngineState as EngineStatus
from projections.views.schemas import (
    Amount,
    Count,
    Links,
    Order,
    OrderId,
    Position,
    Price,
    Quote,
    Shape,
    Time,
)

ERROR_CODE = "ErrorCode"
Code = Annotated[str, Meta(extra_json_schema={"$ref": REF.format(name=ERROR_CODE)})]
NextCursor = Annotated[str, Meta(description="Pass it as `cursor` to continue; null is the end.")]


class Fault(Shape):
    """One thing wrong with one field."""

    code: Code
    pointer: Annotated[str, Meta(description="JSON pointer (RFC 6901) of the field.")]
    detail: str


class Problem(Shape):
    """RFC 9457. Switch on `code`; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    code: Code
    detail: str
    pointer: Annotated[str, Meta(description="Of the first fault.")] | UnsetType = UNSET
    errors: list[Fault] | UnsetType = UNSET
    parameter: str | UnsetType = UNSET
    request_id: (
        Annotated[
            str,
            Meta(description="As in the header X-Request-Id. Absent in the results of a batch."),
        ]
        | UnsetType
    ) = UNSET
    order_id: OrderId | UnsetType = UNSET
    order_ids: list[OrderId] | UnsetType = UNSET
    order_status: OrderStatus | UnsetType = UNSET
    version: Count | UnsetType = UNSET
    reason: (
        Annotated[
            str,
            Meta(description="Of `not-settled`: a code; docs/reference/commands.md lists them."),
        ]
        | UnsetType
    ) = UNSET


class Accepted(Shape):
    """The order is in the log, durably."""

    order_id: OrderId
    status: OrderStatus
    message: str
    links: Links


class BatchResult(Shape):
    """What became of one order of a batch."""

    index: Count
    status: BatchStatus
    order_id: OrderId | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchResults(Shape):
    """One result an order, in their order."""

    results: list[BatchResult]


class Orders(Shape):
    """A page of orders."""

    orders: list[Order]
    next_cursor: NextCursor | None


class Cancelled(Shape):
    """The order is cancelled, now or before."""

    order_id: OrderId
    status: OrderStatus


class CancelResult(Shape):
    """What became of one order; `problem` where it was not cancelled."""

    order_id: OrderId
    status: CancelStatus
    problem: Problem | UnsetType = UNSET


class CancelResults(Shape):
    """One result for each matching order, and where to continue."""

    results: list[CancelResult]
    next_cursor: NextCursor | None


class EngineState(Shape):
    """Whether the engine is halted, why, by whom and since when."""

    status: EngineStatus
    reason: str | None
    actor: str | None
    since: Time | None


class Alive(Shape):
    """The process runs."""

    status: Annotated[str, Meta(extra_json_schema={"const": "ok"})]


class BestQuote(Quote):
    """The best route, why it is, and what slippage would leave of it."""

    price: Price | UnsetType = UNSET
    why: str | UnsetType = UNSET
    min_amount_out: Amount | UnsetType = UNSET
    max_amount_in: Amount | UnsetType = UNSET


class OrderAt(Shape):
    """An order as it was: null before its first event."""

    order_id: OrderId
    position: Annotated[int, Meta(description="Of the event that made it so.")] | None
    following: Annotated[int, Meta(description="Of the next event of the order.")] | None
    order: Order | None


class StateAt(Shape):
    """How many orders stood in each status, after the event at a position."""

    position: Position
    time: Time | None
    orders: Count
    statuses: dict[str, Count]


class ProofEvent(Shape):
    """An event of a proof."""

    position: Position
    version: Count
    event: str
    hash: str
    body: Annotated[str, Meta(description="base64 of the exact bytes")] | None
    withheld: Annotated[str, Meta(description="Why the body is withheld.")] | UnsetType = UNSET
    body_hash: (
        Annotated[str, Meta(description="SHA-256 of the bytes, where they are withheld.")]
        | UnsetType
    ) = UNSET


class Proof(Shape):
    """The chain of an order; `how` says how to check it."""

    format: str
    order_id: OrderId
    how: str
    events: list[ProofEvent]


class QuotesAnswer(Shape):
    """Every route that there is, refusals included."""

    token_in: str
    token_out: str
    swap_mode: SwapMode
    slippage_bps: Count
    quotes: list[Quote]
    best: BestQuote | None


class OrderTest(QuotesAnswer):
    """What would become of an order now; nothing was submitted."""

    type: OrderType
    outcome: TestOutcome
    reason: FailureReason | None
    detail: str | None


class PricePoint(Shape):
    """The price of a pool at a time."""

    time_ms: Annotated[int, Meta(ge=0, description="Unix milliseconds.")]
    price: Price


class PriceSeries(Shape):
    """The price of one pool over time, for one token of tokenIn."""

    dex: str
    pool: str
    name: Annotated[str, Meta(description="The pool program, or the venue.")]
    points: Annotated[list[PricePoint], Meta(description="Oldest first.")]


class PriceHistory(Shape):
    """The last day, as far as this gateway has recorded the pair."""

    token_in: str
    token_out: str
    amount: Annotated[str, Meta(description="Whole tokens of tokenIn that a sample sells.")]
    series: list[PriceSeries]


class Session(Shape):
    """The API key of the request."""

    account: Annotated[str, Meta(description="Of the orders that it creates.")]
    scopes: Annotated[list[str], Meta(description="What it may do.")]
    key_id: Annotated[str, Meta(description="Null without a key.")] | None


class Traded(Shape):
    """A token that orders may name, by its symbol or its mint."""

    symbol: str
    decimals: Count
    mint: str | None


class Tokens(Shape):
    """What can be traded."""

    tokens: list[Traded]


class ServerTime(Shape):
    """The clock of the gateway."""

    time: Time
    unix_ms: int


class Index(Shape):
    """Where things are."""

    name: str
    links: dict[str, str]


def error_codes() -> dict[str, Any]:
    """The schema of the codes of problems."""
    return enum_schema(
        "What is wrong with a request, or with the engine.",
        {code: title for code, (_, title) in CODES.items()},
    )
