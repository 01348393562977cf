"""A connection whose loop is ending: how long it waits for what, and which answer says that it is the last.

Driven by hand, as in test_conn.py. What a loop and its clients make of it is in serving/test_drain.py.
"""

from collections.abc import Iterator

import pytest
from helpers import request
from pairs import NOW, Driven, next_head, receive_until, response, tcp_pair
from test_conn import PREPARE, TIMES, post

from fastserve import limits
from fastserve._conn import ANSWER, END, OFFER, WAIT, Connection
from fastserve._deadlines import Ending
from fastserve._response import ResponseHead
from fastserve.limits import TICK

GET = request()
SOON = limits.LAST_REQUEST_TIMEOUT
QUIET = {"WAITING", "IDLE"}
LAST_LINE = b"Connection: close\r\n\r\n"


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven()
    yield driven
    driven.close()


# -- How long it waits -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", PREPARE)
def test_only_who_has_asked_for_nothing_is_hurried(driven: Driven, state: str) -> None:
    PREPARE[state](driven)
    driven.ending.begun = True
    for later in (5, 5.5):  # to be told again does not prolong it
        assert driven.done(driven.conn.hurry(NOW + later)) == WAIT
        assert driven.state == state
        assert driven.conn.deadline == NOW + (5 + SOON if state in QUIET else TIMES[state])
    driven.timers.watch(driven.conn)
    if state in QUIET:
        assert driven.timers.due(NOW + 5 + SOON - 0.001) == []
        assert driven.timers.due(NOW + 5 + SOON + 2 * TICK) == [driven.conn]
        assert driven.conn.expire(NOW + 5 + SOON + TICK) == END


def test_nobody_is_hurried_before(driven: Driven) -> None:
    driven.conn.hurry(NOW + 5)
    assert driven.conn.deadline == NOW + limits.IDLE_TIMEOUT


@pytest.mark.parametrize("handshaking", [False, True])
def test_a_connection_accepted_at_the_end(handshaking: bool) -> None:
    ending = Ending()
    ending.begun = True
    sock, peer = tcp_pair()
    with sock, peer:
        conn = Connection(sock, ("client", 1), NOW, handshaking, ending=ending)
        assert conn.deadline == NOW + SOON
        assert conn.expire(NOW + SOON) == END
        assert conn.failure is None, "a handshake that we broke off is nobody's failure"


def test_a_shorter_time_of_the_handlers_stays() -> None:
    driven = Driven(timeout=SOON / 2)
    driven.begin()
    driven.ending.begun = True
    driven.conn.hurry(NOW)
    assert driven.conn.deadline == NOW + SOON / 2
    assert driven.conn.expire(NOW + SOON) == END, "the handler is told of a timeout that is ours"
    driven.close()


def test_the_time_begins_again_behind_an_answer(driven: Driven) -> None:
    """One whose head said nothing, as it left before the end began."""
    driven.begin(GET)
    head = next_head(driven.rfile)
    assert head is not None
    assert not driven.wfile.send_head(response(2), "GET")
    driven.ending.begun = True
    driven.wfile.write(b"ok")
    assert driven.answered(now=NOW + 30) == WAIT
    assert (driven.state, driven.conn.deadline) == ("IDLE", NOW + 30 + SOON)
    assert driven.received()
    assert driven.more(GET, now=NOW + 31) == ANSWER
    assert driven.answer() == END


@pytest.mark.parametrize(("attached", "action"), [(False, OFFER), (True, ANSWER)])
@pytest.mark.parametrize("octets", [GET, b""], ids=["request", "end"])
def test_what_came_while_others_were_served_counts(
        driven: Driven, attached: bool, action: int, octets: bytes) -> None:
    if attached:
        driven.begin()
    driven.ending.begun = True
    driven.conn.hurry(NOW)
    driven.give(octets, end=not octets)
    assert driven.conn.expire(NOW + SOON + TICK) == action


