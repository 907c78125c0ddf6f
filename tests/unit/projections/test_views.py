"""How orders and events look from outside: every field, and never the signed bytes."""

from __future__ import annotations

import os

import msgspec
import pytest

from events.hash_chain import GENESIS, HashedEvent, new_events
from events.log import Stored
from events.log.head import new_order
from events.order import Order, fold
from events.secret import SecretBytes
from events.types import (
    FACTS,
    AttemptFailed,
    EngineHalted,
    EngineResumed,
    Event,
    Fact,
    KeyCreated,
    KeyRevoked,
    KeyRotated,
    OrderAmended,
    OrderArmed,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderFailed,
    OrderParked,
    OrderRearmed,
    OrderRequeued,
    OrderRouted,
    OrderSubmitted,
    OrderTriggered,
    Quote,
    RoutingStarted,
    Status,
    TransactionBuilt,
    TransactionExpired,
    TransactionInDoubt,
    TransactionRecovered,
    TransactionSubmitted,
)
from projections.feed.cursors import Cursor, CursorError, cursor_prefix, parse_cursor
from projections.feed.frames import Frame, text_frame
from projections.views.formats import timestamp
from projections.views.orders import event_frame, event_json, order_view

ORDER = "01900000-0000-7000-8000-000000000001"
TIME_US = 1_795_361_281_000_123
RAW = os.urandom(64)

QUOTES = (
    Quote("raydium", "r-1", 1_500_000_000, 149_000_000, 4_500_000, 7),
    Quote("meteora", "", 1_500_000_000, 0, 0, 0, "venue-timeout"),
)

