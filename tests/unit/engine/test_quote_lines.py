"""`engine quote`: what a person reads."""

from msgspec import to_builtins

from engine.commands import quote as command
from events.types import Leg, Quote, TokenWarning
from projections.views import schemas


def test_the_warnings_of_the_best_route_are_printed_before_it() -> None:
    leg = Leg("raydium", "raydium-cpmm", "A", "SOL", "USDC", 9, 6, 10**9, 149, 3, False, 1, False)
    warned = (TokenWarning("pausable", "USDC"),)
    quote = Quote("raydium", "A", 10**9, 149, 3, 7, legs=(leg,), warnings=warned)
    view = to_builtins(schemas.Quote.of(quote, 9, 6))
    best = view | {"price": "0.000149", "why": "the only usable quote", "minAmountOut": "0.000148"}
    lines = list(command._lines({"quotes": [view], "best": best}))
    assert lines[1].startswith("warning: USDC pausable: The issuer may pause the token.")
    assert lines[2].startswith("best: raydium-cpmm")


def test_a_leg_shows_transfer_fees_where_there_are_any() -> None:
    leg = Leg(
        "raydium", "raydium-cpmm", "A", "SOL", "USDC", 9, 6, 10**9, 149, 3, False, 1, False, 5, 7
    )
    quote = Quote("raydium", "A", 10**9, 149, 3, 7, legs=(leg,))
    [shown] = to_builtins(schemas.Quote.of(quote, 9, 6))["legs"]
    assert (shown["transferFeeIn"], shown["transferFeeOut"]) == ("0.000000005", "0.000007")