def test_a_head_that_is_arriving_has_its_own_time(driven: Driven) -> None:
    driven.begin()
    driven.ending.begun = True
    driven.conn.hurry(NOW)
    assert driven.more(GET[:9], now=NOW + SOON) == WAIT
    assert (driven.state, driven.conn.deadline) == ("HEAD", NOW + SOON + limits.HEAD_TIMEOUT)


# -- Which answer is the last ----------------------------------------------------------------------


def answered(driven: Driven, read: int = -1) -> tuple[int, bool]:
    """Answer a request: the action, and whether the answer said that the connection ends."""
    action = driven.answer(read=read)
    octets = receive_until(driven.peer, b"\r\n\r\n")
    assert octets.count(b"Connection") <= 1
    assert driven.peer.recv(2) == b"ok"
    return action, octets.endswith(LAST_LINE)


def test_an_answer_says_that_it_is_the_last(driven: Driven) -> None:
    driven.begin(GET)
    driven.ending.begun = True
    assert answered(driven) == (END, True)


def test_no_answer_says_so_before(driven: Driven) -> None:
    driven.begin(GET)
    assert answered(driven) == (WAIT, False)


@pytest.mark.parametrize(("body", "read"), [(0, 0), (1, 1), (3000, 3000), (3000, 1000)])
def test_the_last_of_a_pipeline_says_so(driven: Driven, body: int, read: int) -> None:
    action = driven.begin((post(body) if body else GET) * 3)
    driven.ending.begun = True
    for last in (False, False, True):
        assert action == ANSWER
        action, said = answered(driven, read)
        assert said is last
    assert action == END or driven.state == "LINGERING"


def test_a_request_that_lies_in_the_socket_is_answered_too(driven: Driven) -> None:
    driven.begin(GET)
    driven.ending.begun = True
    driven.give(GET)
    assert answered(driven) == (WAIT, False)
    assert driven.ready() == ANSWER
    assert answered(driven) == (END, True)


def test_a_request_that_has_begun_to_arrive_is_answered_too(driven: Driven) -> None:
    driven.begin(GET + GET[:9])
    driven.ending.begun = True
    assert answered(driven) == (WAIT, False)
    assert driven.state == "HEAD"
    assert driven.more(GET[9:]) == ANSWER
    assert answered(driven) == (END, True)


