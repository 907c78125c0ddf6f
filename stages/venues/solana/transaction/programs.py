"""Addresses that are the same on every cluster."""

from __future__ import annotations

from functools import lru_cache

from solders.pubkey import Pubkey

SYSTEM = "11111111111111111111111111111111"
COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105  # an address
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105  # an address
ASSOCIATED_TOKEN = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"  # noqa: S105  # an address
MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
CLOCK = "SysvarC1ock11111111111111111111111111111111"
WSOL = "So11111111111111111111111111111111111111112"
"""The mint that native SOL is traded as."""
KEPT = 4_096
"""Addresses remembered as keys: those of the pools come again with every route."""


@lru_cache(maxsize=KEPT)
def key(address: str) -> Pubkey:
    """The address as bytes. Raises ValueError."""
    return Pubkey.from_string(address)


@lru_cache(maxsize=KEPT)
def associated_account(owner: Pubkey, mint: str, program: str) -> Pubkey:
    """The owner's one well-known account of a token."""
    seeds = [bytes(owner), bytes(key(program)), bytes(key(mint))]
    return Pubkey.find_program_address(seeds, key(ASSOCIATED_TOKEN))[0]
