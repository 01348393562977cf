"""A connection of the loop whose client reads slowly or not at all, and one over TLS; driven by hand.

What a handler does is done by the tests. The states and their times are in test_conn.py.
"""

import os
import select
import socket
import ssl
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, request
from pairs import (
    NOW,
    READ,
    TLS,
    WRITE,
    Driven,
    Handler,
    Task,
    client_context,
    flushed,
    next_head,
    receive_exactly,
    response,
    server_context,
    wait_for,
)

import fastserve
from fastserve import limits
from fastserve._conn import ANSWER, END, WAIT, Connection
from fastserve._offers import attach, offer, open_streams, withdraw
from fastserve._timers import Timers

GET = request()


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven()
    yield driven
    driven.close()


# -- Slow readers ----------------------------------------------------------------------------------


def test_what_the_client_does_not_take_is_sent_later(driven: Driven) -> None:
    body = bytes(range(250)) * 4000
    driven.begin(GET + GET)
    assert driven.answer(body) == WAIT
    assert (driven.state, driven.conn.interest, driven.conn.sending) == ("SENDING", WRITE, True)
    reading = Task(driven.received, body)
    action, turns = WAIT, 0
    while action == WAIT:
        assert select.select([], [driven.sock], [], PATIENCE)[1]
        turns += 1
        action = driven.ready(NOW + turns)
        assert driven.state == "ANSWERING" or driven.conn.deadline == NOW + turns + limits.PROGRESS_TIMEOUT
    assert reading.result()
    assert (action, driven.conn.sending) == (ANSWER, False)
    assert driven.answer() == WAIT
    assert driven.received()


def test_a_file_is_sent_later(driven: Driven, tmp_path: Path) -> None:
    path, body = tmp_path / "file", bytes(range(250)) * 20000
    path.write_bytes(body)
    driven.begin(GET)
    next_head(driven.rfile)
    driven.wfile.send_head(response(len(body)), "GET")
    with path.open("rb") as file:
        driven.wfile.send_file(file.fileno(), 0, len(body))
    assert driven.answered() == WAIT
    assert driven.state == "SENDING"
    reading = Task(driven.received, body)
    assert flushed(driven) == WAIT
    assert reading.result()
    assert (driven.state, driven.conn.interest) == ("IDLE", READ)
    assert os.get_blocking(driven.sock.fileno())


def test_a_client_that_goes_while_it_is_sent_to(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.answer(b"x" * 900000) == WAIT
    driven.peer.close()
    assert driven.ready() == END
    assert driven.conn.is_broken()


def test_a_writer_waits_above_the_high_water_mark(driven: Driven) -> None:
    driven.begin(GET)
    next_head(driven.rfile)
    body = b"x" * (limits.SEND_HIGH_WATER + (1 << 22))
    driven.wfile.send_head(response(len(body)), "GET")
    writing = Task(driven.wfile.write, body)
    writing.join(0.05)
    assert writing.is_alive()
    reading = Task(driven.received, body)
    writing.result()
    driven.answered()
    assert flushed(driven) == WAIT
    assert reading.result()


@pytest.mark.parametrize("call", ["drain", "fileno"])
def test_the_socket_is_given_out_when_nothing_waits_for_it(driven: Driven, call: str) -> None:
    """Also what is below the high water mark: else what others write to the socket would overtake it."""
    driven.begin(GET)
    next_head(driven.rfile)
    body = b"x" * (limits.SEND_HIGH_WATER - 1)
    driven.wfile.send_head(response(len(body)), "GET")
    driven.wfile.write(body)
    draining = Task(getattr(driven.wfile, call))
    draining.join(0.05)
    assert draining.is_alive()
    assert driven.received(body)
    draining.result()
    assert driven.answered() == WAIT
    assert driven.state == "IDLE"


def test_what_was_written_may_be_changed(driven: Driven) -> None:
    driven.begin(GET)
    next_head(driven.rfile)
    data = bytearray(b"x" * 300000)
    driven.wfile.send_head(response(600000), "GET")
    for _ in range(2):
        driven.wfile.write(data)
        data[:] = b"y" * len(data)
    driven.answered()
    reading = Task(driven.received, b"x" * 300000 + b"y" * 300000)
    assert flushed(driven) == WAIT
    assert reading.result()


@pytest.mark.parametrize("push", ["flush", "write"])
def test_a_handler_that_goes_on_is_not_held_up(driven: Driven, push: str) -> None:
    """Once the client has read what was queued, what is written next leaves at once, or by flush()."""
    driven.begin(GET)
    next_head(driven.rfile)
    driven.wfile.send_head(response(), "GET")
    driven.wfile.write(b"x" * 900000)
    driven.wfile.write(b"event")
    size = len(response().take()) + 900000 + 5
    reading = Task(receive_exactly, driven.peer, size)
    for _ in range(200):
        if push == "write":
            driven.wfile.write(b"e")
        driven.wfile.flush()
        reading.join(0.01)
        if not reading.is_alive():
            break
    driven.peer.shutdown(socket.SHUT_RDWR)
    assert len(reading.result()) == size, "events stay queued while the handler runs"


def test_the_socket_stays_a_blocking_one_for_its_handler(driven: Driven, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 22))
    driven.begin(GET)
    next_head(driven.rfile)
    with path.open("rb") as file:
        driven.wfile.send_file(file.fileno(), 0, 1 << 22)
    waiting = Task(driven.sock.recv, 1)
    waiting.join(0.05)
    driven.peer.sendall(b"x")
    assert waiting.result() == b"x"


