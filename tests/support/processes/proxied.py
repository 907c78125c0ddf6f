"""A TCP proxy before a server: drops answers, hangs or refuses, as a network would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit


class Proxy:
    """`mode`: `pass`, `drop-answers` (requests arrive, answers are lost), `drop-writes` (the same

    for what calls functions, and so may write), `hang` or `refuse`.
    """

    def __init__(self, target: str) -> None:
        self.mode = "pass"
        self.refusal = b""
        """The reply that calls of functions get instead of being passed on; empty: they are."""
        self._target = urlsplit(target)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"redis://{host}:{port}{self._target.path if self._target.hostname else ''}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def cut(self, mode: str) -> None:
        """Changes the mode and breaks all connections."""
        self.mode = mode
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut("refuse")
        await asyncio.sleep(0)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._target.path))
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        there_reader, there = await self._connect()
        self._writers |= {writer, there}
        wrote = asyncio.Event()
        try:
            await asyncio.gather(
                self._pump(reader, there, wrote, back=writer),
                self._pump(there_reader, writer, wrote),
            )
        finally:
            self._writers -= {writer, there}
            for stream_writer in (writer, there):
                stream_writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wrote: asyncio.Event,
        back: asyncio.StreamWriter | None = None,
    ) -> None:
        """`back`: to whom requests are answered; None where the data is answers."""
        answers = back is None
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.mode == "drop-writes" and not answers and b"FCALL" in data:
                    wrote.set()
                lost = self.mode == "drop-answers" or (
                    self.mode == "drop-writes" and wrote.is_set()
                )
                if self.mode == "hang" or (answers and lost):
                    continue
                if back is not None and self.refusal and b"FCALL" in data:
                    back.write(self.refusal)
                    continue
                writer.write(data)
        with contextlib.suppress(OSError):
            writer.transport.abort()


@contextlib.asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """A proxy for the length of a block."""
    proxy = Proxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
