"""Each alert rule fires after its time and clears, as promtool evaluates it.

Every reason of /readyz and every rule has a case. Without promtool the cases are not evaluated.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from gateway.http.readiness_reasons import REASONS

ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
}
STEP_S = 15
"""Between two scrapes, and between two evaluations: as in prometheus.yml."""
BAD = 79
"""The last step of the fault: more than the longest time of a rule."""
GONE = "stale"
"""What Prometheus stores when a target or a series is there no more."""

Series = dict[str, str]


class Case(NamedTuple):
    """A fault of twenty minutes, and what its alert says."""

    alert: str
    series: Series
    """Values by series in promtool's notation: during the fault and after it."""
    labels: Mapping[str, str] = {}
    """Of the alert, besides its severity."""
    value: str = ""
    """What `{{ $value }}` is."""
    fires_at_s: int | None = None
    """A time at which it fires; None: as soon as its `for` is over."""
    over_after_s: int = 0
    """How long it continues after the fault: the window of its rates."""


def gauge(name: str, bad: str, good: str) -> Series:
    return {name: f"{bad}x{BAD} {good}x100"}


def counter(name: str, step: int) -> Series:
    return {name: f"0+{step}x{BAD} {step * BAD}x100"}


def reason(code: str) -> Series:
    return {f'oee_readiness_reason{{code="{code}",part="p"}}': f"1x{BAD} {GONE}"}


WINDOW_S = 5 * 60
REASON_CASES = [
    Case(row.alert, reason(code), {"code": code, "part": "p"}) for code, row in REASONS.items()
]
CASES = [
    *REASON_CASES,
    Case("OrdersNotTaken", gauge("oee_accepting", "0", "1")),
    Case("GatewayGone", gauge('up{job="gateway"}', "0", "1"), {"job": "gateway"}),
    Case("LogNotDurable", gauge("oee_log_durable", "0", "1")),
    Case(
        "LogEntriesForeign",
        counter('oee_log_refused_total{reason="foreign"}', 1),
        fires_at_s=WINDOW_S,
        over_after_s=2 * WINDOW_S,
    ),
    Case("OrdersInDoubt", gauge("oee_orders_in_doubt", "2", "0"), value="2"),
    Case("OrdersParked", gauge("oee_orders_parked", "3", "0"), value="3"),
    Case(
        "OrdersFail",
        counter('oee_orders_total{status="failed"}', 3)
        | counter('oee_orders_total{status="confirmed"}', 7),
        over_after_s=WINDOW_S,
        fires_at_s=11 * 60,
    ),
    Case("EngineHalted", gauge("oee_halted", "1", "0")),
    Case("StageBehind", gauge('oee_stage_oldest_seconds{stage="router"}', "61", "0"),
         {"stage": "router"}),
    Case("OrdersPaced",
         gauge('oee_stage_waiting_reason_orders{stage="router",reason="pacing"}', "4", "0"),
         value="4"),
    Case("OrdersWaitForNodes",
         gauge('oee_stage_waiting_reason_orders{stage="router",reason="node"}', "4", "0"),
         value="4"),
    Case("WorkerGone", gauge('up{job="workers",process="router"}', "0", "1"),
         {"job": "workers", "process": "router"}),
    Case(
        "WorkerGone",
        {
            'up{job="workers",process="router",instance="a"}': f"1x4 {GONE} _x{BAD - 6} 1x100",
            'up{job="workers",process="tracer",instance="b"}': "1x200",
        },
        {"process": "router"},
        fires_at_s=(5 + 4) * STEP_S,
    ),
    Case("ProcessRestarts", {'oee_process_restarts{process="router"}': "0x9 4x200"},
         {"process": "router"}, value="4", fires_at_s=10 * STEP_S),
    Case(
        "AppendsSlow",
        counter('oee_append_seconds_bucket{le="0.25"}', 1)
        | counter('oee_append_seconds_bucket{le="0.5"}', 9)
        | counter('oee_append_seconds_bucket{le="+Inf"}', 9),
        over_after_s=WINDOW_S,
        fires_at_s=6 * 60,
    ),
    Case("WritesFenced", counter('oee_writes_total{result="fenced"}', 1), over_after_s=WINDOW_S,
         fires_at_s=STEP_S),
    Case("LogMemoryShort",
         gauge("oee_log_memory_bytes", "71", "60") | {"oee_log_memory_max_bytes": "100x200"}),
    Case(
        "NodesFail",
        counter('oee_rpc_failures_total{method="getBlocks"}', 3)
        | counter('oee_rpc_call_seconds_count{method="getBlocks"}', 9),
        over_after_s=WINDOW_S,
        fires_at_s=6 * 60,
    ),
    Case("ClockSkewed", gauge("oee_clock_ahead_seconds", "-2", "0.1"), value="2s"),
    Case("WalletShort", gauge("oee_wallet_lamports", "49999999", "50000000")),
    Case("MethodNotServed", counter('oee_rpc_unserved_total{method="getBlocks"}', 1),
         {"method": "getBlocks"}, over_after_s=WINDOW_S, fires_at_s=3 * 60),
]  # fmt: skip


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def expanded(template: str, case: Case) -> str:
    for name, value in case.labels.items():
        template = re.sub(rf"{{{{ \$labels\.{name} }}}}", value, template)
    return re.sub(r"{{ \$value( \| \w+)? }}", case.value, template)


def promtool_test(case: Case) -> dict[str, Any]:
    """A case as promtool reads it: silent before its time, then firing, then clear."""
    rule = RULES[case.alert]
    for_s = seconds(rule.get("for", "0s"))
    over_s = (BAD + 1) * STEP_S + case.over_after_s + STEP_S
    alert = {
        "exp_labels": rule["labels"] | dict(case.labels),
        "exp_annotations": {k: expanded(v, case) for k, v in rule["annotations"].items()},
    }
    expected = [(for_s if case.fires_at_s is None else case.fires_at_s, [alert]), (over_s, [])]
    if for_s:
        expected.insert(0, (for_s - STEP_S, []))
    return {
        "interval": f"{STEP_S}s",
        "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{at_s}s", "alertname": case.alert, "exp_alerts": alerts}
            for at_s, alerts in expected
        ],
    }


def test_each_rule_and_each_reason_of_readyz_has_a_case() -> None:
    assert {case.alert for case in CASES} == set(RULES)
    assert {case.labels["code"] for case in REASON_CASES} == set(REASONS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_each_alert_fires_after_its_time_and_clears(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"  # JSON is YAML
    content = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{STEP_S}s",
        "tests": [promtool_test(case) for case in CASES],
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run(
        ("promtool", "test", "rules", file), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
