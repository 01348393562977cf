"""What is said of a file, and which of its octets leave: ranges, validators, siblings, on every host."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Reply, descriptors, request, wait_until

from fastserve import limits
from fastserve.handlers.conditions import is_weak
from fastserve.handlers.representations import entity_tag

from .makers import Files, get, head, settle
from .test_ranges import parts_of

BODY = bytes(range(256)) * 2000
SIZE = len(BODY)
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
MTIME = 1_000_000_000


@pytest.fixture
def video(folder: Path) -> Path:
    """A file whose entity tag is strong, changed long ago."""
    path = folder / "video.mp4"
    path.write_bytes(BODY)
    os.utime(path, (MTIME, MTIME))
    settle(path)
    return path


@pytest.fixture
def ask(host: Any, files: Any, client: Any, video: Path) -> Any:
    """A function that asks for it, with fields, on one connection."""
    peer = client(files(host))
    return lambda *fields, **options: peer.ask(request("GET", "/video.mp4", *fields, **options))


def validators(reply: Reply) -> tuple[str | None, str | None]:
    return reply.get("ETag"), reply.get("Last-Modified")


# -- Ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "start", "stop"), [
    ("0-0", 0, 1), ("0-", 0, SIZE), ("-1", SIZE - 1, SIZE), (f"{SIZE - 1}-", SIZE - 1, SIZE),
    ("5-9", 5, 10), (f"-{SIZE * 2}", 0, SIZE), (f"100-{SIZE * 2}", 100, SIZE),
    (f"1-{limits.MAX_COPIED_FILE}", 1, limits.MAX_COPIED_FILE + 1),
    (f"1-{limits.MAX_COPIED_FILE + 1}", 1, limits.MAX_COPIED_FILE + 2),
    ("0-1,1-9", 0, 10),
])
def test_one_range(ask: Any, value: str, start: int, stop: int) -> None:
    whole = ask()
    assert (whole.status, whole.body, whole.get("Accept-Ranges")) == (200, BODY, "bytes")
    for _ in range(2):
        reply = ask(f"Range: bytes={value}")
        assert (reply.line, reply.body) == ("HTTP/1.1 206 Partial Content", BODY[start:stop])
        assert reply.get("Content-Range") == f"bytes {start}-{stop - 1}/{SIZE}"
        assert reply.get("Content-Type") == whole.get("Content-Type")
        assert validators(reply) == validators(whole)


@pytest.mark.parametrize("value", [
    "0-0,1000-1999,-5", f"-100,0-{limits.MAX_COPIED_FILE + 5}", "400000-, 0-200000, 300000-300001",
    ",".join(f"{start}-{start}" for start in range(0, 200_000, 1000)),
])
def test_several_ranges(ask: Any, value: str) -> None:
    reply = ask(f"Range: bytes={value}")
    assert (reply.status, reply.get("Content-Range")) == (206, None)
    parts = parts_of(str(reply.get("Content-Type")), reply.body)
    wanted = [part.strip().partition("-") for part in value.split(",")]
    assert len(parts) == len(wanted)
    for (fields, octets), (first, _, last) in zip(parts, wanted, strict=True):
        start = int(first) if first else SIZE - int(last)
        stop = int(last) + 1 if first and last else SIZE
        assert fields == {"content-type": "video/mp4", "content-range": f"bytes {start}-{stop - 1}/{SIZE}"}
        assert octets == BODY[start:stop]
    assert validators(reply) == validators(ask())
    assert ask().body == BODY, "the connection is in step"


@pytest.mark.parametrize("value", [f"{SIZE}-", "-0", f"{SIZE}-{SIZE},-0"])
def test_nothing_of_it_is_there(ask: Any, value: str) -> None:
    reply = ask(f"Range: bytes={value}")
    assert (reply.status, reply.get("Content-Range"), reply.body) == (416, f"bytes */{SIZE}", b"")
    assert ask().status == 200


@pytest.mark.parametrize("fields", [
    ("Range: bytes=1-0",), ("Range: lines=0-1",), ("Range: 0-1",), ("Range: bytes=0-1,x",), ("Range:",),
    ("Range: bytes=0-1", "Range: bytes=2-3"),
])
def test_a_range_that_is_ignored(ask: Any, fields: tuple[str, ...]) -> None:
    reply = ask(*fields)
    assert (reply.status, reply.body, reply.get("Content-Range")) == (200, BODY, None)


def test_a_range_and_HEAD(host: Any, files: Any, client: Any, video: Path) -> None:
    """No range is defined of it (RFC 9110 14.2)."""
    reply = client(files(host)).ask(head("/video.mp4", "Range: bytes=0-1"))
    assert (reply.status, reply.get("Content-Length")) == (200, str(SIZE))
    assert reply.get("Accept-Ranges") == "bytes"


def test_an_old_client(host: Any, files: Any, client: Any, video: Path) -> None:
    reply = client(files(host)).ask(request("GET", "/video.mp4", "Range: bytes=5-9", version="1.0"))
    assert (reply.status, reply.body) == (206, BODY[5:10])


def test_pipelined_ranges(host: Any, files: Any, client: Any, video: Path) -> None:
    peer = client(files(host))
    spans = [(number * 1000, number * 1000 + 5 * number) for number in range(50)]
    peer.send(b"".join(get("/video.mp4", f"Range: bytes={first}-{last}") for first, last in spans))
    for first, last in spans:
        assert peer.reply().body == BODY[first:last + 1]


def test_an_index_page_has_ranges(host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "index.html").write_bytes(b"0123456789")
    assert client(files(host)).ask(get("/", "Range: bytes=-3")).body == b"789"


def test_a_listing_has_none(host: Any, files: Any, client: Any, folder: Path) -> None:
    reply = client(files(host)).ask(get("/", "Range: bytes=0-3", 'If-Match: "no"'))
    assert (reply.status, reply.get("Accept-Ranges"), reply.get("ETag")) == (200, None, None)


def test_an_empty_file(host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "empty").touch()
    peer = client(files(host))
    asked = [get("/empty", f"Range: bytes={value}") for value in ("-1", "0-", "0-0", "-0")]
    assert [peer.ask(each).status for each in asked] == [200, 416, 416, 416]


def test_a_file_of_many_gigabytes(host: Any, files: Any, client: Any, folder: Path) -> None:
    """Offsets past 32 bits, in a file with a hole."""
    size = 5 << 30
    with (folder / "big").open("wb") as file:
        file.truncate(size)
        for offset in (0, (1 << 31) - 2, (1 << 32) - 2, size - 4):
            file.seek(offset)
            file.write(b"\x01\x02\x03\x04")
    peer = client(files(host))
    for offset in ((1 << 31) - 2, (1 << 32) - 2, size - 4):
        reply = peer.ask(get("/big", f"Range: bytes={offset}-{offset + 3}"))
        assert (reply.body, reply.get("Content-Range")) == (
            b"\x01\x02\x03\x04", f"bytes {offset}-{offset + 3}/{size}")
    assert peer.ask(get("/big", "Range: bytes=-4,0-1")).status == 206
    assert peer.ask(get("/big", f"Range: bytes={size}-")).status == 416


def test_a_file_that_becomes_shorter(host: Any, files: Any, client: Any, video: Path) -> None:
    """Never other octets than those of the range: the connection ends."""
    sent = []

    class Truncating(Files):
        def end_headers(self) -> None:
            os.truncate(video, 100)
            sent.append(1)
            super().end_headers()

    peer = client(files(host, base=Truncating))
    peer.send(get("/video.mp4", "Range: bytes=50-149"))
    answer = peer.rest()
    assert sent == [1]
    assert answer.startswith(b"HTTP/1.1 206 ")
    assert answer.endswith(b"\r\n\r\n" + BODY[50:100])


# -- Classes of one's own ------------------------------------------------------------------------


def test_a_class_that_sends_other_octets(host: Any, files: Any, client: Any, video: Path) -> None:
    """Nothing is said of them that is true of the file's alone."""

    class Upper(Files):
        precompressed = True

        def copyfile(self, source: Any, outputfile: Any) -> None:
            outputfile.write(source.read().translate(bytes(255 - octet for octet in range(256))))

    peer = client(files(host, base=Upper))
    for fields in ((), ("Range: bytes=0-1",), ("Range: bytes=0-1", 'If-Range: "x"')):
        reply = peer.ask(get("/video.mp4", *fields))
        assert (reply.status, reply.body[:2], len(reply.body)) == (200, b"\xff\xfe", SIZE)
        assert [reply.get(name) for name in ("ETag", "Accept-Ranges", "Vary")] == [None] * 3
    assert peer.ask(get("/video.mp4", f"If-Modified-Since: {DATE}")).status == 304


