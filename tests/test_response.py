"""The head of a response and its dates: which octets are written, and what is never written.

Who sends them, and when, is in test_stream_writer.py; what a handler does with them in handlers/.
"""

import datetime
import email.utils
import random
from typing import Any

import pytest

from fastserve._response import CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, ResponseHead, http_date

FIRST, LAST = -62135596800, 253402300799  # the years 1 to 9999


def begun(protocol: str = "HTTP/1.1", status: int = 200) -> ResponseHead:
    head = ResponseHead()
    head.status_line(protocol, status, "Reason")
    return head


# -- Lines -----------------------------------------------------------------------------------------


def test_a_head_in_order() -> None:
    head = begun()
    head.header("Content-Length", 3)
    head.header("X-Name", "caf\xe9")
    head.header("x-name", "")
    assert not head.end("GET", "HTTP/1.1", False)
    assert head.pending
    assert head.take() == b"HTTP/1.1 200 Reason\r\nContent-Length: 3\r\nX-Name: caf\xe9\r\nx-name: \r\n\r\n"
    assert not head.pending
    assert head.take() == b""


@pytest.mark.parametrize("status", [100, 200, 404, 599, 999])
def test_a_status_of_three_digits(status: int) -> None:
    assert begun(status=status).take() == b"HTTP/1.1 %d Reason\r\n" % status


@pytest.mark.parametrize("status", [0, 7, 99, 1000, -1])
def test_a_status_of_any_other_size_is_written_as_it_is(status: int) -> None:
    assert begun(status=status).take() == b"HTTP/1.1 %d Reason\r\n" % status


def test_a_head_of_any_size() -> None:
    head, names = begun(), [f"X-{n}" for n in range(1000)]
    for name in names:
        head.header(name, name * 20)
    assert head.take().split(b"\r\n")[1:-1] == [f"{name}: {name * 20}".encode() for name in names]


@pytest.mark.parametrize("place", ["name", "value", "reason"])
def test_a_text_that_writes_to_the_head_comes_before_it_or_behind(place: str) -> None:
    class Writing:
        def __str__(self) -> str:
            if place == "reason":
                head.take()
            head.header("X-Inner", "i" * 2000)
            return "outer"

    head, text = begun(), Writing()
    lines = [b"HTTP/1.1 200 Reason", b"X-Inner: " + b"i" * 2000]
    if place == "name":
        head.header(text, "value")
        lines.append(b"outer: value")
    elif place == "value":
        head.header("Name", text)
        lines.append(b"Name: outer")
    else:
        head.status_line("HTTP/1.1", 404, text)
        lines = [*lines[1:], b"HTTP/1.1 404 outer"]
    assert head.take().splitlines() == lines


# -- The opening, which is kept ----------------------------------------------------------------------

OPENING = ("HTTP/1.1", 200, "OK", "Server/1", "Python/3", "today")


def opened(head: ResponseHead, *parts: Any) -> bytes:
    head.begin(*parts)
    return head.take()


def written(protocol: str, status: int, reason: Any, server: Any, system: Any, date: Any) -> bytes:
    """The same, line by line."""
    head = ResponseHead()
    head.status_line(protocol, status, reason)
    head.header("Server", f"{server} {system}")
    head.header("Date", date)
    return head.take()


@pytest.mark.parametrize(("place", "value"), [
    (0, "HTTP/1.0"), (1, 216), (1, 404), (1, 7), (2, "other"), (2, 5), (3, "other"), (4, ""),
    (5, "yesterday"),
])
def test_an_opening_is_of_what_it_is_given(place: int, value: Any) -> None:
    head, other = ResponseHead(), list(OPENING)
    other[place] = value
    for _ in range(2):
        for parts in (OPENING, tuple(other), OPENING):
            assert opened(head, *parts) == written(*parts)


def test_an_opening_of_other_objects_is_made_anew() -> None:
    """Equal ones are the same octets, but not known to be."""
    for parts in (OPENING, tuple("".join(list(part)) if isinstance(part, str) else part for part in OPENING)):
        assert opened(ResponseHead(), *parts) == written(*OPENING)


