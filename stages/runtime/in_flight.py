"""What one consumer works on: its tasks, and the leases of the inbox entries that they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from events.log import Delivery, Fenced, Inbox, InboxMessage, LogTruncated

_log = structlog.get_logger()


class InFlight:
    """Runs work in tasks, and tells the inbox which leases have ended."""

    def __init__(self, stage: str, inbox: Inbox) -> None:
        self._stage = stage
        self._inbox = inbox
        self.tasks: set[asyncio.Task[None]] = set()
        self.room = asyncio.Event()
        """Set when a delivery was settled or lost: more may be taken."""
        self.due_sooner = asyncio.Event()
        """Set when an order was added to the due-set."""
        self.failure: asyncio.Future[None] | None = None
        """Fails when a task meets a fenced or truncated log."""

    def spawn(
        self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery] = ()
    ) -> asyncio.Task[None]:
        """Runs work in a task of its own, which holds `deliveries`."""
        task = asyncio.create_task(self._guarded(work, deliveries))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # A task that is cancelled before its first step never starts the coroutine: close it.
        task.add_done_callback(lambda _: work.close())
        return task

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """These deliveries are acked: their leases end."""
        self._inbox.mark_acked(deliveries)
        self.room.set()

    def waiting(self) -> None:
        """An order was added to the due-set."""
        self.due_sooner.set()

    async def split(self, message: InboxMessage) -> None:
        """Replaces an inbox entry by one entry for each of its orders."""
        await self._inbox.split(message)

    async def _guarded(
        self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery]
    ) -> None:
        """Only a fenced or truncated log ends the process; any other error costs a lease."""
        try:
            await work
        except (Fenced, LogTruncated) as error:
            if self.failure is not None and not self.failure.done():
                self.failure.set_exception(error)
        except Exception:
            # The lease is no longer renewed: another worker gets the entry, its deliveries counted.
            _log.exception("stage_task_failed", stage=self._stage)
            self._inbox.nack(deliveries)
            self.room.set()
