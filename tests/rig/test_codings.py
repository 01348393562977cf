"""Content codings, chunks, trailers, and what comes before an answer: octet by octet, and by real clients."""

import base64
import gzip
import hashlib
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from http import client as http_client
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, request

from fastserve.rig.origin import codings
from fastserve.rig.origin.answers import Octets
from rig.origins import SERVERS, Serve, ask, base_of, connect, session, start

ON_EACH = pytest.mark.parametrize("kind", SERVERS)


# -- Content codings -------------------------------------------------------------------------------


def unzstd(octets: bytes) -> bytes:
    found: bytes
    try:
        from compression.zstd import decompress  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        zstandard: Any = pytest.importorskip("zstandard")
        found = zstandard.decompress(octets)
        return found
    found = decompress(octets)
    return found


def unbrotli(octets: bytes) -> bytes:
    found: bytes = pytest.importorskip("brotli").decompress(octets)
    return found


EXPECTS = "Expect: 100-continue"
CODINGS: dict[str, Any] = {
    "/gzip": ("gzip", "gzipped", gzip.decompress), "/deflate": ("deflate", "deflated", zlib.decompress),
    "/brotli": ("br", "brotli", unbrotli), "/zstd": ("zstd", "zstd", unzstd),
}


@ON_EACH
@pytest.mark.parametrize("target", CODINGS)
def test_a_coding(serve: Serve, kind: str, target: str) -> None:
    coding, name, decode = CODINGS[target]
    if target == "/brotli" and codings.brotli_compressor() is None:
        pytest.skip("no library for Brotli")
    if target == "/zstd" and codings.zstd_compressor() is None:
        pytest.skip("no library for Zstandard")
    reply = ask(start(serve, kind), target, "X-One: 1")
    said = json.loads(decode(reply.body))
    assert reply.get("Content-Encoding") == coding
    assert (said[name], said["method"], said["headers"]["X-One"]) == (True, "GET", "1")
    assert said["origin"] == "127.0.0.1"


