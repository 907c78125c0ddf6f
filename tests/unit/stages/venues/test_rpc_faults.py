"""What each answer of a node means: the table, row by row, and what providers write."""

from __future__ import annotations

import random
import string
from base64 import b64encode

import pytest

from events.metrics import RPC_FAULTS
from stages.venues.solana.rpc import faults
from stages.venues.solana.rpc.faults import AGAVE, About, Reply, meaning, shown, words_of

REQUEST, BLOCK, SIZE = About.REQUEST, About.BLOCK, About.SIZE
METHOD, NODE, MOMENT = About.METHOD, About.NODE, About.MOMENT

WORDS_OF_AGAVE = {
    -32001: "Block 5 cleaned up, does not exist on node. First available block: 9",
    -32002: "Transaction simulation failed: Blockhash not found",
    -32003: "Transaction signature verification failure",
    -32004: "Block not available for slot 5",
    -32005: "Node is behind by 42 slots",
    -32006: "Transaction precompile verification failure InvalidAccountIndex",
    -32007: "Slot 5 was skipped, or missing due to ledger jump to recent snapshot",
    -32008: "No snapshot",
    -32009: "Slot 5 was skipped, or missing in long-term storage",
    -32010: "Tok excluded from account secondary indexes; this RPC method unavailable for key",
    -32011: "Transaction history is not available from this node",
    -32013: "Transaction signature length mismatch",
    -32014: "Block status not yet available for slot 5",
    -32015: "Transaction version (1) is not supported by the requesting client. Please try again",
    -32016: "Minimum context slot has not been reached",
    -32017: "Epoch rewards period still active at slot 5",
    -32018: "Rewards cannot be found because slot 5 is not the epoch boundary.",
    -32019: "Failed to query long-term storage; please try again",
}


def test_every_error_number_of_agave_is_classified_with_its_message() -> None:
    assert AGAVE.keys() == WORDS_OF_AGAVE.keys()
    for number, words in WORDS_OF_AGAVE.items():
        about = meaning("getTransaction", Reply(200, number, words)).about
        assert about is AGAVE[number][1], number


PROVIDERS = [
    # (HTTP status, number, sentence, meaning)
    (200, -32602, "invalid params: missing field", REQUEST),
    (400, -32602, "Invalid param: WrongSize", REQUEST),
    (200, -32602, "encoded too large: 5000 bytes (max: encoded/raw 1644/1232)", REQUEST),
    (503, -32602, "invalid params", MOMENT),
    (403, -32602, "invalid params", METHOD),
    (200, -32600, "Invalid request", METHOD),
    (200, -32601, "Method not found", METHOD),
    (200, -32603, "Internal error", NODE),
    (200, -32700, "Parse error", NODE),
    (200, -32000, "Server error", NODE),
    (200, -32000, "connection timed out", MOMENT),
    (200, -32003, "Service is temporarily unavailable", MOMENT),
    (502, -32003, "Upstream Solana RPC node unreachable", MOMENT),
    (200, -32003, "transaction rejected", NODE),
    (429, -32003, "daily request limit reached - upgrade your account", NODE),
    (200, -32007, "50/second request limit reached - reduce calls per second or upgrade", MOMENT),
    (200, -32009, "request limit reached: too many requests per second", MOMENT),
    (402, -32010, "insufficient credits", NODE),
    (403, -32001, "method not allowed: getSignaturesForAddress", METHOD),
    (200, -32005, "rate limit exceeded", MOMENT),
    (200, -32015, "this method is available on a paid plan only", METHOD),
    (200, -32052, "API key is not allowed to access method", METHOD),
    (200, -32055, "No nodes available", MOMENT),
    (200, -32029, "", MOMENT),
    (200, -32090, "Too many requests", MOMENT),
    (200, -32097, "", MOMENT),
    (200, -32429, "max usage reached", NODE),
    (200, -32429, "", MOMENT),
    (200, -32403, "", METHOD),
    (200, -32404, "", METHOD),
    (200, -32413, "", METHOD),
    (200, 429, "", MOMENT),
    (200, 7429, "Rate Limited", MOMENT),
    (200, 35, "method is not available on freetier, please upgrade to paid tier", METHOD),
    (200, 0, "", NODE),
    (200, 1, "something new", NODE),
    (200, -32123, "something new", NODE),
    (200, -31999, "something new", NODE),
    (200, None, "RATE_LIMITED", MOMENT),
    (200, None, "archive data is not enabled", METHOD),
    (200, None, "unreadable answer", NODE),
    (401, None, "invalid api key", METHOD),
    (403, None, "", METHOD),
    (403, None, "Your account is suspended: payment past due", NODE),
    (418, None, "", NODE),
    (204, None, "", NODE),
    (301, None, "", NODE),
    (308, None, "", NODE),
    (599, None, "", NODE),
    *[(status, None, "", METHOD) for status in (400, 402, 404, 405, 410, 413, 414, 415, 422, 451)],
    *[(status, None, "", MOMENT) for status in (408, 425, 429, 502, 503, 504, *range(520, 531))],
    *[(status, None, "", NODE) for status in (500,)],
]  # fmt: skip


