"""What was promised, and what is reached: `python bench/promises.py`. One run, and a table of both.

Each line is a ratio or a size, taken within each round; the median of the rounds is what is held against the
promise. The status is 3 where a promise is not met, or not measured, as one of those in it is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cold
import common
from common import HERE, spread

sys.path.insert(0, str(HERE / "micro"))

import ratio

from fastserve.rig.measure import engine, scenario, terminal
from fastserve.rig.measure.result import Contestant, Result, Round

PEERS = HERE / "peers.toml"
HEADINGS = "work", "what is promised", "bound", "reached", "met"
NOT_MET = 3  # the status, where all has been measured that could be

Field = dict[str, Contestant]


@dataclass(frozen=True)
class Promise:
    work: str
    what: str  # is promised
    bound: float
    least: bool = False  # the bound is one from below

    def is_met(self, values: list[float]) -> bool:
        """Whether the median is; what was not measured is not."""
        if not values:
            return False
        median = statistics.median(values)
        return median >= self.bound if self.least else median <= self.bound

    @property
    def limit(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:,g}"


class Line(Protocol):
    """A promise about a scenario of peers.toml, and the values that a run of it has, round by round."""

    scenario: str
    promise: Promise

    @property
    def names(self) -> tuple[str, ...]: ...

    def values(self, field: Field) -> list[float]: ...


@dataclass(frozen=True)
class Cost:
    """CPU time of a request of one contestant over that of another, or of the best of some."""

    scenario: str
    ours: str
    others: tuple[str, ...]
    promise: Promise

    @property
    def names(self) -> tuple[str, ...]:
        return self.ours, *self.others

    def values(self, field: Field) -> list[float]:
        least = [min(costs) for costs in zip(*(self._costs(field[name]) for name in self.others))]
        return [own / other for own, other in zip(self._costs(field[self.ours]), least)]

    @staticmethod
    def _costs(contestant: Contestant) -> list[float]:
        return [one.cpu_per_request or 0.0 for one in contestant.rounds]


@dataclass(frozen=True)
class Beside:
    """A figure of our rounds beside idle connections."""

    scenario: str
    ours: str
    figure: Callable[[Round], float | None]
    promise: Promise

    @property
    def names(self) -> tuple[str, ...]:
        return (self.ours,)

    def values(self, field: Field) -> list[float]:
        found = (self.figure(one) for one in field[self.ours].rounds)
        return [each for each in found if each is not None]


FILE, HELLO = "1 KiB file, keep-alive", "a do_GET that says hello"
LARGE, FRESH, IDLE = "100 MiB file", "1 KiB file, a connection each", "idle connections"
PARSING, START = "parsing a browser's request", "cold start to first byte"
FILES, HANDLER, THREADS = "fastserve", "fastserve do_GET", "fastserve do_GET threads"

LOADED: tuple[Line, ...] = (
    Cost("file1k", FILES, ("floor",), Promise(FILE, "CPU a request, x floor", 1.15)),
    Cost("file1k", FILES, ("nginx",), Promise(FILE, "CPU a request, x nginx", 0.75)),
    Cost("file1k", FILES, ("lighttpd",), Promise(FILE, "CPU a request, x lighttpd", 0.85)),
    Cost("file1k", FILES, ("h2o",), Promise(FILE, "CPU a request, x h2o", 0.85)),
    Cost("hello", HANDLER, ("bjoern",), Promise(HELLO, "CPU a request, x bjoern", 1.0)),
    Cost("hello", HANDLER, ("granian WSGI",), Promise(HELLO, "CPU a request, x granian (WSGI)", 0.65)),
    Cost("hello", THREADS, (HANDLER,), Promise(HELLO, "ThreadingHTTPServer, x HTTPServer", 1.15)),
    Cost("file100m", FILES, ("lighttpd", "h2o", "nginx"),
         Promise(LARGE, "CPU a GB, x the best of lighttpd, h2o, nginx", 1.0)),
    Cost("fresh", FILES, ("h2o",), Promise(FRESH, "CPU a request, x h2o", 1.0)),
    Beside("idle", FILES, Round.idle_octets, Promise(IDLE, "bytes resident each, files", 1024)),
    Beside("hello-idle", HANDLER, Round.idle_octets,
           Promise(IDLE, "bytes resident each, a handler", 4096)),
    Beside("idle", FILES, Round.rate_kept,
           Promise(IDLE, "rate of the rest, files, x without", 0.9, least=True)),
    Beside("hello-idle", HANDLER, Round.rate_kept,
           Promise(IDLE, "rate of the rest, a handler, x without", 0.9, least=True)),
)

PARSED = {  # time of the first reader over that of the second
    ("httptools", "fastserve, all headers"): Promise(PARSING, "httptools x ours, all headers", 2, least=True),
    ("httptools", "fastserve, unread"): Promise(PARSING, "httptools x ours, unread", 8, least=True),
    # Which gives an object that answers for every field, as parse_request() does.
    ("http.server", "fastserve, a headers object"):
        Promise(PARSING, "http.server x ours, a headers object", 40, least=True),
    ("http.server", "fastserve, unread"): Promise(PARSING, "http.server x ours, unread", 40, least=True),
}

STARTED = Promise(START, "python -m fastserve, x python -m http.server", 1.0)

Kept = list[tuple[Promise, list[float]]]


# -- Measuring -----------------------------------------------------------------------------------


def measured(args: argparse.Namespace) -> Result:
    """What the promises need of peers.toml: each scenario, by those alone who are in a promise about it."""
    found: list[Result] = []
    plan = scenario.load(PEERS)
    for name in dict.fromkeys(line.scenario for line in LOADED):
        people = {each for line in LOADED if line.scenario == name for each in line.names}
        part = plan.chosen([name], list(people)).changed(
            rounds=args.rounds, seconds=args.seconds, warm_up=args.warm_up,
            idle=args.idle if plan.chosen([name], None).scenarios[0].idle else None)
        with terminal.watching() as watcher:
            found.append(engine.measure(part, watcher, ["python", *sys.argv]))
        terminal.show(found[-1])
        if found[-1].interrupted:
            raise KeyboardInterrupt
    return common.joined(found)


def loaded(result: Result) -> Kept:
    fields = {each.name: {one.name: one for one in each.contestants} for each in result.scenarios}
    there = [(line, fields[line.scenario]) for line in LOADED]
    return [(line.promise, line.values(field) if set(line.names) <= field.keys() else [])
            for line, field in there]


def parsed(rounds: int, core: int) -> Kept:
    os.sched_setaffinity(0, {core})
    times = ratio.timings(rounds)
    return [(promise, [a / b for a, b in zip(times.get(over, []), times.get(under, []))])
            for (over, under), promise in PARSED.items()]


def started(rounds: int, core: int) -> Kept:
    times = cold.measure(rounds, core)
    return [(STARTED, [own / other for own, other in zip(times["fastserve"], times["http.server"])])]


# -- Telling -------------------------------------------------------------------------------------


def row(promise: Promise, values: list[float]) -> tuple[str, ...]:
    met = "yes" if promise.is_met(values) else "NO"
    return promise.work, promise.what, promise.limit, reached(values), met


def reached(values: list[float]) -> str:
    return spread(values, 0 if max(values) >= 500 else 2) if values else "not measured"


def save(path: Path, result: Result, kept: Kept) -> None:
    """A result of the rig, which it can read, and the promises beside."""
    told: dict[str, Any] = {**result.to_json(), "promises": [row(*each) for each in kept]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def run(args: argparse.Namespace) -> int:
    server_core, load_core = common.cores()
    result = measured(args)
    kept = [*loaded(result), *parsed(args.rounds, load_core), *started(args.rounds, server_core)]
    print(common.where())
    print(f"median (least-most) of {args.rounds} rounds of {args.seconds:g} s")
    print(terminal.aligned([HEADINGS, *(row(*each) for each in kept)], texts=2))
    if args.json:
        save(args.json, result, kept)
    return 0 if all(promise.is_met(values) for promise, values in kept) else NOT_MET


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/promises.py", description="Promised, and reached.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of load in a round")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds of load before the first round")
    parser.add_argument("--idle", type=int, help="connections beside the load; default: those of peers.toml")
    parser.add_argument("--json", type=Path, help="write the result, for results.py")
    args = parser.parse_args(argv)
    return common.concluded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
