"""The streams beside orders: their states, permitted events, and stored form."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from events import order as orders
from events import streams
from events import types as t
from events.hash_chain import GENESIS, new_events
from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.log.head import NO_STAGE, next_stage_code
from events.order import Order
from events.streams import ApiKey, EngineState, KeyRing, State, older_builds
from events.types import EngineStatus, Event, Status

HALTED = t.EngineHalted("odd", "ann")
RESUMED = t.EngineResumed("fine", "ann")
CREATED = t.KeyCreated("k1", "main", ("read", "trade"), b"\1\2", "bot", 5, "ann")
OTHER = t.KeyCreated("k2", "main", ("read",), b"\7", "bot", 0, "ann")
ROTATED = t.KeyRotated("k1", b"\3", 9, "ann")
REVOKED = t.KeyRevoked("k2", "lost", "ann")

_ID = "d92466666666666666662d666666662d666666662d666666662d6666666666666666666666"
_BETWEEN = "a0a000000000c0c0c0c00505a0a0c0a0c00000c2a0a0c0a0a0"
STORED: dict[str, tuple[str, Sequence[t.Fact]]] = {
    "halted": (
        f"dc0037{_ID}66a001a668616c746564a6656e67696e65{_BETWEEN}"
        "a36f6464a0a0c0a000c2000000c0c090c20000900000a0009090a0a0",
        [HALTED],
    ),
    "resumed": (
        f"dc0037{_ID}66a002a772756e6e696e67a6656e67696e65{_BETWEEN}"
        "a466696e65a0a0c0a000c2000000c0c090c20000900000a0009090a0a0",
        [HALTED, RESUMED],
    ),
    "keys": (
        f"dc0037{_ID}65a004a772756e6e696e67a46b657973{_BETWEEN}"
        "a0a0a0c0a000c2000000c0c090c200009199a26b31a46d61696e92a472656164a57472616465c40103a3626f74"
        "0505c4020102090000a0009090a0a0",
        [CREATED, OTHER, ROTATED, REVOKED],
    ),
}
"""What the builds stored that kept these states as orders, and the events that had led there."""


def events_of(facts: Sequence[t.Fact]) -> list[Event]:
    stream_id = (
        ENGINE_STREAM_ID if isinstance(facts[0], t.EngineHalted | t.EngineResumed) else KEYS_ID
    )
    state = streams.new_state(stream_id)
    return new_events(state, GENESIS, facts, time_us=5, build="b").events


def after(*facts: t.Fact) -> State:
    state = streams.fold(events_of(facts))
    assert state is not None
    return state


@pytest.mark.parametrize("name", STORED)
def test_stored_bytes_of_older_builds_decode_and_encode_unchanged(name: str) -> None:
    pinned, facts = STORED[name]
    body = bytes.fromhex(pinned)
    assert streams.encode(after(*facts)) == body
    assert streams.decode(body) == after(*facts)
    assert older_builds.basis(streams.decode(body)) == body
    assert older_builds.adds(body, older_builds.NOTHING_ADDED)


def test_a_stored_state_without_the_newest_fields_is_decoded() -> None:
    short = msgspec.msgpack.decode(bytes.fromhex(STORED["halted"][0]))[:40]
    assert streams.decode(msgspec.msgpack.encode(short)) == after(HALTED)


def test_the_stored_bytes_of_an_order_do_not_change() -> None:
    body = bytes.fromhex(
        "dc0037a469642d31a000a770656e64696e67a66d61726b6574a0a000000000c0c0c0c00000a0a0c0a0c00000c2"
        "a0a0c0a0a0a0a0a0c0a000c2000000c0c090c20000900000a0009090a0a0"
    )
    assert streams.encode(Order("id-1")) == orders.encode(Order("id-1")) == body
    assert streams.decode(body) == Order("id-1")


@pytest.mark.parametrize("name", STORED)
def test_a_stored_engine_or_key_state_is_not_decoded_as_an_order(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        orders.decode(bytes.fromhex(STORED[name][0]))


def test_undecodable_state_bytes_are_refused() -> None:
    body = msgspec.msgpack.decode(bytes.fromhex(STORED["halted"][0]))
    body[4] = "strange"
    for bad in (b"", b"\xc1", b"\x90", msgspec.msgpack.encode(body)):
        with pytest.raises(msgspec.DecodeError):
            streams.decode(bad)


def test_the_switch_is_halted_and_runs_with_the_reason_of_the_last_event() -> None:
    life = [HALTED, RESUMED, t.EngineHalted("again", "bob")]
    assert [event.status for event in events_of(life)] == ["halted", "running", "halted"]
    state = after(*life)
    assert isinstance(state, EngineState)
    assert (state.id, state.status, state.reason, state.version) == (
        ENGINE_STREAM_ID, EngineStatus.HALTED, "again", 3,
    )  # fmt: skip


def test_keys_are_created_rotated_and_revoked() -> None:
    state = after(CREATED, OTHER, ROTATED, REVOKED)
    assert isinstance(state, KeyRing)
    key = ApiKey("k1", "main", ("read", "trade"), b"\3", "bot", 5, 5, b"\1\2", 9)
    assert state.keys == (key,)
    assert {event.status for event in events_of([CREATED, REVOKED])} == {"running"}


def test_a_change_of_one_key_leaves_the_others() -> None:
    created = (
        ApiKey("k1", "main", ("read", "trade"), b"\1\2", "bot", 5, 5),
        ApiKey("k2", "main", ("read",), b"\7", "bot", 5),
    )
    rotated = ApiKey("k1", "main", ("read", "trade"), b"\3", "bot", 5, 5, b"\1\2", 9)
    for facts, keys in (
        ([CREATED, OTHER], created),
        ([CREATED, OTHER, ROTATED], (rotated, created[1])),
        ([CREATED, OTHER, REVOKED], created[:1]),
    ):
        state = after(*facts)
        assert isinstance(state, KeyRing)
        assert (state.keys, state.created_at_us) == (keys, 5)


def test_engine_and_key_streams_have_no_stage_and_are_never_terminal() -> None:
    for state in (after(HALTED), after(HALTED, RESUMED), after(CREATED)):
        assert next_stage_code(state) == NO_STAGE
        assert not state.terminal


@pytest.mark.parametrize(
    ("stream_id", "before", "allowed"),
    [
        (ENGINE_STREAM_ID, [], {t.EngineHalted}),
        (ENGINE_STREAM_ID, [HALTED], {t.EngineResumed}),
        (ENGINE_STREAM_ID, [HALTED, RESUMED], {t.EngineHalted}),
        (KEYS_ID, [], {t.KeyCreated}),
        (KEYS_ID, [CREATED], {t.KeyCreated, t.KeyRotated, t.KeyRevoked}),
        ("id-1", [], {t.OrderSubmitted}),
    ],
)
def test_each_state_permits_its_next_events_only(
    stream_id: str, before: Sequence[t.Fact], allowed: set[type[t.Fact]]
) -> None:
    state = after(*before) if before else None
    assert {k for k in t.FACTS.values() if streams.may_follow(state, stream_id, k)} == allowed


def test_an_event_of_another_stream_changes_nothing_but_the_version() -> None:
    """Only a damaged log has one: the audit tells, the fold never raises."""
    submitted = t.OrderSubmitted("market", "SOL", "USDC", 9, 6, 1, 50)
    state = after(HALTED, submitted, CREATED)
    assert isinstance(state, EngineState)
    assert (state.status, state.reason, state.version) == (EngineStatus.HALTED, "odd", 3)
    ring = after(CREATED, HALTED, submitted)
    assert isinstance(ring, KeyRing)
    assert ([key.id for key in ring.keys], ring.version) == (["k1"], 3)
    order = orders.fold(
        new_events(Order("id-1"), GENESIS, [submitted, HALTED], time_us=1, build="").events
    )
    assert order is not None
    assert (order.status, order.type, order.version) == (Status.PENDING, "market", 2)


def test_the_status_of_an_event_is_one_of_an_order_or_of_the_engine() -> None:
    named = {*Status, *EngineStatus}
    for status in named:
        event = Event("id-1", 1, 5, status, "", "", HALTED)
        assert t.decode(t.encode(event)) == event
    assert len(named) == len({str(status) for status in named}) == len(Status) + len(EngineStatus)
    unknown = t.encode(Event("id-1", 1, 5, "odd", "", "", HALTED))  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError):
        t.decode(unknown)
