"""Enforces an endpoint's permission around its handler: key, scope, and owner of the order.

A handler that creates, lists or names orders must ask for the account that it acts for: the
response of a handler that did not is replaced by an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.http.access_log import ORDER_ID
from gateway.middleware.auth import BOUND, Authenticator, visible_account
from gateway.middleware.authorization import Budget, Permission, Reach
from gateway.middleware.ownership import Ownership
from gateway.parsing.parameters import order_id_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PERMISSION = web.RequestKey("permission", Permission)
_FREE = (Reach.NONE, Reach.IN_PATH)
"""Where a handler needs no account: no order is concerned, or its owner was checked before."""


class Guard:
    """Admits the requests that an endpoint permits."""

    def __init__(self, access: Authenticator, ownership: Ownership, urgent: Ownership) -> None:
        """`urgent`: asked where a request has a budget of its own."""
        self._access = access
        self._ownership = ownership
        self._urgent = urgent

    def of(self, permission: Permission, handler: Handler) -> Handler:
        """The handler with its permission enforced."""
        return handler if permission.public else self._guarded(permission, handler)

    def _guarded(self, permission: Permission, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            request[_PERMISSION] = permission
            await self._access.admit(request, permission)
            if permission.reach is Reach.IN_PATH:
                order_id = order_id_of(request.match_info["id"])
                request[ORDER_ID] = order_id
                shared = permission.budget is Budget.DEFAULT
                ownership = self._ownership if shared else self._urgent
                await ownership.check(visible_account(request), order_id)
            response = await handler(request)
            if not response.prepared:
                await check_bound(request, response)
            return response

        return handle


async def check_bound(request: web.Request, response: web.StreamResponse) -> None:
    """Raises RuntimeError for a response whose handler did not ask for an account.

    Also a signal of aiohttp, sent before the first byte of a stream or a socket.
    """
    permission = request.get(_PERMISSION)
    if permission is None or permission.reach in _FREE or response.status >= 400:
        return
    if BOUND not in request:
        raise RuntimeError(f"{request.method} {request.path} asked for no account")
