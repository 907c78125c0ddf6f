"""The fold of an order: transitions by table, whatever is thrown at it."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events import types as t
from events.hash_chain import GENESIS, REDACTED_EVENTS, link, new_events
from events.order import NEXT, STAGES, Order, evolve, fold, may_cancel, may_still_land, next_stage
from events.secret import SecretBytes
from events.streams.system_fold import ENGINE_NEXT, KEYS_NEXT
from events.types import TERMINAL, Event, Status

LIFE: list[t.Fact] = [
    t.OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50),
    t.RoutingStarted(),
    t.OrderRouted("raydium", "p", 200, 190, "1", (), 9, 6),
    t.TransactionBuilt(1, "sig-1", 10, SecretBytes(b"raw")),
    t.TransactionSubmitted(1, "sig-1"),
    t.OrderConfirmed("sig-1", 199, "1", 6, 9),
]
OTHERS: list[t.Fact] = [
    t.TransactionExpired(1, "sig-1", 10, 11),
    t.TransactionInDoubt("sig-1", "no-answer"),
    t.OrderFailed("router", "no-route", 1),
    t.OrderExpired("router", "expires-at-passed", 0),
    t.AttemptFailed("router", 1, "venue-timeout", "", 5),
    t.OrderParked("router", "bug", "engine"),
    t.OrderRequeued("fixed", "ann"),
    t.OrderArmed(7),
    t.OrderTriggered("tick", "raydium", "p", 8, "150"),
    t.OrderRearmed("router", "quote-below-minimum", 9, 190, 200),
    t.OrderAmended("ann", "151", None),
    t.OrderCancelled("ann"),
    t.EngineHalted("odd", "ann"),
    t.EngineResumed("fine", "ann"),
    t.KeyCreated("k1", "main", ("read",), b"1", "", 0, "ann"),
    t.KeyRotated("k1", b"2", 9, "ann"),
    t.KeyRevoked("k1", "lost", "ann"),
    t.TransactionRecovered("sig-9", "by the record", "ann"),
]
LIMIT = t.OrderSubmitted("limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="150")
RESTED, TRIGGERED, RETREATED, AMENDED, CANCELLED = OTHERS[7:12]
ANY_FACTS = st.lists(st.sampled_from(LIFE + OTHERS), max_size=30)


def events_of(facts: Sequence[t.Fact]) -> list[Event]:
    return new_events(Order("id-1"), GENESIS, facts, time_us=1, build="b").events


def after(*facts: t.Fact) -> Order:
    order = fold(events_of(facts))
    assert order is not None
    return order


def test_a_market_order_passes_through_the_public_statuses_in_order() -> None:
    assert [event.status for event in events_of(LIFE)] == [
        "pending", "routing", "building", "building", "submitted", "confirmed",
    ]  # fmt: skip


@given(ANY_FACTS)
def test_any_sequence_of_events_folds_and_never_leaves_the_table(facts: list[t.Fact]) -> None:
    order: Order | None = None
    for event in events_of(facts):
        before = order.status if order else None
        order = evolve(order, event)
        allowed = set(NEXT[before].values()) | {before or Status.PENDING}
        assert order.status in allowed
        assert order.status == event.status
        assert next_stage(order) in (*STAGES, None)


@given(ANY_FACTS)
def test_a_terminal_status_never_changes(facts: list[t.Fact]) -> None:
    statuses = [event.status for event in events_of(facts)]
    for before, then in pairwise(statuses):
        assert before not in TERMINAL or then == before


@given(ANY_FACTS)
def test_the_public_status_never_goes_back(facts: list[t.Fact]) -> None:
    rank: dict[str, int] = {status: at for at, status in enumerate(Status)}
    back = (t.OrderTriggered, t.OrderRearmed, t.EngineHalted)  # from and to waiting
    for before, then in pairwise(events_of(facts)):
        assert rank[before.status] <= rank[then.status] or isinstance(then.fact, back)


@given(ANY_FACTS)
def test_folding_leaves_the_order_before_untouched(facts: list[t.Fact]) -> None:
    order = Order("id-1")
    for event in events_of(facts):
        copy_before = repr(order)
        following = evolve(order if order.version else None, event)
        assert repr(order) == copy_before
        order = following


def test_every_status_and_event_has_a_row_or_is_refused_by_its_absence() -> None:
    assert set(NEXT) == {None, *Status}
    assert all(not NEXT[status] for status in TERMINAL)
    reached = {fact for row in NEXT.values() for fact in row}
    reached |= {fact for row in ENGINE_NEXT.values() for fact in row}
    reached |= {fact for row in KEYS_NEXT.values() for fact in row}
    assert reached == set(t.FACTS.values())


def test_the_next_stage_follows_from_the_fold() -> None:
    owes = [next_stage(after(*LIFE[:n])) for n in range(1, len(LIFE) + 1)]
    assert owes == ["router", "router", "builder", "submitter", "confirmer", None]


def test_a_dead_transaction_is_replaced_without_leaving_submitted() -> None:
    dead = after(*LIFE[:5], OTHERS[0])
    assert (dead.status, next_stage(dead), dead.attempts) == (Status.SUBMITTED, "builder", 1)
    assert not may_still_land(dead)
    rebuilt = after(*LIFE[:5], OTHERS[0], t.TransactionBuilt(2, "sig-2", 20, SecretBytes(b"raw2")))
    assert (rebuilt.status, next_stage(rebuilt)) == (Status.SUBMITTED, "submitter")
    assert not may_still_land(rebuilt)
    resent = after(
        *LIFE[:5],
        OTHERS[0],
        t.TransactionBuilt(2, "s", 20, SecretBytes(b"r")),
        t.TransactionSubmitted(2, "s"),
    )
    assert may_still_land(resent)


def test_a_limit_order_waits_is_routed_and_may_wait_again() -> None:
    life = [LIMIT, RESTED, TRIGGERED, LIFE[1], RETREATED, TRIGGERED, *LIFE[1:]]
    assert [event.status for event in events_of(life)] == [
        "pending", "watching", "pending", "routing", "watching", "pending", "routing",
        "building", "building", "submitted", "confirmed",
    ]  # fmt: skip
    assert [next_stage(after(*life[:n])) for n in range(1, 8)] == [
        "watcher", None, "router", "router", None, "router", "router",
    ]  # fmt: skip
    waiting = after(*life[:5])
    assert (waiting.watch_slot, waiting.retreats, waiting.triggered) == (9, 1, False)


def test_a_rearmed_order_has_no_transaction_after_it_failed_on_chain() -> None:
    order = after(LIMIT, RESTED, TRIGGERED, *LIFE[1:5], RETREATED)
    assert (order.status, order.transaction, order.min_amount_out) == ("watching", None, None)
    assert not may_still_land(order)
    assert order.transactions == 1


def test_an_amended_order_has_its_new_terms() -> None:
    order = after(LIMIT, RESTED, t.OrderAmended("ann", "151", 99))
    assert (order.target_price, order.expires_at_us, order.watch_slot) == ("151", 99, 7)
    assert order.time_in_force == "GTT"
    assert after(LIMIT, RESTED, t.OrderAmended("ann", "151", 99), AMENDED).time_in_force == "GTC"


def test_an_amended_order_passes_over_no_price() -> None:
    led_on = replace(RETREATED, paused_until_slot=50)
    before = after(LIMIT, RESTED, TRIGGERED, t.RoutingStarted(), led_on)
    assert (before.retreats, before.paused_until_slot) == (1, 50)
    amended = after(LIMIT, RESTED, TRIGGERED, t.RoutingStarted(), led_on, AMENDED)
    assert (amended.retreats, amended.paused_until_slot) == (0, 0)


def test_ticks_before_an_amended_price_or_a_requeue_do_not_count() -> None:
    assert after(LIMIT, RESTED).counts_from_us == 0
    later = t.OrderAmended("ann", LIMIT.target_price, 99)  # the price is what it was
    assert after(LIMIT, RESTED, later).counts_from_us == 0
    for fact in (t.OrderAmended("ann", "151", None), t.OrderRequeued("fixed", "ann")):
        order = after(LIMIT, RESTED, fact)
        assert order.counts_from_us == order.updated_at_us > 0


def test_a_cancel_wins_while_no_transaction_is_out() -> None:
    lives = [LIFE[:n] for n in range(1, 7)] + [[LIMIT, RESTED], [LIMIT, RESTED, TRIGGERED]]
    may = [may_cancel(after(*life)) for life in lives]
    assert may == [True, True, True, True, False, False, True, True]
    for life in (life for life, allowed in zip(lives, may, strict=True) if allowed):
        assert after(*life, CANCELLED).status == "cancelled"
    dead = [*LIFE[:5], t.TransactionExpired(1, "sig-1", 10, 11)]
    rebuilt = [*dead, t.TransactionBuilt(2, "sig-2", 20, SecretBytes(b"raw2"))]
    sent = [*rebuilt, t.TransactionSubmitted(2, "sig-2")]
    assert [may_cancel(after(*life)) for life in (dead, rebuilt, sent)] == [True, True, False]


def test_a_parked_order_has_no_next_stage_until_it_is_requeued() -> None:
    assert next_stage(after(*LIFE[:2], t.OrderParked("router", "bug", "engine"))) is None
    parked = [*LIFE[:2], t.OrderParked("router", "bug", "engine"), t.OrderRequeued("ok", "ann")]
    assert next_stage(after(*parked)) == "router"


def test_event_times_never_decrease_within_an_order() -> None:
    first = new_events(Order("id-1"), GENESIS, LIFE[:1], time_us=100, build="b")
    second = new_events(first.order, first.hash, LIFE[1:2], time_us=50, build="b")
    assert [e.time_us for e in first.events + second.events] == [100, 100]


def test_each_hash_follows_from_the_one_before() -> None:
    batch = new_events(Order("id-1"), GENESIS, LIFE, time_us=1, build="b")
    digest = GENESIS
    for event in batch.events:
        digest = link(digest, t.encode(event), withheld=type(event.fact) in REDACTED_EVENTS)
    assert digest == batch.hash


def test_a_route_that_could_not_be_built_is_looked_for_again() -> None:
    failed = t.AttemptFailed("builder", 1, "pool-disabled", "", 5)
    assert next_stage(after(*LIFE[:3])) == "builder"
    assert next_stage(after(*LIFE[:3], failed)) == "router"
    assert next_stage(after(*LIFE[:3], failed, LIFE[2])) == "builder"


def test_an_order_has_the_id_and_account_of_its_events() -> None:
    events = new_events(Order("id-7", account="ann"), GENESIS, LIFE, time_us=1, build="b").events
    order = fold(events)
    assert order is not None
    assert (order.id, order.account) == ("id-7", "ann")
