"""Servers over TLS in every way that programs make them.

Knows fastserve's public classes only.
"""

import contextlib
import functools
import socketserver
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers import request
from pairs import TLSClient, certificate, client_context, server_context
from serving.apps import Errors, HTTPServer, ThreadingHTTPServer

import fastserve


class HTTPSServer(Errors, fastserve.HTTPSServer):
    pass


class ThreadingHTTPSServer(Errors, fastserve.ThreadingHTTPSServer):
    pass


class PoolHTTPSServer(HTTPSServer):
    """With a process_request() of its own, as people write it for a pool of threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.pool = ThreadPoolExecutor(4)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.pool.submit(socketserver.ThreadingMixIn.process_request_thread, self, request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self.pool.shutdown()


class Wrapping(HTTPServer):
    """Wraps each connection in get_request(), whose caller then waits for the handshake."""

    at_once = True

    def __init__(self, *args: Any) -> None:
        self.context = server_context()
        super().__init__(*args)

    def get_request(self) -> Any:
        sock, address = super().get_request()
        try:
            return self.wrapped(sock), address
        except OSError:
            sock.close()
            raise

    def wrapped(self, sock: Any) -> Any:
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=self.at_once)


class WrappingForLater(Wrapping):
    """The same, but for the handshake."""

    at_once = False


def wrapped(server_class: Any, *args: Any, context: ssl.SSLContext | None = None) -> Any:
    """As programs have long done it with http.server."""
    server = server_class(*args)
    server.socket = (context or server_context()).wrap_socket(server.socket, server_side=True)
    return server


def with_files(server_class: Any, *args: Any) -> Any:
    return server_class(*args, certfile=certificate())


SERVERS = {
    "loop": functools.partial(with_files, HTTPSServer),
    "threads": functools.partial(with_files, ThreadingHTTPSServer),
    "loop, old habit": functools.partial(wrapped, HTTPServer),
    "threads, old habit": functools.partial(wrapped, ThreadingHTTPServer),
}
# As above, and with a server class's own hooks.
ALL_SERVERS = {
    **SERVERS,
    "pool": functools.partial(with_files, PoolHTTPSServer),
    "get_request": Wrapping,
    "get_request, handshake later": WrappingForLater,
}


def answers(server: Any, target: str = "/hello") -> bool:
    """Whether a new client gets its answer."""
    with TLSClient(server.server_address) as client:
        return client.ask(request(target=target)).body == target.encode()


def hello() -> bytes:
    """The first octets of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
