"""Whatever is asked, right or wrong by the document, is answered as it says, and never with a bug.

Schemathesis makes the requests, a bounded number of them, from a fixed seed; the gateway that it
meets is the one of `served`, so that what it grants is held against the documents once more.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from unittest.mock import patch

from events.secret import SecretUrl
from gateway.api.audits import StoreUrls
from gateway.endpoints.table import ENDPOINTS
from gateway.http import responses
from projections.postgres.migrate import migrated
from tests.support.http.served import Served, served

SEED, EXAMPLES = 7, 4
# No schema can tell which tokens, times and orders exist: what it allows may still be refused.
NOT_CHECKED = "positive_data_acceptance"
SUBMIT = ("--include-name", "POST /api/orders/execute")
# An order of a batch that is none is rejected alone, with the status of the others. A type of null
# counts as absent; the schema leaves it out, because generated clients could not be compiled.
LENIENT = ("POST /api/orders/batch", "POST /api/orders/test")
LENIENT_ALONE = (
    *(argument for name in LENIENT for argument in ("--include-name", name)),
    "--exclude-checks", f"{NOT_CHECKED},negative_data_rejection",
)  # fmt: skip
OTHERS = tuple(argument for name in LENIENT for argument in ("--exclude-name", name))
SOCKETS = r"GET /api/(events|orders/execute)$"


async def ask_oddly(gateway: Served, folder: Path, *which: str) -> tuple[int, str]:
    """Runs it to its end: the exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), "run", f"{gateway.url}/openapi.json",
        "--url", gateway.url,
        "--seed", str(SEED), "--max-examples", str(EXAMPLES), "--generation-database", "none",
        "--phases", "examples,coverage,fuzzing", "--exclude-checks", NOT_CHECKED, "--no-color",
        "--exclude-name-regex", SOCKETS, *which,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode()


async def test_odd_requests_are_answered_as_documented(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    await migrated(database_url, asyncio.Event())
    records = StoreUrls(SecretUrl(redis_url), SecretUrl(database_url))
    async with served(redis_url, records=records) as gateway:
        for which in (OTHERS, LENIENT_ALONE):
            code, output = await ask_oddly(gateway, tmp_path, *which)
            assert code == 0, output
        sockets = {key for key, endpoint in ENDPOINTS.items() if endpoint.channel}
        assert gateway.checker.asked >= set(ENDPOINTS) - sockets, output


async def test_a_planted_bug_is_detected(redis_url: str, tmp_path: Path) -> None:
    with patch.object(responses, "accepted", lambda _: 1 / 0):
        async with served(redis_url) as gateway:
            code, output = await ask_oddly(gateway, tmp_path, *SUBMIT)
    assert code == 1
    assert "Server error" in output, output
