"""The two yardsticks that make figures of different machines and hours comparable.

`SET` over 50 connections against a Valkey of the same make and settings (fsync before the answer),
and a bare aiohttp POST under the same load as the engine. Both are taken right before and right
after each figure: the machine may be busy with other things.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.embedded import databases
from tests.bench import children, loads
from tests.bench.closed_loop import Load

SET_CONNECTIONS = 50


class Around:
    """What the yardsticks came to around one figure; means of before and after."""

    def __init__(self) -> None:
        self.sets: list[Load] = []
        self.posts: list[Load] = []

    @property
    def set_rate(self) -> float:
        """SETs a second."""
        return _mean([load.answers / load.seconds for load in self.sets])

    @property
    def post_rate(self) -> float:
        """Answers of the bare handler a second."""
        return _mean([load.answers / load.seconds for load in self.posts])

    @property
    def set_ms(self) -> float:
        """Median time of a SET."""
        return _mean([load.p50_ms for load in self.sets])

    @property
    def post_ms(self) -> float:
        """Median time of a bare POST."""
        return _mean([load.p50_ms for load in self.posts])


class Yardsticks:
    """Both, running; they cost nothing while idle."""

    def __init__(self, socket: Path, port: int, seconds: float) -> None:
        self._socket = socket
        self._port = port
        self._seconds = seconds

    @contextlib.contextmanager
    def around(
        self, *, connections: int, batch: int = 0, set_connections: int = SET_CONNECTIONS
    ) -> Iterator[Around]:
        """Measure before and after a block."""
        around = Around()
        self._take(around, connections, batch, set_connections)
        yield around
        self._take(around, connections, batch, set_connections)

    def _take(self, around: Around, connections: int, batch: int, set_connections: int) -> None:
        around.sets.append(
            loads.sets(self._socket, connections=set_connections, seconds=self._seconds)
        )
        around.posts.append(
            loads.posts(self._port, connections=connections, seconds=self._seconds, batch=batch)
        )


@contextlib.contextmanager
def started(folder: Path, seconds: float) -> Iterator[Yardsticks]:
    """Run a Valkey and a bare aiohttp application for the length of a block."""
    with (
        databases.started(folder, databases.Options(servers=("valkey",))) as servers,
        children.running(children.spawn(children.own("bare"))) as bare,
    ):
        yield Yardsticks(servers.run / "valkey.sock", int(children.read_line(bare)), seconds)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
