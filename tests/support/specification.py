"""`given(history).when(decide, answer).then(facts)`: what a pure decision makes of a history.

`given` folds events to the state that is decided on: an order, the engine's switch or the API keys.
`when` makes the decision, and each `then` compares all that came of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from events.hash_chain import GENESIS, EventBatch, new_events
from events.order import Order
from events.order.transitions import NEXT
from events.status import EngineStatus
from events.streams import EngineState, KeyRing, copied
from events.streams.system_fold import ENGINE_NEXT, KEYS_NEXT
from events.types import Fact
from stages.runtime.stage import NotYet

S = TypeVar("S", Order, EngineState, KeyRing)
P = ParamSpec("P")
F = TypeVar("F", bound=Fact)
E = TypeVar("E", bound=Exception)

Answer = Sequence[Fact] | Fact | tuple[Fact, int] | NotYet | None
"""What a decision returns: facts, a fact and a wait in ms, or that it is made again later."""


def given(*history: Fact, time_us: int = 1000) -> Specification[Order]:
    """An order with this history, each event written at `time_us`."""
    return Specification(Order("id-1")).followed_by(*history, time_us=time_us)


def given_engine(*history: Fact) -> Specification[EngineState]:
    """The engine's switch with this history."""
    return Specification(EngineState()).followed_by(*history)


def given_keys(*history: Fact) -> Specification[KeyRing]:
    """The API keys with this history."""
    return Specification(KeyRing()).followed_by(*history)


class Specification(Generic[S]):
    """A state, before the decision."""

    def __init__(self, state: S) -> None:
        self.state: S = state

    def followed_by(self, *history: Fact, time_us: int = 1000) -> Specification[S]:
        """The same stream after more events. Fails for one that the transitions do not allow."""
        state: S = self.state
        for fact in history:
            assert type(fact) in _allowed(state), f"{type(fact).__name__} cannot follow {state}"
            batch: EventBatch[S] = new_events(state, GENESIS, [fact], time_us=time_us, build="test")
            state = batch.order
        return Specification(state)

    def when(
        self,
        decide: Callable[Concatenate[S, P], Answer],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Decision:
        """Makes the decision. Fails where it changes the state that it was shown."""
        before = copied(self.state)
        try:
            decision = Decision(decide(self.state, *args, **kwargs))
        except Exception as error:
            decision = Decision(error)
        assert self.state == before, "a decision is pure"
        return decision


class Decision:
    """What came of a decision."""

    def __init__(self, answer: Answer | Exception) -> None:
        self._answer = answer

    def then(self, *facts: Fact) -> None:
        """It was exactly these facts, to be written at once; none: nothing is to be done."""
        assert self._facts() == (list(facts), 0)

    def then_retry(self, fact: Fact, wait_ms: int) -> None:
        """It was this fact, and another attempt after so many ms."""
        assert self._facts() == ([fact], wait_ms)

    def then_one(self, kind: type[F], **fields: object) -> F:
        """It was one fact of this class; `fields` are those that matter. Returns the fact."""
        facts, _ = self._facts()
        assert [type(fact) for fact in facts] == [kind]
        _assert_fields(facts[0], fields)
        return facts[0]  # type: ignore[return-value]  # the classes were compared above

    def then_kinds(self, *kinds: type[Fact]) -> None:
        """It was one fact of each of these classes, in this order."""
        assert [type(fact) for fact in self._facts()[0]] == list(kinds)

    def then_wait(self) -> None:
        """It is to be made again later: nothing is written."""
        if isinstance(self._answer, Exception):
            raise self._answer
        assert isinstance(self._answer, NotYet), self._answer

    def then_refused(self, kind: type[E], match: str = "", **fields: object) -> None:
        """It raised this; `match` is searched for in the text, `fields` are its attributes."""
        assert type(self._answer) is kind, self._answer
        assert re.search(match, str(self._answer))
        _assert_fields(self._answer, fields)

    def _facts(self) -> tuple[list[Fact], int]:
        answer = self._answer
        match answer:
            case Exception():
                raise answer
            case None:
                return [], 0
            case Fact():
                return [answer], 0
            case (Fact() as fact, int(wait_ms)):
                return [fact], wait_ms
            case NotYet():
                raise AssertionError("it is to be made again later")
        facts: Any = answer  # a sequence of facts: the pair is dealt with above
        return list(facts), 0


def _allowed(state: Order | EngineState | KeyRing) -> frozenset[type[Fact]]:
    """The events that may follow a state."""
    match state:
        case Order():
            return frozenset(NEXT[state.status if state.version else None])
        case EngineState():
            return frozenset(ENGINE_NEXT[state.status if state.version else None])
        case KeyRing():
            return frozenset(KEYS_NEXT[EngineStatus.RUNNING if state.version else None])


def _assert_fields(thing: object, fields: dict[str, object]) -> None:
    assert {name: getattr(thing, name) for name in fields} == fields
