"""The manual on BaseHTTPRequestHandler: every attribute and method, with its default and what it does."""

import email.message
import http.client
import io
import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import pytest
from helpers import LOG_LINE, PATIENCE, request, wait_until
from pairs import receive_until

from .answers import GET, OURS, answer, refusing, telling
from .conftest import Library

KEPT = "HTTP/1.1"


def test_BaseHTTPRequestHandler(handler: Any, library: Library) -> None:
    """It answers no method by itself, not even GET: that is what subclasses are for."""
    assert not [name for name in dir(library.BaseHTTPRequestHandler) if name.startswith("do_")]
    assert handler().ask(GET).status == 501


def test_do_SPAM(handler: Any) -> None:
    """For a request with the method SPAM, do_SPAM() is called without arguments."""
    assert handler(do_SPAM=telling("command")).ask(request("SPAM")).body == b"'SPAM'"


# -- Instance variables ----------------------------------------------------------------------------


def test_client_address(handler: Any) -> None:
    """(host, port) of the client."""
    peer = handler(do_GET=telling("client_address"))
    assert peer.ask(GET).body.decode() == repr(peer.sock.getsockname())


def test_server(handler: Any) -> None:
    """The server instance."""
    seen: list[Any] = []

    def do_GET(self: Any) -> None:
        seen.append(self.server)
        answer(self)

    peer = handler(do_GET=do_GET)
    peer.ask(GET)
    assert seen == [peer.server]


@pytest.mark.parametrize(("version", "stays"), [("HTTP/1.0", False), ("HTTP/1.1", True)])
def test_close_connection(handler: Any, version: str, stays: bool) -> None:
    """Whether this request is the last; what a method sets it to counts."""

    def do_POST(self: Any) -> None:
        self.close_connection = not self.close_connection
        answer(self)

    peer = handler(protocol_version=version, do_GET=telling("close_connection"), do_POST=do_POST)
    assert peer.ask(GET).body == repr(not stays).encode()
    if stays:
        assert peer.ask(request("POST")).body == b"answer"
    assert peer.is_closed()


def test_close_connection_may_keep_one_open(handler: Any) -> None:
    def do_GET(self: Any) -> None:
        self.close_connection = False
        answer(self)

    peer = handler(do_GET=do_GET)
    assert [peer.ask(GET).body for _ in range(3)] == [b"answer"] * 3


def test_requestline(handler: Any) -> None:
    """The request line without its CRLF; '' where there was no valid one."""
    lines: list[str] = []

    def send_error(self: Any, *args: Any) -> None:
        lines.append(self.requestline)
        self.close_connection = True

    peer = handler(protocol_version=KEPT, do_GET=telling("requestline"), send_error=send_error)
    assert peer.ask(request("GET", "/a?b=c", version="1.0")).body == b"'GET /a?b=c HTTP/1.0'"
    peer = handler(send_error=send_error)
    peer.send(b"GET /" + b"x" * 65536)
    peer.rest()
    assert lines == [""]


@pytest.mark.parametrize("method", ["GET", "POST", "SPAM"])
def test_command(handler: Any, method: str) -> None:
    """The request's method."""
    assert handler(**{f"do_{method}": telling("command")}).ask(request(method)).body == repr(method).encode()


@pytest.mark.parametrize("path", ["/", "/a%20b/../c", "/a?b=c&d", "*", "http://host/path"])
def test_path(handler: Any, path: str) -> None:
    """The target as it was sent, its query included."""
    assert handler(do_GET=telling("path")).ask(request("GET", path)).body == repr(path).encode()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_request_version(handler: Any, version: str) -> None:
    """The version that the client speaks."""
    peer = handler(do_GET=telling("request_version"))
    assert peer.ask(request(version=version)).body == repr(f"HTTP/{version}").encode()


def test_headers(handler: Any, library: Library) -> None:
    """An instance of MessageClass with the request's fields."""
    seen: list[Any] = []

    def do_GET(self: Any) -> None:
        seen.append(self.headers)
        answer(self)

    handler(do_GET=do_GET).ask(request("GET", "/", "X-One: 1", "x-one: 2", "X-Empty:"))
    assert isinstance(seen[0], library.BaseHTTPRequestHandler.MessageClass)
    assert (seen[0]["x-ONE"], seen[0].get_all("X-One"), seen[0]["none"]) == ("1", ["1", "2"], None)
    assert seen[0].items() == [("Host", "test"), ("X-One", "1"), ("x-one", "2"), ("X-Empty", "")]


