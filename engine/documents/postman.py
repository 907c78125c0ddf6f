"""The Postman collection: a flow through the endpoints, and a request for every other one. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from engine.documents.postman_flow import BASE, FLOW, FOLDERS, SUBMIT, VARIABLES, Folder, Step
from gateway.endpoints.endpoint import Endpoint
from gateway.endpoints.table import ENDPOINTS

Json = dict[str, Any]


@cache
def collection() -> str:
    """The collection, as the text of its file."""
    before_each = [
        "// A key for each run of the flow: the second submission must be the first order.",
        f"if (pm.info.requestName === '{FLOW.steps[0].name}') {{",
        "  pm.collectionVariables.set('idempotencyKey', pm.variables.replaceIn('{{$guid}}'));",
        "  pm.collectionVariables.set('clientOrderId', pm.variables.replaceIn('{{$guid}}'));",
        "}",
        "// Where keys are required: the variable `apiKey`, of the collection or an environment.",
        "if (pm.variables.get('apiKey')) {",
        "  pm.request.headers.upsert("
        "{ key: 'Authorization', value: `Bearer ${pm.variables.get('apiKey')}` });",
        "}",
    ]
    document = {
        "info": {
            "_postman_id": "6b0f7c1e-3f0a-4d3e-9a56-0d2b6a1c7e11",
            "name": "Order execution engine",
            "description": "Submit, read, list. Set `apiKey` where keys are required: its key needs"
            " the scopes of what is run. Folders whose names say dangerous stop the engine or"
            " cancel orders. To follow an order, connect a WebSocket to "
            f"{BASE}{SUBMIT[1]}?orderId={{{{orderId}}}}.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "item": [_folder(folder) for folder in folders_of(ENDPOINTS.values())],
        "event": [_script("prerequest", before_each)],
        "variable": [{"key": k, "value": v, "type": "string"} for k, v in VARIABLES.items()],
    }
    return json.dumps(document, indent=2) + "\n"


def folders_of(endpoints: Iterable[Endpoint]) -> list[Folder]:
    """The folders of the flow, and one with a step for each endpoint that the flow leaves out.

    Raises ValueError for an endpoint whose request cannot be derived: the flow must have it.
    """
    covered = {step.operation for folder in FOLDERS for step in folder.steps}
    others = [e for e in endpoints if e.key not in covered and not e.channel]
    if not others:
        return list(FOLDERS)
    return [*FOLDERS, Folder(f"{len(FOLDERS) + 1} Others", tuple(_step_of(e) for e in others))]


def _step_of(endpoint: Endpoint) -> Step:
    if endpoint.body or endpoint.required:
        raise ValueError(f"{endpoint.method} {endpoint.path} needs a step in `postman_flow`")
    description = ". ".join(response.description for response in endpoint.responses.values())
    return Step(endpoint.summary, endpoint.key, tuple(endpoint.responses), f"{description}.")


def _folder(folder: Folder) -> Json:
    description = {"description": folder.description} if folder.description else {}
    return {"name": folder.name, **description, "item": [_item(step) for step in folder.steps]}


def _item(step: Step) -> Json:
    answers = f"answers {' or '.join(str(status) for status in step.statuses)}"
    checks = [(answers, f"pm.expect(pm.response.code).to.be.oneOf({list(step.statuses)})")]
    lines = [f"pm.test('{name}', () => {check});" for name, check in (*checks, *step.checks)]
    if step.keep:
        lines.append(f"pm.collectionVariables.set('{step.keep}', pm.response.json().orderId);")
    return {
        "name": step.name,
        "event": [_script("test", lines)],
        "request": _request(step),
        "response": [],
    }


def _script(listen: str, lines: list[str]) -> Json:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": lines}}


def _request(step: Step) -> Json:
    method, path = step.operation
    headers = {"Content-Type": "application/json"} if step.body is not None else {}
    request: Json = {
        "method": method,
        "header": [{"key": k, "value": v} for k, v in (headers | dict(step.headers)).items()],
        "url": _url(_path(path, step), step),
        "description": step.description,
    }
    if step.body is not None:
        raw = json.dumps(step.body, indent=2)
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return request


def _path(path: str, step: Step) -> str:
    names = {"id": step.of, "name": "console.css", "clientOrderId": "{{clientOrderId}}"}
    return re.sub(r"{(\w+)}", lambda match: names[match[1]], path)


def _url(path: str, step: Step) -> Json:
    raw = "&".join(f"{name}={_escaped(value)}" for name, value in step.query.items())
    url: Json = {
        "raw": f"{BASE}{path}" + (f"?{raw}" if raw else ""),
        "host": [BASE],
        "path": path[1:].split("/"),
    }
    if step.query:
        table = ENDPOINTS[step.operation].query or {}
        url["query"] = [
            {"key": name, "value": _escaped(value), "description": _about(table[name])}
            for name, value in step.query.items()
        ]
    return url


def _about(parameter: Mapping[str, Any]) -> str:
    return str(parameter["description"])


def _escaped(value: str) -> str:
    """As in a URL, but for variables."""
    return "".join(
        part if part.startswith("{{") else quote(part) for part in re.split(r"({{\w+}})", value)
    )
