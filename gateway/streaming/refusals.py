"""Refusals of event streams that browsers survive.

An `EventSource` that gets anything but 200 never reconnects. So a refusal that may pass is a stream
of status 200: `retry:`, the problem as an event, and `close`. A refusal for good, such as an
unknown key or order, keeps its status, so that browsers stop.
"""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from gateway.http.problems import RETRY_AFTER_S, Problem
from gateway.middleware.auth import BOUND
from gateway.streaming.sse import HEADERS, wants_event_stream
from gateway.streaming.websocket import LATER
from projections.feed.frames import SSE


def refuse_stream(request: web.Request, problem: Problem) -> web.Response:
    """The response to a request for an event stream that cannot be served now."""
    refusal = problem.response()
    if not wants_event_stream(request) or not (problem.status == 429 or problem.status >= 500):
        return refusal
    retry_after = refusal.headers.get(hdrs.RETRY_AFTER, str(RETRY_AFTER_S))
    body = f"retry: {int(retry_after) * 1000}\n\n".encode()
    assert isinstance(refusal.body, bytes)
    body += SSE.notice({"event": "problem"} | msgspec.json.decode(refusal.body))
    body += SSE.notice({"event": "close", "code": LATER, "reason": problem.code})
    headers = HEADERS | problem.headers | {hdrs.RETRY_AFTER: retry_after}
    response = web.Response(body=body, headers=headers)
    response.force_close()
    request[BOUND] = True  # a success in name: it has nothing of any account
    return response