def test_a_class_that_copies_by_itself(host: Any, files: Any, client: Any, video: Path) -> None:
    """It may do with a file what cannot be done with a part of it: it never gets one."""

    class Copying(Files):
        def do_GET(self) -> None:
            with contextlib.closing(self.send_head()) as source:
                assert os.fstat(source.fileno()).st_size == len(BODY)
                source.seek(0)
                shutil.copyfileobj(source, self.wfile, 1000)

    peer = client(files(host, base=Copying))
    assert peer.ask(get("/video.mp4")).body == BODY
    assert peer.ask(get("/video.mp4", "Range: bytes=5-99999")).body == BODY
    assert peer.ask(get("/video.mp4", "If-None-Match: *")).status == 304


def test_a_class_with_its_own_send_head(host: Any, files: Any, client: Any, video: Path) -> None:
    """It may leave the rest of the head to send_file_head()."""

    class Own(Files):
        def send_head(self) -> Any:
            return self.send_file_head(str(video), video.open("rb", buffering=0))

    peer = client(files(host, base=Own))
    assert peer.ask(get("/anything")).body == BODY
    assert peer.ask(get("/anything", "Range: bytes=5-9")).body == BODY[5:10]
    tag = peer.ask(head("/anything")).get("ETag")
    assert peer.ask(get("/anything", f"If-None-Match: {tag}")).status == 304


