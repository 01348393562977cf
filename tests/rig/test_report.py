"""The report without a browser: numbers, words, tables, CSV, the page as text, the command.

Its charts are in test_report_charts.py, what a browser makes of the page is in test_report_page.py. Results
come from results.py by a seed.
"""

import copy
import csv
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig import cli
from fastserve.rig.measure.latency import Latency
from fastserve.rig.report import as_csv, figures, html, summary, tables, units
from fastserve.rig.report.figures import CPU
from fastserve.words import Refusal
from rig import results
from rig.results import octets_of

pytest.importorskip("hdrh")
pytest.importorskip("jinja2")
pytest.importorskip("plotly")

Result = dict[str, Any]
SPACE = units.SPACE


@pytest.fixture(scope="module")
def everything() -> Result:
    """All kinds of scenarios."""
    return results.result(1)


@pytest.fixture(scope="module")
def page(everything: Result) -> str:
    return html.make_html(everything)


def scenario_of(kind: str, **options: Any) -> Result:
    found: Result = results.result(1, [kind], **options)["scenarios"][0]
    return found


def spaced(text: str) -> str:
    """With plain spaces."""
    return text.replace(SPACE, " ")


# -- Numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("write", "value", "text"), [
    (units.plain, 117_063.7, "117,064"), (units.plain, 99.96, "100"), (units.plain, 12.84, "12.8"),
    (units.plain, 1.2349, "1.23"), (units.plain, 0.12349, "0.123"), (units.plain, 0.0, "0"),
    (units.plain, None, "\u2013"), (units.plain, -12.84, "-12.8"), (units.count, 1234567, "1,234,567"),
    (units.rate, 560.4, "560/s"), (units.rate, None, "\u2013"),
    (units.seconds, 0.00000723, "7.23 µs"), (units.seconds, 0.000254, "254 µs"),
    (units.seconds, 0.0012, "1.20 ms"),
    (units.seconds, 83.25, "83.2 s"), (units.seconds, 0.0, "0 s"), (units.seconds, 3e-10, "0.300 ns"),
    (units.octets, 22_500_000, "21.5 MiB"), (units.octets, 900, "900 B"), (units.octets, 0, "0 B"),
    (units.octets, 3 * 2**40, "3.00 TiB"), (units.ratio, 1.239, "1.24"), (units.ratio, 17.64, "17.6"),
    (units.ratio, 540.2, "540"),
    (units.ratio, 0.04022, "0.0402"), (units.ratio, 0.5, "0.50"),
    (units.share, 99.9, "99.9 %"), (units.share, 50.0, "50 %"),
])
def test_numbers(write: units.Writer, value: float | None, text: str) -> None:
    assert spaced(write(value)) == text.replace("µ", "μ")


@pytest.mark.parametrize(("low", "high", "write", "text"), [
    (7.1e-6, 7.4e-6, units.seconds, "7.10\u20137.40 μs"),
    (0.0009, 0.0011, units.seconds, "900 μs\u20131.10 ms"),
    (1.2, 1.29, units.ratio, "1.20\u20131.29"), (900, 1100, units.rate, "900\u20131,100/s"),
])
def test_intervals(low: float, high: float, write: units.Writer, text: str) -> None:
    assert spaced(units.between(low, high, write)) == text


@pytest.mark.parametrize(("text", "said"), [
    ("2026-11-30T13:00:00Z", "30 November 2026, 13:00 UTC"),
    ("2026-11-30T13:00:00", "30 November 2026, 13:00"),
    ("yesterday", "yesterday"), ("", ""),
])
def test_moments(text: str, said: str) -> None:
    assert units.moment(text) == said


