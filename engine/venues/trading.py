"""What orders are traded with: the market, the chain, the tokens and the state of both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from events.money import Token
from stages.venues import Chain
from stages.venues.venue_group import VenueGroup

Live = Callable[[bool], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _nothing_lives(_: bool) -> AsyncIterator[None]:
    yield


async def _at_once() -> None:
    pass


async def _suited() -> str:
    return ""


class Trading(NamedTuple):
    """The market, the chain and the tokens that orders are traded with."""

    market: VenueGroup
    chain: Chain
    tokens: Mapping[str, Token]
    fault: Callable[[], str] = lambda: ""
    """Why no venue can be asked now; empty where one can."""
    live: Live = _nothing_lives
    """Runs the background readers while it is used; True where pools are followed as well."""
    ready: Callable[[], Awaitable[object]] = _at_once
    """Returns once quotes can be computed, while `live` runs."""
    unsuited: Callable[[], Awaitable[str]] = _suited
    """Why the settings do not fit the cluster, once it has answered; empty where they do."""
    facts: Callable[[], Mapping[str, Any] | None] = lambda: None
    """The cluster as /readyz reports it; None where there is none."""
    watch_nodes: Callable[[], Awaitable[None]] = _at_once
    """Looks now and then at what the nodes serve, for `fault`, until it is cancelled."""
    explorer: str = ""
    """URL of an explorer for transactions; empty without one."""
