"""A server with a log and figures as the command line makes it: one process, or workers.

test_observing.py runs it.

It says on which port, and serves until SIGTERM. What keeps it from starting is one line on stderr.
"""

import argparse
import contextlib
import functools
import signal
import sys
from typing import Any

import fastserve
from fastserve import console, logfile
from fastserve.handlers.logs import log_class
from fastserve.serving import processes

SERVERS = {"loop": fastserve.HTTPServer, "threads": fastserve.ThreadingHTTPServer}


class Ended(Exception):
    """By SIGTERM."""


def end(signum: int, frame: object) -> None:
    raise Ended


def serve(server: Any, workers: int) -> None:
    def announce() -> None:
        console.say(f"port {server.server_port}")

    if not workers:
        announce()
        server.serve_forever()
        return
    console.share_log()
    processes.supervise(server, workers, grace=3, ready=announce, relay=logfile.SIGNALS)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--format", default="json")
    parser.add_argument("--server", default="threads")
    parser.add_argument("--log-file")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    console.open_log()
    signal.signal(signal.SIGTERM, end)
    mixin = log_class(options.format, sys.stderr.isatty(), options.quiet)
    bases = (mixin, fastserve.SimpleHTTPRequestHandler) if mixin else (fastserve.SimpleHTTPRequestHandler,)
    handler = type("Handler", bases, {"protocol_version": "HTTP/1.1"})
    server_class: Any = type("Server", (SERVERS[options.server],), {"metrics_path": "/metrics"})
    try:
        log: Any = logfile.open_log_file(options.log_file) if options.log_file else contextlib.nullcontext()
    except OSError as error:
        console.complain(f"cannot open the log file {options.log_file!r}: {error.strerror}")
        return 2
    maker = functools.partial(handler, directory=options.folder)
    with server_class(("127.0.0.1", 0), maker) as server, log, contextlib.suppress(Ended):
        serve(server, options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
