"""Compares the indexes that the log server keeps beside the events with the events.

Sorted sets, counters, inboxes, due sets, idempotency keys and marks are written in the call that
appends an event, so each agrees with its order at any moment. The engine keeps running during an
audit: an order is checked only if its head, loaded after the indexes, still has the version that
its events had before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from events.audit.invariants import Auditor
from events.audit.inventory import Inventory, Name, Waiting
from events.audit.problems import INDEXES
from events.commands.idempotency import digest_of, names_of
from events.ids import ID_LENGTH, SYSTEM_STREAM_IDS
from events.log import (
    NO_STAGE,
    WAIT_MAX_MS,
    OrderHead,
    next_stage_code,
)
from events.order import Order
from events.recovery.order_indexes import COUNTED, SORTED_SETS, OpenOrder, count_owed, stage_of

PAGE = 500
DUE_SLACK_MS = 2 * WAIT_MAX_MS
"""Twice the longest wait. An order that is due later is never delivered."""
EXPIRING_MS = 5_000
"""An idempotency key with a shorter TTL may expire during the audit."""


class Lists:
    """The indexes, read at about one moment."""

    def __init__(self) -> None:
        self.sorted_sets: dict[str, dict[str, float]] = {}
        """By key: order id -> score."""
        self.waiting: dict[str, Waiting] = {}
        self.names: list[Name] = []
        self.headed: set[str] = set()
        """Orders that have a head."""


async def read(inventory: Inventory) -> Lists:
    """Reads the indexes; the heads of open orders are loaded afterwards. Raises LogError."""
    lists, keys = Lists(), inventory.keys
    for key in (index.key(keys) for index in SORTED_SETS):
        lists.sorted_sets[key] = await inventory.scores(key)
    lists.waiting = await inventory.waiting()
    async for ids in inventory.all_heads():
        lists.headed.update(ids)
    async for names in inventory.all_names():
        lists.names += names
    return lists


async def audit_lists(
    inventory: Inventory,
    auditor: Auditor,
    catch_up: Callable[[], Awaitable[None]],
    position: Callable[[], Awaitable[int]],
    *,
    window_ms: int,
    names_kept: bool,
) -> None:
    """Reports the differences. `catch_up` feeds the auditor the events appended meanwhile;
    `position` returns the log's.
    """
    await catch_up()
    versions = {order_id: auditor.known(order_id) for order_id in auditor.sound_ids()}
    lists = await read(inventory)
    still = await position() == auditor.position  # nothing was appended meanwhile
    await _orders(inventory, auditor, lists, versions, still=still)
    now_us = await inventory.now_us()
    doubtful = await _names(inventory, auditor, lists, now_us // 1000, window_ms, kept=names_kept)
    # New orders belong to events that were not read yet: only orders without events are reported.
    await catch_up()
    _strangers(auditor, inventory, lists)
    for name in doubtful:
        if why := _stray(auditor, name.value):
            auditor.report(auditor.position, "", "key", why, store=INDEXES, key=name.key)
    for stage, waiting in lists.waiting.items():
        for entry in waiting.damaged:
            detail = f"entry {entry} of the {stage}'s inbox names no orders"
            key = inventory.keys.inbox(stage)
            auditor.report(auditor.position, "", "inbox", detail, store=INDEXES, key=key)
        for order_id, at_ms in waiting.due.items():
            if at_ms > now_us // 1000 + DUE_SLACK_MS:
                detail = f"it waits for the {stage} until a time that never comes"
                _tell(auditor, order_id, "due", detail, inventory.keys.due(stage))


def _tell(auditor: Auditor, order_id: str, code: str, detail: str, key: str) -> None:
    at = auditor.last_position(order_id)
    known = order_id if auditor.known(order_id) is not None else ""
    detail = detail if known else f"order {order_id}: {detail}"
    auditor.report(at, known, code, detail, store=INDEXES, key=key)


# -- orders ----------------------------------------------------------------------------------------


async def _orders(
    inventory: Inventory,
    auditor: Auditor,
    lists: Lists,
    versions: dict[str, int | None],
    *,
    still: bool,
) -> None:
    """Checks that each open order is in the indexes that its state requires."""
    ids = list(versions)
    for at in range(0, len(ids), PAGE):
        some = ids[at : at + PAGE]
        heads = await inventory.heads(some)
        for order_id, left_ms in zip(some, await inventory.lives(some), strict=True):
            order, head = auditor.order(order_id), heads[order_id]
            moved = head is None or head.version != versions[order_id]
            if type(order) is not Order or (moved and not still):  # only orders are indexed
                continue
            if left_ms >= 0:
                auditor.head_expires(order_id, left_ms)
            for code, detail, key in _faults(inventory, lists, order):
                _tell(auditor, order_id, code, detail, key)
    _ended(inventory, auditor, lists, versions)


def _faults(inventory: Inventory, lists: Lists, order: Order) -> Iterable[tuple[str, str, str]]:
    """The indexes from which an open order is missing, or which hold it wrongly: (code, detail,
    key).
    """
    keys, owes = inventory.keys, next_stage_code(order)
    if owes == NO_STAGE:
        return
    created_ms, changed_ms = order.created_at_us // 1000, order.updated_at_us // 1000
    expires_ms = None if order.expires_at_us is None else -(-order.expires_at_us // 1000)
    indexed = OpenOrder(order.id, owes, created_ms, changed_ms, expires_ms)
    for index in SORTED_SETS:
        key = index.key(keys)
        if fault := index.fault(indexed, lists.sorted_sets[key]):
            yield "list", fault, key
    if stage := stage_of(owes):
        waiting = lists.waiting[stage]
        if order.id not in waiting.inbox and order.id not in waiting.due:
            detail = f"the {stage} owes it an event, and it is in no inbox and in no due-set"
            yield "inbox", detail, keys.inbox(stage)


def _ended(
    inventory: Inventory, auditor: Auditor, lists: Lists, versions: dict[str, int | None]
) -> None:
    """Reports orders that ended before the indexes were read and are still in one."""
    keys = inventory.keys
    for key, members in lists.sorted_sets.items():
        for order_id in members:
            if order_id not in versions and auditor.has_ended(order_id):
                _tell(auditor, order_id, "list", "it has ended, and is listed as open", key)
    for stage, waiting in lists.waiting.items():
        for order_id in waiting.due:
            if order_id not in versions and auditor.has_ended(order_id):
                detail = f"it has ended, and waits for the {stage}"
                _tell(auditor, order_id, "due", detail, keys.due(stage))


def _strangers(auditor: Auditor, inventory: Inventory, lists: Lists) -> None:
    """Reports index entries of orders that have no event."""
    keys = inventory.keys
    places: list[tuple[str, Iterable[str], str]] = [
        ("head", lists.headed, ""),
        *(("list", members, key) for key, members in lists.sorted_sets.items()),
    ]
    for stage, waiting in lists.waiting.items():
        places.append(("inbox", waiting.inbox, keys.inbox(stage)))
        places.append(("due", waiting.due, keys.due(stage)))
    for code, ids, key in places:
        for order_id in ids:
            if auditor.known(order_id) is None and order_id not in SYSTEM_STREAM_IDS:
                _tell(auditor, order_id, code, "no event names it", key or keys.order(order_id))


# -- counters --------------------------------------------------------------------------------------


def owed_fault(counts: dict[str, str], heads: Iterable[OrderHead]) -> str:
    """The first counter of orders per stage that differs from the heads, as text; empty: none."""
    for field, count in count_owed(head.owes for head in heads).items():
        counted = counts.get(str(field), "0")
        if counted != str(count):
            return f"the {COUNTED[field]} have {counted} orders by its number, {count} by heads"
    return ""


# -- names -----------------------------------------------------------------------------------------


async def _names(
    inventory: Inventory, auditor: Auditor, lists: Lists, now_ms: int, window_ms: int, *, kept: bool
) -> list[Name]:
    """Checks that the idempotency keys of open orders, and of orders that ended within the window,
    map to their orders.

    Returns the keys that belong to no submission, to be checked once all orders are known.
    """
    there = {name.key: name for name in lists.names}
    expected: dict[str, tuple[str, bytes]] = {}
    for order_id, asked in auditor.asked.items():  # in the order of events: the newest has the key
        names = names_of(inventory.keys, asked.account, order_id, asked.fact)
        expected |= dict.fromkeys(names.keys, (order_id, names.value)) if names else {}
    window_ms = _window_ms(auditor, lists.names, now_ms, window_ms)
    missing, doubtful = [], [name for name in lists.names if name.key not in expected]
    for key, (order_id, value) in expected.items():
        ended_us = auditor.asked[order_id].ended_us
        is_open = ended_us is None and kept
        name = there.get(key)
        if name is None:
            if is_open or (ended_us or 0) // 1000 + window_ms > now_ms + EXPIRING_MS:
                missing.append((key, order_id))
        elif name.value == value:
            if is_open and name.left_ms >= 0:
                detail = f"it is open, and a name of it goes in {name.left_ms} ms"
                _tell(auditor, order_id, "key", detail, key)
        elif auditor.known(_order_of(name.value)) is None:
            doubtful.append(name)
        else:
            _tell(auditor, order_id, "key", "a name of it leads elsewhere", key)
    again = await inventory.values([key for key, _ in missing])
    for key, order_id in missing:
        if again[key] is None:
            _tell(auditor, order_id, "key", "a name of it is missing", key)
    return doubtful


def _window_ms(auditor: Auditor, names: Iterable[Name], now_ms: int, default_ms: int) -> int:
    """The idempotency window, derived from the TTLs present: the auditing process may be configured
    otherwise.
    """
    windows_ms = [default_ms]
    for name in names:
        asked = auditor.asked.get(_order_of(name.value))
        if asked is not None and asked.ended_us is not None and name.left_ms >= 0:
            windows_ms.append(now_ms + name.left_ms - asked.ended_us // 1000)
    return min(windows_ms)


def _order_of(value: bytes) -> str:
    return value[:ID_LENGTH].decode(errors="replace")


def _stray(auditor: Auditor, value: bytes) -> str:
    """The problem of a key that is in no submission of its order, since it may belong to a repeated
    request; empty: none.
    """
    order_id = _order_of(value)
    if auditor.known(order_id) is None:
        return f"it leads to order {order_id!r}, which no event names"
    asked = auditor.asked.get(order_id)
    if asked is not None and value[ID_LENGTH:] != digest_of(asked.fact):
        return f"it leads to order {order_id}, by another request"
    return ""
