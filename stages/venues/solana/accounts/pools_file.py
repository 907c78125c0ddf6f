"""The file that POOLS names: which tokens there are, and the pools of each pair. TOML or JSON.

    cluster = "mainnet"
    [[tokens]]
    symbol = "SOL"
    mint = "So11111111111111111111111111111111111111112"
    decimals = 9
    [pools]
    "SOL/USDC" = ["3ucNos4NbumPLZNWztqGHNFFgkHeRMBQAVemeeomsUxv"]

What kind of pool an address is, its owner tells on chain. A pool trades both ways.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from stages.venues.solana.rpc.clusters import Cluster
from stages.venues.solana.transaction.programs import TOKEN, TOKEN_2022, WSOL, key

PROGRAMS = {"token": TOKEN, "token-2022": TOKEN_2022}


class PoolsFileError(ValueError):
    """A POOLS file that cannot be used: one line with the place and the reason."""


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that orders may name, by symbol or by mint."""

    symbol: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9$._-]{1,20}$")]
    mint: str
    decimals: Annotated[int, msgspec.Meta(ge=0, le=18)]
    program: Literal["token", "token-2022"] = "token"

    @property
    def program_id(self) -> str:
        """The token program that owns the mint."""
        return PROGRAMS[self.program]


class PoolsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file, checked."""

    cluster: Cluster
    tokens: tuple[TokenEntry, ...]
    pools: dict[str, tuple[str, ...]]
    """Pool addresses by pair, such as `SOL/USDC`."""

    def by_name(self) -> dict[str, TokenEntry]:
        """The tokens, by symbol and by mint."""
        return {name: token for token in self.tokens for name in (token.symbol, token.mint)}

    def mints_of_pools(self) -> dict[str, frozenset[str]]:
        """The two mints that each pool trades according to the file, by its address."""
        tokens = self.by_name()
        return {
            address: frozenset(tokens[symbol].mint for symbol in pair.split("/"))
            for pair, addresses in self.pools.items()
            for address in addresses
        }


def load_pools(path: Path) -> PoolsFile:
    """Reads and checks the file. Raises PoolsFileError."""
    try:
        pools_file = _decode(path)
        _check(pools_file)
    except (OSError, ValueError) as error:
        raise PoolsFileError(f"POOLS={path}: {_describe(error)}") from None
    return pools_file


def _decode(path: Path) -> PoolsFile:
    data = path.read_bytes()
    if path.suffix == ".json":
        return msgspec.json.decode(data, type=PoolsFile)
    return msgspec.convert(tomllib.loads(data.decode()), PoolsFile)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return str(error)


def _check(pools_file: PoolsFile) -> None:
    _unique([token.symbol for token in pools_file.tokens], "symbol")
    _unique([token.mint for token in pools_file.tokens], "mint")
    for token in pools_file.tokens:
        _address(token.mint, f"mint of {token.symbol}")
        if token.mint == WSOL and (token.decimals, token.program) != (9, "token"):
            raise ValueError(f"{token.symbol}: native SOL has 9 decimals and program `token`")
    symbols = {token.symbol: token for token in pools_file.tokens}
    for pair, addresses in pools_file.pools.items():
        _check_pair(pair, symbols)
        for address in addresses:
            _address(address, f"pool of {pair}")
    _unique([address for addresses in pools_file.pools.values() for address in addresses], "pool")


def _check_pair(pair: str, tokens: Mapping[str, TokenEntry]) -> None:
    sides = pair.split("/")
    if len(sides) != 2 or sides[0] == sides[1]:
        raise ValueError(f"pair {pair!r}: expected two symbols, such as SOL/USDC")
    for symbol in sides:
        if symbol not in tokens:
            raise ValueError(f"pair {pair!r}: no token has the symbol {symbol!r}")


def _address(text: str, what: str) -> None:
    try:
        key(text)
    except ValueError:
        raise ValueError(f"{what}: {text!r} is not an address") from None


def _unique(names: list[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} stands there twice")
        seen.add(name)
