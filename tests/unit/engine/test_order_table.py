"""The live table: an order a row, which says how far it is."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from engine.terminal.order_table import Board, table

ID = "01a21e50-41f2-7000-9b84-c17e94232{:03x}"


def frame(n: int, event: str, status: str, ms: int, **adds: Any) -> dict[str, Any]:
    return {
        "orderId": ID.format(n), "event": event, "status": status,
        "timestamp": f"2026-11-27T18:00:00.{ms:03d}000Z", **adds,
    }  # fmt: skip


def submitted(n: int, ms: int = 0) -> dict[str, Any]:
    adds = {"amount": "1.5", "tokenIn": "SOL", "tokenOut": "USDC", "swapMode": "exactIn"}
    return frame(n, "OrderSubmitted", "pending", ms, **adds)


def drawn(board: Board, most: int = 10, width: int = 150) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(table(board, most, 1.0, width))
    return console.export_text()


def test_an_order_is_one_row_that_changes() -> None:
    board = Board()
    board.take(submitted(1), 0.0)
    board.take(frame(1, "OrderRouted", "building", 200, dex="raydium", price="149.2"), 0.1)
    board.take(frame(1, "OrderConfirmed", "confirmed", 450, executedPrice="149.1"), 0.4)
    [row] = board.rows(10)
    assert (row.swap, row.venue, row.price, row.took) == (
        "1.5 SOL → USDC", "raydium", "149.1", "0.450 s",
    )  # fmt: skip
    assert "●●●●● confirmed" in drawn(board)
    assert board.summary(1.0) == "3 events · 0.6/s · 1 confirmed"


def test_the_reason_of_a_failed_order_is_shown_and_its_markup_is_text() -> None:
    board = Board()
    board.take(submitted(1), 0.0)
    board.take(frame(1, "OrderFailed", "failed", 5, reason="[bold]no-route"), 0.0)
    assert "[bold]no-route" in drawn(board, width=200)


def test_rows_keep_their_places_and_the_oldest_are_dropped() -> None:
    board = Board(kept=3)
    for n in range(5):
        board.take(submitted(n), 0.0)
    board.take(frame(2, "RoutingStarted", "routing", 9), 0.0)
    assert [row.order_id for row in board.rows(10)] == [ID.format(n) for n in (4, 3, 2)]
    assert len(board.rows(2)) == 2


def test_an_engine_event_is_not_shown_as_an_order() -> None:
    board = Board()
    board.take(frame(1, "EngineHalted", "halted", 0), 0.0)
    assert (board.rows(10), board.events) == ([], 0)


def test_the_table_is_not_wider_than_the_terminal() -> None:
    board = Board()
    board.take(submitted(1), 0.0)
    assert all(len(line) <= 80 for line in drawn(board, width=80).splitlines())


def test_ids_stay_whole_beside_long_prices_and_reasons() -> None:
    board = Board()
    adds = {"dex": "raydium+meteora", "executedPrice": "5945602.00412345"}
    board.take(submitted(1), 0.0)
    board.take(frame(1, "OrderConfirmed", "confirmed", 5, **adds), 0.0)
    board.take(submitted(2), 0.0)
    board.take(frame(2, "OrderCancelled", "cancelled", 5, reason="changed my mind"), 0.0)
    seen = drawn(board, width=120)
    assert all(ID.format(n) in seen for n in (1, 2))
    assert all(len(line) <= 120 for line in seen.splitlines())


def test_an_order_that_began_before_is_filled_in_from_its_history() -> None:
    board = Board()
    routed = frame(1, "OrderRouted", "building", 200, dex="raydium", price="149.2", version=3)
    board.take(routed, 0.0)
    assert board.headless() == [ID.format(1)]
    assert board.headless() == []
    later = frame(1, "OrderConfirmed", "confirmed", 450, version=6)
    board.fill(ID.format(1), [submitted(1) | {"version": 1}, routed, later])
    [row] = board.rows(10)
    assert (row.swap, row.venue, row.status) == ("1.5 SOL → USDC", "raydium", "building")


def test_a_history_that_is_older_than_the_row_is_asked_for_again() -> None:
    board = Board()
    board.take(frame(1, "TransactionBuilt", "building", 200, version=4), 0.0)
    [order_id] = board.headless()
    board.fill(order_id, [submitted(1) | {"version": 1}])
    assert board.headless() == [order_id]


def test_events_of_the_past_do_not_count_in_the_rate() -> None:
    board = Board(live_after=7)
    board.take(submitted(1) | {"position": 7}, 0.0)
    assert board.summary(0.0) == "1 event · 0.0/s"
    board.take(submitted(2) | {"position": 8}, 0.0)
    assert board.summary(0.0) == "2 events · 0.2/s"
