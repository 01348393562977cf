"""Uploads: 50 MiB read in pieces, by a length and in chunks, and those that wait for 100 Continue, by curl.

On both of fastserve's servers and, to check the tests themselves, on http.server's with their own handlers,
but for what these cannot do. handlers/test_bodies.py has small bodies, on every host, and what becomes of an
expectation that is refused or of a body that nobody reads.
"""

import hashlib
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import ask, request
from live.kinds import OURS, Kind, needs_curl, url
from live.process import WAIT

from fastserve.limits import MAX_DRAINED_BODY

BLOCK = random.Random(50).randbytes(1 << 20)
SIZE = 50 << 20


def upload() -> Iterator[bytes]:
    """50 MiB, no two of which are the same."""
    for number in range(SIZE >> 20):
        yield number.to_bytes(8, "big") + BLOCK[8:]


def digest_of(pieces: Iterator[bytes]) -> bytes:
    digest = hashlib.blake2b()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest().encode()


class Sum:
    """Answers with the checksum of what is put, read as ``read_body`` has it."""

    sizes: Callable[[], Iterator[int]]
    read_body: Any

    def do_PUT(self: Any) -> None:
        length = self.headers["Content-Length"]
        self.answer(digest_of(self.read_body(None if length is None else int(length))))

    def read_pieces(self: Any, length: int | None) -> Iterator[bytes]:
        """By the length, where it is known."""
        for size in self.sizes():
            piece = self.rfile.read(size if length is None else min(size, length))
            if not piece:
                return
            yield piece
            if length is not None:
                length -= len(piece)

    def read_into(self: Any, length: int | None) -> Iterator[bytes]:
        view = memoryview(bytearray(65536))
        for size in self.sizes():
            count = self.rfile.readinto(view[: size if length is None else min(size, length)])
            if not count:
                return
            yield bytes(view[:count])
            if length is not None:
                length -= count

    def read_chunks(self: Any, length: int | None) -> Iterator[bytes]:
        """Raw chunks, decoded as people do it with http.server."""
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"


def always(size: int) -> Callable[[Any], Iterator[int]]:
    def sizes(self: Any) -> Iterator[int]:
        while True:
            yield size

    return sizes


def any_size(self: Any) -> Iterator[int]:
    chance = random.Random(64)
    while True:
        yield chance.randint(1, 65536)


SIZES = {"1 KiB": always(1024), "any": any_size, "64 KiB": always(65536)}


def put_whole(peer: Any) -> Any:
    peer.send(request("PUT", "/", f"Content-Length: {SIZE}"))
    for piece in upload():
        peer.send(piece)
    return peer.reply("PUT")


def put_chunked(peer: Any) -> Any:
    """In chunks of any size, which have nothing to do with the pieces that are sent."""
    chance = random.Random(9)
    peer.send(request("PUT", "/", "Transfer-Encoding: chunked"))
    for piece in upload():
        at, chunks = 0, []
        while at < len(piece):
            chunk = piece[at : at + chance.randint(1, 200_000)]
            chunks.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            at += len(chunk)
        peer.send(b"".join(chunks))
    peer.send(b"0\r\n\r\n")
    return peer.reply("PUT")


@pytest.fixture(scope="module")
def checksum() -> bytes:
    return digest_of(upload())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reading", ["read_pieces", "read_into"])
def test_an_upload_by_its_length(
    sizes: str, reading: str, kind: Kind, serve: Any, client: Any, checksum: bytes
) -> None:
    handler = kind.handler(Sum, sizes=SIZES[sizes], read_body=getattr(Sum, reading))
    peer = client(serve(handler, kind.server))
    assert put_whole(peer).body == checksum
    assert peer.ask(request(target="/next")).body == b"/next"


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reading", ["read_pieces", "read_into"])
def test_an_upload_in_chunks_that_are_decoded(
    sizes: str, reading: str, ours: Kind, serve: Any, client: Any, checksum: bytes
) -> None:
    handler = ours.handler(Sum, sizes=SIZES[sizes], read_body=getattr(Sum, reading), decode_chunked=True)
    peer = client(serve(handler, ours.server))
    reply = put_chunked(peer)
    assert (reply.body, reply.get("Connection")) == (checksum, None)
    assert peer.ask(request(target="/next")).body == b"/next"


