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

import common
from common import spread

from fastserve.rig.measure import contestants
from fastserve.rig.measure.asking import Address, Question, Wrong
from fastserve.rig.measure.terminal import aligned

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
    address = _free_address()
    argv = [sys.executable, "-m", name, "-d", str(site), "-b", address.host, str(address.port)]
    # Python keeps what it has compiled, as it does for people: the first start of each is not counted.
    env = {**os.environ, **common.TREE, "PYTHONDONTWRITEBYTECODE": ""}
    began = time.monotonic()
    process = contestants.start(argv, env, site, site.with_name("log"), [core])
    try:
        with _connected(address, began + PATIENCE) as sock:
            sock.sendall(Question(f"/{NAME}").octets(address))
            if sock.recv(1) != b"H":
                raise Wrong(f"{name} did not answer its first request")
            return (time.monotonic() - began) * 1000
    finally:
        contestants.stop(process)


def _free_address() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return Address(*probe.getsockname())


def _connected(address: Address, deadline: float) -> socket.socket:
    while time.monotonic() < deadline:
        try:
            return socket.create_connection((address.host, address.port), PATIENCE)
        except ConnectionRefusedError:
            time.sleep(PAUSE)
    raise Wrong(f"accepted no connection within {PATIENCE} s")


def show(args: argparse.Namespace) -> None:
    server_core, own_core = common.cores()
    os.sched_setaffinity(0, {own_core})
    times = measure(args.rounds, server_core, args.starts)
    print(common.where())
    print(f"ms from the start of a process to its first byte; median (min-max) of {args.rounds} rounds")
    print(aligned([("python -m", "ms"), *((name, spread(each, 1)) for name, each in times.items())]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/cold.py", description="Measure cold starts.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=STARTS, help="in a round")
    args = parser.parse_args(argv)
    return common.concluded(lambda: show(args))


if __name__ == "__main__":
    sys.exit(main())
