"""Handlers and hooks that raise or close sockets, and clients that vanish: the loop goes on serving."""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from helpers import PATIENCE, Client, request, wait_until
from pairs import Task, reset
from serving.apps import Gate, HTTPServer, Quiet, ThreadingHTTPServer, answers

import fastserve
from fastserve._conn import Connection
from fastserve.serving.loop import Loop

Serve = Callable[..., Any]
SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
GET = request()


class Broken(Exception):
    pass


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken


@SERVERS
@pytest.mark.parametrize("method", [
    "__init__", "setup", "handle", "handle_one_request", "parse_request", "do_GET", "send_response",
    "send_header", "end_headers", "log_request", "log_message", "finish", "date_time_string",
])
def test_an_exception_in_a_handler(serve: Serve, server_class: Any, method: str) -> None:
    bad = [True]

    def fails(self: Any, *args: Any, **kwargs: Any) -> Any:
        return broken() if bad else getattr(super(kind, self), method)(*args, **kwargs)

    kind = type("Handler", (Quiet,), {method: fails})
    server = serve(kind, server_class)
    with Client(server.server_address) as client:
        client.send(GET)
        with contextlib.suppress(OSError):  # it may have been closed already
            client.end()
        client.rest()
        assert wait_until(lambda: server.errors), "nobody was told"
    assert set(server.errors) == {"Broken()"}
    bad.clear()
    assert answers(server)


@SERVERS
@pytest.mark.parametrize("hook", ["verify_request", "process_request", "finish_request"])
def test_an_exception_in_a_hook(serve: Serve, server_class: Any, hook: str) -> None:
    bad = [True]

    def fails(self: Any, *args: Any) -> Any:
        return broken() if bad else getattr(super(kind, self), hook)(*args)

    kind = type("Server", (server_class,), {hook: fails})
    server = serve(Quiet, kind)
    for _ in range(3):
        with Client(server.server_address) as client:
            client.send(GET)
            assert client.is_closed()
    assert wait_until(lambda: server.errors == ["Broken()"] * 3)
    bad.clear()
    assert answers(server)


@pytest.mark.parametrize("hook", ["verify_request", "process_request", "finish_request"])
def test_an_exception_in_handle_error_ends_the_loop(hook: str) -> None:
    """As those want it who write ``raise`` there; it is called once."""
    told: list[str] = []

    class Server(fastserve.HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            told.append("told")
            raise  # noqa: PLE0704  (the exception that is being handled)

    kind = type("Server", (Server,), {hook: broken})
    with kind(("127.0.0.1", 0), Quiet) as server, Client(server.server_address) as client:
        client.send(GET)
        with pytest.raises(Broken):
            server.serve_forever()
        assert client.is_closed()
    assert told == ["told"]


def test_an_exception_in_a_handler_and_in_handle_error() -> None:
    told: list[str] = []

    class Server(fastserve.HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            told.append("told")
            raise KeyError("in handle_error()")

    handler = type("Handler", (Quiet,), {"do_GET": broken})
    with Server(("127.0.0.1", 0), handler) as server, Client(server.server_address) as client:
        client.send(GET)
        with pytest.raises(KeyError):
            server.serve_forever()
        assert client.is_closed()
    assert told == ["told"]


def test_a_connection_closed_while_it_is_ready(serve: Serve) -> None:
    """A handler closes the sockets of clients whose octets are in the same answer of the selector.

    Between the two a new client gets one of the descriptors, so that the loop drops who had it.
    """
    socks: list[socket.socket] = []
    gate = Gate()

    class Server(HTTPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            socks.append(request)
            return True

    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/wait":
                gate.wait()
            elif self.path == "/kick":
                for sock in socks[:20]:
                    sock.close()
            super().do_GET()

    server = serve(Handler, Server)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Client(server.server_address)) for _ in range(20)]
        waiting, kicking = (stack.enter_context(Client(server.server_address)) for _ in range(2))
        assert wait_until(lambda: len(socks) == 22)
        waiting.send(request(target="/wait"))
        assert gate.reached.wait(PATIENCE)
        kicking.send(request(target="/kick"))
        newcomer = stack.enter_context(Client(server.server_address))
        for other in others:
            other.send(GET)
        gate.open.set()
        assert waiting.reply() is not None
        assert kicking.reply() is not None
        assert newcomer.ask(GET).status == 200
        assert all(answers(server) for _ in range(30))


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt])
def test_who_has_the_descriptor_of_one_whose_end_fails(error: type[BaseException]) -> None:
    """The newcomer is waited for all the same, whatever flies through."""
    class Server(HTTPServer):
        def shutdown_request(self, request: Any) -> None:
            if request is old:
                raise error
            super().shutdown_request(request)

    def connection(sock: socket.socket) -> Connection:
        return Connection(sock, ("client", 1), 0.0)

    (old, one), (spare, other) = socket.socketpair(), socket.socketpair()
    with one, spare, other, Server(("127.0.0.1", 0), Quiet) as server, contextlib.ExitStack() as stack:
        loop = Loop(server)
        stack.callback(loop._shut)
        with old:
            loop._take_in(connection(old))
            number = old.fileno()
        os.dup2(spare.fileno(), number)
        newcomer = connection(stack.enter_context(socket.socket(fileno=number)))
        with contextlib.nullcontext() if error is Broken else pytest.raises(error):
            loop._take_in(newcomer)
        assert loop._connections == {newcomer}
        assert newcomer.registered == newcomer.interest
        assert newcomer.timer
        assert loop._poller.target(number) is newcomer
        assert server.errors == (["Broken()"] if error is Broken else [])


