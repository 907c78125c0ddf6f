"""The commands of README, tutorial and guide are run, and show what the documents show."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes.engine_up import Engine, engine_up
from tests.support.prose import ROOT
from tests.support.shell_blocks import missing, script, steps
from tests.support.waits import HANG_S

ENGINE = Path(sys.executable).parent / "engine"
PARTS = (
    ("README.md",),
    ("docs/tutorial/first-order.md", "docs/guide/orders.md"),
    ("docs/guide/clients.md",),
)
"""Documents that are read one after the other."""


@pytest.fixture(scope="module")
async def trading(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """An engine on the local chain. Prices rest: no order of a document may miss its price."""
    changes = {"venues": "raydium,meteora", "slot_ms": 200, "venue_volatility_bps": 0}
    async with engine_up(tmp_path_factory.mktemp("t") / "d", **changes) as engine:
        yield engine


async def run(engine: Engine, program: list[str], text: str, cwd: Path = ROOT) -> tuple[int, str]:
    """The exit code and the output of a program that is fed a text."""
    environ = os.environ | {
        "PORT": str(engine.settings.port), "DATA_DIR": str(engine.settings.data_dir),
        "VENUES": "raydium,meteora", "NO_COLOR": "1",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={key: value for key, value in environ.items() if key != "API_KEY"},
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(4 * HANG_S):
            out, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part[-1])
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_commands_of_a_document_print_the_documented_output(
    trading: Engine, part: tuple[str, ...]
) -> None:
    todo = [step for document in part for step in steps(document)]
    assert len(todo) > 1
    _, output = await run(trading, ["bash"], script(todo, ENGINE, int(HANG_S * 10)))
    outputs = output.split("\n@@ ")[1:]
    assert len(outputs) == len(todo), output[-2000:]
    for number, (step, item) in enumerate(zip(todo, outputs, strict=True)):
        assert item.startswith(f"{number}\n")
        code = re.search(r"\n@= (\d+)", item)
        assert code is not None, item
        # 3: an order that ended otherwise, which a document shows on purpose.
        assert int(code[1]) in (0, 3), f"{step.where}: {step.command}\n{item}"
        assert missing(step, item) == [], f"{step.where}: {step.command}\n{item}"


def python_block(document: str, having: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    [block] = [item for item in re.findall(r"```python\n(.*?)```", text, re.S) if having in item]
    return str(block)


async def test_the_client_of_the_document_follows_its_order(trading: Engine) -> None:
    code = python_block("docs/guide/clients.md", "NewOrder")
    # Its last loop follows every order without end.
    code = (
        code[: code.index("        async for event in client.events(")]
        + "\n\nasyncio.run(main())\n"
    )
    code = code.replace("http://127.0.0.1:3000", trading.url)
    ended, text = await run(trading, [sys.executable, "-"], code)
    assert ended == 0, text
    assert "OrderConfirmed" in text


async def test_the_ten_lines_of_the_document_check_a_proof(trading: Engine, tmp_path: Path) -> None:
    code = python_block("docs/guide/audit.md", "proof.json")
    order = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
    async with trading.http.post(f"{trading.url}/api/orders/execute", json=order) as answer:
        order_id = (await answer.json())["orderId"]
    await trading.ended([order_id])
    async with trading.http.get(f"{trading.url}/api/audit/orders/{order_id}/proof") as answer:
        proof = await answer.json()
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof), encoding="utf-8")
    ended, text = await run(trading, [sys.executable, "-"], code, tmp_path)
    assert (ended, text) == (0, f"{len(proof['events'])} events: the chain holds\n")
    proof["events"][0]["body"] = proof["events"][1]["body"]
    file.write_text(json.dumps(proof), encoding="utf-8")
    ended, _ = await run(trading, [sys.executable, "-"], code, tmp_path)
    assert ended == 1
