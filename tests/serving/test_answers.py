"""What the loop answers by itself: health, on every lane, beside handlers that are busy.

A client that finds no room is told in test_bound.py.
"""

import contextlib
import functools
import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, Reply, ask, request
from pairs import TLSClient, certificate, reset
from serving.apps import Files, Gate, HTTPServer, Quiet, ThreadingHTTPServer
from serving.secure import HTTPSServer

import fastserve
from fastserve.serving import answers
from fastserve.serving.answers import Health

Serve = Callable[..., Any]
HEALTH = request(target="/health")


class Healthy(HTTPServer):
    health_path = "/health"


class HealthyThreads(ThreadingHTTPServer):
    health_path = "/health"


SERVERS = pytest.mark.parametrize("server_class", [Healthy, HealthyThreads])


def is_well(reply: Reply | None) -> bool:
    return reply is not None and (reply.status, reply.body) == (200, b"ok\n")


# -- The answer ------------------------------------------------------------------------------------


@SERVERS
def test_the_answer(serve: Serve, server_class: Any) -> None:
    with Client(serve(Quiet, server_class).server_address) as client:
        reply = client.ask(HEALTH)
    assert is_well(reply)
    assert reply.line == "HTTP/1.1 200 OK"
    fields = dict(reply.headers)
    date = fields.pop("Date")
    assert date.endswith(" GMT")
    assert fields == {
        "Server": f"BaseHTTP {Quiet.sys_version}", "Content-Type": "text/plain", "Content-Length": "3",
        "Cache-Control": "no-store",
    }


@SERVERS
def test_no_code_of_the_handler_runs_and_nothing_is_logged(
    serve: Serve, server_class: Any, clean_log: Any
) -> None:
    def handler(*args: Any) -> None:
        pytest.fail("a handler was made")

    server = serve(handler, server_class)
    with Client(server.server_address) as client:
        for _ in range(3):
            assert is_well(client.ask(HEALTH))
    assert is_well(ask(server.server_address, request(target="/health", version="1.0")))
    assert server.errors == []
    assert clean_log.text() == ""


@SERVERS
def test_head(serve: Serve, server_class: Any) -> None:
    with Client(serve(Quiet, server_class).server_address) as client:
        reply = client.ask(request("HEAD", "/health"))
        assert (reply.status, reply.get("Content-Length"), reply.body) == (200, "3", b"")
        assert is_well(client.ask(HEALTH))


@SERVERS
@pytest.mark.parametrize("target", ["/health?", "/health?deep=1", "/health?/health"])
def test_the_query_is_ignored(serve: Serve, server_class: Any, target: str) -> None:
    assert is_well(ask(serve(Quiet, server_class).server_address, request(target=target)))


@SERVERS
@pytest.mark.parametrize("target", [
    "/healthy", "/healt", "/health/", "/HEALTH", "/%68ealth", "/", "/path?/health"])
def test_other_paths_are_the_handler_s(serve: Serve, server_class: Any, target: str) -> None:
    reply = ask(serve(Quiet, server_class).server_address, request(target=target))
    assert reply.body == target.encode()


@SERVERS
def test_other_methods_are_the_handler_s(serve: Serve, server_class: Any) -> None:
    server = serve(Quiet, server_class)
    assert ask(server.server_address, request("POST", "/health", body=b"four")).body == b"4"
    assert ask(server.server_address, request("DELETE", "/health")).status == 501


@SERVERS
@pytest.mark.parametrize("octets", [
    request("GET", "/health", body=b"body"),
    request("GET", "/health", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    request("GET", "/health", "Expect: 100-continue", "Content-Length: 4") + b"body",
], ids=["length", "chunks", "expectation"])
def test_a_request_with_a_body_is_the_handler_s(serve: Serve, server_class: Any, octets: bytes) -> None:
    with Client(serve(Quiet, server_class).server_address) as client:
        reply = client.ask(octets)
        if reply.status == 100:
            reply = client.reply()  # type: ignore[assignment]
        assert reply.body == b"/health"


@SERVERS
def test_a_request_that_is_refused_is_the_handler_s(serve: Serve, server_class: Any, log: Any) -> None:
    server = serve(Quiet, server_class)
    assert ask(server.server_address, b"GET /health HTTP/1.1\r\n\r\n").status == 400
    assert ask(server.server_address, b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n").status == 400


# -- The connection --------------------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize(("version", "fields", "said", "stays"), [
    ("1.1", [], None, True), ("1.1", ["Connection: close"], "close", False), ("1.0", [], "close", False),
    ("1.0", ["Connection: keep-alive"], "keep-alive", True),
])
@pytest.mark.parametrize("first", [True, False])
def test_the_connection_stays_where_the_client_lets_it(
    serve: Serve, server_class: Any, version: str, fields: list[str], said: str | None, stays: bool,
    first: bool,
) -> None:
    with Client(serve(Quiet, server_class).server_address) as client:
        if not first:
            assert client.ask(request(target="/other")).body == b"/other"
        reply = client.ask(request("GET", "/health", *fields, version=version))
        assert is_well(reply)
        assert reply.get("Connection") == said
        if stays:
            assert client.ask(request(target="/path")).body == b"/path"
        else:
            assert client.is_closed()


