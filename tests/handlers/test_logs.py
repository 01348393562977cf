"""Access logs: the lines of each form, octet for octet, and that recorded answers get the same ones."""

import contextlib
import datetime
import io
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, request, wait_until

import fastserve
from fastserve.handlers import logs
from fastserve.handlers.logs import FORMATS, log_class

from .replaying import hits, partial

SERVERS = {"loop": fastserve.HTTPServer, "threads": fastserve.ThreadingHTTPServer}
CLF_DATE = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
COMMON = re.compile(rf'127\.0\.0\.1 - (\S+) \[{CLF_DATE}\] (".*)\n')
CHOICES = [(form, colour, quiet) for form in FORMATS for colour in (False, True) for quiet in (False, True)]
NAMED = [f"{form}{'-colour' * colour}{'-quiet' * quiet}" for form, colour, quiet in CHOICES]
FIELDS = ["time", "client", "method", "target", "version", "status", "size", "duration", "referer",
          "user_agent", "user"]


def handler_class(log_format: str, colour: bool = False, quiet: bool = False, **attributes: Any) -> Any:
    mixin = log_class(log_format, colour, quiet)
    bases = (mixin,) if mixin else ()
    attributes.setdefault("protocol_version", "HTTP/1.1")
    return type("Handler", (*bases, fastserve.SimpleHTTPRequestHandler), attributes)


def lines_of(log: Any, count: int) -> list[str]:
    """The log, once it has so many lines."""
    assert wait_until(lambda: log.text().count("\n") >= count), log.text()
    lines = io.StringIO(log.text()).readlines()
    assert len(lines) == count
    return lines


def asked(form: str, one: Path, serve: Any, client: Any, log: Any, *octets: bytes) -> list[str]:
    """The lines of these requests, each of which has one."""
    server = serve(partial(handler_class(form), one))
    for data in octets:
        with contextlib.closing(client(server)) as peer:
            peer.ask(data)
    return lines_of(log, len(octets))


# -- Which -----------------------------------------------------------------------------------------


def test_http_server_s_own_lines_need_no_mixin() -> None:
    assert log_class("http.server", False, False) is None


@pytest.mark.parametrize("form", ["", "Common", "apache", "http.server "])
def test_a_form_that_is_none(form: str) -> None:
    with pytest.raises(ValueError, match=r"none of http\.server, common, combined, json"):
        log_class(form, False, False)


# -- The lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("octets", "said"), [
    (request(target="/file.txt"), '"GET /file.txt HTTP/1.1" 200 20'),
    (request("HEAD", "/file.txt"), '"HEAD /file.txt HTTP/1.1" 200 0'),
    (request(target="/large"), '"GET /large HTTP/1.1" 200 100000'),
    (request("GET", "/large", "Range: bytes=5-14"), '"GET /large HTTP/1.1" 206 10'),
    (request("GET", "/file.txt", "If-None-Match: *"), '"GET /file.txt HTTP/1.1" 304 0'),
    (request(target="/dir"), '"GET /dir HTTP/1.1" 301 0'),
    (request(target="/file.txt", version="1.0"), '"GET /file.txt HTTP/1.0" 200 20'),
    (request(target='/?"quoted\\'), r'"GET /?\"quoted\\ HTTP/1.1" 200 '),
    (request(target="/?\xe9\xff"), r'"GET /?\xe9\xff HTTP/1.1" 200 '),
])
def test_common(octets: bytes, said: str, one: Path, serve: Any, client: Any, log: Any) -> None:
    [line] = asked("common", one, serve, client, log, octets)
    match = COMMON.fullmatch(line)
    assert match, line
    assert match[1] == "-"
    assert match[2].startswith(said)
    assert said.endswith(" ") or match[2] == said


