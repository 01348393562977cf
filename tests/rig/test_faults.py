"""Answers that are wrong: exactly as promised on the wire, and to clients as the tables of faults say."""

import asyncio
import contextlib
import http.client
import importlib.metadata
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, Client, request
from pairs import certificate, client_context

from fastserve.rig.origin import faults, raw, routes, timing
from fastserve.rig.origin.answers import Octets
from rig.origins import PLAIN, SERVERS, Serve, ask, base_of, connect, start

ON_EACH = pytest.mark.parametrize("kind", SERVERS)
ON_PLAIN = pytest.mark.parametrize("kind", PLAIN)
OK = b"HTTP/1.1 200 OK\r\n"


# -- On the wire -----------------------------------------------------------------------------------


def letters(count: int) -> bytes:
    return timing.letters(count)


GARBAGE = (b"\0" + bytes(Octets(100, 0)))[:100]
# What a target sends: how it begins, what its head has, its body. None: there is no head.
WIRE: dict[str, tuple[bytes, list[bytes], bytes]] = {
    "/fault/truncate": (OK, [b"Content-Length: 200"], letters(100)),
    "/fault/truncate?after=0&length=1": (OK, [b"Content-Length: 1"], b""),
    "/fault/truncate?after=7&length=9": (OK, [b"Content-Length: 9"], letters(7)),
    "/fault/truncate?after=1000000": (OK, [b"Content-Length: 1000100"], letters(1000000)),
    "/fault/slow-truncate?ms=1": (OK, [b"Content-Length: 110"], letters(10)),
    "/fault/chunk-truncate?after=5": (
        OK, [b"Transfer-Encoding: chunked"], b"f\r\nA whole chunk.\n\r\n69\r\nabcde"),
    "/fault/dup-length?after=3": (OK, [b"Content-Length: 3", b"Content-Length: 4"], b"abc"),
    "/fault/bad-chunk": (
        OK, [b"Transfer-Encoding: chunked"],
        b"f\r\nA whole chunk.\n\r\nsize?\r\nNobody knows.\r\n0\r\n\r\n"),
    "/fault/bad-header?after=3": (OK, [b"This line has no colon", b"Content-Length: 3"], b"abc"),
    "/fault/bad-header?after=3&kind=nul": (OK, [b"X-Nul: a\0b", b"Content-Length: 3"], b"abc"),
    "/fault/bad-header?after=3&kind=space": (OK, [b"X-Space : before the colon"], b"abc"),
    "/fault/bad-header?after=3&kind=name": (OK, [b"X(Name): of no token"], b"abc"),
    "/fault/bad-status-line?after=3": (b"HTTP/1.1 fine OK\r\n", [b"Content-Length: 3"], b"abc"),
}
WITHOUT_HEAD = {"/fault/empty": b"", "/fault/garbage": GARBAGE, "/fault/garbage?after=0": b""}


def received(client: Client, target: str, method: str = "GET", body: bytes = b"") -> bytes:
    client.send(request(method, target, body=body))
    return client.rest()


@ON_EACH
@pytest.mark.parametrize("abrupt", ["", "abrupt=1"])
@pytest.mark.parametrize("target", WIRE)
def test_octets(serve: Serve, log: Any, kind: str, target: str, abrupt: str) -> None:
    """And nothing is logged but the request."""
    line, fields, body = WIRE[target]
    server = start(serve, kind, log=True)
    target += ("&" if "?" in target else "?") + abrupt if abrupt else ""
    with connect(server) as client:
        head, _, rest = received(client, target).partition(b"\r\n\r\n")
    assert head.startswith(line)
    assert [field for field in fields if field in head.split(b"\r\n")] == fields
    assert rest == body
    assert log.messages() == [f'"GET {target} HTTP/1.1" {200 if line == OK else "-"} -']


@ON_EACH
@pytest.mark.parametrize("target", WITHOUT_HEAD)
def test_octets_without_a_head(serve: Serve, log: Any, kind: str, target: str) -> None:
    server = start(serve, kind, log=True)
    with connect(server) as client:
        assert received(client, target) == WITHOUT_HEAD[target]
    assert log.messages() == [f'"GET {target} HTTP/1.1" - -']


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("target", [*WIRE, *WITHOUT_HEAD])
def test_other_methods(serve: Serve, method: str, target: str) -> None:
    body = b"x" * 1000 if method == "POST" else b""
    with connect(start(serve)) as client:
        octets = received(client, target, method, body)
    expected = WIRE[target][2] if target in WIRE else WITHOUT_HEAD[target]
    if method == "HEAD" and target in WIRE:
        expected = b""
    assert octets.partition(b"\r\n\r\n")[2] == expected if target in WIRE else octets in (expected, b"")


