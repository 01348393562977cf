"""wfile: a response written to one connection.

A head waits for the first octets of its body, everything else leaves at once; octets past the declared
length do not leave at all. On a connection of the loop what the socket does not take is queued, up
to a high water mark; in a thread of its own write() waits for the socket.

Knows heads and bodies, and no handler. _conn makes it. Any thread may write: each write leaves whole, under
the channel's lock.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from fastserve._channel cimport Channel, Descriptor, duplicate
from fastserve._response cimport ResponseHead
from fastserve._stream cimport Stream
from fastserve._sys cimport AGAIN, FAILED, fs_pread
from fastserve._tally cimport BODY_OCTETS, cell_of

import errno
import time

from fastserve import limits

cdef enum:
    COPIED_BODY = 4096      # a body up to this size is copied behind its head, to leave in one plain send
    KEPT_ROOM = 4096        # of `pending`, between two responses

cdef int64_t MAX_COPIED_FILE = limits.MAX_COPIED_FILE


@cython.final
cdef class ResponseWriter(Stream):
    """The response side of a connection, an ``io.BufferedIOBase``.

    ``high_water`` is in bytes: 0 makes every write() wait until the socket has taken all of it.
    ``block`` gathers writes up to that many bytes, as a handler's ``wbufsize`` asks; 0 gathers none.
    """

    def __cinit__(self, Channel channel not None, Py_ssize_t high_water=0):
        self.channel = channel
        self.high_water = high_water
        self.left = -1
        self.pending = NULL

    def __dealloc__(self):
        free(self.pending)

    def gather(self, Py_ssize_t block):
        """Send nothing before ``block`` bytes are written or flush() is called (a handler's wbufsize)."""
        self.block = block

    def send_head(self, ResponseHead head not None, method):
        """Take what was written into ``head``, if anything was; ``method`` is the request's (str or None).

        It leaves with the first bytes of the body where the head declares some, else at once. What is
        written behind a head that has not ended may be the rest of it, so it is not counted. The head of a
        second answer to one request does not leave, and what is behind it neither.

        Returns whether it now says that the connection closes: where the loop is ending, and this is the last
        answer.
        """
        cdef bint body, waits
        if not head.is_pending():
            return False
        head.gather()
        body = not head.bodiless(method)
        waits = head.ended and body and head.content_length > 0 and head.status >= 200
        self.channel.lock()
        try:
            self._check_open()
            if head.status >= 200:
                self._begin()
                if self.left != UNDECLARED:
                    # A second answer: the client would take it for that to its next request.
                    head.clear()
                    self.left = EXCEEDED
                    return self.last
                self.left = UNDECLARED if not head.ended else head.content_length if body else NO_BODY
                self.body = 0 if head.ended else UNDECLARED
                if self.tally is not None and not head.parted:
                    self.tally.answer(cell_of(method, head.status), 0)
            if head.status == 101 or method == "CONNECT" and 200 <= head.status < 300:
                self.channel.tunnel = True
                self.left = UNDECLARED
            elif head.ended and head.status >= 200 and self.reader is not None and self.reader.is_last():
                self.last = head.part()
            if self.take is not None:
                self.take.head(head.data, head.length, head.status, head.ended and not self.last)
            self._hold(head.data, head.length)
            head.clear()
            if waits or self.size < self.block:
                return self.last
            self._push(NULL, 0, None)
        finally:
            self.channel.unlock()
        self._settle()
        return self.last

    def write(self, data):
        """Send bytes-like ``data``; return its length in bytes.

        Waits only while more than the high water mark is queued. Raises BrokenPipeError when the
        client is gone, TimeoutError when it has stopped reading.
        """
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self._write(&view, data if type(data) is bytes else None)
            self._settle()
            return view.len
        finally:
            PyBuffer_Release(&view)

    cdef bint _write(self, Py_buffer *view, bytes owner) except False:
        cdef Py_ssize_t length
        self.channel.lock()
        try:
            self._check_open()
            self._begin()
            length = <Py_ssize_t>self._account(view.len)
            if self.take is not None:
                self.take.body(<const uint8_t *>view.buf, length)
            if length > COPIED_BODY or not (self.size or self.block):
                self._push(<const uint8_t *>view.buf, length, owner)
            else:
                self._hold(view.buf, length)
                if self.size >= self.block:
                    self._push(NULL, 0, None)
        finally:
            self.channel.unlock()
        return True

    def writelines(self, lines):
        """Write each of an iterable of bytes-like objects."""
        for line in lines:
            self.write(line)

    def send_file(self, int file, int64_t offset, int64_t count):
        """Send ``count`` bytes from ``offset`` of a regular file; the caller keeps its descriptor.

        A small range leaves with the head; a large one is queued for sendfile and leaves after the
        handler has returned. If the file is shorter, the connection ends there, never with other bytes.
        """
        cdef Descriptor held
        self.channel.lock()
        try:
            self._check_open()
            self._begin()
            count = self._account(count)
            if count > MAX_COPIED_FILE:
                self._queue_pending()
                held = duplicate(file)
                if self.take is not None:
                    self.take.range_of(held, offset, count)
                self.channel.add_range(held, offset, count)
                self.channel._flush()
            elif count > 0 and not self._read_file(file, offset, <Py_ssize_t>count):
                raise OSError(errno.EIO, "cannot read the file that is being sent")
            else:
                self._push(NULL, 0, None)
        finally:
            self.channel.unlock()
        self._settle()

    def send_parts(self, int file, parts):
        """Send what ``parts`` has: bytes, and ranges (start, stop) of a regular file.

        All of it is queued, and leaves after the handler has returned, as a large range does by send_file().
        """
        cdef Descriptor held
        cdef int64_t count
        if self.take is not None:
            self.take.spoiled = True
        self.channel.lock()
        try:
            self._check_open()
            self._begin()
            held = duplicate(file)
            self._queue_pending()
            for part in parts:
                if type(part) is bytes:
                    count = self._account(len(part))
                    self.channel.add(<const uint8_t *>PyBytes_AS_STRING(part), <Py_ssize_t>count, None, 0)
                else:
                    count = self._account(part[1] - part[0])
                    if count > 0:
                        self.channel.add_range(held, part[0], count)
            self.channel._flush()
        finally:
            self.channel.unlock()
        self._settle()

    cdef bint _read_file(self, int file, int64_t offset, Py_ssize_t count) except -1:
        """A small range goes behind what waits. Where the file is shorter, the answer stays incomplete."""
        cdef Py_ssize_t got
        self._reserve(count)
        # SAFETY: _reserve made room for `count` octets.
        got = fs_pread(file, self.pending + self.size, <size_t>count, offset)
        if got < count and self.body != UNDECLARED:     # which _account() has counted
            self.body -= count - max(got, 0)
            if self.tally is not None:
                self.tally.add(BODY_OCTETS, max(got, 0) - count)
        if got == FAILED:
            return False
        if self.take is not None:
            self.take.body(self.pending + self.size, got)
        self.size += got
        if got < count and self.left >= 0:
            self.left += count - got
        return True

    @property
    def unwritten(self):
        """How many bytes of the declared Content-Length have not been written yet, -1 where none was."""
        return 0 if self._left() == NO_BODY else max(self._left(), UNDECLARED)

    @property
    def missing(self):
        """How many bytes fewer than declared were written; -1 where there were more, 0 where all is right."""
        return -1 if self._left() == EXCEEDED else max(self._left(), 0)

    @property
    def body_size(self):
        """How many bytes of the answer's body were written, -1 where none has begun, or it cannot be told."""
        return self.body if self.channel.answered else UNDECLARED

    def note(self, message):
        """A line of the log was written for this answer; ``message`` (str) is what it says."""
        if self.take is not None:
            self.take.note(message)

    def forgo(self):
        """This answer is not to be recorded: what is logged of it is true of nobody else."""
        if self.take is not None:
            self.take.spoiled = True

    def is_complete(self):
        """Whether the response has exactly the length its head declared, where it declared one."""
        return self.complete()

    def begin_response(self):
        """A new response is to come: what the last one declared counts no more.

        It does not either once the reader has given another request.
        """
        self.left = -1

    def is_cut_short(self):
        """Whether the connection ended because a file that was being sent has become shorter."""
        return self.channel.shrunk

    def is_broken(self):
        """Whether the client is gone."""
        return self.channel.broken

    def flush(self):
        """Send what waits: a head without its body, or what was gathered."""
        self._flush()

    def end_response(self, ResponseHead head=None):
        """Flush after a response was written, its head into ``head``.

        Returns whether it has the length it declared, and nothing is left of the head.
        """
        self._flush()
        return self.complete() and (head is None or not head.is_pending())

    def drain(self):
        """Send all that was written and wait until the socket has it: somebody else may write to that."""
        if self.size or self.channel.queue:
            self._flush()
            self._wait_below(0)

    def fileno(self):
        """Return the socket's descriptor, for whoever writes to it; drain() comes before."""
        self.drain()
        return self.channel.fd

    def readable(self):
        """False."""
        return False

    def writable(self):
        """True."""
        return True

    def close(self):
        """Flush and write no more. The connection stays with whoever owns it."""
        if not self.closed:
            try:
                self._flush()
            finally:
                self.closed = True
                self.channel.stream_closed()

    cdef bint _flush(self) except False:
        self._check_open()
        if not (self.size or self.channel.queue):
            return True
        self.channel.lock()
        try:
            self._push(NULL, 0, None)
        finally:
            self.channel.unlock()
        return self._settle()

    cdef bint complete(self) noexcept:
        return self._left() <= 0 and self._left() != EXCEEDED

    cdef int64_t _left(self) noexcept:
        """`left` of the response to the request that is being answered."""
        return self.left if self.channel.answered else UNDECLARED

    cdef void _begin(self) noexcept:
        """Something of a response is written."""
        self.left = self._left()
        if not self.channel.answered:
            self.body = 0
        self.channel.answered = True

    cdef int64_t _account(self, int64_t count) noexcept:
        """How many of `count` octets may be sent: those past the declared length may not.

        Once some were withheld `left` stays EXCEEDED: the answer is not the one that was declared.
        """
        cdef int64_t rest = self.left
        if rest == NO_BODY:
            return 0
        if count <= 0:
            return count
        if rest != UNDECLARED and count > rest:
            self.left = EXCEEDED
            count = max(rest, 0)
        elif rest != UNDECLARED:
            self.left = rest - count
        if self.body != UNDECLARED:
            self.body += count
            if self.tally is not None:
                self.tally.add(BODY_OCTETS, count)
        return count

    cdef bint _check_open(self) except False:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return True

    cdef bint _reserve(self, Py_ssize_t length) except False:
        """Room for `length` more octets in `pending`."""
        cdef Py_ssize_t room = self.room if self.room else 512
        cdef void *data
        while room < self.size + length:
            room *= 2
        if room != self.room:
            data = realloc(self.pending, room)
            if data == NULL:
                raise MemoryError
            self.pending = <uint8_t *>data
            self.room = room
        return True

    cdef bint _hold(self, const void *octets, Py_ssize_t length) except False:
        """Put octets behind what waits."""
        self._reserve(length)
        # SAFETY: _reserve made room for `length` octets.
        memcpy(self.pending + self.size, octets, length)
        self.size += length
        return True

    cdef bint _push(self, const uint8_t *body, Py_ssize_t length, object owner) except False:
        """Everything that waits, and then `body`, to the socket."""
        cdef Py_ssize_t size = self.size
        self.size = 0
        self.channel.send(self.pending, size, body, length, owner)
        if self.room > KEPT_ROOM:
            free(self.pending)
            self.pending = NULL
            self.room = 0
        return True

    cdef bint _queue_pending(self) except False:
        """What waits goes in front of a file, to leave in one packet with its first octets."""
        if self.size:
            self.channel.add(self.pending, self.size, None, 0)
            self.size = 0
        return True

    cdef bint _settle(self) except False:
        """Wait until no more is queued than may be."""
        return self._wait_below(self.high_water)

    cdef bint _wait_below(self, Py_ssize_t high_water) except False:
        """A client that stops reading is given up."""
        cdef Channel channel = self.channel
        cdef double patience
        while channel.queue and (high_water == 0 or channel.queued > max(high_water, 0)):
            if channel.flush() == AGAIN:
                patience = channel.patience(channel.deadlines.progress)
                try:
                    channel.wait(False, True, channel.answer_deadline(time.monotonic(), patience))
                except TimeoutError:
                    channel.give_up()
                    raise
        if channel.broken:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return True
