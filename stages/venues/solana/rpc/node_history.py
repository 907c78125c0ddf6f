"""How far back a node sees: what it says of a signature that it does not know proves nothing of the
blocks before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.json import Decoder

from stages.venues.solana.rpc.calls import Ask
from stages.venues.solana.rpc.faults import About, Fault
from stages.venues.solana.rpc.link import AtNode
from stages.venues.solana.rpc.node import NodeFault

FIRST = "getFirstAvailableBlock"
LOWEST = "minimumLedgerSlot"
LOOK_BACK_SLOTS = 200
"""Some of so many slots hold a block, on a chain that goes on."""
LEDGER_MARGIN_SLOTS = 64
"""`minimumLedgerSlot` names a slot of which the node may have a part only."""

_number = Decoder(int)
_numbers = Decoder(list[int])


async def first_slot_of(node: AtNode, oldest_slot: int) -> int:
    """The oldest slot of which the node still has the block, or a later one: of three methods the
    first that it serves. Raises NodeFault, which names the first method, where it serves none.
    """
    ways: tuple[tuple[str, Callable[[], Awaitable[int]]], ...] = (
        (FIRST, lambda: _first_available(node)),
        ("getBlocks", lambda: _block_before(node, oldest_slot)),
        (LOWEST, lambda: _lowest_slot(node)),
    )
    missing: NodeFault | None = None
    for method, way in ways:
        if node.unserved(method):
            missing = missing or _missing(method, node.unserved(method))
            continue
        try:
            return await way()
        except NodeFault as fault:
            if fault.fault.about is not About.METHOD:
                raise
            missing = missing or _missing(method, f"{method}: {fault}")
    assert missing is not None, "each way returned or failed"
    raise missing


def _missing(method: str, text: str) -> NodeFault:
    return NodeFault(Fault(About.METHOD, text), "", method)


async def _first_available(node: AtNode) -> int:
    slot: int = await node.ask(Ask(FIRST, (), _number))
    return slot


async def _block_before(node: AtNode, oldest_slot: int) -> int:
    """A block at or before this slot that the node has: it sees so far back, at the least."""
    span = (max(0, oldest_slot - LOOK_BACK_SLOTS), max(0, oldest_slot))
    blocks: list[int] = await node.ask(
        Ask("getBlocks", (*span, {"commitment": "finalized"}), _numbers)
    )
    return min((slot for slot in blocks if slot <= span[1]), default=span[1] + 1)


async def _lowest_slot(node: AtNode) -> int:
    slot: int = await node.ask(Ask(LOWEST, (), _number))
    return slot and slot + LEDGER_MARGIN_SLOTS
