"""The log's status: suspended by the engine, halted by an operator, verified by the projector."""

from __future__ import annotations

import contextlib

from redis.exceptions import ResponseError

from events.log.redis.keys import Keys
from events.log.redis.link import RedisConnection, Rejected
from events.telemetry.server_clock import CLOCK, steady_ns


class LogStatus:
    """The part of `EventLog` that tells whether new orders and sends are accepted."""

    keys: Keys
    _link: RedisConnection

    async def read_clock(self) -> None:
        """Compares this machine's clock with the server's: see `events.telemetry.server_clock`.

        The processes log what it tells, by `CLOCK.report`; a command's answer stays alone.
        """
        asked_ns = steady_ns()
        with contextlib.suppress(ResponseError, Rejected):  # TIME is not allowed
            seconds, us = await self._link.call("TIME")
            CLOCK.observe(asked_ns, int(seconds) * 1_000_000 + int(us), steady_ns())

    async def suspend(self, reason: str) -> None:
        """Refuses new orders and sends from now on; sent transactions are still tracked."""
        if await self._link.call("HEXISTS", self.keys.meta, "epoch"):  # else there is no log
            await self._link.call("HSET", self.keys.meta, "suspended", reason)

    async def resume(self) -> None:
        """Accepts new orders and sends again."""
        await self._link.call("HDEL", self.keys.meta, "suspended")

    async def server_id(self) -> str:
        """The server's run id, which changes with each start and each failover."""
        return (await self._link.server()).run_id

    async def is_verified(self, server_id: str) -> bool:
        """Whether the log of this server, by its run id, was compared with the archive."""
        verified = await self._link.call("HGET", self.keys.meta, "verified")
        return bool(server_id) and verified == server_id.encode()

    async def promoted(self) -> bool:
        """Whether the server was a replica before: it may lack the last writes of its primary."""
        return bool((await self._replication()).get("master_replid2", "").strip("0"))

    async def writable(self) -> bool:
        """Whether the server reports that it is a primary; true where it does not report it."""
        return (await self._replication()).get("role", "master") == "master"

    async def _replication(self) -> dict[str, str]:
        try:
            info = (await self._link.call("INFO", "replication")).decode()
        except ResponseError:  # INFO is not allowed on some managed servers
            return {}
        return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)

    async def mark_verified(self, server_id: str) -> None:
        """Records that this server's log was compared with the archive, which permits sends."""
        await self._link.call("HSET", self.keys.meta, "verified", server_id)

    async def report_archive_fault(self, text: str) -> None:
        """Records why the projector cannot write to the archive; empty: it can."""
        if text:
            await self._link.call("SET", self.keys.archive_fault, text)
        else:
            await self._link.call("DEL", self.keys.archive_fault)

    async def archive_fault(self) -> str:
        """Why the projector cannot write to the archive; empty when it can."""
        fault = await self._link.call("GET", self.keys.archive_fault)
        return fault.decode(errors="replace") if fault else ""

    async def suspended(self) -> str:
        """Why the log is suspended; empty when it is not."""
        reason = await self._link.call("HGET", self.keys.meta, "suspended")
        return reason.decode(errors="replace") if reason else ""

    async def halted(self) -> bool:
        """Whether an operator halted sends and triggers. `ENGINE_STREAM_ID` has the reason."""
        return bool(await self._link.call("HEXISTS", self.keys.meta, "halted"))
