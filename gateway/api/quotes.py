"""The quotes by which an order would be routed, and tests of orders.

Rule of this file: nothing is appended to the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from events import best_quote
from events.ids import new_order_id
from events.log import EventLog
from events.money import (
    AmountError,
    Token,
    max_amount_in,
    min_amount_out,
    price,
    to_base_units,
    to_tokens,
)
from events.order import Order, evolve
from events.telemetry.server_clock import now_us as server_now_us
from events.types import Event, OrderSubmitted, Quote, Status
from gateway.backends.backend_errors import reading_log
from gateway.backends.health import Health
from gateway.http import responses
from gateway.http.problems import Problem
from gateway.middleware.auth import own_account
from gateway.middleware.origin import OriginGuard
from gateway.parsing import values
from gateway.parsing.body import body_of
from gateway.parsing.field_reader import parse_object
from gateway.parsing.order_request import IDEMPOTENCY_KEY, parse_key, parse_order
from gateway.parsing.parameter_tables import QUOTE_FIELDS, QUOTE_REQUIRED
from gateway.parsing.parameters import reject_unknown_parameters
from projections.views import schemas

Asks = Callable[[Order], Awaitable[Sequence[Quote]]]
"""Asks for every route of an order, refusals included."""


class RoutingPreview(NamedTuple):
    """What the router would decide about an order."""

    outcome: str
    """`routed`, `waiting`, `delayed` or `failed`."""
    reason: str = ""
    detail: str = ""
    min_amount_out: int = 0
    """The least output of a route, in base units."""
    max_amount_in: int = 0
    """The greatest input of a route with an exact output, in base units."""


Previews = Callable[[Order, Sequence[Quote]], RoutingPreview]
"""The router's decision about an order with these quotes."""

QUOTES_S = 5.0
"""Timeout of the venues."""

AT_ONCE = 8
"""Quotes computed at once; more wait, so that cancels and halts get their turn of the loop."""


class Quotes:
    """Serves quotes."""

    def __init__(
        self,
        ask: Asks,
        preview: Previews,
        health: Health,
        tokens: Mapping[str, Token],
        log: EventLog,
    ) -> None:
        self._ask = ask
        self._preview = preview
        self._health = health
        self._tokens = tokens
        self._log = log
        self._room = asyncio.Semaphore(AT_ONCE)

    async def read(self, request: web.Request) -> web.Response:
        """GET /api/quotes: all routes, the best one with the reason, and its bound by slippage."""
        order = self._order(request)
        quotes = await self._quotes(order)
        silent = sorted({quote.error for quote in quotes} & best_quote.UNANSWERED)
        if silent and all(quote.error for quote in quotes):
            raise Problem("venues-unavailable", ", ".join(silent))
        return responses.json_response(_view(order, quotes))

    async def test(self, request: web.Request) -> web.Response:
        """POST /api/orders/test: what would become of an order now. It is not accepted."""
        OriginGuard.check_json(request)
        body = await body_of(request)
        key = parse_key(request.headers.getall(IDEMPOTENCY_KEY, ()))
        now_us = server_now_us()
        fact = parse_order(parse_object(body), self._tokens, now_us=now_us, key=key)
        await self._check_accepting()
        order = self._unsubmitted(fact, own_account(request), now_us)
        quotes = await self._quotes(order)
        return responses.json_response(_test(order, quotes, self._preview(order, quotes)))

    async def _check_accepting(self) -> None:
        """Raises Problem where a submission would be refused for the state of the engine."""
        self._health.check_accepting()
        async with reading_log():
            suspended = await self._log.suspended()
        if suspended:
            raise Problem("suspended")

    async def _quotes(self, order: Order) -> Sequence[Quote]:
        try:
            async with asyncio.timeout(QUOTES_S), self._room:
                return await self._ask(order)
        except TimeoutError:
            raise Problem("venues-unavailable", f"no answer within {QUOTES_S:g} s") from None

    def _unsubmitted(self, fact: OrderSubmitted, account: str, now_us: int) -> Order:
        """The order as it would be after its first event."""
        order_id = new_order_id(self._log.partition)
        return evolve(None, Event(order_id, 1, now_us, Status.PENDING, account, "", fact))

    def _order(self, request: web.Request) -> Order:
        query = request.query
        reject_unknown_parameters(query, QUOTE_FIELDS)
        for name in QUOTE_REQUIRED:
            if name not in query:
                raise Problem("missing-parameter", f"{name} is required", parameter=name)
        token_in = self._read(query, "tokenIn", lambda raw: values.as_token(raw, self._tokens))
        token_out = self._read(query, "tokenOut", lambda raw: values.as_token(raw, self._tokens))
        if token_in.symbol == token_out.symbol:
            raise _bad("tokenOut", f"{token_in.symbol} cannot be swapped for itself")
        mode = query.get("swapMode", "exactIn")
        if mode not in ("exactIn", "exactOut"):
            raise _bad("swapMode", "exactIn or exactOut")
        slippage = 50
        if "slippageBps" in query:
            slippage = self._read(query, "slippageBps", _slippage)
        exact_out = mode == "exactOut"
        counted = token_out if exact_out else token_in
        try:
            amount = to_base_units(query["amount"], counted.decimals)
        except AmountError as error:
            raise _bad("amount", str(error)) from None
        return Order(
            new_order_id(self._log.partition),
            token_in=token_in.symbol,
            token_out=token_out.symbol,
            decimals_in=token_in.decimals,
            decimals_out=token_out.decimals,
            amount_in=0 if exact_out else amount,
            exact_amount_out=amount if exact_out else None,
            slippage_bps=slippage,
        )

    def _read(self, query: Mapping[str, str], name: str, read: Callable[[msgspec.Raw], Any]) -> Any:
        """A parameter, read like the order field of that name."""
        try:
            return read(msgspec.Raw(msgspec.json.encode(query[name])))
        except values.InvalidField as bad:
            raise _bad(name, bad.detail) from None


