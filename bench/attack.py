"""What slow attackers cost the honest: `python bench/attack.py`. Prints a table of throughputs and ratios.

wrk loads a server alone, then beside attackers that send or read next to nothing, in turns, so that each
ratio is of two neighbours in time: of requests a second, and of requests a second of the server's CPU, which
says more where something else runs on the machine. The attackers are tests/live/attackers.py and, where it
is installed, Debian's slowhttptest; they share the core of wrk. A round begins when they have all begun and
the server has done what that takes; how many sockets it has then, and at the end, is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import answers
import load
import processes
from contestants import ROOT, TREE, handlers
from processes import BenchError
from report import aligned, spread, where
from servers import Contestant, Server, running
from workloads import WORKLOADS, Workload

TOOL = ROOT / "tests" / "live" / "attackers.py"
LARGE = 16 << 20  # bytes, more than a kernel takes at once
OWN = 20  # sockets of a server that nobody is connected to, at most
PATIENCE = 60  # seconds for the attackers to connect, and for their connections to end

# With the length of slow bodies: one the loop waits for before a handler runs, one that holds a thread.
ATTACKED = {
    "HTTPServer, a file": (
        Contestant("files", ("file1k",), handlers("fastserve", "HTTPServer"), lambda: None, str, TREE),
        WORKLOADS["file1k"], 60000),
    "ThreadingHTTPServer, a handler": (
        Contestant("threads", ("attacked",), handlers("fastserve", "ThreadingHTTPServer"), lambda: None, str,
                   TREE),
        Workload("attacked", "/", b"Hello, World!"), 100000),
}


Rates = tuple[float, float]


@dataclass(frozen=True)
class Attack:
    """Who attacks: a command line for a port, a number of connections, and the length of bodies."""

    name: str
    argv: Callable[[int, int, int], list[str]]


def ours(kind: str) -> Attack:
    def argv(port: int, connections: int, length: int) -> list[str]:
        return [sys.executable, str(TOOL), "--kind", kind, "--port", str(port), "--path", "/large",
                "--connections", str(connections), "--length", str(length), "--seconds", "600", "--reconnect"]
    return Attack(kind, argv)


def debians(*words: str) -> Attack:
    def argv(port: int, connections: int, length: int) -> list[str]:
        count = str(connections)
        return ["slowhttptest", *words, "-c", count, "-r", count, "-i", "1", "-l", "600", "-p", "60",
                "-s", str(length), "-u", f"http://127.0.0.1:{port}/large"]
    return Attack(" ".join(["slowhttptest", words[0]]), argv)


ATTACKS = [ours("slow-headers"), ours("slow-body"), ours("slow-read"),
           debians("-H"), debians("-B"), debians("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5")]


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/attack.py", description="Measure what attackers cost.")
    parser.add_argument("--attackers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in a round, alone and beside them")
    parser.add_argument("--connections", type=int, default=64, help="of wrk")
    parser.add_argument("--only", default="", help="attacks whose name has this in it")
    return parser.parse_args(argv)


HEADINGS = ("server", "attack", "alone, requests/s", "attacked", "x alone", "x alone, of CPU",
            "sockets at begin-end")


class Bench:
    """One run: the options and the two cores."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.load_core = cores[0], cores[-1]

    def run(self) -> None:
        rows: list[tuple[str, ...]] = [HEADINGS]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for name, (contestant, workload, length) in ATTACKED.items():
                site = Path(folder, contestant.name, "site")
                site.mkdir(parents=True)
                workload.lay_out(workload, site)
                Path(site, "large").write_bytes(bytes(LARGE))
                with running(contestant, workload, site, self.server_core) as server:
                    size = answers.checked(server.place.port, workload).octets
                    self.wrk(server, size)
                    rows += [(name, *self.row(server, attack, size, length)) for attack in self.attacks()]
        print(aligned(rows))

    def attacks(self) -> list[Attack]:
        found = [attack for attack in ATTACKS if self.args.only in attack.name]
        present = [attack for attack in found if shutil.which(attack.argv(0, 0, 0)[0])]
        for attack in found:
            if attack not in present:
                print(f"{attack.name} is left out: not installed", file=sys.stderr)
        return present

    def row(self, server: Server, attack: Attack, size: int, length: int) -> list[str]:
        try:
            return self.measure(server, attack, size, length)
        except BenchError as reason:  # a machine that is busy with something else, as a rule
            server.ensure_alive()
            return [attack.name, *"----", str(reason)]

    def measure(self, server: Server, attack: Attack, size: int, length: int) -> list[str]:
        alone: list[Rates] = []
        attacked: list[Rates] = []
        held = []
        for turn in range(self.args.rounds):
            print(f"{server.contestant.name}, {attack.name}: round {turn + 1}", file=sys.stderr)
            before = self.wrk(server, size)
            with self.attacked(server, attack, length) as begun:
                beside = self.wrk(server, size)
                held.append(f"{begun}-{sockets(server)}")
            print(f"  {before[0]:,.0f} requests/s, {beside[0]:,.0f} attacked; "
                  f"of CPU {before[1]:,.0f}, {beside[1]:,.0f}", file=sys.stderr)
            alone.append(before)
            attacked.append(beside)
        ratios = [[two / one for one, two in zip(*pair)] for pair in zip(alone, attacked)]
        return [attack.name, *(f"{statistics.median(wall for wall, _ in rates):,.0f}" for rates in
                               (alone, attacked)), *(spread(list(each), 3) for each in zip(*ratios)),
                " ".join(held)]

    def wrk(self, server: Server, size: int) -> Rates:
        """Answers a second, all of them right: of time, and of the server's CPU."""
        before = processes.cpu_seconds(server.process.pid)
        seen = load.wrk(server.place.port, server.place.workload, self.args.connections, self.args.seconds,
                        self.load_core)
        server.ensure_alive()
        used = processes.cpu_seconds(server.process.pid) - before
        if seen.errors or not seen.requests or not seen.consists_of(size, self.args.connections):
            raise BenchError(f"{server.contestant.name}: {seen.errors} errors, {seen.bytes} bytes for "
                             f"{seen.requests} answers of {size}")
        return seen.requests / seen.seconds, seen.requests / used

    @contextmanager
    def attacked(self, server: Server, attack: Attack, length: int) -> Iterator[int]:
        """For the block, with the attackers there; gives how many sockets the server has then."""
        argv = attack.argv(server.place.port, self.args.attackers, length)
        process = processes.start(argv, {}, server.place.folder / "attackers", self.load_core)
        try:
            wait_for(lambda: sockets(server) >= self.args.attackers, "there are no attackers")
            wait_for(lambda: is_quiet(server), "the server is never done with what they began")
            yield sockets(server)
        finally:
            processes.stop(process)
        wait_for(lambda: sockets(server) < OWN, "connections are left open")


def sockets(server: Server) -> int:
    """How many the server has open, its own few among them."""
    return processes.sockets(server.process.pid)


def is_quiet(server: Server) -> bool:
    """Whether it has used less than a tenth of the last half second."""
    before = processes.cpu_seconds(server.process.pid)
    time.sleep(0.5)
    return processes.cpu_seconds(server.process.pid) - before < 0.05


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(otherwise)
        time.sleep(0.05)


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unwinding is what stops everything
    if reason := load.missing():
        print(reason, file=sys.stderr)
        return 1
    print(where())
    print(f"{args.attackers} attackers beside {args.connections} connections of wrk; "
          f"{args.rounds} rounds of {args.seconds} s; median (min-max)")
    return processes.concluded(Bench(args).run)


if __name__ == "__main__":
    sys.exit(main())
