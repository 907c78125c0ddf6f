"""Isolate: one order's fault is that order's alone. Pure, but for what is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def isolate(call: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | Exception]:
    """What the call answers for each item. Where it raises, it is called for each item alone, and
    an item that makes it raise is answered with the error.
    """
    try:
        return list(call(items))
    except Exception as error:
        if len(items) == 1:
            return [error]
    return [_alone(call, item) for item in items]


def _alone(call: Callable[[Sequence[T]], Sequence[R]], item: T) -> R | Exception:
    try:
        [answer] = call([item])
    except Exception as error:
        return error
    return answer
