"""Which connections' deadlines have passed, at a cost only to those that wait long.

A connection's deadline moves with every request, so it is not kept in order. Each connection lies in the
bucket of the tick by which it is to be looked at; when that tick comes, one whose deadline has moved on
is put into a later bucket. Only a deadline that moves closer costs anything sooner.

Knows nothing of a connection but its ``deadline`` and ``timer``; serving.loop calls it.
"""

import heapq
import math
from typing import Protocol

from fastserve.limits import TICK


class Timed(Protocol):
    """What can be watched: ``deadline`` by time.monotonic(), and ``timer``, which belongs to Timers."""

    timer: float

    @property
    def deadline(self) -> float: ...


class Timers:
    """The deadlines of one loop."""

    def __init__(self) -> None:
        self._buckets: dict[float, set[Timed]] = {}
        self._ticks: list[float] = []  # a heap of the buckets' keys

    def watch(self, conn: Timed) -> None:
        """Look at ``conn`` at its deadline, unless it will be looked at before."""
        tick = (conn.deadline // TICK + 1) * TICK
        if conn.timer and conn.timer <= tick:
            return
        self.forget(conn)
        conn.timer = tick
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = bucket = set()
            heapq.heappush(self._ticks, tick)
        bucket.add(conn)

    def forget(self, conn: Timed) -> None:
        """Look at ``conn`` no more."""
        if conn.timer:
            bucket = self._buckets[conn.timer]
            bucket.discard(conn)
            conn.timer = 0
            if not bucket:
                bucket.clear()  # gives back what it has grown to: it stays until its tick

    def due(self, now: float) -> list[Timed]:
        """Return the connections whose deadline has passed; they are no longer watched."""
        late = []
        while self._ticks and self._ticks[0] <= now:
            for conn in self._buckets.pop(heapq.heappop(self._ticks)):
                conn.timer = 0
                if conn.deadline > now:
                    self.watch(conn)
                else:
                    late.append(conn)
        return late

    @property
    def next_tick(self) -> float:
        """When something may be due, by time.monotonic(); infinity where nothing is watched."""
        return self._ticks[0] if self._ticks else math.inf
