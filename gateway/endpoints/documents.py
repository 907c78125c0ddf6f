"""The documents of the API."""

from __future__ import annotations

from gateway.endpoints.endpoint import HTML, Endpoint, Response
from gateway.middleware.authorization import PUBLIC

ENDPOINTS = (
    Endpoint(
        "GET",
        "/openapi.json",
        lambda handlers: handlers.documents.read_openapi,
        PUBLIC,
        tag="documents",
        summary="This document",
        responses={200: Response("OpenAPI 3.1")},
        query=None,
    ),
    Endpoint(
        "GET",
        "/asyncapi.json",
        lambda handlers: handlers.documents.read_asyncapi,
        PUBLIC,
        tag="documents",
        summary="What the WebSockets say",
        responses={200: Response("AsyncAPI 3")},
        query=None,
    ),
    Endpoint(
        "GET",
        "/docs",
        lambda handlers: handlers.documents.read_page,
        PUBLIC,
        tag="documents",
        summary="Both documents for people",
        responses={200: Response("A page", media=HTML, kind="string")},
        query=None,
    ),
)
