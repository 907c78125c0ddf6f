"""`engine` and `python -m engine`."""

import sys

from engine import cli, lean


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:2] and sys.argv[1] in lean.PROCESSES:
        lean.load()
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
