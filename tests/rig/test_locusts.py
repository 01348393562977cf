"""Locustfiles of scenarios, and Locust's results as ours; and a real run of a master with two workers.

Locust is never imported here, as it changes the modules of whoever does: it runs in processes of its own.
"""

import ast
import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig import cli, locust_results, locusts
from fastserve.rig.measure import result, scenario
from fastserve.rig.testing import ScriptedOrigin, origin
from fastserve.words import Refusal

SERVER = '[contestant.here]\nurl = "http://127.0.0.1:8000/"\n'
HEAD = '[scenario.it]\n'


def plan(text: str, contestant: str = SERVER) -> scenario.Plan:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return scenario.parsed(tomllib.loads(f"{contestant}{HEAD}{textwrap.dedent(text)}"), Path.cwd())


def made(text: str, contestant: str = SERVER) -> str:
    return locusts.locustfile(plan(text, contestant))


# -- The locustfile ------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "lines"), [
    ("", ["wait_time = constant(0)  # seconds", 'self.ask("GET", "/")', "@task"]),
    ('path = "/a?b=1"\nmethod = "DELETE"', ["def delete_a_b_1(self):", 'self.ask("DELETE", "/a?b=1")']),
    ('kind = "think"\nthink = 0.25', ["wait_time = constant(0.25)  # seconds"]),
    ('kind = "think"\nthink = 0.25\nthinking = "exponential"', [
        "import random", "def wait_time(self):", "return random.expovariate(1 / 0.25)  # seconds"]),
    ('kind = "rate"\nrate = 100\nconnections = 8', [
        "wait_time = constant_throughput(12.5)  # requests a second"]),
    ('kind = "rate"\nrate = 100\nconnections = 8\narrivals = "poisson"', [
        "return random.expovariate(1 / 0.08)  # seconds"]),
    ('kind = "churn"', ['HEADERS = {"Accept-Encoding": "identity", "Connection": "close"}']),
    ('headers = {"X-Own" = "1"}\ntimeout = 3', [
        'HEADERS = {"Accept-Encoding": "identity", "X-Own": "1"}',
        "connection_timeout = network_timeout = 3"]),
    ('method = "POST"\nbody = "ä"\nexpect = {status = 201, octets = 7}', [
        r'''self.ask("POST", "/", body=b'\xc3\xa4', status=201, octets=7)''']),
    ('expect = {sha256 = "AB"}', ["import hashlib", 'self.ask("GET", "/", sha256="ab")']),
    ('connections = 5\nseconds = 2.5', ["-u 5 -r 5 -t 3s -s 10 --json-file stats --csv stats"]),
    ('title = "A \\"\\"\\"title\\"\\"\\" with \\\\ in it"', ["\"\"\"A '''title''' with \\\\ in it"]),
])
def test_a_locustfile(text: str, lines: list[str]) -> None:
    found = made(text)
    ast.parse(found)
    assert [line for line in lines if line not in found] == []
    assert max(map(len, found.splitlines())) <= 120


MIXED = """
    kind = "mixed"
    rate = 10
    connections = 4
    expect = {status = 202}
    headers = {"A" = "1"}
    requests = [
        {path = "/a", weight = 3}, {path = "/a", weight = 1.5, method = "PUT", body = "x"},
        {path = "/a/", headers = {"B" = "2"}, expect = {octets = 9}},
        {path = "/t/{file}", files = 20}, {path = "/z/{file}", files = 30, spread = "zipf"},
    ]
"""


def test_requests_that_are_mixed() -> None:
    found = made(MIXED)
    tasks = found[found.index("@task"):]
    assert [line.strip() for line in tasks.splitlines() if line.strip()] == [
        "@task(6)", "def get_a(self):", 'self.ask("GET", "/a", status=202)',
        "@task(3)", "def put_a(self):", """self.ask("PUT", "/a", body=b'x', status=202)""",
        "@task(2)", "def get_a_2(self):", "self.ask(", '"GET",', '"/a/",',
        'headers={"Accept-Encoding": "identity", "A": "1", "B": "2"},', "status=202,", "octets=9)",
        "@task(2)", "def get_t_file(self):",
        'self.ask("GET", "/t/{file}".replace("{file}", any_file(20)), name="/t/{file}", status=202)',
        "@task(2)", "def get_z_file(self):",
        'self.ask("GET", "/z/{file}".replace("{file}", some_file(30)), name="/z/{file}", status=202)',
    ]


