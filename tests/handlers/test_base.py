"""BaseHTTPRequestHandler's documented surface: attributes, defaults, parse_request, handle_one_request.

What it writes is test_responses.py's, how a request travels test_lanes.py's, what becomes of a body
test_bodies.py's.
"""

import http.client
import http.server
import inspect
import io
import pickle
import socketserver
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import request

import fastserve
from fastserve import BaseHTTPRequestHandler, SimpleHTTPRequestHandler

from .makers import Bare

# -- The class ---------------------------------------------------------------------------------

PAIRS = {
    "BaseHTTPRequestHandler": (http.server.BaseHTTPRequestHandler, BaseHTTPRequestHandler),
    "SimpleHTTPRequestHandler": (http.server.SimpleHTTPRequestHandler, SimpleHTTPRequestHandler),
    "HTTPServer": (http.server.HTTPServer, fastserve.HTTPServer),
    "ThreadingHTTPServer": (http.server.ThreadingHTTPServer, fastserve.ThreadingHTTPServer),
}
if hasattr(http.server, "CGIHTTPRequestHandler"):  # until Python 3.14
    PAIRS["CGIHTTPRequestHandler"] = http.server.CGIHTTPRequestHandler, fastserve.CGIHTTPRequestHandler


@pytest.mark.parametrize("name", PAIRS)
def test_no_name_of_http_server_is_missing(name: str) -> None:
    theirs, ours = PAIRS[name]
    assert not [each for each in dir(theirs) if not hasattr(ours, each)]


def methods_of(name: str) -> list[tuple[Any, Any]]:
    theirs, ours = PAIRS[name]
    found = inspect.getmembers(theirs, inspect.isfunction)
    return [(function, getattr(ours, each)) for each, function in found if not each.startswith("_")]


@pytest.mark.parametrize("name", PAIRS)
def test_methods_take_the_same_arguments(name: str) -> None:
    def shape(function: Any) -> list[tuple[Any, ...]]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    assert methods_of(name)
    for theirs, ours in methods_of(name):
        assert shape(theirs) == shape(ours), theirs.__name__


@pytest.mark.parametrize("name", PAIRS)
def test_classes_can_be_pickled_and_patched(name: str) -> None:
    ours = PAIRS[name][1]
    assert pickle.loads(pickle.dumps(ours)) is ours
    with mock.patch.object(ours, "handle_error", create=True) as patched:
        assert ours.handle_error is patched


def is_out_of_the_way(name: str) -> bool:
    """Mangled (_Class__name), of Python's own, or with our name in it."""
    return "__" in name or name.startswith("_fastserve")


