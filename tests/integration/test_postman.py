"""The Postman collection does what it says: every request is sent, and answered as it promises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.http.served import served

FILE = Path(__file__).parents[2] / "postman_collection.json"


def requests(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield from requests(item["item"]) if "item" in item else [item]


def promised(item: dict[str, Any]) -> list[int]:
    """The statuses that the item's test accepts."""
    script = " ".join(item["event"][0]["script"]["exec"])
    match = re.search(r"oneOf\(\[([\d, ]+)\]\)", script)
    assert match, item["name"]
    return [int(status) for status in match[1].split(",")]


def kept(item: dict[str, Any]) -> list[tuple[str, str]]:
    """The variables that the item's test sets from the answer, and from which field."""
    script = " ".join(item["event"][0]["script"]["exec"])
    return re.findall(r"collectionVariables\.set\('(\w+)', pm\.response\.json\(\)\.(\w+)\)", script)


async def test_every_request_of_the_collection_is_answered_as_promised(redis_url: str) -> None:
    collection = json.loads(FILE.read_text(encoding="utf-8"))
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    values = {variable["key"]: variable["value"] for variable in collection["variable"]}
    values["idempotencyKey"] = values["clientOrderId"] = "a-run"
    names = []
    async with served(redis_url) as gateway:
        values["baseUrl"] = gateway.url

        def filled(text: str) -> str:
            return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)

        for item in requests(collection["item"]):
            request = item["request"]
            async with gateway.http.request(
                request["method"],
                filled(request["url"]["raw"]),
                headers={h["key"]: filled(h["value"]) for h in request["header"]},
                data=filled(request["body"]["raw"]) if "body" in request else None,
            ) as answer:
                assert answer.status in promised(item), (item["name"], await answer.text())
                for name, field in kept(item):
                    values[name] = (await answer.json())[field]
            names.append(item["name"])
    assert names[:8] == [
        "Submit an order",
        "Submit it again under the same key",
        "Read the order",
        "Submit an order with a name",
        "Read it by its name",
        "List orders",
        "Events of the order",
        "Ask for quotes",
    ]
