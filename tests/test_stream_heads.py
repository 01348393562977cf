"""rfile and the heads of requests: when they are waited for, how they are read, what ends them.

Over pairs of sockets without a server. Everything else about rfile is in test_stream.py.
"""


import pytest
from helpers import PATIENCE, request
from pairs import Ends, Task, next_head

from fastserve import limits
from fastserve._parser import RequestParser
from fastserve.errors import REJECTIONS


def test_heads_and_bodies_in_turn(ends: Ends) -> None:
    ends.give(b"".join(request("POST", f"/{n}", body=b"x" * n) for n in range(50)))
    for n in range(50):
        head = next_head(ends.rfile)
        assert head is not None
        assert (head.method, head.target, head.content_length) == ("POST", f"/{n}", n or -1)
        if n % 3:  # whether it is read, read in part, or left
            assert ends.rfile.read(n if n % 3 == 1 else n // 2) == b"x" * (n if n % 3 == 1 else n // 2)
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


def test_a_head_in_pieces_is_waited_for() -> None:
    octets = request("POST", "/slow", body=b"body")
    with Ends("records") as ends:
        waiting = Task(next_head, ends.rfile)
        for octet in octets[:-5]:
            assert waiting.is_alive()
            ends.peer.send(bytes([octet]))
        ends.peer.send(octets[-5:])
        assert waiting.result().target == "/slow"
        assert ends.rfile.read() == b"body"


def test_take_head_takes_only_the_line_it_gave(ends: Ends) -> None:
    ends.give(request("POST", "/", "X-One: 1", body=b"body"))
    ends.rfile.await_head()
    line = ends.rfile.readline(65537)
    assert line == b"POST / HTTP/1.1\r\n"
    assert ends.rfile.take_head(bytes(bytearray(line))) is None
    head = ends.rfile.take_head(line)
    assert (head.get("x-one"), head.content_length) == ("1", 4)
    assert ends.rfile.take_head(line) is None
    assert ends.rfile.read() == b"body"


def test_a_head_may_be_read_line_by_line(ends: Ends) -> None:
    """As recipes do that parse the header lines with http.client or email."""
    octets = b"\r\n" + request("POST", "/", "X-One: 1", body=b"body")
    ends.give(octets + request(target="/next"), end=False)
    ends.rfile.await_head()
    lines = [ends.rfile.readline(65537)]
    while lines[-1] != b"\r\n":
        lines.append(ends.rfile.readline(65537))
    assert b"".join(lines) == octets[2:-4]
    parser = RequestParser()
    assert parser.feed(octets[2:-4]) == 1
    ends.rfile.expect_body(parser.take(octets[2:-4]))
    assert ends.rfile.read() == b"body"
    head = next_head(ends.rfile)
    assert head is not None
    assert head.target == "/next"


REPEATED = [
    *[request("GET", "/a")] * 3,
    request("GET", "/ab"),
    request("GET", "/a", "X-One: 1"),
    request("GET", "/a", "X-One: 1"),
    request("GET", "/a", "X-One: 2"),
    request("POST", "/a", body=b"one"),
    request("POST", "/a", body=b"two"),
    b"\r\n" + request("POST", "/a", body=b"two"),
    request("POST", "/a", body=request("POST", "/a", body=b"two")),
    request("POST", "/a", body=b"two"),
]


@pytest.mark.parametrize("piece", [1, 7, 30, 10_000])
def test_heads_that_repeat_the_one_before(piece: int) -> None:
    """What was found of a head is kept for the next, if that has the same octets: all of them."""
    octets = b"".join(REPEATED)
    with Ends("records") as ends:
        pieces = [octets[at : at + piece] for at in range(0, len(octets), piece)]
        sending = Task(lambda: [ends.peer.send(octets) for octets in pieces])
        for wanted in REPEATED:
            head = next_head(ends.rfile)
            assert head is not None
            assert head.raw + ends.rfile.read() == wanted.lstrip()
        sending.result()


def test_a_repeated_head_is_not_made_again(ends: Ends) -> None:
    ends.give(request("POST", "/", body=b"x") * 2)
    first = next_head(ends.rfile)
    assert next_head(ends.rfile) is first
    assert ends.rfile.read() == b"x"


def test_a_refused_head_is_refused_again(ends: Ends) -> None:
    ends.give(request("GET") + b"GET  / HTTP/1.1\r\n\r\n")
    assert next_head(ends.rfile).rejection == 0
    assert next_head(ends.rfile).rejection > 0


@pytest.mark.parametrize("size", [0, 1, 5, 17, 18, 19])
def test_a_head_may_be_read_octet_by_octet(ends: Ends, size: int) -> None:
    octets = request("GET", "/ab")
    ends.give(octets)
    ends.rfile.await_head()
    assert ends.rfile.read(size) + ends.rfile.read() == octets


@pytest.mark.parametrize("limit", [0, 1, 14, 15, 16, 17, 18, 100])
def test_a_request_line_has_at_most_limit_octets(ends: Ends, limit: int) -> None:
    octets = request("GET", "/a")
    ends.give(octets)
    ends.rfile.await_head()
    line = ends.rfile.readline(limit)
    assert line == octets[: min(limit, 17)]
    assert (ends.rfile.take_head(line) is not None) == (limit >= 17)


REFUSED = [
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.1\r\n\r\n",
    b"GET / HTTP/1.1\rX\n\r\n",
    b"\0\r\n\r\n",
    b"G\0",
]


@pytest.mark.parametrize("octets", REFUSED, ids=lambda octets: repr(octets[:20]))
def test_a_refused_head_is_the_last(ends: Ends, octets: bytes) -> None:
    head = ends.take(octets + request(target="/smuggled"), end=False)
    assert head.rejection
    assert ends.rfile.read() == b""
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


@pytest.mark.parametrize("octets", REFUSED, ids=lambda octets: repr(octets[:20]))
def test_a_refused_head_read_by_hand_gives_what_was_sent(octets: bytes) -> None:
    """Whoever reads on after such a line gets octets of this connection, never other memory."""
    with Ends() as ends:
        sent = octets + b"rest"
        ends.give(sent)
        ends.rfile.await_head()
        line = ends.rfile.readline(65537)
        rest = ends.rfile.read()
        assert sent.endswith(rest)
        assert len(line) + len(rest) <= len(sent) + 2  # the line is given an end where it had none


def test_a_request_line_without_end() -> None:
    """By its length, as for http.server, or by its head the handler sees that it is too long."""
    with Ends() as ends:
        ends.give(b"A" * 70000)
        ends.rfile.await_head()
        line = ends.rfile.readline(limits.MAX_LINE + 1)
        assert line == b"A" * len(line)
        if len(line) <= limits.MAX_LINE:
            assert REJECTIONS[ends.rfile.take_head(line).rejection].status == 414


@pytest.mark.parametrize("octets", [b"", b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_ends_early_is_none(ends: Ends, octets: bytes) -> None:
    ends.give(octets)
    assert Task(next_head, ends.rfile).result() is None


def test_a_body_that_ends_early_ends_there(ends: Ends) -> None:
    ends.take(request("POST", body=b"x" * 100)[:-40])
    assert ends.rfile.read(100) == b"x" * 60
    assert ends.rfile.read() == b""
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_an_unread_body_is_passed_over_up_to_a_limit(over: int) -> None:
    body = b"GET /body HTTP/1.1\r\nHost: a\r\n\r\n".ljust(limits.MAX_DRAINED_BODY + over, b"x")
    with Ends() as ends:
        ends.peer.settimeout(PATIENCE)
        sending = Task(ends.give, request("POST", body=body) + request(target="/next"))
        assert next_head(ends.rfile) is not None
        head = next_head(ends.rfile)
        if over <= 0:
            assert head is not None
            assert head.target == "/next"
            sending.result()
        else:
            assert head is None
            assert ends.rfile.read() == b""
