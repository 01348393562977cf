"""The charts of a scenario, as plotly.js takes them: JSON of traces and a layout.

Each trace and each label says by ``meta`` or ``name`` whose it is, so that the page can hide one server
everywhere. Colours are names of the page's own, "@ink" or "@c0", which its script replaces by what the
reader's theme has for them. Knows results and tables, and neither markup nor plotly; html.py calls `charts`.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final, NamedTuple, TypeAlias

from fastserve.rig.report import figures, tables, units
from fastserve.rig.report.figures import CPU, MEMORY, RATE, Measure, Part, Step
from fastserve.rig.report.tables import Table

Colours: TypeAlias = Mapping[str, int]  # of names
Figure: TypeAlias = dict[str, Any]
Point: TypeAlias = tuple[float | None, float | None, str]  # x, y, what is said of it

# By which a server is told, beside its colour: plotly's name, and the same as a character.
SYMBOLS: Final = (
    ("circle", "\N{BLACK CIRCLE}"), ("square", "\N{BLACK SQUARE}"), ("diamond", "\N{BLACK DIAMOND}"),
    ("triangle-up", "\N{BLACK UP-POINTING TRIANGLE}"), ("triangle-down", "\N{BLACK DOWN-POINTING TRIANGLE}"),
    ("star", "\N{BLACK STAR}"), ("pentagon", "\N{BLACK PENTAGON}"), ("cross", "\N{HEAVY GREEK CROSS}"),
)
TALL: Final = 380  # pixels of a chart with lines
ROW, FRAME = 52, 38  # pixels of a bar, and of what is above and below all of them
NAMES, EDGE = 128, 16  # pixels to the right of lines, with names there and without
LONG: Final = 18  # characters of a name, at most, beside a bar or a line
CLEAR: Final = "rgba(0,0,0,0)"
RING: Final[Figure] = {"mode": "markers",
                       "marker": {"symbol": "circle-open", "size": 18, "line": {"width": 2.5}}}
UNCORRECTED: Final[Figure] = {"line": {"dash": "dash", "width": 1.5}}
MARKED: Final[Figure] = {"mode": "lines+markers"}


@dataclass(frozen=True)
class Chart:
    """``says`` is how it is to be read, ``table`` has the same figures. A wide one has a row for itself."""

    title: str
    says: str
    figure: Figure
    table: Table
    wide: bool = False

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.figure["layout"]["height"])


class Line(NamedTuple):
    """Points of a contestant; ``look`` is added to how plotly draws it."""

    name: str
    points: Sequence[Point]
    look: Figure = {}
    labelled: bool = True


def symbol(number: int) -> str:
    return SYMBOLS[number % len(SYMBOLS)][1]


def shortened(name: str) -> str:
    """A name for where there is little room, as plotly's markup."""
    return escape(name if len(name) <= LONG
                  else f"{name[:LONG // 2]}\N{HORIZONTAL ELLIPSIS}{name[-LONG // 2 + 1:]}")


def colour(number: int) -> str:
    return f"@c{number % len(SYMBOLS)}"


def charts(scenario: Part, colours: Colours) -> list[Chart]:
    """Return those for which a scenario has figures; ``colours`` are numbers of contestants, by name."""
    first = (against_load, rates, cost_by_load) if scenario["kind"] == "ramp" else (rates, costs)
    every = (*first, percentiles, turns, memory)
    return filled([chart for each in every if (chart := each(scenario, colours))])


def filled(found: Sequence[Chart]) -> list[Chart]:
    """Widen a chart that would stand alone in a row of two."""
    rows = [list(row) for wide, row in itertools.groupby(found, lambda chart: chart.wide) if not wide]
    alone = [id(row[-1]) for row in rows if len(row) % 2]
    return [replace(chart, wide=chart.wide or id(chart) in alone) for chart in found]


# -- Bars ----------------------------------------------------------------------------------------


