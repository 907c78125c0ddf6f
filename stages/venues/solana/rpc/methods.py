"""The methods of Solana's JSON-RPC that the engine uses, typed, as one client.

They are in `account_methods`, `chain_methods` and `transaction_methods`, named as in the protocol:
https://solana.com/docs/rpc/http. All raise what `RpcLink.call` raises, and ValueError for more than
a call may ask for.
"""

from __future__ import annotations

from typing import Any

from stages.venues.solana.rpc.account_methods import AccountMethods
from stages.venues.solana.rpc.calls import Ask
from stages.venues.solana.rpc.chain_methods import ChainMethods
from stages.venues.solana.rpc.errors import RpcError
from stages.venues.solana.rpc.faults import About
from stages.venues.solana.rpc.link import AtNode, NodeHealth
from stages.venues.solana.rpc.node import NodeFault
from stages.venues.solana.rpc.transaction_methods import TransactionMethods


class Rpc(AccountMethods, ChainMethods, TransactionMethods):
    """A client of the nodes of a cluster."""

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()

    def health(self) -> list[NodeHealth]:
        """Each node, and why it is not asked now."""
        return self._link.health()

    async def ask_each(self, ask: Ask) -> list[Any]:
        """Of each node that answers: the result, or its RpcError. Raises as `everywhere`."""

        async def look(node: AtNode) -> Any:
            try:
                return await node.ask(ask)
            except NodeFault as fault:
                if fault.fault.about is not About.REQUEST:
                    raise
                return RpcError(fault.fault.number or 0, fault.fault.text)

        return await self._link.everywhere([ask.method], look)
