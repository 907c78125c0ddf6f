"""The one loop of optimistic concurrency: load, decide, append at the version that was read.

Where another writer was faster, the command is decided again by what stands then. A conflict may
also be our own: the first call was written, its answer was lost, and somebody else followed. So
after each conflict the history is searched for the hash of our own attempt. An attempt that met a
conflict cannot be written later: versions only grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple

from events.log import EMPTY, AppendRequest, AppendStatus, EventLog, OrderHead, head_of, state_in
from events.streams import S, State
from events.types import Fact

TRIES = 20
"""So often a command is decided anew; an order has fewer events than that before it is sent."""
APPEND_S = 5.0
"""How long the log may take to answer an append."""

Read = Callable[[OrderHead | None], Awaitable[S]]
"""The state that a head holds. Raises what ends the command where there is none."""

Decide = Callable[[S], Awaitable[Sequence[Fact]]]
"""The events that follow; none: there is nothing to do. Raises what refuses the command."""


class KeepsChanging(Exception):
    """Another writer was faster in every attempt; nothing was written."""

    def __init__(self, state: State) -> None:
        super().__init__("the stream keeps changing")
        self.state = state


class NotTaken(Exception):
    """The log refuses appends of this kind now; nothing was written."""

    def __init__(self, result: AppendStatus, state: State) -> None:
        super().__init__(result.value)
        self.result = result
        self.state = state


class Executed(NamedTuple, Generic[S]):
    """What a command did."""

    facts: Sequence[Fact]
    """What was written; empty where there was nothing to do."""
    after: S
    """The state as these facts left it."""
    now: S
    """The newest state that is known: others may have followed."""


async def execute(
    log: EventLog, stream_id: str, decide: Decide[S], *, read: Read[S], tries: int = TRIES
) -> Executed[S]:
    """Raises KeepsChanging, NotTaken, what `read` and `decide` raise, or LogError.

    `OutcomeUnknown`, a LogError, means that it is not known whether the facts were written.
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
    """A pure decider, which asks nobody."""

    async def decided(state: S) -> Sequence[Fact]:
        return decide(state)

    return decided


async def _written(
    log: EventLog, stream_id: str, request: AppendRequest, version: int
) -> OrderHead | None:
    """The head as it is now, if this unit is among the events behind `version`; else None.

    The answer of a creation may be `exists` for the event of another writer: the log asks only
    whether there is a head.
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
