"""The client of figure (d), a process of its own: a bot that trades one order at a time.

It follows /api/events from the head, once; then posts an order, waits for its `confirmed` frame,
and posts the next. `python -m tests.bench.latency_load PORT ORDERS SECONDS` prints JSON.
"""

from __future__ import annotations

import random
import socket
import sys
import time

import msgspec

from tests.bench import http_load, websocket
from tests.bench.closed_loop import connect, quantile

WARM_UP = 20


class Latency(msgspec.Struct, frozen=True):
    """Times from the POST to the frame, and to the 202."""

    orders: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    accepted_p50_ms: float


def _answer(connection: socket.socket) -> bytes:
    data = b""
    while not http_load.whole(data):
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        data += part
    if not data.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(data.decode(errors="replace"))
    at = data.index(b'"orderId":"') + 11
    return data[at : at + 36]


class Feed:
    """The frames that come in."""

    def __init__(self, port: int) -> None:
        self._socket, rest = websocket.follow(port)
        self._data = bytearray(rest)

    def await_end(self, order_id: bytes) -> None:
        """Read on until the order is confirmed."""
        while True:
            while (frame := websocket.frame_at(self._data, 0)) is not None:
                payload = bytes(self._data[frame[0] : frame[1]])
                del self._data[: frame[1]]
                if order_id in payload and b'"status":"confirmed"' in payload:
                    return
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionError("the feed hung up")
            self._data += part


def main() -> None:
    """Be the bot."""
    port, orders, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    draw = random.Random(2)
    feed = Feed(port)
    door = connect(("127.0.0.1", port))
    confirmed: list[float] = []
    accepted: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(confirmed) < orders + WARM_UP and time.perf_counter() < deadline:
        request = http_load.post(port, 0, http_load.body(draw, 0))
        start = time.perf_counter()
        door.sendall(request)
        order_id = _answer(door)
        accepted.append(time.perf_counter() - start)
        feed.await_end(order_id)
        confirmed.append(time.perf_counter() - start)
    confirmed, accepted = sorted(confirmed[WARM_UP:]), sorted(accepted[WARM_UP:])
    latency = Latency(
        len(confirmed),
        quantile(confirmed, 0.5) * 1000,
        quantile(confirmed, 0.99) * 1000,
        confirmed[-1] * 1000 if confirmed else 0.0,
        quantile(accepted, 0.5) * 1000,
    )
    print(msgspec.json.encode(latency).decode(), flush=True)


if __name__ == "__main__":
    main()
