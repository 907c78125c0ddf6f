"""The validation of query parameters. Pure. All functions raise Problem."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from multidict import MultiMapping

from events.archive import Filters
from events.ids import SYSTEM_STREAM_IDS, parse_order_id
from events.money import Token
from events.order.order_types import ORDER_TYPES
from events.types import FACTS, TERMINAL, EngineStatus, Status
from gateway.http.problems import Problem
from gateway.parsing.parameter_tables import (
    CANCEL_MANY,
    FEED,
    FILTER_ORDERS,
    LIST,
    LIST_DEFAULT,
    LIST_LIMIT,
    ORDER_FILTERS,
)
from gateway.parsing.values import TEXT_LENGTH, is_key, is_text
from projections.feed.cursors import Cursor, CursorError, parse_cursor
from projections.feed.subscription import Filter
from projections.views.enums import ENUMS

Query = MultiMapping[str]

_STATUSES = {status.value: status for status in Status}
_ALL_STATUSES = _STATUSES.keys() | {status.value for status in EngineStatus}
"""Statuses of events, including those that concern no order."""
_ENDED = frozenset(status.value for status in TERMINAL)
_ONLY_OPEN = {
    "parked": _STATUSES.keys() - _ENDED,
    "inDoubt": frozenset({Status.SUBMITTED.value}),
}
"""Filters that only orders with these statuses can match."""
_ZSCAN_MAX = 2**64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEVERAL = frozenset({"events", "orderId", "status", "type"})
"""Parameters that may be repeated."""


class CancelFilter(NamedTuple):
    """The open orders to cancel; None matches any."""

    statuses: tuple[str, ...] | None
    types: tuple[str, ...] | None
    token: str | None
    client_order_id: str | None
    parked: bool | None
    in_doubt: bool | None
    account: str | None


def order_id_of(text: str) -> str:
    """The canonical order id. The engine's own streams are unknown orders."""
    order_id = _uuid(text)
    if order_id in SYSTEM_STREAM_IDS:
        raise Problem("unknown-order", order_id)
    return order_id


def client_order_id_of(text: str) -> str:
    """The client order ID in a path. Raises Problem."""
    if not is_key(text):
        detail = "1 to 128 printable ASCII characters, no spaces"
        raise Problem("malformed-client-order-id", detail)
    return text


def _uuid(text: str) -> str:
    order_id = parse_order_id(text)
    if order_id is None:
        raise Problem("malformed-order-id", f"{text[:80]!r} is not a UUID")
    return order_id


def reject_unknown_parameters(
    query: Query, names: Iterable[str], several: Collection[str] = ()
) -> None:
    """Refuses parameters that would be ignored, and repeated ones."""
    for name in query:
        if name not in names:
            raise _bad(name, f"the parameters are {', '.join(names)}")
        if name not in several and len(query.getall(name)) > 1:
            raise _bad(name, "it stands there more than once: which is meant?")


