"""The commands of a person in a terminal, against a gateway."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import structlog

from engine import cli, commands
from engine.terminal import blockers
from events.archive import Archive
from projections.postgres.projector import run_projector
from tests.integration.test_gateway_http import UNKNOWN, projected
from tests.support.http.served import Served, served
from tests.support.log.played import after_submission
from tests.support.processes.engine_up import free_port
from tests.support.waits import until, until_past


class Printed(NamedTuple):
    """The output of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Printed]]


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


@pytest.fixture
def engine(
    gateway: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `engine …` in a thread: its gateway is ours."""
    return running(gateway, tmp_path, monkeypatch, capsys)


def running(
    gateway: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("PORT", str(urlsplit(gateway.url).port))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "none"))
    # The gateway in this process would log to the standard output of the commands.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    monkeypatch.setattr("getpass.getuser", lambda: "ann")

    async def run(*args: str) -> Printed:
        code = await asyncio.to_thread(cli.main, args)
        return Printed(code, *capsys.readouterr())

    return run


async def order(gateway: Served, order_id: str) -> dict[str, object]:
    _, result = await gateway.get(f"/api/orders/{order_id}")
    return dict(result)


async def actor(gateway: Served, order_id: str) -> object:
    _, body = await gateway.get(f"/api/orders/{order_id}/events")
    return body["events"][-1].get("actor")


async def test_submit_places_a_limit_order(gateway: Served, engine: Run) -> None:
    printed = await engine(
        "submit", "SOL", "USDC", "1.5", "--limit", "151.20", "--expires-in", "60"
    )
    assert printed.code == 0
    shown = await order(gateway, printed.out.strip())
    assert (shown["type"], shown["targetPrice"], shown["timeInForce"]) == ("limit", "151.2", "GTT")
    assert shown["expiresAt"]


async def test_submit_places_a_sniper_order(gateway: Served, engine: Run) -> None:
    what = ("--min-liquidity", "20", "--max-price", "0.007", "--slippage-bps", "300")
    printed = await engine("submit", "SOL", "USDC", "1", "--sniper", "--tif", "GTC", *what)
    shown = await order(gateway, printed.out.strip())
    assert (shown["type"], shown["minLiquidity"], shown["maxPrice"]) == ("sniper", "20", "0.007")
    assert (shown["slippageBps"], shown["timeInForce"]) == (300, "GTC")


async def test_submit_with_dry_run_prints_what_would_become_of_the_order(
    gateway: Served, engine: Run
) -> None:
    swap = ("submit", "SOL", "USDC", "1.5", "--dry-run")
    printed = await engine(*swap)
    assert (printed.code, printed.out.split(":")[0]) == (0, "routed")
    printed = await engine(*swap, "--min-amount-out", "100000")
    assert (printed.code, printed.out.split(":")[:2]) == (3, ["failed", " quote-below-minimum"])
    printed = await engine(*swap, "--json")
    assert json.loads(printed.out)["best"]
    assert (await gateway.get("/readyz"))[1]["log"]["position"] == 0


async def test_submit_prints_the_refusal_of_the_gateway(engine: Run) -> None:
    printed = await engine("submit", "SOL", "USDC", "1", "--tif", "FOK")
    assert (printed.code, printed.out) == (1, "")
    assert printed.err.startswith("engine: missing-field: ")


async def test_cancel_prints_the_outcome_of_each_order(gateway: Served, engine: Run) -> None:
    waiting, sent = await gateway.resting(), await gateway.accepted()
    await gateway.append(sent, *after_submission()[:4])
    assert (await engine("cancel", waiting)).code == 0
    assert await actor(gateway, waiting) == "ann"
    printed = await engine("cancel", waiting, sent, UNKNOWN)
    assert printed.code == 3
    assert printed.out.splitlines() == [
        f"{waiting}  cancelled",
        f"{sent}  submitted  too-late",
        f"{UNKNOWN}  unknown    unknown-order",
        "1 cancelled, 2 not",
    ]


async def test_cancel_needs_all_and_accepts_filters(gateway: Served, engine: Run) -> None:
    waiting, bonk = await gateway.resting(), await gateway.accepted(tokenOut="BONK")
    for args in ((), ("--status", "watching"), (waiting, "--all"), (waiting, "--token", "BONK")):
        assert (await engine("cancel", *args)).code == 2
    printed = await engine("cancel", "--all", "--token", "BONK", "--reason", "enough")
    assert printed.out == f"{bonk}  cancelled\n1 cancelled\n"
    assert (await order(gateway, bonk))["detail"] == "enough"
    printed = await engine("cancel", "--all", "--json")
    assert json.loads(printed.out) == {"orderId": waiting, "status": "cancelled"}


async def test_amend_applies_to_the_current_version_or_to_a_given_one(
    gateway: Served, engine: Run
) -> None:
    order_id = await gateway.resting()
    printed = await engine("amend", order_id, "--target-price", "149.50")
    assert printed.out == f"{order_id}  watching at 149.5 until cancelled, version 3\n"
    assert await actor(gateway, order_id) == "ann"
    printed = await engine("amend", order_id, "--expires-in", "60", "--version", "2")
    assert (printed.code, printed.err.split(":")[1]) == (1, " version-conflict")
    printed = await engine("amend", order_id, "--expires-in", "60", "--json")
    assert json.loads(printed.out)["timeInForce"] == "GTT"
    printed = await engine("amend", order_id, "--expires-at", "none")
    assert printed.out == f"{order_id}  watching at 149.5 until cancelled, version 5\n"


async def test_halt_and_resume_print_the_state_of_the_engine(gateway: Served, engine: Run) -> None:
    printed = await engine("halt", "--reason", "odd prices")
    assert printed.out.startswith("halted since ")
    assert printed.out.endswith(" by ann: odd prices\n")
    assert (await gateway.get("/readyz"))[1]["halted"]["actor"] == "ann"
    printed = await engine("resume", "--actor", "bob")
    assert printed.out.startswith("running since ")
    assert printed.out.endswith(" by bob\n")
    assert (await gateway.get("/readyz"))[1]["halted"] is None


async def a_ms_later(make: Callable[[], Awaitable[str]]) -> str:
    """Ids of one millisecond are in no order."""
    await until_past(time.time_ns() // 1000 + 1000)
    return await make()


async def test_submit_with_watch_prints_that_the_engine_is_halted(
    gateway: Served, engine: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    real = blockers.obstacles

    def look(ready: dict[str, Any]) -> list[str]:
        looks.append(ready["halted"] is not None)
        return real(ready)

    monkeypatch.setattr("engine.terminal.blockers.LOOK_S", 0.02)
    monkeypatch.setattr("engine.terminal.blockers.obstacles", look)
    await engine("halt", "--reason", "odd prices")
    submit = ("submit", "SOL", "USDC", "1", "--watch", "--json")
    watching = asyncio.ensure_future(engine(*submit))
    await until(lambda: True in looks)
    _, heads = await gateway.log.open_page()
    (order_id,) = (i for i, head in heads.items() if head.order.type == "market")
    # Over HTTP: a second command at once would read the first one's lines.
    await gateway.ask("POST", "/api/admin/resume", json={})
    await until(lambda: False in looks)
    await gateway.append(order_id, *after_submission())
    printed = await watching
    assert (printed.code, len(printed.out.splitlines())) == (0, 1 + 6)
    first, last = printed.err.splitlines()
    assert first.startswith("engine: halted since ")
    assert first.endswith(" by ann: odd prices; nothing is sent until `engine resume`")
    assert last == "engine: nothing holds orders up any more"


async def test_orders_are_listed_as_a_table_or_as_lines(
    redis_url: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = await Archive.open(database_url)
    async with served(redis_url, archive=archive) as gateway:
        stop = asyncio.Event()
        projecting = asyncio.create_task(
            run_projector(gateway.log, database_url, retain_events=0, stop=stop)
        )
        engine = running(gateway, tmp_path, monkeypatch, capsys)
        *ids, waiting = [
            await a_ms_later(make) for make in (*[gateway.accepted] * 2, gateway.resting)
        ]
        await projected(gateway)
        capsys.readouterr()  # the projector logs to it, too
        lines = (await engine("orders")).out.splitlines()
        assert lines[0].split() == ["CREATED", "ORDER", "STATUS", "TYPE", "SELLS", "BUYS", "PRICE"]
        assert [line.split()[1] for line in lines[1:]] == [waiting, *reversed(ids)]
        assert lines[1].split()[2:] == [
            "watching", "limit", "1.5", "SOL", "USDC", "at", "least", "151",
        ]  # fmt: skip
        printed = await engine("orders", "--status", "pending", "--token", "SOL", "--limit", "1")
        assert [line.split()[1] for line in printed.out.splitlines()[1:]] == [ids[1]]
        body = json.loads((await engine("orders", "--status", "watching", "--json")).out)
        assert body["orderId"] == waiting
        assert (await engine("orders", "--status", "done")).code == 1
        await gateway.accepted(swapMode="exactOut", amount="150", maxAmountIn="1.02")
        await projected(gateway)
        capsys.readouterr()
        [_, line] = (await engine("orders", "--limit", "1")).out.splitlines()
        assert "at most 1.02 SOL" in line
        assert line.split()[-2:] == ["150", "USDC"]
        stop.set()
        await projecting
    await archive.close()


async def test_quote_shows_every_route_the_best_and_its_bound(engine: Run) -> None:
    printed = await engine("quote", "SOL", "USDC", "1.5")
    *routes, best = printed.out.splitlines()
    assert (printed.code, {line.split()[0] for line in routes}) == (0, {"raydium", "meteora"})
    assert best.startswith("best: ")
    assert "minAmountOut" in best and "more than" in best
    printed = await engine("quote", "SOL", "USDC", "150", "--exact-out")
    assert "maxAmountIn" in printed.out.splitlines()[-1]


async def test_quote_without_a_route_exits_with_3(engine: Run) -> None:
    printed = await engine("quote", "SOL", "BONK", "0.000000001")
    assert (printed.code, "best" in printed.out) == (3, False)


@pytest.fixture
def alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Printed]:
    """Runs `engine …` where there is neither a gateway nor an engine's folder."""
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "mistyped"))

    def run(*args: str) -> Printed:
        try:
            code = cli.main(args)
        except SystemExit as usage:
            code = int(usage.code or 0)
        return Printed(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    "command",
    [
        ("submit", "SOL", "USDC", "1.5"), ("submit", "SOL", "USDC", "1.5", "--watch"), ("watch",),
        ("watch", "--after", "0"), ("watch", UNKNOWN), ("cancel", UNKNOWN), ("cancel", "--all"),
        ("orders",), ("halt", "--reason", "x"), ("resume",), ("amend", UNKNOWN),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_unreachable_gateway_is_reported_in_one_line_with_a_remedy(
    alone: Callable[..., Printed], command: tuple[str, ...]
) -> None:
    printed = alone(*command)
    assert (printed.code, printed.out) == (1, "")
    (line,) = printed.err.splitlines()
    assert line.startswith("engine: no gateway answers at http://127.0.0.1:")
    assert "make run" in line


async def test_a_server_that_is_not_a_gateway_is_reported_as_such(
    engine: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhi!\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    monkeypatch.setenv("PORT", str(server.sockets[0].getsockname()[1]))
    # Whatever answered a submission may have passed it on.
    for command, code, text in (
        (("orders",), 1, "is not a gateway of this engine"),
        (("submit", "SOL", "USDC", "1"), 4, "is not a gateway of this engine"),
    ):
        printed = await engine(*command)
        assert printed.code == code
        assert text in printed.err
        assert len(printed.err.splitlines()) == 1
    server.close()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("audit", "verify"), 2), (("audit", "replay"), 2), (("audit", "show", UNKNOWN), 2),
        (("parked", "list"), 2), (("projections", "rebuild"), 2), (("repair",), 2),
        (("venue", "ledger"), 1),
        (("stage", "router"), 1), (("alive", "gateway"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_data_dir_without_an_engine_is_one_line_and_is_not_created(
    alone: Callable[..., Printed], command: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    printed = alone(*command)
    assert (printed.code, printed.out) == (code, "")
    (line,) = printed.err.splitlines()
    # A process that cannot start says so as a line of its log.
    assert line.startswith('{"event": "process_failed"' if command[0] == "stage" else "engine: ")
    assert str(tmp_path / "mistyped") in line
    assert list(tmp_path.iterdir()) == []


def test_watch_refuses_malformed_order_ids_and_positions(alone: Callable[..., Printed]) -> None:
    for words in (("watch",), ("amend",), ("cancel",), ("audit", "show"), ("parked", "show")):
        printed = alone(*words, "nonsense")
        assert (printed.code, printed.out) == (2, ""), words
        assert "'nonsense' is not an order id" in printed.err, words
    printed = alone("watch", "--after", "yesterday")
    assert (printed.code, printed.err.startswith("engine: --after: 'yesterday'")) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("orders", "--limit", "0"),
        ("orders", "--limit", "-5"),
        ("audit", "replay", "--until", "foo"),
        ("keys", "create", "--account", "a", "--expires-in", "0"),
        ("submit", "SOL", "USDC", "1", "--expires-in", "nan"),
    ],
    ids=" ".join,
)
def test_an_invalid_argument_is_exit_code_2(
    alone: Callable[..., Printed], words: tuple[str, ...]
) -> None:
    printed = alone(*words)
    assert (printed.code, printed.out) == (2, "")
    assert words[-1] in printed.err


def test_engine_alone_lists_all_commands(alone: Callable[..., Printed]) -> None:
    printed = alone()
    assert printed.code == 0
    assert all(f"\n    {name}" in printed.out for name in commands.names())


def test_the_settings_are_shown_without_secrets(
    alone: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector:4318")
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/db?user=a&password=hunter2&sslmode=require")
    monkeypatch.setenv("REDIS_URL", "redis://u:hunter2@h:6379/0?password=hunter2")
    monkeypatch.setenv("API_KEY", "oee_hunter2")
    for form in ((), ("--json",)):
        printed = alone("settings", *form)
        assert "hunter2" not in printed.out
        assert "password=***&sslmode=require" in printed.out
