"""`engine localnet` in a process of its own, and a plain JSON-RPC client of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from engine.localnet.ledger import LocalLedger
from stages.pools.contract import Instruction, Pool, RawAccount, SwapAccounts, SwapTerms
from tests.support.chain.localchain import OWNER, account_of, family_of, mint_of, signed
from tests.support.waits import HANG_S, until

LOOK_S = 0.005


class RpcFault(Exception):
    """An answer that is an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data: Any = error.get("data")


class Localnet:
    """A running chain."""

    def __init__(self, folder: Path, options: Sequence[str], settings: Mapping[str, str]) -> None:
        self.file = folder / "chain.sqlite"
        self._options = ["--port", "0", "--data", str(self.file), "--fund", OWNER, *options]
        self._environ = {**os.environ, "DATA_DIR": str(folder), "LOG_FORMAT": "json", **settings}
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it and wait for its ready line."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "engine", "localnet", *self._options,
            env=self._environ, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), HANG_S)
        word, self.url = line.decode().split()
        assert word == "ready"
        self._session = aiohttp.ClientSession()

    async def stop(self, *, kill: bool = False) -> None:
        """End it; `kill` as hard as can be."""
        if self._session is not None:
            await self._session.close()
        process = self._process
        if process is not None and process.returncode is None:
            process.kill() if kill else process.terminate()
            await process.wait()

    async def post(self, body: Any) -> tuple[int, Any]:
        """The HTTP status, and the answer where there is one."""
        assert self._session is not None
        async with self._session.post(self.url, json=body) as answer:
            return answer.status, await answer.json() if answer.status == 200 else None

    async def call(self, method: str, *params: Any) -> Any:
        """The result. Raises RpcFault."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        status, answer = await self.post(body)
        assert status == 200, status
        if "error" in answer:
            raise RpcFault(answer["error"])
        return answer["result"]

    async def blockhash(self) -> str:
        """The newest one."""
        reply = await self.call("getLatestBlockhash", {"commitment": "processed"})
        return str(reply["value"]["blockhash"])

    async def send(self, instructions: Sequence[Instruction], **config: Any) -> str:
        """Sign and send; returns the signature."""
        raw = bytes(signed(await self.blockhash(), instructions))
        return await self.send_raw(raw, **config)

    async def send_raw(self, raw: bytes, **config: Any) -> str:
        """Send bytes; returns the signature."""
        decoded = base64.b64encode(raw).decode()
        return str(await self.call("sendTransaction", decoded, {"encoding": "base64"} | config))

    async def status(self, signature: str) -> Any:
        """What the chain says of a signature."""
        config = {"searchTransactionHistory": True}
        return (await self.call("getSignatureStatuses", [signature], config))["value"][0]

    async def reaches(self, signature: str, *statuses: str) -> Any:
        """Wait until a transaction has come so far."""
        status: Any = None

        async def reached() -> bool:
            nonlocal status
            status = await self.status(signature)
            return bool(status and status["confirmationStatus"] in statuses)

        await until(reached)
        return status

    async def amount(self, symbol: str) -> int:
        """What the wallet holds of a token."""
        config = {"commitment": "processed"}
        reply = await self.call("getTokenAccountBalance", account_of(symbol), config)
        return int(reply["value"]["amount"])

    async def pool(self, family: str, address: str) -> Pool:
        """A pool, decoded from what the chain shows."""
        kind, accounts = family_of(family), dict[str, RawAccount]()
        asked: set[str] = set()
        while expected := [each for each in kind.needs(address, accounts) if each not in asked]:
            asked.update(expected)
            config = {"commitment": "processed", "encoding": "base64"}
            reply = await self.call("getMultipleAccounts", expected, config)
            for each, account in zip(expected, reply["value"], strict=True):
                if account is not None:
                    data = base64.b64decode(account["data"][0])
                    accounts[each] = RawAccount(account["owner"], data)
        return kind.decode(address, accounts)

    async def swap(self, family: str, address: str, symbol: str, terms: SwapTerms) -> Instruction:
        """A swap with a pool as it is now."""
        pool = await self.pool(family, address)
        a_to_b = pool.mint_a == mint_of(symbol)
        other = next(s for s in ("USDC", "SOL") if s != symbol)
        use = SwapAccounts(OWNER, account_of(symbol), account_of(other))
        return family_of(family).instruction(pool, a_to_b, terms, use)

    def executions(self) -> dict[str, int]:
        """By the chain's own ledger: how often each memo was executed."""
        ledger = LocalLedger(self.file)
        try:
            return ledger.executions()
        finally:
            ledger.close()


@contextlib.asynccontextmanager
async def localnet_up(folder: Path, *options: str, **settings: str) -> AsyncIterator[Localnet]:
    """A chain for the length of a test; settings by their variables."""
    chain = Localnet(folder, options, settings)
    try:
        await chain.start()
        yield chain
    finally:
        await chain.stop(kill=True)
