"""Handler classes for the tests of servers and loop: quiet, and each with one habit.

Knows fastserve's public classes only.
"""

import contextlib
import threading
from typing import Any

from helpers import ask, request

import fastserve

LARGE = bytes(range(251)) * 80000  # 20 MB


class Quiet(fastserve.BaseHTTPRequestHandler):
    """Answers with the path; keeps connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(self.path.encode())

    def do_POST(self) -> None:
        self.answer(b"%d" % len(self.rfile.read()))

    def answer(self, body: bytes = b"answer", **fields: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Files(fastserve.SimpleHTTPRequestHandler):
    """Serves files; keeps connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Gate:
    """Where a handler waits until a test lets it pass."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.open.wait(5), "nobody opened the gate"


class Errors:
    """A server that keeps the exceptions it is told of instead of printing them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.errors: list[str] = []
        super().__init__(*args, **kwargs)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        self.errors.append(repr(sys.exc_info()[1]))


class HTTPServer(Errors, fastserve.HTTPServer):
    pass


class ThreadingHTTPServer(Errors, fastserve.ThreadingHTTPServer):
    pass


class Echo(Quiet):
    """Takes the connection for itself after an upgrade, and sends back what it gets."""

    def do_GET(self) -> None:
        self.send_response(101)
        self.send_header("Connection", "upgrade")
        self.send_header("Upgrade", "echo")
        self.end_headers()
        self.close_connection = True
        self.connection.sendall(b"ready")
        with contextlib.suppress(ConnectionError):
            while data := self.connection.recv(1000):
                self.connection.sendall(data)


def answers(server: Any, target: str = "/hello") -> bool:
    """Whether a new client gets its answer."""
    return ask(server.server_address, request(target=target)).body == target.encode()
