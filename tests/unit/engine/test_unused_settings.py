"""A setting without effect is told in one line, once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.settings import Settings
from engine.settings_loader import environment, load, notices
from engine.unused_settings import RULES

NODE = "https://node.example"
WITHOUT_EFFECT: list[tuple[dict[str, str], str]] = [
    ({"REDIS_PASSWORD": "secret"}, "REDIS_PASSWORD: no effect, as REDIS_URL is empty"),
    ({"DATABASE_PASSWORD": "secret"}, "DATABASE_PASSWORD: no effect, as DATABASE_URL is empty"),
    ({"VALKEY_MAXMEMORY_MB": "99", "REDIS_URL": "redis://h"}, "VALKEY_MAXMEMORY_MB: no effect"),
    ({"RATE_LIMIT_BURST": "5"}, "RATE_LIMIT_BURST: no effect, as RATE_LIMIT_PER_S is 0"),
    ({"METRICS_HOST": "0.0.0.0"}, "METRICS_HOST: no effect, as METRICS_PORT is 0"),  # noqa: S104
    ({"OTEL_TRACES_SAMPLER_ARG": "0.1"}, "OTEL_TRACES_SAMPLER_ARG: no effect"),
    ({"VENUE_LATENCY_MS": "5"}, "VENUE_LATENCY_MS: no effect, as VENUES is not simulated"),
    ({"VENUES": "simulated", "SOLANA_RPC_URL": NODE}, "SOLANA_RPC_URL: no effect, as VENUES"),
    ({"VENUES": "simulated", "TX_VERSION": "1"}, "TX_VERSION: no effect, as VENUES"),
    ({"SOLANA_RPC_URL": NODE, "VENUE_SEED": "7"}, "VENUE_SEED: no effect, as SOLANA_RPC_URL"),
    ({"ALLOW_MAINNET": "1"}, "ALLOW_MAINNET: no effect, as SOLANA_RPC_URL is empty"),
    ({"REQUIRE_KEYS": "1", "ACCOUNT": "desk"}, "ACCOUNT: no effect, as REQUIRE_KEYS is 1"),
]


@pytest.mark.parametrize(("given", "line"), WITHOUT_EFFECT, ids=lambda case: str(case)[:40])
def test_a_setting_without_effect_is_told_in_one_line(given: dict[str, str], line: str) -> None:
    [told] = notices(given, None)
    assert told.startswith(line)
    assert "secret" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"REDIS_PASSWORD": "secret", "REDIS_URL": "redis://h"},
        {"RATE_LIMIT_BURST": "5", "RATE_LIMIT_PER_S": "2"},
        {"FUSE_STAGES": "1", "CONCURRENCY": "0", "ORDERS_PER_MINUTE": "0"},
        {"VENUES": "simulated", "VENUE_LATENCY_MS": "5", "SLOT_MS": "9", "VENUE_SEED": "3"},
        {"SLOT_MS": "9", "VENUE_SEED": "3", "RENT_LAMPORTS_PER_BYTE": "1"},
        {"SOLANA_RPC_URL": NODE, "ALLOW_MAINNET": "1", "TX_VERSION": "0"},
        {"VENUES": "simulated", "TX_VERSION": "auto", "ALLOW_MAINNET": "0"},
        {"RATE_LIMIT_BURST": "", "METRICS_HOST": " "},
    ],
)
def test_a_setting_with_effect_or_at_its_default_is_not_told(given: dict[str, str]) -> None:
    assert notices(given, None) == []


def test_a_child_does_not_repeat_what_its_parent_told() -> None:
    given = {"REDIS_PASSWORD": "secret", "VALKEY_MAXMEMORY_MB": "99", "RATE_LIMIT_BURST": "5"}
    filled = environment(load(given, None)) | {"REDIS_URL": "redis://h"}
    assert notices(filled, None) == []


def test_a_file_is_read_for_notices_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("REDIS_PASSWORD=secret\n")
    assert len(notices({}, file)) == 1


def test_each_rule_names_settings() -> None:
    names = {field.name.upper() for field in msgspec.structs.fields(Settings)}
    assert {name for rule in RULES for name in rule.names} <= names
