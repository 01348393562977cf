"""The workloads: what is asked, how, and what must come back. Knows no server, and no tool that makes load.

run.py reads WORKLOADS; answers.py holds a contestant's answer to it, load.py turns it into wrk's arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("micro")))

from parsers import FIELDS as BROWSER

ENTRIES = 10_000  # files of the tree, and of the folder that is listed
IDLE = 10_000  # connections, of which most have asked once and stay
PIPELINED = 16  # requests sent at once


def entry_name(number: int) -> str:
    return f"entry-{number:05d}.txt"


def tree_path(number: int) -> str:
    """zipf.lua makes the same."""
    return f"/tree/{number // 100:02d}/{number % 100:02d}.txt"


@dataclass(frozen=True)
class Workload:
    """What is asked for, and the body that must come back."""

    name: str
    path: str
    body: bytes = b""
    times: int = 1  # that the body is repeated; nobody holds 100 MiB while it is not checked
    title: str = ""
    status: int = 200
    fields: tuple[str, ...] = ()  # header lines beside Host
    connections: int | None = None  # where it must not be what run.py is told
    script: str = "done.lua"  # for wrk
    pipelined: int = 1
    conditional: bool = False  # asked with the validators that the contestant has given
    fresh: bool = False  # a connection for each request
    tls: bool = False
    resumed: bool = False  # TLS sessions, as those of a client that was there before
    idle: bool = False  # beside connections that are
    listed: int = 0  # names that must be in the body, which is otherwise the contestant's own
    per_gigabyte: bool = False  # what CPU time is counted for: octets, not requests
    lay_out: Callable[[Workload, Path], None] = lambda workload, site: workload.write(site, workload.path)

    @property
    def content(self) -> bytes:
        return self.body * self.times

    @property
    def size(self) -> int:
        return len(self.body) * self.times

    def write(self, site: Path, path: str) -> None:
        """What is asked for, as a file."""
        file = site / (path.lstrip("/") or "index.html")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as output:
            for _ in range(self.times):
                output.write(self.body)

    def paths(self) -> list[str]:
        """Those to check."""
        if self.script == "zipf.lua":
            return [tree_path(number) for number in range(0, ENTRIES, ENTRIES // 25)]
        return [self.path] * 2


def _nothing(workload: Workload, site: Path) -> None:
    pass


def _tree(workload: Workload, site: Path) -> None:
    for number in range(ENTRIES):
        workload.write(site, tree_path(number))


def _listing(workload: Workload, site: Path) -> None:
    folder = site / workload.path.strip("/")
    folder.mkdir()
    for number in range(workload.listed):
        (folder / entry_name(number)).touch()


KIB = b"x" * 1024
CLOSE = ("Connection: close",)
HELLO = b"Hello, World!"

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("file1k", "/file1k.txt", KIB, title="a file of 1 KiB, keep-alive"),
        Workload("hello", "/", HELLO, title="13 bytes from a handler, keep-alive"),
        Workload("file10k", "/file10k.txt", KIB, 10, title="a file of 10 KiB, keep-alive"),
        Workload("file100k", "/file100k.txt", KIB, 100, title="a file of 100 KiB, keep-alive"),
        Workload("file100m", "/file100m.bin", KIB, 100 * 1024, title="a file of 100 MiB",
                 connections=4, per_gigabyte=True),
        Workload("fresh", "/file1k.txt", KIB, title="1 KiB, a new connection for each request",
                 fields=CLOSE, fresh=True),
        Workload("pipelined", "/file1k.txt", KIB, title=f"1 KiB, {PIPELINED} requests at once",
                 script="pipelined.lua", pipelined=PIPELINED),
        Workload("browser", "/file1k.txt", KIB, title="1 KiB, asked for as a browser does",
                 fields=tuple(f"{name}: {value}" for name, value in BROWSER)),
        Workload("notmodified", "/file1k.txt", KIB, title="304, as the file is what the client has",
                 conditional=True, status=304),
        Workload("missing", "/missing.txt", title="404", status=404, lay_out=_nothing),
        Workload("zipf", "/", KIB, title=f"{ENTRIES:,} files of 1 KiB, visited by Zipf's law",
                 script="zipf.lua", lay_out=_tree),
        Workload("listing", "/listing/", title=f"a listing of {ENTRIES:,} entries", listed=ENTRIES,
                 connections=4, lay_out=_listing),
        Workload("idle-file", "/file1k.txt", KIB, title="1 KiB beside idle connections", idle=True),
        Workload("idle-hello", "/", HELLO, title="hello beside idle connections", idle=True),
        Workload("tls1k", "/file1k.txt", KIB, title="1 KiB over TLS, keep-alive", tls=True),
        Workload("tls-fresh", "/file1k.txt", KIB, title="1 KiB over TLS, a whole handshake for each",
                 fields=CLOSE, fresh=True, tls=True),
        Workload("tls-resumed", "/file1k.txt", KIB, title="1 KiB over TLS, a resumed session for each",
                 fields=CLOSE, fresh=True, tls=True, resumed=True),
        Workload("tls100m", "/file100m.bin", KIB, 100 * 1024, title="100 MiB over TLS",
                 connections=4, per_gigabyte=True, tls=True),
    )
}
