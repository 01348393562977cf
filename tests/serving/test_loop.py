"""The loop in a thread, with real clients: nobody waits for a slow one, and nothing ends it but a stop.

Stopping is in test_stop.py, running out of descriptors in test_exhausted.py, handlers that fail in
test_faults.py.
"""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import PATIENCE, Client, connect, request, wait_until
from pairs import Task, receive_exactly, receive_until, reset
from serving.apps import LARGE, Echo, Files, Gate, HTTPServer, Quiet, ThreadingHTTPServer, answers

from fastserve import limits

Serve = Callable[..., Any]
SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
GET = request()


# -- Accepting -------------------------------------------------------------------------------------


@SERVERS
def test_clients_that_came_before_the_start(server_class: Any) -> None:
    """More than one batch of them, out of the backlog."""
    with server_class(("127.0.0.1", 0), Quiet) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.server_address)) for _ in range(3 * limits.ACCEPT_BATCH)]
        serving = Task(server.serve_forever)
        for n, client in enumerate(clients):
            assert client.ask(request(target=f"/{n}")).body == b"/%d" % n
        server.shutdown()
        serving.result()
        assert server.errors == []


def test_hooks_are_called_for_each_connection(serve: Serve) -> None:
    calls: list[str] = []

    class Server(HTTPServer):
        def get_request(self) -> Any:
            calls.append("get_request")
            return super().get_request()

        def verify_request(self, *args: Any) -> bool:
            calls.append("verify_request")
            return super().verify_request(*args)

        def finish_request(self, *args: Any) -> None:
            calls.append("finish_request")
            super().finish_request(*args)

        def shutdown_request(self, *args: Any) -> None:
            calls.append("shutdown_request")
            super().shutdown_request(*args)

        def close_request(self, *args: Any) -> None:
            calls.append("close_request")
            super().close_request(*args)

    server = serve(Quiet, Server)
    with Client(server.server_address) as client:
        for _ in range(3):
            assert client.ask(GET).status == 200
        assert calls == ["get_request", "verify_request", "finish_request"]
    assert wait_until(lambda: calls[3:] == ["shutdown_request", "close_request"])


@SERVERS
def test_clients_that_are_not_welcome(serve: Serve, server_class: Any) -> None:
    class Server(server_class):  # type: ignore[misc]
        welcome: Any = False

        def verify_request(self, *args: Any) -> bool:
            if self.welcome is None:
                raise LookupError("nobody is")
            return bool(self.welcome)

    server = serve(Quiet, Server)
    for Server.welcome in (False, None, False):
        with Client(server.server_address) as client:
            assert client.is_closed()
    assert len(server.errors) == 1
    Server.welcome = True
    assert answers(server)


def test_accept_fails_now_and_then(serve: Serve) -> None:
    class Server(HTTPServer):
        failures = 3

        def get_request(self) -> Any:
            sock, address = super().get_request()
            if self.failures:
                self.failures -= 1
                sock.close()
                raise ConnectionAbortedError("gone before it was accepted")
            return sock, address

    server = serve(Quiet, Server)
    for _ in range(3):
        with Client(server.server_address) as client:
            assert client.is_closed()
    assert answers(server)


# -- Nobody waits for a slow client ----------------------------------------------------------------


SLOW = {
    "idle": b"",
    "half a request line": b"GET /slo",
    "half a head": b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
    "half a small body": request("POST", body=b"x" * 100)[:-50],
    "an unread body": request("GET", "/", "Content-Length: 90000"),
    "after an answer": GET,
}


@SERVERS
def test_slow_and_idle_clients_disturb_nobody(serve: Serve, server_class: Any) -> None:
    server = serve(Quiet, server_class)
    with contextlib.ExitStack() as stack:
        for octets in SLOW.values():
            for _ in range(20):
                stack.enter_context(Client(server.server_address)).send(octets)
        with Client(server.server_address) as client:
            for n in range(100):
                assert client.ask(request(target=f"/{n}")).body == b"/%d" % n
        assert answers(server)
    assert server.errors == []


