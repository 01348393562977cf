"""max_connections: who makes room, who is told that there is none, and that a flood changes nothing."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, request, wait_until
from pairs import NOW, Driven, TLSClient, certificate, client_context
from serving.apps import Gate, HTTPServer, Quiet, ThreadingHTTPServer
from serving.secure import HTTPSServer

import fastserve
from fastserve import limits
from fastserve._conn import END, WAIT
from fastserve.serving.bound import Bound

Serve = Callable[..., Any]
GET = request(target="/path")
PART = b"GET / HTTP/1.1\r\n"
SAID = "fastserve: {} connections are open, which is all there may be\n"


SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])


def bounded(most: int, base: Any = HTTPServer) -> Any:
    return type("Bounded", (base,), {"max_connections": most})


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def clients(stack: contextlib.ExitStack, server: Any, count: int) -> list[Client]:
    return [stack.enter_context(Client(server.server_address)) for _ in range(count)]


def is_told(reply: Reply | None) -> bool:
    return reply is not None and reply.status == 503


# -- Around the bound ------------------------------------------------------------------------------


@SERVERS
@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_around_the_bound(
    serve: Serve, stack: contextlib.ExitStack, log: Any, server_class: Any, most: int, over: int
) -> None:
    server = serve(Quiet, bounded(most, server_class))
    busy = clients(stack, server, most + over - 1)
    for client in busy:
        client.send(PART)
    with Client(server.server_address) as last:
        last.send(GET)
        reply = last.reply()
        assert is_told(reply) if over > 0 else reply.body == b"/path"  # type: ignore[union-attr]
    for client in busy:  # none of them has noticed
        assert client.ask(b"Host: a\r\n\r\n").body == b"/"
    assert log.text() == (SAID.format(most) if over > 0 else "")
    assert server.errors == []


def test_the_answer(serve: Serve, stack: contextlib.ExitStack) -> None:
    server = serve(Quiet, bounded(1))
    clients(stack, server, 1)[0].send(PART)
    with Client(server.server_address) as client:
        reply = client.reply()  # not a word was said
        assert reply is not None
        assert reply.line == "HTTP/1.1 503 Service Unavailable"
        fields = dict(reply.headers)
        assert fields.pop("Date").endswith(" GMT")
        assert fields == {
            "Server": f"BaseHTTP {Quiet.sys_version}", "Content-Type": "text/plain", "Content-Length": "21",
            "Retry-After": str(limits.RETRY_AFTER), "Connection": "close",
        }
        assert reply.body == b"too many connections\n"
        assert client.is_closed()


@pytest.mark.parametrize("octets", [b"", GET, request("POST", "/", body=b"x" * 200000)],
                         ids=["nothing", "request", "upload"])
def test_the_client_can_read_the_answer(serve: Serve, stack: contextlib.ExitStack, octets: bytes) -> None:
    """Whatever it is sending: a close with unread octets would reset the connection."""
    server = serve(Quiet, bounded(1))
    clients(stack, server, 1)[0].send(PART)
    for _ in range(20):
        with Client(server.server_address) as client:
            client.send(octets)
            client.end()
            assert is_told(client.reply())


def test_there_is_room_again(serve: Serve, stack: contextlib.ExitStack) -> None:
    server = serve(Quiet, bounded(1))
    busy = clients(stack, server, 1)[0]
    busy.send(PART)
    with Client(server.server_address) as client:
        assert is_told(client.reply())
    busy.close()

    def is_served() -> bool:
        with Client(server.server_address) as client:
            return client.ask(GET).body == b"/path"

    assert wait_until(is_served)


def test_one_whose_body_is_on_the_way_is_not_idle(serve: Serve, stack: contextlib.ExitStack) -> None:
    server = serve(Quiet, bounded(1))
    busy = clients(stack, server, 1)[0]
    assert busy.ask(GET).body == b"/path"
    busy.send(request("POST", "/", "Content-Length: 5"))
    assert busy.ask(b"12345" + request("POST", "/", "Content-Length: 2")).body == b"5"  # so the 2 are awaited
    with Client(server.server_address) as client:
        assert is_told(client.reply())
    assert busy.ask(b"12").body == b"2"


def test_handlers_in_threads_count(serve: Serve, stack: contextlib.ExitStack) -> None:
    gate = Gate()

    class Waiting(Quiet):
        def do_GET(self) -> None:
            gate.wait()
            super().do_GET()

    server = serve(Waiting, bounded(2, ThreadingHTTPServer))
    busy = clients(stack, server, 2)
    for client in busy:
        client.send(GET)
    assert gate.reached.wait(5)
    try:
        with Client(server.server_address) as client:
            assert is_told(client.reply())
    finally:
        gate.open.set()
    for client in busy:
        reply = client.reply()
        assert reply is not None
        assert reply.body == b"/path"


# -- Who makes room --------------------------------------------------------------------------------


@SERVERS
def test_the_one_that_has_been_idle_the_longest_makes_room(
    serve: Serve, stack: contextlib.ExitStack, clock: Any, server_class: Any
) -> None:
    server = serve(Quiet, bounded(3, server_class))
    first, second, third = clients(stack, server, 3)
    for client in (first, second, third, second, first):  # so the third is the one
        assert client.ask(GET).body == b"/path"
    clock.ahead += 2 * limits.TICK
    fourth = clients(stack, server, 1)[0]
    assert fourth.ask(GET).body == b"/path"
    assert third.is_closed()
    fifth = clients(stack, server, 1)[0]
    assert fifth.ask(GET).body == b"/path"
    assert second.is_closed()
    assert first.ask(GET).body == b"/path"
    assert server.errors == []


@SERVERS
def test_many_come_at_once(
    serve: Serve, stack: contextlib.ExitStack, clock: Any, server_class: Any
) -> None:
    """Each takes the place of one that is idle, and no more than that."""
    most = 20
    server = serve(Quiet, bounded(most, server_class))
    kept = clients(stack, server, most)
    for client in kept:
        assert client.ask(GET).body == b"/path"
    clock.ahead += 2 * limits.TICK
    new = clients(stack, server, most)
    for client in new:
        client.send(PART)
    assert all(client.is_closed() for client in kept)
    for client in new:
        assert client.ask(b"Host: a\r\n\r\n").body == b"/"


def test_one_that_was_answered_just_now_is_not_idle(
    serve: Serve, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is at work."""
    monkeypatch.setattr("fastserve.serving.bound.TICK", PATIENCE)
    server = serve(Quiet, bounded(1))
    client = clients(stack, server, 1)[0]
    for _ in range(20):
        assert client.ask(GET).body == b"/path"
        with Client(server.server_address) as other:
            assert is_told(other.reply())


