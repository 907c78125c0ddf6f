"""The log's server: whether what is accepted is durable there and stays."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from redis.exceptions import ResponseError

from engine.doctor.findings import Finding, Own, failed, ok, reach_mend, skew, warning
from events.log import Keys, LogError, RedisConnection, other_chain
from events.secret import SecretUrl

LEAST = {"valkey": 8.0, "redis": 7.2}
MEMORY_SHARE = 0.8
REQUIRED_CONFIG = (
    ("appendonly", "yes", "CONFIG SET appendonly yes, and in its configuration file"),
    ("maxmemory-policy", "noeviction", "CONFIG SET maxmemory-policy noeviction: an evicted order"
     " is lost"),
)  # fmt: skip


async def look(
    url: SecretUrl, *, chain: str = "", own: Own | None = None
) -> AsyncIterator[Finding]:
    """All of it. One that cannot be reached is the only finding then."""
    link = RedisConnection(url, "doctor")
    try:
        before = time.time()
        clock = await link.call("TIME", timeout_s=3.0)
        ours = (before + time.time()) / 2
        info = _fields((await link.call("INFO", "everything")).decode())
    except (LogError, ResponseError, OSError) as error:
        yield failed("log server", str(error), reach_mend(error, "REDIS_URL", own))
        return
    else:
        yield _version(info)
        yield _role(info)
        async for finding in _durability(link, info):
            yield finding
        yield _memory(info)
        if theirs := await link.call("HGET", Keys().meta, "chain"):
            yield _chain(theirs.decode(), chain)
        yield skew("log server's clock", ours, int(clock[0]) + int(clock[1]) / 1e6)
    finally:
        await link.close()


def _fields(info: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def _version(info: dict[str, str]) -> Finding:
    kind = info.get("server_name", "redis")
    version = info.get(f"{kind}_version", "0.0")
    least = LEAST.get(kind, LEAST["redis"])
    text = f"{kind} {version}"
    if tuple(map(int, version.split(".")[:2])) < tuple(map(int, str(least).split("."))):
        return failed("log server", text, f"update it to {least} or newer")
    return ok("log server", text)


def _chain(theirs: str, ours: str) -> Finding:
    if ours in ("", theirs):
        return ok("chain of the log", theirs)
    return failed("chain of the log", other_chain("log", theirs), "name that chain in VENUES and"
                  " POOLS, or another DATA_DIR (REDIS_URL, DATABASE_URL)")  # fmt: skip


def _role(info: dict[str, str]) -> Finding:
    role = info.get("role", "unknown")
    if role != "master":
        return failed("log server's role", role, "name the primary in REDIS_URL")
    return ok("log server's role", "primary")


async def _durability(link: RedisConnection, info: dict[str, str]) -> AsyncIterator[Finding]:
    try:
        names = [*(name for name, _, _ in REQUIRED_CONFIG), "appendfsync"]
        answers = await link.pipeline([("CONFIG", "GET", name) for name in names])
    except (ResponseError, LogError):
        yield warning(
            "durability",
            "the server does not tell its configuration",
            "see `durability` in /readyz: it must not be `none`; ask its provider for"
            " appendonly yes and noeviction",
        )
        return
    config = {name: a[1].decode() if a else "" for name, a in zip(names, answers, strict=True)}
    for name, required, mend in REQUIRED_CONFIG:
        if config[name] == required:
            yield ok(name, required)
        else:
            yield failed(name, f"{config[name] or 'unknown'}, not {required}", mend)
    if config["appendfsync"] == "always":
        yield ok("appendfsync", "always")
    else:
        yield warning(
            "appendfsync",
            f"{config['appendfsync']}: each append waits for WAITAOF, which is slower",
            "CONFIG SET appendfsync always, and in its configuration file",
        )
    written = info.get("aof_last_write_status", "ok")
    if written != "ok":
        yield failed("append-only file", f"last write: {written}", "look at the server's disk")


def _memory(info: dict[str, str]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return warning(
            "log server's memory",
            f"{used / 1e6:.0f} MB used, no limit: the kernel would end it at the machine's",
            "set maxmemory below the machine's memory",
        )
    text = f"{used / 1e6:.0f} of {most / 1e6:.0f} MB used"
    if used > MEMORY_SHARE * most:
        mend = "raise maxmemory: VALKEY_MAXMEMORY_MB for the embedded server"
        return failed("log server's memory", f"{text}: new orders are refused", mend)
    return ok("log server's memory", text)
