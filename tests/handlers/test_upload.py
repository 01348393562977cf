"""Uploads by PUT and by forms: what is stored, where, under which name, and who may do it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers import request
from hypothesis import given
from hypothesis import strategies as st

import fastserve
from fastserve import limits
from fastserve.handlers import storing
from fastserve.handlers.paths import UNFINISHED
from fastserve.handlers.storing import is_name
from fastserve.handlers.upload import UploadMixin, is_from_elsewhere, way_beneath

from .makers import Files, get, settle
from .uploading import BOUNDARY, FORM, check_refused, chunked, contents, form_of, part, post, put

# -- PUT -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, limits.MAX_COLLECTED_BODY + 1, 1_000_000])
def test_a_file_is_stored(host: Any, uploads: Any, tree: Path, size: int) -> None:
    peer, body = uploads(host), os.urandom(size)
    reply = peer.ask(put("/dir/new.bin", body))
    assert (reply.status, reply.get("Location"), reply.body) == (201, "/dir/new.bin", b"/dir/new.bin\n")
    assert contents(tree) == {"dir/file.txt": b"file", "dir/new.bin": body}
    assert peer.ask(get("/dir/new.bin")).body == body


@pytest.mark.parametrize("size", [0, 1, 5000, 1_000_000])
def test_a_file_in_chunks(host: Any, uploads: Any, tree: Path, size: int) -> None:
    peer, body = uploads(host), os.urandom(size)
    assert peer.ask(chunked("PUT", "/new", body)).status == 201
    assert (tree / "new").read_bytes() == body
    assert peer.ask(get("/dir/file.txt")).body == b"file"


def test_json_by_accept(uploads: Any) -> None:
    reply = uploads().ask(put("/new", b"x", "Accept: application/json"))
    assert reply.get("Content-Type") == "application/json"
    assert json.loads(reply.body) == ["/new"]


def test_nothing_is_overwritten(host: Any, uploads: Any, tree: Path) -> None:
    peer = uploads(host)
    check_refused(peer, peer.ask(put("/dir/file.txt")), 409)
    assert contents(tree) == {"dir/file.txt": b"file"}


def test_unless_that_is_asked_for(host: Any, uploads: Any, tree: Path) -> None:
    peer = uploads(host, upload_overwrite=True)
    reply = peer.ask(put("/dir/file.txt"))
    assert (reply.status, reply.get("Content-Length"), reply.body) == (204, None, b"")
    assert peer.ask(put("/dir/new.txt")).status == 201
    assert contents(tree) == {"dir/file.txt": b"content", "dir/new.txt": b"content"}


def test_the_mode_is_that_of_new_files(uploads: Any, tree: Path) -> None:
    uploads().ask(put("/new"))
    (tree / "other").write_bytes(b"")
    assert (tree / "new").stat().st_mode == (tree / "other").stat().st_mode
    assert (tree / "new").stat().st_nlink == 1


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["folder", "link", "dead link", "pipe"])
def test_what_is_no_file_is_not_touched(uploads: Any, tree: Path, kind: str, overwrite: bool) -> None:
    outside = tree.parent / "outside"
    outside.write_bytes(b"outside")
    name = tree / "name"
    {"folder": name.mkdir, "link": lambda: name.symlink_to(outside),
     "dead link": lambda: name.symlink_to(tree.parent / "none"), "pipe": lambda: os.mkfifo(name)}[kind]()
    peer = uploads(upload_overwrite=overwrite)
    check_refused(peer, peer.ask(put("/name")), 409)
    assert outside.read_bytes() == b"outside"
    assert not (tree.parent / "none").exists()


@pytest.mark.parametrize(("target", "name"), [
    ("/a%20b", "a b"), ("/%E2%82%AC", "€"), ("/a%25b", "a%b"), ("/-rf", "-rf"), ("/a?query", "a"),
    ("/dir//x", "dir/x"), ("//dir/x", "dir/x"), ("http://test/dir/x", "dir/x"), ("/" + "n" * 255, "n" * 255),
    ("/.dot", ".dot"), ("/%FF", os.fsdecode(b"\xff")), ("/a%5Cb", "a\\b"), ("/%27%3Cb%3E", "'<b>"),
])
def test_names(uploads: Any, tree: Path, target: str, name: str) -> None:
    peer = uploads()
    reply = peer.ask(put(target))
    assert reply.status == 201
    assert (tree / name).read_bytes() == b"content"
    assert peer.ask(get(reply.get("Location") or "")).body == b"content"


@pytest.mark.parametrize("target", [
    "/", "/dir/", "/.", "/..", "/dir/..", "/%2e%2e", "/a%2Fb", "/..%2Fx", "/%2Fetc%2Fpasswd", "/a%00b",
    "/a%0Ab", "/a%7F", "/a%C2%85", "/../x", "/dir/../../x", "/dir/../x", "/./x", "/dir/%2e%2e/x",
    "/" + "n" * 256, "/" + "%E2%82%AC" * 86, "*", "/dir%2Fx", "/dir/%00/x",
])
def test_no_names(uploads: Any, tree: Path, target: str) -> None:
    peer = uploads()
    check_refused(peer, peer.ask(put(target)), 400)
    assert contents(tree.parent) == {"served/dir/file.txt": b"file"}


NO_NAMES = st.sampled_from(["", ".", "..", "a/b", UNFINISHED, f"{UNFINISHED}0"])


@given(st.text(max_size=20).map(lambda name: name.replace("/", "")) | NO_NAMES)
def test_a_name_is_one_component_that_can_be_shown(name: str) -> None:
    allowed = name not in ("", ".", "..") and not name.startswith(UNFINISHED) and not any(
        c == "/" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    assert is_name(name) == allowed


@pytest.mark.parametrize(("target", "status"), [
    ("/none/x", 404), ("/dir/file.txt/x", 404), ("/none/deep/x", 404),
])
def test_no_folder(uploads: Any, target: str, status: int) -> None:
    peer = uploads()
    check_refused(peer, peer.ask(put(target)), status)


def test_hidden_names(uploads: Any, tree: Path) -> None:
    (tree / ".hidden").mkdir()
    for target in ("/.x", "/.hidden/x", "/.well-known"):
        peer = uploads(hide_dotfiles=True)
        check_refused(peer, peer.ask(put(target)), 403)
    peer = uploads(hide_dotfiles=True)
    check_refused(peer, peer.ask(post("/", part(b"x", ".x"))), 403)
    assert contents(tree) == {"dir/file.txt": b"file"}


@pytest.mark.parametrize("name", [UNFINISHED, f"{UNFINISHED}0123456789abcdef", f"{UNFINISHED}.txt"])
def test_names_of_what_is_not_whole_yet(uploads: Any, tree: Path, name: str) -> None:
    (tree / name).mkdir()
    for octets in (put(f"/dir/{name}"), put(f"/{name}/x"), post(f"/{name}/", part(b"x", "x")),
                   post("/", part(b"good", "good"), part(b"x", name))):
        peer = uploads()
        check_refused(peer, peer.ask(octets), 400)
    assert contents(tree) == {"dir/file.txt": b"file"}


@pytest.fixture
def secrets(tree: Path) -> tuple[str, ...]:
    """What is to be withheld in ``tree``: a file, one that is not there yet, and one beneath a link."""
    (tree / "way").symlink_to("dir")
    for name, target in (("link", "secret"), ("dead", "dir/new"), ("dir/up", "../link")):
        (tree / name).symlink_to(target)
    (tree / "secret").write_bytes(b"secret")
    return tuple(str(tree / name) for name in ("secret", "dir/new", "way/file.txt"))


@pytest.mark.parametrize("target", ["/secret", "/link", "/dir/new", "/dead", "/dir/up", "/dir/file.txt"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_withheld(
        uploads: Any, tree: Path, secrets: tuple[str, ...], target: str, overwrite: bool) -> None:
    """By its name or by that of a link to it."""
    folder, _, name = target.rpartition("/")
    form = post(f"{folder}/", part(b"good", "good"), part(b"x", name))
    for octets in (put(target), chunked("PUT", target, b"x"), form):
        peer = uploads(upload_overwrite=overwrite, withheld=secrets)
        reply = peer.ask(octets)
        check_refused(peer, reply, 403)
        assert reply.line.endswith("That file is the server's own")
    assert contents(tree) == {"dir/file.txt": b"file", "secret": b"secret"}


# -- Preconditions (RFC 9110 13) ---------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "there", "missing"), [
    (["If-None-Match: *"], 412, 201),
    (["If-None-Match: TAG"], 412, 201),
    (['If-None-Match: "other"'], 204, 201),
    (["If-Match: *"], 204, 412),
    (["If-Match: TAG"], 204, 412),
    (['If-Match: "other"'], 412, 412),
    (['If-Match: "other"', "If-Match: TAG"], 204, 412),
    (["If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT"], 412, 201),
    (["If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT"], 204, 201),
])
def test_preconditions(uploads: Any, tree: Path, fields: list[str], there: int, missing: int) -> None:
    settle(tree / "dir" / "file.txt")
    peer = uploads(upload_overwrite=True)
    tag = peer.ask(get("/dir/file.txt")).get("ETag")
    fields = [each.replace("TAG", str(tag)) for each in fields]
    assert peer.ask(put("/dir/file.txt", b"new", *fields)).status == there
    assert (tree / "dir" / "file.txt").read_bytes() == (b"new" if there == 204 else b"file")
    assert uploads(upload_overwrite=True).ask(put("/dir/new", b"new", *fields)).status == missing
    assert (tree / "dir" / "new").exists() == (missing == 201)


def test_a_precondition_comes_before_the_conflict(uploads: Any) -> None:
    assert uploads().ask(put("/dir/file.txt", b"new", "If-None-Match: *")).status == 412
    assert uploads().ask(put("/dir/file.txt", b"new", "If-Match: *")).status == 409


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_comes_meanwhile(
        uploads: Any, tree: Path, overwrite: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From somebody else, while ours is being received."""
    plain = storing.Upload.close
    monkeypatch.setattr(
        storing.Upload, "close", lambda self: (plain(self), (tree / "new").write_bytes(b"theirs"))[0])
    peer = uploads(upload_overwrite=overwrite)
    assert peer.ask(put("/new", b"ours", "If-None-Match: *")).status == 412
    monkeypatch.undo()
    assert contents(tree) == {"dir/file.txt": b"file", "new": b"theirs"}