@pytest.fixture
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("brotli", "brotlicffi", "compression", "compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    found = codings.brotli_compressor, codings.zstd_compressor
    for each in found:
        each.cache_clear()
    yield
    for each in found:
        each.cache_clear()


@pytest.mark.usefixtures("no_libraries")
@pytest.mark.parametrize("target", ["/brotli", "/zstd"])
def test_a_coding_without_a_library(serve: Serve, target: str) -> None:
    reply = ask(start(serve), target)
    assert reply.status == 501
    assert "pip install" in json.loads(reply.body)["error"]


# -- Chunks, as they are -----------------------------------------------------------------------------


def whole_answer(client: Client, octets: bytes) -> bytes:
    """All of an answer behind which the connection ends."""
    client.send(octets)
    return client.rest()


class Chunks:
    """A chunked answer, taken apart: head, chunks with their extensions, trailers."""

    def __init__(self, octets: bytes) -> None:
        self.head, _, rest = octets.partition(b"\r\n\r\n")
        self.chunks: list[tuple[bytes, bytes]] = []
        while True:
            line, _, rest = rest.partition(b"\r\n")
            size, _, extension = line.partition(b";")
            if not int(size, 16):
                break
            self.chunks.append((rest[: int(size, 16)], extension))
            assert rest[int(size, 16) :].startswith(b"\r\n")
            rest = rest[int(size, 16) + 2 :]
        self.last = extension
        assert rest.endswith(b"\r\n")
        self.trailers = [tuple(line.split(b": ")) for line in rest[:-2].split(b"\r\n") if line]

    @property
    def body(self) -> bytes:
        return b"".join(chunk for chunk, _ in self.chunks)


def expected_sizes(count: int, least: int, most: int, seed: int) -> list[int]:
    found: list[int] = []
    chance = random.Random(seed)
    while sum(found) < count:
        found.append(min(chance.randint(least, most), count - sum(found)))
    return found


def digest_of(octets: bytes) -> bytes:
    return b"sha-256=:" + base64.b64encode(hashlib.sha256(octets).digest()) + b":"


@ON_EACH
@pytest.mark.parametrize("extensions", ["", "&extensions=1"])
@pytest.mark.parametrize(("query", "count", "least", "most", "seed"), [
    ("", 10000, 1, 4096, 0), ("min=1&max=10", 200, 1, 10, 0), ("min=7&max=7&seed=5", 50, 7, 7, 5),
    ("seed=8", 0, 1, 4096, 8), ("min=5000", 30000, 5000, 5000, 0),
    ("min=1&max=300000", 2000000, 1, 300000, 0),
])
def test_random_chunks(
    serve: Serve, kind: str, query: str, count: int, least: int, most: int, seed: int, extensions: str
) -> None:
    fields = ["Connection: close"]
    with connect(start(serve, kind)) as client:
        answer = Chunks(whole_answer(
            client, request("GET", f"/chunked/{count}?{query}&trailer=1{extensions}", *fields)))
    assert b"\r\nTransfer-Encoding: chunked" in answer.head
    assert b"\r\nTrailer: Content-Digest" in answer.head
    assert [len(chunk) for chunk, _ in answer.chunks] == expected_sizes(count, least, most, seed)
    assert answer.body == bytes(Octets(count, seed))
    assert answer.trailers == [(b"Content-Digest", digest_of(answer.body))]
    assert all(bool(extension) == bool(extensions) for _, extension in answer.chunks)
    assert bool(answer.last) == bool(extensions)


@pytest.mark.parametrize("query", ["", "?trailer=1", "?extensions=1"])
def test_chunks_in_http_1_0(serve: Serve, query: str) -> None:
    with connect(start(serve)) as client:
        octets = whole_answer(client, f"GET /chunked/5000{query} HTTP/1.0\r\n\r\n".encode())
    head, _, body = octets.partition(b"\r\n\r\n")
    assert body == bytes(Octets(5000))
    assert b"chunked" not in head


@pytest.mark.parametrize("target", ["/chunked/9", "/chunked/9?extensions=1&trailer=1", "/trailers?A=b"])
def test_heads_of_chunked_answers(serve: Serve, target: str) -> None:
    with connect(start(serve)) as client:
        for _ in range(2):
            reply = client.ask(request("HEAD", target))
            assert (reply.get("Transfer-Encoding"), reply.body) == ("chunked", b"")


@pytest.mark.parametrize("target", [
    "/chunked/9?min=0", "/chunked/9?min=5&max=4", "/chunked/9999999999", "/chunked/9?max=1048577",
])
def test_chunks_that_are_refused(serve: Serve, target: str) -> None:
    assert ask(start(serve), target).status == 400


# -- Trailers --------------------------------------------------------------------------------------


@ON_EACH
@pytest.mark.parametrize(("query", "pairs"), [
    ("X-One=1&X-Two=%C3%A4", [(b"X-One", b"1"), (b"X-Two", b"\xe4")]),
    ("A=1&A=2", [(b"A", b"1"), (b"A", b"2")]),
    ("count=2", [(b"X-Trailer-0", b"0"), (b"X-Trailer-1", b"1")]),
    ("A=1&count=1", [(b"A", b"1"), (b"X-Trailer-0", b"0")]),
    ("", []),
])
def test_trailers(serve: Serve, kind: str, query: str, pairs: list[tuple[bytes, bytes]]) -> None:
    with connect(start(serve, kind)) as client:
        answer = Chunks(whole_answer(client, request("GET", f"/trailers?{query}", "Connection: close")))
    assert answer.trailers == pairs
    names = ", ".join(dict.fromkeys(name.decode() for name, _ in pairs))
    assert (f"\r\nTrailer: {names}".encode() in answer.head) == bool(pairs)
    assert json.loads(answer.body) == {name.decode(): value.decode("latin-1") for name, value in pairs
                                       if not name.startswith(b"X-Trailer")} | {
        name.decode(): value.decode() for name, value in pairs if name.startswith(b"X-Trailer")}


@pytest.mark.parametrize("query", [
    "Content-Length=1", "Transfer-Encoding=chunked", "Host=x", "set-cookie=a", "X=a%0d%0aY:b", "X Y=1", "=1",
    "count=1001", "Trailer=x",
])
def test_trailers_that_may_not_be(serve: Serve, query: str) -> None:
    assert ask(start(serve), f"/trailers?{query}").status == 400


# -- Real clients ----------------------------------------------------------------------------------


def bodies(server: Any, target: str, clients: tuple[str, ...]) -> dict[str, bytes]:
    """What each of the clients makes of a target."""
    found = {}
    for name in clients:
        with session(name) as client:
            found[name] = client.get(base_of(server) + target, timeout=PATIENCE).content
    return found


@pytest.mark.parametrize("target", [
    "/chunked/100000?extensions=1&trailer=1", "/chunked/100000?trailer=1&min=1&max=50",
])
def test_real_clients_and_chunks(serve: Serve, target: str) -> None:
    server = start(serve)
    found = bodies(server, target, ("requests", "httpx"))
    assert set(found.values()) == {bytes(Octets(100000))}
    connection = http_client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
    try:
        for _ in range(2):
            connection.request("GET", target)
            assert connection.getresponse().read() == bytes(Octets(100000))
    finally:
        connection.close()


def by_curl(url: str, *options: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    command = ["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *options, url]
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=30, check=True).stdout


@pytest.mark.parametrize("target", CODINGS)
def test_curl_and_codings(serve: Serve, target: str) -> None:
    coding = CODINGS[target][0]
    told = by_curl("file:///dev/null", "--version").decode()
    if not re.search({"gzip": "libz", "deflate": "libz", "br": "brotli"}.get(coding, coding), told):
        pytest.skip(f"this curl knows no {coding}")
    compressor = {"br": codings.brotli_compressor, "zstd": codings.zstd_compressor}.get(coding, lambda: True)
    if not compressor():
        pytest.skip(f"no library for {coding}")
    body = by_curl(base_of(start(serve)) + target, "--compressed")
    assert json.loads(body)[CODINGS[target][1]] is True


def test_curl_that_would_rather_speak_http_2(serve: Serve) -> None:
    """It offers an upgrade, behind which another protocol might stand; the body ends all the same."""
    server = start(serve)
    for target in ("/100-continue", "/delay/0"):
        body = by_curl(base_of(server) + target, "--http2", "--data", "x")
        assert json.loads(body)


@pytest.mark.parametrize("target", ["/gzip", "/deflate"])
def test_real_clients_and_codings(serve: Serve, target: str) -> None:
    for body in bodies(start(serve), target, ("requests", "httpx")).values():
        assert json.loads(body)[CODINGS[target][1]] is True


# -- What comes before ---------------------------------------------------------------------------------


@ON_EACH
@pytest.mark.parametrize(("query", "length"), [("", "19"), ("?length=0", None)])
def test_an_old_answer(serve: Serve, kind: str, query: str, length: str | None) -> None:
    with connect(start(serve, kind)) as client:
        reply = client.ask(request("GET", f"/1.0{query}"))
        assert reply.line == "HTTP/1.0 200 OK"
        assert reply.get("Content-Length") == length
        assert reply.body == b"An answer of 1996.\n"
        assert client.is_closed()


def ask_early_hints(client: Client, target: str = "/early-hints") -> tuple[Reply, Reply]:
    hint = client.ask(request(target=target))
    final = client.reply()
    assert final is not None
    return hint, final


@ON_EACH
def test_early_hints(serve: Serve, kind: str) -> None:
    with connect(start(serve, kind)) as client:
        for target in ("/early-hints", "/early-hints?delay=0.05"):
            hint, final = ask_early_hints(client, target)
            assert (hint.status, final.status) == (103, 200)
            links = [[value for name, value in reply.headers if name == "Link"] for reply in (hint, final)]
            assert links[0] == links[1]
            assert len(links[0]) == 2


def test_early_hints_come_early(serve: Serve) -> None:
    with connect(start(serve)) as client:
        client.send(request(target="/early-hints?delay=0.5"))
        assert client.reply() is not None
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)


def test_no_early_hints_for_http_1_0(serve: Serve) -> None:
    assert ask(start(serve), "/early-hints").status == 103
    with connect(start(serve)) as client:
        assert client.ask(request(target="/early-hints", version="1.0")).status == 200


# -- /100-continue ---------------------------------------------------------------------------------


def said_of(client: Client) -> dict[str, Any]:
    """What the answer says, behind any 100."""
    reply = client.reply()
    assert reply is not None
    if reply.status == 100:
        reply = client.reply()
    assert reply is not None
    said: dict[str, Any] = json.loads(reply.body)
    return said


@ON_EACH
@pytest.mark.parametrize(("fields", "body"), [
    (("Content-Length: 4",), b"body"), (("Transfer-Encoding: chunked",), b"4\r\nbody\r\n0\r\n\r\n"),
])
def test_a_client_that_waits(
    serve: Serve, kind: str, fields: tuple[str, ...], body: bytes
) -> None:
    with connect(start(serve, kind)) as client:
        client.send(request("POST", "/100-continue", "Expect: 100-continue", *fields))
        interim = client.reply()
        assert interim is not None
        assert interim.status == 100
        client.send(body)
        said = said_of(client)
        assert said == {"expected": True, "waited": True, "octets": 4}
        assert client.ask(request("POST", "/100-continue", body=b"x")).status == 200


@ON_EACH
@pytest.mark.parametrize(("fields", "expected"), [(("Expect: 100-continue",), True), ((), False)])
def test_a_client_that_does_not_wait(
    serve: Serve, kind: str, fields: tuple[str, ...], expected: bool
) -> None:
    with connect(start(serve, kind)) as client:
        client.send(request("POST", "/100-continue", *fields, body=b"x" * 100000))
        assert said_of(client) == {"expected": expected, "waited": False, "octets": 100000}
        assert client.ask(request("POST", "/100-continue", body=b"x")).status == 200


def test_a_client_that_has_no_patience(serve: Serve) -> None:
    with connect(start(serve)) as client:
        client.send(request("POST", "/100-continue?ms=5000", "Expect: 100-continue", "Content-Length: 4"))
        time.sleep(0.05)
        client.send(b"body")
        reply = client.reply()
        assert reply is not None
        assert json.loads(reply.body) == {"expected": True, "waited": False, "octets": 4}


@pytest.mark.parametrize("fields", [("Transfer-Encoding: chunked",), ("Transfer-Encoding: chunked", EXPECTS)])
def test_a_body_of_broken_chunks(serve: Serve, fields: tuple[str, ...]) -> None:
    with connect(start(serve)) as client:
        client.send(request("POST", "/100-continue", *fields) + b"x\r\n")
        reply = client.reply()
        if reply is not None and reply.status == 100:
            reply = client.reply()
        assert reply is not None
        assert reply.status == 400


@pytest.mark.parametrize("expects", [EXPECTS, "Expect:"])
def test_curl_waits_where_it_says_so(serve: Serve, expects: str) -> None:
    server = start(serve)
    for _ in range(5):
        said = json.loads(by_curl(f"{base_of(server)}/100-continue", "-H", expects, "--data", "x" * 1000))
        assert said == {"expected": expects == EXPECTS, "waited": expects == EXPECTS, "octets": 1000}


def test_who_is_gone_before_the_end(serve: Serve, log: Any) -> None:
    server = start(serve, log=True)
    with connect(server) as client:
        client.send(request(target="/chunked/100000000?min=1000"))
        client.sock.recv(1)
        client.sock.shutdown(socket.SHUT_RDWR)
    assert ask(server, "/1.0").status == 200
    assert [message for message in log.messages() if not message.startswith('"GET')] == []
