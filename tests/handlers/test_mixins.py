"""Classes that stand beside BaseHTTPRequestHandler: before it or after it, between it and socketserver's.

What is called, and in which order, is asked of http.server with the same classes.
"""

import http.server
import socketserver
from typing import Any

import pytest
from helpers import Client, request, running

import fastserve


def answer(self: Any) -> None:
    body = repr(self.calls).encode()
    self.send_response(200)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)


def noting(base: Any, names: list[str]) -> Any:
    """A class that notes its calls, for the handler and for all, and goes on as a mixin should."""

    def method(name: str) -> Any:
        def noted(self: Any, *args: Any, option: Any = None) -> Any:
            self.calls = [*self.calls, name]
            noted_by_all.append(name)
            return getattr(super(kind, self), name)(*args)

        return noted

    noted_by_all: list[str] = []
    methods = {name: method(name) for name in names}
    kind: Any = type("Mixin", (base,), {"calls": [], "noted": noted_by_all, **methods})
    return kind


BASES = {
    "stream": socketserver.StreamRequestHandler,
    "request": socketserver.BaseRequestHandler,
    "plain": object,
}
QUIET = {"log_message": lambda *args: None}
CALLS = {
    "setup": ["setup"],
    "init": ["__init__"],
    "all": ["__init__", "setup", "handle", "finish"],
}


def asked(library: Any, server_class: Any, mixin: Any, first: bool, **options: Any) -> tuple[Any, list[str]]:
    """The answers to two requests on one connection, and every call there was."""
    parents = (mixin, library.BaseHTTPRequestHandler) if first else (library.BaseHTTPRequestHandler, mixin)
    handler = type("Handler", parents, {"protocol_version": "HTTP/1.1", "do_GET": answer, **QUIET})
    made = (lambda *args: handler(*args, **options)) if options else handler
    with server_class(("127.0.0.1", 0), made) as server, running(server) as address, Client(address) as peer:
        bodies = [peer.ask(request()).body, peer.ask(request("GET", "/", "Connection: close")).body]
        assert peer.is_closed()
    return bodies, mixin.noted


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("names", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("base", BASES)
def test_a_mixin_is_called_as_with_http_server(base: str, names: list[str], first: bool, host: Any) -> None:
    wanted = asked(http.server, http.server.HTTPServer, noting(BASES[base], names), first)
    assert asked(fastserve, host, noting(BASES[base], names), first) == wanted


def test_a_mixin_after_it_may_take_options(host: Any) -> None:
    mixin = noting(socketserver.StreamRequestHandler, ["__init__", "setup"])
    bodies, _ = asked(fastserve, host, mixin, False, option=5)
    assert bodies == [b"['__init__', 'setup']"] * 2


def test_an_option_that_nobody_takes(host: Any) -> None:
    handler = type("Handler", (fastserve.BaseHTTPRequestHandler,), {})
    with pytest.raises(TypeError, match="option"):
        handler(None, None, None, option=5)