def _slippage(raw: msgspec.Raw) -> int:
    text = bytes(raw)[1:-1]
    if not text.isdigit() or len(text) > 5:
        raise values.InvalidField("slippage-out-of-range", "basis points, a whole number")
    return values.as_slippage(msgspec.Raw(text))


def _bad(name: str, detail: str) -> Problem:
    return Problem("malformed-parameter", detail, parameter=name)


def _view(order: Order, quotes: Sequence[Quote]) -> dict[str, Any]:
    exact_out = order.exact_amount_out is not None
    best = best_quote.best(quotes, exact_out=exact_out)
    view = {
        "tokenIn": order.token_in,
        "tokenOut": order.token_out,
        "swapMode": "exactOut" if exact_out else "exactIn",
        "slippageBps": order.slippage_bps,
        "quotes": [
            _quote(q, order.decimals_in, order.decimals_out, exact_out=exact_out) for q in quotes
        ],
        "best": None,
    }
    return view if best is None else view | {"best": _best(order, quotes, best)}


def _best(order: Order, quotes: Sequence[Quote], best: int) -> dict[str, Any]:
    exact_out = order.exact_amount_out is not None
    quote, into, out = quotes[best], order.decimals_in, order.decimals_out
    view = _quote(quote, into, out, exact_out=exact_out)
    view["price"] = price(quote.amount_out, out, quote.amount_in, into)
    view["why"] = best_quote.why(quotes, best, exact_out=exact_out)
    if exact_out:
        most = max_amount_in(quote.amount_in, order.slippage_bps)
        return view | {"maxAmountIn": to_tokens(most, into)}
    least = min_amount_out(quote.amount_out, order.slippage_bps)
    return view | {"minAmountOut": to_tokens(least, out)}


def _test(order: Order, quotes: Sequence[Quote], preview: RoutingPreview) -> dict[str, Any]:
    view = _view(order, quotes) | {
        "type": order.type,
        "outcome": preview.outcome,
        "reason": preview.reason or None,
        "detail": preview.detail or None,
    }
    if preview.outcome != "routed":
        return view | {"best": None}
    if order.exact_amount_out is not None:
        bound = {"maxAmountIn": to_tokens(preview.max_amount_in, order.decimals_in)}
    else:
        bound = {"minAmountOut": to_tokens(preview.min_amount_out, order.decimals_out)}
    return view | {"best": view["best"] | bound}


def _quote(quote: Quote, decimals_in: int, decimals_out: int, *, exact_out: bool) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(
        schemas.Quote.of(quote, decimals_in, decimals_out, exact_out=exact_out)
    )
    return shown
