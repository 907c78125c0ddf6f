"""The limit of loaded account data: enough for every route, by a count of its own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import combinations_with_replacement, product
from random import Random
from typing import Any

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from engine.localnet.genesis.market import PROGRAMS as POOL_PROGRAMS
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import ATA, BPF_LOADER, COMPUTE_BUDGET, MEMO, SYSTEM, TOKEN
from events.secret import SecretUrl
from stages.venues.solana.cluster import loaded
from stages.venues.solana.cluster.loaded import LoadedSizes, limit
from stages.venues.solana.rpc.answers import AccountInfo
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import RpcOptions
from stages.venues.solana.transaction.signing import Plan, drafted, message
from stages.venues.solana.transaction.versions import DATA_SIZE_MAX, V1, Budget
from tests.support.chain.laid_pools import FAMILY_NAMES, MINTS, PROGRAMS, laid, legs, plans
from tests.support.chain.localchain import WALLET
from tests.support.chain.rpc_node import PATIENT, Node, at, rpc_node

SEED = 20261129
PAGE = 32 * 1024
Stored = Mapping[str, tuple[str, bytes | int]]
"""Owner, and data, or the length of data that is not read."""


def programs(random: Random) -> dict[str, tuple[str, bytes | int]]:
    """As on mainnet: two accounts each, the second of up to three megabytes."""
    created: dict[str, tuple[str, bytes | int]] = {
        SYSTEM: ("NativeLoader1111111111111111111111111111111", 14),
        COMPUTE_BUDGET: ("NativeLoader1111111111111111111111111111111", 22),
    }
    for program in (ATA, MEMO, TOKEN, *POOL_PROGRAMS.values()):
        data = bytes(Pubkey(random.randbytes(32)))
        created[program] = BPF_LOADER, b"\x02\0\0\0" + data
        created[str(Pubkey(data))] = BPF_LOADER, random.randrange(100_000, 3_000_000)
    return created


def stored(accounts: Mapping[str, Account]) -> dict[str, tuple[str, bytes | int]]:
    return {address: (account.owner, account.data) for address, account in accounts.items()}


def length(data: bytes | int) -> int:
    return data if isinstance(data, int) else len(data)


def loads(addresses: Sequence[str], world: Stored) -> int:
    """SIMD-0186, counted by this test."""
    counted = set(addresses)
    for address in addresses:
        owner, data = world.get(address, ("", b""))
        if owner == BPF_LOADER and isinstance(data, bytes) and data[:4] == b"\x02\0\0\0":
            counted.add(str(Pubkey(data[4:36])))
    return sum(64 + length(world[item][1]) for item in counted if item in world)


class Chain:
    """A node with these accounts, and who measures by it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.world: dict[str, tuple[str, bytes | int]] = {}
        self.tells_space = True
        node.answers["getMultipleAccounts"] = self._accounts
        link = RpcLink(RpcOptions((SecretUrl(node.url),), **PATIENT), ClusterGuard("local"))
        self.rpc = Rpc(link)
        self.known: dict[str, int] = {}
        self.sizes = LoadedSizes(self.rpc, self.known.get)

    def _accounts(self, params: Any) -> Any:
        part = params[1]["dataSlice"]
        return at(1, [self._shown(param, part["offset"], part["length"]) for param in params[0]])

    def _shown(self, address: str, offset: int, most: int) -> Any:
        if address not in self.world:
            return None
        owner, data = self.world[address]
        whole = bytes(min(data, most)) if isinstance(data, int) else data
        shown = b64encode(whole[offset : offset + most]).decode()
        space = {"space": length(data)} if self.tells_space else {}
        return {"owner": owner, "data": [shown, "base64"], "lamports": 1} | space

    @property
    def asked(self) -> int:
        return self.node.asked["getMultipleAccounts"]


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    async with rpc_node() as node:
        chain = Chain(node)
        yield chain
        await chain.rpc.close()


def routes() -> list[tuple[tuple[str, ...], tuple[Sequence[str], ...]]]:
    """Every pair of families as two hops and as a split, every three as a split, split hops."""
    halves = list(combinations_with_replacement(FAMILY_NAMES, 2))
    hops = [((pair[0],), (pair[1],)) for pair in product(FAMILY_NAMES, FAMILY_NAMES)]
    created: list[tuple[tuple[str, ...], tuple[Sequence[str], ...]]] = []
    created += [
        (path, hop) for path in (("RAY", "SOL", "JUP"), ("SOL", "USDC", "JUP")) for hop in hops
    ]
    created += [(("SOL", "USDC"), (item,)) for item in [*((f,) for f in FAMILY_NAMES), *halves]]
    created += [(("SOL", "USDC"), (t,)) for t in combinations_with_replacement(FAMILY_NAMES, 3)]
    created += [(("RAY", "SOL", "JUP"), (halve, halve[::-1])) for halve in halves]
    return created