# fact -> what its frame adds
ADDS: list[tuple[Fact, dict[str, object]]] = [
    (
        OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50, 148_000_000, TIME_US, "c"),
        {
            "type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5",
            "swapMode": "exactIn", "maxAmountIn": None,
            "slippageBps": 50, "minAmountOut": "148",
            "expiresAt": "2026-11-22T15:28:01.000123Z", "clientOrderId": "c",
            "targetPrice": None, "timeInForce": None, "minLiquidity": None, "maxPrice": None,
            "minPrice": None,
        },
    ),
    (RoutingStarted(), {}),
    (
        OrderRouted("raydium", "r-1", 149_000_000, 148_255_000, "99.3", QUOTES, 9, 6),
        {
            "dex": "raydium", "pool": "r-1", "price": "99.3", "amountOut": "149",
            "minAmountOut": "148.255",
            "quotes": [
                {
                    "dex": "raydium", "pool": "r-1", "amountIn": "1.5", "amountOut": "149",
                    "fee": "0.0045", "slot": 7, "cost": "0", "priceImpactBps": "0", "legs": [],
                    "warnings": [],
                },
                {"dex": "meteora", "pool": "", "error": "venue-timeout"},
            ],
        },
    ),
    (
        TransactionBuilt(1, "sig", 99, SecretBytes(RAW)),
        {"signature": "sig", "lastValidHeight": 99, "attempt": 1},
    ),
    (TransactionSubmitted(1, "sig"), {"signature": "sig", "attempt": 1}),
    (
        TransactionExpired(1, "sig", 99, 101),
        {"signature": "sig", "attempt": 1, "lastValidHeight": 99, "finalizedHeight": 101},
    ),
    (
        TransactionInDoubt("sig", "no-answer"),
        {"inDoubt": True, "signature": "sig", "reason": "no-answer"},
    ),
    (
        OrderConfirmed("sig", 148_990_000, "99.326666", 6, 12),
        {"txHash": "sig", "executedPrice": "99.326666", "amountOut": "148.99", "slot": 12},
    ),
    (
        OrderFailed("router", "no-route", 3, "why"),
        {"stage": "router", "reason": "no-route", "attempts": 3, "detail": "why"},
    ),
    (
        OrderFailed("router", "discarded", 0, "", "ann"),
        {"stage": "router", "reason": "discarded", "attempts": 0, "detail": "", "actor": "ann"},
    ),
    (
        OrderExpired("router", "expired", 0),
        {"stage": "router", "reason": "expired", "attempts": 0},
    ),
    (
        AttemptFailed("router", 1, "venue-timeout", "slow", TIME_US),
        {
            "stage": "router", "attempt": 1, "error": "venue-timeout", "detail": "slow",
            "nextAttemptAt": "2026-11-22T15:28:01.000123Z",
        },
    ),
    (
        OrderParked("router", "poison", "engine"),
        {"stage": "router", "code": "engine-fault", "reason": "poison", "actor": "engine"},
    ),
    (OrderRequeued("fixed", "ann"), {"reason": "fixed", "actor": "ann"}),
    (
        TransactionRecovered("sig", "by the record", "ann", "raydium", "r-1", ("sig-2",)),
        {
            "signature": "sig", "reason": "by the record", "actor": "ann",
            "dex": "raydium", "pool": "r-1", "others": ["sig-2"],
        },
    ),
    (
        OrderSubmitted(
            "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, None, TIME_US, None, None,
            "151.5", "GTT", 2_000_000_000, "0.007",
        ),
        {
            "type": "limit", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5",
            "swapMode": "exactIn", "maxAmountIn": None,
            "slippageBps": 50, "minAmountOut": None,
            "expiresAt": "2026-11-22T15:28:01.000123Z", "clientOrderId": None,
            "targetPrice": "151.5", "timeInForce": "GTT", "minLiquidity": "2",
            "maxPrice": "0.007", "minPrice": None,
        },
    ),
    (OrderArmed(7), {"slot": 7}),
    (
        OrderTriggered("tick", "raydium", "r-1", 8, "99.3"),
        {
            "cause": "tick", "dex": "raydium", "pool": "r-1", "slot": 8, "price": "99.3",
            "liquidity": None,
        },
    ),
    (
        OrderTriggered("pool-created", "raydium", "r-1", 8, "99.3", 2_500_000_000, 9),
        {
            "cause": "pool-created", "dex": "raydium", "pool": "r-1", "slot": 8, "price": "99.3",
            "liquidity": "2.5",
        },
    ),
    (
        OrderRearmed("router", "quote-below-target", 9, 149_000_000, 150_000_000, QUOTES[1:], 9, 6),
        {
            "stage": "router", "reason": "quote-below-target", "slot": 9, "amountOut": "149",
            "minAmountOut": "150",
            "quotes": [{"dex": "meteora", "pool": "", "error": "venue-timeout"}],
        },
    ),
    (
        OrderAmended("ann", "152", None),
        {"actor": "ann", "targetPrice": "152", "expiresAt": None},
    ),
    (OrderCancelled("ann", "no"), {"actor": "ann", "reason": "no"}),
    (EngineHalted("odd", "ann"), {"actor": "ann", "reason": "odd"}),
    (EngineResumed("", "ann"), {"actor": "ann", "reason": ""}),
    (
        KeyCreated("k1", "main", ("read", "trade"), b"secret", "bot", 0, "ann"),
        {
            "keyId": "k1", "keyAccount": "main", "scopes": ["read", "trade"], "label": "bot",
            "expiresAt": None, "actor": "ann",
        },
    ),
    (KeyRotated("k1", b"secret", 0, "ann"), {"keyId": "k1", "oldUntil": None, "actor": "ann"}),
    (KeyRevoked("k1", "lost", "ann"), {"keyId": "k1", "reason": "lost", "actor": "ann"}),
]  # fmt: skip


def event(fact: Fact) -> Event:
    return Event(ORDER, 3, TIME_US, Status.BUILDING, "main", "b1", fact)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fact", "_"), ADDS, ids=lambda v: type(v).__name__)
def test_the_json_of_a_frame_is_the_frame(fact: Fact, _: object) -> None:
    shown = event(fact), 7, "e1.p0.7", b"\x01\x02", "https://example.org/{}"
    assert msgspec.json.decode(event_json(*shown)) == event_frame(*shown)


