"""Which watcher follows which pair: rendezvous hashing, and what changes after a round of claims.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import NamedTuple

from events.log import LeaseGrant, PairProgress


class Changes(NamedTuple):
    """What a watcher does after its claims were answered."""

    give: list[str]
    """Pairs whose leases it releases: another watcher is preferred for them."""
    stop: list[str]
    """Pairs that it no longer follows: those that it gives, and those whose lease it lost."""
    begin: dict[str, PairProgress | None]
    """Pairs that it follows from now on, each with the progress of its last holder, if any."""


def rendezvous_owner(pair: str, watchers: Iterable[str]) -> str:
    """The watcher that is preferred for a pair. All watchers compute the same one, and few pairs
    move when a watcher starts or stops.
    """
    return max(watchers, key=lambda name: sha256(f"{pair} {name}".encode()).digest())


def preferred(name: str, pairs: Iterable[str], watchers: Collection[str]) -> list[str]:
    """The pairs for which this watcher is preferred; none while no watcher is known."""
    return [pair for pair in pairs if watchers and rendezvous_owner(pair, watchers) == name]


def rebalance(
    shares: Collection[str],
    followed: Collection[str],
    books: Collection[str],
    watchers: Collection[str],
    grant: LeaseGrant,
) -> Changes:
    """The changes after a claim was answered by `grant`.

    `shares` are the pairs for which this watcher is preferred among `watchers`, `followed` those
    that it follows, `books` all pairs that have a book. While no watcher is known, none is given.
    """
    give = [pair for pair in grant.held if watchers and pair not in shares]
    return Changes(
        give,
        [pair for pair in followed if pair not in grant.held or pair in give],
        {
            pair: progress
            for pair, progress in grant.held.items()
            if pair in books and pair not in followed and pair not in give
        },
    )
