"""Meteora DLMM: which bin arrays hold liquidity, as one integer with a bit for each array.

The pair has bits for arrays -512 to 511; its extension has twelve times 512 more either way, those
below counted away from zero.
"""

from __future__ import annotations

from collections.abc import Iterator

_OWN = 512
_FAR = 12 * _OWN
_ZERO = _OWN + _FAR
"""The bit of array 0."""


def own_bits(data: bytes) -> int:
    """The bits that the pair itself has (128 bytes)."""
    return int.from_bytes(data, "little") << _FAR


def extension_bits(above: bytes, below: bytes) -> int:
    """The bits of the extension (768 bytes from array 512 up, 768 from array -513 down)."""
    mirrored = int.from_bytes(below, "little")
    return int.from_bytes(above, "little") << (_ZERO + _OWN) | int(f"{mirrored:0{_FAR}b}"[::-1], 2)


def next_array(bits: int, index: int, down: bool) -> int | None:
    """The array at `index`, else the nearest one down (or up); None if there is none."""
    at = index + _ZERO
    if down:
        rest = bits & ((1 << max(0, at + 1)) - 1)
        return rest.bit_length() - 1 - _ZERO if rest else None
    at = max(0, at)
    rest = bits >> at
    return (rest & -rest).bit_length() - 1 + at - _ZERO if rest else None


def arrays_from(bits: int, index: int, down: bool) -> Iterator[int]:
    """All arrays in the order in which a swap that starts in `index` meets them."""
    following = next_array(bits, index, down)
    while following is not None:
        yield following
        following = next_array(bits, following + (-1 if down else 1), down)
