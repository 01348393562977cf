"""The turn of a loop, and the replay lane within it: requests whose answers are recorded need no Python.

A turn waits until sockets are ready. Of those that may be answered so, all are received from first, into one
buffer; then every file that the answers depend on is looked at, once; then the log is written, and the
answers are sent. So a look at a file is always younger than the requests that it counts for. What is no
recorded answer's request goes to the loop, with all that was received of it. While there is nothing for the
loop to do, one turn follows the other.

It knows connections, recordings and descriptors; no handler, and no server. serving.loop makes one and calls
turn().
"""

cimport cython
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastserve._conn cimport DO_END, DO_SETTLE, DO_WAIT, Connection
from fastserve._deadlines cimport Deadlines, Ending
from fastserve._files cimport Recording, Recordings, body_of
from fastserve._parser cimport COMPLETE, RequestParser
from fastserve._poller cimport Poller
from fastserve._tally cimport Tally
from fastserve._timers cimport Timers
from fastserve._states cimport IDLE, WAITING
from fastserve._sys cimport AGAIN, FAILED, FS_READABLE, fs_accept, fs_address, fs_recv, fs_send

from fastserve import limits
from fastserve.log import format_address

cdef enum:
    RECEIVE_ROOM = 16384        # of one connection in one turn
    ARENA = 1 << 18             # of all
    GATHERED = 1 << 17          # answers to pipelined requests that leave in one call
    MOST_GATHERED = 3 << 15     # each of them; the first is a recording of any size

cdef int ACCEPT_BATCH = limits.ACCEPT_BATCH
cdef double TICK = limits.TICK


@cython.final
@cython.freelist(64)
cdef class Asked:
    """A request whose answer is recorded, and what was received behind it."""


