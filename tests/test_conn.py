"""One connection of the loop, driven by hand: every state, every action, on a clock that stands still.

No loop and no handler class: what a handler does is done by the tests, through the streams that the
connection gives it. What is slow to leave, and TLS, is in test_conn_sending.py.
"""

import random
import select
import socket
from collections.abc import Iterator

import pytest
from helpers import request
from pairs import NOW, READ, Driven, Handler, Task, next_head, reset, response

from fastserve import limits
from fastserve._conn import ANSWER, END, OFFER, STATE_NAMES, WAIT
from fastserve._offers import attach, offer, open_streams, withdraw
from fastserve.errors import REJECTIONS
from fastserve.limits import TICK

NAMES = [rejection.name for rejection in REJECTIONS]
GET = request()


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven()
    yield driven
    driven.close()


# -- Before a handler ------------------------------------------------------------------------------


def test_waiting_for_the_first_octet(driven: Driven) -> None:
    conn = driven.conn
    assert (driven.state, conn.interest, conn.deadline) == ("WAITING", READ, NOW + limits.IDLE_TIMEOUT)
    assert (conn.handler, conn.client_address, conn.fd) == (None, ("client", 1), driven.sock.fileno())
    assert (conn.is_broken(), conn.sending) == (False, False)
    assert driven.more(GET) == OFFER
    assert driven.sock.recv(1000) == GET, "octets were read before there was a handler"


def test_nothing_sent_in_time_is_the_end(driven: Driven) -> None:
    assert driven.conn.expire(NOW + limits.IDLE_TIMEOUT) == END
    driven.conn.closed()
    assert driven.state == "CLOSED"


def test_streams_and_handler_of_an_offer(driven: Driven) -> None:
    offer(driven.conn)
    rfile, wfile = open_streams(driven.sock)
    assert open_streams(driven.sock) == (rfile, wfile)
    assert Task(open_streams, driven.sock).result() != (rfile, wfile), "offered to another thread"
    assert not attach(driven.sock, driven.handler, wfile, rfile)
    assert not attach(driven.sock, driven.handler, rfile, object())
    assert not Task(attach, driven.sock, driven.handler, rfile, wfile).result()
    assert attach(driven.sock, driven.handler, rfile, wfile)
    assert not attach(driven.sock, Handler(), rfile, wfile)
    assert driven.conn.handler is driven.handler
    assert withdraw(driven.conn)


def test_an_offer_nobody_takes(driven: Driven) -> None:
    offer(driven.conn)
    rfile, wfile = open_streams(driven.sock)
    assert not withdraw(driven.conn)
    assert not attach(driven.sock, driven.handler, rfile, wfile)
    assert open_streams(driven.sock)[0] is not rfile
    other, far = socket.socketpair()
    with other, far:
        assert not attach(other, driven.handler, rfile, wfile)


# -- Reading ---------------------------------------------------------------------------------------


def post(size: int, *fields: str) -> bytes:
    return request("POST", "/", *fields, body=b"x" * size)


@pytest.mark.parametrize(("octets", "action", "state"), [
    (b"", WAIT, "IDLE"),
    (b"\r\n", WAIT, "HEAD"),
    (GET[:1], WAIT, "HEAD"),
    (GET[:-1], WAIT, "HEAD"),
    (GET, ANSWER, "ANSWERING"),
    (GET + GET, ANSWER, "ANSWERING"),
    (post(9)[:-9], WAIT, "BODY"),
    (post(9)[:-1], WAIT, "BODY"),
    (post(9), ANSWER, "ANSWERING"),
    (post(9, "Expect: 100-continue")[:-9], ANSWER, "ANSWERING"),
    (request("POST", "/", "Transfer-Encoding: chunked"), ANSWER, "ANSWERING"),
    (request("POST", "/", "Content-Length: 65537"), ANSWER, "ANSWERING"),
    (request("POST", "/", "Content-Length: 65536"), WAIT, "BODY"),
    (request("POST", "/", "Content-Length: 0"), ANSWER, "ANSWERING"),
    (b"GET  / HTTP/1.1\r\n", ANSWER, "ANSWERING"),
    (request("POST", "/", "Content-Length: x"), ANSWER, "ANSWERING"),
], ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None)
def test_what_is_done_with_the_first_octets(driven: Driven, octets: bytes, action: int, state: str) -> None:
    assert driven.begin(octets) == action
    assert driven.state == state
    assert driven.conn.interest == READ


