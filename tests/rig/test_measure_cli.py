"""python -m fastserve.rig measure: what it prints, writes and returns; and what it refuses, in one line."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig import cli
from fastserve.rig.measure import result, terminal
from fastserve.rig.measure.result import Errors, Result
from rig.making import contestant_of, result_of, round_of, scenario_of
from rig.measured import SERVER

pytest.importorskip("psutil")

PATIENCE = 60
TWO = f"""
title = "two"
[defaults]
connections = 4
warm_up = 0
[contestant.one]
command = ["{{python}}", "{SERVER}", "{{port}}"]
[contestant.two]
command = ["{{python}}", "{SERVER}", "{{port}}"]
[contestant.none]
command = ["none"]
needs = ["no-such-program"]
[scenario.steady]
kind = "rate"
rate = 100
"""
SHORT = ("--seconds", "0.5", "--rounds", "2")
FACTORS = {"same": 1.0, "slower": 1.5, "faster": 0.5}


def measure(*arguments: str) -> int:
    return cli.main(["measure", *arguments])


def rig(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastserve.rig", "measure", *arguments], cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a scenario file, two.toml, and results of a server that is as it was, slower and faster."""
    (tmp_path / "two.toml").write_text(TWO, "utf-8")
    for name, factor in FACTORS.items():
        result.save(run_of(factor), tmp_path / f"{name}.json")
    return tmp_path


def run_of(factor: float, rounds: Sequence[float] = (0.98, 1.01, 1.0, 1.02, 0.99)) -> Result:
    return result_of(scenario_of(contestant_of("a", [
        round_of(rate=1000 / factor / each, cpu=1e-5 * factor * each, p50=factor * each)
        for each in rounds])))


# -- Measuring -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_is_measured(folder: Path) -> None:
    done = rig(folder, "two.toml", *SHORT, "--json", "out.json", "--csv", "out.csv")
    out, said = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0, said
    assert "steady: round 2 of 2" in said
    assert "none is left out: needs no-such-program" in said
    table = [line.split() for line in out.splitlines()]
    assert out.startswith("steady (rate; 4 connections; 100 requests/s; medians of 2 rounds of 0.5 s)\n")
    assert [row[0] for row in table if row and row[0] in ("one", "two")] == ["one", "two"]
    assert "left out: none: needs no-such-program" in out
    found = result.load(folder / "out.json")
    assert [contestant.name for _, contestant in found.entries()] == ["one", "two"]
    assert found.command[-3:] == ["out.json", "--csv", "out.csv"]
    assert found.title == "two"
    assert len((folder / "out.csv").read_text().splitlines()) == 5


@pytest.mark.slow
def test_a_page_is_written(folder: Path) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    done = rig(folder, "two.toml", *SHORT, "--contestant", "one", "--html", "out.html")
    said = done.communicate(timeout=PATIENCE)[1]
    assert done.returncode == 0, said
    assert "<html" in (folder / "out.html").read_text("utf-8")


@pytest.mark.slow
def test_the_json_on_the_standard_output_is_alone_there(folder: Path) -> None:
    done = rig(folder, "two.toml", "--quick", "--contestant", "one", "--json", "-")
    out, said = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0, said
    settings = json.loads(out)["scenarios"][0]["settings"]
    assert (settings["seconds"], settings["rounds"], settings["warm_up"]) == (1.0, 2, 0.0)
    assert "100 requests/s" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_measured_before_an_interruption_is_written(folder: Path, number: int) -> None:
    done = rig(folder, "two.toml", "--seconds", "0.5", "--rounds", "100", "--json", "out.json")
    assert done.stderr
    wait_for_line(done.stderr, "round 3 of 100")
    done.send_signal(number)
    out, said = done.communicate(timeout=PATIENCE)
    assert (done.returncode, "Traceback" in said) == (130, False)
    assert "interrupted: this is what had been measured" in out
    found = result.load(folder / "out.json")
    assert found.interrupted
    assert [len(contestant.rounds) for _, contestant in found.entries()] == [2, 2]


