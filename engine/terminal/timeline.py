"""An order's life as lines for a person: when, how long after, what, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from events import best_quote
from events import types as t
from events.log import Stored
from events.money import to_tokens
from events.order.order_types import order_type
from events.types import Event
from projections.feed.frames import Frame
from projections.views.formats import signed_tokens, timestamp


def tell(history: Sequence[Stored], prefix: str, *, as_json: bool) -> None:
    """Prints the timeline for a person, or the frame of each event for a machine."""
    told = (json.dumps(Frame(s, prefix).view) for s in history) if as_json else lines(history)
    for line in told:
        print(line)


def lines(history: Sequence[Stored]) -> Iterator[str]:
    """Returns the timeline. Raises `msgspec.DecodeError` for an event of a newer build."""
    events = [stored.record.event() for stored in history]
    if not events:
        return
    first = events[0]
    yield f"order {first.order_id}  account {first.account}"
    before_us = first.time_us
    for stored, event in zip(history, events, strict=True):
        gap = _duration(event.time_us - before_us)
        before_us = event.time_us
        yield (
            f"{timestamp(event.time_us)}  {gap:>9}  {event.status:<10} {event.name}"
            f"  v{event.version} @{stored.position}  {stored.record.hash.hex()[:12]}  {event.build}"
        )
        for reason in _reasons(event):
            yield f"{'':39}{reason}"
    yield f"{events[-1].status} after {_duration(before_us - first.time_us)}, {len(events)} events"


def _duration(us: int) -> str:
    if us < 10_000:
        return f"+{us / 1000:.2f} ms"
    return f"+{us / 1000:.0f} ms" if us < 10_000_000 else f"+{us / 1e6:.1f} s"


def _reasons(event: Event) -> list[str]:
    explain = _EXPLAIN.get(type(event.fact))
    return explain(event.fact) if explain else []


def _submitted(f: t.OrderSubmitted) -> list[str]:
    amount = to_tokens(f.amount_in, f.decimals_in)
    parts = [f"{f.order_type}: {amount} {f.token_in} into {f.token_out}"]
    if f.exact_amount_out is not None:
        exactly = to_tokens(f.exact_amount_out, f.decimals_out)
        parts = [f"{f.order_type}: {f.token_in} into exactly {exactly} {f.token_out}"]
    if f.max_amount_in is not None:
        parts.append(f"for at most {to_tokens(f.max_amount_in, f.decimals_in)} {f.token_in}")
    if "slippageBps" in order_type(f.order_type).fields:
        parts.append(f"slippage {f.slippage_bps / 100:g} %")
    if f.min_amount_out is not None:
        parts.append(f"at least {to_tokens(f.min_amount_out, f.decimals_out)} {f.token_out}")
    if f.target_price:
        parts.append(f"at {f.target_price} {f.token_out} or more for one {f.token_in}")
    if f.min_liquidity is not None:
        least = to_tokens(f.min_liquidity, f.decimals_in)
        parts.append(f"from a liquidity of {least} {f.token_in} on")
    if f.max_price:
        parts.append(f"at most {f.max_price} {f.token_in} for one {f.token_out}")
    if f.time_in_force:
        parts.append(f.time_in_force)
    if f.expires_at_us:
        parts.append(f"until {timestamp(f.expires_at_us)}")
    return [", ".join(parts)]


def _routed(f: t.OrderRouted) -> list[str]:
    exact_out = bool(f.max_amount_in)
    quotes = [_quote(quote, f, exact_out=exact_out) for quote in f.quotes]
    chosen = f.chosen if f.chosen >= 0 else _named(f)
    why = best_quote.why(f.quotes, chosen, exact_out=exact_out)
    quotes.append(f"{f.dex} {f.pool} wins: {why}")
    if exact_out:
        most = to_tokens(f.max_amount_in, f.decimals_in)
        return [*quotes, f"price {f.price}, at most {most} in from here on"]
    least = to_tokens(f.min_amount_out, f.decimals_out)
    return [*quotes, f"price {f.price}, min out {least} from here on"]


def _named(f: t.OrderRouted) -> int:
    """Of an older log, where a venue had one quote."""
    return next((i for i, quote in enumerate(f.quotes) if quote.dex == f.dex), 0)


def _quote(quote: t.Quote, f: t.OrderRouted, *, exact_out: bool) -> str:
    name = f"quote {quote.dex} {quote.pool}".rstrip()
    if quote.error:
        return f"{name}: refused, {quote.error}"
    amount = to_tokens(quote.amount_in, f.decimals_in)
    out = to_tokens(quote.amount_out, f.decimals_out)
    cost = to_tokens(quote.cost, f.decimals_in if exact_out else f.decimals_out)
    fee = to_tokens(quote.fee, f.decimals_in)
    impact = to_tokens(quote.price_impact_ppm, 2)
    return (
        f"{name}: {amount} in, {out} out, fee {fee}, cost {cost}, impact {impact} bps,"
        f" slot {quote.slot}"
    )


def _built(f: t.TransactionBuilt) -> list[str]:
    return [f"attempt {f.attempt}, signature {f.signature}, valid to height {f.last_valid_height}"]


def _sent(f: t.TransactionSubmitted) -> list[str]:
    return [f"attempt {f.attempt}: from here on it may land"]


def _died(f: t.TransactionExpired) -> list[str]:
    proof = f"finalized height {f.finalized_height} is past {f.last_valid_height}"
    untaken = "" if f.handed_over else "; no node took it, so no attempt is spent"
    return [f"attempt {f.attempt} can land no more: {proof} and it is not there{untaken}"]


def _in_doubt(f: t.TransactionInDoubt) -> list[str]:
    return [f"unknown yet: {f.reason}" + (f" ({f.detail})" if f.detail else "")]


def _confirmed(f: t.OrderConfirmed) -> list[str]:
    out = to_tokens(f.amount_out, f.decimals_out)
    paid = f" for {to_tokens(f.amount_in, f.decimals_in)}" if f.amount_in else ""
    text = f"received {out}{paid} at price {f.executed_price} in slot {f.slot}"
    text += _cost(f.fee_lamports)
    if f.rent_lamports:
        text += f", {f.rent_lamports} laid down for token accounts"
    return [text, *_fills(f.fills)]


def _fills(fills: Sequence[t.Fill]) -> list[str]:
    lines = []
    for fill in fills:
        if fill.amount_in:
            paid = f"{to_tokens(fill.amount_in, fill.decimals_in)} {fill.token_in}"
            out = f"{to_tokens(fill.amount_out, fill.decimals_out)} {fill.token_out}"
            lines.append(f"pool {fill.pool}: {paid} in, {out} out")
        if fill.leftover:
            left = signed_tokens(fill.leftover, fill.decimals_out)
            lines.append(f"the wallet keeps {left} {fill.token_out} between the swaps")
    return lines


def _cost(fee_lamports: int) -> str:
    return f", network fee {fee_lamports} lamports" if fee_lamports else ""


def _ended(f: t.OrderFailed | t.OrderExpired) -> list[str]:
    text = f"{f.stage}: {f.reason} after {f.attempts} attempts"
    if isinstance(f, t.OrderFailed):
        text += f" ({f.detail})" if f.detail else ""
        text += _cost(f.fee_lamports)
        text += f", by {f.actor}" if f.actor else ""
    return [text]


def _attempt_failed(f: t.AttemptFailed) -> list[str]:
    again = f"again at {timestamp(f.next_attempt_at_us)}"
    return [f"{f.stage}, attempt {f.attempt}: {f.error} {f.detail}".rstrip() + f", {again}"]


def _parked(f: t.OrderParked) -> list[str]:
    return [f"{f.stage}: {f.reason}, by {f.actor}"]


def _replayed(f: t.OrderRequeued) -> list[str]:
    return [f"{f.reason}, by {f.actor}"]


def _recovered(f: t.TransactionRecovered) -> list[str]:
    others = f"; executed by {', '.join(f.others)} too" if f.others else ""
    return [f"{f.signature}: {f.reason}, by {f.actor}{others}"]


def _rested(f: t.OrderArmed) -> list[str]:
    return [f"waits; what happens from slot {f.slot} on counts"]


def _triggered(f: t.OrderTriggered) -> list[str]:
    text = f"{f.cause} in slot {f.slot}: {f.dex} pays {f.price}"
    if f.liquidity:
        text += f", liquidity {to_tokens(f.liquidity, f.decimals_in)}"
    return [text]


def _retreated(f: t.OrderRearmed) -> list[str]:
    best = f"{to_tokens(f.amount_out, f.decimals_out)} offered, " if f.amount_out else ""
    least = to_tokens(f.min_amount_out, f.decimals_out)
    cost = _cost(f.fee_lamports)
    waits = f"waits again from slot {f.slot} on"
    return [f"{f.stage}: {f.reason}, {best}{least} required{cost}; {waits}"]


def _amended(f: t.OrderAmended) -> list[str]:
    price = f"at {f.target_price}, " if f.target_price else ""
    until = f"until {timestamp(f.expires_at_us)}" if f.expires_at_us else "until cancelled"
    return [f"{price}{until}, by {f.actor}"]


def _acted(f: t.OrderCancelled | t.EngineHalted | t.EngineResumed) -> list[str]:
    return [f"{f.reason}, by {f.actor}" if f.reason else f"by {f.actor}"]


def _key(f: t.KeyCreated | t.KeyRotated | t.KeyRevoked) -> list[str]:
    return [f"{f.key_id}, by {f.actor}"]


_EXPLAIN: dict[type[t.Fact], Callable[[Any], list[str]]] = {
    t.OrderSubmitted: _submitted,
    t.OrderRouted: _routed,
    t.TransactionBuilt: _built,
    t.TransactionSubmitted: _sent,
    t.TransactionExpired: _died,
    t.TransactionInDoubt: _in_doubt,
    t.OrderConfirmed: _confirmed,
    t.OrderFailed: _ended,
    t.OrderExpired: _ended,
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
    t.KeyCreated: _key,
    t.KeyRotated: _key,
    t.KeyRevoked: _key,
}

assert _EXPLAIN.keys() | {t.RoutingStarted} == set(t.FACTS.values()), "every event is explained"
