"""A browser that seeks in a recording of 500 MB, by ranges.

The page, which the same server sends, jumps to places far apart, plays a little at each, and tells what it
saw; the handlers note what they were asked for and answered. On http.server, which knows no ranges, the same
page gets nowhere: so the test can tell. Knows public classes, and of Chromium its command line.
"""

import contextlib
import functools
import json
import os
import queue
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import nothing_left_behind, running
from live.kinds import KINDS, Kind, url
from live.process import WAIT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")]

OPTIONS = [
    "--headless=new", "--disable-gpu", "--mute-audio", "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox", "--disable-dev-shm-usage",  # so that root can run it, and a container
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-breakpad",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

SIZE = 500_000_000
HEAD = 44  # octets before the samples
RATE = 192_000  # octets a second: 48 kHz, two channels, 16 bits
DURATION = (SIZE - HEAD) / RATE
PLACES = [0.9 * DURATION, 0.1 * DURATION, 0.5 * DURATION, DURATION - 1]  # in seconds
NEAR = 1 << 20  # a player may begin that many octets before the place

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<video preload="metadata" muted></video>
<script>
const video = document.querySelector("video");
const seen = {error: null, duration: null, places: []};

function heard(name) {
    return new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, {once: true});
        video.addEventListener("error", () => reject(video.error.message), {once: true});
        setTimeout(reject, PATIENCE, `no ${name}`);
    });
}

async function after(name, action) {
    const event = heard(name);
    action();
    await event;
}

async function visit(place) {
    await after("seeked", () => { video.currentTime = place; });
    const reached = video.currentTime;
    seen.places.push([reached, video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA]);
    await video.play();
    while (video.currentTime <= reached)
        await heard("timeupdate");
    video.pause();
}

async function watch() {
    await after("loadedmetadata", () => { video.src = "recording.wav"; });
    seen.duration = video.duration;
    for (const place of PLACES)
        await visit(place);
}

watch().catch(error => { seen.error = String(error); })
    .finally(() => fetch("/report", {method: "POST", body: JSON.stringify(seen)}));
</script>
"""


class Answer(NamedTuple):
    """``place`` is where the part of the recording begins that was sent, None where it was not a part."""

    status: int
    place: int | None


class Watched:
    """Notes each answer, and what the page reports."""

    protocol_version = "HTTP/1.1"
    answers: list[Answer]
    reports: "queue.Queue[Any]"

    def send_response(self: Any, code: int, message: str | None = None) -> None:
        self.status, self.place = code, None
        super().send_response(code, message)  # type: ignore[misc]

    def send_header(self: Any, keyword: str, value: str) -> None:
        if keyword == "Content-Range":
            self.place = int(re.fullmatch(rf"bytes (\d+)-\d+/{SIZE}", value)[1])  # type: ignore[index]
        super().send_header(keyword, value)  # type: ignore[misc]

    def end_headers(self: Any) -> None:
        self.answers.append(Answer(self.status, self.place))
        super().end_headers()  # type: ignore[misc]

    def do_POST(self: Any) -> None:
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


class Counting:
    """A server that counts the octets that have left for good, and keeps what was raised."""

    taken: list[int]
    errors: list[Any]

    def shutdown_request(self: Any, request: socket.socket) -> None:
        self.taken.append(octets_taken(request))
        super().shutdown_request(request)  # type: ignore[misc]

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.errors.append(sys.exc_info()[1])


def octets_taken(sock: socket.socket) -> int:
    """How many the other side has acknowledged; 0 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    return int(struct.unpack_from("=Q", info, 120)[0])  # tcpi_bytes_acked


class Visit(NamedTuple):
    """What the page, the handlers and the server saw."""

    report: Any
    answers: list[Answer]
    octets: int
    errors: list[Any]


def visit(kind: Kind, folder: Path) -> Visit:
    """Let a browser see the page on a server of its own."""
    watched: dict[str, Any] = {"answers": [], "reports": queue.Queue()}
    counting: dict[str, Any] = {"taken": [], "errors": []}
    handler = type("Handler", (Watched, kind.library.SimpleHTTPRequestHandler), watched)
    server = type("Server", (Counting, kind.server), counting)(
        ("127.0.0.1", 0), functools.partial(handler, directory=folder))
    with nothing_left_behind(), running(server), browser(url(server, "/page.html")) as log:
        report = next_of(watched["reports"], log)
    return Visit(report, watched["answers"], sum(counting["taken"]), counting["errors"])


def next_of(reports: "queue.Queue[Any]", log: Path) -> Any:
    try:
        return reports.get(timeout=2 * WAIT)
    except queue.Empty:
        raise AssertionError(f"the page has told nothing\n{log.read_text()[-3000:]}") from None


@contextlib.contextmanager
def browser(page: str) -> Iterator[Path]:
    """Chromium, with that page; gives the file that it writes to. It is ended with all its processes."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as home:
        log = Path(home, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [CHROMIUM, *OPTIONS, f"--user-data-dir={home}/profile", page],
                env={**os.environ, "HOME": home, "TMPDIR": home}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(WAIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, and a recording of silence: a WAV file, most of which is a hole."""
    folder = tmp_path_factory.mktemp("served")
    page = PAGE.replace("PLACES", json.dumps(PLACES)).replace("PATIENCE", str(int(WAIT * 1000)))
    (folder / "page.html").write_text(page)
    with (folder / "recording.wav").open("wb") as file:
        format_of_samples = struct.pack("<IHHIIHH", 16, 1, 2, 48_000, RATE, 4, 16)
        file.write(b"RIFF" + struct.pack("<I", SIZE - 8) + b"WAVEfmt " + format_of_samples)
        file.write(b"data" + struct.pack("<I", SIZE - HEAD))
        assert file.tell() == HEAD
        file.truncate(SIZE)
    return folder


def test_seeking_by_ranges(ours: Kind, folder: Path) -> None:
    seen = visit(ours, folder)
    assert seen.report["error"] is None
    assert seen.report["duration"] == pytest.approx(DURATION, abs=0.01)
    assert [reached for reached, _ in seen.report["places"]] == pytest.approx(PLACES, abs=0.01)
    assert all(ready for _, ready in seen.report["places"])
    begun = [answer.place or 0 for answer in seen.answers if answer.status == 206]
    for octet in (HEAD + place * RATE for place in PLACES):
        assert any(octet - NEAR <= place <= octet for place in begun), (octet, begun)
    assert seen.octets < SIZE // 5
    assert seen.octets > len(PAGE) or not sys.platform.startswith("linux")
    assert seen.errors == []


def test_without_ranges_there_is_no_seeking(folder: Path) -> None:
    """The duration stands in the head of the file, but every jump ends at its beginning."""
    seen = visit(KINDS["http.server-threads"], folder)
    assert seen.report["error"] is None
    assert seen.report["duration"] == pytest.approx(DURATION, abs=0.01)
    assert [reached < 1 for reached, _ in seen.report["places"]] == [True] * len(PLACES)
    assert 206 not in [answer.status for answer in seen.answers]
