"""Blocks, with what each one changed, so that forks can undo it and older state can be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from engine.localnet.state.accounts import Account
from stages.venues.consensus import AT_ONCE, DEPTHS, Consensus

KEPT = 512
"""Blocks in memory; more than the lifetime of a blockhash."""


class Block(NamedTuple):
    """A block. `before` has the accounts that it changed, as they were; None: there was none."""

    slot: int
    height: int
    blockhash: str
    time_s: int
    before: dict[str, Account | None]
    signatures: list[str]


class Blocks:
    """The newest blocks, oldest first, and the height of each commitment."""

    def __init__(
        self, first: Block, *, lifetime: int, consensus: Consensus, at_once: bool = False
    ) -> None:
        self.newest: deque[Block] = deque([first])
        self.lifetime = lifetime
        """Blocks for which a blockhash is valid."""
        self.consensus = consensus
        self.delay = 0
        """Blocks by which confirmation is delayed: a fault."""
        self.confirmed_height = first.height
        self.finalized_height = first.height
        """The height that no fork undoes."""
        self._depth = (AT_ONCE if at_once else DEPTHS)[consensus]
        self._hashes: dict[str, int] = {first.blockhash: first.height}

    @property
    def tip(self) -> Block:
        """The newest block."""
        return self.newest[-1]

    def add(self, block: Block) -> None:
        """Appends a block."""
        self.newest.append(block)
        self._hashes[block.blockhash] = block.height
        self.settle()
        if len(self.newest) > KEPT:
            self._hashes.pop(self.newest.popleft().blockhash, None)

    def settle(self) -> None:
        """Updates the heights of the commitments. They decrease only in a fork."""
        confirmed, finalized = self._depth
        come = self.tip.height - confirmed - self.delay
        same = confirmed == finalized  # what delays the one delays the other
        self.finalize(come if same else self.tip.height - finalized)
        self.confirmed_height = max(self.confirmed_height, self.finalized_height, come)

    def finalize(self, height: int) -> None:
        """Makes the blocks up to a height final: no fork undoes them."""
        if height <= self.finalized_height:
            return
        for block in self.after(self.finalized_height - 1):
            if block.height > height or block is self.tip:
                break
            block.before.clear()
        self.finalized_height = height
        self.confirmed_height = max(self.confirmed_height, height)

    def pop(self) -> Block:
        """Removes the newest block, in a fork."""
        dropped = self.newest.pop()
        self._hashes.pop(dropped.blockhash, None)
        self.confirmed_height = min(self.confirmed_height, self.tip.height)
        return dropped

    def height(self, commitment: str) -> int:
        """The newest height of a commitment."""
        if commitment == "processed":
            return self.tip.height
        return self.confirmed_height if commitment == "confirmed" else self.finalized_height

    def at(self, height: int) -> Block:
        """The block of a height, or the oldest in memory."""
        return self.newest[max(0, height - self.newest[0].height)]

    def valid_until(self, blockhash: str) -> int:
        """The last height that accepts a transaction with this blockhash; -1: unknown."""
        height = self._hashes.get(blockhash)
        return -1 if height is None else height + self.lifetime

    def after(self, height: int) -> Iterator[Block]:
        """The blocks after a height, oldest first."""
        first = max(0, height + 1 - self.newest[0].height)
        for at in range(first, len(self.newest)):
            yield self.newest[at]

    def past(self, address: str, height: int, now: Account | None) -> Account | None:
        """An account as of a height, given its state now."""
        for block in self.after(height):
            if address in block.before:
                return block.before[address]
        return now
