"""The cheapest closed loop that Python allows: so many connections, one request in flight on each.

Blocking sockets, one epoll, one read and one write an answer, nothing decoded: about 10 µs a
request, most of it in the kernel. Whole answers are told by their length, which is learnt.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

import msgspec

READ_BYTES = 1 << 18
PATIENCE_S = 10.0
"""After the end, how long answers may still take."""


class Load(msgspec.Struct, frozen=True):
    """What a load came to."""

    loader: str
    answers: int
    """Good ones."""
    orders: int
    """Accepted by them."""
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    """Of the loader itself."""

    @property
    def rate(self) -> float:
        """Orders (or answers that hold none) a second."""
        return (self.orders or self.answers) / self.seconds


Address = str | tuple[str, int]
Whole = Callable[[bytes], bool]


def connect(address: Address) -> socket.socket:
    """Return a blocking connection; a string is the path of a unix socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    created = socket.socket(family, socket.SOCK_STREAM)
    created.connect(address)
    if family == socket.AF_INET:
        created.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    created.settimeout(PATIENCE_S)
    return created


def drive(
    address: Address,
    requests: Sequence[bytes],
    seconds: float,
    *,
    good: bytes,
    whole: Whole,
    counted: bytes = b"",
) -> Load:
    """Send `requests[i]` on connection i again and again; SIGTERM ends it early.

    `good` is how a good answer begins, `whole` tells whether one is complete, `counted` is what
    stands in it once for each order.
    """
    sockets = [connect(address) for _ in requests]
    stopped: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGTERM, stop)
    try:
        return _loop(sockets, requests, seconds, good, whole, counted, stopped)
    finally:
        for socket in sockets:
            socket.close()


def _loop(
    sockets: Sequence[socket.socket],
    requests: Sequence[bytes],
    seconds: float,
    good: bytes,
    whole: Whole,
    counted: bytes,
    stopped: Sequence[int],
) -> Load:
    clock, read, write = time.perf_counter, os.read, os.write
    poll = select.epoll()
    request = {s.fileno(): r for s, r in zip(sockets, requests, strict=True)}
    sent: dict[int, float] = {}
    parts: dict[int, bytes] = {}
    latencies: list[float] = []
    length = -1  # of a whole good answer
    answers = orders = refused = 0
    start = now = clock()
    deadline = start + seconds
    for fd, data in request.items():
        poll.register(fd, select.EPOLLIN)
        sent[fd] = clock()
        write(fd, data)
    open_ = len(request)
    while open_:
        ready = poll.poll(0.5)
        if not ready and clock() > deadline + PATIENCE_S:
            break
        for fd, _ in ready:
            data = read(fd, READ_BYTES)
            if len(data) != length or not data.startswith(good):
                if not data:
                    raise ConnectionError("the server hung up")
                data = parts.pop(fd, b"") + data
                if not whole(data):
                    parts[fd] = data
                    continue
                if not data.startswith(good):
                    refused += 1
                    answers -= 1
                else:
                    length = len(data)
            now = clock()
            answers += 1
            latencies.append(now - sent[fd])
            if counted:
                orders += data.count(counted)
            if now < deadline and not stopped:
                sent[fd] = now
                write(fd, request[fd])
            else:
                open_ -= 1
    elapsed = now - start
    latencies.sort()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Load(
        loader="own",
        answers=answers,
        orders=orders,
        refused=refused,
        seconds=elapsed,
        p50_ms=quantile(latencies, 0.50) * 1000,
        p99_ms=quantile(latencies, 0.99) * 1000,
        cpu_s=usage.ru_utime + usage.ru_stime,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of an ordered list lies; 0 of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
