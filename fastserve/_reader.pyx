"""rfile: requests read from one connection, heads and bodies in turn.

The same class serves a connection of the loop, where a whole head stands in the buffer before a handler
runs, and a thread of its own over a plain blocking socket, where await_head() waits for it. It ends where
the body ends, so a handler can neither hang on nor swallow the next request.

Knows heads and bodies, and no handler. _conn makes and drives it; its methods belong to the thread that
owns the connection at that moment.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcpy

from fastserve._ascii cimport Cursor
from fastserve._channel cimport Channel
from fastserve._chunks cimport ChunkDecoder
from fastserve._deadlines cimport NEVER
from fastserve._head cimport RequestHead
from fastserve._parser cimport COMPLETE, NEED_MORE, REQUEST_LINE_TOO_LONG, REQUEST_TIMEOUT, RequestParser
from fastserve._stream cimport Stream
from fastserve._sys cimport AGAIN, FAILED

import errno
import time

from fastserve import limits

# Which part of a request the next octet to be read belongs to.
cdef enum Mode:
    RAW             # no HTTP is known: before a head, or after a change of protocol
    HEADED          # a whole head is buffered, nothing of it has been read
    LINED           # its request line has been read
    BODY
    ENDED           # no further request can be read: every read gives b''

cdef Py_ssize_t MAX_LINE = limits.MAX_LINE
cdef int64_t MAX_DRAINED_BODY = limits.MAX_DRAINED_BODY
cdef double LAST_REQUEST_TIMEOUT = limits.LAST_REQUEST_TIMEOUT
cdef double PASSED = 1e-9           # a deadline long gone: nothing is waited for


@cython.final
cdef class RequestReader(Stream):
    """The request side of a connection, an ``io.BufferedIOBase``."""

    def __cinit__(self, Channel channel not None):
        self.channel = channel
        self.ending = NEVER
        self.parser = RequestParser()
        self.mode = RAW
        self.left = -1

    # -- Heads ---------------------------------------------------------------------------------

    def next_line(self, Py_ssize_t size):
        """Return the next request's line, as ``readline(size)`` does, once its whole head has come.

        b'' where no further request can come. See await_head().
        """
        if self.mode != HEADED or self.timed_out:
            self.await_head()
        return self._head_line(size) if self.mode == HEADED else self.readline(size)

    def await_head(self):
        """Wait until a request head is complete or refused, or no more can come.

        At once where the loop has done so. Raises TimeoutError where the socket has a timeout and it
        passes; without one, an idle connection just ends and a slow head is refused with 408.
        """
        if self.timed_out or self.mode == HEADED:
            return
        try:
            if not (self._begin_next() and self._await_head()):
                self._end()             # a head that broke off is not acted on
        except ConnectionError:
            self._end()

    cdef bint _await_head(self) except -1:
        """Returns False where no more can come, or has come in time while the loop is ending."""
        cdef double patience = self.channel.patience(0)
        cdef bint begun = False, last
        cdef double until, deadline = time.monotonic() + (patience or self.channel.deadlines.idle)
        while self.look() == NEED_MORE:
            if self.channel.stop > self.channel.start and not begun:
                begun = True
                deadline = time.monotonic() + (patience or self.channel.deadlines.head)
            until, last = deadline, self.ending.begun
            if self.ending is not NEVER and not begun:      # the loop may begin to end meanwhile
                until = min(deadline, time.monotonic() + LAST_REQUEST_TIMEOUT)
            try:
                if not self._fill(until):
                    return False
            except TimeoutError:
                if until < deadline and (not last or self.channel.has_more()):
                    continue
                if patience and until >= deadline:
                    raise
                if begun:
                    self.refuse(REQUEST_TIMEOUT)
                return begun
        return True

    def await_request(self):
        """As await_head(), for a handler that reads it with ``readline()``: a timeout is told by that."""
        try:
            self.await_head()
        except TimeoutError:
            self.timed_out = True

    def leave_body(self):
        """Pass over what is left of the last request: whoever reads next gets what comes, as it comes."""
        try:
            self._begin_next()
        except (ConnectionError, TimeoutError):
            self._end()

    def take_head(self, line):
        """Return the RequestHead whose request line ``readline()`` gave as ``line``, else None.

        From then on the reader gives its body, and ends with it.
        """
        cdef RequestHead head = self.head
        if self.mode != LINED or line is not self.line or line is None:
            return None
        self.pass_head()
        return head

    def expect_body(self, RequestHead head not None):
        """Give the body that ``head`` announces: for a head that was read from here line by line."""
        self._leave_head()
        self.begin_body(head)

    def decode_chunks(self):
        """Take the chunked coding off the body, if it has one. Broken chunks raise ValueError."""
        if self.mode == BODY and self.head.framing.chunked and self.decoder is None:
            self.decoder = ChunkDecoder()

    cdef RequestHead awaited_head(self):
        """The head that is here, whole, while nothing of it has been read."""
        return self.head if self.mode == HEADED and not self.timed_out else None

    cdef void pass_head(self):
        """Who answers has the head: the body is next."""
        self.channel.consume(self.head_size)
        self.begin_body(self.head)

    cdef int look(self) except? -100:
        """NEED_MORE, or COMPLETE once `head` is there, good or refused."""
        cdef const uint8_t *data = self.channel.data + self.channel.start
        cdef Py_ssize_t size = self.channel.stop - self.channel.start
        cdef int verdict
        if self.mode == HEADED:
            return COMPLETE
        if size == 0:
            return NEED_MORE
        if self.parser.pos == 0 and self.last is not None and self.last.is_repeated(data, size):
            return self._has(self.last, 0)
        verdict = self.parser.advance(data, size)
        # http.server's handlers tell a line that is too long by one octet more than it may have.
        if verdict == NEED_MORE or (verdict == -REQUEST_LINE_TOO_LONG
                                    and size - self.parser.head_start <= self.parser.max_line):
            return NEED_MORE
        return self._found(data, size)

    cdef void refuse(self, int rejection):
        """Give up on a head that is not complete."""
        self.parser.rejection = rejection
        self._found(self.channel.data + self.channel.start, self.channel.stop - self.channel.start)

    cdef int _found(self, const uint8_t *data, Py_ssize_t size) except? -100:
        cdef Py_ssize_t start = self.parser.head_start
        self.last = self.parser.release(data, size)
        return self._has(self.last, start)

    cdef int _has(self, RequestHead head, Py_ssize_t start) noexcept:
        self.head = head
        self.line_start = start
        self.head_size = start + PyBytes_GET_SIZE(head.raw)
        self.mode = HEADED
        return COMPLETE

    cdef void begin_body(self, RequestHead head):
        self.head = head
        self.drained = 0
        self.missed = 0
        self.mode = BODY
        self.channel.answered = False
        self.channel.begin_request(0)
        # Behind a body nothing else comes until the change has been agreed to (RFC 9110 7.8).
        self.may_change = head.may_change() and not (head.framing.chunked or head.framing.content_length > 0)
        self.left = -1 if head.framing.chunked else max(head.framing.content_length, 0)

    cdef bint has_body(self, Py_ssize_t size) noexcept:
        """Whether that many octets stand behind the head that was found."""
        return self.channel.stop - self.channel.start - self.head_size >= size

    cdef Rest finish(self) except *:
        """Pass over what the handler left of the body."""
        cdef Py_ssize_t count
        if self.decoder is not None and self.decoder.done:
            self.left = 0
        if self.mode != BODY or self.left < 0 or self.head.rejection or self.channel.tunnel:
            return CLOSE
        if self.left and self.head.framing.expect_continue:
            # The client may send the body, or may have been told not to.
            return CLOSE
        count = <Py_ssize_t>min(self.left, <int64_t>(self.channel.stop - self.channel.start))
        self.channel.consume(count)
        self.left -= count
        self.drained += count
        if self.left:
            return CLOSE if self.drained + self.left > MAX_DRAINED_BODY else DRAIN
        self.mode = RAW
        self.left = -1
        self.decoder = None
        self.decoded = None
        self.head = None
        return READY

    cdef void _end(self) noexcept:
        self.mode = ENDED
        self.left = 0
        self.may_change = False
        self.decoder = None

    cdef bint is_spent(self) noexcept:
        """Whether everything the client is known to have sent has been read."""
        return (self.mode == BODY and self.left == 0 and not self.head.rejection
                and self.channel.stop == self.channel.start)

    cdef bint is_last(self) except -1:
        """Whether the loop is ending, and no request has come behind the one that is being answered."""
        cdef int64_t size, left = self.left
        if not self.ending.begun:
            return False
        size = self.channel.stop - self.channel.start
        if self.decoder is not None and self.decoder.done:
            left = 0
        # What is missing of its body comes first. Without a length nobody can tell where the next one begins.
        return size < left or left < 0 or (size == left and not self.channel.has_more())

    cdef bint is_last_head(self) except -1:
        """Whether no octet has come behind the head that is here."""
        return self.channel.stop - self.channel.start == self.head_size and not self.channel.has_more()

    cdef bint _begin_next(self) except -1:
        """In a thread of its own: read past the rest of the last request. False where that cannot be."""
        cdef Rest rest
        if self.head is None:
            return True
        rest = self.finish()
        while rest == DRAIN:
            if not self._fill(self._body_deadline()):
                return False
            rest = self.finish()
        return rest == READY

    cdef void _leave_head(self) noexcept:
        """Somebody reads the head by hand: what is left of it comes first, and then the body."""
        cdef Py_ssize_t rest = self.head_size
        if self.mode != HEADED and self.mode != LINED:
            return
        if self.mode == LINED:
            rest -= self.line_start + self.line_size
            self.channel.consume(self.head_size - rest)
        self.begin_body(self.head)
        if self.head.rejection:
            self.left = -1
        elif self.left >= 0:
            self.left += rest

    # -- The octets that may be read: everything below goes through these three ------------------

    cdef bint _check(self) except False:
        if self.timed_out:
            raise TimeoutError("timed out")
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return True

    cdef Py_ssize_t _window(self, const uint8_t **at) except -1:
        """How many octets can be read at once, and where they stand."""
        cdef Py_ssize_t size
        self._check()
        self._leave_head()
        if self.decoder is not None:
            if self.decoded is None:
                return 0
            at[0] = <const uint8_t *>PyBytes_AS_STRING(self.decoded) + self.decoded_pos
            return PyBytes_GET_SIZE(self.decoded) - self.decoded_pos
        if self.left == 0 and self.mode == BODY and (self.may_change or self.channel.tunnel):
            # Behind a request for another protocol stands that protocol, as far as we know.
            self.mode = RAW
            self.left = -1
        size = self.channel.stop - self.channel.start
        at[0] = self.channel.data + self.channel.start
        return size if self.left < 0 else <Py_ssize_t>min(self.left, <int64_t>size)

    cdef void _eat(self, Py_ssize_t count) noexcept:
        if self.decoder is not None:
            self.decoded_pos += count
            return
        self.channel.consume(count)
        if self.left > 0:
            self.left -= count

    cdef bint _more(self, bint waits=True) except -1:
        """Wait for octets to read. False at the end of the body or stream.

        Not to wait is to raise TimeoutError at once.
        """
        cdef double deadline = PASSED
        if self.left == 0 or (self.decoder is not None and self.decoder.done):
            return False
        if self.decoder is not None and self._decode():
            return True
        if waits and self.mode == BODY:
            deadline = self._body_deadline()
        elif waits:
            deadline = self.channel.patience(0)
            deadline += time.monotonic() if deadline else 0
        if self._fill(deadline):
            return True
        if self.decoder is not None:
            self.channel.fail()         # nobody is told of a client that has gone
            raise ConnectionAbortedError(errno.ECONNABORTED, "the chunked body broke off")
        return False

    cdef double _body_deadline(self) except? -1:
        """By when more of the body must have come."""
        return self.channel.body_deadline(
            time.monotonic(), self.channel.patience(self.channel.deadlines.progress))

    cdef bint _decode(self) except -1:
        """Decode what has arrived; whether that gave anything."""
        cdef Cursor c
        cdef bytes out
        cdef Py_ssize_t size = self.channel.stop - self.channel.start
        if size == 0:
            return False
        c.base = self.channel.data + self.channel.start
        c.pos = 0
        c.end = size
        out = PyBytes_FromStringAndSize(NULL, size)
        size = self.decoder.advance(&c, <uint8_t *>PyBytes_AS_STRING(out))
        self.channel.consume(c.pos)
        self.decoded = out[:size]
        self.decoded_pos = 0
        return size > 0 or self.decoder.done

    cdef bint _fill(self, double deadline) except -1:
        """Wait until the socket has given something. False at the end of the stream."""
        cdef Py_ssize_t count = self.channel.receive()
        while count == AGAIN:
            self.channel.wait(True, False, deadline)
            count = self.channel.receive()
        if count == FAILED:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        return count > 0

    # -- io.BufferedIOBase ---------------------------------------------------------------------

    def read(self, size=-1):
        """Return ``size`` bytes, or all to the end of the body if it is negative or None; b'' there."""
        return self._gather(-1 if size is None else size)

    def read1(self, size=-1):
        """Return at most ``size`` bytes, waiting only where there are none yet; b'' at the end."""
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t most = -1 if size is None else size
        cdef Py_ssize_t count
        if most == 0:
            return self._gather(0)
        count = self._window(&at)
        while count == 0 and self._more():
            count = self._window(&at)
        return self._cut(count if most < 0 else min(count, most))

    def read_now(self, size=-1):
        """Return at most ``size`` bytes that are here; None where none have come, b'' at the end.

        Raises TimeoutError where they come at less than the minimum rate: None is taken for waiting.
        """
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t most = -1 if size is None else size
        cdef Py_ssize_t count = self._window(&at)
        try:
            while count == 0 and self._more(waits=False):
                count = self._window(&at)
        except TimeoutError:
            self._watch()
            return None
        self.missed = 0
        return self._cut(count if most < 0 else min(count, most))

    cdef bint _watch(self) except False:
        """Nothing has come to one who looks now and then; what passes until the next look is waited for."""
        cdef double now = time.monotonic()
        if self.missed:
            self.channel.awaited += now - self.missed
        self.missed = now
        if self.mode == BODY and self.channel.body_deadline(now, 1) <= now:
            raise TimeoutError("timed out")
        return True

    def peek(self, size=0):
        """Return bytes that the next read will give, without taking them; b'' at the end."""
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t count
        self._check()
        if self.mode == HEADED or self.mode == LINED:
            return self._peek_head()
        count = self._window(&at)
        while count == 0 and self._more():
            count = self._window(&at)
        return PyBytes_FromStringAndSize(<const char *>at, count)

    cdef bytes _peek_head(self):
        """What is left of a head that is here, which stays a head."""
        cdef Py_ssize_t skip = self.line_start + (self.line_size if self.mode == LINED else 0)
        return PyBytes_FromStringAndSize(
            <const char *>self.channel.data + self.channel.start + skip, self.head_size - skip)

    def readinto(self, target):
        """Fill a writable buffer; return how many bytes it got, fewer only at the end."""
        return self._into(target, False)

    def readinto1(self, target):
        """Fill a writable buffer with what is there, waiting only where there is nothing yet."""
        return self._into(target, True)

    def readline(self, size=-1):
        """Return bytes up to and with the next LF, at most ``size`` where it is not negative."""
        cdef Py_ssize_t limit = -1 if size is None else size
        if self._is_next_line(limit):
            self.await_head()
        return self._head_line(limit) if self.mode == HEADED else self._generic_line(limit)

    cdef bytes _head_line(self, Py_ssize_t limit):
        """The line of a request whose head is here."""
        cdef Py_ssize_t length
        cdef bytes line
        if limit == 0 or self.timed_out or self.closed:
            return self._generic_line(limit)
        length = self._line_length()
        self.line_size = length if limit < 0 else min(limit, length)
        if self.line_size == length and not self.head.rejection:
            line = self.head.request_line()
        else:
            line = PyBytes_FromStringAndSize(
                <const char *>self.channel.data + self.channel.start + self.line_start, self.line_size)
        self.line = line if self.line_size == length else None
        self.mode = LINED
        return line

    cdef bint _is_next_line(self, Py_ssize_t limit) noexcept:
        """Whether a handler that has a loop of its own reads on: its request is over, and answered.

        It asks for one octet more than a request line may have, as http.server does and its copies do. A
        line of a body has no such size.
        """
        return (limit > MAX_LINE and self.mode == BODY and self.left == 0 and self.channel.answered
                and not self.channel.driven and not self.closed)

    cdef Py_ssize_t _line_length(self) noexcept:
        """Of the request line with its end, or of all there is where a refused one has none."""
        cdef Py_ssize_t length = self.head.spans.line.length + 2
        cdef const uint8_t *at = self.channel.data + self.channel.start + self.line_start
        cdef Py_ssize_t size = self.channel.stop - self.channel.start - self.line_start
        cdef const void *newline
        if not self.head.rejection:
            return length
        newline = memchr(at, c'\n', size)
        return size if newline == NULL else <const uint8_t *>newline - at + 1

    def readlines(self, hint=-1):
        """Return the remaining lines as a list of bytes, stopping once ``hint`` bytes are passed."""
        cdef Py_ssize_t most = -1 if hint is None else hint, total = 0
        lines = []
        for line in self:
            lines.append(line)
            total += len(line)
            if 0 < most <= total:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def fileno(self):
        """Return the socket's descriptor."""
        return self.channel.fd

    def readable(self):
        """True."""
        return True

    def writable(self):
        """False."""
        return False

    def flush(self):
        """Nothing to do."""

    def close(self):
        """Read no more. The connection stays with whoever owns it."""
        if not self.closed:
            self.closed = True
            self.channel.stream_closed()

    cdef bytes _cut(self, Py_ssize_t count):
        """The next octets, which are there."""
        cdef const uint8_t *at = NULL
        self._window(&at)
        cdef bytes octets = PyBytes_FromStringAndSize(<const char *>at, count)
        self._eat(count)
        return octets

    cdef bytes _gather(self, Py_ssize_t count):
        """`count` octets, or all that come where it is negative."""
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t size, missing = count
        cdef list parts
        if count == 0:
            self._check()
            return b""
        size = self._window(&at)
        if 0 <= count <= size:
            return self._cut(count)
        parts = []
        while missing != 0:
            size = self._window(&at)
            if size == 0:
                if self._more():
                    continue
                break
            size = size if missing < 0 else min(size, missing)
            parts.append(self._cut(size))
            if missing > 0:
                missing -= size
        return b"".join(parts)

    cdef bytes _generic_line(self, Py_ssize_t limit):
        """A line of anything. What was searched once is cut off, so that it is not searched again."""
        cdef const uint8_t *at = NULL
        cdef const void *newline
        cdef Py_ssize_t size, missing = limit
        cdef list parts = []
        while missing != 0:
            size = self._window(&at)
            if size == 0:
                if self._more():
                    continue
                break
            size = size if missing < 0 else min(size, missing)
            newline = memchr(at, c'\n', size)
            if newline != NULL:
                size = <const uint8_t *>newline - at + 1
            parts.append(self._cut(size))
            if newline != NULL:
                break
            if missing > 0:
                missing -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef Py_ssize_t _into(self, target, bint once) except -1:
        cdef Py_buffer view
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t size, done = 0
        PyObject_GetBuffer(target, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            while done < view.len and not (once and done):
                size = min(self._window(&at), view.len - done)
                if size == 0:
                    if self._more():
                        continue
                    break
                # SAFETY: size octets stand at `at`, and at least that many are free behind `done`.
                memcpy(<char *>view.buf + done, at, size)
                self._eat(size)
                done += size
            return done
        finally:
            PyBuffer_Release(&view)
