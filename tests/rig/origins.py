"""Origins on servers of every kind, for tests of endpoints.

An exception out of a handler ends the server, and so fails the test. Knows the origin's handler, and pytest's
``serve`` of the tests' conftest.
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, request
from pairs import TLSClient, certificate

import fastserve
from fastserve.rig.origin import routes
from fastserve.rig.origin.handler import Origin, QuietOrigin
from fastserve.rig.origin.statistics import Statistics

Serve = Callable[..., Any]


class Strict:
    """A server that does not go on where a handler has failed."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise  # noqa: PLE0704  (the exception that is being handled)


class HTTPServer(Strict, fastserve.HTTPServer):
    pass


class ThreadingHTTPServer(Strict, fastserve.ThreadingHTTPServer):
    pass


class HTTPSServer(Strict, fastserve.HTTPSServer):
    pass


class ThreadingHTTPSServer(Strict, fastserve.ThreadingHTTPSServer):
    pass


def secure(server_class: Any, *args: Any) -> Any:
    return server_class(*args, certfile=certificate())


SERVERS: dict[str, Any] = {
    "loop": HTTPServer, "threads": ThreadingHTTPServer,
    "loop, TLS": functools.partial(secure, HTTPSServer),
    "threads, TLS": functools.partial(secure, ThreadingHTTPSServer),
}
PLAIN = ("loop", "threads")


def start(serve: Serve, kind: str = "threads", log: bool = False, seed: int = 0, **attributes: Any) -> Any:
    """An origin that serves; ``attributes`` are the server's."""
    base = Origin if log else QuietOrigin
    scheme = "https" if "TLS" in kind else "http"
    handler = type("Handler", (base,), {
        "seed": seed, "scheme": scheme, "statistics": Statistics(routes.names())})
    server = serve(handler, SERVERS[kind])
    for name, value in attributes.items():
        setattr(server, name, value)
    return server


def connect(server: Any) -> Client:
    """A client of a server, over TLS if it is one of those."""
    kind = TLSClient if isinstance(server, fastserve.HTTPSServer) else Client
    return kind(server.server_address)


def ask(server: Any, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Reply:
    """The answer to one request."""
    with connect(server) as client:
        return client.ask(request(method, target, *fields, body=body))


def session(name: str) -> Any:
    """A client of a library, requests or httpx, as a context manager: nothing of the environment counts."""
    module: Any = pytest.importorskip(name)
    if name == "httpx":
        return module.Client(trust_env=False, timeout=PATIENCE)
    found = module.Session()
    found.trust_env = False
    return found


def base_of(server: Any) -> str:
    """What its URLs begin with."""
    scheme = "https" if isinstance(server, fastserve.HTTPSServer) else "http"
    return f"{scheme}://localhost:{server.server_port}"
