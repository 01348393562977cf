"""Results as Markdown as GitHub reads it, for a README, a file of results or the summary of a CI job.

Lines and tables, and no HTML. What a result says is text: nothing in it is markup or ends a cell. Knows
results, and no files. Two modules called cli call make_markdown().
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from fastserve.rig.report import figures, summary, tables, units
from fastserve.rig.report.figures import BESIDE, CALLS, CPU, IDLE, MEMORY, P50, P99, RATE, Measure, Part
from fastserve.rig.report.tables import Cell, Table

# What would be markup. An underscore is none inside a word; an address would become a link, and a backslash
# escapes nothing there.
MARKUP: Final = re.compile(r"[\\`*\[\]<>|~&#$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
MARKS: Final = {"reference": "**", "wrong": "*"}
MANY: Final = 8  # columns that can be read beside each other
SHORT: Final = 7  # digits of a commit that name it
MEASURES: Final = (P50, P99, MEMORY, IDLE, BESIDE)  # beside the rate and CPU time
SETTINGS: Final = {
    "connections": "{} connections", "rate": "{} asked for", "think": "pauses of {}", "driver": "load by {}",
}


def make_markdown(*results: Part, reference: str | None = None) -> str:
    """Return the Markdown (str) of one result or several, each as JSON has it.

    ``reference`` (str) names the contestant with whom the others are compared; without it that is fastserve,
    and where that took no part the first one.
    """
    return "\n\n".join(block for each in results for block in told(each, reference)) + "\n"


def told(result: Part, reference: str | None) -> Iterator[str]:
    """The blocks of a result, between which a line is empty."""
    yield where(result)
    if result.get("interrupted"):
        yield "Interrupted: this is what had been measured."
    if found := overview(result["scenarios"], reference):
        yield sheet(found)
    for each in result["scenarios"]:
        yield from scene(each, reference)
    yield from people(result)


def scene(scenario: Part, reference: str | None) -> Iterator[str]:
    yield heading(scenario)
    yield how(scenario)
    if scenario["contestants"]:
        yield sheet(comparison(scenario, reference))
    taken = [(each["name"], figures.steps(each, scenario)) for each in scenario["contestants"]]
    if any(steps for _, steps in taken):
        yield "Step by step; who reached a rate in italics did not keep pace:"
        yield sheet(tables.of_steps(taken))
    if calls := tables.of_calls(scenario["contestants"]):
        yield f"{calls.caption}:"
        yield sheet(calls)
    if noticed := summary.notes(scenario):
        yield listed(noticed)


def people(result: Part) -> Iterator[str]:
    """Who took part; who was left out, and why."""
    found = tables.servers(result["scenarios"], commands=False)
    if found.rows:
        yield sheet(found, texts=len(found.headings))
    if result.get("left_out"):
        yield "Left out:"
        yield listed(result["left_out"].items())


# -- Lines ---------------------------------------------------------------------------------------


def where(result: Part) -> str:
    """What was measured, when, on what and by what: a figure must name it to be worth keeping."""
    machine = result.get("machine") or {}
    cores = summary.plural(machine["cores"], "core") if machine.get("cores") else ""
    tools = (f"{name} {version}" for name, version in (result.get("tools") or {}).items())
    run = [strong(result.get("title") or "Measured"), commit(result), units.moment(result.get("made") or "")]
    place = [machine.get("python"), machine.get("kernel"), joined([cores, machine.get("cpu")], " of ")]
    return joined([joined(run), *(escaped(joined(each)) for each in (place, tools))], "; ")


def commit(result: Part) -> str:
    """In short; a + says that files had changed since."""
    found = result.get("commit") or ""
    return escaped(f"commit {found[:SHORT]}{'+' if found.endswith('+') else ''}") if found else ""


def heading(scenario: Part) -> str:
    name, title = scenario["name"], scenario.get("title")
    return f"### {escaped(f'{name}: {title}' if title and title != name else name)}"


def how(scenario: Part) -> str:
    """What the load was."""
    found = summary.settings(scenario, SETTINGS)
    said = [SETTINGS[name].format(value) for name, value in found]
    return escaped(joined([scenario["kind"], *said, rounds(scenario)], "; "))


def rounds(scenario: Part) -> str:
    """How many there were, and what is made of them; '' where there was none."""
    counts = [len(each["rounds"]) for each in scenario["contestants"] if each["rounds"]]
    if not counts:
        return ""
    length = (value for _, value in summary.settings(scenario, ["seconds"]))
    said = joined([summary.span(counts), *length], " of steps of " if scenario["kind"] == "ramp" else " of ")
    return said if max(counts) == 1 else f"medians (least{units.NOTHING}most) of {said}"


def listed(items: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {strong(name)}: {escaped(says)}" for name, says in items)


# -- Rows ----------------------------------------------------------------------------------------


def comparison(scenario: Part, name: str | None) -> Table:
    """Everybody's medians, with the least and the most of the rounds; the row of the reference is marked."""
    everybody = scenario["contestants"]
    chosen = figures.reference(everybody, name)
    beside = chosen if is_compared(everybody, chosen) else None
    headings = [
        "Server", "Saturation, requests/s" if scenario["kind"] == "ramp" else "Requests/s", CPU.title,
        f"{tables.TIMES} {beside['name']}" if beside else "", *(each.title for each in MEASURES),
        "Errors", CALLS.title,
    ]
    rows = [marked(ranges(each, beside), each is chosen) for each in everybody]
    return tables.made(f"Medians and ranges, {scenario['name']}", headings, rows)


