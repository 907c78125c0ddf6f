"""Binds .venv to the folder in which it lies now: `engine` and the scripts of the tools.

The project is named by a relative path and `engine` finds its interpreter beside itself, so that a
copy runs its own code and a moved folder still runs. pip writes absolute paths in both cases.
"""

import shutil
import sys
from pathlib import Path

BIN = Path(sys.prefix) / "bin"
SITE = Path(sys.prefix) / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
ENGINE = """\
#!/bin/sh
# The engine of the folder in which this file lies. -I: PYTHONPATH, PYTHONHOME and other variables
# of Python in the shell are about other projects.
exec "$(dirname -- "$(readlink -f -- "$0")")/python" -I -m engine "$@"
"""


def header(python: Path) -> bytes:
    """Returns the first lines of a script for an interpreter whose path may have spaces."""
    line = f"#!{python}"
    if " " not in line and len(line) < 127:
        return f"{line}\n".encode()
    return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n".encode()


def rebound(script: bytes) -> bytes:
    """Returns a script of pip with our interpreter; anything else as it is."""
    first, _, rest = script.partition(b"\n")
    if first.startswith(b"#!/bin/sh") and rest.startswith(b"'''exec'"):
        rest = rest.partition(b"\n' '''\n")[2]
    elif not (first.startswith(b"#!") and b"/bin/python" in first):
        return script
    return header(BIN / "python") + rest


for old in (
    *SITE.glob("__editable__*order_execution_engine*"),
    *SITE.glob("order_execution_engine*"),
):
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink()
(SITE / "order_execution_engine.pth").write_text("../../../..\n")
(BIN / "engine").unlink(missing_ok=True)
for path in BIN.iterdir():
    if path.is_file() and not path.is_symlink() and not path.name.lower().startswith("activate"):
        content = path.read_bytes()
        if (fresh := rebound(content)) != content:
            path.write_bytes(fresh)
(BIN / "engine").write_text(ENGINE)
(BIN / "engine").chmod(0o755)