@pytest.mark.parametrize(("fact", "adds"), ADDS, ids=lambda v: type(v).__name__)
def test_each_event_shows_its_common_fields_and_what_it_adds(
    fact: Fact, adds: dict[str, object]
) -> None:
    assert event_frame(event(fact), 7, "e1.p0.7", b"\x01\x02") == {
        "orderId": ORDER,
        "status": "building",
        "event": type(fact).__name__,
        "version": 3,
        "position": 7,
        "cursor": "e1.p0.7",
        "timestamp": "2026-11-22T15:28:01.000123Z",
        "account": "main",
        "build": "b1",
        "hash": "0102",
        **adds,
    }


def test_every_fact_has_a_view() -> None:
    assert {type(fact).__name__ for fact, _ in ADDS} == set(FACTS)


def test_signed_bytes_appear_nowhere() -> None:
    facts = [fact for fact, _ in ADDS[:4]]
    batch = new_events(new_order(ORDER, "main"), bytes(32), facts, time_us=TIME_US, build="b")
    shown = msgspec.json.encode([event_frame(e, 1, "") for e in batch.events])
    shown += msgspec.json.encode(order_view(batch.order))
    assert batch.order.transaction is not None
    assert batch.order.transaction.raw == SecretBytes(RAW)
    for form in (RAW, RAW.hex().encode(), msgspec.json.encode(RAW)[1:-1]):
        assert form not in shown


def test_an_order_shows_all_its_fields_from_the_first_event_on() -> None:
    first = fold([event(ADDS[0][0])])
    assert first is not None
    early, facts = order_view(first), [ADDS[0][0], ADDS[2][0], ADDS[3][0], ADDS[4][0], ADDS[7][0]]
    batch = new_events(new_order(ORDER, "main"), bytes(32), facts, time_us=TIME_US, build="b")
    late = order_view(batch.order)
    assert early.keys() == late.keys()
    assert early["txHash"] is None
    assert (late["txHash"], late["amountOut"], late["executedPrice"]) == (
        None if late["status"] != "confirmed" else "sig",
        "148.99",
        "99.326666",
    )


def test_times_keep_their_microseconds() -> None:
    assert timestamp(1_000_000) == "1970-01-01T00:00:01.000000Z"
    assert timestamp(1_795_361_281_999_999) == "2026-11-22T15:28:01.999999Z"


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("0", Cursor(0)),
        ("123", Cursor(123)),
        (cursor_prefix(2, 3) + "456", Cursor(456, 3, 2)),
    ],
)
def test_cursors_and_positions_are_understood(text: str, cursor: Cursor) -> None:
    assert parse_cursor(text) == cursor


@pytest.mark.parametrize("text", ["", "-1", "1.5", "e1", "e1.p0.", "e1.p0.x", "1" * 30, "\u0661"])
def test_malformed_cursors_are_refused(text: str) -> None:
    with pytest.raises(CursorError):
        parse_cursor(text)


@pytest.mark.parametrize(
    ("size", "header"),
    [(125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65536, b"\x81\x7f" + (65536).to_bytes(8))],
)
def test_frames_are_unmasked_text_messages(size: int, header: bytes) -> None:
    assert text_frame(b"x" * size) == header + b"x" * size


def test_an_event_of_a_newer_build_is_shown_as_unknown() -> None:
    body = msgspec.msgpack.encode([ORDER, 4, TIME_US, "watching", "main", "b9", ["LimitSet", 1]])
    record = msgspec.msgpack.encode([bytes(32), msgspec.Raw(body)])
    frame = Frame(Stored(9, 0, msgspec.msgpack.decode(record, type=HashedEvent)), "e1.p0.")
    assert frame.view["event"] == frame.name == "Unknown"
    assert frame.view["status"] == "watching"
    assert frame.view["position"] == 9
    assert (frame.envelope.order_id, frame.envelope.version) == (ORDER, 4)