@ON_EACH
@pytest.mark.parametrize("target", ["/fault/bad-chunk", "/fault/truncate", "/1.0?length=0"])
def test_a_head_and_its_body_leave_together(serve: Serve, kind: str, target: str) -> None:
    """What a client makes of the body would depend on it."""
    with connect(start(serve, kind)) as client:
        client.send(request(target=target))
        head, _, body = client.sock.recv(1 << 16).partition(b"\r\n\r\n")
        assert (head.startswith(b"HTTP/1."), bool(body)) == (True, True)


@ON_PLAIN
def test_more_than_was_declared(serve: Serve, log: Any, kind: str) -> None:
    """The connection stays, and what is too much stands before the next answer."""
    with connect(start(serve, kind, log=True)) as client:
        reply = client.ask(request(target="/fault/wrong-length?after=3&surplus=4"))
        assert (reply.get("Content-Length"), reply.body) == ("3", b"abc")
        client.send(request(target="/fault/wrong-length?after=0&surplus=1"))
        assert receive(client, 4 + len(OK)) == b"defg" + OK
    assert len(log.messages()) == 2


def receive(client: Client, count: int) -> bytes:
    while len(client._buffer) < count:
        assert client._receive(), client._buffer
    return client._cut(count)


def octets_before_reset(sock: socket.socket) -> bytes:
    """What comes until the connection is reset, as it must be."""
    data = b""
    try:
        while piece := sock.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        return data
    raise AssertionError(f"an end, and no reset, behind {len(data)} octets")


@ON_PLAIN
@pytest.mark.parametrize(("query", "octets"), [
    ("?after=0", 0), ("?after=100", 100), ("?after=500000", 500000), ("?head=0", None),
])
def test_a_reset(serve: Serve, log: Any, kind: str, query: str, octets: int | None) -> None:
    """Behind all that was to come before it."""
    server = start(serve, kind, log=True)
    with connect(server) as client:
        client.send(request(target=f"/fault/reset{query}"))
        data = octets_before_reset(client.sock)
    assert ask(server, "/fault/wrong-length").status == 200
    if octets is None:
        assert data == b""
    else:
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(OK)
        assert body == letters(octets)
    assert [message for message in log.messages() if "reset" in message] == [
        f'"GET /fault/reset{query} HTTP/1.1" {"-" if octets is None else 200} -']


@pytest.mark.parametrize("kind", ["loop, TLS", "threads, TLS"])
@pytest.mark.parametrize("query", ["?after=100", "?head=0"])
def test_a_reset_beneath_tls(serve: Serve, kind: str, query: str) -> None:
    """OpenSSL does not tell it from an end, so the octets are received as they are."""
    server = start(serve, kind)
    with connect(server) as client:
        client.send(request(target=f"/fault/reset{query}"))
        with socket.socket(fileno=os.dup(client.sock.fileno())) as beneath:
            beneath.settimeout(PATIENCE)
            octets_before_reset(beneath)
    assert ask(server, "/fault/wrong-length").status == 200


def test_a_reset_of_who_does_not_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "DELIVERY", 0.1)
    server = start(serve)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(server.server_address)
        sock.sendall(request(target="/fault/reset?after=200000"))
        time.sleep(0.5)
        octets_before_reset(sock)
    assert ask(server, "/fault/wrong-length").status == 200


@pytest.mark.parametrize("kind", ["loop, TLS", "threads, TLS"])
@pytest.mark.parametrize(("query", "says_goodbye"), [("", True), ("?abrupt=1", False)])
@pytest.mark.parametrize("target", [
    "/fault/truncate", "/fault/chunk-truncate", "/fault/empty", "/fault/garbage"])
def test_goodbyes_of_tls(serve: Serve, kind: str, target: str, query: str, says_goodbye: bool) -> None:
    server = start(serve, kind)
    assert goodbye(server, target + query) is says_goodbye


def goodbye(server: Any, target: str) -> bool:
    """Whether the end of the stream is told by TLS."""
    with socket.create_connection(server.server_address, PATIENCE) as sock:
        client = client_context().wrap_socket(
            sock, server_hostname="localhost", suppress_ragged_eofs=False)
        with client:
            client.sendall(request(target=target))
            try:
                while client.recv(1 << 16):
                    pass
            except ssl.SSLEOFError:
                return False
            return True


