"""The feed of all events."""

from __future__ import annotations

from gateway.endpoints.endpoint import STREAM, Endpoint, Response
from gateway.endpoints.shared import LAST_ID, SOCKET, SWITCH
from gateway.middleware.authorization import Permission, Reach
from gateway.parsing.parameter_tables import FEED
from gateway.streaming.sse import negotiate_event_stream

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/events",
        lambda handlers: negotiate_event_stream(handlers.streams.events, handlers.sockets.events),
        Permission("read", Reach.LISTED),
        operation_id="followEvents",
        tag="sockets",
        summary="Follow everything (WebSocket, or Server-Sent Events)",
        description="Opens a WebSocket with every event of every order after a position. With"
        " `Accept: text/event-stream` the same frames come as Server-Sent Events.",
        responses={
            101: SWITCH,
            200: Response("The same frames, with `Accept: text/event-stream`", media=STREAM),
        },
        problems=(*SOCKET, "malformed-order-id", "malformed-cursor"),
        headers=(LAST_ID,),
        query=FEED,
        channel="events",
    ),
)
