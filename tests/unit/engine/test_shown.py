"""Frames and quotes in words, for a person."""

from __future__ import annotations

from typing import Any

from engine.terminal import shown

CLMM, DLMM = (
    {"dex": dex, "family": family, "pool": pool}
    for dex, family, pool in (("raydium", "raydium-clmm", "A"), ("meteora", "meteora-dlmm", "B"))
)


def frame(**adds: Any) -> dict[str, Any]:
    given = {"timestamp": "2026-11-22T22:29:55.378194Z", "orderId": "an-order"}
    return given | {"status": "building", "event": "OrderRouted", "dex": "raydium"} | adds


def test_a_route_is_named_by_the_pool_programs_it_goes_through() -> None:
    assert shown.route({"dex": "raydium", "pool": "A", "legs": [CLMM]}) == "raydium-clmm"
    both: dict[str, Any] = {"dex": "raydium+meteora", "pool": "A+B", "legs": [CLMM, DLMM]}
    assert shown.route(both) == "raydium-clmm+meteora-dlmm"
    assert shown.route(both | {"pool": "A>B"}) == "raydium-clmm>meteora-dlmm"
    four = both | {"pool": "A+B>C+D", "legs": both["legs"] * 2}
    assert shown.route(four) == "raydium-clmm+meteora-dlmm>raydium-clmm+meteora-dlmm"
    three = both | {"pool": "A>B+C", "legs": [CLMM, *both["legs"]]}
    assert shown.route(three) == "raydium-clmm>raydium-clmm+meteora-dlmm"
    assert shown.route({"dex": "meteora", "pool": ""}) == "meteora"


def test_a_line_says_the_route_and_why_it_won() -> None:
    line = shown.line(frame(pool="A", legs=[CLMM], why="the only usable quote", priceImpactBps="3"))
    assert line.endswith("dex=raydium-clmm priceImpactBps=3 why=the only usable quote")


def test_a_line_leaves_out_what_goes_without_saying() -> None:
    assert "swapMode" not in shown.line(frame(swapMode="exactIn"))
    assert "swapMode=exactOut" in shown.line(frame(swapMode="exactOut"))
