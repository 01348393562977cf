"""Edits files in every way while they are read: `python tests/live/torture.py --seconds 60 --server loop`.

A server in a process of its own, readers in others, and here the editor, who asks at once for what has just
been edited. Nothing may be stale, mixed or cut, by the rules of reading.py. Every file is left alone at
times, so long that its answers come from recordings. Exit status 0 where nothing is wrong. test_freshness.py
calls it for seconds.
"""

import argparse
import collections
import contextlib
import heapq
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from live import editing, ledger
from live.editing import KINDS, Subject
from live.ledger import State
from live.process import WAIT
from live.reading import Peer, Reader, Thing
from live.replaying import LIES, SERVERS, Replaying

WIDTH = 6  # connections of a reader
REST = (1.3, 3.5)  # seconds; from SETTLED on there are recordings
BURST = 0.3  # of the edits come without a rest
ENOUGH = 5  # faults, after which it ends


def things(kinds: list[type[Subject]]) -> list[Thing]:
    return [Thing(number, kind.target(), kind.fields, kind.may_be_missed)
            for number, kind in enumerate(kinds)]


def kinds_for(args: argparse.Namespace) -> list[type[Subject]]:
    """Those that make sense for such a server, in the same order for everybody."""
    return [kind for kind in KINDS if not (args.strict and kind.follows_links)
            and (args.only is None or kind.called() == args.only or kind is editing.Still)]


# -- Readers: processes of their own -----------------------------------------------------------


def read(args: argparse.Namespace) -> None:
    """Until the ledger says that it is over; then the result is printed."""
    kinds = kinds_for(args)
    shared = ledger.shared(Path(args.ledger), len(kinds) + 1)
    reader = Reader(shared, things(kinds), args.seed)
    peers = [Peer(("127.0.0.1", args.port)) for _ in range(WIDTH)]
    while not shared.now(len(kinds)) and len(reader.faults) < ENOUGH:
        reader.round(reader.chance.sample(peers, reader.chance.choice([1, 1, WIDTH])))
    print(json.dumps({"faults": reader.faults, "tally": reader.tally}))


def start_reader(args: argparse.Namespace, number: int, port: int, path: Path) -> "subprocess.Popen[str]":
    words = ["--read", "--port", port, "--ledger", path, "--seed", f"{args.seed}/{number}"]
    words += ["--strict"] if args.strict else []
    words += ["--only", args.only] if args.only else []
    command = [sys.executable, __file__, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


# -- The editor --------------------------------------------------------------------------------


class Editor:
    """Edits one subject after the other, each when its rest is over."""

    def __init__(self, subjects: list[Subject], reader: Reader, address: Any, seed: str) -> None:
        self.subjects, self.reader = subjects, reader
        self.chance = random.Random(f"{seed}/editor")
        self.peers = [Peer(address) for _ in range(2)]
        self.edits: collections.Counter[str] = collections.Counter()
        for subject, thing in zip(subjects, reader.things, strict=True):
            subject.after = lambda thing=thing: self.look(thing)  # type: ignore[misc]

    def look(self, thing: Thing) -> None:
        """What has just changed; now and then not, so that it changes twice unseen."""
        if self.chance.random() < 0.8:
            self.reader.ask(self.chance.choice(self.peers), thing)

    def run(self, seconds: float) -> None:
        began = time.monotonic()
        due = [(began + self.chance.uniform(*REST), number) for number in range(len(self.subjects))]
        heapq.heapify(due)
        while len(self.reader.faults) < ENOUGH:
            when, number = due[0]
            if when > began + seconds:
                return
            time.sleep(max(when - time.monotonic(), 0))
            subject = self.subjects[number]
            subject.edit()
            self.edits[subject.name] += 1
            rest = 0.0 if self.chance.random() < BURST else self.chance.uniform(*REST)
            heapq.heapreplace(due, (time.monotonic() + rest, number))


class Torture:
    """What has come of it."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.tally: collections.Counter[str] = collections.Counter()
        self.edits: collections.Counter[str] = collections.Counter()
        self.figures: dict[str, int] = {}

    @property
    def answers(self) -> int:
        return sum(count for name, count in self.tally.items() if name.isdigit())

    def take(self, faults: list[str], tally: dict[str, int]) -> None:
        self.faults += faults
        self.tally.update(tally)

    def summary(self) -> str:
        tally = ", ".join(f"{name}: {count}" for name, count in sorted(self.tally.items()))
        return (f"{sum(self.edits.values())} edits of {len(self.edits)} kinds, {self.answers} answers "
                f"({tally}), {len(self.faults)} faults; recordings: {self.figures or 'none'}")


@contextlib.contextmanager
def served(args: argparse.Namespace, home: Path) -> Iterator[Replaying]:
    """Somebody else must be able to read what is served."""
    options = ["--server", args.server, "--unprivileged", "--set", json.dumps(attributes(args))]
    server = Replaying(home / "served", home, *options, *(["--lie", args.lie] if args.lie else []))
    try:
        yield server
        server.stop()
        assert args.lie or not server.log(), server.log()[:3000]
    finally:
        server.end()


def attributes(args: argparse.Namespace) -> dict[str, Any]:
    return {"precompressed": True, "follow_symlinks": not args.strict, "replay": not args.driven}


def torture(args: argparse.Namespace) -> Torture:
    """Run it and print what came of it. Raises AssertionError where the server does not end well."""
    done = Torture()
    kinds = kinds_for(args)
    editing.ParentLinked.is_followed = not args.strict
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        home = Path(name)
        (home / "served").mkdir()
        shared = ledger.shared(home / "ledger", len(kinds) + 1)
        subjects = editing.make_subjects(home / "served", shared, kinds, args.seed)
        with served(args, home) as server:
            run(args, done, server, shared, subjects)
    print(f"{args.server}, seed {args.seed}: {done.summary()}", flush=True)
    for fault in done.faults[:ENOUGH]:
        print(f"FAILED: {fault}", file=sys.stderr, flush=True)
    return done


def run(args: argparse.Namespace, done: Torture, server: Replaying, shared: ledger.Ledger,
        subjects: list[Subject]) -> None:
    own = Reader(shared, things([type(subject) for subject in subjects]), f"{args.seed}/own")
    readers = [start_reader(args, number, server.address[1], server.folder.parent / "ledger")
               for number in range(args.readers)]
    try:
        editor = Editor(subjects, own, server.address, args.seed)
        editor.run(args.seconds)
        shared.announce(len(subjects), State(1))
        shared.done(len(subjects))
        done.edits = editor.edits
        done.take(own.faults, own.tally)
        for reader in readers:
            told = json.loads(reader.communicate(timeout=WAIT)[0])
            done.take(told["faults"], told["tally"])
        done.figures = server.figures()
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
        for peer in editor.peers:
            peer.close()


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/live/torture.py", description="Edit what is being read.")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--server", choices=SERVERS, default="loop")
    parser.add_argument("--readers", type=int, default=2, help="processes")
    parser.add_argument("--strict", action="store_true", help="let the server follow no links")
    parser.add_argument("--driven", action="store_true", help="let the server replay nothing")
    parser.add_argument("--only", choices=[kind.called() for kind in KINDS], help="one way to edit")
    parser.add_argument("--lie", choices=LIES, help="what the server is to do wrong")
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ledger", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = options(argv)
    if args.read:
        read(args)
        return 0
    return 1 if torture(args).faults else 0


if __name__ == "__main__":
    sys.exit(main())
