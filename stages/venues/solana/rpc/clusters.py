"""Which chain is at the other end: recognised by its genesis hash, never by its URL."""

from __future__ import annotations

from typing import Literal

from events.reason_codes import MaybeReason

Cluster = Literal["mainnet", "devnet", "local"]

GENESIS: dict[str, Cluster] = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "mainnet",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "devnet",
}
"""Any other chain is `local`."""


class ClusterGuard:
    """Judges nodes: all must be of the one expected chain, and mainnet has to be allowed.

    A node of another chain would swear that a transaction is absent which landed long ago.
    """

    def __init__(self, expected: Cluster, *, allow_mainnet: bool = False) -> None:
        self.expected = expected
        self._allow_mainnet = allow_mainnet
        self._genesis = ""

    def refusal(self, genesis: str) -> MaybeReason:
        """Why a node with this genesis hash must not be used; empty if it may."""
        cluster = GENESIS.get(genesis, "local")
        if cluster == "mainnet" and not self._allow_mainnet:
            return "mainnet-not-allowed"
        if cluster != self.expected or (self._genesis and genesis != self._genesis):
            return "wrong-cluster"
        self._genesis = genesis
        return ""