def test_names_of_files() -> None:
    """As the files of a tree are called, all of them and no other."""
    module: dict[str, Any] = {}
    text = made(MIXED)
    start = text.index("def any_file")
    exec("import itertools, random\n" + text[start:text.index("REPORTED")], module)
    for name, count in (("any_file", 20), ("some_file", 30)):
        found = {module[name](count) for _ in range(3000)}
        assert found <= {f"00/{number:02}.txt" for number in range(count)}
        assert "00/00.txt" in found
    assert {module["any_file"](20) for _ in range(3000)} == {f"00/{number:02}.txt" for number in range(20)}


@pytest.mark.parametrize(("contestant", "line"), [
    ('[contestant.a]\nurl = "https://h.example:1/p?q"', 'host = "https://h.example:1"'),
    ('[contestant.a]\nurl = "http://[::1]:1"', 'host = "http://[::1]:1"'),
    ('[contestant.a]\ncommand = ["x"]\nport = 81', 'host = "http://127.0.0.1:81"'),
    ('[contestant.a]\ncommand = ["x"]', "host = None  # say it by -H http://ADDRESS:PORT"),
])
def test_where_the_server_is(contestant: str, line: str) -> None:
    assert line in made("", contestant + "\n")


@pytest.mark.parametrize(("weights", "expected"), [
    ([1], [1]), ([1, 1], [1, 1]), ([4, 2], [2, 1]), ([0.5, 1.5], [1, 3]), ([70, 20.5, 9.5], [140, 41, 19]),
    ([1e-9, 1], [1, 1000]), ([1 / 3, 1], [1, 3]),
])
def test_weights(weights: list[float], expected: list[int]) -> None:
    assert locusts.whole(weights) == expected


def test_nothing_of_fastserve_is_imported() -> None:
    tree = ast.parse(made(MIXED))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"itertools", "random", "gevent", "locust.stats", "locust", "locust.runners"}


def test_of_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["locust", "http://localhost:81/a?b"]) == 0
    found = capsys.readouterr().out
    assert 'host = "http://localhost:81"' in found
    assert 'self.ask("GET", "/a?b")' in found
    assert "Made by python -m fastserve.rig locust 'http://localhost:81/a?b'" in found


TWO = f"""{SERVER}
[contestant.there]
url = "http://127.0.0.1:8001/"
[scenario.one]
path = "/one"
[scenario.two]
path = "/two"
[scenario.up]
kind = "ramp"
steps = [1, 2]
"""


def test_which_scenario_and_which_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.toml"
    file.write_text(TWO)
    line = ["locust", str(file), "--scenario", "two"]
    for more, host in (([], "127.0.0.1:8000"), (["--contestant", "there"], "127.0.0.1:8001"),
                       (["--url", "http://h.example"], "h.example:80")):
        assert cli.main([*line, *more]) == 0
        found = capsys.readouterr().out
        assert (f'host = "http://{host}"' in found, '"/two"' in found) == (True, True)


# -- Results -------------------------------------------------------------------------------------


def entry(
    name: str, count: int, failed: int, times: dict[str, int], start: float, end: float
) -> dict[str, Any]:
    """As `locust --json-file` writes it."""
    return {"name": name, "method": "GET", "last_request_timestamp": end, "start_time": start,
            "num_requests": count, "num_none_requests": 0, "num_failures": failed,
            "total_response_time": sum(float(each) * n for each, n in times.items()),
            "max_response_time": max(map(float, times)), "min_response_time": min(map(float, times)),
            "total_content_length": 10 * count, "response_times": times,
            "num_reqs_per_sec": {}, "num_fail_per_sec": {}}


STATS = [entry("/a", 90, 2, {"0.5": 50, "1": 40}, 1000.0, 1004.5),
         entry("/b", 10, 1, {"2": 5, "100": 5}, 1000.5, 1005.0)]

STATS_CSV = """\
Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%
GET,/a,90,2,1,0.7,0.5,1.0,10.0,20.0,0.4,1,1,1,1,1,1,1,1,1,1,1
,Aggregated,100,3,1,5.75,0.5,100.0,10.0,20.0,0.6,1,1,1,1,2,2,100,100,100,100,100
"""

FAILURES = """\
Method,Name,Error,Occurrences,First Seen,Last Seen
GET,/a,"CatchResponseError('status 500, not 200')",2,,
GET,/b,"ConnectionRefusedError(111, 'Connection refused')",1,,
"""

HISTORY = "Timestamp,User Count,Type,Name\n1,0,,Aggregated\n2,8,,Aggregated\n3,5,,Aggregated\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with what Locust has written."""
    (tmp_path / "stats.json").write_text(json.dumps(STATS))
    for name, text in (("stats", STATS_CSV), ("failures", FAILURES), ("stats_history", HISTORY)):
        (tmp_path / f"stats_{name}.csv").write_text(text)
    (tmp_path / "x.toml").write_text(TWO)
    return tmp_path


