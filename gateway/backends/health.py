"""Liveness, readiness and lag of the engine.

A background task opens the log, watches its memory, and opens it again after its epoch changed, so
that no request waits for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from events.log import EVICTING, EventLog, Fenced, Foreign, LogError
from events.telemetry.error_text import error_text
from events.telemetry.outages import LOG
from events.telemetry.server_clock import CLOCK
from events.version import VERSION
from gateway.backends.damaged_heads import DamagedHeads
from gateway.backends.engine_status import engine_view
from gateway.backends.hung_processes import HungProcesses, Signs, no_signs
from gateway.backends.projection_lag import ASK_S, archive_state, projection_lag
from gateway.backends.separate_looks import LOOK_S, SeparateLooks
from gateway.backends.stall_detector import Stalls, UnknownAges
from gateway.backends.switch_log import ReasonLog, SwitchLog
from gateway.http.problems import Problem
from gateway.http.readiness_reasons import REASONS, Reason, reason
from gateway.http.responses import json_response
from projections.feed.history_reader import Archive

WATCH_S = 0.5
POLICY_LOOKS = 10
"""The eviction policy is read once in this many looks (every five seconds)."""
UNVOUCHED_S = 2.0
"""How long the projector may take to verify the log after a restart of its server."""
UNANSWERED_S = 2.0
"""How long the log may not answer before that is a refusal of all orders: longer than its server
takes to start again."""
AGES_S = 5.0
"""How often the age of what waits is looked at without a request."""
START_LOOK_S = 1.0
"""Between two looks while the gateway starts."""
LOG_CODES = {
    "unavailable": "log-unavailable",
    "full": "log-full",
    "suspended": "log-suspended",
    "unsafe": "log-unsafe",
}
ARCHIVE_CODES = {"unavailable": "archive-unavailable", "halted": "projector-halted"}
"""The reasons by the status of the backend."""


class Health:
    """The state of the backends."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        *,
        stuck_after_s: float,
        market_fault: Callable[[], str] = lambda: "",
        chain_facts: Callable[[], Mapping[str, Any] | None] = lambda: None,
        concurrency: int = 0,
        restarts: Callable[[], Mapping[str, int] | None] = lambda: None,
        signs: Signs = no_signs,
    ) -> None:
        """`market_fault`: why no venue can be asked; empty while one can.

        `chain_facts`: what is known of the cluster; None without a cluster.
        `restarts`: how often each process was restarted; None where it is not known.
        `signs`: the signs of life of the processes of this DATA_DIR.
        """
        self.open = False
        """Whether the log may be written to."""
        self.full = False
        """Whether new orders are refused for lack of memory."""
        self._policy = ""
        """The eviction policy of the server; empty where it evicts nothing."""
        self._writable = True
        self._unvouched_s: float | None = None
        """Since when the running server is not verified."""
        self._foreign = Foreign([], 0)
        """Entries that the log did not write."""
        self._looks = 0
        self._log = log
        self._archive = archive
        self._fault = "not opened yet"
        self._suspended = ""
        """Why orders are refused although the log can be written; empty while they are not."""
        self._unanswered_s: float | None = None
        """Since when the log does not answer."""
        self._switches = SwitchLog(time.monotonic())
        self._reason_log = ReasonLog(time.monotonic())
        self._stalls = Stalls(stuck_after_s)
        self._market_fault = market_fault
        self._chain_facts = chain_facts
        self._concurrency = concurrency
        self._ages = UnknownAges(stuck_after_s)
        self._restarts = restarts
        self.processes = HungProcesses(stuck_after_s, signs)
        self.heads = DamagedHeads()

    def check_open(self) -> None:
        """Raises Problem while the log cannot be used."""
        if not self.open:
            raise Problem("log-unavailable", self._fault)

    def check_accepting(self) -> None:
        """Raises Problem while no new order can be accepted."""
        self.check_open()
        if unsafe := self._unsafe():
            raise Problem("log-unavailable", unsafe)
        if self.full:
            raise Problem("log-full", REASONS["log-full"].text)

    async def watch(self) -> None:
        """Runs for as long as the gateway."""
        while True:
            try:
                async with asyncio.timeout(ASK_S):
                    if not self.open:
                        # Joins, never creates: an empty server may be one that lost everything.
                        await self._log.open(create=False)
                        self.open = True
                    if (await self._log.epoch_and_position())[0] != self._log.epoch:
                        raise Fenced("the log is not there, or is of another epoch")
                    await self._log.connect_lanes()
                    await self._log.read_clock()
                    CLOCK.report()
                    self.full = await self._log.memory_short()
                    await self._look_at_server()
                    self._foreign = await self._log.foreign()
                    self._suspended = await self._log.suspended()
                    await self._switches.take_halt(await self._log.halted(), self._halted)
                    self._stalls.take(await self._log.workers(), time.monotonic())
                LOG.over()
                self._unanswered_s = None
            except (LogError, TimeoutError) as error:
                if self.open and not isinstance(error, Fenced):
                    LOG.failed(error)  # at a start it may not be there yet
                self._fault = str(error) or "no answer"
                self._unanswered_s = self._unanswered_s or time.monotonic()
                self._stalls.forget()
                self.open = self.open and not isinstance(error, Fenced)
            except Exception as error:  # a wrongly configured server
                if str(error) != self._fault:
                    structlog.get_logger().error("log_unusable", error=error_text(error))
                self._fault = str(error)
            self._switches.take_refusal(self._refusal(), time.monotonic())
            await asyncio.sleep(WATCH_S)

    def _refusal(self) -> str:
        """Why every order is refused; empty while orders are accepted."""
        since = self._unanswered_s
        if not self.open or (since is not None and time.monotonic() - since >= UNANSWERED_S):
            return self._fault
        full = "the log server is short of memory" if self.full else ""
        return self._unsafe() or self._suspended or full

    async def watch_ages(self) -> None:
        """Runs for as long as the gateway: what no client asks for is noticed and logged."""
        looks = SeparateLooks()
        while True:
            await asyncio.gather(
                looks.take("processes", self.processes.look(self._log), LOOK_S),
                looks.take("heads", self._look_at_heads(), LOOK_S),
            )
            await looks.take("reasons", self._log_reasons())
            is_start = self._reason_log.is_start(time.monotonic())
            await asyncio.sleep(min(AGES_S, START_LOOK_S) if is_start else AGES_S)

    async def _look_at_heads(self) -> None:
        if self.open:
            await self.heads.look(self._log)

    async def _log_reasons(self) -> None:
        """Not for each request: the lines would have the id of a request."""
        state = await self.state()
        reasons = {part: Reason(c, state["reasons"][part]) for part, c in state["codes"].items()}
        self._reason_log.take(reasons, time.monotonic())

    def _unsafe(self) -> str:
        """Why nothing may be written although the log answers; empty while writes are safe."""
        if not self._writable:
            return "the log server is a replica now: it takes no writes"
        return f"maxmemory-policy is {self._policy}{EVICTING}" if self._policy else ""

    async def _look_at_server(self) -> None:
        """Reads role, eviction policy and verification of the server.

        Role and policy can change while it runs. After its restart nothing is sent until its log is
        compared with the archive.
        """
        if self._looks % POLICY_LOOKS == 0:
            self._policy = await self._log.evicts()
        self._looks += 1
        self._writable = await self._log.writable()
        vouched = await self._log.is_verified(await self._log.server_id())
        now = time.monotonic()
        self._unvouched_s = None if vouched else self._unvouched_s or now

    def fenced(self, error: Fenced) -> None:
        """The log is of another epoch: it is opened again before anything is written."""
        if self.open:
            structlog.get_logger().error("consumer_fenced", error=str(error))
        self.open = False
        self._fault = str(error)

    async def healthz(self, _: web.Request) -> web.Response:
        """GET /healthz: the process runs."""
        return json_response({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """GET /readyz: each backend and each lag; 503 while no order can be accepted.

        A halted or stalled engine accepts orders, which are safe in the log and resume later; a 503
        would make a balancer cut off reads and cancels as well.
        """
        state = await self.state()
        return json_response(state, status=503 if state["status"] == "unavailable" else 200)

    async def state(self) -> dict[str, Any]:
        """The response of /readyz."""
        log, archive = await asyncio.gather(self._ask_log(), archive_state(self._archive))
        stages, halted = log.pop("stages", None), log.pop("halted", None)
        resting, parked = log.pop("resting", None), log.pop("parked", None)
        archive_fault = log.pop("archive_fault", "")
        projection = await projection_lag(self._log, log.get("position"), archive)
        reasons = self._reasons(log, archive, projection, stages, archive_fault)
        status = "unavailable" if "log" in reasons else "degraded" if reasons else "ready"
        return {
            "status": status,
            "reasons": {part: reason.text for part, reason in reasons.items()},
            "codes": {part: reason.code for part, reason in reasons.items()},
            "halted": halted,
            "chain": self._chain_facts(),
            "log": log,
            "postgres": archive,
            "lag": {"stages": stages, "projection": projection},
            "resting": resting,
            "parked": parked,
            "version": VERSION,
            "restarts": self._restarts(),
        }

    def _reasons(
        self,
        log: dict[str, Any],
        archive: dict[str, Any],
        projection: dict[str, Any] | None,
        stages: Mapping[str, Any] | None,
        archive_fault: str,
    ) -> dict[str, Reason]:
        """The faults by part. Only a fault of the log stops orders from being accepted."""
        now = time.monotonic()
        reasons = {
            part: reason(codes[asked["status"]], str(asked.get("detail") or ""))
            for part, asked, codes in (
                ("log", log, LOG_CODES),
                ("postgres", archive, ARCHIVE_CODES),
            )
            if asked["status"] != "ok"
        }
        behind = bool(projection and projection["events"])
        late_s = projection["seconds"] if projection else None
        unknown = self._ages.unknown("projector", behind and late_s is None, now)
        if "postgres" not in reasons and unknown:
            reasons["projector"] = reason("projector-age-unknown")
        elif "postgres" not in reasons and late_s and late_s >= self._stalls.after_s:
            reasons["projector"] = reason("projector-behind", _behind_by(archive_fault))
        since = self._unvouched_s
        if since is not None and now - since >= UNVOUCHED_S:
            reasons.setdefault("projector", reason("log-not-compared"))
        if self._foreign and log["status"] != "unavailable":
            reasons["entries"] = reason("foreign-entries", str(self._foreign))
        if fault := self._market_fault():
            reasons["market"] = reason("market-unavailable", fault)
        for stage, lag in (stages or {}).items():
            if self._ages.unknown(stage, lag["seconds"] is None, now):
                reasons[stage] = reason("stage-age-unknown")
        return reasons | self._stalls.reasons | self.processes.reasons() | self.heads.reasons()

    async def _ask_log(self) -> dict[str, Any]:
        if not self.open:
            return {"status": "unavailable", "detail": self._fault}
        try:
            async with asyncio.timeout(ASK_S):
                position = await self._log.position()
                lags = await self._log.lag(concurrency=self._concurrency)
                suspended = await self._log.suspended()
                archive_fault = await self._log.archive_fault()
                resting = await self._log.resting()
                parked = await self._log.parked_orders()
                halted = await self._halted()
        except (LogError, TimeoutError) as error:
            return {"status": "unavailable", "detail": str(error) or "no answer"}
        stages = {
            name: {
                "orders": lag.orders,
                "waiting": lag.delayed,
                "seconds": lag.oldest_s and round(lag.oldest_s, 3),
                "reasons": lag.reasons,
            }
            for name, lag in lags.items()
        }
        status = "suspended" if suspended else "full" if self.full else "ok"
        if unsafe := self._unsafe():
            suspended, status = unsafe, "unsafe"
        detail = {"detail": suspended} if suspended else {}
        return detail | {
            "status": status,
            "durability": self._log.durability,
            "epoch": self._log.epoch,
            "position": position,
            "foreignEntries": len(self._foreign.behind) + self._foreign.aside,
            "damagedHeads": len(self.heads.faults),
            "stages": stages,
            "resting": resting,
            "parked": parked,
            "halted": halted,
            "archive_fault": archive_fault,
        }

    async def _halted(self) -> dict[str, Any] | None:
        if not await self._log.halted():
            return None
        try:
            view = await engine_view(self._log, self._archive)
        except msgspec.DecodeError:  # a damaged head: the halt is known, its reason is not
            return dict.fromkeys(("reason", "actor", "since"))
        return {name: view[name] for name in ("reason", "actor", "since")}


def _behind_by(archive_fault: str) -> str:
    """The text of `projector-behind`; empty, where the projector reports no fault of Postgres."""
    line = " ".join(archive_fault.split())[:200]
    return f"{REASONS['projector-behind'].text}: Postgres: {line}" if line else ""
