"""A project folder that is copied or moved runs its own code, whatever the shell is set up for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(short_path: Path) -> Path:
    """A project of one command, which prints the folder that its code lies in."""
    folder = short_path / "one"
    (folder / "engine").mkdir(parents=True)
    (folder / "engine" / "__init__.py").touch()
    (folder / "engine" / "__main__.py").write_text(
        "import pathlib, sys\nprint(pathlib.Path(__file__).parents[1], *sys.argv[1:])\n"
    )
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-run.lock"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")]
    subprocess.run(venv, check=True)
    (folder / ".venv/bin/tool").write_text(f"#!{folder}/.venv/bin/python\nimport engine\n")
    (folder / ".venv/bin/tool").chmod(0o755)
    bind(folder)
    return folder


def bind(folder: Path) -> None:
    """What `make` does in a folder that its stamp does not name."""
    subprocess.run([folder / ".venv/bin/python", "-I", ".ci/bind.py"], cwd=folder, check=True)
    for stamp in (".installed", ".installed-run"):
        (folder / ".venv" / stamp).write_text(f"{folder.resolve()}\n")


def runs(command: Path, **environ: str) -> str:
    return subprocess.run(
        [command, "a b"], cwd="/", env=os.environ | environ, check=True, capture_output=True,
        text=True,
    ).stdout.strip()  # fmt: skip


def is_up_to_date(folder: Path) -> bool:
    """Whether `make run` installs nothing."""
    return subprocess.run(["make", "-q", ".venv/.installed-run"], cwd=folder).returncode == 0  # noqa: PLW1510


@pytest.mark.parametrize("name", ["copy", "a copy, with 'odd' (names)"])
def test_a_copy_and_a_moved_folder_run_their_own_code(project: Path, name: str) -> None:
    assert runs(project / ".venv/bin/engine") == f"{project} a b"
    copy = project.parent / name
    shutil.copytree(project, copy, symlinks=True)
    assert runs(copy / ".venv/bin/engine") == f"{copy} a b"
    moved = project.rename(project.parent / "moved")
    assert runs(moved / ".venv/bin/engine") == f"{moved} a b"
    for folder in (copy, moved):
        bind(folder)
        subprocess.run([folder / ".venv/bin/tool"], cwd="/", check=True)


def test_the_command_runs_through_a_link_and_with_variables_of_python(project: Path) -> None:
    link = project.parent / "engine"
    link.symlink_to(project / ".venv/bin/engine")
    other = project.parent / "other"
    (other / "engine").mkdir(parents=True)
    (other / "engine" / "__main__.py").write_text("print('other')")
    shell = {
        "PYTHONPATH": str(other),
        "PYTHONHOME": "/nowhere",
        "PYTHONSTARTUP": "/nowhere",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "LC_ALL": "C",
    }
    assert runs(link, **shell) == f"{project} a b"


def test_a_stamp_holds_for_the_folder_that_it_names(project: Path) -> None:
    assert is_up_to_date(project)
    copy = project.parent / "copy"
    shutil.copytree(project, copy, symlinks=True)
    assert not is_up_to_date(copy)
    bind(copy)
    assert is_up_to_date(copy)
