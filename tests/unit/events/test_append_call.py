"""The encoding of an append call: which keys and arguments the append function is given."""

from __future__ import annotations

import struct

import pytest
from msgspec.structs import replace

from events.log import AppendRequest, Idempotency, Keys, ack_only
from events.log.append_call import FIXED_KEYS, FLAGS, encode_units, fixed_keys
from events.log.append_request import Delivery
from events.order import STAGES

KEYS = Keys()
CREATION = AppendRequest(
    order_id="a" * 36, old=b"", new=b"head", owes=1, events=2, records=b"records", wake=False
)
NEXT = replace(CREATION, order_id="b" * 36, old=b"old", owes=2, events=1)


def decoded(meta: object) -> tuple[int, ...]:
    """events, owes, flags, idempotency keys, entry, index, wait_ms, not_after_ms,
    wait_reason.
    """
    assert isinstance(meta, bytes)
    return struct.unpack("<BBBBHHIQB", meta)


def test_a_creation_is_its_head_and_its_records() -> None:
    call = encode_units([CREATION], KEYS)
    meta, *values = call.arguments
    assert decoded(meta) == (2, 1, FLAGS["CREATE"], 0, 0, 0, 0, 0, 0)
    assert values == [b"", b"head", b"records"]
    assert call.keys == [KEYS.order(CREATION.order_id)]
    assert (call.entries, call.units, call.events, call.creates) == (0, 1, 2, True)


@pytest.mark.parametrize(
    ("request_", "flags", "creates"),
    [
        (replace(NEXT, wake=True), {"WAKE"}, False),
        (replace(NEXT, sends=True), {"SEND"}, False),
        (replace(NEXT, halts=True), {"HALT"}, False),
        (replace(NEXT, halts=False), {"RESUME"}, False),
        (replace(NEXT, expires_ms=0), {"EXPIRES"}, False),
        (replace(CREATION, halts=True), {"CREATE", "HALT"}, False),  # possible without memory
        (replace(CREATION, halts=False), {"CREATE", "RESUME"}, True),
        (replace(CREATION, events=0), set(), False),
    ],
)
def test_the_flags_of_a_unit_encode_its_options(
    request_: AppendRequest, flags: set[str], creates: bool
) -> None:
    call = encode_units([request_], KEYS)
    assert decoded(call.arguments[0])[2] == sum(FLAGS[name] for name in flags)
    assert call.creates is creates


def test_names_and_expiry_follow_the_records_and_all_keys_follow_the_heads() -> None:
    named = replace(CREATION, idempotency=Idempotency(("first", "second"), b"value"), expires_ms=7)
    ended = replace(NEXT, idempotency=Idempotency(("third",)))
    call = encode_units([named, ended], KEYS)
    heads = [KEYS.order(request.order_id) for request in (named, ended)]
    assert call.keys == [*heads, "first", "second", "third"]
    assert call.arguments[1:6] == [b"", b"head", b"records", b"value", 7]
    assert call.arguments[7:] == [b"old", b"head", b"records", b""]
    assert [decoded(call.arguments[at])[3] for at in (0, 6)] == [2, 1]


def test_each_inbox_entry_is_encoded_once_and_units_refer_to_it_by_index() -> None:
    deliveries = [
        Delivery(2, b"5-0", 2, 1), Delivery(3, b"5-0", 1, 0), Delivery(2, b"5-0", 2, 0),
    ]  # fmt: skip
    call = encode_units([ack_only("c" * 36, each, wait_ms=9) for each in deliveries], KEYS)
    assert call.entries == 2
    assert call.arguments[:6] == [2, b"5-0", 2, 3, b"5-0", 1]
    metas = [decoded(meta) for meta in call.arguments[6::4]]
    assert [meta[4:7] for meta in metas] == [(1, 1, 9), (2, 0, 9), (1, 0, 9)]
    assert {meta[2] for meta in metas} == {FLAGS["WAKE"]}
    assert call.events == 0


def test_a_header_counts_entries_units_and_events() -> None:
    call = encode_units([CREATION, NEXT], KEYS)
    header = call.header(b"3", "5", "run", inbox_orders=128, window_ms=60)
    assert [*header] == [b"3", "5", len(STAGES), 0, 2, 3, 128, 60, "run"]
    assert fixed_keys(KEYS)[: len(FIXED_KEYS)] == [
        KEYS.meta, KEYS.log, KEYS.open, KEYS.parked, KEYS.owed, KEYS.expiry, KEYS.book,
        KEYS.aliases,
    ]  # fmt: skip
    assert fixed_keys(KEYS)[len(FIXED_KEYS) :] == [
        key for stage in STAGES for key in (KEYS.inbox(stage), KEYS.due(stage), KEYS.shares(stage))
    ]
