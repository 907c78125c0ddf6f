"""The examples of docs/examples/ are run as a reader would run them, against a whole engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import uuid
from pathlib import Path

import pytest

from tests.support.http.faulty_proxy import Fault, faulty_proxy
from tests.support.processes.engine_up import Engine
from tests.support.waits import HANG_S, until

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
    await check(name, engine.url)


async def newest(engine: Engine) -> set[str]:
    """The ids of the newest orders. An engine that others used before may have many more."""
    async with engine.http.get(f"{engine.url}/api/orders?limit=500") as answer:
        return {order["orderId"] for order in (await answer.json())["orders"]}


@pytest.mark.parametrize("fault", Fault)
async def test_the_example_in_javascript_survives_a_fault_of_the_way(
    engine: Engine, fault: Fault
) -> None:
    """It submits once, whatever becomes of the answer, and resumes its stream."""
    last = await engine.submit(key=f"before-{uuid.uuid4()}")

    async def projected() -> bool:
        return last in await newest(engine)

    await until(projected)  # and with it all that others submitted before
    before = await newest(engine)
    async with faulty_proxy(int(engine.url.rpartition(":")[2])) as proxy:
        proxy.misbehave(fault, 1 if fault is Fault.HALF_OPEN else 2)  # it is silent for 10 s
        await check("submit_and_watch.mjs", proxy.url)
        assert proxy.left <= 0

    async def listed() -> bool:
        return len(await newest(engine) - before) == 1

    await until(listed)


async def check(name: str, url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        runner(name),
        str(EXAMPLES / name),
        url,
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
