"""The options of nodes, cache and chain: frozen structs, made from the settings in `engine`."""

from __future__ import annotations

from typing import Literal

import msgspec

from events.secret import SecretUrl

Commitment = Literal["processed", "confirmed", "finalized"]
Simulate = Literal["auto", "always", "never"]


class RpcOptions(msgspec.Struct, frozen=True):
    """How nodes are asked. A call ends within `deadline_s`, whatever they do."""

    urls: tuple[SecretUrl, ...]
    """In order of preference. They may carry keys."""
    timeout_s: float = 3.0
    """Longest wait for one answer of one node."""
    deadline_s: float = 8.0
    """Longest wait for a call, with all its tries on all nodes. Below the deadlines of the
    submitter and the confirmer (10 s), so that the error names the cause."""
    tries_max: int = 8
    backoff_s: float = 0.2
    """How long a node rests after a failure; doubles with each in a row, with jitter."""
    backoff_max_s: float = 4.0
    connections: int = 64
    """Open connections at most, over all nodes."""
    observed: bool = True
    """Whether log and metrics report refusals: not those of a check, which reports them itself."""


class CacheOptions(msgspec.Struct, frozen=True):
    """How the accounts of the pools are kept fresh."""

    slot_ms: int | None = None
    """The local chain's setting, 0 where its slots follow no clock; None: slots are measured."""
    read_ms: int = 0
    """Time between two readings; 0: such that every slot is seen."""
    stale_ms: int = 2_000
    """Data older than this is not quoted from, unless readings come more rarely."""
    commitment: Commitment = "processed"


class ChainOptions(msgspec.Struct, frozen=True):
    """How transactions are built, sent and judged."""

    cu_price: int = 10_000
    """Micro-lamports a compute unit: the priority fee."""
    simulate: Simulate = "auto"
    """When a transaction is simulated before it is sent: where its limits are not known, always or
    never."""
    cu_margin_percent: int = 130
    """The limit, of what the simulation consumed: prices move on, and swaps cross more then."""
    stalled_ms: int = 2_000
    """A chain whose slots have not advanced for so long, at least, cannot tell the outcome of a
    transaction."""
    sends_at_once: int = 16
    details_tries: int = 4
    """How often a landed transaction's balances are asked for before it is called unclear."""