DEEP_QUEUE = """
import gc, socket
from fastserve._conn import Connection
from fastserve._offers import attach, offer, open_streams, withdraw

class Handler:
    pass

def answer(wfile):
    def count(number):              # refers to itself: a cycle that holds the writer
        wfile.write(b"x")
        return number and count
    step, number = count, 1000000
    while step:
        number -= 1
        step = step(number)

ours, theirs = socket.socketpair()
conn, handler = Connection(ours, None, 0.0), Handler()
offer(conn)
rfile, wfile = open_streams(ours)
assert attach(ours, handler, rfile, wfile) and withdraw(conn)
conn.begin(0.0)
answer(wfile)
conn.handler = None
conn.closed()
del conn, handler, rfile, wfile
gc.collect()
ours.close()
theirs.close()
"""


def test_a_long_queue_may_be_garbage_collected() -> None:
    """A closure of a handler, a client that never reads, many small writes: the stack must not overflow."""
    home = Path(fastserve.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", DEEP_QUEUE], env={**os.environ, "PYTHONPATH": str(home)},
                          capture_output=True, timeout=60)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr.decode()[-500:]}"


def test_many_small_writes_take_memory_by_their_octets(driven: Driven) -> None:
    driven.begin(GET)
    next_head(driven.rfile)
    driven.wfile.send_head(response(), "GET")
    driven.wfile.write(b"x" * 500000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100000):
            driven.wfile.write(b"x")
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < limits.SEND_HIGH_WATER, f"{grown} octets of memory hold 100000"


# -- TLS -------------------------------------------------------------------------------------------


class Shaking(Driven):
    """A connection whose handshake is still to come."""

    def __init__(self) -> None:
        self.raw, self.peer = socket.socketpair()
        self.sock = server_context().wrap_socket(self.raw, server_side=True, do_handshake_on_connect=False)
        self.conn = Connection(self.sock, ("client", 1), NOW, True)
        self.handler, self.timeout, self.timers = Handler(), None, Timers()


def shake_hands(driven: Any) -> int:
    """As a loop would, up to the first action or state after it."""
    action = WAIT
    while action == WAIT and driven.state == "HANDSHAKING":
        wait_for(driven)
        action = driven.ready(NOW + 5)
    return action


