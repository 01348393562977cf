"""A server's own timeouts, and the least rate of bodies and answers.

Where a loop has the connection the clock stands still, and every figure is exact; where a thread waits for
it, the time is real, short, and only its order counts.
"""

import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from handlers.lanes import Handler
from helpers import request
from pairs import NOW, Driven, Ends, Task, next_head, receive_all, response, small_buffers

import fastserve
from fastserve import limits
from fastserve._conn import ANSWER, END, WAIT
from fastserve._deadlines import Deadlines, of_server
from fastserve._offers import open_streams
from fastserve.limits import Timeouts

GET = request()
AROUND = pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
# 100 octets a second after 10 s, and no other bound near it.
SLOW = Timeouts(progress=5000, grace=10, min_rate=100)
HASTE = Timeouts(progress=5000, grace=0.2, min_rate=100)  # for threads


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven(timeouts=SLOW)
    yield driven
    driven.close()


def post(size: int, *fields: str) -> bytes:
    return request("POST", "/", *fields, f"Content-Length: {size}")


# -- The figures -----------------------------------------------------------------------------------


def test_the_defaults_are_the_named_limits() -> None:
    assert Timeouts() == (limits.HEAD_TIMEOUT, limits.IDLE_TIMEOUT, limits.PROGRESS_TIMEOUT,
                          limits.HANDSHAKE_TIMEOUT, limits.LINGER_TIMEOUT, limits.RATE_GRACE, limits.MIN_RATE)


@pytest.mark.parametrize("name", Timeouts._fields)
@pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), 1.1e9])
def test_a_figure_that_cannot_be_meant(name: str, value: float) -> None:
    timeouts = Timeouts()._replace(**{name: value})
    if value == 0 and name in ("grace", "min_rate"):
        assert of_server(timeouts)
        return
    for make in (Deadlines, of_server):
        with pytest.raises(ValueError, match=name):
            make(timeouts)


def test_what_is_none_of_ours_is_left_alone() -> None:
    assert of_server(Timeouts(idle=5)) is of_server(Timeouts(idle=5))
    assert of_server(None) is of_server(30) is of_server((1, 2, 3, 4, 5, 6, 7)) is of_server(object())
    with pytest.raises(TypeError):
        Deadlines(None)  # type: ignore[arg-type]


def test_each_state_has_the_servers_time() -> None:
    driven = Driven(timeouts=Timeouts(1, 2, 3, 4, 5, 6, 0))
    assert driven.conn.deadline == NOW + 2
    driven.begin(GET[:1])
    assert (driven.state, driven.conn.deadline) == ("HEAD", NOW + 1)
    driven.more(GET[1:])
    assert driven.answer() == WAIT
    assert (driven.state, driven.conn.deadline) == ("IDLE", NOW + 2)
    driven.more(post(9))
    assert (driven.state, driven.conn.deadline) == ("BODY", NOW + 3)
    driven.more(b"x" * 9 + GET)
    assert driven.answer(close=True) == WAIT
    assert (driven.state, driven.conn.deadline) == ("LINGERING", NOW + 5)
    driven.close()


@pytest.mark.parametrize("octets", [b"", GET[:1], post(9)])
def test_a_handlers_own_timeout_comes_before_the_servers(octets: bytes) -> None:
    driven = Driven(timeout=7, timeouts=Timeouts(1, 2, 3, 4, 5, 60, 100))
    driven.begin(octets)
    assert driven.conn.deadline == NOW + 7
    driven.close()


def test_a_handlers_own_timeout_asks_for_no_less() -> None:
    """A client that moves an octet in time is not idle, and is too slow all the same."""
    driven = Driven(timeout=50, timeouts=SLOW)
    driven.begin(post(9000))
    assert driven.conn.deadline == NOW + 10
    assert driven.conn.expire(NOW + 10) == ANSWER
    driven.rfile.await_head()
    with pytest.raises(TimeoutError):
        driven.rfile.readline()
    driven.close()


# -- Bodies that the loop waits for ----------------------------------------------------------------


@AROUND
def test_a_body_that_is_collected_keeps_the_rate(driven: Driven, over: int) -> None:
    """Twenty seconds, ten of them free: a thousand octets."""
    driven.begin(post(5000))
    driven.more(b"x" * (999 + over), now=NOW + 1)
    assert driven.more(b"x", now=NOW + 20) == WAIT
    driven.timers.watch(driven.conn)
    assert driven.conn.deadline == pytest.approx(NOW + 20 + max(over, 0) / 100)
    assert (driven.conn.deadline > NOW + 20) is (over > 0)


