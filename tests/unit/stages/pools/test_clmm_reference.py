"""The CLMM quotes, executes and writes as a second, literal implementation of its rules does."""

import random
from collections import Counter
from struct import pack_into

import pytest

from stages.pools.contract import Clock, RawAccount, Rejected
from stages.pools.raydium.clmm import layout
from stages.pools.raydium.clmm.addresses import array_address, extension_address
from stages.pools.raydium.clmm.bitmap import number_of, place
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.pools.raydium.clmm.ticks import sqrt_price_at, tick_at
from tests.support.pools import clmm_reference as reference
from tests.support.pools.clmm_chain import MAINNET, chain_of, decoded, described, written
from tests.support.pools.clmm_reference import Dynamic, State, Tick

NAME = "clmm-pool-18"
NOW_S = 1_800_000_000
SEED, ROUNDS, SWAPS = 11, 100, 4
Chain = dict[str, RawAccount]


# -- random pools ----------------------------------------------------------------------------------


def size(rng: random.Random, bits: int) -> int:
    """An amount of up to `bits` bits, each length as likely."""
    return rng.randrange(1, 1 << rng.randint(1, bits))


def random_state(rng: random.Random) -> State:
    """Ranges of liquidity with gaps, orders on and between their ends, any fee."""
    spacing = rng.choice([1, 10, 60, 120])
    reach = rng.choice([6, 40, 200])
    centre = rng.choice([0, rng.randint(-300, 300), 512 * 60, -513 * 60]) if spacing == 1 else 0
    edges = [(centre + rng.randint(-reach, reach)) * spacing for _ in range(12)]
    ticks: dict[int, Tick] = {}
    owned = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if a == b or rng.random() < 0.4:
            continue
        low, high, liquidity = min(a, b), max(a, b), size(rng, 50)
        owned.append((low, high, liquidity))
        for end, net in ((low, liquidity), (high, -liquidity)):
            tick = ticks.setdefault(end, Tick(outside=(rng.getrandbits(128), rng.getrandbits(128))))
            tick.net += net
            tick.gross += liquidity
    for _ in range(rng.choice([0, 0, 3, 9])):
        tick = ticks.setdefault((centre + rng.randint(-reach, reach)) * spacing, Tick())
        tick.phase, tick.ratio = rng.randint(0, 5), rng.getrandbits(64)
        tick.open, tick.part = rng.choice([(1, 0), (0, 1), (1, 1)])
        tick.open *= size(rng, 40)
        tick.part *= size(rng, 40)
    for end in (centre - reach - 1, centre + reach + 1):
        ticks.setdefault(end * spacing, Tick(gross=1))
    at = (centre + rng.randint(-reach, reach)) * spacing
    sqrt = sqrt_price_at(at) + rng.choice([0, 0, 1, rng.randrange(sqrt_price_at(at) // 20_000)])
    tick_now = tick_at(sqrt)
    if sqrt == sqrt_price_at(at) and rng.random() < 0.5:
        tick_now -= 1  # as a fall to this price leaves it
    volatility_max = rng.choice([20_000, 100_000, 4_000_000])
    dynamic = Dynamic(
        filter_s=rng.randint(1, 60),
        decay_s=rng.randint(61, 600),
        reduction=rng.randint(0, 9_999),
        control=rng.choice([1, 1_000, 99_999]),
        volatility_max=volatility_max,
        group=tick_now // spacing + rng.randint(-20, 20),
        reference=rng.randint(0, volatility_max),
        volatility=rng.randint(0, volatility_max),
        updated_s=NOW_S - rng.randint(-5, 700),
    )
    return State(
        spacing=spacing,
        fee_on=rng.randint(0, 2),
        rate=rng.choice([1, 100, 2_500, 20_000]),
        protocol_ppm=rng.choice([0, 120_000]),
        fund_ppm=rng.choice([0, 40_000]),
        sqrt=sqrt,
        tick=tick_now,
        liquidity=sum(size_ for low, high, size_ in owned if low <= tick_now < high),
        growth=[rng.getrandbits(128), rng.getrandbits(128)],
        protocol=[rng.getrandbits(40), rng.getrandbits(40)],
        fund=[rng.getrandbits(40), rng.getrandbits(40)],
        ticks=ticks,
        dynamic=rng.choice([None, dynamic]),
    )


# -- their bytes -----------------------------------------------------------------------------------


def encoded(state: State) -> Chain:
    """The accounts of a pool in this state."""
    address = described(NAME)["address"]
    base = {
        at: account
        for at, account in chain_of(NAME).items()
        if not layout.is_array_data(account.data)
    }
    chain = {at: bytearray(account.data) for at, account in base.items()}
    extension = extension_address(MAINNET, address)
    if state.spacing < 15 and extension not in chain:
        chain[extension] = bytearray(layout.EXTENSION_SIZE)
        chain[extension][:8] = layout.EXTENSION_DISCRIMINATOR
    pool = chain[address]
    pack_into("<H", pool, 235, state.spacing)
    pack_into("<16s16si", pool, 237, raw(state.liquidity), raw(state.sqrt), state.tick)
    pack_into("<16s16sQQ", pool, 277, *map(raw, state.growth), *state.protocol)
    pack_into("<BB", pool, 389, 0, state.fee_on)
    pack_into("<QQQ", pool, 1064, *state.fund, 0)
    pool[1096:1176] = bytes(80)
    if state.dynamic:
        pack_into("<HHHIIiIIQ", pool, 1096, *vars(state.dynamic).values())
    config = chain[described(NAME)["amm_config"]]
    pack_into("<IIHI", config, 43, state.protocol_ppm, state.rate, state.spacing, state.fund_ppm)
    write_arrays(state, chain, address)
    return {at: RawAccount(base[at].owner if at in base else MAINNET, bytes(data))
            for at, data in chain.items()}  # fmt: skip


def write_arrays(state: State, chain: dict[str, bytearray], address: str) -> None:
    """The tick arrays and the bits of those that have an initialised tick."""
    pool = chain[address]
    pool[904:1032] = bytes(128)
    extension = chain.get(extension_address(MAINNET, address), bytearray(layout.EXTENSION_SIZE))
    extension[40:] = bytes(layout.EXTENSION_SIZE - 40)
    counts: Counter[str] = Counter()
    for number, tick in state.ticks.items():
        index = number_of(number, state.spacing)
        at = array_address(MAINNET, address, index, state.spacing)
        if at not in chain:
            chain[at] = bytearray(layout.ARRAY_SIZE)
            chain[at][:8] = layout.ARRAY_DISCRIMINATOR
            pack_into("<i", chain[at], 40, index * 60 * state.spacing)
        write_tick(chain[at], number, state.spacing, tick)
        counts[at] += tick.initialised
        name, byte, mask = place(index) if tick.initialised else ("own", 0, 0)
        bitmap, start = (pool, 904) if name == "own" else (extension, 40 if name == "up" else 936)
        bitmap[start + byte] |= mask
    for at, count in counts.items():
        chain[at][44 + 60 * 168] = count


def write_tick(data: bytearray, number: int, spacing: int, tick: Tick) -> None:
    """A tick into its array."""
    index = number // spacing % 60
    net = tick.net.to_bytes(16, "little", signed=True)
    here = 44 + 168 * index
    pack_into("<i16s16s", data, here, number, net, raw(tick.gross))
    pack_into("<16s16s", data, here + 36, *map(raw, tick.outside))
    pack_into("<QQQ16s", data, here + 116, tick.phase, tick.open, tick.part, raw(tick.ratio))


def raw(value: int) -> bytes:
    """A u128."""
    return value.to_bytes(16, "little")


# -- comparison ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_random_swaps_agree_in_amounts_and_every_byte(seed: int) -> None:
    rng, tally = random.Random(seed), Counter[str]()
    print(f"seed {seed}")
    for number in range(ROUNDS):
        state = random_state(rng)
        chain = encoded(state)
        for _ in range(SWAPS):
            where = f"seed {seed}, pool {number}"
            state, chain = one_swap(rng, state, chain, tally, where)
    print(dict(tally))
    assert tally["filled"] > ROUNDS
    assert tally["emptied"] > ROUNDS // 10
    assert tally["refused"] > ROUNDS // 10


def one_swap(
    rng: random.Random, state: State, chain: Chain, tally: Counter[str], where: str
) -> tuple[State, Chain]:
    """Swap in both, compare, and continue from the state after."""
    down, exact_in = rng.random() < 0.5, rng.random() < 0.5
    amount, now_s = size(rng, 48), NOW_S + rng.choice([0, 1, 30, 100, 700])
    away = rng.randint(0, 300) * (-1 if down else 1)
    limit = rng.choice([0, sqrt_price_at(state.tick + away) + rng.randint(-1, 1)])
    pool = decoded(described(NAME)["address"], chain)
    quote = pool.exact_in if exact_in else pool.exact_out
    where += f": {down=} {exact_in=} {amount=} {limit=} {now_s=} {state}"
    if limit and not (limit < state.sqrt if down else limit > state.sqrt):
        limit = 0
    try:
        end = limit or (sqrt_price_at(-443_636) + 1 if down else sqrt_price_at(443_636) - 1)
        expected = reference.swap(
            state, amount, down=down, exact_in=exact_in, limit=end, now_s=now_s
        )
        if expected.amount_out > (pool.balance_b if down else pool.balance_a):
            raise reference.Refused("InsufficientFunds")
    except reference.Refused as refused:
        try:
            quote(amount, down, Clock(0, now_s), limit)
        except Rejected as rejected:
            assert rejected.error == str(refused), where
            tally["refused"] += 1
            return state, chain
        raise AssertionError(f"{refused} is missing: {where}") from refused
    try:
        done = quote(amount, down, Clock(0, now_s), limit)
        assert isinstance(done.after, ClmmPool)
    except Rejected as rejected:
        raise AssertionError(f"{rejected.error}: {where}") from rejected
    assert (done.amount_in, done.amount_out) == (expected.amount_in, expected.amount_out), where
    tally["filled"] += 1
    tally["emptied"] += live(expected.after) < live(state)
    after = written(done.after, chain)
    raw_account = encoded(expected.after)
    for at, account in raw_account.items():
        if at not in (pool.vault_a, pool.vault_b):
            assert after[at].data == account.data, f"{at}: {where}"
    return expected.after, after


def live(state: State) -> int:
    """How many ticks are initialised."""
    return sum(tick.initialised for tick in state.ticks.values())
