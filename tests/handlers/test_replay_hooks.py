"""Overrides of log_message() and log_request(): they see every request as if the handler had answered it.

A class that replays is compared with the same class that does not, call by call. All but the figures of the
lane holds without one.
"""

import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, request, wait_until

import fastserve

from .replaying import TARGET, Files, comparable, hits, partial

Simple: Any = fastserve.SimpleHTTPRequestHandler
SERVERS = {"loop": fastserve.HTTPServer, "threads": fastserve.ThreadingHTTPServer}


class Noting(Simple):
    """Notes all that a hook may look at."""

    protocol_version = "HTTP/1.1"
    calls: list[tuple[Any, ...]]

    def note(self, *what: Any) -> None:
        self.calls.append((
            *what, self.command, self.path, self.requestline, self.raw_requestline, self.request_version,
            self.headers.items(), self.close_connection, self.client_address == self.connection.getpeername(),
            self.server.server_address == self.connection.getsockname(), type(self.server), self.directory,
            self.extra_response_headers, self.address_string()))


class NotesMessages(Noting):
    def log_message(self, format: str, *args: Any) -> None:
        self.note("message", format, args)


class NotesRequests(Noting):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        self.note("request", repr(code), repr(size))


class NotesBoth(NotesMessages, NotesRequests):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        super().log_request(code, size)
        self.log_message("and %s", code)


class NotesPure(NotesBoth):
    pure_end_headers = True

    def end_headers(self) -> None:
        self.send_header("X-Own", "value")
        super().end_headers()


REQUESTS = [
    request(target="/file.txt"), request("HEAD", "/file.txt"), request("GET", "/file.txt", "X-Number: 1"),
    request("GET", "/file.txt", "X-Number: 2", "x-number: 3"), request("GET", "/file.txt?query#there"),
    request(target="/%66ile.txt"), request(target="//file.txt"), request(target="/dir"),
    request(target="/dir/"), request(target="/large"), request("GET", "/file.txt", "Range: bytes=0-3"),
    request("GET", "/file.txt", "If-None-Match: *"), request(target="http://test/file.txt"),
    request("GET", "/file.txt", "Connection: keep-alive", version="1.0"),
    request("GET", "/file.txt", "Connection: close"),
]
LAST = [request(target="/missing"), request("GET", "/file.txt", version="1.0")]


def ask_all(client: Callable[[Any], Client], server: Any) -> list[Any]:
    """Each three times, in a row and in turn."""
    replies = []
    for data in [*(data for data in REQUESTS for _ in range(3)), *REQUESTS, *LAST * 3]:
        with contextlib.closing(client(server)) as own:
            replies.append(comparable(own.ask(data)))
    peer = client(server)
    kept = [data for data in REQUESTS if b"close" not in data]
    return replies + [comparable(peer.ask(data)) for data in kept * 3]


@pytest.mark.parametrize("base", [NotesMessages, NotesRequests, NotesBoth, NotesPure])
@pytest.mark.parametrize("server_class", SERVERS.values(), ids=SERVERS)
def test_a_hook_sees_what_it_always_saw(
    server_class: Any, base: Any, one: Path, serve: Any, client: Any
) -> None:
    handlers = [type("Handler", (base,), {"calls": [], "replay": replay}) for replay in (False, True)]
    servers = [serve(partial(handler, one, extra_response_headers=(("X-Extra", "v"),)), server_class)
               for handler in handlers]
    expected, seen = (ask_all(client, server) for server in servers)
    assert seen == expected
    for number, (call, other) in enumerate(zip(handlers[0].calls, handlers[1].calls, strict=True)):
        assert other == call, number
    assert hits(servers[0]) == 0
    assert hits(servers[1]) >= 2 * len(REQUESTS)


