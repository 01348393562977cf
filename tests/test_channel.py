"""Files and long queues on a channel: ranges, slow readers, files that change, and what is given back.

Driven through the writer, because a channel has no Python methods of its own.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import descriptors, nothing_left_behind, request, wait_until
from pairs import TLS, Ends, Task, next_head, receive_exactly, response, small_buffers

from fastserve import limits

PATTERN = bytes(range(251)) * 1100  # 276,100 octets that repeat at no power of two
LARGE = PATTERN * 40  # 11 MB


@pytest.fixture(params=["unix", "tcp", "tls", "layer"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with nothing_left_behind(), Ends(request.param) as ends:
        yield ends


@pytest.fixture
def large(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a file that holds LARGE."""
    yield from opened(tmp_path / "large", LARGE)


def opened(path: Path, data: bytes) -> Iterator[int]:
    path.write_bytes(data)
    file = os.open(path, os.O_RDWR)
    yield file
    os.close(file)


# -- Ranges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [
    0, 1, 1000, limits.MAX_COPIED_FILE - 1, limits.MAX_COPIED_FILE, limits.MAX_COPIED_FILE + 1,
    limits.SENDFILE_CHUNK - 1, limits.SENDFILE_CHUNK, limits.SENDFILE_CHUNK + 1,
    3 * limits.SENDFILE_CHUNK + 7, len(LARGE) - 12345,
])
@pytest.mark.parametrize("offset", [0, 12345])
def test_a_range_of_a_file(ends: Ends, large: int, offset: int, count: int) -> None:
    reading = Task(ends.receive_all)
    ends.wfile.send_head(response(count), "GET")
    ends.wfile.send_file(large, offset, count)
    assert ends.wfile.is_complete()
    ends.sock.shutdown(socket.SHUT_WR)
    assert reading.result() == response(count).take() + LARGE[offset : offset + count]
    assert os.lseek(large, 0, os.SEEK_CUR) == 0  # the caller's own position is his


@pytest.mark.parametrize("size", [10, 20000, len(PATTERN)])
def test_octets_and_files_leave_in_order(ends: Ends, large: int, size: int) -> None:
    reading = Task(ends.receive_all)
    for n in range(10):
        ends.wfile.write(b"%d" % n * 1000)
        ends.wfile.send_file(large, n, size)
    ends.sock.shutdown(socket.SHUT_WR)
    assert reading.result() == b"".join(b"%d" % n * 1000 + LARGE[n : n + size] for n in range(10))


def test_a_range_far_behind_4_gib(ends: Ends, tmp_path: Path) -> None:
    path, offset = tmp_path / "sparse", (1 << 32) + 5
    with path.open("wb") as file:
        file.seek(offset)
        file.write(PATTERN)
    with path.open("rb") as file:
        for count in (1000, len(PATTERN)):
            reading = Task(receive_exactly, ends.peer, count)
            ends.wfile.send_file(file.fileno(), offset, count)
            assert reading.result() == PATTERN[:count]
    path.unlink()


def test_nothing_is_sent_for_no_octets(ends: Ends, large: int) -> None:
    ends.wfile.send_head(response(5), "GET")
    for count in (0, -1, -(1 << 40)):
        ends.wfile.send_file(large, 0, count)
    assert ends.wfile.unwritten == 5
    assert ends.receive() == response(5).take()


def test_a_small_file_leaves_with_its_head(large: int) -> None:
    with Ends("records") as ends:
        ends.wfile.send_head(response(5000), "GET")
        ends.wfile.send_file(large, 100, 5000)
        assert ends.receive() == response(5000).take() + LARGE[100:5100]


@pytest.mark.parametrize("declared", [99999, 100001])
def test_a_range_is_counted(ends: Ends, large: int, declared: int) -> None:
    reading = Task(ends.receive_all)
    ends.wfile.send_head(response(declared), "GET")
    ends.wfile.send_file(large, 0, 100000)
    assert not ends.wfile.is_complete()
    ends.sock.shutdown(socket.SHUT_WR)
    reading.result()


