"""GET /api/quotes, and orders that say what shall come out."""

from decimal import Decimal

import pytest

from events.order import Order
from events.types import Quote
from tests.support.http.served import GOOD, TOKENS, served

ASKED = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}


async def test_quotes_name_every_route_and_the_best_and_why(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        status, answer = await gateway.get("/api/quotes", params=ASKED)
    assert status == 200
    assert {quote["dex"] for quote in answer["quotes"]} == {"raydium", "meteora"}
    best = max(answer["quotes"], key=lambda quote: Decimal(quote["amountOut"]))
    assert answer["best"] | best == answer["best"]
    assert "more than" in answer["best"]["why"]
    assert Decimal(answer["best"]["minAmountOut"]) < Decimal(best["amountOut"])


async def test_tokens_may_be_named_by_their_mints(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        named = ASKED | {"tokenIn": TOKENS["SOL"].mint, "tokenOut": TOKENS["USDC"].mint}
        status, answer = await gateway.get("/api/quotes", params=named)
        assert (status, answer["tokenIn"], answer["tokenOut"]) == (200, "SOL", "USDC")
        order_id = await gateway.accepted(tokenIn=TOKENS["SOL"].mint)
        assert (await gateway.get(f"/api/orders/{order_id}"))[1]["tokenIn"] == "SOL"


async def test_the_best_exact_output_quote_has_the_least_input(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        expected = ASKED | {"amount": "150", "swapMode": "exactOut"}
        _, answer = await gateway.get("/api/quotes", params=expected)
    best = min(answer["quotes"], key=lambda quote: Decimal(quote["amountIn"]))
    assert answer["best"]["amountOut"] == "150"
    assert answer["best"]["amountIn"] == best["amountIn"]
    assert Decimal(answer["best"]["maxAmountIn"]) > Decimal(best["amountIn"])
    assert "less than" in answer["best"]["why"]


async def test_quotes_without_an_answer_of_any_venue_are_venues_unavailable(
    redis_url: str,
) -> None:
    async def silent(_: Order) -> tuple[Quote, ...]:
        return (Quote("solana", "", 0, 0, 0, 0, "quotes-stale"),)

    async with served(redis_url, quotes=silent) as gateway:
        status, problem = await gateway.get("/api/quotes", params=ASKED)
    assert (status, problem["code"], problem["detail"]) == (
        503, "venues-unavailable", "quotes-stale",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"amount": "0"}, "malformed-parameter"),
        ({"amount": "x"}, "malformed-parameter"),
        ({"tokenIn": "NOPE"}, "malformed-parameter"),
        ({"tokenOut": "SOL"}, "malformed-parameter"),
        ({"swapMode": "both"}, "malformed-parameter"),
        ({"slippageBps": "1.5"}, "malformed-parameter"),
        ({"what": "1"}, "malformed-parameter"),
    ],
)
async def test_a_question_that_cannot_be_read_is_refused(
    redis_url: str, changed: dict[str, str], code: str
) -> None:
    async with served(redis_url) as gateway:
        status, problem = await gateway.get("/api/quotes", params=ASKED | changed)
        assert (status, problem["code"]) == (400, code)
        [parameter] = changed
        assert problem["parameter"] == parameter


async def test_an_exact_output_order_takes_max_amount_in_but_no_slippage_or_minimum(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway:
        expected = {"amount": "150", "swapMode": "exactOut"}
        order_id = await gateway.accepted(**expected, maxAmountIn="2")
        _, order = await gateway.get(f"/api/orders/{order_id}")
        assert (order["amount"], order["swapMode"], order["maxAmountIn"]) == (
            "150",
            "exactOut",
            "2",
        )
        both = {"maxAmountIn": "2", "slippageBps": 10}
        status, problem, _ = await gateway.post(GOOD | expected | both)
        assert (status, problem["errors"][0]["code"]) == (400, "exclusive-fields")
        for bad in ({"minAmountOut": "1"}, {"swapMode": "exactIn", "maxAmountIn": "1"}):
            status, problem, _ = await gateway.post(GOOD | expected | bad)
            assert status == 400
            assert problem["errors"][0]["code"] == "field-not-allowed"
