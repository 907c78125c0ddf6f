"""Which clients of a stream are taken for alive."""

from __future__ import annotations

import pytest

from gateway.streaming.liveness import Look, is_alive


@pytest.mark.parametrize(
    ("before", "now", "socket", "stream"),
    [
        (Look(0, 0, False), Look(9, 0, True), True, True),  # it answered the ping
        (Look(0, 500, False), Look(100, 400, False), True, True),  # it reads, if slowly
        (Look(100, 400, False), Look(100, 400, False), False, False),  # half-open
        (Look(0, 0, False), Look(90, 0, False), False, True),  # its machine reads, it does not
    ],
)
def test_bytes_on_their_way_that_arrive_are_signs_of_life(
    before: Look, now: Look, socket: bool, stream: bool
) -> None:
    assert is_alive(before, now, answers=True) is socket
    assert is_alive(before, now, answers=False) is stream
