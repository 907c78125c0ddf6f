"""The best of several quotes, and why: the rule that router, API and audit share.

Rule of this file: pure, and in integers.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.quote import Quote
from events.reason_codes import ReasonCode

_CENTI_BPS = 1_000_000
"""A hundredth of a basis point is a millionth."""


UNANSWERED: frozenset[ReasonCode] = frozenset(
    {
        "venue-timeout", "venue-unavailable", "quotes-stale", "pool-data-stale", "pool-not-read",
        "pool-exceeds-node-limit",
    }
)  # fmt: skip
"""Codes of quotes without an answer about the market; another request may get one."""


def net(quote: Quote, exact_out: bool) -> int:
    """The value by which quotes are compared: output less cost, or minus input and cost.

    In base units of token_out, or of token_in if the output is exact.
    """
    if exact_out:
        return -(quote.amount_in + quote.cost)
    return quote.amount_out - quote.cost


def best(quotes: Sequence[Quote], *, exact_out: bool) -> int | None:
    """The index of the first best usable quote; None where no quote is usable."""
    best_quote, highest = None, 0
    for index, quote in enumerate(quotes):
        if quote.error:
            continue
        worth = net(quote, exact_out)
        if best_quote is None or worth > highest:
            best_quote, highest = index, worth
    return best_quote


def why(quotes: Sequence[Quote], chosen: int, *, exact_out: bool) -> str:
    """The margin of the chosen quote over the next best, as a sentence."""
    others = [q for index, q in enumerate(quotes) if index != chosen and not q.error]
    if not others:
        return "the only usable quote"
    next_best = max(others, key=lambda quote: net(quote, exact_out))
    gain = net(quotes[chosen], exact_out) - net(next_best, exact_out)
    name = next_best.pool or next_best.dex
    if not gain:
        return f"equal to {name}, and named first"
    base = abs(net(next_best, exact_out)) or 1
    whole, part = divmod(gain * _CENTI_BPS // base, 100)
    what = "costs" if exact_out else "pays"
    by = "less" if exact_out else "more"
    return f"{what} {whole}.{part:02d} bps {by} than {name}, fees and transaction cost off"
