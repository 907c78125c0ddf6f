"""History is permanent: the bytes of every event are pinned. A change here breaks it."""

import msgspec
import pytest

from events import order as orders
from events import types as t
from events.hash_chain import GENESIS, decode_batch, encode_record, link
from events.secret import SecretBytes

QUOTE = t.Quote("raydium", "pool-1", 1_500_000_000, 224_000_000, 3_750_000, 77)
FACTS: dict[str, t.Fact] = {
    "ae4f726465725375626d6974746564a66d61726b6574a3534f4ca4555344430906ce59682f0032c0c0c0c0"
    "a0a0c0a0c0c0a0a0": (t.OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)),
    "ae526f7574696e6753746172746564": t.RoutingStarted(),
    "ab4f72646572526f75746564a77261796469756da6706f6f6c2d31ce0d59f800ce0d48d8e0a53134392e33919ba7"
    "7261796469756da6706f6f6c2d31ce59682f00ce0d59f800ce00393870"
    "4da0000090900906ff0000": (
        t.OrderRouted("raydium", "pool-1", 224_000_000, 222_877_920, "149.3", (QUOTE,), 9, 6)
    ),
    "b05472616e73616374696f6e4275696c7401a3736967cd03e8c40301020300": (
        t.TransactionBuilt(1, "sig", 1000, SecretBytes(b"\1\2\3"))
    ),
    "b45472616e73616374696f6e5375626d697474656401a3736967": t.TransactionSubmitted(1, "sig"),
    "b25472616e73616374696f6e4578706972656401a3736967cd03e8cd03e9c3": (
        t.TransactionExpired(1, "sig", 1000, 1001)
    ),
    "b25472616e73616374696f6e496e446f756274a3736967a96e6f2d616e73776572a0": (
        t.TransactionInDoubt("sig", "no-answer")
    ),
    "ae4f72646572436f6e6669726d6564a3736967ce0d59f800a53134392e3306090000000090": (
        t.OrderConfirmed("sig", 224_000_000, "149.3", 6, 9)
    ),
    "ab4f726465724661696c6564a6726f75746572a86e6f2d726f75746501a0a000": (
        t.OrderFailed("router", "no-route", 1)
    ),
    "ac4f7264657245787069726564a6726f75746572b1657870697265732d61742d70617373656400": (
        t.OrderExpired("router", "expires-at-passed", 0)
    ),
    "ad417474656d70744661696c6564a6726f7574657201ad76656e75652d74696d656f7574a0ce000f4240": (
        t.AttemptFailed("router", 1, "venue-timeout", "", 1_000_000)
    ),
    "ab4f726465725061726b6564a6726f75746572a3627567a6656e67696e65": (
        t.OrderParked("router", "bug", "engine")
    ),
    "ad4f726465725265717565756564a56669786564a3616e6e": (t.OrderRequeued("fixed", "ann")),
    "b45472616e73616374696f6e5265636f7665726564a3736967a27765a3616e6ea772617964"
    "69756da6706f6f6c2d3191a57369672d32": (
        t.TransactionRecovered("sig", "we", "ann", "raydium", "pool-1", ("sig-2",))
    ),
    "aa4f7264657241726d65644d": (t.OrderArmed(77)),
    "ae4f72646572547269676765726564a47469636ba77261796469756da6706f6f6c2d314da53134392e3305094d": (
        t.OrderTriggered("tick", "raydium", "pool-1", 77, "149.3", 5, 9, 77)
    ),
    "ac4f72646572526561726d6564a6726f75746572b371756f74652d62656c6f772d6d696e696d756d4e05"
    "06919ba77261796469756da6706f6f6c2d31ce59682f00ce0d59f800ce003938704da00000909009060000": (
        t.OrderRearmed("router", "quote-below-minimum", 78, 5, 6, (QUOTE,), 9, 6)
    ),
    "ac4f72646572416d656e646564a3616e6ea3313531ce000f4240": (
        t.OrderAmended("ann", "151", 1_000_000)
    ),
    "ae4f7264657243616e63656c6c6564a3616e6ea26e6f": (t.OrderCancelled("ann", "no")),
    "ac456e67696e6548616c746564a36f6464a3616e6e": (t.EngineHalted("odd", "ann")),
    "ad456e67696e65526573756d6564a466696e65a3616e6e": (t.EngineResumed("fine", "ann")),
    "aa4b657943726561746564a26b31a46d61696e92a472656164a57472616465c4020102a3626f7405a3616e6e": (
        t.KeyCreated("k1", "main", ("read", "trade"), b"\1\2", "bot", 5, "ann")
    ),
    "aa4b6579526f7461746564a26b31c4010309a3616e6e": (t.KeyRotated("k1", b"\3", 9, "ann")),
    "aa4b65795265766f6b6564a26b31a46c6f7374a3616e6e": (t.KeyRevoked("k1", "lost", "ann")),
}


