"""A server with worker processes, in a process of its own, and clients that load it.

The program is SOURCE with a few lines of a test's own. Knows supervise() and fastserve's public classes.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers import Client, children, request, wait_until

import fastserve

WAIT = 20.0  # seconds; reached only when something is broken
HOME = Path(fastserve.__file__).resolve().parents[1]

SOURCE = """if True:
    import os, signal, socket, sys, time
    import fastserve
    from fastserve import limits
    from fastserve.serving import processes

    class Handler(fastserve.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path.startswith("/wait"):
                open(self.path[5:] + ".waits", "w").close()
                while not os.path.exists(self.path[5:]):
                    time.sleep(0.01)
            body = b"%d" % os.getpid()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    workers, options, prepared = {workers}, dict({options}), None
    def say_port():
        print(server.server_port, flush=True)
    options["ready"] = say_port
    server_class = fastserve.HTTPServer
    {lines}
    server = server_class(("127.0.0.1", 0), Handler)
    processes.supervise(server, workers, **options)
    server.server_close()
"""


# Lines that have every worker write down that it starts, and wait while there is a file "closed".
OPEN_GATE = """def prepare():
    with open("starts", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while os.path.exists("closed"):
        time.sleep(0.01)
options["prepare"] = prepare"""


class Supervised:
    """The supervisor's process, its address, and what is known of its workers."""

    def __init__(self, log: Path, workers: int, options: str, lines: str, **popen: Any) -> None:
        code = SOURCE.format(workers=workers, options=options, lines=lines.replace("\n", "\n    "))
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(HOME)}, stderr=stderr,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **{"preexec_fn": hear_ctrl_c, **popen})
        self._log = log
        self.address: Any = None

    def wait_ready(self) -> None:
        """Read the port, which it tells when all workers are ready."""
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(WAIT) else b""
        assert line, f"it does not get ready: {self.log()}"
        self.address = ("127.0.0.1", int(line))

    def workers(self) -> set[int]:
        """Those that there are, also one that does not serve yet, or has ended just now."""
        return children(self.process.pid)

    def log(self) -> str:
        return self._log.read_text()

    def ask(self, target: str = "/") -> int:
        """The process that answers a new client."""
        with Client(self.address, WAIT) as client:
            return int(client.ask(request(target=target)).body)

    def pids(self, count: int) -> set[int]:
        """The processes that answer, once there are as many."""
        found: set[int] = set()
        assert wait_until(lambda: len(found.add(self.ask()) or found) >= count, WAIT), found
        return found

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return self.process.wait(WAIT)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and see that it ends well."""
        self.send(number)
        assert self.wait() == 0, self.log()
        assert "Traceback" not in self.log()


def hear_ctrl_c() -> None:
    """Runs in the child: a job of a shell script inherits an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def supervised(
    folder: Path, workers: int = 2, options: str = "", lines: str = "pass", ready: bool = True, **popen: Any
) -> Iterator[Supervised]:
    """Such a server for the length of a block; its log is ``folder``'s file ``log``."""
    server = Supervised(folder / "log", workers, options, lines, **popen)
    try:
        if ready:
            server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(WAIT)
        server.process.kill()
        server.process.wait()
        assert server.process.stdout
        server.process.stdout.close()


def blocked(server: Supervised, gate: Path, stack: contextlib.ExitStack) -> Client:
    """A client whose request waits for that file."""
    client = stack.enter_context(Client(server.address, WAIT))
    client.send(request(target=f"/wait{gate}"))
    assert wait_until(gate.with_name(gate.name + ".waits").exists, WAIT)
    return client


def renew(server: Supervised) -> None:
    """Have all workers replaced, and wait until the old ones are gone."""
    old = server.workers()
    server.send(signal.SIGHUP)
    assert wait_until(lambda: not old & server.workers() and len(server.workers()) == len(old), WAIT)


# -- Load --------------------------------------------------------------------------------------


class Load:
    """Clients in threads, each asking on and on: on new connections, or on one while it lasts.

    ``answers`` counts by process; ``faults`` are (moment, what was wrong).
    """

    def __init__(self, server: Supervised, clients: int, keep: bool = False) -> None:
        self._server = server
        self._keep = keep
        self._enough = threading.Event()
        self.is_last = False  # each client's connection: when it has ended, there is no other
        self.answers: Counter[int] = Counter()
        self.faults: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a client waits for ever"

    def ends(self) -> None:
        """Wait until every client has lost its connection, when ``is_last`` is set."""
        for thread in self._threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a client waits for ever"

    def goes_on(self, count: int = 200) -> None:
        """Wait for that many more answers."""
        enough = self.answers.total() + count
        assert wait_until(lambda: self.answers.total() >= enough, WAIT), (self.answers, self.faults[:5])

    def _ask_on(self) -> None:
        while not self._enough.is_set():
            try:
                with Client(self._server.address, WAIT) as client:
                    self._ask(client)
            except (OSError, EOFError, AssertionError) as error:
                self.faults.append((time.monotonic(), repr(error)))
                if isinstance(error, ConnectionRefusedError):
                    self._enough.wait(0.01)
            if self.is_last:
                return

    def _ask(self, client: Client) -> None:
        """Ask once, or until the server says that it closes the connection."""
        closes = False
        while not closes and not self._enough.is_set():
            reply = client.ask(request())
            assert reply.status == 200
            self.answers[int(reply.body)] += 1
            closes = not self._keep or (reply.get("Connection") or "").lower() == "close"
