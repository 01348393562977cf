"""What curl asks for in parts, resumes, and asks for again, octet for octet.

On the command line's server, on one whose handlers have threads, and by TLS, where no file leaves by
sendfile. Knows curl's options, and of a server its address and its folder. What else a Range field may say
is in handlers/test_ranges.py.
"""

import contextlib
import email
import filecmp
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Reply, wait_until
from live import octets
from live.kinds import needs_curl
from live.process import WAIT, gives_back, run
from live.soak import start
from pairs import certificate

pytestmark = needs_curl

SIZE = 10 << 20  # of the pattern
LONG_AGO = 1_000_000_000  # a time of change, which makes Last-Modified a strong validator
CANNOT_RESUME = 33  # CURLE_RANGE_ERROR


class Site:
    """A server of one kind, and curl for it."""

    def __init__(self, kind: str, folder: Path, log: Path) -> None:
        self.server = start(kind, folder, log, lies=False)
        self.folder = folder
        self.url = self.server.url.replace("http:", "https:") if kind == "tls" else self.server.url
        self.curl = ["curl", "-sS", *(["--cacert", str(certificate())] if kind == "tls" else [])]

    def get(self, name: str, *options: Any) -> Reply:
        """What curl shows of the answer."""
        head, _, body = run(*self.curl, "-i", *options, f"{self.url}/{name}").partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = [(key, value) for key, _, value in (field.partition(": ") for field in fields)]
        return Reply(line, headers, body)

    def save(self, name: str, path: Path, *options: Any) -> int:
        """Have curl keep the answer in a file; the status that came (-w also tells what -z finds)."""
        head = run(*self.curl, "-D", "-", "-o", path, *options, f"{self.url}/{name}")
        return int(head.split()[1])

    def settled(self, name: str) -> Reply:
        """The head for a file that has just changed, once its entity tag is strong, and so worth keeping."""
        replies: list[Reply] = []

        def is_strong() -> bool:
            replies.append(self.get(name, "-I"))
            return (replies[-1].get("ETag") or "").startswith('"')

        assert wait_until(is_strong, WAIT), replies[-1]
        return replies[-1]

    def change(self, content: bytes, modified: int) -> Reply:
        """Give the file /changing this content and this time of change; the head for it."""
        path = self.folder / "changing"
        path.write_bytes(content)
        os.utime(path, (modified, modified))
        return self.settled("changing")


@pytest.fixture(scope="module", params=["command", "threads", "tls"])
def running(
    request: pytest.FixtureRequest, pattern: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "pattern").write_bytes(pattern)
    site = Site(request.param, folder, tmp_path_factory.mktemp("log") / "stderr")
    try:
        site.get("pattern", "-r", "0-0")  # now it has opened all that it keeps
        yield site
        site.server.stop()
    finally:
        site.server.end()


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """Every test ends with no more descriptors and not much more memory."""
    with gives_back(running.server):
        yield running


# -- Parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize(("asked", "begin", "end"), [
    ("0-0", 0, 1), ("0-499", 0, 500), ("500-999", 500, 1000), ("65535-65536", 65535, 65537),
    ("1000001-9000000", 1000001, 9000001),
    (f"{SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE), ("9000000-99999999", 9000000, SIZE),
    ("0-", 0, SIZE), ("1-", 1, SIZE), ("9999999-", 9999999, SIZE), (f"{SIZE - 1}-", SIZE - 1, SIZE),
    ("-1", SIZE - 1, SIZE), ("-65537", SIZE - 65537, SIZE), (f"-{SIZE + 1}", 0, SIZE),
])
def test_one_range(site: Site, pattern: bytes, asked: str, begin: int, end: int, version: str) -> None:
    reply = site.get("pattern", version, "-r", asked)
    assert reply.line == "HTTP/1.1 206 Partial Content"
    assert reply.get("Content-Range") == f"bytes {begin}-{end - 1}/{SIZE}"
    assert reply.get("Content-Length") == str(end - begin)
    assert reply.body == pattern[begin:end]


