"""From the JSON of an order request to its `OrderSubmitted` fact. Pure; the clock is an argument.

The fields and their rules are the table of `order_fields`. All faults of a request are reported
at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from events.money import Token
from events.types import OrderSubmitted
from gateway.http.problems import FieldError, Problem, invalid
from gateway.parsing import values
from gateway.parsing.field_reader import FieldReader, Fields, decode, parse_object, pointer_of
from gateway.parsing.order_fields import RULES, Draft

IDEMPOTENCY_KEY = "Idempotency-Key"

BATCH_ORDERS = 500
"""As many as one append call takes."""

_list = msgspec.json.Decoder(list[msgspec.Raw])


def parse_batch(body: bytes) -> list[msgspec.Raw]:
    """The orders of a batch, still raw. Raises Problem."""
    fields = parse_object(body)
    faults = [FieldError("unknown-field", pointer_of(n), n) for n in fields if n != "orders"]
    if "orders" not in fields:
        faults.append(FieldError("missing-field", "/orders", "`orders` is required"))
    if faults:
        raise invalid(faults)
    orders = decode(_list, fields["orders"], "/orders")
    if not 1 <= len(orders) <= BATCH_ORDERS:
        detail = f"1 to {BATCH_ORDERS} orders, not {len(orders)}"
        raise invalid([FieldError("batch-size", "/orders", detail)])
    return orders


def parse_order(
    fields: Fields, tokens: Mapping[str, Token], *, now_us: int, key: str | None = None
) -> OrderSubmitted:
    """The fact of an order request. Raises Problem with all faults."""
    draft = Draft(FieldReader(fields), tokens, now_us)
    draft.read()
    for rule in RULES:
        rule(draft)
    draft.reader.check()
    return _submitted(draft, key)


def _submitted(draft: Draft, key: str | None) -> OrderSubmitted:
    fields = draft.values
    token_in, token_out = fields["tokenIn"], fields["tokenOut"]
    slippage_bps = fields["slippageBps"]
    return OrderSubmitted(
        order_type=draft.order_type,
        token_in=token_in.symbol,
        token_out=token_out.symbol,
        decimals_in=token_in.decimals,
        decimals_out=token_out.decimals,
        amount_in=0 if draft.exact_out else fields["amount"],
        slippage_bps=draft.kind.slippage_default_bps if slippage_bps is None else slippage_bps,
        min_amount_out=fields["minAmountOut"],
        expires_at_us=fields["expiresAt"],
        client_order_id=fields["clientOrderId"],
        idempotency_key=key,
        target_price=fields["targetPrice"] or fields["minPrice"] or "",
        time_in_force=_time_in_force(draft),
        min_liquidity=fields["minLiquidity"],
        max_price=fields["maxPrice"] or "",
        exact_amount_out=fields["amount"] if draft.exact_out else None,
        max_amount_in=fields["maxAmountIn"],
    )


def _time_in_force(draft: Draft) -> str:
    """The time in force of the fact; empty for a market order that may be retried."""
    if value := draft.values["timeInForce"]:
        return str(value)
    if not draft.kind.waits:
        return ""
    return "GTC" if draft.values["expiresAt"] is None else "GTT"


def parse_key(headers: Sequence[str]) -> str | None:
    """The Idempotency-Key, by the values of its header lines. Raises Problem.

    Two of them are refused: which is meant is unknown.
    """
    if len(headers) > 1:
        raise Problem("malformed-idempotency-key", "the header stands there more than once")
    if headers and not values.is_key(headers[0]):
        raise Problem("malformed-idempotency-key", "1 to 128 printable ASCII characters, no spaces")
    return headers[0] if headers else None
