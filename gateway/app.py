"""The application: the endpoints with their handlers, and the tasks that run beside them.

`make_app` reads no settings; `make_runner` serves the application. While
the log does not exist or cannot be joined, orders are refused and /readyz gives the reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus

import structlog
from aiohttp import hdrs, web

from events.log import EventLog
from events.metrics import REQUESTS, RESPONSES
from gateway.api.admin import Admin
from gateway.api.audits import Audits
from gateway.api.cancel_amend import CommandHandlers
from gateway.api.console import Console
from gateway.api.docs import Documents
from gateway.api.metrics import MetricsHandler
from gateway.api.order_lookup import OrderViews
from gateway.api.order_reads import OrderReads
from gateway.api.orders import Orders
from gateway.api.parked import ParkedOrders
from gateway.api.prices import Prices
from gateway.api.quotes import Quotes
from gateway.backends.health import Health
from gateway.backends.price_history import PriceHistory
from gateway.endpoints.endpoint import Endpoint
from gateway.endpoints.handlers import Handlers
from gateway.endpoints.table import ENDPOINTS
from gateway.http import request_id, response_headers
from gateway.http.access_log import AccessLog
from gateway.http.connections import Connections
from gateway.http.expectations import answer_expectation
from gateway.http.problems import Problem
from gateway.http.protocol import Runner
from gateway.middleware.auth import Authenticator
from gateway.middleware.guard import Guard, Handler, check_bound
from gateway.middleware.origin import OriginGuard
from gateway.middleware.ownership import Ownership
from gateway.options import GatewayOptions
from gateway.spec.asyncapi import asyncapi
from gateway.spec.html import CSP, page
from gateway.spec.openapi import openapi
from gateway.streaming import sse, websocket
from gateway.streaming.connections import ConnectionLimiter
from gateway.streaming.refusals import refuse_stream
from gateway.streaming.sse import Streams
from gateway.streaming.websocket import Sockets
from projections.feed.feed import Feed
from projections.feed.history_reader import HistoryReader

BODY_BYTES = 1_000_000
"""More than 500 orders of the greatest length."""

LINE_BYTES = 8190
"""Longest request line, and longest header."""

HEADERS_MAX = 100

IDLE_S = 75.0
"""Above the 60 s after which common proxies close an idle connection, so that they close first."""

SHUTDOWN_S = 0.5
"""The time for open requests to finish, after streams and sockets are closed."""
STOP_S = sse.SHUTDOWN_S + websocket.SHUTDOWN_S + SHUTDOWN_S
"""The longest that a stop takes."""

Refuse = Callable[[web.Request, Problem], web.Response]
"""The response to a refused request."""

_CODES = {int(status): str(int(status)) for status in HTTPStatus}


class UnknownRoute(Exception):
    """The router has a route without an entry in `ENDPOINTS`, and so without a permission."""


def make_app(options: GatewayOptions) -> web.Application:
    """The gateway. It closes neither the log nor the archive."""
    health = Health(
        options.log,
        options.archive,
        stuck_after_s=options.stuck_after_s,
        market_fault=options.market_fault,
        chain_facts=options.chain_facts,
        concurrency=options.concurrency,
        restarts=options.restarts,
        signs=options.signs,
    )
    feed = Feed(
        options.log,
        options.archive,
        heartbeat_ms=options.heartbeat_ms,
        slow_s=options.slow_s,
        explorer=options.explorer,
    )
    # What lowers risk, and the keys that permit it, share no connection with what a flood uses.
    urgent = options.log.lane("urgent")
    ownership = Ownership(feed.past)
    urgent_ownership = Ownership(HistoryReader(urgent, options.archive))
    presence = ConnectionLimiter(options.sockets_max, options.sockets_max_each)
    access = Authenticator(
        urgent,
        account=options.account,
        required=options.keys_required,
        rates=options.rates,
        cut=presence.cut,
    )
    prices = PriceHistory(options.quotes, options.tokens, options.log.partition)
    handlers = _handlers(options, urgent, health, feed, presence, ownership, prices)
    app = web.Application(client_max_size=BODY_BYTES)
    app.cleanup_ctx.append(partial(_background, health, access, feed, prices))
    app.on_shutdown.append(handlers.sockets.shutdown)
    app.on_shutdown.append(handlers.streams.shutdown)
    app.on_response_prepare.append(check_bound)
    app.on_response_prepare.append(response_headers.name_server)
    app.on_response_prepare.append(request_id.name_request)
    origin_guard = OriginGuard(options.hosts, options.origins)
    _add_routes(app, handlers, origin_guard, Guard(access, ownership, urgent_ownership))
    return app


def _handlers(
    options: GatewayOptions,
    urgent: EventLog,
    health: Health,
    feed: Feed,
    presence: ConnectionLimiter,
    ownership: Ownership,
    prices: PriceHistory,
) -> Handlers:
    log, archive, tokens = options.log, options.archive, options.tokens
    sockets = Sockets(log, feed, health, presence, ownership)
    views = OrderViews(log, options.explorer, options.concurrency)
    return Handlers(
        orders=Orders(log, archive, health, tokens=tokens),
        order_reads=OrderReads(log, archive, feed, views, tokens),
        commands=CommandHandlers(log, urgent, archive, health, views, tokens),
        sockets=sockets,
        streams=Streams(log, feed, health, presence, heartbeat_ms=options.heartbeat_ms),
        quotes=Quotes(options.quotes, options.previews, health, tokens, log),
        prices=Prices(prices, tokens),
        admin=Admin(urgent, archive, health),
        parked=ParkedOrders(log, archive, feed.past, health, options.settles, views),
        audits=Audits(feed, presence, options.records, options.explorer),
        health=health,
        metrics=MetricsHandler(log, archive, health, sockets),
        console=Console(tokens),
        documents=Documents(openapi, asyncapi, page, CSP),
    )


async def _background(
    health: Health,
    access: Authenticator,
    feed: Feed,
    prices: PriceHistory,
    _: web.Application,
) -> AsyncIterator[None]:
    """Watches log and keys for as long as the application runs, then closes the feed."""
    watches = [
        asyncio.create_task(health.watch(), name="watch"),
        asyncio.create_task(health.watch_ages(), name="ages"),
        asyncio.create_task(access.watch(), name="keys"),
        asyncio.create_task(prices.run(), name="prices"),
    ]
    yield
    for watch in watches:
        watch.cancel()
    await asyncio.wait(watches)
    await feed.close()


def make_runner(
    app: web.Application,
    *,
    idle_s: float = IDLE_S,
    access_log: bool = False,
    connections_max: int = 0,
) -> Runner:
    """The server of the application. Signals are the caller's.

    A connection that sends no complete request head for `idle_s` is closed, however slowly its
    bytes arrive. `connections_max`: of clients at once, 0 is any number; above it the one that has
    stood still for longest is closed. Raises UnknownRoute for a route that is not an endpoint.
    """
    check_routes(app)
    return Runner(
        app,
        Connections(connections_max),
        access_log=logging.getLogger("aiohttp.access") if access_log else None,
        access_log_class=AccessLog,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=idle_s,
        max_line_size=LINE_BYTES,
        max_field_size=LINE_BYTES,
        max_headers=HEADERS_MAX,
    )


def check_routes(app: web.Application) -> None:
    """Raises UnknownRoute for a route that was added to the router beside the endpoints."""
    known = {*ENDPOINTS, (hdrs.METH_ANY, "/{path}")}
    known |= {(hdrs.METH_ANY, path) for _, path in ENDPOINTS}
    known |= {(method, e.path) for e in ENDPOINTS.values() for method in e.methods}
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    if unknown := sorted(served - known):
        raise UnknownRoute("; ".join(f"{m} {path} has no permission" for m, path in unknown))


def _add_routes(
    app: web.Application, handlers: Handlers, origin_guard: OriginGuard, guard: Guard
) -> None:
    allowed: dict[str, list[str]] = {}
    for endpoint in ENDPOINTS.values():
        handler = guard.of(endpoint.permission, endpoint.handler(handlers))
        refuse = refuse_stream if endpoint.resumes else _refuse
        measured = _metered(endpoint, _guarded(handler, origin_guard, refuse))
        for method in endpoint.methods:
            _route(app, method, _route_of(endpoint.path), measured)
            allowed.setdefault(endpoint.path, []).append(method)

    def not_allowed(path: str) -> Handler:
        allow = ", ".join((*allowed[path], hdrs.METH_OPTIONS))

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.method == hdrs.METH_OPTIONS:
                preflight = origin_guard.preflight(allow) if origin_guard.asked_for(request) else {}
                return web.Response(status=204, headers={hdrs.ALLOW: allow} | preflight)
            raise Problem("method-not-allowed", f"allowed: {allow}", headers={hdrs.ALLOW: allow})

        return handle

    for path in allowed:
        _route(app, hdrs.METH_ANY, _route_of(path), _guarded(not_allowed(path), origin_guard))
    _route(app, hdrs.METH_ANY, "/{path:.*}", _guarded(_not_found, origin_guard))


def _route(app: web.Application, method: str, path: str, handler: Handler) -> None:
    app.router.add_route(method, path, handler, expect_handler=answer_expectation)


def _route_of(path: str) -> str:
    """The path as the router takes it. The client's own name for an order may hold braces, and
    slashes, which proxies decode.
    """
    return path.replace("{clientOrderId}", "{clientOrderId:.+}")


def _metered(endpoint: Endpoint, handle: Handler) -> Handler:
    """Counts the responses of an endpoint and measures their duration, but for WebSockets."""
    histogram = REQUESTS.of(f"{endpoint.method} {endpoint.path}")

    async def measured(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        response = await handle(request)
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            histogram.observe(time.perf_counter() - began)
            RESPONSES.add(_CODES[response.status])
        return response

    return measured


def _refuse(_: web.Request, problem: Problem) -> web.Response:
    return problem.response()


def _guarded(handler: Handler, guard: OriginGuard, refuse: Refuse = _refuse) -> Handler:
    """Checks Host and Origin, and turns every exception into a problem document."""

    async def handle(request: web.Request) -> web.StreamResponse:
        with request_id.bound(request) as id_:
            response = await answered(request)
        if not response.prepared:
            response.headers[request_id.HEADER] = id_
        return response

    async def answered(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            guard.check(request)
            response = await handler(request)
        except Problem as problem:
            response = refuse(request, problem)
        except web.HTTPRequestEntityTooLarge:
            response = Problem("payload-too-large", f"at most {BODY_BYTES} bytes").response()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            structlog.get_logger().exception(
                "request_failed", path=request.path, order_id=request.match_info.get("id")
            )
            response = refuse(request, Problem("internal"))
        if (headers := response_headers.of(request)) and not response.prepared:
            response.headers.update(headers)
        return response

    return handle


async def _not_found(request: web.Request) -> web.StreamResponse:
    raise Problem("not-found", request.path[:200])
