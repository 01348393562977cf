"""The servers, the one place where handlers and serving meet, and all that programs look for in http.server.

HTTPServer is a socketserver.TCPServer whose serve_forever() is the loop. Everything else is the standard
library's: the hooks a subclass overrides, handle_request(), the context manager. test() serves a class until
Ctrl-C. The names are http.server's, those that are not documented too where programs use them.

Programs import from here or from the package; the command line is made of the same parts.
"""

import functools
import io  # noqa: F401  (programs write http.server.io; so of the others with this mark)
import itertools  # noqa: F401
import mimetypes  # noqa: F401
import os  # noqa: F401
import posixpath  # noqa: F401
import select  # noqa: F401
import socket
import socketserver
import sys
import threading
import time  # noqa: F401
import urllib.parse  # noqa: F401
import weakref
from collections.abc import Iterable
from http import HTTPStatus  # noqa: F401
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from fastserve import _files, _tally, limits
from fastserve.handlers import replay
from fastserve.handlers.base import (
    DEFAULT_ERROR_CONTENT_TYPE,
    DEFAULT_ERROR_MESSAGE,
    BaseHTTPRequestHandler,
)
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.overrides import gives_threads, is_own
from fastserve.serving import tls
from fastserve.serving.loop import PLAIN_PROCESS, Loop

if TYPE_CHECKING:
    import ssl

    from _typeshed import StrPath

    from fastserve.handlers.cgi import CGIHTTPRequestHandler

__all__ = [
    "DEFAULT_ERROR_CONTENT_TYPE",
    "DEFAULT_ERROR_MESSAGE",
    "BaseHTTPRequestHandler",
    "CGIHTTPRequestHandler",
    "HTTPSServer",
    "HTTPServer",
    "SimpleHTTPRequestHandler",
    "ThreadingHTTPSServer",
    "ThreadingHTTPServer",
]

# What http.server has said since Python 2; subclasses put it into server_version.
__version__ = "0.6"

POLL_INTERVAL: Final = 0.5

PLAIN_FINISH: Final = socketserver.BaseServer.finish_request

NAMES_OF_CGI: Final = ("CGIHTTPRequestHandler", "_url_collapse_path", "executable", "nobody", "nobody_uid")

GOODBYE: Final = "\nKeyboard interrupt received, exiting."


def __getattr__(name: str) -> Any:
    """Import what some programs look for here, and nothing of ours needs at the start."""
    if name in ("copy", "datetime", "email", "html", "http", "shutil"):
        found = _modules()
    elif name in NAMES_OF_CGI:
        found = _names_of_cgi()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for each, value in found.items():
        globals().setdefault(each, value)
    return found[name]


def _modules() -> dict[str, Any]:
    import copy
    import datetime
    import email.utils
    import html
    import http.client
    import shutil

    return {"copy": copy, "datetime": datetime, "email": email, "html": html, "http": http, "shutil": shutil}


def _names_of_cgi() -> dict[str, Any]:
    from fastserve.handlers import cgi

    return {name: getattr(cgi, name) for name in NAMES_OF_CGI}


def _kind_of_loop(server: socketserver.BaseServer) -> type[Loop]:
    if not gives_threads(server):
        return Loop
    from fastserve.serving.leader import Leader  # for servers with threads

    return Leader


class _Policy(replay.Replay):
    """What Recordings asks: also whether the server makes handlers in its own way, and of the same class."""

    def __init__(self, server: socketserver.BaseServer) -> None:
        super().__init__(server.RequestHandlerClass)
        self._server = weakref.proxy(server)

    def fingerprint(self) -> Any:
        server = self._server
        plain = is_own(server.finish_request, PLAIN_FINISH) and (
            gives_threads(server) or is_own(server.process_request, PLAIN_PROCESS))
        return super().fingerprint() if plain and server.RequestHandlerClass is self.maker else None


class _PromisedPolicy(_Policy, replay.Promised):
    """The same, of a class that promises."""


