"""A folder in which the words of a page are run: its files, its ports, and the programs that it names.

Ports of the pages are free ones here, so that pages may be run side by side. Every wait is bounded. Knows
processes and nothing of Markdown. checks.py calls it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0

# The ports that pages use.
PORTS = re.compile(r"\b(8000|8001|8080|8443|9000)\b")

SERVER = re.compile(r"^(?:[A-Z_]+=\S+ +)*(?:python -m )?fastserve\b(?!\.)(?!.*--(?:help|version)\b)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@functools.cache
def known_flags() -> frozenset[str]:
    """Those of the fastserve that is tested."""
    command = [sys.executable, "-m", "fastserve", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return frozenset(FLAG.findall(done.stdout))


def missing_flags(text: str) -> set[str]:
    """Flags in commands of fastserve that it does not know."""
    asked: set[str] = set()
    for line in text.replace("\\\n", " ").splitlines():
        words = line.removeprefix("$ ").split(" # ")[0]
        if SERVER.match(words):
            asked.update(FLAG.findall(words))
    return asked - known_flags()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def matches(wanted: str, got: str) -> bool:
    """A line ... stands for any lines, none too; inside a line it stands for any characters."""
    pattern = ""
    for line in wanted.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line.rstrip()).replace(re.escape("..."), ".*?") + r"[ \t]*\n"
    return re.fullmatch(pattern, got if got.endswith("\n") else got + "\n") is not None


def mentions(wanted: str, got: str) -> bool:
    """Whether the lines are there in that order, among others."""
    return matches("\n...\n".join(["...", *wanted.splitlines(), "..."]), got)


class Lines:
    """What a process writes, read by a thread so that nobody waits for it for ever."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._file = process.stdout
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._file
        self.lines.extend(iter(self._file.readline, ""))  # readline(), as a file read in one go waits

    def ended(self) -> str:
        self._thread.join(PATIENCE)
        return "".join(self.lines)


class Bench:
    """One folder, its environment, and the ports that stand for those of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "page"
        self.folder.mkdir()
        self._ports: dict[str, str] = {}
        self._environ = self._environment(folder / "bin")

    def _environment(self, programs: Path) -> dict[str, str]:
        """python and fastserve are those that are tested; what a developer has set counts for nothing."""
        programs.mkdir()
        start = "import sys; sys.argv[0] = 'fastserve'; from fastserve.cli import main; sys.exit(main())"
        for name, words in (("python", ()), ("fastserve", ("-c", start))):
            command = shlex.join([sys.executable, *words])
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("FASTSERVE_", "LISTEN_", "NOTIFY_", "PYTEST_"))}
        path = f"{programs}:{kept.get('PATH', '')}:/usr/sbin:/sbin"
        paths = [kept["PYTHONPATH"]] if "PYTHONPATH" in kept else []
        if not os.environ.get("FASTSERVE_TESTED"):  # else it is an installed one
            paths.insert(0, str(ROOT))
        return kept | {
            "PATH": path, "LC_ALL": "C.UTF-8", "COLUMNS": "80", "NO_COLOR": "1", "BROWSER": "true",
            "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}

    def ported(self, text: str) -> str:
        """The text with free ports in the place of its own."""
        return PORTS.sub(lambda match: self.port(match[0]), text)

    def port(self, name: str) -> str:
        return self._ports.setdefault(name, str(free_port()))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.ported(text), "utf-8")

    def run(self, words: list[str] | str, **options: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; a str is one for bash."""
        command = ["bash", "-c", words] if isinstance(words, str) else words
        return subprocess.run(
            command, cwd=self.folder, env=self._environ | options, capture_output=True, text=True,
            timeout=PATIENCE, stdin=subprocess.DEVNULL, check=False)

    @contextlib.contextmanager
    def running(self, command: str) -> Iterator[tuple[subprocess.Popen[str], Lines]]:
        """A command of bash that goes on; whatever happens, it and its children have ended afterwards."""
        with (self.folder.parent / "stderr").open("w+") as errors:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=self.folder, env=self._environ, text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
            lines = Lines(process)
            try:
                yield process, lines
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)
                lines.ended()
                assert process.stdout
                process.stdout.close()

    @property
    def errors(self) -> str:
        """What the last command that went on has written to stderr."""
        return (self.folder.parent / "stderr").read_text("utf-8")

    def server_command(self, line: str) -> str:
        """A command line of fastserve with a port that is free here."""
        line = self.ported(line)
        started = r"^((?:[A-Z_]+=\S+ +)*(?:python -m )?fastserve(?:\.rig origin)?)\b(.*)$"
        found = re.match(started, line, re.DOTALL)
        assert found, line
        start, rest = found.groups()
        words = shlex.split(rest, comments=True)
        has_port = bool(words) and words[0].isdecimal() and int(words[0]) >= 1024
        if "--unix" in words or has_port:
            return line
        rest = re.sub(r"^ +\d+\b", "", rest)
        return f"{start} {self.port('8000')}{rest}"

    def ask(self, url: str) -> tuple[int, str]:
        """The status and the text of an answer, by curl; it takes any certificate."""
        done = self.run(["curl", "-skg", "-m", "10", "-w", "\n%{http_code}", url])
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body


def wait_for(condition: object, process: subprocess.Popen[str]) -> bool:
    """Whether a function came to say yes, in time and while the process ran."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        if process.poll() is not None:
            return bool(condition())  # type: ignore[operator]
        time.sleep(0.01)
    return False