@pytest.mark.parametrize("name", PAIRS)
def test_private_names_leave_those_of_subclasses_alone(name: str) -> None:
    """A subclass written for http.server may have a _send_file() or a _lock of its own."""
    theirs, ours = PAIRS[name]
    names = set(dir(ours)) - set(dir(theirs)) - {"_headers_buffer"}
    if issubclass(ours, socketserver.BaseServer):
        with ours(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
            names |= vars(server).keys()
        with theirs(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
            names -= vars(server).keys()
    assert not sorted(each for each in names if each.startswith("_") and not is_out_of_the_way(each))


def test_it_is_a_stream_request_handler() -> None:
    assert issubclass(BaseHTTPRequestHandler, socketserver.StreamRequestHandler)
    assert issubclass(SimpleHTTPRequestHandler, BaseHTTPRequestHandler)
    assert not issubclass(BaseHTTPRequestHandler, http.server.BaseHTTPRequestHandler)


# These are http.server's on every Python.
SAME_DEFAULTS = [
    "sys_version", "error_content_type", "default_request_version", "protocol_version", "MessageClass",
    "responses", "weekdayname", "monthname", "_control_char_table", "rbufsize", "wbufsize", "timeout",
    "disable_nagle_algorithm",
]


@pytest.mark.parametrize("name", SAME_DEFAULTS)
def test_defaults_are_http_servers(name: str) -> None:
    assert getattr(BaseHTTPRequestHandler, name) == getattr(http.server.BaseHTTPRequestHandler, name)


def test_defaults_of_its_own() -> None:
    assert BaseHTTPRequestHandler.server_version == "BaseHTTP"
    assert SimpleHTTPRequestHandler.server_version == "SimpleHTTP"
    assert BaseHTTPRequestHandler.error_message_format is fastserve.server.DEFAULT_ERROR_MESSAGE
    assert BaseHTTPRequestHandler.error_content_type == fastserve.server.DEFAULT_ERROR_CONTENT_TYPE
    assert BaseHTTPRequestHandler.decode_chunked is False


def test_responses_are_found_by_number() -> None:
    status = HTTPStatus.NOT_FOUND
    assert BaseHTTPRequestHandler.responses[404] == (status.phrase, status.description)


# -- What a handler has while it answers -------------------------------------------------------


def test_instance_attributes(host: Any, serve: Any, client: Any) -> None:
    seen: dict[str, Any] = {}

    class Attributes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.update({name: getattr(self, name) for name in names})
            seen["_headers_buffer"] = list(self._headers_buffer)
            seen["peer"] = self.connection.getpeername()
            seen["waits"] = self.connection.gettimeout()
            seen["streams"] = [isinstance(each, io.BufferedIOBase) for each in (self.rfile, self.wfile)]
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    names = ["request", "client_address", "server", "connection", "raw_requestline", "requestline"]
    names += ["command", "path", "request_version", "headers", "close_connection"]
    server = serve(Attributes, host)
    peer = client(server)
    assert peer.ask(request("GET", "/a?b", "X-Name: value")).status == 204
    address = peer.sock.getsockname()
    assert seen["request"] is seen["connection"]
    assert seen["client_address"] == seen["peer"] == address
    assert seen["server"] is server
    assert seen["raw_requestline"] == b"GET /a?b HTTP/1.1\r\n"
    assert seen["requestline"] == "GET /a?b HTTP/1.1"
    assert (seen["command"], seen["path"], seen["request_version"]) == ("GET", "/a?b", "HTTP/1.1")
    assert isinstance(seen["headers"], http.client.HTTPMessage)
    assert seen["headers"]["x-name"] == "value"
    assert seen["close_connection"] is True
    assert seen["_headers_buffer"] == []
    assert seen["waits"] is None
    assert seen["streams"] == [True, True]


def test_attributes_before_a_request_line_is_read() -> None:
    """http.server leaves them out; log_request() and send_error() must work all the same."""
    handler = BaseHTTPRequestHandler.__new__(BaseHTTPRequestHandler)
    assert (handler.requestline, handler.command, handler.close_connection) == ("", None, True)


# -- The BytesIO recipe ------------------------------------------------------------------------


class Recipe(BaseHTTPRequestHandler):
    """Copied widely: a parser of request texts. send_error() takes two arguments here."""

    def __init__(self, text: bytes) -> None:
        self.rfile = io.BytesIO(text)
        self.raw_requestline = self.rfile.readline()
        self.error_code: int | None = None
        self.error_message: str | None = None
        self.parse_request()

    def send_error(self, code: int, message: str) -> None:
        self.error_code = code
        self.error_message = message


def test_the_recipe_parses() -> None:
    parsed = Recipe(b"POST /who/ken?a=b HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\nbody")
    assert parsed.error_code is None
    assert (parsed.command, parsed.path, parsed.request_version) == ("POST", "/who/ken?a=b", "HTTP/1.1")
    assert list(parsed.headers.keys()) == ["Host", "Content-Length"]
    assert parsed.headers["host"] == "example.test"
    assert parsed.rfile.read() == b"body"


def test_the_recipe_needs_no_host_and_no_empty_line() -> None:
    parsed = Recipe(b"GET / HTTP/1.1\r\nAccept: x")
    assert parsed.error_code is None
    assert parsed.headers["Accept"] == "x"
    assert Recipe(b"GET / HTTP/1.1\r\n").headers.keys() == []


def test_the_recipe_s_lines_may_end_in_lf_alone() -> None:
    """As those of wsgiref's own tests, and of texts in triple quotes."""
    parsed = Recipe(b"POST /who HTTP/1.1\nHost: here\r\nAccept: x\n\nbody\n")
    assert parsed.error_code is None
    assert parsed.headers.items() == [("Host", "here"), ("Accept", "x")]
    assert parsed.rfile.read() == b"body\n"


def test_from_the_system_lines_end_in_crlf(tmp_path: Path) -> None:
    """Whatever file object it is: a network client may be at its other end."""
    (tmp_path / "request").write_bytes(b"GET / HTTP/1.1\n\n")
    handler = Bare()
    handler.log_message = lambda *args: None
    with open(tmp_path / "request", "rb") as handler.rfile:
        handler.raw_requestline = handler.rfile.readline()
        assert handler.parse_request() is False
    assert handler.written().startswith(b"HTTP/1.0 400 ")


@pytest.mark.parametrize("line", [b"GET /\r HTTP/1.1\n", b"GET / HTTP/1.1\r\r\n", b"GET /\0 HTTP/1.1\n"])
def test_the_recipe_takes_no_other_line_ends(line: bytes) -> None:
    assert Recipe(line + b"\n").error_code == 400


def test_the_recipe_reports_an_error() -> None:
    parsed = Recipe(b"GET\r\nHeader: Blah\r\n\r\n")
    assert (parsed.error_code, parsed.error_message) == (400, "Bad request syntax ('GET')")


def test_the_recipe_on_nothing() -> None:
    parsed = Recipe(b"\r\n")
    assert (parsed.error_code, parsed.command) == (None, None)


def test_parse_request_returns_whether_it_could() -> None:
    def parse(data: bytes) -> tuple[bool, Bare]:
        handler = Bare(data)
        handler.log_message = lambda *args: None
        handler.raw_requestline = handler.rfile.readline()
        return handler.parse_request(), handler

    assert parse(b"GET / HTTP/1.1\r\n\r\n")[0] is True
    refused, handler = parse(b"GET / HTTP/3.0\r\n\r\n")
    assert refused is False
    assert handler.written().startswith(b"HTTP/1.0 505 ")
    assert handler.close_connection is True


@pytest.mark.parametrize(
    ("version", "fields", "protocol", "close"),
    [
        ("1.1", b"", "HTTP/1.1", False),
        ("1.1", b"Connection: close\r\n", "HTTP/1.1", True),
        ("1.1", b"Connection: keep-alive\r\n", "HTTP/1.0", True),
        ("1.0", b"", "HTTP/1.1", True),
        ("1.0", b"Connection: keep-alive\r\n", "HTTP/1.1", False),
        ("1.0", b"Connection: keep-alive\r\n", "HTTP/1.0", True),
    ],
)
def test_parse_request_sets_close_connection(version: str, fields: bytes, protocol: str, close: bool) -> None:
    handler = Bare(fields + b"\r\n")
    handler.protocol_version = protocol
    handler.raw_requestline = f"GET / HTTP/{version}\r\n".encode()
    assert handler.parse_request()
    assert handler.close_connection is close


# -- handle_one_request ------------------------------------------------------------------------


class Silent(Bare):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_one_request_from_any_file_object() -> None:
    handler = Silent(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest")
    handler.handle_one_request()
    assert handler.written().startswith(b"HTTP/1.0 200 OK\r\n")
    assert handler.rfile.read() == b"rest"
    assert handler.close_connection is True


def test_handle_goes_on_until_the_connection_closes() -> None:
    class Kept(Silent):
        protocol_version = "HTTP/1.1"

    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    handler = Kept(one * 3)
    handler.handle()
    assert handler.written().count(b"HTTP/1.1 200 OK\r\n") == 3
    handler = Kept(one + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + one)
    handler.handle()
    assert handler.written().count(b"HTTP/1.1 200 OK\r\n") == 2


def test_the_end_of_the_stream_closes() -> None:
    handler = Silent(b"")
    handler.close_connection = False
    handler.handle_one_request()
    assert handler.close_connection is True
    assert handler.written() == b""


def test_a_request_line_that_is_too_long() -> None:
    handler = Silent(b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\n\r\n")
    handler.handle_one_request()
    phrase = HTTPStatus.REQUEST_URI_TOO_LONG.phrase
    assert handler.written().startswith(f"HTTP/1.0 414 {phrase}\r\n".encode())
    assert (handler.requestline, handler.request_version, handler.command) == ("", "", "")


def test_a_timeout_is_logged_and_closes(log: Any) -> None:
    class Slow(Bare):
        def do_GET(self) -> None:
            raise TimeoutError("too slow")

    handler = Slow(b"GET / HTTP/1.1\r\n\r\n")
    handler.handle_one_request()
    assert handler.close_connection is True
    assert log.messages() == ["Request timed out: TimeoutError('too slow')"]


def test_wfile_is_flushed_after_a_request() -> None:
    class Buffered(Silent):
        def do_GET(self) -> None:
            self.wfile.write(b"answer")

    handler = Buffered(b"GET / HTTP/1.1\r\n\r\n")
    raw = handler.wfile
    handler.wfile = io.BufferedWriter(raw)
    handler.handle_one_request()
    assert raw.getvalue() == b"answer"
    handler.wfile.detach()


def test_other_exceptions_come_out() -> None:
    class Broken(Silent):
        def do_GET(self) -> None:
            raise ConnectionResetError("not of our connection")

    with pytest.raises(ConnectionResetError, match="not of our connection"):
        Broken(b"GET / HTTP/1.1\r\n\r\n").handle_one_request()


def test_an_expectation_is_met_before_the_method_runs() -> None:
    class Asked(Silent):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.written() == b"HTTP/1.1 100 Continue\r\n\r\n"
            self.do_GET()

    handler = Asked(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n")
    handler.handle_one_request()
    assert handler.written().startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


# -- Without a connection ----------------------------------------------------------------------


def test_a_request_object_with_makefile_alone() -> None:
    """As CPython's suite makes handlers."""
    sent = mock.Mock()
    sent.makefile.return_value = io.BytesIO(b"GET / HTTP/1.0\r\n\r\n")

    class Plain(BaseHTTPRequestHandler):
        log_message = mock.Mock()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    handler = Plain(sent, ("192.0.2.1", 5), None)
    assert handler.command == "GET"
    written = b"".join(call.args[0] for call in sent.sendall.call_args_list)
    assert bytes(written).startswith(b"HTTP/1.0 200 OK\r\n")


def test_streams_may_be_replaced_after_construction() -> None:
    sent = mock.Mock()
    sent.makefile.return_value = io.BytesIO()
    handler = SimpleHTTPRequestHandler(sent, ("192.0.2.1", 5), None)
    handler.log_message = mock.Mock()
    handler.rfile = io.BytesIO(b"GET /no/such/file HTTP/1.0\r\n\r\n")
    handler.wfile = io.BytesIO()
    handler.handle_one_request()
    assert handler.wfile.getvalue().startswith(b"HTTP/1.0 404 File not found\r\n")
