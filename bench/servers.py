"""A contestant and how it runs: what it must say of itself, its start on a core, its end.

Knows no particular server (contestants.py does), no load and no measure. run.py and its like call `running`.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import processes
from processes import BenchError
from workloads import Workload

PATIENCE = 20  # seconds for a contestant to accept its first connection


@dataclass(frozen=True)
class Place:
    """Where one contestant is to run."""

    workload: Workload
    port: int
    site: Path  # the files to serve
    folder: Path  # its own: configuration, log, scratch


@dataclass(frozen=True)
class Contestant:
    name: str
    workloads: tuple[str, ...]
    argv: Callable[[Place], list[str]]
    prepare: Callable[[], str | None]  # makes it ready to start, or says in one line why it cannot take part
    version: Callable[[], str]
    env: dict[str, str] = field(default_factory=dict)
    body: Callable[[Workload], bytes] = lambda workload: workload.content


@dataclass(frozen=True)
class Server:
    """A contestant that runs and accepts connections."""

    contestant: Contestant
    argv: list[str]
    process: subprocess.Popen[bytes]
    place: Place

    def ensure_alive(self) -> None:
        if self.process.poll() is not None:
            said = (self.place.folder / "log").read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise BenchError(f"ended with status {self.process.returncode}, saying at last: {said[-1]}")


@contextmanager
def running(contestant: Contestant, workload: Workload, site: Path, core: int) -> Iterator[Server]:
    place = Place(workload, free_port(), site, site.with_name(contestant.name))
    place.folder.mkdir(exist_ok=True)
    argv = contestant.argv(place)
    env = {**contestant.env, "BENCH_SITE": str(site)}
    process = processes.start(argv, env, place.folder / "log", core)
    try:
        server = Server(contestant, argv, process, place)
        _wait_ready(server)
        yield server
    finally:
        processes.stop(process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_ready(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        server.ensure_alive()
        try:
            socket.create_connection(("127.0.0.1", server.place.port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchError(f"accepted no connection within {PATIENCE} s")