@SERVERS
def test_a_slow_request_is_answered_in_the_end(serve: Serve, server_class: Any) -> None:
    server = serve(Quiet, server_class)
    octets = request("POST", "/slow", body=b"body")
    with Client(server.server_address) as slow:
        for octet in octets:
            assert answers(server)
            slow.send(bytes([octet]))
        reply = slow.reply()
        assert reply is not None
        assert reply.body == b"4"


@SERVERS
@pytest.mark.parametrize("kind", ["file", "write"])
def test_a_slow_reader_disturbs_nobody(serve: Serve, folder: Path, server_class: Any, kind: str) -> None:
    size = len(LARGE) if kind == "file" else 900000

    class Handler(Files if kind == "file" else Quiet):  # type: ignore[misc]
        def do_GET(self) -> None:
            if self.path == "/large" and kind == "write":
                self.answer(LARGE[:size])
            elif self.path == "/large":
                super().do_GET()
            else:
                Quiet.answer(self, self.path.encode())

    (folder / "large").write_bytes(LARGE)
    server = serve(lambda *args: Handler(*args, directory=folder) if kind == "file" else Handler(*args),
                   server_class)
    with connect(server.server_address) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        slow.sendall(request(target="/large") + request(target="/after"))
        assert receive_until(slow, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        received = b""
        for _ in range(50):
            assert answers(server)
            received += slow.recv(1000)
        assert received + receive_exactly(slow, size - len(received)) == LARGE[:size]
        assert receive_until(slow, b"/after").startswith(b"HTTP/1.1 200")


def test_an_idle_loop_uses_no_time(serve: Serve) -> None:
    server = serve(Quiet)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.server_address)) for _ in range(20)]
        for client in clients[:10]:
            client.ask(GET)
        before, began = time.process_time(), time.monotonic()
        time.sleep(0.4)
        used, passed = time.process_time() - before, time.monotonic() - began
    assert used < passed / 4, f"{used:.3f} s of {passed:.3f} s"


# -- Pipelines -------------------------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize("count", [31, 32, 33, 64, 65, 1000])
def test_pipelined_requests_in_order(serve: Serve, server_class: Any, count: int) -> None:
    server = serve(Quiet, server_class)
    with Client(server.server_address) as client:
        sending = Task(client.send, b"".join(request(target=f"/{n}") for n in range(count)))
        for n in range(count):
            reply = client.reply()
            assert reply is not None
            assert reply.body == b"/%d" % n
        sending.result()


def test_a_pipeline_is_fair_to_others(serve: Serve) -> None:
    """Who sends a thousand requests at once does not keep the others waiting for all of them."""
    gate, seen = Gate(), []

    class Handler(Quiet):
        def do_GET(self) -> None:
            seen.append(self.path)
            if self.path == "/0":
                gate.wait()
            super().do_GET()

    server = serve(Handler)
    with Client(server.server_address) as greedy, Client(server.server_address) as modest:
        sending = Task(greedy.send, b"".join(request(target=f"/{n}") for n in range(1000)))
        assert gate.reached.wait(PATIENCE)
        modest.send(request(target="/modest"))
        gate.open.set()
        reply = modest.reply()
        assert reply is not None
        for n in range(1000):
            reply = greedy.reply()
            assert reply is not None
            assert reply.body == b"/%d" % n
        sending.result()
    # It may first be accepted, and then be read, each after a batch of the other's.
    assert seen.index("/modest") <= 4 * limits.PIPELINE_BATCH


