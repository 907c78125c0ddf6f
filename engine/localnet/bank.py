"""The bank: adds transactions to the newest block, begins blocks, and undoes them in a fork.

Rule of this file: no clock, no network, no file. Transactions go to the newest block only; its
`before` has the accounts as they were.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from hashlib import sha256

from solders.hash import Hash

from engine.localnet.execute import Outcome, execute, programs
from engine.localnet.landed import Landed, landed
from engine.localnet.state import pools
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import CLOCK_SYSVAR, SYSVAR_OWNER, TX_V1, rent_exempt
from engine.localnet.state.blocks import KEPT, Block, Blocks
from engine.localnet.state.failures import NotTaken
from engine.localnet.state.pools import Families
from engine.localnet.state.transaction import Transaction
from engine.localnet.state.view import State, View
from stages.pools.contract import Clock, Family, Unsupported

SLOTS_IN_EPOCH = 432_000


def epoch_of(slot: int) -> int:
    """The epoch of a slot."""
    return slot // SLOTS_IN_EPOCH


def _clock(block: Block) -> Account:
    """The clock's account: slot, start of the epoch, epoch, epoch of the schedule, Unix time."""
    epoch = epoch_of(block.slot)
    data = struct.pack("<QqQQq", block.slot, block.time_s, epoch, epoch + 1, block.time_s)
    return Account(rent_exempt(len(data)), SYSVAR_OWNER, data)


def first_block(genesis_hash: str, time_s: int) -> Block:
    """The block that a chain begins with."""
    return Block(1_000, 1_000, genesis_hash, time_s, {}, [])


class Bank:
    """One chain. Only `take`, `keep`, `begin` and `fork` change it."""

    def __init__(self, families: Iterable[Family], blocks: Blocks, slot: int = 0) -> None:
        self.state = State(Families(families))
        self.blocks = blocks
        self.slot = max(slot, blocks.tip.slot)
        """The newest slot ever; a fork does not give slots back."""
        self.recent: dict[str, Landed] = {}
        """The transactions of the blocks in memory, by signature."""
        self.dirty: set[str] = set()
        """Addresses written since the last save."""
        self._table = programs(self.state.families)

    @property
    def clock(self) -> Clock:
        """The chain's clock."""
        tip = self.blocks.tip
        return Clock(tip.slot, tip.time_s, epoch_of(tip.slot))

    def load(self, accounts: Mapping[str, Account]) -> None:
        """Adds accounts without a transaction."""
        self.state.accounts.update(accounts)

    def takes(self, version: int | None) -> bool:
        """Whether blocks take transactions of a version (None: legacy)."""
        return version != 1 or TX_V1 in self.state.accounts

    def check(self, tx: Transaction) -> None:
        """Checks that the newest block accepts a transaction. Raises NotTaken."""
        if tx.signature in self.recent:
            raise NotTaken("AlreadyProcessed")
        if self.blocks.tip.height > self.blocks.valid_until(tx.blockhash):
            raise NotTaken("BlockhashNotFound")

    def run(self, tx: Transaction) -> tuple[Outcome, View]:
        """Executes a transaction on a view of its own. Raises NotTaken."""
        view = View(self.state, _writable(tx))
        return execute(view, tx, self.clock, self._table), view

    def take(self, tx: Transaction, outcome: Outcome, view: View) -> Landed:
        """Adds an executed transaction to the newest block, whether it failed or not."""
        tip = self.blocks.tip
        done = landed(tx, outcome, self.state, view, (tip.slot, tip.height, tip.time_s))
        self.keep(view)
        self.recent[tx.signature] = done
        tip.signatures.append(tx.signature)
        return done

    def keep(self, view: View) -> None:
        """Applies the changes of a view."""
        state = self.state
        for address in view.rewritten:
            state.forget(address)
        for address, account in view.changed.items():
            self._write(address, account)
        state.moved -= view.settled
        if view.settled or view.rewritten:
            for address, pooled in view.pools.items():
                state.remember(address, pooled)
        else:
            state.pools.update(view.pools)
        state.moved |= view.moved

    def flush(self) -> None:
        """Writes the state of all moved pools to their accounts."""
        state = self.state
        for address in state.moved:
            moved = state.pools[address]
            pools.write(moved, state.get, self._write)
            if pools.reads_of(moved, state.get) != moved.reads:
                # Its price has moved to other arrays: it is decoded again when needed.
                del state.pools[address]
        state.moved.clear()

    def begin(self, time_s: int) -> list[str]:
        """Begins a block; returns the signatures of the block that leaves memory."""
        self.flush()
        self.slot += 1
        tip = self.blocks.tip
        digest = sha256(f"{tip.blockhash}:{self.slot}".encode()).digest()
        oldest = self.blocks.newest[0] if len(self.blocks.newest) >= KEPT else None
        self.blocks.add(
            Block(self.slot, tip.height + 1, str(Hash(digest)), max(time_s, tip.time_s), {}, [])
        )
        past = oldest.signatures if oldest else []
        for signature in past:
            self.recent.pop(signature, None)
        return past

    def fork(self, depth: int) -> list[str]:
        """Drops the newest `depth` blocks, but no final one; returns their signatures."""
        self.flush()
        blocks = self.blocks
        dropped: list[str] = []
        for _ in range(min(depth, blocks.tip.height - blocks.finalized_height)):
            block = blocks.pop()
            for address, account in block.before.items():
                self._restore(address, account)
            dropped += block.signatures
        for signature in dropped:
            self.recent.pop(signature, None)
        self.state.forget_all()
        return dropped

    def account(self, address: str, commitment: str = "processed") -> Account | None:
        """An account as of a commitment; None where there is none."""
        if address == CLOCK_SYSVAR:
            return _clock(self.blocks.at(self.blocks.height(commitment)))
        if self.state.moved:
            self.flush()
        now = self.state.accounts.get(address)
        if commitment == "processed":
            return now
        return self.blocks.past(address, self.blocks.height(commitment), now)

    def pool_addresses(self) -> list[str]:
        """The addresses of all pools that can be decoded."""
        addresses = []
        by_program = self.state.families.by_program
        for address, account in list(self.state.accounts.items()):
            if account.owner in by_program and _decodes(self.state, address):
                addresses.append(address)
        return addresses

    def _write(self, address: str, account: Account) -> None:
        accounts = self.state.accounts
        before = self.blocks.tip.before
        if address not in before:
            before[address] = accounts.get(address)
        self._restore(address, account if account.lamports else None)

    def _restore(self, address: str, account: Account | None) -> None:
        if account is None:
            self.state.accounts.pop(address, None)
        else:
            self.state.accounts[address] = account
        self.dirty.add(address)


def _writable(tx: Transaction) -> frozenset[str]:
    return frozenset([key for key, may in zip(tx.keys, tx.writable, strict=True) if may])


def _decodes(state: State, address: str) -> bool:
    try:
        return state.pool(address) is not None
    except (Unsupported, ValueError):
        return False
