"""Orders and events as public JSON: of the API, the feed, the CLI and the export.

Rule of this file: pure; it, `schemas` and `payloads` are the only places that name public fields.
Amounts are whole-token decimal strings, times ISO 8601 UTC with microseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, to_builtins

from events import types as t
from events.order import Order
from events.order.wait_reasons import TEXTS, WaitReason
from events.reasons import failure
from events.types import Event
from projections.views.explorer import link
from projections.views.formats import (
    amount,
    min_price,
    requested_token,
    swap_mode,
    time_or_none,
    timestamp,
    tokens_or_none,
)
from projections.views.parking import parked_code
from projections.views.payloads import VIEWS, OrderConfirmedPayload, Payload
from projections.views.schemas import Fill, Leftover, Leg, TokenWarning

Json = dict[str, Any]

ORDERS_PATH = "/api/orders"
_to_json = msgspec.json.Encoder().encode

FOLLOW_PATH = f"{ORDERS_PATH}/execute"
UNKNOWN = "Unknown"
"""The name of an event that this build cannot read."""


def links(order_id: str) -> Json:
    """The paths of an order, of its events, and of its stream."""
    return {
        "self": f"{ORDERS_PATH}/{order_id}",
        "events": f"{ORDERS_PATH}/{order_id}/events",
        "stream": f"{FOLLOW_PATH}?orderId={order_id}",
    }


def order_view(order: Order, explorer: str = "", waiting: Json | None = None) -> Json:
    """An order as it is now. Every field is always there; null is "not yet" or "none".

    `explorer`: see `projections.views.explorer`. `waiting`: see `waiting_view`; null where it is
    not known.
    """
    confirmed = order.status is t.Status.CONFIRMED
    least = min_price(order.type, order.target_price)
    reason, detail = _reason(order)
    return {
        "orderId": order.id,
        "status": order.status,
        "type": order.type,
        "tokenIn": order.token_in,
        "tokenOut": order.token_out,
        "amount": amount(order),
        "swapMode": swap_mode(order),
        "requestedAmount": amount(order),
        "requestedToken": requested_token(order),
        "amountIn": tokens_or_none(_taken(order) if confirmed else None, order.decimals_in),
        "maxAmountIn": tokens_or_none(order.max_amount_in, order.decimals_in),
        "slippageBps": order.slippage_bps,
        "minAmountOut": tokens_or_none(order.min_amount_out, order.decimals_out),
        "expiresAt": time_or_none(order.expires_at_us),
        "clientOrderId": order.client_order_id,
        "targetPrice": None if least else order.target_price or None,
        "timeInForce": order.time_in_force or None,
        "minLiquidity": tokens_or_none(order.min_liquidity, order.decimals_in),
        "maxPrice": order.max_price or None,
        "minPrice": least or None,
        "dex": order.dex or None,
        "legs": [to_builtins(Leg.of(leg)) for leg in order.legs],
        "warnings": [
            to_builtins(TokenWarning.of(token_warning)) for token_warning in order.warnings
        ],
        "price": order.price or None,
        "executedPrice": order.executed_price or None,
        "amountOut": tokens_or_none(order.amount_out, order.decimals_out),
        "signature": order.signature or None,
        "txHash": order.signature if confirmed else None,
        "explorerUrl": link(explorer, order.signature),
        "feeLamports": order.fee_lamports or None,
        "rentLamports": order.rent_lamports or None,
        "fills": [to_builtins(Fill.of(fill)) for fill in order.fills],
        "leftovers": to_builtins(Leftover.all_of(order.fills)),
        "attempts": order.attempts,
        "nextAttemptAt": time_or_none(order.next_attempt_at_us) if not order.terminal else None,
        "waiting": waiting,
        "inDoubt": order.in_doubt,
        "parked": parked_code(order.parked) if order.parked else None,
        "parkedDetail": order.parked or None,
        "reason": reason,
        "detail": detail,
        "failedStage": order.failed_stage or None,
        "account": order.account,
        "createdAt": timestamp(order.created_at_us),
        "updatedAt": timestamp(order.updated_at_us),
        "version": order.version,
        "links": links(order.id),
    }


def _taken(order: Order) -> int | None:
    """What left the wallet for a confirmed order, in base units."""
    return order.amount_taken or order.amount_in or None


def _reason(order: Order) -> tuple[str | None, str | None]:
    """The code of a failure or an expiry, and its detail; of a cancelled order the words of the
    actor, as detail.
    """
    match order.status:
        case t.Status.FAILED:
            reason, detail = failure(order.reason, order.detail)
            return reason, detail or None
        case t.Status.CANCELLED:
            return None, order.reason or None
        case _:
            return order.reason or None, None


def waiting_view(reason: WaitReason, until_ms: int | None) -> Json:
    """Why an order waits and, where that is known, until when."""
    until = {} if until_ms is None else {"until": timestamp(until_ms * 1000)}
    return {"reason": reason, "text": TEXTS[reason]} | until


def event_frame(
    event: Event, position: int, cursor: str, digest: bytes = b"", explorer: str = ""
) -> Json:
    """The frame of an event: the common fields, then its payload."""
    added: Json = to_builtins(_payload(event, explorer))
    return _common(event, position, cursor, digest) | added


def event_json(event: Event, position: int, cursor: str, digest: bytes, explorer: str) -> bytes:
    """`event_frame` as JSON, encoded without a dict in between."""
    common = _to_json(_common(event, position, cursor, digest))
    added = _to_json(_payload(event, explorer))
    return common if added == b"{}" else common[:-1] + b"," + added[1:]


def _common(event: Event, position: int, cursor: str, digest: bytes) -> Json:
    frame = {
        "orderId": event.order_id,
        "status": event.status,
        "event": event.name,
        "version": event.version,
        "position": position,
        "cursor": cursor,
        "timestamp": timestamp(event.time_us),
        "account": event.account,
        "build": event.build,
    }
    if digest:
        frame["hash"] = digest.hex()
    return frame


def _payload(event: Event, explorer: str) -> Payload:
    fact = event.fact
    added = VIEWS[type(fact)].payload_of(fact)
    if isinstance(added, OrderConfirmedPayload) and explorer:
        added.explorer_url = link(explorer, added.tx_hash) or UNSET
    return added