def test_headers_that_a_class_has_changed(host: Any, files: Any, client: Any, video: Path) -> None:
    class Changing(Files):
        def do_GET(self) -> None:
            self.headers["Range"] = "bytes=1-2"
            super().do_GET()

    assert client(files(host, base=Changing)).ask(get("/video.mp4")).body == BODY[1:3]


def test_headers_of_another_class(host: Any, files: Any, client: Any, video: Path) -> None:
    """Which has no get_all(): a program may put any mapping there."""

    class Changing(Files):
        def do_GET(self) -> None:
            self.headers = {name.lower(): value for name, value in self.headers.items()}
            super().do_GET()

    peer = client(files(host, base=Changing, precompressed=True))
    assert peer.ask(get("/video.mp4")).body == BODY
    assert peer.ask(get("/video.mp4", "If-None-Match: *")).status == 304


def test_another_method(host: Any, files: Any, client: Any, video: Path) -> None:
    """RFC 9110 13.1.2 and 13.1.3: only of GET and HEAD there is a 304."""

    class Posting(Files):
        def do_POST(self) -> None:
            self.do_GET()

    peer = client(files(host, base=Posting))
    for field, status in {
        "If-None-Match: *": 412, f"If-Modified-Since: {DATE}": 200, "Range: bytes=0-1": 200,
        'If-Match: "x"': 412,
    }.items():
        assert peer.ask(request("POST", "/video.mp4", field)).status == status


def test_what_a_304_says(host: Any, files: Any, client: Any, video: Path) -> None:
    """RFC 9110 15.4.5: what there would be in a 200 of these fields, and nothing of the content."""
    extra = {
        "Cache-Control": "no-cache", "Content-Location": "/video.en.mp4", "Expires": DATE, "X-Own": "1",
        "Content-Language": "en", "Content-Security-Policy": "default-src 'self'",
    }
    peer = client(files(host, extra_response_headers=extra.items()))
    reply = peer.ask(get("/video.mp4", "If-None-Match: *"))
    told = {name for name, _ in reply.headers}
    assert told == {"Server", "Date", "ETag"} | (extra.keys() - {"Content-Language"})
    whole = peer.ask(get("/video.mp4"))
    assert told - {"Date"} < {name for name, _ in whole.headers}


