"""The manual on SimpleHTTPRequestHandler: what it serves, from where, and what a subclass may set."""

import functools
import io
import os
import socketserver
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, nothing_left_behind, request, running

import fastserve
from fastserve.limits import CLOCK_GRAIN

from .answers import OURS
from .conftest import Library, quiet


@pytest.fixture
def files(library: Library, serve: Any, folder: Path) -> Any:
    """A function that serves ``folder`` with a subclass of such attributes; gives the server's address."""

    def start(options: Any = None, **attributes: Any) -> Any:
        kind = type("Handler", (library.SimpleHTTPRequestHandler,), {"log_message": quiet, **attributes})
        made = functools.partial(kind, directory=str(folder), **(options or {}))
        return serve(made, library.HTTPServer).server_address

    return start


def get(address: Any, target: str, *fields: str) -> Any:
    return ask(address, request("GET", target, *fields))


def test_SimpleHTTPRequestHandler(
    library: Library, handler: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serves GET and HEAD from the current directory and below."""
    (folder / "below").mkdir()
    (folder / "below" / "file").write_text("content")
    monkeypatch.chdir(folder)
    assert issubclass(library.SimpleHTTPRequestHandler, library.BaseHTTPRequestHandler)
    peer = handler(library.SimpleHTTPRequestHandler, protocol_version="HTTP/1.1")
    assert peer.ask(request("GET", "/below/file")).body == b"content"
    assert peer.ask(request("HEAD", "/below/file")).get("Content-Length") == "7"
    assert peer.ask(request("POST", "/below/file")).status == 501


def test_example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manual's own, with socketserver's server."""
    (folder / "file").write_text("content")
    monkeypatch.chdir(folder)

    class Handler(fastserve.SimpleHTTPRequestHandler):
        log_message = quiet

    with nothing_left_behind(), socketserver.TCPServer(("", 0), Handler) as httpd, running(httpd):
        assert get(("127.0.0.1", httpd.server_address[1]), "/file").body == b"content"


@pytest.mark.parametrize("kind", [str, Path], ids=["str", "path"])
def test_directory(library: Library, serve: Any, folder: Path, kind: Any) -> None:
    """Where the files are: a path of any kind, the current directory unless it is told."""
    (folder / "file").write_text("content")
    seen: list[str] = []

    class Handler(library.SimpleHTTPRequestHandler):
        log_message = quiet

        def do_GET(self) -> None:
            seen.append(self.directory)
            super().do_GET()

    here = serve(functools.partial(Handler, directory=kind(folder)), library.HTTPServer)
    assert get(here.server_address, "/file").body == b"content"
    get(serve(Handler, library.HTTPServer).server_address, "/")
    assert seen == [str(folder), os.getcwd()]


# -- Class attributes ------------------------------------------------------------------------------


@OURS
def test_server_version(library: Library, files: Any) -> None:
    """3.15's, without a number."""
    assert library.SimpleHTTPRequestHandler.server_version == "SimpleHTTP"
    assert get(files(), "/").get("Server").startswith("SimpleHTTP Python/")
    assert get(files(server_version="Mine/1"), "/").get("Server").startswith("Mine/1 Python/")


@OURS
def test_index_pages(library: Library, files: Any, folder: Path) -> None:
    """What stands for a directory where it is there, in this order."""
    assert library.SimpleHTTPRequestHandler.index_pages == ("index.html", "index.htm")
    (folder / "index.htm").write_text("second")
    address = files()
    assert get(address, "/").body == b"second"
    (folder / "index.html").write_text("first")
    assert get(address, "/").body == b"first"
    (folder / "start").write_text("mine")
    assert get(files(index_pages=["none", "start"]), "/").body == b"mine"


@OURS
def test_default_content_type(library: Library, files: Any, folder: Path) -> None:
    """The type of a file whose name does not tell it."""
    assert library.SimpleHTTPRequestHandler.default_content_type == "application/octet-stream"
    for name in ("plain", "name.unknown"):
        (folder / name).touch()
        assert get(files(), f"/{name}").get("Content-Type") == "application/octet-stream"
        assert get(files(default_content_type="a/b"), f"/{name}").get("Content-Type") == "a/b"


def test_extensions_map(library: Library, files: Any, folder: Path) -> None:
    """Types by lower-case suffix, before the system's own; the name's case does not matter."""
    assert library.SimpleHTTPRequestHandler.extensions_map == {
        ".gz": "application/gzip", ".Z": "application/octet-stream", ".bz2": "application/x-bzip2",
        ".xz": "application/x-xz"}
    address = files(extensions_map={".mine": "a/mine", ".html": "a/html"})
    for name, kind in {
        "a.mine": "a/mine", "a.MINE": "a/mine", "a.html": "a/html", "a.txt": "text/plain",
    }.items():
        (folder / name).touch()
        assert get(address, f"/{name}").get("Content-Type") == kind
    (folder / "a.tar.gz").touch()
    assert get(files(), "/a.tar.gz").get("Content-Type") == "application/gzip"


@OURS
def test_extra_response_headers(library: Library, files: Any, folder: Path) -> None:
    """Fields for answers with a file or a listing; None unless they are told."""
    (folder / "file").write_text("content")
    extra = [("X-One", "1"), ("Set-Cookie", "a"), ("Set-Cookie", "b"), ("content-type", "not/this")]
    address = files({"extra_response_headers": extra})
    for target in ("/file", "/"):
        reply = get(address, target)
        assert [value for name, value in reply.headers if name in ("X-One", "Set-Cookie")] == ["1", "a", "b"]
        assert [value for name, value in reply.headers if name.lower() == "content-type"] != ["not/this"]
    assert get(address, "/none").get("X-One") is None
    assert library.SimpleHTTPRequestHandler.__init__.__kwdefaults__ == {
        "directory": None, "extra_response_headers": None}


# -- Methods ---------------------------------------------------------------------------------------


def test_do_HEAD(files: Any, folder: Path) -> None:
    """What GET would answer, without the body."""
    (folder / "file.txt").write_text("content")
    (folder / "dir").mkdir()
    time.sleep(2 * CLOCK_GRAIN)  # then its entity tag stays the same
    address = files()
    for target in ("/file.txt", "/dir/", "/dir", "/none"):
        with Client(address) as client:
            client.send(request("HEAD", target))
            head, _, body = client.rest().partition(b"\r\n\r\n")
        asked = get(address, target)
        lines = [asked.line, *(f"{name}: {value}" for name, value in asked.headers)]
        dates = [line for line in (*lines, *head.decode().split("\r\n")) if line.startswith("Date: ")]
        assert len(dates) == 2
        assert [line for line in head.decode().split("\r\n") if line not in dates] == [
            line for line in lines if line not in dates]
        assert body == b""


def test_do_GET(files: Any, folder: Path) -> None:
    """A file with its type, its length and its date; 304, 301, 404; an index page or a listing."""
    (folder / "dir").mkdir()
    (folder / "dir" / "file.txt").write_bytes(b"content\r\n\x00")
    os.utime(folder / "dir" / "file.txt", (784111777, 784111777))
    address = files()
    reply = get(address, "/dir/file.txt")
    assert (reply.line, reply.body) == ("HTTP/1.0 200 OK", b"content\r\n\x00")
    ours = ("ETag", "Accept-Ranges")  # rows validators and ranges of differences.py
    assert [header for header in reply.headers[2:] if header[0] not in ours] == [
        ("Content-type", "text/plain"), ("Content-Length", "10"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
    assert get(address, "/dir/file.txt?query#fragment").body == reply.body
    since = {"Sun, 06 Nov 1994 08:49:37 GMT": 304, "Mon, 07 Nov 1994 08:49:37 GMT": 304,
             "Sun, 06 Nov 1994 08:49:36 GMT": 200}
    for date, status in since.items():
        assert get(address, "/dir/file.txt", f"If-Modified-Since: {date}").status == status
    missing = get(address, "/none")
    assert missing.line == "HTTP/1.0 404 File not found"
    assert (get(address, "/dir?q").status, get(address, "/dir?q").get("Location")) == (301, "/dir/?q")
    assert b'<a href="file.txt">file.txt</a>' in get(address, "/dir/").body
    (folder / "dir" / "index.html").write_text("index")
    assert get(address, "/dir/").body == b"index"


def test_list_directory(files: Any, folder: Path) -> None:
    """Makes the page of a directory without an index page; 404 where that cannot be read."""
    (folder / "b & c").touch()
    (folder / "A").mkdir()
    reply = get(files(), "/")
    assert reply.get("Content-type").startswith("text/html; charset=")
    items = [b'<li><a href="A/">A/</a></li>', b'<li><a href="b%20%26%20c">b &amp; c</a></li>']
    assert [line for line in reply.body.splitlines() if line.startswith(b"<li>")] == items
    calls: list[str] = []

    def list_directory(self: Any, path: Any) -> io.BytesIO:
        calls.append(os.fspath(path))
        self.send_response(200)
        self.end_headers()
        return io.BytesIO(b"mine")

    assert get(files(list_directory=list_directory), "/A/").body == b"mine"
    assert calls == [str(folder / "A") + "/"]


def test_guess_type(library: Library, files: Any, folder: Path) -> None:
    """Tells the type for a path, which an override may do otherwise."""
    (folder / "a.html").touch()
    assert get(files(), "/a.html").get("Content-Type") == "text/html"
    paths: list[str] = []

    def guess_type(self: Any, path: Any) -> str:
        paths.append(os.fspath(path))
        return "a/b"

    assert get(files(guess_type=guess_type), "/a.html").get("Content-Type") == "a/b"
    assert paths == [str(folder / "a.html")]


def test_symbolic_links(files: Any, folder: Path, tmp_path: Path) -> None:
    """They are followed, also to what is not below the directory."""
    (tmp_path / "outside").write_text("outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    assert get(files(), "/link").body == b"outside"
