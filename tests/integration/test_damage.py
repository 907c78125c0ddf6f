"""Every kind of damage to each store: `verify` reports it with its place, and continues."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from events.audit.problems import Problem
from events.audit.verify import verify
from events.hash_chain import decode_batch, encode_record
from events.order import Order
from projections.postgres.order_rows import columns
from tests.conftest import Servers
from tests.support.log.damaged import Records, Template, built_template, copied

NO_STAGE = "01a2ffff-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def template(servers: Servers) -> Iterator[Template]:
    with built_template(servers.redis_url, servers.database_url) as template:
        yield template


@pytest.fixture
async def records(
    template: Template, redis_url: str, servers: Servers, request: pytest.FixtureRequest
) -> AsyncIterator[Records]:
    """A copy of the records; of Postgres only for who changes it."""
    damage = request.node.callspec.params["damage"] if hasattr(request.node, "callspec") else None
    own = damage is None or damage in ARCHIVE
    async with copied(template, redis_url, servers.database_url, own_database=own) as records:
        yield records


async def problems(records: Records) -> list[Problem]:
    return (await verify(records.archive, records.log, columns)).problems


async def test_undamaged_records_are_sound(records: Records) -> None:
    verdict = await verify(records.archive, records.log, columns)
    assert verdict.problems == []
    assert (verdict.events, verdict.head) == (records.position, records.position)
    assert verdict.archived == verdict.compared == records.archived


# -- how to damage ---------------------------------------------------------------------------------

Entry = tuple[str, dict[Any, Any]]


async def entries(r: Records) -> list[Entry]:
    xrange: Any = await r.client.xrange(r.log.keys.log)
    return [(entry_id.decode(), dict(fields)) for entry_id, fields in xrange]


async def rewrite(r: Records, value: list[Entry]) -> None:
    """Puts other entries in the place of the log's: a stream takes none in its middle."""
    await r.client.delete(r.log.keys.log)
    for entry_id, fields in value:
        await r.client.xadd(r.log.keys.log, fields, id=entry_id)


async def entry_of(r: Records, order: str, version: int) -> int:
    """Where in the stream the entry of an order's version stands."""
    position = await place(r, order, version)
    results = await entries(r)
    return next(at for at, (item, _) in enumerate(results) if int(item[:-2]) >= position)


async def place(r: Records, order: str, version: int) -> int:
    """Position of an event."""
    [head] = await r.log.load([r.orders[order]])
    assert head is not None
    return head.positions[version - 1]


async def edit_entry(r: Records, order: str, version: int, edit: Any) -> int:
    at, results = await entry_of(r, order, version), await entries(r)
    entry_id, fields = results[at]
    fields[b"b"] = edit(fields[b"b"])
    await rewrite(r, [*results[:at], (entry_id, fields), *results[at + 1 :]])
    return await place(r, order, version)


def flipped(data: bytes) -> bytes:
    """One bit of the last byte of the last event's account."""
    at = data.rindex(b"main")
    return data[:at] + b"M" + data[at + 1 :]


async def log_byte(r: Records) -> Any:
    return await edit_entry(r, "done", 1, flipped), "log", "entry"


async def log_byte_not_archived(r: Records) -> Any:
    return await edit_entry(r, "late", 1, flipped), "log", "hash"


async def log_garbage(r: Records) -> Any:
    """One byte, so that nothing can be decoded."""
    return await edit_entry(r, "done", 2, lambda data: b"\xc1" + data[1:]), "log", "damaged"


async def log_garbage_not_archived(r: Records) -> Any:
    return await edit_entry(r, "late", 1, lambda data: b"\xc1" + data[1:]), "log", "damaged"


async def log_cut(r: Records) -> Any:
    return await edit_entry(r, "failed", 2, lambda data: data[:-9]), "log", "damaged"


async def log_fewer_events(r: Records) -> Any:
    """An entry of several events, of which one is gone."""
    at = await place(r, "bunch 0", 2)

    def less(data: bytes) -> bytes:
        kept = decode_batch(data)[:-1]
        return bytes([0x90 + len(kept)]) + b"".join(
            encode_record(event.hash, bytes(event.body)) for event in kept
        )

    await edit_entry(r, "bunch 0", 2, less)
    return at, "log", "hole"


async def log_other_fields(r: Records) -> Any:
    at, results = await entry_of(r, "done", 1), await entries(r)
    await rewrite(r, [*results[:at], (results[at][0], {"x": "y"}), *results[at + 1 :]])
    return await place(r, "done", 1), "log", "damaged"


