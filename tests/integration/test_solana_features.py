"""Which version the cluster takes, and what is built: as it is asked, answered and doubted."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from solders.message import MessageV0, MessageV1

from engine.doctor import versions
from engine.settings import Settings
from events.metrics import VERSION_REFUSALS
from events.secret import SecretUrl
from events.types import Status
from stages.runtime.stage import VenueRefusal
from stages.venues.solana.cluster import features
from stages.venues.solana.cluster.features import FEATURES, TX_V1, ChainFacts, Features, TxVersion
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import ChainOptions, RpcOptions
from stages.venues.solana.transaction.messages import Decoded, decode
from stages.venues.solana.transaction.versions import VERSIONS
from tests.integration.test_solana_chain import World, order
from tests.support.chain.rpc_node import PATIENT, HttpError, JsonError, Node, at, rpc_node
from tests.support.waits import until

SLOT = 447_120_000


def account(since: int | None, owner: str = FEATURES) -> dict[str, Any]:
    """As nodes show a feature's account: one byte that there is a slot, then the slot."""
    data = b"\0" * 9 if since is None else b"\x01" + since.to_bytes(8, "little")
    return {"owner": owner, "data": [b64encode(data).decode(), "base64"], "lamports": 1}


def takes_v1(node: Node) -> None:
    """It reads what it is given, finds no such payer, and no signature."""

    def unsigned(_: Any) -> Any:
        raise JsonError(-32003, "Transaction signature verification failure")

    node.answers["simulateTransaction"] = lambda _: at(SLOT, {"err": "AccountNotFound"})
    node.answers["sendTransaction"] = unsigned


class Cluster:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.feature: dict[str, Any] | None = None
        self.slot = SLOT
        node.answers["getMultipleAccounts"] = self._accounts
        takes_v1(node)
        options = RpcOptions((SecretUrl(node.url),), **PATIENT)
        self.rpc = Rpc(RpcLink(options, ClusterGuard("local")))

    def _accounts(self, params: Any) -> Any:
        assert params[0] == [TX_V1]
        assert params[1]["commitment"] == "finalized"
        return at(self.slot, [self.feature])

    async def until_asked(self, times: int) -> None:
        await until(lambda: self.node.asked["getMultipleAccounts"] >= times)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with rpc_node() as node:
        cluster = Cluster(node)
        yield cluster
        await cluster.rpc.close()


@pytest.mark.parametrize(
    ("feature", "active"),
    [
        (account(SLOT - 1), True),
        (account(SLOT), True),
        (account(SLOT + 1), False),
        (account(None), False),
        (account(SLOT - 1, owner="11111111111111111111111111111111"), False),
        (account(SLOT - 1) | {"data": ["AQ==", "base64"]}, False),
        (None, False),
    ],
)
async def test_the_feature_is_active_from_its_slot_on(
    cluster: Cluster, feature: dict[str, Any] | None, active: bool
) -> None:
    cluster.feature = feature
    asked = Features(cluster.rpc, "auto")
    assert asked.facts == ChainFacts(None, 0)
    await asked.ask()
    assert asked.facts == ChainFacts(int(active), int(active))


@pytest.mark.parametrize(
    ("setting", "active", "version", "fault"),
    [
        ("auto", True, 1, False),
        ("auto", False, 0, False),
        ("0", True, 0, False),
        ("0", False, 0, False),
        ("1", True, 1, False),
        ("1", False, 1, True),
    ],
)
async def test_the_built_version_follows_from_setting_and_cluster(
    cluster: Cluster, setting: TxVersion, active: bool, version: int, fault: bool
) -> None:
    cluster.feature = account(1) if active else None
    asked = Features(cluster.rpc, setting)
    assert not asked.fault  # nothing is known yet
    await asked.ask()
    assert (asked.version, asked.facts.transaction_version) == (version, int(active))
    assert bool(asked.fault) is bool(await asked.unsuited()) is fault


async def test_a_node_that_does_not_answer_changes_nothing(cluster: Cluster) -> None:
    asked = Features(cluster.rpc, "auto")
    cluster.node.fault = "500"
    with pytest.raises(VenueRefusal):
        await asked.ask()
    assert asked.facts == ChainFacts(None, 0)
    cluster.node.fault, cluster.feature = "", account(1)
    await asked.ask()
    cluster.node.fault = "500"
    with pytest.raises(VenueRefusal):
        await asked.ask()
    assert asked.facts == ChainFacts(1, 1)


