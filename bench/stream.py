"""How long a piece of an event stream is on its way: `python bench/stream.py`. Prints a table, in ms.

A handler writes an event every few ms, with the time in it; the client, on another core, looks at its clock
when the event is there. Both clocks are the system's monotonic one. Servers take turns, as in run.py. The
longest delays are the machine's own as a rule: http.server, which only calls send(), has them too.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from contestants import TREE, handlers
from processes import BenchError, concluded
from report import aligned, spread, where
from servers import Contestant, Server, running
from workloads import Workload

PATIENCE = 30  # seconds for one event

CONTESTANTS = [
    Contestant(f"{module} {server}", ("events",), handlers(module, server), lambda: None, str, TREE)
    for module in ("fastserve", "http.server") for server in ("HTTPServer", "ThreadingHTTPServer")
]


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/stream.py", description="Measure the delay of events.")
    parser.add_argument("--pieces", type=int, default=200, help="events in a round")
    parser.add_argument("--interval", type=int, default=5, help="ms between two of them")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args(argv)


def delays(server: Server, pieces: int, interval: int) -> list[float]:
    """Of every event of one stream, in ms, from before its write to its arrival."""
    found = []
    request = f"GET /{pieces}/{interval} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    address = "127.0.0.1", server.place.port
    with socket.create_connection(address, PATIENCE) as sock, sock.makefile("rb") as stream:
        sock.sendall(request)
        while stream.readline() not in (b"\r\n", b""):
            pass
        for number in range(pieces):
            event = stream.readline().split()
            arrived = time.monotonic_ns()
            if stream.readline() != b"\n" or event[:2] != [b"data:", b"%d" % number]:
                raise BenchError(f"{server.contestant.name} sent {event} for event {number}")
            found.append((arrived - int(event[2])) / 1e6)
        if stream.read():
            raise BenchError(f"{server.contestant.name} sent something after the last event")
    return found


def compare(args: argparse.Namespace, server_core: int) -> dict[str, list[list[float]]]:
    """The delays by name and round; one server is measured at a time."""
    rounds: dict[str, list[list[float]]] = {contestant.name: [] for contestant in CONTESTANTS}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        site = Path(folder, "site")
        site.mkdir()
        workload = Workload("events", "/", b"")
        servers = [stack.enter_context(running(each, workload, site, server_core)) for each in CONTESTANTS]
        for _ in range(args.rounds):
            for server in servers:
                rounds[server.contestant.name].append(delays(server, args.pieces, args.interval))
    return rounds


HEADINGS = "server", "median", "99 %", "longest"


def percentile_99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def row(name: str, rounds: list[list[float]]) -> tuple[str, ...]:
    figures = statistics.median, percentile_99, max
    return name, *(spread([figure(each) for each in rounds], 3) for figure in figures)


def show(args: argparse.Namespace) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[min(1, len(cores) - 1)]})
    rounds = compare(args, cores[0])
    print(where())
    print(f"{args.pieces} events a round, {args.interval} ms apart; ms of {args.rounds} rounds: "
          "median (min-max)")
    print(aligned([HEADINGS, *(row(name, each) for name, each in rounds.items())]))


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
