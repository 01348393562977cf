"""Results as Markdown: which lines and tables, figures beside those counted by hand, and names that are text.

Tables are read as GitHub reads them: a pipe behind a backslash ends no cell.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig import cli
from fastserve.rig.measure import engine, result
from fastserve.rig.measure.result import Contestant, Errors, Result, Round, Scenario, Step
from fastserve.rig.report import as_markdown, figures, units
from fastserve.rig.report.as_markdown import make_markdown
from fastserve.rig.report.figures import CPU
from rig import results
from rig.making import contestant_of, latency_of, result_of, round_of, scenario_of

pytest.importorskip("hdrh")

Rows = list[list[str]]
WICKED = ["a|b", "a\\|b", "\\", "`x`", "<b>x</b>", "<!--", "two\r\nlines\u2028x", "*x*", "__init__", "a_b",
          "_x", "[a](b)", "~~x~~", "&#124;", "# x", "$a$", "https://a.example/?b=1&c=2|", "WWW.a.example/&",
          "**", "---", "| --- |"]
PLAIN = str.maketrans({units.SPACE: " ", units.NOTHING: "-", "\N{MULTIPLICATION SIGN}": "x"})
BUSY = "wrk took 99 % of its core"


def said(*made: Result, reference: str | None = None) -> str:
    """The Markdown of results, with the spaces, dashes and times of a keyboard."""
    return make_markdown(*(each.to_json() for each in made), reference=reference).translate(PLAIN)


def tables_of(text: str) -> list[Rows]:
    """The cells of each table, without the row of lines; each row has as many as the headings."""
    blocks = [block.splitlines() for block in text.strip().split("\n\n") if block.startswith("|")]
    return [rows_of(lines) for lines in blocks]


def rows_of(lines: list[str]) -> Rows:
    assert re.fullmatch(r"\|( --- \|)+( ---: \|)*", lines[1]), lines[1]
    assert len({len(cells(line)) for line in lines}) == 1, lines
    return [cells(line) for line in (lines[0], *lines[2:])]


def cells(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in re.findall(r"((?:\\.|[^\\|])*)\|", line[1:])]


def read(cell: str) -> str:
    """What a reader sees of a cell without a mark."""
    return re.sub(r"\\(.)", r"\1", cell)


def column(table: Rows, heading: str) -> list[str]:
    return [row[table[0].index(heading)] for row in table[1:]]


def of_rounds(name: str, figures_: list[tuple[float, float | None]], **options: Any) -> Contestant:
    """A contestant by the rates and CPU times of its rounds."""
    return contestant_of(name, [round_of(rate, cpu, **options) for rate, cpu in figures_])


@pytest.fixture
def compared() -> Result:
    """Two contestants, three rounds: the ratios of CPU time are 2.5, 2 and 1.8."""
    return result_of(scenario_of(
        of_rounds("other", [(400, 20e-6), (500, 24e-6), (450, 27e-6)], p50=2.0, memory=3 << 20),
        of_rounds("fastserve", [(1000, 8e-6), (1200, 12e-6), (900, 15e-6)]), driver="wrk"))


# -- What it says --------------------------------------------------------------------------------


def test_where_it_was_measured(compared: Result) -> None:
    compared.commit, compared.tools = "6ec57f84c680d3a3778b+", {"wrk": "4.1.0", "fastserve": "0.1.0"}
    assert said(compared).splitlines()[0] == (
        "**a title**, commit 6ec57f8+, 30 November 2026, 13:00 UTC; CPython 3.11, Linux 6, "
        "2 cores of a cpu; wrk 4.1.0, fastserve 0.1.0")


def test_what_is_not_known_of_the_machine_is_left_out(compared: Result) -> None:
    made = {**compared.to_json(), "machine": {}, "tools": {}, "title": "", "commit": None}
    assert make_markdown(made).splitlines()[0] == "**Measured**, 30 November 2026, 13:00 UTC"


def test_figures_are_those_counted_by_hand(compared: Result) -> None:
    table = tables_of(said(compared))[1]
    assert table == [
        ["Server", "Requests/s", "CPU per request", "x fastserve", "Latency p50", "p99", "Memory, peak"],
        ["other", "450 (400-500)", "24.0 μs (20.0-27.0)", "2.00 (1.80-2.50)", "2.00 ms", "4.00 ms",
         "3.00 MiB"],
        ["**fastserve**", "**1,000** (900-1,200)", "**12.0 μs** (8.00-15.0)", "**1**", "**1.00 ms**",
         "**2.00 ms**", "**1.00 MiB**"],
    ]


def test_ratios_are_those_of_the_report() -> None:
    own, other = results.result(1, ["closed"])["scenarios"][0]["contestants"][1::-1]
    found, each = figures.against(own, other, CPU), figures.ratios(own, other, CPU)
    assert found
    assert found.value == sorted(each)[2]
    assert len(each) == 5


def test_what_the_load_was(compared: Result) -> None:
    lines = said(compared).splitlines()
    at = lines.index("### hello")
    assert lines[at + 2] == "closed; 64 connections; load by wrk; medians (least-most) of 3 rounds of 1 s"


@pytest.mark.parametrize(("kind", "line"), [
    ("rate", "64 connections; 20,000/s asked for; load by drive; medians (least-most) of 5 rounds of 5 s"),
    ("ramp", "64 connections; load by drive; medians (least-most) of 5 rounds of steps of 5 s"),
    ("think", "1,000 connections; pauses of 1 s; load by drive; medians (least-most) of 5 rounds of 5 s"),
])
def test_what_the_load_was_by_its_kind(kind: str, line: str) -> None:
    made = results.result(1, [kind])
    name, title, _ = results.TITLES[kind]
    assert f"\n\n### {name}: {title}\n\n{kind}; {line}\n\n|" in make_markdown(made).translate(PLAIN)


def test_errors_and_system_calls_where_somebody_has_any(compared: Result) -> None:
    other, ours = compared.scenarios[0].contestants
    other.rounds[0].errors, other.rounds[2].errors = Errors(timeout=3), Errors(body=1)
    for one, calls in zip(ours.rounds, (2.0, 2.5, 2.25), strict=True):
        one.system_calls = calls
    table = tables_of(said(compared))[1]
    assert column(table, "Errors") == ["4", ""]
    assert column(table, "System calls per request") == ["-", "**2.25** (2.00-2.50)"]


def test_one_round_has_no_range() -> None:
    text = said(result_of(scenario_of(of_rounds("a", [(10, 1e-5)]), of_rounds("b", [(20, 3e-5)]))))
    assert "1 round of 1 s\n" in text
    assert "medians" not in text
    assert column(tables_of(text)[1], "x a") == ["**1**", "3.00"]
    assert column(tables_of(text)[1], "Requests/s") == ["**10.0**", "20.0"]


def test_one_contestant_has_no_ratio() -> None:
    table = tables_of(said(result_of(scenario_of(of_rounds("a", [(10, 1e-5)])))))[1]
    assert table[0] == ["Server", "Requests/s", "CPU per request", "Latency p50", "p99", "Memory, peak"]


def test_without_cpu_time() -> None:
    people = [of_rounds(name, [(rate, None)] * 2, memory=None) for name, rate in (("a", 1234), ("b", 200))]
    overview, table, _ = tables_of(said(result_of(scenario_of(*people))))
    assert overview == [["Rate", "a", "b"], ["hello", "**1,234/s**", "200"]]
    assert table[0] == ["Server", "Requests/s", "Latency p50", "p99"]


def test_who_has_no_finished_round() -> None:
    people = of_rounds("a", []), of_rounds("b", [(10, 1e-5)])
    overview, table, _ = tables_of(said(result_of(scenario_of(*people))))
    assert overview == [["CPU per request", "b"], ["hello", "**10.0 μs**"]]
    assert column(table, "Server") == ["a (no finished round)", "**b**"]


@pytest.mark.parametrize("scenarios", [[], [scenario_of()], [scenario_of(of_rounds("a", []))]])
def test_where_nothing_was_measured(scenarios: list[Scenario]) -> None:
    assert "CPU" not in said(result_of(*scenarios))


@pytest.mark.parametrize(("values", "text"), [
    ([0.0009, 0.001, 0.0011], "1.00 ms (900 μs-1.10 ms)"), ([0.001, 0.002, 0.003], "2.00 ms (1.00-3.00)"),
    ([0.001, 0.001, 0.001001], "1.00 ms"), ([0.5, 1.5], "1.00 s (500 ms-1.50 s)"), ([], "-"),
])
def test_a_unit_is_said_once(values: list[float], text: str) -> None:
    assert as_markdown.content(as_markdown.spread(values, units.seconds)).translate(PLAIN) == text


# -- At a glance ---------------------------------------------------------------------------------


def test_many_have_a_row_each() -> None:
    people = [contestant_of(f"c{n}", [round_of(cpu=n * 1e-5)]) for n in range(1, 10)]
    other = [contestant_of("c2", [round_of(cpu=4e-5)])]
    overview = tables_of(said(result_of(scenario_of(*people), scenario_of(*other, name="other"))))[0]
    assert overview[0] == ["CPU per request", "hello", "other"]
    assert overview[1:4] == [["c1", "**10.0 μs**", ""], ["c2", "20.0", "**40.0 μs**"], ["c3", "30.0", ""]]
    assert len(overview) == 10


def test_at_a_glance() -> None:
    ours = of_rounds("fastserve", [(1, 8e-6), (1, 9e-6), (1, 7e-6)])
    both = scenario_of(ours, of_rounds("b", [(1, 3e-4)] * 3))
    other = scenario_of(of_rounds("b", [(1, 2e-3)]), of_rounds("c", [(1, None)]), name="more")
    other.title = "More of it"
    rates = scenario_of(of_rounds("c", [(5000, None)]), of_rounds("b", [(300, None)]), name="rates")
    assert tables_of(said(result_of(both, other, rates)))[0] == [
        ["CPU per request or Rate", "fastserve", "b", "c"], ["hello", "**8.00 μs**", "300", ""],
        ["More of it", "", "**2.00 ms**", "-"], ["rates", "", "300", "**5,000/s**"],
    ]


def test_another_has_the_unit_where_the_reference_has_no_figure() -> None:
    people = of_rounds("a", [(1, None)]), of_rounds("b", [(1, 2e-3)]), of_rounds("c", [(1, 4e-5)])
    overview = tables_of(said(result_of(scenario_of(*people), scenario_of(people[0]))))[0]
    assert overview[1] == ["hello", "**-**", "2.00 ms", "0.0400"]


def test_nothing_but_zeros_is_written() -> None:
    people = of_rounds("a", [(0, 0.0)]), of_rounds("b", [(0, 0.0)])
    assert tables_of(said(result_of(scenario_of(*people))))[0][1] == ["hello", "**0**", "0"]


# -- The reference -------------------------------------------------------------------------------


def test_another_reference(compared: Result) -> None:
    overview, table, _ = tables_of(said(compared, reference="other"))
    assert overview[1] == ["hello", "**24.0 μs**", "12.0"]
    assert column(table, "Server") == ["**other**", "fastserve"]
    assert column(table, "x other") == ["**1**", "0.50 (0.40-0.56)"]


# -- Ramps, notes, who took part -----------------------------------------------------------------


def ramp(rates: list[tuple[float, float]]) -> Round:
    """A round by pairs of asked and reached rates; in step 1 answers take a millisecond, in step 2 two."""
    steps = [Step(asked, reached, latency_of(at), at * 1e-5) for at, (asked, reached) in enumerate(rates, 1)]
    return round_of(max(asked for asked, reached in rates if asked == reached), steps=steps)


def test_steps_of_a_ramp() -> None:
    rounds = ramp([(100, 100), (200, 150)]), ramp([(100, 100)])
    scenario = scenario_of(*(contestant_of(name, [one]) for name, one in zip("ab", rounds, strict=True)))
    scenario.kind = "ramp"
    text = said(result_of(scenario))
    _, table, steps, _ = tables_of(text)
    assert column(table, "Saturation, requests/s") == ["**100**", "100"]
    assert steps == [
        ["Server", "Asked for", "Reached", "p50", "p99", "p99.9", "CPU per request", "Errors"],
        ["a", "100/s", "100/s", "1.00 ms", "1.00 ms", "1.00 ms", "10.0 μs", "0"],
        ["a", "200/s", "*150/s*", "2.00 ms", "2.00 ms", "2.00 ms", "20.0 μs", "0"],
        ["b", "100/s", "100/s", "1.00 ms", "1.00 ms", "1.00 ms", "10.0 μs", "0"],
    ]
    assert "in italics did not keep pace:\n\n| Server | Asked for |" in text


def test_there_are_steps_in_ramps_only(compared: Result) -> None:
    assert "Step by step" not in said(compared)


def test_the_limits_of_the_load_are_told(compared: Result) -> None:
    compared.scenarios[0].contestants[1].rounds[0].note = BUSY
    assert f"\n\n- **fastserve**: {BUSY} (1 of 3 rounds).\n\n| Server | Version |" in said(compared)


def test_who_took_part_and_who_did_not(compared: Result) -> None:
    compared.left_out = {"caddy": "caddy is not installed", "h2o": "it said:\n|no|"}
    text = said(compared)
    assert tables_of(text)[-1] == [
        ["Server", "Version"], ["other", "other 1.0"], ["fastserve", "fastserve 1.0"]]
    assert "| --- | --- |\n| other | other 1.0 |" in text
    assert text.endswith(
        "\n\nLeft out:\n\n- **caddy**: caddy is not installed\n- **h2o**: it said: \\|no\\|\n")


def test_an_interruption_is_told(compared: Result) -> None:
    assert "Interrupted" not in said(compared)
    compared.interrupted = True
    assert said(compared).splitlines()[2] == "Interrupted: this is what had been measured."


def test_several_results(compared: Result) -> None:
    later = result_of(scenario_of(of_rounds("b", [(1, 1e-5)])))
    later.title = "later"
    text = said(compared, later)
    assert text == f"{said(compared)}\n{said(later)}"
    assert len(tables_of(text)) == 6


def test_all_kinds_of_scenarios() -> None:
    text = make_markdown(results.result(1), results.result(2, interrupted=True))
    assert len(tables_of(text)) == 2 * (1 + 6 + 1 + 1)
    assert "nan" not in text


# -- Names are text ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WICKED)
def test_names_are_no_markup(name: str) -> None:
    scenario = scenario_of(of_rounds(name, [(1, 1e-5)]), of_rounds("b", [(1, 1e-5)]), name=name)
    made, shown = result_of(scenario), " ".join(name.splitlines())
    made.title, made.left_out, scenario.contestants[1].version = name, {name: name}, name
    text = make_markdown(made.to_json(), reference="b")
    overview, table, people = tables_of(text)
    assert [read(cell) for cell in overview[0]] == ["CPU per request", shown, "b"]
    assert read(table[1][0]) == read(people[1][0]) == read(people[2][1]) == shown
    assert f"\n\n### {as_markdown.escaped(name)}\n\n" in text
    assert text.endswith(f"\n- **{as_markdown.escaped(name)}**: {as_markdown.escaped(name)}\n")


@pytest.mark.parametrize(("text", "shown"), [
    ("a|b", r"a\|b"), ("`<b>`", r"\`\<b\>\`"), ("a\r\n\nb", "a  b"), ("granian_wsgi", "granian_wsgi"),
    ("__init__", r"\_\_init\_\_"), ("\\|", r"\\\|"), ("http.server do_GET (3)", "http.server do_GET (3)"),
    ("https://a.example/&", r"https\://a.example/\&"), ("www.a.example", r"www\.a.example"),
    ("127.0.0.1:8000", "127.0.0.1:8000"),
])
def test_only_what_would_be_markup_is_escaped(text: str, shown: str) -> None:
    assert as_markdown.escaped(text) == shown


# -- The commands --------------------------------------------------------------------------------


@pytest.fixture
def saved(compared: Result, tmp_path: Path) -> Path:
    result.save(compared, tmp_path / "result.json")
    return tmp_path / "result.json"


def test_the_report_writes_a_file(saved: Path, compared: Result) -> None:
    path = saved.with_suffix(".md")
    assert cli.main(["report", str(saved), str(saved), "--markdown", str(path), "--reference", "other"]) == 0
    data = compared.to_json()
    assert path.read_bytes().decode() == make_markdown(data, data, reference="other")


def test_the_report_writes_to_the_standard_output(
    saved: Path, compared: Result, capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["report", str(saved), "--markdown", "-"]) == 0
    assert capsys.readouterr().out == make_markdown(json.loads(saved.read_text("utf-8")))


@pytest.fixture
def measure(compared: Result, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, where what it measures is known."""
    pytest.importorskip("psutil")
    monkeypatch.setattr(engine, "measure", lambda *_: compared)
    return lambda *words: cli.main(["measure", "http://127.0.0.1:1/", *words])


def test_a_measurement_writes_a_file(measure: Callable[..., int], compared: Result, tmp_path: Path) -> None:
    assert measure("--markdown", str(tmp_path / "found.md")) == 0
    assert (tmp_path / "found.md").read_bytes().decode() == make_markdown(compared.to_json())


def test_a_measurement_on_the_standard_output_is_alone_there(
    measure: Callable[..., int], compared: Result, capsys: pytest.CaptureFixture[str],
) -> None:
    assert measure("--markdown", "-") == 0
    printed = capsys.readouterr()
    assert printed.out == make_markdown(compared.to_json())
    assert "medians of 3 rounds" in printed.err


@pytest.mark.parametrize("command", ["measure", "report"])
def test_it_is_not_written_where_it_cannot_be(
    command: str, measure: Callable[..., int], saved: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--markdown", str(saved.parent / "none" / "x.md")]
    assert (measure(*words) if command == "measure" else cli.main(["report", str(saved), *words])) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
