"""The log: the one door to Redis. It knows keys and commands, and no policy."""

from events.log.asking import StageLag
from events.log.entries import Reason, Refused
from events.log.event_log import EVICTING, HEADS_KEPT_MS, INBOX_ORDERS, EventLog
from events.log.head import EMPTY, PARKED, POSITIONS_KEPT, RESTING, STAGE_NUMBER, Head
from events.log.inbox import Entry, Inbox
from events.log.reading import Batch, LogReader, Stored
from events.log.redis.keys import GROUP, LAYOUT
from events.log.redis.link import (
    Damaged,
    Fenced,
    Full,
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
from events.log.units import Appended, Idempotency, Result, Share, Unit, settle_only
from events.log.watch import Claims, Due, Followed, Watches
from events.log.workers import Workers

__all__ = [
    "EMPTY",
    "EVICTING",
    "GROUP",
    "HEADS_KEPT_MS",
    "INBOX_ORDERS",
    "LAYOUT",
    "PARKED",
    "POSITIONS_KEPT",
    "RESTING",
    "STAGE_NUMBER",
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
    "LogError",
    "LogReader",
    "Missing",
    "OtherChain",
    "Reason",
    "Refused",
    "Regressed",
    "Result",
    "Share",
    "StageLag",
    "Stored",
    "Unanswered",
    "Unavailable",
    "Unit",
    "Unsuitable",
    "Watches",
    "Workers",
    "other_chain",
    "settle_only",
]
