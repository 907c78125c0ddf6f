"""Recreates a lost log from the archive, in a new epoch.

First every process is fenced off until the end: no order is accepted, recorded or sent. Then the
archive and the remains of the log are read. Once no earlier transaction can land any more, the
chain is queried for the transactions that it executed. The new log is written in one step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.recovery.chain_history import ChainHistory
from engine.recovery.recreation.errors import RepairError
from engine.recovery.recreation.gather import (
    CREATION_MS,
    Gathered,
    checkpoint_of,
    gather,
    newest_event,
    unknown_since_us,
)
from engine.recovery.recreation.plan import RecreationPlan, adopt, plan_recreation
from events.archive import Archive, Checkpoint
from events.ids import first_id_at
from events.log import EventLog, Stored, other_chain
from events.recovery.log_rebuild import LogRebuild
from projections.postgres import tables

FENCED_S = 3.0
"""The time after which every process has noticed the fence: gateways check twice a second."""
POLL_S = 0.2
ORDERS = 500
"""Orders in one query of the chain or the archive."""
LOCK = 0x6F656566  # "oeef": one repair at a time
BEHIND_S = 200.0
"""So far the node may be behind a builder's; what lies further ahead is of another chain."""


class Repaired(NamedTuple):
    """The result of a recreation."""

    epoch: int
    position: int
    """Of the newest archived event: the log continues behind it."""
    open_orders: int
    adopted: list[str]
    """Orders that only the lost log had."""
    torn: list[str]
    """Orders of which the lost log had more events than the archive: those events are void."""
    sent: list[str]
    """Orders whose recorded transaction was executed though no send was archived."""
    parked: list[str]
    """Orders that were executed by an unknown transaction."""
    strangers: list[str]
    """Executed orders that neither the archive nor the leftovers have."""
    unreadable: int
    keys: int


