"""A raw client and a background server for the tests: no HTTP library between a test and the octets.

Every wait is bounded by PATIENCE. The fixtures of conftest.py are made of these.
"""

import contextlib
import io
import os
import re
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 5.0

BODILESS = (204, 304)


class Reply(NamedTuple):
    """One response. ``line`` is '' for an HTTP/0.9 answer, which has a body only."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        """The status code, 0 where there is no status line."""
        return int(self.line.split()[1]) if self.line else 0

    def get(self, name: str) -> str | None:
        """The first value of a header, by its name in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Client:
    """A connected socket that reads one reply after the other."""

    def __init__(self, address: Any, patience: float = PATIENCE) -> None:
        self.sock = connect(address, patience)
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Send all of it; a server that has closed is met when its replies are read."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def end(self) -> None:
        """Send nothing more; replies can still be read."""
        with contextlib.suppress(OSError):  # the server has closed
            self.sock.shutdown(socket.SHUT_WR)

    def reply(self, method: str = "GET") -> Reply | None:
        """The next reply, interim ones too; None at the end of the connection.

        Raises EOFError where the connection ends before the reply does.
        """
        if not self._fill_to(1):
            return None
        if not b"HTTP/".startswith(self._buffer[:5]):
            return Reply("", [], self.rest())
        head = self._cut(self._find(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        # partition, so that a line without a colon is seen as it is
        headers = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
        reply = Reply(line, headers, b"")
        return reply._replace(body=self._body(reply, method))

    def ask(self, data: bytes) -> Reply:
        """Send a request and return its reply, which there must be."""
        self.send(data)
        reply = self.reply(data.split(b" ", 1)[0].decode("latin-1"))
        assert reply is not None, "the connection ended without a reply"
        return reply

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            while self._receive():
                pass
        return self._cut(len(self._buffer))

    def is_closed(self, within: float = PATIENCE) -> bool:
        """Whether the server ends the connection, without sending anything more, within that many seconds."""
        self.sock.settimeout(within)
        try:
            return not self._buffer and not self._receive()
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(PATIENCE)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _body(self, reply: Reply, method: str) -> bytes:
        if method == "HEAD" or reply.status < 200 or reply.status in BODILESS:
            return b""
        if reply.get("Transfer-Encoding") == "chunked":
            return self._cut(self._find(b"0\r\n\r\n"))
        length = reply.get("Content-Length")
        if length is None:
            return self.rest()
        if not self._fill_to(int(length)):
            raise EOFError(f"{len(self._buffer)} of {length} octets: {self._buffer[:200]!r}")
        return self._cut(int(length))

    def _find(self, mark: bytes) -> int:
        """How many octets there are up to and with ``mark``."""
        while mark not in self._buffer:
            if not self._receive():
                raise EOFError(f"no {mark!r} in {self._buffer[:200]!r}")
        return self._buffer.index(mark) + len(mark)

    def _fill_to(self, size: int) -> bool:
        with contextlib.suppress(ConnectionError):
            while len(self._buffer) < size:
                if not self._receive():
                    return False
        return len(self._buffer) >= size

    def _receive(self) -> bool:
        data = self.sock.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def _cut(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def connect(address: Any, patience: float = PATIENCE) -> socket.socket:
    """A connected socket; the address says which family."""
    family = socket.AF_INET
    if isinstance(address, (str, bytes)):
        family = socket.AF_UNIX
    elif len(address) == 4:
        family = socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(patience)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def listening(family: Any = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> Iterator[socket.socket]:
    """A socket that listens, and from which nobody accepts yet."""
    with socket.socket(family) as sock:
        sock.bind(address)
        sock.listen()
        yield sock


def ask(address: Any, data: bytes) -> Reply:
    """The reply to one request on a connection of its own."""
    with Client(address) as client:
        return client.ask(data)


def request(
    method: str = "GET", target: str = "/", *fields: str, body: bytes = b"", version: str = "1.1"
) -> bytes:
    """The octets of a request; Content-Length comes with a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Running:
    """A server whose serve_forever() runs in a thread until stop()."""

    def __init__(self, server: socketserver.BaseServer, poll_interval: float | None = 0.02) -> None:
        self.server = server
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._serve, args=(poll_interval,), daemon=True)
        self.thread.start()

    def _serve(self, poll_interval: Any) -> None:
        try:
            self.server.serve_forever(poll_interval)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """End it and see that it has ended well."""
        # More than once: it may not have begun to serve yet.
        deadline = time.monotonic() + PATIENCE
        while self.thread.is_alive() and time.monotonic() < deadline:
            self.server.shutdown()
            self.thread.join(0.05)
        self.server.server_close()
        assert not self.thread.is_alive(), "serve_forever() has not returned"
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def running(server: socketserver.BaseServer) -> Iterator[Any]:
    """Serve in a thread for the length of a block; gives the server's address."""
    runner = Running(server)
    try:
        yield server.server_address
    finally:
        runner.stop()


# -- What must not be left behind --------------------------------------------------------------


def descriptors() -> set[str]:
    """The open descriptors, each with what it is; empty where the system does not tell."""
    found = set()
    for fd in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with contextlib.suppress(OSError):  # the one that listed them
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    return found


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


# -- Processes ---------------------------------------------------------------------------------


def children(pid: int) -> set[int]:
    """The processes that a process has started and has not waited for."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(status.parent.name))
    if not Path("/proc/self/stat").exists():
        told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [line.split() for line in told.stdout.splitlines()]
        found = {int(child) for child, parent in pairs if int(parent) == pid}
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended; nobody may have waited for it yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """After the block no more descriptors are open and no more threads run than before it."""
    fds, threads = descriptors(), set(threading.enumerate())
    yield
    assert wait_until(lambda: set(threading.enumerate()) <= threads), "threads are left running"
    wait_until(lambda: descriptors() <= fds)
    assert descriptors() <= fds, "descriptors are left open"


# -- The log -----------------------------------------------------------------------------------

LOG_LINE = re.compile(r"(\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\] (.*)")


def log_messages(text: str) -> list[str]:
    """The messages of a log, each line of which must have an address and a time in front."""
    messages = []
    for line in io.StringIO(text):  # not splitlines(), which ends lines elsewhere too
        match = LOG_LINE.fullmatch(line.rstrip("\n"))
        assert match, f"not a log line: {line!r}"
        messages.append(match[2])
    return messages
