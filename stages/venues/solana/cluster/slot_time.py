"""How long a slot is, and every wait that follows from it. No other module knows a figure of it.

The length changes with the cluster's features (SIMD-0525: 400, 350, … 200 ms) and with its load, so
it is measured: from the slots that this process sees pass, and until it has seen enough from the
node's own samples (`getRecentPerformanceSamples`). Only the local chain has a setting, SLOT_MS.
Blockhash lifetime and finality are counted in blocks and belong to
`stages/venues/solana/outcomes/finality.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.answers import PerformanceSample
from stages.venues.solana.rpc.methods import Rpc

UNMEASURED_MS = 150.0
"""Until anything is measured: shorter than any slot that is planned (200), so that what follows
from it is early rather than late."""
PLAUSIBLE_MS = 20.0, 10_000.0
"""A measurement outside is an error of the node."""
SHORT_PERCENT = 90
"""Single stretches may be so much shorter than what was measured over a minute."""
SEEN_S, SEEN_LEAST_S, SEEN_LEAST_SLOTS = 60.0, 10.0, 20
"""Over how long passing slots are measured: at most, and at least."""
SEEN_EVERY_S = 1.0
MEASURE_EVERY_S = 60.0
SAMPLES = 2
"""Of a minute each: the newest ones, as a length may change from one epoch to the next."""

_log = structlog.get_logger()


class SlotTime(PollingLoop):
    """The length of a slot; one object a process.

    `setting_ms`: what the local chain's slots are set to, 0 where they follow no clock; None on any
    other chain, whose slots are measured. `rpc`: who is asked then. `clock_s` is monotonic.
    """

    def __init__(
        self,
        setting_ms: int | None = None,
        rpc: Rpc | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._setting_ms = setting_ms
        self._rpc = rpc
        self._clock_s = clock_s
        self._sampled_ms: float | None = None
        self._seen: deque[tuple[int, float]] = deque()

    @property
    def ms(self) -> float:
        """The length in milliseconds."""
        if self._setting_ms is not None:
            return float(self._setting_ms)
        return self._seen_ms() or self._sampled_ms or UNMEASURED_MS

    @property
    def known(self) -> bool:
        """Whether it is set or measured."""
        measured_ms = self._seen_ms() or self._sampled_ms
        return self._setting_ms is not None or measured_ms is not None

    @property
    def short_ms(self) -> float:
        """The shortest length of a slot over any longer stretch: a past slot that is computed with
        it is rather too early.
        """
        return self.ms * SHORT_PERCENT / 100

    @property
    def follows_a_clock(self) -> bool:
        """Whether slots pass by themselves."""
        return self._setting_ms != 0

    def seconds(self, slots: float, *, least_s: float = 0.0) -> float:
        """So many slots in seconds."""
        return max(least_s, slots * self.ms / 1000)

    def slots_in(self, seconds: float) -> int:
        """How many slots pass in a time, rounded up; at least 1."""
        return int(seconds * 1000 / (self.short_ms or UNMEASURED_MS)) + 1

    def see(self, slot: int) -> None:
        """The chain is at this slot now."""
        now_s = self._clock_s()
        if self._seen and now_s - self._seen[-1][1] > SEEN_S:
            self._seen.clear()
        if self._seen and slot < self._seen[-1][0]:
            return  # a node that is behind
        if not self._seen or now_s - self._seen[-1][1] >= SEEN_EVERY_S:
            self._seen.append((slot, now_s))
            while now_s - self._seen[0][1] > SEEN_S:
                self._seen.popleft()

    def _seen_ms(self) -> float | None:
        if not self._seen:
            return None
        (first, first_s), (last, last_s) = self._seen[0], self._seen[-1]
        if last_s - first_s < SEEN_LEAST_S or last - first < SEEN_LEAST_SLOTS:
            return None
        return _plausible((last_s - first_s) * 1000 / (last - first))

    # -- asking for it ------------------------------------------------------------------------

    async def measure(self) -> None:
        """Asks a node once, unless the passing slots are enough. Raises no error of a node."""
        rpc = self._rpc
        if self._setting_ms is not None or self._seen_ms() is not None or rpc is None:
            return
        try:
            self._sampled_ms = sampled_ms(await rpc.get_recent_performance_samples(SAMPLES))
        except VenueRefusal as error:
            _log.info("performance_samples_unread", error=str(error))
        if self._sampled_ms is None:  # a node without samples: two of its slots will tell
            try:
                self.see((await rpc.get_epoch_info("processed")).absolute_slot)
            except VenueRefusal as error:
                _log.info("slot_unread", error=str(error))

    def start(self) -> None:
        """As the base; a length that is set is not measured."""
        if self._setting_ms is None:
            super().start()

    async def _run(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(MEASURE_EVERY_S if self.known else SEEN_LEAST_S)


def sampled_ms(samples: Sequence[PerformanceSample]) -> float | None:
    """The mean length by the node's samples; None where there are too few. Pure."""
    slots = sum(sample.num_slots for sample in samples)
    seconds = sum(sample.sample_period_secs for sample in samples)
    return _plausible(seconds * 1000 / slots) if slots > 0 else None


