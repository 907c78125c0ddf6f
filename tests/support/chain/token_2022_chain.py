"""Makes a token of a local chain one of Token-2022: its mint, its accounts and its pools."""

from __future__ import annotations

from engine.localnet.genesis.market import POOLS, PoolPlan
from engine.localnet.node import Node
from engine.localnet.state.accounts import Account, is_token_account
from engine.localnet.state.addresses import TOKEN_2022, raw, rent_exempt, text, token_address
from engine.localnet.state.token_extensions import token_account_tail
from stages.pools.meteora.dlmm.layout import TOKEN_PROGRAMS_AT
from tests.support.chain.localchain import mint_of
from tests.support.pools import token_2022 as t22

FLAGS = {"meteora-dlmm": TOKEN_PROGRAMS_AT, "meteora-damm-v2": (482, 483)}
"""Where a pool says by a byte that a token is of Token-2022: a and b."""
KEYS = {"raydium-cpmm": (232, 264)}
"""Where it names the token program."""


def issue(node: Node, symbol: str, *extensions: t22.Extension) -> None:
    """The token is of Token-2022 from now on, and so are all its accounts and pools."""
    node.bank.flush()
    accounts, mint = node.bank.state.accounts, mint_of(symbol)
    minted = _mint(accounts[mint], *extensions)
    changed = {mint: minted}
    for address, account in accounts.items():
        if not is_token_account(account) or account.data[:32] != raw(mint):
            continue
        owner = text(account.data[32:64])
        associated = address == token_address(owner, mint)
        data = account.data + token_account_tail(minted, immutable_owner=associated)
        moved = token_address(owner, mint, TOKEN_2022) if associated else address
        changed[address] = Account(0)
        changed[moved] = Account(rent_exempt(len(data)), TOKEN_2022, data)
    for plan in POOLS:
        if symbol in (plan.token_a.symbol, plan.token_b.symbol):
            changed[plan.address] = _pool(accounts[plan.address], plan, symbol)
    node.fund(changed)
    node.save()


def amend(node: Node, symbol: str, *extensions: t22.Extension) -> None:
    """Other extensions of the mint; its accounts stay as they are."""
    mint = mint_of(symbol)
    node.fund({mint: _mint(node.bank.state.accounts[mint], *extensions)})
    node.save()


def _mint(there: Account, *extensions: t22.Extension) -> Account:
    data = there.data[:82] + t22.mint(*extensions).data[82:]
    return Account(rent_exempt(len(data)), TOKEN_2022, data)


def _pool(there: Account, plan: PoolPlan, symbol: str) -> Account:
    data, side = bytearray(there.data), int(plan.token_b.symbol == symbol)
    if plan.family in FLAGS:
        data[FLAGS[plan.family][side]] = 1
    if plan.family in KEYS:
        at = KEYS[plan.family][side]
        data[at : at + 32] = raw(TOKEN_2022)
    return there._replace(data=bytes(data))
