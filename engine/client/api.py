"""`Client`: every request of the API, typed. All of it may raise RefusedError and UnreachableError.

A submission carries an Idempotency-Key, so that it can be tried again when its answer is lost:
one key is one order.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from engine.client.events import Event, event_of
from engine.client.refusals import LostError, OutcomeUnknownError, RefusedError, UnreachableError
from engine.client.requests import Filters, Json, NewOrder, Whole
from engine.client.retry_policy import Answer
from engine.client.transport import RECONNECT_S, TEXT, Transport
from gateway.schemas import readiness_schemas, response_schemas
from projections.views.event_schemas import Lost
from projections.views.schemas import Order, Shape

T = TypeVar("T", bound=Shape)
PAGE = 500
_READ_IT = "read the order: its status and version tell whether it was done"
_READ_SWITCH = "/readyz tells whether the engine is halted"
ALL = Filters()
OnLost = Callable[[Lost], None]


class Client(Transport):
    """Speaks to one gateway; use as an async context manager."""

    # -- orders --------------------------------------------------------------------------------

    async def submit(self, order: NewOrder, *, key: str = "") -> response_schemas.Accepted:
        """Submits an order: once, however often it takes. `key`: an Idempotency-Key of your own."""
        return await self._keyed(
            response_schemas.Accepted, "/api/orders/execute", _json(order), key
        )

    async def test(self, order: NewOrder) -> response_schemas.OrderTest:
        """Returns what would become of an order now; it is not submitted."""
        answer = await self.ask("POST", "/api/orders/test", json=_json(order))
        return _as(response_schemas.OrderTest, answer)

    async def submit_batch(
        self, orders: Sequence[NewOrder], *, key: str = ""
    ) -> list[response_schemas.BatchResult]:
        """Submit up to 500 orders; one result each, `problem` where it was refused."""
        body = {"orders": [_json(order) for order in orders]}
        shape = response_schemas.BatchResults
        return (await self._keyed(shape, "/api/orders/batch", body, key)).results

    async def order(self, order_id: str) -> Order:
        """Returns an order as it is now."""
        return _as(Order, await self.ask("GET", f"/api/orders/{order_id}"))

    async def order_by_client_id(self, client_order_id: str) -> Order:
        """Returns the order with this name of the client, as soon as it is accepted."""
        path = f"/api/orders/by-client-id/{quote(client_order_id, safe='')}"
        return _as(Order, await self.ask("GET", path))

    async def history(self, order_id: str) -> list[Event]:
        """Returns all that happened to an order."""
        answer = await self.ask("GET", f"/api/orders/{order_id}/events")
        return [event_of(raw) for raw in answer["events"]]

    async def orders(
        self, filters: Filters = ALL, *, most: int | None = None
    ) -> AsyncIterator[Order]:
        """Yields orders, the newest first unless `sort` differs, as many pages as it takes."""
        cursor: dict[str, str] = {}
        left = most
        while left is None or left > 0:
            limit = str(PAGE if left is None else min(left, PAGE))
            params = filters.params() | cursor | {"limit": limit}
            page = _as(response_schemas.Orders, await self.ask("GET", "/api/orders", params=params))
            for order in page.orders:
                yield order
            if page.next_cursor is None:
                return
            cursor = {"cursor": page.next_cursor}
            left = None if left is None else left - len(page.orders)

    async def cancel(
        self, order_id: str, *, reason: str = "", actor: str = ""
    ) -> response_schemas.Cancelled:
        """Call an order off. Refused with `too-late` once it was sent."""
        params = _words(reason, actor)
        path = f"/api/orders/{order_id}"
        answer = await self.ask("DELETE", path, params=params)
        return _as_done(response_schemas.Cancelled, answer, _READ_IT)

    async def cancel_many(
        self, filters: Filters = ALL, *, reason: str = "", actor: str = ""
    ) -> AsyncIterator[response_schemas.CancelResult]:
        """Cancels all open orders that match the filters (all without filters), and returns the
        outcome of each. After a lost answer, orders that the first attempt cancelled are not
        reported: they match no more.
        """
        requested = filters.params() or {"all": "true"}
        cursor: str | None = "0"
        while cursor:
            params = requested | _words(reason, actor) | {"cursor": cursor}
            answer = await self.ask("DELETE", "/api/orders", params=params, unknown=_READ_IT)
            page = _as_done(response_schemas.CancelResults, answer, _READ_IT)
            for result in page.results:
                yield result
            cursor = page.next_cursor

    async def amend(self, order_id: str, version: int, terms: dict[str, Any]) -> Order:
        """Changes `targetPrice` or `expiresAt` of an order that waits, if it is at `version`.

        Tried again only where it was not done: that version may be another one by now.
        """
        body = terms | {"version": version}
        path = f"/api/orders/{order_id}"
        answer = await self.ask("PATCH", path, json=body, repeatable=False, unknown=_READ_IT)
        return _as_done(Order, answer, _READ_IT)

    # -- the market and the engine -------------------------------------------------------------

    async def quotes(
        self, token_in: str, token_out: str, amount: Whole, **more: str
    ) -> response_schemas.QuotesAnswer:
        """Returns what an order would be routed by. `more`: swapMode, slippageBps."""
        params = {"tokenIn": token_in, "tokenOut": token_out, "amount": str(amount)} | more
        return _as(
            response_schemas.QuotesAnswer, await self.ask("GET", "/api/quotes", params=params)
        )

    async def tokens(self) -> list[response_schemas.Traded]:
        """Returns what can be traded."""
        return _as(response_schemas.Tokens, await self.ask("GET", "/api/tokens")).tokens

    async def time(self) -> response_schemas.ServerTime:
        """Returns the time by the clock that judges `expires_at`."""
        return _as(response_schemas.ServerTime, await self.ask("GET", "/api/time"))

    async def ready(self) -> readiness_schemas.Readiness:
        """Returns what /readyz says, ready or not."""
        return _as(
            readiness_schemas.Readiness, await self.ask("GET", "/readyz", accepts=_is_readiness)
        )

    async def metrics(self) -> str:
        """Returns what /metrics says, in the text format of Prometheus."""
        answer = await self.ask("GET", "/metrics", accepts=_is_text)
        return str(answer[TEXT])

    async def halt(self, reason: str, actor: str = "") -> response_schemas.EngineState:
        """Let nothing be sent and no trigger fire from now on."""
        answer = await self.ask(
            "POST", "/api/admin/halt", json=_words(reason, actor), unknown=_READ_SWITCH
        )
        return _as_done(response_schemas.EngineState, answer, _READ_SWITCH)

    async def resume(self, reason: str = "", actor: str = "") -> response_schemas.EngineState:
        """Ends a halt.

        Tried again only where it was not done: another client may have halted the engine since.
        """
        answer = await self.ask(
            "POST",
            "/api/admin/resume",
            json=_words(reason, actor),
            repeatable=False,
            unknown=_READ_SWITCH,
        )
        return _as_done(response_schemas.EngineState, answer, _READ_SWITCH)

    async def settle(
        self, order_id: str, signature: str = "", reason: str = "", actor: str = ""
    ) -> Order:
        """Close a parked order by the chain's record; `signature`, where it knows none."""
        words = _words(reason, actor) | ({"signature": signature} if signature else {})
        return await self._parked(order_id, "settle", words)

    async def requeue(self, order_id: str, reason: str = "", actor: str = "") -> Order:
        """Puts a parked order back to work."""
        return await self._parked(order_id, "requeue", _words(reason, actor))

    async def discard(self, order_id: str, reason: str = "", actor: str = "") -> Order:
        """Fails a parked order of which no transaction can land."""
        return await self._parked(order_id, "discard", _words(reason, actor))

    async def _parked(self, order_id: str, act: str, words: dict[str, str]) -> Order:
        path = f"/api/admin/parked/{order_id}/{act}"
        answer = await self.ask("POST", path, json=words, repeatable=False, unknown=_READ_IT)
        return _as_done(Order, answer, _READ_IT)

    # -- events --------------------------------------------------------------------------------

    async def follow(self, order_id: str) -> AsyncIterator[Event]:
        """Yields every event of one order from the first on, until it ended. Reconnects."""
        seen = 0
        while True:
            stream = await self.connect("/api/orders/execute", orderId=order_id)
            async for raw in stream.frames():
                if raw.get("event") == "notice":  # what was seen may be void
                    seen = 0
                if raw.get("version", 0) > seen:
                    seen = raw["version"]
                    yield event_of(raw)
            if stream.code == 1000:
                return
            _check_closed(stream.code, order_id)
            await asyncio.sleep(RECONNECT_S)

    async def events(
        self, after: str | int | None = None, *, on_lost: OnLost | None = None, **filters: str
    ) -> AsyncIterator[Event]:
        """Yields every event of every order after a position or cursor; default: from now on.

        Reconnects and resumes, without a gap and without an event twice. Events that
        the log no longer has are reported to `on_lost`; without it they raise LostError. `filters`:
        `events`, `orderId`, `status`, as GET /api/events takes them.
        """
        cursor = str(await self.position()) if after is None else str(after)
        while True:
            stream = await self.connect("/api/events", after=cursor, **filters)
            async for raw in stream.frames():
                if "orderId" in raw:
                    yield event_of(raw)
                elif raw.get("recovered") is False:
                    lost = msgspec.convert(raw, Lost, strict=False)
                    if on_lost is None:
                        raise LostError(lost)
                    on_lost(lost)
                cursor = raw.get("cursor", cursor)  # once it was handled: heartbeats count too
            _check_closed(stream.code, "")
            await asyncio.sleep(RECONNECT_S)

    async def position(self) -> int:
        """Returns the position of the newest event."""
        return (await self.ready()).log.position or 0

    async def _keyed(self, shape: type[T], path: str, content: Json, key: str) -> T:
        key = key or secrets.token_hex(16)
        unknown = f"submit the same again with Idempotency-Key {key}: it returns what was accepted"
        headers = {"Idempotency-Key": key}
        answer = await self.ask("POST", path, json=content, headers=headers, unknown=unknown)
        return _as_done(shape, answer, unknown, key)


