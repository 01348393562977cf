"""The moving loop where it is short of something: of threads, by a bound or at all, of luck, of time."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import PATIENCE, ask, request, wait_until
from pairs import Task
from serving.apps import Gate, Quiet, ThreadingHTTPServer

from fastserve import limits
from fastserve._conn import WAIT, Connection
from fastserve.serving.leader import Leader

CLOSING = "Connection: close"


# -- The bound ---------------------------------------------------------------------------------


class Counting(Quiet):
    """Handlers that wait for ``go``, and how many of them were there at a time."""

    lock = threading.Lock()
    go: threading.Event
    now = most = 0

    def do_GET(self) -> None:
        kind = type(self)
        with self.lock:
            kind.now += 1
            kind.most = max(kind.most, kind.now)
        assert kind.go.wait(PATIENCE)
        with self.lock:
            kind.now -= 1
        super().do_GET()


@pytest.fixture
def counting() -> Iterator[Any]:
    kind = type("Counted", (Counting,), {"go": threading.Event(), "now": 0, "most": 0})
    yield kind
    kind.go.set()


def bounded(most: int) -> Any:
    return type("Bounded", (ThreadingHTTPServer,), {"max_threads": most, "health_path": "/health"})


@pytest.mark.parametrize("most", [0, -1])
def test_a_bound_of_none_at_all_is_refused(most: int) -> None:
    with bounded(most)(("127.0.0.1", 0), Quiet) as server, pytest.raises(ValueError, match="at least 1"):
        server.serve_forever()


def test_a_handle_of_its_own_is_bounded_too_and_the_loop_goes_on(
    counting: Any, serve: Any, client: Any
) -> None:
    class Own(counting):  # type: ignore[misc]
        def handle(self) -> None:
            super().handle()

    server = serve(Own, bounded(1))
    for _ in range(4):
        client(server).send(request("GET", "/", CLOSING))
        for _ in range(3):
            assert client(server).ask(request("GET", "/health")).status == 200
            time.sleep(limits.FIRST_TRIAL / 2)  # so that one is tried in the loop, if any is
    assert Own.most == 1
    Own.go.set()


@pytest.mark.parametrize("most", [1, 2])
def test_the_bound_holds_after_the_end_too(most: int, counting: Any, client: Any) -> None:
    server = bounded(most)(("127.0.0.1", 0), counting)
    serving = Task(server.serve_forever)
    peers = [client(server) for _ in range(5)]
    for peer in peers:
        peer.send(request())
    assert wait_until(lambda: server._HTTPServer__loop is not None)
    loop = server._HTTPServer__loop
    assert wait_until(lambda: len(loop._away) == 5)
    server.shutdown()
    serving.result()
    server.server_close()
    assert not wait_until(lambda: counting.most > most, 0.2)
    counting.go.set()
    assert all(peer.reply() for peer in peers)
    assert loop.join(PATIENCE)
    assert counting.most == most


# -- What is left when the lead is taken -------------------------------------------------------


def test_a_deadline_that_has_moved_on_counts_no_more(
    gate: Gate, serve: Any, client: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last leader saw it pass, and was late with another connection."""
    peers: list[Any] = []
    late, sent = [], threading.Event()
    adopt_all = Leader._adopt_all

    def adopt_what_has_come(leader: Leader) -> None:
        assert not late or sent.wait(PATIENCE)
        adopt_all(leader)

    monkeypatch.setattr(Leader, "_adopt_all", adopt_what_has_come)

    class Slow(Quiet):
        def finish(self) -> None:
            if clock.ahead and not late:
                late.append(self.client_address)
                for peer in peers:
                    peer.send(request())
                sent.set()
                gate.wait()
            super().finish()

    server = serve(Slow, ThreadingHTTPServer)
    peers += [client(server) for _ in range(4)]
    for peer in peers:
        peer.ask(request())
    clock.ahead = 100
    assert sent.wait(PATIENCE)
    others = [peer for peer in peers if peer.sock.getsockname() != late[0]]
    assert len(others) == 3
    assert all(peer.reply() for peer in others)
    assert not any(peer.is_closed(0.1) for peer in others)
    gate.open.set()


@pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt])
def test_what_interrupts_the_taking_of_the_lead(
    interruption: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's handler may raise right behind the call; the loop is taken apart all the same."""

    class Interrupted:
        def __init__(self, lead: Any) -> None:
            self.lead, self.left = lead, 1

        def __getattr__(self, name: str) -> Any:
            return getattr(self.lead, name)

        def adopt(self) -> bool:
            taken: bool = self.lead.adopt()
            if taken and self.left and threading.current_thread() is serving:
                self.left = 0
                raise interruption
            return taken

    init = Leader.__init__

    def interrupted(leader: Any, *args: Any) -> None:
        init(leader, *args)
        leader._lead = Interrupted(leader._lead)

    monkeypatch.setattr(Leader, "__init__", interrupted)
    raised: list[BaseException] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)

    def serve() -> None:
        try:
            server.serve_forever(0.02)
        except BaseException as error:
            raised.append(error)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    assert ask(server.server_address, request()).status == 200
    loop = server._HTTPServer__loop
    loop.stop()
    serving.join(PATIENCE)
    assert not serving.is_alive()
    assert [type(error) for error in raised] == [interruption]
    assert loop.join(PATIENCE)
    server.server_close()


def test_a_system_that_refuses_threads_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no reserve then; as soon as there may be one there is, and a shutdown() needs none."""
    start, refused = threading.Thread.start, threading.Event()
    allowed: list[bool] = []
    first: list[threading.Thread] = []

    def start_one(thread: threading.Thread) -> None:
        ours = "_work" in repr(getattr(thread, "_target", ""))
        if ours and first and not allowed:
            refused.set()
            raise RuntimeError("can't start new thread")
        if ours:
            first.append(thread)
        start(thread)

    class Stopping(Quiet):
        def do_GET(self) -> None:
            if self.path == "/stop":
                self.server.shutdown()
            super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stopping)
    monkeypatch.setattr(threading.Thread, "start", start_one)
    serving = Task(server.serve_forever)
    assert ask(server.server_address, request("GET", "/one")).body == b"/one"
    assert refused.is_set()
    assert ask(server.server_address, request("GET", "/stop")).body == b"/stop"
    serving.result()
    first.clear()
    serving = Task(server.serve_forever)
    assert ask(server.server_address, request("GET", "/two")).body == b"/two"
    allowed.append(True)
    assert ask(server.server_address, request("GET", "/three")).body == b"/three"
    assert wait_until(lambda: len(first) >= 2), "nobody has asked the system again"
    server.shutdown()
    serving.result()
    server.server_close()


def test_an_excepthook_that_raises_costs_nothing_but_the_connection(
    serve: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(args: Any) -> None:
        raise ValueError("in the hook")

    monkeypatch.setattr(threading, "excepthook", hook)
    monkeypatch.setattr(sys, "excepthook", lambda *args: None)

    class Leaving(Quiet):
        def do_GET(self) -> None:
            if self.path == "/late":
                time.sleep(5 * limits.LATE)
            raise SystemExit

    server = serve(Leaving, ThreadingHTTPServer)
    for path in ("/", "/late", "/late", "/late", "/"):
        peer = client(server)
        peer.send(request("GET", path))
        assert peer.is_closed()
    assert wait_until(lambda: not server._HTTPServer__loop._away)


def test_who_comes_back_waits_for_the_others_turn() -> None:
    """Those that come back while one is dealt with come after what the selector has."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    loop = Leader(server)
    ours, theirs = socket.socketpair()
    conn, turns = Connection(ours, ("", 0), 0.0), []

    def go_on(conn: Any, close: bool) -> int:
        turns.append(len(turns))
        if len(turns) < 5:
            loop._returned.append((conn, go_on, False))
        return WAIT

    loop._returned.append((conn, go_on, False))
    loop._welcome_back()
    assert turns == [0]
    for each in (loop._poller, loop._waker, loop._woken, ours, theirs, server.socket):
        each.close()  # type: ignore[attr-defined]
