"""How orders and events look to those outside: the API, the feed, the CLI and the export.

Rule of this file: pure, and the only place that names public fields. Amounts are whole-token
decimal strings, times ISO 8601 UTC with microseconds. Signed transaction bytes (`raw`) appear
nowhere: whoever has them can broadcast an order that was given up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from events import routes
from events import types as t
from events.money import to_tokens
from events.order import Order
from events.types import Event, Quote
from projections.explorer import link

Json = dict[str, Any]

_LAST_US = 253_402_300_799_999_999
ORDERS_PATH = "/api/orders"
FOLLOW_PATH = f"{ORDERS_PATH}/execute"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(time_us: int) -> str:
    """`2026-11-22T15:28:01.000123Z`. What lies beyond the year 9999 is shown as its end: one time
    that cannot be written must not hide an order, or end a feed.
    """
    seconds, us = divmod(min(time_us, _LAST_US), 1_000_000)
    return f"{_second(seconds)}.{us:06d}Z"


def _time(time_us: int | None) -> str | None:
    return timestamp(time_us) if time_us else None


def _tokens(units: int | None, decimals: int) -> str | None:
    return None if units is None else to_tokens(units, decimals)


def links(order_id: str) -> Json:
    """Where to read an order, its events, and where to follow it."""
    return {
        "self": f"{ORDERS_PATH}/{order_id}",
        "events": f"{ORDERS_PATH}/{order_id}/events",
        "stream": f"{FOLLOW_PATH}?orderId={order_id}",
    }


def _amount(of: Order | t.OrderSubmitted) -> str:
    """What was asked for: of token_in, or of token_out where that is exact."""
    if of.exact_amount_out is not None:
        return to_tokens(of.exact_amount_out, of.decimals_out)
    return to_tokens(of.amount_in, of.decimals_in)


def _swap_mode(of: Order | t.OrderSubmitted) -> str:
    return "exactIn" if of.exact_amount_out is None else "exactOut"


def order_view(order: Order, explorer: str = "") -> Json:
    """An order as it is now. Every field is always there; null is "not yet" or "none".

    `explorer`: see `projections.explorer`.
    """
    confirmed = order.status is t.Status.CONFIRMED
    return {
        "orderId": order.id,
        "status": order.status,
        "type": order.type,
        "tokenIn": order.token_in,
        "tokenOut": order.token_out,
        "amount": _amount(order),
        "swapMode": _swap_mode(order),
        "amountIn": _tokens(order.amount_taken or order.amount_in or None, order.decimals_in),
        "maxAmountIn": _tokens(order.max_amount_in, order.decimals_in),
        "slippageBps": order.slippage_bps,
        "minAmountOut": _tokens(order.min_amount_out, order.decimals_out),
        "expiresAt": _time(order.expires_at_us),
        "clientOrderId": order.client_order_id,
        "targetPrice": order.target_price or None,
        "timeInForce": order.time_in_force or None,
        "minLiquidity": _tokens(order.min_liquidity, order.decimals_in),
        "maxPrice": order.max_price or None,
        "dex": order.dex or None,
        "legs": [_leg(leg) for leg in order.legs],
        "price": order.price or None,
        "executedPrice": order.executed_price or None,
        "amountOut": _tokens(order.amount_out, order.decimals_out),
        "signature": order.signature or None,
        "txHash": order.signature if confirmed else None,
        "explorerUrl": link(explorer, order.signature),
        "feeLamports": order.fee_lamports or None,
        "attempts": order.attempts,
        "nextAttemptAt": _time(order.next_attempt_at_us) if not order.terminal else None,
        "inDoubt": order.in_doubt,
        "parked": order.parked or None,
        "reason": order.reason or None,
        "failedStage": order.failed_stage or None,
        "account": order.account,
        "createdAt": timestamp(order.created_at_us),
        "updatedAt": timestamp(order.updated_at_us),
        "version": order.version,
        "links": links(order.id),
    }


def event_frame(
    event: Event, position: int, cursor: str, digest: bytes = b"", explorer: str = ""
) -> Json:
    """An event as a subscriber sees it: the common fields, then what the step adds."""
    fact = event.fact
    frame = {
        "orderId": event.order_id,
        "status": event.status,
        "event": type(fact).__name__,
        "version": event.version,
        "position": position,
        "cursor": cursor,
        "timestamp": timestamp(event.time_us),
        "account": event.account,
        "build": event.build,
    }
    if digest:
        frame["hash"] = digest.hex()
    frame.update(_ADDS[type(fact)](fact))
    if explorer and type(fact) is t.OrderConfirmed:
        frame["explorerUrl"] = link(explorer, fact.signature)
    return frame


# ---------------------------------------------------------------------------------------------
# What each fact adds to its frame.


def _submitted(f: t.OrderSubmitted) -> Json:
    return {
        "type": f.order_type,
        "tokenIn": f.token_in,
        "tokenOut": f.token_out,
        "amount": _amount(f),
        "swapMode": _swap_mode(f),
        "maxAmountIn": _tokens(f.max_amount_in, f.decimals_in),
        "slippageBps": f.slippage_bps,
        "minAmountOut": _tokens(f.min_amount_out, f.decimals_out),
        "expiresAt": _time(f.expires_at_us),
        "clientOrderId": f.client_order_id,
        "targetPrice": f.target_price or None,
        "timeInForce": f.time_in_force or None,
        "minLiquidity": _tokens(f.min_liquidity, f.decimals_in),
        "maxPrice": f.max_price or None,
    }


def _nothing(_: t.Fact) -> Json:
    return {}


def quote_view(
    quote: Quote, decimals_in: int, decimals_out: int, *, exact_out: bool = False
) -> Json:
    """A quote, whether it can be used or not. `cost` is in tokenOut, or tokenIn if `exact_out`."""
    view: Json = {"dex": quote.dex, "pool": quote.pool}
    if quote.error:
        view["error"] = quote.error
    if not quote.amount_out:
        return view
    return view | {
        "amountIn": to_tokens(quote.amount_in, decimals_in),
        "amountOut": to_tokens(quote.amount_out, decimals_out),
        "fee": to_tokens(quote.fee, decimals_in),
        "cost": to_tokens(quote.cost, decimals_in if exact_out else decimals_out),
        "priceImpactBps": bps(quote.price_impact_ppm),
        "slot": quote.slot,
        "legs": [_leg(leg) for leg in quote.legs],
    }


def _leg(leg: t.Leg) -> Json:
    fee_decimals = leg.decimals_out if leg.fee_on_output else leg.decimals_in
    return {
        "dex": leg.dex,
        "family": leg.family,
        "pool": leg.pool,
        "tokenIn": leg.token_in,
        "tokenOut": leg.token_out,
        "amountIn": to_tokens(leg.amount_in, leg.decimals_in),
        "amountOut": to_tokens(leg.amount_out, leg.decimals_out),
        "fee": to_tokens(leg.fee, fee_decimals),
        "feeToken": leg.token_out if leg.fee_on_output else leg.token_in,
        "priceImpactBps": bps(leg.price_impact_ppm),
    }


def bps(ppm: int) -> str:
    """Millionths as basis points, exact."""
    return to_tokens(ppm, 2)


def _routed(f: t.OrderRouted) -> Json:
    exact_out = bool(f.max_amount_in)
    view: Json = {
        "dex": f.dex,
        "pool": f.pool,
        "price": f.price,
        "quotes": [
            quote_view(q, f.decimals_in, f.decimals_out, exact_out=exact_out) for q in f.quotes
        ],
        "minAmountOut": to_tokens(f.min_amount_out, f.decimals_out),
        "amountOut": to_tokens(f.amount_out, f.decimals_out),
    }
    if f.chosen >= 0:
        view["why"] = routes.why(f.quotes, f.chosen, exact_out=exact_out)
        view["priceImpactBps"] = bps(f.quotes[f.chosen].price_impact_ppm)
        view["legs"] = [_leg(leg) for leg in f.quotes[f.chosen].legs]
    if exact_out:
        view["amountIn"] = to_tokens(f.amount_in, f.decimals_in)
        view["maxAmountIn"] = to_tokens(f.max_amount_in, f.decimals_in)
    return view


def _built(f: t.TransactionBuilt) -> Json:
    return {
        "signature": f.signature,
        "lastValidHeight": f.last_valid_height,
        "attempt": f.attempt,
    }


def _sent(f: t.TransactionSubmitted) -> Json:
    return {"signature": f.signature, "attempt": f.attempt}


def _died(f: t.TransactionExpired) -> Json:
    return {
        "signature": f.signature,
        "attempt": f.attempt,
        "lastValidHeight": f.last_valid_height,
        "finalizedHeight": f.finalized_height,
    }


def _in_doubt(f: t.TransactionInDoubt) -> Json:
    return {"inDoubt": True, "signature": f.signature, "reason": f.reason}


def _confirmed(f: t.OrderConfirmed) -> Json:
    view: Json = {
        "txHash": f.signature,
        "executedPrice": f.executed_price,
        "amountOut": to_tokens(f.amount_out, f.decimals_out),
        "slot": f.slot,
    }
    if f.amount_in:
        view["amountIn"] = to_tokens(f.amount_in, f.decimals_in)
    if f.fee_lamports:
        view["feeLamports"] = f.fee_lamports
    if f.rent_lamports:
        view["rentLamports"] = f.rent_lamports
    return view


def _failed(f: t.OrderFailed) -> Json:
    view: Json = {"stage": f.stage, "reason": f.reason, "attempts": f.attempts, "detail": f.detail}
    if f.fee_lamports:
        view["feeLamports"] = f.fee_lamports
    return view | {"actor": f.actor} if f.actor else view


def _expired(f: t.OrderExpired) -> Json:
    return {"stage": f.stage, "reason": f.reason, "attempts": f.attempts}


def _attempt_failed(f: t.AttemptFailed) -> Json:
    return {
        "stage": f.stage,
        "attempt": f.attempt,
        "error": f.error,
        "detail": f.detail,
        "nextAttemptAt": _time(f.next_attempt_at_us),
    }


def _parked(f: t.OrderParked) -> Json:
    return {"stage": f.stage, "reason": f.reason, "actor": f.actor}


def _replayed(f: t.OrderReplayed) -> Json:
    return {"reason": f.reason, "actor": f.actor}


def _rested(f: t.OrderRested) -> Json:
    return {"slot": f.slot}


def _triggered(f: t.OrderTriggered) -> Json:
    return {
        "cause": f.cause,
        "dex": f.dex,
        "pool": f.pool,
        "slot": f.slot,
        "price": f.price,
        "liquidity": to_tokens(f.liquidity, f.decimals_in) if f.liquidity else None,
    }


def _retreated(f: t.OrderRetreated) -> Json:
    fee: Json = {"feeLamports": f.fee_lamports} if f.fee_lamports else {}
    return fee | {
        "stage": f.stage,
        "reason": f.reason,
        "slot": f.slot,
        "quotes": [quote_view(q, f.decimals_in, f.decimals_out) for q in f.quotes],
        "amountOut": to_tokens(f.amount_out, f.decimals_out) if f.amount_out else None,
        "minAmountOut": to_tokens(f.min_amount_out, f.decimals_out),
    }


def _amended(f: t.OrderAmended) -> Json:
    return {
        "actor": f.actor,
        "targetPrice": f.target_price,
        "expiresAt": _time(f.expires_at_us),
    }


def _acted(f: t.OrderCancelled | t.EngineHalted | t.EngineResumed) -> Json:
    return {"reason": f.reason, "actor": f.actor}


def _key_created(f: t.KeyCreated) -> Json:
    return {
        "keyId": f.key_id,
        "keyAccount": f.account,
        "scopes": list(f.scopes),
        "label": f.label,
        "expiresAt": _time(f.expires_at_us),
        "actor": f.actor,
    }


def _key_rotated(f: t.KeyRotated) -> Json:
    return {"keyId": f.key_id, "oldUntil": _time(f.old_until_us), "actor": f.actor}


def _key_revoked(f: t.KeyRevoked) -> Json:
    return {"keyId": f.key_id, "reason": f.reason, "actor": f.actor}


_ADDS: dict[type[t.Fact], Callable[[Any], Json]] = {
    t.OrderSubmitted: _submitted,
    t.RoutingStarted: _nothing,
    t.OrderRouted: _routed,
    t.TransactionBuilt: _built,
    t.TransactionSubmitted: _sent,
    t.TransactionExpired: _died,
    t.TransactionInDoubt: _in_doubt,
    t.OrderConfirmed: _confirmed,
    t.OrderFailed: _failed,
    t.OrderExpired: _expired,
    t.AttemptFailed: _attempt_failed,
    t.OrderParked: _parked,
    t.OrderReplayed: _replayed,
    t.OrderRested: _rested,
    t.OrderTriggered: _triggered,
    t.OrderRetreated: _retreated,
    t.OrderAmended: _amended,
    t.OrderCancelled: _acted,
    t.EngineHalted: _acted,
    t.EngineResumed: _acted,
    t.KeyCreated: _key_created,
    t.KeyRotated: _key_rotated,
    t.KeyRevoked: _key_revoked,
}
