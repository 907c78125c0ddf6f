"""Routes: the best pool, the split that pays, the hop that is left; and what each leg promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.money import Token
from events.types import Leg, Quote
from stages.routing.board import Board, Listed
from stages.routing.candidates import Candidate, Declined, Limits, Request, candidates
from stages.routing.costs import Costs
from stages.routing.quoting import as_quote
from stages.routing.split import equalised
from stages.routing.terms import terms
from stages.venues.pool import PPB, Clock, ErrorCode, Rejected, Swap

SOL, USDC, RAY = "sol", "usdc", "ray"
CLOCK = Clock(10, 1_760_000_000)
FREE = Costs(0, SOL, (SOL, USDC))


class Product(msgspec.Struct, frozen=True):
    """A constant product with a fee on the input: the plainest pool there is."""

    address: str
    mint_a: str
    mint_b: str
    reserve_a: int
    reserve_b: int
    rate_ppb: int = 2_500_000
    program: str = "program"

    def exact_in(self, amount: int, a_to_b: bool, _: Clock) -> Swap:
        into, out = self._reserves(a_to_b)
        fee = -(-amount * self.rate_ppb // PPB)
        paid = out * (amount - fee) // (into + amount - fee)
        if not paid:
            raise Rejected("TooSmall")
        return Swap(amount, paid, fee, False, self._moved(a_to_b, amount, paid))

    def exact_out(self, amount: int, a_to_b: bool, _: Clock) -> Swap:
        into, out = self._reserves(a_to_b)
        if amount >= out:
            raise Rejected("TooMuch")
        net = -(-into * amount // (out - amount))
        gross = -(-net * PPB // (PPB - self.rate_ppb))
        return Swap(gross, amount, gross - net, False, self._moved(a_to_b, gross, amount))

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        into, out = self._reserves(a_to_b)
        return out, into

    def fee_ppb(self, _: bool, __: Clock) -> int:
        return self.rate_ppb

    def _reserves(self, a_to_b: bool) -> tuple[int, int]:
        both = self.reserve_a, self.reserve_b
        return both if a_to_b else both[::-1]

    def _moved(self, a_to_b: bool, into: int, out: int) -> Product:
        a, b = (into, -out) if a_to_b else (-out, into)
        return msgspec.structs.replace(
            self, reserve_a=self.reserve_a + a, reserve_b=self.reserve_b + b
        )


class Plain(NamedTuple):
    """As much of a family as routing looks at."""

    name: str = "product"
    dex: str = "dex"
    cu_limit: int = 100_000
    errors: dict[str, ErrorCode] = {"TooMuch": ErrorCode(1, "no-liquidity")}  # noqa: RUF012  # read only


def board(*pools: Product) -> Board:
    family: Any = Plain()
    return Board([Listed(family, pool, 7) for pool in pools], CLOCK)


def found(
    of: Board, request: Request, costs: Costs = FREE, **limits: Any
) -> list[Candidate | Declined]:
    return candidates(of, request, costs, Limits(hop_slack_bps=10, **limits))


def best(all_found: Sequence[Candidate | Declined]) -> Candidate:
    usable = [one for one in all_found if isinstance(one, Candidate)]
    return max(usable, key=lambda one: one.amount_out - one.cost)


DEEP = Product("deep", SOL, USDC, 10_000 * 10**9, 1_500_000 * 10**6)
SHALLOW = Product("shallow", USDC, SOL, 600_000 * 10**6, 4_000 * 10**9)


def test_every_pool_of_a_pair_is_quoted_whichever_way_round_it_lies() -> None:
    quoted = found(board(DEEP, SHALLOW), Request(SOL, USDC, 10**9))
    assert [one.steps[0].way.listed.pool.address for one in quoted if isinstance(one, Candidate)][
        :2
    ] == ["deep", "shallow"]


def test_a_pool_that_refuses_is_named_with_its_reason() -> None:
    quoted = found(board(DEEP), Request(SOL, USDC, 2_000_000 * 10**6, exact_out=True))
    assert [(one.reason if isinstance(one, Declined) else "") for one in quoted] == ["no-liquidity"]


@pytest.mark.parametrize("sol", [10, 100, 1000])
def test_a_split_over_two_pools_of_one_price_pays_what_both_as_one_would(sol: int) -> None:
    quoted = found(board(DEEP, SHALLOW), Request(SOL, USDC, sol * 10**9))
    merged = Product("merged", SOL, USDC, 14_000 * 10**9, 2_100_000 * 10**6)
    ideal = merged.exact_in(sol * 10**9, True, CLOCK).amount_out
    whole, split = quoted[0], best(quoted)
    assert isinstance(whole, Candidate)
    assert split.kind == "split"
    assert whole.amount_out < split.amount_out <= ideal
    assert (ideal - split.amount_out) * 10**6 <= ideal  # a hundredth of a basis point
    assert sum(step.swap.amount_in for step in split.steps) == sol * 10**9


def test_no_split_is_offered_that_does_not_pay_its_cost() -> None:
    dear = Costs(10**9, SOL, (SOL, USDC))
    quoted = found(board(DEEP, SHALLOW), Request(SOL, USDC, 10**9), dear)
    assert all(one.kind == "direct" for one in quoted if isinstance(one, Candidate))


def test_no_split_is_offered_that_does_not_fit_into_a_transaction() -> None:
    quoted = found(
        board(DEEP, SHALLOW), Request(SOL, USDC, 10**12), fits=lambda steps: len(steps) == 1
    )
    assert all(one.kind == "direct" for one in quoted if isinstance(one, Candidate))


def test_an_exact_output_is_split_so_that_less_goes_in() -> None:
    quoted = found(board(DEEP, SHALLOW), Request(SOL, USDC, 100_000 * 10**6, exact_out=True))
    whole = quoted[0]
    split = next(one for one in quoted if isinstance(one, Candidate) and one.kind == "split")
    assert isinstance(whole, Candidate)
    assert split.amount_in < whole.amount_in
    assert split.amount_out == whole.amount_out == 100_000 * 10**6


def test_two_hops_are_found_where_there_is_no_pool() -> None:
    second = Product("ray-usdc", RAY, USDC, 10**12, 2 * 10**12)
    [hop] = found(board(DEEP, second), Request(SOL, RAY, 10**9))
    assert isinstance(hop, Candidate)
    first, last = (step.swap for step in hop.steps)
    assert hop.kind == "hop"
    assert first.amount_out == last.amount_in
    assert hop.amount_in <= 10**9


def test_two_hops_are_offered_beside_a_pool_only_where_they_pay_more() -> None:
    second = Product("ray-usdc", RAY, USDC, 10**12, 2 * 10**12)
    poor = Product("poor", SOL, RAY, 10**9, 10**6)
    rich = Product("rich", SOL, RAY, 10**15, 2 * 10**14)
    assert best(found(board(DEEP, second, poor), Request(SOL, RAY, 10**9))).kind == "hop"
    assert best(found(board(DEEP, second, rich), Request(SOL, RAY, 10**9))).kind == "direct"


@given(
    amount=st.integers(10**6, 10**8),  # at most a tenth of either pool
    reserves=st.lists(st.integers(10**9, 10**12), min_size=4, max_size=4),
    exact_out=st.booleans(),
)
@settings(derandomize=True, max_examples=200)
def test_no_other_share_pays_more_than_the_one_found(
    amount: int, reserves: list[int], exact_out: bool
) -> None:
    one = Product("one", SOL, USDC, reserves[0], reserves[1], 0)
    two = Product("two", SOL, USDC, reserves[2], reserves[3], 0)
    of = board(one, two)
    first, second = of.ways(SOL, USDC)
    shares = equalised((first, second), amount, exact_out, of)
    scores = []
    for share in range(amount // 100, amount, amount // 100):
        try:
            if exact_out:
                into = one.exact_out(share, True, CLOCK), two.exact_out(amount - share, True, CLOCK)
                scores.append(-sum(swap.amount_in for swap in into))
            else:
                out = one.exact_in(share, True, CLOCK), two.exact_in(amount - share, True, CLOCK)
                scores.append(sum(swap.amount_out for swap in out))
        except Rejected:
            continue
    if shares is None:
        return  # then a single pool takes it all: nobody is worse off
    got = sum(-s.amount_in if exact_out else s.amount_out for s in shares)
    given_side = [swap.amount_out if exact_out else swap.amount_in for swap in shares]
    assert sum(given_side) == amount
    # Where no split pays, the pools by themselves are candidates, too.
    for pool in (one, two):
        alone = (
            pool.exact_out(amount, True, CLOCK) if exact_out else pool.exact_in(amount, True, CLOCK)
        )
        got = max(got, -alone.amount_in if exact_out else alone.amount_out)
    # Shares are found to a millionth; each swap is rounded to whole units of either token.
    assert max(scores) - got <= 2000 + abs(got) // 10**5


LEG = Leg("dex", "product", "deep", "SOL", "USDC", 9, 6, 600, 9_000, 2, False, 5, False)


@given(
    parts=st.lists(st.integers(1, 10**12), min_size=1, max_size=2),
    least=st.integers(1, 10**12),
)
@settings(derandomize=True)
def test_what_the_legs_promise_adds_up_to_no_less_than_the_order(
    parts: list[int], least: int
) -> None:
    legs = [msgspec.structs.replace(LEG, amount_out=part) for part in parts]
    said = terms(legs, amount_in=1, min_out=least, max_in=0)
    assert sum(one.threshold for one in said) >= least
    spent = terms(
        [msgspec.structs.replace(LEG, amount_in=part) for part in parts],
        amount_in=1, min_out=1, max_in=least,
    )  # fmt: skip
    assert sum(one.threshold for one in spent) <= least


def test_the_first_of_two_hops_yields_exactly_what_the_second_takes_in() -> None:
    legs = [
        msgspec.structs.replace(LEG, exact_out=True),
        msgspec.structs.replace(LEG, token_in="USDC", token_out="RAY", amount_in=9_000),
    ]
    first, last = terms(legs, amount_in=610, min_out=77, max_in=0)
    assert first == (True, 9_000, 610)
    assert last == (False, 9_000, 77)


def test_a_quote_too_far_off_the_market_is_refused_and_still_shows_its_amounts() -> None:
    request = Request(SOL, USDC, 5_000 * 10**9)
    tokens = {SOL: Token("SOL", 9), USDC: Token("USDC", 6)}
    [one] = found(board(DEEP), request)
    quote = as_quote(one, request, tokens.__getitem__, max_impact_ppm=10_000)
    assert (quote.error, quote.dex, quote.pool) == ("price-impact-too-high", "dex", "deep")
    assert quote.amount_out > 0
    assert quote.price_impact_ppm > 300_000
    assert quote.legs[0].token_in == "SOL"
    fine: Quote = as_quote(one, request, tokens.__getitem__, max_impact_ppm=1_000_000)
    assert not fine.error
