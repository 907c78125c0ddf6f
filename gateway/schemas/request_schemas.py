"""The JSON Schema of each request body, and of the parameters of quotes."""

from __future__ import annotations

from events.order.order_types import DEFAULT_ORDER_TYPE, ORDER_TYPES
from gateway.parsing import field_schemas
from gateway.parsing.field_schemas import ACTOR, TIME, WHY, Schema, text
from gateway.parsing.order_fields import (
    FIELDS,
    FIELDS_BY_ORDER_TYPE,
    ORDER_FIELDS,
    required_fields,
)
from gateway.parsing.order_request import BATCH_ORDERS
from gateway.parsing.parameter_tables import QUOTE_FIELDS
from projections.views.enums import REF

_OF_FIELDS: dict[str, Schema] = {
    field.name: field.schema for field in ORDER_FIELDS if field.schema is not None
}
assert FIELDS - _OF_FIELDS.keys() == {"type", "timeInForce"}, "these two depend on the type"

_QUOTE_EXAMPLES = {
    "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5", "swapMode": "exactIn", "slippageBps": 50,
}  # fmt: skip
_AMOUNT: Schema = {"type": "string", "description": _OF_FIELDS["amount"]["description"]}
QUOTE_PARAMETERS: dict[str, Schema] = {
    name: (_AMOUNT if name == "amount" else _OF_FIELDS[name]) | {"example": _QUOTE_EXAMPLES[name]}
    for name in QUOTE_FIELDS
}
"""Those of the order fields with these names; a query has an amount as a string only."""

_IN_FORCE: dict[tuple[str, ...], tuple[str, str]] = {
    ("IOC", "FOK"): ("ImmediateTimeInForce", "With a bound: filled at once or not at all."),
    ("GTC", "GTT"): (
        "WaitingTimeInForce",
        "GTC, or GTT with `expiresAt`, which alone means GTT; default: GTC.",
    ),
}
"""The times in force of a type -> their enumeration, and what the field means."""
assert {kind.times_in_force for kind in ORDER_TYPES.values()} == _IN_FORCE.keys()


def _or_null(schema: Schema) -> Schema:
    """The schema of an optional field: null counts as absent."""
    return {
        "anyOf": [{k: v for k, v in schema.items() if k != "description"}, {"type": "null"}]
    } | {name: schema[name] for name in ("description",) if name in schema}


UNTYPED = "UntypedOrderRequest"


def _order_of(order_type: str) -> Schema:
    enumeration, meaning = _IN_FORCE[ORDER_TYPES[order_type].times_in_force]
    own = _OF_FIELDS | {"timeInForce": field_schemas.one_of(enumeration, meaning)}
    required = required_fields(order_type)
    kind: Schema = {
        "type": "string",
        "const": order_type,
        "description": f"It is a {order_type} order.",
    }
    fields = {
        name: own[name] if name in required else _or_null(own[name])
        for name in own
        if name in FIELDS_BY_ORDER_TYPE[order_type]
    }
    return {
        "description": f"A {order_type} order.",
        "type": "object",
        "properties": {"type": kind} | fields,
        "required": ["type", *required],
        "additionalProperties": False,
    }


def _untyped(order: Schema) -> Schema:
    """The schema of an order without a type. It stands beside those with one, because generators
    of clients make a discriminating field required.
    """
    return order | {
        "description": f"An order without a type: a {DEFAULT_ORDER_TYPE} order.",
        "properties": {k: v for k, v in order["properties"].items() if k != "type"},
        "required": [name for name in order["required"] if name != "type"],
    }


def body_schemas() -> dict[str, Schema]:
    """The schema of every request body, by name."""
    orders = {f"{kind.title()}OrderRequest": _order_of(kind) for kind in FIELDS_BY_ORDER_TYPE}
    return orders | {
        UNTYPED: _untyped(orders[f"{DEFAULT_ORDER_TYPE.title()}OrderRequest"]),
        "OrderRequest": {
            "description": "An order; null counts as absent.",
            "anyOf": [{"$ref": REF.format(name=name)} for name in ("TypedOrderRequest", UNTYPED)],
        },
        "TypedOrderRequest": {
            "description": "An order of the type that it names.",
            "oneOf": [{"$ref": REF.format(name=name)} for name in orders],
            "discriminator": {
                "propertyName": "type",
                "mapping": {
                    kind: REF.format(name=name)
                    for kind, name in zip(FIELDS_BY_ORDER_TYPE, orders, strict=True)
                },
            },
        },
        "BatchRequest": _object(
            {
                "orders": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": BATCH_ORDERS,
                    "items": {"$ref": REF.format(name="OrderRequest")},
                }
            },
            ["orders"],
            "Several orders.",
        ),
        "AmendRequest": _object(
            {
                "version": _or_null(
                    {
                        "type": "integer",
                        "minimum": 1,
                    }
                ),
                "targetPrice": _or_null(_OF_FIELDS["targetPrice"]),
                "expiresAt": _or_null(TIME),
                "actor": _or_null(ACTOR),
            },
            [],
            "New terms of an order; what is absent stays.",
        ),
        "HaltRequest": _object({"reason": WHY, "actor": _or_null(ACTOR)}, ["reason"], "A halt."),
        "ResumeRequest": _object(_WORDS, [], "The end of a halt."),
        "ParkedRequest": _object(_WORDS, [], "An act on a parked order."),
        "SettleRequest": _object(
            {
                "signature": _or_null(
                    text("The transaction, where the order does not name it, or names several")
                ),
                **_WORDS,
            },
            [],
            "The closing of a parked order by the chain's record.",
        ),
    }


_WORDS = {"reason": _or_null(WHY), "actor": _or_null(ACTOR)}


def _object(fields: dict[str, Schema], required: list[str], description: str) -> Schema:
    return {
        "description": description,
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
