"""The faults of log and archive, and the repair step for each.

Rule of this file: pure. The log continues in its epoch only where every event up to its end is
proved from either store. Otherwise an event may have been written, and a transaction sent, without
a trace: then the chain is queried, and the log is recreated in a new epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from engine.recovery.diagnosis import Diagnosis
from engine.recovery.reconcile import Lost
from events.audit.problems import HEADS, INDEXES, ORDERS, Problem
from events.log import LAYOUT, UPGRADABLE_LAYOUTS
from events.positions import spans
from events.recovery.log_rebuild import FOUNDING


class Step(Enum):
    """The steps of a repair, in their order."""

    TABLES = "make the missing tables"
    ARCHIVE = "mend the archive"
    ACCEPT = "record the accepted loss"
    REBUILD = "make `orders` again from the archive"
    REWRITE = "write the log again from the events, in its epoch"
    REBUILD_LOG = "ask the chain what it executed, and recreate the log in a new epoch"


STEPS = {ORDERS: Step.REBUILD, HEADS: Step.REWRITE, INDEXES: Step.REWRITE}
"""Store of an audit's problem -> the step that repairs it."""
CODES = {"index": Step.ARCHIVE, "aside": Step.REWRITE}
"""The same by code, for the other stores."""


class Fault(NamedTuple):
    """A fault, and its repair."""

    text: str
    step: Step | None
    """None: it cannot be repaired."""
    does: str = ""
    """Details of the step."""


def all_faults(diagnosis: Diagnosis, chain: str, until: int, *, restored: bool) -> list[Fault]:
    """All faults, in the order of a report. `until` is the position that the archive has to reach;
    `restored`: log and archive are restored backups.
    """
    mark = checkpoint_fault(diagnosis, until)
    archived = diagnosis.checkpoint.position if diagnosis.checkpoint else 0
    faults = [
        *recreation_faults(diagnosis, restored=restored),
        *_tables(diagnosis),
        *_rows(diagnosis, until),
        *([Fault(f"checkpoint: {mark}", Step.ARCHIVE, "the checkpoint")] if mark else []),
        *_lost(diagnosis),
        *_audited(diagnosis, moved=until != archived),
        *_log(diagnosis),
        *_chain(diagnosis, chain),
    ]
    # A problem without a step of its own is reported where nothing that may cause it is mended.
    return faults or [Fault(describe(problem), None) for problem in diagnosis.problems]


def describe(problem: Problem) -> str:
    """A problem of the audit, in one line."""
    where = f"{problem.store} at position {problem.position}{of_order(problem.order_id)}"
    return f"{where}: {problem.code}: {problem.detail}"


def of_order(order_id: str) -> str:
    """The order in a report: `, order ID`; empty without one."""
    return f", order {order_id}" if order_id else ""


def recreation_faults(diagnosis: Diagnosis, *, restored: bool) -> Iterator[Fault]:
    """The reasons that the log cannot continue in its epoch."""
    meta, checkpoint, end = diagnosis.meta, diagnosis.checkpoint, diagnosis.proof.proved_end
    if diagnosis.empty and not meta.fault and not restored:
        return
    if not meta.there:
        yield Fault(
            f"the log is gone, the archive has {diagnosis.archived_end} events", Step.REBUILD_LOG
        )
        return
    if FOUNDING.encode() in meta.fields:
        yield Fault("a repair began to recreate the log, and broke off", Step.REBUILD_LOG)
    if meta.fault:
        yield Fault(f"the log's {meta.fault}", Step.REBUILD_LOG)
    elif checkpoint is not None and meta.epoch != checkpoint.epoch:
        text = f"the log is of epoch {meta.epoch}, the archive of {checkpoint.epoch}"
        yield Fault(text, Step.REBUILD_LOG)
    if meta.layout not in (LAYOUT, *UPGRADABLE_LAYOUTS):
        text = f"the log has layout {meta.layout!r}, this build reads {LAYOUT}"
        yield Fault(text, Step.REBUILD_LOG)
    if diagnosis.log_end != end and not meta.fault:
        theirs = diagnosis.archived_end if diagnosis.archived_end > diagnosis.log_end else end
        what = "the archive" if diagnosis.archived_end > diagnosis.log_end else "what is left of it"
        text = f"the log ends at position {diagnosis.log_end}, {what} at {theirs}"
        if diagnosis.archived_end <= end:  # else the log may continue: see `_rows`
            yield Fault(text, Step.REBUILD_LOG)
    elif diagnosis.log_end != meta.position and not meta.fault:
        text = f"the log says that it ends at {meta.position}, heads of orders name {end}"
        yield Fault(text, Step.REBUILD_LOG)
    if diagnosis.proof.conflicts and not diagnosis.same:
        yield Fault("the log differs from the archive", Step.REBUILD_LOG)
    if restored:
        yield Fault("what happened after the copies were taken is unknown", Step.REBUILD_LOG)
    elif diagnosis.promoted:
        text = "the log server was a replica: what its primary took last may be missing"
        yield Fault(text, Step.REBUILD_LOG)


def _tables(diagnosis: Diagnosis) -> Iterator[Fault]:
    if diagnosis.missing_tables and not (diagnosis.empty and len(diagnosis.missing_tables) > 1):
        names = ", ".join(diagnosis.missing_tables)
        yield Fault(f"tables are missing: {names}", Step.TABLES, names)
    if diagnosis.lacking:
        names = ", ".join(diagnosis.lacking)
        text = f"archive: columns of `events` are missing: {names}"
        yield Fault(text, Step.ARCHIVE, f"columns are made again: {names}")


