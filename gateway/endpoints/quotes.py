"""Quotes without an order."""

from __future__ import annotations

from gateway.endpoints.endpoint import Endpoint, Response
from gateway.middleware.authorization import Permission, Reach
from gateway.parsing.parameter_tables import PRICES, QUOTE_REQUIRED
from gateway.schemas import response_schemas
from gateway.schemas.request_schemas import QUOTE_PARAMETERS

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/quotes",
        lambda handlers: handlers.quotes.read,
        Permission("read", Reach.NONE),
        operation_id="getQuotes",
        tag="orders",
        summary="What an order would be routed by, without an order",
        description="Asks every route what it would pay for an amount, without an order.",
        responses={
            200: Response("Every route, the best one and why it is", response_schemas.QuotesAnswer)
        },
        problems=("missing-parameter", "malformed-parameter", "venues-unavailable"),
        query=QUOTE_PARAMETERS,
        required=QUOTE_REQUIRED,
    ),
    Endpoint(
        "GET",
        "/api/prices/history",
        lambda handlers: handlers.prices.read,
        Permission("read", Reach.NONE),
        operation_id="getPriceHistory",
        tag="orders",
        summary="Prices of a pair over the last day",
        description=(
            "The price of every pool over time, as this gateway has recorded it since the pair"
            " was first asked for."
        ),
        responses={
            200: Response("The price of every pool over time", response_schemas.PriceHistory)
        },
        problems=("missing-parameter", "malformed-parameter"),
        query=PRICES,
        required=("tokenIn", "tokenOut"),
    ),
)
