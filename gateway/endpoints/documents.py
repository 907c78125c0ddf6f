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
        operation_id="getOpenApi",
        tag="documents",
        summary="This document",
        description="The HTTP interface, as OpenAPI 3.1.",
        responses={200: Response("OpenAPI 3.1")},
        query=None,
    ),
    Endpoint(
        "GET",
        "/asyncapi.json",
        lambda handlers: handlers.documents.read_asyncapi,
        PUBLIC,
        operation_id="getAsyncApi",
        tag="documents",
        summary="What the WebSockets say",
        description="The WebSockets, as AsyncAPI 3.",
        responses={200: Response("AsyncAPI 3")},
        query=None,
    ),
    Endpoint(
        "GET",
        "/docs",
        lambda handlers: handlers.documents.read_page,
        PUBLIC,
        operation_id="getDocs",
        tag="documents",
        summary="Both documents for people",
        description="Both documents as one page, without scripts.",
        responses={200: Response("A page", media=HTML)},
        query=None,
    ),
)
