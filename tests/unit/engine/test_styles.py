"""Colours and bars appear on a terminal only; elsewhere the text stays as it is."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from engine.terminal.progress import progress_bar
from engine.terminal.styles import styled


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Within a test: pytest puts its own streams there when a test begins."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return stream


def test_a_terminal_takes_the_style_and_the_padding_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    open_terminal(monkeypatch)
    assert styled("failed    ", "red") == "\x1b[31mfailed    \x1b[0m"
    assert styled("[red]pending", "") == "[red]pending"


@pytest.mark.parametrize("style", ["green", "yellow", "red", "bright_black", "cyan", "magenta"])
def test_no_color_leaves_the_text_unchanged(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("[x] text ", style) == "[x] text "


def test_a_bar_is_drawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    with progress_bar("replay") as progress:
        progress(1, 2)
        progress(2, 2)
    drawn = terminal.getvalue()
    assert "replay" in drawn
    assert "2/2" in drawn
    assert drawn.rstrip().endswith("\x1b[2K"), "the line is cleared"


def test_without_a_terminal_nothing_is_added_and_rich_is_not_loaded() -> None:
    code = (
        "import sys\n"
        "from engine.processes import fast_imports; fast_imports.load()\n"
        "from engine.terminal.progress import progress_bar\n"
        "from engine.terminal.styles import styled\n"
        "with progress_bar('replay') as progress: progress(1, 2)\n"
        "print(styled('failed    ', 'red') + '|')\n"
        "sys.exit('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "failed    |\n", "")
