"""Every hook of socketserver that a subclass may override, and other ways to process a request.

The same for HTTPServer, whose loop drives handlers, and for ThreadingHTTPServer, which gives them away.
"""

import contextlib
import functools
import http.server
import os
import socket
import socketserver
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers import PATIENCE, Client, Running, ask, request, running, wait_until
from serving.apps import Quiet

from fastserve import HTTPServer, ThreadingHTTPServer

BOTH = pytest.mark.parametrize("base", [HTTPServer, ThreadingHTTPServer], ids=["loop", "threads"])
LOCAL = ("127.0.0.1", 0)


class Handler(Quiet):
    def do_THREAD(self) -> None:
        self.answer(str(threading.get_ident()).encode())

    def do_PID(self) -> None:
        self.answer(str(os.getpid()).encode())


def body_of(server: Any, method: str = "GET") -> bytes:
    return ask(server.server_address, request(method, "/path", "Connection: close")).body


# -- Hooks -------------------------------------------------------------------------------------


def hooked(base: Any, calls: list[str]) -> Any:
    names = ["get_request", "verify_request", "process_request", "finish_request"]
    names += ["shutdown_request", "close_request"]

    def override(name: str) -> Any:
        def method(self: Any, *args: Any) -> Any:
            calls.append(name)
            return getattr(base, name)(self, *args)

        return method

    return type("Hooked", (base,), {name: override(name) for name in names})


class HookedTCPServer(socketserver.TCPServer):
    allow_reuse_address = True


@BOTH
def test_the_order_of_the_hooks(base: Any, serve: Any) -> None:
    """Every one is called, in the order in which socketserver calls them."""
    calls: list[str] = []
    oracle: list[str] = []
    parent = HookedTCPServer if base is HTTPServer else http.server.ThreadingHTTPServer
    for server_class, noted in ((hooked(base, calls), calls), (hooked(parent, oracle), oracle)):
        server = serve(Handler, server_class)
        assert body_of(server) == b"/path"
        assert wait_until(lambda noted=noted: "close_request" in noted)
    assert calls == oracle


def test_hooks_that_are_not_overridden_on_the_driven_lane(serve: Any) -> None:
    """process_request aside, an override leaves the lane as it is."""
    calls: list[str] = []

    class Server(HTTPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            calls.append("finish_request")
            super().finish_request(request, client_address)

        def shutdown_request(self, request: Any) -> None:
            calls.append("shutdown_request")
            super().shutdown_request(request)

    server = serve(Handler, Server)
    idle = Client(server.server_address)
    idle.send(b"G")
    assert body_of(server) == b"/path"
    idle.close()
    assert wait_until(lambda: len(calls) == 4)
    assert sorted(calls) == ["finish_request"] * 2 + ["shutdown_request"] * 2


@BOTH
def test_verify_request_may_refuse(base: Any, serve: Any, client: Any) -> None:
    calls: list[Any] = []

    class Server(base):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            calls.append(client_address)
            return len(calls) > 1

    server = serve(Handler, Server)
    peer = client(server)
    assert peer.is_closed()
    assert calls == [peer.sock.getsockname()]
    assert body_of(server) == b"/path"


@BOTH
def test_verify_request_may_raise(base: Any, serve: Any, client: Any) -> None:
    errors: list[str] = []

    class Server(base):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            if not errors:
                raise KeyError("broken")
            return True

        def handle_error(self, request: Any, client_address: Any) -> None:
            errors.append(sys.exc_info()[0].__name__)

    server = serve(Handler, Server)
    assert client(server).is_closed()
    assert errors == ["KeyError"]
    assert body_of(server) == b"/path"


@BOTH
def test_get_request_may_wrap_the_socket(base: Any, serve: Any) -> None:
    class Socket(socket.socket):
        pass

    wrapped: list[Any] = []

    class Server(base):
        def get_request(self) -> Any:
            sock, address = super().get_request()
            wrapped.append(Socket(sock.family, sock.type, sock.proto, sock.detach()))
            return wrapped[-1], address

    class Telling(Handler):
        def do_GET(self) -> None:
            self.answer(type(self.request).__name__.encode())

    server = serve(Telling, Server)
    assert body_of(server) == b"Socket"
    with Client(server.server_address) as peer:
        assert [peer.ask(request()).body for _ in range(3)] == [b"Socket"] * 3


@BOTH
def test_get_request_may_fail(base: Any, serve: Any) -> None:
    failures = [OSError("not now")]

    class Server(base):
        def get_request(self) -> Any:
            found = super().get_request()
            if failures:
                found[0].close()
                raise failures.pop()
            return found

    server = serve(Handler, Server)
    with Client(server.server_address) as refused:
        assert refused.is_closed()
    assert body_of(server) == b"/path"


@BOTH
def test_finish_request_may_give_more_arguments(base: Any, serve: Any) -> None:
    """As http.server's own command line does with the directory."""

    class Server(base):
        def finish_request(self, request: Any, client_address: Any) -> None:
            self.RequestHandlerClass(request, client_address, self, word="given")

    class Wanting(Handler):
        def __init__(self, *args: Any, word: str) -> None:
            self.word = word
            super().__init__(*args)

        def do_GET(self) -> None:
            self.answer(self.word.encode())

    server = serve(Wanting, Server)
    with Client(server.server_address) as peer:
        assert [peer.ask(request()).body for _ in range(2)] == [b"given"] * 2


@BOTH
def test_handle_error_knows_the_exception(base: Any, serve: Any) -> None:
    errors: list[Any] = []

    class Server(base):
        def handle_error(self, request: Any, client_address: Any) -> None:
            errors.append((type(request), client_address, sys.exc_info()[1]))

    class Broken(Handler):
        def do_GET(self) -> None:
            raise KeyError("the reason")

    server = serve(Broken, Server)
    with Client(server.server_address) as peer:
        peer.send(request())
        assert peer.is_closed()
        [(kind, address, error)] = errors
        assert (kind, address) == (socket.socket, peer.sock.getsockname())
        assert repr(error) == "KeyError('the reason')"
    assert ask(server.server_address, request("THREAD")).status == 200


@BOTH
def test_service_actions_are_called_at_each_poll(base: Any) -> None:
    class Server(base):
        turns = 0

        def service_actions(self) -> None:
            self.turns += 1

    with Server(LOCAL, Handler) as server, running(server):
        assert wait_until(lambda: server.turns >= 5)
        assert body_of(server) == b"/path"


# -- Other ways to process a request -----------------------------------------------------------


class Pooled(HTTPServer):
    """A pool of one's own, as many have written it."""

    def __init__(self, *args: Any) -> None:
        self.pool = ThreadPoolExecutor(4)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.pool.submit(self.process_request_thread, request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self.pool.shutdown(wait=True)


def test_a_pool_of_one_s_own(serve: Any) -> None:
    server = serve(Handler, Pooled)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Client(server.server_address)) for _ in range(4)]
        threads = {peer.ask(request("THREAD")).body for peer in peers}
        assert len(threads) == 4
        assert all(peer.ask(request("GET", "/again")).body == b"/again" for peer in peers)