async def test_a_pending_activation_is_noticed_when_it_takes_effect(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "PENDING_S", 0.001)
    monkeypatch.setattr(features, "UNANSWERED_S", 0.001)
    cluster.feature = account(SLOT + 1)
    asked = Features(cluster.rpc, "auto")
    asked.start()
    await asked.known()
    assert asked.version == 0
    cluster.slot += 1
    await until(lambda: asked.version == 1)
    await asked.close()


async def test_features_are_read_again_every_hour_and_when_doubted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "UNANSWERED_S", 0.001)
    asked = Features(cluster.rpc, "auto")
    asked.start()
    await asked.known()
    cluster.feature = account(1)
    assert cluster.node.asked["getMultipleAccounts"] == 1
    asked.doubt("no")
    await cluster.until_asked(2)
    await until(lambda: asked.version == 1)
    await asked.close()
    monkeypatch.setattr(features, "ASKED_EVERY_S", 0.001)
    hourly = Features(cluster.rpc, "auto")
    hourly.start()
    await cluster.until_asked(5)
    await hourly.close()


@pytest.mark.parametrize(
    ("setting", "since", "status", "words"),
    [
        ("auto", 1, "ok", "takes v1, v1 is built (TX_VERSION=auto)"),
        ("auto", None, "ok", "takes v0, v0 is built"),
        ("0", 1, "ok", "takes v1, v0 is built (TX_VERSION=0)"),
        ("1", 1, "ok", "takes v1, v1 is built (TX_VERSION=1)"),
        ("1", None, "failed", "TX_VERSION=1: the cluster does not take transaction v1"),
    ],
)
async def test_the_doctor_shows_the_accepted_and_the_built_transaction_version(
    cluster: Cluster, setting: TxVersion, since: int | None, status: str, words: str
) -> None:
    cluster.feature = None if since is None else account(since)
    finding = await versions.look(Settings(tx_version=setting), cluster.rpc)
    assert finding.status == status
    assert words in finding.detail


@pytest.mark.parametrize(
    ("setting", "status", "words"),
    [
        ("auto", "warning", "the cluster takes v1, v0 is built (TX_VERSION=auto): no node takes"),
        ("1", "failed", "TX_VERSION=1: no node takes transaction v1"),
        ("0", "ok", "the cluster takes v1, v0 is built (TX_VERSION=0)"),
    ],
)
async def test_the_doctor_shows_the_versions_that_nodes_refuse(
    cluster: Cluster, setting: TxVersion, status: str, words: str
) -> None:
    def refuse(_: Any) -> Any:
        raise JsonError(-32602, UNREAD)

    cluster.feature, cluster.node.answers["sendTransaction"] = account(1), refuse
    finding = await versions.look(Settings(tx_version=setting), cluster.rpc)
    assert finding.status == status
    assert words in finding.detail
    assert (UNREAD in finding.detail) is (setting != "0")


async def test_the_doctor_shows_that_no_node_reports_its_features(cluster: Cluster) -> None:
    cluster.node.fault = "500"
    finding = await versions.look(Settings(), cluster.rpc)
    assert (finding.status, bool(finding.mend)) == ("warning", True)


# -- building by it --------------------------------------------------------------------------------


class FeaturedWorld(World):
    """With a feature, and lengths of accounts."""

    def __init__(self, node: Node) -> None:
        self.feature_since: int | None = None
        self.heads_fault = False
        super().__init__(node)

    def _accounts(self, params: Any) -> Any:
        if "dataSlice" in params[1] and self.heads_fault:
            raise JsonError(-32603, "not now")
        if params[0] == [TX_V1]:
            since = self.feature_since
            return at(self.slot, [None if since is None else account(since)])
        answer = super()._accounts(params)
        for name, shown in zip(params[0], answer["value"], strict=True):
            if shown is not None and name in self.accounts:
                shown["space"] = len(self.accounts[name].data)
        return answer

    def simulated(self) -> Decoded:
        """The newest transaction that a simulation was asked for."""
        raw = [p[0] for name, p in self.node.params if name == "simulateTransaction"][-1]
        return decode(b64decode(raw))


@pytest.fixture
async def world() -> AsyncIterator[FeaturedWorld]:
    async with rpc_node() as node:
        featured_world = FeaturedWorld(node)
        await featured_world.cache.refresh()
        yield featured_world
        await featured_world.features.close()
        await featured_world.chain.close()
        await featured_world.cache.close()
        await featured_world.rpc.close()


async def active(world: FeaturedWorld) -> None:
    world.feature_since = 1
    await world.features.ask()