def test_a_long_pipeline_outlives_the_idle_time(serve: Serve) -> None:
    """A timeout is for a client that waits, not for one whose requests are being answered."""

    class Handler(Quiet):
        timeout = 0.3

        def do_GET(self) -> None:
            time.sleep(0.002)
            super().do_GET()

    server = serve(Handler, HTTPServer)
    with Client(server.server_address) as client:
        sending = Task(client.send, b"".join(request(target=f"/{n}") for n in range(500)))
        for n in range(500):
            reply = client.reply()
            assert reply is not None, f"the connection ended after {n} of 500 answers; {server.errors[:1]}"
            assert reply.body == b"/%d" % n
        sending.result()
    assert server.errors == []


def test_a_client_that_goes_with_its_pipeline(serve: Serve) -> None:
    server = serve(Quiet, HTTPServer)
    for _ in range(20):
        client = Client(server.server_address)
        client.send(GET * 500)
        reset(client.sock)
    assert answers(server)
    assert server.errors == []


# -- Half-closed, ended, late ----------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_half_closed_clients_are_answered(serve: Serve, server_class: Any, version: str) -> None:
    server = serve(Quiet, server_class)
    with Client(server.server_address) as client:
        client.send(request(version=version))
        client.end()
        reply = client.reply()
        assert reply is not None
        assert reply.body == b"/"
        assert client.is_closed()


@SERVERS
@pytest.mark.parametrize("octets", [
    b"GET", b"GET /never HTTP/1.1\r\n", request(target="/never")[:-2], request(target="/never")[:-1],
], ids=["method", "line", "fields", "last"])
def test_a_head_that_ends_early_is_not_acted_on(serve: Serve, server_class: Any, octets: bytes) -> None:
    """RFC 9110 6.1, conformance 17: what was to follow might have changed what is asked for."""
    seen: list[str] = []

    class Handler(Quiet):
        def do_GET(self) -> None:
            seen.append(self.path)
            super().do_GET()

    server = serve(Handler, server_class)
    with Client(server.server_address) as client:
        client.send(octets)
        client.end()
        assert not client.rest().startswith(b"HTTP/1.1 200")
    assert seen == []


@SERVERS
@pytest.mark.parametrize("octets", [b"", b"GET / HT", GET], ids=["nothing", "half a head", "after an answer"])
def test_a_handlers_timeout_ends_an_idle_connection(serve: Serve, server_class: Any, octets: bytes) -> None:
    class Handler(Quiet):
        timeout = 0.1

    server = serve(Handler, server_class)
    with Client(server.server_address) as client:
        client.send(octets or GET)
        if not octets or octets == GET:
            assert client.reply() is not None
        assert client.is_closed()
    assert answers(server)


# -- What handlers may count on --------------------------------------------------------------------


def test_what_is_written_leaves_while_the_handler_runs(serve: Serve) -> None:
    """Server-sent events: each one is awaited by the client before the next is written."""
    asked = threading.Semaphore(0)

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for n in range(5):
                assert asked.acquire(timeout=PATIENCE)
                self.wfile.write(b"event %d" % n)

    server = serve(Handler, HTTPServer)
    with connect(server.server_address) as client:
        client.sendall(GET)
        receive_until(client, b"\r\n\r\n")
        for n in range(5):
            asked.release()
            assert receive_exactly(client, 7) == b"event %d" % n
        assert client.recv(1) == b""
    assert server.errors == []


@SERVERS
def test_a_handler_may_keep_the_connection(serve: Serve, server_class: Any) -> None:
    server = serve(Echo, server_class)
    with Client(server.server_address) as client:
        client.send(request("GET", "/", "Connection: upgrade", "Upgrade: echo"))
        assert receive_until(client.sock, b"\r\n\r\nready").startswith(b"HTTP/1.1 101")
        for _ in range(3):
            client.send(b"to and fro")
            assert receive_exactly(client.sock, 10) == b"to and fro"
        client.end()
        assert client.is_closed()
    assert server.errors == []


