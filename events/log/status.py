"""How the log stands: suspended by us, halted by an operator, vouched for by the projector."""

from __future__ import annotations

from redis.exceptions import ResponseError

from events.log.redis.keys import Keys
from events.log.redis.link import RedisConnection


class LogStatus:
    """The part of `EventLog` that says whether new orders and sends are taken."""

    keys: Keys
    _link: RedisConnection

    async def suspend(self, reason: str) -> None:
        """Takes neither new orders nor sends from now on; what may still land is followed."""
        if await self._link.call("HEXISTS", self.keys.meta, "epoch"):  # else there is no log
            await self._link.call("HSET", self.keys.meta, "suspended", reason)

    async def resume(self) -> None:
        """Undoes `suspend`."""
        await self._link.call("HDEL", self.keys.meta, "suspended")

    async def server_id(self) -> str:
        """Of the server as it runs now: another one after each start and each failover."""
        return (await self._link.server()).run_id

    async def is_verified(self, server_id: str) -> bool:
        """Whether somebody vouched for this server's log before."""
        verified = await self._link.call("HGET", self.keys.meta, "verified")
        return bool(server_id) and verified == server_id.encode()

    async def promoted(self) -> bool:
        """Whether the server was a replica: what its primary said last it may never have got."""
        return bool((await self._replication()).get("master_replid2", "").strip("0"))

    async def writable(self) -> bool:
        """Whether the server is a primary, as far as it tells."""
        return (await self._replication()).get("role", "master") == "master"

    async def _replication(self) -> dict[str, str]:
        try:
            info = (await self._link.call("INFO", "replication")).decode()
        except ResponseError:  # not every managed server lets itself be asked
            return {}
        return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)

    async def mark_verified(self, server_id: str) -> None:
        """This server's log was compared with the archive: sends are taken as long as it runs."""
        await self._link.call("HSET", self.keys.meta, "verified", server_id)

    async def suspended(self) -> str:
        """Why the log is suspended, empty when it is not."""
        reason = await self._link.call("HGET", self.keys.meta, "suspended")
        return reason.decode(errors="replace") if reason else ""

    async def halted(self) -> bool:
        """Whether an operator halted sends and triggers; `ENGINE_STREAM_ID` has the reason."""
        return bool(await self._link.call("HEXISTS", self.keys.meta, "halted"))