def wait_for_line(stream: Any, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if text in stream.readline():
            return
    raise AssertionError(f"no line has {text}")


@pytest.mark.slow
def test_where_nothing_is_measured_the_status_says_so(folder: Path, capsys: Any) -> None:
    assert measure(str(folder / "two.toml"), "--contestant", "none") == 1
    printed = capsys.readouterr()
    assert "nothing was measured" in printed.out
    assert "left out: none: needs no-such-program" in printed.out


REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "nothing to measure; give a scenario file or http://host:port/path"),
    "two files": (["two.toml", "two.toml"], "one scenario file"),
    "both": (["two.toml", "http://127.0.0.1:1/"], "not both"),
    "no file": (["none.toml"], "cannot read the scenarios in 'none.toml': No such file"),
    "no url": (["ftp://127.0.0.1/"], "is not of the form http://"),
    "no seconds": (["two.toml", "--seconds", "0"], "--seconds '0' is not a number from 0.1 up"),
    "no number": (["two.toml", "--rate", "fast"], "--rate 'fast' is not a number"),
    "nan": (["two.toml", "--rate", "nan"], "--rate 'nan' is not a number"),
    "no rounds": (["two.toml", "--rounds", "1.5"], "--rounds '1.5' is not a whole number from 1 up"),
    "no such scenario": (["two.toml", "--scenario", "stedy"], "is called 'stedy'; is 'steady' meant?"),
    "no such contestant": (["two.toml", "--contestant", "x"], "is called 'x'; there are one, two, none"),
    "no such folder": (["two.toml", "--json", "none/out.json"], "cannot write 'none/out.json'"),
    "a folder": (["two.toml", "--csv", "."], "cannot write '.'"),
    "too much": (["two.toml", "--compare", "a", "b"], "--compare measures nothing"),
    "no old": (["--compare", "none.json", "same.json"], "cannot read the result in 'none.json'"),
    "no result": (["--compare", "two.toml", "same.json"], "cannot read the result in 'two.toml'"),
    "no threshold": (["--compare", "same.json", "same.json", "--threshold", "x"], "'x' is no share"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_one_line(
        folder: Path, arguments: list[str], said: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    assert measure(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_help_names_all_options(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        measure("--help")
    said = capsys.readouterr().out
    for option in ("seconds", "rounds", "connections", "rate", "scenario", "contestant", "quick", "json",
                   "csv", "html", "compare", "threshold"):
        assert f"--{option}" in said


# -- Comparing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("new", "more", "status", "said"), [
    ("same", [], 0, ""), ("faster", [], 0, "better"), ("slower", [], 1, "worse, past the threshold"),
    ("slower", ["--threshold", "60%"], 0, "worse"),
])
def test_two_results_are_compared(
        folder: Path, new: str, more: list[str], status: int, said: str, capsys: Any) -> None:
    assert measure("--compare", str(folder / "same.json"), str(folder / f"{new}.json"), *more) == status
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("hello")]
    assert len(rows) == 5
    assert all(row.rstrip().endswith(said) for row in rows if "memory" not in row)


# -- Tables --------------------------------------------------------------------------------------


class Stream(io.StringIO):
    """A stream of some encoding that is a terminal or none."""

    def __init__(self, encoding: str = "utf-8", terminal: bool = False) -> None:
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def shown() -> Result:
    rounds = [round_of(errors=Errors(timeout=3)) for _ in range(3)]
    result_ = result_of(scenario_of(contestant_of("a", rounds), contestant_of("b", [
        round_of(rate=500, cpu=2e-5) for _ in range(3)])))
    result_.left_out["c"] = "why"
    return result_


def test_a_plain_table(shown: Result) -> None:
    stream = Stream()
    terminal.show(shown, stream)
    lines = stream.getvalue().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert lines[0] == "hello (closed; 64 connections; medians of 3 rounds of 1 s)"
    assert re.split("  +", lines[1].strip()) == [
        "requests/s", "p50", "p99", "p99.9", "CPU/request", "memory", "CPU x a", "95 %", "errors"]
    assert lines[2].split()[:2] == ["a", "1,000"]
    assert lines[2].split()[-1] == "9"
    assert lines[3].split()[-2:] == ["2.00", "2.00\N{EN DASH}2.00"]
    assert lines[-1] == "left out: c: why"


def test_a_terminal_gets_the_same(shown: Result) -> None:
    pytest.importorskip("rich")
    stream = Stream(terminal=True)
    terminal.show(shown, stream)
    for text in ("1,000", "500", "2.00", "left out: c: why"):
        assert text in stream.getvalue()


def test_without_rich_a_terminal_gets_a_plain_table(shown: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    plain, stream = Stream(), Stream(terminal=True)
    terminal.show(shown, plain)
    terminal.show(shown, stream)
    assert stream.getvalue() == plain.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_that_knows_few_letters(shown: Result, encoding: str) -> None:
    stream = Stream(encoding)
    terminal.show(shown, stream)
    stream.getvalue().encode(encoding)
    assert "10.0 us" in stream.getvalue().replace("\N{NO-BREAK SPACE}", " ").replace("\N{MICRO SIGN}", "u")


def test_what_is_not_known_has_no_column(shown: Result) -> None:
    for _, contestant in shown.entries():
        for one in contestant.rounds:
            one.cpu_per_request, one.errors = None, Errors()
    headings = terminal.rows(shown.scenarios[0])[0]
    assert "rate x a" in headings
    assert not {"errors", "system calls", "CPU/request"} & {*headings}
