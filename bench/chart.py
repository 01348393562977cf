"""Draws what run.py has measured, as SVG: a panel for each workload, a bar for each server.

Colours follow the reader's, light or dark, and the background is the picture's own, so that text can be read
anywhere. Knows entries, and no files. results.py calls `drawn`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from html import escape

from report import Entry
from workloads import Workload

WIDTH, COLUMNS, GAP, MARGIN = 1000, 2, 40, 24
ROW, TITLE, FOOT = 21, 46, 18  # heights
NAMES, FIGURES = 140, 66  # widths, left and right of the bars
FAR = 9  # times the least: bars beyond it are broken off
OURS, REFERENCE = "fastserve", "floor"
LEGEND = ("Bars are medians of rounds in turns, lines the least and the most; a bar that is cut is longer. "
          "Floor: a C program of nothing but socket calls.")

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.page { fill: #ffffff }
.title { font-size: 15px; font-weight: 600 }
.unit, .note { fill: #59636e; font-size: 12px }
.name { text-anchor: end }
.our { font-weight: 600 }
.bar { fill: #afb8c1 }
.bar.our { fill: #0969da }
.bar.reference { fill: #d8dee4 }
.line { stroke: #59636e; stroke-dasharray: 2 3 }
.spread { stroke: #1f2328; stroke-width: 1.5 }
.gap { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .page { fill: #0d1117 }
  .unit, .note { fill: #9198a1 }
  .bar { fill: #565f6a }
  .bar.our { fill: #4493f8 }
  .bar.reference { fill: #30363d }
  .line { stroke: #9198a1 }
  .spread { stroke: #f0f6fc }
  .gap { stroke: #0d1117 }
}
"""


@dataclass(frozen=True)
class Bar:
    name: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def kind(self) -> str:
        return "our" if self.name.startswith(OURS) else "reference" if self.name == REFERENCE else ""


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
        return (panel_width() - NAMES - FIGURES) / max(min(most, least * FAR), 1e-9)


def panel_width() -> float:
    return (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS


def panel(workload: Workload, entries: list[Entry]) -> Panel:
    """The cheapest first."""
    if workload.idle:
        unit = "resident bytes of an idle connection"
        bars = [Bar(entry.name, [r.idle.bytes_each for r in entry.rounds if r.idle]) for entry in entries]
    else:
        unit = "CPU seconds of a gigabyte" if workload.per_gigabyte else "CPU microseconds of a request"
        bars = [Bar(entry.name, entry.costs) for entry in entries]
    return Panel(workload.title, unit, sorted(bars, key=lambda bar: bar.median))


def drawn(panels: list[Panel], heading: str) -> str:
    """The whole picture."""
    shapes, y = [text(MARGIN, 30, heading, "note"), text(MARGIN, 48, LEGEND, "note")], 58.0
    for at in range(0, len(panels), COLUMNS):
        row = panels[at:at + COLUMNS]
        for column, each in enumerate(row):
            shapes += panel_shapes(each, MARGIN + column * (panel_width() + GAP), y)
        y += max(each.height for each in row)
    size = f'viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(heading)}</title>", f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{y:.0f}" rx="6"/>', *shapes, "</svg>", "",
    ])


def panel_shapes(each: Panel, x: float, y: float) -> list[str]:
    scale, top = each.scale(), y + TITLE
    shapes = [text(x, y + 20, each.title, "title"), text(x, y + 38, each.unit, "unit")]
    for number, bar in enumerate(each.bars):
        shapes += bar_shapes(bar, x + NAMES, top + number * ROW, scale)
    for bar in each.bars:
        if bar.kind == "reference" and bar.median:
            at, bottom = x + NAMES + bar.median * scale, top + len(each.bars) * ROW
            shapes.append(line(at, top - 2, at, bottom + 2, "line"))
    return shapes


def bar_shapes(bar: Bar, x: float, y: float, scale: float) -> list[str]:
    room = panel_width() - NAMES - FIGURES
    width, middle, kind = min(bar.median * scale, room), y + ROW / 2, f"bar {bar.kind}".strip()
    shapes = [
        text(x - 8, middle + 4.5, bar.name, f"name {bar.kind}"),
        f'<rect class="{kind}" x="{x:.1f}" y="{y + 3:.1f}" width="{max(width, 1):.1f}" height="{ROW - 6}"/>',
    ]
    end = min(max(bar.values) * scale, room)
    if bar.median * scale > room:
        shapes.append(line(x + room - 22, y + ROW - 1, x + room - 14, y + 1, "gap"))
    else:
        shapes.append(line(x + min(bar.values) * scale, middle, x + end, middle, "spread"))
    return [*shapes, text(x + max(width, end) + 7, middle + 4.5, figure(bar.median), bar.kind)]


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or not value else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind.strip()}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
