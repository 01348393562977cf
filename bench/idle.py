"""Connections that have asked once and stay, and what they cost. Knows an address and a workload.

A client with a descriptor for each; wrk asks beside them. Called by run.py.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from answers import PATIENCE, read_answer, request
from processes import BenchError
from workloads import Workload

OTHERS = 200  # descriptors of this process beside those


def allowed(count: int) -> int:
    """So many as this process may open, of `count`; its limit is raised for them as far as it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else count + OTHERS
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, count + OTHERS)), hard))
    return min(count, most - OTHERS)


@contextmanager
def connections(port: int, workload: Workload, count: int) -> Iterator[None]:
    """Open them, each with one answer; they stay until the end of the block."""
    with ExitStack() as stack:
        socks = [stack.enter_context(_asked(port, workload)) for _ in range(count)]
        yield
        for sock in socks:
            _ensure_open(sock)


def _asked(port: int, workload: Workload) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        sock.sendall(request(port, workload.path, workload.fields))
        with sock.makefile("rb") as stream:
            if read_answer(stream).status != 200:
                raise BenchError("answered otherwise to one of many connections")
    except BaseException:
        sock.close()
        raise
    return sock


def _ensure_open(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        sock.recv(1)
    except BlockingIOError:
        return
    raise BenchError("ended an idle connection")
