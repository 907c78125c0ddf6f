"""A proof holds as it was given, and no other document does: however well a forger hashes."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from engine import cli
from events.audit.proof import faults_of, proof_of, summary_of
from events.hash_chain import GENESIS, decode_batch, new_events
from events.log import Stored
from events.order import Order
from events.types import (
    AttemptFailed,
    Event,
    Fact,
    OrderArmed,
    Status,
    TransactionBuilt,
    encode,
)
from tests.unit.events.test_order import LIFE

ORDER_ID = "id-1"
BUILT = next(at for at, fact in enumerate(LIFE) if isinstance(fact, TransactionBuilt))
Shown = dict[str, Any]


def proof(order_id: str = ORDER_ID, life: Sequence[Fact] = LIFE) -> dict[str, Any]:
    batch = new_events(Order(order_id), GENESIS, life, time_us=1, build="b")
    records = decode_batch(bytes([0x90 + len(life)]) + b"".join(batch.records))
    history = [Stored(at, 1, record) for at, record in enumerate(records, start=7)]
    document: dict[str, Any] = json.loads(json.dumps(proof_of(order_id, history)))
    return document


def rehashed(document: dict[str, Any]) -> dict[str, Any]:
    """With the hashes that belong to what stands there now."""
    previous = GENESIS
    for event in document["events"]:
        if event["body"] is None:
            content = bytes.fromhex(event["bodyHash"])
        else:
            content = base64.b64decode(event["body"])
        previous = sha256(previous + content).digest()
        event["hash"] = previous.hex()
    return document


def withhold(event: Shown) -> None:
    body = base64.b64decode(event["body"])
    event |= {"body": None, "bodyHash": sha256(body).hexdigest()}


def rename(event: Shown) -> None:
    event["event"] = "OrderFailed"


def flip(event: Shown) -> None:
    event["body"] = base64.b64encode(base64.b64decode(event["body"])[::-1]).decode()


def end_with_the_built_one(events: list[Shown]) -> None:
    del events[BUILT + 1 :]
    del events[BUILT - 1]


FORGERIES: dict[str, Callable[[list[Shown]], Any]] = {
    "the first event is missing": lambda events: events.pop(0),
    "an event in the middle is missing": lambda events: events.pop(2),
    "the event before a withheld last one is missing": end_with_the_built_one,
    "two events changed places": lambda events: events.insert(1, events.pop(2)),
    "an event stands there twice": lambda events: events.insert(1, copy.deepcopy(events[1])),
    "an event is withheld that may not be": lambda events: withhold(events[0]),
    "an event is shown under another name": lambda events: rename(events[1]),
    "bytes are not an event": lambda events: flip(events[1]),
    "a position does not increase": lambda events: events[2].update(position=events[1]["position"]),
}


def test_a_proof_holds_as_it_was_given_and_has_no_signed_bytes() -> None:
    document = proof()
    assert faults_of(document) == []
    built = document["events"][BUILT]
    assert built["body"] is None
    fact = LIFE[BUILT]
    assert isinstance(fact, TransactionBuilt)
    raw = fact.raw.reveal()
    bodies = b"".join(base64.b64decode(e["body"]) for e in document["events"] if e["body"])
    assert raw not in bodies
    assert base64.b64encode(raw).decode() not in json.dumps(document)


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_proof_that_was_changed_and_rehashed_is_refused(forged: str) -> None:
    document = proof()
    FORGERIES[forged](document["events"])
    assert faults_of(rehashed(document)) != []


def test_a_missing_event_is_detected_where_only_the_version_behind_it_shows_it() -> None:
    failed = AttemptFailed("builder", 1, "node-not-answering", "", 0)
    document = proof(life=[*LIFE[:BUILT], failed, LIFE[BUILT]])
    assert faults_of(document) == []
    del document["events"][BUILT]
    [fault] = faults_of(rehashed(document))
    assert "version" in fault


@pytest.mark.parametrize("at", range(len(LIFE)))
def test_a_change_of_any_hash_or_body_is_detected(at: int) -> None:
    for field in ("hash", "body", "bodyHash"):
        document = proof()
        event = document["events"][at]
        if event.get(field):
            text = event[field]
            event[field] = ("A" if text[0] != "A" else "B") + text[1:]
            assert faults_of(document) != [], field


def test_the_events_of_another_order_prove_nothing_of_this_one() -> None:
    assert faults_of(proof("id-2") | {"orderId": ORDER_ID}) != []


@pytest.mark.parametrize(
    "document",
    [{}, {"format": "x", "events": []}, proof() | {"events": []}, proof() | {"format": ""}],
)
def test_a_document_that_is_not_a_proof_has_one_fault(document: dict[str, Any]) -> None:
    assert len(faults_of(document)) == 1


def test_a_proof_from_before_an_event_was_renamed_still_holds() -> None:
    first = proof()["events"][0]
    shown = armed(first) | {"event": "OrderRested"}
    body = base64.b64decode(shown["body"]).replace(b"\xaaOrderArmed", b"\xabOrderRested")
    shown["body"] = base64.b64encode(body).decode()
    shown["hash"] = sha256(bytes.fromhex(first["hash"]) + body).hexdigest()
    assert faults_of(proof() | {"events": [first, shown]}) == []
    assert faults_of(proof() | {"events": [first, shown | {"event": "OrderRearmed"}]}) != []


def armed(previous: Shown) -> Shown:
    """The event that the order waits for its price, behind this one."""
    version = previous["version"] + 1
    body = encode(Event(ORDER_ID, version, 1, Status.WATCHING, "main", "b", OrderArmed(7)))
    return {
        "position": previous["position"] + 1,
        "version": version,
        "event": "OrderArmed",
        "hash": sha256(bytes.fromhex(previous["hash"]) + body).hexdigest(),
        "body": base64.b64encode(body).decode(),
    }


def test_an_event_that_cannot_follow_the_status_is_refused() -> None:
    events = proof()["events"]
    assert faults_of(proof() | {"events": [*events, armed(events[-1])]}) == [
        f"position {events[-1]['position'] + 1}: OrderArmed cannot follow confirmed"
    ]


def test_a_summary_has_status_and_last_hash_so_that_a_short_proof_can_be_recognised() -> None:
    document = proof()
    summary = summary_of(document)
    assert (summary.order_id, summary.events, summary.status, summary.ended) == (
        ORDER_ID, len(LIFE), Status.CONFIRMED, True,
    )  # fmt: skip
    assert summary.last_hash == document["events"][-1]["hash"]
    short = document | {"events": document["events"][:2]}
    assert faults_of(short) == []
    assert not summary_of(short).ended
    assert summary_of(short).last_hash != summary.last_hash


@pytest.mark.parametrize(
    ("expect", "code"), [(None, 0), ("right", 0), ("upper", 0), ("short", 1), ("of another", 1)]
)
def test_the_command_compares_the_last_hash(
    expect: str | None, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, path = proof(), tmp_path / "proof.json"
    last = document["events"][-1]["hash"]
    hashes = {
        "right": last, "upper": last.upper(), "short": last, "of another": "0" * 64,
    }  # fmt: skip
    if expect == "short":
        document["events"] = document["events"][:-1]
    path.write_text(json.dumps(document))
    options = [] if expect is None else ["--expect", hashes[expect]]
    assert cli.main(["audit", "check-proof", str(path), *options]) == code
    text = capsys.readouterr().out
    if code == 0:
        assert f"status     confirmed\nlast hash  {last}" in text
        assert ("--expect" in text) is (expect is None)
    else:
        assert last in text or "0" * 64 in text


@pytest.mark.parametrize("text", ["", "x", "ab", "g" * 64, "٣" * 64])
def test_a_hash_that_is_not_hex_is_refused(text: str) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["audit", "check-proof", "proof.json", "--expect", text])
    assert exited.value.code == 2
