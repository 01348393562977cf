"""The charts of a report: what they show, that plotly takes them, that their colours can be told apart.

What a browser draws of them is in test_report_page.py.
"""

import itertools
import math
import re
from typing import Any

import pytest

from fastserve.rig.report import charts, figures, html, units
from rig import results

pytest.importorskip("hdrh")

Result = dict[str, Any]


@pytest.fixture(scope="module")
def everything() -> Result:
    """All kinds of scenarios."""
    return results.result(1)


def scenario_of(kind: str, **options: Any) -> Result:
    found: Result = results.result(1, [kind], **options)["scenarios"][0]
    return found


def spaced(text: str) -> str:
    """With plain spaces."""
    return text.replace(units.SPACE, " ")


# -- Charts ------------------------------------------------------------------------------------


def every_chart(result: Result) -> list[charts.Chart]:
    colours = {name: number for number, name in enumerate(figures.names(result))}
    return [chart for each in result["scenarios"] for chart in charts.charts(each, colours)]


def colours_of(theme: int) -> dict[str, str]:
    """The colours of the style sheet, light (0) or dark (1), by their names."""
    pairs = re.findall(r"--([a-z0-9]+): light-dark\((#\w+), (#\w+)\)", html.read("report.css"))
    return {name: pair[theme] for name, *pair in pairs}


def themed(part: Any, theme: dict[str, str]) -> Any:
    """What the page's script does."""
    if isinstance(part, str):
        return re.sub(r"color:@(\w+)", lambda match: "color:" + theme[match[1]],
                      theme[part[1:]] if part.startswith("@") else part)
    if isinstance(part, (list, tuple)):
        return [themed(each, theme) for each in part]
    if isinstance(part, dict):
        return {key: themed(each, theme) for key, each in part.items()}
    return part


@pytest.mark.parametrize("theme", [0, 1])
def test_plotly_takes_every_figure(theme: int, everything: Result) -> None:
    """Its Python half knows each property of traces and layouts, and what it may be."""
    graph = pytest.importorskip("plotly.graph_objects")
    for chart in every_chart(everything):
        found = themed(chart.figure, colours_of(theme))
        found.pop("row", None)
        graph.Figure(found)
    with pytest.raises(ValueError):
        graph.Figure({"data": [{"type": "bar", "orientatoin": "h"}]})


@pytest.mark.parametrize(("kind", "titles"), [
    ("closed", ["Requests answered a second", "CPU time per request", "Latency by percentile",
                "CPU per request, round by round", "Resident memory"]),
    ("ramp", ["Latency under rising load", "Saturation", "CPU time per request under rising load",
              "Latency by percentile, at 60,000/s", "Saturation, round by round", "Resident memory"]),
])
def test_which_charts_there_are(kind: str, titles: list[str]) -> None:
    scenario = scenario_of(kind, servers=results.SERVERS[:2])
    assert [each.title for each in charts.charts(scenario, {"fastserve": 0, "nginx": 1})] == titles


def test_everything_drawn_is_somebody_s(everything: Result) -> None:
    people = set(figures.names(everything))
    for chart in every_chart(everything):
        assert {each["meta"] for each in chart.figure["data"]} <= people
        assert {each["name"] for each in chart.figure["layout"].get("annotations", [])} <= people
        assert chart.table.rows
        for trace in chart.figure["data"]:
            assert len(trace["x"]) == len(trace["y"]) == len(trace["text"])


def test_bars_show_median_interval_and_rounds() -> None:
    scenario = scenario_of("closed", servers=results.SERVERS[:2], rounds=3)
    every = ([1e-5] * 3, [1.0e-5, 1.2e-5, 1.4e-5])
    for contestant, costs in zip(scenario["contestants"], every, strict=True):
        for one, cost in zip(contestant["rounds"], costs, strict=True):
            one["cpu_per_request"] = cost
    chart = charts.costs(scenario, {"fastserve": 0, "nginx": 1})
    assert chart is not None
    bar, dots = chart.figure["data"][2:]
    assert (bar["x"], dots["x"]) == (pytest.approx([12.0]), pytest.approx([10.0, 12.0, 14.0]))
    assert spaced(chart.figure["layout"]["xaxis"]["ticksuffix"]) == " μs"
    assert bar["error_x"]["array"] == [pytest.approx(2.0)]
    assert chart.figure["data"][0]["error_x"]["array"] == [0.0]


