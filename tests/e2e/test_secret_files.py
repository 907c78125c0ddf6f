"""Secrets in files, and passwords without a URL: each process of `engine up` starts with them."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes.engine_up import engine_up


async def test_an_engine_runs_whose_secrets_are_in_files(short_path: Path) -> None:
    (short_path / "secret").write_text("hunter2\n")
    names = ("API_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD")
    files = {f"{name}_FILE": str(short_path / "secret") for name in names}
    async with engine_up(short_path, files) as engine:
        await engine.ended(await engine.submit_many(1))
