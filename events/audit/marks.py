"""Compares the single values that the log server keeps with the events: the halt, the counters per
stage, the positions of readers.

Each is read around the log's position, and read again where the log moved meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from events.audit.invariants import Auditor
from events.audit.inventory import Inventory
from events.audit.log_indexes import owed_fault
from events.audit.problems import INDEXES
from events.commands.engine_switch import engine_state
from events.ids import ENGINE_STREAM_ID
from events.log import EventLog
from events.types import EngineStatus

TRIES = 5


class Marks:
    """Compares the values with the events. `position` returns the log's newest position."""

    def __init__(
        self,
        inventory: Inventory,
        log: EventLog,
        auditor: Auditor,
        position: Callable[[], Awaitable[int]],
    ) -> None:
        self._inventory = inventory
        self._log = log
        self._auditor = auditor
        self._position = position

    async def check(self) -> None:
        """Runs all checks."""
        await self._halt()
        await self._owed()
        await self._marks()

    def _report(self, position: int, code: str, detail: str, store: str, key: str) -> None:
        self._auditor.report(position, "", code, detail, store=store, key=key)

    async def _halt(self) -> None:
        for _ in range(TRIES):
            before, halted, after = (
                await self._log.halted(), await self._halted(), await self._log.halted()
            )  # fmt: skip
            if halted is None or before == after == halted:
                return
        word = "halted" if halted else "not halted"
        detail = f"the engine is {word} by its events, and the mark that holds up sends differs"
        at, key = self._auditor.position, self._log.keys.meta
        self._auditor.report(at, ENGINE_STREAM_ID, "halt", detail, store=INDEXES, key=key)

    async def _halted(self) -> bool | None:
        """Whether the engine is halted by its events; None where they cannot be read."""
        try:
            state = await engine_state(self._log)
        except (msgspec.DecodeError, ValueError):
            return None
        return state is not None and state.status is EngineStatus.HALTED

    async def _owed(self) -> None:
        """Checks the counters of orders per stage; skipped where the log moves at every try."""
        key, fault = self._log.keys.owed, ""
        for _ in range(TRIES):
            before, counts = await self._position(), await self._inventory.counts(key)
            heads = await self._inventory.heads(
                list(await self._inventory.scores(self._log.keys.open))
            )
            if await self._position() != before:
                continue
            fault = owed_fault(counts, [head for head in heads.values() if head is not None])
            if fault and counts == await self._inventory.counts(key):
                self._report(self._auditor.position, "owed", fault, INDEXES, key)
            return

    async def _marks(self) -> None:
        """Checks that no reader is ahead of the log, and no watcher ahead of the book stream."""
        keys, at = self._log.keys, self._auditor.position
        for reader, value in (await self._inventory.marks()).items():
            if value is None or not value.isdigit() or int(value) > await self._position():
                shown = (value or b"").decode(errors="replace")
                self._report(at, "mark", f"{shown!r} is not a place in the log", INDEXES,
                             keys.mark(reader))  # fmt: skip
        before = await self._news()
        last = await self._inventory.last_id(keys.book)
        news = await self._news()
        if keys.book not in self._inventory.wrong_types and not (
            before <= int(last.partition("-")[0] or 0) <= news
        ):
            detail = f"the newest news is {last or 'gone'}, the log's number {news}"
            self._report(at, "news", detail, INDEXES, keys.book)
        await self._inventory.scores(keys.watchers)
        for pair, number in (await self._inventory.counts(keys.heard)).items():
            if not number.isdigit() or int(number) > news:
                self._report(at, "watch", f"{pair} was followed through news {number}", INDEXES,
                             keys.heard)  # fmt: skip
        for pair, number in (await self._inventory.counts(keys.slots)).items():
            if not number.isdigit():
                self._report(at, "watch", f"{pair} was followed to slot {number}", INDEXES,
                             keys.slots)  # fmt: skip
        for pair, lease in (await self._inventory.counts(keys.leases)).items():
            if not lease.partition(" ")[0].isdigit() or not lease.partition(" ")[2]:
                self._report(at, "watch", f"{pair} has the lease {lease!r}", INDEXES, keys.leases)

    async def _news(self) -> int:
        value = (await self._inventory.meta()).get("news", b"")
        return int(value) if value.isdigit() else 0
