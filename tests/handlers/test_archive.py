"""Folders as zip and tar archives: what is in them, octet for octet, and what becomes of one that changes."""

import errno
import io
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Reply, wait_until

import fastserve
from fastserve import limits
from fastserve._chunks import ChunkDecoder
from fastserve.handlers import archive, zipping
from fastserve.handlers.archive import Tree, disposition
from fastserve.handlers.paths import UNFINISHED

from .makers import Files, get, head

KINDS = pytest.mark.parametrize("kind", ["zip", "tar"])
CLOSE = "Connection: close"


class Archives(Files):
    """Answers ?archive=KIND with one, whatever stands before that."""

    def do_GET(self) -> None:
        path, _, kind = self.path.partition("?archive=")
        if kind:
            archive.stream(self, self.translate_path(path), kind)
        else:
            super().do_GET()

    do_HEAD = do_GET


def decoded(reply: Reply, rest: bytes) -> tuple[bytes, bool]:
    """What stands in chunks, and whether the last one was there."""
    decoder = ChunkDecoder()
    body, consumed = decoder.feed(rest)
    assert reply.get("Transfer-Encoding") == "chunked"
    return body, consumed == len(rest) and rest.endswith(b"0\r\n\r\n")


def download(client: Any, server: Any, target: str) -> tuple[Reply, bytes]:
    """An archive that must be whole, and its head."""
    peer = client(server)
    peer.send(get(target, CLOSE))
    octets = peer.rest()
    start, _, rest = octets.partition(b"\r\n\r\n")
    line, *fields = start.decode("latin-1").split("\r\n")
    reply = Reply(line, [tuple(field.split(": ", 1)) for field in fields], b"")  # type: ignore[misc]
    assert reply.status == 200
    body, is_whole = decoded(reply, rest)
    assert is_whole
    return reply, body


def unpack(octets: bytes, kind: str) -> dict[str, bytes | None]:
    """What is in an archive by its name; None for a folder, whose name ends with a slash."""
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(octets)) as opened:
            assert opened.testzip() is None
            return {info.filename: None if info.is_dir() else opened.read(info)
                    for info in opened.infolist()}
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as tar:
        found: dict[str, bytes | None] = {}
        for member in tar:
            assert member.isdir() or member.isreg()
            file = tar.extractfile(member)
            found[member.name + "/" * member.isdir()] = file.read() if file else None
        return found


@pytest.fixture
def mixed(tree: Path) -> Path:
    """``served`` with files of several sizes, folders and a dotfile."""
    for name, content in {
        "empty": b"", "text.txt": b"text\n" * 1000, "block": b"\0" * 512, "image.png": os.urandom(70_000),
        "large": os.urandom(600_000) + bytes(600_000), ".hidden": b"hidden", "ä ü.txt": b"umlauts",
        "dir/deep/" + "n" * 200: b"long",
    }.items():
        (tree / name).write_bytes(content)
    (tree / ".dots").mkdir()
    (tree / ".dots" / "inside").write_bytes(b"inside")
    return tree


def contents(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, bytes | None]:
    """What there is, by its name in an archive."""
    found: dict[str, bytes | None] = {f"{folder.name}/": None}
    for path in folder.rglob("*"):
        name = path.relative_to(folder.parent).as_posix()
        if wanted(name):
            found[name + "/" * path.is_dir()] = path.read_bytes() if path.is_file() else None
    return found


@KINDS
def test_all_that_is_in_a_folder(host: Any, files: Any, client: Any, mixed: Path, kind: str) -> None:
    reply, octets = download(client, files(host, Archives), f"/?archive={kind}")
    assert unpack(octets, kind) == contents(mixed)
    assert reply.get("Content-Type") == {"zip": "application/zip", "tar": "application/x-tar"}[kind]
    assert reply.get("Cache-Control") == "no-store"
    assert reply.get("Content-Disposition") == (
        f"attachment; filename=\"served.{kind}\"; filename*=UTF-8''served.{kind}")


