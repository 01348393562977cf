"""The moving loop: handlers that wait hold up nobody, those that do not pay nothing, and nothing is lost."""

import contextlib
import functools
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, Running, ask, request, wait_until
from pairs import Task, TLSClient
from serving.apps import LARGE, Gate, Quiet, ThreadingHTTPServer
from serving.secure import ThreadingHTTPSServer, with_files

import fastserve
from fastserve import limits
from fastserve.serving.leader import Leader, gives_threads

CLOSING = "Connection: close"


@pytest.fixture
def waiting(gate: Gate) -> Any:
    """A class whose /wait waits for the gate. It counts its runs and notes their threads, by path."""

    class Waiting(Quiet):
        runs: dict[str, list[int]] = {}

        def do_GET(self) -> None:
            self.runs.setdefault(self.path, []).append(threading.get_ident())
            if self.path.startswith("/wait"):
                gate.wait()
            super().do_GET()

    return Waiting


# -- Nobody is held up ------------------------------------------------------------------------


def test_others_are_answered_while_a_handler_waits(waiting: Any, gate: Gate, serve: Any, client: Any) -> None:
    server = serve(waiting, ThreadingHTTPServer)
    blocked = client(server)
    blocked.send(request("GET", "/wait"))
    assert gate.reached.wait(PATIENCE)
    kept = client(server)
    for _ in range(3):
        assert kept.ask(request("GET", "/kept")).body == b"/kept"
        assert ask(server.server_address, request("GET", "/new")).body == b"/new"
    gate.open.set()
    assert blocked.reply().body == b"/wait"
    assert blocked.ask(request("GET", "/again")).body == b"/again"
    assert {path: len(runs) for path, runs in waiting.runs.items()} == {
        "/wait": 1, "/kept": 3, "/new": 3, "/again": 1}


def meeting(number: int) -> Any:
    """A class whose handlers wait until so many of them do."""
    barrier = threading.Barrier(number)

    class Meeting(Quiet):
        def do_GET(self) -> None:
            barrier.wait(PATIENCE)
            super().do_GET()

    return Meeting


def test_as_many_run_as_wait_for_each_other(serve: Any, client: Any) -> None:
    server = serve(meeting(40), ThreadingHTTPServer)
    clients = [client(server) for _ in range(40)]
    for path in ("/first", "/second", "/third"):
        for each in clients:
            each.send(request("GET", path))
        assert [each.reply().body.decode() for each in clients] == [path] * 40


def test_as_many_run_over_tls(serve: Any) -> None:
    server = serve(meeting(10), functools.partial(with_files, ThreadingHTTPSServer))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(TLSClient(server.server_address)) for _ in range(10)]
        for path in ("/first", "/second"):
            for each in clients:
                each.send(request("GET", path))
            assert [each.reply().body.decode() for each in clients] == [path] * 10


def test_a_pipeline_keeps_its_order(waiting: Any, gate: Gate, serve: Any, client: Any) -> None:
    paths = ["/a", "/wait/1", "/b", "/wait/2", "/c"]
    server = serve(waiting, ThreadingHTTPServer)
    peer, other = client(server), client(server)
    peer.send(b"".join(request("GET", path) for path in paths))
    assert gate.reached.wait(PATIENCE)
    assert other.ask(request("GET", "/other")).body == b"/other"
    assert "/b" not in waiting.runs
    gate.open.set()
    assert [peer.reply().body.decode() for _ in paths] == paths
    assert [len(waiting.runs[path]) for path in paths] == [1] * 5


def test_what_was_written_leaves_while_the_handler_waits(gate: Gate, serve: Any, client: Any) -> None:
    """Also what the socket did not take at once, and what the loop would have sent."""

    class Streaming(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(LARGE) + 3))
            self.end_headers()
            self.wfile.write(LARGE)
            gate.wait()
            self.wfile.write(b"end")

    peer = client(serve(Streaming, ThreadingHTTPServer))
    for _ in range(3):  # in the loop, and then in a thread at once
        gate.open.clear()
        peer.send(request())
        assert peer._find(b"\r\n\r\n")
        peer._cut(peer._find(b"\r\n\r\n"))
        assert peer._fill_to(len(LARGE))
        assert peer._cut(len(LARGE)) == LARGE
        assert gate.reached.wait(PATIENCE)
        gate.open.set()
        assert peer._fill_to(3)
        assert peer._cut(3) == b"end"