def test_rfile(handler: Any) -> None:
    """A binary input stream, at the first octet of the body."""
    kinds: list[bool] = []

    def do_POST(self: Any) -> None:
        kinds.append(isinstance(self.rfile, io.BufferedIOBase))
        length = int(self.headers["Content-Length"])
        first = self.rfile.readline()
        answer(self, repr((first, self.rfile.read(length - len(first)))))

    body = b"one\n\x00\xfftwo"
    assert handler(do_POST=do_POST).ask(request("POST", body=body)).body == b"(b'one\\n', b'\\x00\\xfftwo')"
    assert kinds == [True]


def test_wfile(handler: Any) -> None:
    """A binary output stream to the client."""
    kinds: list[bool] = []

    def do_GET(self: Any) -> None:
        kinds.append(isinstance(self.wfile, io.BufferedIOBase))
        assert self.wfile.write(b"HTTP/1.0 299 Mine\r\nContent-Length: 4\r\n\r\n\x00\xff") == 42
        self.wfile.write(memoryview(b"ab"))

    reply = handler(do_GET=do_GET).ask(GET)
    assert (reply.line, reply.body) == ("HTTP/1.0 299 Mine", b"\x00\xffab")
    assert kinds == [True]


# -- Class attributes ------------------------------------------------------------------------------


@OURS
def test_server_version(handler: Any, library: Library) -> None:
    """The server's name and version, of which 3.15 tells the name alone."""
    assert library.BaseHTTPRequestHandler.server_version == "BaseHTTP"
    peer = handler(protocol_version=KEPT, do_GET=answer, server_version="Mine/1.2 More/3")
    assert peer.ask(GET).get("Server").startswith("Mine/1.2 More/3 Python/")


def test_sys_version(handler: Any, library: Library) -> None:
    """Python's version."""
    assert re.fullmatch(r"Python/3\.\d+\.\d+\S*", library.BaseHTTPRequestHandler.sys_version)
    assert handler(do_GET=answer, sys_version="Other/4").ask(GET).get("Server").endswith(" Other/4")


def test_error_message_format(handler: Any, library: Library) -> None:
    """The page of send_error(), filled in with code, message and explain."""
    default = library.BaseHTTPRequestHandler.error_message_format
    assert {key for key in ("code", "message", "explain") if f"%({key})" in default} == {
        "code", "message", "explain"}
    peer = handler(do_GET=refusing(404), error_message_format="%(code)d|%(message)s|%(explain)s|%%")
    assert peer.ask(GET).body == b"404|Not Found|Nothing matches the given URI|%"


def test_error_content_type(handler: Any, library: Library) -> None:
    """The Content-Type of error pages: HTML unless it is told."""
    default = library.BaseHTTPRequestHandler.error_content_type
    assert default == "text/html;charset=utf-8"
    assert handler(do_GET=refusing(404)).ask(GET).get("Content-Type") == default
    plain = handler(do_GET=refusing(404), error_content_type="text/plain")
    assert plain.ask(GET).get("Content-Type") == "text/plain"


def test_protocol_version(handler: Any, library: Library) -> None:
    """What answers say, HTTP/1.0; with HTTP/1.1 connections stay, if answers have a length."""
    assert library.BaseHTTPRequestHandler.protocol_version == "HTTP/1.0"
    once = handler(do_GET=answer)
    assert once.ask(GET).line == "HTTP/1.0 200 OK"
    assert once.is_closed()
    kept = handler(do_GET=answer, protocol_version=KEPT)
    assert [kept.ask(GET).line for _ in range(3)] == ["HTTP/1.1 200 OK"] * 3
    kept.ask(request("GET", "/", "Connection: close"))
    assert kept.is_closed()


def test_MessageClass(handler: Any, library: Library) -> None:
    """The class of headers, http.client.HTTPMessage unless it is told."""
    assert library.BaseHTTPRequestHandler.MessageClass is http.client.HTTPMessage
    seen: list[Any] = []

    def do_GET(self: Any) -> None:
        seen.append((type(self.headers), self.headers["host"]))
        answer(self)

    handler(do_GET=do_GET, MessageClass=email.message.EmailMessage).ask(GET)
    assert seen == [(email.message.EmailMessage, "test")]


