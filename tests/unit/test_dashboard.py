"""Dashboard, alerts and compose.yaml speak of metrics and files that there are."""

import json
import re
from pathlib import Path

import pytest

from events.metrics import METERS, Counter
from gateway.api.metrics import FACTS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted(DEPLOY.rglob("dashboards/*.json"))
ALERTS = DEPLOY / "prometheus/alerts.yml"


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
    return {label, "le"} if name.endswith("_bucket") else {label}


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