def test_a_pool_is_not_held_by_idle_connections(serve: Any, client: Any) -> None:
    server = serve(Handler, Pooled)
    for _ in range(8):
        client(server)
    assert body_of(server) == b"/path"


class Mixed(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True


@pytest.mark.parametrize("server_class", [ThreadingHTTPServer, Mixed])
def test_a_thread_for_who_waits(server_class: Any, serve: Any, client: Any) -> None:
    """Handlers that wait for one another can only end in threads of their own."""
    barrier = threading.Barrier(5)

    class Meeting(Handler):
        def do_MEET(self) -> None:
            barrier.wait(PATIENCE)
            self.answer(b"met")

    server = serve(Meeting, server_class)
    peers = [client(server) for _ in range(4)]
    for peer in peers:
        peer.send(request("MEET"))
    assert body_of(server) == b"/path"
    barrier.wait(PATIENCE)
    assert [peer.reply().body for peer in peers] == [b"met"] * 4
    assert [peer.ask(request("GET", "/on")).body for peer in peers] == [b"/on"] * 4


def test_handlers_of_http_server_run_on_one_thread(serve: Any) -> None:
    server = serve(Handler)
    assert {body_of(server, "THREAD") for _ in range(5)} == {body_of(server, "THREAD")}


def test_server_close_waits_for_threads_that_are_no_daemons() -> None:
    ended: list[str] = []
    begun = threading.Event()

    class Slow(Handler):
        def do_GET(self) -> None:
            begun.set()
            time.sleep(0.1)
            ended.append("handler")
            self.close_connection = True
            self.answer(b"slow")

    class Server(socketserver.ThreadingMixIn, HTTPServer):
        daemon_threads = False

    server = Server(LOCAL, Slow)
    with Client(server.server_address) as peer:
        runner = Running(server)
        peer.send(request("GET", "/", "Connection: close"))
        assert begun.wait(PATIENCE)
        server.shutdown()
        server.server_close()
        assert ended == ["handler"]
        assert peer.reply().body == b"slow"
        runner.thread.join(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forking(serve: Any) -> None:
    class Forking(socketserver.ForkingMixIn, HTTPServer):
        pass

    server = serve(Handler, Forking)
    pids = {body_of(server, "PID") for _ in range(3)}
    assert len(pids) == 3
    assert str(os.getpid()).encode() not in pids
    # Children that have ended are collected by service_actions().
    assert wait_until(lambda: not server.active_children)


def test_a_handler_class_may_be_changed_while_serving(serve: Any) -> None:
    server = serve(Handler)
    assert body_of(server) == b"/path"

    class Other(Handler):
        def do_GET(self) -> None:
            self.answer(b"other")

    server.RequestHandlerClass = Other
    assert body_of(server) == b"other"


def test_many_servers_in_one_process(serve: Any) -> None:
    def numbered(number: int) -> Any:
        answer = functools.partialmethod(Handler.answer, b"%d" % number)
        return type("Numbered", (Handler,), {"do_GET": answer})

    servers = [serve(numbered(number)) for number in range(5)]
    assert [body_of(server) for server in servers] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_burst_of_connections(serve: Any, client: Any) -> None:
    server = serve(Handler)
    peers = [client(server) for _ in range(200)]
    for peer in peers:
        peer.send(request("GET", "/x"))
    assert all(peer.reply().body == b"/x" for peer in peers)
