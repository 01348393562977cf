"""Requests that a connection of the loop answers without a handler, before there is one and beside one.

Driven by hand, as in test_conn.py. What is answered so, and why, is in serving/test_answers.py.
"""

import socket
from collections.abc import Iterator

import pytest
from helpers import request
from pairs import NOW, Driven, next_head

from fastserve import limits
from fastserve._conn import ANSWER, END, OFFER, WAIT

GET = request()
LAST = request("GET", "/", "Connection: close")
PEEKED = 4096  # octets of a first request that are looked at


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven()
    yield driven
    driven.close()


def head_of(size: int) -> bytes:
    """A whole head of that many octets."""
    return GET[:-2] + b"X: " + b"x" * (size - len(GET) - 5) + b"\r\n\r\n"


def raw(driven: Driven) -> bytes | None:
    head = driven.conn.head
    return None if head is None else head.raw


# -- Before there is a handler -----------------------------------------------------------------


def test_a_head_is_seen_and_not_read(driven: Driven) -> None:
    assert driven.more(GET + b"more") == OFFER
    assert raw(driven) == raw(driven) == GET
    assert driven.state == "WAITING"
    assert driven.sock.recv(1000) == GET + b"more"


def test_a_reply_takes_the_head_and_no_more(driven: Driven) -> None:
    driven.more(GET + b"more")
    assert raw(driven) == GET
    assert driven.done(driven.conn.reply(b"answer", False, NOW + 1)) == WAIT
    assert (driven.state, driven.conn.deadline) == ("WAITING", NOW + 1 + limits.IDLE_TIMEOUT)
    assert driven.peer.recv(1000) == b"answer"
    assert driven.ready() == OFFER
    assert driven.sock.recv(1000) == b"more"


def test_a_client_that_leaves_after_its_reply(driven: Driven) -> None:
    """Nobody need be told, as a handler is of a client that has never said a word."""
    driven.more(GET)
    assert raw(driven) == GET
    assert driven.done(driven.conn.reply(b"answer", False, NOW)) == WAIT
    assert driven.more(b"", end=True) == END


def test_the_last_reply(driven: Driven) -> None:
    driven.more(LAST)
    assert raw(driven) == LAST
    assert driven.conn.reply(b"answer", True, NOW) == END


@pytest.mark.parametrize("octets", [
    b"", b"G", GET[:-1], b"\r\n" + GET, LAST + b"x", b"\0" * 100,
], ids=["nothing", "octet", "part", "empty-line", "last-and-more", "nonsense"])
def test_what_is_not_plainly_a_head(driven: Driven, octets: bytes) -> None:
    driven.give(octets)
    head = driven.conn.head
    assert head is None or head.rejection


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_how_much_is_looked_at(driven: Driven, over: int) -> None:
    octets = head_of(PEEKED + over)
    driven.give(octets)
    assert raw(driven) == (None if over > 0 else octets)


def test_a_socket_with_a_class_of_its_own_is_not_looked_at() -> None:
    driven = Driven("tls")
    try:
        driven.give(GET)
        assert driven.conn.head is None
    finally:
        driven.close()


def test_a_client_that_is_gone_before_its_reply() -> None:
    driven = Driven("tcp")
    driven.more(GET)
    assert raw(driven) == GET
    driven.sock.shutdown(socket.SHUT_WR)  # as good as gone: nothing can be sent
    assert driven.conn.reply(b"answer", False, NOW) == END
    driven.close()


# -- Beside a handler --------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_a_handler_is_passed_over(driven: Driven, before: bytes) -> None:
    assert driven.begin(before + GET) == ANSWER
    assert raw(driven) == GET
    assert driven.done(driven.conn.reply(b"answer", False, NOW)) == WAIT
    assert driven.state == "IDLE"
    assert driven.peer.recv(1000) == b"answer"
    assert driven.more(GET) == ANSWER
    assert driven.answer() == WAIT
    assert driven.received()


def test_the_next_request_of_a_pipeline(driven: Driven) -> None:
    assert driven.begin(GET + GET) == ANSWER
    assert driven.conn.reply(b"answer", False, NOW) == ANSWER
    assert raw(driven) == GET


@pytest.mark.parametrize(("behind", "action", "state"), [(b"", END, "ANSWERING"), (GET, WAIT, "LINGERING")])
def test_the_last_reply_beside_a_handler(driven: Driven, behind: bytes, action: int, state: str) -> None:
    assert driven.begin(GET + behind) == ANSWER
    assert driven.done(driven.conn.reply(b"answer", True, NOW)) == action
    assert driven.state == state
    assert driven.peer.recv(1000) == b"answer"


def test_a_reply_is_not_gathered_with_what_comes(driven: Driven) -> None:
    """As a handler's wbufsize has it."""
    driven.begin(GET)
    driven.wfile.gather(8192)
    assert driven.done(driven.conn.reply(b"answer", False, NOW)) == WAIT
    assert driven.peer.recv(1000) == b"answer"


def test_a_handler_that_reads_has_the_head(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.conn.head is not None
    assert driven.rfile.readline(1000) == b"GET / HTTP/1.1\r\n"
    assert driven.conn.head is None


def test_a_head_that_has_not_come_in_time_is_none(driven: Driven) -> None:
    driven.begin()
    driven.more(GET[:20])
    assert driven.conn.head is None
    assert driven.conn.expire(NOW + limits.HEAD_TIMEOUT) == ANSWER
    head = driven.conn.head
    assert head is not None
    assert head.rejection
    assert next_head(driven.rfile) is head


def test_a_client_that_is_gone_beside_a_handler(driven: Driven) -> None:
    driven.begin(GET)
    driven.peer.close()
    assert driven.conn.reply(b"answer", False, NOW) == END
    assert driven.conn.is_broken()
