"""FolderHandler: which answer a folder gets, its fields, and names that lead back to their files."""

import html
import json
import os
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import Client, Reply, ask, request, running
from hypothesis import given
from hypothesis import strategies as st

import fastserve
from fastserve import handlers
from fastserve.handlers.folder import FolderHandler
from fastserve.handlers.listing import POLICY
from fastserve.handlers.paths import UNFINISHED

from .makers import Files, get, head, refusing
from .replaying import partial, replays


class Folders(FolderHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(files: Any, tree: Path) -> Any:
    """A function that serves ``tree`` with a subclass of Folders, which has these attributes."""

    def start(base: Any = Folders, **options: Any) -> Any:
        own = {name: options.pop(name) for name in list(options) if not hasattr(Files, name)
               and name != "extra_response_headers"}
        return files(base=type("Own", (base,), own), **options)

    return start


def hrefs(reply: Reply) -> list[str]:
    return re.findall(r'<tr><td><a class=(?:\w|"[a-z ]+") href="([^"]*)"', reply.body.decode())


# -- Which answer ------------------------------------------------------------------------------


def test_the_page(server: Any, client: Any, host: Any) -> None:
    reply = client(server(server_class=host)).ask(get("/dir/"))
    assert (reply.status, reply.get("Content-Type")) == (200, "text/html; charset=utf-8")
    assert reply.body.count(b"<title>Directory listing for /dir/</title>") == 1
    assert hrefs(reply) == ["deep/", "file.txt"]
    assert reply.get("Content-Length") == str(len(reply.body))
    assert [reply.get(name) for name in ("Content-Security-Policy", "X-Content-Type-Options", "Vary")] == [
        POLICY, "nosniff", "Accept"]


def test_head_has_the_head_of_the_page(server: Any, client: Any) -> None:
    peer = client(server())
    whole, alone = peer.ask(get("/dir/")), peer.ask(head("/dir/"))
    differ = {"Date"}
    assert [pair for pair in alone.headers if pair[0] not in differ] == [
        pair for pair in whole.headers if pair[0] not in differ]
    assert alone.body == b""


def test_json_by_the_query(server: Any, client: Any) -> None:
    reply = client(server()).ask(get("/dir/?format=json", "Accept: text/html"))
    assert (reply.status, reply.get("Content-Type"), reply.get("Vary")) == (200, "application/json", None)
    found = json.loads(reply.body)
    assert found["path"] == "/dir/"
    assert [(each["name"], each["href"], each["type"], each["size"]) for each in found["entries"]] == [
        ("deep", "deep/", "directory", None), ("file.txt", "file.txt", "file", 4)]


def test_json_by_the_accept_field(server: Any, client: Any) -> None:
    peer = client(server())
    reply = peer.ask(get("/dir/", "Accept: text/html;q=0.5", "Accept: application/json"))
    assert (reply.get("Content-Type"), reply.get("Vary")) == ("application/json", "Accept")
    reply = peer.ask(get("/dir/?format=html", "Accept: application/json"))
    assert (reply.get("Content-Type"), reply.get("Vary")) == ("text/html; charset=utf-8", None)


@pytest.mark.parametrize(("query", "names"), [
    ("", ["deep/", "a", "b"]), ("?sort=name&order=desc", ["deep/", "b", "a"]),
    ("?sort=size", ["deep/", "b", "a"]), ("?sort=size&order=desc", ["deep/", "a", "b"]),
    ("?sort=date", ["deep/", "b", "a"]), ("?sort=date&order=desc", ["deep/", "a", "b"]),
    ("?sort=size&sort=name&x&&=&order=asc;", ["deep/", "b", "a"]),
    ("?sort=bogus&order=bogus", ["deep/", "a", "b"]),
    ("?sort=%73ize", ["deep/", "b", "a"]), ("?sort=%FF", ["deep/", "a", "b"]),
])
def test_orders(query: str, names: list[str], server: Any, client: Any, tree: Path) -> None:
    (tree / "dir" / "file.txt").unlink()
    for number, name in enumerate(["b", "a"]):
        (tree / "dir" / name).write_bytes(b"x" * number)
        os.utime(tree / "dir" / name, (number, number))
    peer = client(server())
    assert hrefs(peer.ask(get("/dir/" + query))) == names
    found = json.loads(peer.ask(get("/dir/" + query, "Accept: application/json")).body)
    assert [each["href"] for each in found["entries"]] == names


@pytest.mark.parametrize(("query", "says"), [
    ("format=xml", "Folders have the formats html and json"),
    ("format=", "Folders have the formats html and json"),
    ("archive=rar", "Folders have the archives zip and tar"),
    ("archive", "Folders have the archives zip and tar"),
])
def test_what_there_is_not(query: str, says: str, server: Any, client: Any) -> None:
    peer = client(server())
    reply = peer.ask(get("/dir/?" + query))
    assert (reply.status, reply.line) == (400, f"HTTP/1.1 400 {says}")


@pytest.fixture
def streamed() -> Iterator[list[tuple[str, str]]]:
    """What the module of archives was asked for, in whose place this stands."""
    asked: list[tuple[str, str]] = []

    def stream(handler: Any, folder: str, kind: str) -> None:
        asked.append((folder, kind))
        handler.send_response(204)
        handler.end_headers()

    module = types.SimpleNamespace(stream=stream)
    known = mock.patch.dict(sys.modules, {"fastserve.handlers.archive": module})
    with known, mock.patch.object(handlers, "archive", module, create=True):
        yield asked


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_left_to_their_module(
    kind: str, server: Any, client: Any, tree: Path, streamed: Any
) -> None:
    assert client(server()).ask(get(f"/dir/?archive={kind}")).status == 204
    assert streamed == [(f"{tree}/dir/", kind)]


def test_no_archives(server: Any, client: Any, streamed: Any) -> None:
    address = server(archives=False).server_address
    reply = ask(address, get("/dir/?archive=zip"))
    assert reply.line == "HTTP/1.1 403 Folders are not sent as archives here"
    assert b"?archive" not in ask(address, get("/dir/")).body
    assert streamed == []


def test_no_pages(server: Any, files: Any, client: Any) -> None:
    """It is http.server's page then, whatever is asked for."""
    for query in ("", "?format=json", "?archive=zip", "?format=no"):
        ours = client(server(folder_pages=False)).ask(get("/dir/" + query))
        theirs = client(files()).ask(get("/dir/" + query))
        assert ours.body == theirs.body
        assert [name for name, _ in ours.headers] == [name for name, _ in theirs.headers]


def test_index_pages_come_first(server: Any, client: Any, tree: Path) -> None:
    (tree / "dir" / "index.html").write_text("index")
    assert client(server()).ask(get("/dir/?format=json")).body == b"index"


def test_uploads_are_offered_where_the_class_says_so(server: Any, client: Any, tree: Path) -> None:
    asked = []

    def accepts_uploads_in(self: Any, path: str) -> bool:
        asked.append(path)
        return "dir" in os.path.relpath(path, tree)

    peer = client(server(accepts_uploads_in=accepts_uploads_in))
    assert b'<form id="upload"' in peer.ask(get("/dir/")).body
    assert b'<form id="upload"' not in peer.ask(get("/")).body
    assert asked == [f"{tree}/dir/", f"{tree}/"]
    assert b'<form id="upload"' not in client(server()).ask(get("/dir/")).body


def test_a_folder_that_cannot_be_read(server: Any, client: Any) -> None:
    with refusing(lambda path: "dir" in path):
        reply = client(server()).ask(get("/dir/"))
    assert reply.line == "HTTP/1.1 404 No permission to list directory"


def test_fields_of_the_class_s_own(server: Any, client: Any) -> None:
    extra = [("X-Own", "1"), ("content-security-policy", "mine"), ("Vary", "Origin")]
    reply = client(server(extra_response_headers=extra)).ask(get("/dir/"))
    assert (reply.get("X-Own"), reply.get("Content-Security-Policy")) == ("1", POLICY)
    assert [value for name, value in reply.headers if name == "Vary"] == ["Accept", "Origin"]


def test_headers_of_somebody_else_s(server: Any, client: Any) -> None:
    """A program may have put any mapping there."""

    def parse_request(self: Any) -> bool:
        done = FolderHandler.parse_request(self)
        self.headers = {"Accept": "application/json"}
        return done

    assert json.loads(client(server(parse_request=parse_request)).ask(get("/dir/")).body)["path"] == "/dir/"


# -- What is in it -----------------------------------------------------------------------------


@pytest.fixture
def linked(tree: Path, tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tree / "dir" / "link").symlink_to(tmp_path / "outside")
    (tree / "dir" / ".hidden").touch()
    (tree / "away").symlink_to("dir")
    return tree


def test_links_and_dotfiles_are_as_in_the_class_s_own_page(linked: Path, server: Any, client: Any) -> None:
    assert hrefs(client(server()).ask(get("/dir/"))) == ["deep/", "link/", ".hidden", "file.txt"]
    address = server(follow_symlinks=False, hide_dotfiles=True).server_address
    assert hrefs(ask(address, get("/dir/"))) == ["deep/", "file.txt"]
    assert ask(address, get("/away/")).status == 404
    assert ask(address, get("/dir/link/?format=json")).status == 404


def test_what_is_being_uploaded_is_shown_by_http_server_s_page_alone(
    server: Any, files: Any, client: Any, tree: Path
) -> None:
    for name in (UNFINISHED, f"{UNFINISHED}0123", UNFINISHED[:-1], f"a{UNFINISHED}0"):
        (tree / "dir" / name).touch()
    shown = {"deep/", "file.txt", UNFINISHED[:-1], f"a{UNFINISHED}0"}
    peer = client(server())
    assert set(hrefs(peer.ask(get("/dir/")))) == shown
    entries = json.loads(peer.ask(get("/dir/?format=json")).body)["entries"]
    assert {each["name"] for each in entries} == {name.rstrip("/") for name in shown}
    for old in (server(folder_pages=False), files()):
        names = re.findall(r'<li><a href="(.*?)">', client(old).ask(get("/dir/")).body.decode())
        assert set(names) == shown | {UNFINISHED, f"{UNFINISHED}0123"}


NAMES = st.sets(
    st.one_of(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
        st.text("<>&\"'%#?;:\\\r\n\t +~\u202e\u0645\U0001f600", min_size=1, max_size=6),
        st.binary(min_size=1, max_size=8).map(lambda octets: os.fsdecode(octets.translate(None, b"/\0"))),
        st.just("x" * 255),
    ).filter(lambda name: name not in ("", ".", "..", *Files.index_pages)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Client]]:
    """A folder, and a client of a server of it."""
    folder = tmp_path_factory.mktemp("lasting")
    server = fastserve.HTTPServer(("127.0.0.1", 0), partial(Folders, folder))
    with running(server) as address, Client(address) as client:
        yield folder, client


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have only UTF-8 names")
@given(NAMES)
def test_links_lead_to_their_files(lasting: Any, names: set[str]) -> None:
    """Each, in the page and in the JSON, to a file that has its name for content."""
    folder, client = lasting
    for name in names:
        (folder / name).write_bytes(os.fsencode(name))
    try:
        there = {os.fsencode(name) for name in os.listdir(folder)}
        page = client.ask(get("/"))
        found = json.loads(client.ask(get("/?format=json")).body)["entries"]
        for links in (hrefs(page), [each["href"] for each in found]):
            assert {client.ask(get("/" + link)).body for link in links} == there
            assert len(links) == len(there)
        shown = re.findall(r"(?s)<bdi>(.*?)</bdi></a><td", page.body.decode())
        assert [html.unescape(each.replace("\r", "&#x0d;")) for each in shown] == [
            html.unescape(html.escape(each["name"]).replace("\r", "&#x0d;")) for each in found]
    finally:
        for name in os.listdir(folder):
            (folder / name).unlink()


@pytest.mark.parametrize("name", ["a b", "<i>&amp;", "%2e", "q?x", "h#x", "\u202eetirw", "b\\s", "n\nl"])
def test_folders_lead_to_their_own_pages(name: str, server: Any, client: Any, tree: Path) -> None:
    (tree / name).mkdir()
    (tree / name / "inside").touch()
    peer = client(server())
    [link] = [each for each in hrefs(peer.ask(get("/"))) if each != "dir/"]
    reply = peer.ask(get("/" + link))
    assert hrefs(reply) == ["inside"]
    assert f"<title>Directory listing for /{html.escape(name)}/</title>".encode() in reply.body


# -- Recorded answers --------------------------------------------------------------------------


def test_files_of_a_class_that_sets_data_are_recorded(one: Path, serve: Any) -> None:
    own = type("Own", (Folders,), {"archives": False, "folder_pages": True, "index_pages": ["index.html"]})
    server = serve(partial(own, one))
    for target in ("/file.txt", "/dir/", "/dir", "/missing"):
        assert replays(server, target), target


def test_listings_are_not_recorded(one: Path, serve: Any) -> None:
    server = serve(partial(Folders, one))
    for target in ("/", "/?format=json", "/?sort=size"):
        assert not replays(server, target)


def test_where_uploads_are_is_no_part_of_a_recorded_answer(one: Path, serve: Any) -> None:
    methods = {"accepts_uploads_in": lambda self, path: True, "do_PUT": lambda self: None}
    assert replays(serve(partial(type("Own", (Folders,), methods), one)))


def test_a_page_of_somebody_s_own_is_not_recorded(one: Path, serve: Any) -> None:
    for name in ("list_directory", "do_GET", "send_head"):

        def method(self: Any, *args: Any, name: str = name) -> Any:
            return getattr(FolderHandler, name)(self, *args)

        assert not replays(serve(partial(type("Own", (Folders,), {name: method}), one)))


def test_a_new_entry_is_in_the_next_answer(server: Any, tree: Path) -> None:
    address = server().server_address
    for number in range(3):
        (tree / "dir" / f"{number}").touch()
        assert hrefs(ask(address, request(target="/dir/"))) == [
            "deep/", *(f"{each}" for each in range(number + 1)), "file.txt"]
