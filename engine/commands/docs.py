"""`engine docs`: the reference documents, generated from the code."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from engine import commands_manual
from engine.commands import command, names, parser
from engine.documents.postman import collection
from engine.settings import Settings
from engine.telemetry import catalogue
from gateway.spec import markdown
from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi

HELP = "print a reference document, or write all of them and the Postman collection"
EXAMPLES = (
    "engine docs openapi",
    "engine docs --write",
)
EXITS = {0: "printed; written"}


def _commands() -> str:
    return commands_manual.markdown({name: command(name) for name in names()}, parser(names()))


def _metrics() -> str:
    from engine.commands import metrics

    return metrics.markdown()


def _settings() -> str:
    from engine import settings_reference

    return settings_reference.reference()


FILES: dict[str, Callable[[], str]] = {
    "docs/reference/authorization.md": markdown.authorization,
    "docs/reference/commands.md": _commands,
    "docs/reference/errors.md": markdown.errors,
    "docs/reference/events.md": markdown.events,
    "docs/reference/logs.md": catalogue.markdown,
    "docs/reference/metrics.md": _metrics,
    "docs/reference/settings.md": _settings,
    "docs/reference/failure-reasons.md": markdown.failure_reasons,
    "gateway/static/events.js": markdown.event_names,
    "gateway/static/readiness.js": markdown.readiness_names,
    "gateway/static/reasons.js": markdown.reason_names,
    "postman_collection.json": collection,
}
PRINTED: dict[str, Callable[[], str]] = {
    "authorization": markdown.authorization,
    "commands": _commands,
    "errors": markdown.errors,
    "events": markdown.events,
    "logs": catalogue.markdown,
    "metrics": _metrics,
    "settings": _settings,
    "failure-reasons": markdown.failure_reasons,
    "openapi": lambda: json.dumps(openapi(), indent=2) + "\n",
    "asyncapi": lambda: json.dumps(asyncapi(), indent=2) + "\n",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    parser.add_argument("--json", action="store_true", help="as a JSON string, or list of files")
    what.add_argument("document", nargs="?", choices=sorted(PRINTED), help="print this one")
    what.add_argument(
        "--write",
        action="store_true",
        help="write docs/reference/ and the Postman collection below this folder",
    )


def run(_: Settings, args: argparse.Namespace) -> int:
    """Prints one, or writes all."""
    if not args.write:
        text = PRINTED[args.document]()
        print(json.dumps(text) + "\n" if args.json else text, end="")
        return 0
    for name, make in FILES.items():
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(), encoding="utf-8")
    print(json.dumps(list(FILES)) if args.json else "\n".join(FILES))
    return 0
