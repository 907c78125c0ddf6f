"""/docs has everything, leads nowhere outside, and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

from events.types import FACTS
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.spec.html import CSP, page
from gateway.spec.openapi import openapi

VOID = {"meta", "br"}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src"):
                self.links.append(value or "")
            assert name != "style"
            assert not name.startswith("on")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += "\n" if tag in ("td", "th", "p", "h3") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def read() -> Page:
    result = Page()
    result.feed(page())
    assert not result.open
    return result


def test_every_link_leads_to_a_place_of_the_page_or_of_the_gateway() -> None:
    text = read()
    assert len(text.ids) == len(set(text.ids))
    for link in text.links:
        if link.startswith("#"):
            assert link.removeprefix("#") in text.ids
        else:
            assert ("GET", urljoin("/docs", link)) in ENDPOINTS
    assert not text.tags & {"script", "img", "link", "iframe", "object", "form", "base"}
    assert "url(" not in page()


def test_the_page_contains_every_endpoint_code_event_and_schema() -> None:
    text = read().text
    for endpoint in ENDPOINTS.values():
        assert f"{endpoint.method} {endpoint.path} {endpoint.summary}" in text
        assert all(name in text for name in endpoint.query or ())
    for name in (*CODES, *FACTS, *openapi()["components"]["schemas"]):
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text), name


def test_only_the_style_of_the_page_is_allowed() -> None:
    assert CSP.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in CSP
    assert "light dark" in page()
