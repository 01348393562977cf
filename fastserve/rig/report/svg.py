"""A result as one picture, SVG, for a README: a panel for each scenario, a bar for each contestant.

Colours follow the reader's, light or dark, and the background is the picture's own, so that text can be read
anywhere; no script, no font, no request. Knows results as JSON has them, and no files. Two modules called cli
call make_svg().
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final, NamedTuple

WIDTH: Final = 1000
COLUMNS: Final = 2
GAP: Final = 40
MARGIN: Final = 24
ROW, TITLE, FOOT = 21, 46, 18  # heights
NAMES, FIGURES = 172, 66  # widths, left and right of the bars
FAR: Final = 9  # times the least: bars beyond it are broken off
LEGEND: Final = (
    "Bars are medians of rounds in turns, lines the least and the most; a bar that is cut is longer.")

STYLE: Final = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff }
.title { font-size: 15px; font-weight: 600 }
.unit, .note { fill: #59636e; font-size: 12px }
.name { text-anchor: end }
.first { font-weight: 600 }
.bar { fill: #afb8c1 }
.bar.first { fill: #0969da }
.spread { stroke: #1f2328; stroke-width: 1.5 }
.gap { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .page { fill: #0d1117 }
  .unit, .note { fill: #9198a1 }
  .bar { fill: #565f6a }
  .bar.first { fill: #4493f8 }
  .spread { stroke: #f0f6fc }
  .gap { stroke: #0d1117 }
}
"""

class Length(NamedTuple):
    """What a bar is as long as: ``of`` finds it in a round, by ``factor`` it becomes what is shown."""

    of: Callable[[Mapping[str, Any]], float | None]
    unit: str
    factor: float


CPU: Final = Length(lambda one: one.get("cpu_per_request"), "CPU microseconds of a request", 1e6)
RATE: Final = Length(lambda one: one["rate"], "requests a second", 1.0)
IDLE: Final = Length(lambda one: (one.get("idle") or {}).get("octets_each"),
                     "resident octets of an idle connection", 1.0)


@dataclass(frozen=True)
class Bar:
    name: str
    values: list[float]
    is_first: bool  # it stands out

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def kind(self) -> str:
        return "first" if self.is_first else ""


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    bars: list[Bar]

    @property
    def height(self) -> int:
        return TITLE + ROW * len(self.bars) + FOOT

    def scale(self) -> float:
        """Pixels of one unit, where what is FAR from the least need not fit."""
        least = min((bar.median for bar in self.bars if bar.median), default=0)
        most = max(max(bar.values) for bar in self.bars)
        return room() / max(min(most, least * FAR), 1e-9)


def panel_width() -> float:
    return (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS


def room() -> float:
    """How long a bar may be."""
    return panel_width() - NAMES - FIGURES


def make_svg(result: Mapping[str, Any]) -> str:
    """Return a picture (str) of a result: CPU time of a request where it is known, else the rate.

    Where there were idle connections it is what each of them took of memory.
    """
    measured = (each for each in result["scenarios"] if any(one["rounds"] for one in each["contestants"]))
    return drawn([panel(each) for each in measured], heading(result))


def heading(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    commit = f" {result['commit'][:7]}" if result.get("commit") else ""
    return (f"{result.get('title') or 'Measured'}{commit}, {result['made'][:10]}: "
            f"{machine['python']}, {machine['kernel']}, {machine['cpu']}")


def panel(scenario: Mapping[str, Any]) -> Panel:
    """The best on top; the one that was named first stands out."""
    contestants = [each for each in scenario["contestants"] if each["rounds"]]
    rounds = [each for contestant in contestants for each in contestant["rounds"]]
    by = next((each for each in (IDLE, CPU) if all(each.of(one) is not None for one in rounds)), RATE)
    bars = [Bar(each["name"], [(by.of(one) or 0.0) * by.factor for one in each["rounds"]], i == 0)
            for i, each in enumerate(contestants)]
    bars.sort(key=lambda bar: bar.median, reverse=by is RATE)
    return Panel(scenario.get("title") or scenario["name"], by.unit, bars)


# -- Shapes ------------------------------------------------------------------------------------


def drawn(panels: list[Panel], words: str) -> str:
    shapes, y = [text(MARGIN, 30, words, "note"), text(MARGIN, 48, LEGEND, "note")], 58.0
    for at in range(0, len(panels), COLUMNS):
        row = panels[at : at + COLUMNS]
        for column, each in enumerate(row):
            shapes += panel_shapes(each, MARGIN + column * (panel_width() + GAP), y)
        y += max(each.height for each in row)
    size = f'viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(words)}</title>", f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{y:.0f}" rx="6"/>', *shapes, "</svg>", "",
    ])


def panel_shapes(each: Panel, x: float, y: float) -> list[str]:
    scale, top = each.scale(), y + TITLE
    shapes = [text(x, y + 20, each.title, "title"), text(x, y + 38, each.unit, "unit")]
    for number, bar in enumerate(each.bars):
        shapes += bar_shapes(bar, x + NAMES, top + number * ROW, scale)
    return shapes


def bar_shapes(bar: Bar, x: float, y: float, scale: float) -> list[str]:
    width, middle, kind = min(bar.median * scale, room()), y + ROW / 2, f"bar {bar.kind}".strip()
    shapes = [
        text(x - 8, middle + 4.5, bar.name, f"name {bar.kind}"),
        f'<rect class="{kind}" x="{x:.1f}" y="{y + 3:.1f}" width="{max(width, 1):.1f}" height="{ROW - 6}"/>',
    ]
    end = min(max(bar.values) * scale, room())
    if bar.median * scale > room():
        shapes.append(line(x + room() - 22, y + ROW - 1, x + room() - 14, y + 1, "gap"))
    else:
        shapes.append(line(x + min(bar.values) * scale, middle, x + end, middle, "spread"))
    return [*shapes, text(x + max(width, end) + 7, middle + 4.5, figure(bar.median), bar.kind)]


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or not value else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind.strip()}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
