"""Handlers that wait about as long as the loop's watcher does: `python tests/live/handover.py --seconds 120`.

200 connections send pipelines of five to a ThreadingHTTPServer in a process of its own. Every answer must be
that of its request, in order, octet by octet; the server says which requests it has run, for which
connection, in which order, and whether two ran at once that must not. Exit status 0 where nothing is wrong.
What is asked comes from the seed, when it comes from the machine. test_handover.py calls it for seconds.
"""

import argparse
import collections
import contextlib
import itertools
import json
import random
import selectors
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers import Client, connect, request, wait_until
from live import octets
from live.process import Hosted, Tree, ends_well, many_descriptors
from pairs import certificate, client_context, reset

PATIENCE = 60.0  # seconds without an octet for a connection that waits for one
PIPELINE = 5
MOST_MS = 8
ENOUGH = 5  # faults, after which it ends

# What the handler of host.py is asked to do, and how often.
ACTIONS = {"now": 40, "sleep": 20, "spin": 8, "late": 8, "parts": 8, "chunks": 8, "read": 10}
LAST = {"close": 4, "raise": 2, "leave": 4}  # instead of the last one of a pipeline, of a hundred


class Fault(Exception):
    """What must not be."""


class Asked(NamedTuple):
    """A request and its answer: the body's octets on the wire, their length where it is declared."""

    target: str
    octets: bytes
    body: bytes
    length: int | None


def ask(name: str, number: int, action: str, chance: random.Random) -> Asked:
    """One request, by chance; a few have a large body or answer."""
    ms = 50 if chance.random() < 0.01 else chance.randint(0, MOST_MS)
    size = int(2_000_000 ** chance.random()) if chance.random() < 0.05 else chance.randint(0, 2000)
    target = f"/{name}/{number}/{action}/{ms}/{size}"
    if action == "read":
        return ask_to_read(target, octets.body(number, int(200_000 ** chance.random()) + 1))
    method = "HEAD" if action == "now" and chance.random() < 0.1 else "GET"
    sent = request(method, target)
    body = target.encode() + octets.body(sum(target.encode()) * 997 + number, size)
    if action == "chunks":
        return Asked(target, sent, octets.chunked(octets.cut(body, 3)), None)
    return Asked(target, sent, b"" if method == "HEAD" else body, len(body))


def ask_to_read(target: str, upload: bytes) -> Asked:
    body = target.encode() + octets.digest([upload])
    return Asked(target, request("POST", target, body=upload), body, len(body))


