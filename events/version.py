"""The version of the engine, as packages, documents and answers give it."""

VERSION = "0.1.0"
"""The same as in pyproject.toml; a test compares them."""
