"""How long answers took, by endpoint: log-linear histograms, in memory that worker processes share.

Each process counts in a row of its own, as serving.metrics has it, and whoever is asked adds them up. The
time is that of the handler, in nanoseconds: from the parsed head to the last octet that was given to be sent.
What the replay lane answers is not in here, as no handler runs for it.

Knows names and numbers, and no connection. The handler records, observed.py asks.
"""

import math
import mmap
import os
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fastserve.serving import metrics

# There are 64 buckets to each doubling, so that one is at most 1/64 of its values wide: its middle is at most
# 1/128, 0.8 %, away from what it stands for.
BITS: Final = 6
LONGEST: Final = (1 << 42) - 1  # ns, 73 minutes; what took longer counts as that
PERCENTILES: Final = (50, 75, 90, 99, 99.9, 99.99)
OTHER: Final = "none"  # what is recorded under a name that is not known


def bucket(value: int) -> int:
    """Return the number of the bucket for a value from 0 to LONGEST."""
    shift = max(value.bit_length() - BITS - 1, 0)
    return (shift << BITS) + (value >> shift)


def middle(number: int) -> float:
    """Return the value in the middle of a bucket."""
    shift = max((number >> BITS) - 1, 0)
    return ((number - (shift << BITS)) << shift) + ((1 << shift) - 1) / 2


BUCKETS: Final = bucket(LONGEST) + 1
# Cells of an entry: how many values, their sum, the least one plus 1 (0: none yet), the most; the buckets.
COUNT, SUM, LEAST, MOST, FIRST = range(5)
ENTRY: Final = FIRST + BUCKETS
CELL: Final = 8  # octets
# Cells before all rows: how often reset() was called, when last (ns since the epoch), and what callers keep.
RESETS, SINCE, MARKS, ROWS = 0, 1, 2, 1026

# What has its row no more, in a process that was forked.
_everybody: "weakref.WeakSet[Statistics]" = weakref.WeakSet()


@dataclass(frozen=True)
class Summary:
    """What is known of one name; times in seconds."""

    count: int
    mean: float
    least: float
    most: float
    percentiles: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """As results of measurements have it."""
        return {"count": self.count, "min": self.least, "mean": self.mean, "max": self.most,
                "percentiles": self.percentiles}


class Statistics:
    """Values by name. Any thread may record, and any process that was forked since share() was called.

    ``names`` are those that are told apart.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._index = {name: number for number, name in enumerate(dict.fromkeys([*names, OTHER]))}
        self._lock = threading.Lock()
        self.share(None)
        _everybody.add(self)

    def share(self, workers: int | None) -> None:
        """Forget everything, and make room for so many processes that are forked from this one.

        None: this one is alone.
        """
        self._owners = metrics.make_tally(workers)
        self._row_cells = 1 + len(self._index) * ENTRY  # the first one: which reset() it counts since
        # Pages that nothing is written to take no memory.
        cells = ROWS + self._owners.rows * self._row_cells
        self._cells = memoryview(mmap.mmap(-1, cells * CELL)).cast("Q")
        self._cells[SINCE] = time.time_ns()
        self._row = -1

    def forked(self) -> None:
        """In a child, where no other thread has the lock any more: count in a row of its own."""
        self._lock = threading.Lock()
        self._row = -1

    def record(self, name: str, seconds: float) -> None:
        """Count an answer of an endpoint that took so long."""
        value = min(max(int(seconds * 1e9), 0), LONGEST)
        number = self._index.get(name)
        if number is None:
            number = self._index[OTHER]
        with self._lock:
            at = self._own_row() + 1 + number * ENTRY
            cells = self._cells
            cells[at + COUNT] += 1
            cells[at + SUM] += value
            if not 0 < cells[at + LEAST] <= value + 1:
                cells[at + LEAST] = value + 1
            if cells[at + MOST] < value:
                cells[at + MOST] = value
            cells[at + FIRST + bucket(value)] += 1

    def reset(self) -> None:
        """Forget all values, those of other processes too."""
        with self._lock:
            self._cells[SINCE] = time.time_ns()
            self._cells[RESETS] += 1

    @property
    def since(self) -> float:
        """When counting began, in seconds since the epoch."""
        return self._cells[SINCE] / 1e9

    @property
    def marks(self) -> memoryview:
        """1024 numbers from 0 up that all processes share, for whoever asks; zeros at first."""
        return self._cells[MARKS:ROWS]

    def summaries(self) -> dict[str, Summary]:
        """Return what is known of each name that has values."""
        found = {}
        with self._lock:
            starts = self._counting_rows()
            for name, number in self._index.items():
                entries = [start + 1 + number * ENTRY for start in starts]
                entries = [at for at in entries if self._cells[at + COUNT]]
                if entries:
                    found[name] = self._summary(entries)
        return found

    def _own_row(self) -> int:
        """Where this process's row begins. What it has from before a reset() is forgotten here."""
        if self._row < 0:
            metrics.begin(self._owners)
            self._row = self._place(os.getpid())
        start = ROWS + self._row * self._row_cells
        cells = self._cells
        if cells[start] != cells[RESETS]:
            self._clear(start)
            cells[start] = cells[RESETS]
        return start

    def _place(self, pid: int) -> int:
        """The number of a process's row; where there are more processes than rows some have the same one."""
        rows = range(self._owners.rows)
        return next((row for row in rows if self._owners.owner(row) == pid), pid % len(rows))

    def _clear(self, start: int) -> None:
        for at in range(start + 1, start + self._row_cells, ENTRY):
            if self._cells[at + COUNT]:
                self._cells[at : at + ENTRY] = memoryview(bytes(ENTRY * CELL)).cast("Q")

    def _counting_rows(self) -> list[int]:
        """Where the rows begin that count since the last reset()."""
        starts = range(ROWS, len(self._cells), self._row_cells)
        return [start for start in starts if self._cells[start] == self._cells[RESETS]]

    def _summary(self, entries: list[int]) -> Summary:
        """Of one name, from its entries in all rows."""
        cells = self._cells
        columns = [cells[at + FIRST : at + ENTRY].tolist() for at in entries]
        counts = columns[0] if len(columns) == 1 else list(map(sum, zip(*columns, strict=True)))
        count = sum(counts)
        least = (min(cells[at + LEAST] for at in entries) - 1) / 1e9
        most = max(cells[at + MOST] for at in entries) / 1e9
        mean = sum(cells[at + SUM] for at in entries) / count / 1e9
        found = {f"{share:g}": min(max(value / 1e9, least), most)
                 for share, value in zip(PERCENTILES, percentiles(counts, PERCENTILES), strict=True)}
        return Summary(count, mean, least, most, found)


def percentiles(counts: list[int], shares: Iterable[float]) -> list[float]:
    """Return values that so many percent of the counted ones do not exceed; ``shares`` ascend."""
    total, seen, number, found = sum(counts), 0, -1, []
    for share in shares:
        wanted = max(math.ceil(total * share / 100), 1)
        while seen < wanted:
            number += 1
            seen += counts[number]
        found.append(middle(number))
    return found


def _forget_rows() -> None:
    for each in tuple(_everybody):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_rows)
