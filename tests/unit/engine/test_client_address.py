"""The URL of a gateway, as a bot's settings may have it, and the forward proxy on the way."""

from __future__ import annotations

import pytest

from engine.client import Client, UnreachableError
from engine.client.address import AddressError, address_of


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", ""),
        (" http://127.0.0.1:3000/\n", "http://127.0.0.1:3000", ""),
        ("https://example.com/engine", "https://example.com", "/engine"),
        ("https://example.com/a/b/", "https://example.com", "/a/b"),
        ("http://[::1]:3000/", "http://[::1]:3000", ""),
    ],
)
def test_an_address_is_an_origin_and_a_path(url: str, origin: str, prefix: str) -> None:
    address = address_of(url)
    assert (address.origin, address.prefix) == (origin, prefix)
    assert address.shown == origin + prefix


def test_a_password_of_the_url_is_not_shown() -> None:
    address = address_of("https://ann:secret@example.com/engine")
    assert address.origin == "https://ann:secret@example.com"
    assert address.shown == "https://example.com/engine"


@pytest.mark.parametrize("url", ["", "localhost:3000", "ws://localhost:3000", "http://", "/api"])
def test_another_url_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(AddressError, match="begins with http") as refused:
        Client(url)
    assert isinstance(refused.value, UnreachableError), "commands print it in one line"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://example.com", "http://proxy.example:3128"),
        ("https://example.com", "http://secure.example:3128"),
        ("https://orders.internal.example", None),
        ("http://localhost:3000", None),
        ("http://127.0.0.1:3000", None),
        ("http://[::1]:3000", None),
    ],
)
def test_a_forward_proxy_is_for_other_machines(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://secure.example:3128")
    monkeypatch.setenv("no_proxy", ".internal.example")
    assert address_of(url).forward_proxy == proxy
