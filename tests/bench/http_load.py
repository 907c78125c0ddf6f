"""The loader of HTTP, a process of its own: POSTs over keep-alive connections.

`python -m tests.bench.http_load PORT CONNECTIONS SECONDS BATCH` prints a `Load` as JSON. BATCH 0
posts single orders, any other number batches of so many.
"""

from __future__ import annotations

import random
import sys

import msgspec

from tests.bench.closed_loop import drive

EXECUTE, BATCH = "/api/orders/execute", "/api/orders/batch"
PAIRS = (("SOL", "USDC"), ("USDC", "SOL"), ("SOL", "BONK"), ("JUP", "USDT"))


def order(draw: random.Random) -> str:
    """Return an order in JSON; amounts and pairs differ."""
    token_in, token_out = draw.choice(PAIRS)
    amount = draw.randrange(1, 10_000) / 100
    return f'{{"tokenIn":"{token_in}","tokenOut":"{token_out}","amount":{amount}}}'


def body(draw: random.Random, batch: int) -> bytes:
    """Return the body of a request: one order, or a batch."""
    if not batch:
        return order(draw).encode()
    return ('{"orders":[' + ",".join(order(draw) for _ in range(batch)) + "]}").encode()


def post(port: int, batch: int, content: bytes) -> bytes:
    """Return a whole request."""
    path = BATCH if batch else EXECUTE
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def whole(data: bytes) -> bool:
    """Tell whether an answer is complete."""
    head = data.find(b"\r\n\r\n")
    at = data.lower().find(b"content-length:", 0, head) if head >= 0 else -1
    if at < 0:
        return False
    return len(data) >= head + 4 + int(data[at + 15 : data.index(b"\r\n", at)])


def main() -> None:
    """Be the loader."""
    port, connections, seconds, batch = (float(word) for word in sys.argv[1:])
    draw = random.Random(1)
    requests = [
        post(int(port), int(batch), body(draw, int(batch))) for _ in range(int(connections))
    ]
    load = drive(
        ("127.0.0.1", int(port)),
        requests,
        seconds,
        good=b"HTTP/1.1 202",
        whole=whole,
        counted=b'"status":"pending"',
    )
    print(msgspec.json.encode(load).decode(), flush=True)


if __name__ == "__main__":
    main()