def test_what_is_said_of_a_refusal(host: Any, files: Any, client: Any, page: Path) -> None:
    """Which form it is about depends on Accept-Encoding: a 412 and a 416 say so."""
    peer = client(files(host, precompressed=True))
    for field, status in {'If-Match: "x"': 412, "Range: bytes=99-": 416}.items():
        reply = peer.ask(get("/page.html", field))
        assert (reply.status, reply.get("Vary")) == (status, "Accept-Encoding")


def test_a_time_just_before_the_next_second(host: Any, files: Any, client: Any, video: Path) -> None:
    """What Last-Modified says is what a date is compared with."""
    os.utime(video, ns=(0, MTIME * 10**9 + 999_999_999))
    settle(video)
    peer = client(files(host))
    said = peer.ask(get("/video.mp4")).get("Last-Modified")
    assert said == DATE
    assert peer.ask(get("/video.mp4", f"If-Modified-Since: {said}")).status == 304
    assert peer.ask(get("/video.mp4", "Range: bytes=1-1", f"If-Range: {said}")).status == 206


# -- Validators ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "status"), [
    (["If-None-Match: {tag}"], 304),
    (["If-None-Match: W/{tag}"], 304),
    (['If-None-Match: "x", {tag}'], 304),
    (['If-None-Match: "x"', "If-None-Match: {tag}"], 304),
    (["If-None-Match: *"], 304),
    (['If-None-Match: "x"'], 200),
    (['If-None-Match: "x"', "If-Modified-Since: {date}"], 200),
    (["If-None-Match: {tag}", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"], 304),
    (["If-Modified-Since: {date}"], 304),
    (["If-Match: {tag}"], 200),
    (["If-Match: *"], 200),
    (['If-Match: "x"'], 412),
    (["If-Match: W/{tag}"], 412),
    (["If-Match: {tag}", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"], 200),
    (["If-Unmodified-Since: {date}"], 200),
    (["If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"], 412),
    (["If-Match: {tag}", "If-None-Match: {tag}"], 304),
    (["If-None-Match: {tag}", "Range: bytes=0-1"], 304),
    (['If-Match: "x"', "Range: bytes=0-1"], 412),
    (["Range: bytes=0-1", "If-Range: {tag}"], 206),
    (["Range: bytes=0-1", "If-Range: {date}"], 206),
    (["Range: bytes=0-1", 'If-Range: "x"'], 200),
    (["Range: bytes=0-1", "If-Range: W/{tag}"], 200),
    (["Range: bytes=0-1", "If-Range: Mon, 10 Sep 2001 01:46:40 GMT"], 200),
    (["Range: bytes=9999999-", 'If-Range: "x"'], 200),
    (["Range: bytes=9999999-", "If-Range: {tag}"], 416),
    (["If-Range: {tag}"], 200),
])
def test_conditions(ask: Any, fields: list[str], status: int) -> None:
    whole = ask()
    filled = [field.format(tag=whole.get("ETag"), date=whole.get("Last-Modified")) for field in fields]
    reply = ask(*filled)
    assert reply.status == status
    assert len(reply.body) == {200: SIZE, 206: 2}.get(status, 0)
    if status == 304:
        assert (reply.get("ETag"), reply.get("Content-Length")) == (whole.get("ETag"), None)
    assert ask().body == BODY, "the connection is in step"


def edits(path: Path) -> Iterator[str]:
    """Changes of a file's octets, or of the file itself, that leave size and time as they were."""
    stat = path.stat()
    yield "nothing yet"
    with path.open("r+b") as file:
        file.write(b"\xff")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    yield "in place"
    other = path.with_name("other")
    other.write_bytes(BODY[::-1])
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    settle(other)
    other.replace(path)
    yield "another file"
    path.unlink()
    path.write_bytes(BODY)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    yield "a new file"


def test_a_tag_changes_with_the_file(video: Path) -> None:
    tags = []
    for _ in edits(video):
        settle(video)
        tags.append(entity_tag(video.stat(), time.time_ns()))
    assert len(set(tags)) == len(tags)
    assert not any(map(is_weak, tags))


def test_edits_within_one_tick_of_the_clock(host: Any, files: Any, client: Any, folder: Path) -> None:
    """A client that has a tag gets every other state of the file, whatever the file's times say."""
    path, peer = folder / "a.txt", client(files(host))
    for number in range(200):
        path.write_bytes(b"%03d" % number)
        first = peer.ask(get("/a.txt"))
        assert first.body == b"%03d" % number
        path.write_bytes(b"%03d" % (number + 1))
        second = peer.ask(get("/a.txt", f"If-None-Match: {first.get('ETag')}"))
        assert (second.status, second.body) == (200, b"%03d" % (number + 1))


@pytest.mark.parametrize(("age", "fraction", "weak"), [
    (limits.CLOCK_GRAIN - 0.001, 5, True), (limits.CLOCK_GRAIN, 5, True),
    (limits.CLOCK_GRAIN + 0.001, 5, False),
    (limits.COARSE_CLOCK_GRAIN - 0.001, 0, True), (limits.COARSE_CLOCK_GRAIN, 0, True),
    (limits.COARSE_CLOCK_GRAIN + 0.001, 0, False), (-5, 5, True),
])
def test_how_long_a_tag_is_weak(video: Path, age: float, fraction: int, weak: bool) -> None:
    changed = MTIME * 10**9 + fraction
    real = video.stat()
    status = os.stat_result((*real[:10],), {"st_ctime_ns": changed, "st_mtime_ns": changed})
    now = changed + round(age * 10**9)
    assert is_weak(entity_tag(status, now)) == weak
    assert (entity_tag(status, now) == entity_tag(status, now + 1)) == (not weak)


def test_a_time_to_come(host: Any, files: Any, client: Any, video: Path) -> None:
    """Last-Modified is not later than Date (RFC 9110 8.8.2.1)."""
    os.utime(video, (4e9, 4e9))
    reply = client(files(host)).ask(get("/video.mp4"))
    assert reply.get("Last-Modified") == reply.get("Date")


# -- Siblings ------------------------------------------------------------------------------------

CODED = {".br": b"as br " * 50_000, ".zst": b"as zstd", ".gz": b"as gzip"}


@pytest.fixture
def page(folder: Path) -> Path:
    """page.html with all its siblings, as new as it is."""
    path = folder / "page.html"
    path.write_bytes(b"plain")
    os.utime(path, (MTIME, MTIME))
    for suffix, body in CODED.items():
        sibling = folder / f"page.html{suffix}"
        sibling.write_bytes(body)
        os.utime(sibling, (MTIME, MTIME))
    for each in folder.iterdir():
        settle(each)
    return path


@pytest.mark.parametrize(("accepted", "coding", "body"), [
    ("gzip, deflate, br, zstd", "br", CODED[".br"]),
    ("gzip, zstd", "zstd", CODED[".zst"]),
    ("gzip", "gzip", CODED[".gz"]),
    ("gzip;q=0.9, br;q=0.8", "gzip", CODED[".gz"]),
    ("identity;q=0, gzip", "gzip", CODED[".gz"]),
    ("deflate", None, b"plain"),
    ("", None, b"plain"),
    (None, None, b"plain"),
])
def test_siblings(
    host: Any, files: Any, client: Any, page: Path, accepted: str | None, coding: str | None, body: bytes
) -> None:
    peer = client(files(host, precompressed=True))
    fields = [] if accepted is None else [f"Accept-Encoding: {accepted}"]
    reply = peer.ask(get("/page.html", *fields))
    assert (reply.status, reply.get("Content-Encoding"), reply.body) == (200, coding, body)
    assert (reply.get("Content-Type"), reply.get("Vary")) == ("text/html", "Accept-Encoding")
    part = peer.ask(get("/page.html", *fields, "Range: bytes=1-3"))
    assert (part.status, part.get("Content-Encoding"), part.body) == (206, coding, body[1:4])
    assert part.get("Content-Range") == f"bytes 1-3/{len(body)}"
    same = peer.ask(get("/page.html", *fields, f"If-None-Match: {reply.get('ETag')}"))
    assert (same.status, same.get("ETag"), same.get("Vary")) == (304, reply.get("ETag"), "Accept-Encoding")
    again = peer.ask(head("/page.html", *fields))
    assert (again.get("Content-Length"), again.get("ETag")) == (str(len(body)), reply.get("ETag"))


def test_each_form_has_its_own_tag(host: Any, files: Any, client: Any, page: Path) -> None:
    peer = client(files(host, precompressed=True))
    asked = [get("/page.html", f"Accept-Encoding: {coding}") for coding in ("br", "zstd", "gzip", "")]
    assert len({peer.ask(each).get("ETag") for each in asked}) == 4


def test_no_form_that_the_client_takes(host: Any, files: Any, client: Any, page: Path) -> None:
    (page.parent / "page.html.gz").unlink()
    peer = client(files(host, precompressed=True))
    reply = peer.ask(get("/page.html", "Accept-Encoding: gzip, identity;q=0"))
    assert (reply.status, reply.body, reply.get("Vary")) == (406, b"", "Accept-Encoding")
    assert peer.ask(get("/page.html")).body == b"plain"


@pytest.mark.parametrize("base", [Files, type("Off", (Files,), {"precompressed": False})])
def test_siblings_are_off_by_default(host: Any, files: Any, client: Any, page: Path, base: Any) -> None:
    reply = client(files(host, base=base)).ask(get("/page.html", "Accept-Encoding: br, identity;q=0"))
    assert (reply.status, reply.body, reply.get("Vary")) == (200, b"plain", None)


def test_siblings_that_do_not_count(host: Any, files: Any, client: Any, page: Path) -> None:
    """Older than the file, no file, or without a file beside them."""
    os.utime(page.parent / "page.html.br", (MTIME, MTIME - 1))
    (page.parent / "page.html.zst").unlink()
    (page.parent / "page.html.zst").mkdir()
    (page.parent / "page.html.gz").unlink()
    os.mkfifo(page.parent / "page.html.gz")
    (page.parent / "alone.gz").write_bytes(b"x")
    peer = client(files(host, precompressed=True))
    reply = peer.ask(get("/page.html", "Accept-Encoding: br, zstd, gzip"))
    assert (reply.body, reply.get("Content-Encoding")) == (b"plain", None)
    assert peer.ask(get("/alone.gz", "Accept-Encoding: gzip")).get("Content-Type") == "application/gzip"
    assert peer.ask(get("/alone", "Accept-Encoding: gzip")).status == 404


def test_an_index_page_has_siblings(host: Any, files: Any, client: Any, folder: Path) -> None:
    (folder / "index.html").write_bytes(b"plain")
    (folder / "index.html.gz").write_bytes(b"gzip")
    reply = client(files(host, precompressed=True)).ask(get("/", "Accept-Encoding: gzip"))
    assert (reply.body, reply.get("Content-Type")) == (b"gzip", "text/html")


# -- Charsets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content_type"), [
    ("a.txt", "text/plain; charset=utf-8"), ("a.html", "text/html; charset=utf-8"),
    ("a.js", "text/javascript; charset=utf-8"), ("a.mp4", "video/mp4"), ("a.json", "application/json"),
    ("a.own", "text/x-own;charset=latin-1"),
])
def test_a_charset(host: Any, files: Any, client: Any, folder: Path, name: str, content_type: str) -> None:
    (folder / name).touch()
    extensions = {".own": "text/x-own;charset=latin-1"}
    peer = client(files(host, default_charset="utf-8", extensions_map=extensions))
    assert peer.ask(get(f"/{name}")).get("Content-Type") == content_type


def test_no_descriptor_is_left_open(host: Any, files: Any, client: Any, page: Path, video: Path) -> None:
    before, peer = descriptors(), client(files(host, precompressed=True))
    for fields in (
        ("Accept-Encoding: br",), ("Accept-Encoding: br", "Range: bytes=0-1,1000-"), ("If-None-Match: *",),
        ("Accept-Encoding: *;q=0",), ("Range: bytes=99999999-",), ('If-Match: "x"',),
    ):
        for target in ("/page.html", "/video.mp4"):
            peer.ask(get(target, *fields))
            peer.ask(head(target, *fields))
    folder = str(page.parent)
    assert wait_until(lambda: not [each for each in descriptors() - before if folder in each])
