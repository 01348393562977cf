"""Every limit of the parser at n-1, n and n+1, whole and octet by octet, and beside http.server's own.

A head is as long as its limit allows however it arrives, and one octet more is refused by name.
"""

import http.client
import http.server
import io
from collections.abc import Callable

import pytest

from fastserve import limits
from fastserve._chunks import ChunkDecoder
from fastserve._parser import RequestParser
from fastserve.errors import REJECTIONS

START = b"GET / HTTP/1.1\r\nHost: a\r\n"
PASSES = "NONE"
NEEDS_MORE = "needs more"

STEPS = pytest.mark.parametrize("step", [1, 4093, 1 << 30], ids=["byte_by_byte", "in_pieces", "whole"])
AROUND = pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])


def verdict(octets: bytes, step: int = 1 << 30, parser: RequestParser | None = None) -> str:
    """Return how the octets are answered when they arrive `step` at a time."""
    parser, view = parser or RequestParser(), memoryview(octets)
    for end in [*range(step, len(octets), step), len(octets)]:
        answer = parser.feed(view[:end])
        assert parser.scanned <= end
        if answer:
            return REJECTIONS[-answer].name if answer < 0 else PASSES
    return NEEDS_MORE


def refused_if(over: bool, name: str) -> str:
    return name if over else PASSES


def request_line(size: int) -> bytes:
    """Return a request line of `size` octets, CRLF counted."""
    return b"GET /%b HTTP/1.1\r\n" % (b"a" * (size - 16))


def field_line(size: int) -> bytes:
    """Return a field line of `size` octets, CRLF counted."""
    return b"A: %b\r\n" % (b"b" * (size - 5))


def head_of(size: int) -> bytes:
    """Return a whole head of `size` octets, in lines that are not too long."""
    lines, rest = START, size - len(START) - 2
    while rest > 60000:
        lines, rest = lines + field_line(50000), rest - 50000
    return lines + field_line(rest) + b"\r\n"


# -- One line --------------------------------------------------------------------------------------

@STEPS
@AROUND
def test_request_line(over: int, step: int) -> None:
    octets = request_line(limits.MAX_LINE + over) + b"Host: a\r\n\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "REQUEST_LINE_TOO_LONG")


@STEPS
@AROUND
def test_field_line(over: int, step: int) -> None:
    octets = START + field_line(limits.MAX_LINE + over) + b"A: b\r\n\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "HEADER_LINE_TOO_LONG")


@STEPS
@AROUND
def test_field_line_that_is_all_name(over: int, step: int) -> None:
    octets = START + b"N" * (limits.MAX_LINE + over - 3) + b":\r\n\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "HEADER_LINE_TOO_LONG")


@STEPS
@AROUND
def test_field_line_that_is_all_white_space(over: int, step: int) -> None:
    octets = START + b"A:" + b" " * (limits.MAX_LINE + over - 4) + b"\r\n\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "HEADER_LINE_TOO_LONG")


@pytest.mark.parametrize("endless", [b"A", b"GET /", b"GET / HTTP", b"\r\nA"])
def test_a_request_line_without_end_is_cut(endless: bytes) -> None:
    line = endless + b"a" * (limits.MAX_LINE - len(endless.lstrip()))
    assert verdict(line[:-1]) == NEEDS_MORE
    assert verdict(line) == verdict(line + b"a" * 9) == "REQUEST_LINE_TOO_LONG"


@pytest.mark.parametrize("endless", [b"A", b"A:", b"A: b", b"Host: "])
def test_a_field_line_without_end_is_cut(endless: bytes) -> None:
    line = START + endless + b"a" * (limits.MAX_LINE - len(endless))
    assert verdict(line[:-1]) == NEEDS_MORE
    assert verdict(line) == verdict(line + b"a" * 9) == "HEADER_LINE_TOO_LONG"


@STEPS
@pytest.mark.parametrize("fault", [b"\0\r\n", b"\n", b" HTTP/9.9\r\n", b" HTTP/1.1 \r\n", b"\x7f"])
def test_a_request_line_that_is_too_long_may_end_in_any_fault(fault: bytes, step: int) -> None:
    """The limit is passed first, so the fault behind it does not count, at any segmentation."""
    assert verdict(b"GET /" + b"a" * limits.MAX_LINE + fault, step) == "REQUEST_LINE_TOO_LONG"


@STEPS
@pytest.mark.parametrize("fault", [b"\0\r\n", b"\n", b"\x0b\r\n", b"\rx", b"\x7f"])
def test_a_field_line_that_is_too_long_may_end_in_any_fault(fault: bytes, step: int) -> None:
    assert verdict(START + b"A:" + b"a" * limits.MAX_LINE + fault, step) == "HEADER_LINE_TOO_LONG"
    assert verdict(START + b"N" * limits.MAX_LINE + fault, step) == "HEADER_LINE_TOO_LONG"


# -- All lines -------------------------------------------------------------------------------------

