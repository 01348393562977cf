"""Answers that take their time: events, protocols of one's own on the connection, chunks.

The same on both of fastserve's servers and, to check the tests themselves, on http.server's with their own
handlers. Nothing is timed: a handler does not go on before its client says that it has what was written
(bench/stream.py tells how long that takes). handlers/test_connections.py has the write rule, on every host.
"""

import operator
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, request
from live.kinds import KINDS, Kind, needs_curl, url
from live.process import WAIT, run
from pairs import Task, receive_exactly, receive_until


class Progress:
    """What a handler wrote and a client got, one piece after the other."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, str]] = []
        self._arrivals = threading.Semaphore(0)

    def writing(self) -> None:
        self._steps.append((time.monotonic(), "written"))

    def arrived(self) -> None:
        """Let the handler go on."""
        self._steps.append((time.monotonic(), "arrived"))
        self._arrivals.release()

    def wait(self) -> None:
        """In the handler, until the client has the last piece."""
        assert self._arrivals.acquire(timeout=PATIENCE), "it has not arrived"

    def is_step_by_step(self, count: int) -> bool:
        """Whether each of so many pieces arrived before the next was written, by the clock as well."""
        in_time = sorted(self._steps, key=operator.itemgetter(0))
        return in_time == self._steps and [step for _, step in in_time] == ["written", "arrived"] * count


# -- Events ------------------------------------------------------------------------------------


EVENTS = 50


class Events:
    """An event stream, each event of ``size`` octets."""

    size: int
    progress: Progress
    flushes = False

    def do_GET(self: Any) -> None:
        self.begin(("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"),
                   ("Connection", "close"))
        for number in range(EVENTS):
            self.progress.writing()
            self.wfile.write(event(number, self.size))
            if self.flushes:
                self.wfile.flush()
            self.progress.wait()


def event(number: int, size: int) -> bytes:
    return b"data: %0*d\n\n" % (size - 8, number)


def read_events(read: Callable[[int], bytes], size: int, progress: Progress) -> None:
    for number in range(EVENTS):
        assert read(size) == event(number, size)
        progress.arrived()
    assert read(1) == b""


@pytest.mark.parametrize("flushes", [False, True], ids=["", "flushed"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("size", [10, 4000, 300_000])
def test_each_event_arrives_before_the_next(
    size: int, version: str, flushes: bool, kind: Kind, serve: Any, client: Any
) -> None:
    progress = Progress()
    peer = client(serve(kind.handler(Events, size=size, progress=progress, flushes=flushes), kind.server))
    peer.send(request(version=version))
    assert receive_until(peer.sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    read_events(lambda count: receive_exactly(peer.sock, count), size, progress)
    assert progress.is_step_by_step(EVENTS)


@needs_curl
def test_events_by_curl(kind: Kind, serve: Any) -> None:
    progress = Progress()
    server = serve(kind.handler(Events, size=100, progress=progress), kind.server)
    command = ["curl", "-sN", "--max-time", str(WAIT), url(server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout
        read_events(curl.stdout.read, 100, progress)
        assert curl.wait(WAIT) == 0
    assert progress.is_step_by_step(EVENTS)


@pytest.mark.parametrize("name", ["threads", "http.server-threads"])
def test_streams_at_once_do_not_wait_for_each_other(name: str, serve: Any, client: Any) -> None:
    """One goes on to its end while the others have stopped after their first event."""
    kind = KINDS[name]
    progresses = {f"/{n}": Progress() for n in range(4)}

    class Own(Events):
        size = 100

        def do_GET(self: Any) -> None:
            self.progress = progresses[self.path]
            super().do_GET()

    server = serve(kind.handler(Own), kind.server)
    peers = {}
    for path in progresses:
        peers[path] = client(server)
        peers[path].send(request(target=path))
        receive_until(peers[path].sock, b"\r\n\r\n")
    for path, peer in reversed(peers.items()):
        read_events(lambda count, sock=peer.sock: receive_exactly(sock, count), 100, progresses[path])
        assert progresses[path].is_step_by_step(EVENTS)


# -- Another protocol on the same connection -------------------------------------------------------

TABLE = bytes(255 - n for n in range(256))
WORDS = [b"\0", b"hello", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)), b"\r\n" * 500]


class Takeover:
    """Speaks first, and answers octets with their complement."""

    ahead = 0  # octets that come behind the request

    def do_GET(self: Any) -> None:
        self.begin(("Upgrade", "complement"), ("Connection", "Upgrade"), status=101)
        self.close_connection = True
        self.write(b"ready")
        if self.ahead:
            self.write(self.rfile.read(self.ahead).translate(TABLE))
        while data := self.read():
            self.write(data.translate(TABLE))


class ByConnection(Takeover):
    def read(self: Any) -> bytes:
        return self.connection.recv(65536)

    def write(self: Any, data: bytes) -> None:
        self.connection.sendall(data)


class ByRequest(Takeover):
    """As websockify does it: the same socket by its other name."""

    def read(self: Any) -> bytes:
        return self.request.recv(65536)

    def write(self: Any, data: bytes) -> None:
        self.request.sendall(data)


class ByStreams(Takeover):
    def read(self: Any) -> bytes:
        return self.rfile.read1(65536)

    def write(self: Any, data: bytes) -> None:
        self.wfile.write(data)


class ByFiles(Takeover):
    """File objects of the handler's own."""

    def do_GET(self: Any) -> None:
        with self.connection.makefile("rb") as self.source, self.connection.makefile("wb") as self.sink:
            super().do_GET()

    def read(self: Any) -> bytes:
        return self.source.read1(65536)

    def write(self: Any, data: bytes) -> None:
        self.sink.write(data)
        self.sink.flush()