@cython.final
cdef class Lane:
    """``recordings`` is None where nothing is recorded: a turn is then a wait.

    ``connections`` is the loop's set, ``timers`` its Timers: a connection that the lane accepts is added to
    them, and taken from them when it ends here.
    """

    def __cinit__(self):
        self.arena = <uint8_t *>malloc(ARENA)
        self.answers = <uint8_t *>malloc(GATHERED)
        if self.arena == NULL or self.answers == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.arena)
        free(self.answers)

    def __init__(self, Poller poller not None, Timers timers not None, set connections not None,
                 Ending ending not None, Deadlines deadlines not None, Recordings recordings=None,
                 Tally tally=None):
        self.poller, self.timers, self.connections = poller, timers, connections
        self.ending, self.deadlines = ending, deadlines
        self.recordings, self.tally = recordings, tally
        self.parser = RequestParser()
        self.asked = []

    def accept_from(self, target, int fd, double patience):
        """Accept the connections of a TCP listener that was registered with ``target``; None: no more."""
        self.listener, self.listening, self.patience = target, fd, patience

    def close_plainly(self, bint ends):
        """Whether a connection that ends may be closed without the server being asked to do it."""
        self.ends = ends

    cdef bint turn(self, double timeout, bint once, object ready) except False:
        """Wait, ``timeout`` seconds at most, until there is something for the loop to do.

        What there is is added to ``ready`` (a deque): targets, connections among them. ``once``: to return
        in any case after one turn. Raises what a signal's handler raises.
        """
        cdef double end = self.poller.now() + timeout
        self.now = end - timeout
        while True:
            self.poller.wait(end - self.now)
            self.now = self.poller.now()
            if self.recordings is None or not self.recordings.is_open(self.now) or self.recordings.hooked:
                ready.extend(self.poller.ready)
                return True
            self._attend(ready)
            if once or ready or self.now >= end or self.ending.begun:
                return True

    cdef bint _attend(self, object ready) except False:
        for target in self.poller.ready:
            if type(target) is Connection:
                if self._may_replay(<Connection>target):
                    self._receive(<Connection>target, ready)
                else:
                    ready.append(target)
            elif target is self.listener and target is not None:
                self._accept(ready)
            else:
                ready.append(target)
        return self._answer(ready)

    # -- Receiving ------------------------------------------------------------------------------------

    cdef bint _accept(self, object ready) except False:
        cdef Connection conn
        cdef fs_address address
        cdef int fd, _
        for _ in range(ACCEPT_BATCH):
            fd = fs_accept(self.listening, &address)
            if fd < 0:
                if fd == FAILED:
                    ready.append(self.listener)     # who asks again is told why, or finds it mended
                return True
            conn = Connection.__new__(Connection)
            conn.begin_bare(fd, &address, self.now, self.patience, self.ending, self.deadlines,
                            self.recordings, self.tally)
            self._receive(conn, ready)
        return True

    cdef bint _may_replay(self, Connection conn) noexcept:
        """Whether its next request may be answered without a handler, if it is here whole."""
        return (conn.is_plain and (conn.state == WAITING or conn.state == IDLE)
                and conn.interest == FS_READABLE
                and not conn.found and not conn.heard and not conn.ending.begun
                and (conn.handler is None or self.recordings.stateless)
                and (conn.channel is None or (conn.channel.data == NULL and not conn.channel.queue)))

    cdef bint _receive(self, Connection conn, object ready) except False:
        cdef Py_ssize_t count
        if ARENA - self.fill < RECEIVE_ROOM:
            self._answer(ready)
        # SAFETY: RECEIVE_ROOM octets of the arena are free.
        count = fs_recv(conn.fd, self.arena + self.fill, RECEIVE_ROOM)
        if count > 0:
            self._look(conn, count, ready)
        elif count == AGAIN:
            if not conn.registered:
                self._take_in(conn, ready)
        elif conn.handler is not None:
            ready.append(conn)
        else:
            self._end(conn, ready)
        return True

    cdef bint _look(self, Connection conn, Py_ssize_t count, object ready) except False:
        """Whether it begins with a request whose answer is recorded."""
        cdef Asked asked
        cdef const uint8_t *octets = self.arena + self.fill
        cdef Py_ssize_t size = count
        cdef Recording recording = self.recordings.recall(octets, count)
        if recording is None:
            recording = self._find(self.fill, count, &size)
            if recording is None:
                return self._hand_over(conn, self.fill, count, ready)
            if size == count:
                self.recordings.remember(octets, count, recording)
        asked = Asked.__new__(Asked)
        asked.conn, asked.recording = conn, recording
        asked.start, asked.size, asked.received = self.fill, size, count
        self.asked.append(asked)
        self.fill += count
        return True

    cdef Recording _find(self, Py_ssize_t start, Py_ssize_t count, Py_ssize_t *size):
        """The recording for the request at `start`, whose head has `size` octets, or None."""
        cdef const uint8_t *at = self.arena + start
        cdef Py_ssize_t key = 0
        if self.parser.advance(at, count) == COMPLETE:
            key = self.recordings.key_of(at + self.parser.head_start, &self.parser.spans,
                                         &self.parser.framing)
        size[0] = self.parser.pos
        self.parser.clear()
        return self.recordings.find(key) if key else None

    cdef bint _hand_over(self, Connection conn, Py_ssize_t start, Py_ssize_t size, object ready) except False:
        """What was received is for the loop."""
        if not conn.registered:
            self._take_in(conn, ready)
        conn.get_channel().preload(self.arena + start, size)
        conn.heard = True
        ready.append(conn)
        return True

    # -- Answering ------------------------------------------------------------------------------------

    cdef bint _answer(self, object ready) except False:
        """All that has been received."""
        cdef list asked = self.asked
        cdef Asked each
        if not asked:
            return True
        self.asked = []
        self.fill = 0
        self.recordings.begin_round()
        for each in asked:
            if not self.recordings.is_fresh(each.recording):
                each.recording = None
                self._hand_over(each.conn, each.start, each.received, ready)
            elif self.recordings.lines:
                self.recordings.note(each.recording, host_of(each.conn))
        if self.recordings.lines:
            self.recordings.write_log()
        for each in asked:
            if each.recording is not None:
                self._send(each, ready)
        return self.recordings.write_log()

    cdef bint _send(self, Asked asked, object ready) except False:
        """One answer, or several where requests were pipelined. What has no recording is left to the loop."""
        cdef Connection conn = asked.conn
        cdef Recording recording = asked.recording, tail = None
        cdef const uint8_t *octets = recording.octets
        cdef Py_ssize_t size = 0, sent = 0, rest = asked.received - asked.size
        cdef bint close = recording.close
        cdef int action
        if recording.file is not None:
            self.recordings.stamp(recording)
            tail = recording
        elif rest and not close and recording.size <= MOST_GATHERED:
            octets = self.answers
            sent = self._send_several(asked, &size, &rest, &close)
        else:
            self.recordings.stamp(recording)
            size = recording.size
            sent = fs_send(conn.fd, octets, size, False)
        if sent == FAILED:
            return self._end(conn, ready)
        if close:
            rest = 0                    # whatever was asked behind it is not answered (RFC 9112 9.6)
        if sent == size and not rest and tail is None:
            action = self._sent(conn, close, asked.received == asked.size)
        else:
            sent = max(sent, 0)
            conn.let_handler_go()
            if rest:
                conn.get_channel().preload(self.arena + asked.start + asked.received - rest, rest)
            conn.queue(octets + sent, size - sent, tail)
            conn.replied, conn.closing = True, close
            action = conn.send(self.now)
        return self._act(conn, conn.told(action, self.now), ready)

    cdef int _sent(self, Connection conn, bint close, bint alone) except -1:
        """All has left. ``alone``: no octet stood behind the request. Returns an action."""
        conn.let_handler_go()
        conn.replied, conn.closing = True, close
        if close:
            return DO_END if alone else conn.part(self.now)
        conn.rest = self.now
        conn.deadline = self.now + (conn.timeout or conn.deadlines.idle)
        return DO_WAIT

    cdef Py_ssize_t _send_several(self, Asked asked, Py_ssize_t *size, Py_ssize_t *rest,
                                  bint *close) except? -3:
        """Send from `answers`, at last `size` octets, as fs_send() does. `rest` remain, if not to `close`."""
        cdef Recording recording = asked.recording
        cdef Py_ssize_t head = asked.size, sent = 0, end = asked.start + asked.received
        rest[0] = asked.received
        while recording is not None and sent == 0:
            self.recordings.stamp(recording)
            # SAFETY: there is room for MOST_GATHERED octets more, which no recording here exceeds.
            memcpy(self.answers + size[0], recording.octets, recording.size)
            size[0] += recording.size
            rest[0] -= head
            close[0] = recording.close
            if size[0] > GATHERED - MOST_GATHERED:
                sent = fs_send(asked.conn.fd, self.answers, size[0], False)
                if sent == size[0]:
                    size[0] = sent = 0
            recording = None
            if rest[0] and not close[0] and sent == 0:
                recording = self._find_next(asked.conn, end - rest[0], rest[0], &head)
        return fs_send(asked.conn.fd, self.answers, size[0], False) if size[0] and sent == 0 else sent

    cdef Recording _find_next(self, Connection conn, Py_ssize_t start, Py_ssize_t count, Py_ssize_t *size):
        """As _find(), of what can be sent behind another answer."""
        cdef Recording recording = self._find(start, count, size)
        if (recording is None or recording.file is not None or recording.size > MOST_GATHERED
                or not self.recordings.is_fresh(recording)):
            return None
        if self.recordings.lines:
            self.recordings.note(recording, host_of(conn))
        return recording

    cdef bint _act(self, Connection conn, int action, object ready) except False:
        """What is to be done next; whatever is not plain the loop does."""
        if action == DO_END:
            return self._end(conn, ready)
        if not conn.registered and conn.timer == 0:
            self._take_in(conn, ready)
            action = DO_WAIT if action == DO_SETTLE else action
        if action != DO_WAIT:
            conn.found = action
            ready.append(conn)
        return True

    # -- Connections that nobody but the lane has seen ------------------------------------------------

    cdef bint _take_in(self, Connection conn, object ready) except False:
        """It stays: the loop knows it from now on."""
        cdef Connection other = self.poller.targets.get(conn.fd)
        if other is not None:           # a handler closed its socket, and its descriptor is this one's now
            self.poller.drop(conn.fd)
            other.registered = 0
            other.found = DO_END
            ready.append(other)
        self.connections.add(conn)
        self.poller.add(conn.fd, conn.interest, conn)
        conn.registered = conn.interest
        self.timers.put(conn)
        return True

    cdef bint _end(self, Connection conn, object ready) except False:
        if not (self.ends and conn.bare) or conn.handler is not None:
            if not conn.registered:
                self._take_in(conn, ready)
            conn.found = DO_END
            ready.append(conn)
            return True
        if conn.registered:
            self.poller.drop(conn.fd)
            conn.registered = 0
        if conn.timer:
            self.timers.take(conn)
        self.connections.discard(conn)
        conn.closed()
        conn.close()
        return True


