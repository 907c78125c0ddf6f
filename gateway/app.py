"""The application: the endpoints with their handlers, and what lives as long as the gateway.

`make_app` takes what it needs and reads no settings; `make_runner` serves it without an access
log. The log need not be open yet: until somebody has founded it and it can be joined, orders are
refused and /readyz says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web

from events.log import EventLog
from events.metrics import REQUESTS, RESPONSES
from events.money import Token
from gateway.api.admin import Admin
from gateway.api.audits import Audits, StoreUrls
from gateway.api.cancel_amend import CommandHandlers
from gateway.api.console import Console
from gateway.api.docs import Documents
from gateway.api.metrics import MetricsHandler
from gateway.api.orders import Orders
from gateway.api.parked import ParkedOrders, Settles, no_record
from gateway.api.quotes import Asks, Quotes
from gateway.backends.health import Health
from gateway.endpoints.endpoint import Endpoint
from gateway.endpoints.handlers import Handlers
from gateway.endpoints.table import ENDPOINTS
from gateway.http import response_headers
from gateway.http.problems import Problem
from gateway.http.protocol import Runner
from gateway.middleware.auth import Authenticator
from gateway.middleware.guard import Guard, Handler, check_bound
from gateway.middleware.origin import OriginGuard
from gateway.middleware.ownership import Ownership
from gateway.middleware.rate_limit import Rates
from gateway.spec.asyncapi import asyncapi
from gateway.spec.html import CSP, page
from gateway.spec.openapi import openapi
from gateway.streaming import sse, websocket
from gateway.streaming.connections import ConnectionLimiter
from gateway.streaming.sse import Streams
from gateway.streaming.websocket import Sockets
from projections.feed.feed import Feed
from projections.feed.history_reader import Archive

NOWHERE = StoreUrls()
BODY_BYTES = 1_000_000
"""More than 500 orders of the longest kind."""

LINE_BYTES = 8190
"""Longest request line, and longest header."""

HEADERS_MAX = 100

IDLE_S = 75.0
"""Above the 60 s after which the usual proxies let go of a connection: they close first."""

SHUTDOWN_S = 0.5
"""For requests under way, after the streams and sockets are closed."""
STOP_S = sse.SHUTDOWN_S + websocket.SHUTDOWN_S + SHUTDOWN_S
"""All of a stop."""

_CODES = {int(status): str(int(status)) for status in HTTPStatus}


class UnknownRoute(Exception):
    """The router has a route without an entry in `ENDPOINTS`, and so without a permission."""


def make_app(
    *,
    log: EventLog,
    archive: Archive,
    tokens: Mapping[str, Token],
    account: str,
    quotes: Asks,
    market_fault: Callable[[], str] = lambda: "",
    chain_facts: Callable[[], Mapping[str, Any] | None] = lambda: None,
    heartbeat_ms: int = 5000,
    slow_s: float = 5.0,
    stuck_after_s: float = 20.0,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    keys_required: bool = False,
    rates: Rates | None = None,
    sockets_max: int = 0,
    sockets_max_each: int = 0,
    explorer: str = "",
    records: StoreUrls = NOWHERE,
    settles: Settles = no_record,
) -> web.Application:
    """The gateway. It closes neither `log` nor `archive`: whoever made them does.

    `quotes`: asks the venues; `market_fault`: why none can be asked, else empty;
    `chain_facts`: what is known of the cluster, None without one; `hosts`:
    names besides localhost and addresses under which it is reached; `origins`: pages that may use
    it besides its own; `slow_s`: how long a socket may take to take 256 KiB; `stuck_after_s`: how
    long a stage may stand still until /readyz says so; `keys_required`: nobody comes in without an
    API key; `rates`: how many requests a key may make; `sockets_max`, `sockets_max_each`: how many
    sockets and streams there may be, in all and of one key or address, 0 is any number; `explorer`:
    see `views.explorer`; `records`: where log and archive are, for audits; `settles`: asks
    the chain's record about a parked order.
    """
    health = Health(
        log,
        archive,
        stuck_after_s=stuck_after_s,
        market_fault=market_fault,
        chain_facts=chain_facts,
    )
    feed = Feed(log, archive, heartbeat_ms=heartbeat_ms, slow_s=slow_s, explorer=explorer)
    ownership = Ownership(feed.past)
    access = Authenticator(log, account=account, required=keys_required, rates=rates)
    presence = ConnectionLimiter(sockets_max, sockets_max_each)
    access.gone = presence.cut
    sockets = Sockets(log, feed, health, presence, ownership)
    streams = Streams(log, feed, health, presence, heartbeat_ms=heartbeat_ms)
    handlers = Handlers(
        orders=Orders(log, archive, feed, health, tokens=tokens, explorer=explorer),
        commands=CommandHandlers(log, archive, health, tokens=tokens, explorer=explorer),
        sockets=sockets,
        streams=streams,
        quotes=Quotes(quotes, tokens, log.partition),
        admin=Admin(log, archive, health),
        parked=ParkedOrders(log, archive, feed.past, health, settles, explorer=explorer),
        audits=Audits(feed, presence, records, explorer),
        health=health,
        metrics=MetricsHandler(log, archive, health, sockets),
        console=Console(tokens),
        documents=Documents(openapi, asyncapi, page, CSP),
    )

    async def life(_: web.Application) -> AsyncIterator[None]:
        watches = [
            asyncio.create_task(health.watch(), name="watch"),
            asyncio.create_task(access.watch(), name="keys"),
        ]
        yield
        for watch in watches:
            watch.cancel()
        await asyncio.wait(watches)
        await feed.close()

    app = web.Application(client_max_size=BODY_BYTES)
    app.cleanup_ctx.append(life)
    app.on_shutdown.append(sockets.shutdown)
    app.on_shutdown.append(streams.shutdown)
    app.on_response_prepare.append(check_bound)
    app.on_response_prepare.append(response_headers.name_server)
    _add_routes(app, handlers, OriginGuard(hosts, origins), Guard(access, ownership))
    return app


def make_runner(app: web.Application, *, idle_s: float = IDLE_S) -> Runner:
    """The server of the application. Signals are the caller's.

    A connection that sends no complete request head for `idle_s` is closed, however slowly its
    bytes arrive. Raises UnknownRoute for a route that is not an endpoint.
    """
    check_routes(app)
    return Runner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=idle_s,
        max_line_size=LINE_BYTES,
        max_field_size=LINE_BYTES,
        max_headers=HEADERS_MAX,
    )


def check_routes(app: web.Application) -> None:
    """Raises UnknownRoute for a route that was added to the router beside the endpoints."""
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != hdrs.METH_ANY and route.resource is not None
    }
    if unknown := sorted(served - ENDPOINTS.keys()):
        raise UnknownRoute("; ".join(f"{m} {path} has no permission" for m, path in unknown))


def _add_routes(
    app: web.Application, handlers: Handlers, origin_guard: OriginGuard, guard: Guard
) -> None:
    allowed: dict[str, list[str]] = {}
    for endpoint in ENDPOINTS.values():
        handler = guard.of(endpoint.permission, endpoint.handler(handlers))
        measured = _metered(endpoint, _guarded(handler, origin_guard))
        app.router.add_route(endpoint.method, endpoint.path, measured)
        allowed.setdefault(endpoint.path, []).append(endpoint.method)

    def refuse(path: str) -> Handler:
        allow = ", ".join(allowed[path])

        async def answer(request: web.Request) -> web.StreamResponse:
            if origin_guard.asked_for(request):
                return web.Response(status=204, headers=origin_guard.preflight(allow))
            raise Problem("method-not-allowed", f"allowed: {allow}", headers={hdrs.ALLOW: allow})

        return answer

    for path in allowed:
        app.router.add_route("*", path, _guarded(refuse(path), origin_guard))
    app.router.add_route("*", "/{path:.*}", _guarded(_nothing_here, origin_guard))


def _metered(endpoint: Endpoint, handle: Handler) -> Handler:
    """Counts the responses of an endpoint and measures their duration, but for WebSockets."""
    histogram = REQUESTS.of(f"{endpoint.method} {endpoint.path}")

    async def measured(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        answer = await handle(request)
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            histogram.observe(time.perf_counter() - began)
            RESPONSES.add(_CODES[answer.status])
        return answer

    return measured


def _guarded(handler: Handler, guard: OriginGuard) -> Handler:
    """Checks Host and Origin, and turns every exception into a problem document."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse
        try:
            guard.check(request)
            answer = await handler(request)
        except Problem as problem:
            answer = problem.response()
        except web.HTTPRequestEntityTooLarge:
            answer = Problem("payload-too-large", f"at most {BODY_BYTES} bytes").response()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            structlog.get_logger().exception(
                "a request failed", path=request.path, order_id=request.match_info.get("id")
            )
            answer = Problem("internal").response()
        if (more := response_headers.of(request)) and not answer.prepared:
            answer.headers.update(more)
        return answer

    return handle


async def _nothing_here(request: web.Request) -> web.StreamResponse:
    raise Problem("not-found", request.path[:200])