@pytest.mark.parametrize(("status", "number", "words", "about"), PROVIDERS)
def test_each_answer_of_a_provider_has_its_meaning(
    status: int, number: int | None, words: str, about: About
) -> None:
    assert meaning("getTransaction", Reply(status, number, words)).about is about


UNREAD = [
    # (HTTP status, number, sentence)
    (200, -32602, "failed to deserialize solana_sdk::transaction::VersionedTransaction: io error"),
    (200, -32602, "base64 encoded VersionedTransaction too large: 1700 (max: 1644/1232)"),
    (500, -32603, "Failed to decode transaction"),
    (400, None, "transaction #0 could not be decoded"),
]


@pytest.mark.parametrize(("status", "number", "words"), UNREAD)
def test_unreadable_bytes_are_a_fault_of_the_request_not_of_the_node(
    status: int, number: int | None, words: str
) -> None:
    """It would rest for each of them, and take nothing else meanwhile."""
    for method in ("sendTransaction", "simulateTransaction"):
        assert meaning(method, Reply(status, number, words)).about is REQUEST
    assert meaning("sendTransaction", Reply(502, number, words)).about is not REQUEST
    for other in ("error decoding response body", "failed to deserialize the request"):
        assert meaning("sendTransaction", Reply(200, -32603, other)).about is NODE


def test_a_failed_simulation_is_about_the_request_with_any_message() -> None:
    ran = Reply(200, -32002, "please upgrade", failed=True)
    assert meaning("sendTransaction", ran).about is REQUEST
    reserved = Reply(403, -32002, "reserved")
    assert meaning("sendTransaction", reserved).about is METHOD
    assert meaning("sendTransaction", Reply(200, -32002, "reserved")).about is NODE


SIZES = [
    # (HTTP status, number, sentence, items asked for, items allowed)
    (413, -32602, "getMultipleAccounts is limited to a 5 range", 100, 5),
    (200, -32602, "getMultipleAccounts is limited to a 5 range", 100, 5),
    (403, -32602, "getMultipleAccounts is limited to a 5 range", 6, 5),
    (200, -32602, "Too many inputs provided; max 50", 100, 50),
    (200, -32602, "Too many inputs provided; max 100", 100, 50),
    (400, -32602, "too many accounts requested, your plan allows up to 10", 100, 10),
    (200, -32000, "maximum number of pubkeys is 25 for the free tier; upgrade", 100, 25),
    (200, -32602, "You can only request 20 accounts per call", 60, 20),
    (413, None, "Request Entity Too Large", 100, 50),
    (413, None, "", 100, 50),
    (414, None, "", 3, 1),
    (200, -32413, "", 40, 20),
    (200, -32600, "request payload too large", 9, 4),
]  # fmt: skip


