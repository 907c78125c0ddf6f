"""Settles a parked order from the chain's record: reads its transaction and records the outcome.

Nothing is guessed. A transaction counts once it is finalized and this engine's wallet paid for it;
its order is closed with the recorded amounts. Anything that the record does not show is refused,
with a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.recovery.chain_history import ChainHistory, open_wallet
from engine.setting_parser import SettingsError
from engine.settings import Settings
from events.archive import Archive
from events.commands import parked
from events.commands.parked import History, NotSettled, Settled
from events.log import EventLog, OrderHead
from events.order import Order, executed_by, may_still_land
from events.types import Fact
from gateway.api.parked import Settles
from stages import settlement
from stages.runtime.stage import VenueRefusal
from stages.venues.record import Record

PAGE = 1000
_LOCK = 0x6F656573  # "oees": one settlement by a named transaction at a time


async def settle(
    log: EventLog,
    archive: Archive,
    history: History,
    wallet: ChainHistory,
    order_id: str,
    *,
    signature: str = "",
    reason: str,
    actor: str,
) -> Settled:
    """Closes a parked order; returns the order, and whether it had been closed before.

    Raises NotSettled with a code, NotAllowed, LogError, ArchiveUnavailable, or
    `msgspec.DecodeError` where its events cannot be read.
    """

    async def decide(order: Order) -> Sequence[Fact]:
        asked = _Asked(log, archive, wallet, order, signature)
        try:
            return await asked.facts(reason, actor)
        except VenueRefusal as error:
            raise NotSettled(error.code, error.detail) from error

    if not signature:
        return await parked.settle(log, history, order_id, decide)
    # Of two orders that are settled by one transaction at once, each would find it unclaimed.
    async with archive.alone(_LOCK) as alone:
        if not await alone():
            raise NotSettled(
                "another-settlement", "another process settles an order now: try again"
            )
        return await parked.settle(log, history, order_id, decide, signature=signature)


def settler(settings: Settings, log: EventLog, archive: Archive) -> Settles:
    """Settles orders for who has no wallet in hand: it is opened for the one question."""

    async def settles(
        history: History, order_id: str, *, signature: str, reason: str, actor: str
    ) -> Settled:
        try:
            wallet = open_wallet(settings)
        except SettingsError as error:
            raise NotSettled("wallet-unknown", str(error)) from error
        try:
            return await settle(
                log, archive, history, wallet, order_id,
                signature=signature, reason=reason, actor=actor,
            )  # fmt: skip
        finally:
            await wallet.close()

    return settles


class _Asked:
    """An order, and the chain's answers about it."""

    def __init__(
        self, log: EventLog, archive: Archive, wallet: ChainHistory, order: Order, signature: str
    ) -> None:
        self._log = log
        self._archive = archive
        self._wallet = wallet
        self._order = order
        self._signature = signature

    async def facts(self, reason: str, actor: str) -> list[Fact]:
        order, signature = self._order, self._signature
        known = executed_by(order)
        own = order.transaction if may_still_land(order) else None
        if not known and own is not None:
            known = (own.signature,)
        if signature and known and signature not in known:
            detail = f"the order was sent, or executed, by {', '.join(known)}"
            raise VenueRefusal("another-transaction-known", detail)
        if not signature and not known:
            detail = "nothing is known to be sent of it: name the transaction, or discard the order"
            raise VenueRefusal("signature-needed", detail)
        try:
            records = [
                await self._wallet.record(order.id, known_signature)
                for known_signature in known or (signature,)
            ]
        except VenueRefusal as error:
            if error.code != "transaction-not-found" or own is None or executed_by(order):
                raise
            return await self._dead(reason, actor, error)
        for record in records:
            settlement.check(order, record, known=bool(known))
        record = self._chosen(records)
        if not known and not record.orders:
            await self._check_unclaimed(signature)
        others = [
            known_signature.signature
            for known_signature in records
            if known_signature is not record
        ]
        return settlement.recovered(order, record, reason, actor, others)

    def _chosen(self, records: Sequence[Record]) -> Record:
        """The record that closes the order; of several, the one that the operator named."""
        if self._signature:
            return next(record for record in records if record.signature == self._signature)
        if len(records) > 1:
            named = ", ".join(record.signature for record in records)
            detail = f"by {named}: name the transaction that counts, the others are noted with it"
            raise VenueRefusal("executed-more-than-once", detail)
        return records[0]

    async def _dead(self, reason: str, actor: str, missing: VenueRefusal) -> list[Fact]:
        """Fails the order once it is proved that no transaction of it landed or can land."""
        assert self._order.transaction is not None, "the caller has looked"
        height = await self._wallet.proved_dead(self._order.transaction)
        if not height:
            raise missing
        return settlement.dead(self._order, height, reason, actor)

    async def _check_unclaimed(self, signature: str) -> None:
        """Checks that no other order has this transaction, which names no order itself."""
        end = await self._log.position()
        cursor = 0
        while True:
            cursor, heads = await self._log.open_page(cursor, count=PAGE)
            for order_id, head in heads.items():
                if order_id != self._order.id and _has(head, signature):
                    raise _claimed(signature, order_id)
            if not cursor:
                break
        if await self._archive.position() < end:
            detail = "the archive is behind: what ended a moment ago is not in it yet"
            raise VenueRefusal("archive-behind", detail, retryable=True)
        for order_id in await self._archive.signed(signature):
            if order_id != self._order.id:
                raise _claimed(signature, order_id)


def _has(head: OrderHead, signature: str) -> bool:
    try:
        order = head.order
    except msgspec.DecodeError:  # it cannot be ruled out
        return True
    sent = order.transaction
    return (
        order.signature == signature
        or (sent is not None and sent.signature == signature)
        or signature in executed_by(order)
    )


def _claimed(signature: str, order_id: str) -> VenueRefusal:
    return VenueRefusal("transaction-of-another-order", f"{signature} is of {order_id}")