@SERVERS
def test_a_handler_that_drives_itself(serve: Serve, server_class: Any) -> None:
    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                self.wfile.write(line.upper())

    class Raw(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(100):
                self.request.sendall(data.upper())

    class Own(Quiet):
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline().upper() + self.rfile.readline().upper())

    for handler in (Line, Raw, Own):
        server = serve(handler, server_class)
        with Client(server.server_address) as client:
            client.send(b"one\n")
            if handler is not Own:
                assert receive_exactly(client.sock, 4) == b"ONE\n"
            client.send(b"two\n")
            client.end()
            assert client.rest().endswith(b"TWO\n")
        assert server.errors == []


def test_a_server_with_its_own_pool_gets_an_unread_socket(serve: Serve) -> None:
    class Server(HTTPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            assert request.recv(1 << 16, socket.MSG_PEEK) == GET
            assert request.gettimeout() is None
            Task(self.finish, request, client_address)

        def finish(self, request: Any, client_address: Any) -> None:
            self.finish_request(request, client_address)
            self.shutdown_request(request)

    server = serve(Quiet, Server)
    with Client(server.server_address) as client:
        for _ in range(3):
            assert client.ask(GET).body == b"/"
    assert server.errors == []


@pytest.mark.parametrize("hook", ["process_request", "get_request"])
def test_a_hook_on_the_instance(serve: Serve, hook: str) -> None:
    called: list[Any] = []

    class Server(HTTPServer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            own = getattr(self, hook)
            setattr(self, hook, lambda *args: [called.append(args), own(*args)][1])

    server = serve(Quiet, Server)
    assert answers(server)
    assert len(called) == 1 if hook == "process_request" else called


@pytest.mark.parametrize("hook", ["process_request", "get_request", "finish_request"])
@pytest.mark.parametrize("on", ["the instance", "its class", "socketserver's class"])
def test_a_hook_that_comes_while_it_serves(serve: Serve, hook: str, on: str) -> None:
    called: list[Any] = []
    server = serve(Quiet, type("Server", (HTTPServer,), {}))
    assert answers(server)
    owner = next(kind for kind in HTTPServer.__mro__ if hook in vars(kind))
    own = getattr(server, hook) if on == "the instance" else getattr(owner, hook)

    def noting(*args: Any) -> Any:
        called.append(args)
        return own(*args)

    target = {"the instance": server, "its class": type(server), "socketserver's class": owner}[on]
    with mock.patch.object(target, hook, noting):
        assert answers(server)
    assert called
    called.clear()
    assert answers(server)
    assert not called


@SERVERS
def test_one_handler_for_each_connection(serve: Serve, server_class: Any) -> None:
    class Handler(Quiet):
        count = 0

        def do_GET(self) -> None:
            self.count += 1
            self.answer(b"%d" % self.count)

    server = serve(Handler, server_class)
    for _ in range(2):
        with Client(server.server_address) as client:
            assert [client.ask(GET).body for _ in range(3)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("by_class", [True, False], ids=["class", "instance"])
def test_service_actions_are_called_while_nothing_happens(by_class: bool) -> None:
    called = threading.Semaphore(0)
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    kind = type("Server", (HTTPServer,), {"service_actions": lambda self: called.release()})
    if by_class:
        server.__class__ = kind
    else:  # as mock.patch.object does it
        server.service_actions = called.release  # type: ignore[method-assign]
    with server:
        serving = Task(server.serve_forever, 0.01)
        try:
            for _ in range(3):
                assert called.acquire(timeout=1), "service_actions() was not called"
        finally:
            server.shutdown()
            serving.result()


def test_a_reset_at_any_moment(serve: Serve, clean_log: Any) -> None:
    server = serve(Quiet, HTTPServer)
    for octets in (*SLOW.values(), GET * 100, b"\0", request("POST", "/", "Content-Length: 5000000")):
        for _ in range(5):
            sock = connect(server.server_address)
            with contextlib.suppress(ConnectionError):
                sock.sendall(octets)
            reset(sock)
    assert answers(server)
    assert server.errors == []