class HTTPServer(socketserver.TCPServer):
    """Serves ``server_address`` with ``RequestHandlerClass``, a class or any callable that makes a handler.

    Handlers run one at a time, on the thread that called serve_forever(), and no idle or slow connection
    holds it up.
    """

    allow_reuse_address = True
    allow_reuse_port = False
    request_queue_size = limits.BACKLOG
    # How long clients may take: a limits.Timeouts, read when serving begins. What is none is not for us.
    timeouts: limits.Timeouts = limits.Timeouts()

    # The path to which the loop itself answers GET and HEAD with 200, unlogged, also while all handlers are
    # busy. A connection that an override of handle() or process_request() has taken is theirs: there only its
    # first request is looked at, and over TLS none.
    health_path: str | None = None
    # The path to which the loop itself answers GET and HEAD with figures, in Prometheus' text format, and as
    # health_path in all else; serving.metrics tells of the figures. Nothing is counted where this is None.
    metrics_path: str | None = None
    # How many connections there may be, at least 1. Beyond that the one that has been idle between two
    # requests the longest is closed; where none is idle, the new client is told 503, or over TLS just closed.
    # Connections that an override of process_request() has taken are not counted.
    max_connections: int | None = None
    # How many answers may be kept to be sent again, where the handler class allows it; 0 for none.
    max_recordings: int = limits.MAX_RECORDINGS

    server_port: int
    __server_name: str | None = None
    # Nothing is made in an __init__, which a subclass may leave out: it has a socket of its own, say.
    # Of all servers, held for moments. A signal's handler or the __del__ of garbage may come back to it.
    __lock = threading.RLock()
    __loop: Loop | None = None
    __last_loop: Loop | None = None
    __recordings: _files.Recordings | None = None
    __tally: _tally.Tally | None = None
    __grace: float | None = None  # of a drain() that the next serve_forever() is to heed
    # socketserver's own, and by these names: old programs set the first and wait for the second.
    _BaseServer__shutdown_request = False
    _BaseServer__is_shut_down: threading.Event

    def server_bind(self) -> None:
        """Bind the socket and keep its port as ``server_port``, which is 0 where the address has none."""
        socketserver.TCPServer.server_bind(self)  # past a class that stands between, as http.server's does
        self.__is_bound()

    def __is_bound(self) -> None:
        self.server_port = self.server_address[1] if isinstance(self.server_address, tuple) else 0
        if self.address_family in (socket.AF_INET, socket.AF_INET6):
            # Accepted sockets inherit it, so that no connection pays a call of its own.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def adopt(self, listener: socket.socket) -> None:
        """Serve on ``listener``, which listens already, in place of the socket that was made for the address.

        Instead of server_bind() and server_activate(): the server is made with bind_and_activate=False.
        ``listener`` is the server's own from then on. Raises OSError where it is closed.
        """
        address = listener.getsockname()
        self.socket.close()
        self.socket, self.server_address, self.address_family = listener, address, listener.family
        self.__is_bound()

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

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; return its socket and its client's address.

        A TLS handshake is made here only where no loop would make it, that is for handle_request(). Raises
        OSError where that fails, which socketserver takes for a client that is gone.
        """
        loop = self.__loop
        if loop is not None and loop.is_mine():
            return super().get_request()
        tls.defer_handshakes(self.socket)
        sock, address = super().get_request()
        timeouts = self.timeouts if isinstance(self.timeouts, limits.Timeouts) else limits.Timeouts()
        tls.shake_hands(sock, address, timeouts.handshake)
        return sock, address

    def serve_forever(self, poll_interval: float | None = POLL_INTERVAL) -> None:
        """Serve until shutdown() or drain().

        ``poll_interval`` is how often, in seconds, service_actions() is called.

        None, which http.server takes for never, is the default.
        """
        # Made before the lock is taken: to allocate may be to collect garbage, which may stop other servers.
        tally = self.__count()
        recordings = self.__recordings = self.__make_recordings(tally)
        loop = _kind_of_loop(self)(self, OWN_ACCEPT, recordings, tally)
        stopped = threading.Event()
        with self.__lock:
            self._BaseServer__is_shut_down, self.__loop = stopped, loop
            grace, self.__grace = self.__grace, None
        if grace is not None:
            loop.drain(grace)
        try:
            loop.run(POLL_INTERVAL if poll_interval is None else poll_interval)
        finally:
            self._BaseServer__shutdown_request = False
            self.__loop, self.__last_loop = None, loop
            stopped.set()

    @property
    def recordings(self) -> _files.Recordings | None:
        """The answers that are kept to be sent again, while it serves; None where none ever are.

        ``len()`` of it says how many there are, ``hits`` how often one was sent, ``octets`` and
        ``descriptors`` what they hold.
        """
        return self.__recordings

    def __count(self) -> _tally.Tally | None:
        """What counts in this process, if anything is to be counted."""
        if getattr(self, "metrics_path", None) is None:
            return None
        from fastserve.serving import metrics

        if self.__tally is None:
            self.__tally = metrics.make_tally(None)
        metrics.begin(self.__tally)
        return self.__tally

    @property
    def _fastserve_tally(self) -> _tally.Tally | None:
        """What counts for this server, None where nothing does."""
        return self.__tally

    def _fastserve_forks(self, workers: int) -> None:
        """Called before so many processes are forked to serve, each of which counts for all of them."""
        if getattr(self, "metrics_path", None) is not None:
            from fastserve.serving import metrics

            self.__tally = metrics.make_tally(workers)

    def _fastserve_ends(self) -> None:
        """Called in a worker, which ends without what Python does at its end: leave nothing behind."""
        for module, name in (("fastserve.handlers.storing", "discard_all"),
                             ("fastserve.handlers.script", "terminate_all")):
            if module in sys.modules:
                getattr(sys.modules[module], name)()

    def __make_recordings(self, tally: _tally.Tally | None) -> _files.Recordings | None:
        most = getattr(self, "max_recordings", 0)
        policy = (_PromisedPolicy if replay.promises(self.RequestHandlerClass) else _Policy)(self)
        if not most or not policy.may_replay():
            return None
        return _files.Recordings(policy, (policy.kind, type(self)), most, tally)

    def shutdown(self) -> None:
        """Stop serve_forever() and wait until it has returned.

        Where it is not running, the next call of it returns at once, as that of a thread that was started
        and has not got there yet. From the serving thread itself, which cannot wait for its own end, it
        only asks for it.
        """
        with self.__lock:
            loop = self.__loop
            if loop is None:
                self._BaseServer__shutdown_request = True
                return
            stopped = self._BaseServer__is_shut_down
        loop.stop()
        if not loop.is_mine():
            stopped.wait()

    def drain(self, grace: float = limits.DRAIN_GRACE) -> None:
        """Let serve_forever() return once it has answered what has been asked for, and lose no request.

        It accepts what waits to be accepted and no more, gives idle clients a moment for their last request,
        and ends every connection behind an answer that says so. After ``grace`` seconds it returns in any
        case, but not out of a handler that runs in its own thread. Connections that a process_request() of
        the server class has taken are left to that.

        Returns at once; any thread or a signal handler may call it. Where serve_forever() is not running, the
        next call of it does this. Clients that connect meanwhile wait until the socket is served again, or
        closed.
        """
        with self.__lock:
            if self.__loop is None:
                self.__grace = grace
            else:
                self.__loop.drain(grace)

    def _fastserve_accepts_no_more(self) -> None:
        """Called when drain() has emptied the backlog. Who will not serve again may close the socket here."""

    def server_close(self) -> None:
        """Stop listening.

        Handlers under way are waited for where ``block_on_close`` is set and ``daemon_threads`` is not.
        """
        super().server_close()
        waits = not getattr(self, "daemon_threads", True) and getattr(self, "block_on_close", True)
        if waits and self.__last_loop is not None:
            self.__last_loop.join()


# As it is here, whoever patches it later.
OWN_ACCEPT: Final = HTTPServer.get_request


class ThreadingHTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    """HTTPServer whose handlers may wait: each that does has a thread of its own meanwhile.

    ``max_threads`` is how many handlers may run at a time (int), None for any number; more requests wait.
    """

    daemon_threads = True
    max_threads: int | None = None


class HTTPSServer(HTTPServer):
    """HTTPServer over TLS. ``certfile`` and ``keyfile`` are paths of PEM files, ``password`` opens the key.

    Raises RuntimeError where Python has no ssl module, OSError where the files are not right.
    """

    # Whether the kernel may encrypt, where it and OpenSSL offer that: files leave by sendfile then. It is to
    # be asked for: smaller answers cost more system calls, and nobody has run it on such a kernel yet.
    kernel_tls: bool = False

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
        self.__secure()

    def adopt(self, listener: socket.socket) -> None:
        """As HTTPServer's, and take every connection through TLS from then on."""
        super().adopt(listener)
        self.__secure()

    def __secure(self) -> None:
        self.socket = self._create_context().wrap_socket(self.socket, server_side=True)
        tls.defer_handshakes(self.socket)

    def _create_context(self) -> "ssl.SSLContext":
        return tls.make_context(
            self.certfile, self.keyfile, self.password, self.alpn_protocols, self.kernel_tls)


