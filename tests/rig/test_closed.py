"""wrk's arguments, and what becomes of what it says; and a whole load, where wrk is there."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import closed
from fastserve.rig.measure.asking import Address, Question, Wrong
from fastserve.rig.measure.latency import Latency
from fastserve.rig.measure.load import Load
from fastserve.rig.measure.result import Errors

pytest.importorskip("psutil")

needs_wrk = pytest.mark.skipif(not closed.is_there(), reason="no wrk")
HERE = Address("127.0.0.1", 8000)
TOLD = {"requests": 4, "microseconds": 2_000_000, "octets": 400, "connect": 1, "read": 2, "write": 3,
        "timeout": 1, "refused": 2, "cpu": 3.0, "exact": True, "latency": [[100, 2], [300, 1]]}


# -- Arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("connections", "cores", "threads"), [
    (64, [], 1), (64, [1], 1), (64, [1, 2], 2), (65, [1, 2], 1), (63, [1, 2, 3, 4], 3), (1, [1, 2], 1)])
def test_threads_share_the_connections_evenly(connections: int, cores: list[int], threads: int) -> None:
    assert closed.threads(connections, cores) == threads


def test_the_command(tmp_path: Path) -> None:
    question = Question("/a?b=c", "POST", {"A": "b"}, b"\0body")
    command = closed.arguments(HERE, question, 8, 1.2, 0.5, 2, tmp_path)
    assert command == [
        "wrk", "-t2", "-c8", "-d2s", "--timeout", "1s", "-s", str(closed.SCRIPT), "-H", "A: b",
        "http://127.0.0.1:8000/a?b=c", "--", "POST", "1", str(tmp_path / "body")]
    assert (tmp_path / "body").read_bytes() == b"\0body"


# -- What it says --------------------------------------------------------------------------------


def load_of(told: dict[str, Any], status: int = 200, threads: int = 1) -> Load:
    return closed.load_of(closed.Said(f"{closed.MARK}{json.dumps(told)}\n", threads), 64, status)


def test_figures_become_a_load() -> None:
    load = load_of(TOLD)
    assert (load.requests, load.seconds, load.octets, load.rate) == (4, 2.0, 400, 2.0)
    assert vars(load.errors) == {"connect": 1, "read": 5, "timeout": 1, "status": 2, "body": 0}
    assert load.latency.count == 3
    assert load.latency.max == pytest.approx(300e-6, rel=0.01)


@pytest.mark.parametrize(("status", "wrong"), [(200, 2), (301, 2), (404, 2), (500, 2)])
def test_an_expected_status_is_no_error(status: int, wrong: int) -> None:
    """Of four answers two had a status from 400 up."""
    assert load_of(TOLD, status).errors.status == wrong
    assert load_of({**TOLD, "refused": 4}, 404).errors.status == 0


@pytest.mark.parametrize(("cpu", "threads", "busy", "limited"), [
    (1.8, 1, 0.9, False), (1.95, 1, 0.975, True), (1.95, 2, 0.4875, False)])
def test_wrk_itself_may_be_the_limit(cpu: float, threads: int, busy: float, limited: bool) -> None:
    load = load_of({**TOLD, "cpu": cpu}, threads=threads)
    assert load.busy == pytest.approx(busy)
    assert bool(load.limit) == limited


@pytest.mark.parametrize("said", ["", "unable to connect to a:1 Connection refused\n", "RESULT {\n"])
def test_what_is_no_result_is_told(said: str) -> None:
    with pytest.raises(Wrong, match="wrk failed: "):
        closed.figures(said)


def filled_up(counts: Counter[int], expected: int) -> Counter[int]:
    """What wrk makes of latencies: those that it thinks it would have seen in the time of long ones."""
    found = Counter(counts)
    for value, count in counts.items():
        at = value - expected
        while value >= 2 * expected and at > expected:
            found[at] += count
            at -= expected
    return found


@pytest.mark.parametrize("seed", range(5))
def test_what_wrk_has_added_is_taken_out_again(seed: int) -> None:
    chance = random.Random(seed)
    counts = Counter(int(chance.lognormvariate(6, 1)) for _ in range(5000))
    duration, connections = sum(value * count for value, count in counts.items()) // 8, 8
    told = filled_up(counts, duration // (5000 // connections))
    assert sum(told.values()) > 5000
    assert closed.measured(told, 5000, 0, duration, connections) == counts


@pytest.mark.parametrize(("counts", "requests", "late"), [
    ({5: 3}, 3, 0), ({5: 3}, 5, 2), ({}, 0, 0), ({5: 1, 900: 3}, 100, 0)],
    ids=["nothing added", "late ones have none", "nothing", "not to be told"])
def test_what_has_nothing_added_stays(counts: dict[int, int], requests: int, late: int) -> None:
    assert closed.measured(counts, requests, late, 1000, 2) == counts


@pytest.mark.parametrize(("size", "cut_off", "octets", "right"), [
    (100, 0, 1000, True), (100, 0, 1040, True), (100, 0, 1100, False), (100, 1, 1100, True),
    (100, 64, 900, False), (100, 0, 0, False)])
def test_the_length_of_answers_under_load(size: float, cut_off: int, octets: int, right: bool) -> None:
    load = Load(10, 1.0, octets, Errors(), Latency.from_counts([(1000, 10)]))
    if right:
        load.ensure_answers_of(size, cut_off)
        return
    with pytest.raises(Wrong, match="answered otherwise under load"):
        load.ensure_answers_of(size, cut_off)


# -- wrk itself ----------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Says what it was asked, and counts who asked."""

    protocol_version = "HTTP/1.1"
    asked: Counter[tuple[str, str, str | None, bytes]] = Counter()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Handler.asked[self.command, self.path, self.headers["X-Own"], body] += 1
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_GET = do_POST = answer

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[Address]:
    Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


