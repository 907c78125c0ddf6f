"""`engine metrics`: the values of the gateway's /metrics, and the reference of all metrics."""

import argparse
import json

from engine.client import Client
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings

HELP = "show the metrics of the running engine, or all of them as documentation"
EXAMPLES = (
    "engine metrics",
    "engine metrics --json",
)
EXITS = {0: "shown", 1: "no gateway"}

_HEAD = """\
# Metrics

The format is Prometheus.
The gateway serves `/metrics` on its own port: gauges of log and archive, and its own counters.
Each stage and the projector serve their own counters on `METRICS_HOST:METRICS_PORT`, if set.
Under `engine up` that port is the router's.
Builder, submitter, confirmer, watcher, projector and tracer use the next six ports.
Counters start at 0 in each process: sum them over all processes.
A gauge is absent while its value is unknown.
On Linux `process_…` (CPU, memory, files) is exported as well.

Made by `engine docs --write`.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--markdown", action="store_true", help="the text of docs/reference/metrics.md"
    )
    form.add_argument("--json", action="store_true", help="one JSON object a sample and line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints them."""
    if args.markdown:
        print(markdown(), end="")
        return 0
    return run_with_gateway(_show(connect(settings), as_json=args.json))


async def _show(gateway: Client, *, as_json: bool) -> int:
    async with gateway as client:
        text = await client.metrics()
    if not as_json:
        print(text, end="")
        return 0
    from gateway.api.exposition import samples

    for sample in samples(text):
        print(json.dumps(sample))
    return 0


def markdown() -> str:
    """Returns the document."""
    from events.metrics import METERS, Counter
    from gateway.api.metrics import FACTS

    rows = ["", "| Metric | Kind | Label | Meaning |", "|---|---|---|---|"]
    rows += [f"| `{f.name}` | gauge | {_code(f.label)} | {f.help} |" for f in FACTS]
    for meter in METERS:
        kind = "counter" if isinstance(meter, Counter) else "histogram"
        rows.append(f"| `{meter.name}` | {kind} | {_code(meter.label)} | {meter.help} |")
    return _HEAD + "\n".join(rows) + "\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