async def log_time(r: Records) -> Any:
    at, results = await entry_of(r, "done", 1), await entries(r)
    results[at][1][b"t"] = b"12345"
    await rewrite(r, results)
    return await place(r, "done", 1), "archive", "row"


async def log_deleted(r: Records) -> Any:
    at, results = await entry_of(r, "failed", 1), await entries(r)
    await r.client.xdel(r.log.keys.log, results[at][0])
    return await place(r, "failed", 1), "log", "hole"


async def log_deleted_not_archived(r: Records) -> Any:
    at, results = await entry_of(r, "unnamed", 3), await entries(r)
    await r.client.xdel(r.log.keys.log, results[at][0])
    return await place(r, "unnamed", 3), "log", "gap"


async def log_inserted(r: Records) -> Any:
    at, results = await entry_of(r, "failed", 1), await entries(r)
    foreign = (results[at][0].replace("-0", "-7"), results[0][1])
    await rewrite(r, [*results[: at + 1], foreign, *results[at + 1 :]])
    return int(results[at][0][:-2]), "log", "foreign-id"


async def log_duplicated(r: Records) -> Any:
    """The next position holds the entry before it once more, with the right one behind."""
    at, results = await entry_of(r, "failed", 1), await entries(r)
    await rewrite(r, [*results[: at + 1], (results[at + 1][0], results[at][1]), *results[at + 2 :]])
    return int(results[at + 1][0][:-2]), "log", "entry"


async def log_swapped(r: Records) -> Any:
    at, results = await entry_of(r, "failed", 1), await entries(r)
    result, two = results[at], results[at + 1]
    results[at], results[at + 1] = (result[0], two[1]), (two[0], result[1])
    await rewrite(r, results)
    return int(result[0][:-2]), "log", "entry"


async def log_copied_behind(r: Records) -> Any:
    results = await entries(r)
    await r.client.xadd(r.log.keys.log, results[-1][1], id=f"{r.position + 1}-0")
    return r.position + 1, "log", "duplicate"


async def log_set_aside(r: Records) -> Any:
    results = await entries(r)
    await r.client.xadd(r.log.keys.log, results[-1][1], id=f"{r.position + 1}-0")
    await r.log.clear_tail()
    return r.position, "log", "aside"


async def log_tail_gone(r: Records) -> Any:
    results = await entries(r)
    await r.client.xdel(r.log.keys.log, results[-1][0])
    return r.position, "log", "log"


async def log_archived_tail_gone(r: Records) -> Any:
    """All entries that are not archived, and the last archived entry."""
    results = await entries(r)
    gone = [item for item, _ in results if int(item[:-2]) >= r.archived]
    await r.client.xdel(r.log.keys.log, *gone)
    return r.archived, "log", "log"


async def log_gone(r: Records) -> Any:
    await r.client.delete(r.log.keys.log)
    return 1, "log", "log"


async def meta_gone(r: Records) -> Any:
    await r.client.delete(r.log.keys.meta)
    return 1, "log", "log"


async def meta_a_string(r: Records) -> Any:
    await r.client.delete(r.log.keys.meta)
    await r.client.set(r.log.keys.meta, "x")
    return 1, "log", "log"


def meta(name: str, value: Any, store: str, code: str, at: Any = 1) -> Any:
    async def damage(r: Records) -> Any:
        await r.client.hset(r.log.keys.meta, name, value)
        return at(r) if callable(at) else at, store, code

    damage.__name__ = f"meta_{name}_{value}".replace(" ", "_")
    return damage


async def meta_position_behind(r: Records) -> Any:
    await r.client.hset(r.log.keys.meta, "position", r.position - 1)
    return r.position, "log", "meta"


async def meta_position_before_the_archive(r: Records) -> Any:
    await r.client.hset(r.log.keys.meta, "position", r.archived - 1)
    return r.archived, "log", "meta"


async def meta_position_ahead(r: Records) -> Any:
    await r.client.hset(r.log.keys.meta, "position", r.position + 5)
    return r.position + 1, "log", "log"


async def not_halted(r: Records) -> Any:
    await r.client.hdel(r.log.keys.meta, "halted")
    return r.position, "indexes", "halt"


