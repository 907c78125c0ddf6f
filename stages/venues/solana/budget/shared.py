"""The measurements of all processes, in a hash of Redis. Lost, they are measured again.

Each process reads it at its start, after it missed a kind, and now and then. It writes what it
measured itself. A server that does not answer costs simulations, and nothing else.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from events.log import LogError, RedisConnection
from events.secret import SecretUrl
from events.telemetry.error_text import error_text
from stages.venues.solana.budget.consumption import KEPT_MS, Consumption, Measurement
from stages.venues.solana.cluster.polling import PollingLoop

SHARED_EVERY_S = 0.25
READ_EVERY_S = 2.0
"""A failure that another process saw counts here after as long."""

_measurements = msgspec.json.Decoder(list[Measurement])
_log = structlog.get_logger()


def consumption_key(chain: str) -> str:
    """The key of a chain's hash: what one cluster consumes says nothing of another."""
    return f"oee:{{limits}}:consumed:{chain}"


class SharedConsumption(PollingLoop):
    """Keeps a table in step with those of other processes."""

    def __init__(self, url: SecretUrl | str, chain: str, consumption: Consumption) -> None:
        self._link = RedisConnection(url, "consumption")
        self._key = consumption_key(chain)
        self._consumption = consumption

    async def read(self) -> None:
        """Takes over what others measured. Raises LogError."""
        self._consumption.missed = False  # what is missed meanwhile may not be in the answer
        reply = await self._link.call("HGETALL", self._key)
        for kind, data in zip(reply[::2], reply[1::2], strict=True):
            try:
                self._consumption.merge(kind.decode(), _measurements.decode(data))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.info("consumption_unread", error=error_text(error))

    async def write(self) -> None:
        """Writes what was measured or forgotten here. Raises LogError."""
        kinds, self._consumption.changed = self._consumption.changed, set()
        if not kinds:
            return
        fields = [
            part
            for kind in kinds
            for part in (kind, msgspec.json.encode(self._consumption.of(kind)))
        ]
        try:
            await self._link.call("HSET", self._key, *fields)
            await self._link.call("PEXPIRE", self._key, KEPT_MS)
        except LogError:
            self._consumption.changed |= kinds
            raise

    async def close(self) -> None:
        """As the base, and closes the connection."""
        await super().close()
        await self._link.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            try:
                await self.write()
                if self._consumption.missed or loop.time() >= due_s:
                    await self.read()
                    due_s = loop.time() + READ_EVERY_S
            except LogError as error:
                _log.debug("consumption_not_shared", error=error_text(error))
            await asyncio.sleep(SHARED_EVERY_S)
