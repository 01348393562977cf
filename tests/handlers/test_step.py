"""Handlers that do not keep to what they declare: the client is never out of step with the answers.

Each such connection ends, and one line of the log says which answer it was.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, log_messages, request, wait_until

from fastserve import BaseHTTPRequestHandler

from .makers import Files, get

TWO = get("/1") + get("/2")


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body: bytes, declared: int, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.wfile.write(body)


class OwnLoop(Answering):
    """As http.server's own handle(): it asks close_connection alone."""

    def handle(self) -> None:
        self.close_connection = True
        self.handle_one_request()
        while not self.close_connection:
            self.handle_one_request()


def lines_but(capsys: Any, *codes: str) -> list[str]:
    """What is in the log beside the lines of requests."""
    return [line for line in log_messages(capsys.readouterr().err) if not line.endswith(codes)]


@pytest.mark.parametrize("base", [Answering, OwnLoop])
@pytest.mark.parametrize(("body", "sent", "wrong"), [
    (b"abc", b"abc", "2 bytes fewer"), (b"abcdefg", b"abcde", "more bytes"),
])
def test_a_length_that_is_wrong(
    host: Any, serve: Any, client: Any, capsys: Any, base: Any, body: bytes, sent: bytes, wrong: str
) -> None:
    class Wrong(base):
        def do_GET(self) -> None:
            self.answer(body, 5)

    peer = client(serve(Wrong, host))
    peer.send(TWO)
    assert peer.rest().partition(b"\r\n\r\n")[2] == sent
    log = lines_but(capsys, "200 -")
    assert log == [f'"GET /1 HTTP/1.1" was answered with {wrong} than its Content-Length']


@pytest.mark.parametrize("status", [200, 204, 304])
def test_two_answers_to_one_request(host: Any, serve: Any, client: Any, capsys: Any, status: int) -> None:
    """The client would take the second for that to its next request."""

    class Twice(Answering):
        def do_GET(self) -> None:
            self.answer(b"", 0, status)
            self.send_error(500)

    peer = client(serve(Twice, host))
    peer.send(TWO)
    answer = peer.rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert '"GET /1 HTTP/1.1" was answered with more bytes than its Content-Length' in lines_but(capsys)


def test_an_interim_answer_is_none_of_two(host: Any, serve: Any, client: Any, capsys: Any) -> None:
    class Early(Answering):
        def do_GET(self) -> None:
            self.send_response_only(103)
            self.send_header("Link", "</style.css>; rel=preload")
            self.end_headers()
            self.answer(b"ok", 2)

    peer = client(serve(Early, host))
    peer.send(TWO)
    assert [peer.reply().status for _ in range(4)] == [103, 200, 103, 200]
    assert lines_but(capsys, "200 -") == []


def test_an_interim_answer_to_an_old_client(host: Any, serve: Any) -> None:
    """It knows none (RFC 9110 15.2): the first answer is the only one."""

    class Early(Answering):
        def do_GET(self) -> None:
            self.send_response_only(103)
            self.send_header("Link", "</style.css>; rel=preload")
            self.end_headers()
            self.answer(b"ok", 2)

    reply = ask(serve(Early, host).server_address, request("GET", "/", version="1.0"))
    assert (reply.status, reply.get("Link"), reply.body) == (200, None, b"ok")


def test_a_head_that_does_not_end(host: Any, serve: Any, client: Any, capsys: Any) -> None:
    class Forgetful(Answering):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.wfile.write(b"ok")

    peer = client(serve(Forgetful, host))
    peer.send(TWO)
    assert peer.rest() == b"ok"
    assert lines_but(capsys, "200 -") == ['"GET /1 HTTP/1.1" was answered with a head that does not end']


@pytest.mark.parametrize("written", [b"", b"body"])
def test_204_declares_no_length(host: Any, serve: Any, client: Any, written: bytes) -> None:
    """RFC 9110 8.6; a client that counts by it would wait, or eat the next answer."""

    class Empty(Answering):
        def do_GET(self) -> None:
            self.answer(written, len(written), 204)

    peer = client(serve(Empty, host))
    peer.send(TWO)
    for _ in range(2):
        reply = peer.reply()
        assert (reply.status, reply.get("Content-Length")) == (204, None)


@pytest.mark.parametrize("fields", [(), ("Range: bytes=1-",), ("Range: bytes=0-99999,200000-",)])
def test_a_large_file_that_becomes_shorter(
    host: Any, files: Any, client: Any, folder: Path, capsys: Any, fields: tuple[str, ...]
) -> None:
    """While it leaves by sendfile, when the handler has returned."""
    path = folder / "a.bin"
    path.write_bytes(bytes(500_000))

    class Truncating(Files):
        log_message = BaseHTTPRequestHandler.log_message

        def end_headers(self) -> None:
            os.truncate(path, 300)
            super().end_headers()

    peer = client(files(host, base=Truncating))
    peer.send(get("/a.bin", *fields) + get("/2"))
    assert peer.rest().count(b"HTTP/1.1 ") == 1
    log: list[str] = []
    assert wait_until(lambda: log.extend(lines_but(capsys, "200 -", "206 -")) or log)
    assert log == ['"GET /a.bin HTTP/1.1" was cut off: the file has become shorter']
