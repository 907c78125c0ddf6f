"""What a person who names a market wrongly is told, before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from solders.keypair import Keypair

from engine import venues
from engine.setting_parser import SettingsError
from engine.settings_loader import load

ROOT = Path(__file__).parents[3]
DEVNET, MAINNET = (str(ROOT / "pools" / f"{name}.toml") for name in ("devnet", "mainnet"))


@pytest.fixture
def keypair(tmp_path: Path) -> str:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps(list(bytes(Keypair()))))
    return str(path)


def check(**text: str) -> None:
    given = {"VENUES": "raydium,meteora", "SOLANA_RPC_URL": "http://127.0.0.1:1"}
    venues.check(load(given | {name.upper(): value for name, value in text.items()}, None))


def test_the_examples_of_pools_can_be_used(keypair: str) -> None:
    check(solana_keypair=keypair, pools=DEVNET)
    check(solana_keypair=keypair, pools=MAINNET, allow_mainnet="1")


def test_mainnet_requires_allow_mainnet(keypair: str) -> None:
    with pytest.raises(SettingsError, match="ALLOW_MAINNET=1"):
        check(solana_keypair=keypair, pools=MAINNET)


def test_an_unreadable_keypair_is_reported_by_its_setting(keypair: str) -> None:
    with pytest.raises(SettingsError, match=r"^POOLS=/none"):
        check(solana_keypair=keypair, pools="/none")
    with pytest.raises(SettingsError, match=r"^SOLANA_KEYPAIR: "):
        check(solana_keypair="/none", pools=DEVNET)
    for missing in ({"pools": DEVNET}, {"solana_keypair": keypair}):
        with pytest.raises(SettingsError, match="is needed with SOLANA_RPC_URL"):
            check(**missing)


def test_the_wallet_of_the_gateway_is_an_address(keypair: str) -> None:
    address = str(Keypair().pubkey())
    check(solana_keypair=keypair, pools=DEVNET, solana_wallet=address)
    with pytest.raises(SettingsError, match=r"^SOLANA_WALLET='a-name'"):
        check(solana_keypair=keypair, pools=DEVNET, solana_wallet="a-name")


def test_a_process_alone_without_a_chain_reports_it() -> None:
    with pytest.raises(SettingsError, match=r"no local chain runs in .*SOLANA_RPC_URL"):
        venues.open_trading(load({"VENUES": "raydium,meteora"}, None), signs=False)


def test_a_process_that_does_not_sign_never_reads_the_key(keypair: str) -> None:
    results = {"VENUES": "raydium", "SOLANA_RPC_URL": "http://127.0.0.1:1", "POOLS": DEVNET}
    venues.open_trading(load(results | {"SOLANA_KEYPAIR": "/none"}, None), signs=False)
    with pytest.raises(SettingsError, match="SOLANA_KEYPAIR"):
        venues.open_trading(load(results | {"SOLANA_KEYPAIR": "/none"}, None), signs=True)
    venues.open_trading(load(results | {"SOLANA_KEYPAIR": keypair}, None), signs=True)


def test_an_unknown_venue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="simulated, or one or more of raydium, meteora"):
        check(venues="orca")
    with pytest.raises(SettingsError, match="simulated, or one or more of raydium, meteora"):
        check(venues="simulated,raydium")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"SOLANA_KEYPAIR": "/no/such/file"}, "SOLANA_KEYPAIR: neither a readable file"),
        ({"POOLS": "/no/such/file"}, "POOLS=/no/such/file: No such file"),
        ({"POOLS": DEVNET}, "of devnet; SOLANA_RPC_URL is needed"),
    ],
)
def test_settings_that_the_local_chain_does_not_take_are_reported_before_it_starts(
    value: dict[str, str], line: str
) -> None:
    with pytest.raises(SettingsError) as error:
        venues.check(load({"VENUES": "raydium"} | value, None))
    assert line in str(error.value)
