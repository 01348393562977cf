"""The origin for tests over TLS, and its end: nothing is left behind, whatever was under way.

What it answers and records is in test_testing.py.
"""

import contextlib
import http.client
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import PATIENCE, Client, descriptors, nothing_left_behind, request

from fastserve.rig.origin.answers import Octets
from fastserve.rig.testing import ScriptedOrigin, origin
from fastserve.words import Refusal
from rig.test_testing import ask, connected, fetch, lines_of


@pytest.fixture
def server() -> Iterator[ScriptedOrigin]:
    with nothing_left_behind(), origin() as server:
        yield server


# -- TLS -----------------------------------------------------------------------------------------


def test_tls() -> None:
    pytest.importorskip("trustme")
    with nothing_left_behind(), origin(tls=True) as server:
        server.answer("/x", "secret")
        connection = http.client.HTTPSConnection(
            server.host, server.port, timeout=PATIENCE, context=server.ssl_context)
        with contextlib.closing(connection):
            assert fetch(connection) == b"secret"
        assert server.url("/x") == f"https://127.0.0.1:{server.port}/x"
        assert lines_of(server.received) == ["GET /x"]


@pytest.mark.parametrize("fault", ["reset", "truncate", "hang", "garbage"])
def test_faults_over_tls(fault: Any) -> None:
    pytest.importorskip("trustme")
    with nothing_left_behind(), origin(tls=True) as server:
        server.answer("/x", body=b"octets", fault=fault)
        connection = http.client.HTTPSConnection(
            server.host, server.port, timeout=0.3, context=server.ssl_context)
        with contextlib.closing(connection), pytest.raises((http.client.HTTPException, OSError)):
            fetch(connection)


def test_a_stranger_does_not_trust_it() -> None:
    ssl = pytest.importorskip("ssl")
    pytest.importorskip("trustme")
    with origin(tls=True) as server:
        connection = http.client.HTTPSConnection(
            server.host, server.port, timeout=PATIENCE, context=ssl.create_default_context())
        with contextlib.closing(connection), pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/x")


def test_tls_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with nothing_left_behind(), pytest.raises(Refusal, match="pip install 'fastserve"), origin(tls=True):
        pass


# -- The end -------------------------------------------------------------------------------------


def test_urls(server: ScriptedOrigin) -> None:
    assert server.url() == server.url("") + "/" == f"http://127.0.0.1:{server.port}/"
    assert server.url("a?b=1") == server.url("/a?b=1") == f"http://127.0.0.1:{server.port}/a?b=1"
    assert (server.ca_file, server.ssl_context) == (None, None)


@pytest.mark.parametrize("said", [
    {"fault": "hang"}, {"delay": 100}, {"fault": "hang", "body": b"x", "after": 1},
    {"body": Octets(1 << 30)}, {"body": (bytes(1 << 16) for _ in range(1 << 14))},
], ids=["hang", "delay", "hang in the body", "large", "chunks"])
def test_nothing_is_left_of_what_is_under_way(said: Any) -> None:
    """Whatever the client has not read: it is still there when the server ends."""
    with nothing_left_behind(), contextlib.ExitStack() as stack:
        began = time.monotonic()
        with origin() as server:
            server.answer("/x", **said)
            stack.enter_context(connected(server))
            server.wait_for(1)
        assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("target", ["/hang", "/fault/reset", "/fault/truncate?abrupt=1"])
def test_nothing_is_left_of_what_endpoints_hold(target: str) -> None:
    before = descriptors(), threading.active_count()
    with contextlib.ExitStack() as stack, origin() as server:
        stack.enter_context(connected(server, target))
        server.wait_for(1)
    assert (descriptors() - before[0], threading.active_count()) == (set(), before[1])


def test_nothing_is_left_of_idle_connections() -> None:
    with nothing_left_behind(), contextlib.ExitStack() as stack:
        server = stack.enter_context(origin())
        clients = [stack.enter_context(Client((server.host, server.port))) for _ in range(10)]
        assert {each.ask(request("GET", "/plaintext")).status for each in clients} == {200}


def test_an_exception_ends_it_too() -> None:
    ports = []

    def fail() -> None:
        with origin() as server:
            ports.append(server.port)
            raise ZeroDivisionError(ask(server, "/plaintext"))

    with nothing_left_behind(), pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", ports[0]), 1)


def test_several_at_a_time() -> None:
    with nothing_left_behind(), origin() as one, origin() as two:
        one.answer("/x", "one")
        two.answer("/x", "two")
        assert (ask(one).body, ask(two).body) == (b"one", b"two")
        assert len(one.received) == len(two.received) == 1


def test_many_threads(server: ScriptedOrigin) -> None:
    """Each request is recorded once, and each answer of a sequence is given once."""
    server.answer("/x", [str(number) for number in range(200)])
    found: list[bytes] = []

    def work() -> None:
        with Client((server.host, server.port)) as client:
            found.extend(client.ask(request("GET", "/x")).body for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, found)) == list(range(200))
    assert len(server.received) == 200
    server.check()
