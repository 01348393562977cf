"""The libraries that keep the manual's promises, and a handler class made of a few attributes.

A test that asks for ``library`` runs on fastserve's two servers, and on http.server too: what it says is what
the manual means.
"""

import http.server
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from handlers.lanes import Gate

import fastserve


class Library(NamedTuple):
    """Where the manual's names are imported from."""

    HTTPServer: Any
    BaseHTTPRequestHandler: Any
    SimpleHTTPRequestHandler: Any


LIBRARIES = {
    "loop": Library(
        fastserve.HTTPServer, fastserve.BaseHTTPRequestHandler, fastserve.SimpleHTTPRequestHandler),
    "threads": Library(
        fastserve.ThreadingHTTPServer, fastserve.BaseHTTPRequestHandler, fastserve.SimpleHTTPRequestHandler),
    "http.server": Library(
        http.server.ThreadingHTTPServer, http.server.BaseHTTPRequestHandler,
        http.server.SimpleHTTPRequestHandler),
}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    """Each of the three; those that the mark OURS leaves of them."""
    return LIBRARIES[request.param]


def quiet(self: Any, *args: Any) -> None:
    """For log_message()."""


@pytest.fixture
def handler(library: Library, serve: Any, client: Any) -> Callable[..., Any]:
    """A function ``handler(base=BaseHTTPRequestHandler, **attributes)``: the client of such a class's server.

    The server is the client's attribute. Nothing is logged unless ``log_message`` is among the attributes.
    """

    def start(base: Any = None, **attributes: Any) -> Any:
        attributes.setdefault("log_message", quiet)
        kind = type("Handler", (base or library.BaseHTTPRequestHandler,), attributes)
        server = serve(kind, library.HTTPServer)
        peer = client(server)
        peer.server = server
        return peer

    return start


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end, so that no handler is left waiting."""
    gate = Gate()
    yield gate
    gate.open()
