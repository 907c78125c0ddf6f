"""The loop of optimistic concurrency: load, decide, append at the version that was read.

After a conflict with another writer, the command is decided again on the new state. The own append
may also be the cause: it was written, its reply was lost, and another writer followed. So after
each conflict the history is searched for the hash of the own attempt. An attempt that got a
conflict cannot be written later: versions only grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple

from events.log import EMPTY, AppendRequest, AppendStatus, EventLog, OrderHead, head_of, state_in
from events.streams import S, State
from events.types import Fact

TRIES = 20
"""The most attempts of a command; an order has fewer events than that before it is sent."""
APPEND_S = 5.0
"""How long the log may take to answer an append."""

Read = Callable[[OrderHead | None], Awaitable[S]]
"""Returns the state of a head, or raises an exception that ends the command."""

Decide = Callable[[S], Awaitable[Sequence[Fact]]]
"""Returns the new events, none for a no-op, or raises an exception that refuses the command."""


class KeepsChanging(Exception):
    """Every attempt met a conflict with another writer; nothing was written."""

    def __init__(self, state: State) -> None:
        super().__init__("the stream keeps changing")
        self.state = state


class NotTaken(Exception):
    """The log refused the append, for example while it is suspended; nothing was written."""

    def __init__(self, result: AppendStatus, state: State) -> None:
        super().__init__(result.value)
        self.result = result
        self.state = state


class Executed(NamedTuple, Generic[S]):
    """The result of a command."""

    facts: Sequence[Fact]
    """The written facts; empty for a no-op."""
    after: S
    """The state after these facts."""
    now: S
    """The newest known state, which may include later events."""


async def execute(
    log: EventLog, stream_id: str, decide: Decide[S], *, read: Read[S], tries: int = TRIES
) -> Executed[S]:
    """Appends the events that `decide` returns for the current state of a stream.

    Raises KeepsChanging, NotTaken, the exceptions of `read` and `decide`, or LogError. After
    `OutcomeUnknown`, a LogError, the facts may have been written.
    """
    for _ in range(tries):
        head = (await log.load([stream_id]))[0]
        state = await read(head)
        facts = await decide(state)
        if not facts:
            return Executed((), state, state)
        request, after = log.build_append_of(head or EMPTY, state, facts)
        result = (await log.append([request], timeout_s=APPEND_S))[0].status
        if result is AppendStatus.CREATED or (result is AppendStatus.EXISTS and request.old):
            return Executed(facts, after, after)
        if result not in (AppendStatus.CONFLICT, AppendStatus.EXISTS):
            raise NotTaken(result, state)
        if (newest := await _written(log, stream_id, request, state.version)) is not None:
            return Executed(facts, after, _newest(newest, after))
    raise KeepsChanging(state)


def always(decide: Callable[[S], Sequence[Fact]]) -> Decide[S]:
    """Wraps a synchronous decider."""

    async def decided(state: S) -> Sequence[Fact]:
        return decide(state)

    return decided


async def _written(
    log: EventLog, stream_id: str, request: AppendRequest, version: int
) -> OrderHead | None:
    """The current head, if this unit is among the events after `version`; else None.

    A creation may get `exists` for the event of another writer: the log only checks that there is a
    head.
    """
    head = (await log.load([stream_id]))[0]
    if head is None:
        return None
    own = head_of(request.new).hash
    if head.hash == own:
        return head
    newer = head.positions[-max(1, head.version - version) :]
    history = await log.history(newer)
    return head if any(stored.record.hash == own for stored in history) else None


def _newest(head: OrderHead, after: S) -> S:
    now = state_in(head, after.id)
    return now if isinstance(now, type(after)) else after