def test_a_file_that_comes_at_the_last_moment(
        uploads: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the last look: the file system decides."""
    plain = storing.Upload.keep
    monkeypatch.setattr(storing.Upload, "keep", lambda self, *args: (
        (tree / "new").write_bytes(b"theirs"), plain(self, *args))[1])
    assert uploads(upload_overwrite=True).ask(put("/new", b"ours")).status == 409
    monkeypatch.undo()
    assert contents(tree) == {"dir/file.txt": b"file", "new": b"theirs"}


def test_a_client_that_waits_is_told_what_is_withheld(uploads: Any, tree: Path) -> None:
    peer = uploads(withheld=(str(tree / "new"),))
    reply = peer.ask(request("PUT", "/new", "Content-Length: 5", "Expect: 100-continue"))
    check_refused(peer, reply, 403)


@pytest.mark.parametrize(("field", "status"), [
    ("Content-Range: bytes 0-6/7", 400), ("Content-Encoding: gzip", 415), ("Content-Encoding: identity", 201),
])
def test_what_is_no_whole_file(uploads: Any, field: str, status: int) -> None:
    assert uploads().ask(put("/new", b"content", field)).status == status


# -- Forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/dir/", "/dir"])
def test_a_form(host: Any, uploads: Any, tree: Path, target: str) -> None:
    peer, large = uploads(host), os.urandom(700_000)
    octets = post(target, part(b"one", "1.txt"), part(b"a comment", None, "text"), part(b"", ""),
                  part(large, "ä b"), part(b"", "empty"))
    reply = peer.ask(octets)
    assert (reply.status, reply.get("Location")) == (201, None)
    assert reply.body == b"/dir/1.txt\n/dir/%C3%A4%20b\n/dir/empty\n"
    assert contents(tree) == {
        "dir/file.txt": b"file", "dir/1.txt": b"one", "dir/ä b": large, "dir/empty": b""}
    assert peer.ask(get("/dir/1.txt")).body == b"one"


def test_a_form_in_chunks(host: Any, uploads: Any, tree: Path) -> None:
    content = os.urandom(300_000)
    body = form_of(part(content, "a"))
    assert uploads(host).ask(chunked("POST", "/", body, FORM, step=777)).status == 201
    assert (tree / "a").read_bytes() == content


def test_json_of_a_form(uploads: Any) -> None:
    octets = post("/", part(b"", "a b"), part(b"", "c"), fields=("Accept: application/json, */*",))
    reply = uploads().ask(octets)
    assert reply.status == 201
    assert json.loads(reply.body) == ["/a%20b", "/c"]
    assert uploads().ask(post("/", part(b"", "x"))).get("Location") == "/x"


def test_a_browser_is_shown_the_folder(uploads: Any, tree: Path) -> None:
    peer = uploads()
    octets = post("/dir/deep", part(b"x", "a"), fields=("Accept: text/html,application/xhtml+xml,*/*;q=0.8",))
    reply = peer.ask(octets)
    assert (reply.status, reply.get("Location"), reply.body) == (303, "/dir/deep/", b"")
    assert b'href="a"' in peer.ask(get("/dir/deep/")).body


def test_headers_of_somebody_else_s(uploads: Any, tree: Path) -> None:
    """A program may have put any mapping there."""

    def parse_request(self: Any) -> bool:
        done = Files.parse_request(self)
        self.headers = dict(self.headers)
        return done

    octets = post("/", part(b"x", "a"), fields=("Accept: application/json",))
    assert json.loads(uploads(parse_request=parse_request).ask(octets).body) == ["/a"]
    assert (tree / "a").read_bytes() == b"x"


def test_names_that_are_taken(host: Any, uploads: Any, tree: Path) -> None:
    peer = uploads(host)
    octets = post("/dir/", part(b"1", "file.txt"), part(b"2", "file.txt"), part(b"3", "deep"),
                  part(b"4", ".bashrc"), part(b"5", ".bashrc"))
    assert peer.ask(octets).status == 201
    assert peer.ask(octets).status == 201
    assert contents(tree / "dir") == {
        "file.txt": b"file",
        "file (1).txt": b"1", "file (2).txt": b"2", "deep (1)": b"3", ".bashrc": b"4", ".bashrc (1)": b"5",
        "file (3).txt": b"1", "file (4).txt": b"2", "deep (2)": b"3", ".bashrc (2)": b"4",
        ".bashrc (3)": b"5"}


def test_names_that_may_be_overwritten(uploads: Any, tree: Path) -> None:
    """But not what came in the same form, nor what is no file."""
    (tree / "link").symlink_to("dir/file.txt")
    octets = post("/", part(b"1", "a"), part(b"2", "a"), part(b"3", "dir"), part(b"4", "link"))
    peer = uploads(upload_overwrite=True)
    (tree / "a").write_bytes(b"old")
    assert peer.ask(octets).body == b"/a\n/a%20%281%29\n/dir%20%281%29\n/link%20%281%29\n"
    assert contents(tree) == {
        "a": b"1", "a (1)": b"2", "dir (1)": b"3", "link (1)": b"4", "dir/file.txt": b"file"}


@pytest.mark.parametrize("over", [0, 1])
def test_there_is_an_end_to_numbers(
        uploads: Any, tree: Path, over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "MAX_NUMBERED", 4)
    (tree / "a").write_bytes(b"")
    for number in range(1, 3 + over):
        (tree / f"a ({number})").write_bytes(b"")
    assert uploads().ask(post("/", part(b"x", "a"))).status == (409 if over else 201)


@pytest.mark.parametrize("name", [b"..", b".", b"a\tb", b"a%0Ab", b"a\x7f", b"n" * 256, b"a%0D"])
def test_bad_names_in_a_form(uploads: Any, tree: Path, name: bytes) -> None:
    peer = uploads()
    check_refused(peer, peer.ask(post("/", part(b"good", "good"), part(b"x", name))), 400)
    assert contents(tree) == {"dir/file.txt": b"file"}


@pytest.mark.parametrize("name", [b"../../x", b"/etc/x", b"..\\..\\x", b"C:\\x", b"dir/x"])
def test_only_the_last_component_counts(uploads: Any, tree: Path, name: bytes) -> None:
    assert uploads().ask(post("/", part(b"x", name))).status == 201
    assert contents(tree.parent) == {"served/dir/file.txt": b"file", "served/x": b"x"}


@pytest.mark.parametrize(("field", "body", "status"), [
    (FORM, b"", 400), (FORM, b"x", 400), (FORM, form_of(), 400), (FORM, form_of(part(b"x", None)), 400),
    (FORM, form_of(part(b"x", "a"))[:-6], 400), (FORM, form_of(part(b"x", ""), part(b"x", None)), 400),
    ("Content-Type: multipart/form-data", form_of(part(b"x", "a")), 400),
    ("Content-Type: application/x-www-form-urlencoded", b"a=b", 415),
    ("Content-Type: text/plain", b"a", 415), ("X-None: 1", b"a", 415),
    (FORM, part(b"x", "a") + b"--" + BOUNDARY.encode() + b"\r\nbad\r\n\r\n", 400),
])
def test_bad_forms(host: Any, uploads: Any, tree: Path, field: str, body: bytes, status: int) -> None:
    peer = uploads(host)
    length = [] if body else ["Content-Length: 0"]
    check_refused(peer, peer.ask(request("POST", "/", field, *length, body=body)), status)
    assert contents(tree) == {"dir/file.txt": b"file"}


def test_a_form_is_stored_whole_or_not_at_all(
        uploads: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the last name cannot be given."""
    plain = os.link

    def link(source: str, target: str, **options: Any) -> None:
        if target == "c":
            raise OSError(errno.ENOSPC, "full")
        plain(source, target, **options)

    monkeypatch.setattr(storing.os, "link", link)
    octets = post("/", part(b"1", "a"), part(b"2", "b"), part(b"3", "c"))
    assert uploads().ask(octets).status == 507
    assert contents(tree) == {"dir/file.txt": b"file"}


# -- Elsewhere -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("octets", "allow"), [
    (put("/x"), "GET, HEAD"), (put("/other/x"), "GET, HEAD"), (put("/dir"), "GET, HEAD"),
    (put("/dirx/x"), "GET, HEAD"), (post("/", part(b"x", "x")), "GET, HEAD"),
    (post("/other/", part(b"x", "x")), "GET, HEAD"),
    (post("/dir/file.txt", part(b"x", "x")), "GET, HEAD, PUT"),
])
def test_only_beneath_the_upload_directory(
        host: Any, uploads: Any, tree: Path, octets: bytes, allow: str) -> None:
    for name in ("other", "dirx"):
        (tree / name).mkdir()
    peer = uploads(host, upload_directory=str(tree / "dir"))
    reply = peer.ask(octets)
    assert reply.get("Allow") == allow
    check_refused(peer, reply, 405)
    assert contents(tree) == {"dir/file.txt": b"file"}


