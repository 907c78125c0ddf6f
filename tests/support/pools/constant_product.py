"""What must hold of every swap in a constant-product pool, whatever the pool and the amount."""

from stages.pools.contract import Clock, Pool, Rejected, Swap, impact_ppm

CLOCK = Clock(0, 0)
BIG = 2**63


def swapped(pool: Pool, amount: int, a_to_b: bool, *, exact_out: bool = False) -> Swap | None:
    """The swap, or None if the program refuses it."""
    try:
        return (pool.exact_out if exact_out else pool.exact_in)(amount, a_to_b, CLOCK)
    except Rejected:
        return None


def assert_never_leaks(pool: Pool, swap: Swap, a_to_b: bool) -> None:
    """The product grows, nothing negative is left, and no more comes out than the price allows."""
    after = swap.after
    assert after.reserve_a * after.reserve_b >= pool.reserve_a * pool.reserve_b
    assert after.reserve_a > 0
    assert after.reserve_b > 0
    paid_out, paid_in = pool.spot(a_to_b)
    assert swap.amount_out * paid_in <= swap.amount_in * paid_out
    assert 0 <= impact_ppm(swap, (paid_out, paid_in)) <= 1_000_000


def assert_monotone(pool: Pool, less: int, more: int, a_to_b: bool) -> None:
    """More in never brings less out; more out never costs less."""
    first, second = swapped(pool, less, a_to_b), swapped(pool, more, a_to_b)
    if first and second:
        assert first.amount_out <= second.amount_out
    first = swapped(pool, less, a_to_b, exact_out=True)
    second = swapped(pool, more, a_to_b, exact_out=True)
    if first and second:
        assert first.amount_in <= second.amount_in


def assert_round_trip_gains_nothing(pool: Pool, amount: int, a_to_b: bool) -> None:
    """Buying what was bought costs no more; selling it back brings no more."""
    swap = swapped(pool, amount, a_to_b)
    if swap is None:
        return
    again = swapped(pool, swap.amount_out, a_to_b, exact_out=True)
    assert again is not None
    assert again.amount_out == swap.amount_out
    assert again.amount_in <= amount
    back = swapped(swap.after, swap.amount_out, not a_to_b)
    assert back is None or back.amount_out <= amount


def assert_fee_rate_covers(pool: Pool, amount: int, a_to_b: bool) -> None:
    """A swap pays the stated rate, but for rounding up by a unit a fee."""
    swap = swapped(pool, amount, a_to_b)
    if swap and not swap.other_fee:
        assert (swap.fee - 1) * 10**9 < amount * pool.fee_ppb(a_to_b, CLOCK)