async def test_transactions_are_simulated_and_built_in_the_version_of_the_cluster(
    world: FeaturedWorld,
) -> None:
    assert isinstance(decode((await world.built()).raw.reveal()).message, MessageV0)
    await active(world)
    world.simulation |= {"loadedAccountsDataSize": 40_000}
    raw = (await world.built()).raw.reveal()
    message = decode(raw).message
    assert isinstance(message, MessageV1)
    assert message.config.compute_unit_limit == 60_000
    assert message.config.priority_fee == 1  # 60,000 x 5 micro-lamports, rounded up
    simulated = world.simulated()
    assert isinstance(simulated.message, MessageV1)
    assert simulated.message.config.loaded_accounts_data_size_limit == 64 * 2**20
    assert simulated.message.instructions == message.instructions


@pytest.mark.parametrize(
    ("answered", "least"), [(None, 32 * 1024), (10_000, 32 * 1024), (1_000_000, 1_250_000)]
)
async def test_the_data_limit_is_the_larger_of_the_measured_and_the_answered_size(
    world: FeaturedWorld, answered: int | None, least: int
) -> None:
    await active(world)
    world.simulation |= {"loadedAccountsDataSize": answered}
    message = decode((await world.built()).raw.reveal()).message
    assert isinstance(message, MessageV1)
    named = message.config.loaded_accounts_data_size_limit
    assert named is not None
    assert least <= named < 64 * 2**20


async def test_a_later_attempt_has_a_wider_margin(world: FeaturedWorld) -> None:
    await active(world)
    world.simulation |= {"loadedAccountsDataSize": 1_000_000}
    limits = []
    for attempts in (0, 1):
        message = decode((await world.built(order(attempts=attempts))).raw.reveal()).message
        assert isinstance(message, MessageV1)
        limits.append(message.config.loaded_accounts_data_size_limit or 0)
    assert limits[1] >= 3 * limits[0]


async def test_accounts_that_cannot_be_measured_leave_the_largest_limit(
    world: FeaturedWorld,
) -> None:
    await active(world)
    world.heads_fault = True
    message = decode((await world.built()).raw.reveal()).message
    assert isinstance(message, MessageV1)
    assert message.config.loaded_accounts_data_size_limit == 64 * 2**20


UNREAD = "failed to deserialize solana_transaction::versioned::VersionedTransaction: io error"
LONG = "base64 encoded solana_transaction::versioned::VersionedTransaction too large: 1700 bytes"
REFUSALS: list[Exception] = [
    JsonError(-32602, UNREAD),
    JsonError(-32602, LONG),
    JsonError(-32602, "invalid transaction: Transaction version is unsupported"),
    JsonError(-32603, UNREAD),
    JsonError(-32600, "transaction #0 could not be decoded"),
    HttpError(400, "could not decode transaction"),
]


def refusing(world: World, method: str, refusal: Any) -> None:
    """A node, or what stands before it, that takes other versions only."""
    answer = world.node.answers[method]

    def judge(params: Any) -> Any:
        if decode(b64decode(params[0])).version != 1:
            return answer(params)
        if isinstance(refusal, Exception):
            raise refusal
        return at(world.slot, {"err": refusal})

    world.node.answers[method] = judge


@pytest.mark.parametrize("refusal", [*REFUSALS, "UnsupportedVersion"], ids=str)
async def test_a_transaction_refused_for_its_version_is_rebuilt_as_v0_at_once(
    world: FeaturedWorld, refusal: Any
) -> None:
    """The cluster takes v1, so that it was built again and again, without end."""
    await active(world)
    refusing(world, "simulateTransaction", refusal)
    counted = VERSION_REFUSALS.counts[""]
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert decode((await world.built()).raw.reveal()).version == 0
    assert VERSION_REFUSALS.counts[""] == counted + 1, "it is not tried with each order"
    [line] = [line for line in lines if line["event"] == "transaction_version_refused"]
    assert (line["log_level"], line["built"]) == ("warning", 0)
    assert line["reason"]
    assert world.features.facts == ChainFacts(1, 0)
    world.node.answers["simulateTransaction"] = lambda _: at(world.slot, {"err": None})
    await world.features.ask()  # another node, or a newer one
    assert decode((await world.built()).raw.reveal()).version == 1


@pytest.mark.parametrize("method", ["simulateTransaction", "sendTransaction"])
async def test_nodes_are_tried_with_the_version_before_any_order_is(
    world: FeaturedWorld, method: str
) -> None:
    refusing(world, method, JsonError(-32602, UNREAD))
    await active(world)
    assert world.features.facts == ChainFacts(1, 0)
    assert UNREAD in world.features.refusal
    assert decode((await world.built()).raw.reveal()).version == 0


