"""The console, and the tokens that it offers."""

from __future__ import annotations

from gateway.endpoints.endpoint import HTML, Endpoint, Response
from gateway.middleware.authorization import PUBLIC, Permission, Reach
from gateway.schemas import response_schemas

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/tokens",
        lambda handlers: handlers.console.tokens,
        Permission("read", Reach.NONE),
        tag="orders",
        summary="What can be traded",
        responses={200: Response("Tokens", response_schemas.Tokens)},
        query=None,
    ),
    Endpoint(
        "GET",
        "/",
        lambda handlers: handlers.console.index,
        PUBLIC,
        tag="documents",
        summary="The console for browsers, links for programs",
        responses={
            200: Response("Links", response_schemas.Index, others=(HTML,)),
            304: Response("The page is as it was", media=""),
        },
        query=None,
    ),
    Endpoint(
        "GET",
        "/static/{name}",
        lambda handlers: handlers.console.file,
        PUBLIC,
        tag="documents",
        summary="A file of the console",
        responses={
            200: Response(
                "It",
                media=HTML,
                kind="string",
                others=("text/css", "text/javascript", "image/svg+xml"),
            ),
            304: Response("It is as it was", media=""),
        },
        problems=("not-found",),
        query=None,
    ),
)
