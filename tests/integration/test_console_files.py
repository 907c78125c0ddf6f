"""The console's files: access, content security policy, and no requests to other hosts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from events.types import FACTS
from tests.support.http.served import Served, served

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STATIC = Path(str(files("gateway").joinpath("static")))
NAMES = sorted(path.name for path in STATIC.iterdir())
ALERTS = STATIC.parents[1] / "deploy/prometheus/alerts.yml"
ALERT_RULES = set(re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8")))


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


async def test_browsers_get_the_console_and_programs_the_links(gateway: Served) -> None:
    async with gateway.http.get(gateway.url, headers=BROWSER) as answer:
        assert answer.content_type == "text/html"
        assert "<main" in await answer.text()
    for accept in ("application/json", "*/*"):
        status, body = await gateway.get("/", headers={"Accept": accept})
        assert (status, body["links"]["orders"]) == (200, "/api/orders")


@pytest.mark.parametrize("name", NAMES)
async def test_every_file_is_served_under_a_strict_policy(gateway: Served, name: str) -> None:
    async with gateway.http.get(f"{gateway.url}/static/{name}") as answer:
        assert answer.status == 200
        assert await answer.read() == (STATIC / name).read_bytes()
        policy = answer.headers["Content-Security-Policy"]
        tag = answer.headers["ETag"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    known = {"If-None-Match": tag}
    async with gateway.http.get(f"{gateway.url}/static/{name}", headers=known) as answer:
        assert answer.status == 304


@pytest.mark.parametrize("name", NAMES)
def test_no_file_needs_another_host_or_anything_inline(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://|//[a-z]+\.", text)
    assert not re.findall(r"\sstyle=|<style|\son\w+=[\"']|<script(?![^>]*\ssrc=)", text)
    assert "innerHTML" not in text


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_events_are_named_by_what_the_generated_file_exports(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    if name == "events.js":
        assert set(re.findall(r'export const (\w+) = "\1";', text)) == set(FACTS)
        return
    match = re.search(r'import \{([^}]*)\} from "./events.js";', text)
    imported = set(re.findall(r"\w+", match[1])) - {"LABELS", "WRITERS"} if match else set()
    assert imported <= set(FACTS)
    rest = text.replace(match[0], "") if match else text
    # An alert rule has the name of the event that fires it.
    facts = set(FACTS) - ALERT_RULES if "runbook" in text else set(FACTS)
    assert set(re.findall(r"\b\w+\b", rest)) & facts == imported & facts
    assert not [event for event in facts if f'"{event}"' in rest]


@pytest.mark.parametrize("name", NAMES)
def test_no_amount_becomes_a_float(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert "parseFloat" not in text
    assert not re.findall(r"Number\([^)]*(?:[aA]mount|[pP]rice|fee)", text)


def test_the_package_data_patterns_cover_every_console_file() -> None:
    project = tomllib.loads((STATIC.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    assert [name for name in NAMES if f"*.{name.rpartition('.')[2]}" not in patterns] == []


async def test_no_file_outside_the_static_folder_is_served(gateway: Served) -> None:
    for path in ("/static/nothing.js", "/static/..%2Fapp.py", "/static/%2e%2e/app.py", "/static/"):
        status, _ = await gateway.get(path)
        assert status == 404


async def test_the_tokens_that_can_be_traded_are_listed_once(gateway: Served) -> None:
    status, body = await gateway.get("/api/tokens")
    assert status == 200
    assert [token["symbol"] for token in body["tokens"]] == ["SOL", "USDC", "USDT", "BONK"]
    assert body["tokens"][0]["decimals"] == 9