LOG = [
    log_byte, log_byte_not_archived, log_garbage, log_garbage_not_archived, log_cut,
    log_fewer_events, log_other_fields, log_time, log_deleted, log_deleted_not_archived,
    log_inserted, log_duplicated, log_swapped, log_copied_behind, log_set_aside, log_tail_gone,
    log_archived_tail_gone, log_gone, meta_gone, meta_a_string, meta_position_behind,
    meta_position_before_the_archive, meta_position_ahead, not_halted,
    meta("position", "many", "log", "meta"),
    meta("epoch", 7, "archive", "epoch", lambda r: r.archived),
    meta("epoch", "x", "log", "meta"),
    meta("layout", "99", "log", "meta"),
    meta("chain", "other", "archive", "chain", lambda r: r.archived),
    meta("base", 10**6, "log", "meta", lambda r: r.position + 1),
    meta("news", 0, "indexes", "news", lambda r: r.position),
]  # fmt: skip


def sql(name: str, code: str, query: str, at: Any, store: str = "archive") -> Any:
    """A damage to Postgres. `at`: the position, or (order, version) of it."""

    async def damage(r: Records) -> Any:
        position = at(r) if callable(at) else await place(r, *at) if isinstance(at, tuple) else at
        values = {"$1": str(position), "$2": str(r.archived), "$3": f"'{r.orders['done']}'::uuid"}
        text = query
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        await r.database.execute(text)
        return position, store, code

    damage.__name__ = name
    return damage


DONE = ("done", 2)


def archived(r: Records) -> int:
    return r.archived


ARCHIVE = [
    sql("column_type", "column",
        "UPDATE events SET type = 'OrderFailed' WHERE position = $1", DONE),
    sql("column_version", "column", "UPDATE events SET version = 77 WHERE position = $1", DONE),
    sql("column_order_id", "column",
        f"UPDATE events SET order_id = '{NO_STAGE}' WHERE position = $1", DONE),
    sql("column_time", "row", "UPDATE events SET time_us = time_us + 1 WHERE position = $1", DONE),
    sql("column_hash", "row", "UPDATE events SET hash = sha256('x') WHERE position = $1", DONE),
    sql("column_hash_short", "row", "UPDATE events SET hash = 'x' WHERE position = $1", DONE),
    sql("body", "row",
        "UPDATE events SET body = set_byte(body, 60, get_byte(body, 60) # 1) WHERE position = $1",
        DONE),
    sql("body_empty", "row", "UPDATE events SET body = '' WHERE position = $1", DONE),
    sql("row_deleted", "hole", "DELETE FROM events WHERE position = $1", DONE),
    sql("head_deleted", "hole", "DELETE FROM events WHERE position < 5", 1),
    sql("tail_deleted", "hole", "DELETE FROM events WHERE position > $2 - 3",
        lambda r: r.archived - 2),
    sql("all_deleted", "hole", "DELETE FROM events", 1),
    sql("row_copied_behind", "beyond",
        "INSERT INTO events SELECT $2 + 1, time_us, order_id, version, type, hash, body"
        " FROM events WHERE position = $2", lambda r: r.archived + 1),
    sql("row_far_behind", "beyond",
        "INSERT INTO events SELECT $2 + 1000, time_us, order_id, version, type, hash, body"
        " FROM events WHERE position = $2", lambda r: r.archived + 1000),
    sql("row_below_one", "row",
        "INSERT INTO events SELECT -3, time_us, order_id, version, type, hash, body"
        " FROM events WHERE position = 1", -3),
    sql("row_twice", "duplicate",
        "ALTER TABLE events DROP CONSTRAINT events_pkey;"
        "INSERT INTO events SELECT * FROM events WHERE position = $1", DONE),
    sql("rows_swapped", "row",
        "UPDATE events SET position = -1 WHERE position = 2;"
        "UPDATE events SET position = 2 WHERE position = 9;"
        "UPDATE events SET position = 9 WHERE position = -1", 2),
    sql("checkpoint_deleted", "checkpoint", "DELETE FROM checkpoints", archived),
    sql("checkpoint_behind", "beyond", "UPDATE checkpoints SET position = 10", 11),
    sql("checkpoint_ahead", "hole", "UPDATE checkpoints SET position = $2 + 1",
        lambda r: r.archived + 1),
    sql("checkpoint_far_ahead", "log", "UPDATE checkpoints SET position = $2 + 100",
        lambda r: r.position + 1, "log"),
    sql("checkpoint_epoch", "epoch", "UPDATE checkpoints SET epoch = 9", archived),
    sql("checkpoint_digest", "checkpoint", "UPDATE checkpoints SET digest = 'x'", archived),
    sql("checkpoint_time", "checkpoint", "UPDATE checkpoints SET time_us = 5", archived),
    sql("checkpoint_chain", "chain", "UPDATE checkpoints SET chain = 'other'", archived),
    sql("events_dropped", "table", "DROP TABLE events CASCADE", 1),
    sql("checkpoints_dropped", "table", "DROP TABLE checkpoints", 1),
    sql("column_dropped", "table", "ALTER TABLE events DROP COLUMN hash", 1),
    sql("migrations_dropped", "table", "DROP TABLE migrations", 1),
    sql("events_without_key", "index", "ALTER TABLE events DROP CONSTRAINT events_pkey", 1),
    sql("orders_dropped", "table", "DROP TABLE orders", 1, "orders"),
    sql("order_row_deleted", "orders", "DELETE FROM orders WHERE id = $3", ("done", 6), "orders"),
    sql("order_row_of_nobody", "orders",
        f"INSERT INTO orders SELECT * FROM orders WHERE false; UPDATE orders SET id = '{NO_STAGE}'"
        " WHERE id = $3", ("done", 6), "orders"),
    sql("order_events_dropped", "function", "DROP FUNCTION order_events", 1, "orders"),
    sql("orders_without_index", "index", "DROP INDEX orders_status_id_idx", 1, "orders"),
    sql("orders_without_key", "index", "ALTER TABLE orders DROP CONSTRAINT orders_pkey", 1,
        "orders"),
    sql("parked_for_nothing", "unfolded",
        "INSERT INTO projection_parked VALUES ($3, 'why not', '{1}')", ("done", 6), "orders"),
]  # fmt: skip


