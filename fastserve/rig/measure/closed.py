"""The closed loop by wrk: its arguments, and what it has seen, with the whole distribution of latencies.

Knows an address and a question, no contestant. loads.py calls `run`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastserve.rig.measure import contestants, observe
from fastserve.rig.measure.asking import Address, Question, Wrong
from fastserve.rig.measure.interruptions import INTERRUPTIONS
from fastserve.rig.measure.latency import Latency
from fastserve.rig.measure.load import BUSY, Load
from fastserve.rig.measure.result import Errors

SCRIPT: Final = Path(__file__).with_name("wrk.lua")
PATIENCE: Final = 30.0  # seconds for wrk to end behind its time, which telling the distribution is part of
MARK: Final = "RESULT "


def is_there() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


@functools.cache
def version() -> str:
    """Return the version that wrk says it has, '' where it is not there."""
    words = contestants.first_line(["wrk", "-v"]).split()
    return words[1].rpartition("/")[2] if len(words) > 1 else ""


class Said(NamedTuple):
    """What wrk has said, and how many threads it had."""

    text: str
    threads: int


def run(address: Address, question: Question, connections: int, seconds: float, timeout: float,
        cores: list[int], pipeline: int = 1) -> Said:
    """Load a server for ``seconds``, rounded up to whole ones; ``pipeline`` requests are sent at once.

    Raises Wrong where wrk does not end.
    """
    number = threads(connections, cores)
    with tempfile.TemporaryDirectory() as folder:
        command = arguments(address, question, connections, seconds, timeout, number, Path(folder),
                            pipeline)
        return Said(_said(command, math.ceil(seconds) + PATIENCE, cores), number)


def threads(connections: int, cores: list[int]) -> int:
    """How many threads share the connections evenly, one for each core at most."""
    return next((number for number in range(len(cores), 1, -1) if connections % number == 0), 1)


def arguments(address: Address, question: Question, connections: int, seconds: float, timeout: float,
              number: int, folder: Path, pipeline: int = 1) -> list[str]:
    """Return the command. A body is put into a file in ``folder``."""
    command = ["wrk", f"-t{number}", f"-c{connections}", f"-d{math.ceil(seconds)}s",
               "--timeout", f"{math.ceil(timeout)}s", "-s", str(SCRIPT)]
    for name, value in question.headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [address.url(question.target), "--", question.method, str(pipeline)]
    if question.body:
        file = folder / "body"
        file.write_bytes(question.body)
        command.append(str(file))
    return command


def figures(said: str) -> dict[str, Any]:
    """Return what the script has told. Raises Wrong where it did not."""
    for line in said.splitlines():
        if line.startswith(MARK):
            with contextlib.suppress(ValueError):
                return dict(json.loads(line[len(MARK):]))
    raise Wrong(f"wrk failed: {said.strip().splitlines()[-1] if said.strip() else 'without a word'}")


def load_of(said: Said, connections: int, status: int, pipeline: int = 1) -> Load:
    """Return the load that wrk tells of; ``status`` is the one that answers are to have. Raises Wrong.

    There are no latencies where several requests are sent at once: wrk tells how long all of them took.
    """
    told = figures(said.text)
    requests, refused, late = int(told["requests"]), int(told["refused"]), int(told["timeout"])
    told_counts = {int(value): int(count) for value, count in told["latency"]}
    counts = measured(told_counts, requests, late, int(told["microseconds"]), connections)
    errors = Errors(connect=int(told["connect"]), read=int(told["read"] + told["write"]), timeout=late,
                    status=refused if status < 400 else requests - refused)
    seconds = told["microseconds"] / 1e6
    busy = told["cpu"] / max(seconds, 1e-9) / said.threads
    limit = f"wrk took {busy:.0%} of its core" if busy > BUSY else ""
    latency = Latency.from_counts(counts.items() if pipeline == 1 else [])
    return Load(requests, seconds, int(told["octets"]), errors, latency, busy=busy, limit=limit)


def measured(
    counts: dict[int, int], requests: int, late: int, duration: int, connections: int
) -> dict[int, int]:
    """Return the latencies (microseconds, and how often each) that were measured, of those that wrk tells.

    wrk adds to each that is longer than two mean ones those that it thinks it would have seen meanwhile.
    Nobody asked at a rate, so we take them out again: they follow from its duration (microseconds) and the
    number of its connections. ``late`` of the requests have none, as they took longer than the timeout.
    """
    turns, kept = requests // connections, requests - late
    if sum(counts.values()) == kept or not turns:
        return counts
    expected, found = duration // turns, dict(counts)
    for value in sorted(counts, reverse=True):
        if value >= expected * 2 and found[value]:
            for added in range(value - expected, expected, -expected):
                found[added] = found.get(added, 0) - found[value]
    is_right = sum(found.values()) == kept and min(found.values()) >= 0
    return {value: count for value, count in found.items() if count} if is_right else counts


def _said(command: list[str], patience: float, cores: list[int]) -> str:
    with contextlib.ExitStack() as stack:
        with INTERRUPTIONS.held(), observe.pinned(cores):
            wrk = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
            stack.callback(_end, wrk)
        try:
            return wrk.communicate(timeout=patience)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired as error:
            raise Wrong(f"wrk did not end within {patience:g} s") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