def test_a_failing_end_of_one_connection(serve: Serve) -> None:
    failed: list[bool] = []

    class Server(HTTPServer):
        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            if not failed:
                failed.append(True)
                raise Broken

    server = serve(Quiet, Server)
    with Client(server.server_address) as client:
        assert client.ask(GET).status == 200
    assert wait_until(lambda: server.errors == ["Broken()"])
    assert answers(server)


@pytest.mark.parametrize("kind", ["property", "mock", "text", "nan"])
def test_a_timeout_that_is_no_number_yet(serve: Serve, kind: str) -> None:
    """The attribute of the class is only looked at; the instance's one counts."""
    values: dict[str, Any] = {"property": property(lambda self: 5), "nan": float("nan"), "text": "5"}
    Handler: Any = type("Handler", (Quiet,), {"timeout": values[kind]} if kind in values else {})
    server = serve(mock.Mock(side_effect=Handler) if kind == "mock" else Handler, HTTPServer)
    with Client(server.server_address) as client:
        client.send(GET)
        client.end()
        answered = client.rest().startswith(b"HTTP/1.1 200")
    assert answered == (kind in ("property", "mock")), server.errors
    server.RequestHandlerClass = Quiet
    assert answers(server)


def test_an_exception_after_half_an_answer(serve: Serve) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"half")
            raise Broken

    server = serve(Handler, HTTPServer)
    with Client(server.server_address) as client:
        client.send(GET + GET)
        assert client.rest().partition(b"\r\n\r\n")[2] == b"half"
    assert server.errors == ["Broken()"]


def test_a_client_that_went_away_is_no_error(serve: Serve) -> None:
    gate = Gate()

    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/gone":
                gate.wait()
                for _ in range(100):
                    self.wfile.write(b"x" * 100000)
            super().do_GET()

    server = serve(Handler, HTTPServer)
    client = Client(server.server_address)
    client.send(request(target="/gone"))
    assert gate.reached.wait(PATIENCE)
    reset(client.sock)
    gate.open.set()
    assert answers(server)
    assert server.errors == []


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_ends_the_loop(error: type[BaseException]) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            raise error

    with HTTPServer(("127.0.0.1", 0), Handler) as server, Client(server.server_address) as idle:
        serving = Task(server.serve_forever)
        with Client(server.server_address) as client:
            client.send(GET)
            assert client.is_closed()
        with pytest.raises(error):
            serving.result()
        assert idle.is_closed(), "connections are left open"
        assert server.socket.gettimeout() is None


def test_a_handler_that_closes_its_socket(serve: Serve) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/close":
                self.connection.close()  # the descriptor stays for rfile and wfile, as in http.server
                self.close_connection = True
            elif self.path == "/detach":
                socket.socket(fileno=self.connection.detach()).close()
            else:
                super().do_GET()

    server = serve(Handler, HTTPServer)
    for target in ("/close", "/detach"):
        with Client(server.server_address) as client:
            client.send(request(target=target))
            assert client.is_closed()
        assert answers(server)


def test_a_handler_that_closes_the_socket_of_another(serve: Serve) -> None:
    """As a program does that throws out a client; the descriptor then belongs to whoever comes next."""
    socks: list[socket.socket] = []

    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/keep":
                socks.append(self.connection)
            elif self.path == "/close":
                socks.pop().close()
            super().do_GET()

    server = serve(Handler, HTTPServer)
    with Client(server.server_address) as first, Client(server.server_address) as second, \
            socket.socket() as third:  # open already, so that the freed descriptor is for its other end
        assert first.ask(request(target="/keep")).status == 200
        assert second.ask(request(target="/close")).status == 200
        third.settimeout(PATIENCE)
        third.connect(server.server_address)
        third.sendall(GET)
        assert third.recv(1) == b"H"
        assert second.ask(GET).status == 200
        assert answers(server)
