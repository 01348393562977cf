"""SimpleHTTPRequestHandler: which file a path names, and what is sent of it.

Directories and listings are test_directories.py's.
"""

import contextlib
import email.utils
import functools
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import PATIENCE, ask, connect, descriptors, running

import fastserve
from fastserve import limits

from .makers import Files, get, handler_for, head, settle

# -- From a path to a name ---------------------------------------------------------------------

NAMES = [
    ("/", "/root/"),
    ("/a", "/root/a"),
    ("/a/", "/root/a/"),
    ("/a/b.txt", "/root/a/b.txt"),
    ("", "/root"),
    ("a/b", "/root/a/b"),
    ("/a?b=c", "/root/a"),
    ("/a#b", "/root/a"),
    ("/a?b#c/", "/root/a"),
    ("/a%20b", "/root/a b"),
    ("/a%2Fb", "/root/a/b"),
    ("/a%3Fb%23c", "/root/a?b#c"),
    ("/%C3%BC", "/root/\xfc"),
    ("/%ff", "/root/\udcff"),
    ("/%ed%b3%bf", "/root/\udcff"),  # http.server's link to it
    ("/%c0%ae%c0%ae%c0%af", "/root/\udcc0\udcae\udcc0\udcae\udcc0\udcaf"),  # no dots, no slash
    ("/%25%32%30", "/root/%20"),
    ("/a//b", "/root/a/b"),
    ("//a", "/root/a"),
    ("///a///b///", "/root/a/b/"),
    ("/./a/./b", "/root/a/b"),
    ("/a/../b", "/root/b"),
    ("/a/%2e%2e/b", "/root/b"),
    # All that would lead out of the folder.
    ("/..", "/root"),
    ("/../", "/root/"),
    ("/../../etc/passwd", "/root/etc/passwd"),
    ("/a/../../../etc/passwd", "/root/etc/passwd"),
    ("../../etc/passwd", "/root/etc/passwd"),
    ("..", "/root"),
    ("/%2e%2e/%2e%2e/etc/passwd", "/root/etc/passwd"),
    ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/root/etc/passwd"),
    ("/..%2f..%2f", "/root/"),
    ("/a/..%2f..%2fetc", "/root/etc"),
    ("//etc/passwd", "/root/etc/passwd"),
    ("/%2fetc/passwd", "/root/etc/passwd"),
    ("/%252e%252e/etc", "/root/%2e%2e/etc"),
    ("/..;/etc", "/root/..;/etc"),
    ("/.../etc", "/root/.../etc"),
    ("/.. /etc", "/root/.. /etc"),
    # On POSIX a backslash is a letter.
    ("/..\\..\\etc", "/root/..\\..\\etc"),
    ("/%5C..%5C..%5Cetc", "/root/\\..\\..\\etc"),
    ("/a\\b", "/root/a\\b"),
    ("/a%00b", "/root/a\0b"),
    # Absolute form: scheme and host are dropped.
    ("http://host/a", "/root/a"),
    ("HTTPS://host:1/a/?b", "/root/a/"),
    ("http://host", "/root/"),
    ("http://host/../../etc", "/root/etc"),
    ("http://host//etc", "/root/etc"),
    ("/http://host/a", "/root/http:/host/a"),
    ("http://[/a", "/root/a"),
    ("http://host?a/b", "/root/"),
    ("http://host#a/b", "/root/"),
    ("?http://host/a", "/root"),
]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_translate_path(path: str, name: str) -> None:
    assert handler_for("/root").translate_path(path) == name


@pytest.mark.parametrize("directory", ["relative", "/with/slash/", "/", Path("/a/path")])
def test_translate_path_starts_with_the_directory(directory: Any) -> None:
    assert handler_for(directory).translate_path("/a/b") == os.path.join(os.fspath(directory), "a", "b")


def test_no_path_leaves_the_folder() -> None:
    """Every combination of what could lead out, joined in any order."""
    parts = ["..", ".", "", "%2e%2e", "..%2f", "%2f", "\\", "..\\", "a", "%00", "c:", "//"]
    handler = handler_for("/root")
    for first in parts:
        for second in parts:
            for third in parts:
                path = f"/{first}/{second}/{third}"
                name = os.path.normpath(handler.translate_path(path))
                assert name == "/root" or name.startswith("/root/"), path


