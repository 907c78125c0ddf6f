"""Reads both stores completely and audits them, while the engine runs.

Postgres is read in one snapshot, so that archive, orders and checkpoint are consistent. The log is
read beside it, entry by entry: of two copies of an event the one that continues its order is used,
so that damage to one copy hides nothing after it. The events after the snapshot are read up to the
newest, and the indexes of the log server are compared last.

Rule of this file: any damage becomes a problem with a position. Only unreachable servers raise.
"""

from __future__ import annotations

from collections.abc import Callable

from events.archive import Archive, Snapshot
from events.archive.indexes import index_faults
from events.archive.page import LabelledEvent
from events.archive.snapshot import TABLES, SchemaDamaged
from events.audit.archive_columns import Clock
from events.audit.archive_tables import ArchiveTables
from events.audit.invariants import Auditor
from events.audit.inventory import Inventory
from events.audit.log_indexes import audit_lists
from events.audit.log_meta import Meta, read_meta
from events.audit.marks import Marks
from events.audit.orders_table import Columns
from events.audit.problems import ARCHIVE, INDEXES, LOG, ORDERS
from events.audit.verdict import Verdict
from events.audit.walk import ArchiveWalk, Holes, LogWalk, no_rows
from events.log import Damaged, EventLog, LogReader, LogTruncated, Stored

HEADS_AT_ONCE = 500
ENTRIES_AT_ONCE = 20
ARCHIVE_PAGE = 1000
PROGRESS_EVENTS = 1000
NO_END = 2**63
NAMES_US = 7 * 86_400_000_000
"""The idempotency keys of orders that ended longer ago than this, and than the window, are skipped.
"""

LOSSES = "accepted_losses"
TABLE_STORES = {"orders": ORDERS, "projection_parked": ORDERS}
"""The tables that are not part of the archive."""

Progress = Callable[[int, int], None]


async def verify(
    archive: Archive, log: EventLog, columns: Columns, progress: Progress = lambda _done, _of: None
) -> Verdict:
    """Audits both stores. Raises ArchiveUnavailable, or LogError where the log server does not
    answer.
    """
    inventory, reader = Inventory(log.url, log.keys), log.reader("verify")
    try:
        return await _Verification(archive, log, reader, inventory, columns, progress).run()
    finally:
        await inventory.close()
        await reader.close()


