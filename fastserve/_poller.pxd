# Which descriptors are ready, as _lane asks.

from fastserve._sys cimport fs_event


cdef enum:
    MOST_EVENTS = 256       # told of in one turn


cdef class Poller:
    cdef int epoll              # a descriptor, FAILED where there is none
    cdef object selector        # in its place, else None
    cdef dict targets           # by descriptor
    cdef fs_event[MOST_EVENTS] events
    cdef readonly list ready    # the targets whose descriptors were found ready

    cdef bint wait(self, double timeout) except False
    cdef double now(self) except? -1