def event(fact: t.Fact) -> t.Event:
    return t.Event("id-1", 1, 5, t.Status.PENDING, "default", "b1", fact)  # type: ignore[arg-type]


ENVELOPE = "97a469642d310105a770656e64696e67a764656661756c74a26231"


@pytest.mark.parametrize(("pinned", "fact"), FACTS.items(), ids=lambda v: type(v).__name__)
def test_the_bytes_of_an_event_never_change(pinned: str, fact: t.Fact) -> None:
    body = t.encode(event(fact))
    fields = len(fact.__struct_fields__) + 1
    header = f"{0x90 + fields:02x}" if fields < 16 else f"dc{fields:04x}"
    assert body.hex() == ENVELOPE + header + pinned
    assert t.decode(body) == event(fact)


def test_every_event_is_pinned() -> None:
    assert {type(fact) for fact in FACTS.values()} == set(t.FACTS.values())
    assert set(t.AnyFact.__args__) == set(t.FACTS.values())


@pytest.mark.parametrize(
    ("former", "fact"),
    [
        ("92ab4f726465725265737465644d", t.OrderArmed(77)),
        (
            "96ae4f72646572526574726561746564a6726f75746572a178070102",
            t.OrderRearmed("router", "x", 7, 1, 2),
        ),
        ("93ad4f726465725265706c61796564a56669786564a3616e6e", t.OrderRequeued("fixed", "ann")),
    ],
)
def test_an_event_is_still_read_under_its_former_name(former: str, fact: t.Fact) -> None:
    body = bytes.fromhex(ENVELOPE + former)
    assert t.decode(body) == event(fact)
    assert t.decode(body).name == type(fact).__name__
    assert t.encode(t.decode(body)) != body, "new bytes have the new name"


def test_a_former_name_is_never_given_to_another_event() -> None:
    assert not t.FORMER_NAMES.keys() & t.FACTS.keys()
    assert set(t.FORMER_NAMES.values()) <= t.FACTS.keys()


def test_an_order_from_before_there_were_types_is_a_market_order() -> None:
    old = "9cae4f726465725375626d6974746564a66d61726b6574a3534f4ca4555344430906ce59682f0032c0c0c0c0"
    assert t.decode(bytes.fromhex(ENVELOPE + old)).fact == next(iter(FACTS.values()))


def test_a_trigger_from_before_its_first_slot_was_recorded_is_still_read() -> None:
    old = ["OrderTriggered", "tick", "raydium", "pool-1", 77, "149.3", 5, 9]
    body = bytes.fromhex(ENVELOPE) + msgspec.msgpack.encode(old)
    assert t.decode(body).fact == t.OrderTriggered("tick", "raydium", "pool-1", 77, "149.3", 5, 9)