# -- Beside a handler: over TLS, behind other requests, and where hooks of the log are called ------------

def consents(Connection conn not None):
    """Before replay(): the handler writes its log, where it has one of its own.

    Returns whether the recorded answer is the one that it would make. Raises what a hook does.
    """
    cdef Recordings recordings = conn.recordings
    cdef Recording recording = conn.next_answer
    conn.next_answer = None
    if recordings.hooked:
        if not recordings.policy.tell(
                conn.handler, conn.reader.head, recording.status, body_of(recording)):
            return False
    elif not recordings.trusts(conn.handler):
        return False
    conn.next_answer = recording
    return True


def replay(Connection conn not None, double now):
    """Send the recorded answer to the request whose ``head`` is here. Returns an action."""
    cdef Recordings recordings = conn.recordings
    cdef Recording recording = conn.next_answer
    conn.next_answer = None
    conn.reader.pass_head()
    recordings.stamp(recording)
    if recordings.lines:
        recordings.note(recording, host_of(conn))
        recordings.write_log()
    conn.closing = recording.close
    conn.queue(NULL, 0, recording)
    return conn.told(conn.send(now), now)


cdef bytes host_of(Connection conn):
    """The client's, for the log."""
    if conn.host_name is None:
        conn.host_name = format_address(conn.client_address).encode("latin-1", "replace")
    return conn.host_name
