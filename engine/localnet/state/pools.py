"""Decoded pools: decoded once, changed by swaps, written back to bytes lazily.

Any other write to an account that a pool was decoded from makes the decoded pool stale. Bytes are
written back before they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.localnet.state.accounts import Account
from stages.pools.contract import Family, Pool, RawAccount

Get = Callable[[str], Account | None]
Put = Callable[[str, Account], None]


class Pooled(NamedTuple):
    """A decoded pool."""

    family: Family
    pool: Pool
    reads: frozenset[str]
    """Every address that decoding asked for, whether it exists or not."""


class Families:
    """The pool programs of this chain, by program id."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.by_program = {
            program: family for family in families for program in family.programs.values()
        }

    def decode(self, address: str, get: Get) -> Pooled | None:
        """Decodes the pool at an address; None if there is none. Raises Unsupported."""
        account = get(address)
        family = self.by_program.get(account.owner) if account else None
        if account is None or family is None:
            return None
        if not family.is_pool(RawAccount(account.owner, account.data)):
            return None
        accounts, reads = _gather(family, address, get)
        return Pooled(family, family.decode(address, accounts), reads)


def _gather(family: Family, address: str, get: Get) -> tuple[dict[str, RawAccount], frozenset[str]]:
    accounts: dict[str, RawAccount] = {}
    asked = {address}
    addresses = [address]
    while addresses:
        for each in addresses:
            account = get(each)
            if account is not None:
                accounts[each] = RawAccount(account.owner, account.data)
        addresses = [each for each in family.needs(address, accounts) if each not in asked]
        asked.update(addresses)
    return accounts, frozenset(asked)


def reads_of(pooled: Pooled, get: Get) -> frozenset[str]:
    """The addresses that decoding would ask for now: they depend on the price."""
    return _gather(pooled.family, pooled.pool.address, get)[1]


def write(pooled: Pooled, get: Get, put: Put) -> None:
    """Writes the state of a pool into the bytes of its accounts."""
    before = {each: value for each in pooled.reads if (value := get(each)) is not None}
    buffers = {each: bytearray(account.data) for each, account in before.items()}
    pooled.family.write(pooled.pool, buffers)
    for each, account in before.items():
        if buffers[each] != account.data:
            put(each, account._replace(data=bytes(buffers[each])))
