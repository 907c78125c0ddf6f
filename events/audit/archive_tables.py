"""Compares the tables beside the archived events with the fold of the events."""

from __future__ import annotations

import contextlib
from hashlib import sha256

from events.archive import Checkpoint, Snapshot
from events.audit.invariants import Auditor
from events.audit.log_meta import Meta
from events.audit.orders_table import Columns, RowCheck
from events.audit.problems import ARCHIVE, LOG, ORDERS
from events.audit.walk import Report
from events.log import Continuity, Damaged, LogIdentity, LogReader, check_continuity


class ArchiveTables:
    """Checks the tables of one snapshot, once all of its events were read.

    `end` is the newest position of the log, `log_key` the key of its stream.
    """

    def __init__(
        self,
        auditor: Auditor,
        report: Report,
        columns: Columns,
        reader: LogReader,
        meta: Meta,
        end: int,
        log_key: str,
    ) -> None:
        self._auditor = auditor
        self._report = report
        self._columns = columns
        self._reader = reader
        self._meta = meta
        self._end = end
        self._log_key = log_key

    async def check_checkpoint(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Checks that the checkpoint belongs to this log and to the last archived event."""
        end, key = checkpoint.position, "checkpoints"
        for newest in await snapshot.at([end]):
            if newest.time_us != checkpoint.time_us:
                detail = f"its time is {checkpoint.time_us}, that of its event {newest.time_us}"
                self._report(end, "checkpoint", detail, ARCHIVE, key)
        if not self._meta.there:
            return
        chain, theirs = await snapshot.chain(), self._meta.text("chain")
        if chain and theirs and chain != theirs:
            detail = f"the archive is of chain {chain!r}, the log of {theirs!r}"
            self._report(end, "chain", detail, ARCHIVE, key)
        archived = Continuity(checkpoint.epoch, end, checkpoint.digest if end else None)
        identity = LogIdentity.TRIMMED
        with contextlib.suppress(Damaged):  # it was reported
            identity = await check_continuity(
                archived, self._meta.epoch, self._end, self._entry_digest
            )
        if identity is LogIdentity.EPOCH_CHANGED:
            detail = f"the log is of epoch {self._meta.epoch}, the archive of {checkpoint.epoch}"
            self._report(end, "epoch", detail, ARCHIVE, key)
        elif identity is LogIdentity.REGRESSED:
            detail = f"the log ends at {self._end}, the archive at {end}"
            self._report(self._end + 1, "log", detail, LOG, self._log_key)
        elif identity is LogIdentity.REPLACED:
            detail = "the log's entry there is not the one that was projected"
            self._report(end, "checkpoint", detail, ARCHIVE, key)

    async def _entry_digest(self, position: int) -> bytes | None:
        """The digest of the log entry; None for a hole, which is reported, or a trimmed entry.
        Raises Damaged.
        """
        entry = await self._reader.entry_at(position)
        return None if entry is None else sha256(entry.data).digest()

    async def check_orders(self, snapshot: Snapshot) -> None:
        """Checks that each row is the fold of its order's events."""
        rows = RowCheck(self._auditor, self._columns)
        async for order_rows in snapshot.orders():
            for row in order_rows:
                rows.row(row.id, row.version, row.hash, row.positions, row.columns)
        rows.finish()

    async def check_parked(self, snapshot: Snapshot) -> None:
        """Checks that only orders whose events cannot be folded are left out of the fold."""
        for order_id in await snapshot.parked():
            at = self._auditor.last_position(order_id)
            known = self._auditor.is_sound(order_id)
            if known is not False:
                detail = "its events are not folded, though they can be"
                detail = detail if known else f"order {order_id}: no event names it"
                self._report(at, "unfolded", detail, ORDERS, "projection_parked")