def list_filters(
    query: Query, tokens: Mapping[str, Token], account: str | None
) -> tuple[Filters, int, str | None]:
    """Filters, page size and cursor of a list of an account's orders; None is all accounts."""
    reject_unknown_parameters(query, LIST, SEVERAL)
    since_us, until_us = _time_us(query, "from"), _time_us(query, "to")
    filters = Filters(
        statuses=_statuses(query, _flag(query, "open")),
        types=_chosen(query, "type", ORDER_TYPES),
        parked=_flag(query, "parked"),
        in_doubt=_flag(query, "inDoubt"),
        token=_token(query, tokens),
        client_order_id=_name(query, "clientOrderId"),
        account=account,
        from_ms=None if since_us is None else since_us // 1000,
        to_ms=None if until_us is None else -(-until_us // 1000),
        oldest_first=_one_of(query, "sort", ENUMS["ListSort"].meanings) == "oldest",
    )
    return filters, _limit(query), query.get("cursor")


def cancel_filters(
    query: Query, tokens: Mapping[str, Token], account: str | None
) -> tuple[CancelFilter, int]:
    """The orders of an account to cancel (None: all accounts), and the cursor to continue from.

    Without a filter, `all=true` is required.
    """
    reject_unknown_parameters(query, CANCEL_MANY, SEVERAL)
    everything = query.get("all")
    if everything not in (None, "true"):
        raise _bad("all", "true, or nothing")
    if everything is None and not any(name in query for name in ORDER_FILTERS):
        raise Problem("filter-required", f"{', '.join(ORDER_FILTERS)} or all=true")
    filters = CancelFilter(
        _statuses(query, True) if "status" in query else None,
        _chosen(query, "type", ORDER_TYPES),
        _token(query, tokens),
        _name(query, "clientOrderId"),
        _flag(query, "parked"),
        _flag(query, "inDoubt"),
        account,
    )
    return filters, _scan_cursor(query)


POSITIONS_BELOW = 10**12
"""A smaller number is a position, a larger one Unix milliseconds (since September 2001)."""


def parse_as_of(query: Query) -> tuple[int, int]:
    """(position, 0), (0, time in µs), or (0, 0) for now."""
    text = query.get("at")
    if text is None:
        return 0, 0
    if text.isascii() and text.isdigit() and len(text) <= 15 and int(text) < POSITIONS_BELOW:
        if not int(text):
            raise _bad("at", "the first position is 1")
        return int(text), 0
    return 0, _time_us(query, "at") or 0


def cancel_words(query: Query) -> tuple[str | None, str]:
    """The actor and the reason of a cancel."""
    for name in ("actor", "reason"):
        if name in query and not is_text(query[name]):
            raise _bad(name, f"1 to {TEXT_LENGTH} printable characters")
    return query.get("actor"), query.get("reason", "")


def _scan_cursor(query: Query) -> int:
    text = query.get("cursor", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < _ZSCAN_MAX):
        raise Problem("malformed-cursor", "not a cursor of this engine", parameter="cursor")
    return int(text)


def _token(query: Query, tokens: Mapping[str, Token]) -> str | None:
    """The symbol of a token that is given by its symbol or its mint address."""
    symbol = query.get("token")
    if symbol is not None and symbol not in tokens:
        known = dict.fromkeys(token.symbol for token in tokens.values())
        raise _bad("token", f"the tokens are {', '.join(known)}")
    return None if symbol is None else tokens[symbol].symbol


def _name(query: Query, parameter: str) -> str | None:
    """A client order ID."""
    text = query.get(parameter)
    if text is not None and not is_key(text):
        raise _bad(parameter, "1 to 128 printable ASCII characters, no spaces")
    return text


def _chosen(query: Query, parameter: str, known: Collection[str]) -> tuple[str, ...] | None:
    """The values of a parameter, in their usual order; None without it."""
    if parameter not in query:
        return None
    names = _known(query, parameter, known)
    if not names:  # an empty variable of a script must not mean everything
        raise _bad(parameter, f"one or more of {', '.join(sorted(known))}")
    return tuple(name for name in known if name in names)


def _flag(query: Query, parameter: str) -> bool | None:
    text = query.get(parameter)
    if text not in (None, "true", "false"):
        raise _bad(parameter, "true or false")
    return None if text is None else text == "true"


def _one_of(query: Query, parameter: str, possible: Collection[str]) -> str | None:
    text = query.get(parameter)
    if text is not None and text not in possible:
        raise _bad(parameter, f"one of {', '.join(possible)}")
    return text


def _statuses(query: Query, is_open: bool | None) -> tuple[str, ...] | None:
    """The statuses that all filters leave. Raises Problem where they leave none."""
    statuses = _chosen(query, "status", _STATUSES)
    parts: list[Set[str]] = [] if statuses is None else [frozenset(statuses)]
    if is_open is not None:
        parts.append(_STATUSES.keys() - _ENDED if is_open else _ENDED)
    for parameter, possible in _ONLY_OPEN.items():
        if _flag(query, parameter):
            parts.append(possible)
    if not parts:
        return None
    left = frozenset.intersection(*map(frozenset, parts))
    if not left:
        names = [name for name in ("status", "open", *_ONLY_OPEN) if name in query]
        raise _bad(names[0], f"no order can match {' and '.join(names)} together")
    return tuple(status for status in _STATUSES if status in left)


def feed_filter(query: Query, account: str | None) -> tuple[Filter, Cursor | None]:
    """The filter of a subscriber (account None: all accounts), and the cursor to resume after."""
    reject_unknown_parameters(query, FEED, SEVERAL)
    order_ids = frozenset(_uuid(text) for text in _names(query, "orderId"))
    if len(order_ids) > FILTER_ORDERS:
        raise _bad("orderId", f"at most {FILTER_ORDERS} orders")
    feed_filter_ = Filter(
        account,
        _known(query, "events", FACTS.keys()),
        _known(query, "status", _ALL_STATUSES),
        order_ids,
    )
    return feed_filter_, resumes_after(query)


def resumes_after(query: Query) -> Cursor | None:
    """The cursor to resume after; None is from now on."""
    after = query.get("after")
    if after is None:
        return None
    try:
        return parse_cursor(after)
    except CursorError as error:
        raise Problem("malformed-cursor", str(error), parameter="after") from None


def _known(query: Query, parameter: str, known: Collection[str]) -> frozenset[str]:
    names = frozenset(_names(query, parameter))
    if unknown := names - frozenset(known):
        raise _bad(parameter, f"{min(unknown)[:40]!r} is none of {', '.join(sorted(known))}")
    return names


def _names(query: Query, parameter: str) -> list[str]:
    """Comma-separated names, in one parameter or in several."""
    text = ",".join(query.getall(parameter, []))
    return [name.strip() for name in text.split(",") if name.strip()]


def _limit(query: Query) -> int:
    text = query.get("limit")
    if text is None:
        return LIST_DEFAULT
    short = text.isascii() and text.isdigit() and len(text) <= 9
    if not (short and 1 <= int(text) <= LIST_LIMIT):
        raise _bad("limit", f"a whole number from 1 to {LIST_LIMIT}")
    return int(text)


def _time_us(query: Query, parameter: str) -> int | None:
    """A time in µs, from ISO 8601 with a zone or Unix milliseconds."""
    text = query.get(parameter)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text) * 1000
    try:
        # In a query, an unescaped + arrives as a space.
        time = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise _bad(parameter, "ISO 8601 with a zone, or Unix milliseconds") from None
    if time.tzinfo is None:
        raise _bad(parameter, "the time needs a zone, such as Z")
    return max(0, (time - _EPOCH) // timedelta(microseconds=1))


def _bad(parameter: str, detail: str) -> Problem:
    return Problem("malformed-parameter", detail, parameter=parameter[:40])