def test_beneath_it(uploads: Any, tree: Path) -> None:
    peer = uploads(upload_directory=str(tree / "dir"))
    assert peer.ask(put("/dir/x")).status == 201
    assert peer.ask(put("/dir/deep/x")).status == 201
    assert peer.ask(post("/dir/", part(b"y", "y"))).status == 201
    assert set(contents(tree)) == {"dir/file.txt", "dir/x", "dir/deep/x", "dir/y"}


def test_nowhere(files: Any, client: Any, tree: Path) -> None:
    base = type("Nowhere", (UploadMixin, Files), {})
    for octets in (put("/x"), post("/", part(b"x", "x"))):
        assert client(files(base=base)).ask(octets).status == 405
    handler = base.__new__(base)
    handler.directory = str(tree)
    assert not handler.accepts_uploads_in(str(tree))


@pytest.fixture
def box(tree: Path) -> Path:
    path = tree.parent / "box"
    path.mkdir()
    return path


def test_a_drop_box(host: Any, uploads: Any, tree: Path, box: Path) -> None:
    peer = uploads(host, upload_directory=str(box))
    assert peer.ask(put("/a")).status == 201
    assert peer.ask(post("/", part(b"b", "b"), part(b"a2", "a"))).body == b"/b\n/a%20%281%29\n"
    assert contents(box) == {"a": b"content", "b": b"b", "a (1)": b"a2"}
    assert contents(tree) == {"dir/file.txt": b"file"}
    assert peer.ask(get("/a")).status == 404
    assert uploads(upload_directory=str(box)).ask(put("/dir/x")).status == 405
    assert uploads(upload_directory=str(box)).ask(post("/dir/", part(b"x", "x"))).status == 405


