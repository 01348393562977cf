"""A load driver for HTTP/1.1: it sends requests at the times of a plan, and notes how long each answer took.

One thread, sockets that never wait, no Python object for any request, and the GIL is free meanwhile. A
latency counts from when its request was *meant* to be sent: what a slow answer holds up is slow too. What the
driver itself is late with is in the latencies as well, and is counted apart, so that nobody takes it for the
server's.

It knows octets, sockets and a clock; no scenario and no statistics. rig.measure.driver makes one, in a
process of its own.
"""

cimport cython
from cpython cimport array
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport ECONNRESET, errno
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from fastserve._sys cimport AGAIN, FAILED, fs_recv, fs_send
from fastserve.rig._answer cimport COMPLETE, UNREADABLE, begin_answer, end_answer, read_answer
from fastserve.rig._calls cimport (
    RIG_READABLE, RIG_WRITABLE, rig_address, rig_clock, rig_close_poller, rig_connect, rig_get,
    rig_open_poller, rig_outcome, rig_poller, rig_put, rig_set_slack, rig_take_host, rig_take_path, rig_wait,
    rig_watch,
)
from fastserve.rig._conns cimport (
    BROKEN, FREE, OPENING, SENDING, WAITING, Asked, Conn, Line, Place, Rest, State, join, leave,
    pop, push, take_request,
)
from fastserve.rig._plan cimport (
    CHURN, CLOSED, FAR, NONE, RATE, THINK, Kind, Plan, first_pause, next_offset, next_pause,
)
from fastserve.rig._records cimport CONNECT, LENGTH, READ, STATUS, TIMEOUT, Error, Records
from posix.unistd cimport close as close_fd

import os

cdef enum:
    ROOM = 1 << 18              # octets that are received in one call
    SECOND = 1000000000         # times are ns
    LOOK = SECOND // 10         # between two looks at what signals and stop() want
    RETRY = SECOND // 100       # before a connection that failed is tried again
    LATE = 100000               # a request that leaves so much later than it could is late
    MOST_OPENING = 100          # connections that are opened at a time before the plan begins


