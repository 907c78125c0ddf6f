"""A look that fails keeps none of the others from being reported."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest
import redis.asyncio
import structlog

from gateway.backends.damaged_heads import DamagedHeads
from gateway.backends.hung_processes import HungProcesses, ProcessSign
from tests.support.http.served import served
from tests.support.waits import until

HUNG = ProcessSign("projector", "a", 7, 600.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.backends.health.AGES_S", 0.2)


async def test_a_user_who_may_not_list_clients_sees_hung_processes_and_damaged_heads(
    redis_url: str,
) -> None:
    parts = urlsplit(redis_url)
    limited = urlunsplit(parts._replace(netloc=f"limited:secret@{parts.netloc.rpartition('@')[2]}"))
    async with redis.asyncio.from_url(redis_url) as client:
        rules = ("on", ">secret", "~*", "&*", "+@all", "-client|list")
        await client.execute_command("ACL", "SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]  # its own
        try:
            async with served(
                redis_url, gateway_redis_url=limited, stuck_after_s=60, signs=lambda: [HUNG]
            ) as gateway:
                order_id = await gateway.resting()
                await client.delete(gateway.log.keys.order(order_id))

                async def both_are_named() -> bool:
                    codes: dict[str, str] = (await gateway.get("/readyz"))[1]["codes"]
                    return {"heads": "head-damaged", HUNG.name: "process-hung"}.items() <= (
                        codes.items()
                    )

                await until(both_are_named)
        finally:
            await client.execute_command("ACL", "DELUSER", "limited")  # type: ignore[no-untyped-call]  # its own


@pytest.mark.parametrize("broken", [DamagedHeads, HungProcesses])
async def test_a_bug_of_a_look_is_logged_once_and_other_reasons_are_logged(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, broken: type
) -> None:
    looks = 0

    async def look(*_: object) -> None:
        nonlocal looks
        looks += 1
        raise ValueError("a bug")

    monkeypatch.setattr("gateway.backends.switch_log.START_S", 0.0)
    monkeypatch.setattr(broken, "look", look)
    with structlog.testing.capture_logs() as lines:
        async with served(redis_url, market_fault=lambda: "no node answers"):

            def begun() -> bool:
                return any(
                    line["event"] == "readiness_reason_begun"
                    and line["code"] == "market-unavailable"
                    for line in lines
                )

            await until(begun)
            await until(lambda: looks >= 3)
    failed = [line for line in lines if line["event"] == "readiness_look_failed"]
    assert [(line["part"], line["error"]) for line in failed] == [
        ("heads" if broken is DamagedHeads else "processes", "ValueError: a bug")
    ]
