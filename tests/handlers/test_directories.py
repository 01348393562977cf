"""SimpleHTTPRequestHandler: redirects to a directory's name, index pages and listings."""

import functools
import html
import os
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from helpers import ask

from fastserve import SimpleHTTPRequestHandler

from .makers import get, refusing

# -- Directories -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/dir", "/dir/"),
        ("/dir?a=b&c", "/dir/?a=b&c"),
        ("/dir#top", "/dir/#top"),
        ("/dir?a#b", "/dir/?a#b"),
        ("/dir/deep", "/dir/deep/"),
        ("/%64ir", "/%64ir/"),
        ("/dir/../dir", "/dir/../dir/"),
        ("dir", "/dir/"),
        ("//dir", "/dir/"),
        ("///dir", "/dir/"),
        ("//evil.test/..%2fdir", "/evil.test/..%2fdir/"),
        ("//evil.test/%2e%2e/dir", "/evil.test/%2e%2e/dir/"),
        ("/\\evil.test/..%2fdir", "/%5Cevil.test/..%2fdir/"),
        ("/\\/evil.test/..%2f..%2fdir", "/%5C/evil.test/..%2f..%2fdir/"),
        ("\\\\evil.test/..%2f..%2fdir", "/%5C%5Cevil.test/..%2f..%2fdir/"),
        ("\\/evil.test/..%2f..%2fdir", "/%5C/evil.test/..%2f..%2fdir/"),
        ("http://evil.test/dir", "/dir/"),
        ("http://evil.test//dir", "/dir/"),
        ("http://evil.test/\\x/..%2fdir", "/%5Cx/..%2fdir/"),
        ("http://[/dir", "/dir/"),
        ("HTTP://evil.test/dir?a#b", "/dir/?a#b"),
        ("/dir?//evil.test", "/dir/?//evil.test"),
        ("/dir;x/../dir", "/dir;x/../dir/"),
    ],
)
def test_redirects(target: str, location: str, files: Any, client: Any, tree: Path) -> None:
    reply = client(files()).ask(get(target))
    assert (reply.status, reply.get("Location"), reply.get("Content-Length")) == (301, location, "0")
    assert re.match(r"/(?![/\\])", reply.get("Location"))
    assert [name for name, _ in reply.headers] == ["Server", "Date", "Location", "Content-Length"]


def test_no_redirect_is_broken_in_two(files: Any, client: Any, tree: Path) -> None:
    (tree / "a\r\nb").mkdir()
    reply = client(files()).ask(get("/a%0d%0ab"))
    assert reply.get("Location") == "/a%0d%0ab/"


@pytest.mark.parametrize("target", ["/dir/", "/dir/?x", "/dir%2F", "/dir%2f", "/dir/#x"])
def test_directories(target: str, files: Any, client: Any, tree: Path) -> None:
    reply = client(files()).ask(get(target))
    assert reply.status == 200
    assert b"file.txt" in reply.body


PATHLESS = ["http://127.0.0.1", "http://h?a/b", "http://h#a/b", "https://[", "?q", "?q/"]


@pytest.mark.parametrize("target", PATHLESS)
def test_no_path_is_the_folder(target: str, files: Any, client: Any, tree: Path) -> None:
    reply = client(files()).ask(get(target))
    assert reply.status == 200
    assert reply.body.count(b"Directory listing for /<") == 2


def test_index_pages(files: Any, client: Any, tree: Path) -> None:
    assert tuple(SimpleHTTPRequestHandler.index_pages) == ("index.html", "index.htm")
    peer = client(files())
    (tree / "dir" / "index.htm").write_text("htm")
    assert peer.ask(get("/dir/")).body == b"htm"
    (tree / "dir" / "index.html").write_text("html")
    reply = peer.ask(get("/dir/"))
    assert (reply.body, reply.get("Content-Type")) == (b"html", "text/html")
    assert reply.get("Last-Modified")


