"""The subscribers of figure (e), all in one process of its own, and what gives them work.

All follow /api/events from the same position, so all have to get the same bytes. The first
subscriber to receive some bytes adds them to the stream that is parsed; those of all others are
compared with it. This is cheap, and proves for each that nothing is missing, twice or out of order.

Orders come in batches, the next one only once every subscriber has all of the one before but one:
no subscriber falls behind. `python -m tests.bench.fanout_load PORT SUBSCRIBERS BATCH SECONDS`
prints JSON.
"""

from __future__ import annotations

import random
import resource
import select
import socket
import sys
import time

import msgspec

from tests.bench import http_load, websocket
from tests.bench.closed_loop import connect

READ_BYTES = 1 << 18
IN_FLIGHT = 2
"""Batches."""
EVENTS_AN_ORDER = 6
PATIENCE_S = 10.0


class Fanout(msgspec.Struct, frozen=True):
    """What came in."""

    subscribers: int
    events: int
    frames: int
    bytes: int
    seconds: float
    same: bool
    """All subscribers got the same bytes."""
    gap_free: bool
    """And in these, every position follows the one before."""
    cpu_s: float


class Stream:
    """The bytes that every subscriber has to get; parsed once, kept until all have them."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.begin = 0
        """Offset of `data` in the whole stream."""
        self.parsed = 0
        """Offset up to which whole frames were counted."""
        self.frames = 0
        self.position = 0
        self.gap_free = True
        self.confirmed = 0
        self.ends: list[int] = []
        """Offset behind each frame that confirms an order."""

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self.begin + len(self.data)

    def take(self, at: int, data: bytes) -> bool:
        """Compare a subscriber's bytes, add what is new; False where they differ."""
        known = min(len(data), self.end - at)
        if known == len(data):
            return self.data.startswith(data, at - self.begin)
        if known and not self.data.startswith(data[:known], at - self.begin):
            return False
        self.data += data[known:]
        self._parse()
        return True

    def _parse(self) -> None:
        at = self.parsed - self.begin
        while (frame := websocket.frame_at(self.data, at)) is not None:
            payload = self.data[frame[0] : frame[1]]
            position = websocket.position_of(payload)
            if self.position and position != self.position + 1:
                self.gap_free = False
            self.position = position
            self.frames += 1
            at = frame[1]
            if b'"status":"confirmed"' in payload:
                self.ends.append(self.begin + at)
        self.parsed = self.begin + at

    def forget(self, through: int) -> None:
        """Drop the bytes that every subscriber has."""
        through = min(through, self.parsed)
        if through - self.begin > 1 << 24:
            del self.data[: through - self.begin]
            self.begin = through


class Audience:
    """The subscribers."""

    def __init__(self, port: int, subscribers: int) -> None:
        self.stream = Stream()
        self.same = True
        self.bytes = 0
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._at: dict[int, int] = {}
        for _ in range(subscribers):
            created, rest = websocket.follow(port)
            self._sockets[created.fileno()] = created
            self._at[created.fileno()] = 0
            if rest:
                self._got(created.fileno(), rest)
            self._poll.register(created, select.EPOLLIN)

    def _got(self, fd: int, data: bytes) -> None:
        at = self._at[fd]
        if not self.stream.take(at, data):
            self.same = False
        self._at[fd] = at + len(data)
        self.bytes += len(data)

    def drain(self, timeout_s: float) -> bool:
        """Read what is there; False when nothing came in time."""
        ready = self._poll.poll(timeout_s)
        for fd, _ in ready:
            data = self._sockets[fd].recv(READ_BYTES)
            if not data:
                raise ConnectionError("a subscriber was cut off")
            self._got(fd, data)
        return bool(ready)

    def slowest(self) -> int:
        """Return the offset that every subscriber has reached."""
        return min(self._at.values())

    def all_there(self) -> bool:
        """Tell whether every subscriber has the same bytes, in whole frames."""
        end = self.stream.end
        return self.stream.parsed == end and all(at == end for at in self._at.values())


def main() -> None:
    """Be all subscribers."""
    port, subscribers, batch = (int(word) for word in sys.argv[1:4])
    seconds = float(sys.argv[4])
    audience = Audience(port, subscribers)
    stream = audience.stream
    door = connect(("127.0.0.1", port))
    request = http_load.post(port, batch, http_load.body(random.Random(3), batch))
    sent = answered = 0
    start = time.perf_counter()
    deadline = start + seconds
    over = deadline + PATIENCE_S
    while time.perf_counter() < over:
        reached = audience.slowest()
        done = _passed(stream, reached)
        expected = sent - done // batch < IN_FLIGHT
        if expected and time.perf_counter() < deadline:
            if sent > answered:
                _read_answer(door)
                answered += 1
            door.sendall(request)
            sent += 1
        elif time.perf_counter() >= deadline and done >= sent * batch and audience.all_there():
            break
        audience.drain(0.2)
    elapsed = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    complete = audience.all_there() and stream.confirmed >= sent * batch
    fanout = Fanout(
        subscribers=subscribers,
        events=stream.frames,
        frames=stream.frames * subscribers,
        bytes=audience.bytes,
        seconds=elapsed,
        same=audience.same and complete,
        gap_free=stream.gap_free and stream.frames == sent * batch * EVENTS_AN_ORDER,
        cpu_s=usage.ru_utime + usage.ru_stime,
    )
    print(msgspec.json.encode(fanout).decode(), flush=True)


def _passed(stream: Stream, reached: int) -> int:
    """Return how many confirmed orders every subscriber has received."""
    passed = 0
    for end in stream.ends:
        if end > reached:
            break
        passed += 1
    stream.confirmed += passed
    del stream.ends[:passed]
    stream.forget(reached)
    return stream.confirmed


def _read_answer(door: socket.socket) -> None:
    data = b""
    while not http_load.whole(data):
        part = door.recv(READ_BYTES)
        if not part:
            raise ConnectionError("the server hung up")
        data += part
    if not data.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(data[:500].decode(errors="replace"))


if __name__ == "__main__":
    main()
