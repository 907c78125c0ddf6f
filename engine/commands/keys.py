"""`engine keys`: who may use the gateway, and for what. Works with the engine up or down."""

import argparse
import json
import sys

from engine.embedded.stores import reading, records
from engine.processes.program import StartError
from engine.settings import Settings
from engine.terminal.argument_types import seconds
from engine.terminal.operator_name import whoami
from events.commands import api_keys
from events.commands.api_keys import SCOPES, IssuedKey, KeyRefused
from events.log import EventLog
from events.streams import ApiKey
from events.telemetry.server_clock import now_us as server_now_us
from projections.views.formats import timestamp

HELP = "create, list, rotate or revoke API keys"
EXAMPLES = (
    'engine keys create --account desk --scopes read,trade,cancel --label "grid bot"',
    "engine keys list",
    "engine keys rotate k3q9 --grace 600",
    'engine keys revoke k3q9 --reason "left the desk"',
)
EXITS = {0: "done", 1: "no such key, or no gateway", 2: "the records cannot be read"}
GRACE_S = 0.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    create = what.add_parser("create", help="create a key, and print it once")
    create.add_argument("--account", required=True, help="account that the key belongs to")
    create.add_argument(
        "--scopes", default="read,trade,cancel", type=_scopes, help=f"of {','.join(SCOPES)}"
    )
    create.add_argument("--label", default="", help="what it is for")
    create.add_argument("--expires-in", type=seconds, metavar="S", help="seconds until it expires")
    turned = what.add_parser("rotate", help="replace the secret of a key, and print it once")
    turned.add_argument("key", metavar="ID", help="as `engine keys list` shows it")
    turned.add_argument(
        "--grace",
        type=_grace,
        default=GRACE_S,
        metavar="S",
        help="how long the old secret stays valid",
    )
    ended = what.add_parser("revoke", help="revoke a key")
    ended.add_argument("key", metavar="ID", help="as `engine keys list` shows it")
    ended.add_argument("--reason", default="revoked", help="why")
    for act in (create, turned, ended):
        act.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    for act in (create, turned, ended, what.add_parser("list", help="all that are not revoked")):
        act.add_argument("--json", action="store_true", help="for machines")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Do it."""
    return reading(lambda: _run(settings, args))


async def _run(settings: Settings, args: argparse.Namespace) -> int:
    async with records(settings) as (log, _):
        if not log.joined:
            msg = "there is no log yet, and keys live in it: once the engine has started, try again"
            raise StartError(msg)
        try:
            for line in await _lines(log, args):
                print(line)
        except KeyRefused as error:
            print(f"engine: {error}", file=sys.stderr)
            return 1
    return 0


async def _lines(log: EventLog, args: argparse.Namespace) -> list[str]:
    match args.what:
        case "create":
            ends = server_now_us() + int(args.expires_in * 1e6) if args.expires_in else 0
            return _minted(
                await api_keys.create(log, args.account, args.scopes, args.label, ends, args.actor),
                args,
            )
        case "rotate":
            return _minted(await api_keys.rotate(log, args.key, args.grace, args.actor), args)
        case "revoke":
            await api_keys.revoke(log, args.key, args.reason, args.actor)
            return [json.dumps({"keyId": args.key, "revoked": True})] if args.json else ["revoked"]
    return [_row(key, args) for key in await api_keys.listed(log)]


def _minted(issued: IssuedKey, args: argparse.Namespace) -> list[str]:
    """Its text goes to stdout alone, so that `$(engine keys create …)` is the key."""
    if args.json:
        return [json.dumps(_view(issued.key) | {"key": issued.text.reveal()})]
    print(f"{_row(issued.key, args)}\nthis key is shown once:", file=sys.stderr)
    return [issued.text.reveal()]


def _row(key: ApiKey, args: argparse.Namespace) -> str:
    if args.json:
        return json.dumps(_view(key))
    ends = f"until {timestamp(key.expires_at_us)}" if key.expires_at_us else "no end"
    return f"{key.id}  {key.account:<16} {','.join(key.scopes):<24} {ends}  {key.label}".rstrip()


def _view(key: ApiKey) -> dict[str, object]:
    return {
        "keyId": key.id,
        "account": key.account,
        "scopes": list(key.scopes),
        "label": key.label,
        "createdAt": timestamp(key.created_at_us),
        "expiresAt": timestamp(key.expires_at_us) if key.expires_at_us else None,
    }


def _scopes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names or not set(names) <= set(SCOPES):
        raise argparse.ArgumentTypeError(f"some of {','.join(SCOPES)}")
    return names


def _grace(text: str) -> float:
    return 0.0 if text == "0" else seconds(text)