@SERVERS
def test_among_other_requests_of_a_connection(serve: Serve, server_class: Any) -> None:
    targets = ["/health", "/one", "/health", "/health", "/two", "/health"]
    with Client(serve(Quiet, server_class).server_address) as client:
        for target in targets:
            body = client.ask(request(target=target)).body
            assert body == (b"ok\n" if target == "/health" else target.encode())


@SERVERS
def test_pipelined(serve: Serve, server_class: Any) -> None:
    """In order, also where more than one turn answers come at once."""
    targets = ["/health"] * 50 + ["/one", "/health?", "/two"] * 20
    with Client(serve(Quiet, server_class).server_address) as client:
        client.send(b"".join(request(target=target) for target in targets))
        for target in targets:
            reply = client.reply()
            assert reply is not None
            assert reply.body == (b"ok\n" if "health" in target else target.encode())


@SERVERS
def test_pipelined_behind_a_body(serve: Serve, server_class: Any) -> None:
    with Client(serve(Quiet, server_class).server_address) as client:
        client.send(request("POST", "/", body=b"GET /health HTTP/1.1\r\n\r\n") + HEALTH)
        replies = [client.reply(), client.reply()]
    assert [reply and reply.body for reply in replies] == [b"24", b"ok\n"]


@SERVERS
def test_the_last_of_a_pipeline(serve: Serve, server_class: Any) -> None:
    """What follows a request that ends the connection is not answered, and does not take the answer away."""
    with Client(serve(Quiet, server_class).server_address) as client:
        client.send(request("GET", "/health", "Connection: close") + HEALTH + b"x" * 1000)
        assert is_well(client.reply())
        assert client.is_closed()


@SERVERS
def test_in_pieces(serve: Serve, server_class: Any) -> None:
    """Then a handler is made, and not run."""
    with Client(serve(Quiet, server_class).server_address) as client:
        for _ in range(2):
            for octet in HEALTH:
                client.send(bytes([octet]))
            assert is_well(client.reply())


@SERVERS
def test_a_head_that_is_long_is_answered_all_the_same(serve: Serve, server_class: Any) -> None:
    octets = request("GET", "/health", *[f"X-{n}: {'x' * 200}" for n in range(30)])
    assert is_well(ask(serve(Quiet, server_class).server_address, octets))


def test_beside_a_large_answer_of_its_own_connection(serve: Serve, folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * (20 << 20))
    server = serve(functools.partial(Files, directory=folder), Healthy)
    with Client(server.server_address, 20) as client:
        client.send(request(target="/large") + HEALTH)
        reply = client.reply()
        assert reply is not None
        assert len(reply.body) == 20 << 20
        assert is_well(client.reply())


def test_clients_that_do_not_wait(serve: Serve, clean_log: Any) -> None:
    server = serve(Quiet, Healthy)
    for octets in (HEALTH, HEALTH * 50, request(target="/path") + HEALTH):
        for _ in range(20):
            client = Client(server.server_address)
            client.send(octets)
            reset(client.sock)
    assert is_well(ask(server.server_address, HEALTH))
    assert server.errors == []


@SERVERS
def test_an_idle_client_of_health_ends_in_time(serve: Serve, server_class: Any, clock: Any) -> None:
    """Its patience begins again with each answer."""
    with Client(serve(Quiet, server_class).server_address) as client:
        for _ in range(3):
            assert is_well(client.ask(HEALTH))
            clock.ahead += 60
        assert is_well(client.ask(HEALTH))
        clock.ahead += 80
        assert client.is_closed()


# -- Beside others ---------------------------------------------------------------------------------


class Waiting(Quiet):
    """Waits at its server's gate."""

    def do_GET(self) -> None:
        self.server.gate.wait()  # type: ignore[attr-defined]
        super().do_GET()