def collected(folder: Path, file: str, *more: str) -> result.Result:
    pytest.importorskip("psutil")
    pytest.importorskip("hdrh")
    line = ["locust", "--collect", str(folder / file), "--failures", str(folder / "stats_failures.csv"),
            "--history", str(folder / "stats_stats_history.csv"), "--json", str(folder / "result.json"),
            *more]
    assert cli.main(line) == 0
    return result.load(folder / "result.json")


@pytest.mark.parametrize("file", ["stats.json", "stats_stats.csv"])
def test_a_result(written: Path, file: str) -> None:
    ((entry, contestant),) = collected(written, file, "--workers", "3").entries()
    (figures,) = contestant.rounds
    assert (entry.name, entry.kind) == ("locust", "think")
    assert (entry.settings["users"], entry.settings["workers"]) == (8, 3)
    assert (figures.requests, figures.seconds, figures.rate, figures.octets) == (99, 5.0, 19.8, 1000)
    assert figures.errors == result.Errors(status=2, connect=1)
    assert entry.settings["failures"]["CatchResponseError('status 500, not 200')"] == 2
    latency = figures.latency
    assert (latency.count, latency.min, latency.max) == (100, 0.0005, 0.1)
    assert latency.mean == pytest.approx(0.00575)
    assert latency.percentiles["50"] == pytest.approx(0.0005 if "json" in file else 0.001, rel=0.01)
    assert latency.percentiles["99"] == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("form", ["csv", "html"])
def test_a_result_can_be_reported(written: Path, form: str) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    collected(written, "stats.json", str(written / "x.toml"), "--scenario", "two")
    assert cli.main(["report", str(written / "result.json"), f"--{form}", str(written / "report")]) == 0
    report = (written / "report").read_text()
    assert ("two" in report, "here" in report) == (True, True)


def test_a_distribution_is_known_of_json_alone(written: Path) -> None:
    for file, known in (("stats.json", True), ("stats_stats.csv", False)):
        ((_, contestant),) = collected(written, file).entries()
        assert (contestant.rounds[0].latency.histogram is not None) == known


def test_a_result_of_a_scenario(written: Path) -> None:
    found = collected(
        written, "stats.json", str(written / "x.toml"), "--scenario", "two", "--contestant", "there")
    ((entry, contestant),) = found.entries()
    assert (entry.name, entry.kind, entry.settings["path"]) == ("two", "closed", "/two")
    assert (contestant.name, contestant.url) == ("there", "http://127.0.0.1:8001/")


