"""The product's own bounds of an answer: long in tests of other things, short where one is tested.

A gateway answers within two seconds whatever its log does. A machine that stalls for longer would
make an answer of any test a 503; so these bounds are HANG_S, but for the block of `given_up_after`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from events.archive import Archive
from events.log import RedisConnection
from gateway.api import order_lookup
from gateway.backends import backend_errors

BOUNDS = {
    "events.archive.pool": ("ANSWER_S",),
    "events.archive.listing": ("SEARCH_S",),
    "events.archive.reader": ("PAGE_S",),
    "events.archive.snapshot": ("PAGE_S",),
    "events.audit.inventory": ("ANSWER_S",),
    "events.commands.execute": ("APPEND_S",),
    "events.log.foreign_entries": ("ANSWER_S",),
    "events.log.redis.link": ("CONNECT_TIMEOUT_S",),
    "events.recovery.log_rebuild": ("ANSWER_S",),
    "projections.feed.ownership": ("LOAD_S",),
    "projections.postgres.migrate": ("ANSWER_S", "CONNECT_S"),
    "projections.postgres.projector": ("ANSWER_S", "CONNECT_S"),
    "gateway.middleware.auth": ("ASK_S",),
    "gateway.api.cancel_amend": ("ACT_S", "LOAD_S", "SEARCH_S"),
    "gateway.api.admin": ("ACT_S", "VIEW_S"),
    "gateway.api.audits": ("STATE_S", "TURN_S"),
    "gateway.api.parked": ("ACT_S", "LOAD_S", "RECORD_S"),
    "gateway.api.quotes": ("QUOTES_S",),
    "gateway.backends.engine_status": ("ARCHIVE_S",),
    "gateway.backends.health": ("ASK_S", "LOOK_S"),
    "gateway.backends.hung_processes": ("SIGNS_S", "WORKERS_S"),
    "gateway.backends.projection_lag": ("ASK_S",),
    "gateway.backends.price_history": ("ASK_S",),
    "gateway.api.order_lookup": ("WAITING_S",),
    "gateway.api.orders": ("ANSWER_S", "APPEND_S"),
    "gateway.api.metrics": ("ASK_S",),
    "gateway.streaming.websocket": ("ANSWER_S",),
    "gateway.streaming.sse": ("ANSWER_S",),
    "gateway.streaming.transport": ("CLOSE_S",),
}
"""By module. `tests/unit/test_patience.py` compares them with the code."""
DEFAULTS: tuple[Callable[..., Any], ...] = (
    Archive.connection, order_lookup.logged, backend_errors.reading_log, backend_errors.writing_log,
)  # fmt: skip
"""Functions whose only default is such a bound."""
CALLS: tuple[Callable[..., Any], ...] = (
    RedisConnection.call, RedisConnection.pipeline, RedisConnection.server,
)  # fmt: skip
"""Functions with a keyword `timeout_s`."""
WRITING = ("ACT_S", "APPEND_S")
"""Of appends alone: what is read before them is waited for."""


def set_bounds(patch: pytest.MonkeyPatch, bound_s: float, only: tuple[str, ...] = ()) -> None:
    """Makes all bounds this long, or those of these names only."""
    for module, names in BOUNDS.items():
        for name in only or names:
            if name in names:
                patch.setattr(importlib.import_module(module), name, bound_s)
    if not only:
        for function in DEFAULTS:
            patch.setattr(getattr(function, "__wrapped__", function), "__defaults__", (bound_s,))
        for call in CALLS:
            patch.setattr(
                call, "__kwdefaults__", (call.__kwdefaults__ or {}) | {"timeout_s": bound_s}
            )


@contextlib.contextmanager
def given_up_after(bound_s: float, only: tuple[str, ...] = ()) -> Iterator[None]:
    """What does not answer within the block is given up after so long; else it never would be."""
    with pytest.MonkeyPatch.context() as patch:
        set_bounds(patch, bound_s, only)
        yield
