"""What a client may ask for, to the last digit, and what it is told when it may not."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.commands.idempotency import digest_of
from events.commands.orders import NEVER
from events.money import Token
from events.types import OrderSubmitted
from gateway.http.problem_codes import CODES
from gateway.http.problems import Problem
from gateway.parsing.command_requests import parse_amendment, parse_switch
from gateway.parsing.field_reader import parse_object
from gateway.parsing.order_fields import FIELDS
from gateway.parsing.order_request import parse_batch, parse_key, parse_order

TOKENS = {"SOL": Token("SOL", 9), "USDC": Token("USDC", 6), "BONK": Token("BONK", 5)}
LATER = "2030-01-01T00:00:00Z"
NOW_US = 1_800_000_000_000_000


def parsed(text: str | bytes, key: str | None = None) -> OrderSubmitted:
    body = text.encode() if isinstance(text, str) else text
    return parse_order(parse_object(body), TOKENS, now_us=NOW_US, key=key)


def order(**fields: Any) -> str:
    good: dict[str, Any] = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
    return json.dumps({k: v for k, v in (good | fields).items() if v is not ...})


def limit(**fields: Any) -> str:
    return order(**{"type": "limit", "targetPrice": "151.25"} | fields)


def sniper(**fields: Any) -> str:
    return order(**{"type": "sniper"} | fields)


def with_amount(raw: str) -> str:
    return f'{{"tokenIn":"SOL","tokenOut":"USDC","amount":{raw}}}'


def problem(text: str | bytes) -> Problem:
    with pytest.raises(Problem) as raised:
        parsed(text)
    return raised.value


def test_the_shortest_order_gets_the_documented_defaults() -> None:
    fact = parsed('{"tokenIn":"SOL","tokenOut":"USDC","amount":1.5}')
    assert fact == OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)


def test_every_field_of_a_request_is_in_the_fact() -> None:
    fact = parsed(
        order(
            type="market",
            minAmountOut="148.25",
            expiresAt="2030-01-01T00:00:00.000001Z",
            clientOrderId="a:b/c-1",
        ),
        "key-1",
    )
    assert fact.min_amount_out == 148_250_000
    assert fact.expires_at_us == 1_893_456_000_000_001
    assert (fact.client_order_id, fact.idempotency_key) == ("a:b/c-1", "key-1")
    assert parsed(order(slippageBps=0)).slippage_bps == 0


def test_a_limit_order_has_its_price_in_one_plain_form() -> None:
    fact = parsed(limit(targetPrice="1.5125e2"))
    assert (fact.order_type, fact.target_price, fact.time_in_force) == ("limit", "151.25", "GTC")
    assert (fact.min_amount_out, fact.expires_at_us, fact.slippage_bps) == (None, None, 0)
    assert parsed('{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"type":"limit",'
                  '"targetPrice":0.1000000000000000000001}').target_price == (
        "0.1000000000000000000001"
    )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"timeInForce": "GTT"}, {"timeInForce": None}])
def test_a_waiting_order_that_expires_is_gtt(body: dict[str, Any]) -> None:
    for text in (limit(expiresAt=LATER, **body), sniper(expiresAt=LATER, **body)):
        fact = parsed(text)
        assert (fact.time_in_force, fact.expires_at_us) == ("GTT", 1_893_456_000_000_000)


def test_a_sniper_order_has_its_liquidity_and_price_limits() -> None:
    fact = parsed(sniper(minLiquidity="250.5", maxPrice="0.00670", slippageBps=300))
    assert (fact.order_type, fact.time_in_force) == ("sniper", "GTC")
    assert (fact.min_liquidity, fact.max_price) == (250_500_000_000, "0.0067")
    assert fact.slippage_bps == 300
    # The usual direction is stored as that of a limit order.
    usual = parsed(sniper(minPrice="149.250"))
    assert (usual.target_price, usual.max_price) == ("149.25", "")
    bare = parsed(sniper())
    assert (bare.min_liquidity, bare.max_price, bare.slippage_bps) == (None, "", 50)


@pytest.mark.parametrize("in_force", ["IOC", "FOK"])
def test_a_market_order_with_a_minimum_may_be_ioc_or_fok(in_force: str) -> None:
    fact = parsed(order(timeInForce=in_force, minAmountOut="148"))
    assert (fact.time_in_force, fact.min_amount_out) == (in_force, 148_000_000)


def test_a_field_of_another_type_may_be_null() -> None:
    assert parsed(order(targetPrice=None)) == parsed(order())


@pytest.mark.parametrize(
    ("body", "if_match", "expected"),
    [
        ('{"version":3,"targetPrice":"1.50"}', None, (3, "1.5", None, None)),
        ('{"targetPrice":2}', '"7"', (7, "2", None, None)),
        ('{"targetPrice":2}', "7", (7, "2", None, None)),
        ('{"version":7,"expiresAt":1893456000000}', "7", (7, None, 1_893_456_000_000_000, None)),
        ('{"version":1,"targetPrice":1,"actor":"ann"}', None, (1, "1", None, "ann")),
        ('{"version":1,"expiresAt":null}', None, (1, None, NEVER, None)),
    ],
)
def test_an_amendment_takes_its_version_from_the_body_or_if_match(
    body: str, if_match: str | None, expected: tuple[Any, ...]
) -> None:
    assert parse_amendment(body.encode(), if_match, now_us=NOW_US) == expected


@pytest.mark.parametrize(
    ("body", "if_match", "code", "pointer"),
    [
        ('{"targetPrice":1}', None, "missing-field", "/version"),
        ('{"version":1}', None, "missing-field", "/targetPrice"),
        ('{"version":1,"targetPrice":null}', None, "missing-field", "/targetPrice"),
        ('{"version":0,"targetPrice":1}', None, "malformed-version", "/version"),
        ('{"version":"1","targetPrice":1}', None, "wrong-type", "/version"),
        ('{"version":1,"targetPrice":1}', "2", "malformed-version", "/version"),
        ('{"targetPrice":1}', "*", "malformed-version", None),
        ('{"version":1,"targetPrice":0}', None, "price-not-positive", "/targetPrice"),
        ('{"version":1,"expiresAt":1}', None, "expires-at-past", "/expiresAt"),
        ('{"version":1,"amount":1,"targetPrice":1}', None, "unknown-field", "/amount"),
        ('{"version":1,"targetPrice":1,"actor":""}', None, "malformed-text", "/actor"),
        ("[]", None, "wrong-type", ""),
    ],
)
def test_each_malformed_amendment_has_its_code(
    body: str, if_match: str | None, code: str, pointer: str | None
) -> None:
    with pytest.raises(Problem) as raised:
        parse_amendment(body.encode(), if_match, now_us=NOW_US)
    assert raised.value.code == code
    assert raised.value.document().get("pointer") == pointer


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 201, "\x1b[31m"])
def test_a_reason_is_one_line_that_can_be_shown(reason: str) -> None:
    with pytest.raises(Problem) as raised:
        parse_switch(json.dumps({"reason": reason}).encode(), reason_required=True)
    assert raised.value.code == "malformed-text"


def test_a_halt_needs_a_reason_and_a_resume_does_not() -> None:
    assert parse_switch(b"{}", reason_required=False) == ("", None)
    with pytest.raises(Problem) as raised:
        parse_switch(b"{}", reason_required=True)
    assert raised.value.code == "missing-field"


@pytest.mark.parametrize(
    ("raw", "units"),
    [
        ("1.5", 1_500_000_000),
        ("0.1", 100_000_000),
        ("1", 10**9),
        ('"1.5"', 1_500_000_000),
        ('"0.000000001"', 1),
        ("1e-9", 1),
        ("1.50000000000000000", 1_500_000_000),
        ("15E-1", 1_500_000_000),
        ("18446744073.709551615", 2**64 - 1),
        ("123456789.123456789", 123456789_123456789),
    ],
)
def test_numbers_are_taken_exactly_as_written(raw: str, units: int) -> None:
    assert parsed(with_amount(raw)).amount_in == units


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("0", "amount-not-positive"),
        ("0e999", "amount-not-positive"),
        ("-1", "amount-not-positive"),
        ('"-0.5"', "amount-not-positive"),
        ("NaN", "malformed-json"),
        ('"NaN"', "amount-malformed"),
        ('"sNaN"', "amount-malformed"),
        ('"Infinity"', "amount-malformed"),
        ("1e400", "amount-too-large"),
        ("1e999999999999999999999999", "amount-malformed"),
        ("1e-400", "too-many-decimals"),
        ('"1_000"', "amount-malformed"),
        ('"1,5"', "amount-malformed"),
        ('" 1"', "amount-malformed"),
        ('"+1"', "amount-malformed"),
        ('"1."', "amount-malformed"),
        ('".5"', "amount-malformed"),
        ('"0x10"', "amount-malformed"),
        ('"\u0661"', "amount-malformed"),
        ('""', "amount-malformed"),
        ("1" * 81, "amount-malformed"),
        ("18446744073.709551616", "amount-too-large"),
        ("1.0000000001", "too-many-decimals"),
        ("true", "wrong-type"),
        ("[1]", "wrong-type"),
        ("{}", "wrong-type"),
        ("null", "missing-field"),
    ],
)
def test_an_amount_that_cannot_be_taken_has_a_code_and_a_pointer(raw: str, code: str) -> None:
    result = problem(with_amount(raw))
    assert result.code == code
    if code != "malformed-json":
        assert result.document()["pointer"] == "/amount"


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ("", "malformed-json", None),
        ("{", "malformed-json", None),
        ('{"amount":1,}', "malformed-json", None),
        (b'\xff{"a":1}', "malformed-json", None),
        (b'{"\xff":1}', "malformed-json", None),
        ("[]", "wrong-type", ""),
        ('"SOL"', "wrong-type", ""),
        ("null", "wrong-type", ""),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "json-too-deep", None),
        (order(tokenIn=...), "missing-field", "/tokenIn"),
        (order(tokenOut=None), "missing-field", "/tokenOut"),
        (order(amount=...), "missing-field", "/amount"),
        (order(tokenIn="DOGE"), "unknown-token", "/tokenIn"),
        (order(tokenIn="sol"), "unknown-token", "/tokenIn"),
        (order(tokenIn=1), "wrong-type", "/tokenIn"),
        (order(tokenOut="SOL"), "same-token", "/tokenOut"),
        (order(type="stop"), "unsupported-type", "/type"),
        (order(type=7), "wrong-type", "/type"),
        (order(slippageBps=-1), "slippage-out-of-range", "/slippageBps"),
        (order(slippageBps=5001), "slippage-out-of-range", "/slippageBps"),
        (order(slippageBps=1.5), "wrong-type", "/slippageBps"),
        (order(slippageBps="50"), "wrong-type", "/slippageBps"),
        (order(slippageBps=True), "wrong-type", "/slippageBps"),
        (order(slippageBps=50, minAmountOut="148"), "exclusive-fields", "/slippageBps"),
        (sniper(minPrice="1", maxPrice="1"), "exclusive-fields", "/maxPrice"),
        (order(minPrice="1"), "field-not-allowed", "/minPrice"),
        (limit(minPrice="1"), "field-not-allowed", "/minPrice"),
        (sniper(minPrice=0), "price-not-positive", "/minPrice"),
        (order(minAmountOut=0), "amount-not-positive", "/minAmountOut"),
        (order(minAmountOut="0.0000001"), "too-many-decimals", "/minAmountOut"),
        (order(expiresAt="tomorrow"), "malformed-time", "/expiresAt"),
        (order(expiresAt="2030-01-01T00:00:00"), "malformed-time", "/expiresAt"),
        (order(expiresAt="2020-01-01T00:00:00Z"), "expires-at-past", "/expiresAt"),
        (order(expiresAt=1_700_000_000_000), "expires-at-past", "/expiresAt"),
        (order(expiresAt=1.5), "wrong-type", "/expiresAt"),
        (order(expiresAt=True), "wrong-type", "/expiresAt"),
        (order(clientOrderId=""), "malformed-client-order-id", "/clientOrderId"),
        (order(clientOrderId="a b"), "malformed-client-order-id", "/clientOrderId"),
        (order(clientOrderId="é"), "malformed-client-order-id", "/clientOrderId"),
        (order(clientOrderId="x" * 129), "malformed-client-order-id", "/clientOrderId"),
        (order(clientOrderId=7), "wrong-type", "/clientOrderId"),
        (order(slippage=50), "unknown-field", "/slippage"),
        (order(timeInForce="IOC"), "missing-field", "/minAmountOut"),
        (order(timeInForce="FOK"), "missing-field", "/minAmountOut"),
        (order(timeInForce="GTC"), "unsupported-time-in-force", "/timeInForce"),
        (order(timeInForce=1), "wrong-type", "/timeInForce"),
        (order(targetPrice="1"), "field-not-allowed", "/targetPrice"),
        (order(maxPrice="1"), "field-not-allowed", "/maxPrice"),
        (order(minLiquidity="1"), "field-not-allowed", "/minLiquidity"),
        (limit(targetPrice=...), "missing-field", "/targetPrice"),
        (limit(targetPrice=None), "missing-field", "/targetPrice"),
        (limit(targetPrice=0), "price-not-positive", "/targetPrice"),
        (limit(targetPrice="-1"), "price-not-positive", "/targetPrice"),
        (limit(targetPrice="dear"), "price-malformed", "/targetPrice"),
        (limit(targetPrice=True), "wrong-type", "/targetPrice"),
        (limit(targetPrice="1e24"), "price-out-of-range", "/targetPrice"),
        (limit(targetPrice="1.0000000000000000000000001"), "too-many-decimals", "/targetPrice"),
        (limit(minAmountOut="1"), "field-not-allowed", "/minAmountOut"),
        (limit(slippageBps=50), "field-not-allowed", "/slippageBps"),
        (limit(timeInForce="IOC"), "unsupported-time-in-force", "/timeInForce"),
        (limit(timeInForce="GTT"), "missing-field", "/expiresAt"),
        (limit(timeInForce="GTT", expiresAt="soon"), "malformed-time", "/expiresAt"),
        (limit(timeInForce="GTC", expiresAt=LATER), "field-not-allowed", "/expiresAt"),
        (sniper(targetPrice="1"), "field-not-allowed", "/targetPrice"),
        (sniper(minAmountOut="1"), "field-not-allowed", "/minAmountOut"),
        (sniper(minLiquidity=0), "amount-not-positive", "/minLiquidity"),
        (sniper(minLiquidity="0.0000000001"), "too-many-decimals", "/minLiquidity"),
        (sniper(maxPrice="x"), "price-malformed", "/maxPrice"),
        (sniper(timeInForce="FOK"), "unsupported-time-in-force", "/timeInForce"),
        (order(**{"a/b~c": 1}), "unknown-field", "/a~1b~0c"),
    ],
)
def test_each_malformed_request_has_its_code(
    body: str | bytes, code: str, pointer: str | None
) -> None:
    result = problem(body)
    assert result.code == code
    assert result.document().get("pointer") == pointer


def test_all_faults_of_a_request_are_reported_at_once() -> None:
    document = problem('{"tokenIn":"DOGE","tokenOut":"USDC","slippageBps":9999,"x":1}').document()
    assert [(e["code"], e["pointer"]) for e in document["errors"]] == [
        ("unknown-token", "/tokenIn"),
        ("missing-field", "/amount"),
        ("slippage-out-of-range", "/slippageBps"),
        ("unknown-field", "/x"),
    ]
    assert document["status"] == 400


def test_milliseconds_are_a_time_too() -> None:
    assert parsed(order(expiresAt=1_893_456_000_123)).expires_at_us == 1_893_456_000_123_000


def test_a_zone_is_honoured() -> None:
    east = parsed(order(expiresAt="2030-01-01T02:00:00+02:00"))
    assert east.expires_at_us == 1_893_456_000_000_000


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "é", "a\tb"])
def test_an_idempotency_key_is_printable_and_short(key: str) -> None:
    with pytest.raises(Problem) as raised:
        parse_key([key])
    assert raised.value.code == "malformed-idempotency-key"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"orders":[]}', "batch-size"),
        ('{"orders":[' + ",".join(["1"] * 501) + "]}", "batch-size"),
        ('{"orders":{}}', "wrong-type"),
        ("{}", "missing-field"),
        ('{"orders":[1],"x":1}', "unknown-field"),
    ],
)
def test_each_malformed_batch_has_its_code(body: str, code: str) -> None:
    with pytest.raises(Problem) as raised:
        parse_batch(body.encode())
    assert raised.value.code == code


def test_a_batch_takes_500_orders() -> None:
    assert len(parse_batch(b'{"orders":[' + b",".join([b"{}"] * 500) + b"]}")) == 500


def test_the_same_request_written_differently_has_the_same_digest() -> None:
    fact = parsed('{"tokenIn":"SOL","tokenOut":"USDC","amount":1.50}', "k1")
    other = parsed('{ "amount": "1.5", "tokenOut":"USDC","tokenIn":"SOL","slippageBps":50}', "k2")
    assert digest_of(fact) == digest_of(other)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 1.6},
        {"slippageBps": 51},
        {"tokenOut": "BONK"},
        {"minAmountOut": "1"},
        {"clientOrderId": "x"},
        {"expiresAt": "2030-01-01T00:00:00Z"},
    ],
)
def test_another_request_has_another_digest(fields: dict[str, Any]) -> None:
    assert digest_of(parsed(order())) != digest_of(parsed(order(**fields)))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (order(minAmountOut=1), order(minAmountOut=1, timeInForce="IOC")),
        (order(minAmountOut=1, timeInForce="FOK"), order(minAmountOut=1, timeInForce="IOC")),
        (limit(), limit(targetPrice="151.26")),
        (limit(), sniper()),
        (sniper(), sniper(minLiquidity=1)),
        (sniper(maxPrice=1), sniper(maxPrice=2)),
    ],
)
def test_the_terms_of_resting_orders_are_part_of_the_digest(text: str, other: str) -> None:
    assert digest_of(parsed(text)) != digest_of(parsed(other))
    assert digest_of(parsed(text)) == digest_of(parsed(text, "k"))


def test_the_digest_of_a_market_order_is_that_of_the_first_builds() -> None:
    before = ["OrderSubmitted", "market", "SOL", "USDC", 9, 6, 1_500_000_000, 50]
    packed = msgspec.msgpack.encode([*before, None, None, "c1", None])
    assert digest_of(parsed(order(clientOrderId="c1"), "k")) == sha256(packed).digest()


def test_every_code_has_a_status_of_an_error() -> None:
    assert all(400 <= status <= 503 for status, _ in CODES.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=9), json_values))
def test_any_fields_parse_to_an_order_or_a_problem(fields: dict[str, Any]) -> None:
    try:
        parsed(msgspec.json.encode(fields))
    except Problem as error:
        assert error.code in CODES


@settings(max_examples=300)
@given(st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,12})?", fullmatch=True))
def test_any_amount_parses_exactly_or_is_a_problem(text: str) -> None:
    try:
        fact = parsed(order(amount=text))
    except Problem as error:
        assert error.code in CODES
    else:
        assert 0 < fact.amount_in < 2**64


@pytest.mark.parametrize(
    "body",
    [
        '{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"tokenIn":"RAY"}',
        '{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"token\\u0049n" :"RAY"}',
    ],
)
def test_a_duplicate_field_is_refused(body: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_object(body.encode())
    assert [(f.code, f.pointer) for f in caught.value.faults] == [("duplicate-field", "/tokenIn")]


def test_colons_in_values_do_not_count_as_fields() -> None:
    body = '{"expiresAt":"2030-01-01T00:00:00+02:00","clientOrderId":"a:b:c"}'
    assert list(parse_object(body.encode())) == ["expiresAt", "clientOrderId"]


def test_every_field_of_an_order_is_considered_for_its_digest() -> None:
    """A field that is appended to OrderSubmitted is added here and in `digest_of`."""
    assert len(OrderSubmitted.__struct_fields__) == 17 + len(["traceparent", "request_id"])


def test_max_amount_in_is_part_of_the_digest() -> None:
    exact = OrderSubmitted("market", "SOL", "USDC", 9, 6, 0, 50, exact_amount_out=5)
    digests = {digest_of(replace(exact, max_amount_in=most)) for most in (None, 1, 2)}
    assert len(digests) == 3
