"""wfile: what leaves when, in which packets, and how it is counted.

Over pairs of sockets without a server; on a pair of records one recv() is one send(). Files are in
test_channel.py.
"""

import array
import io
import itertools
import mmap
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from helpers import request
from pairs import TLS, Ends, Task, next_head, receive_exactly, reset, response, small_buffers

from fastserve._response import ResponseHead

# -- Writing ---------------------------------------------------------------------------------------

KINDS = {
    "bytes": b"some octets!",
    "bytearray": bytearray(b"some octets!"),
    "memoryview": memoryview(b"-some octets!-")[1:-1],
    "array": array.array("I", b"some octets!"),
    "wide memoryview": memoryview(array.array("I", b"some octets!")),
    "table": memoryview(b"some octets!").cast("B", (3, 4)),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("block", [0, 100])
def test_writes_what_is_bytes_like(data: Any, block: int) -> None:
    with Ends(block=block) as ends:
        assert ends.wfile.write(data) == 12
        ends.wfile.flush()
        assert ends.receive() == b"some octets!"


def test_writes_a_mapped_file_and_the_wrong_things_not(ends: Ends) -> None:
    with mmap.mmap(-1, 5000) as mapped:
        mapped[:] = b"m" * 5000
        assert ends.wfile.write(mapped) == 5000
    assert ends.receive() == b"m" * 5000
    for wrong in ("text", 12, None, [1], memoryview(b"abcd")[::2]):
        with pytest.raises((TypeError, BufferError)):
            ends.wfile.write(wrong)
    with pytest.raises(TypeError):
        ends.wfile.writelines([b"line", "text"])
    assert ends.receive() == b"line"


def test_writes_nothing(ends: Ends) -> None:
    assert ends.wfile.write(b"") == 0
    ends.wfile.writelines([])
    ends.wfile.flush()
    assert ends.has_nothing()


def test_writelines_and_copyfileobj(ends: Ends) -> None:
    ends.wfile.writelines(bytes([n]) for n in b"lines")
    shutil.copyfileobj(io.BytesIO(b"copied"), ends.wfile, 2)
    ends.sock.shutdown(socket.SHUT_WR)
    assert ends.receive_all() == b"linescopied"


@pytest.mark.parametrize("pause", [False, True], ids=["fast", "slow"])
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_huge_write_to_a_reader(kind: str, pause: bool) -> None:
    data = bytearray(range(256)) * (1 << 15)
    with Ends(kind) as ends:
        if pause:
            ends.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        reading = Task(ends.receive_all)
        assert ends.wfile.write(data) == len(data)
        data[:] = bytes(len(data))  # what was written is written
        ends.wfile.write(b"end")
        ends.sock.shutdown(socket.SHUT_WR)
        assert reading.result() == bytes(range(256)) * (1 << 15) + b"end"


def test_both_directions_at_once() -> None:
    data = bytes(range(256)) * (1 << 13)
    with Ends("tcp") as ends:
        tasks = [Task(ends.peer.sendall, data), Task(ends.rfile.read, len(data)),
                 Task(ends.wfile.write, data), Task(receive_exactly, ends.peer, len(data))]
        assert [task.result() for task in tasks] == [None, data, len(data), data]


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_client_that_is_gone(kind: str) -> None:
    with Ends(kind) as ends:
        assert not ends.wfile.is_broken()
        reset(ends.peer) if kind == "tcp" else ends.peer.close()
        with pytest.raises(BrokenPipeError):
            write_twice(ends)
        assert ends.wfile.is_broken()
        with pytest.raises(BrokenPipeError):
            ends.wfile.write(b"x")
        with pytest.raises(BrokenPipeError):
            ends.wfile.send_head(response(), "GET")


def write_twice(ends: Ends) -> None:
    """The first write may meet a reset that has not arrived yet."""
    ends.wfile.write(b"x" * 100000)
    ends.wfile.write(b"x" * 100000)


def test_a_client_that_goes_while_much_is_written() -> None:
    with Ends() as ends:
        writing = Task(ends.wfile.write, bytes(1 << 23))
        assert len(ends.peer.recv(1000)) == 1000
        ends.peer.close()
        with pytest.raises(BrokenPipeError):
            writing.result()


def test_a_writer_times_out_when_nobody_reads() -> None:
    with Ends() as ends:
        ends.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            ends.wfile.write(bytes(1 << 23))


def test_closing_ends_writing_after_a_flush() -> None:
    with Ends(block=100) as ends:
        with ends.wfile as entered:
            assert entered.write(b"gathered") == 8
            assert ends.has_nothing()
        assert ends.wfile.closed
        ends.wfile.close()
        assert ends.receive() == b"gathered"
        for write in (lambda: ends.wfile.write(b""), ends.wfile.flush, lambda: ends.wfile.writelines([b"x"]),
                      lambda: ends.wfile.send_file(0, 0, 1), lambda: ends.wfile.send_head(response(), "GET")):
            with pytest.raises(ValueError, match="closed"):
                write()
        ends.give(b"still here")
        assert ends.rfile.read() == b"still here"


# -- The write rule: heads wait for the first octets of the body, nothing else waits ---------------


@pytest.mark.parametrize("size", [1, 4096, 4097, 20000, 100000])
def test_a_head_and_its_body_leave_in_one_packet(records: Ends, size: int) -> None:
    head = response(size)
    octets = bytes(head.take())
    records.wfile.send_head(response(size), "GET")
    assert records.has_nothing()
    body = b"b" * size
    records.wfile.write(body)
    assert records.receive() == octets + body
    assert records.has_nothing()


def test_later_writes_leave_at_once(records: Ends) -> None:
    records.wfile.send_head(response(9), "GET")
    for piece in (b"one", b"two", b"six"):
        records.wfile.write(piece)
        assert records.receive().endswith(piece)
    assert records.wfile.is_complete()
    records.wfile.write(b"")
    assert records.has_nothing()


@pytest.mark.parametrize(("length", "status", "method"), [
    (5, 200, "HEAD"), (None, 200, "HEAD"), (None, 204, "GET"), (5, 304, "GET"), (0, 200, "GET"),
    (None, 200, "GET"), (None, 100, "POST"), (None, 103, "GET"),
])
def test_a_head_that_nothing_is_known_to_follow_leaves_at_once(
        records: Ends, length: int | None, status: int, method: str) -> None:
    records.wfile.send_head(response(length, status, method), method)
    assert records.receive() == response(length, status, method).take()


def test_a_flush_sends_a_head_alone(records: Ends) -> None:
    records.wfile.send_head(response(4), "GET")
    records.wfile.flush()
    assert records.receive().endswith(b"\r\n\r\n")
    records.wfile.flush()
    assert records.has_nothing()
    records.wfile.write(b"body")
    assert records.receive() == b"body"


def test_an_edited_head_leaves_as_it_was_edited(records: Ends) -> None:
    head = response(4)
    head.lines.insert(1, b"X-Edited: yes\r\n")
    records.wfile.send_head(head, "GET")
    records.wfile.write(b"body")
    octets = records.receive()
    while not octets.endswith(b"body"):
        octets += records.receive()
    assert octets == b"HTTP/1.1 200 Reason\r\nX-Edited: yes\r\nContent-Length: 4\r\n\r\nbody"


def test_a_length_that_was_edited_counts(records: Ends) -> None:
    head = response()
    head.lines.append(b"content-length:4\r\n")
    records.wfile.send_head(head, "GET")
    assert records.has_nothing(), "it has not waited for its body"
    records.wfile.write(b"body and more")
    assert records.receive().endswith(b"\r\n\r\ncontent-length:4\r\nbody")
    assert not records.wfile.is_complete()


def test_two_heads_before_a_body(records: Ends) -> None:
    """An interim answer does not wait for the final one."""
    records.wfile.send_head(response(status=103), "GET")
    assert records.receive().startswith(b"HTTP/1.1 103 ")
    records.wfile.send_head(response(1), "GET")
    assert records.has_nothing()
    records.wfile.write(b"x")
    assert records.receive().startswith(b"HTTP/1.1 200 ")


def begun(length: int | None = None) -> ResponseHead:
    """A head without its empty line."""
    head = ResponseHead()
    head.status_line("HTTP/1.1", 200, "Reason")
    if length is not None:
        head.header("Content-Length", length)
    return head


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_rest_of_a_head_may_be_written_by_hand(records: Ends, method: str) -> None:
    """As CGI scripts do: it is no body yet, so HEAD gets it too and no length counts it."""
    records.wfile.send_head(begun(4), method)
    assert records.receive() == b"HTTP/1.1 200 Reason\r\nContent-Length: 4\r\n"
    records.wfile.write(b"X-Hand: yes\r\n\r\nbody")
    assert records.receive() == b"X-Hand: yes\r\n\r\nbody"
    assert records.wfile.is_complete()


@pytest.mark.parametrize(("method", "left"), [("GET", 4), ("HEAD", 0)])
def test_a_head_in_two_parts_counts_as_one(records: Ends, method: str, left: int) -> None:
    head = begun(4)
    records.wfile.send_head(head, method)
    assert records.receive().endswith(b"Content-Length: 4\r\n")
    assert records.wfile.unwritten == -1
    head.header("X-More", "yes")
    head.end(method, "HTTP/1.1", False)
    records.wfile.send_head(head, method)
    assert records.wfile.unwritten == left
    records.wfile.flush()
    assert records.receive() == b"X-More: yes\r\n\r\n"


# -- Gathering, as a handler's wbufsize asks -------------------------------------------------------


def test_small_writes_are_gathered() -> None:
    with Ends("records", block=10) as ends:
        for piece in (b"123", b"456", b"789"):
            ends.wfile.write(piece)
        assert ends.has_nothing()
        ends.wfile.write(b"0")
        assert ends.receive() == b"1234567890"
        ends.wfile.write(b"rest")
        assert ends.has_nothing()
        ends.wfile.flush()
        assert ends.receive() == b"rest"


def test_a_head_is_gathered_too() -> None:
    with Ends("records", block=1000) as ends:
        ends.wfile.send_head(response(), "GET")
        ends.wfile.write(b"body")
        assert ends.has_nothing()
        ends.wfile.flush()
        assert ends.receive() == response().take() + b"body"


@pytest.mark.parametrize("sizes", [*itertools.product([1, 99, 100, 101, 5000, 20000], repeat=3)])
def test_gathered_or_not_everything_leaves_in_order(sizes: tuple[int, ...]) -> None:
    with Ends(block=100) as ends:
        pieces = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
        for piece in pieces:
            assert ends.wfile.write(piece) == len(piece)
        ends.wfile.close()
        ends.sock.shutdown(socket.SHUT_WR)
        assert ends.receive_all() == b"".join(pieces)


# -- Counting what was declared --------------------------------------------------------------------


@pytest.mark.parametrize(("written", "complete"), [(0, False), (9, False), (10, True), (11, False)])
@pytest.mark.parametrize("step", [1, 3, 100])
def test_what_was_written_is_counted(ends: Ends, written: int, complete: bool, step: int) -> None:
    ends.wfile.send_head(response(10), "GET")
    assert ends.wfile.unwritten == 10
    for start in range(0, written, step):
        ends.wfile.write(b"x" * min(step, written - start))
    assert ends.wfile.is_complete() == complete
    if written <= 10:
        assert ends.wfile.unwritten == 10 - written


@pytest.mark.parametrize(("status", "method"), [(200, "HEAD"), (204, "GET"), (304, "GET")])
@pytest.mark.parametrize("block", [0, 100])
def test_a_body_where_none_may_be_is_dropped(status: int, method: str, block: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    with Ends(block=block) as ends, (tmp_path / "file").open("rb") as file:
        ends.wfile.send_head(response(5, status, method), method)
        for octets in (b"", b"x", b"xxxxx", b"x" * 100_000):
            assert ends.wfile.write(octets) == len(octets)
        ends.wfile.send_file(file.fileno(), 0, 5)
        ends.wfile.send_file(file.fileno(), 0, 100_000)
        assert (ends.wfile.is_complete(), ends.wfile.unwritten, ends.wfile.missing) == (True, 0, 0)
        ends.wfile.begin_response()
        ends.wfile.send_head(response(2), "GET")
        ends.wfile.write(b"ok")
        ends.wfile.close()
        ends.sock.shutdown(socket.SHUT_WR)
        assert ends.receive_all() == response(5, status, method).take() + response(2).take() + b"ok"


@pytest.mark.parametrize(("written", "missing"), [(0, 10), (9, 1), (10, 0), (11, -1), (12, -1)])
def test_what_is_missing(ends: Ends, written: int, missing: int) -> None:
    assert ends.wfile.missing == 0
    ends.wfile.send_head(response(10), "GET")
    ends.wfile.write(b"x" * written)
    assert ends.wfile.missing == missing


@pytest.mark.parametrize("pieces", [
    [b"abcdef"], [b"abc", b"def"], [b"a", b"b", b"cd", b"ef"], [b"abcd", b"x" * 9999],
])
@pytest.mark.parametrize("block", [0, 100])
def test_octets_past_the_declared_length_do_not_leave(pieces: list[bytes], block: int) -> None:
    with Ends(block=block) as ends:
        ends.wfile.send_head(response(4), "GET")
        for piece in pieces:
            assert ends.wfile.write(piece) == len(piece)
        ends.wfile.close()
        assert not ends.wfile.is_complete()
        ends.sock.shutdown(socket.SHUT_WR)
        assert ends.receive_all() == response(4).take() + b"abcd"


def test_a_new_response_is_counted_by_its_own_head(ends: Ends) -> None:
    ends.wfile.send_head(response(1), "GET")
    ends.wfile.write(b"x")
    ends.wfile.begin_response()
    ends.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert ends.wfile.is_complete()
    assert ends.wfile.unwritten == -1


def test_without_a_declaration_nothing_is_counted(ends: Ends) -> None:
    assert ends.wfile.is_complete()
    ends.wfile.send_head(response(), "GET")
    ends.wfile.write(b"x")
    assert ends.wfile.unwritten == -1
    assert ends.wfile.is_complete()


def test_each_head_counts_anew(ends: Ends) -> None:
    for length in (3, 1, 2):
        ends.wfile.begin_response()
        ends.wfile.send_head(response(length), "GET")
        ends.wfile.write(b"x" * length)
        assert ends.wfile.is_complete()


# -- Several threads -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "tls", "layer"])
@pytest.mark.parametrize("block", [0, 65536])
def test_threads_may_write_at_once(kind: str, block: int) -> None:
    """As a handler of server-sent events does, with a thread for the heartbeat: each write is sent once."""
    with Ends(kind, block=block) as ends:
        small_buffers(ends.sock, ends.peer)
        sizes = [10, 4096, 100000, 1, 20000] * 10

        def write(name: bytes) -> None:
            for size in sizes:
                ends.wfile.write(b"<" + name * size + b">")

        def write_all() -> None:
            for task in [Task(write, bytes([name])) for name in b"abcd"]:
                task.result()
            ends.wfile.flush()
            ends.sock.shutdown(socket.SHUT_WR)

        writing = Task(write_all)
        pieces = re.findall(b"<(.*?)>|(.)", ends.receive_all())
        writing.result()
    assert [other for _, other in pieces if other] == []
    assert all(len(set(octets)) == 1 for octets, _ in pieces), "one write is inside another"
    for name in b"abcd":
        assert [len(octets) for octets, _ in pieces if octets[0] == name] == sizes


@TLS
def test_one_thread_may_read_while_another_writes(kind: str) -> None:
    with Ends(kind) as ends:
        sending = Task(ends.peer.sendall, b"r" * 2000000)
        reading = Task(ends.rfile.read, 2000000)
        for _ in range(200):
            ends.wfile.write(b"w" * 100)
        assert reading.result() == b"r" * 2000000
        sending.result()
        assert ends.sock.gettimeout() is None
        assert receive_exactly(ends.peer, 20000) == b"w" * 20000


def test_a_client_that_stops_reading_is_waited_for_once(ends: Ends) -> None:
    ends.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ends.wfile.writelines([b"x" * 100000] * 1000)
    assert ends.wfile.is_broken()
    with pytest.raises(BrokenPipeError):
        ends.wfile.write(b"x")


@pytest.mark.parametrize("length", [None, 2])
def test_fileno_is_for_those_who_write_themselves(ends: Ends, length: int | None) -> None:
    """What waits leaves before: subprocess and os.sendfile() write to the descriptor."""
    ends.wfile.send_head(response(length), "GET")
    os.write(ends.wfile.fileno(), b"ok")
    octets = response(length).take() + b"ok"
    assert receive_exactly(ends.peer, len(octets)) == octets


def test_drain_waits_until_the_socket_has_all() -> None:
    with Ends("tcp") as ends:
        small_buffers(ends.sock, ends.peer)
        ends.wfile.gather(1 << 24)
        ends.wfile.writelines([b"x" * 4096] * 1000)
        assert ends.has_nothing()
        draining = Task(ends.wfile.drain)
        assert receive_exactly(ends.peer, 4096000) == b"x" * 4096000
        draining.result()
        os.write(ends.sock.fileno(), b"y")
        assert ends.receive() == b"y"


# -- The end of a response -------------------------------------------------------------------------

@pytest.mark.parametrize(("declared", "written", "right"), [
    (5, b"12345", True), (5, b"1234", False), (5, b"123456", False), (0, b"", True), (None, b"any", True),
])
def test_a_response_ends_as_long_as_it_said(ends: Ends, declared: int, written: bytes, right: bool) -> None:
    head = response(declared)
    ends.wfile.send_head(head, "GET")
    ends.wfile.write(written)
    assert ends.wfile.end_response(head) is right


def test_a_response_whose_head_waits_has_not_ended(records: Ends) -> None:
    head = response(0)
    assert not records.wfile.end_response(head)
    records.wfile.send_head(head, "GET")
    assert records.wfile.end_response(head)
    assert records.wfile.end_response()


def test_the_end_of_a_response_sends_what_waits(records: Ends) -> None:
    records.wfile.gather(1000)
    head = response(4)
    records.wfile.send_head(head, "GET")
    records.wfile.write(b"body")
    assert records.wfile.end_response(head)
    assert records.peer.recv(1000) == response(4).take() + b"body"


def test_a_head_of_which_nothing_was_written_is_not_sent(records: Ends) -> None:
    head = response(2)
    head.take()
    assert not records.wfile.send_head(head, "GET")
    records.wfile.write(b"ok")
    assert records.peer.recv(1000) == b"ok"


def test_each_request_that_is_read_has_a_response_of_its_own(ends: Ends) -> None:
    ends.give(request("GET") * 3)
    for length in (2, 0, 3):
        assert next_head(ends.rfile) is not None
        assert (ends.wfile.unwritten, ends.wfile.missing, ends.wfile.is_complete()) == (-1, 0, True)
        ends.wfile.send_head(response(length), "GET")
        assert ends.wfile.unwritten == length
        ends.wfile.write(b"x" * length)
    ends.sock.shutdown(socket.SHUT_WR)
    assert ends.receive_all() == b"".join(response(length).take() + b"x" * length for length in (2, 0, 3))
