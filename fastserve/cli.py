"""The command line of `fastserve` and `python -m fastserve`.

Makes a server of what was asked for, says where it listens, and serves until a signal. Whatever keeps it from
starting becomes one line on stderr and exit status 2. Knows no request and no connection. Called by
__main__ and by the console script.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import socket
import socketserver
import sys
from typing import TYPE_CHECKING, Any, Final

from fastserve import console, server
from fastserve.console import Log
from fastserve.options import Refusal, parse, read_password, reason, timeouts
from fastserve.server import (
    GOODBYE,
    HTTPServer,
    HTTPSServer,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
    ThreadingHTTPSServer,
    _banner,
    _get_best_family,
)
from fastserve.stopping import Stopping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from _typeshed import StrPath

LISTEN_ADVICE: Final = {
    errno.EADDRINUSE: "it is in use; choose another port, or 0 for any free one",
    errno.EACCES: "this needs more rights; choose a port from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address; give --bind one it has, or leave it out",
}


class _Failure(Exception):
    """Why nothing is served any more."""


# -- A server ----------------------------------------------------------------------------------


class _DualStack(socketserver.TCPServer):
    """Answers IPv4 too when it listens on every IPv6 address, whatever the system's default is."""

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            with contextlib.suppress(OSError):  # some systems refuse; IPv6 alone is then served
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Inheriting(socketserver.TCPServer):
    """Its address is a socket that listens already."""

    def server_bind(self) -> None:
        """See server_activate()."""

    def server_activate(self) -> None:
        self.adopt(self.server_address)  # type: ignore[attr-defined]


class _KeyPassword:
    """What OpenSSL calls for the password of a private key; it calls only if the key has one."""

    def __init__(self, path: str | None) -> None:
        self.given = None if path is None else read_password(path)
        self.asked = False

    def __call__(self) -> str:
        self.asked = True
        if self.given is not None:
            return self.given
        if sys.stdin is not None and sys.stdin.isatty():
            import getpass

            with contextlib.suppress(EOFError):
                self.given = getpass.getpass("Password of the private key: ")
                return self.given
        raise Refusal("the private key is encrypted; give its password with --tls-password-file")


def _address(bind: str | None, port: int) -> tuple[int, Any]:
    if bind is None:
        bind = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    try:
        # As octets: a str goes through the codec for names that are no ASCII, which is to be imported.
        return _get_best_family(bind.encode() if bind.isascii() and bind.isprintable() else bind, port)
    except (OSError, ValueError) as exc:
        what = f"cannot find the address {bind!r}: {reason(exc)}"
        raise Refusal(f"{what}; give --bind one of this machine") from exc


def _handler(options: argparse.Namespace) -> Callable[..., SimpleHTTPRequestHandler]:
    base = server.CGIHTTPRequestHandler if options.cgi else SimpleHTTPRequestHandler
    attributes = {
        "protocol_version": options.protocol,
        "default_content_type": options.content_type,
        "default_charset": options.charset,
        "precompressed": options.precompressed,
        "follow_symlinks": not options.no_symlinks,
        "hide_dotfiles": options.hide_dotfiles,
    }
    handler = type("Handler", (base,), attributes)
    return functools.partial(handler, directory=options.directory, extra_response_headers=options.header)


def _server_base(options: argparse.Namespace) -> type[HTTPServer]:
    """Scripts may take long, so each gets a thread; files do not."""
    if options.cgi:
        return ThreadingHTTPServer if options.tls_cert is None else ThreadingHTTPSServer
    return HTTPServer if options.tls_cert is None else HTTPSServer


class _ServesOnce(socketserver.TCPServer):
    """Lets clients be refused who come after the end has begun, so that they try elsewhere, or again."""

    def _fastserve_accepts_no_more(self) -> None:
        self.socket.close()


def _place(options: argparse.Namespace) -> tuple[type, int, Any]:
    """What a server class is to be mixed with in order to listen, the address family, and the address."""
    if options.unix is not None:
        from fastserve.serving.unix import UnixServer

        return UnixServer, socket.AF_UNIX, options.unix
    if options.inherited is not None:
        return _Inheriting, options.inherited.family, options.inherited
    return _DualStack, *_address(options.bind, options.port)


def _server(options: argparse.Namespace) -> HTTPServer:
    mixin, family, address = _place(options)
    secure = options.tls_cert is not None
    bases: tuple[type, ...] = (_ServesOnce, mixin, _server_base(options))
    attributes = {
        "address_family": family,
        "timeouts": timeouts(options),
        "health_path": options.health,
        "max_connections": options.max_connections,
    }
    server_class: Callable[..., HTTPServer] = type("Server", bases, attributes)
    password = _KeyPassword(options.tls_password_file)
    tls: dict[str, Any] = {}
    if secure:
        tls = {"certfile": options.tls_cert, "keyfile": options.tls_key, "password": password}
    try:
        return server_class(address, _handler(options), **tls)
    except (OSError, ValueError) as exc:
        why = _tls_trouble(exc, options, password) if secure else None
        raise Refusal(why or _listen_trouble(exc, options)) from exc
    except RuntimeError as exc:  # this Python was built without ssl
        raise Refusal(str(exc)) from exc


# -- What is wrong -----------------------------------------------------------------------------


