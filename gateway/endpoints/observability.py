"""Liveness, readiness and metrics."""

from __future__ import annotations

from gateway.api.server_time import read_time
from gateway.endpoints.endpoint import METRICS, Endpoint, Response
from gateway.middleware.authorization import PUBLIC, Permission, Reach
from gateway.schemas import readiness_schemas, response_schemas

ENDPOINTS = (
    Endpoint(
        "GET",
        "/healthz",
        lambda handlers: handlers.health.healthz,
        PUBLIC,
        operation_id="getHealth",
        tag="engine",
        summary="Whether the process lives",
        description="Answers while the process runs; says nothing about its backends.",
        responses={200: Response("It does", response_schemas.Alive)},
        query=None,
    ),
    Endpoint(
        "GET",
        "/readyz",
        lambda handlers: handlers.health.readyz,
        PUBLIC,
        operation_id="getReadiness",
        tag="engine",
        summary="Whether orders can be taken, and how far each part is behind",
        description="The state of each backend, the lag of each stage and of the projection, and"
        " what is wrong.",
        responses={
            200: Response(
                "Orders are accepted; `reasons` names what is wrong", readiness_schemas.Readiness
            ),
            503: Response("No order can be taken now", readiness_schemas.Readiness),
        },
        query=None,
    ),
    Endpoint(
        "GET",
        "/api/time",
        lambda _: read_time,
        PUBLIC,
        operation_id="getTime",
        tag="engine",
        summary="The time of the gateway",
        description="The clock by which `expiresAt` is judged, to compare one's own with.",
        responses={200: Response("The time", response_schemas.ServerTime)},
        query=None,
    ),
    Endpoint(
        "GET",
        "/metrics",
        lambda handlers: handlers.metrics.read,
        Permission("read", Reach.NONE),
        operation_id="getMetrics",
        tag="engine",
        summary="What the engine counts and measures, for Prometheus",
        description="Counters and gauges of the gateway and of the shared backends.",
        responses={200: Response("Its text format", media=METRICS)},
        query=None,
    ),
)