def test_an_upload_in_chunks_that_the_handler_decodes(
    kind: Kind, serve: Any, client: Any, checksum: bytes
) -> None:
    peer = client(serve(kind.handler(Sum, read_body=Sum.read_chunks), kind.server))
    assert put_chunked(peer).body == checksum


# -- Uploads that ask first, by curl ---------------------------------------------------------------


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(BLOCK * 5)
    return path


class Put(NamedTuple):
    """What came of an upload: the answer, how much of the file has left, and whether curl was content."""

    body: str
    status: int
    size: int
    whole: bool


def put_by_curl(server: Any, file: Path, *options: str) -> Put:
    """Nobody waits for ever for a 100: without it, there is no status."""
    command = ["curl", "-sS", "-H", "Expect: 100-continue", "--expect100-timeout", "600",
               "--max-time", str(WAIT), *options, "-T", str(file),
               "-w", "\n%{http_code} %{size_upload}", url(server, "/put")]
    done = subprocess.run(command, capture_output=True, timeout=2 * WAIT)
    body, _, rest = done.stdout.decode().rpartition("\n")
    status, size = rest.split()
    return Put(body, int(status), int(size), done.returncode == 0)


@needs_curl
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_an_expectation_that_is_met(version: str, kind: Kind, serve: Any, large_file: Path) -> None:
    """HTTP/1.0 has no 100, and no client of it waits."""
    server = serve(kind.handler(Sum, sizes=any_size, read_body=Sum.read_pieces), kind.server)
    expected = digest_of(iter([large_file.read_bytes()])).decode()
    assert put_by_curl(server, large_file, version) == (expected, 200, 5 << 20, True)


@needs_curl
def test_an_expectation_that_is_met_with_chunks(ours: Kind, serve: Any, large_file: Path) -> None:
    handler = ours.handler(Sum, sizes=any_size, read_body=Sum.read_pieces, decode_chunked=True)
    expected = digest_of(iter([large_file.read_bytes()])).decode()
    put = put_by_curl(serve(handler, ours.server), large_file, "-H", "Transfer-Encoding: chunked")
    assert (put.body, put.status, put.whole) == (expected, 200, True)


class Picky:
    """Refuses before the body is sent."""

    def handle_expect_100(self: Any) -> bool:
        self.send_error(417, "Not now")
        return False

    def do_PUT(self: Any) -> None:
        raise AssertionError("the request was refused")


@needs_curl
def test_an_expectation_that_is_refused(kind: Kind, serve: Any, large_file: Path) -> None:
    put = put_by_curl(serve(kind.handler(Picky), kind.server), large_file)
    assert "Not now" in put.body
    assert (put.status, put.size, put.whole) == (417, 0, True)


class Careless:
    """Asks for the body, as handlers do by themselves, and answers without it."""

    def do_PUT(self: Any) -> None:
        self.answer(b"no need")


@needs_curl
def test_an_expectation_that_is_met_for_nothing(serve: Any, large_file: Path) -> None:
    """On the loop, which lets a client send up to 1 MiB after its answer, and takes none of it for a request.

    A thread closes as soon as it has answered, which a client may meet while it sends.
    """
    loop = OURS["loop"]
    server = serve(loop.handler(Careless), loop.server)
    with large_file.open("r+b") as file:
        file.truncate(MAX_DRAINED_BODY)
    for _ in range(5):
        assert put_by_curl(server, large_file) == ("no need", 200, MAX_DRAINED_BODY, True)
    assert ask(server.server_address, request(target="/next")).body == b"/next"
