"""The scenario file: what it may say, what becomes of it, and how each mistake is told."""

import sys
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import scenario
from fastserve.rig.measure.scenario import Expected, Plan, Progression, Request
from fastserve.words import Refusal

if sys.version_info < (3, 11):
    pytest.importorskip("tomli")

WHOLE = """
title = "files"
[defaults]
connections = 32
rounds = 7
[files]
"site/file1k" = {octets = 1024, seed = 3}
"site/tree" = {tree = 250, octets = 10}
[contestant.nginx]
command = ["nginx", "-c", "{folder}/nginx.conf"]
config = {"nginx.conf" = "listen {port}; location /x { root {site}; }"}
version = ["nginx", "-v"]
needs = ["nginx"]
cores = [0]
path = {other = "/special"}
[contestant.ours]
command = ["{python}", "-m", "fastserve", "{port}"]
path = "/ours"
environment = {WHERE = "{site}"}
scenarios = ["hello"]
[scenario.hello]
path = "/file1k"
seconds = 2
expect = {octets = 1024}
[scenario.other]
kind = "mixed"
rate = 500
requests = [{path = "/a", weight = 3}, {path = "/tree/{file}", files = 250, spread = "zipf"}]
"""


def plan_of(tmp_path: Path, text: str) -> Plan:
    file = tmp_path / "plan.toml"
    file.write_text(text, "utf-8")
    return scenario.load(file)


def minimal(more: str) -> str:
    """A file that is right, with something more in it."""
    start = '[contestant.a]\ncommand = ["a"]\n'
    return start + more if "[scenario." in more else f"{start}{more}\n[scenario.s]\n"


@pytest.fixture
def whole(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, WHOLE)


# -- What is right ---------------------------------------------------------------------------------


def test_all_of_it_is_read(whole: Plan, tmp_path: Path) -> None:
    assert (whole.title, whole.here) == ("files", tmp_path.resolve())
    assert [each.name for each in whole.contestants] == ["nginx", "ours"]
    assert (whole.files["site/tree"].tree, whole.files["site/file1k"].seed) == (250, 3)
    assert whole.contestants[0].cores == (0,)
    assert whole.contestants[1].environment == {"WHERE": "{site}"}


def test_defaults_are_those_of_every_scenario_that_does_not_say(whole: Plan) -> None:
    hello, other = whole.scenarios
    found = [(each.connections, each.rounds, each.seconds) for each in (hello, other)]
    assert found == [(32, 7, 2), (32, 7, 3)]


def test_requests_of_a_mixture(whole: Plan) -> None:
    assert whole.scenarios[1].requests == (
        Request("/a", 3), Request("/tree/{file}", files=250, spread="zipf"))


@pytest.mark.parametrize(("contestant", "name", "path"), [
    (0, "hello", "/file1k"), (0, "other", "/special"), (1, "hello", "/file1k"), (1, "other", "/ours"),
])
def test_the_path_that_is_asked_for(whole: Plan, contestant: int, name: str, path: str) -> None:
    chosen = next(each for each in whole.scenarios if each.name == name)
    assert whole.contestants[contestant].target(chosen) == path


def test_settings_of_the_command_line_count_first(whole: Plan) -> None:
    changed = whole.changed(seconds=0.5, rounds=None, connections=8)
    assert [(each.seconds, each.rounds, each.connections) for each in changed.scenarios] == [(0.5, 7, 8)] * 2


def test_a_rate_makes_a_rate_of_a_closed_loop(whole: Plan) -> None:
    changed = whole.changed(rate=100.0)
    assert [(each.kind, each.rate) for each in changed.scenarios] == [("rate", 100), ("mixed", 100)]


def test_parts_are_chosen_by_name(whole: Plan) -> None:
    chosen = whole.chosen(["other"], ["ours"])
    assert [each.name for each in chosen.scenarios] == ["other"]
    assert [each.name for each in chosen.contestants] == ["ours"]


@pytest.mark.parametrize(("steps", "rates"), [
    (Progression(1000, 8000), [1000, 2000, 4000, 8000]),
    (Progression(100, 300, by=100), [100, 200, 300]),
    (Progression(10, 34, times=1.5), [10, 15, 22.5, 33.75]),
    ((300.0, 100.0), [100, 300]),
])
def test_steps_of_a_ramp(steps: Any, rates: list[float]) -> None:
    assert scenario.Scenario(name="r", kind="ramp", steps=steps).rates() == rates


