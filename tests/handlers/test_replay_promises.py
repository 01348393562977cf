"""Recorded answers of classes that promise, by constant_target(), which targets they always answer alike."""

import functools
import io
from contextlib import redirect_stderr
from typing import Any

import pytest
from helpers import Client, ask, request

from fastserve import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer

LARGE = bytes(1 << 20)


class Counting(BaseHTTPRequestHandler):
    """Says how often it was asked; what it says of /same... is the same for whoever reads it."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    @classmethod
    def constant_target(cls, target: str) -> bool:
        return target.startswith("/same")

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = b"number %d" % len(self.asked) + (LARGE if "large" in self.path else b"")
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def kind() -> Any:
    return type("Handler", (Counting,), {"asked": []})


@pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
@pytest.mark.parametrize("made", [lambda kind: kind, functools.partial])
def test_what_is_promised_is_asked_for_once(made: Any, server_class: Any, kind: Any, serve: Any) -> None:
    server = serve(made(kind), server_class)
    for target in ("/same", "/same?b", "/same/missing"):
        replies = [ask(server.server_address, request(target=target)) for _ in range(4)]
        assert len({reply.body for reply in replies}) == 1
        assert len({reply.line for reply in replies}) == 1
    assert (len(kind.asked), server.recordings.hits) == (3, 9)
    assert [ask(server.server_address, request(target="/other")).body for _ in range(2)] == [
        b"number 4", b"number 5"]


@pytest.mark.parametrize("octets", [
    request("POST", "/same", "Connection: close", body=b"x"),
    request("GET", "/same", "Connection: close", body=b"x"),
    request("GET", "/same", "Connection: close", "Expect: 100-continue"),
])
def test_requests_that_are_more_than_a_target(octets: bytes, kind: Any, serve: Any) -> None:
    server = serve(kind)
    for count in range(1, 4):
        with Client(server.server_address) as client:
            client.send(octets)
            assert b"number %d" % count in client.rest()


def test_each_of_what_counts_has_a_recording(kind: Any, serve: Any) -> None:
    server = serve(kind)
    fields = [(), ("Range: bytes=0-1",), ("If-None-Match: *",), ("Connection: close",)]
    octets = [request("GET", "/same", *each) for each in fields] + [request("HEAD", "/same")]
    for _ in range(3):
        for each in octets:
            ask(server.server_address, each)
    assert (len(kind.asked), len(server.recordings)) == (5, 5)
    assert ask(server.server_address, request("GET", "/same", "X-Other: 1")).body == b"number 1"


def test_a_large_one_is_recorded_too(kind: Any, serve: Any) -> None:
    server = serve(kind)
    bodies = [ask(server.server_address, request(target="/same/large")).body for _ in range(3)]
    assert bodies == [b"number 1" + LARGE] * 3
    assert (server.recordings.hits, server.recordings.octets > len(LARGE)) == (2, True)


def test_a_promise_that_is_taken_back(kind: Any, serve: Any) -> None:
    server = serve(kind)
    bodies = [ask(server.server_address, request(target="/same")).body for _ in range(2)]
    kind.constant_target = None
    bodies += [ask(server.server_address, request(target="/same")).body for _ in range(2)]
    assert bodies == [b"number 1", b"number 1", b"number 2", b"number 3"]


def test_each_is_logged(kind: Any, serve: Any) -> None:
    """By a log_request() of the class, or where http.server's lines go."""
    told: list[str] = []

    class Telling(kind):  # type: ignore[misc]
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            told.append(f"{self.requestline} {code}")

    class Usual(kind):  # type: ignore[misc]
        log_message = BaseHTTPRequestHandler.log_message

    with redirect_stderr(io.StringIO()) as log:
        for handler in (Telling, Usual):
            server = serve(handler)
            for _ in range(3):
                ask(server.server_address, request(target="/same"))
            assert server.recordings.hits == 2
    assert told == ["GET /same HTTP/1.1 HTTPStatus.OK"] * 3 or told == ["GET /same HTTP/1.1 200"] * 3
    assert log.getvalue().count('"GET /same HTTP/1.1" 200 -\n') == 3


def test_without_a_promise_nothing_is_recorded(serve: Any, kind: Any) -> None:
    kind.constant_target = None
    server = serve(kind)
    assert (server.recordings, SimpleHTTPRequestHandler.constant_target) == (None, None)
