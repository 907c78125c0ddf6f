"""The meaning of a node's error answer, by what it concerns. Pure.

The numbers of Agave are those of its `rpc-client-api` (custom errors -32001 to -32019) and of the
JSON-RPC 2.0 specification. Providers reuse them with other meanings (-32003 for a backend that is
down, -32007 for a rate limit, -32010 for credits that ran out), so a number of Agave counts only
with Agave's own words; else the sentence decides, then the number, then the HTTP status. What is
in no table is the node's fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

TEXT_MAX = 200
LONG_REST_S = 30.0
"""How long a node rests that cannot be better soon: credits used up, key refused."""


class About(StrEnum):
    """The subject of an answer. The values are labels of a metric."""

    REQUEST = "request"
    """The request: only this may end an order."""
    BLOCK = "block"
    """A block that this node does not have: another may; nothing rests."""
    SIZE = "size"
    """More accounts or signatures in one call than this node takes: smaller calls still work."""
    METHOD = "method"
    """This method at this node: it rests there, other methods are not affected."""
    NODE = "node"
    """The node: it rests, another one is asked."""
    MOMENT = "moment"
    """Busy or late: it rests for a moment, or for as long as it asks."""


class Reply(NamedTuple):
    """An answer without a result, as far as it could be read."""

    status: int = 200
    """HTTP."""
    number: int | None = None
    """JSON-RPC's `error.code`, where it is a number."""
    text: str = ""
    """`error.message`, or the text of the body."""
    failed: bool = False
    """Whether it holds the error of a simulation that ran (`error.data.err`)."""


class Fault(NamedTuple):
    """A reply, and what it means."""

    about: About
    text: str
    """Bounded; without URLs and keys."""
    number: int | None = None
    rest_s: float = 0.0
    """The least rest, where that is known."""
    size_max: int = 0
    """With `SIZE`: how much a call may hold, at most."""


SIZED = frozenset({"getMultipleAccounts", "getSignatureStatuses"})
"""Methods whose first parameter is a list that may be split."""

TAKES_TRANSACTIONS = frozenset({"sendTransaction", "simulateTransaction"})

PLAIN = frozenset({
    "getAgGenesisCert", "getBlockHeight", "getBlocks", "getBlockTime", "getEpochInfo",
    "getFirstAvailableBlock", "getGenesisHash", "getLatestBlockhash", "getRecentPerformanceSamples",
    "getSlot", "minimumLedgerSlot",
})  # fmt: skip
"""Methods whose parameters hold nothing of an order or an address: a node that finds them invalid
does not serve the method."""

AGAVE: Mapping[int, tuple[str, About]] = {
    -32001: ("cleaned up", About.BLOCK),
    -32002: ("simulation failed", About.REQUEST),
    -32003: ("signature verification failure", About.REQUEST),
    -32004: ("block not available", About.BLOCK),
    -32005: ("unhealthy|node is behind", About.NODE),
    -32006: ("precompile verification failure", About.REQUEST),
    -32007: ("was skipped, or missing", About.BLOCK),
    -32008: ("no snapshot", About.NODE),
    -32009: ("was skipped, or missing", About.BLOCK),
    -32010: ("excluded from account secondary indexes", About.METHOD),
    -32011: ("transaction history is not available", About.METHOD),
    -32013: ("signature length mismatch", About.REQUEST),
    -32014: ("block status not yet available", About.MOMENT),
    -32015: ("transaction version", About.REQUEST),
    -32016: ("minimum context slot", About.NODE),
    -32017: ("rewards period still active", About.MOMENT),
    -32018: ("not the epoch boundary", About.BLOCK),
    -32019: ("long-term storage", About.MOMENT),
}
"""Number -> words of Agave's message, and what it then means."""