def test_nothing_outside_is_served(files: Any, client: Any, folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "sub").mkdir()
    server = files()
    for target in ["/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
                   "/sub/..%2f..%2fsecret.txt", "//../secret.txt", "/.%2e/secret.txt", "../secret.txt",
                   "http://x/../secret.txt", f"/{folder.parent}/secret.txt"]:
        assert ask(server.server_address, get(target)).status == 404, target


def test_translate_path_may_be_overridden(files: Any, client: Any, folder: Path) -> None:
    (folder / "only.txt").write_text("only")
    server = files(translate_path=lambda self, path: str(folder / "only.txt"))
    assert client(server).ask(get("/any/thing")).body == b"only"


def test_the_current_directory_is_the_default(
    serve: Any, client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "here.txt").write_text("here")
    monkeypatch.chdir(folder)
    assert client(serve(Files)).ask(get("/here.txt")).body == b"here"


def test_the_directory_may_be_a_path_object(serve: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    seen: list[Any] = []

    class Telling(Files):
        def do_GET(self) -> None:
            seen.append(self.directory)
            super().do_GET()

    assert client(serve(functools.partial(Telling, directory=folder))).ask(get("/a.txt")).body == b"a"
    assert seen == [str(folder)]


# -- Types -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("a.html", "text/html"),
        ("a.HTML", "text/html"),
        ("/x/y.txt", "text/plain"),
        ("a.tar.gz", "application/gzip"),
        ("a.GZ", "application/gzip"),
        ("a.Z", "application/octet-stream"),
        ("a.bz2", "application/x-bzip2"),
        ("a.xz", "application/x-xz"),
        ("a.unknown-extension", "application/octet-stream"),
        ("noext", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("a.png", "image/png"),
        (Path("a.css"), "text/css"),
    ],
)
def test_guess_type(name: Any, guessed: str) -> None:
    assert handler_for("/").guess_type(name) == guessed


def test_extensions_map_comes_first() -> None:
    handler = handler_for("/")
    handler.extensions_map = {".html": "x/html", "": "x/none"}
    assert handler.guess_type("a.html") == "x/html"
    assert handler.guess_type("a.HTML") == "x/html"
    assert handler.guess_type("a.txt") == "text/plain"
    assert handler.guess_type("noext") == "x/none"


def test_default_content_type() -> None:
    handler = handler_for("/")
    assert handler.default_content_type == "application/octet-stream"
    handler.default_content_type = "text/x-default"
    assert handler.guess_type("noext") == "text/x-default"
    assert handler.guess_type("a.txt") == "text/plain"