@KINDS
def test_a_folder_below(files: Any, client: Any, mixed: Path, kind: str) -> None:
    for target in (f"/dir/?archive={kind}", f"/dir?archive={kind}"):
        reply, octets = download(client, files(base=Archives), target)
        assert unpack(octets, kind) == contents(mixed / "dir")
        assert f'filename="dir.{kind}"' in str(reply.get("Content-Disposition"))


@KINDS
def test_the_connection_stays(host: Any, files: Any, client: Any, mixed: Path, kind: str) -> None:
    peer = client(files(host, Archives))
    peer.send(get(f"/dir/?archive={kind}") + get("/text.txt", CLOSE))
    answers = peer.rest()
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert b"\r\n0\r\n\r\nHTTP/1.1 200 " in answers
    assert answers.endswith(b"text\n" * 1000)


@KINDS
def test_head(host: Any, files: Any, client: Any, mixed: Path, kind: str) -> None:
    peer = client(files(host, Archives))
    reply = peer.ask(head(f"/?archive={kind}"))
    assert reply.status == 200
    assert reply.get("Transfer-Encoding") == "chunked"
    assert peer.ask(get("/text.txt")).body == b"text\n" * 1000


@KINDS
def test_http_1_0_is_told_by_the_end_of_the_connection(
        host: Any, files: Any, client: Any, mixed: Path, kind: str) -> None:
    peer = client(files(host, Archives))
    peer.send(get(f"/?archive={kind}").replace(b"HTTP/1.1", b"HTTP/1.0"))
    reply = peer.reply()
    assert reply.get("Transfer-Encoding") is None
    assert unpack(reply.body, kind) == contents(mixed)


@KINDS
def test_a_handler_of_http_1_0(files: Any, client: Any, mixed: Path, kind: str) -> None:
    peer = client(files(base=Archives, protocol_version="HTTP/1.0"))
    peer.send(get(f"/?archive={kind}"))
    assert unpack(peer.reply().body, kind) == contents(mixed)


@KINDS
def test_hidden_names(files: Any, client: Any, mixed: Path, kind: str) -> None:
    octets = download(client, files(base=Archives, hide_dotfiles=True), f"/?archive={kind}")[1]
    assert unpack(octets, kind) == contents(mixed, lambda name: "/." not in name)


def test_fields_of_the_class_are_sent(files: Any, client: Any, mixed: Path) -> None:
    extra = [("X-A", "b"), ("Cache-Control", "public"), ("Content-Length", "1")]
    server = files(base=Archives, extra_response_headers=extra)
    reply = download(client, server, "/?archive=tar")[0]
    assert (reply.get("X-A"), reply.get("Content-Length")) == ("b", None)
    assert [value for name, value in reply.headers if name == "Cache-Control"] == ["no-store"]


@pytest.mark.parametrize("target", ["/none/?archive=zip", "/text.txt?archive=tar", "/a%00b/?archive=tar"])
def test_what_is_no_folder(files: Any, client: Any, mixed: Path, target: str) -> None:
    assert client(files(base=Archives)).ask(get(target)).status == 404


def test_another_kind() -> None:
    with pytest.raises(ValueError):
        archive.stream(None, "/", "rar")


# -- Links ---------------------------------------------------------------------------------------


@pytest.fixture
def links(tree: Path) -> Path:
    """``served`` with links to files and folders, inside, outside, nowhere, and round in circles."""
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    for name, target in {
        "in.txt": "dir/file.txt", "out.txt": "../outside/secret", "nowhere": "none", "self": "self",
        "here": ".", "dir/up": "..", "dir/deep/top": "../..", "again": "dir", "twice": "dir",
        "out": "../outside", "dir/deep/absolute": str(tree / "dir"),
    }.items():
        (tree / name).symlink_to(target)
    os.mkfifo(tree / "pipe")
    (tree / "to-pipe").symlink_to("pipe")
    return tree


