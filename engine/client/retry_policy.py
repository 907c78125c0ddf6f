"""Whether a request is tried again, after how long, and whether it may have been done. Pure.

A client gives up on what speaks about its request: a problem document of the gateway, or a proxy
that refuses the request's size. Whatever stands between may answer as well, with pages of its own,
or break the connection: that says nothing about the request. Where an address has answered as a
gateway before, it is waited for.
"""

from __future__ import annotations

import random
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import NamedTuple

PROBLEM = "application/problem+json"
JSON = ("application/json", PROBLEM)

FIRST_S = 0.25
"""The first pause; each further one is twice as long."""
PAUSE_MAX_S = 4.0
TOLD_MAX_S = 30.0
"""A longer Retry-After is looked at again after this time."""

BETWEEN = frozenset({429, 502, 503, 504})
"""Statuses that proxies and balancers answer by themselves."""
LATER = frozenset({429, 503})
"""Statuses of the gateway's own problems that pass."""
TOO_LARGE = frozenset({413, 414, 431})
"""Statuses with which a proxy refuses the size of a request, which another attempt has too."""
UNSURE = "outcome-unknown"
"""The problem code of a request that may have been done."""


class Failure(Enum):
    """A request without an answer."""

    NOT_SENT = "not sent"
    """No connection: the request was not sent."""
    BROKEN = "broken"
    """The connection was reset, or silent, or what came is not HTTP or not JSON."""
    NO_TLS = "no TLS"
    """No encrypted connection: the request was not sent."""


class Answer(NamedTuple):
    """What a policy needs of a response."""

    status: int
    media: str
    """The bare media type."""
    code: str = ""
    """Of the problem document."""
    retry_after: str = ""
    """The header."""
    date: str = ""
    """The header: a Retry-After that is a date is of the same clock."""
    complete: bool = True
    """Whether the body could be read, as JSON where it says so."""
    location: str = ""
    """Where a redirect leads."""

    @property
    def is_final(self) -> bool:
        """Whether the gateway refuses the request for good."""
        return self.media == PROBLEM and 400 <= self.status < 500 and self.status not in LATER


class Action(Enum):
    """What a client does next."""

    RETURN = "return"
    RETRY = "retry"
    REFUSED = "refused"
    """It speaks about the request."""
    STRANGER = "stranger"
    """What answers is not a gateway."""
    UNREACHABLE = "unreachable"


REQUEST_TIMEOUT = 408
"""A proxy answers so too when it has passed the request on."""


class Verdict(NamedTuple):
    """The decision about one attempt."""

    action: Action
    after_s: float = 0.0
    """Before a retry: what the answer asks for; 0: nothing."""
    may_be_done: bool = False
    """Whether the request may have had its effect."""


def judge(outcome: Answer | Failure, *, reached: bool, now_s: float) -> Verdict:
    """Judges an attempt. `reached`: whether the address answered as a gateway before; `now_s`: Unix
    time.
    """
    if outcome in (Failure.NOT_SENT, Failure.NO_TLS):
        return Verdict(Action.RETRY if reached else Action.UNREACHABLE)
    if isinstance(outcome, Failure):
        return Verdict(Action.RETRY, may_be_done=True)
    if is_ours(outcome):
        return _judge_own(outcome, now_s)
    if outcome.status in TOO_LARGE:
        return Verdict(Action.REFUSED)
    if reached or outcome.status in BETWEEN:
        told = told_s(outcome.retry_after, now_s, outcome.date) if outcome.status in LATER else 0.0
        return Verdict(Action.RETRY, told, may_be_done=outcome.status != 429)
    refused = 400 <= outcome.status < 500 and outcome.status != REQUEST_TIMEOUT
    return Verdict(Action.STRANGER, may_be_done=not refused)


def is_ours(answer: Answer) -> bool:
    """Whether the gateway gave this answer: success as JSON, or a problem with a code."""
    if not answer.complete:
        return False
    if answer.status == 101 or 200 <= answer.status < 300:
        return answer.media in JSON or answer.status in (101, 204)
    return answer.media == PROBLEM and bool(answer.code)


def _judge_own(answer: Answer, now_s: float) -> Verdict:
    if answer.status < 300:
        return Verdict(Action.RETURN)
    unsure = answer.code == UNSURE
    if answer.status in LATER:
        told = told_s(answer.retry_after, now_s, answer.date)
        return Verdict(Action.RETRY, told, may_be_done=unsure)
    return Verdict(Action.REFUSED, may_be_done=unsure or answer.status >= 500)


def told_s(retry_after: str, now_s: float, date: str = "") -> float:
    """The seconds that a Retry-After asks for, as a number or a date; 0 for anything else.

    A date is compared with that of the answer: the clock of this machine may be another.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), TOLD_MAX_S)
    until_s, sent_s = _unix_s(text), _unix_s(date)
    if until_s is None:
        return 0.0
    return min(max(0.0, until_s - (now_s if sent_s is None else sent_s)), TOLD_MAX_S)


def _unix_s(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year that no date has
        return None
    return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).timestamp()


def pause_s(retries: int, told: float = 0.0, chance: float | None = None) -> float:
    """The pause before the next attempt. `retries`: how many there were; `told`: by the answer;
    `chance`: from 0 to 1, random without it, so that clients do not come back all at once.
    """
    whole = min(PAUSE_MAX_S, FIRST_S * 2.0 ** min(retries, 10))
    spread = random.random() if chance is None else chance
    return float(told + whole * (0.5 + spread / 2))


CONTENT = frozenset({400, 404, 409, 415, 422})
"""Refusals that judge what was asked, and so also what an earlier attempt asked."""


def stays_unknown(status: int) -> bool:
    """Whether a refusal with this status leaves open what an earlier, unclear attempt did."""
    return status not in CONTENT