class Fickle:
    """Another text each time."""

    def __init__(self) -> None:
        self.said = 0

    def __str__(self) -> str:
        self.said += 1
        return str(self.said)


class FickleText(str):
    """The same, and a str, as the parts of the Server field are."""

    said = 0

    def __add__(self, other: str) -> str:
        FickleText.said += 1
        return str(FickleText.said) + other

    def __radd__(self, other: str) -> str:
        FickleText.said += 1
        return other + str(FickleText.said)


@pytest.mark.parametrize("place", [2, 3, 4, 5])
def test_what_is_no_str_is_asked_each_time(place: int) -> None:
    parts: list[Any] = list(OPENING)
    parts[place] = FickleText() if place in (3, 4) else Fickle()
    head = ResponseHead()
    assert opened(head, *parts) != opened(head, *parts)


def test_a_kept_opening_says_what_a_status_line_says() -> None:
    for status, ended in ((200, b"Connection: close\r\n\r\n"), (204, b"\r\n")):
        for _ in range(2):
            head = ResponseHead()
            head.begin("HTTP/1.1", status, *OPENING[2:])
            assert head.status == status
            head.header("Content-Length", "nonsense")
            head.end("GET", "HTTP/1.1", False)
            assert head.take().endswith(ended)
    old = ResponseHead()
    old.begin("HTTP/1.0", 200, *OPENING[2:])
    assert old.end("GET", "HTTP/1.0", False) is False, "it is HTTP/1.0 that does not stay"


def test_a_kept_opening_begins_a_new_head() -> None:
    head = ResponseHead()
    opened(head, *OPENING)
    head.header("Content-Length", "5")
    head.lines = []
    head.begin(*OPENING)
    assert head.content_length == -1


def test_a_kept_opening_goes_on_in_a_head() -> None:
    head = ResponseHead()
    opened(head, *OPENING)
    head.header("A", "1")
    head.begin(*OPENING)
    assert head.take() == b"A: 1\r\n" + written(*OPENING)


def test_an_opening_may_be_edited() -> None:
    head = ResponseHead()
    opened(head, *OPENING)
    lines = head.lines
    head.begin(*OPENING)
    assert lines == written(*OPENING).splitlines(True)
    lines[1] = b"Server: another\r\n"
    assert head.take() == b"HTTP/1.1 200 OK\r\nServer: another\r\nDate: today\r\n"
    assert opened(ResponseHead(), *OPENING) == written(*OPENING)


def test_an_opening_is_refused_from_the_line_that_is_wrong() -> None:
    head = ResponseHead()
    for _ in range(2):
        with pytest.raises(ValueError, match="CR"):
            head.begin("HTTP/1.1", 200, "OK", "a\nb", "c", "d")
        assert head.take() == b"HTTP/1.1 200 OK\r\n"


class Unspeakable:
    def __str__(self) -> str:
        raise LookupError


REFUSED = [
    *((text, ValueError) for text in ("a\nb", "a\rb", "a\0b", "\r\n", "\n", "a\r\n")),
    *((text, UnicodeEncodeError) for text in ("\u2603", "a\u2603", "\ud800", "\U0001f600")),
    (Unspeakable(), LookupError),
]


@pytest.mark.parametrize(("text", "error"), REFUSED, ids=lambda value: ascii(value)[:12])
@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("place", ["name", "value", "protocol", "reason"])
def test_a_refused_line_leaves_nothing_behind(text: Any, error: Any, edited: bool, place: str) -> None:
    if isinstance(text, Unspeakable) and place == "protocol":
        error = TypeError  # it must be a str there
    head = begun()
    if edited:
        assert head.lines == [b"HTTP/1.1 200 Reason\r\n"]
    writes: dict[str, Any] = {
        "name": lambda: head.header(text, "value"),
        "value": lambda: head.header("Name", text),
        "protocol": lambda: head.status_line(text, 500, "Reason"),
        "reason": lambda: head.status_line("HTTP/1.1", 500, text),
    }
    with pytest.raises(error):
        writes[place]()
    head.header("Content-Length", "2")
    assert head.take() == b"HTTP/1.1 200 Reason\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize("text", ["\t", "a\x01b", "\x7f", "\x80\x9f\xff", " "])
