"""Compares servers: `python bench/run.py`. Starts them, checks them, loads them in turn, prints a table.

The server runs on one core, wrk on another. All contestants of a workload are started once and stay up:
idle they sleep in the kernel (the busiest wakes once or twice a second), while a restart before every round
would measure cold caches. Only one is under load at a time, and rounds interleave (A B C, A B C, ...), so
what drifts on the machine drifts under all of them. Beside idle connections each round has a new server, as
one that has had them once keeps the memory.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import answers
import certificate
import idle
import load
import report
from contestants import CONTESTANTS
from processes import BenchError, concluded, cpu_seconds, passive_opens, resident_bytes
from report import Entry, Idle, Round
from servers import Contestant, Server, running
from workloads import IDLE, WORKLOADS, Workload

OURS = "fastserve"  # where a contestant whose name begins so fails, the status is 1
RECONNECTED = 0.99  # of the requests that are to have a connection each


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Compare servers under wrk.")
    parser.add_argument("--workload", default="file1k,hello", help=f"all, or some of {','.join(WORKLOADS)}")
    parser.add_argument("--servers", type=lambda names: names.split(","), default=list(CONTESTANTS),
                        help=f"some of {','.join(CONTESTANTS)}")
    add_common(parser)
    args = parser.parse_args(argv)
    args.workload = list(WORKLOADS) if args.workload == "all" else args.workload.split(",")
    for kind, names, known in (("contestant", args.servers, list(CONTESTANTS)),
                               ("workload", args.workload, list(WORKLOADS))):
        if unknown := set(names) - set(known):
            parser.error(f"no {kind} is called {' or '.join(unknown)}; there are {', '.join(known)}")
    return args


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command has that uses Bench."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in a round")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds of load before the first round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--idle", type=int, default=IDLE, help="connections in all, where most are idle")
    parser.add_argument("--json", type=Path, help="the file for the result; default one in bench/results/")


@contextmanager
def site_of(workload: Workload) -> Iterator[Path]:
    """The folder that is served, with what the workload asks for; what is beside it goes with it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Path(folder, "site")
        site.mkdir()
        workload.lay_out(workload, site)
        yield site


@dataclass(frozen=True)
class Runner:
    """A contestant that runs and has answered as it should."""

    server: Server
    checked: answers.Checked
    entry: Entry

    def ensure_right(self, seen: load.Load, connections: int, opened: int) -> None:
        """That what wrk has seen is what was asked for."""
        self.server.ensure_alive()
        workload, size = self.server.place.workload, self.checked.octets
        if not (seen.bytes if workload.per_gigabyte else seen.requests):
            raise BenchError(f"answered nothing within {seen.seconds:.0f} s")
        if not seen.consists_of(size, connections * workload.pipelined):
            each = seen.bytes / max(seen.requests, 1)
            raise BenchError(f"answered otherwise under load: {each:.0f} bytes each, {size} when checked")
        if seen.refused != (seen.requests if workload.status >= 400 else 0):
            raise BenchError(f"answered otherwise under load: {seen.refused} refused of {seen.requests}")
        if workload.fresh and opened < seen.requests * RECONNECTED:
            raise BenchError(f"took {opened} connections for {seen.requests} requests")
        if seen.resumed and not workload.resumed:
            raise BenchError(f"resumed {seen.resumed} TLS sessions of {seen.handshakes}")
        if workload.resumed and seen.resumed < seen.handshakes * RECONNECTED - connections:
            raise BenchError(f"resumed no more than {seen.resumed} TLS sessions of {seen.handshakes}")


