"""The body rule: what a handler gets of a request's body, and what becomes of what it leaves.

A body of up to 64 KiB is collected before the handler runs, where a loop drives it; a larger one is read by
the handler. rfile ends where the body ends, and the rest of a body is never taken for a request.
"""

import operator
import threading
import time
from typing import Any

import pytest
from helpers import PATIENCE, request, wait_until
from serving.apps import Quiet

import fastserve
from fastserve import limits

COLLECTED = limits.MAX_COLLECTED_BODY
DRAINED = limits.MAX_DRAINED_BODY


class Handler(Quiet):
    def do_POST(self) -> None:
        """Read by the length, as handlers for http.server do."""
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_ALL(self) -> None:
        self.answer(self.rfile.read())

    def do_NONE(self) -> None:
        """Leave the body unread."""
        self.answer()

    def do_SOME(self) -> None:
        """Read a part."""
        self.answer(self.rfile.read(3))


def body_request(method: str, size: int, sent: bytes = b"") -> bytes:
    return request(method, "/", f"Content-Length: {size}") + sent


GET = request("GET", "/next")
EVIL = request("GET", "/evil")


# -- Reading -----------------------------------------------------------------------------------

def fill(rfile: Any) -> bytes:
    buffer = bytearray(300_000)
    return bytes(buffer[: rfile.readinto(buffer)])


READERS = {
    "read": operator.methodcaller("read"),
    "read-minus-one": lambda rfile: rfile.read(-1),
    "read-none": lambda rfile: rfile.read(None),
    "read-too-much": lambda rfile: rfile.read(10_000_000),
    "read-twice": lambda rfile: rfile.read(5) + rfile.read(),
    "read1": lambda rfile: b"".join(iter(lambda: rfile.read1(4096), b"")),
    "lines": b"".join,
    "readlines": lambda rfile: b"".join(rfile.readlines()),
    "readline": lambda rfile: b"".join(iter(lambda: rfile.readline(1000), b"")),
    "readinto": fill,
    "past-the-end": lambda rfile: rfile.read() + rfile.read() + rfile.readline() + rfile.read(1),
}


