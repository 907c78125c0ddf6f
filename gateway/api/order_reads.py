"""Orders over HTTP: read one, by its id or the client's own name; its history; the list."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from events.archive import BadCursor, Filters
from events.commands.idempotency import claim_of
from events.log import EventLog
from events.money import Token
from events.order import Order
from gateway.api.order_lookup import OrderViews, find_order
from gateway.backends.backend_errors import reading_archive, reading_log
from gateway.backends.order_history import read_history
from gateway.http import responses
from gateway.http.problems import Problem
from gateway.middleware.auth import own_account, visible_account
from gateway.parsing.parameter_tables import NONE
from gateway.parsing.parameters import (
    client_order_id_of,
    list_filters,
    order_id_of,
    reject_unknown_parameters,
)
from projections.feed.feed import Feed
from projections.feed.history_reader import Archive


class OrderReads:
    """The handlers that read orders."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        feed: Feed,
        views: OrderViews,
        tokens: Mapping[str, Token],
    ) -> None:
        self._log = log
        self._archive = archive
        self._feed = feed
        self._views = views
        self._tokens = tokens

    async def read(self, request: web.Request) -> web.Response:
        """GET /api/orders/{id}: from the log's head or, once that is removed, from the archive."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        order = await find_order(self._log, self._archive, order_id)
        if order is None:
            raise Problem("unknown-order", order_id)
        return await self._views.response(order)

    async def read_by_client_id(self, request: web.Request) -> web.Response:
        """GET /api/orders/by-client-id/{clientOrderId}: by the log's index of names, which knows an
        order from its acceptance on; once the name is removed there, from the archive.
        """
        name = client_order_id_of(request.match_info["clientOrderId"])
        reject_unknown_parameters(request.query, NONE)
        order = await self._named(own_account(request), name)
        if order is None:
            filters = Filters(account=visible_account(request), client_order_id=name)
            async with reading_archive():
                orders, _ = await self._archive.find(filters, limit=1)
            order = orders[0] if orders else None
        if order is None:
            raise Problem("unknown-order", f"no order has the clientOrderId {name}")
        return await self._views.response(order)

    async def _named(self, account: str, client_order_id: str) -> Order | None:
        """The order that the log's index has under this name of an account."""
        async with reading_log():
            keys = self._log.keys.names(account, client_order_id, None)
            value = (await self._log.lookup_idempotency_keys(keys))[0]
        return (
            None
            if value is None
            else await find_order(self._log, self._archive, claim_of(value).order_id)
        )

    async def history(self, request: web.Request) -> web.Response:
        """GET /api/orders/{id}/events: each event with position, time and hash."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        stored = await read_history(self._feed.past, order_id)
        events = [frame.view for frame in self._feed.frames(stored)]
        return responses.json_response({"orderId": order_id, "events": events})

    async def list(self, request: web.Request) -> web.Response:
        """GET /api/orders: newest first, from the archive."""
        account = visible_account(request)
        filters, limit, cursor = list_filters(request.query, self._tokens, account)
        async with reading_archive():
            try:
                orders, following = await self._archive.find(filters, limit=limit, cursor=cursor)
            except BadCursor as error:
                raise Problem("malformed-cursor", str(error), parameter="cursor") from None
        content = {"orders": await self._views.views(orders), "nextCursor": following}
        return responses.json_response(content)
