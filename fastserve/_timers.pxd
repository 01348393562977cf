# Deadlines of connections, as _lane keeps them.

cdef class Timers:
    cdef dict buckets       # by tick, a number of TICKs: sets of what is to be looked at by then
    cdef list ticks         # a heap of their keys

    cdef bint put(self, object conn) except False
    cdef bint take(self, object conn) except False
