"""How long a piece of an event stream is on its way: `python bench/stream.py`. Prints a table, in ms.

A handler writes an event every few ms, with the time in it; the client, on another core, looks at its clock
when the event is there. Both clocks are the system's monotonic one. Servers take turns. The
longest delays are the machine's own as a rule: http.server, which only calls send(), has them too.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import time
from collections.abc import Sequence

import common
from common import percentile_99, spread

from fastserve.rig.measure.asking import Question, Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.terminal import aligned

PATIENCE = 30  # seconds for one event

CONTESTANTS = [
    common.handlers(f"{module} {server}", module, server, "events")
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
    request = Question(f"/{pieces}/{interval}").octets(server.address)
    with socket.create_connection(server.address[:2], PATIENCE) as sock, sock.makefile("rb") as stream:
        sock.sendall(request)
        while stream.readline() not in (b"\r\n", b""):
            pass
        for number in range(pieces):
            event = stream.readline().split()
            arrived = time.monotonic_ns()
            if stream.readline() != b"\n" or event[:2] != [b"data:", b"%d" % number]:
                raise Wrong(f"{server.contestant.name} sent {event} for event {number}")
            found.append((arrived - int(event[2])) / 1e6)
        if stream.read():
            raise Wrong(f"{server.contestant.name} sent something after the last event")
    return found


def compare(args: argparse.Namespace, server_core: int) -> dict[str, list[list[float]]]:
    """The delays by name and round; one server is measured at a time."""
    rounds: dict[str, list[list[float]]] = {contestant.name: [] for contestant in CONTESTANTS}
    with common.running(CONTESTANTS, server_core) as servers:
        for _ in range(args.rounds):
            for server in servers:
                rounds[server.contestant.name].append(delays(server, args.pieces, args.interval))
    return rounds


HEADINGS = "server", "median", "99 %", "longest"


def row(name: str, rounds: list[list[float]]) -> tuple[str, ...]:
    figures = statistics.median, percentile_99, max
    return name, *(spread([figure(each) for each in rounds], 3) for figure in figures)


def show(args: argparse.Namespace) -> None:
    server_core, own_core = common.cores()
    os.sched_setaffinity(0, {own_core})
    rounds = compare(args, server_core)
    print(common.where())
    print(f"{args.pieces} events a round, {args.interval} ms apart; ms of {args.rounds} rounds: "
          "median (min-max)")
    print(aligned([HEADINGS, *(row(name, each) for name, each in rounds.items())]))


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return common.concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