async def test_the_limit_is_enough_for_every_route_and_not_the_largest_there_is(
    chain: Chain,
) -> None:
    random = Random(SEED)
    print(f"seed {SEED}")
    for path, hops in routes():
        chain.world = programs(random) | stored(MINTS)
        for of, _ in plans(path, *hops):
            chain.world |= stored(laid(of))
        chain.world[str(WALLET.pubkey())] = SYSTEM, b""
        draft = drafted(Plan(WALLET.pubkey(), legs(path, *hops), PROGRAMS, "memo"))
        created = message(draft, Budget(200_000, 1), str(Hash.default()), V1)
        addresses = [str(pubkey) for pubkey in created.account_keys]
        sizes = LoadedSizes(chain.rpc, chain.known.get)
        named = limit(await sizes.of(addresses, draft.created))
        # Everything that is absent may exist when it lands: token accounts of the wallet.
        later = {address: ("", 165) for address in addresses if address not in chain.world}
        needed = loads(addresses, chain.world | later)
        assert needed <= named <= needed * 3 // 2 + 10 * PAGE, (path, hops)
        # A program may be upgraded to a size that is a fifth more.
        grown = {
            item: (owner, data * 6 // 5 if isinstance(data, int) else data)
            for item, (owner, data) in chain.world.items()
        }
        assert loads(addresses, grown | later) <= named, (path, hops)


async def test_features_are_cached_for_an_hour_and_read_again_after_a_refusal(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.world = programs(Random(SEED))
    first = await chain.sizes.of([TOKEN, MEMO], {})
    assert chain.asked == 2  # the programs, then what is behind them
    assert await chain.sizes.of([TOKEN, MEMO], {}) == first
    assert chain.asked == 2
    chain.world = {
        item: (owner, data + 1 if isinstance(data, int) else data)
        for item, (owner, data) in chain.world.items()
    }
    assert await chain.sizes.of([TOKEN, MEMO], {}, afresh=True) == first + 2
    monkeypatch.setattr(loaded, "KEPT_S", -1.0)
    asked = chain.asked
    await chain.sizes.of([TOKEN, MEMO], {})
    assert chain.asked > asked


async def test_accounts_with_known_sizes_are_not_asked_for(chain: Chain) -> None:
    chain.known["A"] = 1_544
    assert await chain.sizes.of(["A", "B"], {"B": 165}) == 64 + 1_544 + 64 + 165
    assert chain.asked == 0


async def test_an_absent_account_counts_with_room_for_its_creation(chain: Chain) -> None:
    absent = str(Pubkey.new_unique())
    assert await chain.sizes.of([absent], {}) >= 64 + 10_240


async def test_a_node_that_reports_no_lengths_gets_the_largest_limit(chain: Chain) -> None:
    chain.world, chain.tells_space = programs(Random(SEED)), False
    assert limit(await chain.sizes.of([TOKEN], {})) == DATA_SIZE_MAX


@pytest.mark.parametrize("loads", [0, 1, PAGE, PAGE + 1, 1_000_000, 50_000_000, 64 * 2**20, 2**40])
def test_the_limit_is_whole_pages_with_a_margin_and_never_more_than_there_may_be(
    loads: int,
) -> None:
    named = limit(loads)
    assert named % PAGE == 0
    assert 0 < named <= DATA_SIZE_MAX
    assert named == DATA_SIZE_MAX or loads * 5 // 4 <= named < loads * 5 // 4 + PAGE + 1


def test_only_a_program_of_the_upgradeable_loader_has_data_behind_it() -> None:
    def head(owner: str, data: bytes) -> AccountInfo:
        return AccountInfo(owner, (b64encode(data).decode(), "base64"))

    behind = bytes(range(32))
    program = b"\x02\0\0\0" + behind
    assert loaded.programdata_of(head(BPF_LOADER, program)) == str(Pubkey(behind))
    assert not loaded.programdata_of(head(TOKEN, program))
    assert not loaded.programdata_of(head(BPF_LOADER, b"\x03\0\0\0" + behind))
    assert not loaded.programdata_of(head(BPF_LOADER, program[:-1]))
    assert not loaded.programdata_of(None)
