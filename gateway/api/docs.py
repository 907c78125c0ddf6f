"""GET /openapi.json, /asyncapi.json, /docs: the documents, made once, when somebody first asks."""

from __future__ import annotations

from aiohttp import web

from gateway.http import responses
from gateway.spec.asyncapi import asyncapi
from gateway.spec.html import CSP, page
from gateway.spec.openapi import openapi

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def read_openapi(_: web.Request) -> web.Response:
    """What HTTP offers."""
    return responses.json_response(openapi())


async def read_asyncapi(_: web.Request) -> web.Response:
    """What the WebSockets say."""
    return responses.json_response(asyncapi())


async def read_page(_: web.Request) -> web.Response:
    """Both of them for people."""
    return web.Response(text=page(), content_type="text/html", charset="utf-8", headers=HEADERS)
