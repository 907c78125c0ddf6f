"""Every setting of the engine: one frozen struct, one field a setting.

A field's name in upper case is its environment variable; its `Meta` carries bounds, unit and
meaning. `settings_loader` reads the values and `settings_reference` prints the documents of these
fields, so that a new setting is one new field and nothing else.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.setting_parser import SettingsError
from events.secret import SecretText, SecretUrl


def _doc(description: str, unit: str = "", **bounds: Any) -> Meta:
    return Meta(description=description, extra={"unit": unit}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the environment. Zero means "no limit" where a description says so."""

    host: Annotated[str, _doc("Address the gateway listens on")] = "127.0.0.1"
    port: Annotated[int, _doc("Port the gateway listens on", ge=1, le=65535)] = 3000
    allowed_hosts: Annotated[
        tuple[str, ...],
        _doc("Names besides localhost and addresses under which clients may reach the gateway"),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], _doc("Origins of web pages, besides its own, that may use the gateway")
    ] = ()
    require_keys: Annotated[
        Literal["auto", "0", "1"],
        _doc(
            "Whether every request needs an API key; `auto`: where HOST is not a loopback address"
        ),
    ] = "auto"
    api_key: Annotated[
        SecretText, _doc("The key with which commands of this engine authenticate")
    ] = SecretText("")
    rate_limit_per_s: Annotated[
        int, _doc("Requests a second that a key may make, at each gateway; 0: any number", ge=0)
    ] = 0
    rate_limit_burst: Annotated[
        int, _doc("Requests that may come at once under that limit", "requests", ge=1)
    ] = 100
    sockets_max: Annotated[
        int, _doc("WebSockets and event streams at once, at each gateway; 0: any number", ge=0)
    ] = 10_000
    sockets_max_each: Annotated[
        int, _doc("The same of one key, or of one address without keys; 0: any number", ge=0)
    ] = 2_000
    metrics_port: Annotated[
        int,
        _doc(
            "Where each process serves its `/metrics` and `/healthz`; `engine up` takes seven from"
            " here, for all but the gateway; 0: off",
            ge=0,
            le=65_529,
        ),
    ] = 0
    metrics_host: Annotated[str, _doc("Address that METRICS_PORT is opened on")] = "127.0.0.1"
    otel_exporter_otlp_endpoint: Annotated[
        SecretUrl, _doc("Collector of OpenTelemetry traces, over OTLP/HTTP; empty: no traces")
    ] = SecretUrl("")
    otel_traces_sampler_arg: Annotated[
        Decimal, _doc("Part of all orders that are traced, from 0 to 1")
    ] = Decimal(1)
    data_dir: Annotated[
        Path, _doc("Folder of the embedded Valkey and Postgres, logs and locks")
    ] = Path(".data")
    redis_url: Annotated[
        SecretUrl, _doc("Redis ≥ 7.2 or Valkey ≥ 8 with the log; empty: embedded Valkey")
    ] = SecretUrl("")
    database_url: Annotated[
        SecretUrl, _doc("Postgres ≥ 16 with projections and archive; empty: embedded")
    ] = SecretUrl("")
    valkey_maxmemory_mb: Annotated[
        int,
        _doc(
            "Memory of the embedded Valkey; new orders are refused from 80 % of it on",
            "MB",
            ge=16,
            le=1_048_576,
        ),
    ] = 4096
    redis_password: Annotated[
        SecretText, _doc("Password for REDIS_URL, in the place of one that stands there")
    ] = SecretText("")
    database_password: Annotated[
        SecretText, _doc("Password for DATABASE_URL, in the place of one that stands there")
    ] = SecretText("")
    concurrency: Annotated[
        int, _doc("Orders in venue calls at once, over all workers; 0: no limit", "orders", ge=0)
    ] = 10
    orders_per_minute: Annotated[
        int,
        _doc(
            "Orders that may start in any sliding 60 s, over all workers; 0: no limit",
            "orders",
            ge=0,
        ),
    ] = 100
    fuse_stages: Annotated[
        bool,
        _doc("Whether an order is routed, built and sent in one append, where quotes are known"),
    ] = True
    max_attempts: Annotated[
        int,
        _doc(
            "Own failures before the send, or dead transactions, that end an order; no limit order",
            "attempts",
            ge=1,
            le=100,
        ),
    ] = 3
    venues: Annotated[
        tuple[str, ...],
        _doc("DEXes to trade on, `raydium,meteora` or one of them; or `simulated`", min_length=1),
    ] = ("raydium", "meteora")
    solana_rpc_url: Annotated[
        tuple[SecretUrl, ...],
        _doc("Nodes of one Solana cluster, the best first; empty: the local chain"),
    ] = ()
    solana_keypair: Annotated[
        SecretText,
        _doc("The wallet: a solana-keygen file, or the key itself; empty: one of its own"),
    ] = SecretText("")
    solana_wallet: Annotated[
        str,
        _doc(
            "Address of the wallet, whose SOL the gateway shows; empty: under `engine up` that of"
            " SOLANA_KEYPAIR, else none is shown"
        ),
    ] = ""
    pools: Annotated[
        str, _doc("File of tokens and pool addresses per pair; empty: those of the local chain")
    ] = ""
    allow_mainnet: Annotated[bool, _doc("Whether a node of mainnet may be used: real money")] = (
        False
    )
    commitment: Annotated[
        Literal["auto", "confirmed", "finalized"],
        _doc(
            "From when on a transaction counts as a fill; `auto`: `finalized` where the cluster"
            " runs Alpenglow, which costs nothing there, else `confirmed`"
        ),
    ] = "auto"
    tx_version: Annotated[
        Literal["auto", "0", "1"],
        _doc("Version of the transactions that are built; `auto`: 1 where the cluster takes it"),
    ] = "auto"
    simulate: Annotated[
        Literal["auto", "always", "never"],
        _doc(
            "Whether a transaction is simulated before it is sent; `auto`: where its limits are not"
            " known from others of its kind, after a failure, and where the wallet may lack funds"
        ),
    ] = "auto"
    cu_price_micro_lamports: Annotated[
        int, _doc("Priority fee of a transaction, a compute unit", "µlamports", ge=0, le=10**9)
    ] = 10_000
    max_price_impact_bps: Annotated[
        int, _doc("Quotes further below the spot price are refused", "bps", ge=1, le=10_000)
    ] = 1_000
    quotes_stale_ms: Annotated[
        int, _doc("Account data older than this is not quoted from", "ms", ge=50, le=600_000)
    ] = 2_000
    pools_read_ms: Annotated[
        int,
        _doc(
            "Time between two readings of the pools, each process; 0: such that every slot is seen."
            " Public nodes refuse fast readers",
            "ms",
            ge=0,
            le=60_000,
        ),
    ] = 0
    venue_latency_ms: Annotated[
        int, _doc("Time a call to a simulated venue takes", "ms", ge=0, le=600_000)
    ] = 200
    venue_failure_rate: Annotated[
        Decimal, _doc("Probability from 0 to 1 that a call to a simulated venue fails, retryably")
    ] = Decimal(0)
    venue_seed: Annotated[
        int,
        _doc(
            "Seed of the simulation and of the local chain's traders: same seed, same prices",
            ge=0,
            le=2**63 - 1,
        ),
    ] = 1
    venue_volatility_bps: Annotated[
        int,
        _doc(
            "How far prices of the simulation and the local chain move either way; 0: they rest",
            "bps",
            ge=0,
            le=5000,
        ),
    ] = 300
    venue_timeout_ms: Annotated[
        int, _doc("Longest wait for one call to a venue", "ms", ge=1, le=600_000)
    ] = 5000
    slot_ms: Annotated[
        int,
        _doc(
            "Slot of the local or simulated chain; 0: the local chain executes at once. Slots of"
            " other chains are measured",
            "ms",
            ge=0,
            le=60_000,
        ),
    ] = 200
    blockhash_slots: Annotated[
        int,
        _doc(
            "Slots that a transaction of the local or simulated chain stays valid",
            "slots",
            ge=1,
            le=100_000,
        ),
    ] = 150
    rent_lamports_per_byte: Annotated[
        int,
        _doc(
            "Rent of new accounts on the local chain; other chains are asked for theirs",
            "lamports",
            ge=0,
            le=1_000_000,
        ),
    ] = 696
    consensus: Annotated[
        Literal["alpenglow", "tower"],
        _doc(
            "Consensus of the local and the simulated chain: with `alpenglow` a block is final when"
            " the next one stands on it, with `tower` when 32 do"
        ),
    ] = "alpenglow"
    rebroadcast_ms: Annotated[
        int,
        _doc(
            "Time between two sends of the same bytes while unconfirmed; 0: three slots, 400 ms at"
            " least",
            "ms",
            ge=0,
            le=600_000,
        ),
    ] = 0
    lease_ms: Annotated[
        int,
        _doc("Silence after which another worker takes an order over", "ms", ge=50, le=3_600_000),
    ] = 10_000
    stuck_after_s: Annotated[
        int,
        _doc(
            "How long a stage may make no progress until `/readyz` reports it; at least two leases",
            "s",
            ge=3,
            le=86_400,
        ),
    ] = 20
    retry_base_ms: Annotated[
        int,
        _doc(
            "Wait before the second attempt; doubles with each, with jitter",
            "ms",
            ge=1,
            le=3_600_000,
        ),
    ] = 500
    retry_max_ms: Annotated[
        int, _doc("Longest wait between two attempts", "ms", ge=1, le=86_400_000)
    ] = 30_000
    idempotency_window_s: Annotated[
        int,
        _doc(
            "Time after an order's end in which its keys still give that order",
            "s",
            ge=60,
            le=2_592_000,
        ),
    ] = 86_400
    log_retain_events: Annotated[
        int, _doc("Events kept in the live log behind the archive", "events", ge=0)
    ] = 100_000
    heartbeat_ms: Annotated[
        int, _doc("Time between two heartbeats of an event stream", "ms", ge=10, le=600_000)
    ] = 5000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _doc("Least level that is logged")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        _doc("How processes log to stderr; `auto`: console on a terminal, else JSON"),
    ] = "auto"
    log_file_bytes: Annotated[
        int,
        _doc(
            "Size from which `engine up` rotates a file of DATA_DIR/logs",
            "bytes",
            ge=65_536,
            le=2**40,
        ),
    ] = 8_388_608
    log_files: Annotated[
        int,
        _doc("Rotated files that `engine up` keeps of each process", "files", ge=0, le=1_000),
    ] = 4
    access_log: Annotated[bool, _doc("Whether the gateway logs each HTTP request")] = False
    account: Annotated[
        str, _doc("The account orders without credentials belong to", min_length=1, max_length=64)
    ] = "default"

    def __post_init__(self) -> None:
        """Holds the one bound that `Meta` cannot: decimals have no ge/le, and NaN is a Decimal."""
        for name in ("venue_failure_rate", "otel_traces_sampler_arg"):
            part = getattr(self, name)
            if not (part.is_finite() and 0 <= part <= 1):
                msg = f"{name.upper()}={str(part)!r}: expected a decimal from 0 to 1"
                raise SettingsError(msg)
        if self.retry_max_ms < self.retry_base_ms:
            bound = f"at least RETRY_BASE_MS={self.retry_base_ms}"
            msg = f"RETRY_MAX_MS={self.retry_max_ms}: expected {bound}"
            raise SettingsError(msg)
