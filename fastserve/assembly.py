"""A server of what the options say: its classes, its handler, its certificate, and what is wrong with them.

Knows options as they were judged, and no signal and no stream. cli calls it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import socketserver
import sys
from typing import TYPE_CHECKING, Any, Final

from fastserve import server
from fastserve.console import may_colour
from fastserve.handlers.folder import FolderHandler
from fastserve.options import timeouts
from fastserve.server import (
    HTTPServer,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
    ThreadingHTTPSServer,
    _get_best_family,
)
from fastserve.words import SETTINGS_FILE, Refusal, read_password, reason

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from _typeshed import StrPath

LISTEN_ADVICE: Final = {
    errno.EACCES: "this needs more rights; choose a port from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address; give --bind one it has, or leave it out",
}
NOT_FOUND_PAGE: Final = "404.html"
NEXT_PORTS: Final = 100  # looked at for a free one

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


class KeyPassword:
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


# -- A handler ---------------------------------------------------------------------------------


def _handler(options: argparse.Namespace) -> Callable[..., SimpleHTTPRequestHandler]:
    handler = type("Handler", tuple(_bases(options)), _attributes(options))
    return functools.partial(
        handler, directory=options.directory, extra_response_headers=_fields_of_files(options))


def _bases(options: argparse.Namespace) -> Iterator[type]:
    """What is asked for and nothing more, as each thing that a class does is to be proven replayable."""
    if log := _log_mixin(options):
        yield log
    if options.credentials is not None:
        from fastserve.handlers.authentication import AuthenticationMixin

        yield AuthenticationMixin
    if options.upload is not None:
        from fastserve.handlers.upload import UploadMixin

        yield UploadMixin
    if options.cors is not None or options.isolate:
        from fastserve.handlers.sharing import SharingMixin

        yield SharingMixin
    yield server.CGIHTTPRequestHandler if options.cgi else FolderHandler


def _log_mixin(options: argparse.Namespace) -> type | None:
    colour = options.log_file is None and options.log_format == "http.server" and may_colour(sys.stderr)
    if not (colour or options.quiet) and options.log_format == "http.server":
        return None  # and nothing to import
    from fastserve.handlers.logs import log_class

    return log_class(options.log_format, colour, options.quiet)


def _attributes(options: argparse.Namespace) -> dict[str, Any]:
    found = {
        "protocol_version": options.protocol,
        "default_content_type": options.content_type,
        "default_charset": options.charset,
        "precompressed": options.precompressed,
        "follow_symlinks": not options.no_symlinks,
        "hide_dotfiles": options.hide_dotfiles,
        "list_directories": not options.no_listing,
        "fallback_page": options.spa,
        "not_found_page": NOT_FOUND_PAGE,
        "withheld": tuple(_withheld(options)),
    }
    if options.credentials is not None:
        found["credentials"] = options.credentials
    if options.upload is not None:
        found |= {"upload_directory": _upload_directory(options), "upload_limit": options.upload_limit,
                  "upload_overwrite": options.upload_overwrite}
    if options.cors is not None or options.isolate:
        found |= _shared(options)
    return found


def _upload_directory(options: argparse.Namespace) -> str:
    """The folder's name beneath that of what is served, where it lies there, by whatever links."""
    root, folder = os.path.realpath(str(options.directory)), os.path.realpath(str(options.upload))
    if os.path.commonpath((root, folder)) != root:
        return folder
    return os.path.normpath(os.path.join(os.path.abspath(options.directory), os.path.relpath(folder, root)))


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    from fastserve.handlers import sharing

    fields = sharing.cors_fields(options.cors) if options.cors is not None else []
    if options.isolate:
        fields += sharing.isolation_fields(options.cors is not None)
    return {"cors_origin": options.cors, "always_headers": tuple(fields)}