def test_messages_to_the_own_log(one: Path, serve: Any, client: Any, log: Any) -> None:
    """A hook that adds to the message and leaves the rest to the library."""

    class Prefixed(Simple):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            super().log_message(f"own {self.headers['X-Number']} {format}", *args)

    server = serve(partial(Prefixed, one))
    peer = client(server)
    for number in range(4):
        peer.ask(request("GET", TARGET, f"X-Number: {number}"))
    assert wait_until(lambda: log.text().count("\n") == 4)
    assert log.messages() == [f'own {number} "GET /file.txt HTTP/1.1" 200 -' for number in range(4)]
    assert hits(server) == 3


def test_a_hook_that_lets_some_pass(one: Path, serve: Any, client: Any, log: Any) -> None:
    class Choosing(Simple):
        protocol_version = "HTTP/1.1"

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if "quiet" not in self.path:
                super().log_request(code, size)

    peer = client(serve(partial(Choosing, one)))
    for target in ["/file.txt?quiet", "/file.txt"] * 4:
        peer.ask(request(target=target))
    assert wait_until(lambda: log.text().count("\n") == 4)
    assert log.messages() == ['"GET /file.txt HTTP/1.1" 200 -'] * 4


@pytest.mark.parametrize(("name", "shown"), [
    ("address_string", r"own - - \[.*\] \"GET"), ("log_date_time_string", r"127.0.0.1 - - \[own\] \"GET"),
])
def test_a_part_of_the_line(name: str, shown: str, one: Path, serve: Any, client: Any, log: Any) -> None:
    """Whether it is honoured on the lane or off it."""
    handler = type("Handler", (Simple,), {"protocol_version": "HTTP/1.1", name: lambda self: "own"})
    peer = client(serve(partial(handler, one)))
    for _ in range(4):
        peer.ask(request(target=TARGET))
    assert wait_until(lambda: log.text().count("\n") == 4)
    assert [bool(re.match(shown, line)) for line in log.text().splitlines()] == [True] * 4


def test_a_hook_for_errors(one: Path, serve: Any, client: Any) -> None:
    """Of answers that are errors, and no others."""

    class Erring(Files):
        errors: list[str] = []

        def log_error(self, format: str, *args: Any) -> None:
            self.errors.append(f"{self.path} {format % args}")

    server = serve(partial(Erring, one))
    for target in [TARGET, "/missing", "/missing", "/missing"]:
        client(server).ask(request(target=target))
    assert Erring.errors == ["/missing code 404, message File not found"] * 3


def test_the_log_comes_before_the_answer_where_there_is_a_hook(one: Path, serve: Any, client: Any) -> None:
    class Counting(Files):
        count = 0

        def log_message(self, *args: Any) -> None:
            Counting.count += 1

    peer = client(serve(partial(Counting, one)))
    for count in range(1, 6):
        peer.ask(request(target=TARGET))
        assert Counting.count == count


def test_lines_and_hooks_of_a_pipeline(one: Path, serve: Any, client: Any) -> None:
    class Listing(Files):
        paths: list[str] = []

        def log_request(self, *args: Any) -> None:
            self.paths.append(self.path)

    peer = client(serve(partial(Listing, one)))
    targets = [f"/{name}" for name in ("file.txt", "other.txt", "dir/", "file.txt", "large", "page.html")] * 5
    peer.send(b"".join(request(target=target) for target in targets))
    assert [peer.reply().status for _ in targets] == [200] * len(targets)
    assert Listing.paths == targets


# -- What a hook keeps -------------------------------------------------------------------------


class Counts(Files):
    """Each handler object has its own count; there is one for each connection."""

    counts: list[tuple[int, int]]

    def log_message(self, *args: Any) -> None:
        self.count = getattr(self, "count", 0) + 1
        self.counts.append((self.client_address[1], self.count))


def test_what_a_hook_keeps_belongs_to_its_connection(one: Path, serve: Any, client: Any) -> None:
    """Whoever answers: a listing is never recorded."""
    handler = type("Handler", (Counts,), {"counts": []})
    server = serve(partial(handler, one))
    first, second = client(server), client(server)
    ports = [peer.sock.getsockname()[1] for peer in (first, second)]
    for target in (TARGET, TARGET, "/", TARGET, TARGET, "/", TARGET):
        for peer in (first, second):
            assert peer.ask(request(target=target)).status == 200
    assert handler.counts == [(port, count) for count in range(1, 8) for port in ports]


