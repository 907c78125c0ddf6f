"""Liveness, readiness and metrics."""

from __future__ import annotations

from gateway.endpoints.endpoint import METRICS, Endpoint, Response
from gateway.middleware.authorization import PUBLIC, Permission, Reach
from gateway.schemas import response_schemas

ENDPOINTS = (
    Endpoint(
        "GET",
        "/healthz",
        lambda handlers: handlers.health.healthz,
        PUBLIC,
        tag="engine",
        summary="Whether the process lives",
        responses={200: Response("It does", response_schemas.Alive)},
        query=None,
    ),
    Endpoint(
        "GET",
        "/readyz",
        lambda handlers: handlers.health.readyz,
        PUBLIC,
        tag="engine",
        summary="Whether orders can be taken, and how far each part is behind",
        responses={
            200: Response(
                "Orders are accepted; `reasons` names what is wrong", response_schemas.Readiness
            ),
            503: Response("No order can be taken now", response_schemas.Readiness),
        },
        query=None,
    ),
    Endpoint(
        "GET",
        "/metrics",
        lambda handlers: handlers.metrics.read,
        Permission("read", Reach.NONE),
        tag="engine",
        summary="What the engine counts and measures, for Prometheus",
        responses={200: Response("Its text format", media=METRICS, kind="string")},
        query=None,
    ),
)
