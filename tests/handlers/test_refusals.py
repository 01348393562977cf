"""What a handler's own methods meet when a request is refused: the fields there are, the arguments given."""

import http.client
from typing import Any

import pytest
from helpers import ask, request

from fastserve import BaseHTTPRequestHandler

from .lanes import Handler
from .makers import Bare


class Cors(Handler):
    """The usual hook."""

    def end_headers(self) -> None:
        origin = self.headers.get("Origin")
        if origin:
            self.send_header("Access-Control-Allow-Origin", origin)
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        pass


REFUSED = {
    "bad-line": (b"GET /\r\n\r\n", 400),
    "bad-version": (b"GET / HTTP/x\r\nHost: x\r\n\r\n", 400),
    "other-version": (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    "bad-name": (request("GET", "/", "Name : x"), 400),
    "no-host": (b"GET / HTTP/1.1\r\nOrigin: mine\r\n\r\n", 400),
    "bad-length": (request("GET", "/", "Content-Length: x", "Origin: mine"), 400),
    "too-many": (request("GET", "/", *["Origin: mine"] * 100), 431),
    "coding": (request("GET", "/", "Transfer-Encoding: x", "Origin: mine"), 501),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("before", [True, False], ids=["after-another", "first"])
def test_a_refused_request_has_no_fields(kind: str, before: bool, host: Any, serve: Any, client: Any) -> None:
    data, status = REFUSED[kind]
    peer = client(serve(Cors, host))
    if before:
        allowed = peer.ask(request("GET", "/", "Origin: theirs"))
        assert allowed.get("Access-Control-Allow-Origin") == "theirs"
    reply = peer.ask(data)
    assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (status, None)
    assert peer.is_closed()


def test_the_fields_that_are_none_are_a_message() -> None:
    class Own(Bare):
        class MessageClass(BaseHTTPRequestHandler.MessageClass):
            pass

        def log_message(self, *args: Any) -> None:
            pass

    for kind in (Bare, Own):
        handler = kind(b"Name : x\r\n\r\n")
        handler.log_message = lambda *args: None
        handler.raw_requestline = b"GET / HTTP/1.1\r\n"
        assert not handler.parse_request()
        assert type(handler.headers) is kind.MessageClass
        assert handler.headers.items() == []
        assert handler.headers.get_content_type() == "text/plain"


def test_the_fields_of_a_class_that_has_an_attribute_for_them(host: Any, serve: Any, client: Any) -> None:
    class Declared(Cors):
        headers = None

    peer = client(serve(Declared, host))
    assert peer.ask(request("GET", "/", "Origin: theirs")).get("Access-Control-Allow-Origin") == "theirs"
    reply = peer.ask(REFUSED["no-host"][0])
    assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (400, None)


def test_a_request_line_that_is_refused_before_its_fields_are_read() -> None:
    handler = Cors.__new__(Cors)
    refused: list[Any] = []
    handler.send_error = lambda *args: refused.append((args, handler.headers.items()))
    handler._BaseHTTPRequestHandler__refuse_line()
    assert refused == [((414,), [])]
    assert (handler.requestline, handler.request_version, handler.command, handler.path) == ("",) * 4


# -- send_error() that takes two arguments -----------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "too-many"])
def test_send_error_of_a_code_and_a_message(kind: str, host: Any, serve: Any, client: Any) -> None:
    """http.server gives a third one to 431 alone."""

    class Short(Handler):
        def send_error(self, code: int, message: str) -> None:
            super().send_error(code, message)

        def log_message(self, *args: Any) -> None:
            pass

    data, status = REFUSED[kind]
    assert client(serve(Short, host)).ask(data).status == status


# -- http.client's figure ----------------------------------------------------------------------


def test_longer_header_lines_do_not_make_the_request_line_longer(
    host: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with http.server, where a program raises http.client._MAXLINE."""
    monkeypatch.setattr(http.client, "_MAXLINE", 1 << 20)

    class Measuring(Cors):
        def do_GET(self) -> None:
            self.answer(b"%d" % len(self.headers["A"]))

    address = serve(Measuring, host).server_address
    assert ask(address, request("GET", "/", "A: " + "b" * 1000000)).body == b"1000000"
    assert ask(address, request("GET", "/", "A: " + "b" * (1 << 20))).status == 431
    assert ask(address, request("GET", "/" + "b" * 65536, "A: b")).status == 414
