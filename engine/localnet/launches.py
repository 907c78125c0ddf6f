"""Pools of the token NEW: created, grown and removed in a cycle (`market.launches`)."""

from __future__ import annotations

from engine.localnet.bank import Bank
from engine.localnet.genesis import LAYOUTS
from engine.localnet.genesis.damm import SQRT_MAX, SQRT_MIN
from engine.localnet.genesis.market import LAUNCH_CYCLE, Launch, launches
from engine.localnet.genesis.templates import amount_a, amount_b, put
from engine.localnet.programs.shapes import SHAPES
from engine.localnet.state.accounts import Account, amount_of, with_amount
from engine.localnet.state.view import View


class Launches:
    """Applies the schedule of launched pools."""

    def __init__(self) -> None:
        self._all = launches()
        self._grown: set[str] = set()

    def follow(self, bank: Bank, slot: int) -> None:
        """Creates, grows or removes the pools that are due at a slot."""
        at = slot % LAUNCH_CYCLE
        for launch in self._all:
            if launch.plan.program not in bank.state.families.by_program:
                continue
            address = launch.plan.address
            exists = address in bank.state.accounts
            planned = launch.created <= at < launch.gone
            if planned and not exists:
                self._grown.discard(address)
                _write(bank, LAYOUTS[launch.plan.family](launch.plan))
            elif exists and not planned:
                self._grown.discard(address)
                account = LAYOUTS[launch.plan.family](launch.plan)
                _write(bank, dict.fromkeys(account, Account(0)))
            elif exists and at == launch.gains and address not in self._grown:
                self._grown.add(address)
                _grow(bank, launch)


def _write(bank: Bank, accounts: dict[str, Account]) -> None:
    view = View(bank.state)
    for address, account in accounts.items():
        view.put(address, account)
    bank.keep(view)


def _grow(bank: Bank, launch: Launch) -> None:
    """Doubles the liquidity at the current price."""
    bank.flush()
    pool = bank.state.pool(launch.plan.address)
    account = bank.state.accounts[launch.plan.address]
    if pool is None:
        return
    data = bytearray(account.data)
    if launch.plan.family == "meteora-damm-v2":
        added = _grow_damm(data)
    else:
        added = pool.pool.reserve_a, pool.pool.reserve_b
        supply = int.from_bytes(data[333:341], "little")
        put(data, 333, supply * 2, 8)
    accounts = {launch.plan.address: account._replace(data=bytes(data))}
    vaults = SHAPES[launch.plan.family].vaults(account.data, a_to_b=True)
    for vault, more in zip(vaults, added, strict=True):
        held = bank.state.accounts[vault]
        lamports = more if held.data[109] else 0
        accounts[vault] = with_amount(held, amount_of(held) + more, lamports)
    _write(bank, accounts)


def _grow_damm(data: bytearray) -> tuple[int, int]:
    scaled = int.from_bytes(data[360:376], "little")
    price = int.from_bytes(data[456:472], "little")
    liquidity = scaled >> 64
    more = amount_a(liquidity, price, SQRT_MAX), amount_b(liquidity, SQRT_MIN, price)
    put(data, 360, scaled * 2, 16)
    for at, amount in zip((680, 688), more, strict=True):
        put(data, at, int.from_bytes(data[at : at + 8], "little") + amount, 8)
    return more
