"""Counts orders per status at a moment, from the envelopes of all events up to then.

Pure. Each event records the status after it; the audit checks that the fold agrees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from events.archive import Page
from events.archive.losses import Loss
from events.ids import SYSTEM_STREAM_IDS
from events.streams.damage import UNDECODABLE


class _Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    order_id: str
    version: int
    time_us: int
    status: str


_envelopes = msgspec.msgpack.Decoder(list[_Envelope])


class StatusCounter:
    """Is fed pages of events from the first on."""

    def __init__(self) -> None:
        self.position = 0
        self.time_us = 0
        self._statuses: dict[str, str] = {}

    def page(self, page: Page) -> None:
        """Counts the events of a page. Raises `msgspec.DecodeError`."""
        try:
            envelopes = _envelopes.decode(page.bodies)
        except UNDECODABLE as error:
            raise msgspec.DecodeError(str(error)) from None
        for envelope in envelopes:
            self._statuses[envelope.order_id] = envelope.status
        self.position = page.positions[-1]
        self.time_us = page.times[-1]

    def resume(self, losses: Iterable[Loss]) -> None:
        """Continues orders from the states that were kept with accepted losses."""
        for loss in losses:
            if loss.resumed is not None:
                self._statuses[loss.order_id] = loss.resumed.order.status.value
            self.position = max(self.position, loss.position)

    def counts(self) -> dict[str, int]:
        """Status -> orders."""
        counted = Counter(s for i, s in self._statuses.items() if i not in SYSTEM_STREAM_IDS)
        return dict(sorted(counted.items()))
