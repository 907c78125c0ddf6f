"""What a mint says: whether its token is traded, at which fees, and who may interfere."""

import random
from pathlib import Path

import pytest

from events.token_warnings import TEXTS
from stages.pools import mints
from stages.pools.contract import RawAccount, Unsupported
from stages.pools.mints import Mint, check_mint, read_mint
from stages.pools.transfer_fees import TransferFee, TransferFees
from tests.support.pools import raydium_bytes as raw
from tests.support.pools import token_2022 as t22
from tests.support.pools.token_2022 import KEY, NONE

RECORDED = Path(__file__).resolve().parents[3] / "vectors" / "mainnet_dlmm_accounts"
ADDRESS = raw.MINT_A
NO_AUTHORITY = (NONE, NONE)


@pytest.mark.parametrize(
    ("extensions", "refusal", "warnings"),
    [
        ((), "", ()),
        ((t22.METADATA_POINTER, t22.CLOSE_AUTHORITY), "", ()),
        ((t22.transfer_fee(0),), "", ()),
        ((t22.transfer_fee(10_000, 0),), "", ()),
        ((t22.transfer_fee(0, authority=KEY),), "", ("transfer-fee-authority",)),
        ((t22.transfer_fee(50),), "", ("transfer-fee",)),
        ((t22.transfer_fee(0, older=(50, 9), epoch=7),), "", ("transfer-fee",)),
        ((t22.transfer_fee(50, authority=KEY),), "", ("transfer-fee", "transfer-fee-authority")),
        ((t22.hook(NONE),), "", ()),
        ((t22.hook(NONE, authority=KEY),), "", ("transfer-hook-authority",)),
        ((t22.hook(KEY),), "transfer-hook-mint", ()),
        ((t22.pausable(False),), "", ()),
        ((t22.pausable(False, KEY),), "", ("pausable",)),
        ((t22.pausable(True, KEY),), "token-paused", ("pausable",)),
        ((t22.pausable(True),), "token-paused", ()),
        ((t22.DELEGATE,), "", ("permanent-delegate",)),
        ((t22.NO_DELEGATE,), "", ()),
        ((t22.default_state(1),), "", ()),
        ((t22.default_state(2),), "", ("default-frozen",)),
        ((t22.INTEREST_BEARING,), "", ("interest-bearing",)),
        ((t22.SCALED_AMOUNT,), "", ("scaled-amount",)),
        ((t22.PERMISSIONED_BURN,), "", ()),
        ((t22.NON_TRANSFERABLE,), "non-transferable-mint", ()),
        ((t22.UNKNOWN,), "unknown-mint-extension", ()),
        ((t22.Extension(2, bytes(8)),), "unknown-mint-extension", ()),  # of accounts only
        ((t22.METADATA_POINTER, t22.hook(KEY), t22.UNKNOWN), "transfer-hook-mint", ()),
        ((t22.pausable(False), t22.pausable(True)), "", ()),  # the first of a type counts
    ],
)
def test_extensions_refuse_warn_or_do_nothing(
    extensions: tuple[t22.Extension, ...], refusal: str, warnings: tuple[str, ...]
) -> None:
    for spare in (0, 4, 300):
        account = t22.mint(*extensions, spare=spare)
        mint = read_mint(ADDRESS, account)
        assert (mint.refusal, mint.warnings) == (refusal, warnings)
        if refusal:
            with pytest.raises(Unsupported) as refused:
                check_mint(ADDRESS, account)
            assert refused.value.reason == refusal
        else:
            check_mint(ADDRESS, account)


@pytest.mark.parametrize("program", [raw.TOKEN, raw.TOKEN_2022])
def test_authorities_of_a_mint_are_named_whatever_its_program(program: str) -> None:
    for minting, freezing in ((KEY, NONE), (NONE, KEY), (KEY, KEY), NO_AUTHORITY):
        data = t22.mint(mint_authority=minting, freeze_authority=freezing).data[:82]
        expected = ("mint-authority",) * (minting == KEY) + ("freeze-authority",) * (
            freezing == KEY
        )
        assert read_mint(ADDRESS, RawAccount(program, data)) == Mint(warnings=expected)


def test_a_transfer_fee_is_read_with_its_epochs() -> None:
    account = t22.mint(t22.transfer_fee(75, 9_000, epoch=1_064, older=(50, 5_000)))
    assert read_mint(ADDRESS, account).fees == TransferFees(
        TransferFee(0, 5_000, 50), TransferFee(1_064, 9_000, 75)
    )


def test_every_warning_has_a_text() -> None:
    results = set[str]()
    for number in mints._EXTENSIONS:
        for size in (0, 1, 32, 33, 64, 108):
            for byte in (b"\0", b"\1", b"\2"):
                try:
                    results |= set(
                        read_mint(ADDRESS, t22.mint(t22.Extension(number, byte * size))).warnings
                    )
                except ValueError:
                    continue
    account = t22.mint(mint_authority=KEY, freeze_authority=KEY)
    assert results | set(read_mint(ADDRESS, account).warnings) == set(TEXTS)


@pytest.mark.parametrize(
    "account",
    [
        RawAccount(raw.CPMM, bytes(82)),
        RawAccount(raw.TOKEN, bytes(165)),
        RawAccount(raw.TOKEN_2022, bytes(165)),
        t22.mint(kind=2),
        RawAccount(raw.TOKEN_2022, t22.mint(t22.METADATA_POINTER).data[:-1]),
        t22.mint(t22.Extension(1, bytes(107))),
        t22.mint(t22.transfer_fee(10_001)),
        t22.mint(t22.Extension(26, bytes(32))),
    ],
)
def test_an_unreadable_mint_raises_a_value_error(account: RawAccount) -> None:
    with pytest.raises(ValueError, match=r"mint|extension|charges"):
        read_mint(ADDRESS, account)


def test_no_bytes_do_more_than_be_refused() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    whole = t22.mint(
        t22.transfer_fee(50), t22.hook(NONE), t22.pausable(False), t22.METADATA_POINTER
    ).data
    for _ in range(3_000):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)] + chance.randbytes(40))
        for _ in range(chance.randrange(6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        owner = chance.choice([raw.TOKEN, raw.TOKEN_2022, raw.CPMM])
        try:
            mint = read_mint(ADDRESS, RawAccount(owner, bytes(data)))
        except ValueError:
            continue
        assert set(mint.warnings) <= set(TEXTS)


def test_the_recorded_mint_of_mainnet_with_a_transfer_fee() -> None:
    charging = {}
    for path in RECORDED.glob("*/token_*_mint.bin"):
        data = path.read_bytes()
        owner = raw.TOKEN if len(data) == 82 else raw.TOKEN_2022
        mint = read_mint(path.name, RawAccount(owner, data))
        assert not mint.refusal
        if mint.fees.charges:
            charging[path.parent.name[:5], path.name] = mint.fees.at(1_064)[1:]
    assert charging == {("B5Eia", "token_x_mint.bin"): (5_000, 50)}
