"""Addresses that are the same on every cluster, and how others are derived. All base58."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from solders.pubkey import Pubkey

from stages.venues.solana.transaction import programs

SYSTEM = programs.SYSTEM
COMPUTE_BUDGET = programs.COMPUTE_BUDGET
TOKEN = programs.TOKEN
TOKEN_2022 = programs.TOKEN_2022
ATA = programs.ASSOCIATED_TOKEN
MEMO = programs.MEMO
MEMO_V1 = "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"
NATIVE_LOADER = "NativeLoader1111111111111111111111111111111"
BPF_LOADER = "BPFLoaderUpgradeab1e11111111111111111111111"
"""Of programs that can be upgraded: their code is in another account, the programdata."""
BPF_LOADER_2 = "BPFLoader2111111111111111111111111111111111"
FEATURE_OWNER = "Feature111111111111111111111111111111111111"
TX_V1 = "txv1aq4pp281K9um3tnPgkfX8UqtFT6wcVW3hNezGLL"
"""The feature that lets blocks take transactions of version 1 (SIMD-0385)."""
INSTRUCTIONS_SYSVAR = "Sysvar1nstructions1111111111111111111111111"
SYSVAR_OWNER = "Sysvar1111111111111111111111111111111111111"
CLOCK_SYSVAR = programs.CLOCK
RENT_SYSVAR = "SysvarRent111111111111111111111111111111111"

WSOL = programs.WSOL
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
USDT = "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"
RAY = "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R"
JUP = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
BONK = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"

LAMPORTS_PER_SIGNATURE = 5_000
_ATA_PROGRAM = Pubkey.from_string(ATA)


RENT_PER_BYTE = 696
"""Lamports, at the end of SIMD-0437's steps."""
RENT_PER_BYTE_ONCE = 6_960
"""Lamports, before those steps: the rent of older accounts, such as those of the first block."""


def rent_exempt(size: int, per_byte: int = RENT_PER_BYTE_ONCE) -> int:
    """The rent-exempt minimum of an account of `size` bytes of data, in lamports."""
    return (128 + size) * per_byte


@lru_cache(maxsize=65_536)
def token_address(owner: str, mint: str, program: str = TOKEN) -> str:
    """The associated token account of a wallet for a mint."""
    seeds = [bytes(Pubkey.from_string(part)) for part in (owner, program, mint)]
    return str(Pubkey.find_program_address(seeds, _ATA_PROGRAM)[0])


def derived(program: str, *seeds: bytes) -> str:
    """The program-derived address of some seeds."""
    return str(Pubkey.find_program_address(list(seeds), Pubkey.from_string(program))[0])


def named(name: str) -> str:
    """An address of this chain, derived from a name; its private key is unknown."""
    return str(Pubkey(sha256(f"localnet:{name}".encode()).digest()))


def raw(address: str) -> bytes:
    """The 32 bytes of an address. Raises ValueError."""
    return bytes(Pubkey.from_string(address))


def text(data: bytes) -> str:
    """The address of 32 bytes."""
    return str(Pubkey(data))
