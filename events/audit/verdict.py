"""The result of an audit, and its parts as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from events.archive.losses import Loss
from events.audit.problems import Problem
from events.positions import spans


class Verdict(NamedTuple):
    """The result of an audit."""

    events: int
    orders: int
    archived: int
    """The position up to which Postgres was compared."""
    head: int
    """The newest position of the log at the end of the audit."""
    compared: int
    """The number of events that log and archive both had."""
    problems: list[Problem]
    """By position."""
    accepted: Sequence[Loss] = ()
    """Accepted losses at whose positions nothing else is wrong."""

    @property
    def accepted_at(self) -> str:
        """The positions of the accepted losses, as text."""
        return spans([loss.position for loss in self.accepted])


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as JSON."""
    return {
        "store": problem.store,
        "code": problem.code,
        "position": problem.position,
        "key": problem.key or None,
        "orderId": problem.order_id or None,
        "detail": problem.detail,
        "mend": problem.mend,
    }


def accepted_loss_json(loss: Loss) -> dict[str, Any]:
    """An accepted loss as JSON."""
    return {
        "position": loss.position,
        "orderId": loss.order_id or None,
        "detail": loss.detail,
        "acceptedBy": loss.by,
        "acceptedUs": loss.at_us,
        "reason": loss.reason or None,
        "resumed": loss.resumed is not None,
    }
