"""The simulated chain: which transactions land, when, and their outcomes. The ledger is its only
memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from hashlib import shake_256
from pathlib import Path

import msgspec

from events.order import Order, Transaction, next_attempt
from events.reason_codes import recorded
from events.secret import SecretBytes
from events.telemetry.server_clock import now_us as server_now_us
from events.types import U64_MAX
from stages.runtime.stage import VenueRefusal
from stages.venues import Built, Outcome
from stages.venues.simulated.ledger import Landed, Ledger
from stages.venues.simulated.venue import BPS, Simulation

MOVE_BPS = 20
"""How far, at most, the price moves either way between quote and execution."""
DOUBT_SLOTS = 4
REBROADCAST_SLOTS, REBROADCAST_LEAST_MS = 3, 400


class SimulatedTransaction(msgspec.Struct, frozen=True, array_like=True):
    """The content of a signed transaction; its msgpack bytes are the raw transaction."""

    order_id: str
    attempt: int
    dex: str
    token_in: str
    token_out: str
    amount_in: int
    quoted_amount_out: int
    min_amount_out: int
    last_valid_height: int
    max_amount_in: int = 0
    """Where the output is exact: then amount_in is what was quoted."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SimulatedTransaction)


_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TO_BASE58 = bytes(_ALPHABET[byte % 58] for byte in range(256))


def signature_of(raw: bytes) -> str:
    """The signature of a raw transaction: 87 base58 digits, as those of Solana's 64 bytes look."""
    return shake_256(raw).digest(87).translate(_TO_BASE58).decode()


class SimulatedChain:
    """Takes transactions into the ledger."""

    first_wait_ms = 0
    """Without latency, a transaction has landed before a timer could fire."""

    @property
    def rebroadcast_ms(self) -> int:
        """See `Chain.rebroadcast_ms`."""
        return max(REBROADCAST_LEAST_MS, REBROADCAST_SLOTS * self._simulation.slot_ms)

    def __init__(self, simulation: Simulation, ledger: Path) -> None:
        self._simulation = simulation
        self._ledger = Ledger(ledger)

    def build(self, order: Order) -> Built:
        """See `Chain.build`. The route is the order's, the minimum the one fixed by it."""
        last_valid_height = self._simulation.height() + self._simulation.blockhash_slots
        raw = _encoder.encode(
            SimulatedTransaction(
                order.id,
                next_attempt(order),
                order.dex,
                order.token_in,
                order.token_out,
                order.amount_in,
                order.quoted_amount_out or 0,
                order.min_amount_out or 0,
                last_valid_height,
                0 if order.exact_amount_out is None else order.max_amount_in or 0,
            )
        )
        return Built(signature_of(raw), SecretBytes(raw), last_valid_height)

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        """See `Chain.send`."""
        if self._simulation.latency_ms:
            await asyncio.sleep(self._simulation.latency_ms / 1000)
        refused = lost = 0
        with self._ledger.writing() as ledger:
            # Inside the lock: a process that is stopped here and resumes after the transaction
            # expired must not land it, as no real chain would.
            height = self._simulation.height()
            landed, refused, lost = self._accept([raw.reveal() for raw in transactions], height)
            ledger.land(landed)
        if refused:
            raise VenueRefusal("venue-unavailable", f"{refused} not accepted", retryable=True)
        if lost:
            raise VenueRefusal("venue-timeout", "the answer was lost", retryable=True)

    def _accept(self, transactions: Sequence[bytes], height: int) -> tuple[list[Landed], int, int]:
        """The transactions that land, the number refused, and the number whose answer is lost."""
        landed: list[Landed] = []
        refused = lost = 0
        for raw in transactions:
            transaction = _decoder.decode(raw)
            tokens = (transaction.token_in, transaction.token_out)
            signature = signature_of(raw)
            if "NEVER" in tokens or height > transaction.last_valid_height:
                continue
            # A rebroadcast draws again, or one unlucky send would be unlucky each time.
            if self._simulation.fails(signature, "send", height // 4):
                refused += 1
                continue
            landed.append(self._execute(transaction, signature, height))
            lost += "DOUBT" in tokens
        return landed, refused, lost

    def _execute(self, transaction: SimulatedTransaction, signature: str, slot: int) -> Landed:
        tokens = (transaction.token_in, transaction.token_out)
        draw = self._simulation.draw(transaction.order_id, transaction.attempt, "move")
        move = draw % (2 * MOVE_BPS + 1) - MOVE_BPS
        if "SLIP" in tokens:
            move = -BPS * 6 // 10
        amount_in, amount_out = transaction.amount_in, transaction.quoted_amount_out
        if transaction.max_amount_in:
            amount_in = -(-amount_in * BPS // (BPS + move))
            ok = amount_in <= transaction.max_amount_in
        else:
            amount_out = min(amount_out * (BPS + move) // BPS, U64_MAX)
            ok = amount_out >= transaction.min_amount_out
        doubt_ms = DOUBT_SLOTS * self._simulation.slot_ms if "DOUBT" in tokens else 0
        return Landed(
            order_id=transaction.order_id,
            signature=signature,
            attempt=transaction.attempt,
            slot=slot,
            ok=ok,
            amount_in=amount_in if ok else 0,
            amount_out=amount_out if ok else 0,
            reason="" if ok else "slippage-exceeded",
            # At once, unless it is to be in doubt: a query may have read its clock before.
            visible_us=server_now_us() + doubt_ms * 1000 if doubt_ms else 0,
        )

    def outcomes(self, sent: Sequence[Transaction]) -> list[Outcome | Awaitable[Outcome]]:
        """See `Chain.outcomes`."""
        finalized = self._simulation.height() - self._simulation.finality_slots
        now_us = server_now_us()
        try:
            orders = [_decoder.decode(transaction.raw.reveal()).order_id for transaction in sent]
            landed = self._ledger.find(orders)
            if any(t.last_valid_height < finalized and t.signature not in landed for t in sent):
                with self._ledger.writing():  # waits for a landing under way
                    landed = self._ledger.find(orders)
        except OSError:
            return [Outcome("unknown", reason="ledger-unavailable")] * len(sent)
        return [_outcome(landed.get(t.signature), finalized, now_us) for t in sent]


def _outcome(landed: Landed | None, finalized_height: int, now_us: int) -> Outcome:
    if landed is None:
        return Outcome("absent", finalized_height=finalized_height)
    if now_us < landed.visible_us:
        return Outcome("unknown", reason="node-not-answering")
    if landed.ok:
        return Outcome("landed", landed.amount_out, landed.slot, amount_in=landed.amount_in)
    return Outcome("failed", slot=landed.slot, reason=recorded(landed.reason))
