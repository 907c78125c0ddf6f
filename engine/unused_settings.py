"""Settings that have no effect beside the others that are set: each is told in one line. Pure.

A password without the URL that it belongs to, or a node beside the simulation, is mostly a slip.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import msgspec

from engine.settings import Settings


class Rule(NamedTuple):
    """Settings that have no effect where `unused` is true, and why."""

    names: tuple[str, ...]
    unused: Callable[[Settings], bool]
    why: str


def _simulated(settings: Settings) -> bool:
    return settings.venues == ("simulated",)


def _on_other_chain(settings: Settings) -> bool:
    return not _simulated(settings) and bool(settings.solana_rpc_url)


RULES = (
    Rule(
        ("REDIS_PASSWORD",), lambda s: not s.redis_url,
        "REDIS_URL is empty, and the embedded Valkey has no password",
    ),
    Rule(
        ("DATABASE_PASSWORD",), lambda s: not s.database_url,
        "DATABASE_URL is empty, and the embedded Postgres has no password",
    ),
    Rule(
        ("VALKEY_MAXMEMORY_MB",), lambda s: bool(s.redis_url),
        "REDIS_URL is set: its server has its own maxmemory",
    ),
    Rule(("RATE_LIMIT_BURST",), lambda s: not s.rate_limit_per_s, "RATE_LIMIT_PER_S is 0"),
    Rule(("METRICS_HOST",), lambda s: not s.metrics_port, "METRICS_PORT is 0"),
    Rule(
        ("OTEL_TRACES_SAMPLER_ARG",), lambda s: not s.otel_exporter_otlp_endpoint,
        "OTEL_EXPORTER_OTLP_ENDPOINT is empty: there are no traces",
    ),
    Rule(
        ("VENUE_LATENCY_MS", "VENUE_FAILURE_RATE"), lambda s: not _simulated(s),
        "VENUES is not simulated",
    ),
    Rule(
        ("SOLANA_RPC_URL", "SOLANA_KEYPAIR", "POOLS", "ALLOW_MAINNET", "COMMITMENT", "TX_VERSION",
         "CU_PRICE_MICRO_LAMPORTS", "MAX_PRICE_IMPACT_BPS", "QUOTES_STALE_MS", "POOLS_READ_MS",
         "RENT_LAMPORTS_PER_BYTE"),
        _simulated, "VENUES is simulated: no chain is used",
    ),
    Rule(
        ("VENUE_SEED", "VENUE_VOLATILITY_BPS", "BLOCKHASH_SLOTS", "CONSENSUS",
         "RENT_LAMPORTS_PER_BYTE"),
        _on_other_chain, "SOLANA_RPC_URL is set: no local chain is started",
    ),
    Rule(
        ("ALLOW_MAINNET",), lambda s: not _simulated(s) and not s.solana_rpc_url,
        "SOLANA_RPC_URL is empty: the chain is the local one",
    ),
    Rule(("ACCOUNT",), lambda s: s.require_keys == "1", "REQUIRE_KEYS is 1"),
)  # fmt: skip


def unused(settings: Settings, given: Collection[str]) -> Iterator[str]:
    """Yields a line for each given setting that differs from its default and has no effect."""
    defaults = {f.name.upper(): f.default for f in msgspec.structs.fields(Settings)}
    for rule in RULES:
        if not rule.unused(settings):
            continue
        for name in rule.names:
            if name in given and getattr(settings, name.lower()) != defaults[name]:
                yield f"{name}: no effect, as {rule.why}"
