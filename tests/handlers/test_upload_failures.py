"""Uploads that fail: limits, expectations, clients that go away, disks that are full. Nothing is left."""

import errno
import os
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, request, wait_until

import fastserve
from fastserve import limits
from fastserve.handlers import storing, upload

from .makers import get
from .uploading import (
    FORM,
    Uploads,
    check_refused,
    chunked,
    contents,
    is_receiving,
    part,
    post,
    put,
)

# -- Limits ----------------------------------------------------------------------------------------

AROUND = pytest.mark.parametrize("over", [-1, 0, 1])


@AROUND
@pytest.mark.parametrize("limit", [10, 300_000])
def test_the_length(host: Any, uploads: Any, tree: Path, over: int, limit: int) -> None:
    peer = uploads(host, upload_limit=limit)
    reply = peer.ask(put("/new", b"x" * (limit + over)))
    if over > 0:
        assert reply.get("Connection") == "close"
    assert (reply.status, (tree / "new").exists()) == ((413, False) if over > 0 else (201, True))


@AROUND
@pytest.mark.parametrize("limit", [10, 300_000])
def test_the_length_of_chunks(host: Any, uploads: Any, tree: Path, over: int, limit: int) -> None:
    peer = uploads(host, upload_limit=limit)
    reply = peer.ask(chunked("PUT", "/new", b"x" * (limit + over)))
    assert (reply.status, (tree / "new").exists()) == ((413, False) if over > 0 else (201, True))
    if over > 0:
        assert reply.get("Connection") == "close"
    assert set(os.listdir(tree)) - {"new"} == {"dir"}


def test_too_much_is_refused_before_it_is_sent(host: Any, uploads: Any) -> None:
    length = limits.MAX_COLLECTED_BODY + 1  # one that is shorter comes before the handler
    peer = uploads(host, upload_limit=length - 1)
    check_refused(peer, peer.ask(request("PUT", "/x", f"Content-Length: {length}")), 413)
    peer = uploads(host, upload_limit=1000)
    check_refused(peer, peer.ask(request("POST", "/", FORM, f"Content-Length: {10**18}")), 413)


def test_endless_chunks(host: Any, uploads: Any, tree: Path) -> None:
    """They are not read to their end, as they have none."""
    peer = uploads(host, upload_limit=1000)
    reply = peer.ask(request("PUT", "/x", "Transfer-Encoding: chunked") + b"800\r\n" + b"x" * 0x800 * 200)
    assert reply.status in (400, 413)
    assert not (tree / "x").exists()


def test_neither_length_nor_chunks(host: Any, uploads: Any) -> None:
    for octets in (request("PUT", "/x"), request("POST", "/", FORM), request("PUT", "/x", version="1.0")):
        peer = uploads(host)
        check_refused(peer, peer.ask(octets), 411)


def test_chunks_where_they_are_not_decoded(uploads: Any, tree: Path) -> None:
    assert uploads(decode_chunked=False).ask(chunked("PUT", "/x", b"x")).status == 411
    assert not (tree / "x").exists()


def test_broken_chunks(host: Any, uploads: Any, tree: Path) -> None:
    peer = uploads(host)
    check_refused(peer, peer.ask(request("PUT", "/x", "Transfer-Encoding: chunked") + b"1\r\nxx\r\n"), 400)
    assert os.listdir(tree) == ["dir"]


# -- Expect: 100-continue ----------------------------------------------------------------------------

WAITS = "Expect: 100-continue"


@pytest.mark.parametrize(("octets", "status"), [
    (request("PUT", "/x", "Content-Length: 2000", WAITS), 413),
    (request("PUT", "/dir/file.txt", "Content-Length: 5", WAITS), 409),
    (request("PUT", "/dir/file.txt", "Content-Length: 5", WAITS, "If-None-Match: *"), 412),
    (request("PUT", "/none/x", "Content-Length: 5", WAITS), 404),
    (request("PUT", "/..", "Content-Length: 5", WAITS), 400),
    (request("PUT", "/x", "Content-Length: 5", WAITS, "Content-Range: bytes 0-4/5"), 400),
    (request("PUT", "/x", "Content-Length: 5", WAITS, "Origin: http://evil"), 403),
    (request("POST", "/", "Content-Length: 5", WAITS), 415),
    (request("POST", "/", "Content-Length: 5", WAITS, "Content-Type: multipart/form-data"), 400),
    (request("POST", "/dir/file.txt", "Content-Length: 5", WAITS, FORM), 405),
])
def test_a_refusal_comes_before_the_body(host: Any, uploads: Any, octets: bytes, status: int) -> None:
    peer = uploads(host, upload_limit=1000)
    check_refused(peer, peer.ask(octets), status)


@pytest.mark.parametrize("length", ["Content-Length: 7", "Transfer-Encoding: chunked"])
def test_a_body_that_is_taken_is_asked_for(host: Any, uploads: Any, tree: Path, length: str) -> None:
    peer = uploads(host)
    peer.send(request("PUT", "/x", length, WAITS))
    assert peer.reply().status == 100
    peer.send(b"7\r\ncontent\r\n0\r\n\r\n" if "chunked" in length else b"content")
    assert peer.reply().status == 201
    assert (tree / "x").read_bytes() == b"content"
    assert peer.ask(get("/x")).body == b"content"


# -- What is left of a failure ---------------------------------------------------------------------

LARGE = limits.MAX_COLLECTED_BODY * 4


