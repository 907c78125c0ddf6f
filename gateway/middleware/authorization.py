"""What an endpoint asks of an API key: a scope, and whose orders it reaches. Pure.

Each endpoint names its `Permission` (`gateway.endpoints`). `guard` enforces it around every
handler; no handler checks a scope or an order in its path.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Reach(Enum):
    """The orders that an endpoint shows or changes, for a key without the scope `admin`.

    An order of another account is answered like an unknown id: same status, code and body.
    """

    NONE = "none"
    """No single order."""
    IN_PATH = "in-path"
    """The order in its path. Its owner is checked before the handler runs."""
    NAMED = "named"
    """The orders that its messages or parameters name. Each owner is checked by the handler."""
    LISTED = "listed"
    """All orders that its filters leave. The handler leaves out those of other accounts."""
    CREATED = "created"
    """The orders that it creates, and their client order IDs: of the key's own account."""


class Budget(Enum):
    """The bucket of a key's rate limit that a request is counted in.

    What lowers risk has buckets of its own, so that quotes, orders and reads cannot use them up,
    and neither can the cancels of single orders those of all orders or of a halt.
    """

    DEFAULT = "default"
    CANCEL = "cancel"
    """Cancelling one order."""
    CANCEL_MANY = "cancel-many"
    SWITCH = "switch"
    """Halt and resume."""


class Permission(NamedTuple):
    """What an endpoint asks of a key."""

    scope: str
    """One of `api_keys.SCOPES`. No scope contains another, except `admin`, which is every scope.
    Empty: no key is needed."""
    reach: Reach
    budget: Budget = Budget.DEFAULT

    @property
    def public(self) -> bool:
        """Whether the endpoint is served without a key."""
        return not self.scope


PUBLIC = Permission("", Reach.NONE)
