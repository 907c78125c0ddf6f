"""Orders over HTTP: read one, by its id or the client's own name; its history; the list."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from events.archive import BadCursor, Filters
from events.commands.idempotency import claim_of
from events.log import EventLog
from events.money import Token
from events.order import Order
from gateway.api.order_lookup import OrderWaits, find_order
from gateway.backends.backend_errors import reading_archive, reading_log
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
from projections.feed.history_reader import Archive, HistoryGap
from projections.views.orders import order_view


class OrderReads:
    """The handlers that read orders."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        feed: Feed,
        waits: OrderWaits,
        *,
        tokens: Mapping[str, Token],
        explorer: str,
    ) -> None:
        self._log = log
        self._archive = archive
        self._feed = feed
        self._tokens = tokens
        self._explorer = explorer
        self._waits = waits

    async def read(self, request: web.Request) -> web.Response:
        """GET /api/orders/{id}: from the log's head or, once that is removed, from the archive."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        order = await find_order(self._log, self._archive, order_id)
        if order is None:
            raise Problem("unknown-order", order_id)
        return responses.order(order, self._explorer, await self._waits.view(order))

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
        return responses.order(order, self._explorer, await self._waits.view(order))

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
        async with reading_archive(), reading_log():
            try:
                stored = await self._feed.past.order(order_id)
            except HistoryGap as error:
                raise Problem("history-lost", str(error)) from error
        frames = self._feed.frames(stored)
        if not frames:
            raise Problem("unknown-order", order_id)
        events = [frame.view for frame in frames]
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
        content = {
            "orders": [
                order_view(order, self._explorer, waiting)
                for order, waiting in zip(orders, await self._waits.views(orders), strict=True)
            ],
            "nextCursor": following,
        }
        return responses.json_response(content)
