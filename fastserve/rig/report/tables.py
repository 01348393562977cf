"""The rows of the report: the comparison of a scenario, and the figures of each chart for who cannot see it.

Knows results, and no markup: a Table is texts. charts, html and as_markdown call it.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from fastserve.rig.report import figures, units
from fastserve.rig.report.figures import CPU, RATE, Interval, Measure, Part, Step

DOT: Final = "\N{MIDDLE DOT}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
SHOWN: Final = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99)  # percentiles that tables have
SIDES: Final = {"above": "more", "below": "less", None: "same"}


class Cell(NamedTuple):
    """A text, a smaller one below it, and how it is marked: ``more``, ``less``, ``same``, ``wrong`` or
    ``reference``.
    """

    text: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """``rows`` begin with a name; ``people`` says that it is a contestant's, whose colour is shown."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    people: bool = True


def made(
    caption: str, headings: Sequence[str], rows: Iterable[Iterable[str | Cell]], people: bool = True,
) -> Table:
    """Return a table whose columns are those that have something in some row."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    full = [at for at in range(len(headings))
            if not at or any(row[at].text not in ("", units.NOTHING) for row in cells)]
    return Table(caption, [headings[at] for at in full], [[row[at] for at in full] for row in cells], people)


# -- The comparison ------------------------------------------------------------------------------


def comparison(scenario: Part, name: str | None = None) -> Table:
    """Everybody's medians, with intervals, and ratios to the reference of that ``name``."""
    chosen = figures.reference(scenario["contestants"], name)
    beside = f"{TIMES} {chosen['name']}" if chosen else ""
    rate = "Saturation" if scenario["kind"] == "ramp" else RATE.title
    # Elsewhere it is the load that sets the rate.
    compares = scenario["kind"] != "think" and not scenario["settings"].get("rate")
    headings = ["Server", rate, beside if compares else "", CPU.title, beside,
                *(each.title for each in figures.OTHERS), "Errors"]
    rows = [compared(each, chosen, compares) for each in scenario["contestants"]]
    return made(f"Comparison, {scenario['name']}", headings, rows)


def compared(own: Part, chosen: Part | None, by_rate: bool) -> list[Cell]:
    faults = sum(figures.errors(own).values())
    return [
        Cell(own["name"], "" if own["rounds"] else "no finished round"),
        with_interval(own, RATE), ratio(own, chosen, RATE) if by_rate else Cell(""),
        with_interval(own, CPU), ratio(own, chosen, CPU),
        *(with_interval(own, each) for each in figures.OTHERS),
        Cell(units.count(faults), "", "wrong" if faults else ""),
    ]


def with_interval(contestant: Part, measure: Measure) -> Cell:
    found = figures.interval(contestant, measure)
    if not found:
        return Cell(units.NOTHING)
    text, note = measure.write(found.value), ends(found, measure.write)
    return Cell(text, "" if note == units.between(found.value, found.value, measure.write) else note)


def ends(found: Interval, write: units.Writer) -> str:
    """An interval's; '' where there is none."""
    if found.low is None:
        return ""
    return units.between(found.low, found.high, write)


def ratio(own: Part, chosen: Part | None, measure: Measure) -> Cell:
    """To the reference; a figure whose interval has 1 in it is marked as the same."""
    if own is chosen:
        return Cell("1" if figures.interval(own, measure) else units.NOTHING, "", "reference")
    found = figures.against(own, chosen, measure) if chosen else None
    if not found:
        return Cell(units.NOTHING)
    return Cell(units.ratio(found.value), ends(found, units.ratio), SIDES[found.beside])


def glance(scenarios: Sequence[Part], name: str | None = None) -> Table | None:
    """Ratios of CPU time per request, scenarios by contestants; None where there are none."""
    people = figures.names({"scenarios": scenarios})
    rows = [[Cell(each["name"]), *(glanced(each, who, name) for who in people)] for each in scenarios]
    if not any(cell.mark in SIDES.values() for row in rows for cell in row[1:]):
        return None
    caption = "CPU time per request, beside that of the reference"
    return made(caption, ["Scenario", *people], rows, people=False)


def glanced(scenario: Part, who: str, name: str | None) -> Cell:
    own = next((each for each in scenario["contestants"] if each["name"] == who), None)
    chosen = figures.reference(scenario["contestants"], name)
    return ratio(own, chosen, CPU) if own else Cell(units.NOTHING)


def servers(scenarios: Sequence[Part], commands: bool = True) -> Table:
    """Who took part: versions, and commands or not, as they were in the first scenario of each."""
    first: dict[str, Part] = {}
    for each in (each for scenario in scenarios for each in scenario["contestants"]):
        first.setdefault(each["name"], each)
    rows = [[name, each.get("version") or units.NOTHING,
             (shlex.join(each.get("command") or ()) or "was running already") if commands else ""]
            for name, each in first.items()]
    return made("Servers", ["Server", "Version", "Command"], rows)


def of_calls(contestants: Iterable[Part]) -> Table | None:
    """System calls of a request by their names, a column for each who has them; None without any."""
    found = {each["name"]: one["calls"] for each in contestants for one in each["rounds"] if one.get("calls")}
    rows = [[name, *map(units.plain, each)] for name, each in figures.by_call(found)]
    return made("System calls of a request", ["Call", *found], rows, people=False) if rows else None


# -- The figures of charts -----------------------------------------------------------------------


def of_rounds(contestants: Iterable[Part], measure: Measure) -> Table:
    """A measure's median and interval, and every round's figure."""
    rows: list[list[str | Cell]] = []
    for each in contestants:
        found = figures.interval(each, measure)
        every = f" {DOT} ".join(measure.write(value) for value in figures.values(each, measure))
        rows.append([each["name"], measure.write(found.value if found else None),
                     ends(found, measure.write) if found else "", every])
    return made(measure.title, ["Server", "Median", f"95{units.SPACE}% interval", "Rounds"], rows)


Line = tuple[str, Sequence[tuple[float, float]]]  # a name, and pairs of per cent and seconds


def of_percentiles(lines: Iterable[Line]) -> Table:
    rows = [[name, *(units.seconds(at(points, percent)) for percent in SHOWN)] for name, points in lines]
    return made("Latency by percentile", ["Server", *map(units.share, SHOWN)], rows)


def at(points: Sequence[tuple[float, float]], percent: float) -> float | None:
    """Return the seconds of the point at a percentile, None where the line has none there."""
    return next((value for each, value in points if abs(each - percent) < 1e-6), None)


def of_memory(contestants: Iterable[Part]) -> Table:
    rows = []
    for each in contestants:
        sizes = [size for one in each["rounds"] for _, size in one.get("memory") or []]
        three = (min(sizes), median(sizes), max(sizes)) if sizes else (None, None, None)
        rows.append([each["name"], *map(units.octets, three)])
    return made("Resident memory", ["Server", "Least", "Median", "Most"], rows)


def of_steps(taken: Iterable[tuple[str, Sequence[Step]]]) -> Table:
    """A row for each step of each contestant; marked is what was not kept."""
    headings = ["Server", "Asked for", "Reached", "p50", "p99", "p99.9", CPU.title, "Errors"]
    return made("Steps", headings, [of_step(name, each) for name, found in taken for each in found])


def of_step(name: str, step: Step) -> list[str | Cell]:
    times = [units.seconds(step.times.get(key)) for key in ("50", "99", "99.9")]
    return [name, units.rate(step.asked), Cell(units.rate(step.reached), "", "" if step.kept else "wrong"),
            *times, units.seconds(step.cpu), units.count(step.errors)]