@pytest.mark.parametrize("method", sorted(faults.SIZED))
@pytest.mark.parametrize(("status", "number", "words", "asked", "allowed"), SIZES)
def test_a_size_refusal_gives_the_number_of_items_that_the_node_allows(
    method: str, status: int, number: int | None, words: str, asked: int, allowed: int
) -> None:
    fault = meaning(method, Reply(status, number, words), size=asked)
    assert (fault.about, fault.size_max) == (SIZE, allowed)


@pytest.mark.parametrize(
    ("reply", "about"),
    [
        (Reply(429, -32429, "max 50 requests per second for accounts"), MOMENT),
        (Reply(200, -32504, "Request deprioritized due to number of accounts requested"), MOMENT),
        (Reply(200, -32602, "Invalid param: account number 3"), REQUEST),
        (Reply(200, -32005, "Node is behind by 42 slots"), NODE),
        (Reply(200, -32601, "Method not found"), METHOD),
    ],
)
def test_a_refusal_that_only_names_accounts_is_not_a_size_limit(reply: Reply, about: About) -> None:
    assert meaning("getMultipleAccounts", reply, size=100).about is about


def test_a_refusal_of_a_single_item_as_too_many_pauses_the_method() -> None:
    assert meaning("getMultipleAccounts", Reply(413), size=1).about is METHOD


def test_random_node_errors_are_not_classified_as_refusals_of_the_request() -> None:
    """But for the four numbers that do, whatever the words."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for _ in range(3_000):
        number = rng.choice([rng.randrange(-33_000, 1_000), rng.randrange(-32_110, -31_990)])
        if number in (-32602, -32015):
            continue
        words = "".join(rng.choices(string.ascii_lowercase + " 0123456789", k=rng.randrange(40)))
        status = rng.choice([200, rng.randrange(100, 600)])
        fault = meaning("simulateTransaction", Reply(status, number, words))
        assert fault.about is not REQUEST, (seed, status, number, words)


def test_the_metric_has_a_label_for_each_meaning() -> None:
    assert set(RPC_FAULTS.counts) == set(About)


@pytest.mark.parametrize("text", ["Transaction already processed", "AlreadyProcessed",
                                  "This transaction has already been processed"])  # fmt: skip
def test_an_already_processed_transaction_is_recognised(text: str) -> None:
    assert faults.already_processed(f"-32002: Transaction simulation failed: {text}")
    assert not faults.already_processed("-32002: Blockhash not found")


def test_shown_text_is_one_bounded_line_without_urls_and_keys() -> None:
    text = shown(
        "no\n\x00such key s3cr3t-key at https://node.example/s3cr3t-key?x=1 \u202e" + "x " * 999,
        ("s3cr3t-key",),
    )
    assert "s3cr3t" not in text
    assert "example" not in text
    assert text.startswith("no such key (key) at (url)")
    assert len(text) in (faults.TEXT_MAX - 1, faults.TEXT_MAX)
    for sent in (b"\x80" * 300, bytes(range(256))):
        for form in (b64encode(sent).decode(), sent.hex()):
            assert shown(f"bad transaction {form}.") == "bad transaction (data)."
    signature = "5" * 88
    assert shown(signature) == signature
    page = "<html><head><title>502 Bad\nGateway</title><style>a{}</style></head><body>nginx</body>"
    assert shown(page) == "502 Bad Gateway"
    assert shown("<p>Sorry, <b>down</b></p><script>x()</script>") == "Sorry, down"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("plain", "plain"),
        ({"message": "m", "error": "e"}, "m"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"detail": "d"}, "d"),
        ({"error": 5}, ""),
        ([{"error": "e"}], ""),
        (None, ""),
    ],
)
def test_the_error_message_of_a_body_is_extracted(body: object, words: str) -> None:
    assert words_of(body) == words
