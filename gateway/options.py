"""What a gateway is made with: its backends, market and limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from events.log import EventLog
from events.money import Token
from gateway.api.audits import StoreUrls
from gateway.api.parked import Settles, no_record
from gateway.api.quotes import Asks, Previews
from gateway.backends.hung_processes import Signs, no_signs
from gateway.middleware.rate_limit import Rates
from projections.feed.history_reader import Archive


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """The options of `gateway.app.make_app`."""

    log: EventLog
    """It need not be open. The caller closes it."""
    archive: Archive
    """The caller closes it."""
    tokens: Mapping[str, Token]
    """The traded tokens, by symbol and by mint."""
    account: str
    """The account of requests without an API key."""
    quotes: Asks
    """Asks the venues for quotes."""
    previews: Previews
    """What the router would decide about an order."""
    market_fault: Callable[[], str] = lambda: ""
    """Why no venue can be asked; empty while one can."""
    chain_facts: Callable[[], Mapping[str, Any] | None] = lambda: None
    """What is known of the cluster; None without a cluster."""
    restarts: Callable[[], Mapping[str, int] | None] = lambda: None
    """By process, how often its supervisor restarted it; None where it is not known."""
    signs: Signs = no_signs
    """The signs of life of the processes of this DATA_DIR."""
    settles: Settles = no_record
    """Settles a parked order by the chain's record."""
    records: StoreUrls = field(default_factory=StoreUrls)
    """The addresses of log and archive, for audits."""
    explorer: str = ""
    """The block explorer that orders link to: see `projections.views.explorer`."""
    heartbeat_ms: int = 5000
    """Between two heartbeats of an idle stream."""
    slow_s: float = 20.0
    """How long a client with more than 256 KiB before it may receive nothing of it before its
    connection is closed."""
    concurrency: int = 0
    """How many orders may be in venue calls at once; 0 is any number."""
    stuck_after_s: float = 20.0
    """How long a stage may stand still before /readyz reports it."""
    hosts: Collection[str] = ()
    """Host names under which the gateway is reached, besides localhost and addresses."""
    origins: Collection[str] = ()
    """Origins of other pages that may use the gateway."""
    keys_required: bool = False
    """Whether requests without an API key are refused."""
    rates: Rates | None = None
    """How many requests a key may make; None is any number."""
    sockets_max: int = 0
    """How many sockets and streams may be open; 0 is any number."""
    sockets_max_each: int = 0
    """The same for one key, or one address without a key."""
