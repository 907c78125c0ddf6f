"""`engine venue ledger`: the chain's own record, in words; `engine localnet`: faults, misspelt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import cli
from engine.localnet.open import FILE
from engine.localnet.state import transaction
from engine.localnet.store import Store
from tests.support.chain.localchain import memo, opened, plan_of, sell_sol, signed, swap

ONCE, TWICE, DROPPED, FAILED = (f"01a20561-5822-7000-b24e-48fe476b58e{n}" for n in range(4))


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Where a chain has executed one order once, another one twice, and has dropped a third."""
    node, plan = opened(tmp_path, consensus="tower"), plan_of("raydium-cpmm")

    async def land(words: str, *, poor: bool = False) -> None:
        instructions = sell_sol(node, plan, 10**9, words)
        if poor:
            instructions = [memo(words), swap(node, plan, "USDC", 10**18)]
        raw = bytes(signed(node.bank.blocks.tip.blockhash, instructions))
        await node.send(transaction.read(raw)[0], preflight=False)
        node.block()

    async def note(words: str) -> None:
        raw = bytes(signed(node.bank.blocks.tip.blockhash, [memo(words)]))
        await node.send(transaction.read(raw)[0], preflight=False)
        node.block()

    for words in (ONCE, TWICE, f"{TWICE}/2"):
        await land(words)
    for words in (ONCE, "dust", "dust"):  # no swaps: any signer may write a memo
        await note(words)
    await land(FAILED, poor=True)
    await land(DROPPED)
    node.fork(2)
    node.save()
    node.store.close()
    node.store.path.rename(tmp_path / FILE)
    return tmp_path


def test_executions_are_counted_by_order_on_the_chain_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("VENUES", "raydium,meteora")
    assert cli.main(["venue", "ledger"]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert total == "8 landed, 3 executed, 1 executed twice"
    assert f"{ONCE}  attempt=1  1 SOL -> 149." in lines[0]
    assert f"{TWICE}  attempt=2  1 SOL" in lines[2]
    assert f"{FAILED}  attempt=1  fee=5000  " in lines[6]
    assert lines[7].endswith("USDC  fee=5400  dropped by a fork")
    assert cli.main(["venue", "ledger", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["orderId"] for row in rows] == [
        ONCE, TWICE, TWICE, ONCE, "dust", "dust", FAILED, DROPPED,
    ]  # fmt: skip
    assert [row["ok"] for row in rows] == [True] * 6 + [False, True]
    assert [row["forked"] for row in rows] == [False] * 7 + [True]
    assert rows[0]["amountIn"] == str(10**9)


def test_the_ledger_command_names_solana_rpc_url_for_an_external_chain(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("VENUES", "raydium,meteora")
    monkeypatch.setenv("SOLANA_RPC_URL", "http://127.0.0.1:1")
    assert cli.main(["venue", "ledger"]) == 0
    assert "SOLANA_RPC_URL" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "x", '{"dropRatte":1}', '{"dropRate":"often"}', "[]", '{"dropRate":2}',
        '{"loseRate":-0.1}', '{"confirmDelay":-4}',
    ],
)  # fmt: skip
def test_unknown_faults_are_refused_by_the_argument_parser(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["localnet", "--faults", text])
    assert left.value.code == 2
    assert "argument --faults: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--port", "99999"), ("--port", "abc"), ("--slot-ms", "-1"), ("--fund", "ADDRESS"),
        ("--data", "/no/such/folder/chain.sqlite"),
    ],
)  # fmt: skip
def test_settings_that_a_local_chain_cannot_start_with_are_refused(
    option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["localnet", option, text])
    assert left.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err
    assert not Path("/no").exists()


def test_a_chain_whose_file_another_process_runs_does_not_start(tmp_path: Path) -> None:
    running = Store(tmp_path / FILE)
    with pytest.raises(OSError, match="another process runs it"):
        Store(tmp_path / FILE)
    running.close()
    Store(tmp_path / FILE).close()


def test_an_existing_ledger_is_shown_whatever_venues_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("VENUES", "simulated")
    assert cli.main(["venue", "ledger"]) == 0
    assert "8 landed, 3 executed" in capsys.readouterr().out