def test_a_handle_of_its_own_holds_up_nobody(gate: Gate, serve: Any, client: Any) -> None:
    class Own(Quiet):
        def handle(self) -> None:
            super().handle()

    server = serve(Own, ThreadingHTTPServer)
    idle = [client(server) for _ in range(10)]
    for turn in (b"/1", b"/2"):  # all at a time, and each has a thread
        for each in idle:
            assert each.ask(request("GET", turn.decode())).body == turn


def test_a_body_that_does_not_come_holds_up_nobody(serve: Any, client: Any) -> None:
    server = serve(Quiet, ThreadingHTTPServer)
    slow = client(server)
    size = limits.MAX_COLLECTED_BODY + 1
    slow.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(3):
        assert ask(server.server_address, request("GET", "/quick")).body == b"/quick"
    slow.send(bytes(size))
    assert slow.reply().body == b"%d" % size


def test_a_client_that_leaves_meanwhile_disturbs_nobody(
    waiting: Any, gate: Gate, serve: Any, client: Any, clean_log: Any
) -> None:
    server = serve(waiting, ThreadingHTTPServer)
    for _ in range(3):
        leaver = client(server)
        leaver.send(request("GET", "/wait"))
        assert gate.reached.wait(PATIENCE)
        leaver.close()
        gate.open.set()
        assert ask(server.server_address, request("GET", "/still")).body == b"/still"
        gate.reached.clear()
        gate.open.clear()
    gate.open.set()
    assert server.errors == []


# -- Threads ----------------------------------------------------------------------------------


def test_no_handler_runs_where_serve_forever_does(waiting: Any, client: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), waiting)
    running = Running(server)
    ask(server.server_address, request("GET", "/"))
    running.stop()
    assert waiting.runs["/"] != [running.thread.ident]


def test_prompt_requests_stay_in_one_thread(waiting: Any, serve: Any, client: Any) -> None:
    server = serve(waiting, ThreadingHTTPServer)
    peers = [client(server) for _ in range(10)]
    for _ in range(20):
        for peer in peers:
            peer.ask(request("GET", "/"))
    # A machine that stops for a while may make one late.
    assert max(map(waiting.runs["/"].count, waiting.runs["/"])) > 100