def test_one_that_has_sent_nothing_yet_is_not_idle(serve: Serve, stack: contextlib.ExitStack) -> None:
    """Its first request may be on the way, and a client does not send that twice."""
    server = serve(Quiet, bounded(1))
    waiting = clients(stack, server, 1)[0]
    with Client(server.server_address) as client:
        assert is_told(client.reply())
    assert waiting.ask(GET).body == b"/path"


# -- Floods ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])
def test_how_many_are_told_at_once(serve: Serve, stack: contextlib.ExitStack, log: Any, over: int) -> None:
    server = serve(Quiet, bounded(1))
    busy = clients(stack, server, 1)[0]
    busy.send(PART)
    told = clients(stack, server, limits.MAX_TURNED_AWAY + over - 1)
    assert all(is_told(client.reply()) for client in told)
    with Client(server.server_address) as last:  # the others have not closed
        if over > 0:
            assert last.is_closed()
        else:
            assert is_told(last.reply())
    assert busy.ask(b"Host: a\r\n\r\n").body == b"/"
    assert log.text() == SAID.format(1)


def test_those_that_were_told_and_stay_are_closed_in_time(
    serve: Serve, stack: contextlib.ExitStack, clock: Any
) -> None:
    server = serve(Quiet, bounded(1))
    busy = clients(stack, server, 1)[0]
    busy.send(PART)
    for _ in range(3):
        told = clients(stack, server, limits.MAX_TURNED_AWAY)
        assert all(is_told(client.reply()) for client in told)
        clock.ahead += limits.LINGER_TIMEOUT + 2 * limits.TICK
        for client in told:
            assert client.is_closed()
            # Its end was not waited for, so it was the server that closed.
            assert wait_until(lambda client=client: is_gone(client.sock))
    assert busy.ask(b"Host: a\r\n\r\n").body == b"/"


def is_gone(sock: socket.socket) -> bool:
    """Whether the other end refuses what is sent."""
    try:
        sock.send(b"x")
    except ConnectionError:
        return True
    return False