@KINDS
def test_links_are_left_out(files: Any, client: Any, links: Path, kind: str) -> None:
    octets = download(client, files(base=Archives, follow_symlinks=False), f"/?archive={kind}")[1]
    assert unpack(octets, kind) == {
        "served/": None, "served/dir/": None, "served/dir/deep/": None, "served/dir/file.txt": b"file"}


@KINDS
def test_a_folder_behind_a_link(files: Any, client: Any, links: Path, kind: str) -> None:
    server = files(base=Archives, follow_symlinks=False)
    assert client(server).ask(get(f"/again/?archive={kind}")).status == 404


@KINDS
def test_links_are_followed(files: Any, client: Any, links: Path, kind: str) -> None:
    """To files as GET follows them, to folders within the served one, and each of these once."""
    found = unpack(download(client, files(base=Archives), f"/?archive={kind}")[1], kind)
    assert found["served/in.txt"] == b"file"
    assert found["served/out.txt"] == b"secret"
    assert found["served/again/file.txt"] == b"file"
    for name in ("twice/", "here/", "dir/up/", "out/", "out/secret", "pipe", "to-pipe", "nowhere", "self",
                 "dir/deep/top/", "dir/deep/absolute/"):
        assert f"served/{name}" not in found
    assert not [name for name, content in found.items() if content == b"secret" and "out.txt" not in name]


def test_circles_end(links: Path) -> None:
    """From inside one too, where a link leads to what is around the folder that is packed."""
    tree = Tree(str(links), str(links / "dir"), True, False)
    tree.open()
    names = []
    for name, _, fd in tree:
        names.append(name)
        if fd >= 0:
            os.close(fd)
    assert len(names) == len(set(names)) < 40
    assert "dir/deep/top/in.txt" in names


# -- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    b"plain", b"with space", b'quo"te', b"back\\slash", b"new\nline", b"\xe2\x82\xac", b"\xff\xfe", b"%41",
    b"x" * 255, "العربية".encode(), b"a'b", b"-rf", b"semi;colon",
])
@KINDS
def test_names(files: Any, client: Any, folder: Path, kind: str, name: bytes) -> None:
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(b"content")
    octets = download(client, files(base=Archives), f"/?archive={kind}")[1]
    if kind == "tar":
        with tarfile.open(fileobj=io.BytesIO(octets), errors="surrogateescape") as tar:
            assert tar.getnames()[-1] == f"served/{os.fsdecode(name)}"
    else:
        with zipfile.ZipFile(io.BytesIO(octets)) as opened:
            info = opened.infolist()[-1]
            charset = "utf-8" if info.flag_bits & 0x800 else "cp437"
            assert info.filename.encode(charset) == b"served/" + name
            assert opened.read(info) == b"content"


