"""The servers, and the one place where handlers and serving meet.

HTTPServer is a socketserver.TCPServer whose serve_forever() is the loop. Everything else is the standard
library's: the hooks a subclass overrides, handle_request(), the context manager.

Programs import their classes from here or from the package.
"""

import socket
import socketserver
import threading
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from fastserve import limits
from fastserve.handlers.base import (
    DEFAULT_ERROR_CONTENT_TYPE,
    DEFAULT_ERROR_MESSAGE,
    BaseHTTPRequestHandler,
)
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.serving import tls
from fastserve.serving.loop import Loop

if TYPE_CHECKING:
    import ssl

__all__ = [
    "DEFAULT_ERROR_CONTENT_TYPE",
    "DEFAULT_ERROR_MESSAGE",
    "BaseHTTPRequestHandler",
    "HTTPSServer",
    "HTTPServer",
    "SimpleHTTPRequestHandler",
    "ThreadingHTTPSServer",
    "ThreadingHTTPServer",
]


POLL_INTERVAL: Final = 0.5


class HTTPServer(socketserver.TCPServer):
    """Serves ``server_address`` with ``RequestHandlerClass``, a class or any callable that makes a handler.

    Handlers run one at a time, on the thread that called serve_forever(), and no idle or slow connection
    holds it up.
    """

    allow_reuse_address = True
    allow_reuse_port = False
    request_queue_size = limits.BACKLOG

    server_port: int
    __server_name: str | None = None
    # Nothing is made in an __init__, which a subclass may leave out: it has a socket of its own, say.
    __lock = threading.Lock()  # of all servers, and held for moments
    __loop: Loop | None = None
    __stopped: threading.Event
    __stops = False  # shutdown() was called before serve_forever() had begun

    def server_bind(self) -> None:
        """Bind the socket and keep its port as ``server_port``."""
        super().server_bind()
        if isinstance(self.server_address, tuple):
            self.server_port = self.server_address[1]
        if self.address_family in (socket.AF_INET, socket.AF_INET6):
            # Accepted sockets inherit it, so that no connection pays a call of its own.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    @property
    def server_name(self) -> str:
        """The host's full name (str), looked up when it is first asked for and not while binding."""
        if self.__server_name is None:
            host = self.server_address[0] if isinstance(self.server_address, tuple) else ""
            self.__server_name = socket.getfqdn(str(host))
        return self.__server_name

    @server_name.setter
    def server_name(self, name: str) -> None:
        self.__server_name = name

    def serve_forever(self, poll_interval: float | None = POLL_INTERVAL) -> None:
        """Serve until shutdown(). ``poll_interval`` is how often, in seconds, service_actions() is called.

        None, which http.server takes for never, is the default.
        """
        with self.__lock:
            stops, self.__stops = self.__stops, False
            if stops:
                return
            loop = self.__loop = Loop(self)
            stopped = self.__stopped = threading.Event()
        try:
            loop.run(POLL_INTERVAL if poll_interval is None else poll_interval)
        finally:
            self.__loop = None
            stopped.set()

    def shutdown(self) -> None:
        """Stop serve_forever() and wait until it has returned.

        Where it is not running, the next call of it returns at once, as that of a thread that was started
        and has not got there yet. From the serving thread itself, which cannot wait for its own end, it
        only asks for it.
        """
        with self.__lock:
            loop = self.__loop
            self.__stops = loop is None
            if loop is None:
                return
            stopped = self.__stopped
        loop.stop()
        if not loop.is_mine():
            stopped.wait()


class ThreadingHTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    """HTTPServer that gives each connection a thread, once its first bytes are there."""

    daemon_threads = True


class HTTPSServer(HTTPServer):
    """HTTPServer over TLS. ``certfile`` and ``keyfile`` are paths of PEM files, ``password`` opens the key.

    Raises RuntimeError where Python has no ssl module, OSError where the files are not right.
    """

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Any,
        bind_and_activate: bool = True,
        *,
        certfile: str | PathLike[str],
        keyfile: str | PathLike[str] | None = None,
        password: tls.Password | None = None,
        alpn_protocols: Iterable[str] | None = None,
    ) -> None:
        tls.require_ssl()
        self.certfile = certfile
        self.keyfile = keyfile
        self.password = password
        self.alpn_protocols = ["http/1.1"] if alpn_protocols is None else alpn_protocols
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)

    def server_activate(self) -> None:
        """Listen, and take every connection through TLS from then on."""
        super().server_activate()
        self.socket = self._create_context().wrap_socket(self.socket, server_side=True)
        tls.defer_handshakes(self.socket)

    def _create_context(self) -> "ssl.SSLContext":
        return tls.make_context(self.certfile, self.keyfile, self.password, self.alpn_protocols)


class ThreadingHTTPSServer(socketserver.ThreadingMixIn, HTTPSServer):
    """HTTPSServer that gives each connection a thread."""

    daemon_threads = True