@pytest.mark.parametrize("size", [0, 1, 12_345, COLLECTED, COLLECTED + 1, 250_000])
@pytest.mark.parametrize("reader", READERS)
def test_rfile_ends_where_the_body_ends(reader: str, size: int, host: Any, serve: Any, client: Any) -> None:
    class Reading(Handler):
        def do_READ(self) -> None:
            self.answer(READERS[reader](self.rfile))

    body = (b"0123456789\n" * (size // 11 + 1))[:size]
    peer = client(serve(Reading, host))
    peer.send(body_request("READ", size, body) + GET)
    assert peer.reply().body == body
    assert peer.reply().body == b"/next"


@pytest.mark.parametrize("method", ["GET", "ALL"])
def test_a_request_without_a_length_has_no_body(method: str, host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.send(request(method, "/") + GET)
    assert peer.reply().body in (b"/", b"")
    assert peer.reply().body == b"/next"


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_body_that_breaks_off(size: int, host: Any, serve: Any, client: Any) -> None:
    """The handler of a large one sees fewer bytes; that of a small one need not run. Nobody waits."""
    peer = client(serve(Handler, host))
    peer.send(body_request("POST", size, b"part"))
    peer.end()
    reply = peer.reply()
    assert reply is None or reply.body == b"part"
    assert peer.is_closed()


# -- Collecting --------------------------------------------------------------------------------


class Started(Handler):
    """Tells when a handler has begun."""

    begun: threading.Event

    def do_POST(self) -> None:
        self.begun.set()
        super().do_POST()


@pytest.fixture
def begun() -> Any:
    Started.begun = threading.Event()
    return Started.begun


def test_a_body_is_collected_before_the_handler_runs(begun: Any, serve: Any, client: Any) -> None:
    server = serve(Started)
    peer = client(server)
    peer.send(body_request("POST", COLLECTED, b"x" * (COLLECTED - 1)))
    assert client(server).ask(GET).body == b"/next"
    assert not begun.wait(0.1)
    peer.send(b"x")
    assert peer.reply().body == b"x" * COLLECTED


def test_a_larger_body_is_not(begun: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Started))
    peer.send(body_request("POST", COLLECTED + 1, b"x"))
    assert begun.wait(PATIENCE)
    peer.send(b"x" * COLLECTED)
    assert peer.reply().body == b"x" * (COLLECTED + 1)


def test_a_body_is_not_awaited_while_the_client_waits_for_100(begun: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Started))
    peer.send(request("POST", "/", "Content-Length: 4", "Expect: 100-continue"))
    assert peer.reply().status == 100
    assert begun.wait(PATIENCE)
    peer.send(b"body" + GET)
    assert peer.reply().body == b"body"
    assert peer.reply().body == b"/next"


@pytest.mark.parametrize("server_class", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_slow_uploads_hold_nobody(server_class: Any, serve: Any, client: Any) -> None:
    server = serve(Handler, server_class)
    slow = [client(server) for _ in range(5)]
    for number, peer in enumerate(slow):
        peer.send(body_request("POST", 1000, b"x" * 10 * number))
    assert client(server).ask(GET).body == b"/next"
    for number, peer in enumerate(slow):
        peer.send(b"x" * (1000 - 10 * number))
        assert len(peer.reply().body) == 1000


# -- What is left ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["NONE", "SOME", "NOPE"])
@pytest.mark.parametrize("size", [1, 10, COLLECTED, COLLECTED + 1, DRAINED])
def test_the_rest_of_a_body_is_passed_over(
    method: str, size: int, host: Any, serve: Any, client: Any
) -> None:
    peer = client(serve(Handler, host))
    peer.send(body_request(method, size, (EVIL * 40_000)[:size]) + GET)
    first = peer.reply(method)
    if method == "NOPE":
        # An error is the last answer, and the client can read it.
        assert first.status == 501
        assert peer.rest() == b""
    else:
        assert first.status == 200
        assert peer.reply().body == b"/next"


@pytest.mark.parametrize("size", [DRAINED + 4, 10 * DRAINED])
def test_more_than_the_cap_ends_the_connection(size: int, host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.send(body_request("SOME", size, EVIL))
    assert peer.reply().body == b"GET"
    assert peer.rest() == b""


def test_the_cap_counts_what_is_left(host: Any, serve: Any, client: Any) -> None:
    """SOME reads three bytes."""
    peer = client(serve(Handler, host))
    peer.send(body_request("SOME", DRAINED + 3, b"x" * (DRAINED + 3)) + GET)
    assert peer.reply().body == b"xxx"
    assert peer.reply().body == b"/next"


def test_the_rest_may_come_late(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.send(body_request("NONE", COLLECTED + 100, b"x"))
    assert peer.reply().body == b"answer"
    for _ in range(3):
        peer.send(b"x" * 20_000)
        time.sleep(0.01)
    peer.send(b"x" * (COLLECTED + 100 - 60_001) + GET)
    assert peer.reply().body == b"/next"


def test_an_answer_can_be_read_while_the_body_is_still_sent(host: Any, serve: Any, client: Any) -> None:
    """The connection ends in a way that lets the client read the answer first (RFC 9112 9.6)."""
    peer = client(serve(Handler, host))
    peer.send(body_request("NOPE", 8_000_000, b"x" * 500_000))
    assert peer.reply().status == 501
    assert peer.rest() == b""


def test_a_refused_expectation_ends_the_connection(host: Any, serve: Any, client: Any) -> None:
    class Picky(Handler):
        def handle_expect_100(self) -> bool:
            self.send_error(417)
            return False

    peer = client(serve(Picky, host))
    peer.send(request("POST", "/", "Content-Length: 4", "Expect: 100-continue"))
    assert peer.reply().status == 417
    assert peer.is_closed()


def test_a_body_asked_for_and_not_read_ends_the_connection(host: Any, serve: Any, client: Any) -> None:
    """The client may send it or not, so where the next request begins cannot be known."""
    peer = client(serve(Handler, host))
    peer.send(request("NONE", "/", "Content-Length: 4", "Expect: 100-continue"))
    assert peer.reply().status == 100
    assert peer.reply().body == b"answer"
    assert peer.is_closed()


# -- Chunked -----------------------------------------------------------------------------------

CHUNKED = b"4\r\nWiki\r\n6;ext=1\r\npedia \r\nD\r\nin \r\n\r\nchunks\r\n0\r\nTrailer: x\r\n\r\n"
DECODED = b"Wikipedia in \r\n\r\nchunks"


def chunked_request(method: str, body: bytes = b"") -> bytes:
    return request(method, "/", "Transfer-Encoding: chunked") + body


def test_a_chunked_body_is_given_raw(host: Any, serve: Any, client: Any) -> None:
    """As http.server gives it, for code that decodes it; the connection is not used again."""

    class Raw(Handler):
        def do_POST(self) -> None:
            assert self.headers["Transfer-Encoding"] == "chunked"
            self.answer(self.rfile.read(len(CHUNKED)))

    peer = client(serve(Raw, host))
    peer.send(chunked_request("POST", CHUNKED) + GET)
    reply = peer.reply()
    assert reply.body == CHUNKED
    assert reply.get("Connection") == "close"
    assert peer.rest() == b""


def test_an_unread_chunked_body_is_no_request(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Handler, host))
    peer.send(chunked_request("NONE", GET))
    assert peer.reply().get("Connection") == "close"
    assert peer.rest() == b""


class Decoding(Handler):
    decode_chunked = True


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_decode_chunked(size: int, host: Any, serve: Any, client: Any) -> None:
    class Pieces(Decoding):
        def do_ALL(self) -> None:
            self.answer(b"".join(iter(lambda: self.rfile.read(size), b"")))

    peer = client(serve(Pieces, host))
    peer.send(chunked_request("ALL", CHUNKED) + GET)
    reply = peer.reply()
    assert reply.body == DECODED
    assert reply.get("Connection") is None
    assert peer.reply().body == b"/next"


def test_decode_chunked_while_it_arrives(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Decoding, host))
    peer.send(chunked_request("ALL"))
    for octet in CHUNKED:
        peer.send(bytes([octet]))
    assert peer.reply().body == DECODED
    assert peer.ask(GET).body == b"/next"


def test_decode_chunked_of_much(host: Any, serve: Any, client: Any) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    peer = client(serve(Decoding, host))
    peer.send(chunked_request("ALL", chunk * 20 + b"0\r\n\r\n") + GET)
    assert len(peer.reply().body) == 20 * 65536
    assert peer.reply().body == b"/next"


BROKEN = [b"x\r\n", b"4\r\nWikiX", b"-1\r\n", b"fffffffffffffffff\r\n", b"4\nWiki\n0\n\n"]


@pytest.mark.parametrize("body", BROKEN)
def test_broken_chunks_raise_value_error(body: bytes, host: Any, serve: Any, client: Any) -> None:
    raised: list[BaseException] = []

    class Catching(Decoding):
        def do_ALL(self) -> None:
            try:
                self.rfile.read()
            except ValueError as error:
                raised.append(error)
            self.answer()

    peer = client(serve(Catching, host))
    peer.send(chunked_request("ALL", body) + GET)
    assert peer.reply().status == 200
    assert peer.rest() == b""
    assert len(raised) == 1


def test_an_unread_decoded_body_is_no_request(host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(Decoding, host))
    peer.send(chunked_request("NONE", b"%x\r\n%b\r\n0\r\n\r\n" % (len(GET), GET)))
    assert peer.reply().body == b"answer"
    assert peer.rest() == b""


def test_decode_chunked_ends_with_the_connection(host: Any, serve: Any, client: Any) -> None:
    """A body that breaks off must not hang the handler, nor look complete."""
    outcome: list[Any] = []

    class Catching(Decoding):
        def do_ALL(self) -> None:
            try:
                outcome.append(self.rfile.read())
            except (OSError, ValueError, EOFError) as error:
                outcome.append(error)
            self.answer()

    peer = client(serve(Catching, host))
    peer.send(chunked_request("ALL", b"4\r\nWi"))
    peer.end()
    assert wait_until(lambda: outcome)
    peer.rest()
    assert isinstance(outcome[0], Exception), f"read() returned {outcome[0]!r}, as if the body were whole"


def test_a_client_that_leaves_in_a_chunked_body_is_not_told_of(
    host: Any, serve: Any, client: Any, log: Any
) -> None:
    ended: list[BaseException] = []

    class Reading(Decoding):
        def do_ALL(self) -> None:
            try:
                self.rfile.read()
            except BaseException as error:
                ended.append(error)
                raise

    server = serve(Reading, host)
    peer = client(server)
    peer.send(chunked_request("ALL", b"4\r\nWi"))
    peer.close()
    assert wait_until(lambda: ended)
    assert isinstance(ended[0], ConnectionError)
    assert client(server).ask(GET).status == 200
    assert "Traceback" not in log.text()