class _Verification:
    """One audit."""

    def __init__(
        self,
        archive: Archive,
        log: EventLog,
        reader: LogReader,
        inventory: Inventory,
        columns: Columns,
        progress: Progress,
    ) -> None:
        self._archive = archive
        self._log = log
        self._reader = reader
        self._inventory = inventory
        self._columns = columns
        self._progress = progress
        self._auditor = Auditor()
        self._meta = Meta(False, 0, 0, {})
        self._compared = 0
        self._end = 0
        """The newest position of the log when the audit began."""
        self._archived_readable = True
        """Whether `events` has all its columns."""
        self._told: set[int] = set()
        """Last positions of damaged entries that were reported."""

    async def run(self) -> Verdict:
        """Runs the audit."""
        now_us = await self._inventory.now_us()
        window_us = max(NAMES_US, self._log.window_ms * 1000)
        self._auditor = Auditor(now_us - window_us)
        archived = 0
        try:
            async with self._archive.snapshot() as snapshot:
                # The first query fixes its moment: the log had everything in it before.
                missing = set(await snapshot.missing_tables())
                losses = await snapshot.losses()
                self._auditor = Auditor(now_us - window_us, losses)
                await self._look_at_log()
                archived = await self._snapshot(snapshot, missing, now_us)
        except SchemaDamaged as error:
            self._report(1, "table", str(error), ARCHIVE)
            self._archived_readable = False
        auditor = self._auditor
        await self._rest()
        if self._meta.there:
            await self._beside()
        for key, kind in self._inventory.wrong_types.items():
            self._report(auditor.position, "type", f"it is a {kind}", INDEXES, key)
        return Verdict(
            auditor.position,
            auditor.orders,
            archived,
            max(self._meta.position, await self._position()),
            self._compared,
            sorted(auditor.problems),
            tuple(auditor.accepted),
        )

    def _report(self, position: int, code: str, detail: str, store: str, key: str = "") -> None:
        self._auditor.report(position, "", code, detail, store=store, key=key)

    # -- what the log says of itself -----------------------------------------------------------

    async def _look_at_log(self) -> None:
        self._meta = await read_meta(self._inventory, self._log.keys.meta, self._report)
        # Without a position of its own the log ends where its entries end.
        self._end = self._meta.position if self._meta.placed else NO_END
        if self._meta.position:
            await self._tail()

    async def _position(self) -> int:
        if not self._meta.there:
            return 0
        try:
            return await self._log.position()
        except Damaged:
            return 0

    async def _tail(self) -> None:
        """Checks the entries after the log's position, and reports those that were set aside."""
        tail = await self._log.tail()
        if tail.vouched:
            detail = f"its position is {self._end}, its orders know of {tail.vouched}"
            self._report(self._end + 1, "meta", detail, LOG, self._log.keys.meta)
            self._end = tail.vouched
        for refused in tail.refused:
            key, order_id = refused.id, refused.order_ids[0] if refused.order_ids else ""
            at = self._end + 1
            self._auditor.report(
                at, "", refused.reason, self._of(refused.detail, order_id), key=key
            )
        if aside := (await self._log.foreign()).aside:
            detail = f"entries that the log did not write, set aside: {aside:,}"
            self._report(self._end, "aside", detail, LOG, self._log.keys.aside)

    @staticmethod
    def _of(detail: str, order_id: str) -> str:
        return f"order {order_id}: {detail}" if order_id and order_id not in detail else detail

    # -- the archive, and the log beside it -----------------------------------------------------

    async def _snapshot(self, snapshot: Snapshot, missing: set[str], now_us: int) -> int:
        """Compares Postgres up to the position of its checkpoint, and returns that position."""
        if missing == set(TABLES):
            return 0  # no projector has run yet
        damaged = await snapshot.damaged_tables()
        if "events" in damaged:
            raise SchemaDamaged(f"events: column {', '.join(damaged['events'])} is lost")
        for table, columns in damaged.items():
            detail = f"column {', '.join(columns)} is lost, or of another type"
            self._report(1, "table", detail, TABLE_STORES.get(table, ARCHIVE), table)
        for table in sorted(missing):
            self._report(
                1, "table", "the table is missing", TABLE_STORES.get(table, ARCHIVE), table
            )
        missing |= damaged.keys()
        checkpoint = None if "checkpoints" in missing else await snapshot.checkpoint()
        last = 0 if "events" in missing else await snapshot.last_position()
        if checkpoint is None and last:
            self._report(last, "checkpoint", "there is none", ARCHIVE, "checkpoints")
        archived = checkpoint.position if checkpoint is not None else last
        rows = no_rows() if "events" in missing else snapshot.labelled()
        archive = ArchiveWalk(rows, self._report, Clock(now_us), self._auditor.losses)
        await self._side_by_side(archive, archived)
        tables = ArchiveTables(
            self._auditor,
            self._report,
            self._columns,
            self._reader,
            self._meta,
            self._end,
            self._log.keys.log,
        )
        if checkpoint is not None and "events" not in missing:
            await tables.check_checkpoint(snapshot, checkpoint)
        if "orders" not in missing:
            await tables.check_orders(snapshot)
        if "projection_parked" not in missing:
            await tables.check_parked(snapshot)
        if "events" not in missing and not await snapshot.finds_orders():
            self._report(1, "function", "the function is missing", ORDERS, "order_events")
        present = set(TABLES) - missing
        for table, name, detail in index_faults(await snapshot.indexes(), present):
            self._report(1, "index", detail, TABLE_STORES.get(table, ARCHIVE), name)
        return archived

    async def _side_by_side(self, archive: ArchiveWalk, end: int) -> None:
        """Feeds the auditor every event up to a position, from the store that has it."""
        auditor, log = self._auditor, LogWalk(self._reader, self._report, self._end)
        holes = {ARCHIVE: Holes(ARCHIVE, "log"), LOG: Holes(LOG, "archive")}
        row, entry = await archive.following(), await log.following()
        while True:
            positions = [row.stored.position] if row is not None else []
            positions += [entry.position] if entry is not None else []
            at = min(positions, default=end + 1)
            if at > end:
                break
            logged = entry if entry is not None and entry.position == at else None
            archived = row.stored if row is not None and row.stored.position == at else None
            if not self._gives_up(at, archive, row if archived is not None else None, logged):
                if archived is None:
                    holes[ARCHIVE].add(at, self._report)
                elif logged is None and log.held_from <= at < log.last and at not in log.damaged:
                    holes[LOG].add(at, self._report)
                self._event(archived, logged)
            row = await archive.following() if archived is not None else row
            entry = await log.following() if logged is not None else entry
            if at % PROGRESS_EVENTS == 0:
                self._progress(at, max(end, self._end))
        for group in holes.values():
            group.close(self._report)
        auditor.lost(end)
        for loss in auditor.losses.all:
            if not 1 <= loss.position <= end:
                detail = "a loss was accepted where the archive has nothing to lose"
                self._report(loss.position, "accepted", detail, ARCHIVE, LOSSES)
        self._progress(auditor.position, max(end, self._end))
        await self._beyond(archive, row, end)
        while entry is not None:  # the rest is read later; misplaced entries are reported here
            entry = await log.following()
        if self._meta.there and log.last < self._end:
            detail = f"the log's entries end at {log.last}, its newest position is {self._end}"
            self._report(log.last + 1, "log", detail, LOG, self._log.keys.log)

    def _event(self, archived: Stored | None, logged: Stored | None) -> None:
        if archived is not None and logged is not None:
            self._auditor.copies(logged, archived)
            self._compared += 1
        elif archived is not None:
            self._auditor.event(archived, ARCHIVE)
        elif logged is not None:
            self._auditor.event(logged, LOG)

    def _gives_up(
        self, at: int, archive: ArchiveWalk, row: LabelledEvent | None, logged: Stored | None
    ) -> bool:
        """Whether the event at a position is an accepted loss whose row is unchanged."""
        auditor = self._auditor
        loss = auditor.losses.at(at)
        if loss is None:
            return False
        auditor.lost(at - 1)
        copies = [stored for stored in (logged, row.stored if row is not None else None) if stored]
        if any(auditor.follows(stored) for stored in copies):
            detail = "its loss was accepted, and an intact copy of it is there"
        elif row is not None and not archive.is_accepted(row):
            detail = "its loss was accepted, and what stands there was changed since"
        elif row is None and loss.digest:
            detail = "its loss was accepted, and the row that stood there is gone"
        else:
            if logged is not None:
                detail = "its event does not continue the order, and the archive's is lost"
                self._report(at, "entry", detail, LOG)
            auditor.accept(loss)
            return True
        self._report(at, "accepted", detail, ARCHIVE, LOSSES)
        return False

    async def _beyond(self, archive: ArchiveWalk, row: LabelledEvent | None, end: int) -> None:
        """Reports rows after the checkpoint: the projector writes both in one transaction."""
        first, count = row.stored.position if row is not None else 0, 0
        while row is not None:
            count += 1
            row = await archive.following()
        if count:
            vouched = "" if first <= self._end else f", and the log ends at {self._end}"
            detail = f"rows behind the checkpoint, which is at {end}: {count:,}{vouched}"
            self._report(first, "beyond", detail, ARCHIVE, "events")

    # -- what follows ----------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Reads the events up to the newest; from the archive, where the log was trimmed."""
        if not self._meta.there:
            return
        auditor = self._auditor
        end = max(self._end, await self._position())
        while auditor.position < end:
            after, resume_after = auditor.position, end
            events: list[Stored] = []
            try:
                for batch in await self._reader.read(after, batches=ENTRIES_AT_ONCE):
                    numbered = enumerate(batch.records, batch.first)
                    events += [
                        Stored(at, batch.time_us, event) for at, event in numbered if at > after
                    ]
            except LogTruncated as error:
                resume_after = error.resume_after or end
                archived = await self._archived(after)
                events = [event for event in archived if event.position <= resume_after]
                if isinstance(error, Damaged) and resume_after not in self._told:
                    self._told.add(resume_after)
                    self._report(after + 1, "damaged", str(error), LOG, f"{resume_after}-0")
            for stored in events:
                auditor.event(stored)
            if not events:
                auditor.lost(min(max(resume_after, after + 1), end))
            self._progress(min(auditor.position, end), end)

    async def _archived(self, after: int) -> list[Stored]:
        if not self._archived_readable:
            return []
        return await self._archive.read(after, ARCHIVE_PAGE)

    # -- what is kept beside the events -------------------------------------------------------

    async def _beside(self) -> None:
        auditor, log = self._auditor, self._log
        for ids in auditor.order_ids(HEADS_AT_ONCE):
            auditor.heads((await self._inventory.heads(ids)).items())
        await self._rest()
        auditor.missing_events()
        await audit_lists(
            self._inventory,
            auditor,
            self._rest,
            self._position,
            window_ms=log.window_ms,
            names_kept=self._meta.fields.get("names") == b"kept",
        )
        await Marks(self._inventory, log, auditor, self._position).check()
