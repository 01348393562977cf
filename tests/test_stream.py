"""rfile and wfile as binary streams: beside what io makes of the same octets, at any segmentation.

Over pairs of sockets without a server. The parser has its own tests; files are in test_channel.py.
"""

import array
import io
import select
import shutil
import socket
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, request, wait_until
from pairs import Ends, Task, next_head, reset, response

TEXT = b"first\nsecond line\r\n\r\n\nlast without an end"


def filled(size: int, read: Callable[[Any], int]) -> tuple[int, bytes]:
    target = bytearray(b"." * size)
    return read(target), bytes(target)


def copied(source: Any) -> bytes:
    target = io.BytesIO()
    shutil.copyfileobj(source, target)
    return target.getvalue()


READS = {
    "copyfileobj": copied,
    "read": lambda f: f.read(),
    "read(None)": lambda f: f.read(None),
    "read(-1)": lambda f: f.read(-1),
    "read(0)": lambda f: f.read(0),
    "read by n": lambda f: [f.read(n) for n in (0, 1, 2, 5, 10, 1000, 5)],
    "read1 to the end": lambda f: b"".join(iter(f.read1, b"")),
    "read1(0)": lambda f: f.read1(0),
    "read1(3)": lambda f: f.read1(3),
    "readinto": lambda f: [filled(n, f.readinto) for n in (0, 1, 7, 1000, 5)],
    "readinto1": lambda f: [filled(n, f.readinto1) for n in (0, 1, 7)],
    "readline": lambda f: [f.readline() for _ in range(8)],
    "readline(limit)": lambda f: [f.readline(n) for n in (0, 1, 5, 6, 100, 1, 0, 3, None, -1, 4, 100, 100)],
    "readlines": lambda f: f.readlines(),
    "readlines(None)": lambda f: f.readlines(None),
    "readlines(hint)": lambda f: [f.readlines(n) for n in (1, 0, 7, 100)],
    "list": list,
    "next": lambda f: [next(f), next(f, None)],
    "mixed": lambda f: [f.readline(), f.read(3), f.readline(2), f.readlines(1), next(f), f.read()],
    "text": lambda f: io.TextIOWrapper(f, "latin-1", newline="").readlines(),
    "universal text": lambda f: io.TextIOWrapper(f, "latin-1").read(),
}


# -- Reading, beside io ----------------------------------------------------------------------------


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_what_was_sent(ends: Ends, read: Any) -> None:
    ends.give(TEXT)
    assert read(ends.rfile) == read(io.BufferedReader(io.BytesIO(TEXT)))


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_a_body_and_nothing_behind_it(ends: Ends, read: Any) -> None:
    ends.take(request("POST", body=TEXT) + request(target="/next"), end=False)
    assert read(ends.rfile) == read(io.BufferedReader(io.BytesIO(TEXT)))


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_the_body_of_a_request_without_one(ends: Ends, read: Any) -> None:
    """A handler that reads a body which nobody sends does not hang."""
    ends.take(request(), end=False)
    if read in (READS["next"], READS["mixed"]):
        assert next(ends.rfile, None) is None
    else:
        assert read(ends.rfile) == read(io.BufferedReader(io.BytesIO()))


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_octet_by_octet(records: Ends, read: Any) -> None:
    for octet in TEXT:
        records.peer.send(bytes([octet]))
    records.peer.shutdown(socket.SHUT_WR)
    if read in (READS["read1(3)"], READS["readinto1"]):  # these give what is there, not more
        assert records.rfile.read1(3) == TEXT[:1]
        assert records.rfile.readinto1(bytearray(3)) == 1
    else:
        assert read(records.rfile) == read(io.BufferedReader(io.BytesIO(TEXT)))


@pytest.mark.parametrize("limit", range(9))
def test_a_line_has_at_most_limit_octets(records: Ends, limit: int) -> None:
    for piece in (b"ab", b"cde\nf", b"gh", b"\n"):
        records.peer.send(piece)
    records.peer.shutdown(socket.SHUT_WR)
    expected = io.BytesIO(b"abcde\nfgh\n")
    for _ in range(4):
        assert records.rfile.readline(limit) == expected.readline(limit)


def test_a_long_line_and_a_long_body() -> None:
    line = bytes(range(11, 256)) * 20000
    with Ends() as ends:
        sending = Task(ends.give, line + b"\n" + line)
        assert ends.rfile.readline() == line + b"\n"
        assert ends.rfile.read() == line
        sending.result()