def test_each_octet_of_a_body_counts_once(driven: Driven) -> None:
    driven.begin(post(5000) + b"x" * 30)
    assert driven.conn.deadline == pytest.approx(NOW + 10.3), "the head is no part of the body"
    for n in range(1, 9):
        assert driven.more(b"x" * 30, now=NOW + n) == WAIT
        assert driven.conn.deadline == pytest.approx(NOW + 10 + (n + 1) * 0.3)


def test_a_body_may_pause_after_a_fast_start() -> None:
    driven = Driven(timeouts=Timeouts())
    driven.begin(post(60_000))
    driven.more(b"x" * 16_000)
    assert driven.conn.deadline == NOW + limits.PROGRESS_TIMEOUT
    assert driven.more(b"x", now=NOW + 59) == WAIT
    assert driven.conn.deadline == pytest.approx(NOW + limits.RATE_GRACE + 16_001 / limits.MIN_RATE)
    driven.close()


def test_an_octet_a_second_is_refused_by_name(driven: Driven) -> None:
    driven.begin(post(5000))
    seconds = 0
    while driven.conn.deadline > NOW + seconds:
        seconds += 1
        assert driven.more(b"x", now=NOW + seconds) == WAIT
    assert seconds == 11
    assert driven.conn.expire(NOW + seconds) == ANSWER
    head = next_head(driven.rfile)
    assert head is not None
    assert head.rejection


def test_one_body_does_not_count_for_the_next(driven: Driven) -> None:
    action = driven.begin(post(50_000) + b"x" * 50_000)
    while action == WAIT:
        action = driven.ready()
    assert driven.answer(now=NOW + 1) == WAIT
    driven.more(post(5000), now=NOW + 100)
    assert driven.conn.deadline == NOW + 110


@AROUND
def test_a_body_that_is_passed_over_keeps_the_rate(driven: Driven, over: int) -> None:
    driven.begin(post(100_000))
    driven.answer(read=0, now=NOW + 500)  # the handler took its time, which is none of the client's
    assert (driven.state, driven.conn.deadline) == ("DRAINING", NOW + 510)
    driven.more(b"x" * (999 + over), now=NOW + 505)
    driven.more(b"x", now=NOW + 520)
    assert driven.conn.deadline == pytest.approx(NOW + 520 + max(over, 0) / 100)


def test_a_body_that_was_read_in_part_counts_whole(driven: Driven) -> None:
    driven.begin(post(100_000) + b"x" * 5000)
    driven.answer(read=4000)
    assert driven.conn.deadline == pytest.approx(NOW + 10 + 5000 / 100)


def test_without_a_rate_there_is_none() -> None:
    driven = Driven(timeouts=Timeouts(min_rate=0))
    driven.begin(post(5000))
    for n in range(100):
        driven.more(b"x", now=NOW + n * 50)
        assert driven.conn.deadline == NOW + n * 50 + limits.PROGRESS_TIMEOUT
    driven.close()


# -- Answers that the loop sends -------------------------------------------------------------------


def sent_at_once(driven: Driven, size: int) -> int:
    """Begin an answer of that size; how many octets of it, head and all, the socket takes at once."""
    driven.begin(GET)
    assert driven.answer(b"x" * size) == WAIT
    assert driven.state == "SENDING"
    return len(everything(driven.peer))


def everything(sock: socket.socket) -> bytes:
    """What has been sent to it."""
    data = b""
    while select.select([sock], [], [], 0)[0] and (piece := sock.recv(1 << 20)):
        data += piece
    return data


def test_an_answer_that_leaves_keeps_the_rate(driven: Driven) -> None:
    """What the socket took at once counts as taken."""
    count = sent_at_once(driven, 900_000)
    assert driven.conn.deadline == pytest.approx(NOW + 10 + count / 100)
    now = NOW
    while driven.state == "SENDING":
        now += 50
        driven.ready(now)
        count += len(everything(driven.peer))
        if driven.state == "SENDING":
            assert driven.conn.deadline == pytest.approx(min(NOW + 10 + count / 100, now + 5000))
    assert now > NOW + 50


