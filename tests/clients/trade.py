"""Trades through the client that openapi-python-client makes, as a bot would.

Run as a script: `trade.py FOLDER URL KEY`, where FOLDER holds the generated package `generated`.
"""

from __future__ import annotations

import sys
import time

sys.path.insert(0, sys.argv[1])

from generated import AuthenticatedClient  # type: ignore[import-not-found]
from generated.api.engine import get_time  # type: ignore[import-not-found]
from generated.api.orders import (  # type: ignore[import-not-found]
    amend_order,
    cancel_order,
    get_order,
    get_order_by_client_id,
    get_order_history,
    get_quotes,
    list_orders,
    submit_batch,
    submit_order,
)
from generated.models import (  # type: ignore[import-not-found]
    Accepted,
    AmendRequest,
    BatchRequest,
    BatchStatus,
    ErrorCode,
    LimitOrderRequest,
    MarketOrderRequest,
    Order,
    OrderConfirmed,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    Problem,
    SwapMode,
    UntypedOrderRequest,
)

TRIES = 600
WAIT_S = 0.1


def main(url: str, key: str) -> None:
    """Submits, reads, lists, amends and cancels."""
    client = AuthenticatedClient(base_url=url, token=key)
    simple = UntypedOrderRequest(token_in="SOL", token_out="USDC", amount="1.5")
    accepted = submit_order.sync(client=client, body=simple)
    assert isinstance(accepted, Accepted), accepted
    done = read(client, accepted.order_id, OrderStatus.CONFIRMED)
    assert (done.requested_amount, done.requested_token, done.amount_in) == ("1.5", "SOL", "1.5")
    assert done.type_ is OrderType.MARKET
    assert done.reason is None

    limit = LimitOrderRequest(
        type_="limit", token_in="SOL", token_out="USDC", amount="1", target_price="999999",
        client_order_id="py/limit-1",
    )  # fmt: skip
    nothing = MarketOrderRequest(type_="market", token_in="SOL", token_out="USDC", amount="0")
    batch = submit_batch.sync(client=client, body=BatchRequest(orders=[simple, limit, nothing]))
    first, second, third = batch.results
    assert first.status is BatchStatus.PENDING
    assert third.status is BatchStatus.REJECTED
    assert third.problem.code is ErrorCode.AMOUNT_NOT_POSITIVE

    named = get_order_by_client_id.sync("py/limit-1", client=client)
    assert isinstance(named, Order), named
    assert named.order_id == second.order_id
    waiting = read(client, second.order_id, OrderStatus.WATCHING)
    terms = AmendRequest(version=waiting.version, target_price="999998")
    amended = amend_order.sync(second.order_id, client=client, body=terms)
    assert isinstance(amended, Order), amended
    assert amended.target_price == "999998"
    assert cancel_order.sync(second.order_id, client=client, reason="done").status == "cancelled"
    late = cancel_order.sync_detailed(accepted.order_id, client=client)
    assert late.status_code == 409
    assert isinstance(late.parsed, Problem)
    assert late.parsed.code is ErrorCode.TOO_LATE
    assert late.parsed.order_status is OrderStatus.CONFIRMED

    ids = {accepted.order_id, second.order_id}
    for _ in range(TRIES):  # the archive follows the log
        page = list_orders.sync(
            client=client,
            status=[OrderStatus.CONFIRMED, OrderStatus.CANCELLED],
            type_=[OrderType.MARKET, OrderType.LIMIT],
            open_=False,
            limit=10,
        )
        listed = {order.order_id: order for order in page.orders if order.order_id in ids}
        if len(listed) == 2:
            break
        time.sleep(WAIT_S)
    gone = listed[second.order_id]
    assert (gone.amount_in, gone.amount_out, gone.reason, gone.detail) == (None, None, None, "done")

    history = get_order_history.sync(accepted.order_id, client=client)
    assert isinstance(history.events[0], OrderSubmitted)
    assert isinstance(history.events[-1], OrderConfirmed)
    assert history.events[-1].executed_price == done.executed_price
    quotes = get_quotes.sync(
        client=client, token_in="SOL", token_out="USDC", amount="1.5", swap_mode=SwapMode.EXACTIN
    )
    assert quotes.best.amount_out
    assert abs(get_time.sync(client=client).unix_ms / 1000 - time.time()) < 3600
    refused = list_orders.sync(client=client, token="DOGE")
    assert isinstance(refused, Problem)
    assert (refused.code, refused.parameter) == (ErrorCode.MALFORMED_PARAMETER, "token")
    print("traded")


def read(client: AuthenticatedClient, order_id: str, status: OrderStatus) -> Order:
    """The order, once it has this status."""
    for _ in range(TRIES):
        order = get_order.sync(order_id, client=client)
        assert isinstance(order, Order), order
        if order.status is status:
            return order
        time.sleep(WAIT_S)
    raise AssertionError(f"it is {order.status}: {order.reason}")


if __name__ == "__main__":
    main(*sys.argv[2:])