# -- what is kept beside the events ----------------------------------------------------------------


class Place(NamedTuple):
    """Where a damage is done."""

    client: Any
    keys: Any
    orders: dict[str, str]
    id: str


def beside(name: str, store: str, code: str, order: str, act: Any) -> Any:
    """A damage to what the log's server keeps of an order, or of none (`order` is empty)."""

    async def damage(r: Records) -> Any:
        order_id = r.orders.get(order, NO_STAGE)
        [head] = await r.log.load([order_id])
        await act(Place(r.client, r.log.keys, r.orders, order_id))
        return (head.positions[-1] if head is not None else r.position), store, code

    damage.__name__ = name
    return damage


async def edit_head(c: Any, key: str, at: int, value: int) -> None:
    data = bytearray(await c.get(key))
    data[at] = value
    await c.set(key, bytes(data))


async def strip(c: Any, key: str, order_id: str) -> None:
    """Takes an order out of all entries of an inbox."""
    for entry_id, fields in await c.xrange(key):
        if order_id.encode() in fields[b"o"]:
            await c.xdel(key, entry_id)


BESIDE = [
    beside("head_gone", "heads", "head", "pending", lambda x: x.client.delete(x.keys.order(x.id))),
    beside(
        "head_version",
        "heads",
        "head",
        "pending",
        lambda x: edit_head(x.client, x.keys.order(x.id), 3, 9),
    ),
    beside(
        "head_hash",
        "heads",
        "head",
        "pending",
        lambda x: edit_head(x.client, x.keys.order(x.id), 20, 1),
    ),
    beside(
        "head_owes",
        "heads",
        "head",
        "pending",
        lambda x: edit_head(x.client, x.keys.order(x.id), 36, 3),
    ),
    beside(
        "head_position",
        "heads",
        "head",
        "pending",
        lambda x: edit_head(x.client, x.keys.order(x.id), -1, 1),
    ),
    beside(
        "head_body",
        "heads",
        "head",
        "pending",
        lambda x: edit_head(x.client, x.keys.order(x.id), 40, 0),
    ),
    beside(
        "head_short", "heads", "head", "pending", lambda x: x.client.set(x.keys.order(x.id), b"abc")
    ),
    beside(
        "head_empty", "heads", "head", "pending", lambda x: x.client.set(x.keys.order(x.id), b"")
    ),
    beside(
        "head_expires",
        "heads",
        "head",
        "pending",
        lambda x: x.client.pexpire(x.keys.order(x.id), 600_000),
    ),
    beside(
        "head_of_an_ended_order",
        "heads",
        "head",
        "done",
        lambda x: edit_head(x.client, x.keys.order(x.id), 36, 2),
    ),
    beside(
        "head_of_nobody",
        "indexes",
        "head",
        "",
        lambda x: x.client.copy(x.keys.order(x.orders["pending"]), x.keys.order(x.id)),
    ),
    beside("open_gone", "indexes", "list", "pending", lambda x: x.client.zrem(x.keys.open, x.id)),
    beside(
        "open_ended", "indexes", "list", "done", lambda x: x.client.zadd(x.keys.open, {x.id: 5})
    ),
    beside(
        "open_of_nobody", "indexes", "list", "", lambda x: x.client.zadd(x.keys.open, {x.id: 5})
    ),
    beside(
        "parked_gone", "indexes", "list", "parked", lambda x: x.client.zrem(x.keys.parked, x.id)
    ),
    beside(
        "parked_that_is_not",
        "indexes",
        "list",
        "pending",
        lambda x: x.client.zadd(x.keys.parked, {x.id: 5}),
    ),
    beside(
        "expiry_gone", "indexes", "list", "resting", lambda x: x.client.zrem(x.keys.expiry, x.id)
    ),
    beside(
        "expiry_of_one_that_never_does",
        "indexes",
        "list",
        "pending",
        lambda x: x.client.zadd(x.keys.expiry, {x.id: 5}),
    ),
    beside(
        "expiry_never",
        "indexes",
        "list",
        "resting",
        lambda x: x.client.zadd(x.keys.expiry, {x.id: 1e300}),
    ),
    beside(
        "expiry_infinite",
        "indexes",
        "list",
        "resting",
        lambda x: x.client.zadd(x.keys.expiry, {x.id: math.inf}),
    ),
    beside(
        "inbox_gone",
        "indexes",
        "inbox",
        "pending",
        lambda x: strip(x.client, x.keys.inbox("router"), x.id),
    ),
    beside(
        "inbox_of_nobody",
        "indexes",
        "inbox",
        "",
        lambda x: x.client.xadd(x.keys.inbox("router"), {"o": x.id}),
    ),
    beside(
        "inbox_garbage",
        "indexes",
        "inbox",
        "",
        lambda x: x.client.xadd(x.keys.inbox("router"), {"o": "x"}),
    ),
    beside("inbox_all_settled", "indexes", "inbox", "late", lambda x: settle_all(x.client, x.keys)),
    beside(
        "due_gone",
        "indexes",
        "inbox",
        "waiting",
        lambda x: x.client.zrem(x.keys.due("builder"), x.id),
    ),
    beside(
        "due_ended",
        "indexes",
        "due",
        "done",
        lambda x: x.client.zadd(x.keys.due("builder"), {x.id: 5}),
    ),
    beside(
        "due_of_nobody",
        "indexes",
        "due",
        "",
        lambda x: x.client.zadd(x.keys.due("builder"), {x.id: 5}),
    ),
    beside(
        "due_never",
        "indexes",
        "due",
        "waiting",
        lambda x: x.client.zadd(x.keys.due("builder"), {x.id: 1e300}),
    ),
    beside(
        "due_infinite",
        "indexes",
        "due",
        "waiting",
        lambda x: x.client.zadd(x.keys.due("builder"), {x.id: math.inf}),
    ),
    beside("due_a_string", "indexes", "type", "", lambda x: put(x.client, x.keys.due("builder"))),
    beside(
        "inbox_a_string", "indexes", "type", "", lambda x: put(x.client, x.keys.inbox("builder"))
    ),
    beside("open_a_string", "indexes", "type", "", lambda x: put(x.client, x.keys.open)),
    beside("owed", "indexes", "owed", "", lambda x: x.client.hset(x.keys.owed, 1, 77)),
    beside("owed_gone", "indexes", "owed", "", lambda x: x.client.delete(x.keys.owed)),
    beside(
        "name_gone",
        "indexes",
        "key",
        "pending",
        lambda x: x.client.delete(x.keys.idempotency("main", "client", "a")),
    ),
    beside(
        "name_of_an_ended_order_gone",
        "indexes",
        "key",
        "failed",
        lambda x: x.client.delete(x.keys.idempotency("main", "key", "failed")),
    ),
    beside(
        "all_names_gone",
        "indexes",
        "key",
        "pending",
        lambda x: x.client.delete(
            *(
                x.keys.idempotency("main", kind, name)
                for kind in ("client", "key")
                for name in ("a", "b", "done", "failed", "resting", "late", "waiting")
            )
        ),
    ),
    beside(
        "name_of_another_order",
        "indexes",
        "key",
        "pending",
        lambda x: x.client.copy(
            x.keys.idempotency("main", "client", "done"),
            x.keys.idempotency("main", "client", "a"),
            replace=True,
        ),
    ),
    beside(
        "name_of_another_request",
        "indexes",
        "key",
        "pending",
        lambda x: x.client.set(
            x.keys.idempotency("main", "client", "a"), x.id.encode() + b"x" * 32
        ),
    ),
    beside(
        "name_of_nobody",
        "indexes",
        "key",
        "",
        lambda x: x.client.set(x.keys.idempotency("main", "key", "z"), x.id.encode() + b"x" * 32),
    ),
    beside(
        "name_garbage",
        "indexes",
        "key",
        "",
        lambda x: x.client.set(x.keys.idempotency("main", "key", "z"), b"\xff" * 99),
    ),
    beside(
        "name_expires",
        "indexes",
        "key",
        "pending",
        lambda x: x.client.pexpire(x.keys.idempotency("main", "client", "a"), 600_000),
    ),
    beside(
        "mark_ahead", "indexes", "mark", "", lambda x: x.client.set(x.keys.mark("traces"), 10**9)
    ),
    beside(
        "mark_garbage", "indexes", "mark", "", lambda x: x.client.set(x.keys.mark("traces"), "x")
    ),
    beside(
        "news_of_nobody",
        "indexes",
        "news",
        "",
        lambda x: x.client.xadd(x.keys.book, {"o": NO_STAGE}, id="999-0"),
    ),
    beside("news_gone", "indexes", "news", "", lambda x: x.client.delete(x.keys.book)),
    beside("watchers_a_string", "indexes", "type", "", lambda x: put(x.client, x.keys.watchers)),
    beside(
        "heard_ahead", "indexes", "watch", "", lambda x: x.client.hset(x.keys.heard, "a/b", 999)
    ),
    beside(
        "slots_garbage", "indexes", "watch", "", lambda x: x.client.hset(x.keys.slots, "a/b", "x")
    ),
    beside(
        "lease_garbage", "indexes", "watch", "", lambda x: x.client.hset(x.keys.leases, "a/b", "x")
    ),
]