@pytest.mark.parametrize("max_threads", [None, 1, 2])
def test_beside_handlers_that_are_busy(serve: Serve, max_threads: int | None) -> None:
    """Also where no thread is left, and other requests must wait."""
    server_class = type("Server", (HealthyThreads,), {"max_threads": max_threads, "gate": Gate()})
    server = serve(Waiting, server_class)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(Client(server.server_address)) for _ in range(4)]
        for client in busy:
            client.send(request(target="/path"))
        assert server.gate.reached.wait(5)
        try:
            with Client(server.server_address) as client:
                for _ in range(3):
                    assert is_well(client.ask(HEALTH))
        finally:
            server.gate.open.set()
        for client in busy:
            reply = client.reply()
            assert reply is not None
            assert reply.body == b"/path"


class Given(socketserver.ThreadingMixIn, Healthy):
    """Gives each connection to a thread in a way of its own, which keeps it."""

    def process_request(self, request: Any, client_address: Any) -> None:
        super().process_request(request, client_address)


def test_a_server_that_gives_its_connections_away(serve: Serve) -> None:
    """The loop answers as long as it has the connection."""
    server = serve(Quiet, Given)
    with Client(server.server_address) as client:
        targets = ["/health", "/health", "/path", "/health"]
        bodies = [client.ask(request(target=target)).body for target in targets]
    assert bodies == [b"ok\n", b"ok\n", b"/path", b"/health"]
    assert server.errors == []


class Own(Quiet):
    """Reads its socket by hand, not an octet of which may be missing."""

    def handle(self) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.request.recv(7)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))


@SERVERS
def test_a_handler_that_has_its_own_handle(serve: Serve, server_class: Any) -> None:
    """It sees every octet but those of a first request for health."""
    server = serve(Own, server_class)
    other = request(target="/health/other")
    assert ask(server.server_address, other).body == other
    with Client(server.server_address) as client:
        assert is_well(client.ask(HEALTH))
        assert client.ask(other).body == other


def test_over_tls(serve: Serve) -> None:
    class Server(HTTPSServer):
        health_path = "/health"

    server = serve(Quiet, Server, certfile=certificate())
    with TLSClient(server.server_address) as client:
        for target, body in [("/health", b"ok\n"), ("/path", b"/path"), ("/health", b"ok\n")]:
            assert client.ask(request(target=target)).body == body


@SERVERS
def test_it_is_off_unless_it_is_asked_for(serve: Serve, server_class: Any) -> None:
    plain = type("Plain", (server_class,), {"health_path": None})
    assert ask(serve(Quiet, plain).server_address, HEALTH).body == b"/health"
    assert fastserve.HTTPServer.health_path is None


# -- What is put together --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "health", "*", "/a b", "/a?b", "/a#b", "/\n", "/\x7f", "/\xe9", "http://a/"])
def test_a_path_that_no_request_has(path: str) -> None:
    with pytest.raises(ValueError, match="begin with /"):
        Health(path, Quiet)
    server_class: Any = type("Server", (HTTPServer,), {"health_path": path})
    with server_class(("127.0.0.1", 0), Quiet) as server, pytest.raises(ValueError, match="begin with /"):
        server.serve_forever()


class Named(Quiet):
    server_version = "Named/1"
    sys_version = ""


class Silent(Named):
    def version_string(self) -> str:
        return "hidden"


@pytest.mark.parametrize(("handler", "told"), [
    (Quiet, f"BaseHTTP {Quiet.sys_version}"), (Named, "Named/1 "), (functools.partial(Named), "Named/1 "),
    (Silent, None), (lambda *args: None, None), (None, None),
    (type("Odd", (Quiet,), {"server_version": property(str)}), None),
])
def test_what_software_says_of_itself(handler: Any, told: str | None) -> None:
    """Nothing, where a method of the handler's would have to be asked."""
    assert answers.software(handler) == told


# -- A loop that ends ------------------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize("first", [True, False])
def test_a_server_that_drains_says_so(serve: Serve, server_class: Any, first: bool) -> None:
    """And loses no request: who asks once more is answered, and told that this was the last."""
    server = serve(Quiet, server_class)
    with Client(server.server_address) as client, Client(server.server_address) as other:
        assert is_well(client.ask(HEALTH))
        if not first:
            assert client.ask(request(target="/path")).body == b"/path"
        other.send(b"GET / HTTP/1.1\r\n")  # holds the end up
        server.drain(5)
        client.send(HEALTH + HEALTH)
        replies = [client.reply(), client.reply()]
        assert all(map(is_well, replies))
        assert [reply and reply.get("Connection") for reply in replies] == [None, "close"]
        assert client.is_closed()
        assert other.ask(b"Host: a\r\n\r\n").body == b"/"
