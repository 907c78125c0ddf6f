"""Confirmer: owns everything after the send: asks, sends the same bytes again, proves death.

Dead means: finalized height past the last valid one and signature absent. Only that lets a
replacement be built or the order fail. Anything else that is not an outcome stays `submitted`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence

import structlog
from msgspec.structs import replace

from events import money
from events.order import IMMEDIATE_TIFS, Order, Transaction
from events.types import (
    Fact,
    Fill,
    OrderConfirmed,
    OrderFailed,
    OrderRearmed,
    TransactionExpired,
    TransactionInDoubt,
)
from stages.runtime.retry import DETAIL_MAX, OUTAGES, paused_until_slot
from stages.runtime.stage import NOT_YET, Later, NotYet, Stage, VenueRefusal
from stages.venues import Chain, Outcome

DEADLINE_S = 10.0
UNDECIDED = ("absent", "unknown")
CLOCKS_APART_MS = 2_000
"""Further ahead than that lies a send that another clock told, or ours before it was set back."""
LONG_AGO_MS = 3_600_000
SENDS_KEPT = 10_000
"""Of so many transactions, the newest, it is remembered whether they were taken: of many the end is
seen by another process.
"""

_log = structlog.get_logger()


def decide(order: Order, outcome: Outcome, *, attempts_max: int) -> list[Fact] | NotYet:
    """What the outcome means for the order."""
    transaction = order.transaction
    assert transaction is not None, "the confirmer owes only orders that are sent"
    match outcome.state:
        case "landed":
            return [_confirmed(order, transaction, outcome)]
        case "failed" if order.patient:
            return [_retreated(order, outcome)]
        case "failed":
            return [
                OrderFailed(
                    "confirmer",
                    outcome.reason,
                    order.attempts + 1,
                    fee_lamports=outcome.fee_lamports,
                )
            ]
        case "absent" if outcome.finalized_height > transaction.last_valid_height:
            return _dead(order, transaction, outcome, attempts_max)
        case "unknown" if not order.in_doubt or _is_worse(order, outcome):
            detail = outcome.detail[:DETAIL_MAX]
            return [TransactionInDoubt(transaction.signature, outcome.reason, detail)]
    return NOT_YET


def _is_worse(order: Order, outcome: Outcome) -> bool:
    """Whether a doubt that could end by itself has become one that needs an operator."""
    return bool(outcome.detail) and not order.doubt


def _confirmed(order: Order, transaction: Transaction, outcome: Outcome) -> Fact:
    amount_in = outcome.amount_in or order.amount_in
    return OrderConfirmed(
        signature=transaction.signature,
        amount_out=outcome.amount_out,
        executed_price=money.price(
            outcome.amount_out, order.decimals_out, amount_in, order.decimals_in
        ),
        decimals_out=order.decimals_out,
        slot=outcome.slot,
        amount_in=outcome.amount_in,
        decimals_in=order.decimals_in if outcome.amount_in else 0,
        fee_lamports=outcome.fee_lamports,
        rent_lamports=outcome.rent_lamports,
        fills=_fills(order, outcome),
    )


def _fills(order: Order, outcome: Outcome) -> tuple[Fill, ...]:
    """The swaps of a transaction are those of the route, in its order."""
    if len(order.legs) != len(outcome.legs):
        return ()
    return tuple(
        Fill(leg.pool, leg.token_in, leg.token_out, leg.decimals_in, leg.decimals_out, *executed)
        for leg, executed in zip(order.legs, outcome.legs, strict=True)
    )


def _retreated(order: Order, outcome: Outcome) -> Fact:
    """The price moved on before the swap: the chain undid it, and the order waits again."""
    return OrderRearmed(
        stage="confirmer",
        reason=outcome.reason,
        slot=outcome.slot + 1,
        amount_out=0,
        min_amount_out=order.min_amount_out or 0,
        decimals_in=order.decimals_in,
        decimals_out=order.decimals_out,
        fee_lamports=outcome.fee_lamports,
        paused_until_slot=paused_until_slot(order.retreats, outcome.slot),
    )


def _dead(
    order: Order, transaction: Transaction, outcome: Outcome, attempts_max: int
) -> list[Fact]:
    proof = TransactionExpired(
        transaction.attempt,
        transaction.signature,
        transaction.last_valid_height,
        outcome.finalized_height,
        outcome.handed_over,
    )
    attempts = order.attempts + outcome.handed_over
    again = attempts < attempts_max or not outcome.handed_over
    if order.patient or (again and order.time_in_force not in IMMEDIATE_TIFS):
        return [proof]
    return [proof, OrderFailed("confirmer", "transaction-expired", attempts)]


class Sends:
    """Whether nodes took, or considered, the transactions that this process has sent again."""

    def __init__(self) -> None:
        self._taken: dict[str, bool] = {}

    def judge(self, signature: str, error: VenueRefusal | OSError | None) -> None:
        """One send, and what came of it: a node that refuses the transaction itself was there."""
        away = isinstance(error, OSError) or (error is not None and error.code in OUTAGES)
        self._taken[signature] = self._taken.get(signature, False) or not away
        if len(self._taken) > SENDS_KEPT:
            del self._taken[next(iter(self._taken))]

    def judged(self, order: Order, outcome: Outcome) -> Outcome:
        """The outcome; of a transaction that is proved dead, also whether a node ever took it."""
        assert order.transaction is not None, "the confirmer owes only orders that are sent"
        signature = order.transaction.signature
        if outcome.state == "absent":
            if outcome.finalized_height <= order.transaction.last_valid_height:
                return outcome
            taken = self._taken.pop(signature, True)
            return outcome if taken else replace(outcome, handed_over=False)
        if outcome.state != "unknown":
            self._taken.pop(signature, None)
        return outcome


def age_ms(order: Order, now_us: int) -> int:
    """How long ago the transaction was said to be sent. Where the clocks disagree that is not
    known, and it counts as sent long ago: it is sent again, and asked for in that rhythm.
    """
    sent_us = order.transaction.submitted_at_us if order.transaction else now_us
    age = (now_us - sent_us) // 1000
    return max(0, age) if age >= -CLOCKS_APART_MS else LONG_AGO_MS


def stage(chain: Chain, *, attempts_max: int, rebroadcast_ms: int) -> Stage:
    """The stage, asking this chain; the same bytes are sent again every `rebroadcast_ms`; 0: as
    often as the chain's slots make it worth while.
    """

    def again_ms() -> int:
        return rebroadcast_ms or chain.rebroadcast_ms

    sends = Sends()

    def ask(orders: Sequence[Order]) -> list[Outcome | Later]:
        now_us = time.time_ns() // 1000
        answers: list[Outcome | Later] = []
        outcomes = chain.outcomes([o.transaction for o in orders if o.transaction is not None])
        for order, outcome in zip(orders, outcomes, strict=True):
            again = age_ms(order, now_us) >= again_ms()
            if isinstance(outcome, Outcome) and not (again and outcome.state in UNDECIDED):
                answers.append(sends.judged(order, outcome))
            else:
                answers.append(Later(_answer(order, outcome, again=again)))
        return answers

    async def _answer(order: Order, asked: Outcome | Awaitable[Outcome], *, again: bool) -> Outcome:
        try:
            async with asyncio.timeout(DEADLINE_S):
                outcome = asked if isinstance(asked, Outcome) else await asked
        except (VenueRefusal, OSError) as error:  # TimeoutError is an OSError
            outcome = Outcome("unknown", reason="no-answer")
            _log.info("not answered", stage="confirmer", order_id=order.id, error=repr(error))
        if again and outcome.state in UNDECIDED and order.transaction is not None:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await chain.send([order.transaction.raw])
                sends.judge(order.transaction.signature, None)
            except (VenueRefusal, OSError) as error:
                sends.judge(order.transaction.signature, error)
                _log.info(
                    "rebroadcast failed", stage="confirmer", order_id=order.id, error=repr(error)
                )
        return sends.judged(order, outcome)

    def wait_ms(order: Order, now_us: int) -> int:
        # Ask often at first, then ever more rarely, down to the rhythm of the rebroadcast.
        return min(max(age_ms(order, now_us) // 2, chain.first_wait_ms), again_ms())

    return Stage(
        name="confirmer",
        ask=ask,
        decide=lambda order, outcome: decide(order, outcome, attempts_max=attempts_max),
        wait_ms=wait_ms,
    )
