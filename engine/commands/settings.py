"""`engine settings`: what is set, and the documents made from it."""

import argparse
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from engine import settings as source
from engine.settings import Settings

HELP = "show the settings in force, or all of them as documentation"
EXAMPLES = ("engine settings",)
EXITS = {0: "shown"}

URLS = frozenset({"REDIS_URL", "DATABASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"})
SECRETS = frozenset({"password", "sslpassword", "token", "key", "api_key", "apikey", "secret"})
"""Parameters of a URL that open doors."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="the table of the README")
    form.add_argument("--dotenv", action="store_true", help="the text of .env.example")
    form.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Print them."""
    if args.markdown:
        print(source.markdown())
    elif args.dotenv:
        print(source.dotenv(), end="")
    else:
        environ = source.environment(settings)
        shown = {name: _shown(name, value) for name, value in environ.items()}
        lines = (f"{name}={value}" for name, value in shown.items())
        print(json.dumps(shown) if args.json else "\n".join(lines))
    return 0


def _shown(name: str, value: str) -> str:
    """Without what opens doors: passwords, and the keys that providers put into their URLs."""
    if name == "API_KEY":
        return "***" if value else ""
    if name == "SOLANA_KEYPAIR":
        return value if not value or _is_file(value) else "***"
    if name == "SOLANA_RPC_URL":
        return ",".join(_host(url) for url in value.split(",")) if value else ""
    if name in URLS:
        return _without_password(value)
    return value


def _is_file(text: str) -> bool:
    """A key is no path, and may be too long for one: an error would show it."""
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _host(url: str) -> str:
    parts = urlsplit(url)
    bare = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return bare if bare == url.rstrip("/") else f"{bare}/***"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password:
        url = url.replace(f":{parts.password}@", ":***@")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if value and name.lower() in SECRETS:
            url = re.sub(rf"([?&]{re.escape(name)}=)[^&#]*", r"\1***", url)
    return url
