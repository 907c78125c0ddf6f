"""Routes: the best pool, the split that pays, the hop that is left; and what each leg promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.money import Token
from events.order import Order
from events.types import Leg, OrderRouted, Quote, Status
from stages import router
from stages.pools.contract import PPB, Clock, ErrorCode, Rejected, Swap, impact_ppm
from stages.routing.candidates import candidates
from stages.routing.costs import Costs
from stages.routing.pool_graph import Listed, PoolGraph
from stages.routing.quoting import as_quote
from stages.routing.route import Candidate, Limits, RejectedPool, Request
from stages.routing.split import equalised
from stages.routing.terms import terms

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
    errors: dict[str, ErrorCode] = {"TooMuch": ErrorCode(1, "insufficient-liquidity")}  # noqa: RUF012  # read only


def board(*pools: Product) -> PoolGraph:
    family: Any = Plain()
    return PoolGraph([Listed(family, pool, 7) for pool in pools], CLOCK)


def search(
    of: PoolGraph, request: Request, costs: Costs = FREE, **limits: Any
) -> list[Candidate | RejectedPool]:
    return candidates(of, request, costs, Limits(hop_slack_bps=10, **limits))


def best(judged: Sequence[Candidate | RejectedPool]) -> Candidate:
    usable = [item for item in judged if isinstance(item, Candidate)]
    return max(usable, key=lambda candidate: candidate.amount_out - candidate.cost)


def of_kind(judged: Sequence[Candidate | RejectedPool], kind: str, steps: int) -> list[Candidate]:
    usable = [item for item in judged if isinstance(item, Candidate)]
    return [
        candidate
        for candidate in usable
        if candidate.kind == kind and len(candidate.steps) == steps
    ]


DEEP = Product("deep", SOL, USDC, 10_000 * 10**9, 1_500_000 * 10**6)
SHALLOW = Product("shallow", USDC, SOL, 600_000 * 10**6, 4_000 * 10**9)


def test_every_pool_of_a_pair_is_quoted_whichever_way_round_it_lies() -> None:
    quoted = search(board(DEEP, SHALLOW), Request(SOL, USDC, 10**9))
    assert [
        item.steps[0].way.listed.pool.address for item in quoted if isinstance(item, Candidate)
    ][:2] == ["deep", "shallow"]


def test_a_pool_that_refuses_is_named_with_its_reason() -> None:
    quoted = search(board(DEEP), Request(SOL, USDC, 2_000_000 * 10**6, exact_out=True))
    assert [(item.reason if isinstance(item, RejectedPool) else "") for item in quoted] == [
        "insufficient-liquidity"
    ]


@pytest.mark.parametrize("sol", [10, 100, 1000])
def test_a_split_over_two_pools_of_equal_price_pays_as_one_merged_pool(sol: int) -> None:
    quoted = search(board(DEEP, SHALLOW), Request(SOL, USDC, sol * 10**9))
    merged = Product("merged", SOL, USDC, 14_000 * 10**9, 2_100_000 * 10**6)
    ideal = merged.exact_in(sol * 10**9, True, CLOCK).amount_out
    whole, split = quoted[0], best(quoted)
    assert isinstance(whole, Candidate)
    assert split.kind == "split"
    assert whole.amount_out < split.amount_out <= ideal
    assert (ideal - split.amount_out) * 10**6 <= ideal  # a hundredth of a basis point
    assert sum(step.swap.amount_in for step in split.steps) == sol * 10**9


THIRD = Product("third", SOL, USDC, 1_000 * 10**9, 150_000 * 10**6)


@pytest.mark.parametrize("sol", [30, 100, 1000, 10_000])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_split_over_three_pools_of_equal_price_pays_as_one_merged_pool(
    sol: int, order: tuple[int, ...]
) -> None:
    pools = [(DEEP, SHALLOW, THIRD)[at] for at in order]
    quoted = search(board(*pools), Request(SOL, USDC, sol * 10**9))
    merged = Product("merged", SOL, USDC, 15_000 * 10**9, 2_250_000 * 10**6)
    ideal = merged.exact_in(sol * 10**9, True, CLOCK).amount_out
    [three] = of_kind(quoted, "split", 3)
    assert best(quoted) == three
    assert (
        max(candidate.amount_out for candidate in of_kind(quoted, "split", 2))
        < three.amount_out
        <= ideal
    )
    assert (ideal - three.amount_out) * 10**6 <= ideal  # a hundredth of a basis point
    assert sum(step.swap.amount_in for step in three.steps) == sol * 10**9
    assert len({step.way.listed.pool.address for step in three.steps}) == 3


def test_a_split_over_three_pools_of_different_prices_is_optimal() -> None:
    poor = Product("poor", SOL, USDC, 3_000 * 10**9, 447_000 * 10**6)  # 149
    rich = Product("rich", SOL, USDC, 500 * 10**9, 75_500 * 10**6)  # 151
    amount = 300 * 10**9
    [three] = of_kind(search(board(DEEP, poor, rich), Request(SOL, USDC, amount)), "split", 3)
    shares = [step.swap.amount_in for step in three.steps]
    pools: list[Any] = [step.way.listed.pool for step in three.steps]

    def paid(parts: Sequence[int]) -> int:
        return sum(p.exact_in(n, True, CLOCK).amount_out for p, n in zip(pools, parts, strict=True))

    moved = amount // 1000
    for giver in range(3):
        for taker in range(3):
            other = list(shares)
            other[giver] -= moved
            other[taker] += moved
            assert paid(other) <= paid(shares) + 2


def test_an_exact_output_over_three_pools_costs_least_and_is_exact() -> None:
    request = Request(SOL, USDC, 100_000 * 10**6, exact_out=True)
    quoted = search(board(DEEP, SHALLOW, THIRD), request)
    [three] = of_kind(quoted, "split", 3)
    merged = Product("merged", SOL, USDC, 15_000 * 10**9, 2_250_000 * 10**6)
    ideal = merged.exact_out(request.amount, True, CLOCK).amount_in
    assert three.amount_out == request.amount
    assert ideal <= three.amount_in < min(o.amount_in for o in of_kind(quoted, "split", 2))
    assert (three.amount_in - ideal) * 10**6 <= ideal


def test_a_third_pool_that_does_not_fit_leaves_the_split_over_two() -> None:
    request = Request(SOL, USDC, 10**12)
    pools = board(DEEP, SHALLOW, THIRD)
    quoted = search(pools, request, fits=lambda steps: len(steps) < 3)
    assert not of_kind(quoted, "split", 3)
    assert best(quoted).kind == "split"


def test_no_split_is_offered_that_does_not_pay_its_cost() -> None:
    dear = Costs(10**9, SOL, (SOL, USDC))
    quoted = search(board(DEEP, SHALLOW), Request(SOL, USDC, 10**9), dear)
    assert all(item.kind == "direct" for item in quoted if isinstance(item, Candidate))


def test_no_split_is_offered_that_does_not_fit_into_a_transaction() -> None:
    quoted = search(
        board(DEEP, SHALLOW), Request(SOL, USDC, 10**12), fits=lambda steps: len(steps) == 1
    )
    assert all(item.kind == "direct" for item in quoted if isinstance(item, Candidate))


def test_an_exact_output_is_split_so_that_less_goes_in() -> None:
    quoted = search(board(DEEP, SHALLOW), Request(SOL, USDC, 100_000 * 10**6, exact_out=True))
    whole = quoted[0]
    split = next(item for item in quoted if isinstance(item, Candidate) and item.kind == "split")
    assert isinstance(whole, Candidate)
    assert split.amount_in < whole.amount_in
    assert split.amount_out == whole.amount_out == 100_000 * 10**6


def test_two_hops_are_routed_where_there_is_no_pool() -> None:
    second = Product("ray-usdc", RAY, USDC, 10**12, 2 * 10**12)
    [hop] = search(board(DEEP, second), Request(SOL, RAY, 10**9))
    assert isinstance(hop, Candidate)
    first, last = (step.swap for step in hop.steps)
    assert hop.kind == "hop"
    assert first.amount_out == last.amount_in
    assert hop.amount_in <= 10**9


RAY_DEEP = Product("ray-deep", RAY, USDC, 4 * 10**12, 8 * 10**12)
RAY_SHALLOW = Product("ray-shallow", USDC, RAY, 2 * 10**12, 10**12)


@pytest.mark.parametrize(
    ("pools", "steps"),
    [
        ((DEEP, SHALLOW, RAY_DEEP), 3),
        ((DEEP, RAY_DEEP, RAY_SHALLOW), 3),
        ((DEEP, SHALLOW, RAY_DEEP, RAY_SHALLOW), 4),
    ],
)
def test_a_hop_is_split_over_two_pools_where_that_pays_more(
    pools: tuple[Product, ...], steps: int
) -> None:
    request = Request(SOL, RAY, 500 * 10**9)
    quoted = search(board(*pools), request)
    [single] = of_kind(quoted, "hop", 2)
    split = best(quoted)
    assert (split.kind, len(split.steps)) == ("hop", steps)
    assert split.amount_out > single.amount_out
    first, last = split.hops
    # What the second hop takes in is written into the transaction: the first yields exactly that.
    assert sum(s.swap.amount_out for s in first) == sum(s.swap.amount_in for s in last)
    assert [s.exact_out for s in split.steps] == [True] * len(first) + [False] * len(last)
    assert split.amount_in == sum(s.swap.amount_in for s in first) <= request.amount
    assert split.amount_out == sum(s.swap.amount_out for s in last)


def test_a_split_hop_that_does_not_fit_leaves_the_hop_of_single_pools() -> None:
    pools = board(DEEP, SHALLOW, RAY_DEEP, RAY_SHALLOW)
    quoted = search(pools, Request(SOL, RAY, 500 * 10**9), fits=lambda steps: len(steps) <= 2)
    assert best(quoted).kind == "hop"
    assert all(len(item.steps) == 2 for item in quoted if isinstance(item, Candidate))


def test_a_split_hop_is_named_by_its_pools_and_its_fees_are_in_the_token_that_is_paid() -> None:
    pools = board(DEEP, SHALLOW, RAY_DEEP, RAY_SHALLOW)
    request = Request(SOL, RAY, 500 * 10**9)
    candidate = best(search(pools, request))
    tokens = {SOL: Token("SOL", 9), USDC: Token("USDC", 6), RAY: Token("RAY", 6)}
    quote = as_quote(candidate, request, tokens.__getitem__, max_impact_ppm=1_000_000, warned={})
    assert quote.pool == "deep+shallow>ray-deep+ray-shallow"
    assert quote.dex == "dex"
    assert [(leg.token_in, leg.token_out) for leg in quote.legs] == [
        ("SOL", "USDC"), ("SOL", "USDC"), ("USDC", "RAY"), ("USDC", "RAY"),
    ]  # fmt: skip
    # A quarter of a percent of what goes in, twice.
    assert abs(quote.fee - 2 * candidate.amount_in * 25 // 10_000) * 200 < quote.fee


class Counting(Product, frozen=True):
    """Counts how often it is asked."""

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        asked.append(self.address)
        return super().exact_in(amount, a_to_b, clock)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        asked.append(self.address)
        return super().exact_out(amount, a_to_b, clock)


asked: list[str] = []
QUOTES_MOST = 280
"""Of twelve pools where every split and hop pays: some milliseconds on the way of an order."""


@pytest.mark.parametrize("exact_out", [False, True])
def test_the_search_asks_a_bounded_number_of_quotes(exact_out: bool) -> None:
    pools = [
        Counting(f"{a}-{b}-{n}", a, b, (n + 5) * 10**13, (n + 5) * 10**13 * percent // 100)
        for a, b, percent in ((SOL, USDC, 100), (USDC, RAY, 100), (SOL, RAY, 80))
        for n in range(4)
    ]
    asked.clear()
    quoted = search(board(*pools), Request(SOL, RAY, 10**13, exact_out))
    assert of_kind(quoted, "split", 3)
    assert exact_out or of_kind(quoted, "hop", 4)
    assert len(asked) <= QUOTES_MOST


def test_two_hops_are_offered_beside_a_pool_only_where_they_pay_more() -> None:
    second = Product("ray-usdc", RAY, USDC, 10**12, 2 * 10**12)
    poor = Product("poor", SOL, RAY, 10**9, 10**6)
    rich = Product("rich", SOL, RAY, 10**15, 2 * 10**14)
    assert best(search(board(DEEP, second, poor), Request(SOL, RAY, 10**9))).kind == "hop"
    assert best(search(board(DEEP, second, rich), Request(SOL, RAY, 10**9))).kind == "direct"


@given(
    amount=st.integers(10**6, 10**8),  # at most a tenth of either pool
    reserves=st.lists(st.integers(10**9, 10**12), min_size=4, max_size=4),
    exact_out=st.booleans(),
)
@settings(derandomize=True, max_examples=200)
def test_no_other_share_pays_more_than_the_equalised_one(
    amount: int, reserves: list[int], exact_out: bool
) -> None:
    product = Product("one", SOL, USDC, reserves[0], reserves[1], 0)
    two = Product("two", SOL, USDC, reserves[2], reserves[3], 0)
    of = board(product, two)
    first, second = of.ways(SOL, USDC)
    shares = equalised((first, second), amount, exact_out, of)
    scores = []
    for share in range(amount // 100, amount, amount // 100):
        try:
            if exact_out:
                into = (
                    product.exact_out(share, True, CLOCK),
                    two.exact_out(amount - share, True, CLOCK),
                )
                scores.append(-sum(swap.amount_in for swap in into))
            else:
                out = (
                    product.exact_in(share, True, CLOCK),
                    two.exact_in(amount - share, True, CLOCK),
                )
                scores.append(sum(swap.amount_out for swap in out))
        except Rejected:
            continue
    if shares is None:
        return  # then a single pool takes it all, and pays no less
    got = sum(-s.amount_in if exact_out else s.amount_out for s in shares)
    given_side = [swap.amount_out if exact_out else swap.amount_in for swap in shares]
    assert sum(given_side) == amount
    # Where no split pays, the pools by themselves are candidates, too.
    for pool in (product, two):
        alone = (
            pool.exact_out(amount, True, CLOCK) if exact_out else pool.exact_in(amount, True, CLOCK)
        )
        got = max(got, -alone.amount_in if exact_out else alone.amount_out)
    # Shares are exact to a millionth; each swap is rounded to whole units of either token.
    assert max(scores) - got <= 2000 + abs(got) // 10**5


LEG = Leg("dex", "product", "deep", "SOL", "USDC", 9, 6, 600, 9_000, 2, False, 5, False)


@given(
    parts=st.lists(st.integers(1, 10**12), min_size=1, max_size=3),
    least=st.integers(1, 10**12),
)
@settings(derandomize=True)
def test_the_thresholds_of_the_legs_add_up_to_the_limit_of_the_order(
    parts: list[int], least: int
) -> None:
    legs = [msgspec.structs.replace(LEG, amount_out=part) for part in parts]
    swap_terms = terms(legs, amount_in=1, min_out=least, max_in=0)
    assert sum(item.threshold for item in swap_terms) >= least
    spent = terms(
        [msgspec.structs.replace(LEG, amount_in=part) for part in parts],
        amount_in=1, min_out=1, max_in=least,
    )  # fmt: skip
    assert sum(item.threshold for item in spent) <= least


amounts = st.integers(1, 2**63)
halves = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=3)


@given(first=halves, last=halves, least=amounts, surplus=st.integers(0, 10**9), data=st.data())
@settings(derandomize=True)
def test_legs_within_their_terms_keep_the_terms_of_the_order(
    first: list[tuple[int, int]],
    last: list[tuple[int, int]],
    least: int,
    surplus: int,
    data: st.DataObject,
) -> None:
    """Whatever a program may do within the terms of its own leg, of split hops, too."""
    amount_in = sum(into for into, _ in first) + surplus
    legs = [
        msgspec.structs.replace(LEG, amount_in=into, amount_out=out, exact_out=True)
        for into, out in first
    ] + [
        msgspec.structs.replace(
            LEG, token_in="USDC", token_out="RAY", amount_in=into, amount_out=out
        )
        for into, out in last
    ]
    swap_terms = terms(legs, amount_in=amount_in, min_out=least, max_in=0)
    before, after = swap_terms[: len(first)], swap_terms[len(first) :]
    # Each program executes at the worst price that its threshold allows, or a better one.
    paid = [data.draw(st.integers(0, term.threshold)) for term in before]
    got = [data.draw(st.integers(term.threshold, 2**64)) for term in after]
    assert sum(paid) <= sum(term.threshold for term in before) <= amount_in
    assert sum(got) >= sum(term.threshold for term in after) >= least
    assert [term.amount for term in before] == [out for _, out in first]
    assert [term.amount for term in after] == [into for into, _ in last]
    # No threshold is stricter than the quote where the order's bound is not.
    assert all(term.threshold >= into for term, (into, _) in zip(before, first, strict=True))
    if least <= sum(out for _, out in last):
        assert all(term.threshold <= out for term, (_, out) in zip(after, last, strict=True))


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
    [result] = search(board(DEEP), request)
    quote = as_quote(result, request, tokens.__getitem__, max_impact_ppm=10_000, warned={})
    assert (quote.error, quote.dex, quote.pool) == ("price-impact-too-high", "dex", "deep")
    assert quote.amount_out > 0
    assert quote.price_impact_ppm > 300_000
    assert quote.legs[0].token_in == "SOL"
    fine: Quote = as_quote(result, request, tokens.__getitem__, max_impact_ppm=1_000_000, warned={})
    assert not fine.error


def test_a_quote_has_the_warnings_of_its_tokens_and_a_route_keeps_them() -> None:
    request = Request(SOL, USDC, 10**9)
    tokens = {SOL: Token("SOL", 9), USDC: Token("USDC", 6)}
    [item] = search(board(DEEP), request)
    warned = {USDC: ("mint-authority", "pausable"), "another": ("pausable",)}
    quote = as_quote(item, request, tokens.__getitem__, 10**6, warned)
    assert [(w.code, w.token) for w in quote.warnings] == [
        ("mint-authority", "USDC"), ("pausable", "USDC"),
    ]  # fmt: skip
    worse = msgspec.structs.replace(quote, amount_out=quote.amount_out - 1)
    order = Order(
        "o", status=Status.ROUTING, token_in="SOL", token_out="USDC", amount_in=10**9,
        decimals_in=9, decimals_out=6, slippage_bps=50,
    )  # fmt: skip
    [fact] = router.decide(order, [worse, quote])
    assert isinstance(fact, OrderRouted)
    assert [each.warnings for each in fact.quotes] == [(), quote.warnings]
    assert router.decide(order, fact.quotes) == [fact]


def test_transfer_fees_are_part_of_the_fee_and_not_of_the_impact() -> None:
    request = Request(SOL, USDC, 10**9)
    tokens = {SOL: Token("SOL", 9), USDC: Token("USDC", 6)}
    result = search(board(DEEP), request)[0]
    assert isinstance(result, Candidate)
    swap = result.steps[0].swap
    taxed = msgspec.structs.replace(
        swap, amount_in=swap.amount_in + 1_000, transfer_fee_in=1_000,
        amount_out=swap.amount_out - swap.amount_out // 100,
        transfer_fee_out=swap.amount_out // 100,
    )  # fmt: skip
    step = result.steps[0]._replace(swap=taxed)
    plain = as_quote(result, request, tokens.__getitem__, 10**6, {})
    quote = as_quote(result._replace(steps=(step,)), request, tokens.__getitem__, 10**6, {})
    assert quote.legs[0].transfer_fee_in == 1_000
    assert quote.legs[0].transfer_fee_out == swap.amount_out // 100
    assert quote.fee - plain.fee - 1_000 == pytest.approx(taxed.amount_in // 100, rel=1e-5)
    assert impact_ppm(taxed, (1, 1)) == impact_ppm(swap, (1, 1))


def test_a_hop_asks_each_pool_for_its_price_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk may list 20 pools of a pair: asked for each pair of pools, that is 400 answers."""
    many = range(20)
    pools = [Product("best", SOL, RAY, 10**12, 10**12)]
    pools += [Product(f"first {n}", SOL, USDC, 10**12 + n, 10**11) for n in many]
    pools += [Product(f"second {n}", USDC, RAY, 10**11 + n, 10**10) for n in many]
    asked: Counter[str] = Counter()
    plain = Product.spot

    def counted(pool: Product, a_to_b: bool) -> tuple[int, int]:
        asked[pool.address] += 1
        return plain(pool, a_to_b)

    monkeypatch.setattr(Product, "spot", counted)
    assert best(search(board(*pools), Request(SOL, RAY, 10**6))).kind == "direct"
    assert {asked[f"second {n}"] for n in many} == {1}