class Bench:
    """One comparison: the options, the two cores, and who has to stay out of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        if reason := load.missing():
            raise BenchError(reason)
        self.args = args
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.load_core = cores[0], cores[min(1, len(cores) - 1)]
        if self.server_core == self.load_core:
            print("one core only: the server and wrk share it", file=sys.stderr)
        self.out: dict[str, str] = {}
        self.failed = False  # what all of this is for
        self.version = functools.cache(lambda name: CONTESTANTS[name].version())

    def contestants(self, names: Sequence[str]) -> list[Contestant]:
        """Those that can take part."""
        chosen = [CONTESTANTS[name] for name in names]
        for contestant in chosen:
            if reason := contestant.prepare():
                self.leave_out(contestant.name, reason)
        return [contestant for contestant in chosen if contestant.name not in self.out]

    def leave_out(self, name: str, reason: str) -> None:
        self.out[name] = reason
        print(f"{name} is left out: {reason}", file=sys.stderr)

    def fail(self, contestant: Contestant, workload: Workload, reason: Exception) -> None:
        """The others go on without it, unless it is what all of this is for."""
        if contestant.name.startswith(OURS):
            raise BenchError(f"{contestant.name}, {workload.name}: {reason}") from reason
        self.leave_out(f"{contestant.name}, {workload.name}", str(reason))

    @contextmanager
    def guarded(self, contestant: Contestant, workload: Workload, field: dict[str, Any]) -> Iterator[None]:
        """The others go on without one that fails."""
        try:
            yield
        except (BenchError, OSError) as reason:
            field.pop(contestant.name, None)
            self.leave_out(f"{contestant.name}, {workload.name}", str(reason))
            self.failed |= contestant.name.startswith(OURS)

    # -- A workload --------------------------------------------------------------------------------

    def compare(self, workload: Workload, contestants: list[Contestant]) -> list[Entry]:
        """The rounds of those that have this workload."""
        field = [contestant for contestant in contestants if workload.name in contestant.workloads]
        with site_of(workload) as site:
            entries = (self.beside_idle if workload.idle else self.in_turns)(workload, field, site)
        return [entry for entry in entries if entry.rounds]

    def in_turns(self, workload: Workload, contestants: list[Contestant], site: Path) -> list[Entry]:
        with ExitStack() as stack:
            field: dict[str, Runner] = {}
            for contestant in contestants:
                with self.guarded(contestant, workload, field):
                    server = stack.enter_context(running(contestant, workload, site, self.server_core))
                    field[contestant.name] = self.enter(server)
            for _ in self.turns(workload):
                for runner in list(field.values()):
                    with self.guarded(runner.server.contestant, workload, field):
                        runner.entry.rounds.append(self.round(runner))
            return [runner.entry for runner in field.values()]

    def beside_idle(self, workload: Workload, contestants: list[Contestant], site: Path) -> list[Entry]:
        """One runs at a time, with as many descriptors as this process may have."""
        idle.allowed(self.args.idle)
        field = {contestant.name: contestant for contestant in contestants}
        entries: dict[str, Entry] = {}
        for _ in self.turns(workload):
            for contestant in list(field.values()):
                with (self.guarded(contestant, workload, field),
                      running(contestant, workload, site, self.server_core) as server):
                    runner = self.enter(server)
                    entry = entries.setdefault(contestant.name, runner.entry)
                    entry.rounds.append(self.idle_round(runner))
        return [entry for name, entry in entries.items() if name in field]

    def turns(self, workload: Workload) -> Iterator[int]:
        for turn in range(self.args.rounds):
            print(f"{workload.name}: round {turn + 1} of {self.args.rounds}", file=sys.stderr)
            yield turn

    # -- One contestant ----------------------------------------------------------------------------

    def enter(self, server: Server) -> Runner:
        """Nothing is timed before its answer has been read."""
        contestant, workload, port = server.contestant, server.place.workload, server.place.port
        if workload.tls:
            certificate.ensure_agreed(port)
        checked = answers.checked(port, workload, contestant.body(workload))
        entry = Entry(contestant.name, self.version(contestant.name), server.argv, checked.octets, [],
                      workload.per_gigabyte)
        runner = Runner(server, checked, entry)
        if self.args.warm_up:
            self.wrk(runner, self.args.warm_up)
        return runner

    def round(self, runner: Runner) -> Round:
        leader = runner.server.process.pid
        cpu, opened = cpu_seconds(leader), passive_opens()
        seen = self.wrk(runner, self.args.seconds)
        used, opened = cpu_seconds(leader) - cpu, passive_opens() - opened
        runner.ensure_right(seen, self.connections(runner), opened)
        return Round(seen, used, resident_bytes(leader))

    def idle_round(self, runner: Runner) -> Round:
        """The load without idle connections, and then beside them; --idle is the number of all."""
        place, leader = runner.server.place, runner.server.process.pid
        count = idle.allowed(max(self.args.idle - self.connections(runner), 1))
        without = self.round(runner)
        before = resident_bytes(leader)
        with idle.connections(place.port, place.workload, count):
            each = (resident_bytes(leader) - before) / count
            beside = self.round(runner)
        return replace(beside, idle=Idle(count, each, without.rate, without.cpu_us))

    def wrk(self, runner: Runner, seconds: int) -> load.Load:
        place = runner.server.place
        return load.wrk(place.port, place.workload, self.connections(runner), seconds, self.load_core,
                        runner.checked.fields)

    def connections(self, runner: Runner) -> int:
        return runner.server.place.workload.connections or int(self.args.connections)

    # -- All ---------------------------------------------------------------------------------------

    def run(self) -> None:
        contestants = self.contestants(self.args.servers)
        results = {}
        for name in self.args.workload:
            entries = self.compare(WORKLOADS[name], contestants)
            self.show(WORKLOADS[name], entries)
            results[name] = {entry.name: entry.as_json() for entry in entries}
        print("written to", report.save(self.result(results), self.args.json))
        self.ensure_complete()

    def ensure_complete(self) -> None:
        if self.failed:
            raise BenchError(f"{OURS} has failed; see above")

    def show(self, workload: Workload, entries: list[Entry]) -> None:
        connections = workload.connections or self.args.connections
        print(f"\n{workload.name}: {workload.title}; {connections} connections; median (min-max) of "
              f"{self.args.rounds} rounds of {self.args.seconds} s")
        print(report.aligned(report.table(entries)), end="\n\n", flush=True)

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
    return concluded(lambda: Bench(args).run())


if __name__ == "__main__":
    sys.exit(main())
