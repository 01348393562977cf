"""System calls of a request: `python bench/syscalls.py`. Prints a table, by call and contestant.

strace counts the calls of all threads and processes of a server while wrk loads it, and what wrk completes in
that time divides them. The connections' own calls, from accept4 to close, are in it; the longer the load,
the less there is of them. The server is slower than without strace, so that each turn of its loop finds all
connections ready, as it does on a core that is full; a server with spare time has more turns.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import report
from contestants import CONTESTANTS
from processes import BenchError, concluded, members
from report import aligned
from run import Bench, add_common, site_of
from servers import running
from workloads import WORKLOADS

PATIENCE = 10  # seconds for strace to attach, and to say what it has counted
DEFAULT = "floor,fastserve,fastserve-threads,fastserve-cli,lighttpd,nginx,nginx-uncached,h2o"
LEAST = 0.0005  # calls of a request that are worth a row

Counts = dict[str, float]


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/syscalls.py", description="Count system calls of a request.")
    parser.add_argument("--workload", choices=[name for name in WORKLOADS if not WORKLOADS[name].idle],
                        default="file1k")
    parser.add_argument("--servers", type=lambda names: names.split(","), default=DEFAULT.split(","))
    add_common(parser)
    args = parser.parse_args(argv)
    if unknown := set(args.servers) - set(CONTESTANTS):
        parser.error(f"no contestant is called {' or '.join(unknown)}; there are {', '.join(CONTESTANTS)}")
    return args


class Count(Bench):
    """One contestant after the other; figures like these need no rounds."""

    def run(self) -> None:
        if shutil.which("strace") is None:
            raise BenchError("no program called strace (Debian package strace)")
        workload = WORKLOADS[self.args.workload]
        found: dict[str, Counts] = {}
        with site_of(workload) as site:
            for contestant in self.contestants(self.args.servers):
                with (self.guarded(contestant, workload, {}), ExitStack() as stack):
                    server = stack.enter_context(running(contestant, workload, site, self.server_core))
                    runner = self.enter(server)
                    counted = site.with_name("counted")
                    with traced(server.process.pid, counted):
                        seen = self.round(runner).load
                    found[contestant.name] = {name: calls / seen.requests
                                              for name, calls in parsed(counted.read_text()).items()}
        print(report.where())
        print(f"system calls of a request, {workload.name}: {workload.title}; "
              f"{workload.connections or self.args.connections} connections, {self.args.seconds} s")
        print(aligned(table(found)))
        result = {**self.result({}), "syscalls": {workload.name: found}}
        print("written to", report.save(result, self.args.json))
        self.ensure_complete()


@contextmanager
def traced(leader: int, output: Path) -> Iterator[None]:
    """For the block, all threads that the session of `leader` has, and those that they start."""
    processes = members(leader)
    argv = ["strace", "-c", "-f", "-q", "-o", str(output), *(f"-p{pid}" for pid in processes)]
    strace = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_attached(strace, [task for pid in processes for task in Path(f"/proc/{pid}/task").iterdir()])
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=PATIENCE)


def wait_attached(strace: subprocess.Popen[bytes], tasks: list[Path]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all("\nTracerPid:\t0\n" not in (task / "status").read_text() for task in tasks):
        if strace.poll() is not None:
            said = strace.stderr.read().decode() if strace.stderr else ""
            raise BenchError(f"strace ended: {said.strip()}")
        if time.monotonic() > deadline:
            raise BenchError(f"strace did not attach within {PATIENCE} s")
        time.sleep(0.01)


def parsed(summary: str) -> dict[str, int]:
    """Calls by name, of what `strace -c` writes: a table between two rules."""
    _, _, rest = summary.partition("\n---")
    rows = (line.split() for line in rest.partition("\n---")[0].splitlines()[1:])
    return {row[-1]: int(row[3]) for row in rows}


def table(found: dict[str, Counts]) -> list[tuple[str, ...]]:
    """The calls that most of all make are on top."""
    most = {name: max(counts.get(name, 0) for counts in found.values())
            for counts in found.values() for name in counts}
    calls = sorted((name for name in most if most[name] >= LEAST), key=most.__getitem__, reverse=True)
    rows = [(name, *(figure(counts.get(name, 0)) for counts in found.values())) for name in calls]
    return [("call", *found), *rows, ("all", *(figure(sum(counts.values())) for counts in found.values()))]


def figure(calls: float) -> str:
    return f"{calls:.3f}" if calls >= LEAST else "-"


def main(argv: Sequence[str] | None = None) -> int:
    args = options(argv)
    return concluded(lambda: Count(args).run())


if __name__ == "__main__":
    sys.exit(main())
