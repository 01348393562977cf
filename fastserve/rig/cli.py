"""The command line of `python -m fastserve.rig`: which commands there are, and all of `origin`.

Each other command is added by a module of its own, which is imported when that command is called and not
before: add_parser(subparsers) sets ``run``, a function of what was read that returns the exit status.
Whatever keeps a command from starting becomes one line on stderr and exit status 2.

Knows no endpoint and no measurement. Called by __main__.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fastserve import console, limits, words
from fastserve.server import GOODBYE
from fastserve.words import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastserve.rig.origin import OriginServer

PROG: Final = "python -m fastserve.rig"
PORT: Final = 8000
BIND: Final = "127.0.0.1"  # an origin does whatever it is asked to: it is for nobody else unless told so
MOST_SEED: Final = (1 << 63) - 1


class Parser(argparse.ArgumentParser):
    """Raises Refusal where argparse would write a usage and end."""

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message} (see {self.prog} --help)")


# -- The commands ------------------------------------------------------------------------------


def _add_origin(commands: Any) -> None:
    add_parser(commands)


def _add_measure(commands: Any) -> None:
    from fastserve.rig.measure import cli

    cli.add_parser(commands)


def _add_report(commands: Any) -> None:
    from fastserve.rig.report import cli

    cli.add_parser(commands)


def _add_locust(commands: Any) -> None:
    from fastserve.rig import locusts

    locusts.add_parser(commands)


COMMANDS: Final = {
    "origin": (_add_origin, "serve endpoints for tests and measurements"),
    "measure": (_add_measure, "measure servers, by a scenario or a file of them"),
    "report": (_add_report, "make pages and tables of what was measured"),
    "locust": (_add_locust, "measure by Locust"),
}


def make_parser(wanted: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows the ``wanted`` command, and of the others no more than that they exist."""
    parser = Parser(prog=PROG, description="Test and measure HTTP servers, clients and proxies.")
    commands = parser.add_subparsers(metavar="command", required=True, parser_class=Parser)
    for name, (add, says) in COMMANDS.items():
        if name == wanted:
            add(commands)
        else:
            commands.add_parser(name, help=says)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status.

    It takes the process as its own: commands may set signal handlers, so it runs in the main thread.
    """
    line = list(sys.argv[1:] if argv is None else argv)
    console.open_log()
    try:
        options = make_parser(line[0] if line else None).parse_args(line)
        status: int = options.run(options)
    except Refusal as refusal:
        console.complain(str(refusal))
        return 2
    except KeyboardInterrupt:
        console.say(GOODBYE)
        return 130
    return status


# -- origin ------------------------------------------------------------------------------------


def add_parser(commands: Any) -> None:
    """Add `origin` to an argument parser's subparsers."""
    says = COMMANDS["origin"][1]
    parser = commands.add_parser(
        "origin", help=says, usage="%(prog)s [options] [port]",
        description="Serve httpbin's endpoints and more, for tests and measurements; / has a list.")
    add = parser.add_argument
    add("port", nargs="?", type=words.port, default=PORT,
        help="listen on this port, 0 for any free one (default: %(default)s)")
    add("-b", "--bind", metavar="ADDRESS", default=BIND,
        help="listen on this address, :: for all of this machine (default: %(default)s)")
    add("--workers", metavar="N", type=words.workers,
        help="serve with N processes, auto for one on each CPU (default: this one alone)")
    add("--seed", metavar="N", type=seed, default=0,
        help="what all chance and all octets come from (default: %(default)s)")
    add("--tls-cert", metavar="PATH", help="serve HTTPS with the certificate chain in this PEM file")
    add("--tls-key", metavar="PATH", help="PEM file of its private key (default: the certificate's file)")
    add("--tls-password-file", metavar="PATH", help="file that holds the password of the private key")
    add("--log", action="store_true", help="log each request to stderr")
    add("--max-connections", metavar="N", type=words.connections,
        help="hold no more connections at once: idle ones are closed, then new clients get 503")
    add("--grace", metavar="SECONDS", type=words.grace, default=limits.DRAIN_GRACE,
        help="when stopped, answer what has been asked for, this long (default: %(default)g)")
    parser.set_defaults(run=serve)


def seed(text: str) -> int:
    """Return the number that stands there. Raises Refusal."""
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MOST_SEED:
        return int(text)
    raise Refusal(f"seed {text!r} is not a number from 0 to {MOST_SEED}")


def serve(options: argparse.Namespace) -> int:
    """Serve an origin until a signal. Raises Refusal."""
    from fastserve import cli
    from fastserve.stopping import Stopping

    if options.tls_cert is None and (options.tls_key, options.tls_password_file) != (None, None):
        raise Refusal(f"--tls-key and --tls-password-file need --tls-cert (see {PROG} origin --help)")
    # What the command line of fastserve has, and this one has not.
    for name in ("inherited", "log_file", "open", "qr", "unix"):
        setattr(options, name, None)
    options.secure, options.quiet = options.tls_cert is not None, True
    stopping = Stopping(cli._leave)
    stopping.grace = options.grace
    stopping.catch()
    try:
        with make_origin(options) as server:
            cli._serve(server, options, stopping)
        stopping.ignore()
    except cli._Failure as failure:
        console.complain(str(failure))
        return 1
    except KeyboardInterrupt:
        console.Log.leaving = True
        console.say(GOODBYE)
    return 0


def make_origin(options: argparse.Namespace) -> OriginServer:
    """Return a server that listens. Raises Refusal."""
    from fastserve import assembly
    from fastserve.rig.origin import make_server

    family, address = assembly._address(options.bind, options.port)
    password = assembly.KeyPassword(options.tls_password_file)
    try:
        return make_server(
            address, seed=options.seed, log=options.log, certfile=options.tls_cert, keyfile=options.tls_key,
            password=password, mixins=(assembly._ServesOnce, assembly._DualStack), address_family=family,
            max_connections=options.max_connections)
    except (OSError, ValueError) as exc:
        secure = options.tls_cert is not None
        why = assembly.tls_trouble(exc, options, password) if secure else None
        raise Refusal(why or assembly._listen_trouble(exc, options)) from exc
    except RuntimeError as exc:  # this Python was built without ssl
        raise Refusal(str(exc)) from exc
