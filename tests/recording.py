"""`make recording`: five orders at once in `engine watch`, as an SVG that plays by itself.

What is drawn was on the screen of a real terminal, at these times; nothing is made up. A picture
that does not play, such as a printed one, shows the end.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import pyte
from pyte.screens import Char

from engine.settings_loader import environment
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import engine_up
from tests.support.processes.terminal import terminal

FILE = Path(__file__).parents[1] / "docs" / "screenshots" / "five-orders.svg"
COLUMNS, ROWS = 124, 9
EVERY_S = 0.05
HOLD_S = 3.0
WIDTH, HEIGHT, EDGE = 7.8, 17, 14
COLOURS = {"default": "#d0d7de", "green": "#56d364", "red": "#ff7b72", "cyan": "#76e3ea",
           "magenta": "#d2a8ff", "brown": "#e3b341"}  # fmt: skip

SEEN, HIDDEN = "visibility:visible", "visibility:hidden"

Screen = tuple[tuple[tuple[str, str, bool], ...], ...]
"""Lines of runs: text, colour, bold."""


def look(screen: pyte.Screen) -> Screen:
    """What stands there now."""

    def style(cell: Char) -> tuple[str, bool]:
        return COLOURS.get(cell.fg, COLOURS["default"]), cell.bold

    return tuple(
        tuple(
            ("".join(cell.data for cell in run), *item)
            for item, run in itertools.groupby(
                (screen.buffer[row][column] for column in range(screen.columns)), key=style
            )
        )
        for row in range(screen.lines)
    )


async def record(folder: Path) -> list[tuple[float, Screen]]:
    """The screens, each with the time from which on it was there."""
    async with engine_up(folder, venue_latency_ms=250, orders_per_minute=0) as engine:
        env = {**os.environ, **environment(engine.settings)}
        async with terminal([*ENGINE, "watch"], env, columns=COLUMNS, rows=ROWS) as seen:
            await seen.until("0 events")
            began, screens = time.monotonic(), [(0.0, look(seen.screen))]

            async def keep() -> None:
                while True:
                    await asyncio.sleep(EVERY_S)
                    now = look(seen.screen)
                    if now != screens[-1][1]:
                        screens.append((time.monotonic() - began, now))

            work = asyncio.create_task(keep())
            await asyncio.sleep(0.5)
            ids = await asyncio.gather(*(
                engine.submit(key=f"five-{n}", tokenIn=sells, tokenOut=buys, amount=amount)
                for n, (sells, buys, amount) in enumerate(
                    [("SOL", "USDC", "1.5"), ("USDC", "SOL", "250"), ("SOL", "BONK", "0.4"),
                     ("SOL", "RAY", "3"), ("USDC", "JUP", "75")]
                )
            ))  # fmt: skip
            await engine.ended(ids)
            await seen.until("5 confirmed")
            await asyncio.sleep(2 * EVERY_S + 0.2)
            work.cancel()
            return screens


def svg(screens: list[tuple[float, Screen]]) -> str:
    """The picture. Each screen is shown from its time to that of the next, over and over."""
    ends = [at for at, _ in screens[1:]] + [screens[-1][0] + HOLD_S]
    whole = ends[-1]
    width, height = round(COLUMNS * WIDTH + 2 * EDGE), round(ROWS * HEIGHT + 2 * EDGE)
    last = len(screens) - 1
    styles = []
    for number, ((at, _), end) in enumerate(zip(screens, ends, strict=True)):
        then = SEEN if number == last else HIDDEN
        steps = f"0%{{{HIDDEN}}}{100 * at / whole:.3f}%{{{SEEN}}}"
        if number != last:
            steps += f"{100 * end / whole:.3f}%{{{HIDDEN}}}"
        styles.append(
            f"@keyframes f{number}{{{steps}100%{{{then}}}}}"
            f"#f{number}{{animation:f{number} {whole:.2f}s step-end infinite;{then}}}"
        )
    drawn = "".join(f'<g id="f{n}">{_lines(screen)}</g>' for n, (_, screen) in enumerate(screens))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-label="engine watch: five orders at once, each from'
        f' pending to confirmed"><style>text{{font:13px ui-monospace,Menlo,Consolas,monospace;'
        f"white-space:pre}}{''.join(styles)}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>{drawn}</svg>\n'
    )


def _lines(screen: Screen) -> str:
    lines = []
    for row, runs in enumerate(screen):
        column, spans = 0, []
        for text, colour, bold in runs:
            if text.strip():
                lead = len(text) - len(text.lstrip())
                shown = text.strip()
                x, length = EDGE + (column + lead) * WIDTH, len(shown) * WIDTH
                weight = ' font-weight="bold"' if bold else ""
                spans.append(
                    f'<tspan x="{x:.1f}" textLength="{length:.1f}" fill="{colour}"{weight}>'
                    f"{html.escape(shown)}</tspan>"
                )
            column += len(text)
        if spans:
            y = EDGE + (row + 0.75) * HEIGHT
            lines.append(f'<text y="{y:.1f}">{"".join(spans)}</text>')
    return "".join(lines)


async def main() -> int:
    """Record and draw."""
    with tempfile.TemporaryDirectory(prefix="oer-") as folder:
        screens = await record(Path(folder) / "d")
    FILE.write_text(svg(screens), encoding="utf-8")
    print(f"{FILE.relative_to(FILE.parents[2])}: {len(screens)} screens, {screens[-1][0]:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