def test_steps_without_an_end_are_some(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, minimal('[scenario.r]\nkind = "ramp"\nsteps = {start = 1, times = 1.1}'))
    assert len(plan.scenarios[0].rates()) == scenario.DEFAULT_STEPS
    fast = plan_of(tmp_path, minimal('[scenario.r]\nkind = "ramp"\nsteps = {start = 2000, times = 3}'))
    assert fast.scenarios[0].rates()[-1] <= scenario.FASTEST < fast.scenarios[0].rates()[-1] * 3


@pytest.mark.parametrize(("scenario_says", "contestant_says", "status", "octets"), [
    (Expected(), Expected(), None, None),
    (Expected(status=404), Expected(status=200, octets=5), 404, 5),
    (Expected(octets=7), Expected(octets=5), None, 7),
])
def test_a_scenario_overrides_what_a_contestant_is_expected_to_answer(
        scenario_says: Expected, contestant_says: Expected, status: int | None, octets: int | None) -> None:
    found = scenario_says.over(contestant_says)
    assert (found.status, found.octets) == (status, octets)


def test_addresses_make_a_plan() -> None:
    plan = scenario.of_addresses(["http://localhost:80/a?b=c", "http://localhost:81", "http://localhost:80/d"])
    assert [(each.name, each.path) for each in plan.contestants] == [
        ("localhost:80", "/a?b=c"), ("localhost:81", "/"), ("http://localhost:80/d", "/d")]
    assert [each.kind for each in plan.scenarios] == ["closed"]


@pytest.mark.parametrize(("kind", "more", "told"), [
    ("closed", {}, {"rate": None}),
    ("rate", {"rate": 5.0}, {"rate": 5.0, "arrivals": "uniform"}),
    ("ramp", {"steps": (1.0, 2.0)}, {"steps": [1.0, 2.0], "p99_limit": 0.1}),
    ("think", {"think": 0.5}, {"think": 0.5, "thinking": "constant"}),
])
def test_a_result_is_told_the_settings_of_its_kind(
        kind: Any, more: dict[str, Any], told: dict[str, Any]) -> None:
    said = scenario.Scenario(name="s", kind=kind, **more).told()
    assert {name: said[name] for name in told} == told
    assert said["connections"] == 64


# -- What is wrong ---------------------------------------------------------------------------------