def test_over_tls_there_is_no_answer(serve: Serve, stack: contextlib.ExitStack) -> None:
    server = serve(Quiet, bounded(1, HTTPSServer), certfile=certificate())
    with TLSClient(server.server_address) as client:
        assert client.ask(GET).body == b"/path"
        client.send(PART)
        other = clients(stack, server, 1)[0]
        assert other.is_closed()
        assert client.ask(b"Host: a\r\n\r\n").body == b"/"
    with TLSClient(server.server_address) as client:
        assert client.ask(GET).body == b"/path"


def test_a_server_that_stops_does_not_wait_for_those_it_told(
    serve: Serve, stack: contextlib.ExitStack
) -> None:
    server = serve(Quiet, bounded(1))
    clients(stack, server, 1)[0].send(PART)
    told = clients(stack, server, 3)
    assert all(is_told(client.reply()) for client in told)
    begun = time.monotonic()
    server.shutdown()
    assert time.monotonic() - begun < limits.LINGER_TIMEOUT


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert fastserve.HTTPServer.max_connections is None
    for wrong in (0, -1):
        with bounded(wrong)(("127.0.0.1", 0), Quiet) as server, pytest.raises(ValueError, match="at least 1"):
            server.serve_forever()


# -- By hand ---------------------------------------------------------------------------------------


@pytest.fixture
def three() -> Iterator[list[Driven]]:
    """Three connections, idle; the later the longer they may be."""
    three = [Driven() for _ in range(3)]
    for n, driven in enumerate(three):
        driven.begin(GET)
        driven.answer(now=NOW + n)
    yield three
    for driven in three:
        driven.close()


def test_how_long_is_idle(three: list[Driven]) -> None:
    conn = three[0].conn
    assert conn.idle_since == NOW
    assert Bound(3).longest_idle([conn], NOW + limits.TICK * 0.9) is None
    assert Bound(3).longest_idle([conn], NOW + limits.TICK * 1.1) is conn


def test_all_are_looked_at_once_a_tick(three: list[Driven]) -> None:
    bound, all_of_them = Bound(3), [driven.conn for driven in three]
    assert bound.longest_idle([], NOW + 10) is None
    assert bound.longest_idle(all_of_them, NOW + 10 + limits.TICK * 0.9) is None
    assert bound.longest_idle(all_of_them, NOW + 10 + limits.TICK * 1.1) is all_of_them[0]


def test_one_that_was_busy_meanwhile_is_passed_over(three: list[Driven]) -> None:
    bound, all_of_them = Bound(3), [driven.conn for driven in three]
    assert bound.longest_idle(all_of_them, NOW + 10) is all_of_them[0]
    three[1].more(GET)
    three[1].answer(now=NOW + 9)
    three[2].more(PART)
    assert [conn.idle_since for conn in all_of_them] == [NOW, NOW + 9, 0]
    assert bound.longest_idle(all_of_them, NOW + 10) is None
    assert bound.longest_idle(all_of_them[1:], NOW + 11) is all_of_them[1]


def test_it_is_said_again_after_a_while(log: Any) -> None:
    bound = Bound(3)
    assert not bound.is_reached(2, 5.0)
    assert log.text() == ""
    for now in (5.0, 6.0, 5.0 + limits.COMPLAINT_REPEAT - 0.1):
        assert bound.is_reached(3, now)
    assert log.text() == SAID.format(3)
    assert bound.is_reached(3, 5.0 + limits.COMPLAINT_REPEAT)
    assert log.text() == SAID.format(3) * 2


def test_those_that_are_told_count_apart(three: list[Driven]) -> None:
    bound = Bound(3)
    bound.tell(three[0].conn)
    assert not bound.is_reached(3, 5.0)
    bound.forget(three[0].conn)
    assert bound.is_reached(3, 5.0)
    assert bound.may_tell()


def test_a_client_is_turned_away_and_read_until_it_goes() -> None:
    driven = Driven("tcp")
    try:
        assert driven.done(driven.conn.turn_away(b"no", NOW)) == WAIT
        assert (driven.state, driven.conn.deadline) == ("LINGERING", NOW + limits.LINGER_TIMEOUT)
        assert driven.peer.recv(10) == b"no"
        assert driven.more(b"x" * 10000) == WAIT
        assert driven.more(b"", end=True) == END
    finally:
        driven.close()


def test_a_client_that_is_gone_is_not_turned_away() -> None:
    driven = Driven()
    driven.peer.close()
    assert driven.conn.turn_away(b"no", NOW) == END
    driven.close()


def test_a_socket_that_is_not_plain_is_not_written_to() -> None:
    driven = Driven("tls")
    try:
        assert driven.conn.turn_away(b"no", NOW) == END
    finally:
        driven.close()
    assert client_context()
