"""When a handler is made and what runs when: rows "lifetime" and "first-bytes" of the differences."""

import select
import socketserver
from typing import Any

import pytest
from helpers import request, wait_until

import fastserve

from .lanes import Handler


@pytest.fixture
def calls() -> list[str]:
    return []


def framed(calls: list[str]) -> Any:
    class Framed(Handler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            calls.append("made")

        def do_GET(self) -> None:
            calls.append("GET")
            super().do_GET()

        def finish(self) -> None:
            super().finish()
            calls.append("finish")

        def log_message(self, *args: Any) -> None:
            pass

    return Framed


def framing(base: Any, calls: list[str]) -> Any:
    class Framing(base):
        def finish_request(self, request: Any, client_address: Any) -> None:
            super().finish_request(request, client_address)
            calls.append("finish_request")

        def shutdown_request(self, request: Any) -> None:
            calls.append("shutdown_request")
            super().shutdown_request(request)

    return Framing


@pytest.mark.parametrize("base", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_a_driven_handler_is_made_before_its_requests(
    calls: list[str], base: Any, serve: Any, client: Any
) -> None:
    peer = client(serve(framed(calls), framing(base, calls)))
    peer.ask(request())
    peer.ask(request("GET", "/", "Connection: close"))
    assert peer.is_closed()
    assert wait_until(lambda: "shutdown_request" in calls)
    assert calls == ["made", "finish_request", "GET", "GET", "finish", "shutdown_request"]


def test_any_other_is_made_when_they_are_over(calls: list[str], serve: Any, client: Any) -> None:
    peer = client(serve(framed(calls), framing(socketserver.TCPServer, calls)))
    peer.ask(request())
    peer.ask(request("GET", "/", "Connection: close"))
    assert peer.is_closed()
    assert wait_until(lambda: "shutdown_request" in calls)
    assert calls == ["GET", "GET", "finish", "made", "finish_request", "shutdown_request"]


def test_a_handle_of_its_own_makes_it_the_same_on_the_loop(calls: list[str], serve: Any, client: Any) -> None:
    class Own(framed(calls)):
        def handle(self) -> None:
            super().handle()

    peer = client(serve(Own, framing(fastserve.HTTPServer, calls)))
    peer.ask(request("GET", "/", "Connection: close"))
    assert peer.is_closed()
    assert wait_until(lambda: "shutdown_request" in calls)
    assert calls == ["GET", "finish", "made", "finish_request", "shutdown_request"]


class Greeter(socketserver.StreamRequestHandler):
    """Of a protocol in which the server speaks first."""

    def handle(self) -> None:
        self.wfile.write(b"220 hello\r\n")
        self.wfile.write(self.rfile.readline())


@pytest.mark.parametrize("base", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_who_speaks_first_waits_for_the_client(base: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Greeter, base))
    assert not select.select([peer.sock], [], [], 0.1)[0]
    peer.send(b"HELO\r\n")
    assert peer.rest() == b"220 hello\r\nHELO\r\n"


# -- Row "streams" -----------------------------------------------------------------------------


def test_the_streams_take_no_attributes(host: Any, serve: Any, client: Any) -> None:
    raised: list[str] = []

    class Replacing(Handler):
        def do_GET(self) -> None:
            for stream, name in ((self.wfile, "write"), (self.rfile, "read"), (self.rfile, "mine")):
                try:
                    setattr(stream, name, lambda *args: None)
                except AttributeError:
                    raised.append(name)
            super().do_GET()

    assert client(serve(Replacing, host)).ask(request("GET", "/path")).body == b"/path"
    assert raised == ["write", "read", "mine"]


def both_of_the_socket(handler: Any) -> None:
    handler.rfile = handler.connection.makefile("rb")
    handler.wfile = handler.connection.makefile("wb")


def wfile_of_the_socket(handler: Any) -> None:
    handler.wfile = handler.connection.makefile("wb")


class Through:
    """A stream that another one is behind."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def rfile_wrapped(handler: Any) -> None:
    handler.rfile = Through(handler.rfile)


def wfile_wrapped(handler: Any) -> None:
    handler.wfile = Through(handler.wfile)


@pytest.mark.parametrize("unread", [b"", b"unread"])
@pytest.mark.parametrize("replace", [both_of_the_socket, wfile_of_the_socket, rfile_wrapped, wfile_wrapped])
def test_a_stream_may_be_replaced_for_good(
    replace: Any, unread: bytes, host: Any, serve: Any, client: Any
) -> None:
    class Replacing(Handler):
        def do_SWAP(self) -> None:
            self.answer(b"swapped")
            replace(self)

    peer = client(serve(Replacing, host))
    assert peer.ask(request("GET", "/before")).body == b"/before"
    assert peer.ask(request("SWAP", body=unread)).body == b"swapped"
    for n in range(3):
        assert peer.ask(request("GET", f"/{n}")).body == b"/%d" % n
        assert peer.ask(request("POST", body=b"body")).body == b"body"
    peer.end()
    assert peer.is_closed()


def test_an_answer_that_is_short_is_the_last_also_then(host: Any, serve: Any, client: Any) -> None:
    class Replacing(Handler):
        def do_SWAP(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"short")
            both_of_the_socket(self)

    peer = client(serve(Replacing, host))
    peer.send(request("SWAP") + request())
    assert peer.rest().endswith(b"\r\n\r\nshort")


def test_a_stream_may_be_replaced_for_one_answer(host: Any, serve: Any, client: Any) -> None:
    class Loud:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def write(self, data: bytes) -> int:
            return self.stream.write(data.upper())

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    class Replacing(Handler):
        def do_GET(self) -> None:
            stream, self.wfile = self.wfile, Loud(self.wfile)
            super().do_GET()
            self.wfile = stream

    peer = client(serve(Replacing, host))
    assert peer.ask(request("GET", "/path")).body == b"/PATH"
    assert peer.ask(request("GET", "/next")).body == b"/NEXT"