def test_guess_type_may_be_overridden(files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    reply = client(files(guess_type=lambda self, path: f"x/{os.path.basename(path)}")).ask(get("/a.txt"))
    assert reply.get("Content-Type") == "x/a.txt"


# -- Files -------------------------------------------------------------------------------------

SIZES = [0, 1, 4095, 4096, 4097, limits.MAX_COPIED_FILE, limits.MAX_COPIED_FILE + 1, 1_000_000, 5_000_000]


def without_date(reply: Any) -> list[tuple[str, str]]:
    return [pair for pair in reply.headers if pair[0] != "Date"]


@pytest.mark.parametrize("size", SIZES)
def test_files_of_many_sizes(size: int, host: Any, files: Any, client: Any, folder: Path) -> None:
    content = os.urandom(size)
    (folder / "file.bin").write_bytes(content)
    settle(folder / "file.bin")
    peer = client(files(host))
    for _ in range(2):
        reply = peer.ask(get("/file.bin"))
        assert reply.get("Content-Length") == str(size)
        assert reply.body == content
        again = peer.ask(head("/file.bin"))
        assert (again.line, without_date(again)) == (reply.line, without_date(reply))


def test_the_head_of_a_file(files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    os.utime(folder / "a.txt", (5, 1_000_000_000.75))
    reply = client(files()).ask(get("/a.txt"))
    assert [name for name, _ in reply.headers] == [
        "Server", "Date", "Content-type", "Content-Length", "ETag", "Accept-Ranges", "Last-Modified",
    ]
    assert reply.get("Last-Modified") == "Sun, 09 Sep 2001 01:46:40 GMT"


def test_an_edit_is_seen_at_the_next_request(host: Any, files: Any, client: Any, folder: Path) -> None:
    path = folder / "a.txt"
    peer = client(files(host))
    for content in (b"first", b"other", b"", b"longer than before"):
        path.write_bytes(content)
        assert peer.ask(get("/a.txt")).body == content
    path.unlink()
    assert peer.ask(get("/a.txt")).status == 404


@pytest.mark.parametrize("server_class", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_many_downloads_at_once(server_class: Any, files: Any, client: Any, folder: Path) -> None:
    content = os.urandom(3_000_000)
    (folder / "file.bin").write_bytes(content)
    server = files(server_class)
    peers = [client(server) for _ in range(10)]
    for peer in peers:
        peer.send(get("/file.bin"))
    for peer in peers:
        assert peer.reply().body == content


def test_the_file_has_its_name(files: Any, client: Any, folder: Path) -> None:
    """As http.server's has, which is what do_GET and copyfile overrides look at."""
    (folder / "a.txt").write_text("a")
    (folder / "dir").mkdir()
    (folder / "dir" / "index.html").write_text("index")
    names: list[Any] = []

    def copyfile(self: Any, source: Any, outputfile: Any) -> None:
        names.append(source.name)
        Files.copyfile(self, source, outputfile)

    peer = client(files(copyfile=copyfile))
    assert peer.ask(get("/a.txt")).body == b"a"
    assert peer.ask(get("/dir/")).body == b"index"
    assert names == [str(folder / "a.txt"), str(folder / "dir" / "index.html")]


def test_a_file_is_not_left_open_by_an_override_that_fails(
    files: Any, client: Any, folder: Path, capsys: Any
) -> None:
    (folder / "a.txt").write_text("a")

    def guess_type(self: Any, path: str) -> str:
        raise KeyError(path)

    before = descriptors()
    peer = client(files(guess_type=guess_type))
    peer.send(get("/a.txt"))
    assert peer.is_closed()
    assert not [each for each in descriptors() - before if "a.txt" in each]
    assert "KeyError" in capsys.readouterr().err


def test_no_permission_is_not_found(files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    with mock.patch("os.open", side_effect=PermissionError):
        assert client(files()).ask(get("/a.txt")).status == 404


MISSING = ["/a.txt/", "/a.txt/b", "/nothing", "/nothing/", "/a%00.txt", "/a.txt%00", "/%00"]


@pytest.mark.parametrize("target", MISSING)
def test_what_is_not_there(target: str, host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    reply = client(files(host)).ask(get(target))
    assert (reply.status, reply.line) == (404, "HTTP/1.1 404 File not found")


def test_names_longer_than_the_system_has(files: Any, client: Any) -> None:
    assert client(files()).ask(get("/" + "x" * 5000)).status == 404


def test_a_fifo_is_not_found_and_holds_nobody(host: Any, files: Any, client: Any, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    server = files(host)
    assert client(server).ask(get("/fifo")).status == 404
    writer = os.open(folder / "fifo", os.O_RDWR)
    try:
        assert ask(server.server_address, get("/fifo")).status == 404
    finally:
        os.close(writer)


def test_a_socket_and_a_device_are_not_found(files: Any, client: Any, folder: Path) -> None:
    (folder / "null").symlink_to("/dev/null")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(folder / "socket"))
        server = files()
        for name in ("null", "socket"):
            assert ask(server.server_address, get(f"/{name}")).status == 404


def test_no_descriptor_stays_open(host: Any, files: Any, client: Any, folder: Path) -> None:
    """The serve fixture counts them; here are all ways a file is opened."""
    (folder / "small").write_bytes(b"x")
    (folder / "large").write_bytes(b"x" * 3_000_000)
    server = files(host)
    since = "If-Modified-Since: Fri, 31 Dec 2099 00:00:00 GMT"
    asked = [get("/small"), get("/large"), head("/large"), get("/small", since), get("/"), get("/small/")]
    for data in asked:
        ask(server.server_address, data)
    sock = connect(server.server_address)
    sock.sendall(get("/large"))
    sock.recv(1000)
    sock.close()


# -- Files that change -------------------------------------------------------------------------


class Changing(Files):
    """Lets a test act between the head and the body."""

    between: Any = None

    def copyfile(self, source: Any, outputfile: Any) -> None:
        type(self).between()
        super().copyfile(source, outputfile)


@pytest.mark.parametrize("size", [1000, 500_000])
def test_a_file_that_grows_is_sent_as_declared(
    size: int, host: Any, files: Any, client: Any, folder: Path
) -> None:
    path = folder / "log"
    path.write_bytes(b"x" * size)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"y" * 100_000)

    peer = client(files(host, Changing, between=grow))
    for times in range(2):
        assert peer.ask(get("/log")).body == b"x" * size + b"y" * 100_000 * times


@pytest.mark.parametrize("left", [0, 100])
@pytest.mark.parametrize("size", [1000, 500_000])
def test_a_file_that_shrinks_ends_the_connection(
    size: int, left: int, host: Any, files: Any, client: Any, folder: Path
) -> None:
    path = folder / "log"
    path.write_bytes(b"x" * size)
    peer = client(files(host, Changing, between=lambda: os.truncate(path, left)))
    peer.send(get("/log") + get("/log"))
    with pytest.raises(EOFError, match=f"{left} of {size} octets"):
        peer.reply()


def test_a_file_that_is_removed_while_it_is_sent(host: Any, files: Any, client: Any, folder: Path) -> None:
    path = folder / "large"
    path.write_bytes(b"x" * 3_000_000)
    peer = client(files(host, Changing, between=path.unlink))
    assert peer.ask(get("/large")).body == b"x" * 3_000_000
    assert peer.ask(get("/large")).status == 404


# -- What is overridden ------------------------------------------------------------------------


def test_send_head_may_return_any_reader(host: Any, files: Any, client: Any) -> None:
    closed = threading.Event()

    class Reader:
        def __init__(self) -> None:
            self.parts = [b"one ", b"two"]

        def read(self, size: int = -1) -> bytes:
            return self.parts.pop(0) if self.parts else b""

        def close(self) -> None:
            closed.set()

    def send_head(self: Any) -> Any:
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        return Reader()

    peer = client(files(host, send_head=send_head))
    assert peer.ask(get("/")).body == b"one two"
    assert closed.wait(PATIENCE)


def test_send_head_may_return_a_part(host: Any, files: Any, client: Any, folder: Path) -> None:
    """What range patches do: the file is not at its beginning, and less of it is wanted."""
    (folder / "file").write_bytes(b"0123456789" * 50_000)

    def send_head(self: Any) -> Any:
        file = (folder / "file").open("rb")
        file.seek(100_003)
        self.send_response(206)
        self.send_header("Content-Length", "200000")
        self.end_headers()
        return file

    reply = client(files(host, send_head=send_head)).ask(get("/"))
    assert reply.body == (b"0123456789" * 50_000)[100_003:300_003]


def test_copyfile_may_be_overridden(host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "file").write_bytes(b"abc")

    def copyfile(self: Any, source: Any, outputfile: Any) -> None:
        outputfile.write(source.read().upper())

    assert client(files(host, copyfile=copyfile)).ask(get("/file")).body == b"ABC"


def test_head_sends_no_body_and_closes_the_file(host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "file").write_bytes(b"abc")
    peer = client(files(host))
    assert peer.ask(head("/file")).get("Content-Length") == "3"
    assert peer.ask(get("/file")).body == b"abc"


# -- Validators --------------------------------------------------------------------------------

MTIME = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("Sun, 09 Sep 2001 01:46:40 GMT", 304),
        ("Sun, 09 Sep 2001 01:46:41 GMT", 304),
        ("Sun, 09 Sep 2001 01:46:39 GMT", 200),
        ("Fri, 31 Dec 2099 23:59:59 GMT", 304),
        ("Sunday, 09-Sep-01 01:46:40 GMT", 304),
        ("Sun Sep  9 01:46:40 2001", 304),
        ("Sun, 09 Sep 2001 01:46:40", 200),
        ("Sun, 09 Sep 2001 01:46:40 +0000", 200),
        ("Sun, 09 Sep 2001 03:46:40 +0200", 200),
        ("9 Sep 2001 01:46:40 GMT", 200),
        ("", 200),
        ("now", 200),
        ("0", 200),
        (str(MTIME), 200),
        ("Sun, 99 Sep 2001 01:46:40 GMT", 200),
        ("Sun, 09 Sep 20010000 01:46:40 GMT", 200),
        ("\xff\xfe", 200),
    ],
)
def test_if_modified_since(value: str, status: int, files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    os.utime(folder / "a.txt", (0, MTIME + 0.9))
    peer = client(files())
    reply = peer.ask(get("/a.txt", f"If-Modified-Since: {value}"))
    assert reply.status == status
    if status == 304:
        assert [name for name, _ in reply.headers] == ["Server", "Date", "ETag"]
    assert peer.ask(get("/a.txt")).body == b"a"


def test_if_none_match_puts_the_date_aside(files: Any, client: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    later = "If-Modified-Since: " + email.utils.formatdate(4_000_000_000, usegmt=True)
    assert client(files()).ask(get("/a.txt", later, 'If-None-Match: "no"')).status == 200


# -- Extra headers -----------------------------------------------------------------------------

EXTRA = [
    ("X-One", "1"), ("x-one", "2"), ("content-TYPE", "no"), ("Server", "no"), ("Cache-Control", "no-cache"),
]


def extra(reply: Any) -> list[tuple[str, str]]:
    return [pair for pair in reply.headers if pair in EXTRA]


def test_extra_response_headers(host: Any, files: Any, client: Any, tree: Path) -> None:
    server = files(host, extra_response_headers=EXTRA)
    sent = [EXTRA[0], EXTRA[1], EXTRA[4]]
    for target in ("/dir/file.txt", "/dir/"):
        for data in (get(target), head(target)):
            reply = ask(server.server_address, data)
            assert (reply.status, extra(reply)) == (200, sent)
    since = "If-Modified-Since: Fri, 31 Dec 2099 00:00:00 GMT"
    other = get("/dir/file.txt", 'If-Match: "no"')
    for data, status in ((get("/nothing"), 404), (get("/dir"), 301), (other, 412)):
        reply = ask(server.server_address, data)
        assert (reply.status, extra(reply)) == (status, [])
    reply = ask(server.server_address, get("/dir/file.txt", since))
    assert (reply.status, extra(reply)) == (304, sent), "a cache has to know them (RFC 9110 15.4.5)"
    assert reply.get("Content-Type") is None


@pytest.mark.parametrize("given", [None, [], ()])
def test_no_extra_response_headers(given: Any, files: Any, client: Any, tree: Path) -> None:
    assert client(files(extra_response_headers=given)).ask(get("/dir/file.txt")).status == 200


def test_extra_headers_stand_before_end_headers_is_called(files: Any, client: Any, tree: Path) -> None:
    def end_headers(self: Any) -> None:
        self.send_header("X-Last", "1")
        Files.end_headers(self)

    server = files(extra_response_headers=[("X-One", "1")], end_headers=end_headers)
    reply = client(server).ask(get("/dir/file.txt"))
    assert [name for name, _ in reply.headers][-2:] == ["X-One", "X-Last"]


# -- One slow reader ---------------------------------------------------------------------------


@pytest.fixture
def busy(files: Any, folder: Path) -> Iterator[Any]:
    """A server that is sending a large file to somebody who does not read it."""
    (folder / "small").write_bytes(b"small")
    with (folder / "large").open("wb") as file:
        file.truncate(50_000_000)
    server = files()
    slow = connect(server.server_address)
    slow.sendall(get("/large"))
    assert select.select([slow], [], [], PATIENCE)[0]
    yield server
    slow.close()


def test_a_file_nobody_reads_holds_nobody(busy: Any, client: Any) -> None:
    for _ in range(3):
        assert client(busy).ask(get("/small")).body == b"small"


def test_a_server_stops_although_a_file_is_not_read(folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        file.truncate(50_000_000)
    server = fastserve.HTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    brief = mock.patch.object(limits, "SHUTDOWN_GRACE", 0.2)
    with brief, running(server) as address, connect(address) as slow:
        slow.sendall(get("/large"))
        assert select.select([slow], [], [], PATIENCE)[0]
