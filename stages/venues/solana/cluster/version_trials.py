"""Whether nodes take transactions of a version: one is simulated, and one is offered to be sent.

The cluster may take a version that a node, or what a provider puts in front of it, cannot read. The
trial holds a memo alone; its payer has no key and its signature is empty, so that it never lands.
It is longer than any v0 transaction: some who read a version keep the old limit of bytes.
"""

from __future__ import annotations

import re

from msgspec.json import Decoder
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from stages.venues import VenueRefusal
from stages.venues.solana.rpc.answers import At, Simulation
from stages.venues.solana.rpc.calls import Ask, base64_of
from stages.venues.solana.rpc.errors import RpcError
from stages.venues.solana.rpc.faults import unreadable_transaction
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.programs import MEMO, key
from stages.venues.solana.transaction.versions import CU_MAX, V0, VERSIONS, Budget

UNSUPPORTED_VERSION = "UnsupportedVersion"
"""The answers of a node to bytes that it can read, and its bank cannot execute."""
INVALID_PARAMS = -32602
"""The answers of a node to bytes that it cannot read as a transaction."""
_PAYER = Pubkey(bytes([1]) * 32)
_UNSUPPORTED = re.compile(
    r"transaction version|unsupported.?version|version is (?:un|not )supported|\bhttp 413\b"
)
_simulation = Decoder(At[Simulation])


def refuses_version(error: VenueRefusal, *, simulated: bool = False) -> bool:
    """Whether a refusal of a transaction may be one of its version. A simulation has no other
    parameters that could be invalid.
    """
    invalid = simulated and isinstance(error, RpcError) and error.number == INVALID_PARAMS
    words = error.detail.lower()
    return invalid or unreadable_transaction(words) or bool(_UNSUPPORTED.search(words))


def trial(version: int) -> bytes:
    """The bytes of a transaction of this version that can never land."""
    memo = Instruction(key(MEMO), b"-" * VERSIONS[V0].bytes_max, [])
    compiled = VERSIONS[version].compiled(_PAYER, [memo], Budget(CU_MAX, 0), Hash.default())
    return bytes(VersionedTransaction.populate(compiled, [Signature.default()]))


async def version_refusal(rpc: Rpc, version: int) -> str:
    """Why no node takes transactions of this version; empty where one does.

    Raises VenueRefusal where no node answers.
    """
    raw = base64_of(trial(version))
    unsigned = {"encoding": "base64", "sigVerify": False, "replaceRecentBlockhash": True}
    asks = (
        Ask("simulateTransaction", (raw, unsigned), _simulation),
        # With its preflight, which reports the missing signature.
        Ask("sendTransaction", (raw, {"encoding": "base64"}), Decoder()),
    )
    for ask in asks:
        refusals = [_refusal(ask, answer) for answer in await rpc.ask_each(ask)]
        if all(refusals):
            return f"{ask.method}: {refusals[0]}"
    return ""


def _refusal(ask: Ask, answer: At[Simulation] | VenueRefusal | object) -> str:
    """Why this node does not take it; empty where it does."""
    simulated = ask.method == "simulateTransaction"
    if isinstance(answer, VenueRefusal):
        return answer.detail if refuses_version(answer, simulated=simulated) else ""
    if isinstance(answer, At) and answer.value.err == UNSUPPORTED_VERSION:
        return UNSUPPORTED_VERSION
    return ""