async def test_one_node_that_takes_the_version_is_enough(cluster: Cluster) -> None:
    async with rpc_node() as other:
        other.answers |= cluster.node.answers
        cluster.feature = account(1)

        def refuse(_: Any) -> Any:
            raise JsonError(-32602, UNREAD)

        for method in ("simulateTransaction", "sendTransaction"):
            cluster.node.answers[method] = refuse
        urls = SecretUrl(cluster.node.url), SecretUrl(other.url)
        options = RpcOptions(urls, **(PATIENT | {"deadline_s": 2.0}))
        rpc = Rpc(RpcLink(options, ClusterGuard("local")))
        asked = Features(rpc, "auto")
        await asked.ask()
        assert (asked.version, asked.refusal) == (1, "")
        other.answers["sendTransaction"] = refuse
        await asked.ask()
        assert (asked.version, asked.refusal) == (0, f"sendTransaction: -32602: {UNREAD}")
        other.fault = cluster.node.fault = "503"  # no answer changes nothing
        with pytest.raises(VenueRefusal):
            await asked.ask()
        assert asked.version == 0
        await rpc.close()


def small_v0(monkeypatch: pytest.MonkeyPatch) -> None:
    """No route fits into v0."""
    monkeypatch.setitem(VERSIONS, 0, VERSIONS[0]._replace(bytes_max=100))


async def test_a_route_that_only_the_refused_version_holds_is_refused_with_that_reason(
    world: FeaturedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await active(world)
    small_v0(monkeypatch)
    refusing(world, "simulateTransaction", JsonError(-32602, UNREAD))
    for _ in range(2):
        with pytest.raises(VenueRefusal) as refused:
            await world.chain.build_asking(order())
        assert (refused.value.code, refused.value.retryable) == (
            "transaction-version-refused", True,
        )  # fmt: skip
        assert "does not fit into v0" in refused.value.detail
        assert UNREAD in refused.value.detail


@pytest.mark.parametrize("is_active", [True, False])
async def test_a_route_for_v1_makes_a_builder_with_older_knowledge_query_the_cluster(
    world: FeaturedWorld, monkeypatch: pytest.MonkeyPatch, is_active: bool
) -> None:
    """The feature was activated, and the router has heard of it first."""
    small_v0(monkeypatch)
    world.feature_since = 1 if is_active else None
    if is_active:
        assert decode((await world.built()).raw.reveal()).version == 1
        return
    with pytest.raises(VenueRefusal, match="transaction-too-large"):
        await world.chain.build_asking(order())


async def test_the_replacement_of_a_dead_transaction_is_v0_where_it_fits(
    world: FeaturedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that drops v1 silently would drop the next one too."""
    await active(world)
    replaced = order(status=Status.SUBMITTED, signature="dead", attempts=1)
    assert decode((await world.built()).raw.reveal()).version == 1
    assert decode((await world.built(replaced)).raw.reveal()).version == 0
    small_v0(monkeypatch)
    assert decode((await world.built(replaced)).raw.reveal()).version == 1


async def test_a_configured_version_is_kept_and_readyz_shows_that_nodes_refuse_it(
    world: FeaturedWorld,
) -> None:
    world.features = Features(world.rpc, "1")
    world.chain = world.make_chain(ChainOptions())
    await active(world)
    refusing(world, "simulateTransaction", JsonError(-32602, UNREAD))
    with pytest.raises(VenueRefusal, match="transaction-version-refused") as refused:
        await world.chain.build_asking(order())
    assert refused.value.retryable
    assert world.features.fault.startswith("TX_VERSION=1: no node takes transaction v1")
    assert await world.features.unsuited() == "", "nodes change: a start continues"


async def test_a_send_refused_for_its_version_is_reported(world: FeaturedWorld) -> None:
    await active(world)
    v1, v0 = await world.built(), await world.built(order(status=Status.SUBMITTED))
    refusing(world, "sendTransaction", JsonError(-32602, UNREAD))
    counted = VERSION_REFUSALS.counts[""]
    with pytest.raises(VenueRefusal, match="VersionedTransaction"):
        await world.chain.send([v1.raw])
    assert VERSION_REFUSALS.counts[""] == counted + 1
    assert world.features.version == 0
    await world.chain.send([v0.raw])
    assert world.sent[-1] == v0.raw.reveal()