def test_other_controls_are_the_handlers_own(text: str) -> None:
    head = ResponseHead()
    head.header("A", text)
    assert head.take() == b"A: " + text.encode("latin-1") + b"\r\n"


def test_the_lines_may_be_edited() -> None:
    head = begun()
    head.header("A", "1")
    lines = head.lines
    assert lines == [b"HTTP/1.1 200 Reason\r\n", b"A: 1\r\n"]
    lines[1] = b"B: 2\r\n"
    head.header("C", "3")
    assert head.lines is lines
    head.end("GET", "HTTP/1.1", True)
    assert head.take() == b"HTTP/1.1 200 Reason\r\nB: 2\r\nC: 3\r\nConnection: close\r\n\r\n"
    head.lines = [b"raw"]
    assert head.take() == b"raw"


def edited(*lines: bytes) -> ResponseHead:
    """A head with a length, whose lines somebody has replaced by these."""
    head = begun()
    head.header("Content-Length", "5")
    head.lines = [b"HTTP/1.1 200 Reason\r\n", *lines]
    return head


@pytest.mark.parametrize(("lines", "length", "added"), [
    ([], -1, b"Connection: close\r\n"),
    ([b"Content-Length: 7\r\n"], 7, b""),
    ([b"content-length:7\r\n"], 7, b""),
    ([b"A: b\r\nContent-Length: \t 7 \r\n"], 7, b""),
    ([b"Content-Length: seven\r\n"], -1, b"Connection: close\r\n"),
    ([b"Transfer-Encoding: chunked\r\n"], -1, b""),
    ([b"Connection: upgrade\r\n"], -1, b""),
    ([b"Content-Length", b": 7\r\n"], 7, b""),
    ([b"", b"no colon\r\n", b":\r\n", b"no end"], -1, b"Connection: close\r\n"),
])
def test_what_edited_lines_say_counts(lines: list[bytes], length: int, added: bytes) -> None:
    head = edited(*lines)
    assert head.end("GET", "HTTP/1.1", False) == bool(added)
    assert head.content_length == length
    assert head.take() == b"HTTP/1.1 200 Reason\r\n" + b"".join(lines) + added + b"\r\n"


