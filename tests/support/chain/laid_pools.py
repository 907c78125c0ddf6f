"""Pools of every family between any two tokens, as the local chain lays them out; swaps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from engine.localnet import genesis
from engine.localnet.genesis.market import BY_SYMBOL, TOKENS, PoolPlan
from engine.localnet.state.accounts import Account, mint_account
from engine.localnet.state.addresses import raw
from engine.localnet.state.pools import Families
from stages.pools.contract import Pool, SwapTerms
from stages.pools.families import FAMILIES
from stages.venues.solana.transaction.programs import TOKEN
from stages.venues.solana.transaction.signing import Leg
from tests.support.chain.localchain import FAMILY_NAMES, family_of

SPACINGS = {"raydium-clmm": 60, "meteora-dlmm": 20}
PROGRAMS = {token.mint: TOKEN for token in TOKENS}
MINTS: Mapping[str, Account] = {
    token.mint: mint_account(token.decimals, genesis.SUPPLY, genesis.FAUCET) for token in TOKENS
}


def plan(name: str, family: str, pays: str, gets: str) -> PoolPlan:
    """A pool of a family between two tokens, by symbol."""
    a, b = sorted((BY_SYMBOL[pays], BY_SYMBOL[gets]), key=lambda token: raw(token.mint))
    return PoolPlan(name, family, a, b, 1_000_000, 2_500, SPACINGS.get(family, 0))


@lru_cache(maxsize=1_000)
def laid(of: PoolPlan) -> dict[str, Account]:
    """Its accounts."""
    return genesis.LAYOUTS[of.family](of)


@lru_cache(maxsize=1_000)
def pool(of: PoolPlan) -> Pool:
    """The pool, decoded."""
    pooled = Families(FAMILIES).decode(of.address, {**laid(of), **MINTS}.get)
    assert pooled is not None
    return pooled.pool


def leg(of: PoolPlan, pays: str, *, exact_out: bool = False) -> Leg:
    """A swap through it."""
    of_pool = pool(of)
    terms = SwapTerms(exact_out, 10**6, 10**9 if exact_out else 1)
    return Leg(family_of(of.family), of_pool, of_pool.mint_a == BY_SYMBOL[pays].mint, terms)


def plans(path: Sequence[str], *hops: Sequence[str]) -> list[tuple[PoolPlan, str]]:
    """The pools of a route along a path of symbols, families by hop, and what each is paid in."""
    return [
        (plan(f"{number}:{at}:{family}", family, path[number], path[number + 1]), path[number])
        for number, families in enumerate(hops)
        for at, family in enumerate(families)
    ]


def legs(path: Sequence[str], *hops: Sequence[str]) -> list[Leg]:
    """The swaps of that route: those of all hops but the last are exact out."""
    return [leg(of, pays, exact_out=pays != path[-2]) for of, pays in plans(path, *hops)]


__all__ = ["FAMILY_NAMES", "MINTS", "PROGRAMS", "laid", "leg", "legs", "plan", "plans", "pool"]
