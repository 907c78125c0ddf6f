"""POST /api/orders/test: what would become of an order, without submitting it."""

from typing import Any

import pytest

from events.order import Order
from events.types import OrderRouted, Quote
from gateway.endpoints.table import ENDPOINTS
from stages import router
from tests.support.http.served import GOOD, Served, served

PATH = "/api/orders/test"
PAID = 151_000_000
"""What the one route pays for GOOD, in base units of USDC."""


async def _one_route(order: Order) -> tuple[Quote, ...]:
    amount_in = order.amount_in or 1_500_000_000
    return (Quote("raydium", "pool", amount_in, order.exact_amount_out or PAID, 0, 0),)


async def _silent(_: Order) -> tuple[Quote, ...]:
    return (Quote("solana", "", 0, 0, 0, 0, "quotes-stale"),)


async def _refused(_: Order) -> tuple[Quote, ...]:
    return (Quote("raydium", "pool", 0, 0, 0, 0, "price-impact-too-high"),)


async def _tested(gateway: Served, **fields: Any) -> Any:
    status, answer, _ = await gateway.post(GOOD | fields, path=PATH)
    assert status == 200, answer
    return answer


async def test_a_tested_order_is_routed_and_not_appended(redis_url: str) -> None:
    async with served(redis_url, quotes=_one_route) as gateway:
        answer = await _tested(gateway, clientOrderId="mine")
        assert (answer["outcome"], answer["reason"], answer["type"]) == ("routed", None, "market")
        assert (answer["best"]["pool"], answer["best"]["minAmountOut"]) == ("pool", "150.245")
        assert await gateway.log.position() == 0
        status, _ = await gateway.get("/api/orders/by-client-id/mine")
        assert status == 404


@pytest.mark.parametrize(
    ("quotes", "fields", "outcome", "reason"),
    [
        (_one_route, {"minAmountOut": "151"}, "routed", None),
        (_one_route, {"minAmountOut": "151.000001"}, "failed", "quote-below-minimum"),
        (_one_route, {"swapMode": "exactOut", "maxAmountIn": "1.5"}, "routed", None),
        (
            _one_route, {"swapMode": "exactOut", "maxAmountIn": "1.4"},
            "failed", "quote-above-maximum",
        ),
        (_one_route, {"type": "limit", "targetPrice": "100"}, "routed", None),
        (_one_route, {"type": "limit", "targetPrice": "101"}, "waiting", "quote-below-target"),
        (_one_route, {"type": "sniper", "minPrice": "101"}, "waiting", "quote-below-target"),
        (_refused, {}, "failed", "price-impact-too-high"),
        (_refused, {"type": "limit", "targetPrice": "1"}, "waiting", "price-impact-too-high"),
        (_silent, {}, "delayed", "quotes-stale"),
        (_silent, {"minAmountOut": "1", "timeInForce": "IOC"}, "failed", "quotes-stale"),
    ],
)  # fmt: skip
async def test_the_outcome_is_the_decision_of_the_router(
    redis_url: str, quotes: Any, fields: dict[str, str], outcome: str, reason: str | None
) -> None:
    async with served(redis_url, quotes=quotes) as gateway:
        answer = await _tested(gateway, **fields)
    assert (answer["outcome"], answer["reason"]) == (outcome, reason)
    assert (answer["best"] is None) is (outcome != "routed")
    if reason and reason.startswith("quote-") and outcome == "failed":
        assert "best quote" in answer["detail"]


async def test_a_tested_order_has_the_bounds_of_a_routed_one(redis_url: str) -> None:
    seen: list[Order] = []

    async def kept(order: Order) -> tuple[Quote, ...]:
        seen.append(order)
        return await _one_route(order)

    async with served(redis_url, quotes=kept) as gateway:
        answer = await _tested(gateway, slippageBps=77)
    [order] = seen
    [routed] = router.decide(order, await _one_route(order))
    assert isinstance(routed, OrderRouted)
    assert answer["best"]["minAmountOut"] == f"{routed.min_amount_out / 10**6:.6f}".rstrip("0")
    assert answer["slippageBps"] == 77


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0"},
        {"tokenIn": "NOPE"},
        {"tokenOut": "SOL"},
        {"what": 1},
        {"type": "limit"},
        {"expiresAt": 1},
        {"minAmountOut": "1", "slippageBps": 5},
    ],
)
async def test_a_test_refuses_what_a_submission_refuses(
    redis_url: str, fields: dict[str, Any]
) -> None:
    async with served(redis_url) as gateway:
        submitted, problem, _ = await gateway.post(GOOD | fields)
        tested, same, _ = await gateway.post(GOOD | fields, path=PATH)
    problem.pop("requestId"), same.pop("requestId")
    assert (tested, same) == (submitted, problem)
    assert submitted == 400


async def test_a_test_is_refused_while_orders_are_not_accepted(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        await gateway.log.suspend("a drill")
        status, problem, _ = await gateway.post(GOOD, path=PATH)
    assert (status, problem["code"]) == (503, "suspended")


def test_tests_and_submissions_have_the_same_body_and_scope() -> None:
    test, submission = ENDPOINTS["POST", PATH], ENDPOINTS["POST", "/api/orders/execute"]
    assert test.body == submission.body
    assert test.permission.scope == submission.permission.scope


@pytest.mark.parametrize("path", [PATH, "/api/orders/execute"])
@pytest.mark.parametrize("keys", [["a b"], ["x" * 129], ["a", "b"]])
async def test_a_malformed_key_is_refused_by_a_test_as_by_a_submission(
    redis_url: str, path: str, keys: list[str]
) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    async with served(redis_url, quotes=_one_route) as gateway:
        status, problem, _ = await gateway.post(path=path, headers=headers)
        assert (status, problem["code"]) == (400, "malformed-idempotency-key")
        assert await gateway.log.position() == 0
        if path == PATH:  # a key that is well formed is not used
            for _ in range(2):
                status, _, _ = await gateway.post(path=path, headers={"Idempotency-Key": "mine"})
                assert status == 200