def test_lines_that_are_no_octets() -> None:
    head = begun()
    head.lines.append("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        head.end("GET", "HTTP/1.1", False)
    head.lines.pop()
    head.header("Content-Length", "0")
    assert not head.end("GET", "HTTP/1.1", False)


# -- What a head says of its connection ------------------------------------------------------------


@pytest.mark.parametrize(("value", "said"), [
    ("close", CONNECTION_CLOSE), ("Close", CONNECTION_CLOSE), ("keep-alive", CONNECTION_KEEP_ALIVE),
    ("KEEP-ALIVE", CONNECTION_KEEP_ALIVE), ("close, te", 0), ("upgrade", 0), ("", 0), ("closed", 0),
])
def test_a_connection_field(value: str, said: int) -> None:
    assert begun().header("connection", value) == said
    assert begun().header("connections", value) == 0


@pytest.mark.parametrize(("protocol", "version", "close", "fields", "method", "added"), [
    ("HTTP/1.1", "HTTP/1.1", False, [("Content-Length", "1")], "GET", ""),
    ("HTTP/1.1", "HTTP/1.1", False, [("Transfer-Encoding", "chunked")], "GET", ""),
    ("HTTP/1.1", "HTTP/1.1", True, [("Content-Length", "1")], "GET", "close"),
    ("HTTP/1.1", "HTTP/1.1", False, [], "GET", "close"),
    ("HTTP/1.1", "HTTP/1.1", False, [("Content-Length", "one")], "GET", "close"),
    ("HTTP/1.1", "HTTP/1.1", False, [("Content-Length", str(2**63))], "GET", "close"),
    ("HTTP/1.1", "HTTP/1.1", False, [], "HEAD", ""),
    ("HTTP/1.1", "HTTP/1.1", False, [], "CONNECT", ""),
    ("HTTP/1.1", "HTTP/1.0", False, [("Content-Length", "1")], "GET", "keep-alive"),
    ("HTTP/1.1", "HTTP/1.0", True, [("Content-Length", "1")], "GET", "close"),
    ("HTTP/1.1", "HTTP/1.1", True, [("Connection", "upgrade")], "GET", ""),
    ("HTTP/1.0", "HTTP/1.1", True, [], "GET", ""),
    ("HTTP/1.0", "HTTP/1.0", False, [("Content-Length", "1")], "GET", ""),
])
def test_the_end_of_a_head(protocol: str, version: str, close: bool, fields: list[tuple[str, str]],
                           method: str, added: str) -> None:
    head = begun(protocol)
    for field in fields:
        head.header(*field)
    before = head.lines[:]
    closes = head.end(method, version, close)
    last = [f"Connection: {added}\r\n".encode()] if added else []
    assert head.lines == [*before, *last, b"\r\n"]
    assert closes == (close or added == "close")


@pytest.mark.parametrize(("first", "second", "added"), [
    ([], [], "close"), ([("Content-Length", "1")], [], ""), ([], [("Content-Length", "1")], ""),
    ([("Connection", "x")], [], ""),
])
def test_a_head_in_two_parts(first: Any, second: Any, added: str) -> None:
    head = begun()
    for field in first:
        head.header(*field)
    assert head.take().endswith(b"\r\n")
    for field in second:
        head.header(*field)
    assert head.end("GET", "HTTP/1.1", False) == bool(added)
    assert head.take().endswith(b"Connection: close\r\n\r\n") == bool(added)
    assert head.status == 0


def test_an_edited_part_of_a_head_declares_nothing() -> None:
    head = begun()
    head.header("Content-Length", "1")
    head.lines.pop()
    assert head.take() == b"HTTP/1.1 200 Reason\r\n"
    assert head.end("GET", "HTTP/1.1", False)


def test_a_head_that_never_ended_says_nothing_of_the_next() -> None:
    head = begun()
    head.header("Content-Length", "1")
    head.header("Connection", "x")
    head.take()
    head.status_line("HTTP/1.1", 200, "Reason")
    assert (head.content_length, head.connection) == (-1, False)
    assert head.end("GET", "HTTP/1.1", False)


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_an_interim_head_says_nothing_of_the_connection(status: int) -> None:
    head = begun(status=status)
    assert head.end("GET", "HTTP/1.1", True)
    assert head.take() == b"HTTP/1.1 %d Reason\r\n\r\n" % status


# -- Dates -----------------------------------------------------------------------------------------


def date(second: int) -> str:
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=second)
    return email.utils.format_datetime(moment, usegmt=True)


def test_dates_at_every_edge() -> None:
    days = [0, 68169600, 951782399, 951782400, 4107542399, 4107542400, FIRST, LAST, -1, 1, -86400, -86401]
    for second in days:
        assert http_date(second) == date(second)


def test_dates_at_random() -> None:
    chance = random.Random(9110)
    for _ in range(3000):
        second = chance.randint(FIRST, LAST)
        assert http_date(second) == http_date(second + 0.9) == date(second)


def test_a_time_just_below_its_second() -> None:
    """As st_mtime is, where a double has no room for the nanoseconds."""
    assert http_date(1e9 - 1e-7) == date(10**9)
    assert http_date(1e9 - 1e-5) == date(10**9 - 1)


@pytest.mark.parametrize("second", [FIRST - 1, LAST + 1, 1e20, -1e20, float("inf"), float("nan")])
def test_no_date_beyond_the_calendar(second: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        http_date(second)
