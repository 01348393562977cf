"""What was promised, and what is reached: `python bench/promises.py`. One run, and a table of both.

Each line is a ratio or a size, taken within each round; the median of the rounds is what is held against the
promise. The status is 3 where a promise is not met, or not measured, as one of those in it is not installed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cold
import ratio  # from micro/, to which workloads has led
import report
from processes import BenchError, concluded
from report import Entry, spread
from run import Bench, add_common
from workloads import WORKLOADS

Entries = dict[str, Entry]


class NotMet(BenchError):
    """All has been measured that could be."""

    status = 3


@dataclass(frozen=True)
class Promise:
    work: str
    what: str  # is promised
    bound: float
    least: bool = False  # the bound is one from below

    def is_met(self, values: list[float]) -> bool:
        median = statistics.median(values)
        return median >= self.bound if self.least else median <= self.bound

    @property
    def limit(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:,g}"


@dataclass(frozen=True)
class Cost:
    """CPU time of one contestant over that of another, or of the best of some, in a workload."""

    workload: str
    ours: str
    others: tuple[str, ...]
    promise: Promise

    def values(self, entries: Entries) -> list[float]:
        least = [min(costs) for costs in zip(*(entries[name].costs for name in self.others))]
        return [own / other for own, other in zip(entries[self.ours].costs, least)]


@dataclass(frozen=True)
class Beside:
    """A figure of our rounds beside idle connections."""

    workload: str
    figure: Callable[[report.Round], float]
    promise: Promise
    ours: str = "fastserve"
    others: tuple[str, ...] = ()

    def values(self, entries: Entries) -> list[float]:
        return [self.figure(each) for each in entries[self.ours].rounds]


def bytes_each(one: report.Round) -> float:
    assert one.idle
    return one.idle.bytes_each


def rate_kept(one: report.Round) -> float:
    return one.rate_kept


FILE, HELLO = "1 KiB file, keep-alive", "a do_GET that says hello"
LARGE, FRESH, IDLE = "100 MiB file", "1 KiB file, a connection each", "idle connections"
PARSING, START = "parsing a browser's request", "cold start to first byte"
OURS, THREADS = "fastserve", "fastserve-threads"

LOADED: tuple[Cost | Beside, ...] = (
    Cost("file1k", OURS, ("floor",), Promise(FILE, "CPU a request, x floor", 1.15)),
    Cost("file1k", OURS, ("nginx",), Promise(FILE, "CPU a request, x nginx", 0.75)),
    Cost("file1k", OURS, ("lighttpd",), Promise(FILE, "CPU a request, x lighttpd", 0.85)),
    Cost("file1k", OURS, ("h2o",), Promise(FILE, "CPU a request, x h2o", 0.85)),
    Cost("hello", OURS, ("bjoern",), Promise(HELLO, "CPU a request, x bjoern", 1.0)),
    Cost("hello", OURS, ("granian-wsgi",), Promise(HELLO, "CPU a request, x granian (WSGI)", 0.65)),
    Cost("hello", THREADS, (OURS,), Promise(HELLO, "ThreadingHTTPServer, x HTTPServer", 1.15)),
    Cost("file100m", OURS, ("lighttpd", "h2o", "nginx"),
         Promise(LARGE, "CPU a GB, x the best of lighttpd, h2o, nginx", 1.0)),
    Cost("fresh", OURS, ("h2o",), Promise(FRESH, "CPU a request, x h2o", 1.0)),
    Beside("idle-file", bytes_each, Promise(IDLE, "bytes resident each, files", 1024)),
    Beside("idle-hello", bytes_each, Promise(IDLE, "bytes resident each, a handler", 4096)),
    Beside("idle-file", rate_kept, Promise(IDLE, "rate of the rest, files, x without", 0.9, least=True)),
    Beside("idle-hello", rate_kept, Promise(IDLE, "rate of the rest, a handler, x without", 0.9, least=True)),
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


class Promises(Bench):
    """All that is measured in one run."""

    def keep(self) -> list[tuple[Promise, list[float]]]:
        return [*self.loaded(), *self.parsed(), *self.started()]

    def loaded(self) -> list[tuple[Promise, list[float]]]:
        self.results: dict[str, dict[str, Any]] = {}
        entries = {name: self.entries(name) for name in dict.fromkeys(line.workload for line in LOADED)}
        return [(line.promise, line.values(entries[line.workload])
                 if {line.ours, *line.others} <= entries[line.workload].keys() else []) for line in LOADED]

    def entries(self, workload: str) -> Entries:
        names = dict.fromkeys(name for line in LOADED if line.workload == workload
                              for name in (line.ours, *line.others))
        entries = self.compare(WORKLOADS[workload], self.contestants(list(names)))
        self.show(WORKLOADS[workload], entries)
        self.results[workload] = {entry.name: entry.as_json() for entry in entries}
        return {entry.name: entry for entry in entries}

    def parsed(self) -> list[tuple[Promise, list[float]]]:
        os.sched_setaffinity(0, {self.load_core})
        times = ratio.timings(self.args.rounds)
        return [(promise, [a / b for a, b in zip(times.get(over, []), times.get(under, []))])
                for (over, under), promise in PARSED.items()]

    def started(self) -> list[tuple[Promise, list[float]]]:
        times = cold.measure(self.args.rounds, self.server_core)
        return [(STARTED, [own / other for own, other in zip(times["fastserve"], times["http.server"])])]

    def run(self) -> None:
        kept = self.keep()
        lines = [line(promise, values) for promise, values in kept]
        print(report.where())
        print(f"median (min-max) of {self.args.rounds} rounds of {self.args.seconds} s; "
              f"{self.args.connections} connections, {self.args.idle:,} idle")
        print(report.aligned([HEADINGS, *lines]))
        promises = [{"work": promise.work, "what": promise.what, "bound": promise.limit, "values": values,
                     "met": bool(values) and promise.is_met(values)} for promise, values in kept]
        result = {**self.result(self.results), "promises": promises}
        print("written to", report.save(result, self.args.json))
        self.ensure_complete()
        if not all(each["met"] for each in promises):
            raise NotMet("not all promises are met")


HEADINGS = "work", "what is promised", "bound", "reached", "met"


def line(promise: Promise, values: list[float]) -> tuple[str, ...]:
    met = bool(values) and promise.is_met(values)
    return promise.work, promise.what, promise.limit, reached(values), "yes" if met else "NO"


def reached(values: list[float]) -> str:
    return spread(values, 0 if max(values) >= 500 else 2) if values else "not measured"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/promises.py", description="Promised, and reached.")
    add_common(parser)
    args = parser.parse_args(argv)
    return concluded(lambda: Promises(args).run())


if __name__ == "__main__":
    sys.exit(main())
