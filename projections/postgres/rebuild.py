"""Rebuilds the `orders` table from the archive, while the projector keeps writing the old one.

The new table is filled beside the old one, catches up, and replaces it in one transaction that
holds the checkpoint's row: the projector waits, sees a new generation and begins a new session.
`events` is only read. An event that cannot be folded stops the rebuild and leaves all as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

import asyncpg
import msgspec

from events.archive import PAGE_EVENTS, PROJECTOR, Page, load_checkpoint, read_pages
from events.archive.connect import connect
from events.archive.indexes import EXPECTED, index_faults
from events.archive.loss_table import load_losses
from events.archive.losses import NONE
from events.ids import SYSTEM_STREAM_IDS, parse_order_id
from events.secret import SecretUrl
from projections.postgres import copy_watchdog, tables
from projections.postgres.copy_watchdog import aborting_on_disconnect
from projections.postgres.migrate import order_events_statement, recreate_table
from projections.postgres.order_rows import Changes, OrderFold, OrderNotHeld, Poison, ProjectedOrder
from projections.postgres.silence import ending_on_silence
from projections.postgres.table_clone import copy_options, copy_rights, uncopyable_properties

TABLE = "orders_rebuild"
PRIMARY = "orders_pkey"
NEAR_EVENTS = 2000
"""This close to the projector, the swap delays it by milliseconds only."""

CATCH_UPS = 20
SAVE_EVENTS = 8_000
"""Few enough that folded orders are still in the CPU's caches when they are packed into rows."""
YIELD_EVENTS = 250
"""Events folded before the writer gets a turn: its socket takes a fifth of a megabyte at once."""

LOCK_MS = 1500
"""Above deadlock_timeout (1 s), after which an autovacuum gives up its lock."""
LOCK_TRIES = 20
_LOCK = 0x6F656572  # "oeer": one rebuild at a time


class RebuildError(Exception):
    """The rebuild stopped; the tables are as they were."""


class Rebuilt(NamedTuple):
    """How much was rebuilt."""

    events: int
    orders: int


