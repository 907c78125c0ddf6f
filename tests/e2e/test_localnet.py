"""The local chain over HTTP: every family, its faults, a kill, and a client of others."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from engine.localnet.state.addresses import USDC, WSOL
from stages.pools.contract import Clock, SwapTerms
from tests.support.chain.localchain import (
    FAMILY_NAMES,
    OWNER,
    WALLET,
    account_of,
    budget,
    close,
    create_ata,
    memo,
    plan_of,
    signed,
    transfer,
    wrap,
)
from tests.support.processes.localnet_up import Localnet, RpcFault, localnet_up
from tests.support.waits import holds

SOL = 10**9
THEM = "BWaEAt9KDStwuPGpVDkKNQ6qgGyAU7ygv1cTDfYQyFYs"


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Localnet]:
    async with localnet_up(tmp_path, "--slot-ms", "0", "--traders", "0") as running:
        yield running


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Localnet]:
    """Its blocks come when a test says so."""
    async with localnet_up(tmp_path, "--slot-ms", "60000", "--traders", "0") as running:
        yield running


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Localnet]:
    """The same of a chain that runs TowerBFT."""
    options = ("--slot-ms", "60000", "--traders", "0")
    folder = tmp_path / "tower"
    folder.mkdir()
    async with localnet_up(folder, *options, CONSENSUS="tower") as running:
        yield running


def pay(words: str) -> list[Any]:
    return [transfer(THEM, SOL), memo(words)]


async def test_an_order_trades_with_every_family_to_the_last_unit(chain: Localnet) -> None:
    before = (await chain.call("getBalance", OWNER, {"commitment": "processed"}))["value"]
    spent = 0
    for name in FAMILY_NAMES:
        address = plan_of(name).address
        pool = await chain.pool(name, address)
        slot = await chain.call("getSlot", {"commitment": "processed"})
        time_s = await chain.call("getBlockTime", slot)
        quote = pool.exact_in(3 * SOL, pool.mint_a == WSOL, Clock(slot, time_s))
        usdc = await chain.amount("USDC")
        terms = SwapTerms(exact_out=False, amount=3 * SOL, threshold=quote.amount_out)
        instructions = [
            *budget(400_000, 5_000),
            create_ata("USDC"),
            *wrap(3 * SOL),
            await chain.swap(name, address, "SOL", terms),
            close(account_of("SOL")),
            memo(name),
        ]
        signature = await chain.send(instructions)
        reaches = await chain.reaches(signature, "confirmed", "finalized")
        assert reaches["err"] is None
        assert await chain.amount("USDC") - usdc == quote.amount_out
        config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        done = await chain.call("getTransaction", signature, config)
        spent += 3 * SOL + done["meta"]["fee"]
        assert done["meta"]["fee"] == 5_000 + 2_000
    after = (await chain.call("getBalance", OWNER, {"commitment": "processed"}))["value"]
    assert before - after == spent
    assert chain.executions() == dict.fromkeys(FAMILY_NAMES, 1)


async def test_a_missed_threshold_answers_as_a_node_does(chain: Localnet) -> None:
    plan = plan_of("raydium-cpmm")
    terms = SwapTerms(exact_out=False, amount=SOL, threshold=10**12)
    swap = await chain.swap(plan.family, plan.address, "SOL", terms)
    with pytest.raises(RpcFault) as refused:
        await chain.send([*wrap(SOL), swap])
    assert refused.value.code == -32002
    assert str(refused.value) == (
        "Transaction simulation failed: Error processing Instruction 3: "
        "custom program error: 0x1775"
    )
    assert refused.value.data["err"] == {"InstructionError": [3, {"Custom": 6005}]}
    assert refused.value.data["logs"][-1].endswith("failed: custom program error: 0x1775")
    signature = await chain.send([*wrap(SOL), swap, memo("failed")], skipPreflight=True)
    reaches = await chain.reaches(signature, "confirmed", "finalized")
    assert reaches["err"] == {"InstructionError": [3, {"Custom": 6005}]}
    assert chain.executions() == {}


async def test_a_simulation_changes_nothing_and_returns_the_compute_units(chain: Localnet) -> None:
    raw = bytes(signed(await chain.blockhash(), pay("tried")))
    config = {"encoding": "base64", "replaceRecentBlockhash": True, "commitment": "processed",
              "accounts": {"addresses": [THEM], "encoding": "base64"}}  # fmt: skip
    reply = await chain.call("simulateTransaction", base64.b64encode(raw).decode(), config)
    value = reply["value"]
    assert value["err"] is None
    assert value["unitsConsumed"] > 0
    assert value["accounts"][0]["lamports"] == SOL
    assert (await chain.call("getAccountInfo", THEM, {"commitment": "processed"}))["value"] is None


async def test_bad_calls_are_refused_as_by_a_node(chain: Localnet) -> None:
    cases: list[tuple[int, str, list[Any]]] = [
        (-32601, "getNothing", []),
        (-32602, "getAccountInfo", ["no address"]),
        (-32602, "getMultipleAccounts", [[OWNER] * 101]),
        (-32602, "getSignatureStatuses", [["x"]]),
        (-32602, "sendTransaction", ["!!!", {"encoding": "base64"}]),
        (-32602, "sendTransaction", ["AAAA", {"encoding": "base64"}]),
        (-32602, "getSlot", [{"commitment": "surely"}]),
        (-32602, "getTokenAccountBalance", [OWNER]),
        (-32016, "getBalance", [OWNER, {"minContextSlot": 10**9}]),
        (-32600, "getAccountInfo", [plan_of("raydium-clmm").address, {"encoding": "base58"}]),
    ]
    for code, method, params in cases:
        with pytest.raises(RpcFault) as refused:
            await chain.call(method, *params)
        assert refused.value.code == code, method
    forged = bytearray(bytes(signed(await chain.blockhash(), pay("forged"))))
    forged[10] ^= 1
    with pytest.raises(RpcFault) as refused:
        await chain.send_raw(bytes(forged))
    assert refused.value.code == -32003
    stranger = Keypair.from_seed(bytes([3] * 32))
    poor = signed(await chain.blockhash(), [memo("poor")], [stranger])
    with pytest.raises(RpcFault) as refused:
        await chain.send_raw(bytes(poor))
    assert refused.value.data["err"] == "AccountNotFound"
    _, answers = await chain.post([
        {"jsonrpc": "2.0", "id": 1, "method": "getHealth"},
        {"jsonrpc": "2.0", "id": 2, "method": "getNothing"},
    ])  # fmt: skip
    assert [answer.get("result") for answer in answers] == ["ok", None]
    assert answers[1]["error"]["code"] == -32601


async def test_a_request_with_a_foreign_host_header_is_refused(chain: Localnet) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(chain.url, json=body, headers={"Host": "evil.example"}) as answer,
    ):
        assert answer.status == 403


async def test_a_killed_chain_resumes_with_every_acknowledged_transaction(chain: Localnet) -> None:
    raws = [bytes(signed(await chain.blockhash(), pay(f"order {n}"))) for n in range(20)]
    signatures = await asyncio.gather(*(chain.send_raw(raw) for raw in raws))
    await chain.stop(kill=True)
    await chain.start()
    for signature in signatures:
        status = await chain.status(signature)
        assert status is not None
        assert status["err"] is None
    with pytest.raises(RpcFault, match="already been processed"):
        await chain.send_raw(raws[0])
    assert chain.executions() == {f"order {n}": 1 for n in range(20)}
    account = await chain.call("getBalance", THEM, {"commitment": "processed"})
    assert account["value"] == 20 * SOL


async def test_a_dropped_transaction_is_accepted_and_never_lands(chain: Localnet) -> None:
    await chain.call("localnet_setFaults", {"dropNext": 1})
    raw = bytes(signed(await chain.blockhash(), pay("dropped")))
    signature = await chain.send_raw(raw)
    assert await chain.status(signature) is None
    assert await chain.send_raw(raw) == signature  # sent again, it lands
    assert await chain.status(signature) is not None


async def test_an_answer_is_lost_after_acceptance(chain: Localnet) -> None:
    await chain.call("localnet_setFaults", {"loseNext": 1})
    raw = bytes(signed(await chain.blockhash(), pay("lost")))
    with pytest.raises(aiohttp.ClientError):
        await chain.send_raw(raw)
    assert chain.executions() == {"lost": 1}
    with pytest.raises(RpcFault, match="already been processed"):
        await chain.send_raw(raw)


async def test_rejections_and_latency_can_be_injected(chain: Localnet) -> None:
    await chain.call("localnet_setFaults", {"rejectNext": 1, "methods": ["getSlot"]})
    body = {"jsonrpc": "2.0", "id": 1, "method": "getBlockHeight"}
    assert (await chain.post(body))[0] == 200
    assert (await chain.post(body | {"method": "getSlot"}))[0] == 429
    assert (await chain.post(body | {"method": "getSlot"}))[0] == 200
    await chain.call("localnet_setFaults", {"latencyMs": 200})
    began = asyncio.get_running_loop().time()
    await chain.call("getSlot")
    # A timer of the event loop may run out a moment early.
    assert asyncio.get_running_loop().time() - began >= 0.19
    with pytest.raises(RpcFault):
        await chain.call("localnet_setFaults", {"noSuchFault": 1})


async def test_a_stalled_chain_lands_no_transaction_until_it_resumes(chain: Localnet) -> None:
    await chain.call("localnet_setFaults", {"stalled": True})
    height = await chain.call("getBlockHeight", {"commitment": "processed"})
    signature = await chain.send(pay("stalled"))

    async def stands_still() -> bool:
        now = await chain.call("getBlockHeight", {"commitment": "processed"})
        return bool(now == height and await chain.status(signature) is None)

    await holds(stands_still, 0.1)
    await chain.call("localnet_setFaults", {"stalled": False})
    await chain.reaches(signature, "confirmed", "finalized")
    assert chain.executions() == {"stalled": 1}


async def test_a_confirm_delay_delays_finality(slow: Localnet) -> None:
    await slow.call("localnet_setFaults", {"confirmDelay": 5})
    signature = await slow.send(pay("late"))
    await slow.call("localnet_advance", 6)
    assert (await slow.status(signature))["confirmationStatus"] == "processed"
    await slow.call("localnet_advance", 1)
    assert (await slow.status(signature))["confirmationStatus"] == "finalized"


async def test_a_confirm_delay_delays_confirmation_and_finality_under_tower(
    tower: Localnet,
) -> None:
    await tower.call("localnet_setFaults", {"confirmDelay": 5})
    signature = await tower.send(pay("late"))
    await tower.call("localnet_advance", 6)
    assert (await tower.status(signature))["confirmationStatus"] == "processed"
    await tower.call("localnet_advance", 1)
    assert (await tower.status(signature))["confirmationStatus"] == "confirmed"
    await tower.call("localnet_advance", 26)
    assert (await tower.status(signature))["confirmationStatus"] == "finalized"


async def test_a_fork_drops_processed_blocks_but_no_finalized_one(slow: Localnet) -> None:
    await slow.call("localnet_advance", 40)
    raw = bytes(signed(await slow.blockhash(), pay("forked")))
    signature = await slow.send_raw(raw)
    await slow.call("localnet_advance", 1)
    assert (await slow.status(signature))["confirmationStatus"] == "processed"
    assert await slow.call("localnet_fork", 9) == [signature]
    assert await slow.status(signature) is None
    assert slow.executions() == {}
    await slow.send_raw(raw)
    await slow.call("localnet_advance", 2)
    assert (await slow.status(signature))["confirmationStatus"] == "finalized"
    assert await slow.call("localnet_fork", 9) == []
    assert slow.executions() == {"forked": 1}


async def test_a_fork_drops_a_confirmed_transaction_under_tower(tower: Localnet) -> None:
    await tower.call("localnet_advance", 40)
    raw = bytes(signed(await tower.blockhash(), pay("forked")))
    signature = await tower.send_raw(raw)
    await tower.call("localnet_advance", 2)
    assert (await tower.status(signature))["confirmationStatus"] == "confirmed"
    assert await tower.call("localnet_fork", 2) == [signature]
    assert await tower.status(signature) is None
    assert tower.executions() == {}
    await tower.send_raw(raw)
    await tower.call("localnet_advance", 1)
    assert tower.executions() == {"forked": 1}


async def test_the_chain_reports_its_consensus(slow: Localnet, tower: Localnet) -> None:
    assert isinstance(await slow.call("getAgGenesisCert"), dict)
    assert await tower.call("getAgGenesisCert") is None
    for chain, behind in ((slow, 1), (tower, 32)):
        await chain.call("localnet_advance", 40)
        heights = [
            await chain.call("getBlockHeight", {"commitment": level})
            for level in ("processed", "confirmed", "finalized")
        ]
        assert heights == [heights[0], heights[0] - 1, heights[0] - behind]


async def test_blocks_have_times_and_minutes_have_slots(slow: Localnet) -> None:
    assert await slow.call("getRecentPerformanceSamples", 4) == [], "younger than a minute"
    final = await slow.call("getSlot", {"commitment": "finalized"})
    assert abs(await slow.call("getBlockTime", final) - time.time()) < 60
    with pytest.raises(RpcFault, match="not available") as early:
        await slow.call("getBlockTime", final + 1)
    with pytest.raises(RpcFault, match="skipped") as never:
        await slow.call("getBlockTime", 1)
    assert (early.value.code, never.value.code) == (-32004, -32009)


async def test_an_expired_blockhash_is_proof_of_death(slow: Localnet) -> None:
    reply = (await slow.call("getLatestBlockhash", {"commitment": "processed"}))["value"]
    raw = bytes(signed(reply["blockhash"], pay("expired")))
    await slow.call("localnet_advance", 151)
    height = await slow.call("getBlockHeight", {"commitment": "processed"})
    assert height == reply["lastValidBlockHeight"] + 1
    config = {"commitment": "processed"}
    valid = await slow.call("isBlockhashValid", reply["blockhash"], config)
    assert valid["value"] is False
    with pytest.raises(RpcFault, match="Blockhash not found"):
        await slow.send_raw(raw)
    await slow.send_raw(raw, skipPreflight=True)
    await slow.call("localnet_advance", 1)
    assert slow.executions() == {}


async def test_blocks_are_produced_periodically_and_become_final(tmp_path: Path) -> None:
    async with localnet_up(tmp_path, "--slot-ms", "5") as chain:
        signature = await chain.send(pay("final"))
        await chain.reaches(signature, "finalized")


async def test_solana_py_talks_to_it_unmodified(chain: Localnet) -> None:
    api = pytest.importorskip("solana.rpc.async_api")
    models = pytest.importorskip("solana.rpc.models")
    wallet = WALLET.pubkey()
    async with api.AsyncClient(chain.url) as client:
        assert await client.is_connected()
        latest = (await client.get_latest_blockhash("confirmed")).value
        transaction = signed(str(latest.blockhash), pay("solana-py"))
        tried = await client.simulate_transaction(transaction, sig_verify=True)
        assert tried.value.err is None
        sent = await client.send_transaction(transaction)
        done = await client.confirm_transaction(
            sent.value, "confirmed", sleep_seconds=0.02,
            last_valid_block_height=latest.last_valid_block_height,
        )  # fmt: skip
        assert done.value[0].err is None
        shown = await client.get_transaction(
            sent.value, commitment="confirmed", max_supported_transaction_version=0
        )
        assert shown.value.transaction.meta.fee == 5_000
        assert (await client.get_fee_for_message(transaction.message, "confirmed")).value == 5_000
        assert (await client.get_balance(Pubkey.from_string(THEM), "confirmed")).value == SOL
        accounts = await client.get_multiple_accounts([wallet], "confirmed")
        assert accounts.value[0].lamports > 0
        usdc = Pubkey.from_string(account_of("USDC"))
        assert (await client.get_token_account_balance(usdc, "confirmed")).value.decimals == 6
        mine = await client.get_token_accounts_by_owner_json_parsed(
            wallet, models.TokenAccountOpts(mint=Pubkey.from_string(USDC)), "confirmed"
        )
        assert [each.pubkey for each in mine.value] == [usdc]
        history = await client.get_signatures_for_address(wallet, commitment="confirmed")
        assert [each.memo for each in history.value] == ["[9] solana-py"]
        assert (await client.get_epoch_info()).value.slots_in_epoch == 432_000
        dropped = await client.request_airdrop(wallet, SOL)
        assert (await client.get_signature_statuses([dropped.value])).value[0].err is None
