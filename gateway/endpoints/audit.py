"""Audits: an order or all orders at a moment, proofs, verification."""

from __future__ import annotations

from gateway.endpoints.endpoint import STREAM, Endpoint, Header, Response
from gateway.endpoints.shared import LOOKUP, READ
from gateway.middleware.authorization import Permission, Reach
from gateway.parsing.parameter_tables import AT
from gateway.schemas import response_schemas

_FILE = Header(
    "Content-Disposition", "Under which name to keep it", 'attachment; filename="proof.json"'
)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/audit/orders/{id}",
        lambda handlers: handlers.audits.order,
        Permission("read", Reach.IN_PATH),
        operation_id="getOrderAsOf",
        tag="audit",
        summary="Read an order as it was",
        description="Reads an order as it was at a position of the log or at a time.",
        responses={200: Response("As of that moment", response_schemas.OrderAt)},
        problems=(*LOOKUP, *READ, "history-lost"),
        query=AT,
    ),
    Endpoint(
        "GET",
        "/api/audit/orders/{id}/proof",
        lambda handlers: handlers.audits.proof,
        Permission("read", Reach.IN_PATH),
        operation_id="getOrderProof",
        tag="audit",
        summary="Take the proof of an order's chain away",
        description="The hash chain of an order with the exact bytes of its events.",
        responses={
            200: Response(
                "A document to be checked without this gateway", response_schemas.Proof, (_FILE,)
            )
        },
        problems=(*LOOKUP, *READ, "history-lost"),
    ),
    Endpoint(
        "GET",
        "/api/audit/state",
        lambda handlers: handlers.audits.state,
        Permission("admin", Reach.NONE),
        operation_id="getStateAsOf",
        tag="audit",
        summary="Count the orders in each status at a moment",
        description="Counts the orders in each status at a position of the log or at a time.",
        responses={200: Response("As of that moment", response_schemas.StateAt)},
        problems=("malformed-parameter", "archive-unavailable", "audit-busy"),
        query=AT,
    ),
    Endpoint(
        "GET",
        "/api/audit/verify",
        lambda handlers: handlers.audits.verify,
        Permission("admin", Reach.NONE),
        operation_id="verifyRecords",
        tag="audit",
        summary="Verify all records",
        description="Verifies the log, the archive and the tables, and streams the progress and"
        " the verdict.",
        responses={
            200: Response(
                "Events `progress` {done, of}, at last `verdict` {sound, firstBadPosition, …},"
                " `fault` or `close`",
                media=STREAM,
            )
        },
        problems=("malformed-parameter", "archive-unavailable", "audit-busy"),
    ),
)
