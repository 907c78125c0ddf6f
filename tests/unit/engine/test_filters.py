"""The filters of commands as query parameters."""

from __future__ import annotations

import argparse

import pytest

from engine.terminal.order_filters import add_filters, filters_of


def params(*arguments: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    add_filters(parser)
    return filters_of(parser.parse_args(arguments)).params()


@pytest.mark.parametrize("flag", ["--status", "--type", "--token", "--client-order-id"])
def test_an_empty_filter_is_passed_on_and_never_means_all(flag: str) -> None:
    """The gateway refuses it: `engine cancel --all --status "$UNSET"` cancels nothing."""
    assert list(params(flag, "").values()) == [""]


def test_filters_that_are_absent_are_not_passed() -> None:
    assert params() == {}
    assert params("--status", "watching", "--parked") == {"status": "watching", "parked": "true"}