def _listen_trouble(exc: Exception, options: argparse.Namespace) -> str:
    if options.unix is not None:
        return f"cannot listen on the unix socket {options.unix!r}: {reason(exc)}"
    where = f"port {options.port}" + (f" of {options.bind}" if options.bind else "")
    advice = LISTEN_ADVICE.get(getattr(exc, "errno", None) or 0)
    return f"cannot listen on {where}: {advice or reason(exc)}"


def _tls_trouble(exc: Exception, options: argparse.Namespace, password: _KeyPassword) -> str | None:
    """Look for the cause in the files, because OpenSSL mostly says no more than "PEM lib"."""
    import ssl

    cert, key = options.tls_cert, options.tls_cert if options.tls_key is None else options.tls_key
    trouble = _pem_trouble(cert, "CERTIFICATE-----", "certificate")
    trouble = trouble or _pem_trouble(key, "PRIVATE KEY-----", "private key")
    if trouble or not isinstance(exc, (ssl.SSLError, ValueError)):
        return trouble  # None means that it is the listening that failed
    if getattr(exc, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"the private key in {key!r} does not belong to the certificate in {cert!r}"
    if password.asked:
        return f"the password does not open the private key in {key!r}; see --tls-password-file"
    return f"cannot serve HTTPS with {cert!r} and {key!r}: {exc}"


def _pem_trouble(path: StrPath, mark: str, kind: str) -> str | None:
    option = "--tls-cert" if kind == "certificate" else "--tls-key"
    try:
        with open(path, encoding="latin-1") as file:
            found = mark in file.read()
    except (OSError, ValueError) as exc:
        return f"cannot read the {kind} {path!r}: {reason(exc)}"
    return None if found else f"there is no PEM {kind} in {path!r}; name its file with {option}"


# -- Running -----------------------------------------------------------------------------------


def _tell_manager(state: str) -> None:
    """Tell whoever manages the service that it is READY or STOPPING."""
    if "NOTIFY_SOCKET" in os.environ:
        from fastserve.serving import systemd

        systemd.notify(f"{state}=1")


def _leave(signum: int) -> None:
    """A signal has begun the end: from now on we wait for nobody who is to hear us."""
    Log.leaving = True
    _tell_manager("STOPPING")
    if signum == signal.SIGINT:
        console.say_at_once(GOODBYE)
    Log.give_up()


def _begin_work(httpd: HTTPServer, grace: float) -> None:
    """In a worker: wait for readers, and when SIGTERM comes, end as a process does that serves alone."""
    Log.begin()
    os.environ.pop("NOTIFY_SOCKET", None)  # what state the service is in, the supervisor tells
    stopping = Stopping(_leave)
    stopping.server, stopping.grace = httpd, grace
    signal.signal(signal.SIGTERM, stopping)


def _reload_certificate(httpd: Any, options: argparse.Namespace) -> None:
    """Raise Refusal where the files are not right, and change nothing then."""
    try:
        httpd._create_context()
        httpd.socket.context.load_cert_chain(httpd.certfile, httpd.keyfile, httpd.password)
    except (OSError, ValueError) as exc:
        raise Refusal(_tls_trouble(exc, options, httpd.password) or reason(exc)) from exc


@contextlib.contextmanager
def _pid_kept(options: argparse.Namespace) -> Iterator[None]:
    """Whoever manages the service finds the process while it serves."""
    if options.pidfile is None:
        yield
        return
    try:
        options.pidfile.write()
    except OSError as exc:
        raise Refusal(f"cannot write the pidfile {options.pidfile.path!r}: {reason(exc)}") from exc
    try:
        yield
    finally:
        options.pidfile.remove()


def _serve(httpd: HTTPServer, options: argparse.Namespace, stopping: Stopping) -> None:
    banner = _banner(httpd, "http" if options.tls_cert is None else "https")

    def announce() -> None:
        _tell_manager("READY")
        console.say(banner)

    if options.workers is None:
        stopping.server = httpd
        announce()
        httpd.serve_forever()
        return
    console.share_log()
    Log.leaving = True  # who waits for a reader of its words does not see to its workers
    begin = functools.partial(_begin_work, httpd, options.grace)
    reload = None if options.tls_cert is None else functools.partial(_reload_certificate, httpd, options)
    from fastserve.serving import processes

    try:
        processes.supervise(
            httpd, options.workers, grace=options.grace, share=options.inherited is not None,
            prepare=begin, ready=announce, reload=reload, ending=functools.partial(_tell_manager, "STOPPING"))
    except processes.GaveUp as gave_up:
        raise _Failure(str(gave_up)) from gave_up


def main(argv: list[str] | None = None) -> int:
    """Serve as the command line says until a signal; return the exit status.

    It takes the process as its own: it sets signal handlers, so it runs in the main thread.
    """
    console.open_log()
    stopping = Stopping(_leave)
    stopping.catch()
    try:
        options = parse(argv)
        stopping.grace = options.grace
        with _server(options) as httpd:
            with _pid_kept(options):
                _serve(httpd, options, stopping)
            stopping.ignore()
    except Refusal as refusal:
        console.complain(str(refusal))
        return 2
    except _Failure as failure:
        console.complain(str(failure))
        return 1
    except KeyboardInterrupt:
        Log.leaving = True
        console.say(GOODBYE)
    return 0