@pytest.mark.parametrize("place", ["box", "link"])
def test_what_is_withheld_in_a_drop_box(uploads: Any, tree: Path, box: Path, place: str) -> None:
    (tree.parent / "link").symlink_to(box)
    for octets in (put("/new"), post("/", part(b"x", "new"))):
        peer = uploads(upload_directory=str(box), withheld=(str(tree.parent / place / "new"),))
        check_refused(peer, peer.ask(octets), 403)
    assert contents(box) == {}


def test_where_forms_may_be_shown(tree: Path, box: Path) -> None:
    def handler(where: Path, **data: Any) -> Any:
        kind = type("Handler", (UploadMixin, Files), {"upload_directory": str(where), **data})
        made = kind.__new__(kind)
        made.directory = str(tree)
        return made

    (tree / "link").symlink_to("dir")
    (tree / "dir" / "out").symlink_to(box)
    (tree / "dir" / ".dot").mkdir()
    inside = handler(tree / "dir")
    names = ("", "dir", "dir/", "dir/deep/", "link/", "dir/out/", "dir/file.txt", "dir/none/", "dir/.dot/")
    shown = [name for name in names if inside.accepts_uploads_in(str(tree) + "/" + name)]
    assert shown == ["dir", "dir/", "dir/deep/", "dir/.dot/"]
    assert not handler(tree, hide_dotfiles=True).accepts_uploads_in(str(tree / "dir" / ".dot"))
    assert handler(tree, hide_dotfiles=True).accepts_uploads_in(str(tree))
    dropping = handler(box)
    assert dropping.accepts_uploads_in(str(tree) + "/")
    assert not dropping.accepts_uploads_in(str(tree / "dir"))
    assert not handler(tree.parent / "none").accepts_uploads_in(str(tree))


