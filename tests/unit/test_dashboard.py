"""Dashboard, alerts and compose.yaml speak of metrics and files that there are."""

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from events.metrics import METERS, Counter
from gateway.api.metrics import FACTS
from gateway.http.readiness_reasons import REASONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted(DEPLOY.rglob("dashboards/*.json"))
ALERTS = DEPLOY / "prometheus/alerts.yml"
YAML_FILES = [ROOT / "compose.yaml", *sorted(DEPLOY.rglob("*.yml"))]


def exposed_names() -> set[str]:
    names = {fact.name for fact in FACTS}
    for meter in METERS:
        if isinstance(meter, Counter):
            names.add(meter.name)
        else:
            names |= {f"{meter.name}_{part}" for part in ("bucket", "count", "sum")}
    return names


def labels_of(name: str) -> set[str]:
    bare = re.sub(r"_(bucket|count|sum)$", "", name)
    [label] = {item.label for item in (*FACTS, *METERS) if item.name in (name, bare)}
    return {*label.split(","), "le"} if name.endswith("_bucket") else set(label.split(","))


def expressions(path: Path) -> list[str]:
    if path == ALERTS:
        return re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):", path.read_text())
    panels = json.loads(path.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.mark.parametrize("path", [*DASHBOARDS, ALERTS], ids=lambda path: path.name)
def test_every_metric_named_exists_with_the_labels_used(path: Path) -> None:
    results = expressions(path)
    assert len(results) > 10
    for expression in results:
        names = re.findall(r"\boee_\w+", expression)
        assert names or re.search(r"\b(up|process_\w+)\b", expression), expression
        assert set(names) <= exposed_names(), expression
        for name, inside in re.findall(r"\b(oee_\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r"(\w+)(?:=|!=)", inside)) <= labels_of(name), expression
        for grouped in re.findall(r"by \(([^)]*)\) \((?:rate\()?oee", expression):
            [name] = set(names)
            assert set(grouped.split(", ")) <= labels_of(name), expression


def test_every_alert_has_its_text_in_one_place() -> None:
    text = ALERTS.read_text()
    alerts = re.findall(r"- alert: (\w+)", text)
    assert len(alerts) == len(set(alerts)) == len(expressions(ALERTS))
    for needed in ("severity:", "summary:", "description:"):
        assert text.count(needed) == len(alerts), needed


def test_every_reason_of_readyz_has_an_alert_rule() -> None:
    rules = dict(
        re.findall(
            r"- alert: (\w+)\n +expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):", ALERTS.read_text()
        )
    )
    for code, row in REASONS.items():
        assert f'oee_readiness_reason{{code="{code}"}} == 1' in rules.get(row.alert, ""), code
    named = re.findall(r'oee_readiness_reason\{code="([\w-]+)"\}', ALERTS.read_text())
    assert sorted(named) == sorted(REASONS), "each once, and none that cannot be given"


def test_the_runbook_of_the_console_has_every_alert_rule() -> None:
    text = (ROOT / "gateway/static/runbook.js").read_text()
    rows = re.findall(r"^  (\w+): \[", text, re.MULTILINE)
    assert sorted(rows) == sorted(re.findall(r"- alert: (\w+)", ALERTS.read_text()))


def test_prometheus_asks_every_process_that_compose_runs() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    asked = (DEPLOY / "prometheus/prometheus.yml").read_text()
    [names] = re.findall(r"names: \[(.*)\]", asked)
    runs = re.findall(r"command: \[(?:stage, )?(\w+)\]", compose)
    assert sorted([*names.split(", "), "gateway"]) == sorted(runs)
    [port] = re.findall(r'METRICS_PORT: "(\d+)"', compose)
    assert f"port: {port}\n" in asked
    for folder in re.findall(r"- \./(deploy/[\w/]+):", compose):
        assert (ROOT / folder).is_dir(), folder


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_file_can_be_read(path: Path) -> None:
    """A rule file that Prometheus cannot read ends it at start."""
    documents = list(yaml.safe_load_all(path.read_text()))
    assert all(isinstance(document, dict) for document in documents)


def test_alertmanager_has_one_receiver_whose_webhook_is_a_setting() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    config = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    assert re.findall(r"- name: (\w+)", config) == ["webhook"]
    [file] = re.findall(r"url_file: (/\w+/\w+)", config)
    assert f'"$$ALERT_WEBHOOK_URL" >{file}' in compose
    assert "ALERT_WEBHOOK_URL: ${ALERT_WEBHOOK_URL:-" in compose
    assert 'targets: ["alertmanager:9093"]' in (DEPLOY / "prometheus/prometheus.yml").read_text()


def test_health_checks_start_no_python() -> None:
    for name in ("compose.yaml", "Dockerfile"):
        checks = re.findall(
            r"(?:test: |HEALTHCHECK(?:.|\n)*?CMD )(\[.*\])", (ROOT / name).read_text()
        )
        assert checks, name
        assert not [check for check in checks if re.search(r"python|-m.*engine", check)]
