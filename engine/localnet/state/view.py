"""The changes of one transaction, which are applied together or not at all."""

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
        """Pools whose state is newer than their bytes."""
        self.readers: dict[str, set[str]] = {}
        """By address: the pools that were decoded from it."""

    def get(self, address: str) -> Account | None:
        """The account; a pool's may be older than the pool until `view.flush`."""
        return self.accounts.get(address)

    def rent_exempt(self, size: int) -> int:
        """The rent-exempt minimum of a new account of `size` bytes of data, in lamports."""
        return rent_exempt(size, self.rent_per_byte)

    def pool(self, address: str) -> Pooled | None:
        """The pool at an address."""
        pooled = self.pools.get(address)
        if pooled is None and (pooled := self.families.decode(address, self.get)) is not None:
            self.remember(address, pooled)
        return pooled

    def remember(self, address: str, pooled: Pooled) -> None:
        """Caches a decoded pool."""
        self.pools[address] = pooled
        for each in pooled.reads:
            self.readers.setdefault(each, set()).add(address)

    def forget(self, address: str) -> None:
        """Drops the pools decoded from an account whose bytes were changed."""
        for pool in self.readers.pop(address, ()):
            self.pools.pop(pool, None)
            self.moved.discard(pool)

    def forget_all(self) -> None:
        """Drops every decoded pool, after a fork."""
        for each in (self.pools, self.readers, self.moved):
            each.clear()


class View:
    """The accounts and pools that a transaction changed. `writable` None: it may write any."""

    def __init__(self, state: State, writable: frozenset[str] | None = None) -> None:
        self._state = state
        self._writable = writable
        self.changed: dict[str, Account] = {}
        self.pools: dict[str, Pooled] = {}
        self.moved: set[str] = set()
        """Pools whose state is newer than their bytes here."""
        self.settled: set[str] = set()
        """Pools whose bytes were brought up to date here."""
        self.rewritten: set[str] = set()
        """Addresses written by another program than that of their pool: decoded pools are stale."""

    def get(self, address: str) -> Account | None:
        """The account, as this transaction sees it; None where there is none."""
        account = self.changed.get(address)
        if account is None:
            account = self._state.accounts.get(address)
        return account if account is not None and account.lamports else None

    def rent_exempt(self, size: int) -> int:
        """The rent-exempt minimum of a new account of `size` bytes of data, in lamports."""
        return self._state.rent_exempt(size)

    def held(self, address: str) -> int:
        """Lamports of an account before this transaction."""
        account = self._state.accounts.get(address)
        return account.lamports if account is not None else 0

    def put(self, address: str, account: Account) -> None:
        """Writes an account. One without lamports is deleted."""
        readers = self._state.readers.get(address)
        if readers:
            for pool in readers:
                self._settle(pool)
            self.rewritten.add(address)
        self.keep(address, account)

    def keep(self, address: str, account: Account) -> None:
        """Writes an account as the program of its pool does: decoded pools stay valid."""
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
        """Stores the state of a pool after a swap."""
        self.pools[moved.pool.address] = moved
        self.moved.add(moved.pool.address)

    def reread(self, address: str) -> Pooled | None:
        """Decodes the pool again from its current bytes: its price may have left its arrays."""
        self._settle(address)
        pooled = self._state.families.decode(address, self.get)
        if pooled is not None:
            self.pools[address] = pooled
        return pooled

    def fresh(self, address: str) -> bool:
        """Whether no swap changed the pool since it was decoded."""
        return address not in self.moved and address not in self._state.moved

    def drop(self, kept: dict[str, Account]) -> None:
        """Drops all changes but `kept`."""
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
