"""Which connections' deadlines have passed, at a cost only to those that wait long.

A connection's deadline moves with every request, so it is not kept in order. Each connection lies in the
bucket of the tick by which it is to be looked at; when that tick comes, one whose deadline has moved on
is put into a later bucket. Only a deadline that moves closer costs anything sooner.

It knows of a connection its ``deadline`` and ``timer``, of whatever class it is. serving.loop and _lane call.
"""

cimport cython
from libc.math cimport floor, round

from fastserve._conn cimport Connection

import heapq
import math

from fastserve import limits

cdef double TICK = limits.TICK


cdef inline double deadline_of(object conn) except? -1:
    return (<Connection>conn).deadline if type(conn) is Connection else conn.deadline


cdef inline double timer_of(object conn) except? -1:
    return (<Connection>conn).timer if type(conn) is Connection else conn.timer


cdef inline bint set_timer(object conn, double timer) except False:
    if type(conn) is Connection:
        (<Connection>conn).timer = timer
    else:
        conn.timer = timer
    return True


@cython.final
cdef class Timers:
    """The deadlines of one loop: of connections, and of anything that has ``deadline``, by time.monotonic(),
    and a ``timer``, 0 at first, which belongs to Timers.
    """

    def __cinit__(self):
        self.buckets = {}
        self.ticks = []

    def watch(self, conn):
        """Look at ``conn`` at its deadline, unless it will be looked at before."""
        self.put(conn)

    def forget(self, conn):
        """Look at ``conn`` no more."""
        self.take(conn)

    def due(self, double now):
        """Return the connections whose deadline has passed; they are no longer watched."""
        cdef list late = []
        while self.ticks and self.ticks[0] * TICK <= now:
            for conn in self.buckets.pop(heapq.heappop(self.ticks)):
                set_timer(conn, 0)
                if deadline_of(conn) > now:
                    self.put(conn)
                else:
                    late.append(conn)
        return late

    @property
    def next_tick(self):
        """When something may be due, by time.monotonic(); infinity where nothing is watched."""
        return self.ticks[0] * TICK if self.ticks else math.inf

    cdef bint put(self, object conn) except False:
        cdef double deadline = deadline_of(conn), timer = timer_of(conn), tick
        cdef set bucket
        tick = floor(deadline / TICK) + 1
        if timer and timer <= tick * TICK:
            return True
        self.take(conn)
        set_timer(conn, tick * TICK)
        key = <long long>tick
        bucket = self.buckets.get(key)
        if bucket is None:
            self.buckets[key] = bucket = set()
            heapq.heappush(self.ticks, key)
        bucket.add(conn)
        return True

    cdef bint take(self, object conn) except False:
        cdef double timer = timer_of(conn)
        cdef set bucket
        if timer:
            bucket = self.buckets[<long long>round(timer / TICK)]
            bucket.discard(conn)
            set_timer(conn, 0)
            if not bucket:
                bucket.clear()          # gives back what it has grown to: it stays until its tick
        return True
