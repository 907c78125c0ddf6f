"""The handlers of one gateway, one object for each resource."""

from __future__ import annotations

from typing import NamedTuple

from gateway.api.admin import Admin
from gateway.api.audits import Audits
from gateway.api.cancel_amend import CommandHandlers
from gateway.api.console import Console
from gateway.api.docs import Documents
from gateway.api.metrics import MetricsHandler
from gateway.api.order_reads import OrderReads
from gateway.api.orders import Orders
from gateway.api.parked import ParkedOrders
from gateway.api.prices import Prices
from gateway.api.quotes import Quotes
from gateway.backends.health import Health
from gateway.streaming.sse import Streams
from gateway.streaming.websocket import Sockets


class Handlers(NamedTuple):
    """What `Endpoint.handler` selects from."""

    orders: Orders
    order_reads: OrderReads
    commands: CommandHandlers
    sockets: Sockets
    streams: Streams
    quotes: Quotes
    prices: Prices
    admin: Admin
    parked: ParkedOrders
    audits: Audits
    health: Health
    metrics: MetricsHandler
    console: Console
    documents: Documents