def _fields_of_files(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Those of --header, and what else is said with files where these do not say it."""
    fields = list(options.header)
    caching = "no-cache" if options.no_cache else options.cache_control
    if caching is not None and not any(name.lower() == "cache-control" for name, _ in fields):
        fields.append(("Cache-Control", caching))
    return fields


def _withheld(options: argparse.Namespace) -> Iterator[str]:
    """Files with what is nobody else's business, wherever they lie; links may lead to them."""
    # Nobody is to put settings where there are none yet, or others count today.
    usual = SETTINGS_FILE if options.settings or options.upload is not None else None
    certificate = options.tls_cert if _holds_a_key(options.tls_cert) else None
    for path in (usual, options.settings, options.auth_file, options.tls_key, certificate,
                 options.tls_password_file, options.log_file):
        if path:
            yield from {os.path.abspath(path), os.path.realpath(path)}  # a link may come to lead elsewhere


def _holds_a_key(path: str | None) -> bool:
    if path:
        with contextlib.suppress(OSError), open(path, "rb") as file:  # what is wrong is told where it is used
            return b"PRIVATE KEY-----" in file.read()
    return False


def _server_base(options: argparse.Namespace) -> type[HTTPServer]:
    """Scripts, long listings, archives and uploads take their time, so that each may have a thread."""
    return ThreadingHTTPSServer if options.secure else ThreadingHTTPServer


# -- A server ----------------------------------------------------------------------------------


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


def make_server(options: argparse.Namespace) -> HTTPServer:
    """Return a server that listens. Raises Refusal."""
    mixin, family, address = _place(options)
    bases: tuple[type, ...] = (_ServesOnce, mixin, _server_base(options))
    attributes = {
        "address_family": family,
        "timeouts": timeouts(options),
        "health_path": options.health,
        "metrics_path": options.metrics,
        "max_connections": options.max_connections,
    }
    server_class: Callable[..., HTTPServer] = type("Server", bases, attributes)
    password = KeyPassword(options.tls_password_file)
    try:
        with _certificate(options) as files:
            tls = {**files, "password": password} if options.secure else {}
            return server_class(address, _handler(options), **tls)
    except (OSError, ValueError) as exc:
        why = tls_trouble(exc, options, password) if options.tls_cert is not None else None
        raise Refusal(why or _listen_trouble(exc, options)) from exc
    except RuntimeError as exc:  # this Python was built without ssl
        raise Refusal(str(exc)) from exc


@contextlib.contextmanager
def _certificate(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The files of the certificate that is asked for; one of our own is kept by no file for longer."""
    if not options.tls_self_signed:
        yield {"certfile": options.tls_cert, "keyfile": options.tls_key}
        return
    from fastserve import selfsigned

    with selfsigned.certificate(options.bind) as (certfile, fingerprint):
        options.fingerprint = fingerprint
        yield {"certfile": certfile, "keyfile": None}


# -- What is wrong -----------------------------------------------------------------------------


def _listen_trouble(exc: Exception, options: argparse.Namespace) -> str:
    if options.unix is not None:
        return f"cannot listen on the unix socket {options.unix!r}: {reason(exc)}"
    where = f"port {options.port}" + (f" of {options.bind}" if options.bind else "")
    number = getattr(exc, "errno", None) or 0
    if number == errno.EADDRINUSE:
        return f"cannot listen on {where}: it is in use; {_next_port(options)}"
    return f"cannot listen on {where}: {LISTEN_ADVICE.get(number) or reason(exc)}"


def _next_port(options: argparse.Namespace) -> str:
    family, _ = _address(options.bind, 0)
    for port in range(options.port + 1, min(options.port + NEXT_PORTS, 65536)):
        with contextlib.suppress(OSError), socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(_address(options.bind, port)[1])
            return f"choose another port, the next free one is {port}, or 0 for any free one"
    return "choose another port, or 0 for any free one"


def tls_trouble(exc: Exception, options: argparse.Namespace, password: KeyPassword) -> str | None:
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


