"""GET /metrics: counters of this process, and gauges read from log and archive.

A value that is unknown at the moment is absent: 0 would keep an alarm silent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import hdrs, web

from events.archive import ArchiveUnavailable
from events.commands import doubts
from events.log import EventLog, LogError
from events.order.wait_reasons import WITHOUT_STAGE, WaitReason
from events.telemetry.server_clock import CLOCK
from events.telemetry.server_clock import now_us as server_now_us
from gateway.api.exposition import Gauge, exposed
from gateway.backends.health import Health
from gateway.backends.projection_lag import ASK_S
from gateway.http.problems import SAFE
from gateway.streaming.websocket import Sockets
from projections.feed.history_reader import Archive

ACCEPTING = Gauge("oee_accepting", "1 while new orders are taken")
LOG_UP = Gauge("oee_log_up", "1 while the log answers and may be written to")
POSTGRES_UP = Gauge("oee_postgres_up", "1 while Postgres answers")
DURABLE = Gauge("oee_log_durable", "1 where an order that was accepted is fsynced")
SUSPENDED = Gauge("oee_log_suspended", "1 while the log takes neither new orders nor sends")
HALTED = Gauge("oee_halted", "1 while an operator has stopped sends and triggers")
HEAD = Gauge("oee_log_head_position", "Position of the newest event")
EPOCH = Gauge("oee_log_epoch", "Epoch of the log; raised when it is rebuilt")
FOREIGN = Gauge(
    "oee_log_foreign_entries",
    "Entries that the log did not write: no reader accepts them; `engine repair` removes them",
)
HEADS = Gauge(
    "oee_log_damaged_heads",
    "Open orders whose heads are not what their events add up to; `engine repair` rewrites them",
)
SILENT = Gauge(
    "oee_process_silent_seconds",
    "How long a process that exists has shown no life; absent for those that do",
    "process",
)
MEMORY = Gauge("oee_log_memory_bytes", "Memory that the log's server uses")
MEMORY_MAX = Gauge("oee_log_memory_max_bytes", "Memory that it may use; absent without a limit")
STAGE_ORDERS = Gauge("oee_stage_orders", "Orders that wait for a stage", "stage")
STAGE_WAITING = Gauge(
    "oee_stage_waiting_orders", "Of these: that wait for a time (turn, backoff, chain)", "stage"
)
STAGE_REASONS = Gauge(
    "oee_stage_waiting_reason_orders",
    "Orders that wait for a stage, by why they wait",
    "stage,reason",
)
STAGE_OLDEST = Gauge(
    "oee_stage_oldest_seconds",
    "How long the oldest order has waited for a stage, delayed ones included; 0: none waits",
    "stage",
)
STAGE_STALLED = Gauge("oee_stage_stalled", "1 while a stage stands still, as in /readyz", "stage")
REASON = Gauge("oee_readiness_reason", "1 while /readyz gives this reason for a part", "code,part")
RESTARTS = Gauge(
    "oee_process_restarts",
    "How often `engine up` started a process again; absent for those it never did",
    "process",
)
OPEN = Gauge("oee_orders_open", "Orders that have not ended")
RESTING = Gauge("oee_orders_resting", "Of these: that wait for a price or a pool")
PARKED = Gauge("oee_orders_parked", "Orders that the engine could not continue")
PARKED_OLDEST = Gauge("oee_orders_parked_oldest_seconds", "How long the oldest of them is parked")
IN_DOUBT = Gauge(
    "oee_orders_in_doubt",
    "Submitted orders whose outcome is unknown; absent without Postgres, or with more than"
    f" {doubts.LOOKED_AT_MAX} submitted",
)
PROJECTED = Gauge("oee_projection_position", "Position up to which Postgres has the events")
LAG_EVENTS = Gauge("oee_projection_lag_events", "Events that Postgres does not have yet")
LAG_S = Gauge("oee_projection_lag_seconds", "Age of the oldest of them")
PROJECTOR_HALTED = Gauge(
    "oee_projection_halted", "1 where the projector stopped: a person must look"
)
WALLET = Gauge(
    "oee_wallet_lamports", "SOL of the wallet; absent while unknown and without SOLANA_WALLET"
)
SOCKETS = Gauge("oee_ws_subscribers", "Open WebSockets")
CLOCK_AHEAD = Gauge(
    "oee_clock_ahead_seconds",
    "How far the gateway's clock is ahead of the log server's; orders are judged by the latter",
)

FACTS = (
    ACCEPTING, LOG_UP, POSTGRES_UP, DURABLE, SUSPENDED, HALTED, HEAD, EPOCH, FOREIGN, HEADS,
    MEMORY, MEMORY_MAX, STAGE_ORDERS, STAGE_WAITING, STAGE_REASONS, STAGE_OLDEST, STAGE_STALLED,
    REASON, RESTARTS, SILENT, OPEN, RESTING, PARKED, PARKED_OLDEST, IN_DOUBT, PROJECTED, LAG_EVENTS,
    LAG_S, PROJECTOR_HALTED, WALLET, SOCKETS, CLOCK_AHEAD,
)  # fmt: skip
"""All gauges, in the order of the documentation."""

Known = dict[Gauge, Any]


class MetricsHandler:
    """Reads the gauges."""

    def __init__(self, log: EventLog, archive: Archive, health: Health, sockets: Sockets) -> None:
        self._log = log
        self._archive = archive
        self._health = health
        self._sockets = sockets

    async def read(self, request: web.Request) -> web.Response:
        """GET /metrics."""
        state, log_facts, doubted = await asyncio.gather(
            self._health.state(), self._ask_log(), self._in_doubt()
        )
        silent = {name: sign.silent_s for name, sign in self._health.processes.hung.items()}
        known = _facts_of(state) | log_facts
        known |= {IN_DOUBT: doubted, SILENT: silent, SOCKETS: self._sockets.open}
        known |= {CLOCK_AHEAD: CLOCK.skew_s}
        body, content_type = exposed(request.headers.get(hdrs.ACCEPT, ""), known)
        return web.Response(body=body, headers=SAFE | {hdrs.CONTENT_TYPE: content_type})

    async def _ask_log(self) -> Known:
        if not self._health.open:
            return {}
        try:
            async with asyncio.timeout(ASK_S):
                used, limit = await self._log.memory()
                oldest = await self._log.parked(1)
                return {
                    MEMORY: used,
                    MEMORY_MAX: limit or None,
                    OPEN: await self._log.open_orders(),
                    PARKED: await self._log.parked_orders(),
                    PARKED_OLDEST: _age_s(oldest[0][1]) if oldest else None,
                }
        except (LogError, TimeoutError):
            return {}

    async def _in_doubt(self) -> int | None:
        try:
            doubted = await doubts.in_doubt(self._archive)
        except ArchiveUnavailable:
            return None
        return len(doubted.orders) if doubted.all_seen else None


def _age_s(since_ms: int) -> float:
    return max(0.0, server_now_us() / 1e6 - since_ms / 1000)


def _facts_of(state: dict[str, Any]) -> Known:
    """The state of /readyz as gauges."""
    log, postgres = state["log"], state["postgres"]
    up = log["status"] != "unavailable"
    known: Known = {
        ACCEPTING: state["status"] != "unavailable",
        REASON: {f"{code},{part}": 1 for part, code in state["codes"].items()},
        RESTARTS: state["restarts"],
        LOG_UP: up,
        POSTGRES_UP: postgres["status"] != "unavailable",
        PROJECTED: postgres.get("position"),
        WALLET: (state["chain"] or {}).get("walletLamports"),
    }
    if postgres["status"] != "unavailable":
        known[PROJECTOR_HALTED] = postgres["status"] == "halted"
    if projection := state["lag"]["projection"]:
        known |= {LAG_EVENTS: projection["events"], LAG_S: projection["seconds"]}
    if not up:
        return known
    stages = state["lag"]["stages"]
    return known | {
        DURABLE: log["durability"] in ("fsync", "waitaof"),
        SUSPENDED: log["status"] == "suspended",
        HALTED: state["halted"] is not None,
        HEAD: log["position"],
        EPOCH: log["epoch"],
        FOREIGN: log["foreignEntries"],
        HEADS: log["damagedHeads"],
        RESTING: state["resting"],
        STAGE_ORDERS: {name: lag["orders"] for name, lag in stages.items()},
        STAGE_WAITING: {name: lag["waiting"] for name, lag in stages.items()},
        STAGE_REASONS: {
            f"{name},{reason}": lag["reasons"].get(reason, 0)
            for name, lag in stages.items()
            for reason in WaitReason
            if reason not in WITHOUT_STAGE
        },
        STAGE_OLDEST: {name: lag["seconds"] for name, lag in stages.items()},
        STAGE_STALLED: {name: name in state["reasons"] for name in stages},
    }
