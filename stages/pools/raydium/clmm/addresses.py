"""Raydium CLMM: its programs and the addresses that follow from a pool's."""

from __future__ import annotations

from functools import lru_cache

from solders.pubkey import Pubkey

from stages.pools.raydium.clmm.bitmap import TICKS_PER_ARRAY

PROGRAMS = {
    "mainnet": "CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK",
    "devnet": "DRayAUgENGQBKVaX8owNhgzkEDyoHTGVEGHVJT1E9pfH",
}


@lru_cache(maxsize=1 << 12)
def array_address(program: str, pool: str, number: int, spacing: int) -> str:
    """The tick array of that number."""
    start = number * TICKS_PER_ARRAY * spacing
    return _derived(program, b"tick_array", pool, start.to_bytes(4, "big", signed=True))


@lru_cache(maxsize=1 << 10)
def extension_address(program: str, pool: str) -> str:
    """The extension of the pool's tick array bitmap."""
    return _derived(program, b"pool_tick_array_bitmap_extension", pool)


def _derived(program: str, name: bytes, pool: str, *seeds: bytes) -> str:
    parts = [name, bytes(Pubkey.from_string(pool)), *seeds]
    return str(Pubkey.find_program_address(parts, Pubkey.from_string(program))[0])
