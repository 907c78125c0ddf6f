"""Sets the clocks of processes wrong. Python imports this file where its folder is in PYTHONPATH.

SKEWS holds `NAME=SECONDS` parts: the clock of a process whose arguments have NAME is so far ahead.
SKEW_FROM names a file: the clock is right until it exists, as one that is set while a process runs.
"""

import os
import sys
import time
from pathlib import Path

_ahead_s = 0.0
for _part in filter(None, os.environ.get("SKEWS", "").split(",")):
    _name, _, _seconds = _part.partition("=")
    if _name in sys.orig_argv:
        _ahead_s = float(_seconds)

if _ahead_s:
    _from = os.environ.get("SKEW_FROM", "")
    _time, _time_ns = time.time, time.time_ns

    def _ahead() -> float:
        return _ahead_s if not _from or Path(_from).exists() else 0.0

    time.time = lambda: _time() + _ahead()
    time.time_ns = lambda: _time_ns() + int(_ahead() * 1e9)