@pytest.mark.parametrize(("names", "said"), [
    ([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"),
])
def test_lists(names: list[str], said: str) -> None:
    assert units.listed(names) == said


# -- What is compared --------------------------------------------------------------------------


def two(own: list[float | None], other: list[float | None]) -> Result:
    """A closed scenario in which fastserve has spent ``other`` of CPU, and nginx ``own``."""
    found = scenario_of("closed", servers=results.SERVERS[:2], rounds=len(own))
    for contestant, spent in zip(found["contestants"], (other, own), strict=True):
        for one, cost in zip(contestant["rounds"], spent, strict=True):
            one["cpu_per_request"] = cost
    return found


def test_a_ratio_is_taken_round_by_round() -> None:
    """What makes both slower in a round leaves no trace in it."""
    drift = [1.0, 3.0, 0.5, 2.0, 10.0]
    scenario = two([1.25e-5 * each for each in drift], [1e-5 * each for each in drift])
    ours, nginx = scenario["contestants"]
    found = figures.against(nginx, ours, CPU)
    assert found is not None
    assert [round(each or 0, 9) for each in found] == [1.25, 1.25, 1.25]


@pytest.mark.parametrize(("own", "side"), [
    ([1.2, 1.3, 1.25, 1.22, 1.28], "above"), ([0.8, 0.7, 0.75, 0.79, 0.71], "below"),
    ([0.9, 1.1, 1.0, 1.05, 0.95], None), ([1.5], None),
])
def test_a_side_is_taken_only_where_an_interval_lies_on_it(own: list[float | None], side: str | None) -> None:
    scenario = two(own, [1.0] * len(own))
    found = figures.against(scenario["contestants"][1], scenario["contestants"][0], CPU)
    assert found is not None
    assert found.beside == side


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf"), True, "7"])
def test_what_is_no_number_is_left_out(unknown: Any) -> None:
    scenario = two([2.0, unknown, 2.0], [1.0, 1.0, 1.0])
    nginx = scenario["contestants"][1]
    assert figures.values(nginx, CPU) == [2.0, 2.0]
    assert figures.against(nginx, scenario["contestants"][0], CPU) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("names", "wanted", "chosen"), [
    (["nginx", "fastserve"], None, "fastserve"), (["nginx", "fastserve-threads"], None, "fastserve-threads"),
    (["nginx", "h2o"], None, "nginx"), (["nginx", "fastserve"], "nginx", "nginx"),
    (["nginx", "fastserve"], "elsewhere", "fastserve"), ([], None, None),
])
def test_the_reference(names: list[str], wanted: str | None, chosen: str | None) -> None:
    found = figures.reference([{"name": name, "rounds": [{}]} for name in names], wanted)
    assert (found and found["name"]) == chosen


def test_who_has_no_round_is_no_reference() -> None:
    found = figures.reference([{"name": "fastserve", "rounds": []}, {"name": "nginx", "rounds": [{}]}])
    assert found is not None
    assert found["name"] == "nginx"


def test_a_curve_joins_the_histograms_of_all_rounds() -> None:
    contestant = scenario_of("closed", rounds=2)["contestants"][0]
    slow = results.latency(0.5, 0.01, 20_000)
    contestant["rounds"][1]["latency"] = slow
    contestant["rounds"][0]["latency"] = results.latency(0.001, 0.01, 20_000)
    found = dict(figures.curve(contestant))
    assert found[0.0] == pytest.approx(0.001, rel=0.05)
    assert found[75.0] == pytest.approx(0.5, rel=0.05)


def test_a_curve_without_histograms_is_of_medians() -> None:
    contestant = scenario_of("closed", rounds=3)["contestants"][0]
    for one, value in zip(contestant["rounds"], (0.1, 0.3, 0.2), strict=True):
        one["latency"].update(histogram=None, percentiles={"50": value, "99": 2 * value})
    assert figures.curve(contestant) == [(50.0, 0.2), (99.0, 0.4)]


def test_a_curve_ends_where_too_few_answers_lie_beyond() -> None:
    contestant = scenario_of("closed", rounds=1)["contestants"][0]
    contestant["rounds"][0]["latency"] = results.latency(0.001, 0.3, 1000)
    last, _ = figures.curve(contestant)[-1]
    assert 98.5 < last <= 99.0


def test_steps_of_a_ramp() -> None:
    scenario = scenario_of("ramp", servers=results.SERVERS[:2])
    ours, nginx = (figures.steps(each, scenario) for each in scenario["contestants"])
    assert [each.asked for each in ours] == [rate for rate in results.STEPS if rate <= ours[-1].asked]
    assert [each.kept for each in nginx] == [True] * (len(nginx) - 1) + [False]
    assert nginx[-1].times["99"] > 100 * nginx[0].times["99"]
    assert figures.common_rate(scenario) == nginx[-2].asked < ours[-2].asked


def test_a_step_is_kept_if_half_of_the_rounds_have_kept_it() -> None:
    scenario = scenario_of("ramp", servers=results.SERVERS[:1], rounds=4)
    rounds = scenario["contestants"][0]["rounds"]
    before = figures.steps(scenario["contestants"][0], scenario)
    highest = next(each.asked for each in reversed(before) if each.kept)
    for kept, one in zip((True, True, False, False), rounds, strict=True):
        one["steps"] = [each for each in one["steps"] if each["rate"] <= (highest if kept else 10_000)]
        one["rate"] = one["steps"][-1]["reached"]
    assert figures.steps(scenario["contestants"][0], scenario)[-1].kept
    rounds[0]["steps"] = rounds[0]["steps"][:1]
    assert not figures.steps(scenario["contestants"][0], scenario)[-1].kept


def test_errors_are_added_up() -> None:
    contestant = scenario_of("closed")["contestants"][-1]
    assert figures.errors(contestant) == {"timeout": 17, "status": 2}
    assert figures.errors(contestant["rounds"][0]) == {}


# -- Words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "said"), [
    ([1.20, 1.24, 1.29, 1.24, 1.24],
     "nginx 1.24 \xd7 the CPU of fastserve per request (95 % interval 1.20\u20131.29)."),
    ([0.9, 1.1, 1.0, 1.05, 0.95],
     ("nginx 1.00 \xd7 the CPU of fastserve per request "
      "(95 % interval 0.90\u20131.10: no difference can be told).")),
    ([17.6], "nginx 17.6 \xd7 the CPU of fastserve per request (one round, so without an interval)."),
])
def test_costs_in_words(own: list[float | None], said: str) -> None:
    assert spaced(summary.line(two(own, [1.0] * len(own)))) == said


