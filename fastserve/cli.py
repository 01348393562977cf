"""The command line of `fastserve` and `python -m fastserve`.

Turns words into a server, says where it listens, and serves until a signal. Whatever keeps it from
starting becomes one line on stderr and exit status 2. Knows no request and no connection. Called by
__main__ and by the console script.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import os
import signal
import socket
import socketserver
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastserve import console, limits
from fastserve.console import Log
from fastserve.server import (
    GOODBYE,
    CGIHTTPRequestHandler,
    HTTPServer,
    HTTPSServer,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
    ThreadingHTTPSServer,
    _banner,
    _get_best_family,
)
from fastserve.serving import processes, systemd
from fastserve.serving.answers import check_path
from fastserve.serving.pidfile import PidFile
from fastserve.serving.unix import UnixServer
from fastserve.stopping import Stopping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from _typeshed import StrPath

PORT: Final = 8000
PROTOCOLS: Final = ("HTTP/1.1", "HTTP/1.0")  # the first is the default
TOKEN_MARKS: Final = "!#$%&'*+-.^_`|~"  # RFC 9110 5.6.2, beside letters and digits

LISTEN_ADVICE: Final = {
    errno.EADDRINUSE: "it is in use; choose another port, or 0 for any free one",
    errno.EACCES: "this needs more rights; choose a port from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address; give --bind one it has, or leave it out",
}


class Refusal(Exception):
    """Why nothing can be served; the text is for the person at the keyboard."""


# -- Words -------------------------------------------------------------------------------------


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= 65535:
        return int(text)
    raise Refusal(f"port {text!r} is not a number from 0 to 65535")


def _workers(text: str) -> int:
    if text == "auto":
        return processes.usable_cpus()
    if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= limits.MAX_WORKERS:
        return int(text)
    raise Refusal(f"number of workers {text!r} is neither auto nor from 1 to {limits.MAX_WORKERS}")


def _grace(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise Refusal(f"grace {text!r} is not a number of seconds")


def _connections(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise Refusal(f"--max-connections {text!r} is not a number from 1 up")


def _health_path(text: str) -> str:
    try:
        check_path(text)
    except ValueError as exc:
        raise Refusal(f"--health path {text!r} is not right: {exc}") from exc
    return text


def _pidfile(path: str) -> PidFile:
    try:
        return PidFile(path)
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot use the pidfile {path!r}: {_reason(exc)}") from exc


def _protocol(text: str) -> str:
    version = text.upper()
    if version in PROTOCOLS:
        return version
    raise Refusal(f"protocol {text!r} is not known; choose HTTP/1.1 or HTTP/1.0")


def _header_value(text: str) -> str:
    """Return the text if a header can carry it: else every answer would fail, one by one."""
    if any(c in "\r\n\0" or c > "\xff" for c in text):
        raise Refusal(f"header value {text!r} must be one line of latin-1 text")
    return text


def _header(name: str, value: str) -> tuple[str, str]:
    if not name or not all(c.isascii() and (c.isalnum() or c in TOKEN_MARKS) for c in name):
        raise Refusal(f"header name {name!r} must consist of letters, digits and {TOKEN_MARKS}")
    return name, _header_value(value)


def _seconds(text: str) -> float:
    number = _number(text)
    if 0 < number <= limits.LONGEST:
        return number
    raise Refusal(f"timeout {text!r} is not a number of seconds above 0")


def _rate(text: str) -> float:
    number = _number(text)
    if 0 <= number <= limits.LONGEST:
        return number
    raise Refusal(f"minimum rate {text!r} is not a number of bytes a second, or 0 for none")


def _number(text: str) -> float:
    """Return what the text is as a decimal number, -1 where it is none."""
    try:
        return float(text) if text.isascii() and "_" not in text else -1
    except ValueError:
        return -1


def _directory(path: str | None) -> str:
    try:
        found = os.getcwd() if path is None else path
        os.stat(os.path.join(found, ""))  # the slash at the end asks for a directory
    except (OSError, ValueError) as exc:
        named = "the current directory" if path is None else f"directory {path!r}"
        raise Refusal(f"cannot serve {named}: {_reason(exc)}; give --directory one that is there") from exc
    return found


def _password(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot read the password file {path!r}: {_reason(exc)}") from exc


def _parser() -> argparse.ArgumentParser:
    import argparse  # here, because importing fastserve must not pay for it

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise Refusal(f"{message} (see {self.prog} --help)")

    parser = Parser(prog=_prog(), description="Serve the files of a directory over HTTP.")
    add = parser.add_argument
    add("port", nargs="?", type=_port, help=f"listen on this port, 0 for any free one (default: {PORT})")
    add("-b", "--bind", metavar="ADDRESS", help="listen on this address (default: all, IPv6 and IPv4)")
    add("-d", "--directory", metavar="DIR", help="serve this directory (default: the current one)")
    add("-p", "--protocol", metavar="VERSION", type=_protocol, default=PROTOCOLS[0],
        help="speak this HTTP version, HTTP/1.1 or HTTP/1.0 (default: %(default)s)")
    add("--cgi", action="store_true",
        help="run scripts in /cgi-bin and /htbin, as user nobody if started by root")
    add("--content-type", metavar="TYPE", type=_header_value,
        default=SimpleHTTPRequestHandler.default_content_type,
        help="content type of files whose name does not tell it (default: %(default)s)")
    add("--tls-cert", metavar="PATH", help="serve HTTPS with the certificate chain in this PEM file")
    add("--tls-key", metavar="PATH", help="PEM file of its private key (default: the certificate's file)")
    add("--tls-password-file", metavar="PATH", help="file that holds the password of the private key")
    add("-H", "--header", nargs=2, action="append", metavar=("NAME", "VALUE"),
        help="send this header with every file and listing (may be repeated)")
    add("--workers", metavar="N", type=_workers,
        help="serve with N processes, auto for one on each CPU (default: this one alone)")
    add("--grace", metavar="SECONDS", type=_grace, default=limits.DRAIN_GRACE,
        help="when stopped, answer what has been asked for, this long (default: %(default)g)")
    add("--version", action="version", version=_version())
    _add_timeouts(parser.add_argument_group("how long clients may take"))
    add = parser.add_argument_group("running as a service").add_argument
    add("--unix", metavar="PATH", help="listen on this unix socket instead of a port")
    add("--pidfile", metavar="PATH", type=_pidfile, help="keep the process's id in this file while serving")
    add("--health", metavar="PATH", type=_health_path,
        help="answer this path with 200 and ok, unlogged, whatever else is going on")
    add("--max-connections", metavar="N", type=_connections,
        help="hold no more connections at once: idle ones are closed, then new clients get 503")
    return parser


def _add_timeouts(group: argparse._ArgumentGroup) -> None:
    usual = limits.Timeouts()
    for name, default, what in (
        ("head", usual.head, "for a request's head, from its first byte to its last"),
        ("idle", usual.idle, "between two requests, and before the first"),
        ("progress", usual.progress, "without a byte, while a body arrives or an answer leaves"),
        ("handshake", usual.handshake, "for a TLS handshake"),
    ):
        group.add_argument(f"--{name}-timeout", metavar="SECONDS", type=_seconds, default=default,
                           help=f"wait so long {what} (default: {default:g})")
    group.add_argument("--min-rate", metavar="BYTES", type=_rate, default=usual.min_rate, help=(
        "cut off who sends a body or takes an answer at fewer bytes a second, on average and after "
        f"{limits.RATE_GRACE:g} seconds or the progress timeout if that is less; 0: nobody "
        "(default: %(default)g)"))


def _timeouts(options: argparse.Namespace) -> limits.Timeouts:
    return limits.Timeouts(
        head=options.head_timeout,
        idle=options.idle_timeout,
        progress=options.progress_timeout,
        handshake=options.handshake_timeout,
        # Who is to be gone after some seconds of nothing is not to stay longer for next to nothing.
        grace=min(limits.RATE_GRACE, options.progress_timeout),
        min_rate=options.min_rate,
    )


def _prog() -> str:
    by_module = os.path.basename(sys.argv[0]) == "__main__.py"
    return "python -m fastserve" if by_module else "fastserve"


def _version() -> str:
    import fastserve

    return f"fastserve {fastserve.__version__}"


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(argv)
    # Not by their truth: an empty path is a variable that is not set, and no wish for plain HTTP.
    if options.tls_cert is None and (options.tls_key, options.tls_password_file) != (None, None):
        parser.error("--tls-key and --tls-password-file need --tls-cert")
    if options.unix is not None and (options.port, options.bind) != (None, None):
        parser.error("--unix takes the place of port and --bind")
    options.inherited = _inherited(options)
    options.port = PORT if options.port is None else options.port
    options.header = [_header(*pair) for pair in options.header or ()]
    options.directory = _directory(options.directory)
    return options


def _inherited(options: argparse.Namespace) -> socket.socket | None:
    """The listening socket that a service manager has passed; it says all about where to listen."""
    try:
        sockets = systemd.listening_sockets()
    except (OSError, ValueError) as exc:
        raise Refusal(str(exc)) from exc
    if len(sockets) > 1:
        raise Refusal(f"{len(sockets)} listening sockets were passed (LISTEN_FDS); one is served, no more")
    if sockets and (options.port, options.bind, options.unix) != (None, None, None):
        raise Refusal("a listening socket was passed (LISTEN_FDS); leave out port, --bind and --unix")
    return sockets[0] if sockets else None


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
        self.given = None if path is None else _password(path)
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
        return _get_best_family(bind, port)
    except (OSError, ValueError) as exc:
        what = f"cannot find the address {bind!r}: {_reason(exc)}"
        raise Refusal(f"{what}; give --bind one of this machine") from exc


def _handler(options: argparse.Namespace) -> Callable[..., SimpleHTTPRequestHandler]:
    base = CGIHTTPRequestHandler if options.cgi else SimpleHTTPRequestHandler
    attributes = {"protocol_version": options.protocol, "default_content_type": options.content_type}
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
        "timeouts": _timeouts(options),
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


def _reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)


def _listen_trouble(exc: Exception, options: argparse.Namespace) -> str:
    if options.unix is not None:
        return f"cannot listen on the unix socket {options.unix!r}: {_reason(exc)}"
    where = f"port {options.port}" + (f" of {options.bind}" if options.bind else "")
    advice = LISTEN_ADVICE.get(getattr(exc, "errno", None) or 0)
    return f"cannot listen on {where}: {advice or _reason(exc)}"


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
        return f"cannot read the {kind} {path!r}: {_reason(exc)}"
    return None if found else f"there is no PEM {kind} in {path!r}; name its file with {option}"


# -- Running -----------------------------------------------------------------------------------


def _leave(signum: int) -> None:
    """A signal has begun the end: from now on we wait for nobody who is to hear us."""
    Log.leaving = True
    systemd.notify(systemd.STOPPING)
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
        raise Refusal(_tls_trouble(exc, options, httpd.password) or _reason(exc)) from exc


@contextlib.contextmanager
def _pid_kept(options: argparse.Namespace) -> Iterator[None]:
    """Whoever manages the service finds the process while it serves."""
    if options.pidfile is None:
        yield
        return
    try:
        options.pidfile.write()
    except OSError as exc:
        raise Refusal(f"cannot write the pidfile {options.pidfile.path!r}: {_reason(exc)}") from exc
    try:
        yield
    finally:
        options.pidfile.remove()


def _serve(httpd: HTTPServer, options: argparse.Namespace, stopping: Stopping) -> None:
    banner = _banner(httpd, "http" if options.tls_cert is None else "https")

    def announce() -> None:
        systemd.notify(systemd.READY)
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
    processes.supervise(
        httpd, options.workers, grace=options.grace, share=options.inherited is not None,
        prepare=begin, ready=announce, reload=reload,
        ending=functools.partial(systemd.notify, systemd.STOPPING))


def main(argv: list[str] | None = None) -> int:
    """Serve as the command line says until a signal; return the exit status.

    It takes the process as its own: it sets signal handlers, so it runs in the main thread.
    """
    console.open_log()
    stopping = Stopping(_leave)
    stopping.catch()
    try:
        options = _options(argv)
        stopping.grace = options.grace
        with _server(options) as httpd:
            with _pid_kept(options):
                _serve(httpd, options, stopping)
            stopping.ignore()
    except Refusal as refusal:
        console.complain(str(refusal))
        return 2
    except processes.GaveUp as reason:
        console.complain(str(reason))
        return 1
    except KeyboardInterrupt:
        Log.leaving = True
        console.say(GOODBYE)
    return 0
