"""Authorization: what each route of `app` asks of a key, and whose orders it shows. One table.

Rule of this file: pure. `app` enforces it, once, around every handler, and does not start with a
route that has no row here. No handler checks a scope or an order in its path.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Reach(Enum):
    """The orders of an operation, as a key sees them that is not `admin`.

    An order of another account is answered as an id that never was: same status, code and body.
    """

    NONE = "none"
    """It shows and changes no single order."""
    IN_PATH = "in-path"
    """The one in its path: looked at before the handler runs."""
    NAMED = "named"
    """Those that its messages or parameters name: each is looked at when it is named."""
    LISTED = "listed"
    """All, or what filters leave of them: those of other accounts are left out."""
    CREATED = "created"
    """Those that it makes: of the key's own account, as are the names that clients give them."""


class Permission(NamedTuple):
    """What a key must be good for."""

    scope: str
    """Of `api_keys.SCOPES`, by membership: no scope contains another, but `admin` is every scope.
    Empty: everybody may, without a key."""
    reach: Reach

    @property
    def public(self) -> bool:
        """Whether no key is asked for."""
        return not self.scope


PUBLIC = Permission("", Reach.NONE)

PERMISSIONS: dict[tuple[str, str], Permission] = {
    ("POST", "/api/orders/execute"): Permission("trade", Reach.CREATED),
    ("GET", "/api/orders/execute"): Permission("read", Reach.NAMED),
    ("POST", "/api/orders/batch"): Permission("trade", Reach.CREATED),
    ("GET", "/api/orders"): Permission("read", Reach.LISTED),
    ("DELETE", "/api/orders"): Permission("cancel", Reach.LISTED),
    ("GET", "/api/orders/{id}"): Permission("read", Reach.IN_PATH),
    ("PATCH", "/api/orders/{id}"): Permission("trade", Reach.IN_PATH),
    ("DELETE", "/api/orders/{id}"): Permission("cancel", Reach.IN_PATH),
    ("GET", "/api/orders/{id}/events"): Permission("read", Reach.IN_PATH),
    ("GET", "/api/events"): Permission("read", Reach.LISTED),
    ("GET", "/api/quotes"): Permission("read", Reach.NONE),
    ("POST", "/api/admin/halt"): Permission("admin", Reach.NONE),
    ("POST", "/api/admin/resume"): Permission("admin", Reach.NONE),
    ("POST", "/api/admin/parked/{id}/settle"): Permission("admin", Reach.IN_PATH),
    ("POST", "/api/admin/parked/{id}/requeue"): Permission("admin", Reach.IN_PATH),
    ("POST", "/api/admin/parked/{id}/discard"): Permission("admin", Reach.IN_PATH),
    ("GET", "/api/audit/orders/{id}"): Permission("read", Reach.IN_PATH),
    ("GET", "/api/audit/orders/{id}/proof"): Permission("read", Reach.IN_PATH),
    ("GET", "/api/audit/state"): Permission("admin", Reach.NONE),
    ("GET", "/api/audit/verify"): Permission("admin", Reach.NONE),
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): Permission("read", Reach.NONE),
    ("GET", "/api/tokens"): Permission("read", Reach.NONE),
    ("GET", "/"): PUBLIC,
    ("GET", "/static/{name}"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/asyncapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
}


class Unauthorized(Exception):
    """Routes and permissions do not match: a bug, for which the gateway does not start."""


def check_routes(routes: Iterable[tuple[str, str]]) -> None:
    """Raises Unauthorized unless there is a row for each route, and a route for each row."""
    served = set(routes)
    faults = [f"{m} {path} has no permission" for m, path in sorted(served - PERMISSIONS.keys())]
    faults += [f"{m} {path} is not served" for m, path in sorted(PERMISSIONS.keys() - served)]
    faults += [
        f"{m} {path} names no order in its path"
        for (m, path), permission in PERMISSIONS.items()
        if (permission.reach is Reach.IN_PATH) is not ("{id}" in path)
    ]
    if faults:
        raise Unauthorized("; ".join(faults))
