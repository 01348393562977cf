"""Handlers that wait: for each other, for their clients, for the processor. None of them holds up another.

On ThreadingHTTPServer, on the same made by hand and, to check the tests themselves, on http.server's. No time
is looked at: whoever waits does so for what only another request can bring.
"""

import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import Client, request
from live.kinds import KINDS, Kind
from live.process import WAIT

import fastserve

MANY = 64


class Mixed(socketserver.ThreadingMixIn, fastserve.HTTPServer):
    """As people wrote it before there was a ThreadingHTTPServer."""

    daemon_threads = True


CONCURRENT = {
    "threads": KINDS["threads"],
    "mixed": Kind(fastserve, Mixed),
    "http.server-threads": KINDS["http.server-threads"],
}


@pytest.fixture(params=CONCURRENT.values(), ids=CONCURRENT)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


class Waiting:
    """Answers any path with itself. Some wait first: for the others, for /set, or for the rest of a body."""

    barrier: threading.Barrier
    event: threading.Event
    reached: threading.Semaphore

    def do_POST(self: Any) -> None:
        """Waits until the client reads."""
        self.reached.release()
        self.answer(bytes(20 << 20))
        self.event.set()

    def do_GET(self: Any) -> None:
        wait = getattr(self, "wait_" + self.path[1:].partition("?")[0], None)
        if wait:
            self.reached.release()
            wait()
        self.answer(self.path.encode())

    def do_PUT(self: Any) -> None:
        self.reached.release()
        length = int(self.headers["Content-Length"])
        self.answer(b"%d" % len(self.rfile.read(length)))

    def wait_all(self) -> None:
        self.barrier.wait(WAIT)

    def wait_event(self) -> None:
        assert self.event.wait(WAIT), "nobody has set it"

    def wait_busy(self) -> None:
        """Without ever giving up the interpreter by itself."""
        while not self.event.is_set():
            sum(range(100))

    def wait_set(self) -> None:
        self.event.set()


class Own:
    """With a handle() of its own, which keeps the handler with its connection."""

    def handle(self) -> None:
        super().handle()  # type: ignore[misc]


@pytest.fixture(params=[(), (Own,)], ids=["", "own"])
def server(kind: Kind, serve: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A server whose handler class is its attribute ``handler``, with nobody waiting at its end."""
    handler = kind.handler(*request.param, Waiting, barrier=threading.Barrier(MANY),
                           event=threading.Event(), reached=threading.Semaphore(0))
    running = serve(handler, type("Server", (kind.server,), {"request_queue_size": 1024}))
    running.handler = handler
    yield running
    handler.event.set()
    handler.barrier.abort()


@pytest.fixture
def connected(server: Any, client: Any) -> Callable[[], Client]:
    """A function that connects."""
    return lambda: client(server)


def send(peer: Client, *targets: str) -> None:
    peer.send(b"".join(request(target=target) for target in targets))


def is_told(peer: Client, *targets: str) -> bool:
    """Whether the next answers are those."""
    replies = [peer.reply() for _ in targets]
    return [reply and reply.body for reply in replies] == [target.encode() for target in targets]


def is_answered(peer: Client, target: str = "/at-once") -> bool:
    send(peer, target)
    return is_told(peer, target)


def await_handlers(server: Any, count: int) -> None:
    for _ in range(count):
        assert server.handler.reached.acquire(timeout=WAIT), "a handler has not been reached"


def test_sixty_four_handlers_that_wait_for_each_other(connected: Any) -> None:
    """Again and again on the same connections: the first time the class is new, later it is known to wait."""
    peers = [connected() for _ in range(MANY)]
    for peer in peers:
        peer.sock.settimeout(WAIT)
    for turn in range(5):
        targets = [f"/all?{turn}-{number}" for number in range(MANY)]
        for peer, target in zip(peers, targets, strict=True):
            send(peer, target)
        for peer, target in zip(peers, targets, strict=True):
            assert is_told(peer, target)


def test_a_handler_that_another_request_lets_go(server: Any, connected: Any) -> None:
    waiting, known = connected(), connected()
    for each in (known, None, known):
        server.handler.event.clear()
        send(waiting, "/event")
        await_handlers(server, 1)
        assert is_answered(each or connected(), "/set")
        await_handlers(server, 1)
        assert is_told(waiting, "/event")


def test_two_hundred_blocked_handlers_hold_up_nobody(server: Any, connected: Any) -> None:
    known = connected()
    assert is_answered(known)
    blocked = [connected() for _ in range(200)]
    for peer in blocked:
        send(peer, "/event")
    await_handlers(server, 200)
    for _ in range(50):
        assert is_answered(known)
        with Client(server.server_address) as new:
            assert is_answered(new)
    assert is_answered(known, "/set")
    assert all(is_told(peer, "/event") for peer in blocked)
    assert all(is_answered(peer) for peer in blocked)


def test_handlers_that_never_give_up_the_interpreter_hold_up_nobody(server: Any, connected: Any) -> None:
    known, busy = connected(), [connected() for _ in range(3)]
    for peer in busy:
        send(peer, "/busy")
    await_handlers(server, 3)
    for _ in range(5):
        assert is_answered(known)
        assert is_answered(connected())
    assert is_answered(known, "/set")
    assert all(is_told(peer, "/busy") for peer in busy)


def test_a_pipeline_goes_no_further_than_the_handler_that_waits(server: Any, connected: Any) -> None:
    """What was answered before it has arrived, what comes behind it has not begun."""
    waiting, other = connected(), connected()
    send(waiting, "/1", "/2", "/event", "/3", "/event?again", "/4")
    assert is_told(waiting, "/1", "/2")
    await_handlers(server, 1)
    assert is_answered(other)
    assert not server.handler.reached.acquire(blocking=False)
    assert is_answered(other, "/set")
    assert is_told(waiting, "/event", "/3", "/event?again", "/4")


def test_a_client_that_does_not_send_its_body_holds_up_nobody(server: Any, connected: Any) -> None:
    known, slow = connected(), [connected() for _ in range(20)]
    for peer in slow:
        peer.send(request("PUT", "/", "Content-Length: 100000") + b"x" * 70_000)
    await_handlers(server, 20)
    for _ in range(5):
        assert is_answered(known)
        assert is_answered(connected())
    for peer in slow:
        peer.send(b"x" * 30_000)
        reply = peer.reply()
        assert reply is not None
        assert reply.body == b"100000"


def test_a_client_that_does_not_read_holds_up_nobody(server: Any, connected: Any) -> None:
    known, slow = connected(), [connected() for _ in range(5)]
    for peer in slow:
        peer.send(request("POST", "/"))
    await_handlers(server, 5)
    for _ in range(5):
        assert is_answered(known)
        assert is_answered(connected())
    assert not server.handler.event.is_set()
    for peer in slow:
        reply = peer.reply()
        assert reply is not None
        assert reply.body == bytes(20 << 20)
        assert is_answered(peer)
