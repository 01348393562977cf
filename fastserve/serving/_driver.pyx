"""The short way through a turn of the loop: a request is here, its handler answers it, and the next one.

That is what a loop does all day, so it is compiled. Everything else, and all that goes wrong, is
serving.loop's and serving.leader's, which are called by name.

It knows of a handler what a loop does: handle_one_request(), close_connection, rfile and finish().
serving.loop makes one, and calls turn() and run().
"""

cimport cython

from fastserve._conn cimport DO_ANSWER, DO_END, Connection
from fastserve._lane cimport Lane
from fastserve._lead cimport Lead

from fastserve import limits

cdef int PIPELINE_BATCH = limits.PIPELINE_BATCH


@cython.final
cdef class Driver:
    """``ready`` (a deque) is what the poller has told of and nobody has seen to. ``spares``: some requests
    are answered without a handler, so the loop is asked about each.

    Of a loop that moves it has the lead; what that has learned, and who is away, it looks at before a handler
    runs.
    """

    cdef object loop
    cdef Lane lane
    cdef object ready
    cdef bint spares
    cdef Lead lead
    cdef object experience
    cdef set away
    cdef double most
    cdef bint looks_around      # something was done that only the loop knows of

    def __init__(self, loop, Lane lane not None, ready, bint spares=False):
        self.loop, self.lane, self.ready, self.spares = loop, lane, ready, spares

    def move(self, Lead lead not None, experience, set away not None, double most):
        """The loop moves; at most ``most`` handlers run at a time."""
        self.lead, self.experience, self.away, self.most = lead, experience, away, most

    def turn(self, double timeout, bint once, monotonic):
        """Wait ``timeout`` seconds at most, and do what is to be done, until the loop has to look around.

        ``monotonic`` is its clock. ``once``: until one turn is over.
        """
        cdef double now = monotonic()
        cdef double end = now + timeout
        self.looks_around = once
        while True:
            if not self.ready:          # else the last leader has left some, which would be told of twice
                self.lane.turn(max(end - now, 0.0), once, self.ready)
            self.loop._now = now = monotonic()
            while self.ready:           # where the lead is lost meanwhile, the next leader goes on
                target = self.ready.popleft()
                if type(target) is Connection:
                    self._attend(<Connection>target, now)
                else:
                    self.looks_around = True
                    target()
            if self.looks_around or now >= end or now >= self.loop._tuned:
                return

    def run(self, Connection conn not None):
        """Let the handler answer a request. Returns whether that was its last.

        A handler's code runs here, and nothing of the loop's is touched.
        """
        return self._run(conn)

    cdef bint _attend(self, Connection conn, double now) except False:
        """The socket of a connection is ready, if it is still in the loop's hands."""
        cdef int action, requests = PIPELINE_BATCH
        if not (conn.registered or conn.found):
            return True
        try:
            action = conn.be_ready(now)
        except Exception:
            self.loop._report(conn)
            action = DO_END
        try:
            while action == DO_ANSWER and requests and self._is_plain(conn):
                action = conn.go_on(self._answer(conn), now)
                requests -= 1
        except Exception:
            self.loop._break_off(conn)
            return True
        if action:
            self.looks_around = True
            if requests:
                self.loop._act(conn, action)
            else:
                self.loop._go_on_later(conn, action)
        return True

    cdef bint _is_plain(self, Connection conn) except -1:
        """Whether the handler is to answer, here."""
        if self.spares or conn.next_answer is not None:
            return False
        return self.lead is None or (len(self.away) < self.most and not self.experience.suspects)

    cdef bint _answer(self, Connection conn) except -1:
        """As _run(). Where that costs the lead the connection goes on in other hands; Deposed is raised."""
        cdef bint close
        if self.lead is None:
            return self._run(conn)
        self.loop._work = None
        self.lead.begin_run(conn)
        try:
            close = self._run(conn)
        except BaseException:
            close = self.loop._failed(conn)
        if not self.lead.end_run():
            self.loop._depose(conn, close)
        return close

    cdef bint _run(self, Connection conn) except -1:
        cdef bint close = True
        handler = conn.handler
        try:
            try:
                handler.handle_one_request()
                close = handler.close_connection
                if not close and handler.rfile is not conn.reader:
                    close = True
                    if conn.leave():
                        handler.handle()
            finally:    # as in http.server's __init__(): finish() comes before handle_error()
                if close:
                    conn.handler = None
                    handler.finish()
        except Exception:
            self.loop._report(conn)
        return close
