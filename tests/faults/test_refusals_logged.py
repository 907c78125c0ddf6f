"""An outage of the log is a refusal of all orders: one line when it begins, one when it is over."""

from __future__ import annotations

import pytest
import structlog

from gateway.backends import health
from tests.support.http.served import served
from tests.support.processes.proxied import proxied
from tests.support.waits import until


@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_a_log_that_does_not_answer_is_a_refusal_until_it_answers(
    redis_url: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "ASK_S", 0.5)
    monkeypatch.setattr(health, "UNANSWERED_S", 0.1)
    monkeypatch.setattr("gateway.backends.switch_log.GRACE_S", 0.0)
    async with proxied(redis_url) as proxy, served(redis_url, gateway_redis_url=proxy.url):
        with structlog.testing.capture_logs() as lines:

            def told(event: str) -> bool:
                return any(line["event"] == event for line in lines)

            proxy.cut(how)
            await until(lambda: told("orders_refused"))
            proxy.cut("pass")
            await until(lambda: told("orders_accepted_again"))
    refused = [line for line in lines if line["event"] == "orders_refused"]
    assert {line["log_level"] for line in refused} == {"error"}
    assert all(line["reason"] for line in refused)
