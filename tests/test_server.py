"""HTTPServer and ThreadingHTTPServer: names, binding, serve_forever(), shutdown(), handle_request().

The hooks that subclasses override are test_server_hooks.py's, the loop itself is tests/serving's.
"""

import http.server
import inspect
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import PATIENCE, Client, Running, ask, nothing_left_behind, request, running
from serving.apps import Quiet

import fastserve
from fastserve import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from fastserve import server as module

BOTH = pytest.mark.parametrize("base", [HTTPServer, ThreadingHTTPServer], ids=["loop", "threads"])
LOCAL = ("127.0.0.1", 0)




@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Also where a test makes its own server."""
    with nothing_left_behind():
        yield


def body_of(server: Any) -> bytes:
    return ask(server.server_address, request("GET", "/path", "Connection: close")).body


# -- Names and classes -------------------------------------------------------------------------


def test_all_names_the_public_classes() -> None:
    """What CPython's test_all asks of http.server."""
    public = {
        name for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__.startswith("fastserve") and not name.startswith("_")
    }
    constants = {"DEFAULT_ERROR_MESSAGE", "DEFAULT_ERROR_CONTENT_TYPE"}
    public -= {"Leader", "Loop"}
    assert set(module.__all__) - constants == public
    assert constants <= set(module.__all__)
    assert all(hasattr(fastserve, name) for name in public)


def test_http_server_s_names_are_here() -> None:
    assert set(http.server.__all__) <= set(module.__all__)


def test_the_class_tree() -> None:
    assert issubclass(HTTPServer, socketserver.TCPServer)
    assert issubclass(ThreadingHTTPServer, (socketserver.ThreadingMixIn, HTTPServer))
    assert not issubclass(HTTPServer, http.server.HTTPServer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address_family", socket.AF_INET),
        ("socket_type", socket.SOCK_STREAM),
        ("request_queue_size", 1024),
        ("allow_reuse_address", True),
        ("allow_reuse_port", False),
        ("timeout", None),
    ],
)
def test_class_attributes(name: str, value: Any) -> None:
    assert getattr(HTTPServer, name) == value
    assert getattr(ThreadingHTTPServer, name) == value


def test_threading_attributes() -> None:
    assert ThreadingHTTPServer.daemon_threads is True
    assert ThreadingHTTPServer.block_on_close is True


# -- Binding -----------------------------------------------------------------------------------


def test_a_port_of_zero_is_any_free_one() -> None:
    with HTTPServer(LOCAL, Quiet) as server:
        host, port = server.server_address
        assert host == "127.0.0.1"
        assert port == server.server_port == server.socket.getsockname()[1] > 0
        assert server.fileno() == server.socket.fileno()
        assert server.RequestHandlerClass is Quiet


def test_a_busy_port() -> None:
    with HTTPServer(LOCAL, Quiet) as server, pytest.raises(OSError):
        HTTPServer(server.server_address, Quiet)


def test_a_port_can_be_used_again_at_once(client: Any) -> None:
    with HTTPServer(LOCAL, Quiet) as server:
        address = server.server_address
        with running(server), Client(address) as peer:
            assert peer.ask(request()).status == 200
    with HTTPServer(address, Quiet) as server:
        assert server.server_address == address


def test_bind_and_activate_later(serve: Any) -> None:
    server = HTTPServer(LOCAL, Quiet, False)
    try:
        assert server.socket.getsockname()[1] == 0
        server.server_bind()
        assert server.server_port > 0
        server.server_activate()
        with running(server):
            assert body_of(server) == b"/path"
    finally:
        server.server_close()


def test_attributes_may_be_set_on_the_instance_before_binding() -> None:
    server = HTTPServer(("::1", 0), Quiet, bind_and_activate=False)
    server.socket.close()
    server.address_family = socket.AF_INET6
    server.request_queue_size = 7
    server.socket = socket.socket(server.address_family, server.socket_type)
    try:
        server.server_bind()
        with mock.patch.object(server, "socket", wraps=server.socket) as listening:
            server.server_activate()
        listening.listen.assert_called_once_with(7)
        assert len(server.server_address) == 4
    finally:
        server.server_close()


