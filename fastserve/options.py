"""The options of the command line: their names, groups and helps, and how the words are read.

What each word stands for is judged in words, and what the environment and fastserve.toml say in settings.
Knows no server and no signal. cli calls it.
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastserve import limits, words
from fastserve.handlers.paths import CAN_REFUSE_LINKS
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.words import Refusal

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

PORT: Final = 8000
LOG_FORMATS: Final = ("http.server", "common", "combined", "json")  # the first is the default
SHELLS: Final = ("bash", "zsh", "tcsh")
EMPTY: Final[Mapping[str, Any]] = {}

# -- What there is -----------------------------------------------------------------------------


def _add_usual(add: Callable[..., Any]) -> None:
    add("port", nargs="?", type=words.port, help=f"listen on this port, 0 for any free one (default: {PORT})")
    add("-b", "--bind", metavar="ADDRESS", help="listen on this address (default: all, IPv6 and IPv4)")
    add("-d", "--directory", metavar="DIR", help="serve this directory (default: the current one)")
    add("-p", "--protocol", metavar="VERSION", type=words.protocol, default=words.PROTOCOLS[0],
        help="speak this HTTP version, HTTP/1.1 or HTTP/1.0 (default: %(default)s)")
    add("--cgi", action="store_true",
        help="run scripts in /cgi-bin and /htbin, as user nobody if started by root")
    add("-H", "--header", nargs=2, action="append", metavar=("NAME", "VALUE"),
        help="send this header with every file and listing (may be repeated)")
    add("--config", metavar="FILE",
        help="read settings from this file (default: fastserve.toml, if it is here)")
    add("--print-completion", metavar="SHELL", type=_shell,
        help="print what completes these options in bash, zsh or tcsh, and end")
    add("--version", action="version", version=_version())


def _add_files(add: Callable[..., Any]) -> None:
    add("--content-type", metavar="TYPE", type=words.header_value,
        default=SimpleHTTPRequestHandler.default_content_type,
        help="content type of files whose name does not tell it (default: %(default)s)")
    add("--charset", metavar="NAME", type=words.charset,
        help="charset of text files, such as utf-8 (default: none is named)")
    add("--precompressed", action="store_true",
        help="send name.br, name.zst or name.gz for a name, to clients that take it")
    add("--no-precompressed", dest="precompressed", action="store_false",
        help="send files as they are (the default)")
    add("--no-listing", action="store_true", help="do not list folders that have no index page")
    add("--no-symlinks", action="store_true", help="send and list nothing behind a symbolic link")
    add("--hide-dotfiles", action="store_true",
        help="send and list nothing whose name begins with a dot, but /.well-known")
    add("--spa", metavar="FILE", nargs="?", const="index.html", type=words.page,
        help="send this page where there is no file, for a single-page app (default: index.html)")


def _add_browsers(add: Callable[..., Any]) -> None:
    add("--cors", metavar="ORIGIN", nargs="?", const="*", type=words.origin,
        help="let pages of this origin read what is served (default: of all)")
    add("--isolate", action="store_true",
        help="isolate pages from other origins (COOP, COEP, CORP), for SharedArrayBuffer")
    add("--no-cache", action="store_true",
        help="have browsers ask each time whether a file has changed (Cache-Control: no-cache)")
    add("--cache-control", metavar="VALUE", type=words.header_value,
        help="send this Cache-Control with files, such as max-age=3600")


def _add_security(add: Callable[..., Any]) -> None:
    add("--auth", metavar="USER:PASSWORD", action="append", type=words.user,
        help="ask for this name and password (may be repeated); sha256:HEX and sha512:HEX are digests")
    add("--auth-file", metavar="FILE", help="file of lines USER:PASSWORD, also those of htpasswd -B")
    add("--tls-cert", metavar="PATH", help="serve HTTPS with the certificate chain in this PEM file")
    add("--tls-key", metavar="PATH", help="PEM file of its private key (default: the certificate's file)")
    add("--tls-password-file", metavar="PATH", help="file that holds the password of the private key")
    add("--tls-self-signed", action="store_true",
        help="serve HTTPS with a certificate made for this run, which browsers warn of")


def _add_uploads(add: Callable[..., Any]) -> None:
    add("--upload", metavar="DIR",
        help="take files into this folder and below, by the page, curl -T or curl -F")
    add("--upload-limit", metavar="SIZE", type=words.size, default=limits.MAX_UPLOAD,
        help=f"refuse what is larger (default: {limits.MAX_UPLOAD >> 30}G)")
    add("--upload-overwrite", action="store_true", help="let an upload take the place of a file")


def _add_telling(add: Callable[..., Any]) -> None:
    add("--log-format", metavar="FORMAT", type=_log_format, default=LOG_FORMATS[0],
        help=f"log requests as {', '.join(LOG_FORMATS[:-1])} or {LOG_FORMATS[-1]} (default: %(default)s)")
    add("--log-file", metavar="FILE",
        help="append the log to this file, which is opened anew at SIGUSR1 (default: stderr)")
    add("--quiet", action="store_true", help="log no requests, and say no more than where to find it")
    add("--metrics", metavar="PATH", type=words.metrics,
        help="answer this path with figures for Prometheus, unlogged")
    add("--open", action="store_true", help="open it in a browser")
    add("--qr", action="store_true", help="show a QR code of its address, for a phone")


def _add_timeouts(add: Callable[..., Any]) -> None:
    usual = limits.Timeouts()
    for name, default, what in (
        ("head", usual.head, "for a request's head, from its first byte to its last"),
        ("idle", usual.idle, "between two requests, and before the first"),
        ("progress", usual.progress, "without a byte, while a body arrives or an answer leaves"),
        ("handshake", usual.handshake, "for a TLS handshake"),
    ):
        add(f"--{name}-timeout", metavar="SECONDS", type=words.seconds, default=default,
            help=f"wait so long {what} (default: {default:g})")
    add("--min-rate", metavar="BYTES", type=words.rate, default=usual.min_rate, help=(
        "cut off who sends a body or takes an answer at fewer bytes a second, on average and after "
        f"{limits.RATE_GRACE:g} seconds or the progress timeout if that is less; 0: nobody "
        "(default: %(default)g)"))


def _add_service(add: Callable[..., Any]) -> None:
    add("--workers", metavar="N", type=words.workers,
        help="serve with N processes, auto for one on each CPU (default: this one alone)")
    add("--grace", metavar="SECONDS", type=words.grace, default=limits.DRAIN_GRACE,
        help="when stopped, answer what has been asked for, this long (default: %(default)g)")
    add("--unix", metavar="PATH", help="listen on this unix socket instead of a port")
    add("--pidfile", metavar="PATH", type=words.pidfile,
        help="keep the process's id in this file while serving")
    add("--health", metavar="PATH", type=words.health,
        help="answer this path with 200 and ok, unlogged, whatever else is going on")
    add("--max-connections", metavar="N", type=words.connections,
        help="hold no more connections at once: idle ones are closed, then new clients get 503")


GROUPS: Final = {
    "": _add_usual,
    "files and folders": _add_files,
    "what browsers may do": _add_browsers,
    "who may come in, and who may listen": _add_security,
    "uploads": _add_uploads,
    "what is told": _add_telling,
    "how long clients may take": _add_timeouts,
    "running as a service": _add_service,
}

EPILOG: Final = (
    "Each option is also a setting: --log-format is FASTSERVE_LOG_FORMAT in the environment, and log-format "
    "in fastserve.toml. What is said here counts first, then the environment, then the file; what may be "
    "repeated adds up."
)


def _log_format(text: str) -> str:
    if text in LOG_FORMATS:
        return text
    raise Refusal(f"log format {text!r} is not known; choose one of {', '.join(LOG_FORMATS)}")


def _shell(text: str) -> str:
    if text in SHELLS:
        return text
    raise Refusal(f"shell {text!r} is not known; choose one of {', '.join(SHELLS)}")


def _prog() -> str:
    by_module = os.path.basename(sys.argv[0]) == "__main__.py"
    return "python -m fastserve" if by_module else "fastserve"


def _version() -> str:
    import fastserve

    return f"fastserve {fastserve.__version__}"


# -- Reading -----------------------------------------------------------------------------------


def make_parser() -> argparse.ArgumentParser:
    import argparse  # here, because importing fastserve must not pay for it

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            _refuse(message)

    parser = Parser(
        prog=_prog(), usage="%(prog)s [options] [port]", epilog=EPILOG,
        description="Serve the files of a directory over HTTP.",
    )
    for title, add_all in GROUPS.items():
        add_all((parser.add_argument_group(title) if title else parser).add_argument)
    return parser


class Plain:
    """Reads lines of whole options and their values, as argparse would, and no others.

    argparse and what it imports take as long as all of fastserve.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}  # what was said of each option, by its names
        self.values: dict[str, Any] = {}
        for add_all in GROUPS.values():
            add_all(self._add)

    def _add(self, *names: str, **about: Any) -> None:
        about.setdefault("dest", names[-1].lstrip("-").replace("-", "_"))
        self.known.update((name, about) for name in names)
        default = False if about.get("action") == "store_true" else None
        self.values.setdefault(about["dest"], about.get("default", default))

    def read(self, line: Iterable[str], defaults: Mapping[str, Any] = EMPTY) -> SimpleNamespace | None:
        """Return what the words say, and else ``defaults``; None where argparse is to be asked.

        Raises Refusal.
        """
        values = {name: value for name, value in self.values.items() if name != "version"} | {**defaults}
        left, positional = iter(line), False
        for word in left:
            is_option = word.startswith("-")
            about = self.known.get(word if is_option else "port")
            if about is None or about.get("action") not in (None, "store_true", "store_false"):
                return None
            if not is_option:
                if positional:  # one port too many
                    return None
                positional = True
            elif "nargs" in about:
                return None
            value: Any = about.get("action") != "store_false"
            if "action" not in about:
                text = next(left, "-") if is_option else word
                if text.startswith("-"):
                    return None
                value = about.get("type", str)(text)
            values[about["dest"]] = value
        return SimpleNamespace(**values)


