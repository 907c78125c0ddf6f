"""Authentication: the principal of a request, by the API keys in the log.

Where keys are not required, a request without one acts for the default account, has all scopes and
sees all orders. A key that is sent is always enforced.

Each gateway reads the keys twice a second, so that a revoked key is refused within that time. An
unknown key triggers a read at once, because it may be new. Until the first read no key is valid.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiohttp import hdrs, web

from events.commands import api_keys
from events.commands.api_keys import SCOPES, PresentedKey
from events.log import EventLog, LogError
from events.secret import SecretText
from events.streams import ApiKey
from events.telemetry.server_clock import now_us as server_now_us
from gateway.http import response_headers
from gateway.http.access_log import KEY_ID
from gateway.http.problems import Problem
from gateway.middleware.authorization import Permission
from gateway.middleware.rate_limit import Rates

WATCH_S = 0.5
ASK_S = 1.5
LOOK_S = 0.05
"""The least time between two reads of the keys, however many unknown keys are tried."""
ADMIN = "admin"
BEARER = "Bearer "
SUBPROTOCOL = "oee"
OFFERED = "bearer."
"""The subprotocol that carries a key: browsers cannot set headers of a WebSocket."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="oee"'}


class Principal(NamedTuple):
    """The authenticated party of a request."""

    key_id: str
    """Empty without a key."""
    account: str
    """The account of the orders that it creates."""
    visible: str | None
    """The account whose orders it sees; None is all accounts."""
    scopes: frozenset[str]
    shown: PresentedKey | None = None
    """The key that the request presented."""


PRINCIPAL = web.RequestKey("principal", Principal)
BOUND = web.RequestKey("bound", bool)
"""Set once the handler has asked for the account that it acts for."""


class Authenticator:
    """Authenticates requests."""

    def __init__(
        self,
        log: EventLog,
        *,
        account: str,
        required: bool = False,
        rates: Rates | None = None,
        cut: Callable[[Callable[[Principal], bool]], None] = lambda _: None,
    ) -> None:
        """`cut`: closes the connections of principals whose key is no longer valid."""
        self._rates = rates
        self._cut = cut
        self._log = log
        self._required = required
        self._anonymous = Principal("", account, None, frozenset(SCOPES))
        self._keys: Sequence[ApiKey] | None = None
        self._looking = asyncio.Lock()
        self._looked_at = 0.0

    async def admit(self, request: web.Request, permission: Permission) -> Principal:
        """The principal of a request that needs this permission. Raises Problem."""
        text = _presented(request)
        if text is None and not self._required:
            principal = self._anonymous
        else:
            principal = self._known(text) or await self._refresh_and_authenticate(text)
        if self._rates is not None:
            self._count(self._rates, principal, request, permission.budget.value)
        if (scope := permission.scope) not in principal.scopes:
            raise Problem("scope-missing", f"this needs a key with the scope `{scope}`")
        request[PRINCIPAL] = principal
        request[KEY_ID] = principal.key_id
        return principal

    async def watch(self) -> None:
        """Reads the keys and cuts connections of invalid ones, for as long as the gateway runs."""
        while True:
            await self._look()
            self._cut(self._is_gone)
            await asyncio.sleep(WATCH_S)

    async def _look(self) -> None:
        """Reads the keys as of now or later; concurrent calls share one read each LOOK_S."""
        asked_at = time.monotonic()
        async with self._looking:
            if self._looked_at >= asked_at:
                return  # another call's read began after this one
            await asyncio.sleep(self._looked_at + LOOK_S - time.monotonic())
            self._looked_at = time.monotonic()
            try:
                async with asyncio.timeout(ASK_S):
                    self._keys = await api_keys.listed(self._log)
            except (LogError, TimeoutError):
                pass  # what was good stays good: nothing can be written meanwhile

    async def _refresh_and_authenticate(self, text: SecretText | None) -> Principal:
        if text is None:
            raise Problem(
                "unauthenticated", "send `Authorization: Bearer <key>`", headers=_CHALLENGE
            )
        await self._look()
        if self._keys is None:
            raise Problem("log-unavailable", "the keys were not read yet")
        principal = self._known(text)
        if principal is None:
            raise Problem("unauthenticated", "this key is not good (any more)", headers=_CHALLENGE)
        return principal

    def _known(self, text: SecretText | None) -> Principal | None:
        if text is None or self._keys is None:
            return None
        presented = api_keys.shown(text)
        key = api_keys.authenticate(presented, self._keys, server_now_us())
        if key is None:
            return None
        scopes = SCOPES if ADMIN in key.scopes else key.scopes
        visible = None if ADMIN in key.scopes else key.account
        return Principal(key.id, key.account, visible, frozenset(scopes), presented)

    def _is_gone(self, principal: Principal) -> bool:
        if self._keys is None or principal.shown is None:
            return False
        return api_keys.authenticate(principal.shown, self._keys, server_now_us()) is None

    @staticmethod
    def _count(rates: Rates, principal: Principal, request: web.Request, budget: str) -> None:
        caller = principal.key_id or request.remote or ""
        taken = rates.take(f"{budget} {caller}", time.monotonic())
        response_headers.add(request, rates.headers(taken, budget))
        if not taken.allowed:
            retry = {"Retry-After": str(taken.reset_s)}
            raise Problem("rate-limited", "too many requests", headers=retry)


def principal_of(request: web.Request) -> Principal:
    """The principal that `admit` returned for a request."""
    return request[PRINCIPAL]


def own_account(request: web.Request) -> str:
    """The account of the orders that the request creates."""
    request[BOUND] = True
    return request[PRINCIPAL].account


def visible_account(request: web.Request) -> str | None:
    """The account of the orders that the request may list or name; None is all accounts."""
    request[BOUND] = True
    return request[PRINCIPAL].visible


def actor_name(request: web.Request, actor: str | None) -> str:
    """The actor as events record it: its name, and the id of its key."""
    principal = request[PRINCIPAL]
    name = actor or principal.account
    return f"{name} (key {principal.key_id})" if principal.key_id else name


def _presented(request: web.Request) -> SecretText | None:
    """The key of a request; None without one. Raises Problem for another scheme."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        if header[: len(BEARER)].lower() != BEARER.lower():
            raise Problem("unauthenticated", "the scheme is Bearer", headers=_CHALLENGE)
        return SecretText(header[len(BEARER) :].strip())
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)
    if offered is None:
        return None
    names = [name.strip() for name in offered.split(",")]
    token = next((name[len(OFFERED) :] for name in names if name.startswith(OFFERED)), None)
    if token is not None and SUBPROTOCOL not in names:
        # The library would log what was offered.
        raise Problem("unauthenticated", "offer the subprotocol `oee` too", headers=_CHALLENGE)
    return None if token is None else SecretText(token)
