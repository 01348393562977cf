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
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import common
from common import spread

from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.load import Load
from fastserve.rig.measure.terminal import aligned
from fastserve.words import Refusal

NAMES = {"1 worker": 1, "2 workers": 2}
WORKLOADS = {"file1k": ("files", common.PATH, common.KIB), "hello": ("hello", "/", common.HELLO)}
IDLE_SOCKETS = 3  # a worker's that are no connections: one listens, two wake its loop


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
    parser.add_argument("--workload", choices=[*WORKLOADS], default="file1k")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of load, twice in a round")
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args(argv)


class Bench:
    """The comparison: its options, and the two cores."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.server_core, self.load_core = common.cores()
        if self.server_core == self.load_core:
            raise Refusal("there is one core only; wrk needs another")

    def compare(self) -> list[list[Round]]:
        """The rounds of each contestant."""
        handler, path, body = WORKLOADS[self.args.workload]
        field = [common.handlers(name, "fastserve", "HTTPServer", handler, "--workers", str(count), path=path)
                 for name, count in NAMES.items()]
        with common.running(field, self.server_core) as servers:
            sizes = [common.verified(each, body) for each in servers]
            rounds: list[list[Round]] = [[] for _ in servers]
            for turn in range(self.args.rounds):
                print(f"round {turn + 1} of {self.args.rounds}", file=sys.stderr)
                for server, size, found in zip(servers, sizes, rounds):
                    found.append(self.round(server, size))
            return rounds

    def round(self, server: Server, size: int) -> Round:
        tree = common.tree(server)
        workers = sorted(tree.processes().keys() - {common.leader(server)})
        split: list[int] = []
        counting = threading.Timer(self.args.seconds / 2, lambda: split.extend(
            common.sockets(pid) - IDLE_SOCKETS for pid in workers))
        self.allow(server, {self.server_core})
        counting.start()
        before = tree.cpu_seconds()
        alone = self.load(server, size)
        used = tree.cpu_seconds() - before
        counting.join()
        self.allow(server, {self.server_core, self.load_core})
        together = self.load(server, size)
        return Round(used * 1e6 / alone.requests, together.rate, split, len(workers))

    def load(self, server: Server, size: int) -> Load:
        return common.loaded(server, size, self.args.connections, self.args.seconds, self.load_core)

    def allow(self, server: Server, cores: set[int]) -> None:
        for pid in common.tree(server).processes():
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
    common.wrk()
    rounds = Bench(args).compare()
    print(common.where())
    print(f"{args.connections} connections, keep-alive; median (min-max) of {args.rounds} rounds of "
          f"{args.seconds} s; servers on one core, wrk on another, but for the last column")
    rows = [row(name, found, rounds[0]) for name, found in zip(NAMES, rounds)]
    print(aligned([(args.workload, *HEADINGS), *rows]))


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return common.concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
