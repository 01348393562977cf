"""What a loop tells of itself: every figure counts what it says, on every lane, and Prometheus can read it.

Worker processes are in tests/live/test_observing.py.
"""

import contextlib
import functools
import os
import resource
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, request, wait_until
from pairs import TLSClient, certificate
from serving.apps import Files, HTTPServer, Quiet, ThreadingHTTPServer
from serving.secure import HTTPSServer

import fastserve
from fastserve import _tally
from fastserve._tally import ROW_SIZE, Tally
from fastserve.serving import metrics
from fastserve.serving.metrics import Metrics

parser = pytest.importorskip("prometheus_client.parser")

Serve = Callable[..., Any]
METRICS = request(target="/metrics")
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc")


class Measured(HTTPServer):
    metrics_path = "/metrics"


class MeasuredThreads(ThreadingHTTPServer):
    metrics_path = "/metrics"


class MeasuredTLS(HTTPSServer):
    metrics_path = "/metrics"


SERVERS = pytest.mark.parametrize("server_class", [Measured, MeasuredThreads])


def read(text: str) -> dict[str, dict[tuple[Any, ...], float]]:
    """Samples by name and values of labels, as Prometheus' own parser has them.

    It takes _total from the names of counters; no two are the same for that.
    """
    found: dict[str, dict[tuple[Any, ...], float]] = {}
    names: list[str] = []
    for family in parser.text_string_to_metric_families(text):
        names.append(family.name)
        assert family.documentation
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            labels = tuple(sample.labels.values())
            assert labels not in found.setdefault(sample.name, {})
            assert sample.name.endswith("_total") == (family.type == "counter")
            found[sample.name][labels] = sample.value
    assert len(names) == len(set(names))
    return found


def figures(server: Any, client: type[Client] = Client) -> dict[str, dict[tuple[Any, ...], float]]:
    with client(server.server_address) as peer:
        return read(peer.ask(METRICS).body.decode())


def answers(server: Any, client: type[Client] = Client) -> dict[tuple[Any, ...], float]:
    return figures(server, client).get("fastserve_requests_total", {})


# -- The answer ------------------------------------------------------------------------------------


@SERVERS
def test_the_answer(serve: Serve, server_class: Any, clean_log: Any) -> None:
    server = serve(Quiet, server_class)
    with Client(server.server_address) as client:
        reply = client.ask(METRICS)
        head = client.ask(request("HEAD", "/metrics?some=thing"))
    assert (reply.status, head.status, head.body) == (200, 200, b"")
    for each in (reply, head):
        assert each.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert each.get("Cache-Control") == "no-store"
    assert reply.body.endswith(b"\n")
    said = read(reply.body.decode())
    assert list(said) == [name for name in [
        "fastserve_build_info",
        *(name for name, _, _ in (*metrics.TOTALS, *metrics.GAUGES, *metrics.PROCESS)),
    ] if name.startswith("fastserve") or name in said]
    assert said["fastserve_build_info"] == {(fastserve.__version__, Quiet.sys_version[7:]): 1}
    assert clean_log.text() == ""


@SERVERS
def test_off_unless_it_is_asked_for(serve: Serve, server_class: Any) -> None:
    plain = type("Plain", (server_class,), {"metrics_path": None})
    assert ask(serve(Quiet, plain).server_address, METRICS).body == b"/metrics"
    assert fastserve.HTTPServer.metrics_path is None


@SERVERS
def test_other_requests_are_the_handler_s(serve: Serve, server_class: Any) -> None:
    server = serve(Quiet, server_class)
    for target in ("/metrics/", "/metric", "/", "/path?/metrics"):
        assert ask(server.server_address, request(target=target)).body == target.encode()
    assert ask(server.server_address, request("POST", "/metrics", body=b"four")).body == b"4"


@SERVERS
def test_beside_health(serve: Serve, server_class: Any) -> None:
    server = serve(Quiet, type("Both", (server_class,), {"health_path": "/health"}))
    with Client(server.server_address) as client:
        for _ in range(3):
            assert client.ask(request(target="/health")).body == b"ok\n"
            assert b"fastserve_build_info" in client.ask(METRICS).body
            assert client.ask(request(target="/path")).body == b"/path"
    assert answers(server) == {("GET", "200"): 3}
    assert figures(server)["fastserve_response_body_bytes_total"] == {(): 15}


@pytest.mark.parametrize("path", ["", "metrics", "/a b", "/a?b", "/\xe9"])
def test_a_path_that_no_request_has(path: str) -> None:
    server_class: Any = type("Server", (HTTPServer,), {"metrics_path": path})
    with server_class(("127.0.0.1", 0), Quiet) as server, pytest.raises(ValueError, match="begin with /"):
        server.serve_forever()


