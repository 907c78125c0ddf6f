"""The outcome of an executed transaction: its amounts, fees and error, read from its details."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from events.order import Transaction
from events.telemetry.server_clock import now_us as server_now_us
from stages.pools.contract import Family
from stages.venues import Outcome
from stages.venues.solana.cluster.commitments import Commitments, Fill
from stages.venues.solana.cluster.slot_time import SlotTime, details_pause_s
from stages.venues.solana.outcomes.errors import reason_of
from stages.venues.solana.outcomes.finality import is_overdue
from stages.venues.solana.outcomes.landed import Sent, fill_of, read_sent
from stages.venues.solana.rpc.answers import Details, Meta, SignatureStatus, held
from stages.venues.solana.rpc.methods import Rpc

READS_AT_ONCE = 16

_log = structlog.get_logger()


def executed_outcome(sent: Sent, slot: int, meta: Meta, families: Sequence[Family]) -> Outcome:
    """The outcome that the balances and the error of `meta` show. Pure.

    Raises ValueError where the balances do not tell the amounts.
    """
    if meta.err is not None:
        logs, balances = meta.log_messages or (), held(meta.pre_token_balances, sent.keys)
        reason = reason_of(meta.err, logs, sent.instructions, families, balances)
        return Outcome("failed", slot=slot, reason=reason.code, fee_lamports=meta.fee)
    fill = fill_of(sent, meta)
    return Outcome(
        "landed",
        fill.amount_out,
        slot,
        amount_in=fill.amount_in,
        fee_lamports=fill.fee,
        rent_lamports=fill.rent,
        legs=fill.legs,
    )


class DetailsReader:
    """Reads what executed transactions did, in `tries` tries: nodes index them a little late."""

    def __init__(
        self,
        rpc: Rpc,
        families: Sequence[Family],
        slot_time: SlotTime,
        commitments: Commitments,
        *,
        tries: int,
    ) -> None:
        self._rpc = rpc
        self._families = families
        self._slot_time = slot_time
        self._commitments = commitments
        self._tries = tries

    async def read(self, transaction: Transaction, status: SignatureStatus) -> Outcome:
        """The outcome of a transaction that has this status. Raises VenueRefusal."""
        failed = status.err is not None
        commitment: Fill = "finalized" if failed else self._commitments.fill

        async def ask(commitment: Fill) -> Details | None:
            return await self._rpc.get_transaction(transaction.signature, commitment)

        for number in range(self._tries):
            if number:
                await asyncio.sleep(details_pause_s(self._slot_time, number))
            details = await self._commitments.ask(commitment, ask)
            if details is not None and details.meta is not None:
                if (details.meta.err is not None) is not failed:
                    return Outcome("absent")  # a fork came between the two answers: ask again
                return self._outcome(transaction, details.slot, details.meta)
        overdue = is_overdue(transaction.submitted_at_us, server_now_us() / 1e6)
        detail = f"{_ended(failed, status.slot)}, and no node shows its balances"
        # Only what is missing for long takes an operator.
        return Outcome("unknown", reason="details-not-available", detail=detail if overdue else "")

    def _outcome(self, transaction: Transaction, slot: int, meta: Meta) -> Outcome:
        try:
            sent = read_sent(transaction.raw.reveal(), self._families)
            return executed_outcome(sent, slot, meta, self._families)
        except ValueError as error:
            _log.warning("amounts_unread", signature=transaction.signature, error=str(error))
            detail = f"{_ended(meta.err is not None, slot)}: {error}"
            return Outcome("unknown", reason="details-unclear", detail=detail)


def _ended(failed: bool, slot: int) -> str:
    return f"it {'failed' if failed else 'landed'} in slot {slot}"
