"""Of two rebuilds at once one is refused, and leaves the other alone."""

from __future__ import annotations

import asyncpg
import pytest

from projections.postgres.rebuild import _LOCK, RebuildError, rebuild
from tests.support.log.played import Play
from tests.support.log.projected import opened, projected, projecting


async def test_a_rebuild_is_refused_while_another_is_under_way(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            await Play(log).live(2)
            await projected(log, archive)
        other = await asyncpg.connect(database_url)
        try:
            async with other.transaction():
                await other.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                with pytest.raises(RebuildError, match="another rebuild is under way"):
                    await rebuild(database_url)
        finally:
            await other.close()
        assert (await rebuild(database_url)).orders == 2
