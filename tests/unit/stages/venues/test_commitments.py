"""Which commitment holds: by the cluster's consensus, and changed by a migration only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.commitments import Commitments, Fill, Setting
from stages.venues.solana.rpc.errors import NotServed, RpcError, Unreachable

MIGRATED, NOT_MIGRATED = True, False
TOO_OLD = RpcError(-32601, "Method not found")
DOWN = Unreachable("no answer in time")


class Node:
    """Answers, in order, whether the cluster has migrated."""

    def __init__(self, *answers: bool | VenueRefusal) -> None:
        self._answers: Iterator[bool | VenueRefusal] = iter(answers)

    async def is_alpenglow(self) -> bool:
        answer = next(self._answers)
        if isinstance(answer, VenueRefusal):
            raise answer
        return answer


def commitments(setting: Setting, *answers: bool | VenueRefusal) -> Commitments:
    node: Any = Node(*answers)
    return Commitments(node, setting)


@pytest.mark.parametrize(
    ("answer", "consensus", "fill", "blockhash"),
    [
        (MIGRATED, "alpenglow", "finalized", "finalized"),
        (NOT_MIGRATED, "tower", "confirmed", "confirmed"),
        (TOO_OLD, "tower", "confirmed", "confirmed"),
        (VenueRefusal("method-not-served", retryable=True), "tower", "confirmed", "confirmed"),
    ],
)
async def test_auto_follows_the_consensus(
    answer: bool | VenueRefusal, consensus: str, fill: str, blockhash: str
) -> None:
    created = commitments("auto", answer)
    assert created.fill == "finalized", "right under both, until it is known"
    await created.look()
    assert (created.consensus, created.fill, created.blockhash) == (consensus, fill, blockhash)
    assert created.facts.consensus == consensus


async def test_a_node_that_does_not_answer_settles_nothing() -> None:
    created = commitments("auto", DOWN, NOT_MIGRATED)
    with pytest.raises(Unreachable):
        await created.look()
    assert (created.consensus, created.fill) == (None, "finalized")
    await created.look()
    assert (created.consensus, created.fill) == ("tower", "confirmed")


async def test_the_fill_commitment_is_finalized_after_the_migration_and_stays_so() -> None:
    created = commitments("auto", NOT_MIGRATED, MIGRATED, NOT_MIGRATED, TOO_OLD)
    fills = []
    for _ in range(4):
        await created.look()
        fills.append(created.fill)
    assert fills == ["confirmed", "finalized", "finalized", "finalized"]
    assert created.consensus == "alpenglow"


@pytest.mark.parametrize("setting", ["confirmed", "finalized"])
@pytest.mark.parametrize("answer", [MIGRATED, NOT_MIGRATED])
async def test_a_configured_commitment_is_kept(setting: Setting, answer: bool) -> None:
    created = commitments(setting, answer)
    await created.look()
    assert created.fill == setting


REFUSALS = (
    RpcError(-32602, "Invalid params: unknown variant `confirmed`, expected `finalized`."),
    RpcError(-32602, "Invalid commitment"),
    NotServed("getLatestBlockhash: node.example: 403 commitment confirmed has been removed"),
)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_finalized_is_used_where_nodes_no_longer_know_confirmed(
    refusal: VenueRefusal,
) -> None:
    asked: list[Fill] = []

    async def call(commitment: Fill) -> str:
        asked.append(commitment)
        if commitment == "confirmed":
            raise refusal
        return "told"

    created = commitments("confirmed")
    assert [await created.ask("confirmed", call) for _ in range(2)] == ["told", "told"]
    assert asked == ["confirmed", "finalized", "finalized"]
    assert (created.fill, created.blockhash) == ("finalized", "finalized")


@pytest.mark.parametrize(
    "refusal",
    [
        RpcError(-32602, "Invalid param: WrongSize"),
        RpcError(-32015, "commitment"),
        NotServed("getTransaction: node.example: -32601 Method not found"),
        DOWN,
    ],
)
@pytest.mark.parametrize("commitment", get_args(Fill))
async def test_other_refusals_do_not_change_the_commitment(
    commitment: Fill, refusal: VenueRefusal
) -> None:
    async def call(_: Fill) -> str:
        raise refusal

    created = commitments("confirmed")
    with pytest.raises(VenueRefusal):
        await created.ask(commitment, call)
    assert created.fill == "confirmed"
