"""Handlers that wait, and requests beside them: `python bench/waiting.py`. Prints a table.

Each figure is taken on a ThreadingHTTPServer of its own, on one core; the clients are one thread with a
selector on another, and what they need themselves is told. `--import` names the libraries.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import common
from common import HELLO, percentile_99, spread

from fastserve.rig.measure.asking import Question, Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.scenario import Contestant
from fastserve.rig.measure.terminal import aligned

PATIENCE = 60  # seconds for a round
REST = 14  # seconds; fastserve's threads end after ten without work
SWITCH = sys.getswitchinterval() * 1000  # ms
FLOOR = Contestant("floor", ("sh", "{here}/floor.sh", "{folder}", "{port}", "file1k"))
HEAD_END = b"\r\n\r\n"

Figure = Callable[[Server, argparse.Namespace], str]


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/waiting.py", description="Measure handlers that wait.")
    parser.add_argument("--import", dest="modules", action="append", choices=["fastserve", "http.server"])
    parser.add_argument("--figures", type=lambda names: names.split(","), default=list(FIGURES),
                        help=f"some of {','.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=10, help="of 64 requests that sleep")
    parser.add_argument("--requests", type=int, default=2000, help="short ones beside those that block")
    parser.add_argument("--idle", type=int, default=10, help="seconds of doing nothing")
    return parser.parse_args(argv)


# -- The clients -------------------------------------------------------------------------------


class Crowd:
    """Connections that ask at once, in one thread. An answer that is not 200 with that body is an error."""

    def __init__(self, server: Server, count: int) -> None:
        self.address = server.address
        self.count = count
        self.socks: list[socket.socket] = []

    def connect(self) -> None:
        for _ in range(self.count):
            sock = socket.create_connection(self.address[:2], PATIENCE)
            sock.setblocking(False)
            self.socks.append(sock)

    def send(self, path: str) -> None:
        request = Question(path).octets(self.address)
        for sock in self.socks:
            sock.send(request)

    def ask(self, path: str, body: bytes) -> list[float]:
        """Ask on all of them; ms until each was answered, counted from the first request."""
        began = time.monotonic()
        self.send(path)
        return [(when - began) * 1000 for when in self.answers(body)]

    def answers(self, body: bytes) -> list[float]:
        """When each has come, by the clock, in the order of coming."""
        times: list[float] = []
        got = dict.fromkeys(self.socks, b"")
        with selectors.DefaultSelector() as selector:
            for sock in self.socks:
                selector.register(sock, selectors.EVENT_READ)
            while len(times) < len(self.socks):
                events = selector.select(PATIENCE)
                if not events:
                    raise Wrong(f"{len(self.socks) - len(times)} answers did not come")
                for key, _ in events:
                    asked: Any = key.fileobj
                    got[asked] += (data := asked.recv(65536))
                    if is_answer(got[asked], body, ended=not data):
                        times.append(time.monotonic())
                        selector.unregister(asked)
        return times

    def close(self) -> None:
        for sock in self.socks:
            sock.close()


def is_answer(octets: bytes, body: bytes, ended: bool = False) -> bool:
    """Whether all of it is here. Raises Wrong where it is another one."""
    head, mark, got = octets.partition(HEAD_END)
    if ended or (mark and not (head.startswith(b"HTTP/1.1 200 ") and body.startswith(got))):
        raise Wrong(f"answered {octets[:300]!r}")
    return bool(mark) and got == body


@contextmanager
def crowd(server: Server, count: int) -> Iterator[Crowd]:
    """That many connections."""
    clients = Crowd(server, count)
    try:
        clients.connect()
        yield clients
    finally:
        clients.close()


def one_by_one(server: Server, path: str, body: bytes, goes_on: Callable[[int], bool]) -> list[float]:
    """ms of one request after the other, on one connection, for as long as ``goes_on(count)``."""
    times: list[float] = []
    with crowd(server, 1) as client:
        while goes_on(len(times)):
            times += client.ask(path, body)
    return times


# -- The figures -------------------------------------------------------------------------------


def sleeping(server: Server, args: argparse.Namespace) -> str:
    """64 clients, each with a handler that sleeps 100 ms, after the first 128 of them."""
    with crowd(server, 64) as clients:
        rounds = [max(clients.ask("/sleep/100", HELLO)) for _ in range(args.rounds + 2)]
    return spread(rounds[2:], 0)


def crowded(server: Server, args: argparse.Namespace) -> str:
    """500 clients, each with a handler that sleeps 1 s; nobody has asked before. Connecting counts."""
    began = time.monotonic()
    with crowd(server, 500) as clients:
        clients.send("/sleep/1000")
        return f"{(clients.answers(HELLO)[-1] - began) * 1000:,.0f}"


def beside_blocked(server: Server, args: argparse.Namespace, path: str, body: bytes) -> str:
    """One client's short requests, while 200 handlers sleep 30 s."""
    with crowd(server, 200) as blocked:
        blocked.send("/sleep/30000")
        wait_for_threads(server, 200)
        return latencies(one_by_one(server, path, body, lambda count: count < args.requests))


