"""Whole measurements: real servers, real load, short rounds."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import closed, engine, loads, observe
from fastserve.rig.measure.load import Load
from fastserve.rig.measure.result import Contestant, Errors, Result, Scenario
from fastserve.rig.measure.scenario import Plan
from fastserve.rig.measure.scenario import Scenario as Asked
from fastserve.words import Refusal
from rig.making import latency_of
from rig.measured import SHORT, Lines, plan_of, small

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow

needs_wrk = pytest.mark.skipif(not closed.is_there(), reason="no wrk")
TWO = {"a": small(), "b": small("body=hello")}


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    """No process is left of a measurement, and no pin."""
    before = observe.usable_cores()
    yield
    left = psutil.Process().children(recursive=True)
    assert [each.cmdline() for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    assert observe.usable_cores() == before


def measured(plan: Plan, lines: Lines | None = None) -> Result:
    return engine.measure(plan, lines or Lines(), ["test"])


def only(result: Result) -> tuple[Scenario, Contestant]:
    assert result.left_out == {}
    [(scenario, contestant)] = result.entries()
    return scenario, contestant


# -- Rounds --------------------------------------------------------------------------------------


@needs_wrk
def test_contestants_are_measured_in_turns() -> None:
    lines = Lines()
    result = measured(plan_of(TWO, {"path": "/x", "warm_up": 1}), lines)
    assert list(lines.rounds()) == ["a", "b", "a", "b"]
    assert lines.over == pytest.approx(lines.expected)
    [scenario] = result.scenarios
    assert scenario.kind == "closed"
    assert (scenario.settings["driver"], scenario.settings["connections"]) == ("wrk", 4)
    assert [len(each.rounds) for each in scenario.contestants] == [2, 2]
    assert result.tools["wrk"] == closed.version()
    assert not result.interrupted


@needs_wrk
def test_a_round_has_all_figures() -> None:
    _, contestant = only(measured(plan_of({"a": {**small(), "version": "7"}}, {"path": "/x"})))
    assert contestant.answer is not None
    assert (contestant.version, contestant.answer.status, contestant.answer.octets) == ("7", 200, 5)
    assert contestant.url.endswith("/x")
    for one in contestant.rounds:
        assert one.requests > 10
        assert one.rate == pytest.approx(one.requests / one.seconds)
        assert one.latency.count == one.requests
        assert one.cpu_seconds is not None
        assert one.cpu_per_request == pytest.approx(one.cpu_seconds / one.requests)
        assert 0 < one.cpu_seconds < 4 * one.seconds
        assert one.memory_peak is not None
        assert one.memory_peak > 1 << 20
        assert len(one.memory) > 2
        assert one.errors.total == 0
    assert contestant.rounds[0].began < contestant.rounds[1].began


@needs_wrk
def test_the_machine_is_told() -> None:
    machine = measured(plan_of({"a": small()}, {"rounds": 1})).machine
    assert machine.cpu
    assert machine.memory > 1 << 20
    if len(observe.usable_cores()) > 1:
        assert not set(machine.server_cores) & set(machine.load_cores)
        assert machine.server_cores


KINDS: dict[str, dict[str, Any]] = {
    "closed by drive": {"driver": "drive"},
    "rate": {"kind": "rate", "rate": 100},
    "poisson": {"kind": "rate", "rate": 100, "arrivals": "poisson"},
    "think": {"kind": "think", "think": 0.02},
    "exponential": {"kind": "think", "think": 0.02, "thinking": "exponential"},
    "churn": {"kind": "churn"},
    "churn by wrk": {"kind": "churn", "driver": "wrk"},
    "mixed": {"kind": "mixed", "requests": [{"path": "/a", "weight": 3}, {"path": "/b"}]},
    "head": {"path": "/x", "method": "HEAD"},
    "mixed at a rate": {"kind": "mixed", "rate": 100, "requests": [{"path": "/{file}", "files": 300}]},
}


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS.keys())
def test_every_kind(settings: dict[str, Any]) -> None:
    if settings.get("driver") == "wrk" and not closed.is_there():
        pytest.skip("no wrk")
    scenario, contestant = only(measured(plan_of({"a": small()}, settings)))
    assert scenario.settings["driver"] == settings.get("driver", "drive")
    assert len(contestant.rounds) == 2
    for one in contestant.rounds:
        assert one.errors.total == 0
        assert one.latency.count == one.requests > 10
        if "rate" in settings:
            assert one.requests <= 200
            assert one.uncorrected is not None
            assert one.first_byte is not None


def test_a_ramp_ends_where_a_server_does() -> None:
    steps = {"start": 50, "times": 2, "to": 3200}
    settings = {"kind": "ramp", "steps": steps, "connections": 16, "rounds": 1, "p99_limit": 5,
                "reached_limit": 0.7}
    scenario, contestant = only(measured(plan_of({"a": small("limit=300")}, settings)))
    assert scenario.settings["steps"] == [50, 100, 200, 400, 800, 1600, 3200]
    [one] = contestant.rounds
    asked = [each.rate for each in one.steps]
    assert asked == scenario.settings["steps"][:len(asked)]
    assert 1 < len(asked) < 7
    assert one.rate == one.steps[-2].reached < 320


@pytest.mark.parametrize(("requests", "milliseconds", "errors", "carried"), [
    (100, 50, 0, True), (96, 50, 0, True), (94, 50, 0, False), (100, 150, 0, False), (98, 50, 10, False)])
def test_what_a_server_has_carried(requests: int, milliseconds: int, errors: int, carried: bool) -> None:
    load = Load(requests, 1.0, 1, Errors(read=errors), latency_of(milliseconds))
    assert engine.is_carried(load, 100, Asked(kind="ramp", steps=(100.0,))) == carried


@needs_wrk
def test_system_calls_are_counted_in_a_round_of_their_own() -> None:
    lines = Lines()
    _, contestant = only(measured(plan_of({"a": small()}, {"system_calls": True}), lines))
    found = [one.system_calls for one in contestant.rounds]
    assert len(found) == 2
    if found == [None, None]:
        assert "system calls are not counted" in lines.told[-1]
        return
    assert found[-1] is not None
    assert 1 < found[-1] < 1000


@needs_wrk
def test_one_that_runs_already() -> None:
    """The contestant that another measurement has started: its process is found, and not ended."""
    import subprocess
    import sys

    from fastserve.rig.measure import contestants, scenario
    from rig.measured import SERVER

    port = contestants._port(scenario.Contestant("a"))
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)])
    try:
        deadline = time.monotonic() + 10
        while not observe.listeners(observe_address(port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        plan = scenario.of_addresses([f"http://127.0.0.1:{port}/a"]).changed(**SHORT)
        _, contestant = only(measured(plan))
        assert (contestant.name, contestant.command) == (f"127.0.0.1:{port}", [])
        assert all(one.cpu_seconds and one.memory_peak for one in contestant.rounds)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def observe_address(port: int) -> Any:
    from fastserve.rig.measure.asking import Address

    return Address("127.0.0.1", port)


# -- Who is left out -----------------------------------------------------------------------------


FAILING = {
    "missing": ({**small(), "needs": ["no-such-program"]}, "b", "needs no-such-program"),
    "no start": ({"command": ["{python}", "-c", "raise SystemExit('no good')"]}, "b, closed-0",
                 "ended by itself, saying at last: no good"),
    "another body": (small("body=other"), "b, closed-0", "another body than the first contestant"),
    "another status": (small("status=404"), "b, closed-0", "answered 404 instead of 200"),
    "another body under load": (small("later=a much longer answer than this one was before"), "b, closed-0",
                                "answered otherwise under load"),
    "dies under load": (small("dies=50"), "b, closed-0", "ended by itself"),
}


@needs_wrk
@pytest.mark.parametrize(("contestant", "name", "why"), FAILING.values(), ids=FAILING.keys())
def test_one_that_fails_is_left_out_and_the_others_go_on(
        contestant: dict[str, Any], name: str, why: str) -> None:
    lines = Lines()
    result = measured(plan_of({"a": small(), "b": contestant, "c": small()}, {}), lines)
    assert list(result.left_out) == [name]
    assert why in result.left_out[name]
    assert any(why in line for line in lines.told)
    assert [(each.name, len(each.rounds)) for each in result.scenarios[0].contestants] == [("a", 2), ("c", 2)]


@needs_wrk
def test_a_scenario_that_is_not_everybodys() -> None:
    contestants = {"a": {**small(), "scenarios": ["closed-1"]}, "b": small()}
    result = measured(plan_of(contestants, {"rounds": 1}, {"rounds": 1}))
    assert [[each.name for each in one.contestants] for one in result.scenarios] == [["b"], ["a", "b"]]


@needs_wrk
def test_what_is_expected_may_be_an_error() -> None:
    plan = plan_of({"a": small("status=404")}, {"expect": {"status": 404}, "rounds": 1})
    _, contestant = only(measured(plan))
    assert contestant.rounds[0].errors.total == 0


def test_the_site_is_there(tmp_path: Path) -> None:
    contestant = {"command": ["{python}", "-m", "http.server", "-b", "127.0.0.1", "-d", "{site}", "{port}"]}
    settings = {"path": "/f", "kind": "churn", "rounds": 1, "expect": {"octets": 2048}}
    plan = plan_of({"a": contestant}, settings, files={"site/f": {"octets": 2048}})
    _, found = only(measured(plan))
    assert found.answer is not None
    assert found.answer.octets == 2048


def test_the_server_of_this_project() -> None:
    contestant = {"command": ["{python}", "-m", "fastserve", "-b", "127.0.0.1", "-d", "{site}", "{port}"]}
    plan = plan_of({"a": contestant}, {"path": "/f", "kind": "rate", "rate": 500, "rounds": 1},
                   files={"site/f": {"octets": 1024}})
    _, found = only(measured(plan))
    assert found.rounds[0].errors.total == 0
    assert found.rounds[0].requests == pytest.approx(500, abs=5)


# -- Ends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_measured_before_an_interruption_is_kept(number: int) -> None:
    class Interrupting(Lines):
        def spent(self, seconds: float) -> None:
            super().spent(seconds)
            if len(self.rounds()) == 3:
                threading.Timer(0.3, os.kill, (os.getpid(), number)).start()

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    result = measured(plan_of(TWO, {"kind": "rate", "rate": 50, "rounds": 50}), Interrupting())
    assert result.interrupted
    assert [len(each.rounds) for each in result.scenarios[0].contestants] == [2, 1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_without_wrk_a_closed_loop_is_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "is_there", lambda: False)
    scenario, contestant = only(measured(plan_of({"a": small()}, {"rounds": 1})))
    assert scenario.settings["driver"] == "drive"
    assert contestant.rounds[0].requests > 10


def test_wrk_that_is_asked_for_and_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "is_there", lambda: False)
    with pytest.raises(Refusal, match="wrk, which is not installed"):
        measured(plan_of({"a": small()}, {"driver": "wrk"}))


def test_what_no_tool_can_do_is_told() -> None:
    for contestant in ({"url": "https://127.0.0.1:1/"}, {**small(), "tls": True}):
        plan = plan_of({"a": contestant}, {"kind": "rate", "rate": 1})
        with pytest.raises(Refusal, match="only wrk measures TLS"):
            loads.ensure_possible(plan.scenarios[0], plan.contestants)