WAYS = [ByConnection, ByRequest, ByStreams, ByFiles]
UPGRADE = request("GET", "/", "Connection: Upgrade", "Upgrade: complement")


def begin_takeover(peer: Any, ahead: bytes = b"") -> None:
    peer.send(UPGRADE + ahead)
    head = receive_until(peer.sock, b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Connection: Upgrade\r\n" in head
    assert receive_exactly(peer.sock, 5) == b"ready"


def is_answered(sock: socket.socket, data: bytes) -> bool:
    sending = Task(sock.sendall, data)  # of much, an answer comes before the end of it
    answered = receive_exactly(sock, len(data)) == data.translate(TABLE)
    sending.result()
    return answered


@pytest.mark.parametrize("way", WAYS)
def test_both_sides_talk_after_101(way: Any, kind: Kind, serve: Any, client: Any) -> None:
    peer = client(serve(kind.handler(way), kind.server))
    begin_takeover(peer)
    for word in WORDS:
        assert is_answered(peer.sock, word)
    assert is_answered(peer.sock, random.Random(1).randbytes(2_000_000))
    peer.end()
    assert peer.is_closed()


@pytest.mark.parametrize("size", [1, 5000, 200_000])
@pytest.mark.parametrize("way", WAYS)
def test_octets_right_behind_the_request(way: Any, size: int, kind: Kind, serve: Any, client: Any) -> None:
    """They are in rfile, whatever the handler reads by later on."""
    ahead = random.Random(size).randbytes(size)
    peer = client(serve(kind.handler(way, ahead=size), kind.server))
    begin_takeover(peer, ahead)
    assert receive_exactly(peer.sock, size) == ahead.translate(TABLE)
    for word in WORDS:
        assert is_answered(peer.sock, word)
    peer.end()
    assert peer.is_closed()


# -- Chunks, written by hand -------------------------------------------------------------------

PIECES = [b"first", b"\r\n", b"0\r\n\r\n", b"x" * 70_000, b"last"]


class Chunks:
    """An answer of unknown length, in chunks."""

    progress: Progress
    trailer = b""

    def do_GET(self: Any) -> None:
        self.begin(("Transfer-Encoding", "chunked"))
        for piece in PIECES:
            self.progress.writing()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.progress.wait()
        self.wfile.write(b"0\r\n" + self.trailer + b"\r\n")

    def do_POST(self: Any) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))


def read_chunk(sock: socket.socket) -> bytes:
    data = receive_exactly(sock, int(receive_until(sock, b"\r\n"), 16))
    assert receive_exactly(sock, 2) == b"\r\n"
    return data


@pytest.mark.parametrize("trailer", [b"", b"X-Sum: 1\r\nX-Other: 2\r\n"], ids=["", "trailer"])
def test_each_chunk_arrives_before_the_next(trailer: bytes, kind: Kind, serve: Any, client: Any) -> None:
    """And the connection is kept."""
    handler = kind.handler(Chunks, trailer=trailer)
    peer = client(serve(handler, kind.server))
    for _ in range(3):
        handler.progress = progress = Progress()
        peer.send(request())
        assert b"Connection" not in receive_until(peer.sock, b"\r\n\r\n")
        for piece in PIECES:
            assert read_chunk(peer.sock) == piece
            progress.arrived()
        assert receive_until(peer.sock, b"\r\n\r\n") == b"0\r\n" + trailer + b"\r\n"
        assert progress.is_step_by_step(len(PIECES))
        assert peer.ask(request("POST", body=b"posted")).body == b"posted"


@needs_curl
def test_chunks_by_curl(kind: Kind, serve: Any) -> None:
    """Two answers over one connection."""

    class Free(Progress):
        def wait(self) -> None:
            pass

    server = serve(kind.handler(Chunks, progress=Free()), kind.server)
    got = run("curl", "-sSf", "-w", "<%{http_code} %{num_connects}>", url(server), url(server, "/again"))
    assert got == b"".join(PIECES) + b"<200 1>" + b"".join(PIECES) + b"<200 0>"
