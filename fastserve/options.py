"""The words of the command line, and what they say: every option is read and judged here.

Whatever is wrong with one becomes a Refusal. Knows no server and no signal. cli calls it.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastserve import limits
from fastserve.handlers.paths import CAN_REFUSE_LINKS
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.serving.answers import check_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from fastserve.serving.pidfile import PidFile

PORT: Final = 8000
PROTOCOLS: Final = ("HTTP/1.1", "HTTP/1.0")  # the first is the default
TOKEN_MARKS: Final = "!#$%&'*+-.^_`|~"  # RFC 9110 5.6.2, beside letters and digits


class Refusal(Exception):
    """Why nothing can be served; the text is for the person at the keyboard."""


def reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= 65535:
        return int(text)
    raise Refusal(f"port {text!r} is not a number from 0 to 65535")


def _workers(text: str) -> int:
    if text == "auto":
        from fastserve.serving import processes

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
    from fastserve.serving.pidfile import PidFile

    try:
        return PidFile(path)
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot use the pidfile {path!r}: {reason(exc)}") from exc


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


def _charset(text: str) -> str:
    if text and all(c.isascii() and (c.isalnum() or c in TOKEN_MARKS) for c in text):
        return text
    raise Refusal(f"charset {text!r} is no name of one; utf-8 is what most text is in")


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
        raise Refusal(f"cannot serve {named}: {reason(exc)}; give --directory one that is there") from exc
    return found


def read_password(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError) as exc:
        raise Refusal(f"cannot read the password file {path!r}: {reason(exc)}") from exc


def make_parser() -> argparse.ArgumentParser:
    import argparse  # here, because importing fastserve must not pay for it

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            _refuse(message)

    parser = Parser(prog=_prog(), description="Serve the files of a directory over HTTP.")
    _add_usual(parser.add_argument)
    _add_timeouts(parser.add_argument_group("how long clients may take").add_argument)
    _add_service(parser.add_argument_group("running as a service").add_argument)
    return parser


class Plain:
    """Reads lines of whole options and their values, as argparse would, and no others.

    argparse and what it imports take as long as all of fastserve.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._values: dict[str, Any] = {}
        for adds in (_add_usual, _add_timeouts, _add_service):
            adds(self._add)

    def _add(self, *names: str, **about: Any) -> None:
        about["dest"] = names[-1].lstrip("-").replace("-", "_")
        self._known.update((name, about) for name in names)
        default = False if about.get("action") == "store_true" else None
        self._values[about["dest"]] = about.get("default", default)

    def read(self, words: Iterable[str]) -> SimpleNamespace | None:
        """Return what the words say; None where argparse is to be asked. Raises Refusal."""
        self._values.pop("version")
        left, positional = iter(words), False
        for word in left:
            is_option = word.startswith("-")
            about = self._known.get(word if is_option else "port")
            if about is None or about.get("action") not in (None, "store_true"):
                return None
            if not is_option:
                if positional:  # one port too many
                    return None
                positional = True
            value: Any = True
            if "action" not in about:
                text = next(left, "-") if is_option else word
                if text.startswith("-"):
                    return None
                value = about.get("type", str)(text)
            self._values[about["dest"]] = value
        return SimpleNamespace(**self._values)


def _add_usual(add: Callable[..., Any]) -> None:
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
    add("--charset", metavar="NAME", type=_charset,
        help="charset of text files, such as utf-8 (default: none is named)")
    add("--precompressed", action="store_true",
        help="send name.br, name.zst or name.gz for a name, to clients that take it")
    add("--no-symlinks", action="store_true", help="send and list nothing behind a symbolic link")
    add("--hide-dotfiles", action="store_true",
        help="send and list nothing whose name begins with a dot, but /.well-known")
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


def _add_service(add: Callable[..., Any]) -> None:
    add("--unix", metavar="PATH", help="listen on this unix socket instead of a port")
    add("--pidfile", metavar="PATH", type=_pidfile, help="keep the process's id in this file while serving")
    add("--health", metavar="PATH", type=_health_path,
        help="answer this path with 200 and ok, unlogged, whatever else is going on")
    add("--max-connections", metavar="N", type=_connections,
        help="hold no more connections at once: idle ones are closed, then new clients get 503")


def _add_timeouts(add: Callable[..., Any]) -> None:
    usual = limits.Timeouts()
    for name, default, what in (
        ("head", usual.head, "for a request's head, from its first byte to its last"),
        ("idle", usual.idle, "between two requests, and before the first"),
        ("progress", usual.progress, "without a byte, while a body arrives or an answer leaves"),
        ("handshake", usual.handshake, "for a TLS handshake"),
    ):
        add(f"--{name}-timeout", metavar="SECONDS", type=_seconds, default=default,
            help=f"wait so long {what} (default: {default:g})")
    add("--min-rate", metavar="BYTES", type=_rate, default=usual.min_rate, help=(
        "cut off who sends a body or takes an answer at fewer bytes a second, on average and after "
        f"{limits.RATE_GRACE:g} seconds or the progress timeout if that is less; 0: nobody "
        "(default: %(default)g)"))


def timeouts(options: argparse.Namespace) -> limits.Timeouts:
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


def _refuse(message: str) -> NoReturn:
    raise Refusal(f"{message} (see {_prog()} --help)")


def parse(argv: list[str] | None) -> argparse.Namespace:
    plain: Any = Plain().read(sys.argv[1:] if argv is None else argv)
    options: argparse.Namespace = make_parser().parse_args(argv) if plain is None else plain
    # Not by their truth: an empty path is a variable that is not set, and no wish for plain HTTP.
    if options.tls_cert is None and (options.tls_key, options.tls_password_file) != (None, None):
        _refuse("--tls-key and --tls-password-file need --tls-cert")
    if options.unix is not None and (options.port, options.bind) != (None, None):
        _refuse("--unix takes the place of port and --bind")
    if options.no_symlinks and not CAN_REFUSE_LINKS:
        _refuse("--no-symlinks needs a system that opens files without following links")
    options.inherited = _inherited(options)
    options.port = PORT if options.port is None else options.port
    options.header = [_header(*pair) for pair in options.header or ()]
    options.directory = _directory(options.directory)
    return options


def _inherited(options: argparse.Namespace) -> socket.socket | None:
    """The listening socket that a service manager has passed; it says all about where to listen."""
    if not any(name.startswith("LISTEN_") for name in os.environ):
        return None
    from fastserve.serving import systemd

    try:
        sockets = systemd.listening_sockets()
    except (OSError, ValueError) as exc:
        raise Refusal(str(exc)) from exc
    if len(sockets) > 1:
        raise Refusal(f"{len(sockets)} listening sockets were passed (LISTEN_FDS); one is served, no more")
    if sockets and (options.port, options.bind, options.unix) != (None, None, None):
        raise Refusal("a listening socket was passed (LISTEN_FDS); leave out port, --bind and --unix")
    return sockets[0] if sockets else None
