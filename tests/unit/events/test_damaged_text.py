"""Stored bytes whose text is not UTF-8 are damage with a position, wherever they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import pytest

from engine.recovery import reconcile
from events import streams, types
from events.archive import Page
from events.audit.invariants import Auditor
from events.audit.order_digests import normal
from events.audit.replay import Replay, Unreadable
from events.audit.status_counts import StatusCounter
from events.commands.idempotency import claim_of
from events.hash_chain import GENESIS, HashedEvent, encode_record, link, new_events
from events.ids import new_order_id
from events.log import PARKED, Delivery, EventLog, RawEntry, Reason, Stored
from events.log.entries import order_ids, tail_of
from events.log.head import OrderHead, decode_head
from events.log.inbox import ids_of
from events.order import Order
from events.streams import EngineState
from projections.feed.frames import Envelope, Frame
from stages.runtime.settle import is_intact, park_unreadable
from tests.support.log.played import ACCOUNT, submitted

ORDER_ID = new_order_id()
BODY = new_events(
    Order(ORDER_ID, account=ACCOUNT), GENESIS, [submitted()], time_us=1, build="b"
).records[0][35:]
BROKEN = BODY.replace(ORDER_ID.encode(), b"\xff" * 36)
RENAMED = BODY.replace(b"\xaeOrderSubmitted", b"\xabOrderRested").replace(
    b"\xa6market", b"\xa1\xff"
)
"""Under a former name an event is read a second time."""
NESTED = b"\x91" * 100_000
TOO_DEEP = RENAMED.replace(b"\xa1\xff", NESTED)
STORED = Stored(1, 1, HashedEvent(link(GENESIS, BROKEN), msgspec.Raw(BROKEN)))
ORDER = Order(ORDER_ID, account=ACCOUNT)
STATES: list[streams.State] = [ORDER, EngineState(ORDER_ID, ACCOUNT)]


def broken(state: streams.State) -> bytes:
    return streams.encode(state).replace(ORDER_ID.encode(), b"\xff" * 36)


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_not_decoded(state: streams.State) -> None:
    with pytest.raises(msgspec.DecodeError):
        streams.decode(broken(state))
    assert normal(broken(state)) is None
    head = OrderHead(1, GENESIS, 1, (1,), broken(state))
    with pytest.raises(msgspec.DecodeError):
        _ = head.order
    with pytest.raises(msgspec.DecodeError):
        _ = head.state


def test_a_body_that_nests_too_deep_is_not_decoded() -> None:
    nested = streams.encode(ORDER)[:1] + NESTED
    with pytest.raises(msgspec.DecodeError):
        streams.decode(nested)
    head = decode_head((200).to_bytes(4) + GENESIS + b"\x01" + nested + bytes(8 * 200))
    with pytest.raises(msgspec.DecodeError):
        _ = head.order


@pytest.mark.parametrize("body", [BROKEN, RENAMED, TOO_DEEP])
@pytest.mark.parametrize("decode", [types.decode, lambda body: types.decode_many(b"\x91" + body)])
def test_the_codec_raises_one_error(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body)


class HoldsOneEvent:
    """A log that holds one event and nothing else."""

    build = "b"

    def __init__(self, body: bytes) -> None:
        self._stored = Stored(1, 1, HashedEvent(link(GENESIS, body), msgspec.Raw(body)))

    async def history(self, _: Sequence[int]) -> list[Stored]:
        return [self._stored]


@pytest.mark.parametrize("body", [BROKEN, b"\x97" + NESTED, b"\x07"])
async def test_a_head_whose_event_is_not_decoded_is_not_intact(body: bytes) -> None:
    log = cast(EventLog, HoldsOneEvent(body))
    head = OrderHead(1, link(GENESIS, body), 1, (1,), b"")
    assert not await is_intact(log, ORDER_ID, head)
    delivery = Delivery(1, b"1-0", 1, 0)
    request = await park_unreadable(log, "router", ORDER_ID, head, delivery, ValueError("odd"))
    assert request.owes == PARKED


@pytest.mark.parametrize("body", [BROKEN, RENAMED])
def test_an_event_with_damaged_text_is_reported_unreadable_at_its_position(body: bytes) -> None:
    record = HashedEvent(GENESIS, msgspec.Raw(body))
    with pytest.raises(msgspec.DecodeError):
        record.event()
    auditor = Auditor()
    auditor.event(Stored(1, 1, record))
    assert [(p.position, p.code) for p in auditor.problems] == [(1, "unreadable")]
    assert not auditor.follows(Stored(1, 1, record))


def test_a_log_entry_names_no_orders_and_is_refused_as_damaged() -> None:
    data = b"\x91" + encode_record(GENESIS, BROKEN)
    entry = RawEntry("7-0", (b"t", b"1", b"b", data))
    assert order_ids([entry]) == set()
    [refused] = tail_of([entry], 6, {}).refused
    assert (refused.position, refused.reason) == (7, Reason.DAMAGED)


def test_a_log_entry_that_nests_too_deep_is_refused_as_damaged() -> None:
    entry = RawEntry("7-0", (b"t", b"1", b"b", NESTED))
    [refused] = tail_of([entry], 6, {}).refused
    assert (refused.position, refused.reason) == (7, Reason.DAMAGED)


@pytest.mark.parametrize(
    "read", [lambda page: page.events(), lambda page: StatusCounter().page(page)]
)
def test_a_page_of_the_archive_is_not_decoded(read: Callable[[Page], object]) -> None:
    with pytest.raises(msgspec.DecodeError):
        read(Page.of([STORED]))


def test_a_replay_ends_at_its_position() -> None:
    with pytest.raises(Unreadable) as raised:
        Replay().page(Page.of([STORED]))
    assert raised.value.position == 1


def test_an_inbox_entry_keeps_the_places_of_its_orders() -> None:
    other = new_order_id()
    damaged, intact = ids_of(b"\xff" * 36 + other.encode())
    assert intact == other
    assert damaged != ORDER_ID
    assert claim_of(b"\xff" * 36 + b"digest").digest == b"digest"


NESTED = BODY[: BODY.index(b"OrderSubmitted") + 14] + b"\x91" * 100_000


@pytest.mark.parametrize("body", [BROKEN, RENAMED, NESTED])
def test_the_feed_shows_a_damaged_event_as_unknown(body: bytes) -> None:
    frame = Frame(Stored(1, 1, HashedEvent(GENESIS, msgspec.Raw(body))), "c")
    assert frame.event is None
    assert frame.name == "Unknown"


@pytest.mark.parametrize("body", [BROKEN, NESTED])
def test_a_damaged_envelope_names_no_order(body: bytes) -> None:
    assert reconcile.envelope_of(body) is None
    frame = Frame(Stored(1, 1, HashedEvent(GENESIS, msgspec.Raw(body))), "c")
    assert frame.envelope == Envelope()
