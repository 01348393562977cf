"""What a handler may count on during a connection: its timeout, the write rule, the socket, clients that go.

The same on the loop, in a thread, and under the standard library's TCPServer.
"""

import contextlib
import os
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import PATIENCE, ask, connect, request

from .lanes import Gate, Handler

# -- Time --------------------------------------------------------------------------------------


class Hasty(Handler):
    timeout = 0.15


def test_timeout_ends_a_slow_head(host: Any, serve: Any, client: Any, log: Any) -> None:
    peer = client(serve(Hasty, host))
    peer.send(b"GET / HTTP/1.1\r\nHo")
    assert peer.is_closed()
    assert log.messages() == ["Request timed out: TimeoutError('timed out')"]


def test_timeout_ends_an_idle_connection(host: Any, serve: Any, client: Any, log: Any) -> None:
    peer = client(serve(Hasty, host))
    peer.ask(request())
    assert peer.is_closed()
    assert log.messages() == ['"GET / HTTP/1.1" 200 -', "Request timed out: TimeoutError('timed out')"]


def test_timeout_ends_a_connection_that_never_asks(host: Any, serve: Any, client: Any, log: Any) -> None:
    assert client(serve(Hasty, host)).is_closed(within=1)


@pytest.mark.parametrize("size", [10, 100_000])
def test_timeout_ends_a_slow_body(size: int, host: Any, serve: Any, client: Any, log: Any) -> None:
    peer = client(serve(Hasty, host))
    peer.send(request("POST", "/", f"Content-Length: {size}") + b"part")
    assert peer.is_closed()
    assert log.messages() == ["Request timed out: TimeoutError('timed out')"]


def test_timeout_does_not_end_a_slow_handler(host: Any, serve: Any, client: Any) -> None:
    class Slow(Hasty):
        def do_GET(self) -> None:
            time.sleep(0.3)
            self.answer(b"slow")

    assert client(serve(Slow, host)).ask(request()).body == b"slow"


def test_a_timeout_set_on_the_connection(host: Any, serve: Any, client: Any, log: Any) -> None:
    class Setting(Handler):
        def setup(self) -> None:
            super().setup()
            self.connection.settimeout(0.15)

    peer = client(serve(Setting, host))
    peer.ask(request())
    assert peer.is_closed()
    assert log.messages()[1:] == ["Request timed out: TimeoutError('timed out')"]


# -- The write rule ----------------------------------------------------------------------------


