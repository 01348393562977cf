"""One connection of the loop: its state (_states), its deadline, and what is to be done with it next.

Every method answers with an action: WAIT (for what `interest` says, until `deadline`), SETTLE (wait, but
the loop's selector or timers do not know for what yet), OFFER (make a handler), ANSWER (let it answer one
request), END (close). The loop does these, one after the other, so pipelined requests are answered in
order without recursion.

Where the loop is ending, a client that has asked for nothing yet, or for nothing more, has a short time
to do so.

It knows sockets and framing, and no handler: the one attached to it is an object it keeps. Nor does it need
one where the answer is recorded (_files), nor a socket object before there is one. serving.loop, _driver and
_lane call the methods, _offers gives handlers their streams.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t
from posix.unistd cimport close as close_fd

from fastserve._ascii cimport fs_check
from fastserve._channel cimport Channel
from fastserve._deadlines cimport PLAIN, Deadlines, Ending
from fastserve._files cimport Recording, Recordings, Take
from fastserve._head cimport RequestHead
from fastserve._peek cimport pass_over, peeked_head
from fastserve._peer cimport address_of, socket_of
from fastserve._parser cimport NEED_MORE, NONE, REQUEST_TIMEOUT
from fastserve._reader cimport CLOSE, DRAIN, READY
from fastserve._states cimport (
    ANSWERING, BODY, CLOSED, DRAINING, HANDSHAKING, HEAD, IDLE, LINGERING, SENDING, WAITING, fs_is_edge,
)
from fastserve._sys cimport AGAIN, FAILED, fs_address, fs_peek, fs_poll, fs_recv, fs_send, fs_send_end
from fastserve._tally cimport CONNECTIONS, OPEN, Tally
from fastserve._tls cimport shake
from fastserve._writer cimport NO_BODY, OCTETS_WAIT, UNDECLARED

import socket

from fastserve import limits

STATE_NAMES = ("HANDSHAKING", "WAITING", "IDLE", "HEAD", "BODY", "ANSWERING", "SENDING", "DRAINING",
               "LINGERING", "CLOSED")

# What is to be done next.
WAIT = 0
SETTLE = 1
OFFER = 2
ANSWER = 3
END = 4

# As selectors names the first two.
cdef enum:
    EVENT_READ = 1
    EVENT_WRITE = 2

cdef int64_t MAX_COLLECTED_BODY = limits.MAX_COLLECTED_BODY
cdef Py_ssize_t LINGER_BATCH = limits.LINGER_BATCH
cdef Py_ssize_t SEND_HIGH_WATER = limits.SEND_HIGH_WATER
cdef double TICK = limits.TICK
cdef double LAST_REQUEST_TIMEOUT = limits.LAST_REQUEST_TIMEOUT


@cython.final
cdef class Connection:
    """A connected socket in the hands of a loop. ``now`` is time.monotonic() everywhere.

    ``patience`` is the timeout that handlers will set, in seconds, 0 for none. ``ending`` is the loop's, for
    all its connections; so are ``deadlines``, else those of limits.py.
    """

    def __cinit__(self):
        self.fd = -1

    def __init__(self, sock, client_address, double now, bint handshaking=False, double patience=0,
                 Ending ending=None, Deadlines deadlines=None, Recordings recordings=None, Tally tally=None):
        self.made_sock = sock
        self.made_address = client_address
        self.fd = sock.fileno()
        self._begin(HANDSHAKING if handshaking else WAITING, now, patience, ending, deadlines, recordings,
                    tally)

    cdef bint _begin(self, int state, double now, double patience, Ending ending, Deadlines deadlines,
                     Recordings recordings, Tally tally) except False:
        self.is_plain = self.made_sock is None or type(self.made_sock) is socket.socket
        self.interest = EVENT_READ
        self.state = state
        self.timeout = patience
        self.recordings = recordings
        self.tally = tally
        if tally is not None:
            tally.add(CONNECTIONS, 1)
            tally.add(OPEN, 1)
        self.deadlines = PLAIN if deadlines is None else deadlines
        self.ending = Ending() if ending is None else ending
        self.deadline = now + (self.deadlines.handshake if state == HANDSHAKING
                               else patience or self.deadlines.idle)
        self.told(DO_WAIT, now)
        return True

    def __dealloc__(self):
        if self.bare:
            close_fd(self.fd)

    @property
    def sock(self):
        """The socket, which owns the descriptor from the first time on that somebody asks for it."""
        if self.bare:
            self.made_sock = socket_of(self.fd, &self.address)
            self.bare = False
        return self.made_sock

    @property
    def client_address(self):
        """As accept() gives it."""
        if self.made_address is None and self.has_address:
            self.made_address = address_of(&self.address)
        return self.made_address

    @property
    def state_name(self):
        """The state's name (str)."""
        return STATE_NAMES[self.state]

    @property
    def sending(self):
        """Whether an answer is still leaving."""
        return self.state == SENDING

    @property
    def idle_since(self):
        """Since when it has stood between two requests, in the clock of ``now``; 0 where it does not."""
        return self.rest if self.state == IDLE or (self.state == WAITING and self.replied) else 0.0

    @property
    def head(self):
        """The RequestHead of the next request, while no handler has read of it; None where it is not here.

        Before there is a handler it is only looked at, and not an octet is read.
        """
        if self.state == ANSWERING:
            return self.reader.awaited_head()
        return self._peek_head() if self.state == WAITING else None

    # -- From the loop -------------------------------------------------------------------------

    def ready(self, double now):
        """The socket is readable or writable, as `interest` asked. Returns an action.

        It may have been closed since the selector said so.
        """
        return self.be_ready(now)

    cdef int be_ready(self, double now) except -1:
        cdef int action = self.found
        if self.state == CLOSED:
            return DO_WAIT
        self.found = DO_WAIT
        return action if action else self.told(self._ready(now), now)

    def hurry(self, double now):
        """The loop has begun to end: who has asked for nothing does so soon. Returns an action."""
        return self.told(DO_WAIT, now) if self._is_quiet() else DO_WAIT

    def begin(self, double now):
        """A handler has been attached: read its first request. Returns an action."""
        self.timeout = self.sock.gettimeout() or 0
        self._move(IDLE)
        self.deadline = now + (self.timeout or self.deadlines.idle)
        return self.told(self._look_or_read(now), now)

    def answered(self, bint close, double now):
        """The handler has answered a request; ``close`` where it wants no other. Returns an action."""
        return self.go_on(close, now)

    cdef int go_on(self, bint close, double now) except -1:
        if self.made_sock is not None and self.made_sock.fileno() < 0:
            # The handler detached the socket: the descriptor is its own now.
            self.channel.fail()
            return DO_END
        self.closing = close or self.closing or self.writer.last or not self.writer.complete()
        if self.take is not None:
            self._keep_take()
        self.writer.left = UNDECLARED
        return self.told(self.send(now), now)

    @property
    def last(self):
        """Whether the loop is ending, and no request has come behind the one whose ``head`` was seen."""
        return self.ending.begun and (self.alone if self.state == WAITING else self.reader.is_last_head())

    def reply(self, bytes octets not None, bint close, double now):
        """Answer the request whose ``head`` was seen; ``close`` if the octets say so. Returns an action."""
        if self.state == WAITING:
            return self._reply_early(octets, close, now)
        self.reader.pass_head()
        self.take = self.writer.take = None
        self.closing = close or self.closing
        self.queue(octets, len(octets), None)
        return self.told(self.send(now), now)

    def turn_away(self, bytes octets not None, double now):
        """Answer before anything is read, if it is a plain socket, and part. Returns an action."""
        if not self.is_plain or fs_send(self.fd, <char *>octets, len(octets), 0) < 0:
            return DO_END
        return self.told(self._linger_on(now), now)

    def leave(self):
        """The handler has replaced its rfile, and goes on by itself. Returns whether it can."""
        cdef bint complete = self.writer.complete()
        self.writer.left = UNDECLARED
        self.reader.leave_body()
        return complete

    def expire(self, double now):
        """The deadline has passed. Returns an action."""
        if self.state == CLOSED:
            return DO_WAIT
        if self.state == ANSWERING:
            self.deadline = now + self.deadlines.progress
            return DO_SETTLE
        if self.ending.begun and self._is_quiet():
            # It may have asked while we were busy with others.
            return self.ready(now) if fs_poll(self.fd, True, False, 0) > 0 else DO_END
        if self.state == HEAD or self.state == BODY or self.state == IDLE:
            if self.timeout:
                self.reader.timed_out = True
            elif self.state == HEAD:
                self.reader.refuse(REQUEST_TIMEOUT)
            elif self.state == BODY:
                self.reader.head.rejection = REQUEST_TIMEOUT
            else:
                return DO_END
            self._move(ANSWERING)
            return DO_ANSWER
        if self.state == SENDING:
            self.channel.give_up()
        elif self.state == HANDSHAKING:
            self.failure = TimeoutError("The handshake timed out")
        return DO_END

    def is_broken(self):
        """Whether the client is gone."""
        return self.channel is not None and self.channel.broken

    def closed(self):
        """The loop gives the connection back."""
        if self.tally is not None and self.state != CLOSED:
            self.tally.add(OPEN, -1)
        self._move(CLOSED)
        self.interest = 0
        self.found = DO_WAIT
        if self.channel is not None:
            self.channel.part()
            self.channel.let_go()

    def close(self):
        """Close a descriptor that is the connection's own, as its socket would be."""
        if self.bare:
            self.bare = False
            close_fd(self.fd)

    def asked(self):
        """Of the request that is being answered the method and the path (str), '' where there is none."""
        head = self.reader.head if self.state == ANSWERING else None
        if head is None or not head.target:
            return ""
        return f"{head.method} {head.target.partition('?')[0]}"

    def depart(self):
        """A thread runs the handler, the loop something else. Returns whether octets still wait to leave."""
        if self.state != ANSWERING:
            return False
        self.writer.high_water = OCTETS_WAIT
        self.interest = EVENT_WRITE
        return bool(self.channel.queue)

    def come_back(self):
        """It has returned."""
        if self.writer is not None:
            self.writer.high_water = SEND_HIGH_WATER

    def finish_sending(self):
        """Wait, in a thread, until all that was written has left or cannot."""
        if self.writer is not None:
            self.writer._wait_below(0)

    # -- Actions ---------------------------------------------------------------------------------

    cdef int told(self, int action, double now) noexcept:
        """SETTLE where the loop does not know yet what the connection waits for."""
        if action == DO_WAIT and self.ending.begun and self._is_quiet():
            self.deadline = min(self.deadline, now + LAST_REQUEST_TIMEOUT)
        if action == DO_WAIT and (self.interest != self.registered or self.timer == 0
                                  or self.deadline < self.timer - TICK):
            return DO_SETTLE
        return action

    cdef bint _is_quiet(self) noexcept:
        """Whether no octet of a request is here, nor an answer under way."""
        return self.state == HANDSHAKING or self.state == WAITING or self.state == IDLE

    cdef int _ready(self, double now) except -1:
        cdef uint8_t octet
        if self.state == SENDING:
            return self.send(now)
        if self.state == DRAINING:
            return self._drain(now)
        if self.state == LINGERING:
            return self._linger()
        if self.state == HANDSHAKING:
            return self._shake_hands(now)
        if self.state == WAITING:
            if self.heard:
                self.heard = False
                return DO_OFFER
            # Who leaves after its reply need not be told of to a handler.
            return DO_END if self.replied and fs_peek(self.fd, &octet, 1) == 0 else DO_OFFER
        if self.state == ANSWERING:
            return self._send_behind()
        return self._look_or_read(now)

    # -- The one mover -------------------------------------------------------------------------

    cdef void _move(self, int state) noexcept:
        fs_check(fs_is_edge(self.state, state), "an edge of the state table")
        self.state = state

    cdef double _stay(self, int state, double now) noexcept:
        """Enter a state in which the client keeps us waiting, or stay in it: seconds since the last look."""
        cdef double waited = now - self.looked if self.state == state else 0
        if self.state != state:
            self._move(state)
        self.looked = now
        return waited

    cdef int _wait(self, bint readable, double deadline) noexcept:
        """Wait for the next thing to happen in this state; TLS may have to write in order to read."""
        self.interest = EVENT_READ if self.channel.waits_to_read(readable) else EVENT_WRITE
        self.deadline = deadline
        return DO_WAIT

    # -- Reading -------------------------------------------------------------------------------

    cdef int _shake_hands(self, double now) except -1:
        cdef int awaited
        try:
            awaited = shake(self.sock, self.shaken)
        except OSError as error:        # also of a socket that somebody closed
            self.failure = error
            return DO_END
        self.shaken = True
        if awaited:
            self.interest = awaited
            return DO_WAIT
        self._move(WAITING)
        self.interest = EVENT_READ
        self.deadline = now + (self.timeout or self.deadlines.idle)
        return DO_WAIT

    cdef int _read(self, double now) except -1:
        """Take what has arrived. TLS is read until it is dry: the selector does not see its buffer."""
        cdef int action = DO_WAIT
        cdef Py_ssize_t count = 1
        while action == DO_WAIT and count > 0:
            count = self.channel.receive()
            if count == AGAIN:
                return self._wait(True, self.deadline)
            if count > 0:
                action = self._look(now)
                if not self.channel.hides():
                    return action
        if count > 0:
            return action
        if count == 0 and self.state == IDLE:
            # The handler is told, as http.server tells it: readline() gives b''.
            self._move(ANSWERING)
            return DO_ANSWER
        return DO_END

    cdef int _look_or_read(self, double now) except -1:
        """Begin with what the lane has received."""
        cdef int action = DO_WAIT
        self.heard = False
        if self.state == IDLE and self.channel.stop > self.channel.start:
            action = self._look(now)
        return action if action else self._read(now)

    cdef int _look(self, double now) except -1:
        """What is to be done with the octets that are here."""
        if self.reader.look() == NEED_MORE:
            if self.channel.stop == self.channel.start:
                return self._wait(True, now + (self.timeout or self.deadlines.idle))
            if self.state == HEAD:
                return self._wait(True, self.deadline)
            self._move(HEAD)
            return self._wait(True, now + (self.timeout or self.deadlines.head))
        if self._collects(self.reader.head):
            if self.state != BODY:
                self.channel.begin_request(self.reader.head_size)
            self.channel.awaited += self._stay(BODY, now)
            return self._wait(
                True, self.channel.body_deadline(now, self.timeout or self.deadlines.progress))
        if self.recordings is not None:
            self._seek_recording(now)
        self._move(ANSWERING)
        self.deadline = now + self.deadlines.progress      # moved on while a handler has more to answer
        return DO_ANSWER

    cdef bint _collects(self, RequestHead head) noexcept:
        """Whether a part of the body is awaited before the handler runs."""
        cdef int64_t length = head.framing.content_length
        return (head.rejection == NONE and 0 < length <= MAX_COLLECTED_BODY
                and not head.framing.expect_continue and not self.reader.has_body(<Py_ssize_t>length))

    # -- Without a handler -----------------------------------------------------------------------

    cdef RequestHead _peek_head(self):
        """The first request's head, looked at where it lies. None where it is not plainly there."""
        cdef Py_ssize_t size = 0
        cdef RequestHead head = peeked_head(self.fd, self.channel, &size) if self.is_plain else None
        if head is None:
            return None
        self.peeked = len(head.raw)
        self.alone = self.peeked == size
        # To close while more is unread would reset the connection, and the reset can overtake the answer.
        return head if head.framing.keep_alive or self.alone else None

    cdef int _reply_early(self, bytes octets, bint close, double now) except -1:
        if not pass_over(self.fd, self.channel, self.peeked):
            return DO_END
        # A socket that has sent nothing, or next to nothing, takes a few octets at once.
        if fs_send(self.fd, <char *>octets, len(octets), False) != len(octets) or close:
            return DO_END
        self.replied = True
        return self.told(self._rest_alone(now), now)

    # -- Recorded answers ------------------------------------------------------------------------

    cdef bint begin_bare(self, int fd, const fs_address *address, double now, double patience, Ending ending,
                         Deadlines deadlines, Recordings recordings, Tally tally) except False:
        """A descriptor that was accepted is the connection's own from here on."""
        self.fd = fd
        self.bare = self.has_address = True
        self.address = address[0]
        return self._begin(WAITING, now, patience, ending, deadlines, recordings, tally)

    cdef void let_handler_go(self) noexcept:
        """It is of a class that keeps nothing from one request to the next."""
        if self.state == IDLE:
            self._move(WAITING)
            self.handler = self.reader = self.writer = self.channel = None

    @property
    def is_recorded(self):
        """Whether the answer to the request that is here is recorded, and for _lane's replay()."""
        return self.next_answer is not None

    cdef bint _seek_recording(self, double now) except -1:
        """Of the request that is here. Where it has none the answer may become one."""
        if not (self.ending.begun or self.reader.timed_out):
            self.next_answer = self.recordings.seek(self.reader.head, now)
            if self.next_answer is None:
                self.take = self.writer.take = self.recordings.begin(self.reader.head, self.handler)
        return True

    cdef bint _keep_take(self) except -1:
        """The handler has answered: if that was all of it, it can be sent again."""
        cdef Take take = self.take
        self.take = self.writer.take = None
        if (self.writer.left not in (0, NO_BODY) or self.writer.last or self.ending.begun
                or self.channel.broken):
            return False
        return self.recordings.keep(take, self.closing)

    cdef bint queue(self, const uint8_t *octets, Py_ssize_t size, Recording tail) except False:
        """Octets are to be sent, and a recording behind them, if it is not None."""
        cdef Channel channel = self.get_channel()
        channel.begin_request(0)
        channel.lock()
        try:
            if size:
                channel.add(octets, size, None, 0)
            if tail is not None:
                channel.add(tail.octets, tail.size, None, 0)
            if tail is not None and tail.file is not None:
                channel.add_range(tail.file, tail.offset, tail.count)
        finally:
            channel.unlock()
        return True

    cdef Channel get_channel(self):
        if self.channel is None:
            self.channel = Channel(None, self.deadlines, self.fd)
            self.channel.blocks = not self.bare     # a lane accepts it as non-blocking
        return self.channel

    # -- Sending -------------------------------------------------------------------------------

    cdef int _send_behind(self) except -1:
        """While a handler runs in a thread. One that has more to answer in the loop is asked by that."""
        if self.interest == EVENT_WRITE and (not self.channel.queue or self.channel.flush() != AGAIN):
            self.interest = 0
        return DO_WAIT

    cdef int send(self, double now) except -1:
        if self.channel.queue and self.channel.flush() == AGAIN:
            self.channel.held_up += self._stay(SENDING, now)
            return self._wait(
                False, self.channel.answer_deadline(now, self.timeout or self.deadlines.progress))
        if self.channel.broken:
            return DO_END
        if self.closing:
            return self._next(now, CLOSE)
        return self._next(now, READY if self.reader is None else self.reader.finish())

    cdef int _next(self, double now, int rest) except -1:
        """An answer has left; `rest` says what stands before the next request."""
        if rest == CLOSE:
            return self.part(now)
        if rest == DRAIN:
            self.channel.awaited += self._stay(DRAINING, now)
            self._wait(True, self.channel.body_deadline(now, self.deadlines.progress))
            return self._drain(now) if self.channel.hides() else DO_WAIT
        return self._rest(now)

    cdef int _rest(self, double now) except -1:
        """Between two requests."""
        cdef int action = DO_WAIT
        if self.handler is None:
            if self.state != WAITING:
                self._move(WAITING)
            return self._rest_alone(now)
        self._move(IDLE)
        self.rest = now
        if self.channel.stop > self.channel.start:
            action = self._look(now)
        else:
            self._wait(True, now + (self.timeout or self.deadlines.idle))
        return self._read(now) if action == DO_WAIT and self.channel.hides() else action

    cdef int _rest_alone(self, double now) except -1:
        """The same, without a handler."""
        self.rest = now
        self.interest = EVENT_READ
        self.deadline = now + (self.timeout or self.deadlines.idle)
        if self.channel is not None and self.channel.stop > self.channel.start:
            return DO_OFFER
        self.channel = None
        return DO_WAIT

    cdef int _drain(self, double now) except -1:
        cdef Py_ssize_t count = self.channel.receive()
        cdef int rest = DRAIN
        while count > 0:
            rest = self.reader.finish()
            if rest != DRAIN or not self.channel.hides():
                return self._next(now, rest)
            self.channel.awaited += self._stay(DRAINING, now)
            self.deadline = self.channel.body_deadline(now, self.deadlines.progress)
            count = self.channel.receive()
        return self._wait(True, self.deadline) if count == AGAIN else DO_END

    # -- Parting -------------------------------------------------------------------------------

    cdef int part(self, double now) except -1:
        """End the connection; where the client may still be sending, so that it can read the answer.

        A close with unread octets resets the connection, and the reset can overtake the answer
        (RFC 9112 9.6).
        """
        cdef bint spent = self.reader.is_spent() if self.reader is not None else (
            self.channel is None or self.channel.stop == self.channel.start)
        if (self.channel is not None and self.channel.ended) or (spent and self._discard() <= 0):
            return DO_END
        if self.channel is not None:
            self.channel.consume(self.channel.stop - self.channel.start)
            self.channel.part()
        return self._linger_on(now)

    cdef int _linger_on(self, double now) except -1:
        if fs_send_end(self.fd) == FAILED:
            return DO_END
        self._move(LINGERING)
        self.interest = EVENT_READ
        self.deadline = now + self.deadlines.linger
        return self._linger()

    cdef int _linger(self) except -1:
        """Drop what still comes, however much it is, until the client has read the answer or time is up."""
        cdef Py_ssize_t count = 1, dropped = 0
        while count > 0 and dropped < LINGER_BATCH:
            count = self._discard()
            dropped += count
        return DO_WAIT if count > 0 or count == AGAIN else DO_END

    cdef Py_ssize_t _discard(self) noexcept:
        """Drop some of what the socket holds and nobody will read: how many octets, or as fs_recv()."""
        cdef uint8_t[16384] scrap
        return fs_recv(self.fd, scrap, sizeof(scrap))
