"""The report as one page: everything inside it, so that it can be sent to somebody, and asks for nothing.

page/ has the template, the style sheet and the script; plotly.js goes in once, packed. Knows results and
tables. cli.py calls `make_html`, and so may anybody who has a result.
"""

import base64
import functools
import gzip
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastserve.rig.report import as_csv, charts, figures, summary, tables, units
from fastserve.rig.report.charts import Chart
from fastserve.rig.report.figures import Part
from fastserve.words import Refusal

NEEDS: Final = "a report needs {}: pip install 'fastserve[rig]'"


class Download(NamedTuple):
    """A file inside the page."""

    name: str
    says: str
    url: str


class Scene(NamedTuple):
    """A scenario in the page. ``key`` is its id, that of a chart is the same and a number."""

    key: str
    scenario: Part
    charts: dict[str, Chart]


class Run(NamedTuple):
    """A result in the page."""

    key: str
    result: Part
    scenes: list[Scene]
    downloads: list[Download]


def make_html(*results: Part, reference: str | None = None) -> str:
    """Return a page of one result or several, each as JSON has it.

    ``reference`` (str) names the contestant with whom the others are compared; without it that is fastserve,
    and where that took no part the first one. Raises Refusal where plotly or jinja2 is not installed.
    """
    people = list(dict.fromkeys(name for each in results for name in figures.names(each)))
    colours = {name: number for number, name in enumerate(people)}
    runs = [run(each, f"r{number}", colours) for number, each in enumerate(results, 1)]
    drawn = {key: chart.figure for one in runs for scene in one.scenes for key, chart in scene.charts.items()}
    return template(
        runs=runs, people=people, colours=colours, reference=reference, title=title(results),
        style=tightened(read("report.css")), script=tightened(read("report.js")),
        figures=inside_script(drawn), plotly=packed_plotly(),
    )


def title(results: Iterable[Part]) -> str:
    names = list(dict.fromkeys(each.get("title") or "" for each in results))
    return units.listed(list(filter(None, names))) or "A measurement of HTTP servers"


def run(result: Part, key: str, colours: Mapping[str, int]) -> Run:
    scenes = [scene(each, f"{key}-s{number}", colours) for number, each in enumerate(result["scenarios"], 1)]
    return Run(key, result, scenes, downloads(result, key))


def scene(scenario: Part, key: str, colours: Mapping[str, int]) -> Scene:
    found = charts.charts(scenario, colours)
    return Scene(key, scenario, {f"{key}-c{number}": chart for number, chart in enumerate(found, 1)})


def downloads(result: Part, key: str) -> list[Download]:
    """The raw figures, as files that a browser saves by itself."""
    what = f"{result.get('title') or 'result'} {(result.get('made') or '')[:10]}"
    name = re.sub(r"\W+", "-", what).strip("-").lower()
    return [
        Download(f"{name}.json", "The whole result, JSON", data_url("application/json", json.dumps(result))),
        Download(f"{name}-rounds.csv", "Every round, CSV", data_url("text/csv", as_csv.rounds([result]))),
        Download(f"{name}-percentiles.csv", "Latency by percentile, CSV",
                 data_url("text/csv", as_csv.percentiles([result]))),
    ]


def data_url(media_type: str, text: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(text.encode()).decode('ascii')}"


# -- What the page is made of --------------------------------------------------------------------


def template(**values: Any) -> str:
    """Return the page. Raises Refusal."""
    try:
        import jinja2
    except ImportError as error:
        raise Refusal(NEEDS.format("jinja2")) from error
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(read), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    made.filters.update(command=shlex.join, moment=units.moment, octets=units.octets, listed=units.listed)
    return made.get_template("report.html").render(
        **values, summary=summary, tables=tables, symbol=charts.symbol, figures_of=figures)


@functools.lru_cache(1)
def packed_plotly() -> str:
    """Return plotly.js by gzip in base64, which is less than half of it. Raises Refusal."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise Refusal(NEEDS.format("plotly")) from error
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode("ascii")


def read(name: str) -> str:
    return Path(__file__).with_name("page").joinpath(name).read_text("utf-8")


def tightened(text: str) -> str:
    """Return a style sheet or a script without its comments and the spaces that indent it."""
    text = re.sub(r"^[ \t]*(//.*|/\*(.|\n)*?\*/)[ \t]*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def inside_script(value: Any) -> str:
    """Return JSON that may stand in a script element."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
