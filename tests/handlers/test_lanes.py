"""Where a handler runs: on the loop, in a thread, under the standard library's servers.

What makes handlers, and what people override in them: handle(), setup(), finish(), __init__, the streams.
What one may count on during a connection is test_connections.py's.
"""

import contextlib
import functools
import http.server
import io
import select
import socket
import sys
import threading
from typing import Any
from unittest import mock

import pytest
from helpers import PATIENCE, request, wait_until

import fastserve

from .lanes import Gate, Handler

# -- Unchanged handlers ------------------------------------------------------------------------

SERVERS = {
    "loop": fastserve.HTTPServer,
    "threads": fastserve.ThreadingHTTPServer,
    "http.server": http.server.HTTPServer,
    "http.server-threads": http.server.ThreadingHTTPServer,
}


@pytest.mark.parametrize("server_class", SERVERS.values(), ids=SERVERS.keys())
def test_get_and_post_on_one_connection(server_class: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, server_class))
    for number in range(3):
        assert peer.ask(request("GET", f"/{number}")).body == b"/%d" % number
        assert peer.ask(request("POST", "/", body=b"posted %d" % number)).body == b"posted %d" % number
    assert peer.ask(request("DELETE")).status == 501
    assert peer.is_closed()


def test_get_and_post_on_tcp_server(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    assert peer.ask(request("POST", "/", body=b"x" * 100_000)).body == b"x" * 100_000
    assert peer.ask(request("GET", "/after")).body == b"/after"


def test_a_handler_for_http_server_on_fastserve(serve: Any, client: Any) -> None:
    """A foreign class: it reads and writes through the socket's own file objects."""

    class Foreign(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        do_GET = Handler.do_GET
        answer = Handler.answer

    for server_class in (fastserve.HTTPServer, fastserve.ThreadingHTTPServer):
        peer = client(serve(Foreign, server_class))
        assert peer.ask(request("GET", "/1")).body == b"/1"
        assert peer.ask(request("GET", "/2")).body == b"/2"
        peer.close()


def test_one_handler_object_lives_as_long_as_its_connection(host: Any, serve: Any, client: Any) -> None:
    class Counting(Handler):
        def setup(self) -> None:
            super().setup()
            self.count = 0

        def do_GET(self) -> None:
            self.count += 1
            self.answer(b"%d" % self.count)

    server = serve(Counting, host)
    first = client(server)
    assert [first.ask(request()).body for _ in range(3)] == [b"1", b"2", b"3"]
    first.close()
    assert client(server).ask(request()).body == b"1"


def test_methods_are_looked_up_each_time(host: Any, serve: Any, client: Any) -> None:
    class Growing(Handler):
        pass

    peer = client(serve(Growing, host))
    assert peer.ask(request()).status == 200
    Growing.do_PATCH = Handler.do_GET
    assert peer.ask(request("PATCH")).status == 200
    del Growing.do_PATCH
    assert peer.ask(request("PATCH")).status == 501


# -- What makes a handler ----------------------------------------------------------------------


class Named(Handler):
    def __init__(self, *args: Any, name: str = "nobody", **kwargs: Any) -> None:
        # Before super().__init__(), because that one answers.
        self.name = name
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        self.answer(self.name.encode())


def make_named(request: Any, client_address: Any, server: Any) -> Named:
    return Named(request, client_address, server, name="function")


class Maker:
    def __call__(self, *args: Any) -> Named:
        return Named(*args, name="object")


MAKERS = {
    "class": (Named, b"nobody"),
    "partial": (functools.partial(Named, name="partial"), b"partial"),
    "function": (make_named, b"function"),
    "lambda": (lambda *args: Named(*args, name="lambda"), b"lambda"),
    "object": (Maker(), b"object"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_any_callable_makes_handlers(kind: str, host: Any, serve: Any, client: Any) -> None:
    maker, name = MAKERS[kind]
    peer = client(serve(maker, host))
    assert peer.ask(request()).body == name
    assert peer.ask(request()).body == name


def test_a_function_that_is_the_handler(host: Any, serve: Any, client: Any) -> None:
    def handle(request: socket.socket, client_address: Any, server: Any) -> None:
        request.sendall(b"got " + request.recv(100))

    peer = client(serve(handle, host))
    peer.send(b"octets")
    assert peer.rest() == b"got octets"


def test_a_handler_that_cannot_be_made_is_reported(host: Any, serve: Any, client: Any) -> None:
    errors: list[str] = []

    class Server(host):
        def handle_error(self, request: Any, client_address: Any) -> None:
            errors.append("error")

    server = serve(functools.partial(Named, unknown=1), Server)
    peer = client(server)
    peer.send(request())
    assert peer.is_closed()
    assert errors == ["error"]


# -- Overrides ---------------------------------------------------------------------------------


def test_setup_and_finish(host: Any, serve: Any, client: Any) -> None:
    calls: list[str] = []

    class Framed(Handler):
        def setup(self) -> None:
            calls.append("setup")
            super().setup()

        def do_GET(self) -> None:
            calls.append("GET")
            super().do_GET()

        def finish(self) -> None:
            calls.append("finish")
            super().finish()

    peer = client(serve(Framed, host))
    peer.ask(request())
    peer.ask(request("GET", "/", "Connection: close"))
    assert peer.is_closed()
    assert wait_until(lambda: calls == ["setup", "GET", "GET", "finish"]), calls


def test_finish_is_called_when_the_client_goes(host: Any, serve: Any, client: Any) -> None:
    finished = threading.Event()

    class Framed(Handler):
        def finish(self) -> None:
            super().finish()
            finished.set()

    peer = client(serve(Framed, host))
    peer.ask(request())
    assert not finished.is_set()
    peer.close()
    assert finished.wait(PATIENCE)


def test_finish_is_called_after_an_exception(host: Any, serve: Any, client: Any) -> None:
    calls: list[str] = []

    class Broken(Handler):
        def do_GET(self) -> None:
            raise KeyError("broken")

        def finish(self) -> None:
            calls.append("finish")
            super().finish()

    class Server(host):
        def handle_error(self, request: Any, client_address: Any) -> None:
            calls.append("error")

    peer = client(serve(Broken, Server))
    peer.send(request())
    assert peer.is_closed()
    assert calls == ["finish", "error"]


def test_an_exception_in_finish_hides_another(host: Any, serve: Any, client: Any) -> None:
    """One of them is told, and the other is its context."""
    told: list[Any] = []

    class Broken(Handler):
        def do_GET(self) -> None:
            raise KeyError("first")

        def finish(self) -> None:
            super().finish()
            raise ValueError("second")

    class Server(host):
        def handle_error(self, request: Any, client_address: Any) -> None:
            told.append(sys.exc_info()[1])

    peer = client(serve(Broken, Server))
    peer.send(request())
    assert peer.is_closed()
    assert [(repr(error), repr(error.__context__)) for error in told] == [
        ("ValueError('second')", "KeyError('first')")
    ]


def test_an_overridden_handle_sees_the_whole_connection(host: Any, serve: Any, client: Any) -> None:
    calls: list[str] = []

    class Watched(Handler):
        def handle(self) -> None:
            calls.append(f"begin {self.connection.gettimeout()}")
            super().handle()
            calls.append("end")

    peer = client(serve(Watched, host))
    assert peer.ask(request("GET", "/1")).body == b"/1"
    assert calls == ["begin None"]
    assert peer.ask(request("GET", "/2", "Connection: close")).body == b"/2"
    assert peer.is_closed()
    assert calls == ["begin None", "end"]


def test_a_handle_that_is_patched_in(host: Any, serve: Any, client: Any) -> None:
    """On the library's class, by a function such as it has itself."""
    calls: list[str] = []
    own = fastserve.BaseHTTPRequestHandler.handle

    def handle(self: Any) -> None:
        calls.append("begin")
        own(self)
        calls.append("end")

    with mock.patch.object(fastserve.BaseHTTPRequestHandler, "handle", handle):
        peer = client(serve(Handler, host))
        peer.ask(request())
        peer.ask(request("GET", "/", "Connection: close"))
        assert peer.is_closed()
    assert calls == ["begin", "end"]


def test_a_handle_of_one_s_own(host: Any, serve: Any, client: Any) -> None:
    """As wsgiref has it: one request read by hand."""

    class Manual(Handler):
        def handle(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if self.parse_request():
                self.answer(self.headers.get("X-Name", "none").encode())

    peer = client(serve(Manual, host))
    assert peer.ask(request("GET", "/", "X-Name: value")).body == b"value"
    assert peer.is_closed()


def test_handle_may_wait_with_a_selector(host: Any, serve: Any, client: Any) -> None:
    class Selecting(Handler):
        def handle(self) -> None:
            assert select.select([self.connection], [], [], PATIENCE)[0]
            with contextlib.suppress(ConnectionError):
                super().handle()

    assert client(serve(Selecting, host)).ask(request("GET", "/x")).body == b"/x"


def test_handle_one_request_may_be_wrapped(host: Any, serve: Any, client: Any) -> None:
    lines: list[bytes] = []

    class Wrapped(Handler):
        def handle_one_request(self) -> None:
            super().handle_one_request()
            lines.append(self.raw_requestline)

    peer = client(serve(Wrapped, host))
    peer.ask(request("GET", "/1"))
    peer.ask(request("GET", "/2"))
    peer.close()
    assert wait_until(lambda: len(lines) == 3)
    assert lines == [b"GET /1 HTTP/1.1\r\n", b"GET /2 HTTP/1.1\r\n", b""]


def test_handle_one_request_of_one_s_own(host: Any, serve: Any, client: Any) -> None:
    """Read line by line, without parse_request()."""

    class Own(Handler):
        def handle_one_request(self) -> None:
            lines = []
            for line in iter(self.rfile.readline, b""):
                if line == b"\r\n":
                    break
                lines.append(line)
            self.close_connection = not lines
            if lines:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % len(lines))

    peer = client(serve(Own, host))
    assert peer.ask(request("GET", "/", "A: b")).body == b"3"
    assert peer.ask(request("GET", "/")).body == b"2"
    peer.end()
    assert peer.is_closed()


def test_handle_one_request_in_the_old_way(host: Any, serve: Any, client: Any) -> None:
    """As the manual describes it: readline(), parse_request(), the method, flush()."""

    class Own(Handler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            self.close_connection = not self.raw_requestline
            if self.raw_requestline and self.parse_request():
                getattr(self, "do_" + str(self.command))()
                self.wfile.flush()

    peer = client(serve(Own, host))
    for n in range(3):
        assert peer.ask(request(target=f"/{n}")).body == b"/%d" % n
        assert peer.ask(request("POST", body=b"body")).body == b"body"
    peer.end()
    assert peer.is_closed()


def test_a_loop_and_handle_one_request_of_one_s_own(host: Any, serve: Any, client: Any) -> None:
    """As Django's development server has them; the answers are written as they are."""

    class Own(Handler):
        def handle(self) -> None:
            self.close_connection = True
            self.handle_one_request()
            while not self.close_connection:
                self.handle_one_request()

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if self.parse_request():
                body = b"".join(iter(lambda: self.rfile.readline(65537), b"")) or self.path.encode()
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    peer = client(serve(Own, host))
    for n in range(3):
        assert peer.ask(request(target=f"/{n}")).body == b"/%d" % n
        assert peer.ask(request("POST", body=b"body\nbody")).body == b"body\nbody"
    peer.send(request("POST", body=b"body") + request(target="/pipelined"))
    assert [peer.reply().body for _ in range(2)] == [b"body", b"/pipelined"]
    peer.end()
    assert peer.is_closed()


def test_peek_before_the_request(host: Any, serve: Any, client: Any) -> None:
    class Peeks(Handler):
        def handle_one_request(self) -> None:
            self.rfile.peek(1)
            self.rfile.read(0)
            super().handle_one_request()

    peer = client(serve(Peeks, host))
    for n in range(3):
        assert peer.ask(request(target=f"/{n}")).body == b"/%d" % n


def test_parse_request_may_be_wrapped(host: Any, serve: Any, client: Any) -> None:
    class Rewriting(Handler):
        def parse_request(self) -> bool:
            good = super().parse_request()
            if good:
                self.path = self.path.upper()
            return good

    assert client(serve(Rewriting, host)).ask(request("GET", "/path")).body == b"/PATH"


def test_streams_replaced_in_setup(host: Any, serve: Any, client: Any) -> None:
    class Own(Handler):
        def setup(self) -> None:
            super().setup()
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb")

    peer = client(serve(Own, host))
    assert peer.ask(request("GET", "/1")).body == b"/1"
    assert peer.ask(request("POST", "/", body=b"body")).body == b"body"


def test_a_stream_wrapped_in_setup(host: Any, serve: Any, client: Any) -> None:
    """The own streams go on under somebody else's."""
    seen: list[bytes] = []

    class Tee(io.RawIOBase):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            seen.append(bytes(data))
            return self.stream.write(data)

    class Teed(Handler):
        def setup(self) -> None:
            super().setup()
            self.wfile = Tee(self.wfile)

    peer = client(serve(Teed, host))
    assert peer.ask(request("GET", "/1")).body == b"/1"
    assert peer.ask(request("GET", "/2")).body == b"/2"
    assert [data.partition(b" ")[0] for data in seen] == [b"HTTP/1.1", b"/1", b"HTTP/1.1", b"/2"]


def test_the_socket_wrapped_in_setup(host: Any, serve: Any, client: Any) -> None:
    """As TLS by hand or a proxy does: the handler goes on with another object."""

    class Wrapper:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

        def recv_into(self, *args: Any) -> int:
            return self._sock.recv_into(*args)

    class Wrapped(Handler):
        def setup(self) -> None:
            self.request = Wrapper(self.request)
            super().setup()

    peer = client(serve(Wrapped, host))
    assert peer.ask(request("GET", "/1")).body == b"/1"
    assert peer.ask(request("GET", "/2")).body == b"/2"


# -- Headers ------------------------------------------------------------------------------------


def test_a_class_may_have_an_attribute_for_headers(host: Any, serve: Any, client: Any) -> None:
    """http.server assigns self.headers, so that a class's own default does not matter."""

    class Declared(Handler):
        headers = None
        path = None
        command = None
        close_connection = None

        def do_GET(self) -> None:
            self.answer(self.headers["X-Name"].encode())

    assert client(serve(Declared, host)).ask(request("GET", "/", "X-Name: value")).body == b"value"


def test_headers_may_be_assigned(host: Any, serve: Any, client: Any) -> None:
    class Assigning(Handler):
        def parse_request(self) -> bool:
            good = super().parse_request()
            if good:
                self.headers = {"X-Name": f"of {self.path}"}
            return good

        def do_GET(self) -> None:
            self.answer(self.headers["X-Name"].encode())

    peer = client(serve(Assigning, host))
    assert peer.ask(request("GET", "/1")).body == b"of /1"
    assert peer.ask(request("GET", "/2", "X-Name: theirs")).body == b"of /2"


def test_headers_are_those_of_the_last_request(host: Any, serve: Any, client: Any) -> None:
    kept: list[Any] = []

    class Keeping(Handler):
        def do_GET(self) -> None:
            kept.append(self.headers)
            assert self.headers is self.headers
            self.answer((self.headers["X-Name"] or "none").encode())

    peer = client(serve(Keeping, host))
    assert peer.ask(request("GET", "/", "X-Name: 1")).body == b"1"
    assert peer.ask(request("GET", "/")).body == b"none"
    assert peer.ask(request("GET", "/", "X-Name: 3")).body == b"3"
    assert [headers["X-Name"] for headers in kept] == ["1", None, "3"]


# -- Buffers and options of the socket ---------------------------------------------------------


def test_unbuffered_rfile_takes_nothing_ahead(host: Any, serve: Any, client: Any) -> None:
    class Unbuffered(Handler):
        rbufsize = 0

        def do_TAKE(self) -> None:
            self.answer(self.connection.recv(100))

    peer = client(serve(Unbuffered, host))
    assert peer.ask(request("TAKE") + b"straight from the socket").body == b"straight from the socket"
    assert peer.ask(request("GET", "/2")).body == b"/2"


def test_an_unbuffered_head_that_breaks_off(host: Any, serve: Any, client: Any) -> None:
    errors: list[Any] = []

    class Unbuffered(Handler):
        rbufsize = 0

    class Server(host):
        def handle_error(self, request: Any, client_address: Any) -> None:
            errors.append(client_address)

    peer = client(serve(Unbuffered, Server))
    peer.send(b"GET / HTTP/1.1\r\nHost: te")
    peer.end()
    peer.rest()
    assert not errors


@pytest.mark.parametrize("size", [-1, 10_000])
def test_buffered_wfile_waits_for_the_end(size: int, host: Any, serve: Any, client: Any, gate: Gate) -> None:
    class Buffered(Handler):
        wbufsize = size

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"one ")
            gate.wait()
            self.wfile.write(b"two ")

    peer = client(serve(Buffered, host))
    peer.send(request("GET", "/", "Connection: close"))
    assert gate.reached()
    assert not select.select([peer.sock], [], [], 0.05)[0]
    gate.open()
    assert peer.reply().body == b"one two "


def test_buffered_wfile_passes_on_what_is_larger(host: Any, serve: Any, client: Any) -> None:
    class Buffered(Handler):
        wbufsize = -1

        def do_GET(self) -> None:
            self.answer(b"x" * 300_000)

    peer = client(serve(Buffered, host))
    assert len(peer.ask(request()).body) == 300_000
    assert len(peer.ask(request()).body) == 300_000


def test_disable_nagle_algorithm(host: Any, serve: Any, client: Any) -> None:
    class Prompt(Handler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer(b"%d" % self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert client(serve(Prompt, host)).ask(request()).body != b"0"