def beside_busy(server: Server, args: argparse.Namespace) -> str:
    """One client's short requests, while handlers of another are busy for 50 ms, one after the other."""
    end = time.monotonic() + 5
    with crowd(server, 1) as busy, crowd(server, 1) as short:
        times: list[float] = []
        busy.send("/busy/50")
        while time.monotonic() < end:
            times += short.ask("/hello", HELLO)
            if has_come(busy):
                busy.answers(HELLO)
                busy.send("/busy/50")
    median, late, longest = (figure(times) / SWITCH for figure in (statistics.median, percentile_99, max))
    return f"{median:.2f} / {late:.2f} / {longest:.2f} of {len(times)}"


def idle(server: Server, args: argparse.Namespace) -> str:
    """After the load of `sleeping`, with its connections closed, nobody there, and its threads gone."""
    with crowd(server, 64) as clients:
        for _ in range(2):
            clients.ask("/sleep/100", HELLO)
    time.sleep(REST)
    tree, switches = common.tree(server), voluntary_switches(server)
    before = tree.cpu_seconds()
    time.sleep(args.idle)
    used = (tree.cpu_seconds() - before) * 100 / args.idle
    now = voluntary_switches(server)
    return f"{used:.1f} % / {sum(now[name] - switches.get(name, 0) for name in now)} / {len(now)}"


FIGURES: dict[str, tuple[str, Figure]] = {
    "sleeping": ("64 x sleep 100 ms, ms until all are answered", sleeping),
    "crowded": ("500 x sleep 1 s, cold, ms until all are answered", crowded),
    "file": ("a file beside 200 blocked, ms, p50 / p99 / longest",
             lambda server, args: beside_blocked(server, args, common.PATH, common.KIB)),
    "hello": ("hello beside 200 blocked, ms, p50 / p99 / longest",
              lambda server, args: beside_blocked(server, args, "/hello", HELLO)),
    "busy": ("hello beside 50 ms of Python, switch intervals, p50 / p99 / longest", beside_busy),
    "idle": ("idle after load: CPU / voluntary switches / threads", idle),
}


def latencies(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} / {percentile_99(values):.2f} / {max(values):.2f}"


def has_come(clients: Crowd) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(clients.socks[0], selectors.EVENT_READ)
        return bool(selector.select(0))


# -- The server's process ----------------------------------------------------------------------


def threads(server: Server) -> list[Path]:
    return list(Path(f"/proc/{common.leader(server)}/task").iterdir())


def wait_for_threads(server: Server, count: int) -> None:
    """Until so many are there, which then sleep in handlers."""
    deadline = time.monotonic() + PATIENCE
    while len(threads(server)) < count:
        if time.monotonic() > deadline:
            raise Wrong(f"{len(threads(server))} threads instead of {count}")
        time.sleep(0.01)


def voluntary_switches(server: Server) -> dict[str, int]:
    """How often each thread has gone to sleep so far."""
    mark, found = "\nvoluntary_ctxt_switches:", {}
    for thread in threads(server):
        with suppress(OSError):  # it has ended meanwhile
            found[thread.name] = int((thread / "status").read_text().split(mark)[1].split()[0])
    return found


# -- The comparison ----------------------------------------------------------------------------


def contestant(module: str) -> Contestant:
    return common.handlers(module, module, "ThreadingHTTPServer", "waiting")


def measured(who: Contestant, figure: Figure, args: argparse.Namespace, core: int) -> str:
    """One figure, on a server that was started for it; a reason where there is none."""
    try:
        with common.running([who], core) as [server]:
            return figure(server, args)
    except (Wrong, OSError) as reason:
        return f"none: {reason}"


def overhead(args: argparse.Namespace, core: int) -> str:
    """What the clients need by themselves: against the floor, which only receives and sends."""
    return measured(FLOOR, at_once, args, core)


def at_once(server: Server, args: argparse.Namespace) -> str:
    """The same without anything to wait for."""
    common.verified(server, common.KIB)
    alone = latencies(one_by_one(server, "/", common.KIB, lambda count: count < args.requests))
    with crowd(server, 64) as clients:
        together = spread([max(clients.ask("/", common.KIB)) for _ in range(args.rounds)], 1)
    return f"{alone} ms for one after the other, {together} ms for 64 at once"


def show(args: argparse.Namespace) -> None:
    server_core, own_core = common.cores()
    os.sched_setaffinity(0, {own_core})
    contestants = [contestant(module) for module in args.modules or ["fastserve", "http.server"]]
    rows = [("ThreadingHTTPServer of", *(each.name for each in contestants))]
    for name in args.figures:
        title, figure = FIGURES[name]
        print(title, file=sys.stderr)
        rows.append((title, *(measured(each, figure, args, server_core) for each in contestants)))
    print(common.where())
    print(f"the clients and the floor alone: {overhead(args, server_core)}")
    print(aligned(rows))


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return common.concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
