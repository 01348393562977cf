"""A server in use for as long as one likes: `python tests/live/soak.py --seconds 600 --server threads`.

Clients with all the habits of habits.py ask a server in a process of its own and compare every octet. After
each round all of them leave: the server must have as many descriptors as at the start, and after the first
minute as much memory as then. Exit status 0 where nothing is wrong; the seed repeats what the clients do,
`--only` one habit. test_soak.py calls it for a few seconds. Knows no server class.
"""

import argparse
import collections
import contextlib
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers import LOG_LINE, Client, request, wait_until
from live import habits, octets
from live.habits import HABITS, Site, Visit
from live.process import WAIT, Hosted, Process, Tree, many_descriptors
from pairs import certificate, client_context

SIZES = [0, 1, 1000, 1024, 4096, 8191, 8192, 16384, 16385, 65535, 65536, 65537, 131071, 131072, 131073,
         300_000, 1 << 20, (1 << 20) + 1, 3_000_000, 6_000_000, 10 << 20, 24 << 20, (40 << 20) + 7]
FILES_ONLY = ("workers", "command")  # the command line, which has no handlers
ROUND = 20.0  # seconds of a round, as a rule
FIRST = 60.0  # seconds after which memory is to stay as it is
GROWTH = 1.02
JUDGED = 120.0  # seconds from which on memory is judged
ENOUGH = 5  # failures, after which a soak ends
# glibc has a heap for every few threads, gives little back, and lets each thread keep some freed memory.
# That still grows after ten minutes (1.12 of what it was after one), and a leak would be lost in it.
TIDY = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=65536"


# -- The server --------------------------------------------------------------------------------


def make_files(folder: Path) -> dict[str, bytes]:
    files = {f"{number}-{size}": octets.body(number * 7919, size) for number, size in enumerate(SIZES)}
    for name, body in files.items():
        (folder / name).write_bytes(body)
    return files


def start(name: str, folder: Path, log: Path, lies: bool) -> Tree:
    """Start what --server names."""
    kind, _, count = name.partition(":")
    if kind in FILES_ONLY:
        return Tree(folder, log, *(["--workers", count or "2"] if kind == "workers" else []))
    options = ["--certificate", str(certificate())] if kind.startswith("tls") else []
    return Hosted(folder, log, "--server", kind, *options, *(["--lie", "octet"] if lies else []))


@contextlib.contextmanager
def served(name: str, lies: bool = False) -> Iterator[tuple[Tree, Site]]:
    """A server with its site; at the end it must stop as it should."""
    with tempfile.TemporaryDirectory(prefix="soak-") as home, many_descriptors():
        folder = Path(home, "served")
        folder.mkdir()
        files = make_files(folder)
        server = start(name, folder, Path(home, "stderr"), lies)
        context = client_context() if name.startswith("tls") else None
        site = Site(server.address, files, b"", not name.startswith(FILES_ONLY), context)
        try:
            yield server, site._replace(not_found=ask_for_nothing(site))
            stop(server, name)
        finally:
            server.end()


def ask_for_nothing(site: Site) -> bytes:
    """The page of a 404, with which all later ones are compared."""
    with habits.Peer(site) as peer:
        peer.send(request(target="/no/such/file"))
        reply = peer.reply()
        assert reply is not None
        assert reply.status == 404, reply
        return reply.body


def stop(server: Process, name: str) -> None:
    """http.server tells of every client that goes; in any other log there are lines of a log only."""
    server.stop(silent=name != "http.server")
    if name != "http.server":
        with server.log_path.open(errors="replace") as log:
            odd = [line for line in log if not LOG_LINE.fullmatch(line.rstrip("\n"))]
        assert not odd, f"{len(odd)} lines in the log that are none: " + "".join(odd)[:3000]


# -- The clients -------------------------------------------------------------------------------


class Tally(NamedTuple):
    """What one habit has come to."""

    visits: int = 0
    answers: int = 0
    sent: int = 0
    received: int = 0

    def plus(self, visit: Visit) -> "Tally":
        peers = visit.peers
        return Tally(self.visits + 1, self.answers + sum(peer.answers for peer in peers),
                     self.sent + sum(peer.sent for peer in peers),
                     self.received + sum(peer.received for peer in peers))