@cython.final
cdef class Drive:
    """Requests to one address, over ``connections`` (int) at most.

    ``address`` is a host (str, an IP address) and a port (int), or (path of a unix socket, 0). ``requests``
    (list of bytes) are whole ones, and ``order`` (array of "i") has which is asked first, second and so on,
    again and again. ``timeout`` (seconds) is for connecting, and from a request to its answer's end. ``most``
    (int) is how many latencies there is room for, 36 octets each, of which only those are taken that are
    used: a run ends when they are full. ``plain``: poll() is used where epoll could be.

    Raises ValueError where one of them cannot be right.
    """

    cdef rig_address address
    cdef rig_poller poller
    cdef bint polls                 # the poller is open
    cdef bint plain
    cdef list requests              # owns what asked points to
    cdef Asked *asked
    cdef array.array order
    cdef int64_t order_size
    cdef int count                  # of connections
    cdef Conn *conns
    cdef Place *places
    cdef Line free                  # the one that has been free longest is asked first
    cdef Line pending               # OPENING, SENDING, WAITING: the one whose deadline is next first
    cdef Rest *heap                 # those that think
    cdef int resting
    cdef uint8_t *buffer
    # The plan
    cdef Plan plan
    cdef int64_t timeout, spin      # ns
    # The run
    cdef int64_t turn, began, end, until, due, retry
    cdef int64_t last               # when the last answer came
    cdef int64_t owing              # requests without an answer yet, or which wait for their connection
    cdef int broken, opening
    cdef int code                   # errno of the last connection that could not be made
    cdef int64_t stopping           # set by another thread
    cdef readonly Records records   # what came of it
    cdef Py_buffer shown
    cdef bint shows

    def __cinit__(self, address, list requests not None, array.array order not None, int connections,
                  double timeout, int64_t most, bint plain=False):
        self.polls = self.shows = False
        if connections < 1 or most < 1 or not 0 < timeout < 1e6 or not requests or not len(order):
            raise ValueError("connections, timeout, most, requests and order cannot be empty or below 1")
        if order.typecode != "i" or not 0 <= min(order) <= max(order) < len(requests):
            raise ValueError("the order is to be an array of 'i' with indices of the requests")
        self.count, self.plain = connections, plain
        self.records = Records(most)
        self.timeout = <int64_t>(timeout * SECOND)
        self.requests, self.order = [bytes(request) for request in requests], order[:]
        self.order_size = len(order)
        self.asked = <Asked *>calloc(len(requests), sizeof(Asked))
        self.conns = <Conn *>calloc(connections, sizeof(Conn))
        self.places = <Place *>calloc(connections, sizeof(Place))
        self.heap = <Rest *>calloc(connections, sizeof(Rest))
        self.buffer = <uint8_t *>malloc(ROOM)
        if (self.asked == NULL or self.conns == NULL or self.places == NULL or self.heap == NULL
                or self.buffer == NULL):
            raise MemoryError

    def __dealloc__(self):
        if self.polls:
            rig_close_poller(&self.poller)
        if self.shows:
            PyBuffer_Release(&self.shown)
        free(self.asked)
        free(self.conns)
        free(self.places)
        free(self.heap)
        free(self.buffer)

    def __init__(self, address, list requests not None, array.array order not None, int connections,
                 double timeout, int64_t most, bint plain=False):
        self._take_address(address)
        for i, request in enumerate(self.requests):
            take_request(&self.asked[i], request)     # SAFETY: there is one for each
        self.spin = 50000

    cdef bint _take_address(self, address) except False:
        cdef bytes name = os.fsencode(address[0])
        cdef int port = address[1]
        cdef int done
        if b"/" in name or name.startswith(b"\0"):
            done = rig_take_path(&self.address, name, len(name))
        else:
            done = FAILED if not 0 < port < 65536 else rig_take_host(&self.address, name, port)
        if done == FAILED:
            raise ValueError(f"{address!r} is neither an IP address with a port nor a path")
        return True

    # -- The plan -----------------------------------------------------------------------------------

    def expect(self, Py_ssize_t request, int status, int64_t length=-1):
        """What is a right answer to a request (its index): status (0: any), octets of the body (-1: any).

        200 and any length where it is not said. Other answers are errors. Raises IndexError.
        """
        if not 0 <= request < len(self.requests):
            raise IndexError(request)
        # SAFETY: there is one for each request.
        self.asked[request].status, self.asked[request].length = status, length

    def plan_rate(self, double rate, double seconds, bint poisson=False, uint64_t seed=0):
        """``rate`` requests a second, at even gaps or as a Poisson process, whatever becomes of them. A
        request for which no connection is free waits for one, in its order. Raises ValueError.
        """
        if not 0 < rate <= 1e7:
            raise ValueError("rate is to be above 0, and ten million at most")
        self._plan(RATE, seconds)
        self.plan.gap, self.plan.by_chance, self.plan.seed = SECOND / rate, poisson, seed

    def plan_closed(self, double seconds):
        """Each connection asks again as soon as it has its answer. Raises ValueError."""
        self._plan(CLOSED, seconds)

    def plan_think(self, double seconds, double pause, bint by_chance=False, uint64_t seed=0):
        """As plan_closed(), but ``pause`` seconds after the answer; ``by_chance``: exponential, with that
        mean.

        The first requests come spread over one pause. Raises ValueError.
        """
        if not 0 <= pause < 1e6:
            raise ValueError("pause is to be a number of seconds")
        self._plan(THINK, seconds)
        self.plan.pause = <int64_t>(pause * SECOND)
        self.plan.by_chance, self.plan.seed = by_chance, seed

    def plan_churn(self, double seconds):
        """As plan_closed(), but each request has a connection of its own; latencies begin before that is
        made.

        Raises ValueError.
        """
        self._plan(CHURN, seconds)

    cdef bint _plan(self, Kind kind, double seconds) except False:
        if not 0 < seconds < 1e6:
            raise ValueError("seconds are to be above 0")
        if self.turn:
            raise ValueError("it has run already")
        self.plan.kind, self.plan.seconds = kind, <int64_t>(seconds * SECOND)
        return True

    def spin_for(self, int64_t ns):
        """How long before a request's time the driver stops to sleep, 50,000 ns if it is not said; more where
        sleeps end later than that. Nothing else may then run on its CPU.
        """
        self.spin = max(ns, 0)

    def show(self, buffer):
        """Keep a count of answers and one of errors in the first 16 octets of a writable buffer, as "q", for
        whoever else has that memory. Raises ValueError where it is shorter, or not at a multiple of 8.
        """
        if self.shows:
            PyBuffer_Release(&self.shown)
        self.shows = False
        PyObject_GetBuffer(buffer, &self.shown, PyBUF_WRITABLE)
        self.shows = True
        if self.shown.len < <Py_ssize_t>(2 * sizeof(int64_t)):
            raise ValueError("16 octets are needed")
        if <size_t>self.shown.buf % sizeof(int64_t):
            raise ValueError("the memory begins at no multiple of 8")

    # -- Running ------------------------------------------------------------------------------------

    def run(self):
        """Do what is planned, and return when the last answer is here, or its time is up.

        Raises OSError where not one connection can be made at first, and ValueError where nothing is planned
        or it has run already. What a signal's handler raises ends it; what was measured so far stays.
        """
        cdef int64_t slack
        if self.plan.kind == NONE or self.turn:
            raise ValueError("nothing is planned, or it has run already")
        if rig_open_poller(&self.poller, self.count, self.plain) == FAILED:
            raise OSError(errno, os.strerror(errno))
        self.polls = True
        self.turn = 1
        slack = rig_set_slack(1)
        try:
            self._open_all()
            self._begin()
            while not self._go():
                PyErr_CheckSignals()
        finally:
            self._close_all()
            rig_set_slack(slack)

    def stop(self):
        """For other threads: the run is to end, within 0.1 s. What is not answered by then is no error."""
        rig_put(&self.stopping, 1)

    cdef bint _open_all(self) except False:
        """Have all connections that the plan begins with, or as many as can be made."""
        cdef int i, number = 0
        cdef int64_t until = rig_clock() + self.timeout
        self.free.first = self.free.last = self.pending.first = self.pending.last = -1
        for i in range(self.count):
            self.conns[i].fd, self.conns[i].state = FAILED, BROKEN
        self.broken, self.due, self.end, self.began = self.count, FAR, FAR, rig_clock()
        while (self.plan.kind != CHURN and not rig_get(&self.stopping) and rig_clock() < until
               and (number < self.count or self.opening)):
            PyErr_CheckSignals()
            with nogil:
                while number < self.count and self.opening < MOST_OPENING:
                    self._open(number, rig_clock())
                    number += 1
                self.until = rig_clock() + LOOK
                self._look_around(rig_clock())
        if self.plan.kind != CHURN and self.free.first < 0 and not rig_get(&self.stopping):
            code = self.code or ECONNRESET
            raise OSError(code, os.strerror(code))
        return True

    cdef void _begin(self) noexcept:
        """The time of the plan begins."""
        cdef int i
        self.records.idle = 0
        self.began = rig_clock()
        self.end = self.began + self.plan.seconds
        self.retry = self.began
        if self.plan.kind == RATE:
            self._schedule(True)
        for i in range(self.count if self.plan.kind != RATE else 0):
            if self.plan.kind == THINK:
                push(self.heap, &self.resting, self.began + first_pause(&self.plan), i)
            else:
                self._oblige(i, self.began)

    cdef bint _go(self) noexcept:
        """Go on until it is over (True), or LOOK is over."""
        cdef bint over = False
        cdef int64_t now = rig_clock()
        with nogil:
            self.until = now + LOOK
            while not over and now < self.until:
                self._ask_due()
                now = self._look_around(rig_clock())
                self._show()
                over = self._is_over(now)
        return over

    cdef bint _is_over(self, int64_t now) noexcept nogil:
        if rig_get(&self.stopping) or self.records.is_full():
            return True
        if now >= self.end + self.timeout:
            return True
        if self.plan.kind == RATE:
            return self.due == FAR and self.owing == 0
        return now >= self.end and self.owing == 0

    cdef int64_t _look_around(self, int64_t now) noexcept nogil:
        """Wait until there is something to do, and do what is told. Returns the time."""
        cdef int64_t wait = self._wait_time(now), then
        cdef int i, count = rig_wait(&self.poller, wait)
        then = rig_clock()
        if wait > 0 or count <= 0:
            self.records.idle = self.records.idle + (then - now)
        self.turn = self.turn + 1
        for i in range(count):
            # SAFETY: there are `count` of them, and numbers are below self.count.
            self._attend(self.poller.told[i].number, self.poller.told[i].ready)
            if self.due != FAR or self.resting:
                self._ask_due()         # not behind all the others, as its time may have come
        self._expire(then)
        return then

    cdef int64_t _wait_time(self, int64_t now) noexcept nogil:
        """How long there is nothing to do but to wait for sockets."""
        cdef int64_t next_time = min(self.until, self.end if now < self.end else self.end + self.timeout)
        if self.plan.kind == RATE and self.free.first >= 0 and self.due != FAR:
            next_time = min(next_time, self.due - self.spin)
        if self.resting and now < self.end:
            next_time = min(next_time, self.heap[0].until - self.spin)
        if self.pending.first >= 0:
            next_time = min(next_time, self.conns[self.pending.first].deadline)
        if self.broken and self.end != FAR:
            next_time = min(next_time, self.retry)
        return max(next_time - now, 0)

    cdef void _expire(self, int64_t now) noexcept nogil:
        """What has waited too long, and what is to be tried again."""
        cdef int i = self.pending.first
        while i >= 0 and self.conns[i].deadline <= now:
            self._fail(i, CONNECT if self.conns[i].state == OPENING else TIMEOUT, now)
            i = self.pending.first
        if self.broken and self.end != FAR and now >= self.retry:
            self.retry = now + RETRY
            for i in range(self.count):
                if self.conns[i].state == BROKEN and self._is_needed(i, now):
                    self._open(i, now)

    cdef void _show(self) noexcept nogil:
        cdef int64_t *cells = <int64_t *>self.shown.buf
        if self.shows:
            # SAFETY: show() has seen that there are two.
            rig_put(cells, self.records.answered)
            rig_put(cells + 1, self.records.failed())

    cdef void _close_all(self) noexcept:
        """It is over; what has no answer yet will not have one."""
        cdef int64_t now = rig_clock()
        cdef int i
        self.records.ran = now - self.began
        if self.owing == 0 and self.due == FAR and (now >= self.end or self.plan.kind == RATE):
            self.records.duration = max(self.end, self.last) - self.began
        else:
            self.records.duration = self.records.ran
        while self.due <= min(now, self.end):
            self.records.unsent = self.records.unsent + 1
            self._schedule(False)
        for i in range(self.count):
            self.records.unsent = self.records.unsent + self.conns[i].due
            if self.conns[i].state != BROKEN:
                self._close(i)
        self._show()
        rig_close_poller(&self.poller)
        self.polls = False

    # -- When ---------------------------------------------------------------------------------------

    cdef void _schedule(self, bint first) noexcept nogil:
        """Set `due` to the next time at which a request is meant to be sent, FAR where there is none."""
        cdef int64_t offset = next_offset(&self.plan, 0 if first else self.records.sent + self.records.unsent)
        self.due = FAR if offset == FAR else self.began + offset

    cdef void _ask_due(self) noexcept nogil:
        """Send the requests whose time has come, as far as there are connections for them."""
        cdef int64_t now = rig_clock()
        cdef int64_t intended
        cdef Rest rest
        while self.due <= now and self.free.first >= 0:
            intended = self.due
            self.owing = self.owing + 1
            self._ask(self.free.first, intended, now)
            self._schedule(False)
            now = rig_clock()
        while self.resting and self.heap[0].until <= now and now < self.end:
            rest = pop(self.heap, &self.resting)
            self._oblige(rest.number, rest.until)
            now = rig_clock()

    cdef void _oblige(self, int i, int64_t intended) noexcept nogil:
        """A request is to be sent on this connection, now or when it is free."""
        cdef Conn *conn = &self.conns[i]
        conn.due, conn.intended = True, intended
        self.owing = self.owing + 1
        if conn.state == FREE:
            self._ask(i, intended, rig_clock())
        elif conn.state == BROKEN:
            self._open(i, rig_clock())

    cdef void _settle(self, int i, int64_t now) noexcept nogil:
        """Its request has come to an end; the plan says when the next one is meant to be sent."""
        cdef Conn *conn = &self.conns[i]
        self.owing = self.owing - 1
        if now >= self.end or self.plan.kind == RATE:
            return
        if self.plan.kind == THINK:
            push(self.heap, &self.resting, now + next_pause(&self.plan), i)
        else:
            conn.due, conn.intended = True, now
            self.owing = self.owing + 1

    # -- Connections --------------------------------------------------------------------------------

    cdef void _move(self, int i, State state, int64_t now) noexcept nogil:
        """Give it a state in which it stands in another line: the one place where it changes lines."""
        cdef Conn *conn = &self.conns[i]
        if conn.state == FREE:
            leave(&self.free, self.places, i)
        elif conn.state != BROKEN:
            leave(&self.pending, self.places, i)
        self.opening = self.opening + ((state == OPENING) - (conn.state == OPENING))
        self.broken = self.broken + ((state == BROKEN) - (conn.state == BROKEN))
        conn.state = state
        if state == FREE:
            conn.since = now
            join(&self.free, self.places, i)
        elif state != BROKEN:
            conn.deadline = now + self.timeout
            join(&self.pending, self.places, i)

    cdef bint _is_needed(self, int i, int64_t now) noexcept nogil:
        """Whether a connection is to be there without a request of its own."""
        return self.conns[i].due or (self.plan.kind != CHURN and (now < self.end or self.due != FAR))

    cdef void _open(self, int i, int64_t now) noexcept nogil:
        """Begin to connect. What fails at once is tried again later."""
        cdef Conn *conn = &self.conns[i]
        conn.fd = rig_connect(&self.address)
        if conn.fd >= 0 and rig_watch(&self.poller, i, conn.fd, RIG_WRITABLE, True) != FAILED:
            conn.turn, conn.used = self.turn, False
            self._move(i, OPENING, now)
            return
        self.code = errno
        if conn.fd >= 0:
            close_fd(conn.fd)
            conn.fd = FAILED
        self._fail_to_connect(i, now)

    cdef void _close(self, int i) noexcept nogil:
        cdef Conn *conn = &self.conns[i]
        rig_watch(&self.poller, i, conn.fd, 0, False)
        close_fd(conn.fd)
        conn.fd = FAILED
        self._move(i, BROKEN, 0)

    cdef void _reopen(self, int i, int64_t now) noexcept nogil:
        self._close(i)
        if self._is_needed(i, now):
            self._open(i, now)

    cdef void _fail_to_connect(self, int i, int64_t now) noexcept nogil:
        """A request that waits for it goes on waiting, while there is time."""
        self.records.fail(CONNECT)
        if now >= self.end and self.conns[i].due:
            self.conns[i].due = False
            self.owing = self.owing - 1
            self.records.unsent = self.records.unsent + 1

    cdef void _fail(self, int i, Error kind, int64_t now) noexcept nogil:
        """Its request gets no answer; or it could not be opened."""
        if kind == CONNECT:
            self._close(i)
            self._fail_to_connect(i, now)
            return
        self.records.fail(kind)
        self._settle(i, now)
        self._reopen(i, now)

    cdef void _attend(self, int i, int ready) noexcept nogil:
        """It is told to be ready."""
        cdef Conn *conn = &self.conns[i]
        if conn.turn == self.turn or conn.state == BROKEN:
            return
        if conn.state == OPENING:
            self._connected(i)
        elif conn.state == FREE:
            self._look_at_free(i)
        else:
            if conn.state == SENDING and ready & RIG_WRITABLE:
                self._send(i)
            if ready & RIG_READABLE:
                self._receive(i)

    cdef void _connected(self, int i) noexcept nogil:
        cdef Conn *conn = &self.conns[i]
        cdef int64_t now = rig_clock()
        cdef int code = rig_outcome(conn.fd)
        if code or rig_watch(&self.poller, i, conn.fd, RIG_READABLE, False) == FAILED:
            self.code = code or errno
            self._fail(i, CONNECT, now)
            return
        self.records.opened = self.records.opened + 1
        self._move(i, FREE, now)
        if conn.due:
            self._ask(i, conn.intended, now)

    cdef void _look_at_free(self, int i) noexcept nogil:
        """Octets that nobody has asked for, or the end: the server wants it no more."""
        if fs_recv(self.conns[i].fd, self.buffer, ROOM) == AGAIN:
            return
        self.records.reopened = self.records.reopened + 1
        if self.conns[i].used:
            self._reopen(i, rig_clock())
        else:
            self._close(i)      # a server that turns connections away is asked again later

    # -- Requests -----------------------------------------------------------------------------------

    cdef void _ask(self, int i, int64_t intended, int64_t now) noexcept nogil:
        """Send the next request of the order."""
        cdef Conn *conn = &self.conns[i]
        cdef int64_t lateness = now - max(intended, conn.since)
        # SAFETY: the order has indices of the requests only, and is asked for within its length.
        conn.request = self.order.data.as_ints[self.records.sent % self.order_size]
        self.records.sent = self.records.sent + 1
        self.records.late = self.records.late + (lateness > LATE)
        self.records.most_late = max(self.records.most_late, lateness)
        conn.due = conn.cut = False
        conn.intended, conn.sent, conn.first, conn.gone = intended, now, 0, 0
        begin_answer(&conn.answer, self.asked[conn.request].bodiless)
        self._move(i, WAITING, now)
        self._send(i)

    cdef void _send(self, int i) noexcept nogil:
        """Send what has not left. Where the server takes no more it may have answered all the same."""
        cdef Conn *conn = &self.conns[i]
        cdef Asked *asked = &self.asked[conn.request]
        # SAFETY: no more has left than there is.
        cdef Py_ssize_t count = fs_send(conn.fd, asked.octets + conn.gone, asked.size - conn.gone, False)
        conn.cut = count == FAILED
        conn.gone = asked.size if conn.cut else conn.gone + max(count, 0)
        if conn.gone < asked.size:
            if conn.state == WAITING:
                rig_watch(&self.poller, i, conn.fd, RIG_READABLE | RIG_WRITABLE, False)
            conn.state = SENDING        # in the same line, with the same deadline
        elif conn.state == SENDING:
            rig_watch(&self.poller, i, conn.fd, RIG_READABLE, False)
            conn.state = WAITING

    cdef void _receive(self, int i) noexcept nogil:
        cdef Conn *conn = &self.conns[i]
        cdef Py_ssize_t used, count = fs_recv(conn.fd, self.buffer, ROOM)
        cdef int64_t now = rig_clock()
        if count == AGAIN:
            return
        if count <= 0:
            if count == 0 and end_answer(&conn.answer):
                self._answered(i, now)
            else:
                self._fail(i, READ, now)
            return
        self.records.octets = self.records.octets + count
        if conn.first == 0:
            conn.first = now
        used = read_answer(&conn.answer, self.buffer, count)
        if conn.answer.phase == UNREADABLE:
            self._fail(i, READ, now)
        elif conn.answer.phase == COMPLETE:
            if used < count:            # longer than it said: whose octets are these?
                self._fail(i, LENGTH, now)
            else:
                self._answered(i, now)

    cdef void _answered(self, int i, int64_t now) noexcept nogil:
        """An answer is complete."""
        cdef Conn *conn = &self.conns[i]
        cdef Asked *asked = &self.asked[conn.request]
        cdef bint stays = (self.plan.kind != CHURN and not conn.answer.close and not conn.cut
                           and conn.state == WAITING)
        self.last = now
        conn.used = True
        self.records.see(conn.answer.status)
        if asked.status and conn.answer.status != asked.status:
            self.records.fail(STATUS)
        elif asked.length >= 0 and conn.answer.octets != asked.length:
            self.records.fail(LENGTH)
        else:
            self.records.note(conn.request, conn.intended - self.began, conn.sent - self.began,
                              conn.first - self.began, now - self.began)
        self._settle(i, now)
        if not stays:
            self._reopen(i, now)
            return
        self._move(i, FREE, now)
        if conn.due:
            self._ask(i, conn.intended, now)