async def put(c: Any, key: str) -> None:
    await c.delete(key)
    await c.set(key, "x")


async def settle_all(c: Any, keys: Any) -> None:
    """Marks every order of the router's inbox as settled."""
    for entry_id, fields in await c.xrange(keys.inbox("router")):
        await c.hset(keys.shares("router"), entry_id, "x" * (len(fields[b"o"]) // 36))


ALL = [pytest.param(damage, id=damage.__name__) for damage in LOG + ARCHIVE + BESIDE]


@pytest.mark.parametrize("damage", ALL)
async def test_damage_is_reported_at_its_position(records: Records, damage: Any) -> None:
    position, store, code = await damage(records)
    results = await problems(records)
    assert (position, store, code) in [(p.position, p.store, p.code) for p in results], results
    assert all(p.detail and p.mend for p in results)


COLUMNS = {
    "created_us": "1", "updated_us": "1", "version": "9", "attempts": "9", "account": "'x'",
    "client_order_id": "'x'", "status": "'failed'", "type": "'limit'", "token_in": "'x'",
    "token_out": "'x'", "amount_in": "7", "amount_out": "7", "price": "'7'",
    "executed_price": "'7'", "dex": "'x'", "signature": "'x'", "parked": "'x'", "reason": "'x'",
    "hash": "'x'", "positions": "'{1}'", "state": "'x'",
}  # fmt: skip
"""Column of `orders` -> another value."""


async def test_every_column_of_the_orders_is_compared(records: Records) -> None:
    order_id, at = records.orders["done"], await place(records, "done", 6)
    await records.database.execute("CREATE TABLE kept AS SELECT * FROM orders")
    for column, value in COLUMNS.items():
        await records.database.execute(
            f"UPDATE orders SET {column} = {value} WHERE id = $1", order_id
        )
        results = await problems(records)
        assert [(p.position, p.store, p.order_id) for p in results] == [(at, "orders", order_id)], (
            column
        )
        await records.database.execute(
            f"UPDATE orders o SET {column} = k.{column} FROM kept k WHERE k.id = o.id"
        )
    assert set(COLUMNS) == set(columns(Order(order_id), b"", ())) - {"id"}
    assert await problems(records) == []


async def test_all_damage_is_listed_not_only_the_first(records: Records) -> None:
    """Each store is damaged in several places; none hides another."""
    expected = [await damage(records) for damage in (
        ARCHIVE[0], log_garbage, log_byte_not_archived, BESIDE[1], BESIDE[19], BESIDE[26],
    )]  # fmt: skip
    results = {(p.position, p.store, p.code) for p in await problems(records)}
    assert set(expected) <= results, results
