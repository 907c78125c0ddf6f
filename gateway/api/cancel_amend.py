"""Commands for open orders: cancel one or many, amend.

The log serialises concurrent changes: a command that is too late is answered with the status that
won.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import structlog
from aiohttp import web

from events.commands import orders
from events.commands.orders import CommandOutcome, CommandResult
from events.log import EventLog, OrderHead
from events.money import Token
from events.order import Order
from events.telemetry.server_clock import now_us as server_now_us
from events.types import Status
from gateway.api.order_lookup import OrderViews, archived, logged, readable
from gateway.backends.backend_errors import reading_log, writing_log
from gateway.backends.health import Health
from gateway.http import responses
from gateway.http.problems import FieldError, Problem, invalid
from gateway.middleware.auth import actor_name, visible_account
from gateway.middleware.origin import OriginGuard
from gateway.parsing.body import body_of
from gateway.parsing.command_requests import Amendment, parse_amendment
from gateway.parsing.parameter_tables import CANCEL_PARAMETERS, NONE
from gateway.parsing.parameters import (
    CancelFilter,
    cancel_filters,
    cancel_words,
    order_id_of,
    reject_unknown_parameters,
)
from projections.feed.history_reader import Archive

LOAD_S = 0.8
ACT_S = 1.0
CLIENT_S = 2.0
"""How long a client waits for its response."""
assert LOAD_S + ACT_S < CLIENT_S, "a cancel loads the order and acts before its client gives up"

CANCEL_ORDERS = 500
"""A call reads no further page of open orders once it has this many."""

SEARCH_S = 0.5
"""How long a call searches for orders to cancel."""


_log = structlog.get_logger()


class CommandHandlers:
    """The handlers of DELETE and PATCH below /api/orders."""

    def __init__(
        self,
        log: EventLog,
        urgent: EventLog,
        archive: Archive,
        health: Health,
        views: OrderViews,
        tokens: Mapping[str, Token],
    ) -> None:
        """`urgent`: the log over connections of their own, for cancels."""
        self._log = log
        self._urgent = urgent
        self._archive = archive
        self._health = health
        self._views = views
        self._tokens = tokens

    # -- cancel --------------------------------------------------------------------------------

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /api/orders/{id}."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, CANCEL_PARAMETERS)
        text, reason = cancel_words(request.query)
        actor = actor_name(request, text)
        await self._loaded(self._urgent, order_id)
        status = await self._cancel(order_id, actor, reason)
        return responses.json_response({"orderId": order_id, "status": status})

    async def cancel_many(self, request: web.Request) -> web.Response:
        """DELETE /api/orders.

        Reads the log's index of open orders: the archive may lag and lack orders that were just
        accepted.
        """
        account = visible_account(request)
        filters, cursor = cancel_filters(request.query, self._tokens, account)
        text, reason = cancel_words(request.query)
        actor = actor_name(request, text)
        await self._check_standing(self._urgent)
        page = await self._find(filters, cursor)
        results = await asyncio.gather(
            *(self._result(order_id, actor, reason) for order_id in page.order_ids)
        )
        following = str(page.cursor) if page.cursor else None
        return responses.json_response({"results": results, "nextCursor": following})

    async def _find(self, filters: CancelFilter, cursor: int) -> CancelPage:
        until = time.monotonic() + SEARCH_S
        ids: dict[str, None] = {}
        async with reading_log(LOAD_S):
            while True:
                cursor, heads = await self._urgent.open_page(cursor)
                ids.update(dict.fromkeys(i for i, head in heads.items() if _is(head, filters)))
                if not cursor or len(ids) >= CANCEL_ORDERS or time.monotonic() > until:
                    return CancelPage(list(ids), cursor)

    async def _result(self, order_id: str, actor: str, reason: str) -> dict[str, Any]:
        try:
            return {"orderId": order_id, "status": await self._cancel(order_id, actor, reason)}
        except Problem as problem:
            status = problem.fields.get("orderStatus", "unknown")
            return {"orderId": order_id, "status": status, "problem": problem.document()}

    async def _cancel(self, order_id: str, actor: str, reason: str) -> Status:
        """The status after the cancel. Raises Problem."""
        with readable(order_id):
            async with writing_log(self._health, ACT_S, orderId=order_id):
                result = await orders.cancel(self._urgent, order_id, actor, reason)
        order = await self._order_after(order_id, result)
        if order.status is not Status.CANCELLED:
            code = "version-conflict" if result.outcome is CommandOutcome.CONFLICT else "too-late"
            raise _refused(code, order)
        if result.outcome is CommandOutcome.DONE:
            _log.debug("order_cancelled", order_id=order_id, actor=actor)
        return order.status

    # -- amend ---------------------------------------------------------------------------------

    async def amend(self, request: web.Request) -> web.Response:
        """PATCH /api/orders/{id}."""
        OriginGuard.check_json(request)
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        now_us = server_now_us()
        if_match = request.headers.get("If-Match")
        amendment = parse_amendment(await body_of(request), if_match, now_us=now_us)
        order = await self._loaded(self._log, order_id)
        if amendment.target_price is not None and "targetPrice" not in order.kind.fields:
            detail = f"a {order.type} order has no target price"
            raise invalid([FieldError("field-not-allowed", "/targetPrice", detail)])
        result = await self._amend(order_id, amendment, actor_name(request, amendment.actor))
        order = await self._order_after(order_id, result)
        if result.outcome not in (CommandOutcome.DONE, CommandOutcome.ALREADY):
            code = (
                "version-conflict" if result.outcome is CommandOutcome.CONFLICT else "not-watching"
            )
            raise _refused(code, order)
        return await self._views.response(order)

    async def _amend(self, order_id: str, amendment: Amendment, actor: str) -> CommandResult:
        price, expires = amendment.target_price, amendment.expires_at_us
        with readable(order_id):
            async with writing_log(self._health, ACT_S, orderId=order_id):
                return await orders.amend(
                    self._log, order_id, amendment.version, price, expires, actor
                )

    # -- finding -------------------------------------------------------------------------------

    async def _loaded(self, log: EventLog, order_id: str) -> Order:
        """The order before the command. While the log cannot be read, nothing is written."""
        await self._check_standing(log)
        return await logged(log, order_id, LOAD_S) or await self._ended(order_id)

    async def _check_standing(self, log: EventLog) -> None:
        """Raises Problem while the log is suspended: a repair would discard what is written now."""
        self._health.check_open()
        async with reading_log(LOAD_S):
            reason = await log.suspended()
        if reason:
            raise Problem("suspended", reason)

    async def _order_after(self, order_id: str, result: CommandResult) -> Order:
        return result.order or await self._ended(order_id)

    async def _ended(self, order_id: str) -> Order:
        """An order that ended long ago, so that the log no longer has its head."""
        order = await archived(self._archive, order_id)
        if order is None:
            raise Problem("unknown-order", order_id)
        if not order.terminal:
            raise Problem("log-unavailable", "the archive has an order that the log has not")
        return order


class CancelPage(NamedTuple):
    """Orders to cancel, and the cursor of the next page; 0 after the last."""

    order_ids: list[str]
    cursor: int


def _is(head: OrderHead, filters: CancelFilter) -> bool:
    """Whether an open order matches; an unreadable one matches for all accounts only."""
    try:
        order = head.order
    except msgspec.DecodeError:
        return filters.account is None
    return (
        filters.account in (None, order.account)
        and (filters.statuses is None or order.status in filters.statuses)
        and (filters.types is None or order.type in filters.types)
        and filters.parked in (None, bool(order.parked))
        and filters.in_doubt in (None, order.in_doubt)
        and filters.token in (None, order.token_in, order.token_out)
        and filters.client_order_id in (None, order.client_order_id)
    )


def _refused(code: str, order: Order) -> Problem:
    detail = f"the order is {order.status}, version {order.version}"
    return Problem(code, detail, orderId=order.id, orderStatus=order.status, version=order.version)
