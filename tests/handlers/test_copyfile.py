"""copyfile(): what goes by send_file(), what is read and written, and how much of it."""

import gzip
import io
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fastserve import limits

from .makers import get, handler_for


@pytest.fixture
def copies(files: Any, client: Any) -> Any:
    """A function that answers GET with what ``open_source()`` gives, and returns the reply."""

    def ask(open_source: Any, *headers: tuple[str, Any], host: Any = None) -> Any:
        def do_GET(self: Any) -> None:
            self.send_response(200)
            for header in headers:
                self.send_header(*header)
            self.end_headers()
            with open_source() as source:
                self.copyfile(source, self.wfile)

        server = files(do_GET=do_GET) if host is None else files(host, do_GET=do_GET)
        return client(server).ask(get("/"))

    return ask


# -- Between files -----------------------------------------------------------------------------


def test_copyfile_between_any_two_files() -> None:
    target = io.BytesIO()
    handler_for("/").copyfile(io.BytesIO(b"x" * 200_000), target)
    assert target.getvalue() == b"x" * 200_000


def test_copyfile_from_a_file_to_a_foreign_stream(folder: Path) -> None:
    (folder / "file").write_bytes(b"abc")
    target = io.BytesIO()
    with (folder / "file").open("rb") as source:
        handler_for("/").copyfile(source, target)
    assert target.getvalue() == b"abc"


@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize("size", [0, 1000, limits.MAX_COPIED_FILE + 1000])
def test_a_file_of_no_declared_length(
    size: int, buffering: int, host: Any, copies: Any, folder: Path
) -> None:
    (folder / "file").write_bytes(b"x" * size)
    reply = copies(lambda: (folder / "file").open("rb", buffering), host=host)
    assert reply.body == b"x" * size


def test_no_more_than_was_declared(host: Any, copies: Any, folder: Path) -> None:
    (folder / "file").write_bytes(b"0123456789")
    declared = "Content-Length", 4
    assert copies(lambda: (folder / "file").open("rb"), declared, host=host).body == b"0123"


def test_a_declared_length_of_nothing(host: Any, copies: Any, folder: Path) -> None:
    (folder / "file").write_bytes(b"0123456789")
    headers = ("Content-Length", 0), ("Connection", "close")
    assert copies(lambda: (folder / "file").open("rb"), *headers, host=host).body == b""


def test_a_range_leaves_from_the_file_as_it_is_then(files: Any, client: Any, folder: Path) -> None:
    """Row "file-changes": on a loop most of it leaves after copyfile() has returned."""
    path, size = folder / "file", 30_000_000
    path.write_bytes(b"a" * size)

    def do_GET(self: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Length", size)
        self.end_headers()
        with path.open("rb") as source:
            self.copyfile(source, self.wfile)
        with path.open("r+b") as file:
            file.write(b"b" * size)

    body = client(files(do_GET=do_GET)).ask(get("/")).body
    assert len(body) == size
    assert set(body) <= set(b"ab")  # in any order: the kernel sends the file's own pages
    assert body.endswith(b"b")


# -- What only looks like a file ---------------------------------------------------------------


def pipe() -> Any:
    """What a program that has ended said."""
    reader, writer = os.pipe()
    subprocess.run(["echo", "from a pipe"], stdout=writer, check=True)
    os.close(writer)
    return reader


def socket_file() -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"from a socket")
        return ours.makefile("rb")


class Upper(io.FileIO):
    """A raw stream with a descriptor, whose octets are others than the file's."""

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer)).upper()
        buffer[: len(data)] = data
        return len(data)


SOURCES = {
    "pipe": (lambda folder: io.BufferedReader(io.FileIO(pipe())), b"from a pipe\n"),
    "unbuffered-pipe": (lambda folder: io.FileIO(pipe()), b"from a pipe\n"),
    "socket": (lambda folder: socket_file(), b"from a socket"),
    "memory": (lambda folder: io.BufferedReader(io.BytesIO(b"from memory")), b"from memory"),
    "own-stream": (lambda folder: io.BufferedReader(Upper(folder / "file")), b"FROM A FILE"),
}


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "endless"])
@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_no_file_is_read(kind: str, declared: bool, host: Any, copies: Any, folder: Path) -> None:
    (folder / "file").write_bytes(b"from a file")
    make, content = SOURCES[kind]
    headers = [("Content-Length", len(content))] if declared else []
    assert copies(lambda: make(folder), *headers, host=host).body == content


def test_a_file_whose_size_the_system_does_not_know(host: Any, copies: Any) -> None:
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("this system has no /proc")
    assert path.stat().st_size == 0
    assert copies(lambda: path.open("rb"), host=host).body == path.read_bytes()


def test_a_compressed_file_object(host: Any, copies: Any, folder: Path) -> None:
    """It has a fileno(), and its octets are not those of the file."""
    with gzip.open(folder / "a.gz", "wb") as file:
        file.write(b"plain text")
    reply = copies(lambda: gzip.GzipFile(folder / "a.gz"), ("Content-Length", 10), host=host)
    assert reply.body == b"plain text"
