# What a loop's connections share, as _channel, _reader, _writer and _conn read it.

from libc.stdint cimport int64_t


cdef class Deadlines:
    # In seconds, as limits.Timeouts has them.
    cdef double head
    cdef double idle
    cdef double progress
    cdef double handshake
    cdef double linger
    cdef double grace
    cdef double min_rate    # octets a second, 0 for any

    cdef double moving(self, double now, double patience, double waited, int64_t moved) noexcept


cdef Deadlines PLAIN        # those of limits.py


cdef class Ending:
    cdef public bint begun  # no request is read but those that are under way


cdef Ending NEVER           # where there is no loop
