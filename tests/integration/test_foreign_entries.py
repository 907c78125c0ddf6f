"""Entries that the log did not write: no stage takes them, and the engine continues."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
import pytest
import redis.asyncio
from structlog.testing import capture_logs

from events.archive import Archive, ArchiveUnavailable
from events.archive.history import order_history
from events.hash_chain import GENESIS, decode_batch, encode_record, link
from events.ids import new_order_id
from events.log import EventLog, Fenced, Reason
from events.metrics import REFUSALS
from projections.postgres.session import Session
from tests.support.http.served import served
from tests.support.log.played import Play, after_submission, submitted
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import until

Fields = dict[Any, Any]


async def newest(client: redis.asyncio.Redis, log: EventLog) -> tuple[int, Fields]:
    """Position and fields of the last entry."""
    xrevrange: Any = await client.xrevrange(log.keys.log, count=1)
    [(entry_id, fields)] = xrevrange
    return int(entry_id.split(b"-")[0]), fields


def batch(*records: bytes) -> bytes:
    return bytes([0x90 + len(records)]) + b"".join(records)


def copied(_: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """The last entry once more."""
    return f"{last + 1}-0", fields


def copied_far(_: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """… at the highest position there can be."""
    return f"{2**63}-0", fields


def between(_: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """… under an id that no append makes."""
    return f"{last}-1", fields


def garbage(_: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """Bytes that are not an event."""
    return f"{last + 1}-0", {b"t": b"1", b"b": b"\xc1 nonsense"}


def other_fields(_: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """Fields of another writer."""
    return f"{last + 1}-0", {b"hello": b"world"}


def unchained(log: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """The next version of an order, with a hash of its own."""
    record = decode_batch(fields[b"b"])[-1]
    event = msgspec.structs.replace(record.event(), version=record.event().version + 1)
    body = msgspec.msgpack.encode(event)
    return f"{last + 1}-0", {
        b"t": fields[b"t"],
        b"b": batch(encode_record(link(GENESIS, body), body)),
    }


def forged(log: EventLog, last: int, fields: Fields) -> tuple[str, Fields]:
    """A new order that no append wrote."""
    request, _ = log.build_creation(new_order_id(), "main", submitted())
    return f"{last + 1}-0", {b"t": fields[b"t"], b"b": batch(request.records)}


FOREIGN = {
    copied: Reason.DUPLICATE,
    copied_far: Reason.DUPLICATE,
    between: Reason.FOREIGN_ID,
    garbage: Reason.DAMAGED,
    other_fields: Reason.DAMAGED,
    unchained: Reason.NOT_CHAINED,
    forged: Reason.BEYOND_HEAD,
}


class Scene(NamedTuple):
    log: EventLog
    archive: Archive
    client: redis.asyncio.Redis
    play: Play


async def archived_positions(archive: Archive) -> list[int]:
    return [stored.position for stored in await archive.read(0, 10_000)]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
async def test_a_foreign_entry_is_refused_and_orders_continue(
    redis_url: str, database_url: str, kind: Any
) -> None:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
        redis.asyncio.from_url(redis_url) as client,
    ):
        play = Play(log)
        [order_id] = await play.create()
        await play.append([order_id], *after_submission())
        [waiting] = await play.create()
        end = await projected(log, archive)
        last, fields = await newest(client, log)
        entry_id, forged_fields = kind(log, last, fields)
        counted = REFUSALS.counts[FOREIGN[kind]]
        with capture_logs() as lines:
            await client.xadd(log.keys.log, forged_fields, id=entry_id)

            async def counted_once() -> bool:
                return REFUSALS.counts[FOREIGN[kind]] > counted

            await until(counted_once, what="the refusal")
            told = await log.foreign()
            assert [(refused.id, refused.reason) for refused in told.behind] == [
                (entry_id, FOREIGN[kind])
            ]
            assert await log.bounds() == (1, end)
            reader = log.reader("test")
            assert (await reader.read(end)) == []
            async for batches in reader.tail(end, block_ms=10):
                assert batches == []
                break
            await reader.close()
            # An append needs the place: what stands there is set aside.
            await play.append([waiting], *after_submission())
            [other] = await play.create()
            last = await projected(log, archive)
        assert last == end + 6
        assert await archived_positions(archive) == list(range(1, last + 1))
        assert (await archive.regression()) is None
        refusals = [line for line in lines if line["event"] == "log_entry_refused"]
        assert [(line["entry"], line["reason"]) for line in refusals] == [(entry_id, FOREIGN[kind])]
        assert [len(await order_history(archive, log, i)) for i in (order_id, waiting, other)] == [
            6, 6, 1,
        ]  # fmt: skip
        told = await log.foreign()
        assert (told.behind, told.aside) == ([], 1)
        [entry] = await log.aside()
        assert (entry.id, dict(zip(entry.fields[::2], entry.fields[1::2], strict=True))) == (
            entry_id,
            forged_fields,
        )
        assert await log.forget_aside() == 1
        assert not await log.foreign()


async def test_the_engine_accepts_orders_after_a_foreign_entry_is_deleted_by_hand(
    redis_url: str, database_url: str
) -> None:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
        redis.asyncio.from_url(redis_url) as client,
    ):
        play = Play(log)
        await play.live(3)
        last, fields = await newest(client, log)
        await client.xadd(log.keys.log, fields, id=f"{last + 1}-0")
        await client.xdel(log.keys.log, f"{last + 1}-0")
        await play.live(2)  # a stream never gives back an id that it has had
        end = await projected(log, archive)
        assert await archived_positions(archive) == list(range(1, end + 1))
        assert not await log.foreign()


async def test_a_position_behind_its_orders_sets_no_entry_aside(
    redis_url: str, database_url: str
) -> None:
    async with (
        opened(redis_url, database_url) as (log, _),
        redis.asyncio.from_url(redis_url) as client,
    ):
        play = Play(log)
        await play.live(3)
        await play.create()
        end = await log.position()
        await client.hset(log.keys.meta, "position", end - 1)
        request, _ = log.build_creation(new_order_id(), "main", submitted())
        with pytest.raises(Exception, match="engine repair"):
            await log.append([request], timeout_s=2.0)
        entries = await client.xlen(log.keys.log)
        assert await client.xlen(log.keys.aside) == 0
        assert entries == 7


async def test_the_log_is_whole_after_an_entry_was_set_aside_from_a_long_one(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.log.foreign_entries.COPIED_AT_ONCE", 7)
    async with (
        opened(redis_url, database_url) as (log, _),
        redis.asyncio.from_url(redis_url) as client,
    ):
        play = Play(log)
        for _ in range(10):
            await play.live(3)
        before: list[Any] = await client.xrange(log.keys.log) or []
        last, fields = await newest(client, log)
        await client.xadd(log.keys.log, fields, id=f"{last + 1}-0")
        await client.xadd(log.keys.log, fields, id=f"{last + 9}-3")
        [order_id] = await play.create()
        after: list[Any] = await client.xrange(log.keys.log) or []
        assert after[:-1] == before
        assert after[-1][0] == f"{last + 1}-0".encode()
        assert await client.pttl(log.keys.log) == -1
        assert [key async for key in client.scan_iter("oee:*:copy:*")] == []
        assert [head.version for head in await log.load([order_id]) if head] == [1]


async def test_readiness_and_metrics_name_the_entry_until_it_is_removed(redis_url: str) -> None:
    async with served(redis_url) as gateway, redis.asyncio.from_url(redis_url) as client:
        await gateway.accepted()
        last, fields = await newest(client, gateway.log)
        await client.xadd(gateway.log.keys.log, fields, id=f"{last + 1}-0")

        async def told(entries: int, reason: str) -> bool:
            status, state = await gateway.get("/readyz")
            assert status == 200  # orders continue
            return state["log"]["foreignEntries"] == entries and reason in state["reasons"].get(
                "entries", ""
            )

        await until(lambda: told(1, f"log entry {last + 1}-0 is refused (duplicate)"), what="it")
        async with gateway.http.get(gateway.url + "/metrics") as answer:
            assert "oee_log_foreign_entries 1.0" in await answer.text()
        await gateway.accepted()  # takes the place of it
        await until(lambda: told(1, "log entries set aside: 1"), what="the move")
        await gateway.log.forget_aside()
        await until(lambda: told(0, ""), what="readiness")
        assert (await gateway.get("/readyz"))[1]["reasons"] == {}


async def test_the_feed_hands_out_no_entry_that_the_log_did_not_write(redis_url: str) -> None:
    async with served(redis_url) as gateway, redis.asyncio.from_url(redis_url) as client:
        first = await gateway.accepted()
        async with gateway.http.ws_connect(f"{gateway.url}/api/events") as feed:
            last, fields = await newest(client, gateway.log)
            await client.xadd(gateway.log.keys.log, fields, id=f"{last + 1}-0")
            second = await gateway.accepted()
            seen: list[dict[str, Any]] = []
            while not seen or seen[-1].get("orderId") != second:
                frame = json.loads(await feed.receive_str(timeout=60))
                if "orderId" in frame:
                    seen.append(frame)
        assert [frame["orderId"] for frame in seen] == [second]
        assert seen[0]["position"] == last + 1
        assert first != second


# -- within the log --------------------------------------------------------------------------------


def edited(fields: Fields) -> Fields:
    """Another account in the last event, so that it is not what was hashed."""
    data = fields[b"b"]
    at = data.rindex(b"main")
    return {**fields, b"b": data[:at] + b"M" + data[at + 1 :]}


def broken(fields: Fields) -> Fields:
    return {**fields, b"b": b"\xc1" + fields[b"b"][1:]}


HARM: dict[str, Any] = {
    "edited": (edited, "not-chained"),
    "damaged": (broken, "is damaged"),
    "missing": (None, "the log goes from position 2 to 4"),
}


@pytest.mark.parametrize("name", HARM)
async def test_the_projector_stops_at_an_entry_that_does_not_follow_and_orders_continue(
    redis_url: str, database_url: str, name: str
) -> None:
    harm, reason = HARM[name]
    async with (
        opened(redis_url, database_url) as (log, archive),
        redis.asyncio.from_url(redis_url) as client,
    ):
        play = Play(log)
        ids = [(await play.create())[0] for _ in range(4)]
        entries: Any = await client.xrange(log.keys.log)
        await client.delete(log.keys.log)
        for number, (entry_id, fields) in enumerate(entries):
            if number != 2:
                await client.xadd(log.keys.log, fields, id=entry_id)
            elif harm is not None:
                await client.xadd(log.keys.log, harm(fields), id=entry_id)
        with capture_logs() as lines:
            async with projecting(redis_url, database_url):
                await until(lambda: _stopped(archive), what="the stop")
                await play.create()  # what was taken is safe in the log
                for _ in range(3):  # sessions come and go: the report of it stays
                    async with session_over():
                        assert reason in (await archive.regression() or "")
                assert await log.suspended() == ""
        assert await archived_positions(archive) == [1, 2]
        assert [i in await archive.orders(ids) for i in ids] == [True, True, False, False]
        assert len([line for line in lines if line["event"] == "projector_halted"]) == 1


@contextlib.asynccontextmanager
async def session_over() -> AsyncIterator[None]:
    """The next session of a projector has begun by the end of the block."""
    begin, over = Session.begin, asyncio.Event()

    async def noted(self: Session) -> None:
        await begin(self)
        over.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "begin", noted)
        yield
        async with asyncio.timeout(60):
            await over.wait()


async def _stopped(archive: Archive) -> bool:
    try:
        return await archive.regression() is not None
    except ArchiveUnavailable:  # not migrated yet
        return False


async def test_a_reader_of_one_epoch_reads_no_other(redis_url: str, database_url: str) -> None:
    async with (
        opened(redis_url, database_url) as (log, _),
        redis.asyncio.from_url(redis_url) as client,
    ):
        await Play(log).create()
        reader = log.reader("test", epoch=log.epoch)
        assert len(await reader.read(0)) == 1
        await client.hset(log.keys.meta, "epoch", log.epoch + 1)
        with pytest.raises(Fenced):
            await reader.read(0)
        await reader.close()


async def test_entries_behind_a_page_of_foreign_ids_are_read(
    redis_url: str, database_url: str
) -> None:
    async with (
        opened(redis_url, database_url) as (log, _),
        redis.asyncio.from_url(redis_url) as client,
    ):
        await Play(log).create(3)
        await Play(log).create(3)
        entries: Any = await client.xrange(log.keys.log)
        await client.delete(log.keys.log)
        await client.xadd(log.keys.log, entries[0][1], id=entries[0][0])
        for number in range(1, 8):
            await client.xadd(log.keys.log, entries[0][1], id=f"4-{number}")
        await client.xadd(log.keys.log, entries[1][1], id=entries[1][0])
        reader = log.reader("test")
        assert [batch.last for batch in await reader.read(3, batches=2)] == [6]
        assert [stored.position for stored in await reader.at([4, 6])] == [4, 6]
        batch = await reader.entry_at(4)
        assert batch is not None
        assert (batch.first, batch.last) == (4, 6)
        assert set(reader.refused) == {f"4-{number}" for number in range(1, 8)}
        await reader.close()
