"""A whole engine in processes of its own, a careful client, and a witness of all that happens.

`async with engine_up(folder, concurrency=0) as engine` runs `engine up` with settings that suit
tests. `assert_each_ended_exactly_once` is the judge: it believes the log and the venue's ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import signal
import socket
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import ClientSession, ClientTimeout, WSMsgType

from engine.embedded import localnet
from engine.embedded.data_dir import RunState
from engine.localnet.ledger import LocalLedger
from engine.processes import parent_death
from engine.settings import Settings
from engine.settings_loader import environment, load
from engine.venues import LEDGER
from events.archive import Archive, ArchiveUnavailable
from events.hash_chain import GENESIS, follows
from events.log import POSITIONS_KEPT, EventLog, Stored
from events.order import NEXT, Order, encode, evolve
from events.types import TERMINAL, Event, OrderConfirmed, TransactionSubmitted
from stages.venues.simulated.ledger import Landed, Ledger
from tests.support.processes import cluster
from tests.support.processes.child import ENGINE, stage_process
from tests.support.waits import HANG_S, pace, until

PROCESSES = ("gateway", "router", "builder", "submitter", "confirmer", "watcher", "projector")
TOKENS = ("USDC", "USDT", "RAY", "JUP", "BONK")
"""What can be bought without any fault."""

RETRY_S = 0.05

QUICK: dict[str, object] = {
    "venues": "simulated",
    "fuse_stages": 0,  # most tests are about the stages, one after the other
    "venue_latency_ms": 5,
    "slot_ms": 20,
    "blockhash_slots": 3000,  # no transaction dies of a busy machine
    "rebroadcast_ms": 200,
    "lease_ms": 1000,
    "retry_base_ms": 50,
    "retry_max_ms": 400,
    "heartbeat_ms": 200,
    "concurrency": 0,
    "orders_per_minute": 0,
}

LOCAL_CHAIN: dict[str, object] = {
    "venues": "raydium,meteora",
    "slot_ms": 50,
    "blockhash_slots": 80,
    "pools_read_ms": 100,
    "max_attempts": 20,
}
"""A local chain that leaves the processor to what is tested: with slots of 20 ms, each of which

