"""One version: of the package, the command line, the documents and the log's events."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine import cli
from engine.telemetry.build import build_id
from events.version import VERSION
from gateway.spec.asyncapi import asyncapi
from gateway.spec.openapi import openapi

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION


def test_the_documents_and_the_build_have_the_version() -> None:
    assert openapi()["info"]["version"] == asyncapi()["info"]["version"] == VERSION
    assert build_id().startswith(f"{VERSION}+")


def test_the_command_line_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"engine {VERSION}\n"
