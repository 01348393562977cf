"""Where the load driver sees the end of an answer: whole, octet by octet, and with octets behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastserve.rig._answer import AnswerReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

# Name: (answer, bodiless, status, octets of the body, whether the connection ends with it).
COMPLETE = {
    "length": (OK + b"Content-Length: 3\r\n\r\nabc", False, 200, 3, False),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", False, 200, 0, False),
    "head": (OK + b"Content-Length: 3\r\n\r\n", True, 200, 0, False),
    "head, chunked": (OK + CHUNKED, True, 200, 0, False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, 0, False),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, 304, 0, False),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", False, 200, 0, False),
    "LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", False, 200, 1, False),
    "case": (OK + b"CONTENT-LENGTH:\t3 \r\n\r\nabc", False, 200, 3, False),
    "twice the same": (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", False, 200, 3, False),
    "chunked": (OK + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", False, 200, 3, False),
    "chunks": (OK + CHUNKED + b"1\r\na\r\nA ; x=y\r\n0123456789\r\n00\r\n\r\n", False, 200, 11, False),
    "trailers": (OK + CHUNKED + b"0\r\nA: b\r\nC: d\r\n\r\n", False, 200, 0, False),
    "both": (OK + b"Content-Length: 9\r\n" + CHUNKED + b"1\r\na\r\n0\r\n\r\n", False, 200, 1, False),
    "close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", False, 200, 1, True),
    "close among others": (OK + b"Connection: x, Close\r\nContent-Length: 0\r\n\r\n", False, 200, 0, True),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", False, 200, 1, True),
    "1.0, stays": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
                   False, 200, 1, False),
    "interim": (b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
                False, 200, 1, False),
    "hints": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 2 + OK + b"Content-Length: 1\r\n\r\na",
              False, 200, 1, False),
    "switched": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False, 101, 0, True),
    "folded": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", False, 200, 0, False),
    "long line": (OK + b"A: " + b"b" * 5000 + b"\r\nContent-Length: 1\r\n\r\na", False, 200, 1, False),
}

# What shows by its last octet that it is none.
UNREADABLE = {
    "0.9": b"hello\r\n",
    "2": b"HTTP/2 200 OK\r\n",
    "status of two": b"HTTP/1.1 20 OK\r\n",
    "status of four": b"HTTP/1.1 2000 OK\r\n",
    "status too low": b"HTTP/1.1 099 OK\r\n",
    "empty line": b"\r\n",
    "no colon": OK + b"what\r\n",
    "length of words": OK + b"Content-Length: three\r\n",
    "length below 0": OK + b"Content-Length: -3\r\n",
    "no length": OK + b"Content-Length:\r\n",
    "length that wraps": OK + b"Content-Length: 18446744073709551617\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n",
    "chunk of words": OK + CHUNKED + b"xyz\r\n",
    "chunk that wraps": OK + CHUNKED + b"10000000000000001\r\n",
    "chunk below 0": OK + CHUNKED + b"-1\r\n",
    "chunk without its end": OK + CHUNKED + b"1\r\nabc\r\n",
    "no size": OK + CHUNKED + b"\r\n",
}


def pieces(answer: bytes, size: int) -> list[bytes]:
    return [answer[i : i + size] for i in range(0, len(answer), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("name", COMPLETE)
def test_an_answer_ends(name: str, size: int) -> None:
    answer, bodiless, status, octets, close = COMPLETE[name]
    reader = AnswerReader(bodiless)
    for piece in pieces(answer, size):
        assert not reader.complete
        assert reader.feed(piece) == len(piece)
    assert (reader.complete, reader.unreadable, reader.status, reader.octets, reader.close) == (
        True, False, status, octets, close)


@pytest.mark.parametrize("name", COMPLETE)
def test_what_stands_behind_it_is_not_taken(name: str) -> None:
    answer, bodiless, *_ = COMPLETE[name]
    reader = AnswerReader(bodiless)
    assert reader.feed(answer + OK) == len(answer)
    assert reader.feed(OK) == 0


@pytest.mark.parametrize("name", COMPLETE)
def test_one_that_is_cut_off_has_not_ended(name: str) -> None:
    answer, bodiless, *_ = COMPLETE[name]
    reader = AnswerReader(bodiless)
    reader.feed(answer[:-1])
    assert not reader.complete
    assert not reader.end()


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_answer(name: str, size: int) -> None:
    reader = AnswerReader()
    for piece in pieces(UNREADABLE[name], size):
        reader.feed(piece)
    assert reader.unreadable
    assert not reader.complete
    assert not reader.end()


@pytest.mark.parametrize("fields", [
    b"", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: chunked, gzip\r\n",
])
def test_the_connection_s_end_is_the_answer_s(fields: bytes) -> None:
    reader = AnswerReader()
    reader.feed(OK + fields + b"\r\nsome")
    assert not reader.complete
    assert (reader.end(), reader.complete, reader.octets, reader.close) == (True, True, 4, True)


def test_a_head_without_end_is_given_up() -> None:
    reader = AnswerReader()
    reader.feed(OK)
    for _ in range(1200):
        reader.feed(b"a: " + b"b" * 1000 + b"\r\n")
    assert reader.unreadable


def test_many_chunks_are_no_long_head() -> None:
    reader = AnswerReader()
    reader.feed(OK + CHUNKED)
    reader.feed(b"1\r\na\r\n" * 400_000)
    assert (reader.unreadable, reader.octets) == (False, 400_000)


@given(st.binary(max_size=200), st.integers(1, 50), st.booleans())
def test_any_octets_in_any_pieces_come_to_the_same(octets: bytes, size: int, bodiless: bool) -> None:
    for start in (b"", OK, OK + CHUNKED):
        text, whole, cut = start + octets, AnswerReader(bodiless), AnswerReader(bodiless)
        used = whole.feed(text)
        assert sum(cut.feed(piece) for piece in pieces(text, size)) == used
        assert (whole.complete, whole.unreadable, whole.octets, whole.status) == (
            cut.complete, cut.unreadable, cut.octets, cut.status)
