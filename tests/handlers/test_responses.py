"""What BaseHTTPRequestHandler writes: heads, error pages and the log, with http.server's texts and orders."""

import email.utils
import html
import http.server
import io
import re
import time
from http import HTTPStatus
from typing import Any
from unittest import mock

import pytest
from helpers import log_messages, request

from fastserve import BaseHTTPRequestHandler

from .makers import Bare, WriteOnly

# -- The head of a response --------------------------------------------------------------------


def test_the_headers_buffer_is_a_list_of_lines() -> None:
    handler = Bare()
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


def test_the_headers_buffer_may_be_deleted() -> None:
    handler = Bare()
    handler.send_response_only(200)
    del handler._headers_buffer
    handler.send_response_only(404)
    handler.end_headers()
    assert handler.written() == b"HTTP/1.0 404 Not Found\r\n\r\n"


def test_the_headers_buffer_may_be_replaced() -> None:
    handler = Bare()
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
    handler = Bare()
    handler.wfile = WriteOnly()
    handler.log_message = lambda *args: None
    handler.send_response(200)
    handler.send_header("Name", "value")
    assert handler.wfile.writes == []
    handler.end_headers()
    assert len(handler.wfile.writes) == 1


def test_flush_headers_without_a_head_writes_nothing() -> None:
    handler = Bare()
    handler.flush_headers()
    assert handler.written() == b""


def test_status_lines() -> None:
    def line(*args: Any) -> bytes:
        handler = Bare()
        handler.send_response_only(*args)
        return handler._headers_buffer[0]

    assert line(404) == b"HTTP/1.0 404 Not Found\r\n"
    assert line(HTTPStatus.NOT_FOUND) == b"HTTP/1.0 404 Not Found\r\n"
    assert line(404, "Nowhere") == b"HTTP/1.0 404 Nowhere\r\n"
    assert line(404, "") == b"HTTP/1.0 404 \r\n"
    assert line(299) == b"HTTP/1.0 299 \r\n"
    assert line(200, "\xc4rger") == "HTTP/1.0 200 \xc4rger\r\n".encode("latin-1")


class Opening(Bare):
    """The first three lines of an answer."""

    def lines(self) -> list[bytes]:
        self.wfile = io.BytesIO()
        self.send_response(200)
        self.end_headers()
        return self.written().splitlines()[:3]

    def log_message(self, *args: Any) -> None:
        pass


DATA: dict[str, tuple[Any, int, bytes]] = {
    "protocol_version": ("HTTP/1.1", 0, b"HTTP/1.1 200 OK"),
    "responses": ({200: ("Fine", "")}, 0, b"HTTP/1.0 200 Fine"),
    "server_version": ("Mine/1", 1, b"Server: Mine/1 " + Bare.sys_version.encode()),
    "sys_version": ("Mine/2", 1, b"Server: BaseHTTP Mine/2"),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("where", ["object", "class", "base"])
def test_an_answer_begins_with_what_is_set_by_then(name: str, where: str) -> None:
    value, at, line = DATA[name]
    handler = Opening()
    owner = {"object": handler, "class": Opening, "base": BaseHTTPRequestHandler}[where]
    before = handler.lines()
    assert before[at] != line
    with mock.patch.object(owner, name, value):
        assert handler.lines()[at] == line
    assert handler.lines()[:2] == before[:2]


def test_an_answer_begins_with_the_second_it_is_given_in() -> None:
    handler = Opening()
    for second in (1e9, 1e9 + 0.5, 1e9 + 1, 1e9):
        with mock.patch("time.time", return_value=second):
            date = handler.date_time_string(int(second))
            assert handler.lines()[2] == b"Date: %s" % date.encode()


def test_an_answer_to_http_0_9_has_no_head() -> None:
    handler = Opening()
    handler.request_version = "HTTP/0.9"
    assert handler.lines() == []


@pytest.mark.parametrize("value", ["text", 5, 2.5, HTTPStatus.OK, None, True])
def test_header_values_are_what_str_makes_of_them(value: Any) -> None:
    handler = Bare()
    handler.send_header("Name", value)
    assert handler._headers_buffer == [b"Name: %s\r\n" % str(value).encode()]


def test_latin_1_headers_and_no_others() -> None:
    handler = Bare()
    handler.send_header("Name", "\xc4\xff")
    assert handler._headers_buffer == [b"Name: \xc4\xff\r\n"]
    with pytest.raises(UnicodeEncodeError):
        handler.send_header("Name", "\u20ac")
    assert handler._headers_buffer == [b"Name: \xc4\xff\r\n"]


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "x\r\nSet-Cookie: a", "x\r", "\nx"])
def test_line_ends_and_nul_are_refused(bad: str) -> None:
    handler = Bare()
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
    handler = Bare()
    handler.close_connection = not close
    handler.send_header(name, value)
    assert handler.close_connection is close


def test_other_headers_leave_close_connection_alone() -> None:
    handler = Bare()
    for before in (True, False):
        handler.close_connection = before
        handler.send_header("Connection", "upgrade")
        handler.send_header("X-Connection", "close" if not before else "keep-alive")
        assert handler.close_connection is before


