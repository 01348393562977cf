"""Sessions are resumed: by ticket and by id, on the next connection, by another worker, with real clients.

A ticket holds the session itself, encrypted by a key of the server's context, so that all who have that
context take it: workers are forked from the process that made it. An id names a session that one process
keeps.
"""

import ssl
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, connect, request, wait_until
from pairs import certificate, receive_all, receive_until
from serving.apps import Quiet
from serving.secure import SERVERS
from serving.supervised import WAIT, Supervised, renew, supervised

Serve = Callable[..., Any]

CLOSE = request("GET", "/", "Connection: close")
TICKETS, IDS = 0, ssl.OP_NO_TICKET
WAYS = {
    "TLS 1.3": (ssl.TLSVersion.TLSv1_3, TICKETS),
    "TLS 1.2 by ticket": (ssl.TLSVersion.TLSv1_2, TICKETS),
    "TLS 1.2 by id": (ssl.TLSVersion.TLSv1_2, IDS),
}


def client_context(version: ssl.TLSVersion, options: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate()))
    context.minimum_version = context.maximum_version = version
    context.options |= options
    return context


def visit(
    context: ssl.SSLContext, address: Any, session: Any, octets: bytes = CLOSE, mark: bytes = b"\r\n\r\n/"
) -> tuple[bool, Any, bytes]:
    """Ask once: whether the session was resumed, that for the next time, and the answer.

    It is read up to ``mark``, or to the end of the connection.
    """
    with context.wrap_socket(connect(address), server_hostname="localhost", session=session) as sock:
        resumed = bool(sock.session_reused)
        sock.sendall(octets)
        answer = receive_until(sock, mark) if mark else receive_all(sock)
        session = sock.session  # tickets of TLS 1.3 have come before the answer
        if octets is not CLOSE:
            sock.unwrap().close()
        return resumed, session, answer


@pytest.mark.parametrize("goodbye", ["ours", "the client's"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_session_is_resumed(serve: Serve, kind: str, way: Any, goodbye: str) -> None:
    server, context = serve(Quiet, SERVERS[kind]), client_context(*way)
    session, resumed = None, []
    for _ in range(3):
        octets = CLOSE if goodbye == "ours" else request()
        again, session, answer = visit(context, server.server_address, session, octets)
        assert answer.startswith(b"HTTP/1.1 200")
        resumed.append(again)
    assert resumed == [False, True, True]
    assert server.errors == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_session_of_another_server_is_made_anew(serve: Serve, way: Any) -> None:
    context, session = client_context(*way), None
    for _ in range(2):
        again, session, answer = visit(context, serve(Quiet, SERVERS["loop"]).server_address, session)
        assert not again
        assert answer.startswith(b"HTTP/1.1 200")


# -- The end of a connection -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
def test_an_answer_that_ends_the_connection_ends_with_a_goodbye(serve: Serve, kind: str) -> None:
    """RFC 8446 6.1: so that the client knows that nothing was cut off."""
    server, context = serve(Quiet, SERVERS[kind]), client_context(*WAYS["TLS 1.3"])
    sock = context.wrap_socket(
        connect(server.server_address), server_hostname="localhost", suppress_ragged_eofs=False)
    with sock:
        sock.sendall(CLOSE)
        receive_until(sock, b"\r\n\r\n/")
        assert sock.recv(100) == b""


@pytest.mark.parametrize("kind", SERVERS)
def test_a_goodbye_is_answered(serve: Serve, kind: str) -> None:
    server, context = serve(Quiet, SERVERS[kind]), client_context(*WAYS["TLS 1.3"])
    for octets in (b"", request()):
        sock = context.wrap_socket(connect(server.server_address), server_hostname="localhost")
        sock.sendall(octets)
        receive_until(sock, b"\r\n\r\n/" if octets else b"")
        with sock.unwrap() as plain:
            assert plain.recv(100) == b""


# -- Real clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [["-tls1_2"], ["-tls1_2", "-no_ticket"]], ids=["ticket", "id"])
def test_openssl_reconnects(serve: Serve, options: list[str]) -> None:
    server = serve(Quiet, SERVERS["loop"])
    told = openssl(server, *options, "-reconnect")
    assert told == Counter({"New": 1, "Reused": 5})


@pytest.mark.parametrize("options", [["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-no_ticket"]])
def test_openssl_keeps_a_session(serve: Serve, tmp_path: Path, options: list[str]) -> None:
    server, path = serve(Quiet, SERVERS["loop"]), str(tmp_path / "session")
    assert openssl(server, *options, "-sess_out", path) == Counter({"New": 1})
    assert openssl(server, *options, "-sess_in", path) == Counter({"Reused": 1})


# certificate() has asked for that command already.
def openssl(server: Any, *options: str) -> Counter[str]:
    """Ask by s_client, which reads to the end: how many sessions were new, how many reused."""
    host, port = server.server_address
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-ign_eof", *options]
    done = subprocess.run(command, input=CLOSE, capture_output=True, timeout=PATIENCE, check=False)
    assert b"HTTP/1.1 200" in done.stdout, done.stderr
    first = [line.partition(b",")[0].decode() for line in done.stdout.splitlines()]
    return Counter(word for word in first if word in ("New", "Reused"))


# -- Workers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["TLS 1.3", "TLS 1.2 by ticket"])
def test_a_ticket_is_taken_by_every_worker(way: str, tmp_path: Path) -> None:
    """They have the context that was made before they were forked; new ones too, which SIGHUP brings."""
    lines = f"""import functools
server_class = functools.partial(fastserve.HTTPSServer, certfile={str(certificate())!r})"""
    context = client_context(*WAYS[way])
    with supervised(tmp_path, 2, lines=lines) as server:
        session = visit(context, server.address, None, mark=b"\r\n\r\n")[1]
        first = resumers(context, server, session)
        renew(server)
        assert not first & resumers(context, server, session)
        server.end()


def resumers(context: ssl.SSLContext, server: Supervised, session: ssl.SSLSession) -> set[int]:
    """The workers that resumed a session: both, once each has been met."""
    met: set[int] = set()

    def is_met_by_both() -> bool:
        resumed, _, answer = visit(context, server.address, session, mark=b"")
        assert resumed, f"made anew after {met}"
        met.add(int(answer.rpartition(b"\r\n\r\n")[2]))
        return len(met) == 2

    assert wait_until(is_met_by_both, WAIT), met
    return met
