"""When connections end, how large heads get, pipelines, and a change of protocol."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, Client, request, wait_until

from fastserve.rig.origin import codings, connection, faults, semantics, timing
from rig.origins import SERVERS, Serve, ask, connect, start

ON_EACH = pytest.mark.parametrize("kind", SERVERS)
UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: websocket, Echo")

assert all((codings, faults, semantics, timing))  # whose endpoints are asked for here


@ON_EACH
def test_the_last_answer(serve: Serve, kind: str) -> None:
    with connect(start(serve, kind)) as client:
        reply = client.ask(request(target="/close"))
        assert (reply.get("Connection"), reply.body) == ("close", b"The last one.\n")
        assert client.is_closed()


@ON_EACH
def test_so_many_answers_on_a_connection(serve: Serve, kind: str) -> None:
    """Whoever else is asked for between them; and each connection has its own."""
    server = start(serve, kind)
    with connect(server) as one, connect(server) as other:
        for answer in (1, 2, 3):
            said = json.loads(one.ask(request(target="/keepalive?max=3")).body)
            assert said == {"answer": answer, "left": 3 - answer}
            if answer < 3:
                assert one.ask(request(target="/headers-big?bytes=10")).status == 200
        assert one.is_closed()
        assert json.loads(other.ask(request(target="/keepalive?max=3")).body)["answer"] == 1
        assert other.ask(request(target="/keepalive?max=1")).get("Connection") == "close"
        assert other.is_closed()


def test_how_many_are_left(serve: Serve) -> None:
    with connect(start(serve)) as client:
        replies = [client.ask(request(target="/keepalive?max=2")) for _ in range(2)]
    assert [reply.get("Keep-Alive") for reply in replies] == ["max=1", None]


@pytest.mark.parametrize("count", [0, 1, 65536, 1 << 20])
def test_a_large_field(serve: Serve, count: int) -> None:
    with connect(start(serve)) as client:
        for _ in range(3):  # recorded, where it may be
            assert len(client.ask(request(target=f"/headers-big?bytes={count}")).get("X-Big") or "") == count


@pytest.mark.parametrize("count", [0, 1, 100, 10000])
def test_many_fields(serve: Serve, count: int) -> None:
    reply = ask(start(serve), f"/many-headers?n={count}")
    assert [value for name, value in reply.headers if name == "X-Many"] == [str(n) for n in range(count)]


@pytest.mark.parametrize("target", [
    "/headers-big?bytes=1048577", "/many-headers?n=10001", "/keepalive?max=0", "/headers-big?bytes=-1",
])
def test_too_many(serve: Serve, target: str) -> None:
    assert ask(start(serve), target).status == 400


# -- Pipelines -------------------------------------------------------------------------------------

PIPELINED = (
    "/status/204", "/delay/0", "/gzip", "/keepalive?max=1000", "/many-headers?n=3", "/headers-big?bytes=100",
    "/slow-headers?ms=0", "/drip?duration=0", "/etag/a", "/redirect/2", "/slow-body?count=2&ms=0", "/deflate",
    "/status/404", "/unstable?rate=1", "/vary", "/cache/3", "/response-headers?A=b", "/bearer", "/nowhere",
)
STATUSES = [204, 200, 200, 200, 200, 200, 200, 200, 200, 302, 200, 200, 404, 500, 200, 200, 200, 401, 404]


@ON_EACH
def test_a_pipeline(serve: Serve, kind: str) -> None:
    """Of everything, some of it with bodies, twice, and all of it at once.

    What is sent fits into the system's buffers, and no thread does it beside the reading: a socket of ssl's
    is for one thread at a time, in Python 3.13.0 at the price of a crash.
    """
    octets = b"".join(request(target=target) for target in PIPELINED) + b"".join(
        request("POST", target, body=b"body")
        for target in ("/delay/0", "/status/201", "/status/200:1,201:0"))
    with connect(start(serve, kind)) as client:
        client.send(octets * 2)
        replies = [client.reply() for _ in range(2 * len(PIPELINED) + 6)]
    assert [reply and reply.status for reply in replies] == [*STATUSES, 200, 201, 200] * 2


# -- /upgrade --------------------------------------------------------------------------------------


@ON_EACH
def test_another_protocol(serve: Serve, kind: str) -> None:
    with connect(start(serve, kind)) as client:
        reply = client.ask(request("GET", "/upgrade", *UPGRADE) + b"at once")
        assert (reply.status, reply.get("Upgrade"), reply.get("Connection")) == (101, "echo", "Upgrade")
        assert receive(client, 7) == b"at once"
        octets = bytes(range(256)) * 100
        for _ in range(10):
            client.send(octets)
            assert receive(client, len(octets)) == octets
        if "TLS" not in kind:
            client.end()
            assert client.is_closed()


def receive(client: Client, count: int) -> bytes:
    data = client._cut(min(count, len(client._buffer)))
    while len(data) < count and (piece := client.sock.recv(count - len(data))):
        data += piece
    return data


@pytest.mark.parametrize(("fields", "status"), [
    ((), 426), (("Connection: Upgrade", "Upgrade: websocket"), 426), (("Upgrade: echo",), 426),
    (("Connection: Upgrade",), 426), ((*UPGRADE, "Transfer-Encoding: chunked"), 400),
])
def test_no_other_protocol(serve: Serve, fields: tuple[str, ...], status: int) -> None:
    reply = ask(start(serve), "/upgrade", *fields)
    assert reply.status == status
    assert (reply.get("Upgrade") == "echo") == (status == 426)


def test_no_other_protocol_behind_a_body(serve: Serve) -> None:
    assert ask(start(serve), "/upgrade", *UPGRADE, body=b"body").status == 400


def test_no_other_protocol_for_http_1_0(serve: Serve) -> None:
    with connect(start(serve)) as client:
        assert client.ask(request("GET", "/upgrade", *UPGRADE, version="1.0")).status == 426


@pytest.mark.parametrize("leave", [socket.socket.close, lambda sock: sock.shutdown(socket.SHUT_RDWR)])
def test_who_leaves_another_protocol(serve: Serve, log: Any, leave: Callable[[socket.socket], None]) -> None:
    server = start(serve, log=True)
    with connect(server) as client:
        assert client.ask(request("GET", "/upgrade", *UPGRADE)).status == 101
        leave(client.sock)
    assert ask(server, "/close").status == 200
    assert [message for message in log.messages() if not message.startswith('"GET')] == []


def test_others_are_answered_meanwhile(serve: Serve) -> None:
    server = start(serve)
    clients = [connect(server) for _ in range(5)]
    for client in clients:
        assert client.ask(request("GET", "/upgrade", *UPGRADE)).status == 101
    assert ask(server, "/close").status == 200
    for client in clients:
        client.close()


def test_what_is_counted_goes_with_the_connection(serve: Serve) -> None:
    server = start(serve)
    before = len(connection.ANSWERED)
    with connect(server) as client:
        client.ask(request(target="/keepalive"))
        assert len(connection.ANSWERED) == before + 1
    assert wait_until(lambda: len(connection.ANSWERED) == before, PATIENCE)
