"""Raydium CLMM: which tick arrays are initialised, from the pool's bitmap and its extension.

Tick array k starts at tick k·60·spacing. The pool has a bit for each k from -512 to 511; the
extension has fourteen windows of 512 further up and fourteen further down, nearest first.
"""

from __future__ import annotations

from collections.abc import Iterator

TICKS_PER_ARRAY = 60

_WINDOW = 512
_WINDOWS = 14
_WINDOW_BYTES = _WINDOW // 8
# Bit 0 of the joint bitmap is the lowest array of the lowest window.
_ZERO = _WINDOW * (_WINDOWS + 1)


def number_of(tick: int, spacing: int) -> int:
    """The number of the tick array that holds `tick`."""
    return tick // (TICKS_PER_ARRAY * spacing)


def joint(bitmap: bytes, up: bytes, down: bytes) -> int:
    """One bitmap of all tick arrays, of the pool's own 128 bytes and the extension's 896 twice."""
    bits = int.from_bytes(bitmap, "little") << _WINDOW * _WINDOWS
    bits |= int.from_bytes(up, "little") << _WINDOW * (_WINDOWS + 2)
    for window in range(_WINDOWS if any(down) else 0):
        raw = down[window * _WINDOW_BYTES : (window + 1) * _WINDOW_BYTES]
        bits |= int.from_bytes(raw, "little") << _WINDOW * (_WINDOWS - 1 - window)
    return bits


def place(number: int) -> tuple[str, int, int]:
    """Where the bit of an array is: the bitmap (own, up or down), the byte in it, and its mask."""
    position = number + _ZERO
    if -_WINDOW <= number < _WINDOW:
        name, bit = "own", number + _WINDOW
    elif number > 0:
        name, bit = "up", number - _WINDOW
    else:
        window, within = divmod(position, _WINDOW)
        name, bit = "down", (_WINDOWS - 1 - window) * _WINDOW + within
    return name, bit // 8, 1 << bit % 8


def downwards(bits: int, number: int) -> Iterator[int]:
    """The initialised arrays from `number` (included) down."""
    left = bits & ((1 << (number + _ZERO + 1)) - 1)
    while left:
        top = left.bit_length() - 1
        yield top - _ZERO
        left ^= 1 << top


def upwards(bits: int, number: int) -> Iterator[int]:
    """The initialised arrays above `number`, going up."""
    base = number + _ZERO + 1
    left = bits >> base
    while left:
        lowest = (left & -left).bit_length() - 1
        yield base + lowest - _ZERO
        left &= left - 1