def test_responses(handler: Any, library: Library) -> None:
    """From a code to its short and its long message; send_response_only() and send_error() look there."""
    known = library.BaseHTTPRequestHandler.responses
    assert known == {status.value: (status.phrase, status.description) for status in HTTPStatus}
    peer = handler(do_GET=answer, do_POST=refusing(404), protocol_version=KEPT,
                   responses={200: ("Fine", "So it is"), 404: ("Nowhere", "Look elsewhere")})
    assert peer.ask(GET).line == "HTTP/1.1 200 Fine"
    refused = peer.ask(request("POST"))
    assert refused.line == "HTTP/1.1 404 Nowhere"
    assert b"Look elsewhere" in refused.body


# -- Methods: requests -----------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "count"), [("HTTP/1.0", 1), ("HTTP/1.1", 3)])
def test_handle(handler: Any, library: Library, version: str, count: int) -> None:
    """Calls handle_one_request() once, or as long as the connection stays."""
    calls: list[str] = []

    def handle(self: Any) -> None:
        calls.append("handle")
        library.BaseHTTPRequestHandler.handle(self)
        calls.append("end")

    def handle_one_request(self: Any) -> None:
        calls.append("one")
        library.BaseHTTPRequestHandler.handle_one_request(self)

    peer = handler(
        protocol_version=version, do_GET=answer, handle=handle, handle_one_request=handle_one_request)
    for n in range(count):
        assert peer.ask(request("GET", "/", *["Connection: close"] * (n == count - 1))).body == b"answer"
    assert peer.is_closed()
    assert wait_until(lambda: calls == ["handle", *["one"] * count, "end"]), calls


def test_handle_one_request(handler: Any, library: Library) -> None:
    """Reads a request and calls the method for it; 501 where there is none."""
    calls: list[str] = []

    def handle_one_request(self: Any) -> None:
        library.BaseHTTPRequestHandler.handle_one_request(self)
        calls.append(self.requestline)

    peer = handler(protocol_version=KEPT, do_GET=answer, handle_one_request=handle_one_request)
    assert peer.ask(request("GET", "/1")).body == b"answer"
    assert peer.ask(request("SPAM", "/2")).line == "HTTP/1.1 501 Unsupported method ('SPAM')"
    assert wait_until(lambda: calls == ["GET /1 HTTP/1.1", "SPAM /2 HTTP/1.1"]), calls


def test_handle_expect_100(handler: Any) -> None:
    """Answers 100 Continue to who waits for it; an override may refuse, and returns False."""

    def do_POST(self: Any) -> None:
        answer(self, self.rfile.read(4).decode())

    def refuse(self: Any) -> bool:
        self.send_error(417)
        return False

    question = request("POST", "/", "Expect: 100-continue", "Content-Length: 4")
    peer = handler(protocol_version=KEPT, do_POST=do_POST)
    assert peer.ask(question).line == "HTTP/1.1 100 Continue"
    peer.send(b"body")
    reply = peer.reply()
    assert (reply.line, reply.body) == ("HTTP/1.1 200 OK", b"body")
    peer = handler(protocol_version=KEPT, do_POST=do_POST, handle_expect_100=refuse)
    assert peer.ask(question).line == "HTTP/1.1 417 Expectation Failed"


# -- Methods: responses ----------------------------------------------------------------------------


def shown(code: Any, message: str, explain: str) -> bytes:
    return f"{int(code)}|{message}|{explain}".encode()


@pytest.mark.parametrize(("args", "line", "page"), [
    ((404,), "404 Not Found", shown(404, "Not Found", "Nothing matches the given URI")),
    ((HTTPStatus.NOT_FOUND, "No <b>"), "404 No <b>",
     shown(404, "No &lt;b&gt;", "Nothing matches the given URI")),
    ((503, "Later", "Not & now"), "503 Later", shown(503, "Later", "Not &amp; now")),
    ((599,), "599 ???", shown(599, "???", "???")),
])
def test_send_error(handler: Any, log: Any, library: Library, args: Any, line: str, page: bytes) -> None:
    """A whole answer with a page, and two lines of the log. The connection ends."""
    peer = handler(protocol_version=KEPT, do_GET=refusing(*args), do_HEAD=refusing(*args),
                   error_message_format="%(code)s|%(message)s|%(explain)s" if type(args[0]) is int
                   else "%(code)d|%(message)s|%(explain)s",
                   log_message=library.BaseHTTPRequestHandler.log_message)
    reply = peer.ask(GET)
    assert (reply.line, reply.body) == (f"HTTP/1.1 {line}", page)
    assert [name for name, _ in reply.headers] == [
        "Server", "Date", "Connection", "Content-Type", "Content-Length"]
    assert reply.get("Connection") == "close"
    assert peer.is_closed()
    code, _, message = line.partition(" ")
    assert log.messages() == [f"code {code}, message {message}", f'"GET / HTTP/1.1" {code} -']


