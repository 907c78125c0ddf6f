"""Screener: lets very large orders into routing, which other orders begin by themselves."""

from __future__ import annotations

from events.order import Order
from events.types import Fact, RoutingStarted
from stages.runtime.stage import Stage


def decide(_: Order, __: None) -> list[Fact]:
    """The order may be routed."""
    return [RoutingStarted()]


def stage() -> Stage:
    """The stage. It asks no venue."""
    return Stage(name="screener", decide=decide)
