"""The flow of other traders: seeded, bounded, and something for snipers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from engine.localnet.genesis.market import LAUNCH_CYCLE, POOLS, PoolPlan, launches
from engine.localnet.node import Node
from engine.localnet.programs.shapes import SHAPES
from tests.support.chain.localchain import opened, plan_of

SLOTS = 2 * LAUNCH_CYCLE


def price(node: Node, plan: PoolPlan) -> Fraction:
    pooled = node.bank.state.pool(plan.address)
    assert pooled is not None
    return Fraction(*pooled.pool.spot(a_to_b=True))


def traded(folder: Path, slots: int, seed: int = 1) -> Node:
    node = opened(folder, slot_ms=400, trades_per_slot=4, seed=seed)
    for _ in range(slots):
        node.block()
    return node


def test_the_same_seed_trades_alike_and_another_does_not(tmp_path: Path) -> None:
    nodes = [traded(tmp_path / str(at), 30, seed) for at, seed in enumerate((5, 5, 6))]
    pools = [{plan.address: price(node, plan) for plan in POOLS} for node in nodes]
    for node in nodes:
        node.store.close()
    assert pools[0] == pools[1] != pools[2]


def test_prices_move_and_differ_between_dexes_within_bounds(tmp_path: Path) -> None:
    node = opened(tmp_path, slot_ms=400, trades_per_slot=4)
    raydium, meteora = plan_of("raydium-clmm"), plan_of("meteora-damm-v2")
    best = []
    for _ in range(SLOTS):
        node.block()
        sol = [
            price(node, plan) if plan.token_a.symbol == "SOL" else 1 / price(node, plan)
            for plan in (raydium, meteora)
        ]
        best.append(sol[0] > sol[1])
    assert len(set(best)) == 2, "one DEX is always the better one"
    for plan in POOLS:
        assert abs(price(node, plan) / plan.price - 1) < Fraction(8, 100), plan.name
        pooled = node.bank.state.pool(plan.address)
        assert pooled is not None
        data = node.bank.state.accounts[plan.address].data
        for vault, reserve in zip(
            SHAPES[plan.family].vaults(data, a_to_b=True),
            (pooled.pool.reserve_a, pooled.pool.reserve_b),
            strict=True,
        ):
            account = node.bank.account(vault)
            assert account is not None
            assert int.from_bytes(account.data[64:72], "little") >= reserve
    node.store.close()


def test_pools_of_the_new_token_open_double_and_close(tmp_path: Path) -> None:
    node = opened(tmp_path, slot_ms=400, trades_per_slot=1)
    seen: dict[str, list[int]] = {launch.plan.address: [] for launch in launches()}
    for _ in range(SLOTS):
        node.block()
        for address, reserves in seen.items():
            pooled = node.bank.state.pool(address)
            now = pooled.pool.reserve_a if pooled else 0
            if not reserves or reserves[-1] != now:
                reserves.append(now)
    node.store.close()
    for reserves in seen.values():
        small = next(reserve for reserve in reserves if reserve)
        assert [each // small for each in reserves[:4]] == [0, 1, 2, 0]
