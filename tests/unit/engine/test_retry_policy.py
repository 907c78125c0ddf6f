"""What the client makes of each answer, page, and broken connection."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.client.retry_policy import (
    PAUSE_MAX_S,
    PROBLEM,
    TOLD_MAX_S,
    Action,
    Answer,
    Failure,
    judge,
    pause_s,
    stays_unknown,
    told_s,
)

NOW_S = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
JSON = "application/json"
HTML = "text/html"


@pytest.mark.parametrize(
    ("outcome", "first", "later"),
    [
        (Answer(200, JSON), Action.RETURN, Action.RETURN),
        (Answer(202, JSON), Action.RETURN, Action.RETURN),
        (Answer(200, HTML), Action.STRANGER, Action.RETRY),
        (Answer(200, JSON, complete=False), Action.STRANGER, Action.RETRY),
        (Answer(302, HTML), Action.STRANGER, Action.RETRY),
        (Answer(400, PROBLEM, "wrong-type"), Action.REFUSED, Action.REFUSED),
        (Answer(401, PROBLEM, "unauthenticated"), Action.REFUSED, Action.REFUSED),
        (Answer(404, PROBLEM, "unknown-order"), Action.REFUSED, Action.REFUSED),
        (Answer(404, HTML), Action.STRANGER, Action.RETRY),
        (Answer(404, JSON), Action.STRANGER, Action.RETRY),
        (Answer(404, PROBLEM), Action.STRANGER, Action.RETRY),
        (Answer(413, HTML), Action.REFUSED, Action.REFUSED),
        (Answer(414, HTML), Action.REFUSED, Action.REFUSED),
        (Answer(431, HTML), Action.REFUSED, Action.REFUSED),
        (Answer(429, PROBLEM, "rate-limited"), Action.RETRY, Action.RETRY),
        (Answer(429, HTML), Action.RETRY, Action.RETRY),
        (Answer(500, PROBLEM, "internal"), Action.REFUSED, Action.REFUSED),
        (Answer(500, HTML), Action.STRANGER, Action.RETRY),
        (Answer(502, HTML), Action.RETRY, Action.RETRY),
        (Answer(503, HTML), Action.RETRY, Action.RETRY),
        (Answer(503, ""), Action.RETRY, Action.RETRY),
        (Answer(503, JSON), Action.RETRY, Action.RETRY),
        (Answer(503, PROBLEM, "log-unavailable"), Action.RETRY, Action.RETRY),
        (Answer(504, HTML), Action.RETRY, Action.RETRY),
        (Failure.BROKEN, Action.RETRY, Action.RETRY),
        (Failure.NOT_SENT, Action.UNREACHABLE, Action.RETRY),
        (Failure.NO_TLS, Action.UNREACHABLE, Action.RETRY),
    ],
)
def test_only_what_concerns_the_request_ends_a_client_that_was_served_before(
    outcome: Answer | Failure, first: Action, later: Action
) -> None:
    assert judge(outcome, reached=False, now_s=NOW_S).action is first
    assert judge(outcome, reached=True, now_s=NOW_S).action is later


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Failure.NOT_SENT, False),
        (Failure.NO_TLS, False),
        (Answer(413, HTML), False),
        (Failure.BROKEN, True),
        (Answer(502, HTML), True),
        (Answer(504, HTML), True),
        (Answer(503, HTML), True),
        (Answer(429, HTML), False),
        (Answer(429, PROBLEM, "rate-limited"), False),
        (Answer(503, PROBLEM, "log-unavailable"), False),
        (Answer(503, PROBLEM, "outcome-unknown"), True),
        (Answer(500, PROBLEM, "internal"), True),
        (Answer(400, PROBLEM, "wrong-type"), False),
    ],
)
def test_a_request_may_be_done_unless_the_answer_excludes_it(
    outcome: Answer | Failure, expected: bool
) -> None:
    assert judge(outcome, reached=True, now_s=NOW_S).may_be_done is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, True), (302, True), (400, False), (404, False), (408, True), (500, True), (524, True)],
)
def test_a_strangers_page_excludes_an_effect_only_where_it_refuses_the_request(
    status: int, expected: bool
) -> None:
    verdict = judge(Answer(status, HTML), reached=False, now_s=NOW_S)
    assert (verdict.action, verdict.may_be_done) == (Action.STRANGER, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("-7", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("9" * 400, TOLD_MAX_S),
        ("Tue, 01 Dec 2026 12:00:05 GMT", 5.0),
        ("Tue, 01 Dec 2026 12:00:05 -0000", 5.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("Wed, 01 Dec 2027 12:00:00 GMT", TOLD_MAX_S),
        ("Tue, 99 Dec 2026 12:00:05 GMT", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 0.0),
        ("٣", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: float) -> None:
    assert told_s(text, NOW_S) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Tue, 01 Dec 2026 12:00:00 GMT", 5.0),
        ("Tue, 01 Dec 2026 11:59:58 GMT", 7.0),
        ("Tue, 01 Dec 2026 13:00:00 GMT", 0.0),
        ("soon", 3605.0),
    ],
)
def test_a_date_is_compared_with_that_of_the_answer(date: str, expected: float) -> None:
    until = "Tue, 01 Dec 2026 12:00:05 GMT"
    assert told_s(until, NOW_S - 3600, date) == min(expected, TOLD_MAX_S)


def test_pauses_grow_to_a_bound_and_add_to_what_was_asked_for() -> None:
    pauses = [pause_s(n, chance=1.0) for n in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_MAX_S
    assert pause_s(0, chance=0.0) > 0
    assert pause_s(0, told=5.0, chance=0.0) > 5


def test_a_refusal_of_the_content_settles_an_earlier_unclear_attempt() -> None:
    assert not any(stays_unknown(status) for status in (400, 404, 409, 422))
    assert all(stays_unknown(status) for status in (401, 403, 413, 429, 500, 503))