def test_a_handshake_in_steps() -> None:
    driven = Shaking()
    assert (driven.state, driven.conn.deadline) == ("HANDSHAKING", NOW + limits.HANDSHAKE_TIMEOUT)
    assert driven.ready() == WAIT
    client = client_context().wrap_socket(driven.peer, server_hostname="localhost",
                                          do_handshake_on_connect=False)
    driven.peer = client
    shaking = Task(client.do_handshake)
    assert shake_hands(driven) == WAIT
    shaking.result()
    assert (driven.state, driven.conn.deadline) == ("WAITING", NOW + 5 + limits.IDLE_TIMEOUT)
    assert driven.begin(GET) == ANSWER
    assert driven.answer() == WAIT
    assert flushed(driven) == WAIT
    assert driven.received()
    driven.close()


@pytest.mark.parametrize("octets", [GET, b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\0" * 300])
def test_what_is_no_handshake_is_the_end(octets: bytes) -> None:
    driven = Shaking()
    driven.peer.sendall(octets)
    driven.peer.shutdown(socket.SHUT_WR)
    assert shake_hands(driven) == END
    assert isinstance(driven.conn.failure, ssl.SSLError)
    driven.close()


def test_a_handshake_that_never_comes_is_the_end() -> None:
    driven = Shaking()
    assert driven.conn.failure is None
    assert driven.conn.expire(NOW + limits.HANDSHAKE_TIMEOUT) == END
    assert isinstance(driven.conn.failure, TimeoutError)
    driven.close()


@TLS
@pytest.mark.parametrize("first", [1, 1000, 10000, 16000])
def test_pipelined_requests_in_tls_records(kind: str, first: int) -> None:
    """A record may hold more than the buffer has room for; the selector does not see what TLS keeps."""
    octets, driven = request(target="/" + "x" * 300) * 100, Driven(kind)
    driven.begin()
    for piece in (octets[:first], octets[first : first + 16384], octets[first + 16384 :]):
        driven.peer.sendall(piece)
    answered, action = 0, driven.ready()
    while answered < 100:
        while action == ANSWER:
            action = driven.answer(b"ok")
            answered += 1
        assert action == WAIT
        if answered < 100:
            readable, _, _ = select.select([driven.sock], [], [], 0.5)
            assert readable, f"{answered} of 100 answered, {driven.sock.pending()} octets wait inside TLS"
            action = driven.ready()
    assert all(driven.received() for _ in range(100))
    driven.close()


@TLS
def test_what_is_written_over_tls_leaves_at_once(kind: str) -> None:
    driven = Driven(kind)
    driven.begin(GET)
    next_head(driven.rfile)
    driven.peer.settimeout(1)
    driven.wfile.send_head(response(), "GET")
    driven.wfile.write(b"event")
    driven.wfile.flush()
    try:
        assert receive_exactly(driven.peer, len(response().take()) + 5).endswith(b"event")
    finally:
        driven.close()


@TLS
def test_a_body_passed_over_in_tls_makes_progress(kind: str) -> None:
    driven = Driven(kind)
    assert driven.begin(request("POST", "/", "Content-Length: 100000")) == ANSWER
    assert driven.answer(read=0) == WAIT
    for n in range(1, 4):
        assert driven.more(b"x" * 10000, now=NOW + n) == WAIT
        assert (driven.state, driven.conn.deadline) == ("DRAINING", NOW + n + limits.PROGRESS_TIMEOUT)
    driven.close()


@pytest.mark.parametrize("state", ["HANDSHAKING", "IDLE"])
def test_a_tls_socket_that_somebody_closed(state: str) -> None:
    sock, peer = socket.socketpair()
    with peer, server_context().wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as secure:
        conn = Connection(secure, ("client", 1), NOW, state == "HANDSHAKING")
        if state == "IDLE":
            offer(conn)
            assert attach(secure, Handler(), *open_streams(secure))
            withdraw(conn)
        secure.detach()
        socket.socket(fileno=conn.fd).close()
        assert (conn.ready if state == "HANDSHAKING" else conn.begin)(NOW) == END
        conn.closed()


@TLS
def test_a_tls_socket_is_a_blocking_one_for_its_handler(kind: str) -> None:
    driven = Driven(kind)
    driven.begin(GET)
    try:
        assert driven.sock.gettimeout() is None
    finally:
        driven.close()
