"""Secrets: in whatever way one is turned into text, it is not there."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog

from events.secret import MASK, Secret, SecretBytes, SecretText, SecretUrl

HIDDEN = "hunter2hunter2"
SECRETS: list[Secret[Any]] = [
    SecretText(HIDDEN),
    SecretBytes(HIDDEN.encode()),
    *map(
        SecretUrl,
        (
            f"redis://:{HIDDEN}@host:6379/0",
            f"redis://{HIDDEN}@host:6379/0",
            f"rediss://user:{HIDDEN}@host",
            f"unix://:{HIDDEN}@/run/valkey.sock?db=0",
            f"redis://host?password={HIDDEN}",
            f"postgresql://u:{HIDDEN}@h1:5432,h2:5432/db",
            f"postgresql://h/db?user=a&password={HIDDEN}&sslmode=require",
            f"postgresql://h/db?sslpassword={HIDDEN}",
            f"postgres://u:{HIDDEN}#{HIDDEN}@h/db",
            f"postgres://u:pa/{HIDDEN}@h/db",
            f"postgres://u:pa?{HIDDEN}@h/db",
            f"postgres://u:pa?x={HIDDEN}@h/db",
            f"https://rpc.example/{HIDDEN}",
            f"https://rpc.example/v2/{HIDDEN}/",
            f"https://rpc.example/?api-key={HIDDEN}",
            f"https://rpc.example/?{HIDDEN}",
            f"https://rpc.example/?{HIDDEN}=1",
            f"https://{HIDDEN}@rpc.example",
            f"https://user:{HIDDEN}@rpc.example",
            f"https://rpc.example:{HIDDEN}",
            f"https://rpc.example/#{HIDDEN}",
            f"https://[{HIDDEN}",
            HIDDEN,
            f"//{HIDDEN}",
            f"{HIDDEN}://host",
        ),
    ),
]
KEPT = f"{HIDDEN}://host"
"""A scheme is not secret."""


def _raised(secret: Secret[Any]) -> str:
    try:
        raise ValueError("odd", secret) from ValueError(f"odd: {secret}")
    except ValueError:
        return traceback.format_exc()


def _logged(secret: Secret[Any]) -> str:
    render = structlog.processors.JSONRenderer(default=str)
    text = render(None, "info", {"event": "x", "a": secret, "b": [secret], "c": {"d": secret}})
    plain = structlog.dev.ConsoleRenderer(colors=False)(None, "info", {"event": "x", "a": secret})
    return str(text) + plain


class Holder(msgspec.Struct):
    secret: Any


TEXTS: dict[str, Callable[[Secret[Any]], object]] = {
    "str": str,
    "repr": repr,
    "f-string": lambda s: f"{s} {s!r} {s!s} {s!a} {s:>40}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031 - as loggers do
    "format": "{0} {0!r}".format,
    "containers": lambda s: f"{[s]} {(s,)} { {'k': s} } {Holder(s)}",
    "dir and vars": lambda s: f"{dir(s)} {getattr(s, '__dict__', '')}",
    "errors": _raised,
    "logs": _logged,
    "json": lambda s: json.dumps({"a": s}, default=str),
    "copies": lambda s: f"{copy.copy(s)} {copy.deepcopy([s])}",
}


@pytest.mark.parametrize("way", TEXTS)
def test_no_text_of_a_secret_holds_it(way: str) -> None:
    for secret in SECRETS:
        if secret == SecretUrl(KEPT):
            continue
        text = str(TEXTS[way](secret))
        assert HIDDEN not in text, (way, text)
        assert HIDDEN in str(secret.reveal())


@pytest.mark.parametrize("secret", SECRETS[:3], ids=lambda value: type(value).__name__)
def test_no_serializer_writes_a_secret(secret: Secret[Any]) -> None:
    for write in (pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        for value in (secret, [secret], Holder(secret) if write is not json.dumps else secret):
            with pytest.raises(TypeError):
                write(value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", ""),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://u:pw@h:6379/0", "redis://u:***@h:6379/0"),
        ("unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=1"),
        (
            "postgresql://h/db?user=a&password=pw&sslmode=require",
            "postgresql://h/db?user=a&password=***&sslmode=require",
        ),
        ("postgresql:///db?host=/run/pg", "postgresql:///db?host=/run/pg"),
        ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
        ("http://[::1]:8899/", "http://[::1]:8899"),
        ("https://rpc.example/key", "https://rpc.example/***"),
        ("https://rpc.example?api-key=key", "https://rpc.example?***"),
        ("https://key@rpc.example", "https://***@rpc.example"),
        ("https://user:key@rpc.example", "https://***@rpc.example"),
        ("redis://pw@h:6379/0", "redis://***@h:6379/0"),
        ("redis://u:p/w@h:6379/0", "***"),  # a password with a character that is not quoted
        ("postgresql://u:p w@h/db", "postgresql://u:***@h/db"),
        ("redis://h:6379:secret/0", "***"),
    ],
)
def test_a_shown_url_has_its_host(url: str, text: str) -> None:
    assert str(SecretUrl(url)) == text


def test_secrets_are_compared_by_value_and_are_false_where_there_is_none() -> None:
    assert SecretText("a") == SecretText("a") != SecretText("b")
    assert SecretText("a") != SecretBytes(b"a")
    assert SecretText("a") != "a"
    assert len({SecretBytes(b"a"), SecretBytes(b"a")}) == 1
    assert not SecretText("")
    assert (str(SecretText("")), str(SecretText("a"))) == ("", MASK)
    assert SecretUrl.of(SecretUrl("a")) == SecretUrl.of("a")


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:pw#x@h", "redis://u:pw/x@h", "redis://u:pw?x@h", "redis://u:p@h:port",
        "redis://u:1/x@h", "redis://u:1?x@h", "redis://:1?x=y@h", "postgresql://u:1?x@h/db",
        "postgresql://[u:p@h/db", "u:p@h", "//u:p@h", "pw",
    ],
)  # fmt: skip
def test_a_url_whose_password_is_not_quoted_is_not_well_formed(url: str) -> None:
    assert not SecretUrl(url).well_formed
    assert SecretUrl(url).parts() == (url,)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://user:p%40ss@h/0", {"p%40ss", "p@ss"}),
        ("postgresql://postgres@h/engine_prod", set()),
        ("postgresql://h/db?user=a&password=pw&sslmode=require", {"pw"}),
        ("https://rpc.example/v2/0123456789/", {"0123456789"}),
        ("https://rpc.example?api-key=0123456789&x=1", {"0123456789"}),
        ("https://name:word@rpc.example", {"name", "word"}),
    ],
)
def test_the_parts_of_a_url_that_may_be_keys_are_known(url: str, parts: set[str]) -> None:
    assert SecretUrl(url).well_formed
    assert {part for part in SecretUrl(url).parts() if part} == parts
