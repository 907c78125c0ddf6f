"""How many orders stood in each status at a moment: read off the envelopes of all events till then.

Pure. The status after an event stands in the event; that the fold agrees is what the audit checks.
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
    """Fed pages of events from the first on."""

    def __init__(self) -> None:
        self.position = 0
        self.time_us = 0
        self._statuses: dict[str, str] = {}

    def page(self, page: Page) -> None:
        """Takes events in. Raises `msgspec.DecodeError`."""
        try:
            envelopes = _envelopes.decode(page.bodies)
        except UNDECODABLE as error:
            raise msgspec.DecodeError(str(error)) from None
        for envelope in envelopes:
            self._statuses[envelope.order_id] = envelope.status
        self.position = page.positions[-1]
        self.time_us = page.times[-1]

    def resume(self, losses: Iterable[Loss]) -> None:
        """Orders go on from the states that were kept where their events are lost."""
        for loss in losses:
            if loss.resumed is not None:
                self._statuses[loss.order_id] = loss.resumed.order.status.value
            self.position = max(self.position, loss.position)

    def counts(self) -> dict[str, int]:
        """Status -> orders."""
        counted = Counter(s for i, s in self._statuses.items() if i not in SYSTEM_STREAM_IDS)
        return dict(sorted(counted.items()))
