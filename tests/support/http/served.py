"""A gateway on a free port, for tests that come in by the door; and an archive in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

from aiohttp import ClientSession, web

from engine.composition.routing_preview import preview_routing
from events.archive import ArchiveUnavailable, Checkpoint, Filters
from events.archive.losses import Losses
from events.log import AppendStatus, EventLog, Stored
from events.money import by_name
from events.order import Order, fold
from events.types import Fact, OrderArmed
from gateway.app import make_app, make_runner
from gateway.options import GatewayOptions
from gateway.streaming import websocket
from projections.feed.history_reader import Archive
from stages.venues.simulated.venue import DEXES, SimulatedVenue, Simulation
from stages.venues.simulated.venue import TOKENS as TRADED
from stages.venues.venue_group import VenueGroup
from tests.support.http.documented import CheckedSocket, Checker
from tests.support.waits import HANG_S, MARGINS_S, until, until_past

TOKENS = by_name(TRADED[symbol] for symbol in ("SOL", "USDC", "USDT", "BONK"))
ACCOUNT = "main"
GOOD = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}


class MemoryArchive:
    """What the projector would have archived, when a test says so."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.down = False

    async def take(self, log: EventLog) -> int:
        """Archives all of the log; returns the newest position."""
        self._check()
        reader = log.reader("archive")
        after = self.stored[-1].position if self.stored else 0
        while batches := await reader.read(after):
            for batch in batches:
                for position, record in enumerate(batch.records, batch.first):
                    if position > after:
                        self.stored.append(Stored(position, batch.time_us, record))
            after = batches[-1].last
        await reader.close()
        return after

    def _check(self) -> None:
        if self.down:
            raise ArchiveUnavailable("down")

    async def read(self, after: int, limit: int) -> Sequence[Stored]:
        self._check()
        return [s for s in self.stored if s.position > after][:limit]

    async def history(self, order_id: str) -> Sequence[Stored]:
        self._check()
        return [s for s in self.stored if s.record.event().order_id == order_id]

    async def order(self, order_id: str) -> Order | None:
        return fold(s.record.event() for s in await self.history(order_id))

    async def find(
        self,
        _: Filters,
        *,
        limit: int,  # noqa: ARG002  # the protocol's
        cursor: str | None = None,  # noqa: ARG002
    ) -> tuple[list[Order], str | None]:
        self._check()
        return [], None

    async def losses(self) -> Losses:
        self._check()
        return Losses()

    async def checkpoint(self) -> Checkpoint | None:
        self._check()
        position = self.stored[-1].position if self.stored else 0
        return Checkpoint(1, position, b"", 0, 1, None)


class Served(NamedTuple):
    """A running gateway and what is behind it."""

    url: str
    http: ClientSession
    log: EventLog
    """A log of the test's own, to play the stages with."""
    archive: Any
    runner: web.AppRunner
    checker: Checker

    async def stop(self) -> None:
        """Stops the gateway as its process would."""
        await self.runner.cleanup()

    async def post(self, body: Any = None, **options: Any) -> tuple[int, Any, Any]:
        """Submits an order: status, JSON, headers."""
        if "data" not in options:
            options["json"] = GOOD if body is None else body
        path = options.pop("path", "/api/orders/execute")
        async with self.http.post(self.url + path, **options) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON."""
        return await self.ask("GET", path, **options)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON of any request."""
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def resting(self, **fields: Any) -> str:
        """The id of a limit order that waits, at version 2."""
        order_id = await self.accepted(**{"type": "limit", "targetPrice": "151"} | fields)
        await self.append(order_id, OrderArmed(7))
        return order_id

    async def accepted(self, **fields: Any) -> str:
        """The id of a new order."""
        status, body, _ = await self.post(GOOD | fields)
        assert status == 202, body
        return str(body["orderId"])

    async def expired(self, **fields: Any) -> tuple[str, int]:
        """The id of a new order, and its expiry in ms, which has passed now."""
        for margin_s in MARGINS_S:
            expires_ms = int((time.time() + margin_s) * 1000)
            status, body, _ = await self.post(GOOD | fields | {"expiresAt": expires_ms})
            await until_past(expires_ms * 1000)
            if status == 202:
                return str(body["orderId"]), expires_ms
            assert body["code"] == "expires-at-past"
        raise AssertionError(f"no order was accepted within {margin_s} s")

    async def append(self, order_id: str, *facts: Fact) -> int:
        """What the stages would say of an order; the last position."""
        head = (await self.log.load([order_id]))[0]
        assert head is not None
        request, _ = self.log.build_append_of(head, head.order, facts)
        answer = (await self.log.append([request]))[0]
        assert answer.status is AppendStatus.CREATED
        return answer.position


class Requests:
    """The requests that are being answered.

    The server forgets a request whose client went away, while its handler continues.
    Such a handler would open a connection of a log that is closed already.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def counted(request: web.Request, handler: Any) -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                return await handler(request)
            finally:
                self._tasks.discard(task)

        return counted

    async def end(self) -> None:
        """Cancels them and waits for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=HANG_S)


@contextlib.asynccontextmanager
async def served(
    redis_url: str,
    *,
    gateway_redis_url: str = "",
    archive: Archive | None = None,
    ready: bool = True,
    port: int = 0,
    connections_max: int = 0,
    **options: Any,
) -> AsyncIterator[Served]:
    """Runs a gateway for the length of a block; what passes it is held against the documents."""
    log = EventLog(redis_url, build="test")
    await log.open()
    own = EventLog(gateway_redis_url or redis_url, build="gateway")
    archive = archive or MemoryArchive()
    quiet = Simulation(volatility_bps=0)
    market = VenueGroup([SimulatedVenue(*dex, quiet) for dex in DEXES], timeout_s=HANG_S)
    options.setdefault("quotes", market.ask)
    options.setdefault("previews", preview_routing)
    options.setdefault("slow_s", HANG_S)
    app = make_app(
        GatewayOptions(log=own, archive=archive, tokens=TOKENS, account=ACCOUNT, **options)
    )
    checker, requests = Checker(), Requests()
    app.middlewares.extend((requests.middleware, checker.middleware))
    runner = make_runner(app, connections_max=connections_max)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as http:
        gateway = Served(f"http://127.0.0.1:{port}", http, log, archive, runner, checker)
        try:
            if ready:
                await until_ready(gateway)
            with patch.object(websocket, "Socket", CheckedSocket):
                yield gateway
        finally:
            await runner.cleanup()
            await requests.end()
            await own.close()
            await log.close()
    faults = checker.faults()
    assert not faults, "\n".join(["against the documents:", *faults[:20]])


async def until_ready(gateway: Served) -> None:
    """Waits until orders are accepted."""

    async def ready() -> bool:
        return (await gateway.get("/readyz"))[0] == 200

    await until(ready)
