"""GET /openapi.json, /asyncapi.json: the documents, made once, when somebody first asks."""

from __future__ import annotations

from aiohttp import web

from gateway import answers
from gateway.asyncapi import asyncapi
from gateway.openapi import openapi


async def read_openapi(_: web.Request) -> web.Response:
    """What HTTP offers."""
    return answers.json_response(openapi())


async def read_asyncapi(_: web.Request) -> web.Response:
    """What the WebSockets say."""
    return answers.json_response(asyncapi())
