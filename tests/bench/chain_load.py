"""The client of figure (j), a process of its own: a desk that keeps so many orders in flight.

Each order that ends is followed by another, of small and balanced amounts, so that the pools stay
where they are. `python -m tests.bench.chain_load PORT IN_FLIGHT ORDERS SECONDS` prints JSON.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

import msgspec

from tests.bench import http_load, websocket
from tests.bench.closed_loop import PATIENCE_S, connect, quantile

WORTH = {"SOL": 0.5, "USDC": 75, "USDT": 75, "RAY": 30, "JUP": 90, "BONK": 3_750_000}
"""About the same value of each token."""
PAIRS = (
    ("SOL", "USDC"), ("USDC", "SOL"), ("SOL", "BONK"), ("BONK", "SOL"), ("RAY", "USDC"),
    ("USDC", "RAY"), ("JUP", "USDT"), ("USDT", "JUP"),
)  # fmt: skip
"""Both ways; the last two take two hops."""
WARM_UP = 20
ENDS = ("confirmed", "failed", "expired", "cancelled")


class Traded(msgspec.Struct, frozen=True):
    """What a load came to; times from the POST to the last frame of an order."""

    orders: int
    """Ended, the first ones that only warm up left out."""
    seconds: float
    ends: dict[str, int]
    """How many orders ended how: a status, and the reason where there is one."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    submitted_p50_ms: float
    """From the POST to the frame of `TransactionSubmitted`."""
    submitted_p99_ms: float


class _Frame(msgspec.Struct, gc=False):
    orderId: str = ""  # noqa: N815 - as on the wire
    status: str = ""
    reason: str = ""


class _Result(msgspec.Struct, gc=False):
    orderId: str  # noqa: N815 - as on the wire


class _Taken(msgspec.Struct, gc=False):
    results: list[_Result]


_frames = msgspec.json.Decoder(_Frame)
_taken = msgspec.json.Decoder(_Taken)


class Trader:
    """Posts orders and hears how they end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._door = connect(("127.0.0.1", port))
        self._feed, rest = websocket.follow(port)
        self._feed.settimeout(PATIENCE_S)
        self._data = bytearray(rest)
        self._pairs = itertools.cycle(PAIRS)
        self._draw = random.Random(3)
        self.open: dict[str, float] = {}
        self.submitted: dict[str, float] = {}
        """How long each order took until it was sent (s), by id."""

    def post(self, count: int) -> None:
        """So many orders in one request."""
        content = '{"orders":[' + ",".join(self._order() for _ in range(count)) + "]}"
        began = time.perf_counter()
        self._door.sendall(http_load.post(self._port, 1, content.encode()))
        data = b""
        while not http_load.whole(data):
            part = self._door.recv(1 << 18)
            if not part:
                raise ConnectionError("the server hung up")
            data += part
        if not data.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(data.decode(errors="replace"))
        taken = _taken.decode(data[data.index(b"\r\n\r\n") + 4 :])
        self.open.update((result.orderId, began) for result in taken.results)

    def _order(self) -> str:
        token_in, token_out = next(self._pairs)
        amount = f"{WORTH[token_in] * self._draw.uniform(0.5, 1.5):.4f}"
        return f'{{"tokenIn":"{token_in}","tokenOut":"{token_out}","amount":"{amount}"}}'

    def ended(self) -> Iterator[tuple[float, str]]:
        """Some orders that ended: how long each took (s) and how it ended. Waits for the first."""
        none_yet = True
        while none_yet:
            self._data += self._feed.recv(1 << 18)
            at = 0
            while (result := websocket.frame_at(self._data, at)) is not None:
                at = result[1]
                if at == result[0]:  # a ping
                    continue
                frame = _frames.decode(bytes(self._data[result[0] : at]))
                began = self.open.get(frame.orderId)
                if frame.status == "submitted" and began is not None:
                    self.submitted.setdefault(frame.orderId, time.perf_counter() - began)
                if frame.status in ENDS and frame.orderId in self.open:
                    none_yet = False
                    how = " ".join(filter(None, (frame.status, frame.reason)))
                    yield time.perf_counter() - self.open.pop(frame.orderId), how
            del self._data[:at]


def main() -> None:
    """Be the desk."""
    port, in_flight, orders = (int(word) for word in sys.argv[1:4])
    seconds = float(sys.argv[4])
    trader = Trader(port)
    ends: Counter[str] = Counter()
    took: list[float] = []
    warm = WARM_UP + in_flight
    start = time.perf_counter()
    deadline = start + seconds
    while True:
        now = time.perf_counter()
        going = len(took) < orders and now < deadline
        if going and (free := in_flight - len(trader.open)) > 0:
            trader.post(free)
        if not trader.open:
            break
        for took_s, how in trader.ended():
            if warm:
                warm -= 1
                if not warm:
                    start = time.perf_counter()
                    trader.submitted.clear()
                continue
            took.append(took_s)
            ends[how] += 1
            last = time.perf_counter()
    took.sort()
    submitted = sorted(trader.submitted.values())
    traded = Traded(
        len(took),
        last - start if took else 0.0,
        dict(ends.most_common()),
        quantile(took, 0.5) * 1000,
        quantile(took, 0.99) * 1000,
        took[-1] * 1000 if took else 0.0,
        quantile(submitted, 0.5) * 1000,
        quantile(submitted, 0.99) * 1000,
    )
    print(msgspec.json.encode(traded).decode(), flush=True)


if __name__ == "__main__":
    main()
