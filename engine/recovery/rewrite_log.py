"""Rewrites the log from the events, in its epoch: no event is lost.

Every process is fenced off meanwhile. Every event up to the log's end is proved, including each
send, so that the chain need not be queried.
"""

from __future__ import annotations

from engine.recovery.diagnosis import Diagnosis, stream_of
from engine.recovery.log_indexes import claims_in, known_in, names_in
from engine.recovery.recreate_log import LOCK
from engine.recovery.recreation.errors import RepairError
from engine.recovery.stream_plan import Target, target
from events.archive import Archive, Checkpoint
from events.ids import ENGINE_STREAM_ID
from events.log import LAYOUT, EventLog
from events.recovery.log_rebuild import LogRebuild
from events.recovery.stream_survey import Meta
from events.types import EngineStatus
from projections.postgres.archive_writes import mend
from projections.postgres.tables import CheckpointConflict

AGAIN = "the log moved on meanwhile: begin again"
KEPT = (b"aside", b"base", b"verified")


async def rewrite(log: EventLog, archive: Archive, diagnosis: Diagnosis) -> None:
    """Fences, proves the events since the diagnosis, writes. Can be repeated wherever it was
    interrupted.

    Raises RepairError, LogError, ArchiveUnavailable or asyncpg's errors.
    """
    work = LogRebuild(log.url, log.keys)
    try:
        async with archive.alone(LOCK) as alone:
            if not await alone():
                raise RepairError("another repair is under way")
            await work.fence(recreating=False)
            try:
                meta, stream = await _proved(work, diagnosis)
            except BaseException:
                await work.unfence()
                raise
            # From here on heads are replaced: no process may join before all of them are there.
            await _write(log, archive, work, diagnosis, meta, stream)
    finally:
        await work.close()


async def _proved(work: LogRebuild, diagnosis: Diagnosis) -> tuple[Meta, Target]:
    """Proves the events up to the log's end. Raises RepairError where the log has changed since."""
    meta, entries, proof = await work.meta(), await work.entries(), diagnosis.proof
    end = meta.position
    if end is None or meta.epoch != diagnosis.meta.epoch or proof.position != proof.proved_end:
        raise RepairError(AGAIN)
    events = stream_of(entries, max(end, diagnosis.log_end))
    for position in range(proof.position + 1, max(events, default=0) + 1):
        stored = proof.at(position, (), events.get(position, ()))
        if stored is None:
            raise RepairError(AGAIN)
        diagnosis.proved[position] = stored
    if proof.proved_end != max(end, diagnosis.log_end):
        raise RepairError(AGAIN)
    if proof.lives.unfolded:
        some = " ".join(sorted(proof.lives.unfolded)[:5])
        raise RepairError(f"orders have events of a newer build; install it: {some}")
    archived = min(diagnosis.archived_end, proof.proved_end)
    return meta, target(entries, diagnosis.proved, archived, proof.proved_end)


async def _write(
    log: EventLog,
    archive: Archive,
    work: LogRebuild,
    current: Diagnosis,
    meta: Meta,
    stream: Target,
) -> None:
    lives, now_us = current.proof.lives, await work.now_ms() * 1000
    known = known_in(
        lives, archived=current.archived_end, heads_kept_ms=log.heads_kept_ms, now_us=now_us
    )
    await work.replace_heads(known)
    await work.mend_names(names_in(log, lives), claims_in(log, lives), lives.unasked)
    if stream.faults:
        await work.prepare_stream(stream.entries)
        await _digest(archive, stream)
    if not await work.fenced():
        raise RepairError("the log was rebuilt meanwhile: look with `engine repair`")
    engine = lives.open.get(ENGINE_STREAM_ID)
    fields: dict[str, str | int | bytes] = {
        name.decode(): meta.fields[name] for name in KEPT if name in meta.fields
    }
    fields |= {"epoch": meta.epoch or 0, "layout": LAYOUT, "position": current.proof.proved_end}
    fields["names"] = "kept"
    if chain := log.chain or meta.chain:
        fields["chain"] = chain
    if engine is not None and engine.order.status is EngineStatus.HALTED:
        fields["halted"] = 1
    if current.promoted:
        fields["suspended"] = meta.suspended
    await work.rewrite(fields, known, stream=bool(stream.faults), inbox_orders=log.inbox_orders)


async def _digest(archive: Archive, stream: Target) -> None:
    """Records the rewritten entry at the checkpoint's position in the checkpoint."""
    checkpoint = await archive.checkpoint()
    if checkpoint is None or not checkpoint.position:
        return
    digest = stream.digest_at(checkpoint.position)
    if digest in (b"", checkpoint.digest):
        return
    after: Checkpoint = checkpoint._replace(digest=digest)
    async with archive.connection(None) as connection:
        try:
            await mend(connection, checkpoint, after, [])
        except CheckpointConflict:
            raise RepairError(AGAIN) from None