@AROUND
def test_an_answer_is_cut_off_at_the_rate(over: int) -> None:
    probe = Driven(timeouts=SLOW)
    count = sent_at_once(probe, 900_000)
    probe.close()
    driven = Driven(timeouts=SLOW._replace(grace=10 + over))
    assert sent_at_once(driven, 900_000) == count
    late = NOW + 10 + count / 100
    driven.timers.watch(driven.conn)
    assert (driven.conn in driven.timers.due(late + limits.TICK)) is (over <= 0)
    assert driven.conn.expire(late + 2) == END
    driven.close()


def test_who_does_not_read_is_reset() -> None:
    """Else the kernel would keep what it took, and try to send it, for as long as the client likes."""
    driven = Driven("tcp", timeouts=SLOW)
    small_buffers(driven.sock, driven.peer)
    driven.begin(GET)
    driven.answer(b"x" * 900_000)
    while select.select([], [driven.sock], [], 0.05)[1]:  # until the client's own buffer is full too
        driven.ready()
    assert driven.state == "SENDING"
    assert driven.conn.expire(driven.conn.deadline) == END
    assert driven.conn.is_broken()
    driven.conn.closed()
    driven.sock.shutdown(socket.SHUT_WR)  # as socketserver does
    driven.sock.close()
    with pytest.raises(ConnectionResetError):
        receive_all(driven.peer)
    driven.peer.close()


def test_an_answer_may_pause_after_a_fast_start() -> None:
    """A video's player that has enough for now: what it took counts, PROGRESS_TIMEOUT bounds the pause."""
    driven = Driven(timeouts=Timeouts())
    now = NOW + 100.0
    count = sent_at_once(driven, 900_000)
    assert count > limits.PROGRESS_TIMEOUT * limits.MIN_RATE
    assert driven.ready(now) == WAIT
    assert driven.conn.deadline == now + limits.PROGRESS_TIMEOUT
    driven.close()


def test_a_slow_handler_is_no_slow_client(driven: Driven) -> None:
    """Ten octets every thousand seconds, each taken at once: nobody waited for the client."""
    driven.begin(GET)
    next_head(driven.rfile)
    driven.wfile.send_head(response(), "GET")
    for n in range(20):
        driven.wfile.write(b"data: n\n\n")
        assert driven.conn.expire(NOW + n * 1000) != END
    driven.wfile.write(b"x" * 900_000)
    assert driven.answered(now=NOW + 20_000) == WAIT
    assert driven.state == "SENDING"
    assert driven.conn.deadline > NOW + 20_010


def test_one_answer_does_not_count_for_the_next(driven: Driven) -> None:
    count = sent_at_once(driven, 900_000)
    while driven.state == "SENDING":
        driven.ready(NOW + 3000)
        everything(driven.peer)
    driven.more(GET, now=NOW + 4000)
    driven.answer(b"x" * 900_000, now=NOW + 4000)
    assert driven.conn.deadline == pytest.approx(NOW + 4010 + count / 100)


# -- Threads that wait -----------------------------------------------------------------------------


def trickle(sock: socket.socket, waiting: Task, octets: bytes = b"x") -> None:
    """Send an octet whenever the last has been read, until nobody waits any more."""
    while waiting.is_alive():
        sock.sendall(octets)
        waiting.join(0.02)


@pytest.mark.parametrize("fields", [["Content-Length: 70000"], ["Transfer-Encoding: chunked"]])
def test_a_thread_gives_up_a_body_that_trickles(fields: list[str]) -> None:
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", *fields), end=False)
        reading = Task(ends.rfile.read)
        trickle(ends.peer, reading)
        with pytest.raises(TimeoutError):
            reading.result()


def test_who_looks_now_and_then_gives_up_a_body_that_trickles() -> None:
    def read() -> None:
        while True:
            assert ends.rfile.read_now() != b""
            time.sleep(0.001)

    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", "Content-Length: 70000"), end=False)
        reading = Task(read)
        trickle(ends.peer, reading)
        with pytest.raises(TimeoutError):
            reading.result()


def test_who_had_enough_to_do_did_not_wait() -> None:
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", "Content-Length: 70000"), end=False)
        for _ in range(20):
            ends.peer.sendall(b"x")
            assert ends.rfile.read_now() == b"x"
            assert not select.select([ends.sock], [], [], 0.02)[0]
        assert ends.rfile.read_now() is None


