"""Paths that try to lead out of the folder, symbolic links, and names that begin with a dot."""

import contextlib
import functools
import itertools
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ask

from fastserve.handlers import paths
from fastserve.handlers.paths import components_beneath, descend, is_hidden, open_beneath, unquote_path

from .makers import Files, get

SECRET = b"kept from everybody"


@pytest.fixture
def neighbours(folder: Path) -> Path:
    """``folder`` with a few files, and around it what nobody may have; links lead there."""
    for place in (folder.parent, folder.with_name(folder.name + "-evil"), folder.parent / "etc"):
        place.mkdir(exist_ok=True)
        for name in ("secret", "passwd", "index.html"):
            (place / name).write_bytes(SECRET)
    (folder / "dir" / "deep").mkdir(parents=True)
    (folder / "dir" / "file.txt").write_bytes(b"file")
    (folder / "dir" / "secret").write_bytes(b"one's own")
    (folder / "back\\slash.txt").write_bytes(b"back")
    return folder


@pytest.fixture
def links(neighbours: Path) -> Path:
    """The same, with links to files and folders, outside, inside and nowhere."""
    for name, target in {
        "out.txt": "../secret", "out": "..", "dir/out": "../..", "in.txt": "dir/file.txt", "in": "dir",
        "nowhere": "none", "round": "round", "absolute": str(neighbours.parent), "dir/deep/up": "../..",
    }.items():
        (neighbours / name).symlink_to(target)
    return neighbours