async def rebuild_log(
    log: EventLog,
    archive: Archive,
    wallet: ChainHistory,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Repaired:
    """Recreates the log. Can be repeated wherever it was interrupted.

    `progress` is called with the blocks waited for and their total. Raises RepairError, ChainError,
    LogError, ArchiveUnavailable or asyncpg's errors.
    """
    theirs = await archive.chain()
    if theirs and theirs != log.chain:  # the chain of the settings would report no executions
        raise RepairError(other_chain("archive", theirs))
    async with archive.alone(LOCK) as alone:
        if not await alone():  # the slower would write its old heads under the other's log
            raise RepairError("another repair is under way")
        work = LogRebuild(log.url, log.keys)
        try:
            return await _Recreation(work, log, archive, wallet, progress, alone).run()
        finally:
            await work.close()


class _Fence(NamedTuple):
    """The state of the chain when the log was fenced."""

    since: float
    """By the monotonic clock, in seconds."""
    finalized: int
    last_height: int
    """No transaction that the node knew the blockhash of lands above it."""


@dataclass(frozen=True)
class _Recreation:
    """One recreation, under the lock."""

    work: LogRebuild
    log: EventLog
    archive: Archive
    wallet: ChainHistory
    progress: Callable[[int, int], None]
    still_alone: Callable[[], Awaitable[bool]]

    async def run(self) -> Repaired:
        """Runs the steps. Their order is vital."""
        await self._check_chain_history()
        epoch_before = await self.work.epoch()
        fence = await self._fence()
        checkpoint = await checkpoint_of(self.archive)
        gathered = await gather(self.work, self.log, self.archive, checkpoint)
        await self._wait_until_nothing_lands(fence, gathered)
        now_us = await self.work.now_ms() * 1000
        adopted = adopt(gathered)
        executed = await self._executed(adopted.open_ids, gathered.unknown_since_us)
        plan = plan_recreation(gathered, adopted, executed, now_us=now_us)
        # The last query of the chain: it can fail only before the first write.
        strangers = await self._strangers(gathered.last, adopted.histories)
        await self._check_still_fenced()
        epoch = max(epoch_before, checkpoint.epoch) + 1
        await self.work.heads(plan.heads, plan.keys)
        # Postgres before the log: the other way round, the new log could accept orders that the
        # projector does not know.
        await self._move_checkpoint(checkpoint, epoch, plan.digest)
        await self._swap_log(plan, epoch)
        return _repaired(plan, epoch, strangers)

    async def _check_chain_history(self) -> None:
        """Raises ChainError where the chain's history is too short, before anything is fenced."""
        async with self.archive.snapshot() as snapshot:
            newest = await newest_event(snapshot, await checkpoint_of(self.archive))
            since_us = await unknown_since_us(snapshot, newest)
        await self.wallet.reaches(since_us)

    async def _fence(self) -> _Fence:
        await self.work.fence()
        since, finalized = time.monotonic(), await self.wallet.finalized()
        return _Fence(since, finalized, await self.wallet.last_height())

    async def _wait_until_nothing_lands(self, fence: _Fence, gathered: Gathered) -> None:
        """Waits until every process has noticed the fence, and no transaction can land any more."""
        began, behind = fence.finalized, await self.wallet.blocks_in(BEHIND_S)
        last = latest_height(fence.last_height, gathered.heights, behind)
        while True:
            finalized = await self.wallet.finalized()
            noticed = time.monotonic() - fence.since >= FENCED_S
            if finalized > last and noticed:
                return
            self.progress(min(finalized, last) - began, last - began)
            await asyncio.sleep(POLL_S)

    async def _executed(self, order_ids: Sequence[str], since_us: int) -> dict[str, list[str]]:
        """Order id -> signatures of the transactions that executed it."""
        signatures: dict[str, list[str]] = {}
        for start in range(0, len(order_ids), ORDERS):
            page = order_ids[start : start + ORDERS]
            signatures |= await self.wallet.executed(page, since_us)
        return signatures

    async def _strangers(self, last: Stored, known: Collection[str]) -> list[str]:
        """Orders of about the lost time that were executed, and are neither archived nor known."""
        oldest_id = first_id_at(last.time_us // 1000 - CREATION_MS)
        executed = await self.wallet.orders_since(oldest_id)
        strangers: list[str] = []
        for start in range(0, len(executed), ORDERS):
            page = executed[start : start + ORDERS]
            archived = await self.archive.orders(page)
            strangers += [
                order_id for order_id in page if order_id not in archived and order_id not in known
            ]
        return strangers

    async def _check_still_fenced(self) -> None:
        """Raises RepairError where another repair may have begun, or has ended, meanwhile."""
        if not await self.still_alone():
            raise RepairError("Postgres let go of the lock meanwhile: begin again")
        if not await self.work.fenced():
            raise RepairError("the log was rebuilt meanwhile: look with `engine repair`")

    async def _move_checkpoint(self, checkpoint: Checkpoint, epoch: int, digest: bytes) -> None:
        """Moves the archive to the new epoch. Raises RepairError where the archive has grown."""
        async with self.archive.connection() as connection:
            try:
                await tables.rebase_checkpoint(connection, checkpoint, epoch, digest)
            except tables.CheckpointConflict:
                raise RepairError("the archive moved meanwhile: begin again") from None

    async def _swap_log(self, plan: RecreationPlan, epoch: int) -> None:
        """Writes the log and lifts the fence, in one step."""
        await self.work.rebuild(
            epoch,
            plan.position,
            plan.entries,
            plan.heads,
            halted=plan.halted,
            chain=self.log.chain,
            inbox_orders=self.log.inbox_orders,
        )


def latest_height(last: int, heights: Iterable[int], behind: int) -> int:
    """The height above which nothing lands. A builder's node may have been `behind` blocks ahead
    of this one; a transaction that is valid even later is of another chain. Pure.
    """
    return max([last, *(height for height in heights if height <= last + behind)])


def _repaired(plan: RecreationPlan, epoch: int, strangers: list[str]) -> Repaired:
    return Repaired(
        epoch=epoch,
        position=plan.position,
        open_orders=plan.open_orders,
        adopted=plan.adopted,
        torn=plan.torn,
        sent=plan.sent,
        parked=plan.parked,
        strangers=strangers,
        unreadable=plan.unreadable,
        keys=len(plan.keys),
    )