def is_compared(everybody: Iterable[Part], chosen: Part | None) -> bool:
    """Whether there is a ratio beside that of the reference to itself, which says nothing alone."""
    return any(figures.ratios(each, chosen, CPU) for each in everybody if chosen and each is not chosen)


def ranges(own: Part, beside: Part | None) -> list[Cell]:
    faults = sum(figures.errors(own).values())
    ratios = figures.ratios(own, beside, CPU) if beside else []
    return [
        Cell(own["name"], "" if own["rounds"] else "no finished round"),
        spread(figures.values(own, RATE), units.plain), spread(figures.values(own, CPU), CPU.write),
        Cell("1") if own is beside else spread(ratios, units.ratio),
        *(spread(figures.values(own, each), each.write) for each in MEASURES),
        Cell(units.count(faults) if faults else ""), spread(figures.values(own, CALLS), CALLS.write),
    ]


def marked(row: Iterable[Cell], is_reference: bool) -> list[Cell]:
    return [cell._replace(mark="reference") if is_reference else cell for cell in row]


def spread(values: Sequence[float], write: units.Writer) -> Cell:
    """The median, and the least and the most: with a unit where theirs differ, not where all are alike."""
    if not values:
        return Cell(units.NOTHING)
    low, text, high = (write(each) for each in (min(values), median(values), max(values)))
    if low == text == high:
        return Cell(text)
    unit = units.UNIT.search(text)
    if unit and low.endswith(unit[0]) and high.endswith(unit[0]):
        low, high = low.removesuffix(unit[0]), high.removesuffix(unit[0])
    return Cell(text, f"{low}{units.NOTHING}{high}")


def overview(scenarios: Iterable[Part], name: str | None) -> Table | None:
    """Medians, a row for each scenario: CPU time of a request, or the rate where none is known.

    Many contestants have a row each instead. None where nothing is known.
    """
    known = [(each, measure) for each in scenarios if (measure := measure_of(each))]
    everybody = figures.names({"scenarios": [each for each, _ in known]})
    titles = dict.fromkeys(measure.title for _, measure in known)
    rows = [[Cell(each.get("title") or each["name"]), *medians(each, measure, everybody, name)]
            for each, measure in known]
    caption = " or ".join(titles)
    if len(everybody) > MANY:
        columns = [row[1:] for row in rows]
        rows = [[Cell(who), *(column[at] for column in columns)] for at, who in enumerate(everybody)]
        return tables.made(caption, [caption, *(each["name"] for each, _ in known)], rows)
    return tables.made(caption, [caption, *everybody], rows, people=False) if rows else None


def measure_of(scenario: Part) -> Measure | None:
    """By what a scenario is told in one figure; None where nothing is known."""
    everybody = scenario["contestants"]
    return next((each for each in (CPU, RATE) if any(figures.values(own, each) for own in everybody)), None)


def medians(scenario: Part, measure: Measure, everybody: Iterable[str], name: str | None) -> list[Cell]:
    """A cell for each name: that of the reference is marked, that of who took no part is empty."""
    every = {each["name"]: figures.values(each, measure) for each in scenario["contestants"]}
    chosen = (figures.reference(scenario["contestants"], name) or {}).get("name")
    known = {who: median(values) for who, values in every.items() if values}
    texts = {**dict.fromkeys(every, units.NOTHING), **in_one_unit(known, chosen, measure.write)}
    return [Cell(texts.get(who, ""), "", "reference" if who == chosen else "") for who in everybody]


def in_one_unit(known: Mapping[str, float], chosen: str | None, write: units.Writer) -> dict[str, str]:
    """Texts, of which one has the unit: that of the reference, or the first one where it has no figure."""
    first = next((who for who in (chosen, *known) if who and known.get(who)), "")
    scale, _ = units.scale(write, known.get(first, 0.0))
    return {who: write(value) if who == first else units.plain(value / scale) for who, value in known.items()}


# -- Markdown ------------------------------------------------------------------------------------


def sheet(table: Table, texts: int = 1) -> str:
    """A table as lines: the first columns to the left, figures to the right."""
    sides = ["---"] * texts + ["---:"] * (len(table.headings) - texts)
    return "\n".join([line(map(escaped, table.headings)), line(sides),
                      *(line(map(content, row)) for row in table.rows)])


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def content(cell: Cell) -> str:
    said = strong(cell.text, MARKS.get(cell.mark, ""))
    return f"{said} ({escaped(cell.note)})" if cell.note else said


def strong(text: str, mark: str = "**") -> str:
    said = escaped(text)
    return f"{mark}{said}{mark}" if said else ""


def escaped(text: str) -> str:
    """A text in one line, in which nothing is markup."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.splitlines()).strip())


def joined(parts: Iterable[str | None], between: str = ", ") -> str:
    """Those that say something."""
    return between.join(filter(None, parts))