async def rebuild(
    url: SecretUrl | str, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Rebuilt:
    """Rebuilds and swaps the table. `progress` gets the events folded and their total.

    Raises RebuildError, TimeoutError where Postgres fell silent, or an error of asyncpg.
    """
    # Two connections: pages are read on one while rows are written on the other.
    secret_url, silent_s = SecretUrl.of(url), copy_watchdog.WRITE_S
    reading = await connect(
        secret_url, command_timeout=silent_s, wished={"jit": "off"}, server_settings={}
    )
    try:
        writing = await asyncpg.connect(secret_url.reveal())
        try:
            async with ending_on_silence(secret_url, (reading, writing), silent_s=silent_s):
                return await _Rebuild(reading, writing, progress).run()
        finally:
            writing.terminate()
    finally:
        reading.terminate()


class _Rebuild:
    def __init__(
        self,
        reading: asyncpg.Connection,
        writing: asyncpg.Connection,
        progress: Callable[[int, int], None],
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._progress = progress
        self._fold = OrderFold()
        self._losses = NONE
        self._position = 0
        self._unsaved = 0
        self._indexed = False
        self._saving: asyncio.Task[None] | None = None

    async def run(self) -> Rebuilt:
        # One transaction: a failure leaves nothing behind. Where wal_level is minimal, the rows of
        # a table created in it are not logged twice either.
        async with aborting_on_disconnect(self._writing):
            transaction = self._writing.transaction()
            await transaction.start()
            try:
                await self._fill()
                await self._swap_tables()
                await self._stop_saving()
                await transaction.commit()
            except BaseException:
                await self._roll_back(transaction)
                raise
        count = await self._writing.fetchval(
            "SELECT count(*) FROM orders WHERE id <> ALL($1::uuid[])", sorted(SYSTEM_STREAM_IDS)
        )
        return Rebuilt(self._position, count)

    async def _roll_back(self, transaction: asyncpg.transaction.Transaction) -> None:
        """Ends the transaction; where that fails, the end of the connection does, and the first
        error is the one that shows.
        """
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._stop_saving()
            await asyncio.wait_for(transaction.rollback(), copy_watchdog.WRITE_S)

    async def _stop_saving(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)

    async def _fill(self) -> None:
        if not await self._writing.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            raise RebuildError("another rebuild is under way")
        if await load_checkpoint(self._reading) is None and await self._reading.fetchval(
            "SELECT EXISTS (SELECT FROM events)"
        ):
            raise RebuildError("the archive has events and no checkpoint: restore it from a backup")
        self._losses = await load_losses(self._reading)
        if not await self._writing.fetchval("SELECT to_regclass('orders') IS NOT NULL"):
            await recreate_table(self._writing, "orders")
        if lost := await uncopyable_properties(self._writing, "orders"):
            raise RebuildError(f"orders has {' and '.join(lost)}, which the new table would lack")
        await self._writing.execute(
            f"CREATE TABLE {TABLE} (LIKE orders INCLUDING ALL EXCLUDING INDEXES)"
        )
        await copy_options(self._writing, "orders", TABLE)
        for _ in range(CATCH_UPS):
            target = await self._projected()
            await self._fold_until(target)
            if not self._indexed:
                await self._index()
            if await self._projected() - target < NEAR_EVENTS:
                break

    async def _index(self) -> None:
        """Creates the indexes: sorting all rows once costs a third of inserting into three."""
        for name, primary, unique, definition in await self._writing.fetch(
            "SELECT indexrelid::regclass::text, indisprimary, indisunique,"
            " pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'orders'::regclass"
        ):
            new = name.replace("orders", TABLE, 1)
            kind = "UNIQUE INDEX" if unique else "INDEX"
            how = definition.partition(" USING ")[2]
            await self._writing.execute(f"CREATE {kind} {new} ON {TABLE} USING {how}")
            if primary:
                await self._writing.execute(
                    f"ALTER TABLE {TABLE} ADD CONSTRAINT {new} PRIMARY KEY USING INDEX {new}"
                )
        # … and those that were lost.
        existing = await self._writing.fetch(
            "SELECT 'orders', replace(pg_get_indexdef(indexrelid), $1, 'orders'), true"
            " FROM pg_index WHERE indrelid = $1::text::regclass",
            TABLE,
        )
        for _, name, _ in index_faults([tuple(row) for row in existing], ["orders"]):
            _, unique, on = EXPECTED[name]
            new = name.replace("orders", TABLE, 1)
            await self._writing.execute(f"CREATE {unique} INDEX {new} ON {TABLE} USING btree {on}")
            if name == PRIMARY:
                await self._writing.execute(
                    f"ALTER TABLE {TABLE} ADD CONSTRAINT {new} PRIMARY KEY USING INDEX {new}"
                )
        self._indexed = True

    async def _swap_tables(self) -> None:
        await self._lock()
        # The projector waits now. Fold what it wrote in the meantime.
        await self._fold_until(await self._projected())
        forgotten = [i for i in self._losses.forgotten if parse_order_id(i)]
        await self._writing.execute(
            f"DELETE FROM {TABLE} WHERE id = ANY($1::uuid[])",  # noqa: S608 - one name
            forgotten,
        )
        await copy_rights(self._writing, "orders", TABLE)
        if not await self._writing.fetchval("SELECT to_regprocedure('order_events(uuid)')"):
            await self._writing.execute(order_events_statement())
        await self._writing.execute("DROP TABLE orders")
        await self._writing.execute(f"ALTER TABLE {TABLE} RENAME TO orders")
        for (name,) in await self._writing.fetch(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'orders'::regclass"
        ):
            await self._writing.execute(
                f"ALTER INDEX {name} RENAME TO {name.replace(TABLE, 'orders')}"
            )
        await self._writing.execute("TRUNCATE projection_parked")
        await self._writing.execute(
            "UPDATE checkpoints SET generation = generation + 1 WHERE name = $1", PROJECTOR
        )

    async def _lock(self) -> None:
        """Locks out projector and readers, which wait for LOCK_MS at most per attempt."""
        for _ in range(LOCK_TRIES):
            await self._fold_until(await self._projected())
            try:
                async with self._writing.transaction():
                    await self._writing.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
                    # In the projector's order, to avoid a deadlock.
                    await self._writing.execute(
                        "SELECT FROM checkpoints WHERE name = $1 FOR UPDATE", PROJECTOR
                    )
                    await self._writing.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
                return
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(1)
        raise RebuildError("another session keeps reading the orders (an audit?): try again later")

    async def _projected(self) -> int:
        checkpoint = await load_checkpoint(self._reading)
        return checkpoint.position if checkpoint else 0

    async def _fold_until(self, target: int) -> None:
        pages = read_pages(
            self._reading, self._position, target,
            events=PAGE_EVENTS, without=self._losses.positions,
        )  # fmt: skip
        async with contextlib.aclosing(pages):  # the next page is being read on this connection
            async for page in pages:
                for part in self._losses.parts(page):
                    self._resume(part.positions[0] - 1)
                    self._check_gapless(part)
                    await self._fold_page(part)
                    self._position = part.positions[-1]
                self._progress(self._position, target)
        self._resume(target)
        if self._position != target:
            msg = f"the archive ends at {self._position}, its checkpoint at {target}"
            raise RebuildError(f"{msg}: `engine repair` first")
        await self._save(self._fold.take())
        await self._saved()

    def _check_gapless(self, page: Page) -> None:
        for expected, position in enumerate(page.positions, self._position + 1):
            if position != expected:
                msg = f"the archive has no event at position {expected}: `engine repair` first"
                raise RebuildError(msg)

    def _resume(self, until: int) -> None:
        """Skips events up to a position whose loss was accepted: their orders continue from the
        states stored with it.
        """
        for loss in self._losses.between(self._position + 1, until):
            if loss.position != self._position + 1:
                return  # the archive lacks what is before it
            self._position = loss.position
            if (kept := loss.resumed) is not None:
                self._fold.resume(ProjectedOrder(kept.order, kept.hash, list(kept.positions)))

    async def _fold_page(self, page: Page) -> None:
        try:
            events = page.events()
        except msgspec.DecodeError as error:
            raise RebuildError(
                f"an event after {self._position} cannot be read: {error}"
            ) from error
        start = 0
        while start < len(events):
            stop = min(start + YIELD_EVENTS, len(events))
            try:
                self._fold.extend(page, events, start, stop)
                start = stop
                await asyncio.sleep(0)
            except OrderNotHeld as absent:
                await self._restore(absent.order_id)
                start = absent.at
            except Poison as error:
                raise RebuildError(str(error)) from error
        self._unsaved += len(events)
        if self._unsaved >= SAVE_EVENTS:
            await self._save(self._fold.take() if self._indexed else self._fold.take_ended())

    async def _restore(self, order_id: str) -> None:
        """Loads an order that had ended: an event may follow the last status."""
        await self._save(self._fold.take())
        await self._saved()
        orders = await tables.load_orders(self._writing, [order_id], TABLE)
        if not orders:
            raise RebuildError(f"order {order_id} does not begin with version 1")
        self._fold.hold(orders[0])

    async def _save(self, changes: Changes) -> None:
        """Starts to write the rows that changed; folding continues meanwhile."""
        self._unsaved = 0
        await self._saved()
        self._saving = asyncio.create_task(self._write(changes))

    async def _write(self, changes: Changes) -> None:
        # The last chunk has all orders that have not ended, however many there are.
        within_s = copy_watchdog.WRITE_S * (1 + len(changes.rows) // SAVE_EVENTS)
        async with aborting_on_disconnect(self._writing, within_s=within_s):
            await tables.write_orders(self._writing, TABLE, changes)
        self._fold.drop(changes.ended)

    async def _saved(self) -> None:
        if self._saving is not None:
            saving, self._saving = self._saving, None
            await saving