@pytest.mark.parametrize(("octets", "said"), [
    (request(target="/missing"), r'"GET /missing HTTP/1\.1" 404 \d+'),
    (request("BREW", "/"), r'"BREW / HTTP/1\.1" 501 \d+'),
    (b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n", r'"GET /\\x1b\[31m HTTP/1\.1" 400 \d+'),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", r'"GET / HTTP/1\.1" 400 \d+'),
    (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", r'"-" 414 \d+'),
])
def test_an_error_is_one_line(octets: bytes, said: str, one: Path, serve: Any, client: Any, log: Any) -> None:
    [line] = asked("common", one, serve, client, log, octets)
    match = COMMON.fullmatch(line)
    assert match, line
    assert re.fullmatch(said, match[2]), match[2]
    assert int(match[2].rpartition(" ")[2]) > 100


def test_combined(one: Path, serve: Any, client: Any, log: Any) -> None:
    octets = [
        request("GET", "/file.txt", "Referer: http://a/?\"b\\", "User-Agent: curl/7 \xe9\x07"[:-1]),
        request("GET", "/file.txt"), request("GET", "/file.txt", "User-Agent: "),
    ]
    lines = asked("combined", one, serve, client, log, *octets)
    said = [COMMON.fullmatch(line)[2] for line in lines]  # type: ignore[index]
    start = '"GET /file.txt HTTP/1.1" 200 20'
    assert said == [rf'{start} "http://a/?\"b\\" "curl/7 \xe9"', f'{start} "-" "-"', f'{start} "-" "-"']


def test_json(one: Path, serve: Any, client: Any, log: Any) -> None:
    before = time.time()
    octets = request("GET", "/file.txt?\"\\\xe9", "Referer: http://a/\"", "User-Agent: \xe9\t\x7f"[:-1])
    [line] = asked("json", one, serve, client, log, octets)
    assert line.isascii()
    said = json.loads(line)
    assert list(said) == FIELDS
    moment = datetime.datetime.fromisoformat(said.pop("time"))
    assert moment.tzinfo is not None
    assert before - 0.001 <= moment.timestamp() <= time.time()
    assert 0 < said.pop("duration") < 60
    assert said == {
        "client": "127.0.0.1", "method": "GET", "target": "/file.txt?\"\\\xe9", "version": "HTTP/1.1",
        "status": 200, "size": 20, "referer": 'http://a/"', "user_agent": "\xe9", "user": None,
    }


@pytest.mark.parametrize(("octets", "expected"), [
    (request(target="/missing"), {"status": 404, "error": "File not found", "target": "/missing"}),
    (request("BREW", "/"), {"status": 501, "error": "Unsupported method ('BREW')", "method": "BREW"}),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", {"status": 400, "referer": None, "user_agent": None}),
    (b"\x01\x7f\r\n\r\n", {"status": 400, "method": None, "target": None}),
    (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", {"status": 414, "method": None, "target": None}),
])
def test_json_of_an_error(
    octets: bytes, expected: dict[str, Any], one: Path, serve: Any, client: Any, log: Any
) -> None:
    [line] = asked("json", one, serve, client, log, octets)
    said = json.loads(line)
    assert {**said, **expected} == said
    assert said["size"] > 100
    assert not re.search(r"[\x00-\x1f\x7f-\uffff]", line[:-1])


COLOURED = [
    ("/file.txt", '"GET \x1b[36m/file.txt\x1b[0m HTTP/1.1" \x1b[32m200\x1b[0m \x1b[90m-\x1b[0m'),
    ("/dir", '"GET \x1b[36m/dir\x1b[0m HTTP/1.1" \x1b[96m301\x1b[0m \x1b[90m-\x1b[0m'),
    ("/missing", '"GET \x1b[36m/missing\x1b[0m HTTP/1.1" \x1b[33m404\x1b[0m \x1b[90m-\x1b[0m'),
]


@pytest.mark.parametrize(("target", "said"), COLOURED)
def test_colours(target: str, said: str, one: Path, serve: Any, client: Any, log: Any) -> None:
    server = serve(partial(handler_class("http.server", colour=True), one))
    client(server).ask(request(target=target))
    lines = lines_of(log, 2 if target == "/missing" else 1)
    opening, _, message = lines[-1].partition("\x1b[0m ")
    assert re.fullmatch(r"127\.0\.0\.1 - - \x1b\[90m\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]", opening)
    assert message == f"{said}\n"
    if len(lines) == 2:
        assert lines[0].endswith(" \x1b[33mcode 404, message File not found\x1b[0m\n")


def test_of_a_status_of_the_server_s(serve: Any, client: Any, log: Any) -> None:
    class Handler(logs.ColouredLog):
        def do_GET(self) -> None:
            self.send_error(503)

    client(serve(Handler)).ask(request())
    assert "\x1b[31m503\x1b[0m" in lines_of(log, 2)[1]


def test_without_its_colours_it_is_http_server_s_line(one: Path, serve: Any, client: Any, log: Any) -> None:
    octets = [request(target=target) for target in ("/file.txt", "/dir", "/missing")]
    octets = [*octets, b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n", b"\x1b[2J\r\n\r\n", b"a b c d\r\n\r\n"]
    for colour in (False, True):
        server = serve(partial(handler_class("http.server", colour=colour), one))
        for data in octets:
            with contextlib.closing(client(server)) as peer:
                peer.ask(data)
    lines = lines_of(log, 2 * 10)
    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in lines]
    messages = [line.partition("] ")[2] for line in plain]
    assert messages[10:] == messages[:10]
    assert not any("\x1b" in line for line in plain)
    assert [line for line in lines[:10] if "\x1b" in line] == []


# -- Sizes -----------------------------------------------------------------------------------------


class Bodies(fastserve.BaseHTTPRequestHandler):
    """Answers in every way that there is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, f"send_{self.path[1:]}")()

    def begin(self, *fields: tuple[str, str]) -> None:
        self.send_response(200)
        for field in fields:
            self.send_header(*field)
        self.end_headers()

    def send_until_closed(self) -> None:
        self.begin(("Connection", "close"))
        for _ in range(3):
            self.wfile.write(b"x" * 1000)

    def send_too_much(self) -> None:
        self.begin(("Content-Length", "10"))
        self.wfile.write(b"x" * 20)

    def send_too_little(self) -> None:
        self.begin(("Content-Length", "10"))
        self.wfile.write(b"x" * 4)

    def send_nothing(self) -> None:
        self.send_response(204)
        self.end_headers()
        self.wfile.write(b"which does not leave")

    def send_hint(self) -> None:
        self.send_response(103)
        self.end_headers()
        self.begin(("Content-Length", "5"))
        self.wfile.write(b"12345")

    def send_lines(self) -> None:
        self.begin(("Content-Length", "6"))
        self.wfile.writelines([b"12", b"3456"])

    def send_half_a_head(self) -> None:
        self.send_response(200)
        self.flush_headers()
        self.wfile.write(b"X-Own: 1\r\nContent-Length: 2\r\n\r\n12")
        self.close_connection = True

    def send_said(self) -> None:
        self.log_request(200, 77)

    def send_failure(self) -> None:
        self.begin(("Content-Length", "10"))
        self.wfile.write(b"123")
        raise ConnectionResetError


SIZES = {"until_closed": "200 3000", "too_much": "200 10", "too_little": "200 4", "nothing": "204 0",
         "hint": "200 5", "lines": "200 6", "half_a_head": "200 -", "said": "200 77", "failure": "200 3"}


@pytest.mark.parametrize("name", SIZES)
def test_the_size_is_what_was_sent(name: str, host: Any, serve: Any, client: Any, log: Any) -> None:
    handler = type("Handler", (logs.CommonLog, Bodies), {})
    server = serve(handler, host)
    server.handle_error = lambda *args: None
    peer = client(server)
    peer.send(request("GET", f"/{name}", "Connection: close"))
    assert wait_until(lambda: f'HTTP/1.1" {SIZES[name]}\n' in log.text()), log.text()


def test_of_a_stream_of_the_handler_s_it_is_not_known(serve: Any, client: Any, log: Any) -> None:
    class Wrapped(logs.CommonLog, Bodies):
        def setup(self) -> None:
            super().setup()
            self.wfile = io.BufferedWriter(Raw(self.wfile))

    class Raw(io.RawIOBase):
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return int(self.inner.write(bytes(data)))

    client(serve(Wrapped)).ask(request("GET", "/lines"))
    assert lines_of(log, 1)[0].endswith(' 200 -\n')


def test_a_pipeline_has_a_line_for_each(one: Path, serve: Any, client: Any, log: Any) -> None:
    peer = client(serve(partial(handler_class("json", replay=False), one)))
    targets = ["/file.txt", "/large", "/missing?1", "/other.txt"]
    peer.send(b"".join(request(target=target) for target in targets))
    assert [json.loads(line)["target"] for line in lines_of(log, 3)] == targets[:3]  # an error is the last


def test_who_has_logged_in(one: Path, serve: Any, client: Any, log: Any) -> None:
    """As somebody has found out, who calls it ``user``; the name is a client's, too."""

    class Knowing(fastserve.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.user = self.headers["X-User"]
            super().do_GET()

    class Common(logs.CommonLog, Knowing):
        pass

    class Json(logs.JsonLog, Knowing):
        pass

    for i, handler in enumerate((Common, Json)):
        ask(serve(partial(handler, one)).server_address, request("GET", "/file.txt", 'X-User: j"\xe9'))
        lines = lines_of(log, i + 1)    # the line comes after the answer: before the next is asked
    assert lines[0].startswith(r'127.0.0.1 - j\"\xe9 [')
    assert json.loads(lines[1])["user"] == 'j"\xe9'


@pytest.mark.parametrize(("text", "shown"), [
    (None, "-"), ("", "-"), ("a b", "a b"), ("\0\a\b\t\n\v\f\r\x1f", r"\x00\x07\b\t\n\v\x0c\r\x1f"),
    ("\x7f\x80\xff", r"\x7f\x80\xff"), ("\u20ac", r"\xe2\x82\xac"), ("\udc80", r"\x80"), ('"\\', r'\"\\'),
])
def test_words_of_a_client_s(text: str | None, shown: str) -> None:
    assert logs.escaped(text) == shown


@pytest.mark.parametrize(("zone", "offset", "iso"), [
    ("UTC0", "+0000", "+00:00"), ("XXX+3:30", "-0330", "-03:30"), ("XXX-5:45", "+0545", "+05:45"),
])
def test_times(zone: str, offset: str, iso: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    logs.common_date.cache_clear()
    logs.iso_parts.cache_clear()
    try:
        clock = time.strftime("%H:%M:%S", time.localtime(971_211_336))
        assert logs.common_date(971_211_336).endswith(f"/Oct/2000:{clock} {offset}")
        moment = datetime.datetime.fromisoformat(logs.iso_time(971_211_336.0429))
        assert moment.timestamp() == pytest.approx(971_211_336.042)
        assert logs.iso_time(971_211_336.0429).endswith(f".042{iso}")
    finally:
        monkeypatch.undo()
        time.tzset()
        logs.common_date.cache_clear()
        logs.iso_parts.cache_clear()


# -- What is no request ----------------------------------------------------------------------------


class Talking(Bodies):
    def do_GET(self) -> None:
        self.log_message("says %s", "\x1b[2J\n")
        self.log_error("fails with %d", 3)
        self.send_lines()


@pytest.mark.parametrize("form", ["common", "combined"])
def test_what_a_handler_says(form: str, serve: Any, client: Any, log: Any) -> None:
    """In http.server's form."""
    client(serve(type("Handler", (log_class(form, False, False), Talking), {}))).ask(request())
    lines = lines_of(log, 3)
    assert lines[0].endswith("] says \\x1b[2J\\x0a\n")
    assert lines[1].endswith("] fails with 3\n")


@pytest.mark.parametrize("quiet", [False, True])
def test_what_a_handler_says_in_json(quiet: bool, serve: Any, client: Any, log: Any) -> None:
    client(serve(type("Handler", (log_class("json", False, quiet), Talking), {}))).ask(request())
    said = [json.loads(line) for line in lines_of(log, 2 if quiet else 3)]
    assert list(said[0]) == ["time", "client", "message"]
    assert said[0]["message"] == "says \x1b[2J\n"
    assert said[1]["message"] == ('"GET / HTTP/1.1" fails with 3' if quiet else "fails with 3")


# -- Quiet -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "colour"), [(form, colour) for form, colour, quiet in CHOICES if quiet])
def test_quiet(form: str, colour: bool, one: Path, serve: Any, client: Any, log: Any) -> None:
    """Nothing of what clients ask for, wrongly too; the server's own errors, with what was asked for."""

    class Failing:
        def do_POST(self: Any) -> None:
            self.send_error(500, "Own")

    mixin = log_class(form, colour, True)
    handler = type("Handler", (mixin, Failing, fastserve.SimpleHTTPRequestHandler), {})
    server = serve(partial(handler, one))
    for data in [*REQUESTS, request("BREW"), b"nonsense\r\n\r\n", request("POST", "/path", body=b"1")]:
        with contextlib.closing(client(server)) as peer:
            peer.ask(data)
    lines = lines_of(log, 2)
    assert "501" in lines[0]
    assert "POST /path HTTP/1.1" in lines[1]
    assert "code 500, message Own" in lines[1]


# -- The lane --------------------------------------------------------------------------------------

REQUESTS = [
    request(target="/file.txt"), request("HEAD", "/file.txt"), request("GET", "/file.txt", "User-Agent: a/1"),
    request("GET", "/file.txt", "Referer: http://a/", "User-Agent: b\xe9"), request(target="/large"),
    request(target='/file.txt?"\\\xe9'), request(target="/dir"), request(target="/dir/"),
    request("GET", "/large", "Range: bytes=0-9"), request("GET", "/file.txt", "If-None-Match: *"),
    request(target="http://test/file.txt"), request("GET", "/file.txt", "Connection: close"),
    request("GET", "/file.txt", version="1.0"), request(target="/missing"), request("HEAD", "/missing"),
]


STAY = REQUESTS[:11]


def timeless(line: str) -> str:
    line = re.sub(r"\d\d/\w{3}/\d{4}[: ]\d\d:\d\d:\d\d", "then", line)
    line = re.sub(r'"time": "[^"]*"', '"time": "then"', line)
    return re.sub(r'"duration": [\d.e-]+', '"duration": 0.0', line)


def ask_all(client: Callable[[Any], Client], server: Any) -> None:
    """Each three times, in a row and in turn, and those that stay on one connection."""
    for data in [*(data for data in REQUESTS for _ in range(3)), *REQUESTS]:
        with contextlib.closing(client(server)) as own:
            own.ask(data)
    with contextlib.closing(client(server)) as peer:
        for data in STAY * 3:
            peer.ask(data)


@pytest.mark.parametrize("server_class", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize(("form", "colour", "quiet"), CHOICES, ids=NAMED)
def test_recorded_answers_have_the_same_lines(
    form: str, colour: bool, quiet: bool, server_class: Any, one: Path, serve: Any, client: Any, log: Any
) -> None:
    errors = 8 if form == "http.server" else 0  # they have another line there
    expected = 0 if quiet else 4 * len(REQUESTS) + 3 * len(STAY) + errors
    texts, seen = [], 0
    for replay in (False, True):
        server = serve(partial(handler_class(form, colour, quiet, replay=replay), one), server_class)
        ask_all(client, server)
        texts.append(lines_of(log, seen + expected)[seen:])
        seen += expected
        assert hits(server) == 0 if not replay else hits(server) >= 2 * len(STAY)
    # A line that comes behind its answer may also come behind that of the next request.
    assert sorted(map(timeless, texts[1])) == sorted(map(timeless, texts[0]))
    assert len(texts[0]) == expected


def test_recorded_answers_of_a_pipeline(one: Path, serve: Any, client: Any, log: Any) -> None:
    for form in ("common", "json"):
        server = serve(partial(handler_class(form), one))
        targets = ["/file.txt", "/large", "/other.txt", "/file.txt"] * 5
        peer = client(server)
        peer.send(b"".join(request(target=target) for target in targets))
        for _ in targets:
            assert peer.reply() is not None
    lines = lines_of(log, 40)
    assert [line.split()[6] for line in lines[:20]] == targets
    assert [line.split()[9] for line in lines[:20]] == ["20", "100000", "20", "20"] * 5
    assert [json.loads(line)["target"] for line in lines[20:]] == targets
    assert [json.loads(line)["size"] for line in lines[20:]] == [20, 100_000, 20, 20] * 5


@pytest.mark.parametrize(("form", "quiet", "hooked"), [
    ("common", False, False), ("combined", False, True), ("json", False, True), ("http.server", True, False),
])
def test_a_log_that_has_nothing_of_the_client_s_needs_no_handler(
    form: str, quiet: bool, hooked: bool, one: Path, serve: Any, client: Any
) -> None:
    server = serve(partial(handler_class(form, False, quiet), one))
    for _ in range(3):
        ask(server.server_address, request(target="/file.txt"))
    assert server.recordings.hooked is hooked
    assert hits(server) == 2


def test_an_answer_that_is_told_of_by_name_is_not_recorded(one: Path, serve: Any, log: Any) -> None:
    handler = handler_class("common")
    handler.user = "me"
    server = serve(partial(handler, one))
    for _ in range(3):
        ask(server.server_address, request(target="/file.txt"))
    assert [line.split()[2] for line in lines_of(log, 3)] == ["me"] * 3
    assert hits(server) == 0


def test_a_mixin_that_somebody_has_patched_is_not_trusted(
    one: Path, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(partial(handler_class("common"), one))
    ask(server.server_address, request(target="/file.txt"))  # now it has been seen
    monkeypatch.setattr(logs.CommonLog, "log_answer", lambda *args: None)
    for _ in range(3):
        ask(server.server_address, request(target="/file.txt"))
    assert hits(server) == 0


def test_lines_of_many_threads_are_whole(one: Path, serve: Any, log: Any) -> None:
    server = serve(partial(handler_class("json", replay=False), one), fastserve.ThreadingHTTPServer)
    agent = "x" * 3000

    def work() -> None:
        with Client(server.server_address) as peer:
            for _ in range(20):
                peer.ask(request("GET", "/file.txt", f"User-Agent: {agent}"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for line in lines_of(log, 160):
        assert json.loads(line)["user_agent"] == agent


def test_a_class_that_is_derived_has_its_hooks(one: Path, serve: Any, client: Any, log: Any) -> None:
    """Of a mixin too: an override is called for each answer."""

    class Own(handler_class("common")):  # type: ignore[misc]
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if "quiet" not in self.path:
                super().log_request(code, size)

    server = serve(partial(Own, one))
    for target in ["/file.txt", "/file.txt?quiet"] * 3:
        ask(server.server_address, request(target=target))
    assert len(lines_of(log, 3)) == 3
