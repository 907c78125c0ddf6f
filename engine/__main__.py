"""`engine` and `python -m engine`."""

import sys

from engine import cli
from engine.processes import fast_imports


def main() -> None:
    """Runs the command line and exits with its code."""
    if sys.argv[1:2] and sys.argv[1] in fast_imports.PROCESSES:
        fast_imports.load()
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