@pytest.mark.parametrize("kind", ["unix", "tcp", "tls"])
def test_read_now_never_waits(kind: str) -> None:
    with Ends(kind) as ends:
        ends.take(request("POST", "/", "Content-Length: 7") + b"he", end=False)
        assert ends.rfile.read_now() == b"he"
        assert ends.rfile.read_now() is None
        ends.peer.sendall(b"llo")
        assert select.select([ends.rfile], [], [], PATIENCE)[0]
        assert (ends.rfile.read_now(2), ends.rfile.read_now(100)) == (b"ll", b"o")
        ends.peer.sendall(b"!!" + request())
        assert wait_until(ends.rfile.read_now)
        assert ends.rfile.read_now() == b""


def test_read_now_at_a_body_that_breaks_off(ends: Ends) -> None:
    ends.take(request("POST", "/", "Content-Length: 7") + b"he")
    assert (ends.rfile.read_now(0), ends.rfile.read_now(), ends.rfile.read_now()) == (b"", b"he", b"")


def test_read_now_from_a_chunked_body(ends: Ends) -> None:
    ends.take(request("POST", "/", "Transfer-Encoding: chunked") + b"2\r\nhe\r\n3", end=False)
    ends.rfile.decode_chunks()
    assert (ends.rfile.read_now(), ends.rfile.read_now()) == (b"he", None)
    ends.peer.sendall(b"\r\nllo\r\n0\r\n\r\n")
    assert (ends.rfile.read1(), ends.rfile.read_now()) == (b"llo", b"")


def test_read_now_of_a_client_that_is_gone() -> None:
    with Ends("tcp") as ends:
        ends.take(request("POST", "/", "Content-Length: 7"), end=False)
        reset(ends.peer)
        with pytest.raises(ConnectionResetError):
            wait_until(lambda: ends.rfile.read_now() is not None)


def test_peek_takes_nothing(ends: Ends) -> None:
    ends.take(request("POST", body=b"hello") + request(), end=False)
    assert ends.rfile.peek() == ends.rfile.peek(1) == b"hello"
    assert ends.rfile.read(2) == b"he"
    assert ends.rfile.peek() == b"llo"
    assert ends.rfile.read() == b"llo"
    assert ends.rfile.peek() == b""


def test_looking_at_a_head_leaves_it_a_head(ends: Ends) -> None:
    ends.give(b"\r\n" + request(target="/a") + request(target="/b"))
    for target in ("/a", "/b"):
        head = request(target=target)
        ends.rfile.await_head()
        for nothing in (ends.rfile.read(0), ends.rfile.read1(0), ends.rfile.readline(0)):
            assert nothing == b""
        assert ends.rfile.readinto(bytearray()) == ends.rfile.readinto1(bytearray()) == 0
        assert ends.rfile.peek() == head
        line = ends.rfile.readline(65537)
        assert ends.rfile.peek() == head[len(line) :]
        taken = ends.rfile.take_head(line)
        assert taken is not None
        assert taken.target == target


def test_a_handler_may_read_the_next_line_itself(ends: Ends) -> None:
    ends.take(request("POST", body=b"body") + request(), end=False)
    ends.rfile.await_request()
    assert ends.rfile.readline() == b"GET / HTTP/1.1\r\n"
    ends.sock.settimeout(0.01)
    ends.rfile.readlines(1)
    ends.rfile.await_request()
    with pytest.raises(TimeoutError):
        ends.rfile.readline()


def test_what_is_left_of_a_body_is_passed_over_for_another_reader(ends: Ends) -> None:
    """Which gets what comes, as it comes."""
    ends.rfile.leave_body()  # before a request that changes nothing
    ends.take(request("POST", body=b"body") + b"any octets", end=False)
    assert ends.rfile.read(1) == b"b"
    ends.rfile.leave_body()
    ends.rfile.leave_body()
    assert ends.rfile.read(10) == b"any octets"


