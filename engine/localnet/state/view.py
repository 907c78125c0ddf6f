"""What one transaction sees and changes: all of it is kept, or none."""

from __future__ import annotations

from engine.localnet.state import pools
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import RENT_PER_BYTE, rent_exempt
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.pools import Families, Pooled


class State:
    """The accounts of the newest block, and the pools decoded from them."""

    def __init__(self, families: Families) -> None:
        self.families = families
        self.rent_per_byte = RENT_PER_BYTE
        self.accounts: dict[str, Account] = {}
        self.pools: dict[str, Pooled] = {}
        self.moved: set[str] = set()
        """Pools whose bytes are older than they are."""
        self.readers: dict[str, set[str]] = {}
        """By address: the pools that were decoded from it."""

    def get(self, address: str) -> Account | None:
        """The account; a pool's may be older than the pool until `view.flush`."""
        return self.accounts.get(address)

    def rent_exempt(self, size: int) -> int:
        """The least balance that a new account of `size` bytes of data may live on."""
        return rent_exempt(size, self.rent_per_byte)

    def pool(self, address: str) -> Pooled | None:
        """The pool at an address."""
        pooled = self.pools.get(address)
        if pooled is None and (pooled := self.families.decode(address, self.get)) is not None:
            self.remember(address, pooled)
        return pooled

    def remember(self, address: str, pooled: Pooled) -> None:
        """Keep a decoded pool."""
        self.pools[address] = pooled
        for each in pooled.reads:
            self.readers.setdefault(each, set()).add(address)

    def forget(self, address: str) -> None:
        """Forget what was decoded from this account, after a change of its bytes."""
        for pool in self.readers.pop(address, ()):
            self.pools.pop(pool, None)
            self.moved.discard(pool)

    def forget_all(self) -> None:
        """Forget every decoded pool: the bytes have gone back in time."""
        for each in (self.pools, self.readers, self.moved):
            each.clear()


class View:
    """A transaction's own copy of what it changes. `writable` None: everything may be written."""

    def __init__(self, state: State, writable: frozenset[str] | None = None) -> None:
        self._state = state
        self._writable = writable
        self.changed: dict[str, Account] = {}
        self.pools: dict[str, Pooled] = {}
        self.moved: set[str] = set()
        """Pools of them whose bytes are older than they are."""
        self.settled: set[str] = set()
        """Pools whose bytes were brought up to date here."""
        self.rewritten: set[str] = set()
        """Addresses that others than their pool's own program wrote: decoded pools are stale."""

    def get(self, address: str) -> Account | None:
        """The account, as this transaction sees it; None where there is none."""
        account = self.changed.get(address)
        if account is None:
            account = self._state.accounts.get(address)
        return account if account is not None and account.lamports else None

    def rent_exempt(self, size: int) -> int:
        """The least balance that a new account of `size` bytes of data may live on."""
        return self._state.rent_exempt(size)

    def held(self, address: str) -> int:
        """Lamports of an account before this transaction."""
        account = self._state.accounts.get(address)
        return account.lamports if account is not None else 0

    def put(self, address: str, account: Account) -> None:
        """Write an account. One without lamports is gone."""
        readers = self._state.readers.get(address)
        if readers:
            for pool in readers:
                self._settle(pool)
            self.rewritten.add(address)
        self.keep(address, account)

    def keep(self, address: str, account: Account) -> None:
        """Write an account as the pool's own program does: decoded pools know of it."""
        if self._writable is not None and address not in self._writable:
            raise InstructionFailed("ReadonlyDataModified")
        self.changed[address] = account

    def pool(self, address: str) -> Pooled | None:
        """The pool at an address, as this transaction sees it."""
        pooled = self.pools.get(address)
        if pooled is None:
            pooled = self._state.pool(address)
        if pooled is not None and not self.rewritten.isdisjoint(pooled.reads):
            return self.reread(address)
        return pooled

    def move(self, moved: Pooled) -> None:
        """Put a pool where a swap has brought it."""
        self.pools[moved.pool.address] = moved
        self.moved.add(moved.pool.address)

    def reread(self, address: str) -> Pooled | None:
        """Decode the pool anew from bytes brought up to date: its price may have moved far."""
        self._settle(address)
        pooled = self._state.families.decode(address, self.get)
        if pooled is not None:
            self.pools[address] = pooled
        return pooled

    def fresh(self, address: str) -> bool:
        """Whether the pool is as it was decoded."""
        return address not in self.moved and address not in self._state.moved

    def drop(self, kept: dict[str, Account]) -> None:
        """Undo everything but `kept`."""
        self.changed, self.pools = kept, {}
        for done in (self.moved, self.settled, self.rewritten):
            done.clear()

    def _settle(self, address: str) -> None:
        pooled = self.pools.pop(address, None)
        if address not in self.moved:
            if address in self.settled or address not in self._state.moved:
                return
            pooled = self._state.pools.get(address)
        self.moved.discard(address)
        self.settled.add(address)
        if pooled is not None:
            pools.write(pooled, self.get, self.changed.__setitem__)
