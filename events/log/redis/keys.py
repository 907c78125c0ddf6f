"""Every Redis key of the log, in one place.

All keys of a partition share a hash tag, so that a cluster keeps them on one node and one function
call can touch them all.
"""

from __future__ import annotations

from events.order import STAGES

LAYOUT = "5"
"""Changes with any key, field, head format or event name; a process of another layout is refused.

Layout 5 has the event names of `events.types.FORMER_NAMES`, which earlier builds cannot read.
"""

UPGRADABLE_LAYOUTS = ("1", "2", "3", "4")
"""A log of one of these layouts is taken over. All of it means the same in ours, except that names
of open orders could expire before layout 4: see `names` in `meta`."""

assert LAYOUT not in UPGRADABLE_LAYOUTS

GROUP = "workers"
"""The consumer group of every inbox."""

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
        the newest entry of the book stream), chain (on which the orders trade, once somebody who
        trades has joined), aside (how many entries were ever set aside), names (`kept` once no name
        of an open order expires: before layout 4 they did)."""
        self.fenced = f"{tag}:fenced"
        """Meta while a repair keeps everybody out: whoever looks for a log finds none."""
        self.rewritten = f"{tag}:rewritten"
        """The stream that a repair makes, until it takes the place of `log`."""
        self.log = f"{tag}:log"
        """Stream of batches: id `<position of the last event>-0`, fields t (µs), b (records)."""
        self.aside = f"{tag}:aside"
        """Stream of entries that the log did not write, taken out of its way: field i, the id that
        each had, then its own fields. At most about ASIDE_KEPT of functions.lua."""
        self.open = f"{tag}:open"
        """Sorted set: ids of orders that are not terminal, by creation (ms)."""
        self.parked = f"{tag}:parked"
        """Sorted set: ids of parked orders, by time (ms)."""
        self.owed = f"{tag}:owed"
        """Hash: stage -> number of orders it owes their next event."""
        self.expiry = f"{tag}:expiry"
        """Sorted set: ids of orders that are not terminal and expire, by that time (ms)."""
        self.book = f"{tag}:book"
        """Stream of news for books: id `<number>-0`, field o, joined ids of orders that began to
        rest, changed while resting or rest no longer."""
        self.aliases = f"{tag}:aliases"
        """Hash: open order -> further names that came with a repeated request, each with its length
        (u16 BE) before it: whoever ends the order does not know them."""
        self.watchers = f"{tag}:watchers"
        """Sorted set: watchers that are alive, by the time (ms) until which they are."""
        self.leases = f"{tag}:leases"
        """Hash: pair -> `<until ms> <watcher>`, who follows its ticks."""
        self.slots = f"{tag}:slots"
        """Hash: pair -> the last slot whose ticks were followed to the end."""
        self.heard = f"{tag}:heard"
        """Hash: pair -> the number of the news through which its follower knew of orders then."""
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
        """String: the position up to which a reader of the log has come."""
        return f"{self._mark}{reader}"

    def idempotency(self, account: str, kind: str, key: str) -> str:
        """String: the order that a client's key made, and the digest of its request. It does not
        expire while the order is open; the window begins when the order ends.
        """
        # A client chooses `key`: without a colon in the account no other account reads the same.
        of = account.replace("%", "%25").replace(":", "%3A")
        return f"{self._idempotency}{of}:{kind}:{key}"

    def names(
        self, account: str, client_order_id: str | None, idempotency_key: str | None
    ) -> tuple[str, ...]:
        """The idempotency keys of an order that was posted with these names."""
        named = (("client", client_order_id), ("key", idempotency_key))
        return tuple(
            self.idempotency(account, kind, name) for kind, name in named if name is not None
        )

    def inbox(self, stage: str) -> str:
        """Stream: what the stage has to look at; field o, order ids of 36 characters joined."""
        return self._inbox + stage

    def due(self, stage: str) -> str:
        """Sorted set: orders that wait, by the server time (ms) at which the stage wants them."""
        return self._due + stage

    def shares(self, stage: str) -> str:
        """Hash: inbox entry -> which of its orders are settled, where some are and some are not."""
        return self._shares + stage
