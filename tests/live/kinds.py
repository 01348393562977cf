"""Servers with the handler classes that belong to them: fastserve's, and http.server's beside them.

What is tested on both shows that the test itself is right. Knows public classes only.
"""

import http.server
import shutil
from typing import Any, NamedTuple

import pytest

import fastserve

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Kind(NamedTuple):
    """A server class, and the handler class that belongs to it."""

    library: Any
    server: Any

    def handler(self, *mixins: Any, **attributes: Any) -> Any:
        return type("Handler", (*mixins, Answering, self.library.BaseHTTPRequestHandler), attributes)


OURS = {
    "loop": Kind(fastserve, fastserve.HTTPServer),
    "threads": Kind(fastserve, fastserve.ThreadingHTTPServer),
}
KINDS = {
    **OURS,
    "http.server": Kind(http.server, http.server.HTTPServer),
    "http.server-threads": Kind(http.server, http.server.ThreadingHTTPServer),
}


class Answering:
    """What the handlers here have in common."""

    protocol_version = "HTTP/1.1"

    def begin(self: Any, *fields: tuple[str, str], status: int = 200) -> None:
        self.send_response(status)
        for field in fields:
            self.send_header(*field)
        self.end_headers()

    def answer(self: Any, body: bytes) -> None:
        self.begin(("Content-Length", str(len(body))))
        self.wfile.write(body)

    def do_GET(self: Any) -> None:
        self.answer(self.path.encode())

    def log_message(self, *args: Any) -> None:
        pass


def url(server: Any, path: str = "/") -> str:
    return "http://{}:{}{}".format(*server.server_address[:2], path)
