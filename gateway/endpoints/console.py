"""The console, and the tokens that it offers."""

from __future__ import annotations

from gateway.api import session
from gateway.endpoints.endpoint import HTML, Endpoint, Response
from gateway.middleware.authorization import PUBLIC, Permission, Reach
from gateway.schemas import response_schemas

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/tokens",
        lambda handlers: handlers.console.tokens,
        Permission("read", Reach.NONE),
        operation_id="listTokens",
        tag="orders",
        summary="What can be traded",
        description="The tokens that orders and quotes may name, by symbol or mint.",
        responses={200: Response("Tokens", response_schemas.Tokens)},
        query=None,
    ),
    Endpoint(
        "GET",
        "/api/session",
        lambda _: session.read,
        Permission("read", Reach.NONE),
        operation_id="getSession",
        tag="documents",
        summary="Account and scopes of the API key",
        description="Account, scopes and id of the key that the request carries.",
        responses={200: Response("The key of the request", response_schemas.Session)},
    ),
    Endpoint(
        "GET",
        "/",
        lambda handlers: handlers.console.index,
        PUBLIC,
        operation_id="getIndex",
        tag="documents",
        summary="The console for browsers, links for programs",
        description="Links for programs. Browsers, which accept `text/html`, get the console.",
        responses={
            200: Response("Links", response_schemas.Index),
            304: Response("The page is as it was", media=""),
        },
        query=None,
        other_media={HTML: (200,)},
    ),
    Endpoint(
        "GET",
        "/static/{name}",
        lambda handlers: handlers.console.file,
        PUBLIC,
        operation_id="getStaticFile",
        tag="documents",
        summary="A file of the console",
        description="A style sheet, script or image of the console.",
        responses={
            200: Response("The file", media="text/javascript"),
            304: Response("It is as it was", media=""),
        },
        problems=("not-found",),
        query=None,
        other_media={HTML: (200,), "text/css": (200,), "image/svg+xml": (200,)},
    ),
)