five processes read, the chain alone kept a core busy.
"""


class Answer(NamedTuple):
    """The response of the gateway, and how long it took."""

    status: int
    body: Any
    seconds: float


class Engine:
    """A running engine as its clients, its operator and its enemies see it."""

    def __init__(self, settings: Settings, process: asyncio.subprocess.Process) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.port}"
        self.process = process
        self.http = ClientSession(timeout=ClientTimeout(total=HANG_S))
        self.accepted: set[str] = set()
        """Ids of all orders that a 2xx named."""
        self.frames: list[dict[str, Any]] = []
        """Every event, as one subscriber got it who resumes from its cursor."""
        self.notices: list[dict[str, Any]] = []
        self.connects = 0
        self._statuses: dict[str, str] = {}
        self._cursor = "0"
        self._news = asyncio.Condition()
        self._watches: list[tuple[str, asyncio.Event]] = []
        self._witness = asyncio.create_task(self._follow(), name="witness")

    async def close(self) -> None:
        # More than once: a cancellation is lost where closing the socket raises another error.
        while not self._witness.done():
            self._witness.cancel()
            await asyncio.wait({self._witness}, timeout=1.0)
        await self.http.close()

    # -- the operator --------------------------------------------------------------------------

    def record(self) -> RunState:
        """What runs, as the engine wrote it down."""
        data = (self.settings.data_dir / "backends.json").read_bytes()
        return msgspec.json.decode(data, type=RunState)

    def pid(self, name: str) -> int:
        """Of a process, 0 while it does not run."""
        pid = self.record().pids.get(name, 0)
        return pid if pid and is_running(pid) else 0

    def ledger(self) -> list[Landed]:
        """What the venue executed, or refused to, by its own account."""
        if self.settings.venues != ("simulated",):
            return self._landed()
        ledger = Ledger(self.settings.data_dir / LEDGER)
        try:
            return list(ledger.rows())
        finally:
            ledger.close()

    def _landed(self) -> list[Landed]:
        """What the local chain's ledger says, without what a fork has dropped."""
        ledger = LocalLedger(localnet.file(self.settings))
        try:
            entries = [entry for entry in ledger.entries() if not entry.forked]
        finally:
            ledger.close()
        return [
            Landed(
                entry.memo.partition("/")[0], entry.signature, 0, entry.slot, entry.ok,
                entry.amount_in, entry.amount_out, entry.error, 0,
            )
            for entry in entries
        ]  # fmt: skip

    # -- its enemies ---------------------------------------------------------------------------

    def kill(self, name: str, what: signal.Signals = signal.SIGKILL) -> int:
        """Signals a process; its pid, 0 where it did not run."""
        pid = self.pid(name)
        if pid:
            os.kill(pid, what)
        return pid

    async def restarted(self, name: str, than: int) -> int:
        """Waits until another process of that name runs."""
        await until(lambda: self.pid(name) not in (0, than), f"another {name}")
        return self.pid(name)

    async def complete(self) -> None:
        """Waits until all processes run: one that a test kills has to be there."""
        await until(lambda: all(map(self.pid, PROCESSES)), "all processes to run")

    @contextlib.asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """Kills a process; it stays dead for the length of the block: its supervisor sleeps."""
        pid = self.pid(name)
        assert pid, f"{name} does not run"
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)
        await self.restarted(name, pid)

    @contextlib.asynccontextmanager
    async def one_more(self, *names: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Another `engine stage NAME…` beside those that run, killed at the end."""
        output = self.settings.data_dir / "one-more.log"
        async with stage_process(self.settings, *names, output=output) as process:
            yield process

    # -- its clients ---------------------------------------------------------------------------

    async def post(
        self, body: dict[str, Any], *, key: str = "", path: str = "/api/orders/execute"
    ) -> Answer:
        """One try. Raises aiohttp.ClientError or TimeoutError."""
        headers = {"Idempotency-Key": key} if key else {}
        began = time.monotonic()
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            result = await answer.json(content_type=None)
            return Answer(answer.status, result, time.monotonic() - began)

    async def get(self, path: str) -> Answer:
        """One try. Raises aiohttp.ClientError or TimeoutError."""
        began = time.monotonic()
        async with self.http.get(self.url + path) as answer:
            body = await answer.json(content_type=None)
            return Answer(answer.status, body, time.monotonic() - began)

    async def submit(self, *, key: str, hang_up_s: float | None = None, **fields: Any) -> str:
        """The order's id. Like a careful bot it asks again under the same key until it knows;

        `hang_up_s`: at the first try it is gone by then, and has learned nothing.
        """
        body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5} | fields
        async with asyncio.timeout(HANG_S):
            if hang_up_s is not None:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with asyncio.timeout(hang_up_s):
                        await self.post(body, key=key)
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    answer = await self.post(body, key=key)
                    if answer.status < 300:
                        self.accepted.add(answer.body["orderId"])
                        return str(answer.body["orderId"])
                    assert answer.status == 503, answer
                await pace(RETRY_S)

    async def submit_many(self, number: int, **fields: Any) -> list[str]:
        """Orders without faults, all at once."""
        tag = os.urandom(4).hex()
        return await asyncio.gather(
            *(
                self.submit(key=f"{tag}-{n}", **({"tokenOut": TOKENS[n % len(TOKENS)]} | fields))
                for n in range(number)
            )
        )

    # -- the witness ---------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                url = f"{self.url}/api/events?after={self._cursor}"
                async with self.http.ws_connect(url, heartbeat=2.0) as socket:
                    self.connects += 1
                    async for message in socket:
                        if message.type is WSMsgType.TEXT:
                            await self._take(msgspec.json.decode(message.data))
            await pace(RETRY_S)

    async def _take(self, frame: dict[str, Any]) -> None:
        self._cursor = frame.get("cursor", self._cursor)
        if "orderId" not in frame:
            if frame["event"] != "heartbeat":
                self.notices.append(frame)
            return
        async with self._news:
            self.frames.append(frame)
            self._statuses[frame["orderId"]] = frame["status"]
            self._news.notify_all()
        for event, reached in self._watches:
            if frame["event"] == event:
                reached.set()

    def watch(self, event: str) -> asyncio.Event:
        """Set as soon as the witness sees such an event from now on."""
        reached = asyncio.Event()
        self._watches.append((event, reached))
        return reached

    async def until(self, true: Callable[[], object]) -> None:
        """Looks again at every event."""
        async with asyncio.timeout(HANG_S), self._news:
            await self._news.wait_for(true)

    async def ended(self, ids: Iterable[str]) -> dict[str, str]:
        """Waits until all have ended; their statuses."""
        expected = set(ids)

        def left() -> dict[str, str]:
            now = {order_id: self._statuses.get(order_id, "unheard of") for order_id in expected}
            return {i: status for i, status in now.items() if status not in TERMINAL}

        try:
            await self.until(lambda: not left())
        except TimeoutError:
            raise AssertionError(f"after {HANG_S} s not ended: {await self._why(left())}") from None
        return {order_id: self._statuses[order_id] for order_id in expected}

    async def _why(self, left: dict[str, str]) -> dict[str, Any]:
        """What the gateway says of some of those that did not end, and how the engine is."""
        told: dict[str, Any] = {"orders": len(left)}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            told["ready"] = (await self.get("/readyz")).body
            for order_id in list(left)[:3]:
                told[order_id] = (await self.get(f"/api/orders/{order_id}")).body
        return told

    # -- the judge -----------------------------------------------------------------------------

    async def read_log(self) -> list[tuple[Stored, Event]]:
        """Every event of the log, checked: positions without gaps, all chains, nothing illegal."""
        log = EventLog(self.record().redis_url, build="judge")
        await log.open(create=False)
        reader = log.reader("judge")
        try:
            events: list[tuple[Stored, Event]] = []
            while batches := await reader.read(len(events)):
                for batch in batches:
                    for position, record in enumerate(batch.records, batch.first):
                        assert position == len(events) + 1, "positions have a gap"
                        events.append((Stored(position, batch.time_us, record), record.event()))
            assert len(events) == await log.position()
            await self._check_orders(log, events)
            return events
        finally:
            await reader.close()
            await log.close()

    async def _check_orders(self, log: EventLog, events: list[tuple[Stored, Event]]) -> None:
        orders: dict[str, Order] = {}
        hashes: dict[str, bytes] = {}
        positions: dict[str, list[int]] = defaultdict(list)
        for stored, event in events:
            before = orders.get(event.order_id)
            where = f"position {stored.position}: {event}"
            assert type(event.fact) in NEXT[before.status if before else None], where
            assert event.version == (before.version if before else 0) + 1, where
            assert event.time_us >= (before.updated_at_us if before else 0), where
            digest, before_it = stored.record.hash, hashes.get(event.order_id, GENESIS)
            assert follows(before_it, bytes(stored.record.body), digest), where
            orders[event.order_id] = evolve(before, event)
            hashes[event.order_id] = digest
            positions[event.order_id].append(stored.position)
        ids = list(orders)
        for order_id, head in zip(ids, await log.load(ids), strict=True):
            assert head is not None
            assert (head.hash, head.positions) == (
                hashes[order_id],
                tuple(positions[order_id][-POSITIONS_KEPT:]),
            )
            assert head.body == encode(orders[order_id])

    async def assert_each_ended_exactly_once(self) -> None:
        """Every order that was accepted has ended, and the venue agrees on how."""
        events = await self.read_log()
        last = {event.order_id: event for _, event in events}
        assert set(last) == self.accepted, "an order was lost, or made twice"
        signatures = {
            event.fact.signature
            for _, event in events
            if isinstance(event.fact, TransactionSubmitted)
        }
        rows = self.ledger()
        assert {row.order_id for row in rows} <= self.accepted, "the venue has an unknown order"
        assert {row.signature for row in rows} <= signatures, "sent before it was recorded"
        executed = Counter(row.order_id for row in rows if row.ok)
        by_signature = {row.signature: row for row in rows if row.ok}
        for order_id, event in last.items():
            assert event.status in TERMINAL, event
            if isinstance(event.fact, OrderConfirmed):
                assert executed[order_id] == 1, f"{executed[order_id]} executions: {event}"
                row = by_signature[event.fact.signature]
                assert (row.order_id, row.amount_out) == (order_id, event.fact.amount_out)
            else:
                assert executed[order_id] == 0, f"executed, but recorded otherwise: {event}"

    async def assert_witnessed(self) -> None:
        """The subscriber got every event once, in order, however often it had to come back."""
        events = await self.read_log()
        await self.until(lambda: len(self.frames) >= len(events))
        assert [f["position"] for f in self.frames] == list(range(1, len(self.frames) + 1))
        hashes = [frame["hash"] for frame in self.frames[: len(events)]]
        assert hashes == [stored.record.hash.hex() for stored, _ in events]
        assert self.notices == [n for n in self.notices if n.get("code") == "shutdown"]

    async def assert_archived(self) -> None:
        """Postgres has the same events, byte for byte, and the same orders."""
        events = await self.read_log()
        archive = await Archive.open(self.record().database_url, connections=1)
        try:
            await until(
                functools.partial(_has, archive, len(events)), "the archive to have all of the log"
            )
            stored: list[Stored] = []
            while page := await archive.read(len(stored), 1000):
                stored += page
            assert stored == [stored for stored, _ in events]
            orders: dict[str, Order] = {}
            for _, event in events:
                orders[event.order_id] = evolve(orders.get(event.order_id), event)
            assert await archive.orders(list(orders)) == orders
        finally:
            await archive.close()


async def _has(archive: Archive, position: int) -> bool:
    try:
        return await archive.position() >= position
    except ArchiveUnavailable:
        return False


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely unburied."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def dice() -> random.Random:
    """Chance that can be had again: SEED=… repeats it; a test that fails shows the seed."""
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    print(f"SEED={seed}")
    return random.Random(seed)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Quick ones: nothing in tests waits for a minute."""
    fixed = {"data_dir": folder, "port": free_port(), "log_format": "json"}
    results = {name.upper(): str(value) for name, value in (QUICK | fixed | changes).items()}
    return load(results, env_file=None)


@contextlib.asynccontextmanager
async def engine_up(
    folder: Path, environ: Mapping[str, str] | None = None, /, **changes: Any
) -> AsyncIterator[Engine]:
    """Runs an engine for the length of a block; `folder` becomes its DATA_DIR.

    `environ`: variables of `engine up` that stand above those of the settings.
    """
    settings = settings_for(folder, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    if not settings.database_url:
        cluster.lay(folder)
    # On a leash: whatever ends the tests ends the engine. Its folder has no .env to read.
    with (folder / "up.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *parent_death.command([*ENGINE, "up"], signal.SIGTERM),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=os.environ | environment(settings) | dict(environ or {}),
            start_new_session=True,
        )
    try:
        await _ready(process, folder)
        engine = Engine(settings, process)
        try:
            yield engine
        finally:
            await engine.close()
    finally:
        await _stop(process)


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        line = await process.stdout.readline()
    assert line.startswith(b"ready "), (folder / "up.log").read_text()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(HANG_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"the engine did not stop within {HANG_S} s") from None
