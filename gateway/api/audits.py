"""Audits over HTTP: point-in-time state, verification of all records, proofs.

Audits that read every event run in a separate process (`audit_worker`), one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from events.audit.proof import proof_of
from events.order import fold
from events.secret import SecretUrl
from gateway.api.audit_worker import Task, encoded
from gateway.api.order_lookup import readable
from gateway.backends.order_history import read_history
from gateway.http import responses
from gateway.http.problems import SAFE, Problem
from gateway.parsing.parameter_tables import AT, NONE
from gateway.parsing.parameters import order_id_of, parse_as_of, reject_unknown_parameters
from gateway.streaming.connections import ConnectionLimiter
from projections.feed.feed import Feed
from projections.views.orders import order_view

EVENT_STREAM = {**SAFE, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
STATE_S = 60.0
"""Timeout of a count of all orders."""
TURN_S = 2.0
"""How long a request waits for another audit to end; the console's slider asks often."""
LINE_BYTES = 1 << 20


class StoreUrls(NamedTuple):
    """The addresses of log and archive; with empty URLs they cannot be audited from here."""

    redis_url: SecretUrl = SecretUrl("")
    database_url: SecretUrl = SecretUrl("")
    window_s: int = 86_400
    """How long idempotency keys are kept after the end of their orders."""


class Audits:
    """The handlers below /api/audit."""

    def __init__(
        self, feed: Feed, presence: ConnectionLimiter, where: StoreUrls, explorer: str
    ) -> None:
        self._feed = feed
        self._presence = presence
        self._where = where
        self._explorer = explorer
        self._turn = asyncio.Lock()

    async def order(self, request: web.Request) -> web.Response:
        """GET /api/audit/orders/{id}?at=: an order as it was at a position or time."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, AT)
        position, time_us = parse_as_of(request.query)
        history = await read_history(self._feed.past, order_id)
        known = [
            stored
            for stored in history
            if (not position or stored.position <= position)
            and (not time_us or stored.time_us <= time_us)
        ]
        with readable(order_id):
            order = fold(stored.record.event() for stored in known)
        content = {
            "orderId": order_id,
            "position": known[-1].position if known else None,
            "following": history[len(known)].position if len(known) < len(history) else None,
            "order": None if order is None else order_view(order, self._explorer),
        }
        return responses.json_response(content)

    async def proof(self, request: web.Request) -> web.Response:
        """GET /api/audit/orders/{id}/proof: its hash chain, to be checked independently."""
        order_id = order_id_of(request.match_info["id"])
        reject_unknown_parameters(request.query, NONE)
        history = await read_history(self._feed.past, order_id)
        with readable(order_id):
            document = proof_of(order_id, history)
        name = f'attachment; filename="proof-{order_id}.json"'
        return responses.json_response(document, headers={"Content-Disposition": name})

    async def state(self, request: web.Request) -> web.Response:
        """GET /api/audit/state?at=: the number of orders in each status."""
        reject_unknown_parameters(request.query, AT)
        position, time_us = parse_as_of(request.query)
        async with self._asked("state", position, time_us) as lines:
            try:
                async with asyncio.timeout(STATE_S):
                    async for line in lines:
                        if "fault" in line:
                            raise Problem("archive-unavailable", line["fault"])
                        return responses.json_response(line)
            except TimeoutError:
                raise Problem("audit-busy", "it took too long to count") from None
        raise Problem("archive-unavailable", "the auditor ended silently")

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """GET /api/audit/verify: Server-Sent Events that end with `verdict`, `fault` or `close`."""
        reject_unknown_parameters(request.query, NONE)
        response, telling = web.StreamResponse(headers=EVENT_STREAM), _Telling()
        with self._presence.held(request, telling):
            try:
                async with telling.bound, self._asked("verify", 0, 0) as lines:
                    await response.prepare(request)
                    async for line in lines:
                        name = "fault" if "fault" in line else "verdict"
                        await _tell(response, "progress" if "done" in line else name, line)
            except TimeoutError:
                if not telling.bound.expired():
                    raise
                await _tell(response, "close", {"code": telling.code, "reason": telling.reason})
        return response

    @contextlib.asynccontextmanager
    async def _asked(
        self, what: Any, position: int, time_us: int
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The auditor's output. The process ends with the block."""
        if not self._where.database_url:
            raise Problem("archive-unavailable", "this gateway knows no archive to audit")
        try:
            async with asyncio.timeout(TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            raise Problem("audit-busy") from None
        try:
            auditor = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "gateway.api.audit_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
            )  # fmt: skip
            try:
                assert auditor.stdin is not None
                assert auditor.stdout is not None
                task = Task(what, *self._where, position, time_us)
                # On stdin: command lines can be read by others, and URLs have passwords.
                auditor.stdin.write(encoded(task) + b"\n")
                yield _lines(auditor.stdout)
            finally:
                if auditor.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        auditor.kill()
                await auditor.wait()
        finally:
            self._turn.release()


class _Telling:
    """A running audit, as `ConnectionLimiter` counts it."""

    def __init__(self) -> None:
        self.bound = asyncio.timeout(None)
        self.code, self.reason = 0, ""

    def close(self, code: int, reason: str) -> None:
        """Ends the audit and its process. Does nothing when called again."""
        if self.code:
            return
        self.code, self.reason = code, reason
        self.bound.reschedule(0)


async def _tell(response: web.StreamResponse, name: str, content: dict[str, Any]) -> None:
    data = msgspec.json.encode(content).decode()
    await response.write(f"event: {name}\ndata: {data}\n\n".encode())


async def _lines(stdout: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    while line := await stdout.readline():
        yield msgspec.json.decode(line)