@pytest.mark.parametrize(("directory", "inner", "way"), [
    ("/a", "/a", []), ("/a", "/a/", []), ("/a/", "/a/b/c", ["b", "c"]), ("/a", "/ab", None),
    ("/a/b", "/a", None), ("/", "/a", ["a"]), ("/a", "/a/../b", None), ("/a", "/a/./b/../c", ["c"]),
])
def test_way_beneath(directory: str, inner: str, way: list[str] | None) -> None:
    assert way_beneath(directory, inner) == way


def test_a_way_that_is_one_by_the_names_of_links(tmp_path: Path) -> None:
    (tmp_path / "real" / "up").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert way_beneath(str(tmp_path / "link"), str(tmp_path / "real" / "up")) == ["up"]


@pytest.mark.parametrize("follow", [False, True])
def test_links_lead_nowhere(uploads: Any, tree: Path, box: Path, follow: bool) -> None:
    (tree / "out").symlink_to(box)
    (tree / "in").symlink_to("dir")
    (tree / "dir" / "deep" / "up").symlink_to(box)
    for target in ("/out/x", "/in/x", "/dir/deep/up/x"):
        peer = uploads(follow_symlinks=follow)
        check_refused(peer, peer.ask(put(target)), 404)
        peer = uploads(follow_symlinks=follow)
        assert peer.ask(post(target.rpartition("/")[0] + "/", part(b"x", "x"))).status == 404
    assert contents(tree.parent) == {"served/dir/file.txt": b"file"}