SENTENCES: tuple[tuple[str, About, float], ...] = (
    (r"too many requests|requests? per|per second|/ ?s(ec(ond)?)?\b|\brps\b|rate.?limit"
     r"|slow down|throttl|concurren|deprioriti[sz]ed", About.MOMENT, 0.0),
    (r"credit|quota|daily|monthly|max(imum)? usage|usage limit|capacity limit|call limit"
     r"|past due|payment|billing|invoice|suspended", About.NODE, LONG_REST_S),
    (r"api.?key|unauthori[sz]ed|authenticat|\bjwt\b|access denied|forbidden|blocked"
     r"|black.?list|white.?list|allow.?list|allowed origin", About.METHOD, LONG_REST_S),
    (r"method\b.{0,60}\bnot (found|available|supported|allowed|enabled|exist|implemented|served"
     r"|permitted|recogni[sz]ed)|unsupported method|unknown method|no such method|not implemented"
     r"|\bplan\b|upgrade|\bpaid\b|\bfree\b|\btier\b|subscription|archiv|not enabled"
     r"|(is|are|been) (disabled|deprecated|removed|restricted)|access to", About.METHOD, 0.0),
    (r"time.?out|timed out|deadline|try again|temporar|overload|busy|congest|unavailable"
     r"|no nodes|upstream|bad gateway|rate exceeded", About.MOMENT, 0.0),
    (r"behind|unhealthy|not synced|syncing|catching up|starting|shutting down", About.NODE, 0.0),
)  # fmt: skip
"""Words of providers -> meaning, and the least rest in seconds. The first row that fits counts."""

NUMBERS: Mapping[int, About] = {
    -32700: About.NODE,
    -32600: About.METHOD,
    -32601: About.METHOD,
    -32602: About.REQUEST,
    -32603: About.NODE,
    -32010: About.METHOD,
    -32011: About.METHOD,
    -32014: About.MOMENT,
    -32015: About.REQUEST,
    -32019: About.MOMENT,
    -32029: About.MOMENT,
    -32052: About.METHOD,
    -32055: About.MOMENT,
    -32090: About.MOMENT,
    -32097: About.MOMENT,
    -32504: About.MOMENT,
    -32605: About.MOMENT,
    7429: About.MOMENT,
}
"""Numbers without words that are known. Those that name an HTTP status (429, -32429) count as it;
all others are the node's."""

STATUSES: Mapping[int, About] = {
    400: About.METHOD, 401: About.METHOD, 402: About.METHOD, 403: About.METHOD, 404: About.METHOD,
    405: About.METHOD, 407: About.METHOD, 408: About.MOMENT, 410: About.METHOD, 413: About.SIZE,
    414: About.SIZE, 415: About.METHOD, 422: About.METHOD, 425: About.MOMENT, 429: About.MOMENT,
    431: About.METHOD, 451: About.METHOD, 499: About.MOMENT, 500: About.NODE, 501: About.METHOD,
    502: About.MOMENT, 503: About.MOMENT, 504: About.MOMENT, 509: About.MOMENT,
}  # fmt: skip
"""HTTP statuses without words that are known; 520 to 530 are those of a proxy in front."""

SPEAKS_OF_REQUEST = frozenset({200, 400, 422, 500})
"""HTTP statuses whose body may be about the request."""

_ITEMS = r"(?:inputs?|accounts?|address(?:es)?|pub.?keys?|public keys?|keys?|signatures?|items?)"
_TOO_MANY = re.compile(rf"too many {_ITEMS}")
_LARGE = re.compile(r"too large|payload|entity|body size|request size")
_LIMIT = re.compile(
    r"(?:limited to|max(?:imum)?|limit|up to|at most|more than|only|exceed\w*)\D{0,40}?(\d{1,4})\b"
    r"(?! ?(?:requests?|reqs?|calls?|rps|/|per\b|times|credits?|compute|cu\b|k?b\b|bytes|seconds?))"
)
_ABOUT_ITEMS = re.compile(rf"\b{_ITEMS}\b|\brange\b")
_SENTENCES = tuple((re.compile(words), about, rest_s) for words, about, rest_s in SENTENCES)
_UNREADABLE = re.compile(
    r"transaction.{0,80}(?:deserializ|decod|too large)|(?:deserializ|decod).{0,80}transaction"
)
_NO_CONFIRMED = re.compile(r"unknown variant\W{1,3}confirmed\b")
"""A node that does not know this commitment any more serves the method with another."""
_ALREADY = re.compile(r"already (?:been )?processed|alreadyprocessed|already in (?:a|the) block")