def test_a_head_octet_by_octet(driven: Driven) -> None:
    driven.begin()
    for n, octet in enumerate(GET[:-1]):
        assert driven.more(bytes([octet]), now=NOW + n) == WAIT
        assert driven.state == "HEAD"
        assert driven.conn.deadline == NOW + limits.HEAD_TIMEOUT  # from its first octet
    assert driven.more(GET[-1:]) == ANSWER
    assert driven.answer() == WAIT
    assert driven.received()


def test_nothing_to_read_after_all(driven: Driven) -> None:
    driven.begin()
    for _ in range(3):
        assert driven.ready(NOW + 10) == WAIT
    assert (driven.state, driven.conn.deadline) == ("IDLE", NOW + limits.IDLE_TIMEOUT)


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_a_body_is_collected_up_to_a_limit(driven: Driven, over: int) -> None:
    size = limits.MAX_COLLECTED_BODY + over
    octets = post(size)
    head, body = octets[:-size], octets[-size:]
    assert driven.begin(head) == (WAIT if over <= 0 else ANSWER)
    if over <= 0:
        for start in range(0, size - 1, 10000):
            assert driven.more(body[start : min(start + 10000, size - 1)]) == WAIT
            assert driven.state == "BODY"
        assert driven.more(body[-1:]) == ANSWER
    else:
        driven.give(body)
    assert next_head(driven.rfile) is not None
    assert driven.rfile.read() == body


def test_each_part_of_a_body_has_its_own_time() -> None:
    driven = Driven(timeouts=limits.Timeouts(min_rate=0))
    driven.begin(post(5)[:-5])
    for n in range(4):
        assert driven.conn.deadline == NOW + 50 * n + limits.PROGRESS_TIMEOUT
        assert driven.more(b"x", now=NOW + 50 * (n + 1)) == WAIT
    driven.close()


# -- One after the other ---------------------------------------------------------------------------


