"""Commands for parked orders (dead letters): requeue, discard, settle."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import structlog
from aiohttp import web

from events.commands import parked
from events.commands.parked import History, NotAllowed, NotSettled, Settled
from events.log import EventLog
from events.order import Order
from gateway.api.order_lookup import OrderViews, archived, logged, readable
from gateway.backends.backend_errors import reading_archive, writing_log
from gateway.backends.health import Health
from gateway.http.problems import Problem
from gateway.middleware.auth import actor_name
from gateway.middleware.origin import OriginGuard
from gateway.parsing.body import body_of
from gateway.parsing.command_requests import ParkedAct, parse_parked
from gateway.parsing.parameter_tables import NONE
from gateway.parsing.parameters import order_id_of, reject_unknown_parameters
from projections.feed.history_reader import Archive, HistoryGap, HistoryReader

LOAD_S = 0.8
ACT_S = 5.0
RECORD_S = 30.0
"""How long the nodes may take to return a transaction and its details."""


class Settles(Protocol):
    """Settles an order by the chain's record. Raises NotSettled, NotAllowed, LogError."""

    def __call__(
        self, history: History, order_id: str, *, signature: str, reason: str, actor: str
    ) -> Awaitable[Settled]:
        """The settled order."""
        ...


async def no_record(
    history: History, order_id: str, *, signature: str, reason: str, actor: str
) -> Settled:
    """The `Settles` of a gateway without a chain."""
    del history, signature, reason, actor
    raise NotSettled("wallet-unknown", f"no chain can be asked about {order_id} here")


_log = structlog.get_logger()


class ParkedOrders:
    """The handlers below /api/admin/parked."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        past: HistoryReader,
        health: Health,
        settles: Settles,
        views: OrderViews,
    ) -> None:
        self._log = log
        self._archive = archive
        self._past = past
        self._health = health
        self._settles = settles
        self._views = views

    async def settle(self, request: web.Request) -> web.Response:
        """POST /api/admin/parked/{id}/settle: closes it by the chain's record."""
        order_id, requested = await self._parse(request, signature=True)
        act = self._settles(
            self._past.order,
            order_id,
            signature=requested.signature,
            reason=requested.reason or "settled by the chain's record",
            actor=actor_name(request, requested.actor),
        )

        async def settled() -> Order:
            return (await act).order

        return await self._done(request, order_id, settled(), RECORD_S)

    async def requeue(self, request: web.Request) -> web.Response:
        """POST /api/admin/parked/{id}/requeue: returns it to its stage."""
        order_id, requested = await self._parse(request)
        reason, actor = (
            requested.reason or "requeued by an operator",
            actor_name(request, requested.actor),
        )
        act = parked.replay(self._log, self._past.order, order_id, reason, actor)
        return await self._done(request, order_id, act, ACT_S)

    async def discard(self, request: web.Request) -> web.Response:
        """POST /api/admin/parked/{id}/discard: fails it, if no transaction can land."""
        order_id, requested = await self._parse(request)
        reason, actor = (
            requested.reason or "discarded by an operator",
            actor_name(request, requested.actor),
        )
        act = parked.discard(self._log, self._past.order, order_id, reason, actor)
        return await self._done(request, order_id, act, ACT_S)

    async def _parse(
        self, request: web.Request, *, signature: bool = False
    ) -> tuple[str, ParkedAct]:
        OriginGuard.check_json(request)
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        act = parse_parked(await body_of(request), signature=signature)
        self._health.check_open()
        if not await self._is_there(order_id):
            raise Problem("unknown-order", order_id)
        return order_id, act

    async def _is_there(self, order_id: str) -> bool:
        """Whether the order exists. An unreadable head counts: it may be why it is parked."""
        try:
            order = await logged(self._log, order_id, LOAD_S)
        except Problem as problem:
            if problem.code != "unreadable-order":
                raise
            return True
        return bool(order or await archived(self._archive, order_id))

    async def _done(
        self, request: web.Request, order_id: str, act: Awaitable[Order], timeout_s: float
    ) -> web.Response:
        try:
            with readable(order_id):
                async with (
                    reading_archive(),
                    writing_log(self._health, timeout_s, orderId=order_id),
                ):
                    order = await act
        except NotAllowed as error:
            raise Problem("not-parked", str(error), orderId=order_id) from None
        except NotSettled as error:
            raise Problem(
                "not-settled", error.detail, orderId=order_id, reason=error.code
            ) from None
        except HistoryGap as error:
            raise Problem("history-lost", str(error)) from None
        _log.info(
            "parked_order_ended",
            order_id=order_id,
            act=request.path.rpartition("/")[2],
            actor=actor_name(request, None),
            status=order.status.value,
        )
        return await self._views.response(order)
