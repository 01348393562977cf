"""What two worker processes serve beside one: `python bench/workers.py`. Prints three lines and a table.

wrk needs a core of its own, so that on a machine of two cores two workers never have one each while they are
measured. What is measured instead is what a request costs, everything counted (user and system time of the
supervisor and all workers, as /proc tells): servers on one core, wrk on another, rounds in turns, the same 64
connections. As workers share nothing but the listening address, n workers on n cores serve

    capacity = n / CPU time of a request

and the ratio of two such capacities is taken within each round. That holds if all workers have enough to do,
so the table also has how many of the connections the kernel has given each (the sockets of each process,
counted under load). The last column is a check that needs no model: requests per second when the workers may
use both cores, of which wrk has to have its share. It is less than the capacity by what wrk takes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import answers
import load
from contestants import TREE, handlers
from processes import BenchError, concluded, cpu_seconds, members, sockets
from report import aligned, spread, where
from servers import Contestant, Server, running
from workloads import WORKLOADS

COUNTS = (1, 2)
IDLE_SOCKETS = 3  # a worker's that are no connections: one listens, two wake its loop

CONTESTANTS = [
    Contestant(f"{count} worker" + "s" * (count > 1), ("file1k", "hello"),
               handlers("fastserve", "HTTPServer", workers=count), lambda: None, str, TREE)
    for count in COUNTS
]


@dataclass(frozen=True)
class Round:
    cpu_us: float  # of a request
    rate: float  # requests a second, on both cores
    split: list[int]  # connections of each worker
    count: int  # of workers

    @property
    def capacity(self) -> float:
        """Requests a second, a core for each worker."""
        return self.count * 1e6 / self.cpu_us


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/workers.py", description="Compare one worker with two.")
    parser.add_argument("--workload", choices=["file1k", "hello"], default="file1k")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of load, twice in a round")
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args(argv)


class Bench:
    """The comparison: its options, and the two cores."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("there is one core only; wrk needs another")
        self.server_core, self.load_core = cores[:2]

    def compare(self) -> list[list[Round]]:
        """The rounds of each contestant."""
        workload = WORKLOADS[self.args.workload]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
            site = Path(folder, "site")
            site.mkdir()
            workload.lay_out(workload, site)
            servers = [stack.enter_context(running(each, workload, site, self.server_core))
                       for each in CONTESTANTS]
            sizes = [answers.checked(each.place.port, workload).octets for each in servers]
            rounds: list[list[Round]] = [[] for _ in servers]
            for turn in range(self.args.rounds):
                print(f"round {turn + 1} of {self.args.rounds}", file=sys.stderr)
                for server, size, found in zip(servers, sizes, rounds):
                    found.append(self.round(server, size))
            return rounds

    def round(self, server: Server, size: int) -> Round:
        leader = server.process.pid
        workers = sorted(set(members(leader)) - {leader})
        split: list[int] = []
        counting = threading.Timer(
            self.args.seconds / 2, lambda: split.extend(sockets(pid) - IDLE_SOCKETS for pid in workers))
        self.allow(server, {self.server_core})
        counting.start()
        before = cpu_seconds(leader)
        alone = self.load(server, size)
        used = cpu_seconds(leader) - before
        counting.join()
        self.allow(server, {self.server_core, self.load_core})
        together = self.load(server, size)
        return Round(used * 1e6 / alone.requests, together.requests / together.seconds, split, len(workers))

    def load(self, server: Server, size: int) -> load.Load:
        place, connections = server.place, self.args.connections
        seen = load.wrk(place.port, place.workload, connections, self.args.seconds, self.load_core)
        server.ensure_alive()
        if not seen.requests or seen.errors or not seen.consists_of(size, connections):
            raise BenchError(f"{server.contestant.name} answered otherwise under load")
        return seen

    def allow(self, server: Server, cores: set[int]) -> None:
        for pid in members(server.process.pid):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, cores)


HEADINGS = "CPU us/request", "capacity/s", "x one", "connections of each", "requests/s, both cores"


def row(name: str, rounds: list[Round], ones: list[Round]) -> tuple[str, ...]:
    return (
        name,
        spread([each.cpu_us for each in rounds], 2),
        spread([each.capacity for each in rounds], 0),
        f"{statistics.median(each.capacity / one.capacity for each, one in zip(rounds, ones)):.2f}",
        " ".join("+".join(map(str, each.split)) for each in rounds) if len(rounds[0].split) > 1 else "-",
        spread([each.rate for each in rounds], 0),
    )


def show(args: argparse.Namespace) -> None:
    if reason := load.missing():
        raise BenchError(reason)
    rounds = Bench(args).compare()
    print(where())
    print(f"{args.connections} connections, keep-alive; median (min-max) of {args.rounds} rounds of "
          f"{args.seconds} s; servers on one core, wrk on another, but for the last column")
    rows = [row(each.name, found, rounds[0]) for each, found in zip(CONTESTANTS, rounds)]
    print(aligned([(args.workload, *HEADINGS), *rows]))


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
