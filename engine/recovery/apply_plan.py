"""Carries out a plan step by step until no step is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, assert_never

from engine.recovery import accept_loss, archive_repair
from engine.recovery.chain_history import ChainHistory
from engine.recovery.diagnosis import Diagnosis, diagnose
from engine.recovery.faults import Step, archived_losses
from engine.recovery.plan import Plan, Words, plan
from engine.recovery.recreate_log import Repaired, rebuild_log
from engine.recovery.recreation.errors import RepairError
from engine.recovery.rewrite_log import rewrite
from events.archive import Archive
from events.log import EventLog

ROUNDS = 8
"""The most rounds. Each does at least one step, and there are six kinds."""


class Done(NamedTuple):
    """The result of a repair."""

    steps: list[str]
    """The steps, as text."""
    lost: list[str]
    """The accepted losses, as text."""
    founded: Repaired | None
    left: list[str]
    """The remaining faults, as text."""


async def repair(
    log: EventLog,
    archive: Archive,
    words: Words,
    wallet: Callable[[], ChainHistory],
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    first: Diagnosis | None = None,
) -> Done:
    """Repairs the stores. `wallet` is opened where the chain has to be queried; `first` is a fresh
    diagnosis.

    Raises RepairError where an option is missing or a step cannot be done; the repair can be
    repeated. Raises ChainError, RebuildError, LogError, ArchiveUnavailable or asyncpg's errors.
    """
    done = Done([], [], None, [])
    for _ in range(ROUNDS):
        diagnosis, first = first or await diagnose(log, archive), None
        todo = plan(diagnosis, log.chain, words)
        if not todo.steps:
            return done._replace(left=[fault.text for fault in todo.faults])
        if todo.refused:
            raise RepairError(todo.refused)
        step = todo.steps[0]
        done.steps.extend(item for item in todo.does[:1] if item not in done.steps)
        done.lost.extend(todo.lost)
        if step is Step.REBUILD_LOG:
            done = done._replace(founded=await _rebuild_log(log, archive, wallet, progress))
            words = words._replace(restored=False)
        else:
            await _do(step, log, archive, diagnosis, todo, words)
        if step is Step.ARCHIVE:
            words = words._replace(drop_after=None)
    raise RepairError("something damages the records again and again: end what writes to them")


async def _do(
    step: Step, log: EventLog, archive: Archive, diagnosis: Diagnosis, todo: Plan, words: Words
) -> None:
    match step:
        case Step.TABLES:
            await archive_repair.make_tables(archive, diagnosis)
        case Step.ARCHIVE:
            await archive_repair.mend_archive(archive, diagnosis, todo, log.chain)
        case Step.ACCEPT:
            await accept_loss.accept(
                log, archive, diagnosis, archived_losses(diagnosis), words.word
            )
        case Step.REBUILD:
            await archive_repair.make_orders(archive)
        case Step.REWRITE:
            await rewrite(log, archive, diagnosis)
        case Step.REBUILD_LOG:
            raise AssertionError("`repair` carries it out: it needs the chain")
        case _:
            assert_never(step)


async def _rebuild_log(
    log: EventLog,
    archive: Archive,
    wallet: Callable[[], ChainHistory],
    progress: Callable[[int, int], None],
) -> Repaired:
    opened = wallet()
    try:
        return await rebuild_log(log, archive, opened, progress)
    finally:
        await opened.close()
