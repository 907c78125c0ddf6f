"""The examples of docs/examples/ are run as a reader would run them, against a whole engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes.engine_up import Engine
from tests.support.waits import HANG_S

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
EXPECTED = {
    "submit_and_watch.py": "confirmed  OrderConfirmed",
    "limit_and_cancel.py": "watching at 900\ncancelled\nrefused: not-watching",
    "batch.py": "rejected same-token",
    "follow_the_feed.py": "OrderSubmitted",
    "submit_and_watch.mjs": "confirmed  OrderConfirmed",
    "follow_the_feed.mjs": "OrderSubmitted",
}


@pytest.fixture(scope="module", autouse=True)
async def orders(engine: Engine) -> None:
    await engine.ended(await engine.submit_many(3))


def runner(name: str) -> str:
    if name.endswith(".py"):
        return sys.executable
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js is installed: the examples in JavaScript were not run")
    return node


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs")} == set(
        EXPECTED
    )


@pytest.mark.parametrize("name", EXPECTED)
async def test_an_example_prints_its_expected_output(engine: Engine, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        runner(name),
        str(EXAMPLES / name),
        engine.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key != "API_KEY"},
        cwd=EXAMPLES.parents[1],
    )
    try:
        async with asyncio.timeout(HANG_S):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    assert EXPECTED[name] in out.decode()
