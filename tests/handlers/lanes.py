"""What the tests of lanes share: a handler as people write them, and a gate to hold one at."""

import threading

from helpers import PATIENCE

from fastserve import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    """What somebody wrote for http.server: nothing in it is of fastserve but its base."""

    protocol_version = "HTTP/1.1"

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(self.path.encode())

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))


class Gate:
    """Where a handler waits for the test, and the test for a handler, a while at most."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._reached = threading.Event()

    def wait(self) -> None:
        """In the handler: say that it is here and wait."""
        self._reached.set()
        assert self._opened.wait(PATIENCE)

    def reached(self, within: float = PATIENCE) -> bool:
        return self._reached.wait(within)

    def open(self) -> None:
        self._opened.set()