@pytest.mark.parametrize(("name", "expected"), [
    ("a.zip", "filename=\"a.zip\"; filename*=UTF-8''a.zip"),
    ("a b", "filename=\"a b\"; filename*=UTF-8''a%20b"),
    ("ä.zip", "filename=\"_.zip\"; filename*=UTF-8''%C3%A4.zip"),
    ('a"b\\c/d', "filename=\"a_b_c_d\"; filename*=UTF-8''a%22b%5Cc%2Fd"),
    ("a\r\nb", "filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
    ("50%25", "filename=\"50_25\"; filename*=UTF-8''50%2525"),
    ("\udcff", "filename=\"_\"; filename*=UTF-8''%EF%BF%BD"),
    ("it's", "filename=\"it's\"; filename*=UTF-8''it%27s"),
])
def test_disposition(name: str, expected: str) -> None:
    assert disposition(name) == f"attachment; {expected}"


def test_the_name_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = str(tmp_path / "link")
    assert Tree(path, path, True, False).name == "real"
    assert Tree(path, path + "/", True, False).name == "real"
    assert Tree(str(tmp_path), path + "/", True, False).name == "link"
    assert Tree("/", "/", True, False).name == "root"


def test_what_is_told_of_a_file(files: Any, client: Any, folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(b"x")
    path.chmod(0o4751)
    os.utime(path, (1_700_000_001, 1_700_000_001))
    server = files(base=Archives)
    with tarfile.open(fileobj=io.BytesIO(download(client, server, "/?archive=tar")[1])) as tar:
        member = tar.getmember("served/file")
        assert (member.mode, member.mtime, member.size) == (0o751, 1_700_000_001, 1)
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
    with zipfile.ZipFile(io.BytesIO(download(client, server, "/?archive=zip")[1])) as opened:
        info = opened.getinfo("served/file")
        assert stat.S_IMODE(info.external_attr >> 16) == 0o4751
        assert info.date_time == time.localtime(1_700_000_000)[:6]
        assert info.extra[5:9] == (1_700_000_001).to_bytes(4, "little")


@pytest.mark.parametrize("seconds", [-(1 << 40), -1, 0, 1 << 31, 1 << 33, 1 << 62])
def test_times_that_dos_does_not_have(seconds: int) -> None:
    clock, date = zipping.dos_time(seconds)
    assert 0 <= clock < 1 << 16
    assert 0 <= date < 1 << 16
    assert (zipping.exact_time(seconds) != b"") == (-(1 << 31) <= seconds < 1 << 31)


# -- Large ones ----------------------------------------------------------------------------------


def status_of(size: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | 0o644, 1, 1, 1, 0, 0, size, 0, 1_700_000_000, 0))


@pytest.mark.parametrize("full", [300, 4000])
def test_zip64(full: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything that may be long is, where the bounds are lower than they are; zipfile counts for itself."""
    monkeypatch.setattr(zipping, "LONG_FILE", full)
    with (tmp_path / "zip").open("w+b") as file:
        writer = zipping.ZipWriter(file.write)
        octets = {f"n{n}": os.urandom(n) for n in (0, 1, full - 1, full, full + 1)}
        for name, content in octets.items():
            writer.add_file(name.encode(), status_of(len(content)), [content], 1)
        writer.finish()
        writer.close()
        with zipfile.ZipFile(file) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == octets


def test_more_entries_than_16_bits_count() -> None:
    written: list[bytes] = []
    writer = zipping.ZipWriter(written.append)
    for number in range(0x10001):
        writer.add_folder(b"%d/" % number, status_of(0))
    writer.finish()
    writer.close()
    with zipfile.ZipFile(io.BytesIO(b"".join(written))) as opened:
        assert len(opened.namelist()) == 0x10001


def test_offsets_past_32_bits() -> None:
    """As a file of 5 GiB that nobody keeps: only its ends are."""
    kept = io.BytesIO()

    class Sparse:
        def write(self, data: bytes) -> None:
            if len(data) < 1 << 20:
                kept.write(data)

    writer = zipping.ZipWriter(Sparse().write)
    writer.add_file(b"a", status_of(1), [b"a"], 1)
    writer._offset += 5 << 30
    writer.add_file(b"b", status_of(1), [b"b"], 1)
    writer.finish()
    writer.close()
    octets = kept.getvalue()
    end = octets.rindex(b"PK\6\6")
    assert int.from_bytes(octets[end + 48 : end + 56], "little") > 5 << 30
    at = octets.rindex(b"PK\1\2")
    assert octets[at + 42 : at + 46] == b"\xff" * 4
    extra = octets[at + 47 :]
    assert extra[:4] == b"\1\0\x08\0"
    assert int.from_bytes(extra[4:12], "little") > 5 << 30


@pytest.mark.parametrize(("name", "content", "packed"), [
    ("text.txt", b"text\n" * 20_000, True), ("text.png", b"text\n" * 20_000, False),
    ("drawing.svg", b"<g/>" * 20_000, True), ("text.GZ", b"text\n" * 20_000, False),
    ("noise", os.urandom(100_000), False), ("short", b"abc", False),
])
def test_what_is_deflated(
        files: Any, client: Any, folder: Path, name: str, content: bytes, packed: bool) -> None:
    """But not what is dense already: that would only take long."""
    (folder / name).write_bytes(content)
    octets = download(client, files(base=Archives), "/?archive=zip")[1]
    with zipfile.ZipFile(io.BytesIO(octets)) as opened:
        info = opened.getinfo(f"served/{name}")
        assert info.compress_type == zipfile.ZIP_DEFLATED
        assert (info.compress_size < len(content)) == packed
        assert opened.read(info) == content


# -- What changes meanwhile -----------------------------------------------------------------------


@pytest.fixture
def when_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """A function that has something done once, when the first octets are to be read."""

    def arrange(change: Callable[[], None]) -> None:
        plain, done = archive.blocks_of, []

        def blocks_of(fd: int, size: int) -> Any:
            if size > 1000 and not done:
                done.append(change())  # type: ignore[func-returns-value]
            return plain(fd, size)

        monkeypatch.setattr(archive, "blocks_of", blocks_of)

    return arrange


CHANGES: dict[str, Any] = {
    "grows": (lambda path: path.write_bytes(b"x" * 9000), b"x" * 5000),
    "shrinks": (lambda path: os.truncate(path, 2000), b"x" * 2000),
    "empties": (lambda path: os.truncate(path, 0), b""),
    "vanishes": (lambda path: path.unlink(), b"x" * 5000),
}


@pytest.mark.parametrize("change", CHANGES)
@KINDS
def test_a_file_that_changes(
        files: Any, client: Any, folder: Path, when_read: Any, kind: str, change: str) -> None:
    (folder / "file").write_bytes(b"x" * 5000)
    (folder / "next").write_bytes(b"next")
    act, expected = CHANGES[change]
    when_read(lambda: act(folder / "file"))
    found = unpack(download(client, files(base=Archives), f"/?archive={kind}")[1], kind)
    assert found["served/next"] == b"next"
    if kind == "tar":
        expected = expected.ljust(5000, b"\0")
    assert found["served/file"] == expected


@KINDS
def test_a_file_that_vanishes_before_it_is_opened(
        files: Any, client: Any, folder: Path, when_read: Any, kind: str) -> None:
    (folder / "a").write_bytes(b"x" * 5000)
    (folder / "b").write_bytes(b"b")
    (folder / "c").mkdir()
    when_read(lambda: ((folder / "b").unlink(), (folder / "c").rmdir()))
    found = unpack(download(client, files(base=Archives), f"/?archive={kind}")[1], kind)
    assert found == {"served/": None, "served/a": b"x" * 5000}


class Failing:
    """os.open, os.read or os.listdir that fails for one name, or always."""

    def __init__(self, plain: Any, code: int, name: str = "") -> None:
        self.plain, self.code, self.name = plain, code, name

    def __call__(self, path: Any, *args: Any, **options: Any) -> Any:
        if path == self.name or not self.name:
            raise OSError(self.code, os.strerror(self.code))
        return self.plain(path, *args, **options)


class Told(Archives):
    """Its log is kept."""

    lines: list[str]

    def log_error(self, format: str, *args: Any) -> None:
        self.lines.append(format % args)


@KINDS
def test_what_cannot_be_read_is_left_out(
        files: Any, client: Any, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    lines: list[str] = []
    server = files(base=type("T", (Told,), {"lines": lines}))
    monkeypatch.setattr(archive.os, "open", Failing(os.open, errno.EACCES, "a"))
    found = unpack(download(client, server, f"/?archive={kind}")[1], kind)
    assert found == {"served/": None, "served/b": b"b"}
    assert lines == [f'"GET /?archive={kind} HTTP/1.1" leaves out 1 that cannot be read']


def broken(peer: Any, kind: str) -> bytes:
    """What came of an archive that breaks off."""
    peer.send(get(f"/?archive={kind}"))
    octets = peer.rest()
    assert octets.startswith(b"HTTP/1.1 200 ")
    assert not octets.endswith(b"0\r\n\r\n")
    return octets


@pytest.mark.parametrize(("name", "code"), [("open", errno.EMFILE), ("read", errno.EIO)])
@KINDS
def test_what_cannot_be_finished_is_broken_off(
        host: Any, files: Any, client: Any, folder: Path, kind: str, name: str, code: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    lines: list[str] = []
    server = files(host, type("T", (Told,), {"lines": lines}))
    failing = Failing(getattr(os, name), code, "b" if name == "open" else "")
    monkeypatch.setattr(archive.os, name, failing)
    broken(client(server), kind)
    assert wait_until(lambda: lines)
    assert lines == [f'"GET /?archive={kind} HTTP/1.1" was broken off: ' + (
        os.strerror(code) if name == "open" else f"[Errno {code}] {os.strerror(code)}")]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_folders_in_one_another(files: Any, client: Any, folder: Path, over: int,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_DEPTH", 10)
    deepest = folder.joinpath(*["d"] * (9 + over))
    deepest.mkdir(parents=True)
    server = files(base=Archives)
    if over > 0:
        broken(client(server), "tar")
    else:
        assert len(unpack(download(client, server, "/?archive=tar")[1], "tar")) == 10 + over


def test_the_bound_is_one_that_names_allow() -> None:
    """A name in a zip has 16 bits for its length."""
    assert (limits.MAX_ARCHIVE_DEPTH + 1) * 256 < 1 << 16


@pytest.mark.parametrize("server_class", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
@KINDS
def test_a_client_that_stops_reading(
        server_class: Any, files: Any, client: Any, folder: Path, kind: str, log: Any) -> None:
    """Is given up as with any other answer."""
    with (folder / "file.png").open("wb") as file:
        file.truncate(100 << 20)
    lines: list[str] = []
    impatient = type("Impatient", (server_class,), {"timeouts": limits.Timeouts(progress=0.2)})
    peer = client(files(impatient, type("T", (Told,), {"lines": lines})))
    peer.send(get(f"/?archive={kind}"))
    assert wait_until(lambda: lines)
    assert lines == ["Request timed out: TimeoutError('timed out')"]
    assert not peer.rest().endswith(b"0\r\n\r\n")
    assert log.text() == ""


@KINDS
def test_what_is_being_uploaded_is_not_in_it(files: Any, client: Any, folder: Path, kind: str) -> None:
    (folder / f"{UNFINISHED}0123").write_bytes(b"half")
    assert unpack(download(client, files(base=Archives), f"/?archive={kind}")[1], kind) == {"served/": None}


@pytest.mark.parametrize("place", ["served/secret", "served/dir/secret", "outside"])
@KINDS
def test_what_is_withheld_is_not_in_it(
        files: Any, client: Any, tree: Path, kind: str, place: str) -> None:
    """By its own name, by a link to it, or by another name that it has; nor is that told of."""
    secret, lines = tree.parent / place, []
    secret.write_bytes(b"secret")
    (tree / "dir" / "deep" / "link").symlink_to(secret)
    os.link(secret, tree / "other")
    server = files(base=type("T", (Told,), {"lines": lines}), withheld=("/none", str(secret)))
    found = unpack(download(client, server, f"/?archive={kind}")[1], kind)
    assert found == {"served/": None, "served/dir/": None, "served/dir/deep/": None,
                     "served/dir/file.txt": b"file"}
    assert lines == []


@KINDS
def test_a_client_that_goes_away(
        host: Any, files: Any, client: Any, folder: Path, kind: str, log: Any) -> None:
    with (folder / "file").open("wb") as file:
        file.write(os.urandom(30 << 20))
    server = files(host, Archives)
    peer = client(server)
    peer.send(get(f"/?archive={kind}"))
    assert peer.sock.recv(100)
    peer.close()
    assert client(server).ask(get("/none")).status == 404
    assert log.text() == ""
