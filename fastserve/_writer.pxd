# wfile, as _conn sees it.

from libc.stdint cimport int64_t, uint8_t

from fastserve._files cimport Take
from fastserve._reader cimport RequestReader
from fastserve._response cimport ResponseHead
from fastserve._stream cimport Stream
from fastserve._tally cimport Tally


# A high_water: write() waits until the socket has the octets, though not until it has a file that was queued.
cdef enum:
    OCTETS_WAIT = -1

cdef enum Unbounded:
    UNDECLARED = -1     # no length was declared
    EXCEEDED = -2       # more was written, and did not leave
    NO_BODY = -3        # whatever is written does not leave: HEAD, 204, 304


cdef class ResponseWriter(Stream):
    cdef RequestReader reader   # of the same connection of a loop, else None
    cdef Take take              # what records the answer, or None
    cdef Tally tally            # what counts the answers, or None
    cdef bint last              # a head said that the connection ends, for the loop does
    cdef Py_ssize_t high_water  # queued octets beyond which write() waits
    cdef Py_ssize_t block       # what is gathered before it is sent (wbufsize); 0: nothing
    cdef int64_t left           # of the declared length, or one of Unbounded, once something is written
    cdef int64_t body           # octets of this answer's body that were taken, UNDECLARED: nobody knows
    cdef uint8_t *pending       # a head that waits for its body, or what is being gathered
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    cdef bint _flush(self) except False
    cdef bint complete(self) noexcept
    cdef int64_t _left(self) noexcept
    cdef void _begin(self) noexcept
    cdef bint _reserve(self, Py_ssize_t length) except False
    cdef bint _push(self, const uint8_t *body, Py_ssize_t length, object owner) except False
    cdef bint _queue_pending(self) except False
    cdef bint _settle(self) except False
    cdef bint _wait_below(self, Py_ssize_t high_water) except False
    cdef bint _write(self, Py_buffer *view, bytes owner) except False
    cdef bint _hold(self, const void *octets, Py_ssize_t length) except False
    cdef bint _read_file(self, int file, int64_t offset, Py_ssize_t count) except -1
    cdef int64_t _account(self, int64_t count) noexcept
    cdef bint _check_open(self) except False