def _plausible(length_ms: float) -> float | None:
    least_ms, most_ms = PLAUSIBLE_MS
    return length_ms if least_ms <= length_ms <= most_ms else None


# -- waits that follow from it --------------------------------------------------------------------

REBROADCAST_SLOTS = 3
"""Each leader has four slots in a row (NUM_CONSECUTIVE_LEADER_SLOTS): every one is sent to."""
REBROADCAST_LEAST_S = 0.4
FIRST_WAIT_SLOTS = 0.5
"""A block with the transaction comes within a slot: that often is asked at first."""
BLOCKHASH_SHARED_SLOTS = 4
"""So long a blockhash is shared by what is built: a leader's turn, of the 150 blocks it lives."""
BLOCKHASH_SHARED_LEAST_S, BLOCKHASH_SHARED_MOST_S = 0.4, 2.0
"""The upper bound for any reported length: a wrong length must not outlive the hash."""
BLOCKHASH_AHEAD = 0.75
"""The part of that time after which the next one is fetched."""
STALLED_SLOTS = 10
"""A chain whose slots have not advanced for so long is stalled."""
STALE_READINGS = 3
"""Data is not called old before so many readings should have replaced it."""
FINALIZED_AGE_SLOTS, FINALIZED_AGE_LEAST_S = 2, 0.2
"""How old the finalized height may grow before it is read again; an old one proves less, not
falsely."""
DETAILS_PAUSE_SLOTS, DETAILS_PAUSE_LEAST_S = 1, 0.1
"""Before the second question for a transaction's balances; doubles. Nodes index a little late."""
READ_NEXT, READ_AGAIN = 0.75, 0.25
"""After a new slot was read the next one comes within a slot; until it does, look more often. So
each slot is seen, about a quarter of it late, in two readings."""
READ_LEAST_S = 0.02


def rebroadcast_ms(slot_time: SlotTime) -> int:
    """Time between two sends of the same bytes, by the slots."""
    return int(slot_time.seconds(REBROADCAST_SLOTS, least_s=REBROADCAST_LEAST_S) * 1000)


def first_wait_ms(slot_time: SlotTime) -> int:
    """The least time between two questions for an outcome."""
    return int(slot_time.seconds(FIRST_WAIT_SLOTS) * 1000)


def blockhash_shared_s(slot_time: SlotTime) -> float:
    """How long a blockhash is shared by what is built."""
    shared_s = slot_time.seconds(BLOCKHASH_SHARED_SLOTS, least_s=BLOCKHASH_SHARED_LEAST_S)
    return min(shared_s, BLOCKHASH_SHARED_MOST_S)


def blockhash_ahead_s(slot_time: SlotTime) -> float:
    """Between two blockhashes that are fetched ahead: the next is there before one is too old."""
    return BLOCKHASH_AHEAD * blockhash_shared_s(slot_time)


def stalled_s(slot_time: SlotTime, setting_ms: int) -> float:
    """After how long without a new slot the chain is stalled; `setting_ms` at least."""
    return slot_time.seconds(STALLED_SLOTS, least_s=setting_ms / 1000)


def stale_s(slot_time: SlotTime, setting_ms: int, read_ms: int) -> float:
    """After how long account data is not quoted from; `setting_ms` at least."""
    reading_s = max(slot_time.seconds(1), read_ms / 1000)
    return max(setting_ms / 1000, STALE_READINGS * reading_s)


def finalized_age_s(slot_time: SlotTime) -> float:
    """How old the finalized height may grow."""
    return slot_time.seconds(FINALIZED_AGE_SLOTS, least_s=FINALIZED_AGE_LEAST_S)


def details_pause_s(slot_time: SlotTime, number: int) -> float:
    """Before question `number` (1 is the second one) for a transaction's balances."""
    first_s = slot_time.seconds(DETAILS_PAUSE_SLOTS, least_s=DETAILS_PAUSE_LEAST_S)
    return first_s * 2.0 ** (number - 1)


def read_pause_s(slot_time: SlotTime, setting_ms: int, *, advanced: bool) -> float:
    """Time from one reading of the pools to the next. `setting_ms`: fixed; 0: by the slots."""
    if setting_ms:
        return setting_ms / 1000
    part = READ_NEXT if advanced else READ_AGAIN
    return max(slot_time.seconds(1), READ_LEAST_S) * part
