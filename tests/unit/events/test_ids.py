"""Order ids: UUIDv7 that tell their time and partition."""

from uuid import UUID

from events.ids import created_ms, first_id_at, new_order_id, parse_order_id


def test_an_id_is_a_version_7_uuid_with_its_creation_time() -> None:
    order_id = new_order_id(5, now_ms=1_795_361_941_123)
    uuid = UUID(order_id)
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert created_ms(order_id) == 1_795_361_941_123
    assert (uuid.int >> 64) & 0xFFF == 5


def test_no_two_ids_are_the_same() -> None:
    ids = {new_order_id(now_ms=1) for _ in range(20_000)}
    assert len(ids) == 20_000


def test_order_ids_sort_by_creation_time() -> None:
    ids = [new_order_id(now_ms=ms) for ms in (1, 2, 3, 1000, 10**12)]
    assert ids == sorted(ids)
    assert first_id_at(3) <= ids[2] < first_id_at(4)


def test_an_id_is_read_in_any_spelling_of_a_uuid_and_nothing_else_is() -> None:
    order_id = new_order_id()
    assert parse_order_id(order_id.upper()) == order_id
    assert parse_order_id("order-1") is None
