"""Chunks of the log folded into the rows of one transaction.

An event that cannot be folded parks its order: it is archived, and no later event of the order is
folded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import asyncpg
import structlog

from events.archive import Checkpoint
from events.hash_chain import follows
from events.log import Reason, Stored
from events.telemetry.error_text import error_text
from events.types import Event
from projections.postgres import tables
from projections.postgres.batcher import Chunk
from projections.postgres.order_rows import OrderFold, Poison
from projections.postgres.stopped import Refused
from projections.postgres.tables import Parked, ProjectionBatch
from projections.postgres.unreadable import Unreadable, read_event

YIELD_EVENTS = 250
"""Events folded before the transaction under way gets a turn of the loop."""

_log = structlog.get_logger()


class ChunkFold:
    """The open orders and the parked ones, up to `checkpoint`."""

    def __init__(
        self, connection: asyncpg.Connection, written: Callable[[], Awaitable[None]]
    ) -> None:
        """`written` waits until the transaction under way has ended."""
        self._connection = connection
        self._written = written
        self._fold = OrderFold()
        self._parked: set[str] = set()
        self.checkpoint = Checkpoint(0, 0, b"", 0, 0, None)
        """Through where events are folded; Postgres may be one chunk behind."""
        self.refusal: Refused | None = None
        """Ends the session once the events before it are written."""

    async def resume(self, checkpoint: Checkpoint) -> None:
        """Drops what was folded and continues from a checkpoint."""
        self._fold.clear()
        self.checkpoint = checkpoint
        self._parked = await tables.load_parked(self._connection)

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Drops what was folded; the orders parked meanwhile stay parked."""
        self._fold.clear()
        self.checkpoint = checkpoint

    def drop(self, order_ids: Collection[str]) -> None:
        """Drops orders that ended and whose rows are written."""
        self._fold.drop(order_ids)

    async def fold(self, chunk: Chunk, *, refused: str = "") -> ProjectionBatch:
        """Folds a chunk up to the first event that does not continue the log.

        `refused`: why the chunk's only event must not be folded. Raises Refused where the first
        event does not continue the log; a later one is kept as `refusal`.
        """
        read = [read_event(stored.record.body, refused) for stored in chunk.events]
        await self._load([event for event in read if isinstance(event, Event)])
        rows: list[tuple[Any, ...]] = []
        parked: list[Parked] = []
        for number, (stored, event) in enumerate(zip(chunk.events, read, strict=True)):
            if number % YIELD_EVENTS == 0:
                await asyncio.sleep(0)
            position, time_us, record = stored
            if (refusal := self.judge(stored, event)) is not None:
                if not rows:
                    raise refusal
                self.refusal = refusal
                chunk = Chunk(chunk.events[:number], chunk.entries)
                break
            rows.append(
                (position, time_us, event.order_id, event.version, event.name, record.hash,
                 record.body)
            )  # fmt: skip
            if fault := self._apply(position, record.hash, event):
                parked.append(Parked(event.order_id, fault, position))
        before = self.checkpoint
        self.checkpoint = before._replace(
            position=chunk.last, digest=chunk.digest, time_us=chunk.events[-1].time_us
        )
        return ProjectionBatch(before, self.checkpoint, rows, self._fold.take(), parked)

    async def _load(self, events: Sequence[Event]) -> None:
        absent = self._fold.absent(events) - self._parked
        if not absent:
            return
        await self._written()  # else the table may be older than what was dropped
        for order in await tables.load_orders(self._connection, sorted(absent)):
            self._fold.hold(order)

    def judge(self, stored: Stored, event: Event | Unreadable) -> Refused | None:
        """Returns why the log cannot have written an event, judged by its order's chain.

        A row that is behind the log is not a fault of the log.
        """
        if event.order_id in self._parked or (isinstance(event, Unreadable) and not event.version):
            return None
        version, digest = self._fold.known(event.order_id)
        if event.version <= version:
            detail = f"version {event.version} of order {event.order_id}, which has {version}"
            return Refused(stored.position, Reason.DUPLICATE, detail)
        if event.version == version + 1 and not follows(
            digest, bytes(stored.record.body), stored.record.hash
        ):
            detail = f"version {event.version} of order {event.order_id} is not what was hashed"
            return Refused(stored.position, Reason.NOT_CHAINED, detail)
        return None

    def _apply(self, position: int, digest: bytes, event: Event | Unreadable) -> str:
        """Folds an event; returns why it cannot be folded, or an empty string."""
        if event.order_id in self._parked:
            return "an earlier event could not be folded"
        try:
            if isinstance(event, Unreadable):
                raise Poison(event.reason)
            self._fold.apply(position, digest, event)
        except Exception as error:  # a fold that raises must not hold up other orders
            _log.error(
                "projection_parked",
                order_id=event.order_id,
                position=position,
                error=error_text(error),
            )
            self._parked.add(event.order_id)
            return str(error) or error_text(error)
        return ""