def test_without_cpu_a_line_tells_rates() -> None:
    scenario = two([None] * 2, [None] * 2)
    for contestant, rate in zip(scenario["contestants"], (117_064.2, 90_000.0), strict=True):
        for one in contestant["rounds"]:
            one["rate"] = rate
    assert summary.line(scenario) == "fastserve 117,064/s and nginx 90,000/s."


def test_a_ramp_tells_what_was_kept() -> None:
    said = summary.line(scenario_of("ramp", servers=results.SERVERS[:2]))
    assert re.fullmatch(r"fastserve kept pace up to [\d,]+/s; nginx up to [\d,]+/s\.", said)


def test_a_sentence_for_each(everything: Result) -> None:
    for scenario in everything["scenarios"]:
        said = summary.sentences(scenario)
        assert [each.name for each in said] == [each["name"] for each in scenario["contestants"]]
        assert "CPU time is not known" in said[-1].says
        assert "that of fastserve" not in said[0].says


def test_who_reached_less_than_was_asked_for_is_told() -> None:
    scenario = scenario_of("rate")
    for one in scenario["contestants"][1]["rounds"]:
        one["rate"] = 12_000.0
    said = dict(summary.sentences(scenario))
    assert "12,000/s answered, fewer than were asked for" in said["nginx"]
    assert "fewer" not in said["fastserve"]


def test_faults_in_words() -> None:
    [said] = summary.faults(scenario_of("closed"))
    assert said.name == "elsewhere"
    assert said.says.startswith("17 without an answer in time, 2 with another status; in 1 of 5 rounds,")


@pytest.mark.parametrize(("rounds", "said"), [
    (1, "One round has no interval"), (2, "2 rounds are few"), (3, "3 rounds are few"), (4, ""), (5, ""),
])
def test_few_rounds_are_told(rounds: int, said: str) -> None:
    found = summary.few(two([1.0] * rounds, [1.0] * rounds))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_answers_of_different_sizes_are_told() -> None:
    scenario = two([1.0], [1.0])
    assert summary.differing(scenario) == ""
    scenario["contestants"][1]["answer"]["octets"] = 2048
    assert "fastserve 1,024 octets and nginx 2,048 octets" in summary.differing(scenario)


