"""What a loop tells of itself to Prometheus: the text exposition format, version 0.0.4.

Figures are those of all worker processes, whichever of them is asked: each counts in a row of memory that
they share (_tally), and they are added up. What a worker has counted stays when it is replaced, so no counter
goes backwards. The process_* figures are of one process, as Prometheus' own clients have them; with workers
there is one of each for every worker that lives, labelled worker="0" and so on, and none for the process that
keeps them. They come from Linux' /proc, and are left out where there is none.

Counted are answers whose head a handler has written by send_response(), and recorded ones; not health and
these figures themselves, nor what a handler writes to a stream of its own, or by hand, or over a connection
that an override of process_request() has taken. Octets of bodies count when they are given to be sent. How
long answers take is not told: the loop looks at the clock once for many requests, not twice for each.

Knows rows and /proc, and no connection. serving.loop asks for the text, fastserve.server has the memory made.
"""

import contextlib
import functools
import math
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from fastserve._tally import ROW_SIZE, Tally
from fastserve.serving.answers import Spared
from fastserve.serving.pidfile import is_running

# For workers that are being replaced while their successors serve; those beyond share a row.
ROWS_TO_SPARE: Final = 4

PROC: Final = Path("/proc")

Labels: TypeAlias = Mapping[str, object]
Sample: TypeAlias = tuple[Labels, float]

# Name, type, what it says, and the name in Tally.
TOTALS: Final = (
    ("fastserve_response_body_bytes_total", "Octets of bodies of answers that were given to be sent.",
     "body_octets"),
    ("fastserve_connections_accepted_total", "Connections that were accepted.", "connections"),
    ("fastserve_connections_turned_away_total", "Connections for which there was no room.", "turned_away"),
    ("fastserve_recordings_hits_total", "Answers that were sent again from a recording.", "hits"),
)
GAUGES: Final = (
    ("fastserve_connections", "Connections that are open.", "open"),
    ("fastserve_recordings", "Answers that are kept to be sent again.", "recordings"),
    ("fastserve_recordings_bytes", "Octets that they hold in memory.", "recorded_octets"),
    ("fastserve_recordings_open_files", "Files that they hold open.", "recorded_files"),
)
PROCESS: Final = (
    ("process_cpu_seconds_total", "counter", "User and system CPU time, in seconds."),
    ("process_resident_memory_bytes", "gauge", "Resident memory, in bytes."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes."),
    ("process_start_time_seconds", "gauge", "When the process started, in seconds since the epoch."),
    ("process_open_fds", "gauge", "Open file descriptors."),
    ("process_max_fds", "gauge", "How many of them there may be."),
)


# -- Rows --------------------------------------------------------------------------------------


def make_tally(workers: int | None) -> Tally:
    """Return what counts for so many processes that are forked from this one, None: for this one alone."""
    rows = 1 if workers is None else 2 * workers + ROWS_TO_SPARE
    return Tally(mmap.mmap(-1, rows * ROW_SIZE))


def begin(tally: Tally) -> None:
    """Count in a row of this process's own from now on: its former one, or one whose owner is gone."""
    pid = os.getpid()
    owners = [tally.owner(row) for row in range(tally.rows)]
    free = [row for row, owner in enumerate(owners) if owner == pid]
    free += [row for row, owner in enumerate(owners) if owner != pid and not _lives(owner)]
    if not any(tally.claim(row, owners[row], pid) for row in free):
        tally.share(pid % tally.rows)


def _lives(pid: int) -> bool:
    """Whether there is a process of that id; 0 is none."""
    return pid != 0 and is_running(pid)


# -- The text ----------------------------------------------------------------------------------


class Metrics(Spared):
    """Says what ``tally`` has counted. ``path`` and ``handler_class`` are as Spared has them."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, path: str, handler_class: Any, tally: Tally) -> None:
        super().__init__(path, handler_class)
        self._tally = tally

    def text(self) -> str:
        return "".join(exposition(self._tally))


def exposition(tally: Tally) -> Iterator[str]:
    """Give the lines of all figures."""
    owners = [(row, pid) for row in range(tally.rows) if _lives(pid := tally.owner(row))]
    yield from family("fastserve_build_info", "gauge", "What is running.", [(_build(), 1)])
    answers = (({"method": method, "code": code or "other"}, n) for method, code, n in tally.answers())
    yield from family("fastserve_requests_total", "counter", "Requests that were answered.", answers)
    totals = tally.totals()
    for name, words, key in TOTALS:
        yield from family(name, "counter", words, [({}, totals[key])])
    gauges = [tally.gauges(row) for row, _ in owners]
    for name, words, key in GAUGES:
        yield from family(name, "gauge", words, [({}, sum(each[key] for each in gauges))])
    found = [({} if tally.rows == 1 else {"worker": row}, process_figures(pid)) for row, pid in owners]
    for name, kind, words in PROCESS:
        yield from family(name, kind, words, [(who, each[name]) for who, each in found if name in each])


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Give the lines of one metric: what it is, and its samples; nothing where it has none."""
    lines = [f"{name}{_labels(labels)} {_number(value)}\n" for labels, value in samples]
    if lines:
        yield f"# HELP {name} {words}\n# TYPE {name} {kind}\n"
        yield from lines


def _labels(labels: Labels) -> str:
    pairs = [f'{name}="{_escaped(str(value))}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else str(value)


def _build() -> Labels:
    version = getattr(sys.modules.get("fastserve"), "__version__", "")  # which is above us
    return {"version": version, "python": sys.version.split()[0]}


# -- One process -------------------------------------------------------------------------------


def process_figures(pid: int) -> dict[str, float]:
    """Return what Linux tells of a process, by the names of PROCESS; what it does not tell is left out."""
    home, found = PROC / str(pid), {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        found.update(_times(home))
    with contextlib.suppress(OSError):
        found["process_open_fds"] = len(os.listdir(home / "fd"))
    with contextlib.suppress(OSError, ValueError, IndexError):
        found["process_max_fds"] = _most_descriptors(home)
    return found


def _times(home: Path) -> dict[str, float]:
    """See proc_pid_stat(5); the numbers there count from 1, and the name may have blanks in it."""
    fields = (home / "stat").read_text("latin-1").rpartition(") ")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        "process_cpu_seconds_total": (int(fields[11]) + int(fields[12])) / ticks,
        "process_resident_memory_bytes": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "process_virtual_memory_bytes": int(fields[20]),
        "process_start_time_seconds": _boot_time() + int(fields[19]) / ticks,
    }


@functools.cache
def _boot_time() -> float:
    for line in (PROC / "stat").read_text("latin-1").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("no btime")


def _most_descriptors(home: Path) -> float:
    for line in (home / "limits").read_text("latin-1").splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return math.inf if soft == "unlimited" else int(soft)
    raise ValueError("no limit")
