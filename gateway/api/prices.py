"""GET /api/prices/history: the price of every pool of a pair over time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from events.money import Token
from events.telemetry.server_clock import now_us as server_now_us
from gateway.backends.price_history import KEPT_S, PriceHistory
from gateway.http import responses
from gateway.http.problems import Problem
from gateway.parsing import values
from gateway.parsing.parameter_tables import PRICES
from gateway.parsing.parameters import reject_unknown_parameters


class Prices:
    """Serves price histories."""

    def __init__(self, history: PriceHistory, tokens: Mapping[str, Token]) -> None:
        self._history = history
        self._tokens = tokens

    async def read(self, request: web.Request) -> web.Response:
        """GET /api/prices/history."""
        reject_unknown_parameters(request.query, PRICES)
        into, out = (self._token(request, name) for name in ("tokenIn", "tokenOut"))
        if into.symbol == out.symbol:
            raise Problem(
                "malformed-parameter",
                f"{into.symbol} cannot be swapped for itself",
                parameter="tokenOut",
            )
        pair = (into.symbol, out.symbol)
        since_ms = server_now_us() // 1000 - KEPT_S * 1000
        series = [
            {
                "dex": pool.dex,
                "pool": pool.pool,
                "name": pool.name,
                "points": [
                    {"timeMs": point.time_ms, "price": point.price}
                    for point in pool.points(since_ms)
                ],
            }
            for pool in await self._history.read(pair)
        ]
        content = {
            "tokenIn": into.symbol,
            "tokenOut": out.symbol,
            "amount": str(self._history.amount(pair)),
            "series": series,
        }
        return responses.json_response(content)

    def _token(self, request: web.Request, name: str) -> Token:
        if name not in request.query:
            raise Problem("missing-parameter", f"{name} is required", parameter=name)
        try:
            raw = msgspec.Raw(msgspec.json.encode(request.query[name]))
            return values.as_token(raw, self._tokens)
        except values.InvalidField as bad:
            raise Problem("malformed-parameter", bad.detail, parameter=name) from None
