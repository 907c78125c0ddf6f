"""An endpoint: all that the gateway states about one method and path. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from gateway.endpoints.handlers import Handlers
from gateway.http.problem_codes import CODES
from gateway.middleware.authorization import Permission, Reach
from gateway.middleware.guard import Handler
from gateway.parsing import parameter_tables
from gateway.schemas.request_schemas import body_schemas
from projections.views.schemas import Shape

HISTORY = "History"
"""The schema of an order's history. It is made of the schemas of the frames."""

HTML = "text/html"
METRICS = "text/plain"
STREAM = "text/event-stream"
JSON = "application/json"
LAST_EVENT_ID = "Last-Event-ID"

SWITCHING = 101
REDIRECTS = 300
"""The lowest status that is not a success."""
"""The status of an endpoint that becomes a WebSocket."""

GUARDED = ("unauthenticated", "scope-missing", "rate-limited", "log-unavailable")
"""Problem codes of every endpoint that needs a scope; `log-unavailable` until the keys are read."""

COMMON_PROBLEMS = (
    "not-found", "method-not-allowed", "host-forbidden", "origin-forbidden", "malformed-request",
    "headers-too-large", "expectation-failed", "internal",
)  # fmt: skip
"""Problem codes of every request; the first two belong to paths and methods without an endpoint."""


TAGS = {
    "orders": "Submit, read, list, amend and cancel orders; quotes and tokens.",
    "sockets": "Follow orders and events: WebSockets and Server-Sent Events.",
    "engine": "Health, metrics, halt and resume, parked orders.",
    "audit": "Orders as they were, proofs, and the verification of all records.",
    "documents": "The console and the documents of the API.",
}
"""The groups of endpoints, in the order of the document."""


class Header(NamedTuple):
    """A header of a request or a response."""

    name: str
    description: str
    example: str


class Response(NamedTuple):
    """The response with one status that is not a problem."""

    description: str
    shape: type[Shape] | str | None = None
    headers: tuple[Header, ...] = ()
    media: str = JSON
    """Empty without a body."""


class Endpoint(NamedTuple):
    """One entry of the table: how it is served, who may use it, and what it documents."""

    method: str
    path: str
    handler: Callable[[Handlers], Handler]
    """Selects the handler among those of a gateway."""
    permission: Permission
    operation_id: str
    """Its name in the OpenAPI document, of which generators make the name of a function."""
    tag: str
    """Its group in the OpenAPI document: one of `TAGS`."""
    summary: str
    description: str
    responses: Mapping[int, Response]
    """By status, without problems."""
    problems: tuple[str, ...] = ()
    """Problem codes, besides `COMMON_PROBLEMS` and, with a scope, `GUARDED`."""
    query: parameter_tables.Table | None = parameter_tables.NONE
    """The parameters that it checks; None: it ignores the query string."""
    required: tuple[str, ...] = ()
    """Parameters without which the request is refused."""
    headers: tuple[Header, ...] = ()
    """Request headers."""
    body: str = ""
    """The name of the request body in `request_schemas.body_schemas`; empty without a body."""
    other_media: Mapping[str, tuple[int, ...]] = {}
    """Media types that its answers may have instead, mostly where the request's Accept header names
    them, and the statuses of these answers."""
    channel: str = ""
    """The name of a WebSocket's channel in the AsyncAPI document."""

    @property
    def key(self) -> tuple[str, str]:
        """Method and path."""
        return self.method, self.path

    @property
    def streams(self) -> bool:
        """Whether all that it answers with success is a socket or an event stream."""
        successes = [self.responses[status] for status in self.responses if status < REDIRECTS]
        return SWITCHING in self.responses or STREAM in {answer.media for answer in successes}

    @property
    def resumes(self) -> bool:
        """Whether it serves event streams that browsers resume by themselves."""
        named = any(header.name == LAST_EVENT_ID for header in self.headers)
        return named or STREAM in self.other_media

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it serves: HEAD wherever GET is, except for streams."""
        reads = self.method == "GET" and not self.streams
        return (self.method, "HEAD") if reads else (self.method,)

    def problems_by_status(self) -> dict[int, list[str]]:
        """All problem codes of its responses."""
        by_status: dict[int, list[str]] = {}
        guarded = () if self.permission.public else GUARDED
        for code in dict.fromkeys((*self.problems, *guarded, *COMMON_PROBLEMS[2:])):
            by_status.setdefault(CODES[code][0], []).append(code)
        return dict(sorted(by_status.items()))


def table_of(endpoints: Iterable[Endpoint]) -> dict[tuple[str, str], Endpoint]:
    """The endpoints by method and path. Raises ValueError for an entry that contradicts itself."""
    table: dict[tuple[str, str], Endpoint] = {}
    for endpoint in endpoints:
        faults = list(_faults(endpoint))
        if endpoint.key in table:
            faults.append("it has two entries")
        if faults:
            raise ValueError(f"{endpoint.method} {endpoint.path}: {'; '.join(faults)}")
        table[endpoint.key] = endpoint
    return table


def _faults(endpoint: Endpoint) -> Iterator[str]:
    if (endpoint.permission.reach is Reach.IN_PATH) is not ("{id}" in endpoint.path):
        yield "Reach.IN_PATH belongs to paths with {id}, and to no others"
    if unknown := set(endpoint.problems) - CODES.keys():
        yield f"unknown problem codes: {', '.join(sorted(unknown))}"
    if endpoint.tag not in TAGS:
        yield f"unknown tag: {endpoint.tag}"
    if endpoint.body and endpoint.body not in body_schemas():
        yield f"unknown body schema: {endpoint.body}"
    shapes = {response.shape for response in endpoint.responses.values()}
    for name in sorted(shape for shape in shapes if isinstance(shape, str) and shape != HISTORY):
        yield f"unknown response schema: {name}"
    if unknown := set(endpoint.required) - set(endpoint.query or ()):
        yield f"required parameters that are not in its query: {', '.join(sorted(unknown))}"
