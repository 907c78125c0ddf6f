"""The Redis commands that write the indexes of open orders again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from events.log import GROUP, Keys
from events.order import STAGES
from events.recovery.order_indexes import (
    SORTED_SETS,
    OpenOrder,
    count_owed,
    keys_of_indexes,
    stage_of,
)

MEMBERS_MAX = 500
"""Of one ZADD."""

Command = tuple[bytes | str | int, ...]


def index_commands(
    keys: Keys, orders: Sequence[OpenOrder], *, now_ms: int, inbox_orders: int
) -> list[Command]:
    """Replaces every index by that of `orders`. An inbox entry has at most `inbox_orders` ids.

    An order that waited in a due set goes to the inbox of its stage.
    """
    commands: list[Command] = [("DEL", *keys_of_indexes(keys))]
    for index in SORTED_SETS:
        commands += _added(index.key(keys), ((index.score(o), o.order_id) for o in orders))
    for field, count in count_owed(order.owes for order in orders).items():
        commands.append(("HSET", keys.owed, field, count))
    for stage in STAGES:
        ids = [order.order_id for order in orders if stage_of(order.owes) == stage]
        commands.append(("XGROUP", "CREATE", keys.inbox(stage), GROUP, "0", "MKSTREAM"))
        for at in range(0, len(ids), inbox_orders):
            commands.append(
                ("XADD", keys.inbox(stage), "*", "o", "".join(ids[at : at + inbox_orders]))
            )
    # No entry can have had this number: readers detect a gap, and load their books again.
    commands.append(("XADD", keys.book, f"{now_ms}-0", "o", ""))
    return commands


def _added(key: str, members: Iterable[tuple[int | None, str]]) -> list[Command]:
    flat = [part for score, member in members if score is not None for part in (score, member)]
    return [
        ("ZADD", key, *flat[at : at + 2 * MEMBERS_MAX])
        for at in range(0, len(flat), 2 * MEMBERS_MAX)
    ]