def test_what_cannot_be_passed_over_is_the_end_for_another_reader(ends: Ends) -> None:
    ends.take(request("POST", "/", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    ends.sock.settimeout(0.01)
    ends.rfile.leave_body()
    assert ends.rfile.read() == b"0\r\n\r\n"
    broken = request("POST", "/", "Content-Length: 9")
    with Ends() as others:
        others.take(broken + b"part", end=False)
        others.sock.settimeout(0.01)
        others.rfile.leave_body()
        assert others.rfile.read() == b""


def test_readinto_kinds_of_buffers(ends: Ends) -> None:
    ends.give(b"abcdefghijklmnop")
    items = array.array("I", [0, 0])
    assert ends.rfile.readinto(items) == 8
    assert items.tobytes() == b"abcdefgh"
    target = bytearray(6)
    assert ends.rfile.readinto(memoryview(target)[2:4]) == 2
    assert target == b"\0\0ij\0\0"
    for wrong in (b"bytes", "str", 3, memoryview(target)[::2]):
        with pytest.raises((TypeError, BufferError)):
            ends.rfile.readinto(wrong)
    assert ends.rfile.read() == b"klmnop"


@pytest.mark.parametrize("call", ["read", "read1", "readline"])
@pytest.mark.parametrize("wrong", ["1", 1.5, b""], ids=repr)
def test_a_size_is_a_number(call: str, wrong: Any) -> None:
    with Ends() as ends, pytest.raises(TypeError):
        getattr(ends.give(b"x").rfile, call)(wrong)


# -- Being a stream --------------------------------------------------------------------------------


def test_both_are_buffered_streams() -> None:
    with Ends() as ends:
        for stream in (ends.rfile, ends.wfile):
            assert isinstance(stream, io.BufferedIOBase)
            assert stream.fileno() == ends.sock.fileno()
            assert (stream.seekable(), stream.isatty(), stream.closed) == (False, False, False)
            stream.flush()
            with pytest.raises(io.UnsupportedOperation):
                stream.detach()
        assert ends.rfile.readable()
        assert not ends.rfile.writable()
        assert ends.wfile.writable()
        assert not ends.wfile.readable()


def test_closing_ends_reading_and_not_the_connection() -> None:
    with Ends() as ends:
        ends.give(TEXT, end=False)
        with ends.rfile as entered:
            assert entered is ends.rfile
        assert ends.rfile.closed
        ends.rfile.close()
        target = bytearray(1)
        for read in (ends.rfile.read, ends.rfile.read1, ends.rfile.readline, ends.rfile.peek,
                     ends.rfile.readlines, lambda: next(ends.rfile), lambda: ends.rfile.readinto(target)):
            with pytest.raises(ValueError, match="closed"):
                read()
        ends.wfile.write(b"still here")
        assert ends.receive() == b"still here"


def test_text_wrappers_in_both_directions(ends: Ends) -> None:
    ends.take(request("POST", body="grün\r\nblau".encode()), end=False)
    with io.TextIOWrapper(ends.rfile, "utf-8") as text:
        assert list(text) == ["grün\n", "blau"]
    with io.TextIOWrapper(ends.wfile, "utf-8", newline="\r\n", write_through=True) as text:
        text.write("rot\nweiß\n")
    assert ends.rfile.closed
    assert ends.wfile.closed
    assert ends.receive().decode() == "rot\r\nweiß\r\n"


def test_streams_keep_their_socket_and_nothing_else_alive() -> None:
    with Ends() as ends:
        fd = ends.sock.fileno()
        del ends.rfile
        ends.wfile.write(b"x")
        assert ends.receive() == b"x"
        assert ends.sock.fileno() == fd


# -- Chunked bodies --------------------------------------------------------------------------------

CHUNKS = b"5\r\nhello\r\n1;ext=\"1\"\r\n \r\n000A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
DECODED = b"hello 0123456789"


def chunked(body: bytes) -> bytes:
    return request("POST", "/", "Transfer-Encoding: chunked") + body


def test_a_chunked_body_is_given_raw(ends: Ends) -> None:
    ends.take(chunked(CHUNKS))
    assert ends.rfile.read() == CHUNKS
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


def test_what_follows_a_raw_chunked_body_is_no_request(ends: Ends) -> None:
    ends.take(chunked(CHUNKS) + request(target="/smuggled"), end=False)
    assert ends.rfile.read(len(CHUNKS)) == CHUNKS
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_decoded_body_reads_like_any_other(ends: Ends, read: Any) -> None:
    half = len(TEXT) // 2
    body = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (half, TEXT[:half], len(TEXT) - half, TEXT[half:])
    ends.take(chunked(body) + request(target="/next"), end=False)
    ends.rfile.decode_chunks()
    assert read(ends.rfile) == read(io.BufferedReader(io.BytesIO(TEXT)))


def test_a_decoded_body_octet_by_octet(records: Ends) -> None:
    records.take(chunked(b""), end=False)
    records.rfile.decode_chunks()
    records.rfile.decode_chunks()  # twice is once
    reading = Task(records.rfile.read)
    for octet in CHUNKS:
        records.peer.send(bytes([octet]))
    assert reading.result() == DECODED
    records.give(request(target="/next"))
    head = next_head(records.rfile)
    assert head is not None
    assert head.target == "/next"


@pytest.mark.parametrize("at", range(1, len(CHUNKS)))
def test_a_decoded_body_at_any_split(records: Ends, at: int) -> None:
    records.take(chunked(CHUNKS[:at]), end=False)
    records.rfile.decode_chunks()
    records.peer.send(CHUNKS[at:] + request(target="/next"))
    assert records.rfile.read(7) + records.rfile.read() == DECODED
    head = next_head(records.rfile)
    assert head is not None
    assert head.target == "/next"


def test_a_body_that_is_not_chunked_is_not_decoded(ends: Ends) -> None:
    ends.take(request("POST", body=CHUNKS), end=False)
    ends.rfile.decode_chunks()
    assert ends.rfile.read() == CHUNKS


@pytest.mark.parametrize("body", [
    b"x\r\n", b"5\r\nhelloX", b"\r\n", b"5\nhello\r\n", b"-5\r\nhello\r\n",
    b"8000000000000000\r\n", b"fffffffffffffffff\r\n", b"1\r\na\n0\r\n\r\n",
    b"1\r\na\r\n0\r\nTrailer: x\n\r\n",
    b"5;" + b"e" * 5000 + b"\r\nhello\r\n0\r\n\r\n", b"0\r\n" + b"T: t\r\n" * 20000 + b"\r\n",
], ids=lambda body: repr(body[:20]))
def test_broken_chunks_raise(body: bytes) -> None:
    with Ends("tcp") as ends:
        never = b"5\r\nnever\r\n0\r\n\r\n" + request(target="/smuggled")
        sending = Task(ends.give, chunked(body + never))
        assert next_head(ends.rfile) is not None
        ends.rfile.decode_chunks()
        assert raises(ends.rfile.read)
        assert raises(ends.rfile.read), "what follows a broken chunk was given as a body"
        assert next_head(ends.rfile) is None
        ends.peer.close()
        sending.join(PATIENCE)


def raises(read: Callable[[], bytes]) -> bool:
    try:
        read()
    except ValueError:
        return True
    return False


def test_chunks_that_end_early(ends: Ends) -> None:
    """Whoever asks gets what came, and then is told that it was not all."""
    ends.take(chunked(b"5\r\nhello\r\n5\r\nwo"))
    ends.rfile.decode_chunks()
    assert ends.rfile.read(5) == b"hello"
    with pytest.raises(ConnectionAbortedError):
        ends.rfile.read()


# -- Expect: 100-continue --------------------------------------------------------------------------


def test_a_body_follows_100_continue(ends: Ends) -> None:
    octets = request("POST", "/", "Expect: 100-continue", body=b"body")
    head = ends.take(octets[:-4], end=False)
    assert head.expect_continue
    ends.wfile.send_head(response(status=100), "POST")
    assert ends.receive() == b"HTTP/1.1 100 Reason\r\n\r\n"
    ends.give(b"body" + request(target="/next"))
    assert ends.rfile.read() == b"body"
    assert ends.wfile.unwritten == -1
    head = next_head(ends.rfile)
    assert head is not None
    assert head.target == "/next"


@pytest.mark.parametrize("read", [0, 3])
def test_a_body_that_was_not_awaited_is_no_request(ends: Ends, read: int) -> None:
    octets = request("POST", "/", "Expect: 100-continue", body=b"body")
    ends.take(octets[:-4], end=False)
    ends.give(request(target="/next").replace(b"GET", b"boGET", 1))
    assert ends.rfile.read(read) == b"boG"[:read]
    ends.rfile.await_head()
    assert ends.rfile.readline() == b""


# -- Waiting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [b"", b"GET / HTT"], ids=["idle", "head"])
def test_a_socket_with_a_timeout_times_out_for_a_head(ends: Ends, octets: bytes) -> None:
    ends.sock.settimeout(0.02)
    ends.give(octets, end=False) if octets else None
    with pytest.raises(TimeoutError):
        ends.rfile.await_head()


@pytest.mark.parametrize("read", ["read", "read1", "readline", "peek", "readlines"])
def test_a_socket_with_a_timeout_times_out_in_a_body(ends: Ends, read: str) -> None:
    ends.sock.settimeout(0.02)
    ends.take(request("POST", body=b"x" * 10)[:-5], end=False)
    if read in ("read1", "peek"):
        assert ends.rfile.read1() == b"xxxxx"
    with pytest.raises(TimeoutError):
        getattr(ends.rfile, read)()


def test_a_signal_handler_may_end_a_wait() -> None:
    import signal

    class Alarm(Exception):
        pass

    def ring(signum: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with Ends() as ends:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(Alarm):
                ends.rfile.read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_reset_while_reading() -> None:
    with Ends("tcp") as ends:
        ends.take(request("POST", body=b"x" * 10)[:-5], end=False)
        reset(ends.peer)
        with pytest.raises(ConnectionResetError):
            ends.rfile.read()


def test_a_reset_instead_of_a_head() -> None:
    with Ends("tcp") as ends:
        reset(ends.peer)
        for _ in range(2):
            ends.rfile.await_head()
            assert ends.rfile.readline() == b""
        ends.rfile.decode_chunks()
        assert ends.rfile.take_head(b"") is None
