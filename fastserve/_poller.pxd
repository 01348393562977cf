# Which descriptors are ready, as _lane asks.

from fastserve._sys cimport fs_event


cdef enum:
    MOST_EVENTS = 256       # told of in one turn


cdef enum Operation:        # as epoll_ctl() has them
    ADD = 1
    DELETE = 2
    CHANGE = 3


cdef class Poller:
    cdef int epoll              # a descriptor, FAILED where there is none
    cdef object selector        # in its place, else None
    cdef dict targets           # by descriptor
    cdef fs_event[MOST_EVENTS] events
    cdef readonly list ready    # the targets whose descriptors were found ready

    cdef bint add(self, int fd, int interest, object target) except False
    cdef object drop(self, int fd)
    cdef bint _control(self, Operation operation, int fd, int interest) except False
    cdef bint wait(self, double timeout) except False
    cdef double now(self) except? -1