def rates(scenario: Part, colours: Colours) -> Chart | None:
    if scenario["kind"] == "ramp":
        return bars(scenario, colours, RATE, "Saturation", "The highest rate that was kept; more is better.")
    asked = figures.known(scenario["settings"].get("rate"))
    more = f" Asked for were {units.rate(asked)}, the dashed line." if asked else ""
    return bars(scenario, colours, RATE, "Requests answered a second", f"More is better.{more}", asked)


def costs(scenario: Part, colours: Colours) -> Chart | None:
    says = "User and system time of all the server's processes; less is better."
    return bars(scenario, colours, CPU, "CPU time per request", says)


def bars(
    scenario: Part, colours: Colours, measure: Measure, title: str, says: str, mark: float | None = None,
) -> Chart | None:
    """Medians as bars, intervals as lines across their ends, rounds as dots; None where nobody has any."""
    people = [each for each in scenario["contestants"] if each["rounds"]]
    most = max((value for each in people for value in figures.values(each, measure)), default=None)
    if most is None:
        return None
    factor, unit = units.scale(measure.write, most)
    data = [trace for each in people for trace in bar(each, measure, colours[each["name"]], factor)]
    layout = base(ROW * len(people) + FRAME, amount_axis(unit, nticks=4, tickangle=0),
                  {"type": "category", "autorange": "reversed", "showgrid": False, "ticks": ""})
    layout["margin"] = {"l": 8, "r": 20, "t": 4, "b": 30}
    layout["shapes"] = [upright(mark / factor)] if mark else []
    says = f"{says} Bars are medians with 95{units.SPACE}% intervals, dots single rounds."
    return Chart(title, says, {"data": data, "layout": layout, "row": ROW},
                 tables.of_rounds(scenario["contestants"], measure))


def bar(contestant: Part, measure: Measure, number: int, factor: float) -> list[Figure]:
    """The bar of one, with the dots below it; its figure stands below its name."""
    found, rounds = figures.interval(contestant, measure), figures.values(contestant, measure)
    own = "\N{ZERO WIDTH SPACE}" * number  # what is labelled alike would share a row
    value = measure.write(found.value) if found else "not known"
    label = f"{shortened(contestant['name'])}{own}<br><b>{value}</b>"
    common, marker = of_somebody(contestant["name"]), {"color": colour(number)}
    one = {**common, "type": "bar", "orientation": "h", "y": [label], "x": [found and found.value / factor],
           "text": [told(found, measure)], "textposition": "none", "width": 0.4, "offset": -0.5,
           "marker": marker,
           "error_x": whisker(found, factor)}
    dots = {**common, "type": "scatter", "mode": "markers", "y": [label] * len(rounds),
            "x": [value / factor for value in rounds], "marker": {**marker, "size": 7, "opacity": 0.6},
            "text": [f"round {at}: {measure.write(value)}" for at, value in enumerate(rounds, 1)]}
    return [one, dots] if rounds else [one]


def told(found: figures.Interval | None, measure: Measure) -> str:
    if found is None:
        return "not known"
    if found.low is None:
        return f"{measure.write(found.value)}, one round"
    ends = tables.ends(found, measure.write)
    return f"median {measure.write(found.value)}, 95{units.SPACE}% interval {ends}"


def whisker(found: figures.Interval | None, factor: float) -> Figure:
    if found is None or found.low is None or found.high is None:
        return {"visible": False}
    return {"type": "data", "symmetric": False, "array": [(found.high - found.value) / factor],
            "arrayminus": [(found.value - found.low) / factor], "color": "@ink", "thickness": 1.75,
            "width": 6}


def of_somebody(name: str) -> Figure:
    """Whose a trace is. Plotly takes %{ in a template for a variable, so a name there has none."""
    shown = escape(name).replace("%{", "%&#123;")
    return {"meta": name, "hovertemplate": f"<b>{shown}</b><br>%{{text}}<extra></extra>"}


