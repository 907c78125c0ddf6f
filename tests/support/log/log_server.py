"""The server of a log, asked past the log: what stands in its keys, and what others write there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events.log import EventLog
from events.log.redis.link import RedisConnection


class LogServer:
    """Each call has a connection of its own, so it neither waits for the log nor disturbs it."""

    def __init__(self, log: EventLog) -> None:
        self._url = log.url

    async def call(self, *command: bytes | str | int) -> Any:
        """Returns the raw answer of one command. Raises as `RedisConnection.call`."""
        return (await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Sequence[bytes | str | int]]) -> list[Any]:
        """Returns the raw answers. Raises as `RedisConnection.pipeline`."""
        connection = RedisConnection(self._url, "test")
        try:
            return await connection.pipeline(commands)
        finally:
            await connection.close()