@pytest.mark.parametrize(("load", "server", "said"), [
    ([1], [0], "The server ran on core 0, and what makes the load on core 1."),
    ([1], [1], "The server ran on core 1, and, not apart from it, what makes the load on core 1."),
    ([], [], "Load and servers were not pinned to cores of their own, so they took time from each other."),
])
def test_pinning_in_words(load: list[int], server: list[int], said: str) -> None:
    assert summary.pinning({"load_cores": load, "server_cores": server}) == said


# -- Tables ------------------------------------------------------------------------------------


def test_the_comparison_has_everybody(everything: Result) -> None:
    for scenario in everything["scenarios"]:
        table = tables.comparison(scenario)
        assert [row[0].text for row in table.rows] == [each["name"] for each in scenario["contestants"]]
        assert {len(row) for row in table.rows} == {len(table.headings)}


def test_columns_without_figures_are_left_out() -> None:
    scenario = scenario_of("closed")
    assert "System calls per request" in tables.comparison(scenario).headings
    for contestant in scenario["contestants"]:
        for one in contestant["rounds"]:
            one["system_calls"] = None
    assert "System calls per request" not in tables.comparison(scenario).headings


def test_ratios_are_marked_by_what_can_be_told() -> None:
    for own, mark in ((1.5, "more"), (0.5, "less"), (1.0, "same")):
        row = tables.comparison(two([own] * 3, [1.0] * 3)).rows[1]
        assert tables.Cell(units.ratio(own), f"{units.ratio(own)}\u2013{units.ratio(own)}", mark) in row


def test_at_a_glance(everything: Result) -> None:
    table = tables.glance(everything["scenarios"])
    assert table is not None
    assert table.headings[:3] == ["Scenario", "fastserve", "nginx"]
    assert [row[0].text for row in table.rows] == [each["name"] for each in everything["scenarios"]]
    assert {row[1].text for row in table.rows} == {"1"}
    assert tables.glance([two([None], [None])]) is None


# -- CSV ---------------------------------------------------------------------------------------


