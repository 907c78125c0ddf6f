"""What one consumer has in hand: its tasks, and the leases of the entries that they work on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from events.log import Delivery, Fenced, Inbox, InboxMessage, LogTruncated

_log = structlog.get_logger()


class Hands:
    """Runs work in tasks of its own, and tells the inbox which leases are over."""

    def __init__(self, stage: str, inbox: Inbox) -> None:
        self._stage = stage
        self._inbox = inbox
        self.tasks: set[asyncio.Task[None]] = set()
        self.room = asyncio.Event()
        """Set where something was settled, or lost: more may be taken."""
        self.due_sooner = asyncio.Event()
        """Set where something went to the due-set."""
        self.failure: asyncio.Future[None] | None = None
        """Fails once the log has changed under a task."""

    def spawn(
        self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery] = ()
    ) -> asyncio.Task[None]:
        """Runs work in a task of its own; the entries of `shares` are in its hands."""
        task = asyncio.create_task(self._guarded(work, deliveries))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # A task that is cancelled before its first step has not begun the work: end that quietly.
        task.add_done_callback(lambda _: work.close())
        return task

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """These need no lease any more."""
        self._inbox.mark_acked(deliveries)
        self.room.set()

    def waiting(self) -> None:
        """Something of ours went to the due-set."""
        self.due_sooner.set()

    async def split(self, message: InboxMessage) -> None:
        """Puts each order of an entry back on its own."""
        await self._inbox.split(message)

    async def _guarded(
        self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery]
    ) -> None:
        """Only a changed log ends the process; a bug that got this far costs a lease."""
        try:
            await work
        except (Fenced, LogTruncated) as error:
            if self.failure is not None and not self.failure.done():
                self.failure.set_exception(error)
        except Exception:
            # Not renewed from here on, so another worker (or this one) is given it and counts.
            _log.exception("work lost its way", stage=self._stage)
            self._inbox.nack(deliveries)
            self.room.set()