def test_a_path_that_a_program_made_of_a_name(host: Any, files: Any, client: Any, folder: Path) -> None:
    """As os.listdir() gives it, and not encoded."""
    (folder / "\udcff.txt").write_text("octets")

    class Rewriting(Files):
        def do_GET(self) -> None:
            self.path = "/\udcff.txt"
            super().do_GET()

    assert client(files(host, base=Rewriting)).ask(get("/")).body == b"octets"


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of their own for tests that root runs as somebody who is refused things."""
    with tempfile.TemporaryDirectory() as path, contextlib.ExitStack() as stack:
        Path(path).chmod(0o777)
        if os.getuid() == 0:
            stack.callback(os.seteuid, 0)
            os.seteuid(65534)
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path)))


@pytest.mark.parametrize("follow", [True, False])
def test_a_folder_that_may_be_entered_but_not_read(
    nobody: Path, serve: Any, client: Any, follow: bool
) -> None:
    (nobody / "x").mkdir()
    (nobody / "x" / "index.html").write_text("index")
    (nobody / "none").mkdir()
    (nobody / "x").chmod(0o311)
    (nobody / "none").chmod(0)
    try:
        handler = type("Handler", (Files,), {"follow_symlinks": follow})
        peer = client(serve(functools.partial(handler, directory=str(nobody))))
        assert [peer.ask(get(target)).status for target in ("/x", "/x/", "/none", "/none/")] == [
            301, 200, 301, 404]
    finally:
        (nobody / "x").chmod(0o755)
        (nobody / "none").chmod(0o755)


# -- What a path is --------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "name"), [
    ("/a%20b", "/a b"), ("/%41", "/A"), ("/%2541", "/%41"), ("/%zz%4", "/%zz%4"), ("/\xfc", "/\xfc"),
    ("/%C3%BC", "/\xfc"), ("/%FF", "/\udcff"), ("/%ED%B3%BF", "/\udcff"), ("/%C3%28", "/\udcc3("),
    ("/%C0%AF", "/\udcc0\udcaf"), ("/%E0%80%AE", "/\udce0\udc80\udcae"), ("/%00", "/\0"), ("", ""),
])
def test_decoding_comes_once(path: str, name: str) -> None:
    assert unquote_path(path) == name


@pytest.mark.parametrize(("directory", "path", "parts"), [
    ("/root", "/root", []), ("/root", "/root/", []), ("/root/", "/root/a", ["a"]),
    ("/root", "/root/a/b/", ["a", "b"]),
    ("/", "/etc/passwd", ["etc", "passwd"]), ("/root", "/root//a", ["a"]), ("r", "r/a", ["a"]),
])
def test_components(directory: str, path: str, parts: list[str]) -> None:
    assert components_beneath(directory, path) == parts


@pytest.mark.parametrize("path", [
    "/", "/rootkit", "/rootkit/a", "/roo", "/root/../etc", "/root/a/..", "/root/./a", "a", ""])
def test_no_components(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        components_beneath("/root", path)


# -- Paths that try --------------------------------------------------------------------------------

DOTS = ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..%00", "...",
        "..;", "%u002e%u002e", "\u2025".encode().decode("latin-1"), "%ef%bc%8e%ef%bc%8e"]
SLASHES = ["/", "%2f", "%2F", "\\", "%5c", "//", "%252f", "%c0%af", "%e0%80%af", "/./", "%2f%2f", "%ef%bc%8f"]
STARTS = ["/", "//", "/dir/", "/dir/file.txt/", "/none/", "http://test/", "/?/", "/in/"]


def escapes() -> Iterator[str]:
    """Targets that lead to the secret on a server that is wrong somewhere."""
    for start, dots, slash in itertools.product(STARTS, DOTS, SLASHES):
        for depth in (1, 3):
            yield start + (dots + slash) * depth + "secret"
    for name in ("etc/passwd", "served-evil/secret", "-evil/secret"):
        for start in ("/../", "/%2e%2e/", "/..%2f", "/dir/../../", "", "/..", "/%2e%2e%2f"):
            yield start + name
    yield from ("/.", "/..", "/../", "/%2e%2e", "/%2e%2e/", "/dir/../../", "/C:/secret",
                "/file:///etc/passwd",
                "/secret%00.txt", "/%00/../secret", "/dir%00/../../secret", "/~/secret", "/~root/secret",
                "/dir/%2e%2e%2f%2e%2e%2fsecret", "/%5c..%5csecret", "/%5c%5chost%5csecret")


@pytest.mark.parametrize("follow_symlinks", [True, False])
def test_nothing_leads_out(host: Any, files: Any, neighbours: Path, follow_symlinks: bool) -> None:
    """A connection each, as many an answer is the last one on its own."""
    address = files(host, follow_symlinks=follow_symlinks).server_address
    targets = list(escapes())
    assert len(set(targets)) > 2000
    for target in targets[:: 1 if host.__name__ == "HTTPServer" else 10]:
        reply = ask(address, get(target))
        assert SECRET not in reply.body, target
        assert b"passwd" not in reply.body or reply.status != 200, target
        assert reply.status in (200, 301, 400, 404), target


def test_what_leads_nowhere_else_is_served(host: Any, files: Any, neighbours: Path) -> None:
    address = files(host).server_address
    for target in ("/dir/secret", "/none/../dir/secret", "/%64ir/secret", "/dir/./secret", "//dir//secret",
                   "/../dir/secret", "http://test/dir/secret", "/dir%2fsecret"):
        assert ask(address, get(target)).body == b"one's own", target


# -- Without links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "out.txt", "out/secret", "out/served/dir/file.txt", "dir/out/secret", "in.txt", "in/file.txt", "nowhere",
    "round", "absolute/secret", "dir/deep/up/dir/file.txt", "out", "in",
])
def test_a_link_is_refused(links: Path, name: str) -> None:
    for path in (links / name, links / name / ""):
        with pytest.raises(OSError):
            open_beneath(str(links), str(path))


def test_what_is_no_link_is_opened(links: Path, tmp_path: Path) -> None:
    (tmp_path / "link to it").symlink_to(links)
    for root in (links, tmp_path / "link to it"):
        with open_beneath(str(root), str(root / "dir" / "file.txt")) as file:
            assert (file.read(), file.name) == (b"file", str(root / "dir" / "file.txt"))
    for path in ("dir", "dir/deep", ""):
        with pytest.raises(IsADirectoryError):
            open_beneath(str(links), str(links / path))
        os.close(descend(str(links), str(links / path), paths.FOLDER_FLAGS))
    with pytest.raises(ValueError, match="null"):
        open_beneath(str(links), f"{links}/a\0b")


def test_links_are_followed_by_default(host: Any, files: Any, links: Path) -> None:
    address = files(host).server_address
    assert ask(address, get("/out.txt")).body == SECRET
    assert ask(address, get("/in/file.txt")).body == b"file"
    assert b'href="out.txt"' in ask(address, get("/")).body


def test_links_are_as_if_they_were_not_there(host: Any, files: Any, links: Path) -> None:
    address = files(host, follow_symlinks=False).server_address
    for target in ("/out.txt", "/out/", "/out", "/in/file.txt", "/in.txt", "/dir/out/secret", "/nowhere",
                   "/absolute/secret", "/round"):
        assert ask(address, get(target)).status == 404, target
    listing = ask(address, get("/")).body
    assert b'href="dir/"' in listing
    assert listing.count(b"<li>") == 2
    assert b'href="out/"' not in ask(address, get("/dir/")).body
    assert ask(address, get("/dir/file.txt")).body == b"file"
    assert ask(address, get("/dir")).status == 301


@pytest.mark.parametrize("follow", [True, False])
def test_an_index_page_that_is_a_link(host: Any, files: Any, links: Path, follow: bool) -> None:
    (links / "index.html").symlink_to("../secret")
    reply = ask(files(host, follow_symlinks=follow).server_address, get("/"))
    assert (reply.status, SECRET in reply.body) == (200, follow)


def test_a_sibling_that_is_a_link(host: Any, files: Any, links: Path) -> None:
    (links / "dir" / "file.txt.gz").symlink_to("../../secret")
    os.utime(links / "dir" / "file.txt", (0, 0))
    for follow, body in ((True, SECRET), (False, b"file")):
        address = files(host, follow_symlinks=follow, precompressed=True).server_address
        assert ask(address, get("/dir/file.txt", "Accept-Encoding: gzip")).body == body


def swap(folder: Path, stop: threading.Event, rounds: list[int]) -> None:
    """Put a link to the world outside in a folder's place, and the folder back, without end."""
    away, link = folder.with_name("away"), folder.with_name("link")
    link.symlink_to("..")
    while not stop.is_set():
        folder.rename(away)
        link.rename(folder)
        folder.rename(link)
        away.rename(folder)
        rounds.append(1)


