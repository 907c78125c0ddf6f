"""The transactions that a chain executed, by order: the history of the wallet.

A transaction names its order (on Solana in a memo), so that the chain can be queried for orders of
which the log has lost everything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from engine.settings import Settings
from engine.venues import check, ledger_path
from events.order import Transaction
from events.reason_codes import recorded
from events.telemetry.server_clock import now_us as server_now_us
from stages.venues import Outcome, VenueRefusal
from stages.venues.record import Record

if TYPE_CHECKING:
    from stages.venues.simulated.ledger import Landed, Ledger

PROOF_TRIES, PROOF_S = 4, 0.5
"""Tries of a proof of expiry, and the seconds between two; the proving height is read in between.
"""


class ChainError(Exception):
    """The chain cannot be queried, or has no answer. The message names the cause. It is not an
    OSError, which near a database means that the database is unreachable.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"chain: {cause}")


class ChainHistory(Protocol):
    """The chain queries of a repair and a settlement. Methods raise ChainError unless they name
    another error.
    """

    async def last_height(self) -> int:
        """The height above which no transaction that was built before now can land."""
        ...

    async def finalized(self) -> int:
        """The finalized height."""
        ...

    async def blocks_in(self, seconds: float) -> int:
        """The most blocks that the chain produces in a time."""
        ...

    async def executed(self, order_ids: Sequence[str], since_us: int) -> dict[str, list[str]]:
        """Order id -> signatures under which it was executed, at least those since a time."""
        ...

    async def orders_since(self, order_id: str) -> list[str]:
        """The executed orders with this id or a higher one."""
        ...

    async def reaches(self, since_us: int) -> None:
        """Raises ChainError where its history does not reach back to this time."""
        ...

    async def record(self, order_id: str, signature: str) -> Record:
        """The chain's record of a transaction of an order. Raises Refused with a code."""
        ...

    async def proved_dead(self, transaction: Transaction) -> int:
        """The finalized height that proves that the transaction did not land and can no longer
        land; 0: no proof.

        Raises Refused.
        """
        ...

    async def close(self) -> None:
        """Closes its connections."""
        ...


@contextlib.contextmanager
def _answered(*causes: type[Exception]) -> Iterator[None]:
    """Converts the errors of a chain to ChainError."""
    try:
        yield
    except causes as error:
        raise ChainError(error) from error


def _simulated(settings: Settings) -> ChainHistory:
    from stages.venues.simulated.ledger import Ledger
    from stages.venues.simulated.venue import Simulation

    simulation = Simulation(slot_ms=settings.slot_ms, consensus=settings.consensus)
    ledger = Ledger(ledger_path(settings))

    class Simulated:
        async def last_height(self) -> int:
            return simulation.height() + settings.blockhash_slots

        async def finalized(self) -> int:
            return simulation.height() - simulation.finality_slots

        async def blocks_in(self, seconds: float) -> int:
            return int(seconds * 1000 / max(1, simulation.slot_ms)) + 1

        async def executed(
            self,
            order_ids: Sequence[str],
            since_us: int,  # noqa: ARG002 - one look at the ledger finds all there is
        ) -> dict[str, list[str]]:
            results: dict[str, list[str]] = {}
            with (
                _answered(OSError),
                ledger.writing(),
            ):  # no other process is landing one of them
                for signature, landed in sorted(ledger.find(order_ids).items()):
                    if landed.ok:
                        results.setdefault(landed.order_id, []).append(signature)
            return results

        async def orders_since(self, order_id: str) -> list[str]:
            with _answered(OSError):
                rows = list(ledger.rows())
            return sorted({row.order_id for row in rows if row.ok and row.order_id >= order_id})

        async def reaches(self, since_us: int) -> None:
            pass

        async def record(self, order_id: str, signature: str) -> Record:
            landed = _in_ledger(ledger, order_id, signature)
            if server_now_us() < landed.visible_us:
                raise VenueRefusal("venue-unavailable", "the chain does not answer for it yet")
            if landed.slot > await self.finalized():
                detail = f"{signature} is in slot {landed.slot}, which is not final yet"
                raise VenueRefusal("transaction-not-finalized", detail, retryable=True)
            state: Literal["landed", "failed"] = "landed" if landed.ok else "failed"
            outcome = Outcome(
                state,
                landed.amount_out,
                landed.slot,
                recorded(landed.reason),
                amount_in=landed.amount_in,
            )
            return Record(signature, outcome, (landed.order_id,))

        async def proved_dead(self, transaction: Transaction) -> int:
            height = await self.finalized()
            if height <= transaction.last_valid_height:
                return 0
            try:
                with ledger.writing():  # no other process is landing it
                    there = any(row.signature == transaction.signature for row in ledger.rows())
            except OSError as error:
                raise VenueRefusal("venue-unavailable", str(error), retryable=True) from error
            return 0 if there else height

        async def close(self) -> None:
            ledger.close()

    return Simulated()