def test_a_constructor_that_fails_leaves_nothing_open() -> None:
    with pytest.raises(OSError):
        HTTPServer(("192.0.2.1", 0), Quiet)

    class Broken(HTTPServer):
        def server_activate(self) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Broken(LOCAL, Quiet)


def with_tcp_server_s_init(base: Any) -> Any:
    def __init__(self: Any, address: Any, handler: Any) -> None:
        socketserver.TCPServer.__init__(self, address, handler)

    return type("Server", (base,), {"__init__": __init__})


def with_a_socket_of_its_own(base: Any) -> Any:
    """As a supervisor hands one down."""

    def __init__(self: Any, address: Any, handler: Any) -> None:
        sock = socket.create_server(address)
        socketserver.BaseServer.__init__(self, sock.getsockname(), handler)
        self.socket = sock

    return type("Server", (base,), {"__init__": __init__})


@BOTH
@pytest.mark.parametrize("make", [with_tcp_server_s_init, with_a_socket_of_its_own])
def test_a_subclass_that_leaves_out_our_init(make: Any, base: Any) -> None:
    with make(base)(LOCAL, Quiet) as server:
        runner = Running(server)
        try:
            assert body_of(server) == b"/path"
        finally:
            runner.stop()
        server.shutdown()


def test_help_shows_the_constructor_s_parameters() -> None:
    assert inspect.signature(HTTPServer) == inspect.signature(http.server.HTTPServer)


def test_explicit_calls_of_the_class_s_methods(serve: Any) -> None:
    """As wsgiref and pydoc do."""
    seen: list[Any] = []

    class Server(HTTPServer):
        def server_bind(self) -> None:
            HTTPServer.server_bind(self)
            seen.append((self.server_name, self.server_port))

        def server_activate(self) -> None:
            HTTPServer.server_activate(self)
            seen.append("activated")

    server = serve(Quiet, Server)
    assert seen == [(server.server_name, server.server_port), "activated"]
    assert body_of(server) == b"/path"


@pytest.mark.parametrize("library", [http.server, fastserve])
def test_a_class_between_does_not_bind(library: Any) -> None:
    """Both call socketserver's server_bind() by its name."""
    bound: list[str] = []

    class Between(socketserver.TCPServer):
        def server_bind(self) -> None:
            bound.append("between")
            super().server_bind()

    class Server(library.HTTPServer, Between):
        pass

    with Server(LOCAL, Quiet) as server:
        assert server.server_port > 0
    assert bound == []


