"""The aggregate: the state of an order, its events, their transitions and fold, and its next stage.

Pure, all of it: no clock, no network, no randomness. Imports the files beside it in `events`, and
no log or store. Public: what is exported here, `order_types` and `wait_reasons`.
"""

from events.order.fold import advance, copied, evolve, fold
from events.order.next_stage import (
    EXECUTED,
    IMMEDIATE_TIFS,
    STAGES,
    executed_by,
    executed_reason,
    may_cancel,
    may_still_land,
    next_attempt,
    next_stage,
    retry_reason,
    was_executed,
)
from events.order.state import Order, Transaction, decode, encode
from events.order.transitions import NEXT, status_after

__all__ = [
    "EXECUTED",
    "IMMEDIATE_TIFS",
    "NEXT",
    "STAGES",
    "Order",
    "Transaction",
    "advance",
    "copied",
    "decode",
    "encode",
    "evolve",
    "executed_by",
    "executed_reason",
    "fold",
    "may_cancel",
    "may_still_land",
    "next_attempt",
    "next_stage",
    "retry_reason",
    "status_after",
    "was_executed",
]