def _in_ledger(ledger: Ledger, order_id: str, signature: str) -> Landed:
    """The landed transaction with a signature, of this order or of any. Raises Refused."""
    try:
        landed = ledger.find([order_id]).get(signature)
        landed = landed or next((row for row in ledger.rows() if row.signature == signature), None)
    except OSError as error:
        raise VenueRefusal("venue-unavailable", str(error), retryable=True) from error
    if landed is None:
        detail = f"the ledger does not have {signature}"
        raise VenueRefusal("transaction-not-found", detail, retryable=True)
    return landed


def _solana(settings: Settings) -> ChainHistory:
    from engine.venues.cluster import open_rpc, slot_setting, wallet_of
    from stages.pools.families import FAMILIES
    from stages.venues.solana.cluster.commitments import Commitments
    from stages.venues.solana.cluster.slot_time import SlotTime
    from stages.venues.solana.outcomes.executed import WalletHistory
    from stages.venues.solana.outcomes.outcomes import Outcomes
    from stages.venues.solana.outcomes.recorded import Records
    from stages.venues.solana.rpc.options import ChainOptions

    opened = open_rpc(settings)
    address = wallet_of(settings).address
    history = WalletHistory(opened.rpc, address)
    records = Records(opened.rpc, FAMILIES, address, opened.pools.by_name())
    slot_time = SlotTime(slot_setting(settings, opened.pools), opened.rpc)

    class Solana:
        async def last_height(self) -> int:
            # The builders' blockhashes are `confirmed` ones: none is younger than this.
            with _answered(VenueRefusal):
                newest = await opened.rpc.get_latest_blockhash("processed")
            return newest.value.last_valid_block_height

        async def finalized(self) -> int:
            with _answered(VenueRefusal):
                height = await opened.rpc.get_block_height("finalized")
            history.least_height = max(history.least_height, height)
            return height

        async def blocks_in(self, seconds: float) -> int:
            await slot_time.measure()
            return slot_time.slots_in(seconds)

        async def executed(self, order_ids: Sequence[str], since_us: int) -> dict[str, list[str]]:
            with _answered(VenueRefusal):
                return await history.by(order_ids, since_us / 1e6)

        async def orders_since(self, order_id: str) -> list[str]:
            with _answered(VenueRefusal):
                return await history.since(order_id)

        async def reaches(self, since_us: int) -> None:
            # By a reader of its own: what follows has to see what lands meanwhile.
            with _answered(VenueRefusal):
                await WalletHistory(opened.rpc, address).reaches(since_us / 1e6)

        async def record(self, order_id: str, signature: str) -> Record:  # noqa: ARG002 - it names its order
            return await records.read(signature)

        async def proved_dead(self, transaction: Transaction) -> int:
            outcomes = Outcomes(
                opened.rpc,
                FAMILIES,
                ChainOptions(),
                slot_time,
                Commitments(opened.rpc, "finalized"),
            )
            try:
                for _ in range(PROOF_TRIES):
                    outcome = await outcomes.ask([transaction])[0]
                    if outcome.finalized_height > transaction.last_valid_height:
                        return outcome.finalized_height
                    if outcome.state == "unknown":
                        raise VenueRefusal(
                            outcome.reason or "no-answer", outcome.detail, retryable=True
                        )
                    await asyncio.sleep(PROOF_S)
            finally:
                await outcomes.close()
            return 0

        async def close(self) -> None:
            await opened.rpc.close()

    return Solana()


def open_wallet(settings: Settings) -> ChainHistory:
    """Opens the history of the wallet of the chain in VENUES. Raises SettingsError, OSError."""
    check(settings)
    return _simulated(settings) if settings.venues == ("simulated",) else _solana(settings)
