"""What can go wrong between a client and a gateway."""

from __future__ import annotations

from typing import Any

from projections.views.event_schemas import Lost


class UnreachableError(Exception):
    """No gateway answers at the URL, or it stopped answering; the message is one line."""


class OutcomeUnknownError(UnreachableError):
    """What was asked may have been done or not; the message says how to find out."""

    def __init__(self, line: str, *, idempotency_key: str = "", order_id: str = "") -> None:
        super().__init__(line)
        self.idempotency_key = idempotency_key
        """Submitting the same again under this key returns the order, if there is one."""
        self.order_id = order_id
        """Id of an order that may exist, where the gateway named it."""


class RefusedError(Exception):
    """What the gateway refuses, as one line; `problem` is its RFC 9457 document."""

    def __init__(self, line: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(line)
        self.problem = problem or {}

    @property
    def code(self) -> str:
        """The stable code: see docs/reference/errors.md."""
        return str(self.problem.get("code", ""))

    @property
    def status(self) -> int:
        """The HTTP status; 0 where there was none."""
        return int(self.problem.get("status", 0))

    @property
    def pointer(self) -> str:
        """The JSON pointer of the first wrong field, if a field is wrong."""
        return str(self.problem.get("pointer", ""))


class LostError(Exception):
    """The log cannot give what was asked for: what was had behind `lost.position` is void."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(f"{lost.code}: what came after position {lost.position} is void")
        self.lost = lost
