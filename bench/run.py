"""Compares servers: `python bench/run.py`. Starts them, checks them, loads them in turn, prints a table.

The server runs on one core, wrk on another. All contestants of a workload are started once and stay up:
idle they sleep in the kernel (the busiest wakes once or twice a second), while a restart before every round
would measure cold caches. Only one is under load at a time, and rounds interleave (A B C, A B C, ...), so
what drifts on the machine drifts under all of them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import load
import report
from processes import BenchError, concluded, cpu_seconds, resident_bytes
from report import Entry, Round
from servers import CONTESTANTS, WORKLOADS, Contestant, Server, Workload, running

WARM_UP = 1  # seconds


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Compare servers under wrk.")
    parser.add_argument("--workload", choices=[*WORKLOADS, "all"], default="all")
    parser.add_argument("--servers", type=lambda names: names.split(","), default=list(CONTESTANTS),
                        help=f"some of {','.join(CONTESTANTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in a round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", type=Path, help="the file for the result; default one in bench/results/")
    args = parser.parse_args(argv)
    for name in args.servers:
        if name not in CONTESTANTS:
            parser.error(f"no contestant is called {name}; there are {', '.join(CONTESTANTS)}")
    return args


class Bench:
    """One comparison: the options, the two cores, and who has to stay out of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.load_core = cores[0], cores[min(1, len(cores) - 1)]
        if self.server_core == self.load_core:
            print("one core only: the server and wrk share it", file=sys.stderr)
        self.out: dict[str, str] = {}

    def contestants(self) -> list[Contestant]:
        chosen = [CONTESTANTS[name] for name in self.args.servers]
        for contestant in chosen:
            if reason := contestant.prepare():
                self.leave_out(contestant, reason)
        return [contestant for contestant in chosen if contestant.name not in self.out]

    def leave_out(self, contestant: Contestant, reason: str) -> None:
        self.out[contestant.name] = reason
        print(f"{contestant.name} is left out: {reason}", file=sys.stderr)

    def compare(self, workload: Workload, contestants: list[Contestant]) -> list[Entry]:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
            site = Path(folder, "site")
            site.mkdir()
            Path(site, workload.path.lstrip("/") or "index.html").write_bytes(workload.body)
            field: list[tuple[Server, Entry]] = []
            for contestant in contestants:
                try:
                    server = stack.enter_context(running(contestant, workload, site, self.server_core))
                    field.append((server, self.enter(server)))
                except (BenchError, OSError) as reason:
                    self.leave_out(contestant, str(reason))
            for turn in range(self.args.rounds):
                print(f"{workload.name}: round {turn + 1} of {self.args.rounds}", file=sys.stderr)
                for server, entry in field:
                    entry.rounds.append(self.round(server, entry.answer_bytes))
            return [entry for _, entry in field]

    def enter(self, server: Server) -> Entry:
        """Nothing is timed before its answer has been read."""
        contestant, place = server.contestant, server.place
        size = load.answer_size(place.port, place.workload.path, contestant.body(place.workload))
        self.wrk(server, WARM_UP)
        return Entry(contestant.name, contestant.version(), server.argv, size, [])

    def round(self, server: Server, answer_bytes: int) -> Round:
        leader = server.process.pid
        before = cpu_seconds(leader)
        seen = self.wrk(server, self.args.seconds)
        used = cpu_seconds(leader) - before
        server.ensure_alive()
        if not seen.requests:
            raise BenchError(f"{server.contestant.name} answered nothing within {self.args.seconds} s")
        if not seen.consists_of(answer_bytes, self.args.connections):
            raise BenchError(f"{server.contestant.name} answered otherwise under load: "
                             f"{seen.bytes / seen.requests:.0f} bytes each, {answer_bytes} when checked")
        return Round(seen, used, resident_bytes(leader))

    def wrk(self, server: Server, seconds: int) -> load.Load:
        place = server.place
        return load.wrk(place.port, place.workload.path, self.args.connections, seconds, self.load_core)

    def run(self) -> None:
        chosen = list(WORKLOADS) if self.args.workload == "all" else [self.args.workload]
        contestants = self.contestants()
        results = {}
        for name in chosen:
            entries = self.compare(WORKLOADS[name], [c for c in contestants if name in c.workloads])
            print(f"\n{name}, {self.args.connections} connections, keep-alive; "
                  f"median (min-max) of {self.args.rounds} rounds of {self.args.seconds} s")
            print(report.table(entries), end="\n\n")
            results[name] = {entry.name: entry.as_json() for entry in entries}
        print("written to", report.save(self.result(results), self.args.json))

    def result(self, workloads: dict[str, Any]) -> dict[str, Any]:
        return {
            **report.machine(),
            "wrk": load.version(),
            "flags": {key: value for key, value in vars(self.args).items() if key != "json"},
            "cores": {"server": self.server_core, "load": self.load_core},
            "left_out": self.out,
            "workloads": workloads,
        }


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unwinding is what stops everything
    if reason := load.missing():
        print(reason, file=sys.stderr)
        return 1
    return concluded(Bench(args).run)


if __name__ == "__main__":
    sys.exit(main())