@pytest.mark.parametrize(("method", "code"), [
    ("HEAD", 404), ("GET", 100), ("GET", 199), ("GET", 204), ("GET", 205), ("GET", 304)])
def test_send_error_has_no_body(handler: Any, method: str, code: int) -> None:
    """To HEAD, and with 1xx, 204, 205 and 304."""
    peer = handler(**{f"do_{method}": refusing(code)})
    peer.send(request(method))
    head, _, body = peer.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 %d " % code)
    assert (b"Content-Length" in head) == (method == "HEAD")
    assert body == b""


@pytest.mark.parametrize(("args", "line"), [
    ((200,), "200 OK"), ((HTTPStatus.CREATED,), "201 Created"), ((200, "Fine"), "200 Fine"), ((299,), "299 "),
])
def test_send_response(handler: Any, log: Any, library: Library, args: Any, line: str) -> None:
    """A status line, Server and Date, which wait for end_headers(); and a line of the log."""

    def do_GET(self: Any) -> None:
        self.send_response(*args)
        self.send_header("Content-Length", "0")
        self.end_headers()

    peer = handler(do_GET=do_GET, version_string=lambda self: "mine",
                   date_time_string=lambda self: "today",
                   log_message=library.BaseHTTPRequestHandler.log_message)
    reply = peer.ask(GET)
    assert reply.line == f"HTTP/1.0 {line}"
    assert reply.headers == [("Server", "mine"), ("Date", "today"), ("Content-Length", "0")]
    assert log.messages() == [f'"GET / HTTP/1.1" {line[:3]} -']


def test_send_header(handler: Any) -> None:
    """A field of the head, in the order of the calls; nothing is sent before end_headers()."""
    asked: list[bytes] = []

    def do_GET(self: Any) -> None:
        self.send_response_only(200)
        for name, value in [("One", "1"), ("Two", "a  b"), ("one", "\xe9"), ("Content-Length", 0)]:
            self.send_header(name, value)
        asked.extend(self._headers_buffer)
        self.end_headers()

    reply = handler(do_GET=do_GET).ask(GET)
    assert reply.headers == [("One", "1"), ("Two", "a  b"), ("one", "\xe9"), ("Content-Length", "0")]
    assert asked == [b"HTTP/1.0 200 OK\r\n", b"One: 1\r\n", b"Two: a  b\r\n", b"one: \xe9\r\n",
                     b"Content-Length: 0\r\n"]


@pytest.mark.parametrize(("args", "line"), [
    ((200,), "200 OK"), ((HTTPStatus.ACCEPTED, "Mine"), "202 Mine"), ((299,), "299 ")])
def test_send_response_only(handler: Any, log: Any, library: Library, args: Any, line: str) -> None:
    """The status line alone, and not a word in the log."""

    def do_GET(self: Any) -> None:
        self.send_response_only(*args)
        self.end_headers()

    peer = handler(do_GET=do_GET, log_message=library.BaseHTTPRequestHandler.log_message)
    reply = peer.ask(GET)
    assert (reply.line, reply.headers) == (f"HTTP/1.0 {line}", [])
    assert log.text() == ""


def test_end_headers(handler: Any) -> None:
    """An empty line, and flush_headers()."""
    calls: list[str] = []

    def flush_headers(self: Any) -> None:
        calls.append(b"".join(self._headers_buffer).decode())
        super(type(self), self).flush_headers()

    def do_GET(self: Any) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    assert handler(do_GET=do_GET, flush_headers=flush_headers).ask(GET).status == 200
    assert calls == ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"]


