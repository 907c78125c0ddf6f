"""What a chain executed, order by order: the history of the wallet, one line of the table each.

A transaction names its order (on Solana in a memo), so that the chain can be asked about orders of
which the log has forgotten everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.markets import ledger_path
from engine.settings import Settings, SettingsError


class Wallet(Protocol):
    """Asked by a repair only."""

    lifetime_slots: int
    """So many slots after it was made, no transaction can land any more."""

    def height(self) -> int:
        """The newest slot."""
        ...

    def finalized(self) -> int:
        """The newest slot that cannot be undone."""
        ...

    def executed(self, order_ids: Sequence[str]) -> dict[str, list[str]]:
        """Order id -> signatures under which it was executed. Raises OSError."""
        ...

    def orders_since(self, order_id: str) -> list[str]:
        """The executed orders whose ids are no lower. Raises OSError."""
        ...


def _simulated(settings: Settings) -> Wallet:
    from stages.venues.simulated.chain import FINALITY_SLOTS
    from stages.venues.simulated.ledger import Ledger
    from stages.venues.simulated.venue import Simulation

    simulation = Simulation(slot_ms=settings.slot_ms)
    ledger = Ledger(ledger_path(settings))

    class Simulated:
        lifetime_slots = settings.blockhash_slots

        def height(self) -> int:
            return simulation.height()

        def finalized(self) -> int:
            return simulation.height() - FINALITY_SLOTS

        def executed(self, order_ids: Sequence[str]) -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            with ledger.writing():  # nobody is in the middle of landing one of them
                for signature, landed in sorted(ledger.find(order_ids).items()):
                    if landed.ok:
                        found.setdefault(landed.order_id, []).append(signature)
            return found

        def orders_since(self, order_id: str) -> list[str]:
            return sorted(
                {row.order_id for row in ledger.rows() if row.ok and row.order_id >= order_id}
            )

    return Simulated()


WALLETS: dict[str, Callable[[Settings], Wallet]] = {"simulated": _simulated}


def open_wallet(settings: Settings) -> Wallet:
    """Of what VENUES names. Raises SettingsError, OSError."""
    name = ",".join(settings.venues)
    if name not in WALLETS:
        msg = f"VENUES={name!r}: its wallet's history cannot be asked, so that nothing is repaired"
        raise SettingsError(msg)
    return WALLETS[name](settings)