@pytest.mark.parametrize("here", [0, 50, 100])
def test_an_unread_body_is_no_request(driven: Driven, here: int) -> None:
    """Expected or passed over: where more of it is to come, what lies in the socket is that."""
    octets = request("POST", "/", "Expect: 100-continue", "Content-Length: 100")
    assert driven.begin(octets + b"x" * here) == ANSWER
    driven.ending.begun = True
    driven.give(b"x" * ((100 - here) // 2))
    assert answered(driven, read=0)[1]


def test_a_chunked_body_that_is_not_read_is_the_last(driven: Driven) -> None:
    driven.begin(request("POST", "/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n")
    driven.ending.begun = True
    assert answered(driven, read=0)[1]


@pytest.mark.parametrize("more", [b"", GET])
def test_a_request_behind_a_chunked_body(driven: Driven, more: bytes) -> None:
    chunks = request("POST", "/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n"
    driven.begin(chunks + more)
    driven.ending.begun = True
    assert next_head(driven.rfile) is not None
    driven.rfile.decode_chunks()
    assert driven.rfile.read() == b"x"
    assert driven.wfile.send_head(response(0), "POST") is not bool(more)
    assert driven.answered() == (ANSWER if more else WAIT)
    assert driven.state == ("ANSWERING" if more else "LINGERING")


@pytest.mark.parametrize("more", [b"", GET])
def test_a_request_that_openssl_has(more: bytes) -> None:
    """The first request fills our buffer to its end, so what follows it in its record stays there."""
    driven = Driven("tls")
    octets, rest = post(16000), 16384
    octets = post(16000 + rest - len(octets))
    assert len(octets) == rest
    assert driven.begin(octets[:10000]) == WAIT
    assert driven.more(octets[10000:] + more) == ANSWER
    driven.ending.begun = True
    action, said = answered(driven)
    assert said is not bool(more)
    if more:
        assert action == ANSWER
        assert answered(driven) == (END, True)
    driven.close()


# -- How it is said --------------------------------------------------------------------------------


def said(driven: Driven, head: ResponseHead, method: str = "GET") -> tuple[bool, list[bytes]]:
    """Send a head that was ended: what the writer tells, and the lines about the connection."""
    closes = driven.wfile.send_head(head, method)
    lines = receive_until(driven.peer, b"\r\n\r\n").split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return closes, [line for line in lines if line.lower().startswith(b"connection")]


def head_of(*fields: tuple[str, str], status: int = 200, protocol: str = "HTTP/1.1",
            version: str = "HTTP/1.1") -> ResponseHead:
    head = ResponseHead()
    head.status_line(protocol, status, "Reason")
    for field in (*fields, ("Content-Length", "0")):
        head.header(*field)
    head.end("GET", version, False)
    return head


@pytest.mark.parametrize(("head", "closes", "lines"), [
    (head_of(), True, [b"Connection: close"]),
    (head_of(status=404), True, [b"Connection: close"]),
    (head_of(("Connection", "keep-alive")), True, [b"Connection: close"]),
    (head_of(("connection", "Keep-Alive"), ("X", "y")), True, [b"connection: close"]),
    (head_of(("Connection", "close")), True, [b"Connection: close"]),
    (head_of(("Connection", "TE, Close")), True, [b"Connection: TE, Close"]),
    (head_of(("Connection", "upgrade"), status=426), False, [b"Connection: upgrade"]),
    (head_of(("Connection", "upgrade"), status=101), False, [b"Connection: upgrade"]),
    (head_of(status=103), False, []),
    (head_of(version="HTTP/1.0"), True, [b"Connection: close"]),  # which would have been told to stay
    (head_of(protocol="HTTP/1.0"), True, []),
    (head_of(("Connection", "keep-alive"), protocol="HTTP/1.0"), True, [b"Connection: close"]),
])
def test_there_is_one_field_and_it_is_true(
        driven: Driven, head: ResponseHead, closes: bool, lines: list[bytes]) -> None:
    driven.begin(GET)
    next_head(driven.rfile)
    driven.ending.begun = True
    assert said(driven, head) == (closes, lines)


def test_a_tunnel_is_no_answer(driven: Driven) -> None:
    driven.begin(request("CONNECT", "a:1"))
    next_head(driven.rfile)
    driven.ending.begun = True
    assert said(driven, head_of(), "CONNECT") == (False, [])


@pytest.mark.parametrize(("first", "closes", "lines"), [
    (("X", "y"), True, [b"Connection: close"]),
    (("Connection", "keep-alive"), False, [b"Connection: keep-alive"]),
])
def test_a_head_of_which_a_part_has_left(
        driven: Driven, first: tuple[str, str], closes: bool, lines: list[bytes]) -> None:
    driven.begin(GET)
    next_head(driven.rfile)
    driven.ending.begun = True
    head = ResponseHead()
    head.status_line("HTTP/1.1", 200, "Reason")
    head.header(*first)
    assert not driven.wfile.send_head(head, "GET"), "a head that has not ended"
    head.header("Content-Length", "0")
    head.end("GET", "HTTP/1.1", False)
    assert said(driven, head) == (closes, lines)
    assert driven.answered() == (END if closes else WAIT)


@pytest.mark.parametrize("rest", [b"body", b""])
def test_a_head_without_its_end_is_left_alone(driven: Driven, rest: bytes) -> None:
    """Whoever edits the lines answers for them."""
    driven.begin(GET)
    next_head(driven.rfile)
    driven.ending.begun = True
    head = head_of()
    head.lines = [b"HTTP/1.1 200 Reason\r\n", b"\r\n" + rest if rest else b"X: y\r\n"]
    sent = b"".join(head.lines)
    assert not driven.wfile.send_head(head, "GET")
    assert driven.peer.recv(1000) == sent