def test_head_and_body_leave_together(host: Any, serve: Any, client: Any, gate: Gate) -> None:
    class Pausing(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            gate.wait()
            self.wfile.write(b"body")

    peer = client(serve(Pausing, host))
    peer.send(request())
    assert gate.reached()
    assert not select.select([peer.sock], [], [], 0.05)[0], "the head has left alone"
    gate.open()
    assert peer.sock.recv(65536).endswith(b"\r\n\r\nbody")


def test_flush_sends_a_head_alone(host: Any, serve: Any, client: Any, gate: Gate) -> None:
    class Flushing(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.flush()
            gate.wait()
            self.wfile.write(b"body")

    peer = client(serve(Flushing, host))
    peer.send(request())
    assert peer.sock.recv(65536).endswith(b"\r\n\r\n")
    gate.open()
    assert peer.sock.recv(65536) == b"body"


@pytest.mark.parametrize("status", [204, 304])
def test_a_complete_head_leaves_at_once(status: int, host: Any, serve: Any, client: Any, gate: Gate) -> None:
    class Lingering(Handler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            gate.wait()

    assert client(serve(Lingering, host)).ask(request()).status == status


def test_every_later_write_leaves_at_once(host: Any, serve: Any, client: Any) -> None:
    """Server-sent events: no length, and an event when it happens."""
    gates = [Gate(), Gate()]

    class Events(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number, gate in enumerate(gates):
                self.wfile.write(b"data: %d\n\n" % number)
                gate.wait()

    peer = client(serve(Events, host))
    peer.send(request())
    received = b""
    for number, gate in enumerate(gates):
        while not received.endswith(b"data: %d\n\n" % number):
            data = peer.sock.recv(65536)
            assert data
            received += data
        gate.open()
    assert b"Connection: close\r\n" in received
    assert peer.is_closed()


def test_a_client_that_reads_slowly_gets_everything(host: Any, serve: Any, client: Any) -> None:
    body = bytes(range(256)) * 40_000

    class Large(Handler):
        def do_GET(self) -> None:
            self.answer(body)

    server = serve(Large, host)
    peer = client(server)
    peer.send(request() * 2)
    time.sleep(0.05)
    assert peer.reply().body == body
    assert peer.reply().body == body


def test_a_slow_reader_holds_nobody_else(serve: Any, client: Any) -> None:
    class Large(Handler):
        def do_GET(self) -> None:
            self.answer(b"x" * (500_000 if self.path == "/large" else 1))

    server = serve(Large)
    slow = client(server)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.send(request("GET", "/large") * 12)
    for _ in range(3):
        assert client(server).ask(request()).body == b"x"
    assert [len(slow.reply().body) for _ in range(12)] == [500_000] * 12


def test_idle_connections_hold_nobody(serve: Any, client: Any) -> None:
    server = serve(Handler)
    idle = [client(server) for _ in range(20)]
    for peer in idle[10:]:
        peer.ask(request())
    idle[5].send(b"GET / HT")
    assert client(server).ask(request("GET", "/x")).body == b"/x"
    idle[5].send(b"TP/1.1\r\nHost: test\r\n\r\n")
    assert idle[5].reply().body == b"/"


# -- Other protocols on the same connection ----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_after_a_change_of_protocol_the_handler_keeps_the_connection(
    method: str, host: Any, serve: Any, client: Any
) -> None:
    class Upgrading(Handler):
        def do_GET(self) -> None:
            self.send_response(101 if self.command == "GET" else 200)
            if self.command == "GET":
                self.send_header("Upgrade", "echo")
                self.send_header("Connection", "Upgrade")
            self.end_headers()
            for line in self.rfile:
                self.wfile.write(line.upper())

        do_CONNECT = do_GET

    peer = client(serve(Upgrading, host))
    fields = ["Upgrade: echo", "Connection: Upgrade"] if method == "GET" else []
    peer.send(request(method, "/", *fields) + b"sent ahead\n")
    received = b""
    while b"SENT AHEAD\n" not in received:
        received += peer.sock.recv(65536)
    assert received.split(b"\r\n\r\n")[1] == b"SENT AHEAD\n"
    peer.send(b"and later\n")
    assert peer.sock.recv(65536) == b"AND LATER\n"
    peer.end()
    assert peer.is_closed()


@pytest.mark.parametrize("fields", [["Content-Length: 5"], ["Transfer-Encoding: chunked"]])
def test_a_body_before_a_change_of_protocol_ends(
    fields: list[str], host: Any, serve: Any, client: Any
) -> None:
    """As of curl --http2: a body is all of it, unless the change is agreed to."""
    class Reading(Handler):
        decode_chunked = True

        def do_POST(self) -> None:
            self.body = self.rfile.read()
            self.send_response(101 if self.path == "/change" else 200)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.rfile.readline() if self.path == "/change" else self.body)

    octets = b"octet" if "Content" in fields[0] else b"5\r\noctet\r\n0\r\n\r\n"
    peer = client(serve(Reading, host))
    asked = [*fields, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
    if "Content" in fields[0]:
        for _ in range(2):
            assert peer.ask(request("POST", "/", *asked) + octets).body == b"octet"
        peer.send(request("POST", "/change", *asked) + octets + b"a line\n")
        assert b"a line\n" in peer.rest()
    else:
        assert peer.ask(request("POST", "/", *asked) + octets).body == b"octet"


def test_the_socket_itself_may_be_used(host: Any, serve: Any, client: Any) -> None:
    class Raw(Handler):
        def do_GET(self) -> None:
            self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")

    peer = client(serve(Raw, host))
    assert peer.ask(request()).body == b"raw"
    assert peer.ask(request()).body == b"raw"


def test_a_handler_may_close_the_socket(host: Any, serve: Any, client: Any) -> None:
    class Closing(Handler):
        timeout = 1

        def do_GET(self) -> None:
            self.connection.close()

    server = serve(Closing, host)
    for _ in range(3):
        peer = client(server)
        peer.send(request())
        assert peer.is_closed()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Somebody else's connection, one end of which gets the number of a descriptor that a handler closed."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.1)
    theirs.settimeout(0.1)
    with ours, theirs:
        yield ours, theirs


class Closing(Handler):
    """Closes its socket, whose number then is another's."""

    timeout = 1
    pair: Any
    gate: Any

    def close_and_reuse(self) -> None:
        self.connection.close()
        self.reused = socket.socket(fileno=os.dup(self.pair[0].fileno()))

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.reused.close()
            self.gate.wait()


def test_a_closed_socket_is_read_no_more(host: Any, serve: Any, client: Any, gate: Gate, pair: Any) -> None:
    class Reading(Closing):
        def do_GET(self) -> None:
            self.close_and_reuse()
            self.pair[1].sendall(request("TAKE", "/another's"))

    client(serve(type("Reading", (Reading,), {"pair": pair, "gate": gate}), host)).send(request())
    assert gate.reached()
    gate.open()
    assert pair[0].recv(65536) == request("TAKE", "/another's"), "somebody has read it"


def test_a_closed_socket_is_written_no_more(
    host: Any, serve: Any, client: Any, gate: Gate, pair: Any
) -> None:
    class Writing(Closing):
        def do_GET(self) -> None:
            self.close_and_reuse()
            with contextlib.suppress(OSError, ValueError):
                self.answer(b"for the first client alone")

    client(serve(type("Writing", (Writing,), {"pair": pair, "gate": gate}), host)).send(request())
    assert gate.reached()
    gate.open()
    with pytest.raises(TimeoutError):
        pair[1].recv(65536)


# -- Clients that go away ----------------------------------------------------------------------


def reset(sock: socket.socket) -> None:
    """Close with a reset, as a client does that is killed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


GOING: dict[str, Callable[[socket.socket], None]] = {
    "closed": socket.socket.close,
    "reset": reset,
}


BEFORE = {
    "nothing": b"",
    "a-part-of-a-head": b"GET / HT",
    "a-part-of-a-body": request("POST", "/", "Content-Length: 9") + b"part",
    "a-part-of-a-large-body": request("POST", "/", "Content-Length: 99999") + b"part",
    "a-request": request(),
}


@pytest.mark.parametrize("go", GOING.values(), ids=GOING.keys())
@pytest.mark.parametrize("data", BEFORE.values(), ids=BEFORE.keys())
def test_a_client_that_goes_away_is_no_error(
    data: bytes, go: Any, host: Any, serve: Any, capsys: Any
) -> None:
    server = serve(Handler, host)
    sock = connect(server.server_address)
    sock.sendall(data)
    go(sock)
    assert ask(server.server_address, request()).status == 200
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("go", GOING.values(), ids=GOING.keys())
def test_a_client_that_goes_away_while_it_is_answered(
    go: Any, host: Any, serve: Any, capsys: Any, gate: Gate
) -> None:
    finished = threading.Event()

    class Writing(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            gate.wait()
            for _ in range(100):
                self.wfile.write(b"x" * 100_000)

        def finish(self) -> None:
            super().finish()
            finished.set()

    server = serve(Writing, host)
    sock = connect(server.server_address)
    sock.sendall(request())
    assert gate.reached()
    go(sock)
    gate.open()
    assert finished.wait(PATIENCE)
    assert "Traceback" not in capsys.readouterr().err


def test_a_connection_error_of_something_else_is_reported(host: Any, serve: Any, client: Any) -> None:
    errors: list[str] = []

    class Broken(Handler):
        def do_GET(self) -> None:
            raise BrokenPipeError("a database")

    class Server(host):
        def handle_error(self, request: Any, client_address: Any) -> None:
            errors.append("error")

    peer = client(serve(Broken, Server))
    peer.send(request())
    assert peer.is_closed()
    assert errors == ["error"]


def test_an_exception_is_printed(host: Any, serve: Any, client: Any, capsys: Any) -> None:
    class Broken(Handler):
        def do_GET(self) -> None:
            raise KeyError("the reason")

    server = serve(Broken, host)
    peer = client(server)
    peer.send(request())
    assert peer.is_closed()
    text = capsys.readouterr().err
    begin = r"-{40}\nException occurred during processing of request from \('127.0.0.1', \d+\)\n"
    assert re.match(begin, text)
    assert "KeyError: 'the reason'" in text
    assert ask(server.server_address, request("POST", "/", body=b"works on")).body == b"works on"


# -- Half-closed clients -----------------------------------------------------------------------


def test_a_half_closed_client_is_answered(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.send(request("GET", "/1") + request("POST", "/", body=b"2"))
    peer.end()
    assert [peer.reply().body, peer.reply().body, peer.reply()] == [b"/1", b"2", None]


def test_requests_in_pieces(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    for octet in request("POST", "/", body=b"0123456789"):
        peer.send(bytes([octet]))
    assert peer.reply().body == b"0123456789"
