"""Loads that are not as usual: pipelines, conditions, idle connections; and answers by what is in them."""

import io
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig import locusts
from fastserve.rig.measure import closed, engine, idle, scenario, terminal
from fastserve.rig.measure.result import Contestant, Idle, Result
from fastserve.rig.report import as_markdown, svg, tables
from fastserve.words import Refusal
from rig.making import contestant_of, result_of, round_of, scenario_of
from rig.measured import Lines, plan_of, small

pytest.importorskip("psutil")
pytest.importorskip("hdrh")
pytestmark = pytest.mark.slow

needs_wrk = pytest.mark.skipif(not closed.is_there(), reason="no wrk")
OURS = {"command": ["{python}", "-m", "fastserve", "--quiet", "-b", "127.0.0.1", "-d", "{site}", "{port}"]}
FILE = {"site/f": {"octets": 1024}}
ONCE = {"rounds": 1, "path": "/f"}


def measured(contestants: dict[str, Any], settings: dict[str, Any], lines: Lines | None = None,
             files: dict[str, Any] | None = None) -> Result:
    plan = plan_of(contestants, settings, files=FILE if files is None else files)
    return engine.measure(plan, lines or Lines(), ["test"])


def only(result: Result) -> Contestant:
    assert result.left_out == {}
    [(_, contestant)] = result.entries()
    return contestant


# -- Pipelines -------------------------------------------------------------------------------------


@needs_wrk
def test_several_requests_at_once() -> None:
    """All of their answers count; how long each took nobody knows."""
    found = only(measured({"a": OURS}, {**ONCE, "pipeline": 16})).rounds[0]
    assert found.errors.total == 0
    assert found.requests > 16
    assert found.octets / found.requests > 1024
    assert found.latency.count == 0
    assert found.latency.within("50") is None


def test_a_pipeline_is_wrks() -> None:
    with pytest.raises(Refusal, match="only wrk sends several requests at once"):
        plan_of({"a": OURS}, {"pipeline": 2, "driver": "drive"})


def test_a_pipeline_without_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "is_there", lambda: False)
    with pytest.raises(Refusal, match="leave pipeline out"):
        measured({"a": OURS}, {"pipeline": 2})


# -- Conditions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"kind": "churn"}, {"kind": "rate", "rate": 200.0}])
def test_what_has_not_changed(kind: dict[str, Any]) -> None:
    """By the validators of each, which are its own: the answers are 304, and have no body."""
    found = only(measured({"a": OURS}, {**ONCE, **kind, "conditional": True}))
    assert found.answer is not None
    assert (found.answer.status, found.answer.octets) == (304, 0)
    assert found.rounds[0].errors.total == 0
    assert found.rounds[0].octets < found.rounds[0].requests * 500


def test_who_has_no_validators_takes_no_part() -> None:
    result = measured({"a": small()}, {**ONCE, "conditional": True})
    assert result.left_out == {"a, closed-0": "its answers have no validator"}


def test_what_is_asked_for_again_must_have_been_right() -> None:
    result = measured({"a": OURS}, {**ONCE, "path": "/missing", "conditional": True})
    assert result.left_out == {"a, closed-0": "answered 404 instead of 200"}


# -- Idle connections ------------------------------------------------------------------------------


def test_beside_idle_connections() -> None:
    lines = Lines()
    settings = {"rounds": 2, "idle": 100, "warm_up": 1, "expect": {"same": False}}
    result = measured({"a": OURS, "b": small()}, settings, lines)
    assert result.left_out == {}
    assert list(lines.rounds()) == ["a", "b", "a", "b"]
    assert lines.over == pytest.approx(lines.expected)
    for _, contestant in result.entries():
        assert len(contestant.rounds) == 2
        for one in contestant.rounds:
            assert one.idle is not None
            assert one.idle.connections == 100
            assert one.idle.rate_without > 0
            assert (one.idle.cpu_without or 0) > 0
            assert one.errors.total == 0
    [_, threads] = [each for _, each in result.entries()]
    assert threads.rounds[0].idle is not None
    assert (threads.rounds[0].idle.octets_each or 0) > 1000  # it has a thread for each
    assert Result.from_json(result.to_json()).to_json() == result.to_json()


def test_who_ends_idle_connections_takes_no_further_part() -> None:
    result = measured({"a": small("dies=12"), "b": OURS},
                      {"rounds": 1, "idle": 50, "expect": {"same": False}})
    assert list(result.left_out) == ["a, closed-0"]
    assert [contestant.name for _, contestant in result.entries()] == ["b"]