def test_what_waits_by_habit_goes_to_a_thread_at_once_and_is_tried_again(
    waiting: Any, gate: Gate, serve: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule of serving.experience, seen from outside."""
    given: list[str] = []
    give = Leader._give_a_thread

    def note(leader: Leader, conn: Any, *args: Any) -> int:
        given.append(conn.asked())
        return give(leader, conn, *args)

    monkeypatch.setattr(Leader, "_give_a_thread", note)
    server = serve(waiting, ThreadingHTTPServer)
    peer, other = client(server), client(server)
    for _ in range(limits.LATE_TWICE):
        gate.open.clear()
        gate.reached.clear()
        peer.send(request("GET", "/wait"))
        assert gate.reached.wait(PATIENCE)
        other.ask(request("GET", "/other"))  # so another thread leads
        gate.open.set()
        assert peer.reply() is not None
    assert given == []
    peer.ask(request("GET", "/wait?query"))
    assert given == ["GET /wait"]
    other.ask(request("GET", "/other"))
    assert given == ["GET /wait"]
    # The gate is open: two trials, and it is in the loop for good.
    assert wait_until(lambda: peer.ask(request("GET", "/wait")) and not server_suspects(server))
    del given[:]
    peer.ask(request("GET", "/wait"))
    assert given == []


def server_suspects(server: Any) -> dict[Any, Any]:
    suspects: dict[Any, Any] = server._HTTPServer__loop._experience.suspects
    return suspects


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_than_max_threads_handlers_run(
    most: int, waiting: Any, gate: Gate, serve: Any, client: Any
) -> None:
    class Bounded(ThreadingHTTPServer):
        max_threads = most

    server = serve(waiting, Bounded)
    peers = [client(server) for _ in range(most + 1)]
    for number, peer in enumerate(peers[:most]):
        peer.send(request("GET", f"/wait/{number}"))
        assert wait_until(lambda number=number: f"/wait/{number}" in waiting.runs)
    peers[most].send(request("GET", "/last"))
    # The loop goes on: it takes a connection, and a request that is refused before any handler could wait.
    late = client(server)
    late.send(request("GET", "/later still"))
    time.sleep(0.05)
    assert "/last" not in waiting.runs
    gate.open.set()
    assert [peer.reply().body.decode() for peer in peers] == [f"/wait/{n}" for n in range(most)] + ["/last"]


def test_an_idle_server_wakes_its_watcher_alone() -> None:
    """Every SIGNAL_DELAY, to see to signals; as long as it watches a leader it looks every LATE."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("this system does not tell of its threads")
    before = set(os.listdir("/proc/self/task"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    running = Running(server, poll_interval=60)
    with contextlib.ExitStack() as stack:
        stack.callback(running.stop)
        peer = stack.enter_context(Client(server.server_address))
        for _ in range(10):
            peer.ask(request())
        ours = set(os.listdir("/proc/self/task")) - before

        def switches() -> int:
            texts = [Path(f"/proc/self/task/{task}/status").read_text() for task in ours]
            return sum(int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for text in texts)

        def is_quiet() -> bool:
            seen = switches()
            time.sleep(4 * limits.SIGNAL_DELAY)
            return switches() - seen <= 8

        # The timers wake the loop once for each deadline's tick; here none is due for a minute. At
        # first the watcher may be watching still.
        assert wait_until(is_quiet)


# -- The end ----------------------------------------------------------------------------------


def test_shutdown_from_a_handler_waits_and_the_answer_arrives(client: Any) -> None:
    class Stopping(Quiet):
        def do_GET(self) -> None:
            self.server.shutdown()
            self.answer(b"stopped")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stopping)
    serving = Task(server.serve_forever)
    assert ask(server.server_address, request("GET", "/")).body == b"stopped"
    serving.result()
    server.server_close()


@pytest.mark.parametrize("body", [b"short", LARGE], ids=["short", "large"])
def test_shutdown_waits_for_no_handler_and_its_answer_arrives(body: bytes, gate: Gate, client: Any) -> None:
    class Waiting(Quiet):
        def do_GET(self) -> None:
            gate.wait()
            self.answer(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Waiting)
    serving = Task(server.serve_forever)
    peer = client(server)
    peer.send(request())
    assert gate.reached.wait(PATIENCE)
    server.shutdown()
    serving.result()
    server.server_close()
    gate.open.set()
    assert peer.reply().body == body
    assert peer.is_closed()
    assert wait_until(server._HTTPServer__last_loop.join)


def test_requests_that_wait_for_a_thread_are_answered_after_the_end(
    waiting: Any, gate: Gate, client: Any
) -> None:
    class Bounded(ThreadingHTTPServer):
        max_threads = 1

    server = Bounded(("127.0.0.1", 0), waiting)
    serving = Task(server.serve_forever)
    first, second = client(server), client(server)
    first.send(request("GET", "/wait"))
    assert gate.reached.wait(PATIENCE)
    second.send(request("GET", "/second"))
    assert wait_until(lambda: len(server._HTTPServer__loop._away) == 2)
    server.shutdown()
    serving.result()
    server.server_close()
    gate.open.set()
    assert first.reply().body == b"/wait"
    assert second.reply().body == b"/second"


def test_it_can_serve_again(waiting: Any, client: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), waiting)
    for _ in range(3):
        running = Running(server)
        assert ask(server.server_address, request("GET", "/")).body == b"/"
        server.shutdown()
        running.thread.join(PATIENCE)
    server.server_close()
    assert len(waiting.runs["/"]) == 3


# -- What goes wrong --------------------------------------------------------------------------


@pytest.fixture
def excepthook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(repr(args.exc_value)))
    return told


@pytest.mark.parametrize("stage", ["__init__", "setup", "do_GET", "finish"])
def test_what_is_no_exception_ends_the_connection_alone(
    stage: str, serve: Any, client: Any, excepthook: list[str]
) -> None:
    """As socketserver's thread ends on it, and nothing else."""

    def leave(self: Any, *args: Any) -> None:
        if stage == "finish":
            Quiet.finish(self)
        raise SystemExit(stage)

    server = serve(type("Leaving", (Quiet,), {stage: leave}), ThreadingHTTPServer)
    for _ in range(3):
        peer = client(server)
        peer.send(request("GET", "/", CLOSING))
        peer.rest()
        assert peer.is_closed()
    assert wait_until(lambda: excepthook == [f"SystemExit('{stage}')"] * 3)
    assert server.errors == []


