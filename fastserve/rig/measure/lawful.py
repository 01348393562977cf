"""A server whose latencies are known: each request is answered after a delay of its own.

The delays are a law's quantiles in an order of chance, so that a round of that many requests has exactly the
law's percentiles. It may also stall: at set times it does nothing at all for a while. Shortly before an
answer is due it spins rather than sleeps, and wants a core.

Knows no handler and no http.server: it is what the instruments are held against. truth.py starts it, as
`python -m fastserve.rig.measure.lawful LAW`: it says on which port it listens, and when it is ended how long
its answers took.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import os
import random
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final

from fastserve.rig.measure.latency import rank

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NEAR: Final = 0.0002  # seconds before a delay ends from which on the server does not sleep
BATCH: Final = 16  # answers between two looks at the sockets


@dataclass(frozen=True)
class Law:
    """Delays are log-normal, by their ``median`` (seconds) and ``sigma``, for ``count`` requests; 0: none.

    Every ``period`` seconds the server stalls for ``stall`` seconds, first after half a period.
    """

    median: float = 0.0
    sigma: float = 0.0
    count: int = 1
    seed: int = 1
    period: float = math.inf
    stall: float = 0.0
    cores: tuple[int, ...] = ()

    def delays(self) -> list[float]:
        """The delay of each request, in the order in which they come."""
        normal = NormalDist()
        found = [self.median * math.exp(self.sigma * normal.inv_cdf((i + 0.5) / self.count))
                 for i in range(self.count)]
        random.Random(self.seed).shuffle(found)
        return found

    def percentile(self, which: float) -> float:
        """What the latency's percentile (0 to 100) is, where requests come evenly. Of delays, or of stalls
        where there are any: a request that comes in a stall waits for the rest of it.
        """
        if not self.stall:
            return sorted(self.delays())[rank(which, self.count)]
        stalled = self.stall / self.period
        return self.stall * max(which / 100 - (1 - stalled), 0) / stalled

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Lawful:
    """Serves one law on a listening socket. ``took`` has how long each answer really took here, in seconds:
    the law, and what the machine did to it.
    """

    def __init__(self, law: Law, listener: socket.socket) -> None:
        self._law, self._listener = law, listener
        self._delays = law.delays()
        self._socks: dict[int, socket.socket] = {}
        self._due: list[tuple[float, int, int, float]] = []
        self.took: list[float] = []
        self._begun = 0  # how many requests have come
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._stalls = self._stall_times(time.monotonic())
        self._next_stall = next(self._stalls)
        listener.setblocking(False)

    def _stall_times(self, start: float) -> Iterator[float]:
        for number in itertools.count():
            yield start + (number + 0.5) * self._law.period

    def serve_forever(self) -> None:
        while True:
            now = time.monotonic()
            if now >= self._next_stall:
                time.sleep(max(self._next_stall + self._law.stall - now, 0))
                self._next_stall = next(self._stalls)
            self._answer(time.monotonic())
            for key, _ in self._ready():
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.fd)

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What can be read; at once where something is due soon. Selectors alone wait for whole ms."""
        now = time.monotonic()
        left = min(self._due[0][0] if self._due else now + 1, self._next_stall) - now - NEAR
        if left > 0:
            select.select([self._selector], [], [], left)
        return self._selector.select(0)

    def _answer(self, now: float) -> None:
        for _ in range(BATCH):
            if not self._due or self._due[0][0] > now:
                return
            _, _, fd, came = heapq.heappop(self._due)
            if fd in self._socks:
                self._send(self._socks[fd])
                self.took.append(time.monotonic() - came)

    def _send(self, sock: socket.socket) -> None:
        try:
            sock.send(ANSWER)
        except OSError:
            self._drop(sock.fileno())

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # it has gone again
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socks[sock.fileno()] = sock
        self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, fd: int) -> None:
        """A request is a packet, of those who ask here."""
        now = time.monotonic()
        try:
            data = self._socks[fd].recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(fd)
            return
        delay = self._delays[self._begun % len(self._delays)]
        heapq.heappush(self._due, (now + delay, self._begun, fd, now))
        self._begun += 1

    def _drop(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._socks.pop(fd).close()


def main(text: str) -> None:
    given: dict[str, Any] = json.loads(text)
    law = Law(**given)
    if law.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, law.cores)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        server = Lawful(law, listener)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            server.serve_forever()
        finally:
            json.dump(server.took, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
