"""The log: the one door to Redis. It knows keys and commands, and no policy.

Imports `order`, and no archive, audit or command. Public: what is exported here; no other room
imports a module of this folder or of `redis/`.
"""

from events.log.asking import StageLag
from events.log.entries import RawEntry, Reason, Refused, batch_of, foreign_id
from events.log.event_log import EVICTING, HEADS_KEPT_MS, INBOX_ORDERS, EventLog
from events.log.head import (
    DAMAGED,
    EMPTY,
    NOBODY,
    PARKED,
    POSITIONS_KEPT,
    PREFIX_LENGTH,
    RESTING,
    STAGE_NUMBER,
    Head,
    decode_head,
    encode_head,
    engine_in,
    head_of,
    new_order,
    order_in,
    owes_number,
    state_in,
)
from events.log.inbox import SUSPECT_DELIVERIES, Entry, Inbox
from events.log.reading import Batch, LogReader, Stored
from events.log.redis.keys import GROUP, LAYOUT, RAISED_FROM, Keys
from events.log.redis.library import Library
from events.log.redis.link import (
    Damaged,
    Fenced,
    Full,
    Link,
    LogError,
    Missing,
    OtherChain,
    Regressed,
    Unanswered,
    Unavailable,
    Unsuitable,
    other_chain,
)
from events.log.tail import Foreign
from events.log.tally import NOTES
from events.log.units import Appended, Idempotency, Result, Share, Unit, settle_only
from events.log.watch import Claims, Due, Followed, Watches
from events.log.workers import StageState, Workers
from events.log.writing import NEVER_MS

__all__ = [
    "DAMAGED",
    "EMPTY",
    "EVICTING",
    "GROUP",
    "HEADS_KEPT_MS",
    "INBOX_ORDERS",
    "LAYOUT",
    "NEVER_MS",
    "NOBODY",
    "NOTES",
    "PARKED",
    "POSITIONS_KEPT",
    "PREFIX_LENGTH",
    "RAISED_FROM",
    "RESTING",
    "STAGE_NUMBER",
    "SUSPECT_DELIVERIES",
    "Appended",
    "Batch",
    "Claims",
    "Damaged",
    "Due",
    "Entry",
    "EventLog",
    "Fenced",
    "Followed",
    "Foreign",
    "Full",
    "Head",
    "Idempotency",
    "Inbox",
    "Keys",
    "Library",
    "Link",
    "LogError",
    "LogReader",
    "Missing",
    "OtherChain",
    "RawEntry",
    "Reason",
    "Refused",
    "Regressed",
    "Result",
    "Share",
    "StageLag",
    "StageState",
    "Stored",
    "Unanswered",
    "Unavailable",
    "Unit",
    "Unsuitable",
    "Watches",
    "Workers",
    "batch_of",
    "decode_head",
    "encode_head",
    "engine_in",
    "foreign_id",
    "head_of",
    "new_order",
    "order_in",
    "other_chain",
    "owes_number",
    "settle_only",
    "state_in",
]