ASSIGNED = {"server_version": "Own", "protocol_version": "HTTP/1.0", "directory": "two",
            "extra_response_headers": [("X-Own", "value")]}


@pytest.mark.parametrize("name", ASSIGNED)
def test_what_a_hook_assigns_to_its_handler(
    name: str, home: Path, serve: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the handler's own from then on, and nobody else's."""
    monkeypatch.chdir(home)

    class Assigning(Files):
        def log_message(self, *args: Any) -> None:
            if "X-Assign" in self.headers:
                setattr(self, name, ASSIGNED[name])

    replies = []
    for replay in (False, True):
        server = serve(partial(type("Handler", (Assigning,), {"replay": replay}), home / "one"))
        first, second = client(server), client(server)
        asked = [first, first, first, second, second]
        said = [comparable(peer.ask(request(target=TARGET))) for peer in asked]
        said.append(comparable(first.ask(request("GET", TARGET, "X-Assign: yes"))))
        if name != "protocol_version":  # which is the end of the connection
            said.append(comparable(first.ask(request(target=TARGET))))
        said.append(comparable(second.ask(request(target=TARGET))))
        replies.append(said)
    assert replies[1] == replies[0]
    assert replies[0][-2] != replies[0][-1]


def test_a_hook_that_ends_the_connection(one: Path, serve: Any, client: Any) -> None:
    class Ending(Files):
        def log_message(self, *args: Any) -> None:
            self.close_connection = self.close_connection or "X-End" in self.headers

    replies = []
    for replay in (False, True):
        server = serve(partial(type("Handler", (Ending,), {"replay": replay}), one))
        peer = client(server)
        replies.append([comparable(peer.ask(request(target=TARGET))) for _ in range(3)])
        replies[-1].append(comparable(peer.ask(request("GET", TARGET, "X-End: yes"))))
        assert peer.is_closed()
    assert replies[1] == replies[0]


def test_a_hook_that_raises(one: Path, serve: Any, client: Any) -> None:
    """There is no answer, the server is told, and goes on."""

    class Raising(Files):
        def log_message(self, *args: Any) -> None:
            if "X-Raise" in self.headers:
                raise KeyError("hook")

    errors: list[Any] = []
    server = serve(partial(Raising, one))
    server.handle_error = lambda *args: errors.append(sys.exc_info()[1])
    peer = client(server)
    for _ in range(3):
        assert peer.ask(request(target=TARGET)).status == 200
    peer.send(request("GET", TARGET, "X-Raise: yes"))
    assert peer.is_closed()
    assert wait_until(lambda: errors)
    assert [repr(error) for error in errors] == ["KeyError('hook')"]
    assert client(server).ask(request(target=TARGET)).status == 200


def test_a_hook_that_writes_to_the_client(one: Path, serve: Any, client: Any) -> None:
    """An interim answer, before the one that it is told of."""

    class Writing(Files):
        def log_request(self, *args: Any) -> None:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    server = serve(partial(Writing, one))
    peer = client(server)
    for _ in range(4):
        assert peer.ask(request(target=TARGET)).line == "HTTP/1.1 103 Early Hints"
        assert peer.reply().body == b"1" * 20


def test_a_hook_that_waits_holds_nobody_up(one: Path, serve: Any, client: Any, gate: Any) -> None:
    class Waiting(Files):
        def log_message(self, *args: Any) -> None:
            if "X-Wait" in self.headers:
                gate.wait()

    server = serve(partial(Waiting, one), fastserve.ThreadingHTTPServer)
    waiting, other = client(server), client(server)
    for _ in range(3):
        waiting.ask(request(target=TARGET))
    waiting.send(request("GET", TARGET, "X-Wait: yes"))
    assert gate.reached()
    for _ in range(3):
        assert other.ask(request(target=TARGET)).status == 200
    gate.open()
    assert waiting.reply().status == 200