def upright(x: float) -> Figure:
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": "@quiet", "width": 1.5, "dash": "dash"}}


# -- Latency -------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """Latency by percentile, pairs of per cent and seconds; ``kind`` is '' or "uncorrected"."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.name}, {self.kind}" if self.kind else self.name


def percentiles(scenario: Part, colours: Colours) -> Chart | None:
    """Latency by percentile; of a ramp at the highest rate that everybody kept."""
    rate = figures.common_rate(scenario) if scenario["kind"] == "ramp" else None
    found = [each for one in scenario["contestants"] for each in curves(one, scenario, rate) if each.points]
    if not found:
        return None
    lines = [Line(each.name, [spot(*point, each.kind) for point in each.points],
                  UNCORRECTED if each.kind else {}, not each.kind) for each in found]
    table = tables.of_percentiles((each.full_name, each.points) for each in found)
    title = f"Latency by percentile, at {units.rate(rate)}" if rate else "Latency by percentile"
    says = reading(scenario, bool(rate), any(each.kind for each in found))
    return drawn(title, says, lines, base(TALL, percent_axis(), time_axis()), colours, table, wide=True)


def curves(contestant: Part, scenario: Part, rate: float | None) -> list[Curve]:
    name = contestant["name"]
    if rate is not None:
        found = [each for each in figures.steps(contestant, scenario) if each.asked == rate]
        return [Curve(name, figures.curve_of(each.latencies)) for each in found]
    return [Curve(name, figures.curve(contestant)),
            Curve(name, figures.curve(contestant, "uncorrected"), "uncorrected")]


def reading(scenario: Part, is_step: bool, has_both: bool) -> str:
    said = f"Where a line crosses 99{units.SPACE}%, 99 of 100 answers took no longer; lower is better."
    if has_both:
        said += " Solid lines count from when a request was due, dashed ones from when it was sent."
    if is_step:
        said += " The rate is the highest that all servers kept."
    if scenario["kind"] == "closed":
        said += " In a closed loop this is the wait under full load: the higher the rate, the shorter."
    return said


def spot(percent: float, value: float, kind: str) -> Point:
    """A point of a percentile, where 1/(1-p) puts it."""
    shown = units.share(round(percent, 4 if percent > 99.9 else 2))
    said = f"{shown} within {units.seconds(value)}"
    return float(f"{100 / (100 - percent):.5g}"), float(f"{value:.5g}"), f"{kind}: {said}" if kind else said


# -- Under rising load ---------------------------------------------------------------------------


def steps(scenario: Part) -> list[tuple[str, list[Step]]]:
    every = [(each["name"], figures.steps(each, scenario)) for each in scenario["contestants"]]
    return [(name, found) for name, found in every if found]


def against_load(scenario: Part, colours: Colours) -> Chart | None:
    """p99 by the rate that was reached, and where each is saturated."""
    taken = steps(scenario)
    if not taken:
        return None
    lines = [Line(name, [loaded(one) for one in found], MARKED) for name, found in taken]
    rings = [Line(name, [saturated(kept[-1])], RING, False) for name, found in taken
             if (kept := figures.kept(found))]
    says = ("The time within which 99 of 100 answers came (p99), while more and more was asked for. Where a "
            "line turns up, the server is saturated; the ring is the highest rate that it kept.")
    return drawn("Latency under rising load", says, [*lines, *rings],
                 base(TALL + 40, rate_axis(), time_axis()),
                 colours, tables.of_steps(taken), wide=True, at_ends=True)


def loaded(step: Step) -> Point:
    times = ", ".join(f"p{key} {units.seconds(step.times[key])}" for key in ("50", "99", "99.9")
                      if key in step.times)
    said = f"asked {units.rate(step.asked)}, answered {units.rate(step.reached)}<br>{times}"
    if step.cpu is not None:
        said += f"<br>{units.seconds(step.cpu)} of CPU per request"
    return step.reached, step.times.get("99"), said