@pytest.mark.parametrize("ranges", [
    [(0, 1), (SIZE - 1, SIZE)],
    [(5000, 5100), (0, 100), (1 << 20, 2 << 20)],
    [(0, 3 << 20), (4 << 20, 7 << 20), (8 << 20, SIZE)],
    [(at, at + 1) for at in range(0, SIZE, SIZE // 199)],
], ids=["two octets", "out of order", "long", "many"])
def test_several_ranges(site: Site, pattern: bytes, ranges: list[tuple[int, int]]) -> None:
    asked = ",".join(f"{begin}-{end - 1}" for begin, end in ranges)
    reply = site.get("pattern", "-r", asked)
    assert (reply.status, reply.get("Content-Range")) == (206, None)
    assert reply.get("Content-Length") == str(len(reply.body))
    assert parts(reply) == [
        (f"bytes {begin}-{end - 1}/{SIZE}", pattern[begin:end]) for begin, end in ranges]


def parts(reply: Reply) -> list[tuple[str, bytes]]:
    """What a multipart/byteranges answer has: each part's Content-Range, and its octets."""
    head = f"Content-Type: {reply.get('Content-Type')}\r\n\r\n"
    message: Any = email.message_from_bytes(head.encode() + reply.body)
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]


@pytest.mark.parametrize("asked", ["100-199", "100-199,-5"])
def test_a_connection_is_kept_behind_parts(site: Site, pattern: bytes, asked: str) -> None:
    urls = [f"{site.url}/pattern"] * 3
    got = run(*site.curl, "-w", "<%{http_code} %{num_connects}>", "-r", asked, *urls)
    assert got.count(pattern[100:200]) == 3
    assert [got.count(b"<206 1>"), got.count(b"<206 0>")] == [1, 2]
    assert got.endswith(b"<206 0>")


@pytest.mark.parametrize("asked", [f"{SIZE}-", f"{SIZE}-{SIZE + 5}", "-0"])
def test_a_range_that_is_not_there(site: Site, asked: str) -> None:
    reply = site.get("pattern", "-r", asked)
    assert (reply.status, reply.body) == (416, b"")
    assert reply.get("Content-Range") == f"bytes */{SIZE}"


# -- Downloads that go on ------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1, 206), (65536, 206), (SIZE - 1, 206)])
def test_a_part_file_is_completed(
    site: Site, pattern: bytes, tmp_path: Path, size: int, status: int
) -> None:
    part = tmp_path / "part"
    part.write_bytes(pattern[:size])
    assert site.save("pattern", part, "-f", "-C", "-") == status
    assert part.read_bytes() == pattern


def test_a_complete_file_stays_as_it_is(site: Site, pattern: bytes, tmp_path: Path) -> None:
    """Curl asks for what is behind its end, and takes 416 for an answer: it has all."""
    part = tmp_path / "part"
    part.write_bytes(pattern)
    assert site.save("pattern", part, "-C", "-") == 416  # with -f a curl before 8.5 would call it an error
    assert part.read_bytes() == pattern


def test_a_part_of_what_has_changed_since_is_not_completed(
    site: Site, pattern: bytes, tmp_path: Path
) -> None:
    """Where curl says what it has a part of: it gets the whole, and leaves its part as it is."""
    known = site.change(pattern[:5000], LONG_AGO).get("ETag")
    part = tmp_path / "part"
    part.write_bytes(pattern[:1000])
    site.change(pattern[5000:12000], LONG_AGO)
    done = subprocess.run(
        [*site.curl, "-C", "-", "-H", f"If-Range: {known}", "-o", str(part), "-w", "%{http_code}",
         f"{site.url}/changing"], capture_output=True, timeout=WAIT)
    assert (done.returncode, done.stdout) == (CANNOT_RESUME, b"200"), done.stderr
    assert part.read_bytes() == pattern[:1000]


KILLS = 10
BLOCKS = 300  # of a megabyte each
RATE = "50M"  # so that curl is not done before it is killed


@pytest.mark.slow
def test_a_download_that_is_killed_ten_times(site: Site, tmp_path: Path) -> None:
    large, part, rng = site.folder / "large", tmp_path / "part", random.Random(1)
    with contextlib.ExitStack() as stack:
        for path in (large, part):
            stack.callback(path.unlink, missing_ok=True)
        with large.open("wb") as file:  # of which no two places look the same
            file.writelines(b"%08d%b" % (number, octets.PATTERN) for number in range(BLOCKS))
        endings = [kill_on_the_way(site, part, large.stat().st_size, rng) for _ in range(KILLS)]
        assert endings == [-signal.SIGKILL] * KILLS
        assert site.save("large", part, "-f", "-C", "-") == 206
        assert filecmp.cmp(part, large, shallow=False)


def kill_on_the_way(site: Site, part: Path, whole: int, rng: random.Random) -> int:
    """Have curl go on with a part file, and kill it at a random place; its exit status."""

    def size() -> int:
        return part.stat().st_size if part.exists() else 0

    place = size() + rng.randint(1, (whole - size()) // KILLS)
    words = ["-f", "-C", "-", "--limit-rate", RATE, "-o", str(part), f"{site.url}/large"]
    curl = subprocess.Popen([*site.curl, *words])
    try:
        assert wait_until(lambda: size() >= place, WAIT), f"{size()} octets have come, and not {place}"
    finally:
        curl.kill()
        status = curl.wait(WAIT)
    return status


# -- What has not changed ------------------------------------------------------------------------


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_if_range(site: Site, pattern: bytes, validator: str) -> None:
    known = site.change(pattern[:5000], LONG_AGO).get(validator)
    asked = ["-r", "100-199", "-H", f"If-Range: {known}"]
    reply = site.get("changing", *asked)
    assert (reply.status, reply.body) == (206, pattern[100:200])
    site.change(pattern[5000:9000], LONG_AGO + 1)
    reply = site.get("changing", *asked)
    assert (reply.status, reply.body) == (200, pattern[5000:9000])
    assert reply.get("Content-Range") is None


@pytest.mark.parametrize("way", ["time", "tag"])
def test_a_copy_is_fetched_again_only_when_it_is_old(
    site: Site, pattern: bytes, tmp_path: Path, way: str
) -> None:
    copy, tag = tmp_path / "copy", tmp_path / "tag"
    ways: dict[str, list[Any]] = {
        "time": ["-R", "-z", copy], "tag": ["--etag-save", tag, "--etag-compare", tag]}
    first, again = ways[way][:-2], ways[way]
    site.change(pattern[:5000], LONG_AGO)
    assert site.save("changing", copy, *first) == 200
    assert site.save("changing", copy, *again) == 304
    assert copy.read_bytes() == pattern[:5000]
    site.change(pattern[5000:9000], LONG_AGO + 1)
    assert site.save("changing", copy, *again) == 200
    assert copy.read_bytes() == pattern[5000:9000]
    assert site.save("changing", copy, *again) == 304
    assert copy.read_bytes() == pattern[5000:9000]