SENT: tuple[Fact, ...] = (
    RoutingStarted(),
    OrderRouted("raydium", "p", 148_990_000, 1, "99.5", (), 9, 6, 0),
    TransactionBuilt(1, "sig", 100, SecretBytes(b"raw")),
    TransactionSubmitted(1, "sig"),
)


@pytest.mark.parametrize("exact_out", [False, True])
def test_an_order_view_distinguishes_the_requested_from_the_paid_amount(exact_out: bool) -> None:
    asked = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)
    if exact_out:
        asked = msgspec.structs.replace(asked, amount_in=0, exact_amount_out=148_990_000)
    landed = OrderConfirmed("sig", 148_990_000, "99.5", 6, 12, amount_in=1_490_000_000)
    histories: list[list[Fact]] = [[asked], [asked, *SENT], [asked, *SENT, landed]]
    views = [
        order_view(new_events(Order("id-1"), GENESIS, facts, time_us=1, build="b").order)
        for facts in histories
    ]
    requested = ("148.99", "USDC") if exact_out else ("1.5", "SOL")
    for view in views:
        assert (view["requestedAmount"], view["requestedToken"]) == requested
        assert view["amount"] == view["requestedAmount"]
    traded = [(view["amountIn"], view["amountOut"]) for view in views]
    assert traded == [(None, None), (None, None), ("1.49", "148.99")]


@pytest.mark.parametrize(
    ("end", "reason", "detail"),
    [
        (OrderFailed("router", "quote-below-minimum", 1, "best 1 USDC"), "quote-below-minimum",
         "best 1 USDC"),
        (OrderFailed("router", "no-route", 1), "no-route", None),
        (OrderFailed("operator", "the words of an earlier build", 1), "discarded",
         "the words of an earlier build"),
        (OrderCancelled("ann", "changed my mind"), None, "changed my mind"),
        (OrderCancelled("ann"), None, None),
        (OrderExpired("watcher", "expires-at-passed", 0), "expires-at-passed", None),
    ],
)  # fmt: skip
def test_an_ended_order_says_why_as_a_code_and_the_rest_as_detail(
    end: Fact, reason: str | None, detail: str | None
) -> None:
    asked = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)
    order = new_events(Order("id-1"), GENESIS, [asked, end], time_us=1, build="b").order
    view = order_view(order)
    assert (view["reason"], view["detail"], view["amountIn"]) == (reason, detail, None)


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("its worker died on it again and again", "worker-died"),
        ("unreadable head: odd", "unreadable"),
        ("cannot be read by this build", "unreadable"),
        ("executed on chain by sig-1, whose events are lost", "executed-on-chain"),
        ("TypeError: odd", "engine-fault"),
    ],
)
def test_a_parked_order_has_a_code_and_a_sentence(sentence: str, code: str) -> None:
    asked = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)
    parked = OrderParked("router", sentence, "engine")
    order = new_events(Order("id-1"), GENESIS, [asked, parked], time_us=1, build="b").order
    view = order_view(order)
    assert (view["parked"], view["parkedDetail"]) == (code, sentence)
    assert event_frame(event(parked), 7, "e1.p0.7")["code"] == code
    assert order_view(Order("id-1"))["parked"] is None


def test_the_least_price_of_a_sniper_is_not_a_target_price() -> None:
    for kind, field in (("sniper", "minPrice"), ("limit", "targetPrice")):
        asked = OrderSubmitted(kind, "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="150")
        view = order_view(new_events(Order("id-1"), GENESIS, [asked], time_us=1, build="b").order)
        prices = {name: view[name] for name in ("minPrice", "targetPrice", "maxPrice")}
        assert prices == {"minPrice": None, "targetPrice": None, "maxPrice": None, field: "150"}
        assert event_frame(event(asked), 7, "e1.p0.7")[field] == "150"


def test_a_retreat_shows_the_fee_of_the_failed_transaction() -> None:
    fact = OrderRearmed("confirmer", "slippage-exceeded", 7, 0, 1, fee_lamports=5_010)
    assert event_frame(event(fact), 7, "e1.p0.7")["feeLamports"] == 5_010