def test_a_file_may_be_closed_and_removed_at_once(ends: Ends, tmp_path: Path) -> None:
    small_buffers(ends.sock, ends.peer)
    path = tmp_path / "gone"
    path.write_bytes(LARGE)

    def send() -> None:
        with path.open("rb") as file:
            path.unlink()
            ends.wfile.send_file(file.fileno(), 0, len(LARGE))
        ends.sock.shutdown(socket.SHUT_WR)

    sending = Task(send)
    assert ends.receive_all() == LARGE
    sending.result()


def test_what_is_no_file(ends: Ends, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for file in (folder, 1 << 20, -1):
            with pytest.raises(OSError, match=r"\w"):
                ends.wfile.send_file(file, 0, 100)
    finally:
        os.close(folder)
    with pytest.raises(OSError, match=r"\w"):
        ends.wfile.send_file(1 << 20, 0, 1 << 20)


# -- Slow readers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "timeout"])
def test_a_large_file_to_a_slow_reader(ends: Ends, large: int, blocking: bool) -> None:
    small_buffers(ends.sock, ends.peer)
    ends.sock.settimeout(None if blocking else 5)
    flags = os.get_blocking(ends.sock.fileno())

    def send() -> None:
        ends.wfile.write(b"before")
        ends.wfile.send_file(large, 0, len(PATTERN))
        ends.wfile.write(b"after")
        ends.sock.shutdown(socket.SHUT_WR)

    sending = Task(send)
    received = receive_exactly(ends.peer, 1000)
    assert sending.is_alive()
    received += ends.receive_all()
    sending.result()
    assert received == b"before" + PATTERN + b"after"
    assert os.get_blocking(ends.sock.fileno()) == flags


def test_the_socket_is_blocking_again_after_a_file(ends: Ends, large: int) -> None:
    reading = Task(receive_exactly, ends.peer, 2 * len(PATTERN))
    for _ in range(2):
        ends.wfile.send_file(large, 0, len(PATTERN))
        assert os.get_blocking(ends.sock.fileno())
    reading.result()
    waiting = Task(ends.sock.recv, 1)
    ends.peer.sendall(b"x")
    assert waiting.result() == b"x"


def test_a_reader_that_stops_times_out(ends: Ends, large: int) -> None:
    before = descriptors()
    ends.sock.settimeout(0.02)
    with pytest.raises(TimeoutError):
        ends.wfile.send_file(large, 0, len(LARGE))
    del ends.wfile, ends.rfile
    assert descriptors() == before


def test_a_reader_that_goes(ends: Ends, large: int) -> None:
    before = descriptors()
    small_buffers(ends.sock)
    sending = Task(ends.wfile.send_file, large, 0, len(LARGE))
    receive_exactly(ends.peer, 1000)
    ends.peer.close()
    with pytest.raises(BrokenPipeError):
        sending.result()
    assert ends.wfile.is_broken()
    assert len(descriptors()) == len(before) - 1  # the client's


def test_a_file_one_way_and_a_body_the_other(ends: Ends, large: int) -> None:
    octets = request("POST", body=LARGE)
    giving = Task(ends.peer.sendall, octets)
    assert next_head(ends.rfile) is not None
    if isinstance(ends.sock, ssl.SSLSocket):
        assert ends.rfile.read() == LARGE  # a TLS socket, the client's too, is for one thread at a time
        giving.result()
        reading = Task(receive_exactly, ends.peer, len(LARGE))
        ends.wfile.send_file(large, 0, len(LARGE))
        assert reading.result() == LARGE
        return
    tasks = [Task(ends.rfile.read), Task(receive_exactly, ends.peer, len(LARGE))]
    ends.wfile.send_file(large, 0, len(LARGE))
    assert [task.result() for task in tasks] == [LARGE, LARGE]
    giving.result()


# -- Files that change while they are sent ---------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 1, 999])
def test_a_small_file_that_was_longer(ends: Ends, tmp_path: Path, kept: int) -> None:
    for file in opened(tmp_path / "file", b"x" * kept):
        ends.wfile.send_head(response(1000), "GET")
        ends.wfile.send_file(file, 0, 1000)
        assert ends.wfile.unwritten == 1000 - kept
        assert not ends.wfile.is_complete()
        ends.sock.shutdown(socket.SHUT_WR)
        assert ends.receive_all() == response(1000).take() + b"x" * kept


@pytest.mark.parametrize("kept", [0, 1, len(PATTERN) - 1])
def test_a_large_file_that_was_longer(ends: Ends, tmp_path: Path, kept: int) -> None:
    """The connection breaks where the file ends: nothing else can be said in the middle of a body."""
    for file in opened(tmp_path / "file", PATTERN[:kept]):
        reading = Task(ends.receive_all)
        with pytest.raises(BrokenPipeError):
            ends.wfile.send_file(file, 0, len(PATTERN))
        assert ends.wfile.is_broken()
        ends.sock.shutdown(socket.SHUT_WR)
        assert reading.result() == PATTERN[:kept]


def test_a_file_cut_while_it_is_sent(ends: Ends, large: int) -> None:
    small_buffers(ends.sock, ends.peer)
    sending = Task(ends.wfile.send_file, large, 0, len(LARGE))
    received = receive_exactly(ends.peer, 1000)
    os.ftruncate(large, len(PATTERN))
    reading = Task(ends.receive_all)
    with pytest.raises(BrokenPipeError):
        sending.result()
    ends.sock.shutdown(socket.SHUT_WR)
    received += reading.result()
    assert LARGE.startswith(received)
    assert len(PATTERN) <= len(received) < len(LARGE)


@pytest.mark.parametrize("size", [1000, len(PATTERN)])
def test_a_file_that_grows(ends: Ends, tmp_path: Path, size: int) -> None:
    for file in opened(tmp_path / "file", PATTERN[:size]):
        small_buffers(ends.sock, ends.peer)
        ends.wfile.send_head(response(size), "GET")
        sending = Task(ends.wfile.send_file, file, 0, size)
        received = receive_exactly(ends.peer, 10)
        os.pwrite(file, b"more" * 1000, size)
        received += receive_exactly(ends.peer, len(response(size).take()) + size - 10)
        sending.result()
        assert ends.wfile.is_complete()
        ends.sock.shutdown(socket.SHUT_WR)
        assert received + ends.receive_all() == response(size).take() + PATTERN[:size]


# -- TLS -------------------------------------------------------------------------------------------


@TLS
def test_a_body_in_tls_records_of_any_size(kind: str) -> None:
    with Ends(kind) as ends:
        body = PATTERN[:100000]
        octets = memoryview(request("POST", body=body) + request(target="/next"))
        giving = Task(send_records, ends.peer, octets, [1, 100, 16384, 7, 16000])
        assert next_head(ends.rfile) is not None
        assert ends.rfile.read(50) + ends.rfile.read1() + ends.rfile.read() == body
        giving.result()
        head = Task(next_head, ends.rfile).result()
        assert head.target == "/next"


def send_records(sock: socket.socket, octets: memoryview, sizes: list[int]) -> None:
    n = 0
    while octets:
        size = sizes[n % len(sizes)]
        sock.sendall(octets[:size])
        octets, n = octets[size:], n + 1


@TLS
def test_a_tls_client_that_says_goodbye(kind: str) -> None:
    with Ends(kind) as ends:
        ends.take(request("POST", body=b"x" * 10)[:-5], end=False)
        leaving = Task(ends.peer.unwrap)
        assert ends.rfile.read() == b"xxxxx"
        assert next_head(ends.rfile) is None
        ends.sock.unwrap()
        leaving.result().close()


@TLS
def test_a_tls_client_that_just_goes(kind: str) -> None:
    with Ends(kind) as ends:
        ends.take(request("POST", body=b"x" * 10)[:-5], end=False)
        ends.peer.close()
        assert ends.rfile.read(5) == b"xxxxx"
        with contextlib.suppress(ConnectionResetError):  # told from Python 3.13 on, an end before
            assert ends.rfile.read() == b""
        with pytest.raises(BrokenPipeError):
            write_until_told(ends)


def write_until_told(ends: Ends) -> None:
    assert wait_until(lambda: ends.wfile.write(b"x") != 1)
