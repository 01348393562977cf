"""Connections that have been answered once and stay, beside a load: how much of a server each of them takes.

A client with a descriptor for each. Knows an address and a question, and no process. The engine calls it.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from fastserve.rig.measure import asking
from fastserve.rig.measure.asking import Address, Question, Wrong
from fastserve.words import Refusal

OTHERS: Final = 200  # descriptors of this process beside those


def ensure_possible(count: int) -> None:
    """Let this process, and those that it starts, have so many connections; the limit is raised for them.

    Raises Refusal where the system does not allow that.
    """
    if not count:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHERS
    if hard not in (resource.RLIM_INFINITY, max(hard, wanted)):
        raise Refusal(f"{count} idle connections need {wanted} open files, and this process may have {hard}: "
                      "ulimit -Hn")
    if soft not in (resource.RLIM_INFINITY, max(soft, wanted)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def connections(address: Address, question: Question, count: int) -> Iterator[None]:
    """Open them, each with one answer, until the end of the block. Raises Wrong where one does not stay."""
    with contextlib.ExitStack() as stack:
        socks = [_answered(address, question, stack) for _ in range(count)]
        yield
        for sock in socks:
            _ensure_open(sock)


def _answered(address: Address, question: Question, stack: contextlib.ExitStack) -> socket.socket:
    try:
        sock = stack.enter_context(asking.connected(address))
    except OSError as error:
        raise Wrong(f"accepts no more connections: {error.strerror or error}") from error
    if asking.asked(sock, address, question).ends:
        raise Wrong("ends the connections that are to be idle")
    return sock


def _ensure_open(sock: socket.socket) -> None:
    """One that has ended, or has something to say, is no idle one."""
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return
    except OSError:
        pass
    raise Wrong("ended an idle connection")
