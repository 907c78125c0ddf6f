"""The query parameters of each request, and their JSON Schemas. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.parsing.values import TEXT_LENGTH
from projections.views.enums import REF

LIST_LIMIT = 500
LIST_DEFAULT = 50
FILTER_ORDERS = 100
"""How many orders a subscriber to all events may name."""

Table = Mapping[str, Mapping[str, Any]]
"""The parameters of a request: name to JSON Schema."""


def _schema(description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "example": example} | schema


def _several(description: str, example: str, items: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be repeated, and that may hold several values separated by commas."""
    return {
        "type": "array",
        "minItems": 1,
        "items": items,
        "description": f"{description}; several separated by commas, or the parameter repeated.",
        "example": [example],
    }


def _of(enumeration: str) -> dict[str, Any]:
    return {"$ref": REF.format(name=enumeration)}


_MOMENT = "ISO 8601 with a zone, or Unix milliseconds"
_TIME = "2026-11-22T15:28:01Z"
_ID = "01a22d5f-1c96-7c02-9d51-7a1e6f0b2c3d"
_FLAG: dict[str, Any] = {"type": "boolean"}
ORDER_FILTERS: Table = {
    "status": _several("Only orders with these statuses", "watching", _of("OrderStatus")),
    "type": _several("Only orders of these types", "limit", _of("OrderType")),
    "token": _schema("Only orders with this token, by symbol or mint, on either side.", "SOL"),
    "clientOrderId": _schema("Only the order with this name of the client.", "rebalance-42"),
    "parked": _FLAG | {"description": "Only parked orders, or none of them.", "example": True},
    "inDoubt": _FLAG | {"description": "Only orders in doubt, or none of them.", "example": True},
}

QUOTE_REQUIRED = ("tokenIn", "tokenOut", "amount")
QUOTE_FIELDS = (*QUOTE_REQUIRED, "swapMode", "slippageBps")
"""Read as the fields of an order that have these names."""

NONE: Table = {}
PRICES: Table = {
    "tokenIn": _schema("Symbol or mint of the token that is sold.", "SOL"),
    "tokenOut": _schema("Symbol or mint of the token that is bought.", "USDC"),
}
CANCEL_PARAMETERS: Table = {
    "reason": _schema(
        "Why, in the words of the actor.", "a drill", minLength=1, maxLength=TEXT_LENGTH
    ),
    "actor": _schema(
        "Who does it; default: the account.", "ann", minLength=1, maxLength=TEXT_LENGTH
    ),
}
LIST: Table = {
    **ORDER_FILTERS,
    "open": _FLAG
    | {"description": "Only orders that have not ended, or only ended ones.", "example": True},
    "from": _schema(f"Only orders created at or after this time: {_MOMENT}.", _TIME),
    "to": _schema(f"Only orders created before this time: {_MOMENT}.", _TIME),
    "sort": _of("ListSort")
    | {"description": "Which orders come first; default: newest.", "example": "oldest"},
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": LIST_LIMIT,
        "default": LIST_DEFAULT,
        "description": "The number of orders of a page.",
        "example": LIST_DEFAULT,
    },
    "cursor": _schema("`nextCursor` of the page before.", "AaItXxyWfAKdUXoebwssPQ"),
}
CANCEL_MANY: Table = {
    **ORDER_FILTERS,
    "all": _FLAG | {"const": True, "description": "Every open order.", "example": True},
    "cursor": _schema("`nextCursor` of the answer before.", "0"),
    **CANCEL_PARAMETERS,
}
FOLLOW: Table = {"orderId": _schema("The order to follow until it ended.", _ID)}
AT: Table = {
    "at": _schema(f"A position in the log, or a time: {_MOMENT}; default: now.", "7"),
}
RESUME: Table = {
    "after": _schema(
        "The position in the log, or the cursor, that was seen last; default: from the first event"
        " on.",
        "e1.p0.7",
    )
}
FEED: Table = {
    "after": _schema(
        "The position in the log, or the cursor, that was seen last; 0 is everything; default: from"
        " now on.",
        "e1.p0.7",
    ),
    "events": _several("Only these events", "OrderConfirmed", _of("EventType")),
    "orderId": _several(
        f"Only events of these orders, at most {FILTER_ORDERS}",
        _ID,
        {"type": "string", "format": "uuid"},
    ),
    "status": _several("Only events with these statuses", "confirmed", _of("EventStatus")),
}