@pytest.mark.parametrize("target", [
    "/fault/truncate?after=1048577", "/fault/truncate?after=5&length=5", "/fault/truncate?after=x",
    "/fault/bad-header?kind=x", "/fault/wrong-length?surplus=0", "/fault/slow-truncate?after=2000&ms=10",
])
def test_faults_that_are_refused(serve: Serve, target: str) -> None:
    assert ask(start(serve), target).status == 400


@ON_PLAIN
def test_many_resets_at_once(serve: Serve, kind: str) -> None:
    """Descriptors that are gone are the next clients' at once."""
    server = start(serve, kind)
    for _ in range(10):
        clients = [connect(server) for _ in range(10)]
        for client in clients:
            client.send(request(target="/fault/reset?head=0"))
        assert ask(server, "/fault/wrong-length").status == 200
        for client in clients:
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1)
            client.close()


# -- What clients show -----------------------------------------------------------------------------


def by_curl(url: str) -> str:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    done = subprocess.run(
        ["curl", "-q", "--silent", "--noproxy", "*", "--max-time", "20", "--output", "/dev/null",
         "--cacert", str(certificate()) if url.startswith("https") else "/dev/null", url],
        timeout=30, stdin=subprocess.DEVNULL)
    return str(done.returncode) if done.returncode else "-"


def shown(get: Callable[[], object]) -> str:
    try:
        get()
    except Exception as error:
        return type(error).__name__
    return "-"


def by_requests(url: str) -> str:
    requests: Any = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        return shown(lambda: session.get(url, timeout=20).content)


def by_httpx(url: str) -> str:
    httpx: Any = pytest.importorskip("httpx")
    with httpx.Client(trust_env=False, timeout=20) as client:
        return shown(lambda: client.get(url).content)


def by_aiohttp(url: str) -> str:
    aiohttp: Any = pytest.importorskip("aiohttp")

    async def get() -> None:
        async with aiohttp.ClientSession() as session, session.get(url, timeout=TIMEOUT) as answer:
            await answer.read()

    TIMEOUT = aiohttp.ClientTimeout(total=20)
    return shown(lambda: asyncio.run(get()))


def by_http_client(url: str) -> str:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)

    def get() -> None:
        connection.request("GET", "/" + url.split("/", 3)[3])
        connection.getresponse().read()

    with contextlib.closing(connection):
        return shown(get)


CLIENTS: dict[str, Callable[[str], str]] = {
    "curl": by_curl, "requests": by_requests, "httpx": by_httpx, "aiohttp": by_aiohttp,
    "http.client": by_http_client,
}


def table() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The tables in the text of faults: the versions of clients, and what they show of a target."""
    versions: dict[str, str] = {}
    shown: dict[str, dict[str, str]] = {}
    for line in (faults.__doc__ or "").splitlines():
        first, *cells = re.split(r"\s{2,}", line.strip())
        if first == "/fault/":
            names = dict(cell.split() for cell in cells)
            versions.update(names)
        elif line.startswith("    "):
            shown.setdefault(first, {}).update(zip(names, cells, strict=True))
    return versions, shown


def version_of(client: str) -> str:
    """Which version of a client there is, without what comes behind the second number."""
    if client == "http.client":
        return "{}.{}".format(*sys.version_info)
    if client == "curl":
        done = subprocess.run(["curl", "--version"], capture_output=True, text=True, timeout=30)
        told = done.stdout.split()[1]
    else:
        told = importlib.metadata.version(client)
    return ".".join(told.split(".")[:2])


VERSIONS, SHOWN = table()


def test_the_table_has_all() -> None:
    paths = {each.path.removeprefix("/fault/") for each in routes.ENDPOINTS if each.group == "Faults"}
    assert {row.partition("?")[0] for row in SHOWN} == paths
    assert list(VERSIONS) == list(CLIENTS)
    assert all(list(row) == list(CLIENTS) for row in SHOWN.values())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("row", SHOWN)
def test_what_clients_show(serve: Serve, row: str, client: str) -> None:
    """Of another version than the table is about no more is asked than that it has not become blind."""
    server = start(serve)
    found, expected = CLIENTS[client](f"{base_of(server)}/fault/{row}"), SHOWN[row][client]
    if version_of(client) == VERSIONS[client]:
        assert found == expected
    else:
        assert found != "-" or expected == "-"