def test_version_string_is_of_two_attributes() -> None:
    class Property(Bare):
        sys_version = "System/2"

        @property
        def server_version(self) -> str:
            return "Server/1"

    assert Property().version_string() == "Server/1 System/2"


@pytest.mark.parametrize("timestamp", [0, 1, 951782400, 1_000_000_000.9, 4102444799, -1, time.time()],
                         ids=["0", "1", "leap day", "fraction", "2099", "-1", "now"])
def test_dates_are_imf_fixdates(timestamp: float) -> None:
    assert Bare().date_time_string(timestamp) == email.utils.formatdate(timestamp, usegmt=True)
    stdlib = http.server.BaseHTTPRequestHandler.date_time_string
    assert Bare().date_time_string(timestamp=timestamp) == stdlib(Bare(), timestamp)


def test_the_date_is_now() -> None:
    before = int(time.time())
    given = email.utils.parsedate_to_datetime(Bare().date_time_string()).timestamp()
    assert before <= given <= time.time()


# -- Errors ------------------------------------------------------------------------------------


def error(*args: Any, **attributes: Any) -> tuple[str, dict[str, str], str]:
    """Status line, headers and page of send_error(*args)."""
    handler = Bare()
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


def test_a_page_has_the_number_of_a_status() -> None:
    """On every Python: to 3.10, str(HTTPStatus.NOT_FOUND) is its name."""
    assert error(HTTPStatus.NOT_FOUND)[2] == error(404)[2]


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
    handler = Bare()
    handler.wfile = WriteOnly()
    handler.log_message = lambda *args: None
    handler.send_error(418)
    assert len(handler.wfile.writes) == 2


def test_the_page_may_be_the_class_s_own() -> None:
    own = {"error_message_format": "%(code)d %(message)s %(explain)s", "error_content_type": "text/x"}
    _, headers, page = error(404, **own)
    assert page == f"404 Not Found {HTTPStatus.NOT_FOUND.description}"
    assert headers["Content-Type"] == "text/x"


def test_responses_may_know_any_code() -> None:
    class Known(dict[int, tuple[str, str]]):
        def __missing__(self, code: int) -> tuple[str, str]:
            return f"Code {code}", "made up"

    line, _, page = error(499, responses=Known(), error_message_format="%(explain)s")
    assert (line, page) == ("HTTP/1.0 499 Code 499", "made up")


# -- The log -----------------------------------------------------------------------------------


def test_a_line_of_the_log(log: Any) -> None:
    before = time.time()
    Bare().log_message("%s and %d", "text", 5)
    match = re.fullmatch(r"192\.0\.2\.1 - - \[(.*)\] text and 5\n", log.text())
    assert match
    assert before - 1.5 < time.mktime(time.strptime(match[1], "%d/%b/%Y %H:%M:%S")) <= time.time()


def test_the_month_is_of_monthname(log: Any) -> None:
    class Named(Bare):
        monthname = [None, *"abcdefghijkl"]

    Named().log_message("text")
    assert re.search(r" - - \[\d\d/  [a-l]/\d{4} \d\d:\d\d:\d\d\] text\n", log.text())


def test_what_is_logged_of_a_request(log: Any) -> None:
    handler = Bare()
    handler.log_request(HTTPStatus.NOT_FOUND)
    handler.log_request(200, 1234)
    handler.log_request()
    line = '"GET /path HTTP/1.1"'
    assert log.messages() == [f"{line} 404 -", f"{line} 200 1234", f"{line} - -"]


def test_send_error_logs_before_the_request(log: Any) -> None:
    Bare().send_error(404, "Not here")
    assert log.messages() == ["code 404, message Not here", '"GET /path HTTP/1.1" 404 -']


def test_control_characters_are_written_out(log: Any) -> None:
    every = "".join(map(chr, range(0x20))) + "".join(map(chr, range(0x7F, 0xA0)))
    Bare().log_message("%s", every + "\\ \xa0\u20ac")
    expected = "".join(f"\\x{ord(char):02x}" for char in every)
    assert log.messages() == [expected + "\\\\ \xa0\u20ac"]


def test_the_log_follows_the_current_stderr() -> None:
    first, second = io.StringIO(), io.StringIO()
    for stream in (first, second):
        with mock.patch("sys.stderr", stream):
            Bare().log_message("once")
    assert log_messages(first.getvalue()) == log_messages(second.getvalue()) == ["once"]


def test_log_error_goes_where_log_message_goes() -> None:
    handler = Bare()
    handler.log_message = mock.Mock()
    handler.log_error("a %s", "b")
    handler.log_message.assert_called_once_with("a %s", "b")


def test_addresses_are_not_looked_up() -> None:
    forbidden = mock.Mock(side_effect=AssertionError)
    with mock.patch.multiple("socket", getfqdn=forbidden, gethostbyaddr=forbidden):
        assert Bare().address_string() == "192.0.2.1"