def test_failures_of_which_nobody_knows_the_kind(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psutil")
    pytest.importorskip("hdrh")
    assert cli.main(["locust", "--collect", str(written / "stats.json")]) == 0
    told = capsys.readouterr()
    (scenario,) = json.loads(told.out)["scenarios"]
    assert scenario["contestants"][0]["rounds"][0]["errors"]["read"] == 3
    assert "3 failures are counted as read errors; --failures NAME_failures.csv" in told.err


@pytest.mark.parametrize(("text", "kind"), [
    ("CatchResponseError('status 404, not 200')", "status"),
    ("LocustBadStatusCode(code=500)", "status"),
    ("CatchResponseError('body of 3 octets, not 4')", "body"),
    ("CatchResponseError('body of another SHA-256')", "body"),
    ("ConnectionRefusedError(111, 'Connection refused')", "connect"),
    ("gaierror(-2, 'Name or service not known')", "connect"),
    ("TimeoutError('timed out')", "timeout"),
    ("TimeoutError(110, 'Connection timed out')", "timeout"),
    ("ConnectionResetError(104, 'Connection reset by peer')", "read"),
    ("HTTPConnectionClosed('connection closed.')", "read"),
    ("", "read"),
])
def test_kinds_of_failures(text: str, kind: str) -> None:
    assert locust_results.kind_of(text) == kind


@pytest.mark.parametrize(("line", "says"), [
    ([], "say which scenario file, or the URL of which server"),
    (["none.toml"], "cannot read the scenarios in"),
    (["http://"], "is not of the form http://host"),
    (["x.toml"], "there are several scenarios; choose one of one, two, up by --scenario NAME"),
    (["x.toml", "--scenario", "up"], "is a ramp"),
    (["x.toml", "--scenario", "tow"], "no scenario is called 'tow'"),
    (["x.toml", "--scenario", "one", "--url", "nowhere"], "'nowhere' is not of the form"),
    (["x.toml", "--scenario", "one", "--workers", "2"], "--workers is about results: it needs --collect"),
    (["--collect", "none.json"], "cannot read"),
    (["--collect", "x.toml"], "is no file that locust --json-file has written"),
    (["--collect", "stats_failures.csv"], "is no file that locust --csv (as NAME_stats.csv) has written"),
    (["--collect", "stats.json", "--failures", "stats_stats.csv"], "--csv (as NAME_failures.csv)"),
    (["--collect", "stats.json", "--history", "stats_failures.csv", "--failures", "stats_failures.csv"],
     "--csv (as NAME_stats_history.csv)"),
    (["--collect", "empty.json"], "is no file that locust --json-file has written"),
    (["--collect", "stats.json", "--users", "0"], "'0' is not a number from 1 up"),
])
def test_what_cannot_be(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: list[str],
    says: str,
) -> None:
    pytest.importorskip("hdrh")
    monkeypatch.chdir(written)
    (written / "empty.json").write_text("[]")
    assert cli.main(["locust", *line]) == 2
    told = capsys.readouterr()
    assert (told.out, says in told.err, told.err.count("\n")) == ("", True, 1), told.err


# -- A run ---------------------------------------------------------------------------------------

RUN = """
    kind = "mixed"
    rate = 200
    connections = 4
    seconds = 3
    requests = [
        {path = "/bytes/1000", weight = 4, expect = {octets = 1000}},
        {path = "/post", method = "POST", body = "some=form", headers = {"X-Own" = "1"}, weight = 2},
        {path = "/gone", expect = {status = 410, octets = 4}},
        {path = "/fails", expect = {octets = 5}}, {path = "/shorter", expect = {octets = 5}},
        {path = "/breaks"},
    ]
"""


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Any]:
    """A function that starts Locust; whatever happens, all have ended behind the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "locust", *arguments, "--loglevel", "INFO"]
        with (folder / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait(10)


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def locust_run(folder: Path) -> None:
    """A master and two workers, of which one is given its locustfile by the master."""
    port = free_port()
    usual = locusts.usual(plan(RUN).scenarios[0]).split()
    with processes(folder) as start:
        master = start("master", "-f", "locustfile.py", "--master", "--master-bind-host", "127.0.0.1",
                       "--master-bind-port", port, "--expect-workers", "2", "--expect-workers-max-wait", "60",
                       "--exit-code-on-error", "0", *usual)
        joins = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        workers = [start("one", "-f", "locustfile.py", *joins), start("two", "-f", "-", *joins)]
        said = "".join(path.read_text() for path in folder.glob("*.log"))
        assert [each.wait(90) for each in (master, *workers)] == [0, 0, 0], said


def script(server: ScriptedOrigin) -> None:
    server.answer("/gone", body=b"gone", status=410)
    server.answer("/fails", status=500)
    server.answer("/shorter", body=b"four")
    server.answer("/breaks", body=b"octets", fault="truncate")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")
def test_a_run_with_two_workers(tmp_path: Path) -> None:
    with origin() as server:
        script(server)
        contestant = f'[contestant.here]\nurl = "{server.url()}"\n'
        (tmp_path / "locustfile.py").write_text(made(RUN, contestant))
        (tmp_path / "x.toml").write_text(f"{contestant}{HEAD}{textwrap.dedent(RUN)}")
        locust_run(tmp_path)
        received = server.received
    counts = {path: sum(each.path == path for each in received) for path in {each.path for each in received}}
    assert {each.connection for each in received} >= {1, 2, 3, 4}
    assert all(each.headers["Accept-Encoding"] == "identity" for each in received)
    posted = [each for each in received if each.path == "/post"]
    assert posted
    assert {(each.body, each.headers["X-Own"]) for each in posted} == {(b"some=form", "1")}

    found = collected(tmp_path, "stats.json", str(tmp_path / "x.toml"), "--workers", "2")
    ((entry, contestant_found),) = found.entries()
    (figures,) = contestant_found.rounds
    assert (entry.settings["users"], entry.settings["workers"]) == (4, 2)
    assert figures.requests + figures.errors.read == len(received)
    assert (figures.errors.status, figures.errors.body, figures.errors.read) == (
        counts["/fails"], counts["/shorter"], counts["/breaks"])
    assert figures.errors.connect == figures.errors.timeout == 0
    assert figures.latency.count == len(received)
    assert 0 < figures.latency.min <= figures.latency.percentiles["50"] <= figures.latency.max


@pytest.mark.parametrize("text", ["", MIXED])
def test_refusals_are_words(text: str) -> None:
    """Whoever calls locustfile() himself gets the same exception as the command line."""
    both = plan(text)
    doubled = scenario.Plan("", both.here, {}, both.contestants, both.scenarios * 2)
    with pytest.raises(Refusal, match="there are several scenarios"):
        locusts.locustfile(doubled)
