# A connection of a loop, as its lane sees it.

from libc.stdint cimport uint8_t

from fastserve._channel cimport Channel
from fastserve._deadlines cimport Deadlines, Ending
from fastserve._files cimport Recording, Recordings, Take
from fastserve._head cimport RequestHead
from fastserve._reader cimport RequestReader
from fastserve._sys cimport fs_address
from fastserve._tally cimport Tally
from fastserve._writer cimport ResponseWriter


# What is to be done next; _conn's docstring tells.
cdef enum Action:
    DO_WAIT = 0
    DO_SETTLE = 1
    DO_OFFER = 2
    DO_ANSWER = 3
    DO_END = 4


cdef class Connection:
    cdef object made_sock               # the socket, once somebody has asked for it
    cdef object made_address            # the client's address, likewise
    cdef fs_address address             # what it is made of, where a lane has accepted the connection
    cdef bint has_address
    cdef readonly int fd
    cdef readonly bint bare             # nobody has asked for the socket: the descriptor is our own
    cdef readonly object failure        # the OSError that a TLS handshake ended with, or None
    cdef public object handler          # attached to this connection, or None
    cdef public int registered          # what the loop's selector waits for, 0 for nothing
    cdef public double timer            # when the loop's timers will look at it, 0 for never
    cdef readonly int interest          # what it should wait for
    cdef readonly double deadline       # by when, in the clock of `now`
    cdef bytes host_name                # the client's host as the log has it, once it was asked for
    cdef int state
    cdef bint is_plain                  # no TLS, and no socket with methods of its own
    cdef int found                      # an action that the lane has found for it, DO_WAIT for none
    cdef bint heard                     # the lane has received something that is no recorded answer's request
    cdef double rest                    # when the last answer had left
    cdef bint shaken                    # the TLS handshake has begun
    cdef bint closing                   # no further request is read
    cdef Ending ending
    cdef Deadlines deadlines
    cdef double timeout                 # of the handler, in seconds; 0 for none
    cdef double looked                  # when we last saw how far a body or an answer had got
    cdef Py_ssize_t peeked              # octets of a head that was looked at, before there is a handler
    cdef bint alone, replied            # nothing stood behind it; it was answered
    cdef unsigned long thread           # that offers it to a handler, 0 for none; for _offers
    cdef Recordings recordings          # of the loop, None where nothing is recorded
    cdef Tally tally                    # of the server, None where nobody asks
    cdef Recording next_answer          # to the request that is here, where it is recorded
    cdef Take take                      # records the answer that the handler makes, or None
    cdef Channel channel
    cdef readonly RequestReader reader  # rfile of the handler, unless that has replaced it
    cdef ResponseWriter writer

    # For the driver.
    cdef int be_ready(self, double now) except -1
    cdef int go_on(self, bint close, double now) except -1

    # For the lane.
    cdef bint begin_bare(self, int fd, const fs_address *address, double now, double patience, Ending ending,
                         Deadlines deadlines, Recordings recordings, Tally tally) except False
    cdef void let_handler_go(self) noexcept
    cdef bint queue(self, const uint8_t *octets, Py_ssize_t size, Recording tail) except False
    cdef int send(self, double now) except -1
    cdef int part(self, double now) except -1
    cdef int told(self, int action, double now) noexcept

    # For the lane, and _offers.
    cdef Channel get_channel(self)

    # For _conn itself.
    cdef bint _is_quiet(self) noexcept
    cdef int _ready(self, double now) except -1
    cdef void _move(self, int state) noexcept
    cdef double _stay(self, int state, double now) noexcept
    cdef int _wait(self, bint readable, double deadline) noexcept
    cdef int _shake_hands(self, double now) except -1
    cdef int _read(self, double now) except -1
    cdef int _look(self, double now) except -1
    cdef bint _collects(self, RequestHead head) noexcept
    cdef RequestHead _peek_head(self)
    cdef int _reply_early(self, bytes octets, bint close, double now) except -1
    cdef bint _seek_recording(self, double now) except -1
    cdef bint _keep_take(self) except -1
    cdef bint _begin(self, int state, double now, double patience, Ending ending, Deadlines deadlines,
                     Recordings recordings, Tally tally) except False
    cdef int _look_or_read(self, double now) except -1
    cdef int _rest_alone(self, double now) except -1
    cdef int _send_behind(self) except -1
    cdef int _next(self, double now, int rest) except -1
    cdef int _rest(self, double now) except -1
    cdef int _drain(self, double now) except -1
    cdef int _linger_on(self, double now) except -1
    cdef int _linger(self) except -1
    cdef Py_ssize_t _discard(self) noexcept
