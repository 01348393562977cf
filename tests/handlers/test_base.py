"""BaseHTTPRequestHandler's documented surface: attributes, defaults, call orders and texts of http.server.

How a request travels is test_lanes.py's, what becomes of its body test_bodies.py's.
"""

import email.utils
import html
import http.client
import http.server
import inspect
import io
import pickle
import re
import socketserver
import time
from http import HTTPStatus
from typing import Any
from unittest import mock

import pytest
from helpers import log_messages, request

import fastserve
from fastserve import BaseHTTPRequestHandler, SimpleHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    """A handler without a connection, as tests and recipes make them."""

    def __init__(self, data: bytes = b"") -> None:
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.client_address = ("192.0.2.1", 5)
        self.requestline = "GET /path HTTP/1.1"
        self.request_version = "HTTP/1.1"
        self.command = "GET"

    def written(self) -> bytes:
        return self.wfile.getvalue()


class WriteOnly:
    """The least that a wfile must have."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.writes.append(bytes(data))
        return len(data)


# -- The class ---------------------------------------------------------------------------------

PAIRS = {
    "BaseHTTPRequestHandler": (http.server.BaseHTTPRequestHandler, BaseHTTPRequestHandler),
    "SimpleHTTPRequestHandler": (http.server.SimpleHTTPRequestHandler, SimpleHTTPRequestHandler),
    "HTTPServer": (http.server.HTTPServer, fastserve.HTTPServer),
    "ThreadingHTTPServer": (http.server.ThreadingHTTPServer, fastserve.ThreadingHTTPServer),
}


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


def test_the_recipe_reports_an_error() -> None:
    parsed = Recipe(b"GET\r\nHeader: Blah\r\n\r\n")
    assert (parsed.error_code, parsed.error_message) == (400, "Bad request syntax ('GET')")


def test_the_recipe_on_nothing() -> None:
    parsed = Recipe(b"\r\n")
    assert (parsed.error_code, parsed.command) == (None, None)


def test_parse_request_returns_whether_it_could() -> None:
    def parse(data: bytes) -> tuple[bool, Handler]:
        handler = Handler(data)
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
    handler = Handler(fields + b"\r\n")
    handler.protocol_version = protocol
    handler.raw_requestline = f"GET / HTTP/{version}\r\n".encode()
    assert handler.parse_request()
    assert handler.close_connection is close


# -- The head of a response --------------------------------------------------------------------


def test_the_headers_buffer_is_a_list_of_lines() -> None:
    handler = Handler()
    handler.send_response_only(200)
    handler.send_header("One", "1")
    buffer = handler._headers_buffer
    assert buffer == [b"HTTP/1.0 200 OK\r\n", b"One: 1\r\n"]
    handler.send_header("Two", "2")
    assert buffer == [b"HTTP/1.0 200 OK\r\n", b"One: 1\r\n", b"Two: 2\r\n"]
    buffer.insert(1, b"Zero: 0\r\n")
    buffer.remove(b"One: 1\r\n")
    handler.end_headers()
    assert handler.written() == b"HTTP/1.0 200 OK\r\nZero: 0\r\nTwo: 2\r\n\r\n"
    assert handler._headers_buffer == []


def test_the_headers_buffer_may_be_replaced() -> None:
    handler = Handler()
    handler.send_response_only(200)
    handler._headers_buffer = [b"HTTP/1.0 299 Own\r\n"]
    handler.send_header("Name", "value")
    handler.end_headers()
    assert handler.written() == b"HTTP/1.0 299 Own\r\nName: value\r\n\r\n"


def test_a_head_that_was_begun_may_be_taken_back(serve: Any, client: Any, log: Any) -> None:
    class Fickle(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self._headers_buffer = []
            self.send_response(202)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    peer = client(serve(Fickle))
    reply = peer.ask(request())
    assert (reply.status, reply.get("Content-Length"), reply.body) == (202, "2", b"ok")
    assert len(reply.headers) == 3
    assert peer.ask(request()).status == 202


def test_nothing_is_written_before_end_headers_and_then_once() -> None:
    handler = Handler()
    handler.wfile = WriteOnly()
    handler.log_message = lambda *args: None
    handler.send_response(200)
    handler.send_header("Name", "value")
    assert handler.wfile.writes == []
    handler.end_headers()
    assert len(handler.wfile.writes) == 1


def test_flush_headers_without_a_head_writes_nothing() -> None:
    handler = Handler()
    handler.flush_headers()
    assert handler.written() == b""


def test_status_lines() -> None:
    def line(*args: Any) -> bytes:
        handler = Handler()
        handler.send_response_only(*args)
        return handler._headers_buffer[0]

    assert line(404) == b"HTTP/1.0 404 Not Found\r\n"
    assert line(HTTPStatus.NOT_FOUND) == b"HTTP/1.0 404 Not Found\r\n"
    assert line(404, "Nowhere") == b"HTTP/1.0 404 Nowhere\r\n"
    assert line(404, "") == b"HTTP/1.0 404 \r\n"
    assert line(299) == b"HTTP/1.0 299 \r\n"
    assert line(200, "\xc4rger") == "HTTP/1.0 200 \xc4rger\r\n".encode("latin-1")


@pytest.mark.parametrize("value", ["text", 5, 2.5, HTTPStatus.OK, None, True])
def test_header_values_are_what_str_makes_of_them(value: Any) -> None:
    handler = Handler()
    handler.send_header("Name", value)
    assert handler._headers_buffer == [b"Name: %s\r\n" % str(value).encode()]


def test_latin_1_headers_and_no_others() -> None:
    handler = Handler()
    handler.send_header("Name", "\xc4\xff")
    assert handler._headers_buffer == [b"Name: \xc4\xff\r\n"]
    with pytest.raises(UnicodeEncodeError):
        handler.send_header("Name", "\u20ac")
    assert handler._headers_buffer == [b"Name: \xc4\xff\r\n"]


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "x\r\nSet-Cookie: a", "x\r", "\nx"])
def test_line_ends_and_nul_are_refused(bad: str) -> None:
    handler = Handler()
    handler.log_message = lambda *args: None
    for call in (
        lambda: handler.send_header("Name", bad),
        lambda: handler.send_header(bad, "value"),
        lambda: handler.send_response_only(200, bad),
        lambda: handler.send_response(200, bad),
    ):
        with pytest.raises(ValueError):
            call()
    assert handler._headers_buffer == []
    handler.send_header("Name", "good")
    assert handler._headers_buffer == [b"Name: good\r\n"]


@pytest.mark.parametrize(
    ("name", "value", "close"),
    [("Connection", "close", True), ("CONNECTION", "Close", True), ("connection", "Keep-Alive", False)],
)
def test_a_connection_header_sets_close_connection(name: str, value: str, close: bool) -> None:
    handler = Handler()
    handler.close_connection = not close
    handler.send_header(name, value)
    assert handler.close_connection is close


def test_other_headers_leave_close_connection_alone() -> None:
    handler = Handler()
    for before in (True, False):
        handler.close_connection = before
        handler.send_header("Connection", "upgrade")
        handler.send_header("X-Connection", "close" if not before else "keep-alive")
        assert handler.close_connection is before


def test_version_string_is_of_two_attributes() -> None:
    class Property(Handler):
        sys_version = "System/2"

        @property
        def server_version(self) -> str:
            return "Server/1"

    assert Property().version_string() == "Server/1 System/2"


@pytest.mark.parametrize("timestamp", [0, 1, 951782400, 1_000_000_000.9, 4102444799, -1, time.time()])
def test_dates_are_imf_fixdates(timestamp: float) -> None:
    assert Handler().date_time_string(timestamp) == email.utils.formatdate(timestamp, usegmt=True)
    stdlib = http.server.BaseHTTPRequestHandler.date_time_string
    assert Handler().date_time_string(timestamp=timestamp) == stdlib(Handler(), timestamp)


def test_the_date_is_now() -> None:
    before = int(time.time())
    given = email.utils.parsedate_to_datetime(Handler().date_time_string()).timestamp()
    assert before <= given <= time.time()


# -- Errors ------------------------------------------------------------------------------------


def error(*args: Any, **attributes: Any) -> tuple[str, dict[str, str], str]:
    """Status line, headers and page of send_error(*args)."""
    handler = Handler()
    for name, value in attributes.items():
        setattr(handler, name, value)
    handler.log_message = lambda *args: None
    handler.send_error(*args)
    head, _, page = handler.written().decode("latin-1").partition("\r\n\r\n")
    line, *fields = head.split("\r\n")
    return line, dict(field.split(": ", 1) for field in fields), page.encode("latin-1").decode("utf-8")


def test_an_error_page() -> None:
    line, headers, page = error(404)
    assert line == "HTTP/1.0 404 Not Found"
    assert list(headers) == ["Server", "Date", "Connection", "Content-Type", "Content-Length"]
    assert headers["Connection"] == "close"
    assert headers["Content-Length"] == str(len(page.encode()))
    description = HTTPStatus.NOT_FOUND.description
    assert page == BaseHTTPRequestHandler.error_message_format % {
        "code": 404, "message": "Not Found", "explain": description,
    }


def test_message_and_explanation_are_escaped_in_the_page_alone() -> None:
    line, _, page = error(400, "<b> & c", "x > y\nand \u20ac")
    assert line == "HTTP/1.0 400 <b> & c"
    assert "Message: &lt;b&gt; &amp; c." in page
    assert html.escape("x > y\nand \u20ac") in page


def test_a_code_without_words() -> None:
    line, _, page = error(299)
    assert line == "HTTP/1.0 299 ???"
    assert "Message: ???." in page


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("caf\xe9", "caf\xe9"),
        ("\u20ac", "?"),
        ("two\r\nlines", "two\\x0d\\x0alines"),
        ("nul\0", "nul\\x00"),
    ],
)
def test_any_message_makes_a_status_line(message: str, reason: str) -> None:
    line, headers, page = error(404, message)
    assert line == f"HTTP/1.0 404 {reason}"
    assert list(headers) == ["Server", "Date", "Connection", "Content-Type", "Content-Length"]
    assert html.escape(message) in page


@pytest.mark.parametrize("code", [100, 204, 205, 304])
def test_some_codes_have_no_page(code: int) -> None:
    _, headers, page = error(code)
    assert page == ""
    assert "Content-Length" not in headers
    assert "Content-Type" not in headers


def test_head_gets_no_page_but_its_length() -> None:
    _, headers, page = error(404, command="HEAD")
    assert page == ""
    assert int(headers["Content-Length"]) > 0


def test_send_error_writes_twice() -> None:
    handler = Handler()
    handler.wfile = WriteOnly()
    handler.log_message = lambda *args: None
    handler.send_error(418)
    assert len(handler.wfile.writes) == 2


def test_the_page_may_be_the_class_s_own() -> None:
    own = {"error_message_format": "%(code)d %(message)s %(explain)s", "error_content_type": "text/x"}
    _, headers, page = error(404, **own)
    assert page == f"404 Not Found {HTTPStatus.NOT_FOUND.description}"
    assert headers["Content-Type"] == "text/x"


# -- The log -----------------------------------------------------------------------------------


def test_a_line_of_the_log(log: Any) -> None:
    before = time.time()
    Handler().log_message("%s and %d", "text", 5)
    match = re.fullmatch(r"192\.0\.2\.1 - - \[(.*)\] text and 5\n", log.text())
    assert match
    assert before - 1.5 < time.mktime(time.strptime(match[1], "%d/%b/%Y %H:%M:%S")) <= time.time()


def test_what_is_logged_of_a_request(log: Any) -> None:
    handler = Handler()
    handler.log_request(HTTPStatus.NOT_FOUND)
    handler.log_request(200, 1234)
    handler.log_request()
    line = '"GET /path HTTP/1.1"'
    assert log.messages() == [f"{line} 404 -", f"{line} 200 1234", f"{line} - -"]


def test_send_error_logs_before_the_request(log: Any) -> None:
    Handler().send_error(404, "Not here")
    assert log.messages() == ["code 404, message Not here", '"GET /path HTTP/1.1" 404 -']


def test_control_characters_are_written_out(log: Any) -> None:
    every = "".join(map(chr, range(0x20))) + "".join(map(chr, range(0x7F, 0xA0)))
    Handler().log_message("%s", every + "\\ \xa0\u20ac")
    expected = "".join(f"\\x{ord(char):02x}" for char in every)
    assert log.messages() == [expected + "\\\\ \xa0\u20ac"]


def test_the_log_follows_the_current_stderr() -> None:
    first, second = io.StringIO(), io.StringIO()
    for stream in (first, second):
        with mock.patch("sys.stderr", stream):
            Handler().log_message("once")
    assert log_messages(first.getvalue()) == log_messages(second.getvalue()) == ["once"]


def test_log_error_goes_where_log_message_goes() -> None:
    handler = Handler()
    handler.log_message = mock.Mock()
    handler.log_error("a %s", "b")
    handler.log_message.assert_called_once_with("a %s", "b")


def test_addresses_are_not_looked_up() -> None:
    forbidden = mock.Mock(side_effect=AssertionError)
    with mock.patch.multiple("socket", getfqdn=forbidden, gethostbyaddr=forbidden):
        assert Handler().address_string() == "192.0.2.1"


# -- handle_one_request ------------------------------------------------------------------------


class Silent(Handler):
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
    class Slow(Handler):
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
