"""The parser's promises in one run: `python bench/micro/ratio.py`. promises.py calls `timings`.

Readers take short turns (A B C D, A B C D, ...), so what drifts on the machine drifts under all of them. A
reader's time in a round is the CPU time of its best turn there, for others on the machine can only add to it;
a ratio is taken within a round, and the median of the rounds is what counts.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from parsers import BROWSER, EXPECTED, FIELDS, READERS

ROUNDS = 9
TURNS = 10  # of each reader in one round
SECONDS = 0.02  # of one turn

RATIOS = [  # of times: the first over the second
    ("fastserve, all headers", "httptools"),
    ("fastserve, unread", "httptools"),
    ("http.server", "fastserve, all headers"),
    ("http.server", "fastserve, a headers object"),
    ("http.server", "fastserve, unread"),
]


def timings(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Microseconds of CPU per request of each reader, round by round."""
    readers = timers()
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        turns = [{name: measure() for name, measure in readers.items()} for _ in range(TURNS)]
        for name in readers:
            times[name].append(min(turn[name] for turn in turns))
    return times


def timers() -> dict[str, Callable[[], float]]:
    """For each reader that is installed and right: a function that returns its microseconds per request."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # measure this tree, installed or not
    found = {}
    for name, make in READERS.items():
        try:
            reader = make()
        except ImportError as reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
            continue
        assert reader.answer(reader.read()) == EXPECTED, name
        found[name] = timer(reader.read)
    return found


def timer(read: Callable[[], object]) -> Callable[[], float]:
    watch = timeit.Timer(read, timer=time.process_time)
    loops, seconds = watch.autorange()  # the warm-up as well
    loops = max(1, int(loops * SECONDS / seconds))
    return lambda: watch.timeit(loops) / loops * 1e6


def line(name: str, values: list[float], unit: str) -> str:
    return f"{name:50} {statistics.median(values):8.3f} {unit} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    times = timings()
    print(f"{len(FIELDS)} headers, {len(BROWSER)} bytes; median (min-max) of {ROUNDS} rounds")
    for name, values in times.items():
        print(line(name, values, "us"))
    for over, under in RATIOS:
        if over in times and under in times:
            print(line(f"{over} / {under}", [a / b for a, b in zip(times[over], times[under])], "x "))


if __name__ == "__main__":
    main()