@pytest.mark.parametrize(("follow", "status"), [(True, 201), (False, 404)])
def test_a_link_to_the_upload_directory(
        uploads: Any, tree: Path, box: Path, follow: bool, status: int) -> None:
    (tree / "up").symlink_to(box)
    peer = uploads(upload_directory=str(tree / "up"), follow_symlinks=follow)
    assert peer.ask(put("/up/x")).status == status
    assert (box / "x").exists() == follow


def test_where_scripts_are_run_nothing_is_stored(files: Any, client: Any, tree: Path) -> None:
    class Scripts(UploadMixin, fastserve.CGIHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        upload_directory = str(tree)

        def log_message(self, *args: Any) -> None:
            pass

    (tree / "cgi-bin").mkdir()
    assert client(files(base=Scripts)).ask(put("/cgi-bin/x")).status == 403
    assert client(files(base=Scripts)).ask(put("/dir/x")).status == 201
    assert client(files(base=Scripts)).ask(post("/dir/", part(b"y", "y"))).status == 201
    assert set(contents(tree)) == {"dir/file.txt", "dir/x", "dir/y"}


def test_another_class_has_what_is_posted_elsewhere(files: Any, client: Any, tree: Path) -> None:
    class Echo(Files):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    base = type("Both", (UploadMixin, Echo), {"upload_directory": str(tree / "dir")})
    peer = client(files(base=base))
    assert peer.ask(request("POST", "/echo", body=b"hello")).body == b"hello"
    assert peer.ask(post("/dir/", part(b"x", "x"))).status == 201
    peer.send(request("POST", "/echo", "Content-Length: 2", "Expect: 100-continue"))
    assert peer.reply().status == 100
    peer.send(b"hi")
    assert peer.reply().body == b"hi"


# -- Pages of other sites --------------------------------------------------------------------------


@pytest.mark.parametrize(("site", "origin", "host", "elsewhere"), [
    (None, None, "a", False), (None, "http://a", "a", False), (None, "http://a:80", "a", False),
    (None, "http://a", "a:80", False), (None, "https://a", "a:443", False), (None, "HTTP://A", "a", False),
    (None, "http://a:8000", "a:8000", False), (None, "http://[::1]:8000", "[::1]:8000", False),
    (None, "http://b", "a", True), (None, "http://a:8001", "a:8000", True), (None, "null", "a", True),
    (None, "http://a", None, True), (None, "https://a", "a:80", True), (None, "", "a", True),
    (None, "http://a.b", "b", True), (None, "http://a", "", True),
    ("same-origin", "http://a", "a", False), ("same-origin", "http://a", "proxied", False),
    ("none", None, "a", False), ("same-site", "http://b.a", "a", True), ("cross-site", "http://a", "a", True),
    ("cross-site", None, "a", True), (" Cross-Site ", None, "a", True),
])
def test_is_from_elsewhere(site: str | None, origin: str | None, host: str | None, elsewhere: bool) -> None:
    assert is_from_elsewhere(site, origin, host) == elsewhere


@pytest.mark.parametrize("field", [
    "Sec-Fetch-Site: cross-site", "Origin: http://evil.example", "Origin: null"])
def test_pages_of_other_sites(uploads: Any, tree: Path, field: str) -> None:
    for octets in (put("/x", b"x", field), post("/", part(b"x", "x"), fields=(field,))):
        peer = uploads()
        check_refused(peer, peer.ask(octets), 403)
    assert contents(tree) == {"dir/file.txt": b"file"}


def test_our_own_pages(uploads: Any) -> None:
    assert uploads().ask(put("/x", b"x", "Origin: http://test", "Sec-Fetch-Site: same-origin")).status == 201