@pytest.mark.parametrize("pages", [("no", "start.txt"), ["start.txt"]])
def test_index_pages_of_the_class_s_own(pages: Any, files: Any, client: Any, tree: Path) -> None:
    (tree / "dir" / "index.html").write_text("index")
    (tree / "dir" / "start.txt").write_text("start")
    assert client(files(index_pages=pages)).ask(get("/dir/")).body == b"start"


def test_no_index_pages(files: Any, client: Any, tree: Path) -> None:
    (tree / "dir" / "index.html").write_text("index")
    page = client(files(index_pages=())).ask(get("/dir/")).body
    assert b"<title>Directory listing for /dir/</title>" in page


def test_an_index_page_that_is_a_directory(files: Any, client: Any, tree: Path) -> None:
    (tree / "dir" / "index.html").mkdir()
    assert b'href="index.html/"' in client(files()).ask(get("/dir/")).body


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_an_index_page_that_cannot_be_opened(error: Any, files: Any, client: Any, tree: Path) -> None:
    """No permission to read it, or it has gone since it was found: no listing of what lies beside it."""
    (tree / "dir" / "index.html").write_text("index")
    with refusing(lambda path: path.endswith("index.html"), error):
        reply = client(files()).ask(get("/dir/"))
    assert (reply.status, reply.line) == (404, "HTTP/1.1 404 File not found")


def test_a_directory_that_cannot_be_read(files: Any, client: Any, tree: Path) -> None:
    """Nor opened, then."""
    with refusing(lambda path: "dir" in path):
        reply = client(files()).ask(get("/dir/"))
    assert reply.line == "HTTP/1.1 404 No permission to list directory"


# -- Listings ----------------------------------------------------------------------------------


def items(page: bytes) -> list[tuple[str, str]]:
    """The links of a listing: target and text, unquoted and unescaped."""
    text = page.decode("utf-8", "surrogateescape")
    found = re.findall(r'(?s)<li><a href="([^"]*)">(.*?)</a></li>', text)
    unquote = functools.partial(urllib.parse.unquote, errors="surrogateescape")
    return [(unquote(target), html.unescape(shown)) for target, shown in found]


def test_a_listing(files: Any, client: Any, folder: Path) -> None:
    for name in ("b.txt", "A.txt", "c", ".hidden", "B2.txt"):
        (folder / name).write_text("x")
    (folder / "Dir").mkdir()
    (folder / "link").symlink_to("b.txt")
    (folder / "zdirlink").symlink_to("Dir")
    (folder / "broken").symlink_to("nowhere")
    reply = client(files()).ask(get("/"))
    assert items(reply.body) == [
        (".hidden", ".hidden"), ("A.txt", "A.txt"), ("b.txt", "b.txt"), ("B2.txt", "B2.txt"),
        ("broken", "broken@"), ("c", "c"), ("Dir/", "Dir/"), ("link", "link@"), ("zdirlink/", "zdirlink@"),
    ]
    assert [name for name, _ in reply.headers] == ["Server", "Date", "Content-type", "Content-Length"]
    assert reply.get("Content-Type") == "text/html; charset=utf-8"


def test_links_that_lead_nowhere_do_not_end_a_listing(files: Any, client: Any, folder: Path) -> None:
    """os.path.isdir() answers False where DirEntry.is_dir() raises OSError."""
    (folder / "file").touch()
    (folder / "circle").symlink_to("circle")
    (folder / "inside").symlink_to("file/inside")
    shown = [("circle", "circle@"), ("file", "file"), ("inside", "inside@")]
    assert items(client(files()).ask(get("/")).body) == shown


def test_the_page_of_a_listing(files: Any, client: Any, tree: Path) -> None:
    page = client(files()).ask(get("/dir/")).body.decode()
    lines = page.split("\n")
    assert lines[:4] == ["<!DOCTYPE HTML>", '<html lang="en">', "<head>", '<meta charset="utf-8">']
    assert "<title>Directory listing for /dir/</title>" in lines
    assert "<h1>Directory listing for /dir/</h1>" in lines
    assert lines[-9:] == [
        "<hr>", "<ul>", '<li><a href="deep/">deep/</a></li>', '<li><a href="file.txt">file.txt</a></li>',
        "</ul>", "<hr>", "</body>", "</html>", "",
    ]


