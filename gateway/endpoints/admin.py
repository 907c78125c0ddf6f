"""What an operator does: halt, resume, parked orders."""

from __future__ import annotations

from gateway.endpoints.endpoint import Endpoint, Response
from gateway.endpoints.shared import FORM, LOOKUP, ORDER_NOW, READ
from gateway.middleware.authorization import Budget, Permission, Reach
from gateway.schemas import response_schemas

_SWITCHED = (
    "malformed-text", "malformed-parameter", "version-conflict", "log-unavailable",
    "outcome-unknown",
)  # fmt: skip
_PARKED = (
    *FORM, *LOOKUP, *READ, "malformed-text", "outcome-unknown", "history-lost", "not-parked",
)  # fmt: skip
_STATE = Response("The engine's state", response_schemas.EngineState)

ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/admin/halt",
        lambda handlers: handlers.admin.halt,
        Permission("admin", Reach.NONE, Budget.SWITCH),
        operation_id="haltEngine",
        tag="engine",
        summary="Halt: nothing is sent, no trigger fires",
        description="Stops sending and triggers until the engine is resumed. Orders are still"
        " accepted and cancelled.",
        responses={200: _STATE},
        problems=(*FORM, *_SWITCHED),
        body="HaltRequest",
    ),
    Endpoint(
        "POST",
        "/api/admin/resume",
        lambda handlers: handlers.admin.resume,
        Permission("admin", Reach.NONE, Budget.SWITCH),
        operation_id="resumeEngine",
        tag="engine",
        summary="Resume what a halt stopped",
        description="Ends a halt: what waited is sent, and triggers fire again.",
        responses={200: _STATE},
        problems=(*FORM, *_SWITCHED),
        body="ResumeRequest",
    ),
    Endpoint(
        "POST",
        "/api/admin/parked/{id}/settle",
        lambda handlers: handlers.parked.settle,
        Permission("admin", Reach.IN_PATH),
        operation_id="settleParkedOrder",
        tag="engine",
        summary="Settle a parked order by the chain's record of its transaction",
        description="Closes a parked order by the chain's record of its transaction.",
        responses={200: ORDER_NOW},
        problems=(*_PARKED, "not-settled"),
        body="SettleRequest",
    ),
    Endpoint(
        "POST",
        "/api/admin/parked/{id}/requeue",
        lambda handlers: handlers.parked.requeue,
        Permission("admin", Reach.IN_PATH),
        operation_id="requeueParkedOrder",
        tag="engine",
        summary="Put a parked order back to work",
        description="Puts a parked order back to work, from the stage that it was parked in.",
        responses={200: ORDER_NOW},
        problems=_PARKED,
        body="ParkedRequest",
    ),
    Endpoint(
        "POST",
        "/api/admin/parked/{id}/discard",
        lambda handlers: handlers.parked.discard,
        Permission("admin", Reach.IN_PATH),
        operation_id="discardParkedOrder",
        tag="engine",
        summary="Fail a parked order of which no transaction can land",
        description="Fails a parked order of which no transaction can land.",
        responses={200: ORDER_NOW},
        problems=_PARKED,
        body="ParkedRequest",
    ),
)
