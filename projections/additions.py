"""What each fact adds to its frame, and how a quote looks. Pure.

Signed transaction bytes (`raw`) appear nowhere: whoever has them can broadcast an order that was
given up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from events import routes
from events import types as t
from events.money import to_tokens
from events.reasons import failure
from events.token_warnings import TEXTS
from events.types import Quote
from projections.formats import (
    amount,
    bps,
    signed_tokens,
    swap_mode,
    time_or_none,
    tokens_or_none,
)

Json = dict[str, Any]


def _submitted(f: t.OrderSubmitted) -> Json:
    return {
        "type": f.order_type,
        "tokenIn": f.token_in,
        "tokenOut": f.token_out,
        "amount": amount(f),
        "swapMode": swap_mode(f),
        "maxAmountIn": tokens_or_none(f.max_amount_in, f.decimals_in),
        "slippageBps": f.slippage_bps,
        "minAmountOut": tokens_or_none(f.min_amount_out, f.decimals_out),
        "expiresAt": time_or_none(f.expires_at_us),
        "clientOrderId": f.client_order_id,
        "targetPrice": f.target_price or None,
        "timeInForce": f.time_in_force or None,
        "minLiquidity": tokens_or_none(f.min_liquidity, f.decimals_in),
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
        "legs": [leg_view(leg) for leg in quote.legs],
        "warnings": warnings_view(quote.warnings),
    }


def warnings_view(warnings: Iterable[t.TokenWarning]) -> list[Json]:
    """What somebody may do to the tokens of a route."""
    return [
        {"code": one.code, "token": one.token, "text": TEXTS.get(one.code, "")} for one in warnings
    ]


def leg_view(leg: t.Leg) -> Json:
    """One swap of a route."""
    fee_decimals = leg.decimals_out if leg.fee_on_output else leg.decimals_in
    view = {
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
    if leg.transfer_fee_in:
        view["transferFeeIn"] = to_tokens(leg.transfer_fee_in, leg.decimals_in)
    if leg.transfer_fee_out:
        view["transferFeeOut"] = to_tokens(leg.transfer_fee_out, leg.decimals_out)
    return view


def fill_view(fill: t.Fill) -> Json:
    """One swap as it was executed."""
    return {
        "pool": fill.pool,
        "tokenIn": fill.token_in,
        "tokenOut": fill.token_out,
        "amountIn": tokens_or_none(fill.amount_in or None, fill.decimals_in),
        "amountOut": tokens_or_none(fill.amount_out or None, fill.decimals_out),
    }


def leftovers_view(fills: Sequence[t.Fill]) -> list[Json]:
    """What the wallet keeps of tokens between two swaps; less than nothing where it gave some."""
    return [
        {"token": fill.token_out, "amount": signed_tokens(fill.leftover, fill.decimals_out)}
        for fill in fills
        if fill.leftover
    ]


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
        view["legs"] = [leg_view(leg) for leg in f.quotes[f.chosen].legs]
        view["warnings"] = warnings_view(f.quotes[f.chosen].warnings)
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
    view: Json = {
        "signature": f.signature,
        "attempt": f.attempt,
        "lastValidHeight": f.last_valid_height,
        "finalizedHeight": f.finalized_height,
    }
    return view if f.handed_over else view | {"handedOver": False}


def _in_doubt(f: t.TransactionInDoubt) -> Json:
    view: Json = {"inDoubt": True, "signature": f.signature, "reason": f.reason}
    return view | {"detail": f.detail} if f.detail else view


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
    if f.fills:
        view["fills"] = [fill_view(fill) for fill in f.fills]
        view["leftovers"] = leftovers_view(f.fills)
    return view


def _failed(f: t.OrderFailed) -> Json:
    reason, detail = failure(f.reason, f.detail)
    view: Json = {"stage": f.stage, "reason": reason, "attempts": f.attempts, "detail": detail}
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
        "nextAttemptAt": time_or_none(f.next_attempt_at_us),
    }


def _parked(f: t.OrderParked) -> Json:
    return {"stage": f.stage, "reason": f.reason, "actor": f.actor}


def _replayed(f: t.OrderRequeued) -> Json:
    return {"reason": f.reason, "actor": f.actor}


def _recovered(f: t.TransactionRecovered) -> Json:
    return {
        "signature": f.signature,
        "reason": f.reason,
        "actor": f.actor,
        "dex": f.dex or None,
        "pool": f.pool or None,
        "others": list(f.others),
    }


def _rested(f: t.OrderArmed) -> Json:
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


def _retreated(f: t.OrderRearmed) -> Json:
    fee: Json = {"feeLamports": f.fee_lamports} if f.fee_lamports else {}
    pause: Json = {"pausedUntilSlot": f.paused_until_slot} if f.paused_until_slot else {}
    return fee | {
        "stage": f.stage,
        "reason": f.reason,
        "slot": f.slot,
        **pause,
        "quotes": [quote_view(q, f.decimals_in, f.decimals_out) for q in f.quotes],
        "amountOut": to_tokens(f.amount_out, f.decimals_out) if f.amount_out else None,
        "minAmountOut": to_tokens(f.min_amount_out, f.decimals_out),
    }


def _amended(f: t.OrderAmended) -> Json:
    return {
        "actor": f.actor,
        "targetPrice": f.target_price,
        "expiresAt": time_or_none(f.expires_at_us),
    }


def _acted(f: t.OrderCancelled | t.EngineHalted | t.EngineResumed) -> Json:
    return {"reason": f.reason, "actor": f.actor}


def _key_created(f: t.KeyCreated) -> Json:
    return {
        "keyId": f.key_id,
        "keyAccount": f.account,
        "scopes": list(f.scopes),
        "label": f.label,
        "expiresAt": time_or_none(f.expires_at_us),
        "actor": f.actor,
    }


def _key_rotated(f: t.KeyRotated) -> Json:
    return {"keyId": f.key_id, "oldUntil": time_or_none(f.old_until_us), "actor": f.actor}


def _key_revoked(f: t.KeyRevoked) -> Json:
    return {"keyId": f.key_id, "reason": f.reason, "actor": f.actor}


ADDS: dict[type[t.Fact], Callable[[Any], Json]] = {
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
    t.OrderRequeued: _replayed,
    t.TransactionRecovered: _recovered,
    t.OrderArmed: _rested,
    t.OrderTriggered: _triggered,
    t.OrderRearmed: _retreated,
    t.OrderAmended: _amended,
    t.OrderCancelled: _acted,
    t.EngineHalted: _acted,
    t.EngineResumed: _acted,
    t.KeyCreated: _key_created,
    t.KeyRotated: _key_rotated,
    t.KeyRevoked: _key_revoked,
}