def test_a_link_that_comes_and_goes(host: Any, files: Any, neighbours: Path) -> None:
    """Between any two steps of ours; with links followed the secret does come out."""
    (neighbours / "swapped").mkdir()
    (neighbours / "swapped" / "secret").write_bytes(b"one's own")
    stop, rounds = threading.Event(), [0]
    address = files(host, follow_symlinks=False).server_address
    thread = threading.Thread(target=swap, args=(neighbours / "swapped", stop, rounds))
    thread.start()
    try:
        targets = ("/swapped/secret", "/swapped/") * 300
        seen = {ask(address, get(target)).body for target in targets}
    finally:
        stop.set()
        thread.join()
    assert len(rounds) > 1
    assert b"one's own" in seen
    assert SECRET not in seen
    assert not any(b"passwd" in body for body in seen)


# -- Names that begin with a dot -----------------------------------------------------------------------


@pytest.mark.parametrize(("target", "hidden"), [
    ("/", False), ("/a", False), ("/a.b", False), ("/.", False), ("/..", False), ("/a/../b", False),
    ("/a?/.b", False), ("/.a", True), ("/%2ea", True), ("/a/.b", True), ("/.a/b", True), ("/...", True),
    ("/..a", True), ("//.a", True),
    ("/a%2f.b", True), ("http://test/.a", True), ("/.well-known", False), ("/.well-known/acme/x", False),
    ("/.well-known/.a", True), ("/a/.well-known/x", True), ("/.well-known-not", True), ("/a#/.b", False),
    ("/a/..%2f.git/config", True),
])
def test_what_is_hidden(target: str, hidden: bool) -> None:
    assert is_hidden(target) == hidden


def test_dotfiles(host: Any, files: Any, folder: Path) -> None:
    for name in (".git/config", ".well-known/x", "a/.b", "a/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    shown, hidden = files(host).server_address, files(host, hide_dotfiles=True).server_address
    for name in (".git/config", "a/.b", "a/c", ".well-known/x"):
        assert ask(shown, get(f"/{name}")).body == name.encode()
        assert (ask(hidden, get(f"/{name}")).status == 404) == (name in (".git/config", "a/.b"))
    assert ask(hidden, get("/.git/")).status == ask(hidden, get("/.git")).status == 404
    assert b".git" in ask(shown, get("/")).body
    listing = ask(hidden, get("/")).body
    assert b".git" not in listing
    assert b'href="a/"' in listing


# -- Names of all kinds --------------------------------------------------------------------------------

NAMES = [b"\xff\xfe.txt", b"caf\xe9", "\u20ac.txt".encode(), b"a\nb", b"a\rb\x01", b"<b>&\"'", b" ", b"%41",
         b"a?b#c;d", b"\xed\xa0\x80", b"\xc0\xaf", b"..a", b"~", b"a\\b", b"con", b"a:b", b"x" * 255]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_listing_links_every_name(host: Any, files: Any, folder: Path, name: bytes) -> None:
    """The link leads to the file, for clients that read the page as it says it is to be read."""
    try:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"found")
    except OSError:
        pytest.skip("no such name on this system")
    address = files(host).server_address
    page = ask(address, get("/")).body
    link = page.split(b'<li><a href="', 1)[1].split(b'"', 1)[0].decode("ascii")
    reply = ask(address, get(f"/{link}"))
    assert (reply.status, reply.body) == (200, b"found"), link


@pytest.mark.parametrize("target", ["/" + "x" * 256, "/" + "x/" * 3000, "/dir/file.txt/a", "/round/a",
    "/round"])
def test_names_that_cannot_be(host: Any, files: Any, links: Path, target: str) -> None:
    """ENAMETOOLONG, ENOTDIR, ELOOP."""
    assert ask(files(host).server_address, get(target)).status == 404


def test_what_is_no_file(host: Any, files: Any, folder: Path) -> None:
    """A FIFO, a socket, a device, a link to one."""
    os.mkfifo(folder / "fifo")
    (folder / "null").symlink_to("/dev/null")
    (folder / "tty").symlink_to("/dev/tty")
    address = files(host).server_address
    for name in ("fifo", "null", "tty", "fifo/"):
        assert ask(address, get(f"/{name}")).status == 404


class OwnPlaces(Files):
    """As a class that has files elsewhere."""

    def translate_path(self, path: str) -> str:
        return os.path.join(os.path.dirname(self.directory), "secret")


def test_a_class_that_has_files_elsewhere(host: Any, files: Any, neighbours: Path) -> None:
    """follow_symlinks = False keeps it below its directory, too."""
    assert ask(files(host, base=OwnPlaces).server_address, get("/")).body == SECRET
    assert ask(files(host, base=OwnPlaces, follow_symlinks=False).server_address, get("/")).status == 404