def test_pipelined_requests_in_order(driven: Driven) -> None:
    action = driven.begin(b"".join(request("POST", f"/{n}", body=b"x" * n) for n in range(100)) + GET[:10])
    for n in range(100):
        assert action == ANSWER
        action = driven.answer(b"%d" % n, read=n // 2)
    assert (action, driven.state) == (WAIT, "HEAD")
    assert all(driven.received(b"%d" % n) for n in range(100))
    assert driven.more(GET[10:]) == ANSWER


def test_a_pipeline_split_anywhere() -> None:
    octets = request("POST", "/1", body=b"body") + request(target="/2")
    for at in range(1, len(octets)):
        driven = Driven()
        action = driven.begin(octets[:at])
        answered, given = 0, False
        while answered < 2:
            if action == ANSWER:
                action = driven.answer(b"%d" % answered)
                answered += 1
            else:
                assert not given, f"stuck in {driven.state}, split at {at}"
                action, given = driven.more(octets[at:]), True
        if not given:
            action = driven.more(octets[at:])
        assert (action, driven.state) == (WAIT, "IDLE")
        assert driven.received(b"0")
        assert driven.received(b"1")
        driven.close()


@pytest.mark.parametrize("seed", range(30))
def test_requests_at_any_segmentation(seed: int) -> None:
    """Bodies of each kind, in pieces of any size: the same requests come out, whole and in order."""
    chance = random.Random(seed)
    wishes = [wish(chance, n) for n in range(30)]
    octets, driven = b"".join(octets for octets, _, _ in wishes), Driven()
    action, sent, seen = driven.begin(), 0, []
    while len(seen) < len(wishes):
        if action == ANSWER:
            action = echo(driven, seen, wishes[len(seen)][1])
            continue
        assert action == WAIT
        assert sent < len(octets), f"stuck in {driven.state} after {len(seen)} requests"
        size = chance.choice((1, 2, 10, 100, 1000, 30000))
        driven.give(octets[sent : sent + size])
        sent += size
        action = driven.ready()
        while select.select([driven.sock], [], [], 0)[0] and action == WAIT:
            action = driven.ready()
    assert seen == [(f"/{n}", body) for n, (_, _, body) in enumerate(wishes)]
    assert (action, driven.state) == (WAIT, "IDLE")
    driven.close()


def wish(chance: random.Random, n: int) -> tuple[bytes, int, bytes]:
    """A request, how much of its body a handler reads, and what it then has read."""
    body = chance.randbytes(chance.choice((0, 0, 1, 5, 1000, 65536, 5000)))
    if n % 3 == 2:
        return request("POST", f"/{n}", body=body), -1, body
    read = chance.randrange(len(body) + 1)
    return request("GET" if n % 3 else "PUT", f"/{n}", body=body), read, body[:read]


def echo(driven: Driven, seen: list[tuple[str | None, bytes]], read: int) -> int:
    head = next_head(driven.rfile)
    assert head is not None
    seen.append((head.target, driven.rfile.read(read)))
    driven.wfile.send_head(response(0), head.method)
    return driven.answered()


def test_idle_time_begins_with_the_end_of_an_answer(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.answer(now=NOW + 500) == WAIT
    assert (driven.state, driven.conn.deadline) == ("IDLE", NOW + 500 + limits.IDLE_TIMEOUT)


def test_a_pipeline_may_take_longer_than_any_deadline(driven: Driven) -> None:
    """Each request of a busy client starts its own time: the first one's must not end the connection."""
    driven.begin(GET * 10)
    for n in range(10):
        now = NOW + 30 * (n + 1)
        assert driven.answer(now=now) == (ANSWER if n < 9 else WAIT)
        assert driven.conn.deadline > now, "a connection that is being answered is overdue"


def test_a_client_that_asked_to_close_is_not_read_further(driven: Driven) -> None:
    driven.begin(request() + request(target="/never"))
    assert driven.answer(close=True) == WAIT
    assert driven.state == "LINGERING"
    assert driven.received()
    assert driven.peer.recv(1) == b""


@pytest.mark.parametrize("declared", [3, 1])
def test_an_answer_out_of_step_is_the_last(driven: Driven, declared: int) -> None:
    driven.begin(GET + GET)
    next_head(driven.rfile)
    driven.wfile.send_head(response(declared), "GET")
    driven.wfile.write(b"ok")
    assert driven.answered() == WAIT
    assert driven.state == "LINGERING"


def test_a_handler_that_read_no_head_is_not_asked_again(driven: Driven) -> None:
    driven.begin(GET + GET)
    assert driven.answered() == WAIT
    assert driven.state == "LINGERING"


def test_a_handler_that_closed_the_socket(driven: Driven) -> None:
    """As for http.server, it stays open for the streams: the client is still served."""
    driven.begin(GET + GET)
    driven.sock.close()
    assert driven.answer(b"ok") == ANSWER
    assert driven.received(b"ok")


def test_a_handler_that_took_the_socket_away(driven: Driven) -> None:
    driven.begin(GET + GET)
    next_head(driven.rfile)
    with socket.socket(fileno=driven.sock.detach()):
        assert driven.answered() == END
        assert driven.conn.is_broken()


# -- Half closed and ended -------------------------------------------------------------------------


@pytest.mark.parametrize("written", [b"ok", b"o"])
def test_a_handler_that_goes_on_by_itself(driven: Driven, written: bytes) -> None:
    """Its answer must be whole; what it has not read of the request is passed over."""
    driven.begin(post(4) + GET)
    head = next_head(driven.rfile)
    driven.wfile.send_head(response(2), head.method)
    driven.wfile.write(written)
    assert driven.conn.reader is driven.rfile
    assert driven.conn.leave() == (written == b"ok")
    assert driven.rfile.readline() == b"GET / HTTP/1.1\r\n"
    assert driven.answered(close=True) in (WAIT, END)


def test_half_closed_clients_are_answered(driven: Driven) -> None:
    assert driven.begin(GET + GET, end=True) == ANSWER
    assert driven.answer(b"1") == ANSWER
    assert driven.answer(b"2") == WAIT
    assert driven.received(b"1")
    assert driven.received(b"2")
    assert driven.ready() == ANSWER  # the handler is told, as http.server tells it
    driven.rfile.await_head()
    assert driven.rfile.readline() == b""
    assert driven.answered(True) == END


def test_the_end_before_the_first_octet(driven: Driven) -> None:
    assert driven.more(b"", end=True) == OFFER
    driven.attach()
    assert driven.conn.begin(NOW) == ANSWER
    assert driven.rfile.readline() == b""
    assert driven.answered(True) == END


@pytest.mark.parametrize(("octets", "state"), [
    (b"\r\n", "HEAD"), (GET[:-1], "HEAD"), (post(9)[:-9], "BODY"), (post(9)[:-1], "BODY"),
])
def test_the_end_in_a_request(driven: Driven, octets: bytes, state: str) -> None:
    assert driven.begin(octets) == WAIT
    assert driven.state == state
    assert driven.more(b"", end=True) == END


def test_the_end_while_a_handler_runs(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.more(b"", end=True) == WAIT
    assert driven.answer() == WAIT
    assert driven.received()


def test_a_reset_in_each_state() -> None:
    for octets in (b"", GET[:-1], post(9)[:-9]):
        driven = Driven("tcp")
        driven.begin(octets)
        reset(driven.peer)
        assert driven.ready() == END
        assert driven.conn.is_broken()
        driven.close()


# -- Deadlines -------------------------------------------------------------------------------------


def sending(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.answer(b"x" * 900000) == WAIT


def draining(driven: Driven) -> None:
    driven.begin(post(100000)[:-100000])
    assert driven.answer(read=0) == WAIT


def lingering(driven: Driven) -> None:
    driven.begin(GET + GET)
    assert driven.answer(close=True) == WAIT


PREPARE = {
    "WAITING": lambda driven: None,
    "IDLE": lambda driven: driven.begin(),
    "HEAD": lambda driven: driven.begin(b"G"),
    "BODY": lambda driven: driven.begin(post(2)[:-2]),
    "SENDING": sending,
    "DRAINING": draining,
    "LINGERING": lingering,
}
TIMES = {
    "WAITING": limits.IDLE_TIMEOUT, "IDLE": limits.IDLE_TIMEOUT, "HEAD": limits.HEAD_TIMEOUT,
    "BODY": limits.RATE_GRACE, "SENDING": limits.PROGRESS_TIMEOUT,
    "DRAINING": limits.RATE_GRACE, "LINGERING": limits.LINGER_TIMEOUT,
}


@pytest.mark.parametrize("state", PREPARE)
def test_each_state_has_its_time(driven: Driven, state: str) -> None:
    PREPARE[state](driven)
    assert driven.state == state
    assert driven.conn.deadline == NOW + TIMES[state]
    driven.timers.watch(driven.conn)
    assert driven.timers.due(NOW + TIMES[state] - 0.001) == []
    assert driven.timers.due(NOW + TIMES[state] + 2 * TICK) == [driven.conn]
    assert driven.conn.expire(NOW + TIMES[state] + TICK) == (ANSWER if state in ("HEAD", "BODY") else END)


def test_a_repeated_head_whose_body_comes_too_slowly_is_refused(driven: Driven) -> None:
    driven.begin(post(9))
    driven.answer()
    driven.more(post(9)[:-1])
    assert driven.state == "BODY"
    assert driven.conn.expire(NOW + 60) == ANSWER
    head = next_head(driven.rfile)
    assert head is not None
    assert head.request() is None
    assert NAMES[head.rejection] == "REQUEST_TIMEOUT"


@pytest.mark.parametrize("octets", [
    b"\r\n", b"G", b"GET / HT", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n",
    post(9)[:-9], post(9)[:-1],
])
def test_what_came_too_slowly_is_refused(driven: Driven, octets: bytes) -> None:
    driven.begin(octets)
    assert driven.conn.expire(NOW + 60) == ANSWER
    driven.rfile.await_head()
    line = driven.rfile.readline(65537)
    head = driven.rfile.take_head(line)
    assert NAMES[head.rejection] == "REQUEST_TIMEOUT"
    driven.wfile.send_head(response(2), None)
    driven.wfile.write(b"no")
    driven.answered()
    assert driven.state == "LINGERING"
    assert driven.received(b"no")


@pytest.mark.parametrize("octets", [
    b"\r\n", b"G", b"GET / HT", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: a",
])
def test_what_came_too_slowly_and_is_read_by_hand(driven: Driven, octets: bytes) -> None:
    """A handler that reads header lines itself gets octets of this connection, never other memory."""
    driven.begin(octets)
    assert driven.conn.expire(NOW + 60) == ANSWER
    driven.rfile.readline(65537)
    driven.give(b"", end=True)
    rest = driven.rfile.readline(65537)
    assert len(rest) <= len(octets), f"{len(rest)} octets out of {len(octets)}"
    assert octets.endswith(rest)


@pytest.mark.parametrize("octets", [b"", b"GET / HT", post(9)[:-1]], ids=["IDLE", "HEAD", "BODY"])
def test_a_handlers_own_timeout(octets: bytes) -> None:
    driven = Driven(timeout=7)
    driven.begin(octets)
    assert driven.conn.deadline == NOW + 7
    assert driven.conn.expire(NOW + 7) == ANSWER
    driven.rfile.await_head()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            driven.rfile.readline(65537)
    driven.answered(True)
    assert driven.state == "LINGERING"
    driven.close()


# -- Bodies that nobody read -----------------------------------------------------------------------


def test_an_unread_body_is_passed_over(driven: Driven) -> None:
    driven.begin(post(100000)[:-100000])
    assert driven.answer(read=0) == WAIT
    assert (driven.state, driven.conn.interest) == ("DRAINING", READ)
    assert driven.received()
    for n in range(9):
        assert driven.more(b"x" * 10000, now=NOW + n) == WAIT
        assert (driven.state, driven.conn.deadline) == ("DRAINING", NOW + n + limits.PROGRESS_TIMEOUT)
    action = driven.more(b"x" * 10000 + GET)
    while action == WAIT and driven.state == "DRAINING":
        action = driven.ready()
    if action == WAIT:
        action = driven.ready()
    assert action == ANSWER
    assert driven.answer() == WAIT


def test_the_end_in_an_unread_body(driven: Driven) -> None:
    draining(driven)
    assert driven.more(b"x", end=True) == WAIT
    assert driven.ready() == END


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_more_than_a_limit_is_not_passed_over(driven: Driven, over: int) -> None:
    driven.begin(request("POST", "/", f"Content-Length: {limits.MAX_DRAINED_BODY + over}"))
    assert driven.answer(read=0) == WAIT
    assert driven.state == ("DRAINING" if over <= 0 else "LINGERING")


@pytest.mark.parametrize(("read", "fields"), [
    (0, ["Transfer-Encoding: chunked"]), (0, ["Expect: 100-continue", "Content-Length: 10"]),
    (1, ["Connection: upgrade", "Upgrade: x"]),
])
def test_a_body_of_unknown_end_is_the_last(driven: Driven, read: int, fields: list[str]) -> None:
    driven.begin(request("POST", "/", *fields) + GET)
    assert driven.answer(read=read) == WAIT
    assert driven.state == "LINGERING"


def test_nothing_read_behind_an_upgrade_changes_nothing(driven: Driven) -> None:
    driven.begin(request("POST", "/", "Connection: upgrade", "Upgrade: x") + GET)
    assert driven.answer(read=0) == ANSWER


def test_a_body_read_after_expect(driven: Driven) -> None:
    driven.begin(post(9, "Expect: 100-continue")[:-9])
    next_head(driven.rfile)
    driven.wfile.send_head(response(status=100), "POST")
    driven.give(b"x" * 9 + GET)
    assert driven.rfile.read() == b"x" * 9
    driven.wfile.send_head(response(0), "POST")
    assert driven.answered() == ANSWER


# -- What comes too late ---------------------------------------------------------------------------


def test_a_closed_connection_wants_nothing(driven: Driven) -> None:
    """Closed by what was done for another one, while the selector had said that this one is ready."""
    driven.give(GET)
    driven.conn.closed()
    assert driven.conn.ready(NOW) == WAIT
    assert driven.conn.expire(NOW + limits.IDLE_TIMEOUT) == WAIT


def test_what_one_answer_declared_does_not_count_for_the_next(driven: Driven) -> None:
    driven.begin(GET + GET)
    assert driven.answer(b"ok") == ANSWER
    next_head(driven.rfile)
    driven.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")
    assert driven.answered() == WAIT
    assert driven.state == "IDLE"


# -- Parting ---------------------------------------------------------------------------------------


def test_a_client_that_sent_no_more_is_left_at_once(driven: Driven) -> None:
    driven.begin(GET)
    assert driven.answer(close=True) == END


def test_an_answer_survives_what_the_client_still_sends(driven: Driven) -> None:
    lingering(driven)
    assert (driven.conn.interest, driven.conn.deadline) == (READ, NOW + limits.LINGER_TIMEOUT)
    for n in range(100):
        assert driven.more(GET, now=NOW + n) == WAIT
    assert driven.conn.deadline == NOW + limits.LINGER_TIMEOUT, "a client may prolong the parting"
    assert driven.received()
    assert driven.peer.recv(1) == b""
    assert driven.more(b"", end=True) == END


def test_what_came_while_the_answer_left_is_dropped_first() -> None:
    """To close with octets in the socket would reset it, and the answer be lost."""
    driven = Driven("tcp")
    driven.begin(GET)
    driven.give(GET)
    assert driven.answer(close=True) == WAIT
    assert driven.state == "LINGERING"
    assert driven.more(b"", end=True) == END
    driven.close()


def test_a_client_that_sends_without_end_is_left() -> None:
    """By its deadline: so that it reads its answer it may send as much as it can until then."""
    driven = Driven()
    lingering(driven)
    sent = 0
    while sent < 20 << 20:
        sent += driven.peer.send(b"x" * 65536)
        assert driven.ready() == WAIT
    assert driven.received()
    assert driven.conn.expire(driven.conn.deadline) == END
    driven.close()


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_what_is_dropped_in_one_turn(over: int) -> None:
    """Others have theirs."""
    driven = Driven()
    lingering(driven)
    octets = b"x" * (limits.LINGER_BATCH + over)
    assert driven.peer.send(octets) == len(octets)
    assert driven.ready() == WAIT
    assert bool(select.select([driven.conn.fd], [], [], 0)[0]) == (over > 0)
    driven.close()


def test_the_names_of_the_states() -> None:
    assert len(STATE_NAMES) == len(set(STATE_NAMES)) == 10
    assert set(TIMES) < set(STATE_NAMES)
