"""Our binary rows are those that asyncpg would have sent: SQL reads the same values."""

from __future__ import annotations

import asyncpg
import pytest

from events.ids import new_order_id
from events.order import Order
from events.types import U64_MAX, Status
from projections.postgres import binary_copy
from projections.postgres.migrate import migrate
from projections.postgres.order_rows import COLUMNS, ProjectedOrder, row


def order(**changes: object) -> Order:
    plain: dict[str, object] = {
        "account": "main", "version": 6, "status": Status.CONFIRMED, "token_in": "SOL",
        "token_out": "USDC", "decimals_in": 9, "decimals_out": 6, "amount_in": 1_500_000_000,
    }  # fmt: skip
    return Order(new_order_id(), **(plain | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "folded",
    [
        ProjectedOrder(order(), b"h" * 32, [1]),
        ProjectedOrder(order(amount_in=0, amount_out=U64_MAX), b"h" * 32, list(range(1, 300))),
        ProjectedOrder(order(amount_in=10_000, amount_out=100_000_001), b"h" * 32, [2**62]),
        ProjectedOrder(order(amount_in=9_999, amount_out=1), b"h" * 32, []),
        ProjectedOrder(
            order(client_order_id="ü-🙂", reason="so", parked="why", dex="d"), b"h" * 32, [7]
        ),
        ProjectedOrder(
            order(price="0.000001", executed_price="99.3", signature="5" * 88), b"h" * 32, [7]
        ),
    ],
    ids=["plain", "extremes", "powers", "no positions", "texts", "prices"],
)
async def test_a_row_of_the_binary_copy_reads_back_unchanged(
    database_url: str, folded: ProjectedOrder
) -> None:
    connection = await asyncpg.connect(database_url)
    await migrate(connection)
    packed = binary_copy.pack_row(folded.order, folded.hash, folded.positions, len(COLUMNS))
    await connection.copy_to_table(
        "orders", source=binary_copy.slices([packed]), columns=COLUMNS, format="binary"
    )
    result = await connection.fetchrow("SELECT * FROM orders")
    await connection.close()
    assert [str(v) if name == "id" else v for name, v in result.items()] == list(row(folded))
