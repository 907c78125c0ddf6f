"""Clients that the usual generators make of /openapi.json compile, and trade with a whole engine.

The programs that use them are in tests/clients. Node's generators and linters are installed there
too, from a lock; without Node their tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.settings_loader import environment
from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import Engine
from tests.support.waits import HANG_S

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"
TOOLS = ROOT / ".cache" / "clients"
"""Where the packages of Node are installed, for as long as the lock stays."""
INSTALL_S = 3 * HANG_S
QUIET = {
    "CI": "1",
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "NO_COLOR": "1",
}

pytestmark = pytest.mark.timeout(INSTALL_S + 2 * HANG_S)


def run(*command: str | Path, cwd: Path, within_s: float = HANG_S) -> str:
    """What a command printed. Fails where it does, or hangs."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | QUIET,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.returncode}\n{done.stdout[-8000:]}"
    return done.stdout


async def meanwhile(*command: str | Path, cwd: Path) -> str:
    """The same, in a thread: the tasks of this process continue."""
    return await asyncio.to_thread(run, *command, cwd=cwd)


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the programs that Node's packages bring, installed once for each lock."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js with npm is installed: its generators and linters were not run")
    lock, installed = CLIENTS / "package-lock.json", TOOLS / "installed.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        TOOLS.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / name, TOOLS / name)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=TOOLS,
            within_s=INSTALL_S)  # fmt: skip
        shutil.copy(lock, installed)
    return TOOLS / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both documents."""
    folder = tmp_path_factory.mktemp("documents")
    for name, document in (("openapi", openapi()), ("asyncapi", asyncapi())):
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
async def key(engine: Engine) -> str:
    """An API key that may trade."""
    process = await asyncio.create_subprocess_exec(
        *ENGINE, "keys", "create", "--account", "main", "--scopes", "read,trade,cancel", "--json",
        stdout=subprocess.PIPE,
        cwd=engine.settings.data_dir,
        env=os.environ | environment(engine.settings),
    )  # fmt: skip
    async with asyncio.timeout(HANG_S):
        out, _ = await process.communicate()
    assert process.returncode == 0, out
    return str(json.loads(out)["key"])


async def test_a_python_client_trades(engine: Engine, key: str, documents: Path) -> None:
    (documents / "config.yaml").write_text("post_hooks: []\n", encoding="utf-8")
    await meanwhile(
        Path(sys.executable).with_name("openapi-python-client"), "generate",
        "--path", "openapi.json", "--output-path", "generated", "--meta", "none",
        "--config", "config.yaml", "--overwrite", "--fail-on-warning",
        cwd=documents,
    )  # fmt: skip
    program = CLIENTS / "trade.py"
    out = await meanwhile(sys.executable, program, documents, engine.url, key, cwd=documents)
    assert out.splitlines()[-1] == "traded", out


async def test_a_typescript_client_compiles_strictly_and_trades(
    engine: Engine, key: str, documents: Path, tools: Path
) -> None:
    project = TOOLS / "project"  # beside node_modules, where the compiler looks for packages
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    for name in ("trade.ts", "tsconfig.json", "package.json"):
        shutil.copy(CLIENTS / name, project / name)
    await meanwhile(
        tools / "openapi-typescript", documents / "openapi.json", "-o", "schema.ts", cwd=project
    )
    await meanwhile(tools / "tsc", "--project", "tsconfig.json", cwd=project)
    out = await meanwhile("node", "built/trade.js", engine.url, key, cwd=project)
    assert out.splitlines()[-1] == "traded", out


@pytest.mark.parametrize(
    "command",
    [
        ("redocly", "lint", "openapi.json"),
        ("spectral", "lint", "--fail-severity", "error", "openapi.json"),
        ("spectral", "lint", "--fail-severity", "error", "asyncapi.json"),
    ],
    ids=lambda command: f"{command[0]}-{command[-1]}",
)
def test_a_linter_finds_no_error(documents: Path, tools: Path, command: tuple[str, ...]) -> None:
    for settings in ("redocly.yaml", ".spectral.yaml"):
        shutil.copy(CLIENTS / settings, documents)
    run(tools / command[0], *command[1:], cwd=documents, within_s=INSTALL_S)
