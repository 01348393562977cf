# The replay lane, as serving._driver calls it.

from libc.stdint cimport uint8_t

from fastserve._conn cimport Connection
from fastserve._deadlines cimport Deadlines, Ending
from fastserve._files cimport Recording, Recordings
from fastserve._parser cimport RequestParser
from fastserve._poller cimport Poller
from fastserve._tally cimport Tally
from fastserve._timers cimport Timers


cdef class Asked:
    cdef Connection conn
    cdef Recording recording
    cdef Py_ssize_t start           # of the request, in the arena
    cdef Py_ssize_t size            # of its head
    cdef Py_ssize_t received        # from `start` on


cdef class Lane:
    cdef readonly Recordings recordings
    cdef Poller poller
    cdef Timers timers
    cdef set connections
    cdef object listener            # the target of the listener, whose connections are accepted here, or None
    cdef int listening              # its descriptor
    cdef double patience            # of the connections that are accepted, as Connection has it
    cdef Ending ending
    cdef Deadlines deadlines
    cdef Tally tally                # of the connections that are accepted, or None
    cdef bint ends                  # whether a connection that ends may be closed here
    cdef readonly double now        # when the last wait was over, by time.monotonic()
    cdef RequestParser parser
    cdef uint8_t *arena
    cdef Py_ssize_t fill            # octets in it
    cdef list asked                 # in this turn
    cdef uint8_t *answers           # to pipelined requests

    cdef bint turn(self, double timeout, bint once, object ready) except False
    cdef bint _attend(self, object ready) except False
    cdef bint _accept(self, object ready) except False
    cdef bint _receive(self, Connection conn, object ready) except False
    cdef bint _look(self, Connection conn, Py_ssize_t count, object ready) except False
    cdef Recording _find(self, Py_ssize_t start, Py_ssize_t count, Py_ssize_t *size)
    cdef bint _hand_over(self, Connection conn, Py_ssize_t start, Py_ssize_t size, object ready) except False
    cdef bint _answer(self, object ready) except False
    cdef bint _may_replay(self, Connection conn) noexcept
    cdef bint _send(self, Asked asked, object ready) except False
    cdef int _sent(self, Connection conn, bint close, bint alone) except -1
    cdef Py_ssize_t _send_several(self, Asked asked, Py_ssize_t *size, Py_ssize_t *rest,
                                  bint *close) except? -3
    cdef Recording _find_next(self, Connection conn, Py_ssize_t start, Py_ssize_t count, Py_ssize_t *size)
    cdef bint _act(self, Connection conn, int action, object ready) except False
    cdef bint _take_in(self, Connection conn, object ready) except False
    cdef bint _end(self, Connection conn, object ready) except False
