"""connection and request: attributes like any other, and a head that waits leaves before they are used."""

import contextlib
import io
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import request

from fastserve import BaseHTTPRequestHandler

from .lanes import Handler
from .makers import Bare

NAMES = pytest.mark.parametrize("name", ["connection", "request"])


def sending(send: Any) -> Any:
    """A handler whose body ``send(handler, b"body")`` sends, behind a head that declares it."""

    class Sending(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            send(self, b"body")

        def log_message(self, *args: Any) -> None:
            pass

    return Sending


def in_pieces(handler: Any, body: bytes) -> None:
    handler.wfile.write(body[:1])
    handler.connection.sendall(body[1:3])
    handler.wfile.write(body[3:])


def behind_a_wrapper(handler: Any, body: bytes) -> None:
    """Whatever wfile is now, the head went into the one that setup() made."""
    stream, handler.wfile = handler.wfile, io.BytesIO()
    handler.connection.sendall(body)
    handler.wfile = stream


def as_a_file(handler: Any, body: bytes) -> None:
    path = handler.server.folder / "body"
    path.write_bytes(body)
    with path.open("rb") as file:
        handler.connection.sendfile(file)


def by_a_program(handler: Any, body: bytes) -> None:
    subprocess.run(["printf", "body"], stdout=handler.wfile, check=True)


def kept(handler: Any, body: bytes) -> None:
    """Row "one-packet": a socket that was asked for earlier."""
    handler.wfile.flush()
    handler.kept.sendall(body)


WAYS = {
    "connection": lambda handler, body: handler.connection.sendall(body),
    "request": lambda handler, body: handler.request.sendall(body),
    "sendfile": as_a_file,
    "program": by_a_program,
    "pieces": in_pieces,
    "wrapper": behind_a_wrapper,
    "kept": kept,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_head_leaves_before_a_body_past_wfile(
    way: str, host: Any, serve: Any, client: Any, folder: Path
) -> None:
    class Keeping(sending(WAYS[way])):
        def setup(self) -> None:
            super().setup()
            self.kept = self.connection

    server = serve(Keeping, host)
    server.folder = folder
    peer = client(server)
    reply = peer.ask(request())
    assert (reply.status, reply.body) == (200, b"body")
    # What did not go through wfile is not known to be whole.
    assert peer.is_closed()


@NAMES
def test_to_look_at_the_socket_changes_nothing(name: str, host: Any, serve: Any, client: Any) -> None:
    def look(handler: Any, body: bytes) -> None:
        assert getattr(handler, name).getpeername() == handler.client_address
        handler.wfile.write(body)
        assert getattr(handler, name).fileno() == handler.wfile.fileno()

    peer = client(serve(sending(look), host))
    for _ in range(3):
        assert peer.ask(request()).body == b"body"


@NAMES
def test_it_can_be_asked_for_when_all_is_over(name: str, host: Any, serve: Any, client: Any) -> None:
    seen: list[Any] = []

    class Late(Handler):
        def finish(self) -> None:
            super().finish()
            with contextlib.suppress(OSError):
                seen.append(getattr(self, name).getpeername())

    peer = client(serve(Late, host))
    peer.ask(request("GET", "/", "Connection: close"))
    assert peer.is_closed()
    assert seen == [peer.sock.getsockname()]


# -- As attributes -----------------------------------------------------------------------------


@NAMES
def test_it_is_missing_until_it_is_set(name: str) -> None:
    handler = BaseHTTPRequestHandler.__new__(BaseHTTPRequestHandler)
    assert not hasattr(handler, name)
    with pytest.raises(AttributeError, match=f"^{name}$"):
        getattr(handler, name)
    for value in ("socket", None):
        setattr(handler, name, value)
        assert getattr(handler, name) == value


@NAMES
def test_a_class_may_have_an_attribute_of_that_name(name: str, host: Any, serve: Any, client: Any) -> None:
    peer = client(serve(type("Declared", (Handler,), {name: None}), host))
    assert peer.ask(request("GET", "/1")).body == b"/1"
    assert peer.ask(request("GET", "/2")).body == b"/2"


@NAMES
def test_the_head_leaves_before_a_body_also_then(name: str, host: Any, serve: Any, client: Any) -> None:
    handler = sending(lambda handler, body: getattr(handler, name).sendall(body))
    peer = client(serve(type("Declared", (handler,), {name: None}), host))
    for _ in range(2):
        assert peer.ask(request()).body == b"body"


@NAMES
def test_a_class_may_answer_for_what_is_missing(name: str) -> None:
    class Proxy(Bare):
        def __getattr__(self, missing: str) -> str:
            return f"no {missing}"

    assert getattr(Proxy(), name) == f"no {name}"


def test_a_handler_of_mocks() -> None:
    sock = mock.Mock()
    sock.makefile.return_value = io.BytesIO(b"GET / HTTP/1.0\r\n\r\n")
    handler = sending(lambda handler, body: handler.connection.sendall(body))(sock, ("192.0.2.1", 5), None)
    assert handler.connection is handler.request is sock
    assert b"".join(bytes(call.args[0]) for call in sock.sendall.call_args_list).endswith(b"\r\n\r\nbody")


def test_a_kept_connection_does_not_ask_for_it_at_each_request(host: Any, serve: Any, client: Any) -> None:
    asked: list[str] = []

    def counted(name: str) -> property:
        kept = getattr(BaseHTTPRequestHandler, name)

        def read(self: Any) -> Any:
            asked.append(name)
            return kept.fget(self)

        return property(read, kept.fset)

    counting = type("Counting", (Handler,), {name: counted(name) for name in ("connection", "request")})
    peer = client(serve(counting, host))
    peer.ask(request())
    at_first = len(asked)
    for _ in range(5):
        peer.ask(request("POST", "/", body=b"body"))
    assert len(asked) == at_first