def rows_of(text: str) -> list[dict[str, str]]:
    assert text.count("\n") == text.count("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_row_for_each_round(everything: Result) -> None:
    rows = rows_of(as_csv.rounds([everything]))
    rounds = [(scenario["name"], own["name"], str(number), one) for scenario in everything["scenarios"]
              for own in scenario["contestants"] for number, one in enumerate(own["rounds"], 1)]
    names = [(row["scenario"], row["contestant"], row["round"]) for row in rows]
    assert names == [each[:3] for each in rounds]
    for row, (*_, one) in zip(rows, rounds, strict=True):
        assert float(row["rate"]) == one["rate"]
        assert float(row["latency_p99.9"]) == one["latency"]["percentiles"]["99.9"]
        assert (row["cpu_per_request"] == "") == (one["cpu_per_request"] is None)
        assert int(row["errors_timeout"]) == one["errors"]["timeout"]


def test_a_row_for_each_percentile(everything: Result) -> None:
    rows = rows_of(as_csv.percentiles([everything]))
    assert {row["latency"] for row in rows} == {"latency", "uncorrected", "first_byte"}
    asked = {row["rate_asked"] for row in rows if row["kind"] == "ramp"}
    assert {"", "10000.0", "20000.0"} <= asked
    one = everything["scenarios"][0]["contestants"][0]["rounds"][0]
    found = {row["percentile"]: float(row["seconds"]) for row in rows[:6]}
    assert found == one["latency"]["percentiles"]


def test_no_cell_is_a_formula(everything: Result) -> None:
    wicked = copy.deepcopy(everything)
    wicked["scenarios"][0]["contestants"][0]["name"] = '=HYPERLINK("http://example.org")'
    wicked["title"] = 'one, "two"\r\nthree'
    rows = rows_of(as_csv.rounds([wicked]))
    assert rows[0]["contestant"] == '\'=HYPERLINK("http://example.org")'
    assert rows[0]["title"] == wicked["title"]


# -- The page ----------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a page names, what it says, and whether its elements are closed in order."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes
                           if name in ("src", "href", "action", "srcset")]
        self.ids += [value or "" for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        key = self.ids[-1] if self.open and self.open[-1] == "script" and self.ids else "text"
        self.texts[key] = self.texts.get(key, "") + data


def test_a_page_names_nothing_outside_of_it(page: str) -> None:
    found = Reader(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    for address in found.addresses:
        assert address.startswith("data:") or address.removeprefix("#") in found.ids, address
    assert not re.search(r"url\((?!\"data:)|@import", html.read("report.css"))


def test_a_page_is_not_larger_than_a_letter_may_be(page: str) -> None:
    assert len(page) < 5_000_000


def test_a_page_is_the_same_for_the_same_result(page: str) -> None:
    assert html.make_html(results.result(1)) == page


def test_what_is_inside_can_be_saved(page: str, everything: Result) -> None:
    urls = [each for each in Reader(page).addresses if each.startswith(("data:app", "data:text"))]
    whole, rounds, percentiles = (octets_of(each).decode() for each in urls)
    assert json.loads(whole) == everything
    assert rounds == as_csv.rounds([everything])
    assert percentiles == as_csv.percentiles([everything])


@pytest.mark.parametrize("words", [
    "nginx 1.5", "AMD EPYC 9R14", "6.18.44", "6ec57f84c680d3a3778b", "30 November 2026", "SHA-256",
    "nginx -c nginx.conf", "'daemon off;'", "http://127.0.0.1:8001/1k.bin", "17 without an answer in time",
    "caddy is not installed",
    "wrk 4.1.0", "coordinated omission", "Before its first round each was under load for 1 s",
])
def test_what_a_page_says(words: str, page: str) -> None:
    assert words in re.sub(r"\s+", " ", Reader(page).texts["text"].replace(SPACE, " "))


WICKED = ["<img src=x onerror=alert(1)>", "</script><b>x", "{{ 7 * 7 }}", "\"'&amp;", "@ink", "color:@c1",
          "\u202egpj", "<!--<script>", "%{x}"]


def test_names_are_no_markup() -> None:
    result = results.result(1, ["closed"], rounds=1)
    for contestant, name in zip(result["scenarios"][0]["contestants"], WICKED, strict=False):
        contestant["name"] = name
    result["scenarios"][0].update(name=WICKED[5], title=WICKED[0])
    result.update(title=WICKED[1], left_out={WICKED[0]: WICKED[6]}, command=WICKED)
    result["machine"]["cpu"] = WICKED[7]
    found = Reader(html.make_html(result))
    assert "img" not in found.tags
    assert "49" not in found.texts["text"].split()
    assert WICKED[0] in found.texts["text"]
    assert json.loads(found.texts["figures"])["r1-s1-c1"]["data"][0]["meta"] == WICKED[0]


@pytest.mark.parametrize(("options", "words"), [
    ({"interrupted": True}, "Interrupted."), ({"rounds": 1}, "one round, so without an interval"),
    ({"rounds": 1, "interrupted": True}, "has no round that was finished"),
    ({"servers": results.SERVERS[-1:]}, "CPU time is not known"),
    ({"servers": []}, "Nothing has been measured"),
])
def test_pages_of_what_is_not_whole(options: dict[str, Any], words: str) -> None:
    result = results.result(1, errors="servers" not in options, **options)
    assert words in Reader(html.make_html(result)).texts["text"]


@pytest.mark.parametrize("kind", ["closed", "rate", "ramp"])
def test_a_page_of_what_was_never_answered(kind: str) -> None:
    """As of a server that has died, or of times that are too short to be told from none."""
    result, nothing = results.result(1, [kind]), Latency.from_counts([]).to_json()
    for one in result["scenarios"][0]["contestants"][0]["rounds"]:
        one.update(requests=0, rate=0.0, cpu_per_request=None, latency=nothing, uncorrected=nothing)
        one["steps"] = [{**each, "latency": nothing, "reached": 0.0} for each in one["steps"][:1]]
    for one in result["scenarios"][0]["contestants"][1]["rounds"]:
        one["latency"].update(histogram=None, percentiles={"50": 0.0, "99": 0.0})
    found = Reader(html.make_html(result))
    assert "nan" not in found.texts["figures"].lower()
    assert "fastserve" in found.texts["text"]


def test_where_the_load_was_at_its_own_limits() -> None:
    result = results.result(1, ["closed"], errors=False)
    for one in result["scenarios"][0]["contestants"][1]["rounds"][:2]:
        one["note"] = "wrk took 99% of its core"
    text = Reader(html.make_html(result)).texts["text"]
    assert "The load's own limits." in text
    assert "nginx : wrk took 99% of its core (2 of 5 rounds)." in text or (
        "nginx: wrk took 99% of its core (2 of 5 rounds)." in text)
    assert "own limits" not in Reader(html.make_html(results.result(1))).texts["text"]


def test_a_page_without_scenarios() -> None:
    result = {**results.result(1), "scenarios": []}
    assert "0 servers, 0 scenarios" in Reader(html.make_html(result)).texts["text"]


def test_several_results_on_a_page(everything: Result) -> None:
    later = {**results.result(2, ["closed"], servers=results.SERVERS[1:3]), "made": "2026-12-01T08:30:00Z"}
    found = Reader(html.make_html(everything, later))
    assert {"r1-s6", "r2-s1"} <= set(found.ids)
    assert "1 December 2026, 08:30 UTC" in found.texts["text"]
    assert json.loads(found.texts["figures"])["r2-s1-c1"]["data"][0]["marker"]["color"] == "@c1"


@pytest.mark.parametrize("missing", ["jinja2", "plotly.offline"])
def test_what_is_not_installed_is_told(
    missing: str, everything: Result, monkeypatch: pytest.MonkeyPatch,
) -> None:
    html.packed_plotly.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Refusal, match=r"pip install 'fastserve\[rig\]'"):
        html.make_html(everything)


# -- The command -------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path, everything: Result) -> Path:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(everything), "utf-8")
    return path


def test_the_command_writes_what_is_asked_for(saved: Path, everything: Result) -> None:
    outputs = {name: saved.with_name(name) for name in ("page.html", "rounds.csv", "percentiles.csv")}
    options = zip(("--html", "--csv", "--percentiles"), map(str, outputs.values()), strict=True)
    assert cli.main(["report", str(saved), *(word for pair in options for word in pair)]) == 0
    texts = [path.read_bytes().decode() for path in outputs.values()]
    assert texts[0].startswith("<!DOCTYPE html>")
    assert texts[1:] == [as_csv.rounds([everything]), as_csv.percentiles([everything])]


def test_the_command_writes_to_the_standard_output(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(saved), "--csv", "-"]) == 0
    assert capsys.readouterr().out.startswith("title,made,commit,scenario,")


