"""The JSON Schema of each request body, and of the parameters of quotes."""

from __future__ import annotations

from events.order.order_types import DEFAULT_ORDER_TYPE, ORDER_TYPES
from gateway.parsing.field_schemas import ACTOR, TIME, Schema, text
from gateway.parsing.order_fields import (
    FIELDS,
    FIELDS_BY_ORDER_TYPE,
    ORDER_FIELDS,
    required_fields,
)
from gateway.parsing.order_request import BATCH_ORDERS
from gateway.parsing.parameters import QUOTE_FIELDS

_OF_FIELDS: dict[str, Schema] = {
    field.name: field.schema for field in ORDER_FIELDS if field.schema is not None
}
assert FIELDS - _OF_FIELDS.keys() == {"type", "timeInForce"}, "these two depend on the type"

QUOTE_PARAMETERS: dict[str, Schema] = {name: _OF_FIELDS[name] for name in QUOTE_FIELDS} | {
    "amount": {"type": "string", "description": _OF_FIELDS["amount"]["description"]}
}
"""Those of the order fields with these names; a query has an amount as a string only."""

_IN_FORCE: dict[tuple[str, ...], str] = {
    ("IOC", "FOK"): "With a bound: filled at once or not at all",
    ("GTC", "GTT"): "GTC, or GTT with `expiresAt`, which alone means GTT",
}
"""The times in force of a type -> what the field means."""
assert {kind.times_in_force for kind in ORDER_TYPES.values()} == _IN_FORCE.keys()


def _or_null(schema: Schema) -> Schema:
    """The schema of an optional field: null counts as absent."""
    return {
        "anyOf": [{k: v for k, v in schema.items() if k != "description"}, {"type": "null"}]
    } | {name: schema[name] for name in ("description",) if name in schema}


def _order_of(order_type: str) -> Schema:
    own = _OF_FIELDS | {
        "timeInForce": {
            "enum": list(ORDER_TYPES[order_type].times_in_force),
            "description": _IN_FORCE[ORDER_TYPES[order_type].times_in_force],
        }
    }
    required = required_fields(order_type)
    kind: Schema = {"const": order_type}
    fields = {
        name: own[name] if name in required else _or_null(own[name])
        for name in own
        if name in FIELDS_BY_ORDER_TYPE[order_type]
    }
    others = {name: {"type": "null"} for name in sorted(FIELDS - {"type", *fields})}
    if order_type == DEFAULT_ORDER_TYPE:
        kind = {"enum": [order_type, None], "default": order_type}
    else:
        required.insert(0, "type")
    return {
        "title": f"A {order_type} order",
        "type": "object",
        "properties": {"type": kind} | fields | others,
        "required": required,
        "additionalProperties": False,
    }


def body_schemas() -> dict[str, Schema]:
    """The schema of every request body, by name."""
    orders = {f"{kind.title()}OrderRequest": _order_of(kind) for kind in FIELDS_BY_ORDER_TYPE}
    schema = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in orders]}
    return orders | {
        "OrderRequest": schema | {"description": "An order; null counts as absent."},
        "BatchRequest": _object(
            {
                "orders": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": BATCH_ORDERS,
                    "items": {},
                    "description": "Each an OrderRequest; those that are none get a problem.",
                }
            },
            ["orders"],
        ),
        "AmendRequest": _object(
            {
                "version": _or_null(
                    {
                        "type": "integer",
                        "minimum": 1,
                        "description": "The order's version, here or in If-Match",
                    }
                ),
                "targetPrice": _or_null(_OF_FIELDS["targetPrice"]),
                "expiresAt": _or_null(TIME | {"description": "null takes the expiry away"}),
                "actor": _or_null(ACTOR),
            },
            [],
        ),
        "HaltRequest": _object({"reason": text("Why"), "actor": _or_null(ACTOR)}, ["reason"]),
        "ResumeRequest": _object({"reason": _or_null(text("Why")), "actor": _or_null(ACTOR)}, []),
        "ParkedRequest": _object({"reason": _or_null(text("Why")), "actor": _or_null(ACTOR)}, []),
        "SettleRequest": _object(
            {
                "signature": _or_null(
                    text("The transaction, where the order does not name it, or names several")
                ),
                "reason": _or_null(text("Why")),
                "actor": _or_null(ACTOR),
            },
            [],
        ),
    }


def _object(fields: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