ODD_NAMES = ["<script>", "a&b;", 'quo"te', "it's", "a b", "\xe9\u20ac", "%41", "q?x", "h#x", "c:x"]
ODD_NAMES += ["b\\s", "n\nl"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_in_a_listing_lead_to_their_files(name: str, host: Any, files: Any, folder: Path) -> None:
    (folder / name).write_text(name)
    (folder / "dir").mkdir()
    server = files(host)
    page = ask(server.server_address, get("/")).body
    targets = re.findall(r'<li><a href="([^"]*)">', page.decode())
    assert (name, name) in items(page)
    assert f">{html.escape(name, quote=False)}</a>".encode() in page
    assert len(targets) == 2
    bodies = [ask(server.server_address, get("/" + target)).body for target in targets]
    assert name.encode() in bodies


def test_the_title_is_escaped(files: Any, client: Any, folder: Path) -> None:
    (folder / "<b>&amp;").mkdir()
    page = client(files()).ask(get("/%3Cb%3E%26amp%3B/")).body
    assert page.count(b"Directory listing for /&lt;b&gt;&amp;amp;/<") == 2


def test_a_title_that_no_encoding_has(files: Any, client: Any) -> None:
    """Half a surrogate pair, as somebody may write it: the octets stay as they are."""
    page = client(files()).ask(get("/%ED%A0%80%ED%B3%BFx/../")).body
    assert page.count(b"Directory listing for /\xed\xa0\x80\xed\xb3\xbfx/../<") == 2


@pytest.mark.parametrize("target", ["http://host/dir/", "HTTPS://host/dir/?q"])
def test_the_title_has_no_host(target: str, files: Any, client: Any, tree: Path) -> None:
    assert client(files()).ask(get(target)).body.count(b"Directory listing for /dir/<") == 2


@pytest.mark.parametrize("target", ["/?<script>", "/?x=%bb", "/#y", "/?a#b"])
def test_the_title_has_no_query_and_no_fragment(target: str, files: Any, client: Any) -> None:
    assert client(files()).ask(get(target)).body.count(b"Directory listing for /<") == 2


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have only UTF-8 names")
def test_names_that_are_no_utf_8(host: Any, files: Any, client: Any, folder: Path) -> None:
    name = b"caf\xe9\xff.txt"
    (folder / os.fsdecode(name)).write_bytes(b"latin")
    (folder / os.fsdecode(b"d\xff")).mkdir()
    (folder / os.fsdecode(b"d\xff/inside")).write_text("inside")
    server = files(host)
    page = ask(server.server_address, get("/")).body
    assert b">" + name + b"<" in page
    targets = re.findall(rb'<li><a href="([^"]*)">', page)
    assert len(targets) == 2
    replies = [ask(server.server_address, get("/" + target.decode())) for target in targets]
    assert replies[0].body == b"latin"
    assert b'href="inside"' in replies[1].body
    assert b"Directory listing for /d\xff/<" in replies[1].body


def test_a_large_listing(host: Any, files: Any, client: Any, folder: Path) -> None:
    names = [f"file-{number:04}.txt" for number in range(500)]
    for name in names:
        (folder / name).touch()
    reply = client(files(host)).ask(get("/"))
    assert [target for target, _ in items(reply.body)] == names
    assert reply.get("Content-Length") == str(len(reply.body))


def test_list_directory_may_be_overridden(host: Any, files: Any, client: Any) -> None:
    def list_directory(self: Any, path: str) -> None:
        self.send_error(404, "No listing")

    reply = client(files(host, list_directory=list_directory)).ask(get("/"))
    assert reply.line == "HTTP/1.1 404 No listing"
