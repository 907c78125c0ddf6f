"""The event log on Redis Streams: keys, commands and atomic appends, without policy.

Imports `events.order` and `events.streams`, and no archive, audit or command. Public: what is
exported here; other rooms import no module of this folder or of `redis/`.
"""

from events.log.append import NEVER_MS
from events.log.append_request import (
    WAIT_MAX_MS,
    AppendRequest,
    AppendResult,
    AppendStatus,
    Delivery,
    Idempotency,
    ack_only,
)
from events.log.continuity import Continuity, LogIdentity, check_continuity
from events.log.entries import RawEntry, Reason, Refused, batch_of, foreign_id
from events.log.event_log import EVICTING, HEADS_KEPT_MS, INBOX_ORDERS, EventLog
from events.log.foreign_entries import Foreign
from events.log.head import (
    DAMAGED,
    EMPTY,
    NO_STAGE,
    PARKED,
    POSITIONS_KEPT,
    PREFIX_LENGTH,
    RESTING,
    STAGE_NUMBER,
    OrderHead,
    decode_head,
    encode_head,
    engine_in,
    head_of,
    new_order,
    next_stage_code,
    order_in,
    state_in,
)
from events.log.inbox import SUSPECT_DELIVERY_COUNT, Inbox, InboxMessage
from events.log.outcome_counters import OUTCOME_COUNTERS
from events.log.pair_leases import ExpiredOrders, LeaseGrant, PairLeases, PairProgress
from events.log.reader import Batch, LogReader, Stored
from events.log.redis.keys import GROUP, HOLDERS, LAYOUT, PERMITS, UPGRADABLE_LAYOUTS, Keys
from events.log.redis.library import RedisFunctions
from events.log.redis.link import (
    ClusterMismatch,
    Damaged,
    Fenced,
    Full,
    LogError,
    LogTruncated,
    Missing,
    OutcomeUnknown,
    RedisConnection,
    Rejected,
    Unavailable,
    Unsuitable,
    other_chain,
)
from events.log.redis.names import safe_name
from events.log.redis.refusals import is_permanent
from events.log.waiting import (
    PERMIT_STAGES,
    StageState,
    StageWaits,
    Waiting,
    WorkerProcess,
    Workers,
)

__all__ = [
    "DAMAGED",
    "EMPTY",
    "EVICTING",
    "GROUP",
    "HEADS_KEPT_MS",
    "HOLDERS",
    "INBOX_ORDERS",
    "LAYOUT",
    "NEVER_MS",
    "NO_STAGE",
    "OUTCOME_COUNTERS",
    "PARKED",
    "PERMITS",
    "PERMIT_STAGES",
    "POSITIONS_KEPT",
    "PREFIX_LENGTH",
    "RESTING",
    "STAGE_NUMBER",
    "SUSPECT_DELIVERY_COUNT",
    "UPGRADABLE_LAYOUTS",
    "WAIT_MAX_MS",
    "AppendRequest",
    "AppendResult",
    "AppendStatus",
    "Batch",
    "ClusterMismatch",
    "Continuity",
    "Damaged",
    "Delivery",
    "EventLog",
    "ExpiredOrders",
    "Fenced",
    "Foreign",
    "Full",
    "Idempotency",
    "Inbox",
    "InboxMessage",
    "Keys",
    "LeaseGrant",
    "LogError",
    "LogIdentity",
    "LogReader",
    "LogTruncated",
    "Missing",
    "OrderHead",
    "OutcomeUnknown",
    "PairLeases",
    "PairProgress",
    "RawEntry",
    "Reason",
    "RedisConnection",
    "RedisFunctions",
    "Refused",
    "Rejected",
    "StageState",
    "StageWaits",
    "Stored",
    "Unavailable",
    "Unsuitable",
    "Waiting",
    "WorkerProcess",
    "Workers",
    "ack_only",
    "batch_of",
    "check_continuity",
    "decode_head",
    "encode_head",
    "engine_in",
    "foreign_id",
    "head_of",
    "is_permanent",
    "new_order",
    "next_stage_code",
    "order_in",
    "other_chain",
    "safe_name",
    "state_in",
]
