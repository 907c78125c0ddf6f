"""What stands around every handler: who asks, what for, and whose order it is.

Made from the table of `authorization` and from nothing else. A handler that makes, lists or names
orders has to ask for the account to do it for: the answer of one that did not is never sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.middleware.auth import BOUND, Authenticator, visible_account
from gateway.middleware.authorization import PERMISSIONS, Permission, Reach
from gateway.middleware.ownership import Ownership
from gateway.parsing.parameters import order_id_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PERMISSION = web.RequestKey("permission", Permission)
_FREE = (Reach.NONE, Reach.IN_PATH)
"""Where the handler has no account to ask for: there is no order, or it was looked at before."""


class Guard:
    """Lets in what the table permits."""

    def __init__(self, access: Authenticator, ownership: Ownership) -> None:
        self._access = access
        self._ownership = ownership

    def of(self, method: str, path: str, handler: Handler) -> Handler:
        """The handler of a route behind its guard."""
        permission = PERMISSIONS[method, path]
        return handler if permission.public else self._guarded(permission, handler)

    def _guarded(self, permission: Permission, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            request[_PERMISSION] = permission
            await self._access.admit(request, permission.scope)
            if permission.reach is Reach.IN_PATH:
                order_id = order_id_of(request.match_info["id"])
                await self._ownership.check(visible_account(request), order_id)
            answer = await handler(request)
            if not answer.prepared:
                await check_bound(request, answer)
            return answer

        return handle


async def check_bound(request: web.Request, response: web.StreamResponse) -> None:
    """Raises RuntimeError for an answer that is bound to no account.

    Also a signal of aiohttp, before the first byte of a stream or a socket.
    """
    permission = request.get(_PERMISSION)
    if permission is None or permission.reach in _FREE or response.status >= 400:
        return
    if BOUND not in request:
        raise RuntimeError(f"{request.method} {request.path} asked for no account")