class Soak:
    """The clients, round after round, and what has been seen."""

    def __init__(self, server: Tree, site: Site, args: argparse.Namespace) -> None:
        self.server, self.site, self.args = server, site, args
        self.habits = {name: habit for name, habit in habits.possible(site).items()
                       if args.only in (None, name)}
        self.tallies: dict[str, Tally] = collections.defaultdict(Tally)
        self.failures: list[str] = []
        self.at_rest: list[tuple[float, int]] = []  # seconds after the start, octets
        self.most = self.threads = 0
        self.began = time.monotonic()
        self.descriptors = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        self.warm_up()
        rounds = max(round(self.args.seconds / ROUND), 3)
        for number in range(rounds):
            self.round(number, self.began + self.args.seconds * (number + 1) / rounds)
            if len(self.failures) >= ENOUGH or not self.server.is_running():
                break

    def warm_up(self) -> None:
        """Until the server has opened all that it keeps: what is left then is where it must come back to."""
        for _ in range(20):
            with Client(self.site.address, WAIT):
                pass
        ask_for_nothing(self.site)
        seen = [self.server.descriptors()]
        wait_until(lambda: seen.append(self.server.descriptors()) or seen[-10:] == seen[-1:] * 10)
        self.descriptors = seen[-1]

    def round(self, number: int, until: float) -> None:
        clients = [threading.Thread(target=self.client, args=(number, each, until), daemon=True)
                   for each in range(self.args.clients)]
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients) and time.monotonic() < until + 4 * WAIT:
            self.most = max(self.most, self.server.memory())
            self.threads = max(self.threads, self.server.threads())
            clients[-1].join(0.5)
            clients[0].join(0.5)
        if any(client.is_alive() for client in clients):
            self.fail(f"round {number}: clients are still waiting")
        self.rest(number)

    def client(self, number: int, client: int, until: float) -> None:
        """One visit after the other, each by a chance of its own."""
        count = 0
        while time.monotonic() < until and len(self.failures) < ENOUGH:
            seed = f"{self.args.seed}/{number}/{client}/{count}"
            self.visit(seed)
            count += 1

    def visit(self, seed: str) -> None:
        chance = random.Random(seed)
        name = chance.choices(list(self.habits), [habit.weight for habit in self.habits.values()])[0]
        visit = Visit(self.site, chance)
        try:
            self.habits[name].act(visit)
        except Exception:
            self.fail(f"{name}, seed {seed}:\n{traceback.format_exc()}{habits.describe(visit)}")
        finally:
            visit.close()
            with self._lock:
                self.tallies[name] = self.tallies[name].plus(visit)

    def rest(self, number: int) -> None:
        """Nobody is there."""
        if not wait_until(lambda: self.server.descriptors() <= self.descriptors, WAIT):
            self.fail(f"after round {number} there are {self.server.descriptors()} descriptors open, "
                      f"and {self.descriptors} were at the start")
        self.at_rest.append((time.monotonic() - self.began, self.server.memory()))

    def fail(self, text: str) -> None:
        with self._lock:
            self.failures.append(text)
        print(f"FAILED after {time.monotonic() - self.began:.1f} s: {text}", file=sys.stderr, flush=True)

    # -- What has come of it -------------------------------------------------------------------

    def judge(self) -> None:
        """Memory at the end, beside that after the first minute."""
        if self.args.seconds >= JUDGED and (growth := self.growth()) > GROWTH:
            self.fail(f"memory has grown to {growth:.3f} of what it was after the first minute: "
                      + ", ".join(f"{octets >> 10}" for _, octets in self.at_rest) + " KiB")

    def growth(self) -> float:
        """The last three rests beside the three after the first minute, or the first third."""
        first = min(FIRST, self.args.seconds / 3)
        later = [octets for when, octets in self.at_rest if when >= first] or [1]
        return statistics.median(later[-3:]) / max(statistics.median(later[:3]), 1)

    def summary(self) -> str:
        lines = [f"{'':20}{'visits':>9}{'answers':>9}{'MiB sent':>11}{'received':>11}"]
        lines += [f"{name:20}{tally.visits:9}{tally.answers:9}{tally.sent / 2**20:11.1f}"
                  f"{tally.received / 2**20:11.1f}" for name, tally in sorted(self.tallies.items())]
        answers = sum(tally.answers for tally in self.tallies.values())
        rests = [octets / 2**20 for _, octets in self.at_rest] or [0]
        seconds = time.monotonic() - self.began
        lines += [
            f"{answers} answers in {seconds:.0f} s, {len(self.failures)} failures, seed {self.args.seed}",
            f"descriptors: {self.descriptors} at the start, {self.server.descriptors()} at the end",
            "memory at rest in MiB: " + " ".join(f"{rest:.1f}" for rest in rests),
            f"at the end {self.growth():.3f} of what it was at first; {self.most / 2**20:.1f} MiB at most",
            f"threads: {self.server.threads()} at rest, {self.threads} at most",
        ]
        return "\n".join(lines)


def soak(args: argparse.Namespace) -> Soak:
    """Run one and print what came of it. Raises AssertionError where the server does not end well."""
    with served(args.server, args.lie) as (server, site):
        done = Soak(server, site, args)
        done.run()
        done.judge()
        print(f"{args.server}: {done.summary()}", flush=True)
    return done


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/live/soak.py", description="Use a server for a while.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--server", default="threads",
                        help="loop, threads, tls, tls-loop, http.server with handlers; "
                        "command, workers:N with files only")
    parser.add_argument("--clients", type=int, default=24, help="at a time")
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--only", choices=HABITS, help="one habit")
    parser.add_argument("--system-malloc", action="store_true",
                        help="let the C library keep freed memory as it does; else glibc keeps little of it")
    parser.add_argument("--lie", action="store_true", help="let the server send a wrong octet at times")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> Any:
    args = options(argv)
    if not args.system_malloc:
        os.environ.setdefault("GLIBC_TUNABLES", TIDY)
    return 1 if soak(args).failures else 0


if __name__ == "__main__":
    sys.exit(main())
