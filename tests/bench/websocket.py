"""A WebSocket client that does next to nothing: the upgrade, and where frames begin in the bytes.

A server's frames are not masked, so a frame is two to ten bytes of header and its payload.
"""

from __future__ import annotations

import base64
import os
import socket

from tests.bench.closed_loop import connect

EVENTS = "/api/events"


def follow(port: int, path: str = EVENTS) -> tuple[socket.socket, bytes]:
    """Return a blocking WebSocket, and the first bytes of its frames where they came along."""
    created = connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    created.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        "".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        part = created.recv(65536)
        if not part:
            raise ConnectionError("no answer to the upgrade")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(head.decode(errors="replace"))
    return created, rest


def frame_at(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at `at` begins and ends, None where it is not whole."""
    if len(data) < at + 2:
        return None
    size = data[at + 1]
    if size == 126:
        if len(data) < at + 4:
            return None
        size = data[at + 2] << 8 | data[at + 3]
        begin = at + 4
    elif size == 127:
        if len(data) < at + 10:
            return None
        size = int.from_bytes(data[at + 2 : at + 10])
        begin = at + 10
    else:
        begin = at + 2
    return (begin, begin + size) if len(data) >= begin + size else None


def position_of(payload: bytes | bytearray) -> int:
    """Return the position that an event's frame names; 0 where there is none."""
    at = payload.find(b'"position":')
    if at < 0:
        return 0
    end = at + 11
    while 48 <= payload[end] <= 57:
        end += 1
    return int(payload[at + 11 : end])
