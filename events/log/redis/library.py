"""Server-side functions, named by the hash of their source.

Processes of different builds can run side by side: each calls its own functions and loads its
library where the server lacks it. None replaces the library of another.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Any

from redis.exceptions import ResponseError

from events.log.redis.link import RedisConnection, Server

_PLACE = re.compile(r"@[A-Z_]+@")


class RedisFunctions:
    """A Lua file as a function library; `constants` replace their placeholders, as @NAME@."""

    def __init__(
        self, package: str, file: str, constants: Mapping[str, str | int] = MappingProxyType({})
    ) -> None:
        source = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        for name, value in constants.items():
            assert f"@{name}@" in source, f"{file} has no @{name}@"
            source = source.replace(f"@{name}@", str(value))
        assert set(_PLACE.findall(source)) == {"@NAME@"}, f"{file} has places without a constant"
        digest = hashlib.sha256(source.encode()).hexdigest()[:12]
        self.name = f"oee_{digest}"
        self._source = source.replace("@NAME@", self.name)

    async def call(
        self,
        link: RedisConnection,
        function: str,
        keys: list[str],
        *arguments: bytes | str | int,
        timeout_s: float = 5.0,
        on: Server | None = None,
        then: Sequence[Sequence[bytes | str | int]] = (),
    ) -> Any:
        """Calls a function, loading the library where the server does not have it.

        With `then`, commands that follow it in the same write, it returns a list of all replies.

        `timeout_s` bounds the whole call, not each command. Callers rely on it: a timeout of their
        own would cost a twelfth of a POST.
        """
        command = ("FCALL", f"{self.name}_{function}", len(keys), *keys, *arguments)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_s
        try:
            answers = await link.pipeline([command, *then], timeout_s=timeout_s, on=on)
            return answers if then else answers[0]
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        timeout_s = max(0.01, (give_up_at - loop.time()) / 2)
        try:
            await link.call("FUNCTION", "LOAD", self._source, timeout_s=timeout_s)
        except ResponseError as error:
            if "already exists" not in str(error):
                raise
        answers = await link.pipeline([command, *then], timeout_s=timeout_s, on=on)
        return answers if then else answers[0]
