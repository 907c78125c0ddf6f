"""GET /openapi.json, /asyncapi.json, /docs: the documents, made once, when somebody first asks."""

from __future__ import annotations

from aiohttp import web

from gateway import answers
from gateway.asyncapi import asyncapi
from gateway.openapi import openapi
from gateway.rendering import CSP, page

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def read_openapi(_: web.Request) -> web.Response:
    """What HTTP offers."""
    return answers.json_response(openapi())


async def read_asyncapi(_: web.Request) -> web.Response:
    """What the WebSockets say."""
    return answers.json_response(asyncapi())


async def read_page(_: web.Request) -> web.Response:
    """Both of them for people."""
    return web.Response(text=page(), content_type="text/html", charset="utf-8", headers=HEADERS)
