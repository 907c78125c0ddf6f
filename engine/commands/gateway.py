"""`engine gateway`: one of the processes that `engine up` runs."""

import argparse

from engine.commands.up import with_backends
from engine.embedded.data_dir import restarts
from engine.processes.lifecycle import serve
from engine.processes.metrics_server import metered
from engine.processes.signs_of_life import signs
from engine.settings import Settings

HELP = "serve HTTP and WebSocket"
EXAMPLES = ("engine gateway",)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Runs until asked to stop."""
    from engine.composition.gateway import run_gateway
    from gateway.backends.hung_processes import ProcessSign

    ready = with_backends(settings)

    def present() -> list[ProcessSign]:
        return [
            ProcessSign(sign.process, sign.host, sign.pid, sign.age_s)
            for sign in signs(ready)
            if sign.exists
        ]

    return serve(
        ready,
        "gateway",
        lambda stop: metered(
            ready, run_gateway(ready, stop, lambda: restarts(ready.data_dir), present)
        ),
    )