def _unambiguous(line: Sequence[str]) -> list[str]:
    """Put the values that need not be given beside their options: in `--spa 8000` the number is the port."""
    optional: dict[str, Callable[[str], object]] = {"--cors": words.origin, "--spa": words.page}
    found: list[str] = []
    for word, behind in zip(line, [*line[1:], "-"], strict=False):
        known = optional.get(word)
        found.append(word)
        if known is not None and (behind.isdecimal() or behind.startswith("-") or not _is(known, behind)):
            found[-1] = f"{word}={'*' if word == '--cors' else 'index.html'}"
    return found


def _is(known: Callable[[str], object], text: str) -> bool:
    # What looks like an origin is judged as one, so that a wrong one is told.
    if known is words.origin and ("/" in text or "." in text):
        return True
    try:
        known(text)
    except Refusal:
        return False
    return True


def _refuse(message: str) -> NoReturn:
    raise Refusal(f"{message} (see {_prog()} --help)")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return what the command line, the environment and fastserve.toml say. Raises Refusal."""
    line = _unambiguous(sys.argv[1:] if argv is None else argv)
    reader = Plain()
    options = said = _read(reader, line, {})
    inherited = _inherited(said)
    defaults: dict[str, Any] = {}
    if said.print_completion is None and (said.config is not None or _may_have_settings()):
        from fastserve import settings

        defaults = settings.read(reader.known, said.config, vars(said) | {"inherited": inherited})
        options = _read(reader, line, defaults)
    options.settings = defaults.get("config")
    options.inherited = inherited
    if options.upload is None and (said.upload_overwrite or said.upload_limit != limits.MAX_UPLOAD):
        _refuse("--upload-limit and --upload-overwrite need --upload")
    return _judged(options)


def _read(reader: Plain, line: Sequence[str], defaults: dict[str, Any]) -> argparse.Namespace:
    """Return what the line says, and else the defaults. Raises Refusal."""
    plain: Any = reader.read(line, defaults)
    if plain is not None:
        return plain  # type: ignore[no-any-return]
    parser = make_parser()
    parser.set_defaults(**defaults)
    return parser.parse_args(line)


def _may_have_settings() -> bool:
    return any(name.startswith("FASTSERVE_") for name in os.environ) or os.path.exists(words.SETTINGS_FILE)


def _judged(options: argparse.Namespace) -> argparse.Namespace:
    # Not by their truth: an empty path is a variable that is not set, and no wish for plain HTTP.
    if options.tls_cert is None and (options.tls_key, options.tls_password_file) != (None, None):
        _refuse("--tls-key and --tls-password-file need --tls-cert")
    if options.tls_cert is not None and options.tls_self_signed:
        _refuse("--tls-self-signed makes a certificate; leave out --tls-cert")
    if options.unix is not None and (options.port, options.bind) != (None, None):
        _refuse("--unix takes the place of port and --bind")
    if options.no_symlinks and not CAN_REFUSE_LINKS:
        _refuse("--no-symlinks needs a system that opens files without following links")
    if options.no_cache and options.cache_control is not None:
        _refuse("--no-cache and --cache-control are two answers to one question; give one")
    if options.cgi and options.upload is not None:
        _refuse("--cgi and --upload do not go together")
    if options.metrics is not None and options.metrics == options.health:
        _refuse("--metrics and --health need a path each")
    options.secure = options.tls_cert is not None or options.tls_self_signed
    if (options.open or options.qr) and _is_unix(options):
        _refuse("--open and --qr need an address with a port; a unix socket has none")
    options.port = PORT if options.port is None else options.port
    options.header = [words.header(*pair) for pair in options.header or ()]
    options.directory = words.directory(options.directory)
    options.upload = words.uploads(options.upload)
    options.credentials = words.credentials(options.auth or [], options.auth_file)
    return options


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


def _is_unix(options: argparse.Namespace) -> bool:
    sock = options.inherited
    return options.unix is not None or (sock is not None and not isinstance(sock.getsockname(), tuple))


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
