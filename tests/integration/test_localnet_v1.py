"""The local chain's methods with transactions of every version, as clients of any age see them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import TransactionConfig, to_bytes_versioned
from solders.system_program import TransferParams
from solders.system_program import transfer as move_lamports
from solders.transaction import VersionedTransaction

from engine.localnet.genesis.programs import FAMILY_BYTES
from engine.localnet.state import addresses
from stages.pools.contract import Instruction
from tests.support.chain.localchain import OWNER, WALLET, memo, plan_of, sealed, signed, transfer
from tests.support.processes.localnet_up import Localnet, RpcFault, localnet_up

SOL = 10**9
STRANGER = Keypair.from_seed(bytes([8] * 32))
THEM = str(STRANGER.pubkey())
TERMS = TransactionConfig(7_000, 10_000, 1_000_000)
AT_ONCE = ("--slot-ms", "0", "--traders", "0", "--fund", THEM)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Localnet]:
    async with localnet_up(tmp_path, *AT_ONCE) as running:
        yield running


async def sent(
    chain: Localnet,
    instructions: list[Instruction],
    terms: TransactionConfig | None = TERMS,
    signer: Keypair = WALLET,
    **config: Any,
) -> str:
    """The signature of a transaction that a block took."""
    raw = bytes(signed(await chain.blockhash(), instructions, [signer], terms))
    signature = await chain.send_raw(raw, **config)
    await chain.reaches(signature, "confirmed", "finalized")
    return signature


async def shown(chain: Localnet, signature: str, most: object, encoding: str = "json") -> Any:
    config: dict[str, object] = {"commitment": "confirmed", "encoding": encoding}
    if most is not None:
        config |= {"maxSupportedTransactionVersion": most}
    return await chain.call("getTransaction", signature, config)


async def test_a_client_is_shown_no_newer_version_than_it_asks_for(chain: Localnet) -> None:
    v0 = await sent(chain, [transfer(THEM, SOL)], None)
    v1 = await sent(chain, [transfer(THEM, SOL)])
    for signature, version, refused in ((v0, 0, (None,)), (v1, 1, (None, 0))):
        for most in refused:
            with pytest.raises(RpcFault) as fault:
                await shown(chain, signature, most)
            assert (fault.value.code, str(fault.value)) == (
                -32015,
                f"Transaction version ({version}) is not supported by the requesting client. "
                "Please try the request again with the following configuration parameter: "
                f'"maxSupportedTransactionVersion": {version}',
            )
        for most in (version, 1, 255):
            assert (await shown(chain, signature, most))["version"] == version
    move = TransferParams(from_pubkey=WALLET.pubkey(), to_pubkey=STRANGER.pubkey(), lamports=SOL)
    recent = Hash.from_string(await chain.blockhash())
    legacy = await chain.send_raw(sealed(WALLET, [move_lamports(move)], None, recent))
    await chain.reaches(legacy, "confirmed", "finalized")
    assert "version" not in await shown(chain, legacy, None)
    assert (await shown(chain, legacy, 0))["version"] == "legacy"
    for odd in (-1, 256, "1", True, 1.5):
        with pytest.raises(RpcFault, match="maxSupportedTransactionVersion") as fault:
            await shown(chain, v0, odd)
        assert fault.value.code == -32602


async def test_a_v1_transaction_is_shown_with_its_config(chain: Localnet) -> None:
    signature = await sent(chain, [transfer(THEM, SOL), memo("hi")])
    result = await shown(chain, signature, 1)
    created = result["transaction"]["message"]
    assert created["transactionConfig"] == {
        "priorityFee": 7_000,
        "computeUnitLimit": 10_000,
        "loadedAccountsDataSizeLimit": 1_000_000,
        "heapSize": None,
    }
    assert "addressTableLookups" not in created
    assert created["accountKeys"][0] == OWNER
    assert result["meta"]["fee"] == 5_000 + 7_000
    [data, encoding] = (await shown(chain, signature, 1, "base64"))["transaction"]
    raw = base64.b64decode(data)
    assert (encoding, raw[:1]) == ("base64", b"\x81")
    assert str(VersionedTransaction.from_bytes(raw).signatures[0]) == signature


async def test_a_large_transaction_is_taken_in_base64_alone(chain: Localnet) -> None:
    large = [memo(letter * 600) for letter in "abcde"]
    signature = await sent(chain, large, TransactionConfig(7_000, 100_000, 1_000_000))
    [data, _] = (await shown(chain, signature, 1, "base64"))["transaction"]
    assert 3_000 < len(base64.b64decode(data)) <= 4_096
    raw = bytes(signed(await chain.blockhash(), [memo("x" * 900)] * 5, config=TERMS))
    with pytest.raises(RpcFault, match=r"too large: \d+ bytes \(max: 4096 bytes\)") as fault:
        await chain.send_raw(raw)
    assert fault.value.code == -32602
    old = bytes(signed(await chain.blockhash(), large))
    with pytest.raises(RpcFault, match=r"too large: \d+ bytes \(max: 1232 bytes\)"):
        await chain.send_raw(old)


async def test_a_simulation_reports_the_loaded_bytes_and_the_fee_the_charged_amount(
    chain: Localnet,
) -> None:
    instructions = [transfer(THEM, SOL), memo("hi")]
    versioned_transaction = signed(await chain.blockhash(), instructions, config=TERMS)

    async def simulated(transaction: VersionedTransaction) -> Any:
        text = base64.b64encode(bytes(transaction)).decode()
        result = await chain.call("simulateTransaction", text, {"encoding": "base64"})
        return result["value"]

    value = await simulated(versioned_transaction)
    assert value["err"] is None
    loaded = value["loadedAccountsDataSize"]
    text = base64.b64encode(to_bytes_versioned(versioned_transaction.message)).decode()
    answer = await chain.call("getFeeForMessage", text, {"commitment": "processed"})
    assert answer["value"] == 5_000 + 7_000

    tight = TransactionConfig(7_000, 10_000, loaded - 1)
    refused = signed(await chain.blockhash(), instructions, config=tight)
    assert (await simulated(refused))["err"] == "MaxLoadedAccountsDataSizeExceeded"
    with pytest.raises(RpcFault, match="exceeded max loaded accounts data size cap") as fault:
        await chain.send_raw(bytes(refused))
    assert fault.value.code == -32002
    before = await chain.call("getBalance", OWNER, {"commitment": "processed"})
    signature = await sent(chain, instructions, tight, skipPreflight=True)
    after = await chain.call("getBalance", OWNER, {"commitment": "processed"})
    assert before["value"] - after["value"] == 12_000
    reply = await shown(chain, signature, 1)
    assert (reply["meta"]["err"], reply["meta"]["fee"]) == (
        "MaxLoadedAccountsDataSizeExceeded",
        12_000,
    )
    fitting = TransactionConfig(7_000, 10_000, loaded)
    await sent(chain, [transfer(THEM, SOL), memo("it fits")], fitting)


async def test_the_history_of_a_wallet_has_the_transactions_of_other_signers(
    chain: Localnet,
) -> None:
    config = {"commitment": "confirmed"}
    fresh = str(Keypair().pubkey())
    paid = await sent(chain, [memo("ours")])
    dust = [await sent(chain, [transfer(OWNER, 1, THEM), memo(f"dust {n}")], signer=STRANGER)
            for n in range(3)]  # fmt: skip
    first = await sent(chain, [transfer(fresh, SOL, THEM)], signer=STRANGER)
    history = await chain.call("getSignaturesForAddress", OWNER, config)
    assert [line["signature"] for line in history] == [*reversed(dust), paid]
    assert [line["memo"] for line in history] == [
        "[6] dust 2", "[6] dust 1", "[6] dust 0", "[4] ours",
    ]  # fmt: skip
    theirs = await chain.call("getSignaturesForAddress", THEM, config)
    assert [line["signature"] for line in theirs] == [first, *reversed(dust)]
    reply = await chain.call("getSignaturesForAddress", fresh, config)
    assert [line["signature"] for line in reply] == [first]
    # Pages.
    read: list[str] = []
    while page := await chain.call(
        "getSignaturesForAddress",
        OWNER,
        config | {"limit": 2} | ({"before": read[-1]} if read else {}),
    ):
        read += [line["signature"] for line in page]
    assert read == [*reversed(dust), paid]
    newer = config | {"until": dust[0]}
    history = await chain.call("getSignaturesForAddress", OWNER, newer)
    assert [line["signature"] for line in history] == [dust[2], dust[1]]


async def test_program_accounts_have_the_owner_and_size_of_their_loader(chain: Localnet) -> None:
    plan = plan_of("raydium-clmm")
    asked = [plan.program, addresses.TOKEN, addresses.TX_V1]
    head = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 36}}
    reply = (await chain.call("getMultipleAccounts", asked, head))["value"]
    data = base64.b64decode(reply[0]["data"][0])
    assert (data[:4], reply[0]["space"], reply[0]["executable"]) == (b"\x02\0\0\0", 36, True)
    assert (reply[1]["owner"], reply[1]["space"]) == (addresses.BPF_LOADER_2, 134_080)
    assert reply[2]["owner"] == addresses.FEATURE_OWNER
    assert base64.b64decode(reply[2]["data"][0]) == b"\x01" + bytes(8)
    none = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 0}}
    behind = addresses.text(data[4:])
    [account] = (await chain.call("getMultipleAccounts", [behind], none))["value"]
    assert (account["space"], account["data"][0]) == (FAMILY_BYTES["raydium-clmm"], "")


async def test_a_chain_without_the_feature_takes_no_v1(tmp_path: Path) -> None:
    async with localnet_up(tmp_path, *AT_ONCE, "--no-v1") as chain:
        account = await chain.call("getAccountInfo", addresses.TX_V1, {"encoding": "base64"})
        assert account["value"] is None
        raw = bytes(signed(await chain.blockhash(), [transfer(THEM, SOL)], config=TERMS))
        text = base64.b64encode(raw).decode()
        for method in ("sendTransaction", "simulateTransaction"):
            with pytest.raises(RpcFault) as fault:
                await chain.call(method, text, {"encoding": "base64", "skipPreflight": True})
            assert (fault.value.code, str(fault.value)) == (
                -32602,
                "invalid transaction: Transaction version is unsupported",
            )
        await sent(chain, [transfer(THEM, SOL)], None)