WRONG = {
    "no toml": ("=", "cannot read the scenarios"),
    "nothing": ("", "there is no contestant"),
    "no scenario": ('[contestant.a]\ncommand = ["a"]', "there is no scenario"),
    "unknown part": ("[scenarios]\n", "there is no 'scenarios'; is 'scenario' meant?"),
    "unknown default": (minimal("[defaults]\nconection = 1"), "no 'conection'; is 'connections' meant?"),
    "unknown key": (minimal("[scenario.s]\nsecond = 1"), "scenario.s has no 'second'; is 'seconds' meant?"),
    "unknown expectation": (minimal("[scenario.s]\nexpect = {state = 1}"), "no 'state'; is 'status' meant?"),
    "unknown kind": (minimal('[scenario.s]\nkind = "rates"'), "scenario.s.kind is 'rates'; is 'rate' meant?"),
    "a pipeline of none": (minimal("[scenario.s]\npipeline = 0"), "pipeline is 0; it must be at least 1"),
    "a pipeline at a rate": (minimal('[scenario.s]\nkind = "rate"\nrate = 1\npipeline = 2'),
                             "scenario.s.pipeline is for kind closed, and this is rate"),
    "idle connections in a ramp": (minimal('[scenario.s]\nkind = "ramp"\nsteps = [1]\nidle = 2'),
                                   "scenario.s.idle is for kind closed, and this is ramp"),
    "a mixture with conditions": (
        minimal('[scenario.s]\nkind = "mixed"\nrequests = [{path = "/"}]\nconditional = true'),
        "scenario.s.conditional is for kind closed or churn or rate or think or ramp, and this is mixed"),
    "two kinds of folders": (minimal('[files]\n"site/a" = {tree = 1, entries = 1}'), "not both"),
    "a folder without entries": (minimal('[files]\n"site/a" = {entries = 0}'), "below what there can be"),
    "not a number": (minimal('[scenario.s]\nseconds = "1"'), "scenario.s.seconds is not a number: '1'"),
    "a truth is no number": (minimal("[scenario.s]\nrounds = true"), "rounds is not a whole number: True"),
    "not a list": ('[contestant.a]\ncommand = "a"\n[scenario.s]', "contestant.a.command is not a list"),
    "not a table": ("contestant = 1", "contestant is not a table"),
    "a name twice": (minimal('[scenario.s]\nname = "x"'), "scenario.s has no 'name'"),
    "too few": (minimal("[scenario.s]\nrounds = 0"), "scenario.s.rounds is 0; it must be at least 1"),
    "neither": ("[contestant.a]\n[scenario.s]", "contestant.a needs a command, or the url"),
    "both": ('[contestant.a]\ncommand = ["a"]\nurl = "http://a"\n[scenario.s]', "one of them"),
    "a bad url": ('[contestant.a]\nurl = "ftp://a"\n[scenario.s]', "is not of the form http://"),
    "a bad port": ('[contestant.a]\ncommand = ["a"]\nport = "x"\n[scenario.s]', "contestant.a.port is 'x'"),
    "a bad path": (minimal('[scenario.s]\npath = "a b"'), "path 'a b' must begin with a slash"),
    "a bad header": (minimal('[scenario.s]\nheaders = {"A B" = "1"}'), "header name 'A B' must consist of"),
    "a line end": (minimal('[scenario.s]\nheaders = {A = "1\\r\\nB: 2"}'), "must be one line"),
    "no rate": (minimal('[scenario.s]\nkind = "rate"'), "scenario.s is a rate; say rate ="),
    "no steps": (minimal('[scenario.s]\nkind = "ramp"'), "scenario.s is a ramp; say steps ="),
    "no requests": (minimal('[scenario.s]\nkind = "mixed"'), "scenario.s is mixed; say requests ="),
    "a rate too many": (minimal("[scenario.s]\nrate = 5"), "scenario.s.rate is for kind rate or mixed"),
    "no ascent": (minimal('[scenario.s]\nkind = "ramp"\nsteps = {start = 1, times = 1}'), "must ascend"),
    "too fast": (minimal('[scenario.s]\nkind = "ramp"\nsteps = [1, 1e9]'), "1e+09 is no rate"),
    "no rate above 0": (minimal('[scenario.s]\nkind = "rate"\nrate = -1'), "-1 is no rate"),
    "wrk has no rate": (minimal('[scenario.s]\nkind = "rate"\nrate = 1\ndriver = "wrk"'), "wrk has no rate"),
    "wrk has no HEAD": (minimal('[scenario.s]\nmethod = "HEAD"\ndriver = "wrk"'), "answers to HEAD have not"),
    "elsewhere": (minimal('[files]\n"../x" = {octets = 1}'), "must be below site/"),
    "a config elsewhere": (minimal('config = {"../x" = ""}'), "own folder"),
    "no such scenario": (minimal('scenarios = ["t"]'), "there is no scenario 't'"),
    "no such path": (minimal('path = {t = "/"}'), "there is no scenario 't'; there are s"),
    "no file": (minimal('[scenario.s]\nkind = "mixed"\nrequests = [{path = "/a", files = 3}]'), "{file}"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        plan_of(tmp_path, text)
    line = str(refusal.value)
    assert said in line
    assert str(tmp_path / "plan.toml") in line
    assert "\n" not in line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="No such file"):
        scenario.load(tmp_path / "none.toml")


@pytest.mark.parametrize(("scenarios", "contestants", "said"), [
    (["helo"], None, "no scenario is called 'helo'; is 'hello' meant?"),
    (None, ["x"], "no contestant is called 'x'; there are nginx, ours"),
])
def test_names_that_there_are_not(whole: Plan, scenarios: Any, contestants: Any, said: str) -> None:
    with pytest.raises(Refusal, match=said.replace("?", r"\?")):
        whole.chosen(scenarios, contestants)


@pytest.mark.parametrize("kind", ["ramp", "churn", "think"])
def test_what_can_have_no_rate_is_told(kind: Any) -> None:
    steps = (1.0,) if kind == "ramp" else None
    plan = scenario.of_addresses(["http://127.0.0.1:1/"])
    plan = Plan("", plan.here, {}, plan.contestants, (scenario.Scenario(name="s", kind=kind, steps=steps),))
    with pytest.raises(Refusal, match="--rate is not for scenario 's'"):
        plan.changed(rate=5)
