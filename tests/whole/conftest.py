"""One engine with the settings that it has by itself, for all who only use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine_up import Engine, engine_up


@pytest.fixture(scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """Run it; what others did before is in its log."""
    async with engine_up(tmp_path_factory.mktemp("w") / "d") as one:
        yield one
