"""`engine submit` makes its options and its request from the table of order types."""

from __future__ import annotations

import argparse
import shlex

import msgspec
import pytest

from engine.commands import submit


def request(line: str) -> dict[str, object]:
    """The body that the command line makes."""
    parser = argparse.ArgumentParser()
    submit.arguments(parser)
    body: dict[str, object] = msgspec.to_builtins(
        submit.order_of(parser.parse_args(shlex.split(line)))
    )
    return body


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", {}),
        ("--exact-out --max-amount-in 3", {"swapMode": "exactOut", "maxAmountIn": "3"}),
        ("--min-amount-out 1 --tif FOK", {"minAmountOut": "1", "timeInForce": "FOK"}),
        ("--slippage-bps 0", {"slippageBps": 0}),
        ("--limit 160", {"type": "limit", "targetPrice": "160"}),
        ("--limit ''", {"type": "limit", "targetPrice": ""}),
        (
            "--sniper --min-liquidity 500 --max-price 0.2 --slippage-bps 9",
            {"type": "sniper", "minLiquidity": "500", "maxPrice": "0.2", "slippageBps": 9},
        ),
        ("--max-price 0.2", {"maxPrice": "0.2"}),  # the gateway refuses it
        (
            "--expires-at 2026-12-01T00:00:00Z --client-order-id a",
            {"expiresAt": "2026-12-01T00:00:00Z", "clientOrderId": "a"},
        ),
    ],
)
def test_options_become_the_request_of_the_type(line: str, fields: dict[str, object]) -> None:
    base = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
    assert request(f"SOL USDC 1.5 {line}") == base | fields


def test_an_order_has_one_type() -> None:
    with pytest.raises(SystemExit):
        request("SOL USDC 1.5 --limit 160 --sniper")
