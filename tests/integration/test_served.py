"""The gateway of the tests leaves nothing behind."""

from __future__ import annotations

import asyncio

from tests.support.http.served import served
from tests.support.waits import until


async def test_a_request_whose_client_went_away_has_ended_when_its_log_is_closed(
    redis_url: str,
) -> None:
    ended: list[str] = []
    begun = asyncio.Event()

    async def endless(*_: object) -> tuple[()]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("request")
        return ()

    async with served(redis_url, quotes=endless) as gateway:
        url = f"{gateway.url}/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1"
        asking = asyncio.create_task(gateway.http.get(url).__aenter__())
        await begun.wait()
        asking.cancel()
        await until(asking.done)
        assert ended == []
    assert ended == ["request"]