def loaded(address: Address, question: Question, connections: int, status: int = 200) -> Load:
    """What a second of load has seen."""
    said = closed.run(address, question, connections, 1, 5, [])
    load = closed.load_of(said, connections, status)
    assert load.busy is not None
    assert 0 < load.busy < 1.1
    return load


@needs_wrk
def test_the_version_is_one() -> None:
    assert closed.version()[:1].isdigit()


@needs_wrk
def test_all_answers_are_in_the_distribution(address: Address) -> None:
    question = Question("/a?b=c", "POST", {"X-Own": "yes"}, b"octets\0\xff")
    load = loaded(address, question, 4)
    assert load.requests > 10
    assert load.latency.count == load.requests
    assert load.errors.total == 0
    assert 0 < load.latency.min <= load.latency.percentiles["50"] <= load.latency.percentiles["99.99"]
    assert set(Handler.asked) == {("POST", "/a?b=c", "yes", b"octets\0\xff")}
    # What the end cuts off was asked for as well: one on each connection.
    assert load.requests <= Handler.asked.total() <= load.requests + 4


@needs_wrk
@pytest.mark.parametrize(("status", "is_wrong"), [(200, True), (404, False)])
def test_statuses_are_counted(address: Address, status: int, is_wrong: bool) -> None:
    load = loaded(address, Question("/missing"), 2, status)
    assert load.errors.status == (load.requests if is_wrong else 0)


@needs_wrk
def test_nobody_there_is_told() -> None:
    with pytest.raises(Wrong, match="wrk failed: unable to connect"):
        loaded(Address("127.0.0.1", 1), Question("/"), 1)


@needs_wrk
def test_a_distribution_that_is_too_long_is_told_by_ranks(tmp_path: Path) -> None:
    """The script's other way, by wrk's own Lua: it gets latencies from a table, as done() does from wrk."""
    script = tmp_path / "by_ranks.lua"
    text = closed.SCRIPT.read_text("utf-8").replace("STEPS, RANKS, LAST = 4e9,", "STEPS, RANKS, LAST = 0,")
    script.write_text(text, "utf-8")
    said = ranks_of(script)
    assert said["exact"] is False
    counts = [count for _, count in said["latency"]]
    values = [value for value, _ in said["latency"]]
    assert sum(counts) == said["requests"]
    assert values == sorted(values)


def ranks_of(script: Path) -> dict[str, Any]:
    """What wrk says with another script, of a load of a second."""
    Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        command = ["wrk", "-t1", "-c2", "-d1s", "-s", str(script), url, "--", "GET"]
        said = closed._said(command, 30, [])
        server.shutdown()
    return closed.figures(said)