def test_a_handle_error_that_raises_ends_the_connection_alone(
    serve: Any, client: Any, excepthook: list[str]
) -> None:
    class Failing(Quiet):
        def do_GET(self) -> None:
            raise ValueError("in the handler")

    class Server(fastserve.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            raise KeyError("in handle_error")

    server = serve(Failing, Server)
    for _ in range(3):
        peer = client(server)
        peer.send(request())
        assert peer.is_closed()
    assert excepthook == ["KeyError('in handle_error')"] * 3


def test_what_service_actions_raises_ends_serve_forever() -> None:
    class Server(ThreadingHTTPServer):
        def service_actions(self) -> None:
            raise ArithmeticError("enough")

    with Server(("127.0.0.1", 0), Quiet) as server, pytest.raises(ArithmeticError):
        server.serve_forever(0.01)


# -- Which servers ----------------------------------------------------------------------------


class Pool(socketserver.ThreadingMixIn):
    def process_request(self, request: Any, client_address: Any) -> None:
        super().process_request(request, client_address)


class Framed(socketserver.ThreadingMixIn):
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)


@pytest.mark.parametrize(("bases", "moves"), [
    ((fastserve.ThreadingHTTPServer,), True),
    ((socketserver.ThreadingMixIn, fastserve.HTTPServer), True),
    ((fastserve.HTTPServer, socketserver.ThreadingMixIn), False),  # as there: BaseServer's comes first
    ((Pool, fastserve.HTTPServer), False),
    ((Framed, fastserve.HTTPServer), False),
])
def test_which_servers_move(bases: tuple[type, ...], moves: bool, serve: Any, client: Any) -> None:
    server = serve(Quiet, type("Server", bases, {}))
    assert gives_threads(server) is moves
    peer = client(server)
    for path in ("/1", "/2"):
        assert peer.ask(request("GET", path)).body.decode() == path
    assert ask(server.server_address, request("GET", "/3")).body == b"/3"
    assert (type(server._HTTPServer__loop) is Leader) is moves


# -- daemon_threads, on both libraries ----------------------------------------------------------

AT_THE_END = """
import socket, socketserver, sys, threading, time
from {module} import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        began.set()
        {wait}
        print("handled", flush=True)
        self.send_response(204)
        self.end_headers()

class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = {daemon}

began, ends = threading.Event(), threading.Event()
server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = socket.create_connection(server.server_address)
client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
assert began.wait(5)
threading.Timer(0.1, ends.set).start()
print("ends", flush=True)
"""
BOTH = pytest.mark.parametrize("module", ["http.server", "fastserve"])


def output(module: str, daemon: bool, wait: str, program: str = AT_THE_END) -> list[str]:
    command = [sys.executable, "-c", program.format(module=module, daemon=daemon, wait=wait)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (run.returncode, run.stderr.count("Traceback")) == (0, 0), run.stderr
    return run.stdout.split()


@BOTH
def test_python_waits_for_handlers_that_are_no_daemons(module: str) -> None:
    assert output(module, False, "ends.wait(5); time.sleep(0.1)") == ["ends", "handled"]


@BOTH
def test_python_does_not_wait_for_daemons(module: str) -> None:
    assert output(module, True, "time.sleep(3600)") == ["ends"]


@BOTH
def test_threads_of_a_handler_are_daemons_where_its_own_is(module: str) -> None:
    """The row "threads": Python waits for them on http.server, and not here."""
    shown = output(module, False, "ends.wait(5); print(threading.Thread().daemon, flush=True)")
    assert shown == ["ends", str(module == "fastserve"), "handled"]


# A child has the one thread that forked, and nobody's handlers.
A_FORK = AT_THE_END + """
import os, signal
client.recv(1)

def ended(child):
    deadline = time.monotonic() + 5
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0) and False
        time.sleep(0.01)
    return True

child = os.fork()
if not child:
    sys.exit(0)
print("child", "ended" if ended(child) else "hung")
"""


@BOTH
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_child_waits_for_no_handlers(module: str) -> None:
    assert output(module, False, "pass", A_FORK)[-2:] == ["child", "ended"]