def saturated(step: Step) -> Point:
    return step.reached, step.times.get("99"), f"saturation: {units.rate(step.reached)} kept"


def cost_by_load(scenario: Part, colours: Colours) -> Chart | None:
    taken = steps(scenario)
    lines = [Line(name, [costing(one) for one in found if one.cpu is not None], MARKED)
             for name, found in taken]
    scaled, axis = in_units(lines, CPU)
    if not scaled:
        return None
    return drawn("CPU time per request under rising load",
                 "What a request costs at each step; less is better.",
                 scaled, base(TALL, rate_axis(), axis), colours, tables.of_steps(taken), at_ends=True)


def costing(step: Step) -> Point:
    return step.reached, step.cpu, f"{units.rate(step.reached)}: {units.seconds(step.cpu)} per request"


# -- Over time -----------------------------------------------------------------------------------


def turns(scenario: Part, colours: Colours) -> Chart | None:
    """Every round when it ran: what drifts on the machine is seen by its drift in all of them."""
    ramp = scenario["kind"] == "ramp"
    has_cpu = any(figures.values(each, CPU) for each in scenario["contestants"])
    measure = CPU if has_cpu and not ramp else RATE
    look = {**MARKED, "line": {"width": 1}}
    lines, axis = in_units([Line(each["name"], in_time(each, measure), look)
                            for each in scenario["contestants"]],
                           measure)
    if not lines:
        return None
    return drawn(f"{'Saturation' if ramp else measure.title}, round by round",
                 "Servers took turns, so what slows the machine for a while slows all of them.", lines,
                 base(TALL, {"title": axis_title("Seconds since the run began")}, axis), colours,
                 tables.of_rounds(scenario["contestants"], measure))


def in_time(contestant: Part, measure: Measure) -> list[Point]:
    found = [(at, figures.known(each.get("began")), measure.of(each))
             for at, each in enumerate(contestant["rounds"], 1)]
    return [(began, value, f"round {at}: {measure.write(value)}")
            for at, began, value in found if began is not None and value is not None]


def memory(scenario: Part, colours: Colours) -> Chart | None:
    """Resident memory in each round; a gap lies between two of them."""
    look = {"line": {"width": 1.5}}
    lines, axis = in_units([Line(each["name"], in_memory(each), look) for each in scenario["contestants"]],
                           MEMORY)
    if not lines:
        return None
    says = ("Of all the server's processes, a line for each round; less is better. What processes share "
            "counts in each of them.")
    layout = base(TALL, {"title": axis_title("Seconds since the round began"), "rangemode": "tozero"}, axis)
    return drawn("Resident memory", says, lines, layout, colours, tables.of_memory(scenario["contestants"]))


def in_memory(contestant: Part) -> list[Point]:
    points: list[Point] = []
    for at, each in enumerate(contestant["rounds"], 1):
        samples = each.get("memory") or []
        points += [(round(when - samples[0][0], 3), size, f"round {at}: {units.octets(size)}")
                   for when, size in samples]
        points.append((None, None, ""))
    return points[:-1] if any(y for _, y, _ in points) else []


# -- What lines have in common -------------------------------------------------------------------


def drawn(
    title: str, says: str, lines: Sequence[Line], layout: Figure, colours: Colours, table: Table, *,
    wide: bool = False, at_ends: bool = False,
) -> Chart:
    """Return a chart of lines, whose names stand to the right of all, or each where its line ends."""
    data = [traced(line, colours[line.name]) for line in lines]
    layout["annotations"] = [label for line in lines
                             for label in named(line, layout, colours[line.name], at_ends)]
    layout["margin"]["r"] = EDGE if at_ends else NAMES
    return Chart(title, says, {"data": data, "layout": layout}, table, wide)


