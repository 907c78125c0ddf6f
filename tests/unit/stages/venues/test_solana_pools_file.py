"""The POOLS file: the examples can be used, and mistakes are told in one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.pools.contract import RawAccount
from stages.venues.solana.accounts.mints import MINT_BYTES, mint_fault
from stages.venues.solana.accounts.pools_file import PoolsFileError, TokenEntry, load_pools
from stages.venues.solana.transaction.programs import TOKEN, TOKEN_2022, WSOL
from tests.support.chain.toy_family import mint_bytes
from tests.support.pools import token_2022 as t22

ROOT = Path(__file__).parents[4]
GOOD = """
cluster = "local"
[[tokens]]
symbol = "SOL"
mint = "So11111111111111111111111111111111111111112"
decimals = 9
[[tokens]]
symbol = "USDC"
mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
decimals = 6
[pools]
"SOL/USDC" = ["58oQChx4yWmvKdwLLZzBi4ChoCc2fqCUWBkwMihLYQo2"]
"""


@pytest.mark.parametrize("cluster", ["mainnet", "devnet"])
def test_the_examples_are_valid_and_trade_sol_for_usdc(cluster: str) -> None:
    pools_file = load_pools(ROOT / "pools" / f"{cluster}.toml")
    assert pools_file.cluster == cluster
    tokens = pools_file.by_name()
    pair = {tokens["SOL"].mint, tokens["USDC"].mint}
    assert tokens[WSOL] == tokens["SOL"]
    assert any(mints == pair for mints in pools_file.mints_of_pools().values())


def test_json_is_read_like_toml(tmp_path: Path) -> None:
    toml, other = tmp_path / "pools.toml", tmp_path / "pools.json"
    toml.write_text(GOOD)
    pools_file = load_pools(toml)
    other.write_text(
        json.dumps(
            {
                "cluster": pools_file.cluster,
                "tokens": [
                    {"symbol": t.symbol, "mint": t.mint, "decimals": t.decimals}
                    for t in pools_file.tokens
                ],
                "pools": pools_file.pools,
            }
        )
    )
    assert load_pools(other) == pools_file


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        ('"SOL/USDC"', '"SOL/RAY"', "no token has the symbol 'RAY'"),
        ('"SOL/USDC"', '"SOL-USDC"', "expected two symbols"),
        ('"SOL/USDC"', '"SOL/SOL"', "expected two symbols"),
        ("58oQ", "58oQ58oQ", "is not an address"),
        ("EPjF", "0PjF", "mint of USDC"),
        ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", WSOL, "stands there twice"),
        ('symbol = "USDC"', 'symbol = "SOL"', "stands there twice"),
        ("decimals = 9", "decimals = 8", "native SOL has 9 decimals"),
        ("decimals = 6", "decimals = -1", "$.tokens[1].decimals"),
        ('cluster = "local"', 'cluster = "moon"', "$.cluster"),
        ("decimals = 6", 'decimals = 6\ncolour = "red"', "colour"),
        ("[pools]", "[pools", "line"),
    ],
)
def test_a_mistake_in_the_pools_file_is_reported_in_one_line(
    tmp_path: Path, good: str, bad: str, expected: str
) -> None:
    path = tmp_path / "pools.toml"
    path.write_text(GOOD.replace(good, bad))
    with pytest.raises(PoolsFileError) as caught:
        load_pools(path)
    message = str(caught.value)
    assert message.startswith(f"POOLS={path}: ")
    assert expected in message
    assert "\n" not in message


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PoolsFileError, match="No such file"):
        load_pools(tmp_path / "none.toml")


# -- the chain has the last word -------------------------------------------------------------------


def token(program: str = "token", decimals: int = 6) -> TokenEntry:
    return TokenEntry("T", WSOL, decimals, program)  # type: ignore[arg-type]  # of two words


@pytest.mark.parametrize(
    ("account", "entry", "fault"),
    [
        (RawAccount(TOKEN, mint_bytes(6)), token(), ""),
        (RawAccount(TOKEN, mint_bytes(9)), token(), "token-decimals-mismatch"),
        (RawAccount(TOKEN_2022, mint_bytes(6)), token(), "token-program-mismatch"),
        (RawAccount(TOKEN, b"\0" * MINT_BYTES), token(decimals=0), "no-such-mint"),
        (None, token(), "no-such-mint"),
        (RawAccount(TOKEN_2022, mint_bytes(6)), token("token-2022"), ""),
        (t22.mint(t22.METADATA_POINTER), token("token-2022"), ""),
        (t22.mint(t22.transfer_fee(50)), token("token-2022"), ""),
        (t22.mint(t22.hook(t22.KEY)), token("token-2022"), "transfer-hook-mint"),
        (t22.mint(t22.pausable(True)), token("token-2022"), "token-paused"),
        (t22.mint(t22.Extension(26, b"")), token("token-2022"), "mint-unreadable"),
    ],
)
def test_a_token_that_differs_from_the_file_is_refused_by_name(
    account: RawAccount | None, entry: TokenEntry, fault: str
) -> None:
    assert mint_fault(account, entry) == fault