class ThreadingHTTPSServer(socketserver.ThreadingMixIn, HTTPSServer):
    """HTTPSServer whose handlers may wait, as those of ThreadingHTTPServer."""

    daemon_threads = True
    max_threads: int | None = None


# -- A server for a class ----------------------------------------------------------------------


def _get_best_family(*address: Any) -> tuple[int, Any]:
    """Return the address family and socket address that the system puts first for host and port."""
    wanted: dict[str, Any] = {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}
    family, _, _, _, sockaddr = socket.getaddrinfo(*address, **wanted)[0]
    return family, sockaddr


def _banner(httpd: socketserver.TCPServer, scheme: str) -> str:
    """Return http.server's first line, which programs wait for; that of a unix socket has its path."""
    address = httpd.socket.getsockname()
    if not isinstance(address, tuple):
        from fastserve.serving import unix

        return f"Serving {scheme.upper()} on unix:{unix.shown(address)} ..."
    host, port = address[:2]
    url_host = f"[{host}]" if ":" in host else host
    return f"Serving {scheme.upper()} on {host} port {port} ({scheme}://{url_host}:{port}/) ..."


def _make_server(
    HandlerClass: Any,
    ServerClass: Any,
    protocol: str,
    port: int,
    bind: str | None,
    tls_cert: "StrPath | None",
    tls_key: "StrPath | None",
    tls_password: str | None,
    content_type: str | None,
) -> Any:
    ServerClass.address_family, address = _get_best_family(bind, port)
    handler = HandlerClass
    while handler is not None:  # a partial hands its attributes to nobody, so set them where it leads
        handler.protocol_version = protocol
        if content_type is not None:
            handler.default_content_type = content_type
        handler = handler.func if isinstance(handler, functools.partial) else None
    if not tls_cert:
        return ServerClass(address, HandlerClass)
    return ServerClass(address, HandlerClass, certfile=tls_cert, keyfile=tls_key, password=tls_password)


def test(
    HandlerClass: Any = SimpleHTTPRequestHandler,
    ServerClass: Any = ThreadingHTTPServer,
    protocol: str = "HTTP/1.0",
    port: int = 8000,
    bind: str | None = None,
    tls_cert: "StrPath | None" = None,
    tls_key: "StrPath | None" = None,
    tls_password: str | None = None,
    content_type: str | None = None,
) -> None:
    """Serve a handler class until Ctrl-C, as http.server's function of this name does.

    ServerClass must take certfile, keyfile and password when a certificate is given.
    """
    with _make_server(
        HandlerClass, ServerClass, protocol, port, bind, tls_cert, tls_key, tls_password, content_type
    ) as httpd:
        try:
            print(_banner(httpd, "https" if tls_cert else "http"), flush=True)
            httpd.serve_forever()
        except KeyboardInterrupt:
            print(GOODBYE)
            sys.exit(0)