class Talk:
    """One connection, as its client sees it: what is to be sent, and what has been asked and not answered."""

    def __init__(
        self, name: str, chance: random.Random, address: Any, context: ssl.SSLContext | None
    ) -> None:
        self.name, self.chance = name, chance
        self.sock = connect(address, PATIENCE)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.sock.setblocking(False)
        self.waiting: collections.deque[Asked] = collections.deque()
        self.asked = self.answered = self.pipelines = 0
        self.last = ""  # how it ends, once that is known
        self.since = time.monotonic()
        self._out, self._in = bytearray(), bytearray()

    def begin(self) -> None:
        """Put another pipeline on its way."""
        self.pipelines += 1
        actions = self.chance.choices(list(ACTIONS), list(ACTIONS.values()), k=PIPELINE)
        kinds = [*LAST, ""]
        self.last = self.chance.choices(kinds, [*LAST.values(), 100 - sum(LAST.values())])[0]
        if self.last in ("close", "raise"):
            actions[-1] = self.last
        for action in actions:
            asked = ask(self.name, self.asked, action, self.chance)
            self.asked += 1
            self.waiting.append(asked)
            self._out += asked.octets
        self._slowly = self.chance.random() < 0.1
        self._leave_after = self.chance.randint(0, PIPELINE - 1) if self.last == "leave" else -1
        self.since = time.monotonic()

    @property
    def wants_to_send(self) -> bool:
        return bool(self._out)

    @property
    def is_done(self) -> bool:
        """Whether the pipeline is answered."""
        return not self.waiting

    def send(self) -> None:
        """What the socket takes; in some pipelines a few octets at a time."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            del self._out[: self.sock.send(self._out[: 200 if self._slowly else 1 << 16])]

    def receive(self) -> bool:
        """Take what has come and compare it; whether it is to go on with this connection."""
        try:
            data = self.sock.recv(1 << 16)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        if not data:
            self.see_the_end()
            return False
        self.since = time.monotonic()
        self._in += data
        while self.waiting and self.take():
            if self.pipelines and len(self.waiting) == PIPELINE - 1 - self._leave_after:
                return False
        if self._in and not self.waiting:
            raise Fault(f"more than was asked for: {bytes(self._in[:300])!r}")
        return True

    def take(self) -> bool:
        """The next answer, where all of it is here."""
        asked = self.waiting[0]
        end = self._in.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.check_head(bytes(self._in[:end]).decode("latin-1"), asked)
        size = end + 4 + len(asked.body)
        if asked.body[: len(self._in) - end - 4] != self._in[end + 4 : size]:
            raise Fault(f"another answer: {head}, {bytes(self._in[end + 4 : end + 304])!r}")
        if len(self._in) < size:
            return False
        del self._in[:size]
        self.waiting.popleft()
        self.answered += 1
        return True

    def check_head(self, head: str, asked: Asked) -> str:
        line, *fields = head.lower().split("\r\n")
        declared = [field[16:] for field in fields if field.startswith("content-length: ")]
        expected = [] if asked.length is None else [str(asked.length)]
        if not line.startswith("http/1.1 200 ") or declared != expected:
            raise Fault(f"not the head of an answer with {asked.length} octets: {head!r}")
        return head

    def see_the_end(self) -> None:
        """Which comes after an answer that says so, or instead of one, where the handler raised."""
        left = 1 if self.last == "raise" else 0
        if self.last not in ("close", "raise") or len(self.waiting) != left or self._in:
            raise Fault(f"the end, with {bytes(self._in[:300])!r} of an answer")

    def leave(self) -> None:
        (reset if self.chance.random() < 0.5 else socket.socket.close)(self.sock)

    def describe(self) -> str:
        waiting = " ".join(asked.target for asked in itertools.islice(self.waiting, 10))
        return (f"connection {self.name}, pipeline {self.pipelines}, ending {self.last or 'open'}: "
                f"{self.answered} of {self.asked} answered, {len(self._out)} octets unsent, waiting for "
                f"{waiting or 'nothing'}")


class Stress:
    """All connections, in one thread, and what has come of them."""

    def __init__(self, server: Tree, args: argparse.Namespace, context: ssl.SSLContext | None = None) -> None:
        self.server, self.args, self.context = server, args, context
        self.selector = selectors.DefaultSelector()
        self.names = itertools.count()
        self.asked: dict[str, Talk] = {}  # every connection that there was
        self.faults: list[str] = []
        self.threads = 0
        self.descriptors = server.descriptors()
        self.began = time.monotonic()
        self.until = self.began + args.seconds

    # -- The connections -----------------------------------------------------------------------

    def run(self) -> None:
        for _ in range(self.args.connections):
            self.open()
        looked = 0.0
        while self.selector.get_map() and len(self.faults) < ENOUGH:
            for key, mask in self.selector.select(1):
                self.attend(key.data, mask)
            if (now := time.monotonic()) > looked + 1:
                looked = now
                self.look(now)
        for key in list(self.selector.get_map().values()):
            key.data.sock.close()
        self.selector.close()

    def open(self) -> None:
        name = str(next(self.names))
        talk = Talk(name, random.Random(f"{self.args.seed}/{name}"), self.server.address, self.context)
        self.asked[name] = talk
        talk.begin()
        self.selector.register(talk.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, talk)

    def attend(self, talk: Talk, mask: int) -> None:
        try:
            goes_on = self.exchange(talk, mask)
        except (Fault, OSError) as fault:
            if not (isinstance(fault, ConnectionError) and talk.last in ("raise", "close") and talk.waiting):
                self.fail(f"{talk.describe()}: {fault!r}")
            goes_on = False
        if not goes_on:
            self.selector.unregister(talk.sock)
            talk.leave() if talk.last == "leave" else talk.sock.close()
            if time.monotonic() < self.until:
                self.open()

    def exchange(self, talk: Talk, mask: int) -> bool:
        """Whether it goes on with this connection."""
        if mask & selectors.EVENT_WRITE and talk.wants_to_send:
            talk.send()
        if mask & selectors.EVENT_READ:
            if not talk.receive():
                return False
            while isinstance(talk.sock, ssl.SSLSocket) and talk.sock.pending():
                if not talk.receive():
                    return False
        if talk.is_done and not talk.last:
            if time.monotonic() > self.until:
                return False
            talk.begin()
        wish = selectors.EVENT_READ | (selectors.EVENT_WRITE if talk.wants_to_send else 0)
        if wish != self.selector.get_key(talk.sock).events:
            self.selector.modify(talk.sock, wish, talk)
        return True

    def look(self, now: float) -> None:
        """Whether anybody has been forgotten."""
        self.threads = max(self.threads, self.server.threads())
        for key in self.selector.get_map().values():
            if now > key.data.since + PATIENCE:
                self.fail(f"{key.data.describe()}: nothing has come for {PATIENCE:.0f} s")
        if not self.server.is_running():
            self.faults += [f"the server has ended: {self.server.log()[-3000:]}"] * ENOUGH

    def fail(self, text: str) -> None:
        self.faults.append(text)
        print(f"FAILED after {time.monotonic() - self.began:.1f} s: {text}", file=sys.stderr, flush=True)

    # -- What the server says ------------------------------------------------------------------

    def compare(self) -> None:
        """Each request was run once and in its turn; of those whose client went, none out of turn."""
        if not wait_until(lambda: self.server.descriptors() <= self.descriptors, PATIENCE):
            self.fail(f"{self.server.descriptors()} descriptors, and {self.descriptors} were at the start")
        report = self.report()
        for fault in report["faults"]:
            self.fail(f"the server says: {fault}")
        cut = len(self.faults) >= ENOUGH  # in the middle
        for name, talk in self.asked.items():
            runs = report["runs"].pop(name, [])
            least = talk.answered if cut or talk.last == "leave" else talk.asked
            if runs != list(range(len(runs))) or not least <= len(runs) <= talk.asked:
                self.fail(f"{talk.describe()}: run were {runs}")
        if report["runs"]:
            self.fail(f"nobody has asked for {report['runs']}")
        raised = sum(talk.last == "raise" for talk in self.asked.values())
        if report["raised"] != raised and not cut:
            self.fail(f"handle_error() was called for {report['raised']} of {raised} exceptions")

    def report(self) -> Any:
        with Client(self.server.address, PATIENCE) as client:
            if self.context:
                client.sock = self.context.wrap_socket(client.sock, server_hostname="localhost")
            return json.loads(client.ask(request(target="/runs")).body)

    def summary(self) -> str:
        talks = self.asked.values()
        seconds = time.monotonic() - self.began
        ends = collections.Counter(talk.last or "open" for talk in talks)
        answered = sum(talk.answered for talk in talks)
        return (f"{answered} answers of {sum(talk.asked for talk in talks)} requests on {len(self.asked)} "
                f"connections in {seconds:.1f} s, {answered / seconds:.0f}/s, {len(self.faults)} faults, "
                f"seed {self.args.seed}; {dict(ends)}; threads: {self.threads} at most, "
                f"{self.server.threads()} at rest")


@contextlib.contextmanager
def served(args: argparse.Namespace) -> Iterator[Hosted]:
    more = ["--switch-interval", str(args.switch_interval)] if args.switch_interval else []
    if args.lie:
        more += ["--lie", args.lie]
    if args.max_threads:
        more += ["--max-threads", str(args.max_threads)]
    if args.server.startswith("tls"):
        more += ["--certificate", str(certificate())]
    with tempfile.TemporaryDirectory(prefix="handover-") as home, many_descriptors():
        options = ["--server", args.server, "--handler", "counted", *more]
        with ends_well(Hosted(Path(home), Path(home, "stderr"), *options)) as server:
            yield server


def handover(args: argparse.Namespace) -> Stress:
    """Run it and print what came of it. Raises AssertionError where the server does not end well."""
    with served(args) as server:
        stress = Stress(server, args, client_context() if args.server.startswith("tls") else None)
        stress.run()
        if server.is_running():
            stress.compare()
        print(f"{args.server}: {stress.summary()}", flush=True)
    return stress


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/live/handover.py", description="Stress hand-overs.")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--server", choices=["threads", "loop", "tls", "http.server"], default="threads")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--switch-interval", type=float, help="for the server's sys.setswitchinterval()")
    parser.add_argument("--max-threads", type=int, help="of the server")
    parser.add_argument("--lie", choices=["octet", "twice"], help="what the server is to do wrong at times")
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return 1 if handover(options(argv)).faults else 0


if __name__ == "__main__":
    sys.exit(main())
