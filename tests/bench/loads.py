"""Loads, each in a process of its own: wrk and valkey-benchmark where they are on the path, else
our own loaders. Everything is bounded in time, and where a folder may grow, in bytes.
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.bench import children, http_load
from tests.bench.closed_loop import Load

WRK = shutil.which("wrk")
SERVER_BENCHMARK = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
TOO_MANY_BYTES = 4 * 2**30
LOOK_S = 0.5

_LUA = """
wrk.method = "POST"
wrk.path = "%s"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%s]]
function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format('{"requests":%%d,"us":%%d,"p50":%%d,"p99":%%d,"bad":%%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), bad))
end
"""


class Full(Exception):
    """The folder under load took more bytes than it may."""


def used() -> str:
    """Say which loaders run."""
    http = "wrk" if WRK else "own (Python, epoll)"
    server = Path(SERVER_BENCHMARK).name if SERVER_BENCHMARK else "own (Python, epoll)"
    return f"HTTP {http}, SET {server}"


def posts(
    port: int,
    *,
    connections: int,
    seconds: float,
    batch: int = 0,
    grown: Callable[[], int] | None = None,
) -> Load:
    """POST as fast as answers come; `grown` says how many bytes it has cost so far."""
    if WRK:
        return _wrk(port, connections, seconds, batch, grown)
    argv = children.own("http_load", port, connections, seconds, batch)
    return msgspec.json.decode(watched(argv, grown), type=Load)


def sets(path: Path, *, connections: int, seconds: float) -> Load:
    """SET as fast as answers come."""
    if SERVER_BENCHMARK:
        return _server_benchmark(path, connections, seconds)
    argv = children.own("set_load", path, connections, seconds)
    return msgspec.json.decode(watched(argv, None), type=Load)


def watched(argv: list[str], grown: Callable[[], int] | None) -> str:
    """Run a loader to its end and return what it printed last."""
    process = children.spawn(argv)
    with children.running(process):
        while True:
            try:
                out, _ = process.communicate(timeout=LOOK_S)
            except subprocess.TimeoutExpired:
                if grown is not None and (size := grown()) > TOO_MANY_BYTES:
                    msg = f"load aborted: {size / 2**30:.1f} GiB on disk"
                    raise Full(msg) from None
                continue
            if process.returncode != 0:
                msg = f"the loader failed: {argv}"
                raise RuntimeError(msg)
            return out.strip().splitlines()[-1]


def _wrk(
    port: int, connections: int, seconds: float, batch: int, grown: Callable[[], int] | None
) -> Load:
    path = http_load.BATCH if batch else http_load.EXECUTE
    content = http_load.body(random.Random(1), batch).decode()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % (path, content))
        script.flush()
        whole = max(1, round(seconds))
        argv = [str(WRK), "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "10s", "-s"]
        before = _children_cpu()
        text = watched([*argv, script.name, f"http://127.0.0.1:{port}"], grown)
    decoded = msgspec.json.decode(text[text.index("{") :])
    good = decoded["requests"] - decoded["bad"]
    return Load(
        loader="wrk",
        answers=good,
        orders=good * (batch or 1),
        refused=decoded["bad"],
        seconds=decoded["us"] / 1e6,
        p50_ms=decoded["p50"] / 1000,
        p99_ms=decoded["p99"] / 1000,
        cpu_s=_children_cpu() - before,
    )


def _server_benchmark(path: Path, connections: int, seconds: float) -> Load:
    argv = [str(SERVER_BENCHMARK), "-s", str(path), "-c", str(connections), "-d", "100", "--csv"]
    before, start = _children_cpu(), time.perf_counter()
    deadline, answers, rates = start + seconds, 0, []
    p50_ms = p99_ms = 0.0
    while time.perf_counter() < deadline:
        last = watched([*argv, "-t", "set", "-n", "20000"], None).replace('"', "").split(",")
        rates.append(float(last[1]))
        p50_ms, p99_ms = (float(last[4]), float(last[6])) if len(last) > 6 else (0.0, 0.0)
        answers += 20_000
    took = sum(20_000 / rate for rate in rates)
    return Load(
        loader=Path(argv[0]).name,
        answers=answers,
        orders=0,
        refused=0,
        seconds=took,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        cpu_s=_children_cpu() - before,
    )


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
