"""Results as JSON and back, whole; and what is no result, or one of another schema."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import result
from fastserve.rig.measure.result import Errors, Result, Step
from fastserve.words import Refusal
from rig.making import contestant_of, latency_of, result_of, round_of, scenario_of


@pytest.fixture
def made() -> Result:
    steps = [Step(100.0, 99.5, latency_of(1, 2), 1e-5, Errors(timeout=3)), Step(200.0, 120.0, latency_of(9))]
    full = round_of(steps=steps, errors=Errors(status=2))
    full.uncorrected, full.first_byte, full.system_calls = latency_of(1), latency_of(2), 2.5
    bare = round_of(cpu=None, memory=None)
    return result_of(scenario_of(contestant_of("a", [full, bare]), contestant_of("b", [])))


def test_a_result_comes_back_as_it_went(made: Result, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    result.save(made, file)
    found = result.load(file)
    assert found.to_json() == made.to_json()
    assert [scenario.name for scenario, _ in found.entries()] == ["hello", "hello"]
    one = found.scenarios[0].contestants[0].rounds[0]
    assert (one.errors.total, one.steps[0].errors.timeout, one.system_calls) == (2, 3, 2.5)
    assert one.latency.count == 3


def test_the_json_has_what_the_schema_says(made: Result) -> None:
    data = json.loads(json.dumps(made.to_json()))
    assert next(iter(data)) == "schema"
    assert data["schema"] == 1
    one = data["scenarios"][0]["contestants"][0]["rounds"][0]
    assert one.keys() == {
        "began", "seconds", "requests", "rate", "octets", "errors", "cpu_seconds", "cpu_per_request",
        "memory_peak", "memory", "latency", "uncorrected", "first_byte", "system_calls", "steps",
        "load_busy", "note", "calls", "idle"}
    assert {"connect", "read", "timeout", "status", "body"} == one["errors"].keys()
    assert {"count", "min", "mean", "max", "percentiles", "histogram"} <= one["latency"].keys()
    assert one["memory"] == [[1.5, 1 << 20]]


def test_what_a_later_version_adds_is_passed_over(made: Result) -> None:
    data = made.to_json()
    data["more"] = data["machine"]["more"] = 1
    assert Result.from_json(data).to_json() == made.to_json()


def test_a_file_is_written_whole_or_not_at_all(made: Result, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("before")
    made.scenarios[0].contestants[0].rounds[0].rate = float("nan")  # which JSON has no word for
    with pytest.raises(ValueError, match="JSON"):
        result.save(made, file)
    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_the_standard_output(made: Result, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By whatever name; who may write in /dev must not put a file in the place of that."""
    result.save(made, path)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(made.to_json()))


def test_a_link_stays_one(made: Result, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("other/result.json")
    result.save(made, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert result.load(tmp_path / "other" / "result.json").to_json() == made.to_json()


def test_a_file_may_be_read_by_others(made: Result, tmp_path: Path) -> None:
    before = os.umask(0o22)
    try:
        result.save(made, tmp_path / "result.json")
    finally:
        os.umask(before)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["", "none/result.json"])
def test_what_cannot_be_written_is_told(made: Result, tmp_path: Path, path: str) -> None:
    with pytest.raises(Refusal, match="cannot write the result"):
        result.save(made, tmp_path / path)


def changed(data: Any, way: list[Any], value: Any) -> Any:
    """The data with something else at the end of a way."""
    at = data
    for step in way[:-1]:
        at = at[step]
    if value is None:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return data


ROUND = ["scenarios", 0, "contestants", 0, "rounds", 0]


@pytest.mark.parametrize(("way", "value", "said"), [
    (["schema"], 2, "has schema 2; this version reads 1"),
    (["schema"], None, "it has no schema"),
    (["machine"], None, "lacks 'machine'"),
    (["scenarios"], {}, "scenarios is not a list"),
    (["scenarios", 0, "kind"], "other", "no known kind"),
    ([*ROUND, "rate"], "fast", "scenarios[0].contestants[0].rounds[0].rate is not a number: 'fast'"),
    ([*ROUND, "latency"], None, "rounds[0] lacks 'latency'"),
    ([*ROUND, "latency"], {"count": 1}, "latency lacks 'min'"),
    ([*ROUND, "memory"], [[1]], "memory[0] is not a list of 2"),
    ([*ROUND, "errors", "read"], 1.5, "errors.read is not a whole number"),
])
def test_what_is_no_result_is_told(made: Result, way: list[Any], value: Any, said: str) -> None:
    data = changed(json.loads(json.dumps(made.to_json())), way, value)
    with pytest.raises(Refusal) as refusal:
        Result.from_json(data, "x.json")
    assert said in str(refusal.value)
    assert "x.json" in str(refusal.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "\0"])
def test_a_file_that_is_no_result(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(Refusal, match=r"x\.json"):
        result.load(file)