def test_the_command_draws_a_picture(saved: Path) -> None:
    picture = saved.with_suffix(".svg")
    assert cli.main(["report", str(saved), "--svg", str(picture)]) == 0
    assert picture.read_text("utf-8").startswith("<svg ")


def test_the_command_takes_another_reference(saved: Path) -> None:
    page = saved.with_suffix(".html")
    assert cli.main(["report", str(saved), "--html", str(page), "--reference", "nginx"]) == 0
    assert "the CPU of nginx per request" in page.read_text("utf-8")


@pytest.mark.parametrize(("words", "said"), [
    (["{result}"], "nothing to write; give --html FILE"),
    (["{folder}/none.json", "--csv", "-"], "cannot read the result"),
    (["{folder}/no.json", "--csv", "-"], "cannot read the result"),
    (["{folder}/other.json", "--csv", "-"], "is no result of a measurement"),
    (["{result}", "--csv", "{folder}/none/x.csv"], "No such file"),
    (["{result}", "--csv", "{folder}"], "Is a directory"),
    (["{result}", "--html", "-", "--reference", "caddy"], "'caddy' took no part; there are fastserve, nginx"),
    (["--csv", "-"], "result.json"), (["{result}", "{result}", "--svg", "-"], "--svg shows one result"),
])
def test_what_is_wrong_is_one_line(
    words: list[str], said: str, saved: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    saved.with_name("no.json").write_text("{")
    saved.with_name("other.json").write_text("[]")
    line = [word.format(result=saved, folder=saved.parent) for word in words]
    assert cli.main(["report", *line]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert len(told.err.splitlines()) == 1
