"""Blocks: what each one changed, so that a fork can undo it and older state can be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from engine.localnet.state.accounts import Account
from stages.venues.consensus import AT_ONCE, DEPTHS, Consensus

KEPT = 512
"""Blocks whose hashes and signatures are at hand; more than any blockhash lives."""


class Block(NamedTuple):
    """A block of the chain. `before` holds what its accounts were; None: there was none."""

    slot: int
    height: int
    blockhash: str
    time_s: int
    before: dict[str, Account | None]
    signatures: list[str]


class Blocks:
    """The newest blocks, oldest first, and how far each commitment has come."""

    def __init__(
        self, first: Block, *, lifetime: int, consensus: Consensus, at_once: bool = False
    ) -> None:
        self.newest: deque[Block] = deque([first])
        self.lifetime = lifetime
        """Blocks for which a blockhash is valid."""
        self.consensus = consensus
        self.delay = 0
        """Blocks by which confirmations lag behind: a fault."""
        self.confirmed_height = first.height
        self.finalized_height = first.height
        """The height that no fork undoes."""
        self._depth = (AT_ONCE if at_once else DEPTHS)[consensus]
        self._hashes: dict[str, int] = {first.blockhash: first.height}

    @property
    def tip(self) -> Block:
        """The newest."""
        return self.newest[-1]

    def add(self, block: Block) -> None:
        """The chain grows by a block."""
        self.newest.append(block)
        self._hashes[block.blockhash] = block.height
        self.settle()
        if len(self.newest) > KEPT:
            self._hashes.pop(self.newest.popleft().blockhash, None)

    def settle(self) -> None:
        """See how far confirmation has come. It goes back in a fork only."""
        confirmed, finalized = self._depth
        come = self.tip.height - confirmed - self.delay
        same = confirmed == finalized  # what delays the one delays the other
        self.finalize(come if same else self.tip.height - finalized)
        self.confirmed_height = max(self.confirmed_height, self.finalized_height, come)

    def finalize(self, height: int) -> None:
        """Nothing undoes the blocks up to a height any more."""
        if height <= self.finalized_height:
            return
        for block in self.after(self.finalized_height - 1):
            if block.height > height or block is self.tip:
                break
            block.before.clear()
        self.finalized_height = height
        self.confirmed_height = max(self.confirmed_height, height)

    def pop(self) -> Block:
        """A fork drops the newest block."""
        dropped = self.newest.pop()
        self._hashes.pop(dropped.blockhash, None)
        self.confirmed_height = min(self.confirmed_height, self.tip.height)
        return dropped

    def height(self, commitment: str) -> int:
        """The height that a commitment has come to."""
        if commitment == "processed":
            return self.tip.height
        return self.confirmed_height if commitment == "confirmed" else self.finalized_height

    def at(self, height: int) -> Block:
        """The block of a height, or the oldest at hand."""
        return self.newest[max(0, height - self.newest[0].height)]

    def valid_until(self, blockhash: str) -> int:
        """The last height at which a transaction with this blockhash is taken; -1: unknown."""
        height = self._hashes.get(blockhash)
        return -1 if height is None else height + self.lifetime

    def after(self, height: int) -> Iterator[Block]:
        """The blocks after a height, oldest first."""
        first = max(0, height + 1 - self.newest[0].height)
        for at in range(first, len(self.newest)):
            yield self.newest[at]

    def past(self, address: str, height: int, now: Account | None) -> Account | None:
        """What an account was at a height, given what it is now."""
        for block in self.after(height):
            if address in block.before:
                return block.before[address]
        return now
