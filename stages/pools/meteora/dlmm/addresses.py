"""Meteora DLMM: its program and the addresses that follow from a pair's."""

from __future__ import annotations

from functools import lru_cache

from solders.pubkey import Pubkey

PROGRAMS = {
    "mainnet": "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo",
    "devnet": "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo",
}


@lru_cache(maxsize=1 << 12)
def array_address(program: str, pair: str, index: int) -> str:
    """The bin array with bins 70 * index to 70 * index + 69."""
    return _derived(program, b"bin_array", _key(pair), index.to_bytes(8, "little", signed=True))


@lru_cache(maxsize=1 << 10)
def extension_address(program: str, pair: str) -> str:
    """The extension of the pair's bin array bitmap; few pairs have one."""
    return _derived(program, b"bitmap", _key(pair))


@lru_cache(maxsize=4)
def event_authority(program: str) -> str:
    """Whom the program lets sign its events."""
    return _derived(program, b"__event_authority")


def _key(address: str) -> bytes:
    return bytes(Pubkey.from_string(address))


def _derived(program: str, *seeds: bytes) -> str:
    return str(Pubkey.find_program_address(list(seeds), Pubkey.from_string(program))[0])
