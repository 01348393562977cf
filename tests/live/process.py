"""A server as people run it: `python -m fastserve` in a process of its own, watched through /proc.

Knows the command line and nothing of what is inside. The tests of this folder use it. Hosted is the same for
the servers of host.py, which have handlers too, and counts all processes that a server is made of.
"""

import contextlib
import os
import re
import resource
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, connect, wait_until

import fastserve
from fastserve.limits import MAX_RECORDED_FILES

WAIT = 30.0  # seconds; for whole downloads on a loaded machine, reached only when something is broken
HOME = Path(fastserve.__file__).resolve().parents[1]
DESCRIPTORS = 6000  # what a crowd of clients needs, here and in the server
BANNER = re.compile(r"Serving HTTPS? on 127\.0\.0\.1 port (\d+) ")


class Process:
    """The server, its address, and what it holds."""

    def __init__(self, folder: Path, log: Path, *options: str) -> None:
        command = [sys.executable, *self._program(), "-d", str(folder), *options]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(HOME)},
                                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
        assert self._process.stdout
        self.folder, self.log_path = folder, log
        line = self._process.stdout.readline().decode()
        banner = BANNER.match(line)
        assert banner, line + log.read_text()
        self.address = ("127.0.0.1", int(banner[1]))
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._proc = Path(f"/proc/{self._process.pid}")
        # It says where it listens before it serves, and has fewer descriptors until it does.
        with Client(self.address, WAIT) as client:
            client.end()
            client.rest()

    def _program(self) -> list[str]:
        return ["-m", "fastserve", "0", "-b", "127.0.0.1"]

    def log(self) -> str:
        """What it has written to stderr."""
        return self.log_path.read_text()

    def descriptors(self) -> int:
        """How many it has open, as descriptors_of() counts; 0 where the system does not tell."""
        return descriptors_of(self._proc)

    def memory(self) -> int:
        """Octets that are resident; 0 where the system does not tell."""
        with contextlib.suppress(OSError):
            for line in (self._proc / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self, silent: bool = True) -> None:
        """End it as a supervisor would, and see that it ends well, and has told of no exception."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            stacks = self.stacks()
            self.end()
            raise AssertionError(f"it has not ended within {WAIT} s\n{stacks}") from None
        log = self.log()
        assert not silent or "Traceback" not in log, log[log.index("Traceback") :][:3000]
        assert self._process.returncode == 0, log[-3000:]

    def stacks(self) -> str:
        """Where its threads are, where it tells."""
        return ""

    def end(self) -> None:
        """At once, where it still runs."""
        self._process.kill()
        self._process.communicate()


class Tree(Process):
    """The same for a server that may have processes of its own: figures are those of all of them."""

    def processes(self) -> list[Path]:
        """Its folder in /proc, and those of its descendants."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parents[status.parent] = status.read_text().rpartition(") ")[2].split()[1]
        found = [self._proc]
        for each in found:
            found += [child for child, parent in parents.items() if parent == each.name]
        return found

    def descriptors(self) -> int:
        return sum(map(descriptors_of, self.processes()))

    def threads(self) -> int:
        return sum(_count(each / "task") for each in self.processes())

    def memory(self) -> int:
        """Octets that are resident; those that processes share are divided among them."""
        return sum(_proportional(each) for each in self.processes())


class Hosted(Tree):
    """A server of host.py, whose options these are."""

    def _program(self) -> list[str]:
        return [str(Path(__file__).with_name("host.py"))]

    def stacks(self) -> str:
        said = len(self.log())
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log()[said:].endswith("\n"), 1)
        return self.log()[said:]


def descriptors_of(process: Path) -> int:
    """How many are open, but for as many regular files as the recorded answers of a process may keep."""
    kept, others = 0, 0
    with contextlib.suppress(OSError):
        for each in os.listdir(process / "fd"):
            with contextlib.suppress(OSError):  # closed while we were reading
                kept_for_it = os.readlink(process / "fd" / each).startswith("/") and (
                    stat.S_ISREG(os.stat(process / "fd" / each).st_mode))
                kept, others = kept + kept_for_it, others + (not kept_for_it)
    return others + max(kept - MAX_RECORDED_FILES, 0)


def _count(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(folder))
    return 0


def _proportional(process: Path) -> int:
    with contextlib.suppress(OSError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def ends_well(server: Process) -> Iterator[Process]:
    """It is stopped behind the block, and has nothing to say of that; ended in any case."""
    try:
        yield server
        server.stop()
        assert not server.log(), server.log()[:3000]
    finally:
        server.end()


@contextlib.contextmanager
def gives_back(server: Process, memory: int = 32 << 20) -> Iterator[None]:
    """After the block the server holds as many descriptors as before, and not much more memory."""
    descriptors, resident = server.descriptors(), server.memory()
    yield
    assert wait_until(lambda: server.descriptors() <= descriptors, WAIT), "descriptors are left open"
    if os.environ.get("FASTSERVE_KIND") != "sanitize":  # which keeps what is freed
        assert server.memory() - resident < memory, "memory is not given back"
    assert server.is_running(), server.log()[-3000:]


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """Let this process, and those that it starts, have as many as a crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
            pytest.skip(f"this process may not have {DESCRIPTORS} descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Download:
    """One of many downloads, compared with what it should be as it comes in."""

    def __init__(self, server: Process, octets: bytes, expected: bytes) -> None:
        self.sock = connect(server.address, WAIT)
        self.sock.sendall(octets)
        self._expected = expected
        self._head = b""
        self.received = 0
        self.fault = ""

    def more(self) -> bool:
        """Take what has come; whether there is more to come."""
        data = self.sock.recv(1 << 18)
        if b"\r\n\r\n" not in self._head:
            self._head, _, body = (self._head + data).partition(b"\r\n\r\n")
            self._head += b"\r\n\r\n"
            data = body if data else b""
            assert self._head.startswith(b"HTTP/1.1 200 "), self._head
        if data != self._expected[self.received : self.received + len(data)]:
            self.fault = self.fault or f"other octets after {self.received}"
        self.received += len(data)
        if not data and self.received < len(self._expected):
            self.fault = self.fault or f"ended after {self.received}"
        return not self.fault and self.received < len(self._expected)


def finish(downloads: list[Download]) -> None:
    """Read all of them as they come, to the end."""
    deadline = time.monotonic() + 2 * WAIT
    with selectors.DefaultSelector() as selector:
        for download in downloads:
            selector.register(download.sock, selectors.EVENT_READ, download)
        while selector.get_map():
            events = selector.select(WAIT)
            assert events, "nothing comes any more"
            assert time.monotonic() < deadline, "it takes too long"
            for key, _ in events:
                if not key.data.more():
                    selector.unregister(key.fileobj)


def crowd(stack: contextlib.ExitStack, server: Process, size: int) -> list[socket.socket]:
    """That many connections, closed with the stack."""
    return [stack.enter_context(connect(server.address, WAIT)) for _ in range(size)]


def run(*command: Any, **options: Any) -> bytes:
    """The standard output of a command that must do well."""
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=2 * WAIT, **options)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr.decode()[-2000:]}"
    return done.stdout