def test_the_socket_may_be_replaced(serve: Any) -> None:
    server = HTTPServer(LOCAL, Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.create_server(LOCAL)
    server.server_address = server.socket.getsockname()
    try:
        with running(server):
            assert body_of(server) == b"/path"
    finally:
        server.server_close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
@BOTH
def test_ipv6(base: Any, serve: Any) -> None:
    class Server(base):
        address_family = socket.AF_INET6

    try:
        server = serve(Quiet, Server, ("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    assert body_of(server) == b"/path"
    assert server.server_port == server.server_address[1]


@BOTH
def test_a_unix_socket(
    base: Any, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    class Server(base):
        address_family = socket.AF_UNIX

    monkeypatch.chdir(tmp_path)  # because such a name may be no longer than about a hundred octets
    logging = type("Logging", (Quiet,), {"log_message": BaseHTTPRequestHandler.log_message})
    server = serve(logging, Server, "socket")
    assert server.server_address == "socket"
    assert body_of(server) == b"/path"
    assert log.messages() == ['"GET /path HTTP/1.1" 200 -']


def test_server_name_is_looked_up_when_read() -> None:
    lookup = mock.Mock(return_value="full.name.test")
    with mock.patch("socket.getfqdn", lookup), HTTPServer(LOCAL, Quiet) as server:
        lookup.assert_not_called()
        assert server.server_name == "full.name.test"
        lookup.assert_called_once_with("127.0.0.1")
        assert server.server_name == "full.name.test"
        assert lookup.call_count == 1


def test_server_name_may_be_assigned() -> None:
    class Server(HTTPServer):
        def server_bind(self) -> None:
            super().server_bind()
            self.server_name = "own.test"

    with mock.patch("socket.getfqdn", side_effect=AssertionError), Server(LOCAL, Quiet) as server:
        assert server.server_name == "own.test"
        server.server_name = "other.test"
        assert server.server_name == "other.test"


def test_server_name_is_http_server_s() -> None:
    with HTTPServer(LOCAL, Quiet) as server, http.server.HTTPServer(LOCAL, Quiet) as oracle:
        assert server.server_name == oracle.server_name


# -- serve_forever and shutdown ----------------------------------------------------------------


@BOTH
def test_serve_forever_twice(base: Any) -> None:
    with base(LOCAL, Quiet) as server:
        for _ in range(3):
            with Client(server.server_address) as waiting:  # in the backlog until then
                runner = Running(server)
                assert waiting.ask(request()).status == 200
                server.shutdown()
                runner.thread.join(PATIENCE)
                assert not runner.thread.is_alive()


@BOTH
def test_no_poll_interval(base: Any) -> None:
    """http.server waits without one; here service_actions() is called all the same."""
    turned = threading.Event()

    class Server(base):
        def service_actions(self) -> None:
            turned.set()

    with Server(LOCAL, Quiet) as server:
        runner = Running(server, poll_interval=None)
        try:
            assert body_of(server) == b"/path"
            assert turned.wait(PATIENCE)
        finally:
            runner.stop()


@BOTH
def test_shutdown_before_serving_returns(base: Any) -> None:
    with base(LOCAL, Quiet) as server:
        done = threading.Thread(target=server.shutdown, daemon=True)
        done.start()
        done.join(PATIENCE)
        assert not done.is_alive()


@BOTH
def test_shutdown_is_prompt(base: Any) -> None:
    with base(LOCAL, Quiet) as server:
        runner = Running(server, poll_interval=60)
        with Client(server.server_address) as peer:
            assert peer.ask(request()).status == 200
            before = time.monotonic()
            server.shutdown()
            assert time.monotonic() - before < PATIENCE
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()


@BOTH
def test_shutdown_may_come_before_serve_forever(base: Any) -> None:
    """thread.start(), shutdown(), thread.join(): who is first is chance; http.server ends in both cases."""
    with base(LOCAL, Quiet) as server:
        server.shutdown()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        thread.join(1)
        ended = not thread.is_alive()
        if not ended:
            server.shutdown()
            thread.join(PATIENCE)
        assert ended, "the request to shut down is forgotten"


@BOTH
def test_shutdown_twice_and_from_two_threads(base: Any) -> None:
    with base(LOCAL, Quiet) as server:
        runner = Running(server)
        assert body_of(server) == b"/path"
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: server.shutdown(), range(4))) == [None] * 4
        server.shutdown()
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()


@BOTH
def test_shutdown_from_a_handler(base: Any) -> None:
    class Stopping(Quiet):
        def do_STOP(self) -> None:
            self.server.shutdown()
            self.answer(b"stopping")

    with base(LOCAL, Stopping) as server:
        runner = Running(server)
        assert ask(server.server_address, request("STOP")).body == b"stopping"
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()


def test_shutdown_from_service_actions() -> None:
    class Server(HTTPServer):
        turns = 0

        def service_actions(self) -> None:
            self.turns += 1
            if self.turns == 3:
                self.shutdown()

    with Server(LOCAL, Quiet) as server:
        runner = Running(server, poll_interval=0.01)
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()
        assert server.turns == 3


@BOTH
def test_the_flag_of_socketserver_stops_it(base: Any) -> None:
    """Old programs set it, where shutdown() would wait, and some wait for the event that goes with it."""
    with base(LOCAL, Quiet) as server:
        for _ in range(2):
            runner = Running(server)
            assert body_of(server) == b"/path"
            assert not server._BaseServer__is_shut_down.is_set()
            server._BaseServer__shutdown_request = True
            assert server._BaseServer__is_shut_down.wait(PATIENCE)
            runner.thread.join(PATIENCE)
            assert not runner.thread.is_alive()


def test_shutdown_lets_an_answer_leave(serve: Any) -> None:
    class Large(Quiet):
        def do_GET(self) -> None:
            self.answer(b"x" * 900_000)

    with HTTPServer(LOCAL, Large) as server, Client(server.server_address) as peer:
        runner = Running(server)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.send(request())
        assert peer.sock.recv(1, socket.MSG_PEEK)
        stopping = threading.Thread(target=server.shutdown, daemon=True)
        stopping.start()
        assert len(peer.reply().body) == 900_000
        stopping.join(PATIENCE)
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()


def test_shutdown_ends_idle_connections(client: Any) -> None:
    with HTTPServer(LOCAL, Quiet) as server:
        silent, idle = client(server), client(server)
        with running(server):
            assert idle.ask(request()).status == 200
        assert silent.is_closed()
        assert idle.is_closed()


def test_an_exception_from_a_hook_ends_serve_forever() -> None:
    """As KeyboardInterrupt does; the server can be closed, or serve again."""

    class Server(HTTPServer):
        def service_actions(self) -> None:
            raise KeyboardInterrupt

    with Server(LOCAL, Quiet) as server:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                server.serve_forever(poll_interval=0.01)
        server.shutdown()


def test_keyboard_interrupt_in_a_handler_ends_serve_forever(client: Any) -> None:
    class Interrupted(Quiet):
        def do_GET(self) -> None:
            raise KeyboardInterrupt

    with HTTPServer(LOCAL, Interrupted) as server:
        peer = client(server)
        peer.send(request())
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        assert peer.is_closed()


@BOTH
def test_a_context_manager_closes(base: Any) -> None:
    with base(LOCAL, Quiet) as server:
        assert server.fileno() >= 0
    assert server.socket.fileno() == -1


# -- handle_request ----------------------------------------------------------------------------


@BOTH
def test_handle_request(base: Any, client: Any) -> None:
    with base(LOCAL, Quiet) as server:
        peer = client(server)
        peer.send(request("GET", "/1", "Connection: close"))
        server.handle_request()
        assert peer.reply().body == b"/1"
        assert peer.is_closed()


@BOTH
@pytest.mark.parametrize("where", ["server", "socket"])
def test_handle_request_has_a_timeout(base: Any, where: str) -> None:
    calls: list[str] = []

    class Server(base):
        def handle_timeout(self) -> None:
            calls.append("timeout")

    with Server(LOCAL, Quiet) as server:
        if where == "server":
            server.timeout = 0.05
        else:
            server.socket.settimeout(0.05)
        server.handle_request()
    assert calls == ["timeout"]


def test_handle_request_from_somebody_else_s_select(client: Any) -> None:
    """As pydoc does."""
    import select

    with HTTPServer(LOCAL, Quiet) as server:
        peers = [client(server) for _ in range(3)]
        for peer in peers:
            peer.send(request("GET", "/", "Connection: close"))
        for _ in peers:
            assert select.select([server.socket], [], [], PATIENCE)[0]
            server.handle_request()
        assert [peer.reply().body for peer in peers] == [b"/"] * 3


def test_handle_request_after_serve_forever(client: Any) -> None:
    """The listening socket has its old timeout again."""
    with HTTPServer(LOCAL, Quiet) as server:
        runner = Running(server)
        assert body_of(server) == b"/path"
        server.shutdown()
        runner.thread.join(PATIENCE)
        assert server.socket.gettimeout() is None
        peer = client(server)
        peer.send(request("GET", "/", "Connection: close"))
        server.handle_request()
        assert peer.reply().status == 200