def traced(line: Line, number: int) -> Figure:
    xs, ys, texts = zip(*line.points, strict=True)
    look, marker = line.look, line.look.get("marker", {})
    return {
        "type": "scatter", "mode": "lines", **of_somebody(line.name), "x": xs, "y": ys, "text": texts,
        "connectgaps": False, **look,
        "line": {"color": colour(number), "width": 2.25, **look.get("line", {})},
        "marker": {"symbol": SYMBOLS[number % len(SYMBOLS)][0], "size": 8, "color": colour(number), **marker,
                   "line": {"color": colour(number), **marker.get("line", {})}},
    }


def named(line: Line, layout: Figure, number: int, at_end: bool) -> list[Figure]:
    """A name beside the end of a line. The page's script moves apart what would cover each other."""
    ends = [(x, y) for x, y, _ in line.points if x is not None and y]  # 0 has no place on a logarithmic axis
    if not ends or not line.labelled:
        return []
    x, y = max(ends)
    mark = f'<span style="color:{colour(number)}">{symbol(number)}</span>'
    where = {"xref": "x", "x": as_drawn(x, layout["xaxis"])} if at_end else {"xref": "paper", "x": 1}
    return [{"name": line.name, **where, "yref": "y", "y": as_drawn(y, layout["yaxis"]), "xanchor": "left",
             "xshift": 8, "showarrow": False, "text": f"{mark} {shortened(line.name)}"}]


def as_drawn(value: float, axis: Figure) -> float:
    """What plotly calls a value on an axis: its logarithm, on a logarithmic one."""
    return math.log10(value) if axis.get("type") == "log" else value


def in_units(lines: Iterable[Line], measure: Measure) -> tuple[list[Line], Figure]:
    """Return those lines that have points, in the unit that fits all of them, and an axis for it."""
    some = [line for line in lines if line.points]
    factor, unit = units.scale(measure.write,
                               max((y or 0 for line in some for _, y, _ in line.points), default=0))
    return [line._replace(points=[(x, y if y is None else y / factor, said) for x, y, said in line.points])
            for line in some], amount_axis(unit)


# -- Axes ----------------------------------------------------------------------------------------


def base(height: int, xaxis: Figure, yaxis: Figure) -> Figure:
    """What all charts are like."""
    common = {"gridcolor": "@line", "linecolor": "@edge", "zerolinecolor": "@edge", "automargin": True,
              "tickfont": {"color": "@quiet"}}
    return {
        "height": height, "margin": {"l": 8, "r": EDGE, "t": 12, "b": 48}, "showlegend": False,
        "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "font": {"size": 13, "color": "@ink"},
        "hovermode": "closest", "hoverdistance": 30,
        "hoverlabel": {"bgcolor": "@raised", "bordercolor": "@edge", "font": {"color": "@ink"},
                       "align": "left"},
        "xaxis": {**common, **xaxis}, "yaxis": {**common, **yaxis},
    }


def axis_title(text: str) -> Figure:
    return {"text": text, "font": {"size": 12, "color": "@quiet"}, "standoff": 8}


def percent_axis() -> Figure:
    """Of 1/(1-p), logarithmic, named by the percentiles."""
    shares = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)
    return {"type": "log", "tickvals": [100 / (100 - each) for each in shares], "tickangle": 0,
            "ticktext": [f"{each:.7g}" for each in shares], "title": axis_title("Share of the answers, %")}


def time_axis() -> Figure:
    """Of seconds, logarithmic: with 1, 2 and 5 of each decade from a microsecond on."""
    values = [mark * 10.0**power for power in range(-6, 3) for mark in (1, 2, 5)]
    return {"type": "log", "tickvals": values,
            "ticktext": [units.trimmed(units.seconds(each)) for each in values]}


def rate_axis() -> Figure:
    return amount_axis("", title=axis_title("Requests answered a second"))


def amount_axis(unit: str, **more: Any) -> Figure:
    """From 0 on. The ticks' format is d3-format's: digits in groups, and no zeros at the end."""
    return {"rangemode": "tozero", "tickformat": ",~r", "ticksuffix": unit, **more}
