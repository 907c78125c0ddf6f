"""The Python client as a distribution of its own, without the engine and what that needs."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from tests.support.http.served import served

ROOT = Path(__file__).parents[2]
PROJECT = Path("clients/python/pyproject.toml")
PROGRAM = """
import asyncio, sys
from engine.client import Client, Filters, NewOrder, RefusedError

async def main(url):
    async with Client(url) as client:
        print((await client.test(NewOrder("SOL", "USDC", "1.5"))).outcome)
        accepted = await client.submit(NewOrder("SOL", "USDC", "1.5", client_order_id="mine"))
        order = await client.order_by_client_id("mine")
        print(order.order_id == accepted.order_id, [e.name for e in await client.history(order.order_id)])
        print([r.status async for r in client.cancel_many(Filters(token="SOL"))])
        print([event.name async for event in client.follow(order.order_id)])
        try:
            await client.submit(NewOrder("SOL", "SOL", "1.5"))
        except RefusedError as error:
            print(error.code)

asyncio.run(main(sys.argv[1]))
"""  # noqa: E501


async def test_the_client_is_installed_and_trades_without_the_engine(
    redis_url: str, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with ZipFile(await _wheel(tmp_path)) as wheel:
        wheel.extractall(site)
    for name in _needed(_declared()):
        _link(metadata.distribution(name), site)
    async with served(redis_url) as gateway:
        program = f"import sys; sys.path.append({str(site)!r});\n{PROGRAM}"
        # -S: no package of the environment of the tests, and so none of the engine.
        output = await _run(sys.executable, "-I", "-S", "-c", program, gateway.url, cwd=tmp_path)
    assert output.splitlines() == [
        "routed", "True ['OrderSubmitted']", "['cancelled']",
        "['OrderSubmitted', 'OrderCancelled']", "same-token",
    ]  # fmt: skip


def test_the_client_has_the_version_of_the_engine_and_few_dependencies() -> None:
    engine = tomllib.loads((ROOT / "pyproject.toml").read_text())
    client = tomllib.loads((ROOT / PROJECT).read_text())
    assert client["project"]["version"] == engine["project"]["version"]
    assert client["build-system"] == engine["build-system"]
    assert _declared() == ["aiohttp", "msgspec"]


async def _wheel(folder: Path) -> Path:
    """Builds it in a copy: setuptools writes beside what it packs."""
    source = folder / "source"
    for package in ("engine/client", "events", "gateway", "projections", str(PROJECT.parent)):
        shutil.copytree(ROOT / package, source / package)
    await _run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "-w", str(folder), str(source / PROJECT.parent),
        cwd=folder,
    )  # fmt: skip
    [wheel] = folder.glob("*.whl")
    return wheel


def _declared() -> list[str]:
    project = tomllib.loads((ROOT / PROJECT).read_text())["project"]
    return [_name(requirement) for requirement in project["dependencies"]]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _needed(names: list[str]) -> set[str]:
    """The distributions and all that they need, extras left out."""
    needed: set[str] = set()
    while names:
        if (name := names.pop()) not in needed:
            needed.add(name)
            names += _requirements(name)
    return needed


def _requirements(name: str) -> Iterator[str]:
    for requirement in metadata.distribution(name).requires or ():
        requires, _, marker = requirement.partition(";")
        if "extra" not in marker and ("python_version" not in marker or _installed(requires)):
            yield _name(requires.strip())


def _installed(requirement: str) -> bool:
    try:
        metadata.distribution(_name(requirement.strip()))
    except metadata.PackageNotFoundError:
        return False
    return True


def _link(distribution: metadata.Distribution, site: Path) -> None:
    for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
        target = site / top
        if top != "__pycache__" and not target.exists():
            target.symlink_to(Path(str(distribution.locate_file(top))).resolve())


async def _run(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
