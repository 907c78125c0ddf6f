"""A whole life of an engine, with faults: its secrets appear in no output and no store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from functools import partial
from pathlib import Path

from solders.keypair import Keypair

from engine.settings_loader import environment
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import LOCAL_CHAIN, Engine, engine_up
from tests.support.waits import HANG_S, until

SECRET = Keypair.from_seed(bytes(range(7, 39)))
"""The wallet of this test only."""
PASSWORD = "hunter2hunter2"
"""The URL of a collector of traces that does not run."""
PRINTING = (
    ("settings",), ("doctor", "--json"), ("orders",), ("keys", "list", "--json"),
    ("audit", "verify"), ("audit", "export"), ("parked", "list"), ("repair",),
)  # fmt: skip
FAULTY = (b'{"tokenIn":', b"[]", b'{"tokenIn":"SOL","tokenOut":"NONE","amount":"-1"}', b"\0" * 70)


def disguises(key: str) -> dict[str, bytes]:
    """Every form in which a careless line might have a secret."""
    wallet = bytes(SECRET)
    _, _, text = key.split("_", 2)
    return {
        "the collector's password": PASSWORD.encode(),
        "the key": key.encode(),
        "the key's secret part": text.encode(),
        "the wallet as text": str(SECRET).encode(),
        "the wallet as JSON": json.dumps(list(wallet))[1:-1].encode(),
        "the wallet's seed as JSON": json.dumps(list(wallet[:32]), separators=(",", ":"))[
            1:-1
        ].encode(),
        "the wallet in hexadecimal": wallet[:32].hex().encode(),
        "the wallet's bytes": wallet[:32],
    }


async def told(engine: Engine, key: str, *args: str) -> bytes:
    """All that a command says."""
    process = await asyncio.create_subprocess_exec(
        *ENGINE, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | environment(engine.settings) | {"API_KEY": key},
        cwd=engine.settings.data_dir,
    )  # fmt: skip
    raw, _ = await asyncio.wait_for(process.communicate(), HANG_S)
    return raw


def again(engine: Engine, name: str, pid: int) -> bool:
    """Whether it runs, and is another one."""
    return engine.pid(name) not in (0, pid)


async def lives(engine: Engine, key: str) -> tuple[str, list[bytes]]:
    """Orders, refusals, a crash and an outage; an order, and all that was answered."""
    answers = []
    done = await engine.submit_many(5, slippageBps=1000)
    await engine.ended(done)
    for body in FAULTY:
        async with engine.http.post(f"{engine.url}/api/orders/execute", data=body) as answer:
            answers.append(await answer.read())
    for shown in (f"Bearer {key}x", f"Bearer {key[:-1]}", f"Basic {key}", key):
        headers = {"Authorization": shown}
        async with engine.http.get(f"{engine.url}/api/orders", headers=headers) as answer:
            answers.append(await answer.read())
            assert answer.status == 401
    for path in ("/api/events", "/api/orders/execute"):  # as a page shows its key
        offers = ("oee", f"bearer.{key}")
        async with engine.http.ws_connect(engine.url + path, protocols=offers):
            pass
    for name in ("builder", "router", "postgres"):
        pid = engine.kill(name, signal.SIGKILL)
        await until(partial(again, engine, name, pid))
    await engine.ended(await engine.submit_many(5, slippageBps=1000))
    for path in (f"/api/orders/{done[0]}", f"/api/orders/{done[0]}/events", "/metrics", "/readyz",
                 f"/api/audit/orders/{done[0]}/proof", "/api/events?after=0"):  # fmt: skip
        async with engine.http.get(engine.url + path) as answer:
            answers.append(await answer.read())
    return done[0], answers


async def test_no_log_event_error_export_or_file_contains_a_secret(short_path: Path) -> None:
    folder = short_path / "d"
    options = {
        "solana_keypair": str(SECRET),
        "require_keys": "1",
        "log_level": "debug",
        "otel_exporter_otlp_endpoint": f"http://user:{PASSWORD}@127.0.0.1:1/{PASSWORD}",
    }
    async with engine_up(folder, **LOCAL_CHAIN | options) as engine:
        scopes = "read,trade,cancel,admin"
        raw = await told(engine, "", "keys", "create", "--account", "default", "--scopes", scopes)
        key = raw.split()[-1].decode()
        engine.http.headers["Authorization"] = f"Bearer {key}"
        await engine.until(lambda: bool(engine.frames))
        order_id, answers = await lives(engine, key)
        results = {" ".join(args): await told(engine, key, *args) for args in PRINTING}
        frames = json.dumps(engine.frames).encode()
    texts = {"answers": b"\n".join(answers), "frames": frames, **results}
    for path in folder.rglob("*"):
        if path.is_file():
            texts[str(path.relative_to(folder))] = path.read_bytes()
    # An order's id is everywhere: so what is looked through is what is read.
    holding = {w.split("/")[0] for w, text in texts.items() if order_id.encode() in text}
    assert holding >= {"answers", "frames", "orders", "audit export", "valkey", "postgres"}
    items = [
        f"{what} in {where}"
        for what, secret in disguises(key).items()
        for where, text in texts.items()
        if secret in text
    ]
    assert items == []
