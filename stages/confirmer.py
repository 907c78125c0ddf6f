"""Confirmer: asks what became of sent transactions, sends the same bytes again, proves death.

A transaction is dead when the finalized height is past its last valid one and its signature is
absent. Only then is a replacement built, or does the order fail. Any other answer that is not an
outcome leaves the order `submitted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import structlog
from msgspec.structs import replace

from events import money
from events.order import IMMEDIATE_TIFS, Order, Transaction
from events.telemetry.error_text import error_text
from events.telemetry.server_clock import now_us as server_now_us
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
"""A send that lies further in the future was timed by another clock, or before a clock was set."""
LONG_AGO_MS = 3_600_000
SENDS_KEPT = 10_000
"""Transactions whose rebroadcasts are remembered, the newest: another process may see their end."""

_log = structlog.get_logger()


def decide(order: Order, outcome: Outcome, *, attempts_max: int) -> list[Fact] | NotYet:
    """What the outcome means for the order."""
    transaction = order.transaction
    assert transaction is not None, "the confirmer owes only orders that are sent"
    match outcome.state:
        case "landed":
            return [_confirmed(order, transaction, outcome)]
        case "failed" if order.patient:
            return [_rearmed(order, outcome)]
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
            return _expired(order, transaction, outcome, attempts_max)
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
    """The executed swaps; none where they are not those of the route, one for one."""
    if len(order.legs) != len(outcome.legs):
        return ()
    return tuple(
        Fill(leg.pool, leg.token_in, leg.token_out, leg.decimals_in, leg.decimals_out, *executed)
        for leg, executed in zip(order.legs, outcome.legs, strict=True)
    )


def _rearmed(order: Order, outcome: Outcome) -> Fact:
    """The price moved before the swap, which the chain reverted: the order waits again."""
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


def _expired(
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


class Rebroadcasts:
    """Whether a node took, or considered, each transaction that this process sent again."""

    def __init__(self) -> None:
        self._taken: dict[str, bool] = {}

    def record(self, signature: str, error: VenueRefusal | OSError | None) -> None:
        """Records a send. A node that refused the transaction itself was reachable."""
        away = isinstance(error, OSError) or (error is not None and error.code in OUTAGES)
        self._taken[signature] = self._taken.get(signature, False) or not away
        if len(self._taken) > SENDS_KEPT:
            del self._taken[next(iter(self._taken))]

    def complete(self, order: Order, outcome: Outcome) -> Outcome:
        """The outcome; for a transaction that is proved dead, also whether a node ever took it."""
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
    """The time since the transaction was sent.

    Where the clocks disagree it is not known and counts as long: the transaction is sent again, and
    its outcome asked for at the interval of rebroadcasts.
    """
    sent_us = order.transaction.submitted_at_us if order.transaction else now_us
    age = (now_us - sent_us) // 1000
    return max(0, age) if age >= -CLOCKS_APART_MS else LONG_AGO_MS


class Confirmer:
    """The stage's calls to the chain, and what it remembers between them."""

    def __init__(self, chain: Chain, *, attempts_max: int, rebroadcast_ms: int) -> None:
        self._chain = chain
        self._attempts_max = attempts_max
        self._rebroadcast_ms = rebroadcast_ms
        self._rebroadcasts = Rebroadcasts()

    def ask(self, orders: Sequence[Order]) -> list[Outcome | Later]:
        """An outcome for each order. A transaction that is due to be sent again answers later."""
        now_us = server_now_us()
        answers: list[Outcome | Later] = []
        sent = [order.transaction for order in orders if order.transaction is not None]
        for order, outcome in zip(orders, self._chain.outcomes(sent), strict=True):
            again = age_ms(order, now_us) >= self._interval_ms()
            if isinstance(outcome, Outcome) and not (again and outcome.state in UNDECIDED):
                answers.append(self._rebroadcasts.complete(order, outcome))
            else:
                answers.append(Later(self._answer(order, outcome, again=again)))
        return answers

    def decide(self, order: Order, outcome: Outcome) -> list[Fact] | NotYet:
        """See the function of this name."""
        return decide(order, outcome, attempts_max=self._attempts_max)

    def wait_ms(self, order: Order, now_us: int) -> int:
        """Half the age of the send: short at first, at most the interval of rebroadcasts."""
        wait_ms = max(age_ms(order, now_us) // 2, self._chain.first_wait_ms)
        return min(wait_ms, self._interval_ms())

    def _interval_ms(self) -> int:
        return self._rebroadcast_ms or self._chain.rebroadcast_ms

    async def _answer(
        self, order: Order, asked: Outcome | Awaitable[Outcome], *, again: bool
    ) -> Outcome:
        try:
            async with asyncio.timeout(DEADLINE_S):
                outcome = asked if isinstance(asked, Outcome) else await asked
        except (VenueRefusal, OSError) as error:  # TimeoutError is an OSError
            outcome = Outcome("unknown", reason="no-answer")
            _log.info(
                "outcome_unanswered", stage="confirmer", order_id=order.id, error=error_text(error)
            )
        if again and outcome.state in UNDECIDED and order.transaction is not None:
            await self._send_again(order, order.transaction)
        return self._rebroadcasts.complete(order, outcome)

    async def _send_again(self, order: Order, transaction: Transaction) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._chain.send([transaction.raw])
        except (VenueRefusal, OSError) as error:
            self._rebroadcasts.record(transaction.signature, error)
            _log.debug(
                "rebroadcast_failed", stage="confirmer", order_id=order.id, error=error_text(error)
            )
        else:
            self._rebroadcasts.record(transaction.signature, None)


def stage(chain: Chain, *, attempts_max: int, rebroadcast_ms: int) -> Stage:
    """The stage on a chain. It sends again every `rebroadcast_ms`; 0: at the chain's interval."""
    confirmer = Confirmer(chain, attempts_max=attempts_max, rebroadcast_ms=rebroadcast_ms)
    return Stage(
        name="confirmer",
        ask=confirmer.ask,
        decide=confirmer.decide,
        wait_ms=confirmer.wait_ms,
    )
