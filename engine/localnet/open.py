"""Composition of a chain: from its file where there is one, else from genesis."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from solders.hash import Hash

from engine.localnet import genesis, traders
from engine.localnet.bank import Bank, first_block
from engine.localnet.faults import Faults, Luck
from engine.localnet.genesis.market import TOKENS
from engine.localnet.genesis.programs import feature_accounts, program_accounts
from engine.localnet.node import Node, Pace
from engine.localnet.state.accounts import Account, token_account
from engine.localnet.state.addresses import RENT_PER_BYTE, token_address
from engine.localnet.state.blocks import Blocks
from engine.localnet.store import Store
from stages.pools.contract import Family
from stages.venues.consensus import Consensus

FILE = "localnet.sqlite"
GRANT_SOL = 1_000_000 * 10**9
"""Lamports of a funded wallet."""
GRANT_DOLLARS = 10_000_000
"""Value of each other token that it gets."""


class Options(NamedTuple):
    """The options of a chain. `slot_ms` 0: transactions are executed at once."""

    path: Path
    slot_ms: int = 200
    consensus: Consensus = "alpenglow"
    seed: int = 1
    lifetime: int = 150
    """Blocks for which a blockhash is valid."""
    trades_per_slot: int = 3
    volatility_bps: int = 300
    rent_per_byte: int = RENT_PER_BYTE
    """Lamports that new accounts must hold for each of their bytes, and for 128 more."""
    faults: Faults = Faults()
    transaction_v1: bool = True
    """Whether blocks accept transactions of version 1."""
    wallets: tuple[str, ...] = ()
    """Wallets that are funded, unless they have SOL."""


def open_node(options: Options, families: Iterable[Family]) -> Node:
    """Opens the chain's file, or creates it. Raises OSError."""
    families = tuple(families)
    store = Store(options.path)
    fresh = not store.meta("genesis")
    if fresh:
        _begin(store, families)
    kept = store.blocks()
    blocks = Blocks(
        kept[0],
        lifetime=options.lifetime,
        consensus=options.consensus,
        at_once=options.slot_ms == 0,
    )
    for block in kept[1:]:
        blocks.add(block)
    # The file does not have the accounts as they were before its blocks, so that no block can be
    # undone: all are final, under any consensus.
    blocks.finalize(kept[-1].height)
    bank = Bank(families, blocks, int(store.meta("slot") or 0))
    bank.state.rent_per_byte = options.rent_per_byte
    bank.load(store.accounts())
    bank.load(program_accounts(family.name for family in families))
    bank.load(feature_accounts(transaction_v1=options.transaction_v1))
    for landed in store.since(kept[0].height):
        bank.recent[landed.signature] = landed
        blocks.at(landed.height).signatures.append(landed.signature)
    terms = traders.Terms(options.seed, options.trades_per_slot, options.volatility_bps)
    luck = Luck(options.faults, options.seed)
    node = Node(bank, store, luck, Pace(options.slot_ms), traders.Traders(terms))
    # A chain begins every run with a new block.
    node.block()
    for wallet in options.wallets:
        fund(node, wallet)
    return node


def fund(node: Node, wallet: str) -> None:
    """Gives a wallet SOL and every token, unless it has SOL."""
    if node.bank.account(wallet) is not None:
        return
    given = {wallet: Account(GRANT_SOL)}
    for token in TOKENS[1:]:
        amount = int(GRANT_DOLLARS / token.unit)
        given[token_address(wallet, token.mint)] = token_account(token.mint, wallet, amount)
    node.fund(given)
    node.save()


def _begin(store: Store, families: tuple[Family, ...]) -> None:
    first = first_block(str(Hash(secrets.token_bytes(32))), int(time.time()))
    accounts = genesis.accounts(family.name for family in families) | traders.wallet()
    store.save(
        accounts=accounts,
        blocks=[first],
        landed=[],
        meta={"genesis": first.blockhash, "slot": str(first.slot)},
    )
