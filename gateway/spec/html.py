"""OpenAPI and AsyncAPI as one page of plain HTML, without scripts or external resources. Pure.

The documentation site is not served instead: it does not describe fields, and its pages need
scripts, three of them inline.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from typing import Any

from gateway.spec.asyncapi import OPERATIONS, asyncapi
from gateway.spec.markdown import constraint_of, kind_of
from gateway.spec.openapi import PROBLEM, PROBLEM_CODES, openapi

Json = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d0d5dd, #3a4150);
  --soft: light-dark(#f5f6f8, #1b1f27); --link: light-dark(#0b57d0, #8ab4f8); }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem;
  color: light-dark(#1a1c20, #e6e8eb); background: light-dark(#fff, #12151b); }
a { color: var(--link); }
h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; }
h3 { margin-top: 2.2rem; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .1em .3em;
  border-radius: 3px; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
th { background: var(--soft); }
nav ul { columns: 18rem; padding-left: 1.2rem; }
"""

CSP = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page() -> str:
    """The whole page."""
    http, sockets = openapi(), asyncapi()
    schemas = http["components"]["schemas"] | sockets["components"]["schemas"]
    operations = [o for row in http["paths"].values() for o in row.values()]
    entries = [(o["operationId"], o["summary"]) for o in operations]
    entries += [(f"channel-{name}", f"Frames of {name}") for name in sockets["channels"]]
    entries += [("schemas", "Objects and frames"), ("errors", "Errors")]
    body = "".join(
        [
            f"<h1>{_text(http['info']['title'])} {_text(http['info']['version'])}</h1>",
            f"<p>{_text(http['info']['description'])} For machines:"
            ' <a href="openapi.json">openapi.json</a>,'
            ' <a href="asyncapi.json">asyncapi.json</a>.</p>',
            '<nav aria-label="Contents"><ul>',
            *(f'<li><a href="#{at}">{_text(title)}</a></li>' for at, title in entries),
            "</ul></nav><main><h2>HTTP</h2>",
            *(
                _operation(method, path, operation, schemas)
                for path, row in http["paths"].items()
                for method, operation in row.items()
            ),
            "<h2>WebSockets</h2>",
            *(_channel(name, sockets) for name in sockets["channels"]),
            _closes(sockets),
            '<h2 id="schemas">Objects and frames</h2>',
            *(_schema(name, schemas[name], schemas) for name in sorted(schemas)),
            '<h2 id="errors">Errors</h2>',
            _errors(http),
            "</main>",
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(http['info']['title'])}</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _operation(method: str, path: str, operation: Json, schemas: Json) -> str:
    parts = [
        f'<h3 id="{operation["operationId"]}"><code>{method.upper()} {_text(path)}</code>'
        f" {_text(operation['summary'])}</h3><p>{_text(operation['description'])}</p>"
    ]
    if rows := [_parameter(parameter, schemas) for parameter in operation["parameters"]]:
        parts.append(_table(["parameter", "in", "type", ""], rows))
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        parts.append(f"<p>Body: {_type(content['schema'], schemas)}</p>")
    rows = [
        [status, _text(response["description"].partition(": ")[0]), _content(response, schemas)]
        for status, response in operation["responses"].items()
    ]
    return "".join([*parts, _table(["status", "", "answer"], rows)])


def _parameter(parameter: Json, schemas: Json) -> list[str]:
    description = "; ".join(
        filter(None, [parameter.get("description"), "required" if parameter["required"] else ""])
    )
    if (default := parameter["schema"].get("default")) is not None:
        description = f"{description}; default {default}"
    return [
        f"<code>{_text(parameter['name'])}</code>",
        parameter["in"],
        _type(parameter["schema"], schemas),
        _text(description),
    ]


def _content(response: Json, schemas: Json) -> str:
    parts = []
    for media, schema in response.get("content", {}).items():
        if media == PROBLEM:
            codes = response[PROBLEM_CODES]
            parts.append(" ".join(f'<a href="#code-{code}">{code}</a>' for code in codes))
        else:
            parts.append(f"{_text(media)}: {_type(schema['schema'], schemas)}")
    return "<br>".join(parts)


def _channel(name: str, document: Json) -> str:
    channel = document["channels"][name]
    query = channel["bindings"]["ws"]["query"]["properties"]
    rows = [
        [f"<code>{_text(n)}</code>", _text(constraint_of(schema))] for n, schema in query.items()
    ]
    parts = [
        f'<h3 id="channel-{name}"><code>{_text(channel["address"])}</code></h3>',
        f"<p>{_text(channel['description'])}</p>",
        _table(["parameter", ""], rows),
    ]
    for action, title in (("send", "You receive"), ("receive", "You may send")):
        if at := OPERATIONS.get((action, name)):
            operation = document["operations"][at]
            names = (m["$ref"].rpartition("/")[2] for m in operation["messages"])
            parts.append(f"<p>{title}: {' '.join(_link(schema) for schema in names)}</p>")
    return "".join(parts)


def _closes(document: Json) -> str:
    rows = [[code, _text(meaning)] for code, meaning in document["x-close-codes"].items()]
    return "<h3>Close codes</h3>" + _table(["code", ""], rows)


def _schema(name: str, schema: Json, schemas: Json) -> str:
    parts = [f'<h3 id="schema-{name}"><code>{name}</code></h3>']
    if description := schema.get("description"):
        parts.append(f"<p>{_text(description)}</p>")
    if "properties" not in schema:
        return "".join([*parts, f"<p>{_type(schema, schemas)}</p>"])
    rows = [
        [
            f"<code>{_text(field)}</code>",
            _type(property_, schemas),
            _text(constraint_of(property_)),
            "always" if field in schema.get("required", ()) else "",
        ]
        for field, property_ in schema["properties"].items()
    ]
    return "".join([*parts, _table(["field", "type", "", "there"], rows)]) if rows else parts[0]


def _errors(document: Json) -> str:
    rows = [
        [f'<code id="code-{code}">{code}</code>', str(problem["status"]), _text(problem["title"])]
        for code, problem in document["x-problem-codes"].items()
    ]
    return _table(["code", "status", "meaning"], rows)


def _type(schema: Json, schemas: Json) -> str:
    """The type of a value, linked where it is a schema."""
    words = re.split(r"(\w+)", kind_of(schema).replace("`", ""))
    return "".join(_link(word) if word in schemas else _text(word) for word in words)


def _link(name: str) -> str:
    return f'<a href="#schema-{name}">{name}</a>'


def _text(text: str) -> str:
    """Escaped text; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    rows_of = f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="wide"><table>{rows_of}</table></div>'
