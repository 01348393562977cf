"""A program as people run it, under ``python -m fastserve.patched`` in a process of its own.

Knows no program. What its servers are made of is told by witness/sitecustomize.py. The tests of this folder
use it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests
from helpers import connect, wait_until

import fastserve

WAIT = 30.0  # seconds; big programs are slow to start, and it is reached only when something is broken
HOME = Path(fastserve.__file__).resolve().parents[1]
WITNESS = Path(__file__).with_name("witness")
SERVER = "fastserve.server.HTTPServer"
PATCHED = [sys.executable, "-m", "fastserve.patched"]


class Seen(NamedTuple):
    """A server that was started: the names of its class and its handler's, and what those are made from."""

    server: list[str]
    handler: list[str]


class Program:
    """The process, the port that it was told to use, and what it has written to stdout and stderr."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        """``words`` are the command line behind fastserve.patched; ``{port}`` in one becomes a free port."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tracebacks = 0  # that its log is to have
        self._log, self._witness = folder.parent / "log", folder.parent / "witness"
        with self._log.open("wb") as log, hears_ctrl_c():
            self._process = subprocess.Popen(
                [*PATCHED, *(word.replace("{port}", str(self.port)) for word in words)],
                cwd=folder, env=environment(self._witness) | env, stdin=subprocess.PIPE,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def await_port(self) -> None:
        """Return once it accepts connections."""
        assert wait_until(lambda: self._process.poll() is not None or accepts(self.port), WAIT), self.log()
        assert self._process.poll() is None, self.log()

    def await_end(self) -> None:
        """Return once it has ended, and ended well."""
        assert self._process.wait(WAIT) == 0, self.log()

    def seen(self) -> list[Seen]:
        """The servers that it has started."""
        lines = self._witness.read_text().splitlines() if self._witness.exists() else []
        return [Seen(**json.loads(line)) for line in lines]

    def press_ctrl_c(self) -> None:
        """End it as its user does, who presses the key again where the first time went by.

        It does where it comes as a request ends: wsgiref takes every exception for the application's. How the
        program takes leave is its own affair.
        """
        wait_until(lambda: self._tracebacks() >= self.tracebacks)
        assert self._tracebacks() == self.tracebacks, self.log()
        assert wait_until(self._ends_on_ctrl_c, WAIT), self.log()

    def _tracebacks(self) -> int:
        return self.log().count("Traceback (most recent call last)")

    def _ends_on_ctrl_c(self) -> bool:
        self._signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        return self._process.returncode is not None

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.communicate()

    def _signal(self, number: int) -> None:
        """To all that it has started, as the terminal does it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def environment(witness: Path) -> dict[str, str]:
    """What a patched program needs to be watched, and to be alone on this machine."""
    path = os.pathsep.join([str(WITNESS), str(HOME)])
    quiet = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    watched = {"PYTHONPATH": path, "FASTSERVE_WITNESS": str(witness), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **quiet, **watched}


def free_port() -> int:
    """A port that nobody listens on; not every program takes 0 and tells what it got."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError):
        connect(("127.0.0.1", port)).close()
        return True
    return False


@contextlib.contextmanager
def hears_ctrl_c() -> Iterator[None]:
    """In a shell's background SIGINT is ignored, and so it would be in the process that is started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def assert_fastserve(seen: list[Seen], server: str = SERVER) -> None:
    """There are servers, made from ``server``, with handlers of fastserve, and http.server has no part."""
    assert seen, "no server was started"
    for each in seen:
        classes = each.server + each.handler
        assert server in each.server, classes
        assert "fastserve.handlers.base.BaseHTTPRequestHandler" in each.handler, classes
        assert not [name for name in classes if name.startswith("http.server.")]


@contextlib.contextmanager
def running(folder: Path, *words: str, server: str = SERVER, **env: str) -> Iterator[Program]:
    """A program that listens; at the end it is seen to have run on fastserve, and stopped by Ctrl-C."""
    program = Program(folder, *words, **env)
    try:
        program.await_port()
        yield program
        program.press_ctrl_c()
        assert_fastserve(program.seen(), server)
    finally:
        program.kill()


def run(folder: Path, *words: str, **env: str) -> Program:
    """A program that starts servers, talks to them itself, and ends."""
    program = Program(folder, *words, **env)
    try:
        program.await_end()
    finally:
        program.kill()
    assert_fastserve(program.seen())
    return program


def change(source: Path, session: requests.Session, url: str) -> None:
    """Make the program at ``url`` say changed instead of hello, by an edit that its reloader is to notice."""
    source.write_text(source.read_text().replace('"hello"', '"changed"'))

    def is_changed() -> bool:
        with contextlib.suppress(requests.ConnectionError):  # while it starts again
            said = session.get(url, timeout=WAIT).text
            if said == "hello":
                source.touch()  # it may not have looked at its files before they were edited
            return said == "changed"
        return False

    assert wait_until(is_changed, WAIT)


def script(folder: Path, text: str, *words: Any) -> list[str]:
    """The command line of a program whose source is ``text``."""
    (folder / "program.py").write_text(text, "utf-8")
    return ["program.py", *map(str, words)]


def call(folder: Path, *words: str, **env: str) -> str:
    """The output of a command that must do well, fastserve having no part in it."""
    done = subprocess.run(
        words, cwd=folder, env=os.environ | env, timeout=WAIT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