def test_a_thread_gives_up_an_unread_body_that_trickles() -> None:
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", "Content-Length: 70000"), end=False)
        waiting = Task(ends.rfile.await_request)
        trickle(ends.peer, waiting)
        waiting.result()
        with pytest.raises(TimeoutError):
            ends.rfile.readline()


def test_a_thread_waits_for_a_body_that_keeps_the_rate() -> None:
    """At a hundred times the rate, five times as long as the grace."""
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", "Content-Length: 70000"), end=False)
        reading = Task(ends.rfile.read, 10_000)
        for _ in range(50):
            ends.peer.sendall(b"x" * 200)
            reading.join(0.02)
        assert len(reading.result()) == 10_000


def test_a_thread_that_reads_now_and_then_is_not_waiting() -> None:
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("POST", "/", "Content-Length: 70000"), end=False)
        for _ in range(25):
            ends.peer.sendall(b"x")
            assert ends.rfile.read(1) == b"x"
            assert not select.select([ends.sock], [], [], 0.02)[0]


def test_another_protocol_is_as_slow_as_it_likes() -> None:
    with Ends(timeouts=HASTE) as ends:
        ends.take(request("GET", "/", "Connection: upgrade", "Upgrade: x"), end=False)
        ends.wfile.send_head(response(status=101), "GET")
        reading = Task(ends.rfile.read, 20)
        for _ in range(20):
            ends.peer.sendall(b"x")
            reading.join(0.02)
        assert reading.result() == b"x" * 20


def big_answer(ends: Ends) -> Task:
    small_buffers(ends.sock, ends.peer)
    ends.take(GET, end=False)
    ends.wfile.send_head(response(8 << 20), "GET")
    return Task(ends.wfile.write, b"x" * (8 << 20))


def test_a_thread_gives_up_a_client_that_does_not_read() -> None:
    with Ends("tcp", timeouts=HASTE._replace(min_rate=10_000_000)) as ends:
        with pytest.raises(TimeoutError):
            big_answer(ends).result()
        assert ends.wfile.is_broken()
        assert ends.sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)


def test_a_thread_waits_for_a_client_that_reads() -> None:
    with Ends("tcp", timeouts=HASTE) as ends:
        writing, count = big_answer(ends), 0
        while writing.is_alive():
            count += len(ends.peer.recv(1 << 16))
            writing.join(0.002)
        assert writing.result() == 8 << 20
        assert count > 1 << 20


@pytest.mark.parametrize(("octets", "name"), [(b"", "idle"), (GET[:5], "head")])
def test_a_thread_has_the_servers_time_for_a_head(octets: bytes, name: str) -> None:
    with Ends(timeouts=Timeouts()._replace(**{name: 0.1})) as ends:
        ends.give(octets, end=False)
        for wait in (ends.rfile.await_head, ends.rfile.await_request):
            Task(wait).result()
        line = Task(ends.rfile.next_line, 65537).result()
        assert line == octets
        head = ends.rfile.take_head(line)
        assert (head is not None and head.rejection > 0) is (name == "head")


# -- From a server to its connections --------------------------------------------------------------


SHORT = Timeouts(head=0.1)


@pytest.mark.parametrize("of", ["the class", "the server"])
def test_a_server_has_its_own(host: Any, serve: Any, client: Any, of: str) -> None:
    class Server(host):  # type: ignore[misc]
        if of == "the class":
            timeouts = SHORT

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            if of == "the server":
                self.timeouts = SHORT

    peer = client(serve(Handler, Server))
    peer.send(GET[:5])
    assert peer.reply().status == 408
    assert peer.is_closed()


@pytest.mark.parametrize("asks", [0, 1])
def test_an_idle_connection_ends_everywhere(host: Any, serve: Any, client: Any, asks: int) -> None:
    peer = client(serve(Handler, type("Server", (host,), {"timeouts": Timeouts(idle=0.1)})))
    for _ in range(asks):
        assert peer.ask(GET).status == 200
    assert peer.is_closed()


def test_a_server_with_figures_that_cannot_be_meant_does_not_begin() -> None:
    with fastserve.HTTPServer(("127.0.0.1", 0), fastserve.BaseHTTPRequestHandler) as server:
        server.timeouts = Timeouts(idle=-1)
        with pytest.raises(ValueError, match="'idle' cannot be -1"):
            server.serve_forever()


def test_streams_of_a_server_that_keeps_something_else_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        rfile, wfile = open_streams(ours, 0, {"read": 5})
        rfile.close()
        wfile.close()
