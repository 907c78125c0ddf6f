"""The loader of the first yardstick, a process of its own: `SET` of 100 bytes.

`python -m tests.bench.set_load SOCKET CONNECTIONS SECONDS` prints a `Load` as JSON.
"""

from __future__ import annotations

import sys

import msgspec

from tests.bench.closed_loop import drive

VALUE = b"x" * 100


def main() -> None:
    """Be the loader."""
    path, connections, seconds = sys.argv[1:]
    requests = [
        b"*3\r\n$3\r\nSET\r\n$8\r\nkey:%04d\r\n$%d\r\n%s\r\n" % (i, len(VALUE), VALUE)
        for i in range(int(connections))
    ]
    load = drive(
        path, requests, float(seconds), good=b"+OK", whole=lambda data: data.endswith(b"\r\n")
    )
    print(msgspec.json.encode(load).decode(), flush=True)


if __name__ == "__main__":
    main()
