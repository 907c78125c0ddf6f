"""The generated pages of docs/reference that concern the API. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from events.order import NEXT
from events.reasons import REASONS
from events.streams import statuses_after
from events.token_warnings import TEXTS
from events.types import FACTS
from gateway.endpoints.endpoint import COMMON_PROBLEMS, GUARDED
from gateway.endpoints.table import ENDPOINTS
from gateway.http.problem_codes import CODES
from gateway.http.problems import RETRY_AFTER_S
from gateway.http.readiness_reasons import REASONS as READINESS_REASONS
from gateway.middleware.authorization import Reach
from gateway.spec.asyncapi import CLOSE_CODES, asyncapi
from projections.views.enums import FOLLOW_CODES, LOST_CODES
from projections.views.event_schemas import Frame
from projections.views.parking import PARKED
from projections.views.payloads import PAYLOADS, VIEWS

Json = dict[str, Any]

_GENERATED = (
    "<!-- Made by `engine docs --write` from the code; a test fails when it is stale. -->\n"
)


def errors() -> str:
    """Every problem code: status, meaning, and the endpoints that answer it."""
    rows = [
        [f"`{code}`", str(status), title, _where(code)] for code, (status, title) in CODES.items()
    ]
    return (
        f"# Errors\n{_GENERATED}\n"
        "Every error is an `application/problem+json` (RFC 9457).\n"
        "Switch on `code`: it is stable; `detail` is for people.\n"
        "`errors` has every invalid field, with its JSON pointer.\n"
        f"A 429 or 503 has `Retry-After`, in seconds, at least {RETRY_AFTER_S}.\n\n"
        + table(["code", "status", "meaning", "answered by"], rows)
        + "\n## Close codes of WebSockets\n"
        + table(
            ["code", "meaning"], [[str(code), meaning] for code, meaning in CLOSE_CODES.items()]
        )
        + "\n## Codes of frames\n"
        "A socket that follows single orders answers a message that it refuses with"
        ' `"event":"error"`:\n\n'
        + table(["code", "meaning"], [[f"`{code}`", text] for code, text in FOLLOW_CODES.items()])
        + '\nA `"event":"notice"` says why the stream has a gap, or ends:\n\n'
        + table(
            ["code", "meaning"],
            [
                *([f"`{code}`", text] for code, text in LOST_CODES.items()),
                ["`shutdown`", "The gateway restarts: resume from the last cursor."],
            ],
        )
        + "\n## Why an order is parked\n"
        "`parked` of an order, and `code` of `OrderParked`.\n\n"
        + table(["code", "meaning"], [[f"`{c}`", kind.sentence] for c, kind in PARKED.items()])
        + "\n## Codes of /readyz\n"
        "`codes` of `/readyz`, by part of the engine.\n\n"
        + table(
            ["code", "meaning", "alert", "what to do"],
            [
                [f"`{code}`", row.text, f"`{row.alert}`", row.action]
                for code, row in READINESS_REASONS.items()
            ],
        )
        + "\n## Warnings of tokens\n"
        "`warnings` of quotes and orders name what a token's own program permits its issuer to do,"
        " with the token's symbol.\nThey stop nothing.\n\n"
        + table(["code", "meaning"], [[f"`{code}`", text] for code, text in TEXTS.items()])
    )


def failure_reasons() -> str:
    """Every reason of a failure: meaning, what to do, and whether to submit again."""
    rows = [
        [f"`{code}`", reason.sentence, reason.action, RETRY[reason.retry]]
        for code, reason in REASONS.items()
    ]
    return (
        f"# Failure reasons\n{_GENERATED}\n"
        "Why an order failed, is retried, waits again or is in doubt: `reason` of"
        " `OrderFailed`, `OrderExpired`, `OrderRearmed` and `TransactionInDoubt`, `error` of"
        " `AttemptFailed` and of a quote, `reason` of the problem `not-settled`.\n"
        "Switch on the code: it is stable; `detail` is for people.\n"
        "The engine retries transient failures itself, up to `MAX_ATTEMPTS`.\n"
        "The last column is whether submitting a new order after the failure makes sense.\n\n"
        + table(["code", "meaning", "what to do", "submit again"], rows)
    )


RETRY = {
    "now": "yes, at once",
    "later": "once the cause has passed",
    "changed": "with other terms",
    "no": "no",
}


def _where(code: str) -> str:
    if code in COMMON_PROBLEMS:
        return "every request"
    if code in GUARDED:
        return "every operation that requires a scope"
    return ", ".join(
        f"`{endpoint.method} {endpoint.path}`"
        for endpoint in ENDPOINTS.values()
        if code in endpoint.problems
    )


def authorization() -> str:
    """Every endpoint: its scope, and how it treats orders of other accounts."""
    rows = [
        [
            f"`{', '.join(endpoint.methods)} {endpoint.path}`",
            f"`{endpoint.permission.scope}`" if endpoint.permission.scope else "no key",
            OTHERS[endpoint.permission.reach],
        ]
        for endpoint in ENDPOINTS.values()
    ]
    return (
        f"# Authorization\n{_GENERATED}\n"
        "The table has the scope that each operation requires, where keys are required"
        " (`REQUIRE_KEYS`) or one is sent.\n"
        "No scope contains another, except `admin`, which permits everything, for the orders of"
        " every account.\n"
        "Without a valid key the response is 401 `unauthenticated`, without the scope 403"
        " `scope-missing`.\n"
        "An order of another account is answered like an id that does not exist: 404"
        " `unknown-order`, also where its history is lost.\n"
        "While Redis or Postgres does not respond, both may be 503.\n\n"
        + table(["operation", "scope", "orders of other accounts"], rows)
    )


OTHERS = {
    Reach.NONE: "",
    Reach.IN_PATH: "unknown",
    Reach.NAMED: "unknown",
    Reach.LISTED: "left out",
    Reach.CREATED: "not applicable; each account has its own client order IDs and keys",
}


def events() -> str:
    """Every event: meaning, statuses, and the fields of its frame."""
    schemas = asyncapi()["components"]["schemas"]
    common = list(Frame.__struct_encode_fields__)
    parts = [
        f"# Events\n{_GENERATED}",
        "A frame of `/api/events` and `/api/orders/execute`, and an entry of an order's history,"
        " is an object with these fields and what its event adds.\n",
        fields(schemas["RoutingStarted"] | {"title": "every event"}, common),
    ]
    for name, fact in FACTS.items():
        schema = schemas[name]
        after = ", ".join(f"`{status}`" for status in statuses_after(fact))
        parts += [f"## {name}\n{_lines(schema['description'])}\n", f"Status after it: {after}\n"]
        if added := list(PAYLOADS[fact].__struct_encode_fields__):
            parts.append(fields(schema, added))
    parts.append("# Other frames\n")
    for name in (
        "Unknown",
        "Heartbeat",
        "Lost",
        "Shutdown",
        "Following",
        "Unfollowed",
        "FollowFault",
    ):
        schema = schemas[name]
        parts += [f'## `"event":"{schema["title"]}"`\n{_lines(schema["description"])}\n']
        parts.append(fields(schema, list(schema["properties"])))
    return "\n".join(parts) + _transitions()


def _transitions() -> str:
    """What may follow what, for orders."""
    rows = []
    for before, row in NEXT.items():
        by_status: dict[str, list[str]] = {}
        for fact, after in row.items():
            by_status.setdefault(after, []).append(f"`{fact.__name__}`")
        rows += [
            [f"`{before}`" if before else "no order yet", ", ".join(names), f"`{after}`"]
            for after, names in by_status.items()
        ]
    return (
        "\n# Transitions of an order\n"
        "Any other event is refused.\n"
        "After `confirmed`, `failed`, `expired` and `cancelled` there are no events.\n\n"
        + table(["status before", "event", "status after"], rows)
    )


def _lines(text: str) -> str:
    """The text with one sentence a line."""
    return re.sub(r"(?<=[.]) +(?=[A-Z`])", "\n", text)


def event_names() -> str:
    """The names, headings and writers of the events, as the console imports them.

    An import of an event that no longer exists fails when the page starts.
    """
    names = [f'export const {name} = "{name}";\n' for name in sorted(FACTS)]
    labels = {view.fact.__name__: view.label for view in VIEWS.values()}
    writers = {view.fact.__name__: view.writer for view in VIEWS.values() if view.writer}
    return (
        "// The events: names, headings, and which service writes them."
        " Made by `engine docs --write`.\n\n"
        + "".join(names)
        + _javascript("LABELS", labels)
        + _javascript("WRITERS", writers)
    )


def _javascript(name: str, values: Mapping[Any, str]) -> str:
    rows = [f"  {_key(key)}: {json.dumps(value)},\n" for key, value in sorted(values.items())]
    return f"\nexport const {name} = {{\n{''.join(rows)}}};\n"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def reason_names() -> str:
    """The failure reasons as the console imports them: code, sentence and hint."""
    sentences = {code: reason.sentence.replace("`", "") for code, reason in REASONS.items()}
    hints = {code: reason.action.replace("`", "") for code, reason in REASONS.items()}
    return (
        "// The failure reasons: what each code means and what to do about it."
        " Made by `engine docs --write`.\n"
        + _javascript("SENTENCES", sentences)
        + _javascript("HINTS", hints)
    )


def readiness_names() -> str:
    """The reasons of /readyz as the console imports them: code, alert rule and what to do."""
    alerts = {code: row.alert for code, row in READINESS_REASONS.items()}
    actions = {code: row.action.replace("`", "") for code, row in READINESS_REASONS.items()}
    return (
        "// The reasons of /readyz: the alert rule of each, and what an operator does about it."
        " Made by `engine docs --write`.\n"
        + _javascript("ALERTS", alerts)
        + _javascript("ACTIONS", actions)
    )


def fields(schema: Json, names: Iterable[str]) -> str:
    """The table of some fields of an object."""
    rows = []
    for name in names:
        field = schema["properties"][name]
        there = "" if name in schema["required"] else "optional"
        if name in ("event", "status") and schema["title"] == "every event":
            field = {"type": "string"}
        rows.append(
            [
                f"`{name}`",
                kind_of(field),
                "; ".join(filter(None, [constraint_of(field).rstrip("."), there])),
            ]
        )
    return table(["field", "type", ""], rows)


def kind_of(schema: Json) -> str:
    """The type of a value, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for one_of in ("anyOf", "oneOf"):
        if one_of in schema:
            return " or ".join(dict.fromkeys(kind_of(schema_) for schema_ in schema[one_of]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " ".join("null" if schema_ is None else f"`{schema_}`" for schema_ in schema["enum"])
    if schema.get("type") == "array":
        return f"{kind_of(schema['items'])}[]" if schema.get("items") else "array"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind_of(schema['additionalProperties'])}"
    kind = str(schema.get("type", "any"))
    form = schema.get("format") or ("decimal" if "\\d+(" in schema.get("pattern", "") else "")
    return form if kind == "string" and form else kind


def constraint_of(schema: Json) -> str:
    """The description of a value, or of its alternatives."""
    own = schema.get("description", "")
    within = [
        constraint_of(schema_) for schema_ in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    ]
    return str(own or next(filter(None, within), ""))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |\n" for r in lines)
