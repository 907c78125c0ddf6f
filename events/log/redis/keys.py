"""Every Redis key of the log.

All keys of a partition share a hash tag, so that a cluster keeps them on one node and one function
call can access them all.
"""

from __future__ import annotations

from events.order import STAGES

LAYOUT = "5"
"""Changes with any key, field, head format or event name. Processes of other layouts are refused.

Layout 5 has the event names of `events.types.FORMER_NAMES`, which earlier builds cannot read.
"""

UPGRADABLE_LAYOUTS = ("1", "2", "3", "4")
"""Layouts that `open` upgrades in place. Their contents mean the same, except that names of open
orders could expire before layout 4: see `names` in `meta`."""

assert LAYOUT not in UPGRADABLE_LAYOUTS

GROUP = "workers"
"""The consumer group of every inbox."""

PERMITS = "oee:{limits}:permits"
"""Sorted set: the CONCURRENCY permits, `<worker>:<number>`, by the end (ms) of their leases. With a
hash tag of its own: a permit is never atomic with an append."""

HOLDERS = "oee:{limits}:holders"
"""Sorted set: ids of orders that have held a permit for some time, by the end (ms) of leases."""

STAGE_KEYS = ("inbox", "due", "shares")
"""The keys of a stage, by the names of their functions in `Keys`, in the order of an append."""


class Keys:
    """The keys of one partition."""

    def __init__(self, partition: int = 0) -> None:
        tag = f"oee:{{{partition}}}"
        self.meta = f"{tag}:meta"
        """Hash: epoch, layout, position of the newest event, base (after which position this
        epoch began, if it is not the first), suspended (why, if it is), halted (1 while it is),
        verified (run id of the server whose log was compared with the archive), news (number of
        the newest entry of the book stream), chain (on which the orders trade, once a trading
        process has joined), aside (how many entries were ever set aside), names (`kept` once names
        of open orders do not expire: before layout 4 they did)."""
        self.archive_fault = f"{tag}:archive_fault"
        """String: why the projector cannot write to Postgres; missing while it can."""
        self.fenced = f"{tag}:fenced"
        """`meta` under another key while a repair runs, so that no process can open the log."""
        self.rewritten = f"{tag}:rewritten"
        """The stream that a repair writes, until it replaces `log`."""
        self.log = f"{tag}:log"
        """Stream of batches: id `<position of the last event>-0`, fields t (µs), b (records)."""
        self.aside = f"{tag}:aside"
        """Stream of entries that no append wrote, moved out of `log`: field i, the former id of
        each, then its own fields. At most about ASIDE_KEPT of functions.lua."""
        self.open = f"{tag}:open"
        """Sorted set: ids of orders that are not terminal, by creation (ms)."""
        self.parked = f"{tag}:parked"
        """Sorted set: ids of parked orders, by time (ms)."""
        self.owed = f"{tag}:owed"
        """Hash: stage number -> number of orders whose next event is the stage's."""
        self.expiry = f"{tag}:expiry"
        """Sorted set: ids of orders that are not terminal and expire, by that time (ms)."""
        self.book = f"{tag}:book"
        """Stream of news for books: id `<number>-0`, field o, joined ids of orders that started to
        rest, changed while resting or stopped resting."""
        self.aliases = f"{tag}:aliases"
        """Hash: open order -> further names that repeated requests added, each after its length
        (u16 BE). The append that ends the order does not carry them."""
        self.watchers = f"{tag}:watchers"
        """Sorted set: live watchers, by the end (ms) of their leases."""
        self.leases = f"{tag}:leases"
        """Hash: pair -> `<until ms> <watcher>`, the lease of the watcher that follows its ticks."""
        self.slots = f"{tag}:slots"
        """Hash: pair -> the last slot whose ticks were processed completely."""
        self.heard = f"{tag}:heard"
        """Hash: pair -> the number of the last news that its watcher had read at that slot."""
        self._order = f"{tag}:order:"
        self._idempotency = f"{tag}:idem:"
        self._inbox = f"{tag}:inbox:"
        self._mark = f"{tag}:mark:"
        self._due = f"{tag}:due:"
        self._shares = f"{tag}:shares:"
        self.stages = [
            key for stage in STAGES for key in (getattr(self, name)(stage) for name in STAGE_KEYS)
        ]

    def order(self, order_id: str) -> str:
        """String: the head of an order (see `events.log.head`)."""
        return self._order + order_id

    def mark(self, reader: str) -> str:
        """String: the position that a reader of the log has reached."""
        return f"{self._mark}{reader}"

    def idempotency(self, account: str, kind: str, key: str) -> str:
        """String: the id of the order under a client's key, and the digest of its request. It does
        not expire while the order is open; the window starts when the order ends.
        """
        # A client chooses `key`: without colons in the account, the keys of accounts are disjoint.
        escaped = account.replace("%", "%25").replace(":", "%3A")
        return f"{self._idempotency}{escaped}:{kind}:{key}"

    def names(
        self, account: str, client_order_id: str | None, idempotency_key: str | None
    ) -> tuple[str, ...]:
        """The idempotency keys of an order that was posted with these names."""
        names = (("client", client_order_id), ("key", idempotency_key))
        return tuple(
            self.idempotency(account, kind, name) for kind, name in names if name is not None
        )

    def inbox(self, stage: str) -> str:
        """Stream: the stage's work queue; field o, joined order ids of 36 characters."""
        return self._inbox + stage

    def due(self, stage: str) -> str:
        """Sorted set: delayed orders, by the server time (ms) at which the stage gets them; the
        fraction of the score is why they wait: see `events.order.wait_reasons`.
        """
        return self._due + stage

    def shares(self, stage: str) -> str:
        """Hash: inbox entry -> which of its orders are settled, while only some of them are."""
        return self._shares + stage
