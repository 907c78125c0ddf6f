"""The node: accepts transactions, makes blocks by the clock, and stores both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from engine.localnet.bank import Bank
from engine.localnet.execute import Outcome
from engine.localnet.faults import Luck
from engine.localnet.landed import Landed
from engine.localnet.state.accounts import Account
from engine.localnet.state.blocks import Block
from engine.localnet.state.failures import NotTaken
from engine.localnet.state.transaction import Transaction
from engine.localnet.state.view import View
from engine.localnet.store import Store

FAST_SLOT_MS = 20
"""Length of a block where SLOT_MS=0, which executes transactions at once."""
QUEUE_MAX = 50_000


class Failed(Exception):
    """The transaction failed in preflight or simulation."""

    def __init__(self, err: Any, outcome: Outcome | None = None) -> None:
        super().__init__(err)
        self.err = err
        self.outcome = outcome


class Flow(Protocol):
    """Other traders on the chain, called once per block."""

    def trade(self, bank: Bank) -> None:
        """Trades in the newest block."""


class Pace(NamedTuple):
    """The speed of the chain."""

    slot_ms: int
    now_s: Callable[[], int] = lambda: int(time.time())

    @property
    def instant(self) -> bool:
        """Whether transactions do not wait for their slot."""
        return self.slot_ms == 0


class Node:
    """The only node of the chain."""

    def __init__(self, bank: Bank, store: Store, luck: Luck, pace: Pace, flow: Flow) -> None:
        self.bank = bank
        self.store = store
        self.luck = luck
        self._pace = pace
        self._flow = flow
        self._queue: dict[str, Transaction] = {}
        self._unsaved: list[Landed] = []
        self._begun: list[Block] = []
        self._forked: list[tuple[str, int]] = []
        self._saving: asyncio.Future[None] | None = None

    # -- transactions --------------------------------------------------------------------------

    def simulate(self, tx: Transaction, *, fresh_blockhash: bool) -> tuple[Outcome, View]:
        """Executes without keeping anything. Raises Failed where no block would accept it."""
        try:
            if not fresh_blockhash:
                self.bank.check(tx)
            return self.bank.run(tx)
        except NotTaken as error:
            raise Failed(error.err) from None

    async def send(self, tx: Transaction, *, preflight: bool) -> None:
        """Executes a transaction now, or with the next slot. Raises Failed (preflight)."""
        if tx.signature in self._queue:
            return
        instant = self._pace.instant and not self.luck.faults.stalled
        tried = None
        if preflight:
            tried = self.simulate(tx, fresh_blockhash=False)
            if tried[0].err is not None:
                raise Failed(tried[0].err, tried[0])
        if self.luck.hits("drop"):
            return
        if not instant:
            if len(self._queue) < QUEUE_MAX:
                self._queue[tx.signature] = tx
            return
        if self._execute(tx, tried):
            await self.saved()

    def _execute(self, tx: Transaction, tried: tuple[Outcome, View] | None = None) -> bool:
        try:
            if tried is None:
                self.bank.check(tx)
                tried = self.bank.run(tx)
        except NotTaken:
            return False  # a real node drops it as silently
        self._unsaved.append(self.bank.take(tx, *tried))
        return True

    # -- blocks --------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Makes blocks until stopped."""
        every_s = (self._pace.slot_ms or FAST_SLOT_MS) / 1000
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            due = max(due + every_s, loop.time() - every_s)
            try:
                await asyncio.wait_for(stop.wait(), max(0.0, due - loop.time()))
            except TimeoutError:
                if not self.luck.faults.stalled:
                    self.block()
        self.save()

    def block(self) -> None:
        """Makes a block of the trades of others and the waiting transactions."""
        faults, bank = self.luck.faults, self.bank
        bank.blocks.delay = faults.confirm_delay
        if faults.fork_every and bank.slot % faults.fork_every == 0:
            self.fork(faults.fork_depth)
        self._begin()
        self._flow.trade(bank)
        queue, self._queue = self._queue, {}
        for tx in queue.values():
            self._execute(tx)
        self.save()

    def _begin(self) -> None:
        self.bank.begin(self._pace.now_s())
        self._begun.append(self.bank.blocks.tip)

    def fork(self, depth: int) -> list[str]:
        """Drops the newest blocks and continues from before them; returns their signatures."""
        dropped = self.bank.fork(depth)
        height = self.bank.blocks.tip.height + 1
        if self._unsaved:
            # A transaction must be in the ledger before it can be marked as forked.
            self._write({}, [])
        self._forked += [(signature, height) for signature in dropped]
        self._begun = [block for block in self._begun if block.height < height]
        self._begin()
        self.save()
        return dropped

    def fund(self, accounts: Mapping[str, Account]) -> None:
        """Writes accounts without a transaction, as the faucet does."""
        view = View(self.bank.state)
        for address, account in accounts.items():
            view.put(address, account)
        self.bank.keep(view)

    # -- memory --------------------------------------------------------------------------------

    def landed(self, signature: str, *, history: bool) -> Landed | None:
        """The transaction with a signature; older ones than the blocks in memory with `history`."""
        landed = self.bank.recent.get(signature)
        if landed is None and history:
            landed = self.store.landed(signature)
        return landed

    async def saved(self) -> None:
        """Waits until executed transactions are stored; callers of one turn share a write."""
        if self._saving is None:
            loop = asyncio.get_running_loop()
            self._saving = loop.create_future()
            loop.call_soon(self._save_all)
        await asyncio.shield(self._saving)

    def _save_all(self) -> None:
        saving, self._saving = self._saving, None
        assert saving is not None
        try:
            self.save()
        except OSError as error:
            saving.set_exception(error)
        else:
            saving.set_result(None)

    def save(self) -> None:
        """Stores everything unsaved, or nothing. Raises OSError."""
        bank = self.bank
        bank.flush()
        accounts = bank.state.accounts
        self._write({address: accounts.get(address) for address in bank.dirty}, self._begun)
        bank.dirty.clear()
        self._begun.clear()

    def _write(self, accounts: Mapping[str, Account | None], blocks: list[Block]) -> None:
        self.store.save(
            accounts=accounts,
            blocks=blocks,
            landed=self._unsaved,
            forked=self._forked,
            meta={"slot": str(self.bank.slot)},
        )
        self._unsaved.clear()
        self._forked.clear()
