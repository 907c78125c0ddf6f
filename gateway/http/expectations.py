"""`Expect`: what a client wants to know before it sends a body (RFC 9110, 10.1.1)."""

from __future__ import annotations

from aiohttp import HttpVersion11, hdrs, web

from gateway.http import request_id
from gateway.http.problems import Problem

CONTINUE = "100-continue"


async def answer_expectation(request: web.Request) -> web.StreamResponse | None:
    """Lets the body come, or refuses an expectation that the gateway cannot meet.

    None: the handler answers. An expectation of HTTP/1.0 is ignored, as the standard says.
    """
    if request.version < HttpVersion11:
        return None
    expectation = request.headers.get(hdrs.EXPECT, "")
    if expectation.strip().lower() != CONTINUE:
        problem = Problem("expectation-failed", f"Expect: {expectation[:100]}")
        with request_id.bound(request):
            return problem.response()
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # The interim response is not a part of the answer: an unreadable body still gets its problem.
    request.writer.output_size = 0
    return None
