"""Query parameters: their schemas and their validation. Pure. All functions raise Problem."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from multidict import MultiMapping

from events.archive import Filters
from events.ids import SYSTEM_STREAM_IDS, parse_order_id
from events.money import Token
from events.types import FACTS, TERMINAL, EngineStatus, Status
from gateway.http.problems import Problem
from gateway.parsing.values import TEXT_LENGTH, is_key, is_text
from projections.feed.cursors import Cursor, CursorError, parse_cursor
from projections.feed.subscription import Filter

Query = MultiMapping[str]

LIST_LIMIT = 500
LIST_DEFAULT = 50
FILTER_ORDERS = 100
"""How many orders a subscriber to all events may name."""

_STATUSES = frozenset(status.value for status in Status)
_ALL_STATUSES = _STATUSES | {status.value for status in EngineStatus}
"""Statuses of events, including those that concern no order."""
_ENDED = frozenset(status.value for status in TERMINAL)
_ZSCAN_MAX = 2**64

Table = Mapping[str, Mapping[str, Any]]
"""The parameters of a request: name to JSON Schema."""


def _schema(description: str, **schema: Any) -> dict[str, Any]:
    return {"type": "string", "description": description} | schema


_MOMENT = "ISO 8601 with a zone, or Unix milliseconds"
_SOME = "; several separated by commas"
_MINE = {
    "token": _schema("On either side of the swap"),
    "clientOrderId": _schema("Your name for the order"),
}

QUOTE_REQUIRED = ("tokenIn", "tokenOut", "amount")
QUOTE_FIELDS = (*QUOTE_REQUIRED, "swapMode", "slippageBps")
"""Read as the fields of an order that have these names."""

NONE: Table = {}
CANCEL_PARAMETERS: Table = {
    "reason": _schema("Why", minLength=1, maxLength=TEXT_LENGTH),
    "actor": _schema("Who does it; default: the account", minLength=1, maxLength=TEXT_LENGTH),
}
LIST: Table = {
    "status": _schema("Only these", enum=sorted(_STATUSES)),
    **_MINE,
    "from": _schema(f"Created at or after: {_MOMENT}"),
    "to": _schema(f"Created before: {_MOMENT}"),
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": LIST_LIMIT,
        "default": LIST_DEFAULT,
        "description": "Orders a page",
    },
    "cursor": _schema("`nextCursor` of the page before"),
}
CANCEL_MANY: Table = {
    "status": _schema("Only these", enum=sorted(_STATUSES - _ENDED)),
    **_MINE,
    "all": _schema("`true` cancels every open order", enum=["true"]),
    "cursor": _schema("`nextCursor` of the answer before"),
    **CANCEL_PARAMETERS,
}
FOLLOW: Table = {"orderId": _schema("The order to follow until it ended")}
AT: Table = {"at": _schema(f"A position, or a time: {_MOMENT}; default: now")}
FEED: Table = {
    "after": _schema("Position or cursor that was seen; 0 is everything; default: from now on"),
    "events": _schema(f"Only these{_SOME}: {', '.join(sorted(FACTS))}"),
    "orderId": _schema(f"Only of these orders{_SOME}; at most {FILTER_ORDERS}"),
    "status": _schema(f"Only with these statuses{_SOME}: {', '.join(sorted(_ALL_STATUSES))}"),
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEVERAL = frozenset({"events", "orderId", "status"})
"""Parameters of the feed that may be repeated."""


class CancelFilter(NamedTuple):
    """The open orders to cancel; None matches any."""

    status: str | None
    token: str | None
    client_order_id: str | None
    account: str | None


def order_id_of(text: str) -> str:
    """The canonical order id. The engine's own streams are unknown orders."""
    order_id = _uuid(text)
    if order_id in SYSTEM_STREAM_IDS:
        raise Problem("unknown-order", order_id)
    return order_id


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
    reject_unknown_parameters(query, LIST)
    since_us, until_us = _time_us(query, "from"), _time_us(query, "to")
    filters = Filters(
        status=_status(query, _STATUSES),
        token=_token(query, tokens),
        client_order_id=_name(query, "clientOrderId"),
        account=account,
        from_ms=None if since_us is None else since_us // 1000,
        to_ms=None if until_us is None else -(-until_us // 1000),
    )
    return filters, _limit(query), query.get("cursor")


def cancel_filters(
    query: Query, tokens: Mapping[str, Token], account: str | None
) -> tuple[CancelFilter, int]:
    """The orders of an account to cancel (None: all accounts), and the cursor to continue from.

    Without a filter, `all=true` is required.
    """
    reject_unknown_parameters(query, CANCEL_MANY)
    symbol = _token(query, tokens)
    open_ones = _STATUSES - _ENDED
    filters = CancelFilter(
        _status(query, open_ones), symbol, _name(query, "clientOrderId"), account
    )
    everything = query.get("all")
    if everything not in (None, "true"):
        raise _bad("all", "true, or nothing")
    if everything is None and filters[:-1] == (None, None, None):
        raise Problem("filter-required", "status, token, clientOrderId or all=true")
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


def _status(query: Query, known: Collection[str]) -> str | None:
    status = query.get("status")
    if status is not None and status not in known:
        raise _bad("status", f"the statuses are {', '.join(sorted(known))}")
    return status


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
