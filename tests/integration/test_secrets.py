"""Every setting that opens a door holds a secret here, and everything that can go wrong does.

What is logged, answered, printed and raised is looked through. The settings are chosen by their
type, and by their names: a new one is tried without a line here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
import structlog
from aiohttp import web

from engine.commands import doctor
from engine.commands import settings as shown_settings
from engine.doctor import archive as doctor_archive
from engine.doctor import log_server
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.settings_loader import environment, load
from engine.settings_reference import shown
from engine.telemetry import logging as our_logging
from engine.telemetry.scrubbing import texts
from events.archive import Archive, ArchiveUnavailable
from events.commands import api_keys
from events.log import EventLog, LogError
from events.order import Order
from events.secret import Secret, SecretText, SecretUrl
from events.types import TransactionBuilt
from gateway.endpoints.table import ENDPOINTS
from projections.postgres.migrate import migrated
from projections.postgres.rebuild import rebuild
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.stage import VenueRefusal
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import RpcOptions
from tests.support.chain.rpc_node import rpc_node
from tests.support.http.permitted import EXPECTED, UNKNOWN, path_of
from tests.support.http.served import MemoryArchive, served
from tests.support.log.workers import crew
from tests.support.waits import HANG_S, until

HIDDEN = "hunter2hunter2"
NOWHERE = "127.0.0.1:1"
"""No process listens there."""
VALUES = {
    "API_KEY": f"oee_0123456789ab_{HIDDEN}",
    "SOLANA_KEYPAIR": f"[{', '.join(['201'] * 63)}, {HIDDEN}]",
    "REDIS_URL": f"redis://user:{HIDDEN}@{NOWHERE}/0",
    "REDIS_PASSWORD": HIDDEN,
    "DATABASE_PASSWORD": HIDDEN,
    "DATABASE_URL": f"postgresql://user:{HIDDEN}@{NOWHERE}/db",
    "SOLANA_RPC_URL": f"http://{NOWHERE}/{HIDDEN},http://{NOWHERE}/?api-key={HIDDEN}",
    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{HIDDEN}@{NOWHERE}",
}
"""A value with the secret for each setting that opens a door."""
DISFIGURED: list[Callable[[str], str]] = [
    lambda url: url.replace("://", ":/"),
    lambda url: url.replace("://", ""),
    lambda url: url.replace(HIDDEN, f"a#{HIDDEN}"),
    lambda url: url.replace(HIDDEN, f"{HIDDEN}#a"),
    lambda url: url.replace(HIDDEN, f"{HIDDEN}/a"),
    lambda url: url.replace(HIDDEN, f"{HIDDEN}?a"),
    lambda url: url.replace(HIDDEN, f"{HIDDEN}@a"),
    lambda url: url.replace(NOWHERE, f"h:{HIDDEN}"),
    lambda url: url.replace(NOWHERE, f"[{HIDDEN}"),
    lambda url: f"{HIDDEN}{url}",
    lambda url: f"mysql{url[url.index(':') :]}" if ":" in url else url,
    lambda url: f"{url}?password={HIDDEN}",
    lambda url: f"{url}?token={HIDDEN}&port=x",
    lambda _: HIDDEN,
]
"""What people paste by mistake."""


def secret_fields() -> list[str]:
    """The settings whose type is that of secrets."""
    result = []
    for field in msgspec.structs.fields(Settings):
        values = field.default if isinstance(field.default, tuple) else (field.default,)
        if any(isinstance(value, Secret) for value in values) or "Secret" in str(field.type):
            result.append(field.name.upper())
    return result


def test_every_secret_setting_has_a_test_value() -> None:
    assert set(VALUES) == set(secret_fields())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({**VALUES, "DATA_DIR": str(tmp_path), "VENUES": "simulated"}, None)


@contextlib.contextmanager
def logged(settings: Settings, capfd: pytest.CaptureFixture[str]) -> Any:
    """Everything that is logged in the block, as a process logs it; yields a list of one text."""
    results: list[str] = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    capfd.readouterr()
    try:
        our_logging.configure(msgspec.structs.replace(settings, log_level="debug"), "test")
        yield results
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:], root.level = handlers, level
        capture_result = capfd.readouterr()
        results.append(capture_result.out + capture_result.err)


def test_settings_are_never_shown_with_their_secrets(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ([], ["--json"]):
        parser = argparse.ArgumentParser()
        shown_settings.arguments(parser)
        shown_settings.run(settings, parser.parse_args(form))
    capture_result = capsys.readouterr()
    text = f"{settings} {settings!r} {shown(settings)} {capture_result.out}{capture_result.err}"
    text += str(structlog.processors.JSONRenderer(default=str)(None, "", {"a": settings}))
    assert HIDDEN not in text
    assert "201, 201" not in text
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    assert load(environment(settings), None) == settings  # a child is told all of them


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"API_KEY", "SOLANA_KEYPAIR"}))
def test_no_error_about_a_setting_contains_its_secret_value(name: str) -> None:
    refused = 0
    for disfigure in DISFIGURED:
        value = disfigure(VALUES[name].split(",")[0])
        try:
            load({name: value}, None)
        except SettingsError as error:
            refused += 1
            text = "".join(traceback.format_exception(error))
            assert HIDDEN not in text, value
            assert name in str(error)
    assert refused > 3 or name.endswith("_PASSWORD")  # any text may be a password


async def failing(settings: Settings) -> list[str]:
    """All that says why it does not reach what it was told of."""
    result = []

    async def tried(work: Any, *expected: type[BaseException]) -> None:
        try:
            async with asyncio.timeout(HANG_S):
                await work
        except (LogError, ArchiveUnavailable, VenueRefusal, OSError, asyncpg.PostgresError,
                asyncpg.InterfaceError, SettingsError, *expected) as error:  # fmt: skip
            structlog.get_logger().exception("it failed", error=repr(error), why=str(error))
            logging.getLogger("library").error("it failed: %r", error, exc_info=error)
            result.append("".join(traceback.format_exception(error)) + repr(error))
        else:
            raise AssertionError("it was reached")

    log = EventLog(settings.redis_url, build="test")
    limits = RateAndConcurrencyLimiter(
        settings.redis_url, "x", concurrency=1, orders_per_minute=1, lease_ms=1000
    )
    archive = await Archive.open(settings.database_url)
    stopped = asyncio.Event()
    stopped.set()
    await tried(log.open())
    await tried(log.position())
    await tried(limits._link.call("PING"))
    await tried(archive.position())
    await tried(rebuild(settings.database_url))
    await migrated(settings.database_url, stopped)
    rpc = Rpc(RpcLink(RpcOptions(settings.solana_rpc_url, deadline_s=0.2), ClusterGuard("local")))
    await tried(rpc.get_slot("processed"))
    await rpc.close()
    result += [repr(finding) async for finding in log_server.look(settings.redis_url)]
    result += [repr(finding) async for finding in doctor_archive.look(settings.database_url)]
    result += [repr(finding) for finding in await doctor.examine(settings)]
    result += [repr(vars(item)) for item in (log, limits, rpc)]
    await archive.close()
    await limits.close()
    await log.close()
    return result


async def test_no_error_of_a_backend_contains_its_credentials(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(settings, capfd) as lines:
        results = await failing(settings)
    text = "".join(results + lines)
    assert "it failed" in text
    assert HIDDEN not in text


async def test_a_secret_in_the_message_of_a_library_is_masked_in_the_log(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(settings, capfd) as lines:
        for text in texts(settings):
            structlog.get_logger().error("a library", error=f"cannot reach {text} at all")
            try:
                raise ValueError(f"not a port: {text}")
            except ValueError:
                structlog.get_logger().exception("it failed")
                logging.getLogger("library").exception("it failed")
    assert len(texts(settings)) >= 4
    assert "***" in lines[0]
    assert HIDDEN not in lines[0]


async def test_a_node_that_repeats_our_key_and_bytes_is_not_quoted(
    capfd: pytest.CaptureFixture[str], settings: Settings
) -> None:
    """In a body of its own, and in an error of JSON-RPC."""
    signed = b64encode(b"\x80" * 300).decode()
    words = f"no {HIDDEN} may send {signed}"

    async def refuse(request: web.Request) -> web.StreamResponse:
        number = msgspec.json.decode(await request.read())["id"]
        error = {"jsonrpc": "2.0", "id": number, "error": {"code": -32602, "message": words}}
        if status[0] == 200:
            return web.json_response(error)
        return web.Response(status=status[0], text=words)

    results: list[str] = []
    status = [0]
    with logged(settings, capfd) as lines:
        async with rpc_node() as node:
            node.handler = refuse
            url = SecretUrl(f"{node.url}/{HIDDEN}?api-key={HIDDEN}")
            for status[0] in (200, 401, 403, 413, 429, 503):
                link = RpcLink(
                    RpcOptions((url,), deadline_s=0.3, tries_max=1), ClusterGuard("local")
                )
                try:
                    await Rpc(link).get_slot("processed")
                except VenueRefusal as error:
                    structlog.get_logger().exception("refused", why=error.detail)
                    results.append(f"{error!r} {error.detail}")
                await link.close()
    assert len(results) == 6
    text = "".join(results) + lines[0]
    assert "may send" in text
    assert HIDDEN not in text
    assert signed[:100] not in text


# -- the gateway -----------------------------------------------------------------------------------


@pytest.fixture
async def unreached(redis_url: str) -> AsyncIterator[tuple[Any, str]]:
    """A gateway whose log asks for another password, and whose archive is nowhere."""
    parts = urlsplit(redis_url)
    secret = (
        f"unix://user:{HIDDEN}@{parts.path}"
        if parts.scheme == "unix"
        else (f"redis://user:{HIDDEN}@{parts.netloc.rpartition('@')[2]}{parts.path}")
    )
    archive = await Archive.open(SecretUrl(VALUES["DATABASE_URL"]))
    async with served(redis_url, gateway_redis_url=secret, archive=archive, ready=False) as gateway:
        yield gateway, secret
    await archive.close()


async def test_no_answer_of_a_gateway_contains_the_urls_of_log_and_archive(
    unreached: tuple[Any, str], settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway, _ = unreached
    key = f"oee_0123456789ab_{HIDDEN}"
    answers = []

    async def told() -> bool:
        detail = (await gateway.get("/readyz"))[1]["log"].get("detail", "")
        return detail not in ("", "not opened yet")

    with logged(settings, capfd) as lines:
        await until(told)
        for (method, path), meant in EXPECTED.items():
            for call in meant.calls:
                url = gateway.url + path_of(path, UNKNOWN) + call.query
                for authorization in ({}, {"Authorization": f"Bearer {key}"}):
                    headers = {**call.headers, **authorization}
                    async with gateway.http.request(
                        method, url, headers=headers, json=call.body
                    ) as answer:
                        endless = answer.status == 101
                        text = "" if endless else await answer.text()
                        answers.append(f"{answer.status} {dict(answer.headers)} {text}")
    assert len(answers) >= 2 * len(ENDPOINTS)
    ones = [item for item in answers if HIDDEN in item]
    assert ones == []
    assert HIDDEN not in lines[0]


async def test_a_handler_that_fails_logs_neither_key_nor_header(
    redis_url: str, settings: Settings, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from gateway.api.console import Console

    async def failing(_: Console, request: web.Request) -> web.Response:
        raise ValueError(f"odd request: {request!r}")

    monkeypatch.setattr(Console, "tokens", failing)
    with logged(settings, capfd) as lines:
        async with served(redis_url, archive=MemoryArchive()) as gateway:
            issued = await api_keys.create(gateway.log, "me", ["read"], "", 0, "ann")
            headers = {"Authorization": f"Bearer {issued.text.reveal()}"}
            status, body = await gateway.get("/api/tokens", headers=headers)
            assert (status, body["code"]) == (500, "internal")
    assert "request_failed" in lines[0]
    assert issued.text.reveal().split("_")[2] not in lines[0] + json.dumps(body) + repr(issued)


# -- signed transactions ---------------------------------------------------------------------------


class Unsent(SimulatedChain):
    """Takes nothing, and repeats in its error what it was given, as text that can be logged."""

    async def send(self, transactions: Sequence[Any]) -> None:
        raise VenueRefusal("venue-unavailable", f"not taken: {list(transactions)}", retryable=True)


async def test_a_send_or_rebroadcast_that_failed_logs_no_signed_bytes(
    redis_url: str, tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(settings, capfd) as lines:
        async with crew(redis_url, tmp_path) as team:
            chain = Unsent(team.simulation, team.ledger_path)
            sending = []
            for name in ("router", "builder"):
                await team.worker(name)
            for name in ("submitter", "confirmer"):
                stage = team.stage(name, chain=chain, rebroadcast_ms=1)
                sending.append(await team.worker(stage))
            [order_id] = await team.submit()
            await team.until(lambda: team.of(TransactionBuilt))
            [built] = [e.fact for e in team.of(TransactionBuilt)]
            assert isinstance(built, TransactionBuilt)
            order = (await team.head(order_id)).order
            structlog.get_logger().error("by mistake", order=order, fact=built, raw=built.raw)

            def rebroadcast() -> bool:
                capture_result = capfd.readouterr()
                kept.append(capture_result.out + capture_result.err)
                return any("rebroadcast_failed" in item for item in kept)

            kept: list[str] = []
            await until(rebroadcast)
            for worker in sending:
                await worker.stop()
    text = "".join([*kept, *lines])
    assert "send_failed" in text
    assert "by mistake" in text
    raw = built.raw.reveal()
    for form in (str(raw)[2:-1], raw.hex(), b64encode(raw).decode(), str(list(raw))[1:-1]):
        assert form[:60] not in text
    assert isinstance(order, Order)


def test_the_secret_texts_of_the_settings_are_listed_without_paths(settings: Settings) -> None:
    results = texts(settings)
    assert {text for text in results if HIDDEN in text}
    assert texts(Settings()) == set()
    path = msgspec.structs.replace(settings, solana_keypair=SecretText("/home/me/id.json"))
    assert "/home/me/id.json" not in texts(path)
