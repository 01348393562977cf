"""What all connections of a loop share: its timeouts, and whether it is ending.

The timeouts of one server as C numbers, and the one place that says when a client is too slow.

Made of a limits.Timeouts for a server, and shared by all its connections. It has no clock: whoever waits
says what time it is. _channel, _reader, _writer and _conn read it; serving.loop and handlers.base make it.
"""

cimport cython
from libc.stdint cimport int64_t

import functools

from fastserve import limits


@cython.final
cdef class Deadlines:
    """What a limits.Timeouts says. Raises ValueError where one of its figures cannot be meant."""

    def __cinit__(self, timeouts not None):
        for name, value in zip(timeouts._fields, timeouts, strict=True):
            if not 0 <= value <= limits.LONGEST or (value == 0 and name not in ("grace", "min_rate")):
                raise ValueError(f"the timeout {name!r} cannot be {value!r}")
        (self.head, self.idle, self.progress, self.handshake, self.linger,
         self.grace, self.min_rate) = timeouts

    cdef double moving(self, double now, double patience, double waited, int64_t moved) noexcept:
        """By when more of a body must have come, or more of an answer must have been taken.

        That is `patience` seconds from now, and sooner where the minimum rate would be missed: of this body
        or answer the client has moved that many octets while we waited for it for that many seconds.
        """
        cdef double left = patience
        if self.min_rate > 0:
            left = min(left, self.grace + moved / self.min_rate - waited)
        return now + max(left, 0)


@cython.final
cdef class Ending:
    """Whether a loop is coming to its end: all its connections look at the same one, in any thread."""


cdef Ending NEVER = Ending()

cdef Deadlines PLAIN = Deadlines(limits.Timeouts())

cdef object made = functools.lru_cache(maxsize=16)(Deadlines)


def of_server(timeouts):
    """Return the Deadlines for what a server has as its ``timeouts``.

    Those of limits.py where that is no limits.Timeouts: a program may keep something of its own there.
    """
    return made(timeouts) if isinstance(timeouts, limits.Timeouts) else PLAIN