def _is_readiness(_: Answer, body: Json) -> bool:
    """A gateway that is not ready says so with status 503."""
    return "log" in body and "status" in body


def _is_text(answer: Answer, body: Json) -> bool:
    return answer.status == 200 and TEXT in body


def _check_closed(code: int | None, order_id: str) -> None:
    """Raises RefusedError where coming back is of no use."""
    if code == 4404:
        raise RefusedError(f"unknown-order: {order_id}", {"code": "unknown-order", "status": 404})
    if code == 4401:
        body = {"code": "unauthenticated", "status": 401}
        raise RefusedError("unauthenticated: the key is good no more", body)


def _as(shape: type[T], answer: Json) -> T:
    try:
        return msgspec.convert(answer, shape, strict=False)
    except msgspec.ValidationError as error:
        msg = f"what answers is not a gateway of this build: {error}"
        raise UnreachableError(msg) from None


def _as_done(shape: type[T], answer: Json, unknown: str, key: str = "") -> T:
    """The answer to a request that changes something: who gave it in another shape may have done
    it.
    """
    try:
        return _as(shape, answer)
    except UnreachableError as error:
        raise OutcomeUnknownError(f"{error}: {unknown}", idempotency_key=key) from None


def _json(struct: msgspec.Struct) -> Json:
    fields: Json = msgspec.to_builtins(struct)
    return fields


def _words(reason: str, actor: str) -> dict[str, str]:
    return {name: text for name, text in (("reason", reason), ("actor", actor)) if text}
