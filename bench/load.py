"""The client's side of a measurement: one request to check the answer, wrk to make the load.

Knows an address and a path, no contestant. Called by run.py.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from processes import BenchError, first_line, pinned

SCRIPT = Path(__file__).with_name("done.lua")
TOLERANCE = 0.05  # of an answer's size: under load its fields may be a little longer or shorter
PATIENCE = 5  # seconds: for one checked answer, and for wrk to end after its time


@dataclass(frozen=True)
class Load:
    """What wrk saw in one round."""

    requests: int
    seconds: float
    bytes: int
    errors: int
    p50_us: float
    p99_us: float

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


def answer_size(port: int, path: str, body: bytes) -> int:
    """Bytes on the wire of one answer, after two on one connection have been found right."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock, sock.makefile("rb") as answer:
        for _ in range(2):
            sock.sendall(request)
            head = b"".join(iter(answer.readline, b"\r\n"))
            if not head.startswith(b"HTTP/1.1 200 "):
                raise BenchError(f"answered {head.splitlines()[:1]} to {path}")
            if answer.read(len(body)) != body:
                raise BenchError(f"answered {path} with the wrong body")
            if f"content-length: {len(body)}\r\n".encode() not in head.lower():
                raise BenchError(f"answered {path} without its Content-Length")
    return len(head) + len(b"\r\n") + len(body)


def wrk(port: int, path: str, connections: int, seconds: int, core: int) -> Load:
    """Load one server from one thread on `core`."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT),
               f"http://127.0.0.1:{port}{path}"]
    with pinned(core):
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + PATIENCE)
    for line in run.stdout.splitlines():
        if line.startswith("RESULT "):
            return Load(**json.loads(line.removeprefix("RESULT ")))
    raise BenchError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
