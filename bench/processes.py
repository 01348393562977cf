"""Processes: start one on a chosen core, what it and its children have used, and its end. Linux only.

A contestant leads a session of its own, so "its processes" are those of its session, however they were
forked, and a Ctrl-C at the terminal reaches run.py alone. Knows no server. Called by the rest of bench/.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
GRACE = 3  # seconds between the polite signal and the other one


class BenchError(Exception):
    """Something the person at the terminal should read; no traceback."""

    status = 1  # of the script that ends with it


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside runs on `core` from its first instruction: affinity is inherited."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def concluded(work: Callable[[], object]) -> int:
    """Do it, and return the exit status: a BenchError's, which is told, or 130 for Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # unwinding is what stops everything
    try:
        work()
    except BenchError as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return reason.status
    except KeyboardInterrupt:
        return 130
    return 0


def start(argv: list[str], env: Mapping[str, str], log: Path, core: int) -> subprocess.Popen[bytes]:
    with pinned(core), log.open("wb") as output:
        return subprocess.Popen(argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a session: its leader politely, as it may have children to end; then whatever is left of it."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when a second Ctrl-C cuts the wait short
        for stat in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(int(stat[0]), signal.SIGKILL)
        process.wait()


def cpu_seconds(leader: int) -> float:
    """User and system time of a session so far, of children already gone as well."""
    return sum(int(ticks) for stat in _session(leader) for ticks in stat[13:17]) * TICK


def members(leader: int) -> dict[int, float]:
    """The processes of a session, each with its own user and system time so far, in seconds."""
    return {int(stat[0]): sum(map(int, stat[13:15])) * TICK for stat in _session(leader)}


def sockets(pid: int) -> int:
    """How many a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we were reading
            found += os.readlink(entry).startswith("socket:")
    return found


def resident_bytes(leader: int) -> int:
    return sum(int(stat[23]) for stat in _session(leader)) * PAGE


def passive_opens() -> int:
    """Connections that all servers of this machine have accepted so far."""
    names, numbers = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()
                      if line.startswith("Tcp:"))
    return int(numbers[names.index("PassiveOpens")])


def _session(leader: int) -> Iterator[list[str]]:
    """The fields of proc(5)'s stat, counted from 0, of every process of a session."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we were reading
        pid, _, rest = text.partition(" (")
        name, _, numbers = rest.rpartition(") ")
        stat = [pid, name, *numbers.split()]
        if int(stat[5]) == leader:
            yield stat


def first_line(argv: list[str], env: Mapping[str, str] | None = None) -> str:
    """The first line a program says, which for `--version` is what it is."""
    run = subprocess.run(argv, env={**os.environ, **(env or {})}, check=False, text=True, timeout=10,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.stdout.partition("\n")[0].strip()