def meaning(method: str, reply: Reply, *, size: int = 0) -> Fault:
    """The fault of a reply to this method; `size` is how many items the call held, of `SIZED`."""
    words = reply.text.lower()
    if method == "sendTransaction" and already_processed(words):
        return Fault(About.REQUEST, reply.text, reply.number)
    unread = method in TAKES_TRANSACTIONS and unreadable_transaction(words)
    if unread and reply.status in SPEAKS_OF_REQUEST:  # by whatever number
        return Fault(About.REQUEST, reply.text, reply.number)
    if method not in SIZED:
        size = 0
    about, rest_s = _about(reply, words)
    rated = about is About.MOMENT and not _TOO_MANY.search(words)
    most = 0 if rated else _size_max(words, size)
    if not most and about is About.SIZE:
        most = size // 2
    if most:
        return Fault(About.SIZE, reply.text, reply.number, size_max=most)
    if about is About.SIZE:  # a single item, or nothing that can be split
        about = About.METHOD
    if about is About.REQUEST and reply.status not in SPEAKS_OF_REQUEST:
        about = STATUSES.get(reply.status, About.NODE)
    if about is About.REQUEST and method in PLAIN and not _NO_CONFIRMED.search(words):
        about = About.METHOD
    return Fault(about, reply.text, reply.number, rest_s)


def already_processed(text: str) -> bool:
    """Whether a node reports that the chain has taken the transaction already."""
    return bool(_ALREADY.search(text.lower()))


def unreadable_transaction(text: str) -> bool:
    """Whether a node reports that it cannot read the bytes of a transaction."""
    return bool(_UNREADABLE.search(text.lower()))


def _about(reply: Reply, words: str) -> tuple[About, float]:
    if reply.failed:
        return About.REQUEST, 0.0
    known, about = AGAVE.get(reply.number or 0, ("", About.NODE))
    if known and re.search(known, words):
        return about, 0.0
    for pattern, about, rest_s in _SENTENCES:
        if pattern.search(words):
            return about, rest_s
    if reply.number is not None and reply.number in NUMBERS:
        return NUMBERS[reply.number], 0.0
    return _of_status(_as_status(reply.number) or reply.status)


def _as_status(number: int | None) -> int:
    """The HTTP status of a number: 429 and -32429 are both 429; else 0."""
    if number is None:
        return 0
    status = -32_000 - number if number < 0 else number
    return status if 400 <= status < 600 else 0


def _of_status(status: int) -> tuple[About, float]:
    if 300 <= status < 400:
        return About.NODE, 0.0
    if 520 <= status <= 530:
        return About.MOMENT, 0.0
    return STATUSES.get(status, About.NODE), 0.0


def _size_max(words: str, size: int) -> int:
    """How many items a call may hold by the node's own words, less than `size`; 0: it does not
    speak of that.
    """
    if size < 2:
        return 0
    limit = _LIMIT.search(words)
    number = int(limit[1]) if limit else 0
    if not 0 < number < size:
        number = 0
    if _TOO_MANY.search(words) or _LARGE.search(words):
        return number or size // 2
    return number if number and _ABOUT_ITEMS.search(words) else 0


# -- the words of a body ---------------------------------------------------------------------------

_URL = re.compile(r"\b(?:https?|wss?)://\S+")
_BLOB = re.compile(r"[\w+/=-]{100,}")
"""Longer than a signature (88): a node that repeats the bytes of a transaction."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def shown(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text of a node's answer, as it may be shown: one line, bounded, without URLs, bytes and
    `secrets`.
    """
    text = text[: 20 * TEXT_MAX]
    if "<" in text and ">" in text:
        title = _TITLE.search(text)
        text = title[1] if title else _TAG.sub(" ", text)
    text = _BLOB.sub("(data)", _URL.sub("(url)", text))
    for secret in secrets:
        text = text.replace(secret, "(key)")
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:TEXT_MAX]


def words_of(body: Any) -> str:
    """The text of a decoded body that is not a JSON-RPC answer: its usual fields for a message."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict):
        for name in ("message", "error", "detail", "title", "reason", "description"):
            if words := words_of(body.get(name)):
                return words
    return ""
