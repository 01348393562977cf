"""A folder to serve with CGI scripts, which tell the tests what they do by notes.

Knows the handler class and no test. The fixture `scripts` of conftest.py gives one.
"""

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

from helpers import wait_until

import fastserve
from fastserve import CGIHTTPRequestHandler

# What scripts of tests may call: note NAME WORDS leaves a note, await NAME waits for one.
PRELUDE = """#!/bin/sh
note() { name=$1; shift; echo "$@" > NOTES/$name; }
await() { until [ -e NOTES/$1 ]; do sleep 0.01; done; }
"""
HEAD = "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"


class ScriptFolder:
    """A folder with /cgi-bin/, where user nobody, as whom root's scripts run, may enter and write notes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes = path / "notes"
        self.notes.mkdir()
        path.chmod(0o755)
        self.notes.chmod(0o777)

    def add(self, text: str, name: str = "cgi-bin/script", head: str = HEAD, mode: int = 0o755) -> Path:
        """Write a shell script that sends ``head`` first."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PRELUDE.replace("NOTES", str(self.notes)) + head + text + "\n")
        file.chmod(mode)
        return file

    def serve(self, serve: Any, server_class: Any = fastserve.HTTPServer,
              base: Any = CGIHTTPRequestHandler, **attributes: Any) -> Any:
        """Serve the folder with a class that has these attributes."""
        handler = type("Handler", (base,), attributes)
        return serve(functools.partial(handler, directory=str(self.path)), server_class)

    def leave(self, name: str) -> None:
        """Leave a note that a script awaits."""
        (self.notes / name).touch()

    def note(self, name: str) -> str:
        """What a script has noted, once it has."""
        file = self.notes / name
        assert wait_until(lambda: file.exists() and file.read_text().endswith("\n")), f"no note {name!r}"
        return file.read_text().strip()

    def check_nothing_runs(self) -> None:
        """What has noted its number as pid or pid2 has ended; of pid, the script, there is no trace."""
        pids = {note.name: int(self.note(note.name)) for note in self.notes.glob("pid*")}
        assert wait_until(lambda: not any(map(is_running, pids.values()))), "processes are left running"
        assert wait_until(lambda: not is_there(pids.get("pid", 0))), "a zombie is left"


def is_there(pid: int) -> bool:
    """Whether there is such a process, or its exit status for a parent to take."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pid != 0


def is_running(pid: int) -> bool:
    """Whether there is such a process, as far as the system tells it from a mere exit status."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return is_there(pid)