def test_an_older_event_without_the_fields_that_came_later_is_still_read() -> None:
    body = bytes.fromhex(ENVELOPE) + msgspec.msgpack.encode(["OrderFailed", "router", "x", 1])
    assert t.decode(body).fact == t.OrderFailed("router", "x", 1)


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        (
            "dc0013ae4f726465725375626d6974746564a66d61726b6574a3534f4ca4555344430906ce59682f0032"
            "c0c0c0c0a0a0c0a0c0c0a0",
            t.OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50),
        ),
        (
            "99ab4f72646572526f75746564a77261796469756da6706f6f6c2d31ce0d59f800ce0d48d8e0"
            "a53134392e339197a77261796469756da6706f6f6c2d31ce59682f00ce0d59f800ce003938704da00906",
            t.OrderRouted("raydium", "pool-1", 224_000_000, 222_877_920, "149.3", (QUOTE,), 9, 6),
        ),
        (
            "96ae4f72646572436f6e6669726d6564a3736967ce0d59f800a53134392e330609",
            t.OrderConfirmed("sig", 224_000_000, "149.3", 6, 9),
        ),
        (
            "95b05472616e73616374696f6e4275696c7401a3736967cd03e8c403010203",
            t.TransactionBuilt(1, "sig", 1000, SecretBytes(b"\1\2\3")),
        ),
    ],
)
def test_facts_from_before_they_had_all_their_fields_are_still_read(
    written: str, fact: t.Fact
) -> None:
    assert t.decode(bytes.fromhex(ENVELOPE + written)).fact == fact


def test_a_retreat_and_a_fill_from_before_there_were_pauses_and_fills_are_still_read() -> None:
    for fact in (
        t.OrderRearmed("router", "x", 7, 1, 2, (), 9, 6, 5_000),
        t.OrderConfirmed("sig", 224, "149.3", 6, 9, 2, 9, 5_000, 2_039_280),
    ):
        fields = list(msgspec.structs.astuple(fact))[:9]
        old = [type(fact).__name__, *fields]
        body = bytes.fromhex(ENVELOPE) + msgspec.msgpack.encode(old)
        assert t.decode(body).fact == fact


def test_the_encoded_bytes_of_a_fill_are_pinned() -> None:
    fill = t.Fill("p", "SOL", "USDC", 9, 6, 1, 2, -3)
    assert msgspec.msgpack.encode(fill).hex() == "98a170a3534f4ca4555344430906" + "0102fd"


def test_legs_and_quotes_from_before_there_were_transfer_fees_are_still_read() -> None:
    leg = ["raydium", "raydium-cpmm", "pool-1", "SOL", "USDC", 9, 6, 1, 2, 3, False, 4, True]
    quote = ["raydium", "pool-1", 1, 2, 3, 77, "", 4, 5, [leg]]
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(quote), type=t.Quote)
    assert decoded.warnings == ()
    assert (decoded.legs[0].transfer_fee_in, decoded.legs[0].transfer_fee_out) == (0, 0)


def test_an_unknown_event_is_an_error_and_not_a_guess() -> None:
    body = bytes.fromhex(ENVELOPE) + msgspec.msgpack.encode(["NeverHeardOf", 1])
    with pytest.raises(msgspec.DecodeError):
        t.decode(body)


def test_a_record_carries_the_hash_and_the_exact_bytes() -> None:
    body = t.encode(event(t.RoutingStarted()))
    digest = link(GENESIS, body)
    [record] = decode_batch(b"\x91" + encode_record(digest, body))
    assert (record.hash, bytes(record.body)) == (digest, body)
    assert digest.hex() == "de3d28753b41cb3ee5bb359b6864ea423aec3d1907962051c9d79df4545700f0"


def test_an_order_reads_back_as_it_was_written() -> None:
    order = orders.Order("id-1", transaction=orders.Transaction(1, "sig", 5, SecretBytes(b"raw")))
    assert orders.decode(orders.encode(order)) == order


def test_event_bytes_that_are_not_utf_8_are_refused() -> None:
    """A damaged length can make text of any bytes; msgspec raises UnicodeDecodeError for that."""
    with pytest.raises(msgspec.DecodeError):
        t.decode(b"\x97\xb6a\x18\xa1\xa7routing\xa4main\xaa0.1.0+test\x91\xaeRoutingStarted")