@pytest.mark.parametrize("octets", [
    request("PUT", "/x", f"Content-Length: {LARGE}") + b"x" * (LARGE // 2),
    request("PUT", "/x", "Transfer-Encoding: chunked") + b"%x\r\n" % LARGE + b"x" * (LARGE // 2),
    request("POST", "/", FORM, f"Content-Length: {2 * LARGE}") + part(b"1", "a") + part(b"x" * LARGE, "b"),
], ids=["length", "chunks", "form"])
def test_a_client_that_goes_away(host: Any, uploads: Any, tree: Path, octets: bytes, log: Any) -> None:
    peer = uploads(host)
    peer.send(octets)
    assert wait_until(lambda: is_receiving(tree))
    peer.close()
    assert wait_until(lambda: os.listdir(tree) == ["dir"])
    assert log.text() == ""


@pytest.mark.parametrize("host", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_a_client_that_is_too_slow(host: Any, uploads: Any, tree: Path) -> None:
    """As with any other body."""
    slow = type("Slow", (host,), {"timeouts": limits.Timeouts(progress=0.2)})
    peer = uploads(slow)
    peer.send(request("PUT", "/x", f"Content-Length: {LARGE}") + b"x" * (LARGE // 2))
    assert wait_until(lambda: is_receiving(tree))
    assert peer.is_closed()
    assert wait_until(lambda: os.listdir(tree) == ["dir"])


@pytest.mark.parametrize("host", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_a_client_that_drips(host: Any, uploads: Any, tree: Path) -> None:
    """Progress is made, but less than the least."""
    drip = type("Drip", (host,), {"timeouts": limits.Timeouts(min_rate=1e6, grace=0.2)})
    peer = uploads(drip)
    peer.send(request("PUT", "/x", f"Content-Length: {LARGE}"))
    ended = threading.Event()

    def send() -> None:
        while not ended.wait(0.02):
            peer.send(b"x")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert peer.is_closed()
    finally:
        ended.set()
        thread.join()
    assert wait_until(lambda: os.listdir(tree) == ["dir"])


@pytest.mark.parametrize(("code", "status"), [
    (errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EFBIG, 413), (errno.EIO, 500), (errno.EACCES, 403),
])
@pytest.mark.parametrize(
    "octets", [put("/x", b"x" * LARGE), post("/", part(b"1", "a"), part(b"x" * LARGE, "b"))],
    ids=["put", "post"])
def test_a_file_that_cannot_be_written(
        uploads: Any, tree: Path, octets: bytes, code: int, status: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, data: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(storing.os, "write", fail)
    assert uploads().ask(octets).status == status
    assert os.listdir(tree) == ["dir"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_folder_that_may_not_be_written_to(
        uploads: Any, tree: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(storing.os, "open", fail)
    assert uploads().ask(put("/x")).status == 403


def test_a_disk_that_is_too_small(host: Any, uploads: Any, tree: Path) -> None:
    """Is seen before the body is sent."""
    peer = uploads(host, upload_limit=1 << 62)
    check_refused(peer, peer.ask(request("PUT", "/x", f"Content-Length: {1 << 60}", WAITS)), 507)


def test_writes_that_take_a_part(uploads: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, body = os.write, os.urandom(10_000)
    monkeypatch.setattr(storing.os, "write", lambda fd, data: plain(fd, data[:777]))
    assert uploads().ask(put("/x", body)).status == 201
    assert (tree / "x").read_bytes() == body


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links."""

    def link(*args: Any, **options: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(storing.os, "link", link)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links(uploads: Any, tree: Path) -> None:
    assert uploads().ask(put("/x")).status == 201
    assert uploads().ask(put("/x", b"other")).status == 409
    assert uploads().ask(post("/", part(b"2", "x"), part(b"3", "y"))).body == b"/x%20%281%29\n/y\n"
    assert contents(tree) == {"x": b"content", "x (1)": b"2", "y": b"3", "dir/file.txt": b"file"}


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_failure_leaves_nothing(
        uploads: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(storing.os, "replace", replace)
    assert uploads().ask(put("/x")).status == 507
    assert os.listdir(tree) == ["dir"]


def test_the_end_of_the_process_leaves_nothing(tmp_path: Path) -> None:
    with storing.Folder(str(tmp_path), str(tmp_path)) as folder:
        unfinished = storing.Upload(folder)
        unfinished.write(b"x")
        kept = storing.Upload(folder)
        kept.keep("kept")
        assert is_receiving(tmp_path)
        storing.discard_all()
        assert os.listdir(tmp_path) == ["kept"]
        unfinished.discard()
        kept.discard()
        assert os.listdir(tmp_path) == ["kept"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO])
def test_every_failure_has_a_status(code: int) -> None:
    refusal = upload.refusal_of(OSError(code, os.strerror(code)))
    assert isinstance(refusal.status, HTTPStatus)
    assert refusal.message


@pytest.fixture
def crowd() -> Iterator[list[Client]]:
    """Clients that are closed at the end."""
    clients: list[Client] = []
    yield clients
    for each in clients:
        each.close()


def test_many_of_one_name_at_once(files: Any, tree: Path, crowd: list[Client]) -> None:
    """One has it; the others are told, or are numbered."""
    server = files(fastserve.ThreadingHTTPServer, Uploads)
    crowd += [Client(server.server_address) for _ in range(16)]
    for number, peer in enumerate(crowd):
        peer.send(put("/x", b"%d" % number * LARGE) if number % 2 else post("/", part(b"p" * LARGE, "x")))
    statuses = sorted(peer.reply().status for peer in crowd)  # type: ignore[union-attr]
    assert set(statuses) <= {201, 409}
    stored = contents(tree)
    assert len(stored) == 1 + statuses.count(201) >= 9
    assert all(len(set(content)) == 1 or name == "dir/file.txt" or len(set(content)) == 2
               for name, content in stored.items())