@STEPS
@AROUND
def test_number_of_fields(over: int, step: int) -> None:
    """The ending blank line is one of them, so 99 fields pass."""
    octets = START + b"A: b\r\n" * (98 + over) + b"\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "TOO_MANY_HEADERS")


def test_a_field_too_many_is_refused_at_its_first_octet() -> None:
    octets = START + b"A: b\r\n" * 98
    assert verdict(octets) == NEEDS_MORE
    assert verdict(octets + b"A") == "TOO_MANY_HEADERS"


@AROUND
def test_number_of_fields_is_http_clients_own_figure(over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs set it at run time; a parser made after that follows."""
    monkeypatch.setattr(http.client, "_MAXHEADERS", 12)
    assert limits.max_headers() == 12
    assert verdict(START + b"A: b\r\n" * (10 + over) + b"\r\n") == refused_if(over > 0, "TOO_MANY_HEADERS")


@pytest.mark.parametrize("figure", [1 << 40, float("inf")])
def test_number_of_fields_has_an_end(figure: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPie sets infinity."""
    monkeypatch.setattr(http.client, "_MAXHEADERS", figure)
    assert RequestParser().max_headers == limits.max_headers() == limits.MAX_RAISED_HEADERS


def test_number_of_fields_without_http_clients_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(http.client, "_MAXHEADERS")
    assert limits.max_headers() == 100


@STEPS
@AROUND
def test_head(over: int, step: int) -> None:
    octets = head_of(limits.MAX_HEAD + over)
    assert len(octets) == limits.MAX_HEAD + over
    assert verdict(octets, step) == refused_if(over > 0, "HEAD_TOO_LONG")


@STEPS
def test_what_surrounds_a_head_does_not_count(step: int) -> None:
    assert verdict(b"\r\n" * limits.MAX_EMPTY_LINES + head_of(limits.MAX_HEAD), step) == PASSES
    assert verdict(head_of(limits.MAX_HEAD) + b"body" * 1000, step) == PASSES


def test_a_head_without_end_is_cut() -> None:
    octets = head_of(limits.MAX_HEAD + 100)
    assert verdict(octets[: limits.MAX_HEAD - 1]) == NEEDS_MORE
    assert verdict(octets[: limits.MAX_HEAD]) == "HEAD_TOO_LONG"


@STEPS
@pytest.mark.parametrize("fault", [b"\0", b": b\r\n", b" b\r\n", b"Content-Length: x\r\n", b"A: \n", b"\r\n"])
def test_a_head_that_is_too_long_may_end_in_any_fault(fault: bytes, step: int) -> None:
    octets = head_of(limits.MAX_HEAD + 2)[:-2] + fault
    assert verdict(octets, step) == "HEAD_TOO_LONG"


@STEPS
@AROUND
def test_empty_lines(over: int, step: int) -> None:
    octets = b"\r\n" * (limits.MAX_EMPTY_LINES + over) + START + b"\r\n"
    assert verdict(octets, step) == refused_if(over > 0, "BAD_REQUEST_LINE")


@STEPS
def test_empty_lines_count_for_no_other_limit(step: int) -> None:
    parser = RequestParser()
    parser.max_line = parser.max_head = 1
    assert verdict(b"\r\n" * limits.MAX_EMPTY_LINES, step, parser) == NEEDS_MORE


def test_empty_lines_without_end_are_cut() -> None:
    assert verdict(b"\r\n" * limits.MAX_EMPTY_LINES) == NEEDS_MORE
    assert verdict(b"\r\n" * 1000) == "BAD_REQUEST_LINE"


# -- Limits that are set ---------------------------------------------------------------------------

@STEPS
@AROUND
def test_limits_can_be_set(over: int, step: int) -> None:
    for name, octets, refusal in [
        ("max_line", request_line(40) + b"Host: a\r\n\r\n", "REQUEST_LINE_TOO_LONG"),
        ("max_line", START + field_line(40) + b"\r\n", "HEADER_LINE_TOO_LONG"),
        ("max_headers", START + b"A: b\r\n" * 38 + b"\r\n", "TOO_MANY_HEADERS"),
        ("max_head", START + field_line(40 - len(START) - 2) + b"\r\n", "HEAD_TOO_LONG"),
    ]:
        parser = RequestParser()
        setattr(parser, name, 40 - over)
        assert verdict(octets, step, parser) == refused_if(over > 0, refusal), name


@STEPS
@AROUND
def test_http_client_may_be_told_of_longer_lines(
    over: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs raise it at run time; a parser made after that follows, with room for four such lines."""
    monkeypatch.setattr(http.client, "_MAXLINE", 70000)
    assert verdict(START + field_line(70000 + over) + b"\r\n", step) == refused_if(
        over > 0, "HEADER_LINE_TOO_LONG")
    assert verdict(head_of(280000 + over), step) == refused_if(over > 0, "HEAD_TOO_LONG")


@pytest.mark.parametrize(("figure", "followed"), [(1, limits.MAX_LINE), (1 << 40, limits.MAX_RAISED_LINE),
    (float("inf"), limits.MAX_RAISED_LINE)])
def test_http_client_is_followed_within_bounds(
    figure: float, followed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client, "_MAXLINE", figure)
    assert RequestParser().max_line == limits.max_line() == followed


def test_lines_without_http_clients_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(http.client, "_MAXLINE")
    assert limits.max_line() == limits.MAX_LINE


# -- Beside http.server ----------------------------------------------------------------------------

class Oracle(http.server.BaseHTTPRequestHandler):
    """http.server's own reading of octets: its answer's status, 204 where it goes on to do_GET."""

    def __init__(self, octets: bytes) -> None:
        self.rfile, self.wfile = io.BytesIO(octets), io.BytesIO()
        self.client_address = ("127.0.0.1", 1)
        self.handle_one_request()

    def do_GET(self) -> None:
        self.send_response_only(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass

    @property
    def status(self) -> int:
        return int(self.wfile.getvalue().split(b" ")[1])


@AROUND
@pytest.mark.parametrize("build", [
    lambda over: request_line(65536 + over) + b"Host: a\r\n\r\n",
    lambda over: START + field_line(65536 + over) + b"\r\n",
    lambda over: START + b"A: b\r\n" * (98 + over) + b"\r\n",
], ids=["request_line", "field_line", "number_of_fields"])
def test_the_same_status_as_http_server(build: Callable[[int], bytes], over: int) -> None:
    ours = verdict(build(over))
    statuses = {row.name: row.status for row in REJECTIONS} | {PASSES: 204}
    assert statuses[ours] == Oracle(build(over)).status


# -- Content-Length --------------------------------------------------------------------------------

@pytest.mark.parametrize(("digits", "passes"), [
    (str(2**62), True), (str(2**63 - 2), True), (str(2**63 - 1), True),
    (str(2**63), False), (str(2**63 + 1), False), (str(2**64 - 1), False), (str(2**64 + 5), False),
    ("0" * 6000 + "7", True), ("9" * 6000, False), ("1" + "0" * 6000, False), ("0" * 60000, True),
], ids=lambda value: value[:24] if isinstance(value, str) else "passes" if value else "refused")
def test_content_length(digits: str, passes: bool) -> None:
    parser, octets = RequestParser(), START + f"Content-Length: {digits}\r\n\r\n".encode()
    assert verdict(octets, parser=parser) == refused_if(not passes, "BAD_CONTENT_LENGTH")
    assert not passes or parser.take(octets).content_length == int(digits.lstrip("0") or "0")


# -- Chunks ----------------------------------------------------------------------------------------

def decodes(octets: bytes, step: int) -> bool:
    """Whether a whole chunked body is accepted when it arrives `step` octets at a time."""
    decoder = ChunkDecoder()
    try:
        for start in range(0, len(octets), step):
            decoder.feed(octets[start : start + step])
    except ValueError:
        return False
    assert decoder.done
    return True


@STEPS
@AROUND
def test_chunk_digits(over: int, step: int) -> None:
    zeros = b"0" * (limits.MAX_CHUNK_DIGITS + over - 1)
    assert decodes(zeros + b"1\r\nx\r\n0\r\n\r\n", step) == (over <= 0)
    assert decodes(zeros + b"0\r\n\r\n", step) == (over <= 0)


@STEPS
@AROUND
def test_chunk_line(over: int, step: int) -> None:
    """The size and its extensions, without CRLF."""
    extension = b";" + b"a" * (limits.MAX_CHUNK_LINE + over - 2)
    assert decodes(b"1%b\r\nx\r\n0\r\n\r\n" % extension, step) == (over <= 0)
    assert decodes(b"0%b\r\n\r\n" % extension, step) == (over <= 0)


@STEPS
def test_each_chunk_line_is_measured_alone(step: int) -> None:
    extension = b";" + b"a" * (limits.MAX_CHUNK_LINE // 2)
    assert decodes(b"1%b\r\nx\r\n" % extension * 5 + b"0%b\r\n\r\n" % extension, step)


@STEPS
@AROUND
def test_trailers(over: int, step: int) -> None:
    """The whole section, line ends counted, but not the CRLF behind it."""
    assert decodes(b"0\r\n" + field_line(limits.MAX_TRAILERS + over) + b"\r\n", step) == (over <= 0)
    lines = field_line(16) * (limits.MAX_TRAILERS // 16 - 1) + field_line(16 + over)
    assert decodes(b"0\r\n" + lines + b"\r\n", step) == (over <= 0)


@STEPS
def test_trailers_are_measured_without_the_last_chunk_line(step: int) -> None:
    assert decodes(b"0;" + b"a" * 4000 + b"\r\n" + field_line(limits.MAX_TRAILERS) + b"\r\n", step)


def test_endless_chunk_parts_are_cut() -> None:
    for octets in (b"0" * 100, b"1;" + b"a" * limits.MAX_CHUNK_LINE, b"0\r\nA:" + b"a" * limits.MAX_TRAILERS):
        with pytest.raises(ValueError):
            ChunkDecoder().feed(octets)
