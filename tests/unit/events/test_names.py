"""Names of hosts as names in protocols."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.log.redis.names import NAME_MAX, safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain", "plain"),
        ("web-1.example.com", "web-1.example.com"),
        ("büro-pc", "b_c3_bcro-pc"),
        ("my pc", "my_20pc"),
        ("Bob's PC", "Bob_27s_20PC"),
        ("tab\tname", "tab_09name"),
        ("a%b{c}$d", "a_25b_7bc_7d_24d"),
        ("a_b", "a_5fb"),
        ("caf\udce9", "caf_e9"),
        ("", "host"),
        ("x" * 100, "x" * NAME_MAX),
    ],
)
def test_other_characters_are_escaped(text: str, name: str) -> None:
    assert safe_name(text, default="host") == name


@given(st.text(max_size=80))
def test_a_name_holds_no_character_that_a_protocol_splits_at(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", safe_name(text))
