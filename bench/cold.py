"""From the start of a process to the first byte of an answer: `python bench/cold.py`. For promises.py too.

The file system's cache is warm, and so are the .pyc files: what is measured is what a person waits for who
starts a server again. Commands take turns. The first start of each is not counted.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import processes
from answers import request
from contestants import TREE
from processes import BenchError, concluded
from report import aligned, spread, where
from servers import free_port

PATIENCE = 10  # seconds for one start
PAUSE = 0.0002  # seconds between two attempts to connect
STARTS = 5  # in a round, of which the median counts
NAME = "file1k.txt"

MODULES = "fastserve", "http.server"  # each has the same command line


def measure(rounds: int, server_core: int, starts: int = STARTS) -> dict[str, list[float]]:
    """Milliseconds of each command, round by round."""
    times: dict[str, list[float]] = {name: [] for name in MODULES}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Path(folder, "site")
        site.mkdir()
        (site / NAME).write_bytes(b"x" * 1024)
        for name in MODULES:
            first_byte(name, site, server_core)
        for _ in range(rounds):
            found: dict[str, list[float]] = {name: [] for name in MODULES}
            for _ in range(starts):
                for name, each in found.items():
                    each.append(first_byte(name, site, server_core))
            for name, each in found.items():
                times[name].append(statistics.median(each))
    return times


def first_byte(name: str, site: Path, core: int) -> float:
    port = free_port()
    argv = [sys.executable, "-m", name, "-d", str(site), "-b", "127.0.0.1", str(port)]
    began = time.monotonic()
    # Python keeps what it has compiled, as it does for people: the first start of each is not counted.
    process = processes.start(argv, {**TREE, "PYTHONDONTWRITEBYTECODE": ""}, site.with_name("log"), core)
    try:
        with _connected(port, began + PATIENCE) as sock:
            sock.sendall(request(port, f"/{NAME}"))
            if sock.recv(1) != b"H":
                raise BenchError(f"{name} did not answer its first request")
            return (time.monotonic() - began) * 1000
    finally:
        processes.stop(process)


def _connected(port: int, deadline: float) -> socket.socket:
    while time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except ConnectionRefusedError:
            time.sleep(PAUSE)
    raise BenchError(f"accepted no connection within {PATIENCE} s")


def show(args: argparse.Namespace) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[min(1, len(cores) - 1)]})
    times = measure(args.rounds, cores[0], args.starts)
    print(where())
    print(f"ms from the start of a process to its first byte; median (min-max) of {args.rounds} rounds")
    print(aligned([("python -m", "ms"), *((name, spread(each, 1)) for name, each in times.items())]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/cold.py", description="Measure cold starts.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=STARTS, help="in a round")
    args = parser.parse_args(argv)
    return concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