def test_flush_headers(handler: Any, gate: Any) -> None:
    """Sends the lines that there are, before the head has ended."""

    def do_GET(self: Any) -> None:
        self.send_response_only(200)
        self.send_header("One", "1")
        self.flush_headers()
        assert self._headers_buffer == []
        gate.wait()
        self.send_header("Two", "2")
        self.end_headers()

    peer = handler(do_GET=do_GET)
    peer.send(GET)
    assert receive_until(peer.sock, b"1\r\n") == b"HTTP/1.0 200 OK\r\nOne: 1\r\n"
    assert gate.reached(PATIENCE)
    gate.open()
    assert peer.rest() == b"Two: 2\r\n\r\n"


# -- Methods: the log ------------------------------------------------------------------------------


def logging(handler: Any, library: Library, log: Any, do_GET: Any, **attributes: Any) -> list[str]:
    """The messages of the log after a request that nothing else is logged of."""

    def do(self: Any) -> None:
        do_GET(self)
        self.send_response_only(204)
        self.end_headers()

    attributes.setdefault("log_message", library.BaseHTTPRequestHandler.log_message)
    assert handler(do_GET=do, **attributes).ask(GET).status == 204
    return log.messages()


@pytest.mark.parametrize(("args", "words"), [
    ((), "- -"), ((200,), "200 -"), ((HTTPStatus.OK, 17), "200 17"), (("a", "b"), "a b")])
def test_log_request(handler: Any, library: Library, log: Any, args: Any, words: str) -> None:
    """The request line, a code and a size, which both are '-' unless they are told."""
    messages = logging(handler, library, log, lambda self: self.log_request(*args))
    assert messages == [f'"GET / HTTP/1.1" {words}']


def test_log_error(handler: Any, library: Library, log: Any) -> None:
    """Takes what log_message() takes, and passes it there."""
    messages = logging(handler, library, log, lambda self: self.log_error("%s of %d", "one", 2))
    assert messages == ["one of 2"]
    calls: list[Any] = []
    logging(handler, library, log, lambda self: self.log_error("%s", "x"),
            log_message=lambda self, *args: calls.append(args))
    assert calls == [("%s", "x")]


def test_log_message(handler: Any, library: Library, log: Any) -> None:
    """A printf-style message on sys.stderr, behind address and time; control characters do not reach it."""
    messages = logging(handler, library, log, lambda self: self.log_message("%s %03d %%", "a\x1b[2J\r\nb", 7))
    assert messages == [r"a\x1b[2J\x0d\x0ab 007 %"]
    assert log.text().startswith("127.0.0.1 - - [")


def test_version_string(handler: Any) -> None:
    """server_version and sys_version; what the Server field says."""
    peer = handler(
        do_GET=lambda self: answer(self, self.version_string()), server_version="A/1", sys_version="B/2")
    reply = peer.ask(GET)
    assert reply.body.decode() == reply.get("Server") == "A/1 B/2"


def test_date_time_string(handler: Any) -> None:
    """A time for a header, now unless it is told; what the Date field says."""

    def do_GET(self: Any) -> None:
        times = [self.date_time_string(784111777), self.date_time_string(timestamp=784111777.9)]
        answer(self, repr(times))

    before = int(time.time())
    reply = handler(do_GET=do_GET).ask(GET)
    assert reply.body.decode() == repr(["Sun, 06 Nov 1994 08:49:37 GMT"] * 2)
    assert before <= parsedate_to_datetime(reply.get("Date")).timestamp() <= time.time()


def test_log_date_time_string(handler: Any, library: Library, log: Any) -> None:
    """The local time; what a line of the log says."""
    before = int(time.time())
    told: list[str] = []
    logging(handler, library, log, lambda self: told.append(self.log_date_time_string()))
    assert before <= time.mktime(time.strptime(told[0], "%d/%b/%Y %H:%M:%S")) <= time.time()
    logging(handler, library, log, lambda self: self.log_message("words"),
            log_date_time_string=lambda self: "03/Mar/2003 03:03:03")
    assert log.text() == "127.0.0.1 - - [03/Mar/2003 03:03:03] words\n"


def test_address_string(handler: Any, library: Library, log: Any) -> None:
    """The client's address, never its name; what a line of the log begins with."""
    told: list[str] = []
    logging(handler, library, log, lambda self: told.append(self.address_string()))
    assert told == ["127.0.0.1"]
    logging(handler, library, log, lambda self: self.log_message("words"), address_string=lambda self: "who")
    match = LOG_LINE.fullmatch(log.text().rstrip("\n"))
    assert match
    assert match.groups() == ("who", "words")
