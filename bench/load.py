"""The load: wrk's arguments, and what it has seen. Knows an address and a workload, no contestant.

Called by run.py and its like.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import certificate
from compiling import compiled
from processes import BenchError, first_line, pinned
from workloads import ENTRIES, PIPELINED, Workload

HERE = Path(__file__).resolve().parent
TOLERANCE = 0.05  # of an answer's size: under load its fields may be a little longer or shorter
PATIENCE = 10  # seconds for wrk to end after its time
LIMIT = 10  # seconds an answer may take before wrk calls it an error
ARGUMENTS = {"pipelined.lua": PIPELINED, "zipf.lua": ENTRIES}


@dataclass(frozen=True)
class Load:
    """What wrk saw in one round."""

    requests: int
    seconds: float
    bytes: int
    errors: int  # of connections, and answers that took longer than LIMIT
    p50_us: float
    p99_us: float
    refused: int = 0  # answers with a status from 400 up
    handshakes: int = 0  # of TLS
    resumed: int = 0  # of these

    def consists_of(self, answer_bytes: int, connections: int) -> bool:
        """Whether these were answers of that size.

        Of an answer that its time cuts off wrk counts the octets alone: up to one a connection comes on top.
        """
        least = self.requests * answer_bytes
        most = (self.requests + connections) * answer_bytes
        return least * (1 - TOLERANCE) <= self.bytes <= most * (1 + TOLERANCE)


def missing() -> str | None:
    return None if shutil.which("wrk") else "wrk: not installed (Debian package wrk), nothing can be measured"


def version() -> str:
    return first_line(["wrk", "-v"])


def wrk(port: int, workload: Workload, connections: int, seconds: int, core: int,
        fields: tuple[str, ...] | None = None) -> Load:
    """Load one server from one thread on `core`; `fields` where they are not the workload's own."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{LIMIT}s",
               "-s", str(HERE / workload.script)]
    for field in workload.fields if fields is None else fields:
        command += ["-H", field]
    command.append(f"{'https' if workload.tls else 'http'}://127.0.0.1:{port}{workload.path}")
    if workload.script in ARGUMENTS:
        command += ["--", str(ARGUMENTS[workload.script])]
    env = {**os.environ, **(tls_environment(workload) if workload.tls else {})}
    with pinned(core):
        run = subprocess.run(command, check=False, capture_output=True, text=True, env=env,
                             timeout=seconds + PATIENCE)
    found: dict[str, float] = {}
    for line in run.stdout.splitlines():
        mark, _, figures = line.partition(" ")
        if mark in ("RESULT", "HANDSHAKES"):
            found |= json.loads(figures)
    if "requests" not in found:
        raise BenchError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
    return Load(**found)  # type: ignore[arg-type]


def tls_environment(workload: Workload) -> dict[str, str]:
    """handshakes.c says why wrk is not left alone with them."""
    counter = compiled("handshakes.c", "handshakes.so", "-shared", "-fPIC")
    return {**certificate.client_environment(), "LD_PRELOAD": str(counter),
            **({} if workload.resumed else {"FORGET_SESSIONS": "yes"})}
