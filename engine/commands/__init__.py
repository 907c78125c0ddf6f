"""The commands of `engine`, one a file; see `engine/cli.py` for what a file holds."""
