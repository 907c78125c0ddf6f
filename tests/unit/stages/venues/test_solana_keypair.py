"""The key: read in every form that wallets write, and shown in none."""

from __future__ import annotations

import json
import pickle
import traceback
from pathlib import Path

import pytest
from solders.keypair import Keypair

from events.secret import SecretText
from stages.venues.solana.transaction.keypair import KeypairError, Wallet, load_wallet

KEY = Keypair.from_seed(bytes(range(32)))
NUMBERS = json.dumps(list(bytes(KEY)))
BASE58 = str(KEY)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "id.json"
    path.write_text(NUMBERS)
    return str(path)


def test_a_key_is_read_from_a_file_a_json_array_or_base58(file: str) -> None:
    for item in (file, NUMBERS, BASE58, f"  {BASE58}\n"):
        assert load_wallet(SecretText(item)).pubkey == KEY.pubkey()


def test_a_wallet_shows_its_address_and_nothing_of_its_key() -> None:
    wallet = load_wallet(SecretText(BASE58))
    shown = f"{wallet} {wallet!r} {[wallet]} {wallet.__slots__} {dir(wallet)}"
    assert wallet.address in shown
    for secret in (BASE58, NUMBERS, bytes(KEY).hex(), bytes(KEY)[:32].hex()):
        assert secret not in shown
    with pytest.raises(TypeError):
        pickle.dumps(wallet)


@pytest.mark.parametrize(
    "text",
    [
        "",
        BASE58[:-3],
        BASE58[:-1] + "0",
        "2" * 88,
        NUMBERS[:-1],
        NUMBERS.replace("[0,", "[1,"),
        json.dumps([300] * 64),
        json.dumps([1] * 63),
        "/nowhere/id.json",
        "x" * 5000,
    ],
)
def test_no_error_repeats_the_input(text: str) -> None:
    with pytest.raises(KeypairError) as caught:
        load_wallet(SecretText(text))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for part in filter(None, (text[:40], text[-40:])):
        assert part not in shown


def test_no_error_repeats_the_content_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "id.json"
    path.write_text(NUMBERS[:-1])
    with pytest.raises(KeypairError) as caught:
        load_wallet(SecretText(str(path)))
    assert NUMBERS[:20] not in "".join(traceback.format_exception(caught.value))


def test_a_keypair_of_mismatched_halves_is_refused() -> None:
    other = bytes(Keypair())
    with pytest.raises(KeypairError):
        load_wallet(SecretText(json.dumps(list(bytes(KEY)[:32] + other[32:]))))
    assert isinstance(load_wallet(SecretText(json.dumps(list(other)))), Wallet)
