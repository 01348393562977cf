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
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import common
from common import HELLO, KIB, spread

from fastserve.rig.measure import contestants
from fastserve.rig.measure.asking import Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.scenario import File
from fastserve.rig.measure.terminal import aligned

TOOL = common.ROOT / "tests" / "live" / "attackers.py"
SITE = {**common.SITE, "site/large": File(octets=16 << 20)}  # more than a kernel takes at once
OWN = 20  # sockets of a server that nobody is connected to, at most
PATIENCE = 60  # seconds for the attackers to connect, and for their connections to end

# With what wrk gets, and the length of slow bodies: one that the loop waits for before a handler runs, and
# one that holds a thread.
ATTACKED = {
    "HTTPServer, a file": (
        common.handlers("files", "fastserve", "HTTPServer", "files", path=common.PATH), KIB, 60000),
    "ThreadingHTTPServer, a handler": (
        common.handlers("threads", "fastserve", "ThreadingHTTPServer", "attacked"), HELLO, 100000),
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
        self.server_core, self.load_core = common.cores()

    def run(self) -> None:
        common.wrk()
        print(common.where())
        print(f"{self.args.attackers} attackers beside {self.args.connections} connections of wrk; "
              f"{self.args.rounds} rounds of {self.args.seconds} s; median (min-max)")
        rows: list[tuple[str, ...]] = [HEADINGS]
        for name, (contestant, body, length) in ATTACKED.items():
            with common.running([contestant], self.server_core, SITE) as [server]:
                size = common.verified(server, body)
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
        except Wrong as reason:  # a machine that is busy with something else, as a rule
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
        tree = common.tree(server)
        before = tree.cpu_seconds()
        seen = common.loaded(server, size, self.args.connections, self.args.seconds, self.load_core)
        return seen.rate, seen.requests / (tree.cpu_seconds() - before)

    @contextmanager
    def attacked(self, server: Server, attack: Attack, length: int) -> Iterator[int]:
        """For the block, with the attackers there; gives how many sockets the server has then."""
        argv = attack.argv(server.address.port, self.args.attackers, length)
        assert server.log is not None
        process = contestants.start(argv, dict(os.environ), common.ROOT, server.log.with_name("attackers"),
                                    [self.load_core])
        try:
            wait_for(lambda: sockets(server) >= self.args.attackers, "there are no attackers")
            wait_for(lambda: is_quiet(server), "the server is never done with what they began")
            yield sockets(server)
        finally:
            contestants.stop(process)
        wait_for(lambda: sockets(server) < OWN, "connections are left open")


def sockets(server: Server) -> int:
    """How many the server has open, its own few among them."""
    return common.sockets(common.leader(server))


def is_quiet(server: Server) -> bool:
    """Whether it has used less than a tenth of the last half second."""
    tree = common.tree(server)
    before = tree.cpu_seconds()
    time.sleep(0.5)
    return tree.cpu_seconds() - before < 0.05


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Wrong(otherwise)
        time.sleep(0.05)


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return common.concluded(lambda: Bench(args).run())


if __name__ == "__main__":
    sys.exit(main())
