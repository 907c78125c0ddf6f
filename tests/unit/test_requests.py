"""What a client may ask for, to the last digit, and what it is told when it may not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.money import Token
from events.types import OrderSubmitted
from gateway.idempotency import digest_of
from gateway.problems import CODES, Problem
from gateway.requests import FIELDS, parse_batch, parse_key, parse_object, parse_order

TOKENS = {"SOL": Token("SOL", 9), "USDC": Token("USDC", 6), "BONK": Token("BONK", 5)}
NOW_US = 1_800_000_000_000_000


def parsed(text: str | bytes, key: str | None = None) -> OrderSubmitted:
    body = text.encode() if isinstance(text, str) else text
    return parse_order(parse_object(body), TOKENS, now_us=NOW_US, key=key)


def order(**fields: Any) -> str:
    good: dict[str, Any] = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
    return json.dumps({k: v for k, v in (good | fields).items() if v is not ...})


def with_amount(raw: str) -> str:
    return f'{{"tokenIn":"SOL","tokenOut":"USDC","amount":{raw}}}'


def problem(text: str | bytes) -> Problem:
    with pytest.raises(Problem) as raised:
        parsed(text)
    return raised.value


def test_the_shortest_order_gets_the_documented_defaults() -> None:
    fact = parsed('{"tokenIn":"SOL","tokenOut":"USDC","amount":1.5}')
    assert fact == OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)


def test_every_field_arrives() -> None:
    fact = parsed(
        order(
            type="market",
            slippageBps=0,
            minAmountOut="148.25",
            expiresAt="2030-01-01T00:00:00.000001Z",
            clientOrderId="a:b/c-1",
        ),
        "key-1",
    )
    assert fact.slippage_bps == 0
    assert fact.min_amount_out == 148_250_000
    assert fact.expires_at_us == 1_893_456_000_000_001
    assert (fact.client_order_id, fact.idempotency_key) == ("a:b/c-1", "key-1")


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
    found = problem(with_amount(raw))
    assert found.code == code
    if code != "malformed-json":
        assert found.document()["pointer"] == "/amount"


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
        (order(**{"a/b~c": 1}), "unknown-field", "/a~1b~0c"),
    ],
)
def test_each_malformed_request_has_its_code(
    body: str | bytes, code: str, pointer: str | None
) -> None:
    found = problem(body)
    assert found.code == code
    assert found.document().get("pointer") == pointer


def test_all_faults_of_a_request_are_told_at_once() -> None:
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
        parse_key(key)
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
    one = parsed('{"tokenIn":"SOL","tokenOut":"USDC","amount":1.50}', "k1")
    other = parsed('{ "amount": "1.5", "tokenOut":"USDC","tokenIn":"SOL","slippageBps":50}', "k2")
    assert digest_of(one) == digest_of(other)


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


def test_every_code_has_a_status_of_an_error() -> None:
    assert all(400 <= status <= 503 for status, _ in CODES.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=9), json_values))
def test_whatever_comes_in_it_is_an_order_or_a_problem(fields: dict[str, Any]) -> None:
    try:
        parsed(msgspec.json.encode(fields))
    except Problem as found:
        assert found.code in CODES


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,12})?", fullmatch=True))
def test_whatever_number_comes_in_it_is_exact_or_a_problem(text: str) -> None:
    try:
        fact = parsed(order(amount=text))
    except Problem as found:
        assert found.code in CODES
    else:
        assert 0 < fact.amount_in < 2**64
