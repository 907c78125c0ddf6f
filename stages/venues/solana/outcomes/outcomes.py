"""Outcomes of transactions: one status request for up to 256 of them, across callers.

The order of the two readings is the proof of death. First the *finalized* slot and height (a
finalized block never goes away, so what is true of it stays true); then, begun after that answer
was in, the statuses with history search, from a node whose own slot is not before that slot: it has
seen every block up to it, and still has those before (`finality.py`). A signature that is absent
then, with a last valid height below that finalized height, is in no block and can come into none.
The other way round, or from a node that lags or was restored from a snapshot, a transaction could
land unseen.

A failure on chain counts once it is finalized, whatever the commitment: a fork may drop the block
it failed in, and the same bytes may succeed on the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, assert_never

import structlog
from solders.signature import Signature

from events.order import Transaction
from events.telemetry.server_clock import now_us as server_now_us
from stages.pools.contract import Family
from stages.venues import Outcome, VenueRefusal
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.slot_time import (
    SlotTime,
    stalled_s,
)
from stages.venues.solana.outcomes.details import READS_AT_ONCE, DetailsReader
from stages.venues.solana.outcomes.finality import is_overdue, oldest_slot_needed
from stages.venues.solana.outcomes.finalized import FinalizedHeight
from stages.venues.solana.outcomes.verdicts import (
    Dead,
    Expired,
    Landed,
    Pending,
    Unknown,
    Witness,
    verdict_of_status,
    verdict_of_witnesses,
)
from stages.venues.solana.rpc.answers import EpochInfo, SignatureStatus
from stages.venues.solana.rpc.errors import NotServed
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import ChainOptions
from stages.venues.solana.rpc.transaction_methods import SIGNATURES_MAX

_STALLED = Outcome("unknown", reason="chain-stalled")

_log = structlog.get_logger()
_Asked = tuple[Transaction, "asyncio.Future[Outcome]"]


def is_signature(text: str) -> bool:
    """Whether the text has the form of a Solana signature."""
    try:
        Signature.from_string(text)
    except ValueError:
        return False
    return True


class Outcomes:
    """Asks for the outcomes of transactions, in batches."""

    def __init__(
        self,
        rpc: Rpc,
        families: Sequence[Family],
        options: ChainOptions,
        slot_time: SlotTime,
        commitments: Commitments,
    ) -> None:
        self._rpc = rpc
        self._commitments = commitments
        self._slot_time = slot_time
        self._options = options
        self._height = FinalizedHeight(rpc, slot_time)
        self._details = DetailsReader(
            rpc, families, slot_time, commitments, tries=options.details_tries
        )
        self._slot = 0
        self._advanced_s = 0.0
        self._details_at_once = asyncio.Semaphore(READS_AT_ONCE)
        self._waiting: list[_Asked] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, sent: Sequence[Transaction]) -> list[asyncio.Future[Outcome]]:
        """A future each. Whatever is asked for in one turn of the loop goes out together."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._go)
        futures = []
        for transaction in sent:
            future: asyncio.Future[Outcome] = loop.create_future()
            futures.append(future)
            if is_signature(transaction.signature):
                self._waiting.append((transaction, future))
            else:  # of another kind of chain: nodes would refuse the whole request
                future.set_result(Outcome("unknown", reason="not-a-signature"))
        return futures

    async def close(self) -> None:
        """Ends what is under way; its futures are cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for at in range(0, len(waiting), SIGNATURES_MAX):
            self._begin(self._answer(waiting[at : at + SIGNATURES_MAX]))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: Sequence[_Asked]) -> None:
        try:
            await self._judge(asked)
        except VenueRefusal as error:
            for _, future in asked:
                _settle(future, _unknown(error))
        except Exception as error:  # the runner judges a bug; no caller may hang
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in asked:
                future.cancel()  # nothing, where it is settled

    async def _judge(self, asked: Sequence[_Asked]) -> None:
        finalized = self._height.newest  # before the question, see above
        self._begin(self._height.read())  # for the next question: this one does not wait
        statuses = await self._rpc.get_signature_statuses(
            [transaction.signature for transaction, _ in asked]
        )
        stalled = self._is_stalled(statuses.slot)
        now_s = server_now_us() / 1e6
        details, expired = [], list[_Asked]()
        for (transaction, future), status in zip(asked, statuses.value, strict=True):
            verdict = verdict_of_status(
                status,
                finalized=finalized,
                last_valid_height=transaction.last_valid_height,
                commitment=self._commitments.fill,
            )
            match verdict:
                case Landed():
                    details.append(self._detail(transaction, future, verdict.status))
                case Expired():
                    expired.append((transaction, future))
                case Pending():
                    overdue = status is None and is_overdue(transaction.submitted_at_us, now_s)
                    doubt = self._no_proof() if overdue else None
                    _settle(future, doubt or (_STALLED if stalled else Outcome("absent")))
                case _:
                    assert_never(verdict)
        if expired and finalized is not None:
            details.append(self._prove(expired, finalized, stalled))
        await asyncio.gather(*details)

    async def _prove(self, expired: Sequence[_Asked], finalized: EpochInfo, stalled: bool) -> None:
        """Asks every node again, and how far back its history reaches: that may prove death."""
        oldest_slots = [
            oldest_slot_needed(finalized, transaction.last_valid_height, transaction.least_slot)
            for transaction, _ in expired
        ]
        signatures = [transaction.signature for transaction, _ in expired]
        answers = await self._rpc.get_statuses_and_memory(signatures, min(oldest_slots))
        for number, (_, future) in enumerate(expired):
            verdict = verdict_of_witnesses(
                [
                    Witness(statuses.slot, first_slot, statuses.value[number])
                    for first_slot, statuses in answers
                ],
                finalized=finalized,
                oldest_slot=oldest_slots[number],
                quorum=self._rpc.witnesses,
                refusals=answers.refusals,
            )
            match verdict:
                case Dead(height):
                    _settle(future, Outcome("absent", finalized_height=height))
                case _ if stalled:
                    _settle(future, _STALLED)
                case Unknown(why, detail):
                    _settle(future, Outcome("unknown", reason=why, detail=detail))
                case Pending():
                    _settle(future, Outcome("absent"))

    def _no_proof(self) -> Outcome | None:
        """Why no death can be proved now; None where it can."""
        if self._height.error is not None:
            return _unknown(self._height.error)
        return _STALLED if self._height.stands_still() else None

    def _is_stalled(self, slot: int) -> bool:
        """Whether the chain has stood at this slot for too long; a proof of death holds even so."""
        now_s = time.monotonic()
        if slot > self._slot:
            self._slot, self._advanced_s = slot, now_s
            self._slot_time.see(slot)
        return now_s - self._advanced_s > stalled_s(self._slot_time, self._options.stalled_ms)

    async def _detail(
        self, transaction: Transaction, future: asyncio.Future[Outcome], status: SignatureStatus
    ) -> None:
        async with self._details_at_once:
            if future.done():  # its caller gave up, and will ask again
                return
            try:
                _settle(future, await self._details.read(transaction, status))
            except VenueRefusal as error:
                _settle(future, _unknown(error))


def _unknown(error: VenueRefusal) -> Outcome:
    if not isinstance(error, NotServed):  # an outage, which the log names
        _log.info("outcome_unknown", error=str(error))
        return Outcome("unknown", reason=error.code)
    return Outcome("unknown", reason=error.code, detail=error.detail)


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
