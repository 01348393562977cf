"""The command line of `fastserve` and `python -m fastserve`.

Makes a server of what was asked for, says where it listens, and serves until a signal. Whatever keeps it from
starting becomes one line on stderr and exit status 2. Knows no request and no connection. Called by
__main__ and by the console script.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from typing import TYPE_CHECKING, Any

from fastserve import console
from fastserve.assembly import make_server, tls_trouble
from fastserve.console import Log
from fastserve.options import parse
from fastserve.server import GOODBYE, HTTPServer, _banner
from fastserve.stopping import Stopping
from fastserve.words import Refusal, reason

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


class _Failure(Exception):
    """Why nothing is served any more."""


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
        raise Refusal(tls_trouble(exc, options, httpd.password) or reason(exc)) from exc


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


def _log_kept(options: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """The log's file takes stderr's place while we serve; what keeps us from it is said before, on stderr."""
    if options.log_file is None:
        return contextlib.nullcontext()
    from fastserve import logfile

    try:
        return logfile.open_log_file(options.log_file)
    except OSError as exc:
        raise Refusal(f"cannot open the log file {options.log_file!r}: {reason(exc)}") from exc


def _log_signals(options: argparse.Namespace) -> tuple[int, ...]:
    """Those at which workers, too, open the log's file anew."""
    if options.log_file is None:
        return ()
    from fastserve import logfile

    return tuple(logfile.SIGNALS)


def _announce(httpd: HTTPServer, options: argparse.Namespace) -> None:
    """Say where it listens: first http.server's line, which programs wait for."""
    _tell_manager("READY")
    scheme = "https" if options.secure else "http"
    console.say(_banner(httpd, scheme))
    if options.open or options.qr or console.is_terminal():
        from fastserve import welcome

        welcome.greet(httpd, options, scheme)


def _serve(httpd: HTTPServer, options: argparse.Namespace, stopping: Stopping) -> None:
    announce = functools.partial(_announce, httpd, options)

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
            prepare=begin, ready=announce, reload=reload, ending=functools.partial(_tell_manager, "STOPPING"),
            relay=_log_signals(options))
    except processes.GaveUp as gave_up:
        raise _Failure(str(gave_up)) from gave_up


def _print_completion(shell: str) -> int:
    try:
        import shtab
    except ImportError as exc:
        raise Refusal("--print-completion needs shtab: pip install 'fastserve[completion]'") from exc
    from fastserve.options import make_parser

    parser = make_parser()
    parser.prog = "fastserve"  # not Python, whose own completion this would take the place of
    console.say(shtab.complete(parser, shell))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Serve as the command line says until a signal; return the exit status.

    It takes the process as its own: it sets signal handlers, so it runs in the main thread.
    """
    console.open_log()
    stopping = Stopping(_leave)
    stopping.catch()
    try:
        options = parse(argv)
        if options.print_completion is not None:
            return _print_completion(options.print_completion)
        if options.qr:
            from fastserve import welcome

            welcome.need_qr()
        stopping.grace = options.grace
        with make_server(options) as httpd:
            with _pid_kept(options), _log_kept(options):
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
