"""Frames and quotes in words, for a person."""

from __future__ import annotations

from typing import Any

from engine.terminal import event_lines

CLMM, DLMM = (
    {"dex": dex, "family": family, "pool": pool}
    for dex, family, pool in (("raydium", "raydium-clmm", "A"), ("meteora", "meteora-dlmm", "B"))
)


def frame(**adds: Any) -> dict[str, Any]:
    given = {"timestamp": "2026-11-22T22:29:55.378194Z", "orderId": "an-order"}
    return given | {"status": "building", "event": "OrderRouted", "dex": "raydium"} | adds


def test_a_route_is_named_by_the_pool_programs_it_goes_through() -> None:
    assert event_lines.route({"dex": "raydium", "pool": "A", "legs": [CLMM]}) == "raydium-clmm"
    both: dict[str, Any] = {"dex": "raydium+meteora", "pool": "A+B", "legs": [CLMM, DLMM]}
    assert event_lines.route(both) == "raydium-clmm+meteora-dlmm"
    assert event_lines.route(both | {"pool": "A>B"}) == "raydium-clmm>meteora-dlmm"
    four = both | {"pool": "A+B>C+D", "legs": both["legs"] * 2}
    assert event_lines.route(four) == "raydium-clmm+meteora-dlmm>raydium-clmm+meteora-dlmm"
    three = both | {"pool": "A>B+C", "legs": [CLMM, *both["legs"]]}
    assert event_lines.route(three) == "raydium-clmm>raydium-clmm+meteora-dlmm"
    assert event_lines.route({"dex": "meteora", "pool": ""}) == "meteora"


def test_a_line_shows_the_route_and_the_reason_for_it() -> None:
    line = event_lines.line(
        frame(pool="A", legs=[CLMM], why="the only usable quote", priceImpactBps="3")
    )
    assert line.endswith("dex=raydium-clmm priceImpactBps=3 why=the only usable quote")


def test_a_line_omits_the_default_swap_mode() -> None:
    assert "swapMode" not in event_lines.line(frame(swapMode="exactIn"))
    assert "swapMode=exactOut" in event_lines.line(frame(swapMode="exactOut"))