def test_more_idle_connections_than_there_may_be() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there may be any number")
    wanted = hard + idle.OTHERS
    with pytest.raises(Refusal, match=f"need {wanted} open files, and this process may have {hard}"):
        idle.ensure_possible(hard)


def test_as_many_idle_connections_as_need_no_more_files() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle.ensure_possible(0)
    idle.ensure_possible(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


# -- What is in an answer --------------------------------------------------------------------------


@pytest.mark.parametrize(("found", "said"), [
    (300, None),
    (301, "a, closed-0: has 300 different matches of '>entry-[0-9]{5}' in its answer instead of 301"),
])
def test_a_page_that_lists(found: int, said: str | None) -> None:
    """The page is each server's own; the names in it are not."""
    result = measured({"a": OURS}, {"rounds": 1, "path": "/list/", "expect": {"matches": ">entry-[0-9]{5}",
                                                                           "found": found}},
                      files={"site/list": {"entries": 300}})
    assert [": ".join(each) for each in result.left_out.items()] == ([said] if said else [])


@pytest.mark.parametrize(("expect", "said"), [
    ({"matches": "a"}, "matches and found go together"), ({"found": 1}, "matches and found go together"),
    ({"matches": "(", "found": 1}, "is no regular expression"),
])
def test_matches_that_cannot_be(expect: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=re.escape(said)):
        plan_of({"a": OURS}, {"expect": expect})


# -- What is optional ------------------------------------------------------------------------------


@pytest.mark.parametrize(("named", "everything", "scenarios", "contestants"), [
    ((None, None), False, ["usual"], ["a"]),
    ((None, None), True, ["usual", "more"], ["a", "b"]),
    ((["more"], ["b"]), False, ["more"], ["b"]),
])
def test_what_is_optional(named: Any, everything: bool, scenarios: list[str], contestants: list[str]) -> None:
    data = {"contestant": {"a": OURS, "b": {**OURS, "optional": True}},
            "scenario": {"usual": {}, "more": {"optional": True}}}
    plan = scenario.parsed(data, Path()).chosen(*named, everything)
    assert [each.name for each in plan.scenarios] == scenarios
    assert [each.name for each in plan.contestants] == contestants


def test_when_all_is_optional_something_must_be_named() -> None:
    plan = plan_of({"a": OURS}, {"optional": True})
    with pytest.raises(Refusal, match="every scenario is optional; say which one, or --all"):
        plan.chosen(None, None)


# -- System calls ----------------------------------------------------------------------------------


@needs_wrk
@pytest.mark.parametrize("more", [{}, {"idle": 20}], ids=["alone", "beside idle ones"])
def test_system_calls_have_names(more: dict[str, Any]) -> None:
    lines = Lines()
    found = only(measured({"a": OURS}, {**ONCE, **more, "system_calls": True}, lines)).rounds[-1]
    if found.system_calls is None:
        assert "system calls are not counted" in lines.told[-1]
        return
    assert sum(found.calls.values()) == pytest.approx(found.system_calls)
    assert 0.9 < found.calls["recvfrom"] < 1.2
    assert all(isinstance(name, str) for name in found.calls)


# -- In reports ------------------------------------------------------------------------------------


def test_idle_connections_and_calls_are_shown() -> None:
    """On the terminal, in Markdown, in the picture and in the tables of the page."""
    one = round_of()
    one.idle = Idle(100, 2048.0, 2 * one.rate, 1e-5)
    one.calls = {"recvfrom": 1.0, "sendto": 1.0, "brk": 0.0001}
    result = result_of(scenario_of(contestant_of("a", [one])))
    said = io.StringIO()
    terminal.show(result, said)
    told = result.to_json()
    for text in (said.getvalue(), as_markdown.make_markdown(told)):
        assert "2.00\N{NO-BREAK SPACE}KiB" in text
        assert "0.50" in text
        assert "recvfrom" in text
        assert "brk" not in text  # rare
    assert "resident octets of an idle connection" in svg.make_svg(told)
    calls = tables.of_calls(told["scenarios"][0]["contestants"])
    assert calls is not None
    assert [[cell.text for cell in row][:2] for row in calls.rows] == [
        ["recvfrom", "1.00"], ["sendto", "1.00"], ["all", "2.00"]]


@pytest.mark.parametrize(("settings", "what"), [
    ({"pipeline": 2}, "pipeline"), ({"idle": 2}, "idle"), ({"conditional": True}, "conditional"),
    ({"expect": {"matches": "a", "found": 1}}, "expect.matches"),
])
def test_what_locust_does_not_know_is_told(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(Refusal, match=f"'closed-0' has {what}, which is not for Locust"):
        locusts.locustfile(plan_of({"a": OURS}, settings))