def _rows(diagnosis: Diagnosis, until: int) -> Iterator[Fault]:
    proof = diagnosis.proof
    wrong = [r.stored.position for r in proof.rows if r.stored.position <= until]
    if wrong:
        at = spans(wrong)
        text = f"archive: rows are missing, damaged or wrongly labelled, at {at}"
        yield Fault(text, Step.ARCHIVE, f"rows to write: {len(wrong)}, at {at}")
    if proof.regained:
        at = spans(proof.regained)
        text = f"archive: a loss was accepted at {at}, where nothing is lost"
        yield Fault(text, Step.ARCHIVE, f"the accepted loss at {at} is withdrawn")
    if diagnosis.strays:
        at = spans(diagnosis.strays)
        yield Fault(f"archive: rows at {at}, which no log has", Step.ARCHIVE, "they are deleted")
    if diagnosis.archived_end > proof.proved_end:
        end = proof.proved_end
        text = (
            f"archive: rows after position {end}, up to {diagnosis.archived_end}, continue nothing"
        )
        yield Fault(text, Step.ARCHIVE, f"rows after position {end} are DELETED")
        if diagnosis.meta.there and diagnosis.log_end > end:
            text = f"the log ends at position {diagnosis.log_end}, what is proved of it at {end}"
            yield Fault(text, Step.REBUILD_LOG)


def _audited(diagnosis: Diagnosis, *, moved: bool) -> Iterator[Fault]:
    """The audit's problems outside the events, which are checked here copy by copy."""
    for problem in diagnosis.problems:
        if problem.store in STEPS:
            yield Fault(describe(problem), STEPS[problem.store])
        elif problem.code in CODES:
            yield Fault(describe(problem), CODES[problem.code])
    if diagnosis.archived_end and "orders" in diagnosis.missing_tables:
        yield Fault("`orders` is not there", Step.REBUILD)
    if diagnosis.unfolded:
        yield Fault(f"orders that could not be folded: {diagnosis.unfolded}", Step.REBUILD)
    if moved:
        yield Fault("`orders` is not of the end of the archive", Step.REBUILD)


def unarchived_losses(diagnosis: Diagnosis) -> list[Lost]:
    """The lost events that only the log had."""
    return [lost for lost in diagnosis.proof.lost if lost.position > diagnosis.archived_end]


def _lost(diagnosis: Diagnosis) -> Iterator[Fault]:
    unarchived = unarchived_losses(diagnosis)
    if unarchived:
        at = spans([lost.position for lost in unarchived])
        does = "orders that only the log has are taken over where they are whole, the rest is void"
        yield Fault(
            f"log: events at {at} are lost, and no archive has them", Step.REBUILD_LOG, does
        )
    if archived := archived_losses(diagnosis):
        at = spans([lost.position for lost in archived])
        text = f"archive: events at {at} are lost: restore these rows of `events` from a backup"
        does = f"events at {at} stay lost, and their orders continue from the last state known"
        yield Fault(f"{text}, or accept the loss", Step.ACCEPT, does)


def archived_losses(diagnosis: Diagnosis) -> list[Lost]:
    """The lost events that the archive had: they cannot be restored."""
    return [lost for lost in diagnosis.proof.lost if lost.position <= diagnosis.archived_end]


def _log(diagnosis: Diagnosis) -> Iterator[Fault]:
    """The faults of the log server besides the events; the log is rewritten in the same epoch."""
    meta = diagnosis.meta
    for text in diagnosis.target.faults:
        yield Fault(f"log: {text}", Step.REWRITE)
    if diagnosis.fenced:
        yield Fault("a repair was interrupted, and keeps every process out", Step.REWRITE)
    if meta.there and meta.suspended and not diagnosis.promoted:
        yield Fault(f"the log is suspended: {meta.suspended}", Step.REWRITE)


def _chain(diagnosis: Diagnosis, chain: str) -> Iterator[Fault]:
    """Checks that log and archive belong to one chain, if they have a common history."""
    theirs = diagnosis.meta.chain
    if not chain or not diagnosis.common:
        return
    if theirs not in ("", chain) and diagnosis.archive_chain == chain:
        yield Fault(f"the log names another chain, {theirs!r}", Step.REWRITE)
    if diagnosis.archive_chain not in ("", chain) and theirs == chain:
        yield Fault(f"the archive names another chain, {diagnosis.archive_chain!r}", Step.ARCHIVE)


def checkpoint_fault(diagnosis: Diagnosis, until: int) -> str:
    """The fault of the checkpoint, if the archive ends at that position; empty: none."""
    checkpoint = diagnosis.checkpoint
    if checkpoint is None:
        return "there is none" if until else ""
    if checkpoint.position != until:
        return f"it stands at {checkpoint.position}, the archive ends at {until}"
    if not until:
        return ""
    stored = diagnosis.proved.get(until)
    if stored is not None and stored.time_us != checkpoint.time_us:
        return "it has another time than its event"
    if diagnosis.target.faults:  # the entry may be rewritten, and the checkpoint updated with it
        return ""
    digest = diagnosis.target.digest_at(until)
    return "" if digest in (b"", checkpoint.digest) else "it does not know the log's entry there"