def test_uncorrected_latency_is_dashed() -> None:
    chart = charts.percentiles(scenario_of("rate", servers=results.SERVERS[:1]), {"fastserve": 0})
    assert chart is not None
    corrected, uncorrected = chart.figure["data"]
    assert (corrected["line"].get("dash"), uncorrected["line"]["dash"]) == (None, "dash")
    assert corrected["line"]["color"] == uncorrected["line"]["color"]
    assert corrected["y"][-1] > uncorrected["y"][-1]
    assert "dashed ones" in chart.says


def test_a_percentile_stands_at_the_inverse_of_what_is_beyond_it() -> None:
    chart = charts.percentiles(scenario_of("closed", servers=results.SERVERS[:1]), {"fastserve": 0})
    assert chart is not None
    assert {1.0, 2.0, 10.0, 100.0} <= {round(x, 6) for x in chart.figure["data"][0]["x"]}
    axis = chart.figure["layout"]["xaxis"]
    assert axis["ticktext"][axis["tickvals"].index(pytest.approx(1000))] == "99.9"


def test_memory_is_counted_from_the_begin_of_a_round() -> None:
    chart = charts.memory(scenario_of("closed", servers=results.SERVERS[:1], rounds=3), {"fastserve": 0})
    assert chart is not None
    [trace] = chart.figure["data"]
    pieces = [list(piece) for is_gap, piece in itertools.groupby(trace["x"], lambda x: x is None)
              if not is_gap]
    assert [piece[0] for piece in pieces] == [0.0, 0.0, 0.0]


# -- Colours -----------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes 2009, of linear light, where a kind of cone is missing.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520)),
    "deutan": ((0.3673, 0.8606, -0.2280), (0.2801, 0.6725, 0.0474), (-0.0118, 0.0429, 0.9689)),
    "tritan": ((1.2555, -0.0767, -0.1788), (-0.0784, 0.9309, 0.1476), (0.0047, 0.6914, 0.3039)),
}
CONES = ((0.4122, 0.5363, 0.0514), (0.2119, 0.6807, 0.1074), (0.0883, 0.2817, 0.6300))
LAB = ((0.2105, 0.7936, -0.0041), (1.9780, -2.4286, 0.4506), (0.0259, 0.7828, -0.8087))
Colour = tuple[float, ...]


def linear(colour: str) -> Colour:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def contrast(one: str, two: str) -> float:
    """By WCAG 2."""
    low, high = sorted(times(((0.2126, 0.7152, 0.0722),), linear(each))[0] for each in (one, two))
    return (high + 0.05) / (low + 0.05)


def times(matrix: tuple[Colour, ...], colour: Colour) -> Colour:
    return tuple(sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)


def oklab(colour: Colour) -> Colour:
    """Coordinates whose distance is that of what is seen (Ottosson 2020)."""
    return times(LAB, tuple(max(part, 0) ** (1 / 3) for part in times(CONES, colour)))


def seen(colour: str, blindness: str) -> Colour:
    return oklab(tuple(min(max(part, 0), 1) for part in times(BLINDNESS[blindness], linear(colour))))


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_stand_out(theme: int) -> None:
    """Graphics by 3 to 1 from what they are on, text by 4.5 (WCAG 2, 1.4.11 and 1.4.3)."""
    found = colours_of(theme)
    for ground in ("ground", "raised"):
        for name in ("ink", "quiet", "accent", "bad"):
            assert contrast(found[name], found[ground]) >= 4.5, name
        for number in range(len(charts.SYMBOLS)):
            assert contrast(found[f"c{number}"], found[ground]) >= 3, number


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_are_told_apart(blindness: str, theme: int) -> None:
    """By whom red and green, or blue and yellow, look alike too; the first six more surely than all."""
    found = colours_of(theme)
    points = [seen(found[f"c{number}"], blindness) for number in range(len(charts.SYMBOLS))]
    for count, least in ((6, 0.08), (len(charts.SYMBOLS), 0.07)):
        for one, other in itertools.combinations(range(count), 2):
            assert math.dist(points[one], points[other]) >= least, (one, other)
