"""What commands that read the records say where they cannot be read, and what is left to show."""

from __future__ import annotations

import pytest

from engine.embedded.stores import UNREADABLE, reading
from events.log import Unavailable, Unsuitable
from projections.postgres.migrate import MigrationError


@pytest.mark.parametrize(
    "error", [Unsuitable("another layout"), MigrationError("newer"), Unavailable("down")]
)
def test_a_read_error_is_printed_in_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert reading(work) == UNREADABLE
    assert capsys.readouterr().err == f"engine: cannot read: {error}\n"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), RecursionError(), NotImplementedError()])
def test_a_programming_error_is_not_reported_as_an_unreadable_record(error: Exception) -> None:
    async def work() -> int:
        raise error

    with pytest.raises(type(error)):
        reading(work)
