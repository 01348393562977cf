"""Whether the instruments tell the truth: `python -m fastserve.rig.measure.truth` prints tables.

Each measures a server whose latencies are known (lawful.py), and is compared with the law: once with delays,
once with a server that stalls. On a machine that is busy otherwise the server cannot keep its law; so what it
did itself is told too. And the CPU time of a request is held against the kernel's own accounts. Knows the
driver, h2load and perf; not what is measured with them otherwise. People call it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from fastserve.rig.measure import observe
from fastserve.rig.measure.driver import Outcome, Plan, Request, drive
from fastserve.rig.measure.latency import rank
from fastserve.rig.measure.lawful import Law

PERCENTILES: Final = (50, 95, 99, 99.9)
CLOSE: Final = 0.02  # of the law's value,
NEAR: Final = 0.2e-3  # or so many seconds: how far off an instrument may be
GRACE: Final = 30.0
ATTACHING: Final = 0.5  # seconds that perf is given

REQUEST: Final = Request(b"GET / HTTP/1.1\r\nHost: truth\r\n\r\n", 200, 2)


class Measured(NamedTuple):
    """What an instrument says: seconds by percentiles, and a remark."""

    name: str
    percentiles: dict[float, float]
    remark: str


# -- The server ---------------------------------------------------------------------------------------


class Server:
    """A server of a law, in a process of its own. ``took`` (seconds) is there when it has been stopped."""

    def __init__(self, law: Law) -> None:
        command = [sys.executable, "-m", "fastserve.rig.measure.lawful", law.to_json()]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.pid = self._process.pid
        self.address = "127.0.0.1", int(self._process.stdout.readline())
        self.took: list[float] = []

    def stop(self) -> None:
        self._process.terminate()
        try:
            said, _ = self._process.communicate(timeout=GRACE)
            self.took = json.loads(said)
        finally:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running(law: Law) -> Iterator[Server]:
    server = Server(law)
    try:
        yield server
    finally:
        server.stop()


def cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One core for the server and one for the instrument, where there are two."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (tuple(usable[:1]), tuple(usable[-1:])) if len(usable) > 1 else ((), ())


# -- The instruments ----------------------------------------------------------------------------------


def percentiles_of(values: Sequence[float], unit: float) -> dict[float, float]:
    ordered = sorted(values)
    return {which: ordered[rank(which, len(ordered))] / unit for which in PERCENTILES}


def by_drive(plan: Plan) -> list[Measured]:
    """The driver, corrected and not."""
    outcome = drive(plan)
    name = f"drive, {plan.kind}{' by chance' if plan.poisson else ''}"
    return [Measured(name, percentiles_of(outcome.latency, 1e9), remark(outcome)),
            Measured(f"{name}, uncorrected", percentiles_of(outcome.uncorrected, 1e9), "")]


def remark(outcome: Outcome) -> str:
    return (f"{outcome.requests} answers, {sum(outcome.errors.values())} errors, {outcome.unsent} unsent, "
            f"{outcome.late} late (at most {outcome.most_late * 1e3:.2f} ms), busy {outcome.busy:.0%}, "
            f"preempted {outcome.preempted}")


def by_h2load(program: str, plan: Plan) -> list[Measured]:
    """h2load at the same rate, which it takes for each connection. It writes down each request in
    microseconds.
    """
    host, port = plan.address
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [
            program, "--h1", "-t1", f"-c{plan.connections}", f"-n{round(plan.rate * plan.seconds)}",
            f"--rps={plan.rate / plan.connections:g}", f"--log-file={log}", f"http://{host}:{port}/"]
        if plan.cores and (taskset := shutil.which("taskset")):
            command = [taskset, "-c", ",".join(map(str, plan.cores)), *command]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * plan.seconds + GRACE, check=False)
        if done.returncode:
            raise RuntimeError(f"h2load: {done.stderr.strip()}")
        rows = [line.split() for line in log.read_text().splitlines()]
    took = (max(int(row[0]) + int(row[2]) for row in rows) - min(int(row[0]) for row in rows)) / 1e6
    good = [int(row[2]) for row in rows if row[1] == "200"]
    return [Measured("h2load", percentiles_of(good, 1e6),
                     f"{len(good)} answers, {len(rows) / took:.0f} a second where {plan.rate:g} were asked")]


# -- Comparing ----------------------------------------------------------------------------------------


def is_close(found: float, law: float) -> bool:
    return abs(found - law) <= max(CLOSE * law, NEAR)


def table(title: str, law: Law, rows: Sequence[Measured]) -> str:
    """A table for people: ms, and a star for what is not close."""
    width = max(len(row.name) for row in rows)
    by_law = {which: law.percentile(which) for which in PERCENTILES}
    lines = [title, " " * width + "".join(f"{f'p{which:g}':>13}" for which in by_law)]
    for row in [Measured("the law", by_law, ""), *rows]:
        cells = [f"{value * 1e3:12.3f}{' ' if is_close(value, by_law[which]) else '*'}"
                 for which, value in row.percentiles.items()]
        lines.append("".join([f"{row.name:{width}}", *cells, "  ", row.remark]).rstrip())
    return "\n".join(lines)


def delays(options: argparse.Namespace) -> str:
    """Log-normal delays, which no queue adds to."""
    server_cores, own = cores()
    count = round(options.rate * options.seconds)
    law = Law(median=0.002, sigma=0.8, count=count, cores=server_cores)
    plan = Plan(("127.0.0.1", 0), (REQUEST,), "rate", options.connections, options.seconds, options.rate,
                cores=own)
    rows = measured(options, law, [plan, replace(plan, poisson=True)])
    return table(f"Delays, {options.rate:g} requests a second for {options.seconds:g} s (ms)", law, rows)


def stalls(options: argparse.Namespace) -> str:
    """A server that does nothing for 1 s in each 10 s."""
    server_cores, own = cores()
    seconds = 10.0 * max(round(options.seconds / 10), 1)
    law = Law(period=10.0, stall=1.0, cores=server_cores)
    plan = Plan(("127.0.0.1", 0), (REQUEST,), "rate", 16, seconds, 200.0, cores=own)
    closed = replace(plan, kind="think", pause=16 / 200)
    rows = measured(options, law, [plan, closed])
    return table(f"A stall of 1 s in each 10 s, 200 requests a second for {seconds:g} s (ms)", law, rows)


def measured(options: argparse.Namespace, law: Law, plans: Sequence[Plan]) -> list[Measured]:
    """What each instrument says of a server of its own."""
    rows: list[Measured] = []
    program = shutil.which("h2load")
    instruments = [(by_drive, plan) for plan in plans]
    if options.h2load and program:
        instruments.append((functools.partial(by_h2load, program), plans[0]))
    for measure, plan in instruments:
        with running(law) as server:
            rows += measure(replace(plan, address=server.address))
        if not law.stall:
            rows.append(Measured("  the server meanwhile", percentiles_of(server.took, 1), ""))
    return rows


# -- CPU time -----------------------------------------------------------------------------------------


def costs(options: argparse.Namespace) -> str:
    """CPU time of a request in a closed loop: as the engine has it, by /proc, and by perf, if it is there."""
    server_cores, own = cores()
    plan = Plan(("127.0.0.1", 0), (REQUEST,), "closed", 16, options.seconds, cores=own)
    with running(Law(cores=server_cores)) as server, tempfile.TemporaryDirectory() as folder:
        tree, before = observe.Tree([server.pid]), by_proc(server.pid)
        with by_perf(server.pid, Path(folder) / "perf") as told, observe.Watch(tree, 0) as watch:
            outcome = drive(replace(plan, address=server.address))
        found = {"the rig": watch.cpu_seconds or 0.0, "/proc": by_proc(server.pid) - before, **told}
    lines = [f"CPU time of a request, {outcome.requests} of them in {options.seconds:g} s (us)"]
    for name, seconds in found.items():
        lines.append(f"{name:8}{seconds / outcome.requests * 1e6:10.3f}{seconds / found['/proc'] - 1:+9.2%}")
    return "\n".join(lines)


def by_proc(pid: int) -> float:
    """User and system time of a process so far in seconds: fields 14 and 15 of proc(5)'s stat, in ticks."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def by_perf(pid: int, output: Path) -> Iterator[dict[str, float]]:
    """What perf says in the end of the CPU time in the block, in seconds; nothing where it may not look."""
    told: dict[str, float] = {}
    program = shutil.which("perf")
    if program is None:
        yield told
        return
    command = [program, "stat", "-x,", "-e", "task-clock", "-p", str(pid), "-o", str(output)]
    perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(ATTACHING)
    try:
        yield told
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait(GRACE)
    for line in output.read_text().splitlines() if output.exists() else ():
        value, _, event, *_ = (*line.split(","), "", "")
        if event == "task-clock" and value[:1].isdecimal():
            told["perf"] = float(value) / 1e3


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fastserve.rig.measure.truth",
        description="Measure a server whose latencies are known. A star marks what is neither within 2 %% of "
                    "them nor within 0.2 ms.")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each of them (default: %(default)g)")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second (default: %(default)g)")
    parser.add_argument("--connections", type=int, default=128, help="at most (default: %(default)s)")
    parser.add_argument("--h2load", action="store_true", help="measure with h2load too, if it is there")
    options = parser.parse_args(argv)
    print(delays(options), stalls(options), costs(options), sep="\n\n")


if __name__ == "__main__":
    main()
