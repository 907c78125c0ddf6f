"""The chain: every node, the cluster, the pools and the wallet's balance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from engine.doctor import consensus, nodes, versions
from engine.doctor.findings import Finding, Own, failed, ok, own_mend, skipped, warning
from engine.embedded import localnet
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.venues import check
from engine.venues.cluster import NoWalletError, open_rpc, slot_setting, wallet_of
from events.secret import SecretUrl
from stages.runtime.stage import VenueRefusal

LAMPORTS = 10**9
NODE_S = 3.0
STILL_S = 2.0
"""A chain that makes progress has another slot after so long."""
LITTLE = LAMPORTS // 20
"""Some hundred transactions with their fees and accounts."""


async def look(
    settings: Settings, *, apart: bool = False, own: Own | None = None
) -> AsyncIterator[Finding]:
    """Runs all checks of the chain. URLs of nodes carry keys: only their hosts are shown.

    `apart`: each process runs by itself, and this may be one that has no key. `own`: the local
    chain that `engine up` runs.
    """
    signs = True
    try:
        try:
            check(settings)
        except NoWalletError as error:
            if not apart:
                raise
            signs = False
            yield skipped("wallet", f"not of this process: {error}")
    except SettingsError as error:
        yield failed("VENUES", str(error), "mend the setting that it names")
        return
    yield ok("VENUES", ",".join(settings.venues))
    if settings.venues == ("simulated",):
        yield skipped("chain", "simulated")
        return
    if localnet.runs_here(settings):
        yield skipped("chain", "the local one, which starts with the engine")
        return
    answers = False
    for number, url in enumerate(settings.solana_rpc_url, start=1):
        finding = await _node(settings, number, url, own)
        answers = answers or finding.status == "ok"
        yield finding
    if answers:
        async for finding in nodes.look(settings, signs=signs):
            yield finding
        async for finding in _account(settings, signs=signs):
            yield finding


async def _node(settings: Settings, number: int, url: SecretUrl, own: Own | None) -> Finding:
    from stages.venues.solana.rpc.clusters import ClusterGuard
    from stages.venues.solana.rpc.link import RpcLink
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.options import RpcOptions

    host = urlsplit(url.reveal()).hostname
    cluster = open_rpc(settings).pools.cluster
    admission = ClusterGuard(cluster, allow_mainnet=settings.allow_mainnet)
    rpc = Rpc(RpcLink(RpcOptions((url,), deadline_s=NODE_S, observed=False), admission))
    name = f"node {number}"
    try:
        slot = await rpc.get_slot("processed")
        if settings.slot_ms or cluster != "local":
            slow_s = 3 * settings.slot_ms / 1000 if cluster == "local" else 0.0
            await asyncio.sleep(max(STILL_S, slow_s))
            if await rpc.get_slot("processed") == slot:
                text = f"{host}: {cluster}, stands still at slot {slot:,}"
                return failed(name, text, "wait until the chain continues, or name another node")
    except (VenueRefusal, OSError) as error:
        code = error.code if isinstance(error, VenueRefusal) else str(error)
        why = f": {error.detail}" if isinstance(error, VenueRefusal) and error.retryable else ""
        unreached = own_mend(why, own) if own else "mend SOLANA_RPC_URL, or name another node"
        mend = {
            "wrong-cluster": "SOLANA_RPC_URL and POOLS must be of one cluster",
            "mainnet-not-allowed": "real money: ALLOW_MAINNET=1, or a node of another cluster",
        }.get(code, unreached)
        return failed(name, f"{host}: {code}{why}", mend)
    finally:
        await rpc.close()
    return ok(name, f"{host}: {cluster}, slot {slot:,}")


async def _account(settings: Settings, *, signs: bool) -> AsyncIterator[Finding]:
    """Asks for the pools, the wallet's balance, the transaction version and the consensus."""
    opened = open_rpc(settings, observed=False)
    wallet = wallet_of(settings).address if signs else ""
    pools = [address for listed in opened.pools.pools.values() for address in listed]
    try:
        answers = await opened.rpc.get_multiple_accounts(pools, commitment="finalized")
        lamports = await opened.rpc.get_balance(wallet, "finalized") if signs else 0
        transactions = await versions.look(settings, opened.rpc)
        agreement = await consensus.look(settings, opened.rpc, slot_setting(settings, opened.pools))
    except (VenueRefusal, OSError) as error:
        yield failed("accounts", str(error), "try again; else name another node")
        return
    finally:
        await opened.rpc.close()
    yield transactions
    yield agreement
    accounts = [account for answer in answers for account in answer.value]
    absent = [address for address, account in zip(pools, accounts, strict=True) if account is None]
    yield judge_pools(opened.pools.cluster, len(pools), absent)
    if signs:
        yield _balance(wallet, lamports)


def judge_pools(cluster: str, count: int, absent: Sequence[str]) -> Finding:
    """Judges how many of the pools in POOLS exist: `absent` are the addresses of the others. On a
    local chain some may still be launched. Pure.
    """
    if not absent:
        return ok("POOLS", f"all {count} are there")
    if cluster == "local" and len(absent) < count:
        return ok("POOLS", f"{count - len(absent)} of {count} are there; launches come")
    shown = ", ".join(absent[:3]) + (", …" if len(absent) > 3 else "")
    judge = failed if len(absent) == count else warning
    detail = f"{len(absent)} of {count} are not on this chain: {shown}"
    return judge("POOLS", detail, "take them out of the file of POOLS")


def _balance(address: str, lamports: int) -> Finding:
    detail = f"{lamports / LAMPORTS:.4f} SOL at {address}"
    mend = f"send SOL to {address}: fees and accounts are paid from it"
    if lamports < LITTLE:
        return (warning if lamports else failed)("wallet", detail, mend)
    return ok("wallet", detail)