def test_a_path_that_is_taken() -> None:
    server_class: Any = type("Server", (HTTPServer,), {"metrics_path": "/a", "health_path": "/a"})
    with server_class(("127.0.0.1", 0), Quiet) as server, pytest.raises(ValueError, match="are the same: /a"):
        server.serve_forever()


# -- Requests --------------------------------------------------------------------------------------


class Every(Quiet):
    """Answers as it is asked to."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"abc")

    do_PUT = do_BREW = do_GET


@SERVERS
def test_by_method_and_code(serve: Serve, server_class: Any) -> None:
    server = serve(Every, server_class)
    octets = [
        *[request("GET", f"/{code}") for code in (200, 200, 204, 404, 599, 610, 611, 999)],
        request("PUT", "/201"), request("BREW", "/200"), request("brew", "/200"), request("HEAD", "/"),
        b"nonsense\r\n\r\n",
    ]
    for data in octets:
        assert ask(server.server_address, data).status
    assert answers(server) == {
        ("GET", "200"): 2, ("GET", "204"): 1, ("GET", "404"): 1, ("GET", "599"): 1, ("GET", "610"): 1,
        ("GET", "other"): 2, ("PUT", "201"): 1, ("other", "200"): 1, ("other", "501"): 1, ("HEAD", "501"): 1,
        ("other", "400"): 1,
    }


@SERVERS
def test_an_interim_answer_is_none(serve: Serve, server_class: Any) -> None:
    class Hinting(Quiet):
        def do_GET(self) -> None:
            self.send_response(103)
            self.end_headers()
            super().do_GET()

    server = serve(Hinting, server_class)
    with Client(server.server_address) as client:
        assert client.ask(request("GET", "/")).status == 103
        assert client.reply().status == 200  # type: ignore[union-attr]
    assert answers(server) == {("GET", "200"): 1}


def test_a_head_in_two_parts_is_one(serve: Serve) -> None:
    class Parted(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.flush_headers()
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"1")
            self.send_error(500)  # which does not leave

    server = serve(Parted, Measured)
    assert ask(server.server_address, request()).body == b"1"
    assert answers(server) == {("GET", "200"): 1}


class Own(Quiet):
    def handle(self) -> None:
        super().handle()


def test_of_a_handler_with_its_own_handle(serve: Serve) -> None:
    server = serve(Own, Measured)
    with Client(server.server_address) as client:
        for _ in range(3):
            assert client.ask(request(target="/path")).status == 200
    assert answers(server) == {("GET", "200"): 3}


def test_of_a_connection_that_is_given_away_nothing_is_known(serve: Serve) -> None:
    class Given(socketserver.ThreadingMixIn, Measured):
        def process_request(self, request: Any, client_address: Any) -> None:
            super().process_request(request, client_address)

    server = serve(Quiet, Given)
    with Client(server.server_address) as client:
        assert client.ask(request(target="/path")).body == b"/path"
        said = figures(server)
    assert "fastserve_requests_total" not in said
    assert (said["fastserve_connections_accepted_total"], said["fastserve_connections"]) == ({(): 2}, {(): 1})


def test_over_tls(serve: Serve, folder: Path) -> None:
    (folder / "file").write_bytes(b"12345")
    server = serve(functools.partial(Files, directory=folder), MeasuredTLS, certfile=certificate())
    with TLSClient(server.server_address) as client:
        for _ in range(5):
            assert client.ask(request(target="/file")).body == b"12345"
    said = figures(server, TLSClient)
    assert said["fastserve_requests_total"] == {("GET", "200"): 5}
    assert said["fastserve_response_body_bytes_total"] == {(): 25}


# -- Recorded answers ------------------------------------------------------------------------------


@pytest.fixture
def settled(folder: Path) -> Path:
    """What may be recorded: left alone for so long that a change would be seen."""
    (folder / "file").write_bytes(b"12345")
    (folder / "large").write_bytes(b"x" * 100_000)
    time.sleep(1.2)
    return folder


@SERVERS
def test_recorded_answers_count_as_others(serve: Serve, server_class: Any, settled: Path) -> None:
    server = serve(functools.partial(Files, directory=settled), server_class)
    octets = [
        request(target="/file"), request("HEAD", "/file"), request(target="/large"),
        request("GET", "/large", "Range: bytes=0-9"), request("GET", "/file", "If-None-Match: *"),
        request("GET", "/file", "X-Other: 1"),
    ]
    for data in octets * 4:
        ask(server.server_address, data)
    with Client(server.server_address) as client:
        for data in octets * 3:
            client.ask(data)
    with Client(server.server_address) as client:
        client.send(octets[0] * 30)
        for _ in range(30):
            assert client.reply() is not None
    said = figures(server)
    assert said["fastserve_requests_total"] == {
        ("GET", "200"): 51, ("HEAD", "200"): 7, ("GET", "206"): 7, ("GET", "304"): 7}
    assert said["fastserve_response_body_bytes_total"] == {(): (14 + 30) * 5 + 7 * 100_000 + 70}
    assert said["fastserve_recordings_hits_total"] == {(): server.recordings.hits}
    assert server.recordings.hits >= 60
    assert said["fastserve_recordings"] == {(): 5}
    assert said["fastserve_recordings_bytes"] == {(): server.recordings.octets}
    assert said["fastserve_recordings_open_files"] == {(): 1}
    server.recordings.clear()
    said = figures(server)
    assert said["fastserve_recordings"] == said["fastserve_recordings_bytes"] == {(): 0}
    assert said["fastserve_recordings_open_files"] == {(): 0}


@pytest.mark.parametrize("declared", [True, False])
def test_what_a_file_has_less_than_was_announced_is_not_counted(
    declared: bool, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)

    class Short(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            if declared:
                self.send_header("Content-Length", "3000")
            self.end_headers()
            with open(tmp_path / "file", "rb") as file:
                self.wfile.send_file(file.fileno(), 0, 3000)

    server = serve(Short, Measured)
    with Client(server.server_address) as client:
        client.send(request())
        assert client.rest().endswith(b"\r\n\r\n" + b"x" * 1000)
    assert figures(server)["fastserve_response_body_bytes_total"] == {(): 1000}


# -- Connections -----------------------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize("handler", [Quiet, functools.partial(Files)])
def test_connections(serve: Serve, server_class: Any, handler: Any) -> None:
    server = serve(handler, server_class)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Client(server.server_address)) for _ in range(5)]
        for peer in peers[:3]:
            assert peer.ask(request("GET", "/")).status == 200
        assert wait_until(lambda: figures(server)["fastserve_connections"] == {(): 6})
    assert wait_until(lambda: figures(server)["fastserve_connections"] == {(): 1})
    said = figures(server)
    assert said["fastserve_connections_accepted_total"][()] >= 8


def test_connections_that_find_no_room(serve: Serve) -> None:
    server = serve(Quiet, type("Server", (Measured,), {"max_connections": 2}))
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Client(server.server_address)).send(b"GET /")
        first = stack.enter_context(Client(server.server_address))
        assert first.reply().status == 503  # type: ignore[union-attr]
    assert wait_until(lambda: ask(server.server_address, METRICS).status == 200)
    said = figures(server)
    assert said["fastserve_connections_turned_away_total"][()] >= 1
    assert "fastserve_requests_total" not in said


def test_what_was_counted_stays_when_a_server_goes_on(serve: Serve) -> None:
    """shutdown() and another serve_forever()."""
    server: Any = Measured(("127.0.0.1", 0), Quiet)
    with server:
        for count in range(1, 4):
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            assert ask(server.server_address, request()).status == 200
            assert answers(server) == {("GET", "200"): count}
            server.shutdown()
            thread.join(5)


def test_a_handler_of_before_counts_still(serve: Serve) -> None:
    """One that shutdown() has left running, while another serve_forever() has begun."""
    entered, released = threading.Event(), threading.Event()

    class Slow(Quiet):
        def do_GET(self) -> None:
            entered.set()
            released.wait(5)
            super().do_GET()

    server: Any = MeasuredThreads(("127.0.0.1", 0), Slow)
    with server, Client(server.server_address) as client:
        first = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        first.start()
        client.send(request())
        assert entered.wait(5)
        server.shutdown()
        first.join(5)
        second = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        second.start()
        released.set()
        assert wait_until(lambda: answers(server) == {("GET", "200"): 1})
        assert wait_until(lambda: figures(server)["fastserve_connections"] == {(): 1})  # that which asks
        server.shutdown()
        second.join(5)


# -- The process -----------------------------------------------------------------------------------


@needs_proc
def test_the_process(serve: Serve) -> None:
    server = serve(Quiet, Measured)
    said = figures(server)
    assert set(said) >= {name for name, _, _ in metrics.PROCESS}
    assert said["process_max_fds"] == {(): resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    assert abs(said["process_open_fds"][()] - len(os.listdir("/proc/self/fd"))) < 10
    usage = resource.getrusage(resource.RUSAGE_SELF)
    assert 0 < said["process_cpu_seconds_total"][()] <= usage.ru_utime + usage.ru_stime + 0.1
    assert 1 << 20 < said["process_resident_memory_bytes"][()] <= said["process_virtual_memory_bytes"][()]
    assert 0 < time.time() - said["process_start_time_seconds"][()] < 100_000


def test_without_proc(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PROC", tmp_path)
    said = figures(serve(Quiet, Measured))
    assert "fastserve_connections" in said
    assert not any(name.startswith("process_") for name in said)


@pytest.mark.parametrize("stat", ["", "1 (a) S", "1 (a b) c) S 1 x"])
def test_a_proc_that_says_something_else(stat: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PROC", tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(stat)
    (tmp_path / "7" / "limits").write_text("Max open files\n")
    assert metrics.process_figures(7) == {}


def test_no_limit_is_a_number_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PROC", tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "limits").write_text("Limit Soft\nMax open files  unlimited  unlimited  files\n")
    found = metrics.process_figures(7)
    [line] = [*metrics.family("process_max_fds", "gauge", "Some.", [({}, found["process_max_fds"])])][1:]
    assert line == "process_max_fds +Inf\n"


def test_labels_are_escaped() -> None:
    text = "".join(metrics.family("a", "gauge", "Some.", [({"b": 'x"\\\n'}, 1)]))
    assert read(text) == {"a": {('x"\\\n',): 1}}


# -- Rows ------------------------------------------------------------------------------------------


def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_each_process_has_a_row() -> None:
    tally = metrics.make_tally(2)
    assert tally.rows == 2 * 2 + metrics.ROWS_TO_SPARE
    metrics.begin(tally)
    metrics.begin(tally)
    assert [tally.owner(row) for row in range(tally.rows)] == [os.getpid()] + [0] * (tally.rows - 1)


def test_the_row_of_one_that_has_ended_is_free() -> None:
    tally = Tally(bytearray(3 * ROW_SIZE))
    assert tally.claim(0, 0, os.getppid())
    assert tally.claim(1, 0, dead())
    assert not tally.claim(1, 0, 5)
    metrics.begin(tally)
    assert [tally.owner(row) for row in range(3)] == [os.getppid(), os.getpid(), 0]


def test_with_no_row_to_spare_one_is_shared() -> None:
    tally = Tally(bytearray(ROW_SIZE))
    assert tally.claim(0, 0, os.getppid())
    metrics.begin(tally)
    tally.turn_away()
    assert tally.owner(0) == os.getppid()
    assert tally.totals()["turned_away"] == 1


def test_a_successor_goes_on_from_there() -> None:
    """A sum does not become less, and what its predecessor had open is not open any more."""
    memory = bytearray(2 * ROW_SIZE)
    tally = Tally(memory)
    assert tally.claim(0, 0, dead())
    tally.turn_away()
    cells = memoryview(memory).cast("q")
    opened = 4096 + len(_tally.TOTALS)
    cells[opened] = 7
    assert tally.gauges(0)["open"] == 7
    assert "fastserve_connections 0\n" in "".join(metrics.exposition(tally))
    metrics.begin(tally)
    tally.turn_away()
    assert tally.totals()["turned_away"] == 2
    assert tally.gauges(0)["open"] == 0


def test_rows_are_added_up() -> None:
    tally = Tally(bytearray(2 * ROW_SIZE))
    for row in range(2):
        assert tally.claim(row, 0, os.getpid())
        tally.turn_away()
    assert tally.totals()["turned_away"] == 2


@pytest.mark.parametrize("memory", [bytearray(0), bytearray(ROW_SIZE - 1)])
def test_memory_that_is_too_small(memory: bytearray) -> None:
    with pytest.raises(ValueError, match="no room"):
        Tally(memory)


@pytest.mark.parametrize("row", [-1, 1, 1 << 40])
def test_a_row_that_is_none(row: int) -> None:
    tally = Tally(bytearray(ROW_SIZE))
    for ask_for in (tally.owner, tally.gauges, tally.share):
        with pytest.raises(IndexError):
            ask_for(row)


def test_memory_that_cannot_be_written() -> None:
    with pytest.raises(BufferError):
        Tally(bytes(ROW_SIZE))


def test_of_figures_there_is_a_path_and_a_class() -> None:
    with pytest.raises(ValueError, match="begin with /"):
        Metrics("m", Quiet, Tally(bytearray(ROW_SIZE)))
