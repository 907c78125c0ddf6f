"""Which mints are quoted: those whose transfers move exactly what they name."""

from pathlib import Path

import pytest

from stages.venues.mints import check_mint
from stages.venues.pool import RawAccount, Unsupported
from tests.unit.venues import raydium_bytes as raw

RECORDED = Path(__file__).resolve().parents[2] / "vectors" / "mainnet_dlmm_accounts"
FEE, CLOSE_AUTHORITY, NON_TRANSFERABLE, HOOK, METADATA_POINTER = 1, 3, 9, 14, 18


def token_2022(*extensions: tuple[int, int], spare: int = 0, kind: int = 1) -> RawAccount:
    """A mint with extensions of {type, length}; `spare` zero bytes follow them."""
    data = bytes(165) + bytes([kind])
    for extension, length in extensions:
        data += extension.to_bytes(2, "little") + length.to_bytes(2, "little") + b"\xff" * length
    return RawAccount(raw.TOKEN_2022, data + bytes(spare))


@pytest.mark.parametrize(
    "account",
    [
        raw.mint(),
        raw.mint(raw.TOKEN_2022),
        token_2022(),
        token_2022((METADATA_POINTER, 64), (CLOSE_AUTHORITY, 32)),
        token_2022((METADATA_POINTER, 64), spare=300),
    ],
)
def test_a_mint_whose_transfers_are_exact_is_taken(account: RawAccount) -> None:
    check_mint(raw.MINT_A, account)


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        (FEE, "transfer-fee-mint"),
        (HOOK, "transfer-hook-mint"),
        (NON_TRANSFERABLE, "non-transferable-mint"),
        (999, "unknown-mint-extension"),
    ],
)
def test_a_mint_that_might_move_less_is_refused_by_name(extension: int, reason: str) -> None:
    for account in (
        token_2022((extension, 108)),
        token_2022((METADATA_POINTER, 64), (extension, 108), (CLOSE_AUTHORITY, 32)),
    ):
        with pytest.raises(Unsupported) as refused:
            check_mint(raw.MINT_A, account)
        assert refused.value.reason == reason


@pytest.mark.parametrize(
    "account",
    [
        RawAccount(raw.CPMM, bytes(82)),
        RawAccount(raw.TOKEN, bytes(165)),
        RawAccount(raw.TOKEN_2022, bytes(165)),
        token_2022(kind=2),
        RawAccount(raw.TOKEN_2022, token_2022((METADATA_POINTER, 64)).data[:-1]),
    ],
)
def test_what_is_no_mint_is_an_error(account: RawAccount) -> None:
    with pytest.raises(ValueError, match=r"mint|extension"):
        check_mint(raw.MINT_A, account)


def test_the_one_recorded_mint_of_mainnet_with_a_transfer_fee_is_refused() -> None:
    refused = []
    for path in RECORDED.glob("*/token_*_mint.bin"):
        data = path.read_bytes()
        owner = raw.TOKEN if len(data) == 82 else raw.TOKEN_2022
        try:
            check_mint(path.name, RawAccount(owner, data))
        except Unsupported as unsupported:
            refused.append((path.parent.name[:5], path.name, unsupported.reason))
    assert refused == [("B5Eia", "token_x_mint.bin", "transfer-fee-mint")]
