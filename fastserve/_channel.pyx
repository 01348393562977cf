"""A connected socket between two buffers: octets received and not yet read, pieces not yet sent.

Nothing here waits but wait(): receive() and flush() do what the socket takes at once, so one channel
serves the loop, which waits in its selector, and a thread of its own, which waits in poll(). Plain
sockets are used by descriptor, whatever their mode; a TLS socket through its own methods.

It knows no HTTP. _stream and _conn call it, from the one thread that owns the connection.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from posix.unistd cimport close as close_fd, dup

from fastserve._ascii cimport fs_check
from fastserve._sys cimport (
    AGAIN, FAILED, fs_poll, fs_pread, fs_recv, fs_send, fs_send_two, fs_sendfile, fs_set_nonblocking,
)

import time

from fastserve import limits

try:
    import ssl
except ImportError:                 # a Python built without OpenSSL
    ssl = None

cdef extern from "errno.h":
    int errno, EINTR

cdef enum:
    RECEIVE_ROOM = 16384            # the first buffer; it doubles while a head or body needs it
    COPY_LIMIT = 16384              # above this the GIL is released around send
    SECURE_CHUNK = 65536            # of a file, read at a time for TLS

cdef Py_ssize_t SENDFILE_CHUNK = limits.SENDFILE_CHUNK

cdef tuple TLS_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError) if ssl is not None else ()
cdef object SSLSocket = ssl.SSLSocket if ssl is not None else ()
cdef object TLSWantsWrite = ssl.SSLWantWriteError if ssl is not None else ()
cdef object TLSEnded = (ssl.SSLZeroReturnError, ssl.SSLEOFError) if ssl is not None else ()

# One buffer of RECEIVE_ROOM that nobody uses, so that busy connections do not allocate.
cdef uint8_t *spare = NULL


@cython.final
cdef class Piece:
    """Octets in memory, or a range of a file whose descriptor it owns."""

    def __cinit__(self):
        self.file = -1

    def __dealloc__(self):
        if self.file >= 0:
            close_fd(self.file)


@cython.final
cdef class Channel:
    """Made over a connected ``socket.socket`` or ``ssl.SSLSocket``, which the maker closes."""

    def __cinit__(self, sock):
        self.sock = sock
        self.fd = sock.fileno()
        self.secure = isinstance(sock, SSLSocket)
        self.data = NULL
        self.start = self.stop = self.room = 0

    def __dealloc__(self):
        self._release()
        # A long queue must not be freed by recursion.
        self._drop_queue()

    # -- Receiving -----------------------------------------------------------------------------

    cdef Py_ssize_t receive(self) except? -3:
        """Add what has arrived to the buffer: a count, 0 at the end of the stream, AGAIN or FAILED."""
        cdef Py_ssize_t count
        if self.ended or self.broken:
            return 0 if self.ended else FAILED
        self._make_room()
        if self.secure:
            count = self._receive_secure()
        else:
            # SAFETY: _make_room left room - stop octets behind `stop`.
            count = fs_recv(self.fd, self.data + self.stop, self.room - self.stop)
        if count > 0:
            self.stop += count
        elif count == 0:
            self.ended = True
        elif count == FAILED:
            self.fail()
        if self.start == self.stop:
            self._release()
        return count

    cdef void consume(self, Py_ssize_t count) noexcept:
        """Take octets from the front; whoever pointed at them must be done with them."""
        fs_check(0 <= count <= self.stop - self.start, "consume what was received")
        self.start += count
        if self.start == self.stop:
            self._release()

    cdef bint _make_room(self) except False:
        global spare
        cdef uint8_t *data
        if self.data == NULL:
            self.data = spare if spare != NULL else <uint8_t *>malloc(RECEIVE_ROOM)
            spare = NULL
            self.room = RECEIVE_ROOM
        elif self.stop == self.room and self.start >= self.room // 2:
            memmove(self.data, self.data + self.start, self.stop - self.start)
            self.stop -= self.start
            self.start = 0
        elif self.stop == self.room:
            data = <uint8_t *>realloc(self.data, self.room * 2)
            if data == NULL:
                raise MemoryError
            self.data = data
            self.room *= 2
        if self.data == NULL:
            raise MemoryError
        return True

    cdef void _release(self) noexcept:
        global spare
        if spare == NULL and self.room == RECEIVE_ROOM:
            spare = self.data
        else:
            free(self.data)
        self.data = NULL
        self.start = self.stop = self.room = 0

    cdef Py_ssize_t _receive_secure(self) except? -3:
        """One TLS record, and those that are decrypted already: the selector cannot see them."""
        cdef Py_ssize_t count
        self.wants_write = False
        try:
            count = self.sock.recv_into(
                PyMemoryView_FromMemory(<char *>self.data + self.stop, self.room - self.stop, PyBUF_WRITE))
        except TLS_WAITS as wait:
            self.wants_write = isinstance(wait, TLSWantsWrite)
            return AGAIN
        except TLSEnded:
            return 0
        except TimeoutError:
            return AGAIN
        except OSError:
            return FAILED
        return count

    # -- Sending -------------------------------------------------------------------------------

    cdef bint send(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body, Py_ssize_t length,
                   object owner) except False:
        """Send two spans in one call as far as the socket takes them, and queue the rest.

        `owner` is the bytes object that `body` lies in, or None: then what is left of it is copied.
        """
        cdef Py_ssize_t count = 0
        if self.broken:
            return True
        if self.first is None and not self.secure and size + length > 0:
            count = self._send_now(head, size, body, length)
            if count == FAILED:
                self.fail()
                return True
            count = max(count, 0)
        if count < size:
            self._queue(head + count, size - count, None, 0)
            count = size
        if count - size < length:
            self._queue(body, length, owner, count - size)
        return True

    cdef Py_ssize_t _send_now(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body,
                              Py_ssize_t length) noexcept:
        cdef Py_ssize_t count
        if size == 0 and length <= COPY_LIMIT:
            return fs_send(self.fd, body, length, False)
        if length == 0:
            return fs_send(self.fd, head, size, False)
        if size + length <= COPY_LIMIT:
            return fs_send_two(self.fd, head, size, body, length)
        with nogil:
            count = fs_send_two(self.fd, head, size, body, length)
        return count

    cdef bint send_file(self, int file, int64_t offset, int64_t count) except False:
        """Queue a range of a regular file. The descriptor is duplicated; the caller keeps its own."""
        cdef Piece piece = Piece.__new__(Piece)
        piece.file = dup(file)
        if piece.file < 0:
            raise OSError(errno, "cannot duplicate a file descriptor")
        piece.offset = offset
        piece.left = count
        self._append(piece)
        return True

    cdef int flush(self) except? -3:
        """Send from the queue: 0 when it is empty, AGAIN while the socket takes no more, FAILED.

        One large file gives way after each sendfile call, so that the others have their turn.
        """
        cdef Piece piece
        cdef Py_ssize_t count
        cdef bint yielded = False
        while self.first is not None and not self.broken:
            piece = self.first
            if yielded and piece.file >= 0:
                return AGAIN
            count = self._send_secure(piece) if self.secure else self._send_piece(piece)
            if count == AGAIN:
                return AGAIN
            if count == FAILED:
                self.fail()
                break
            yielded = piece.file >= 0
            if piece.left == 0 and (piece.octets is None or piece.sent == PyBytes_GET_SIZE(piece.octets)):
                self.first = piece.next
        if self.first is None:
            self.last = None
        self._restore_mode()
        return FAILED if self.broken else 0

    cdef Py_ssize_t _send_piece(self, Piece piece) except? -3:
        cdef const uint8_t *at
        cdef Py_ssize_t size, count
        cdef bint more = piece.next is not None
        if piece.octets is None:
            return self._send_range(piece)
        at = <const uint8_t *>PyBytes_AS_STRING(piece.octets) + piece.sent
        size = PyBytes_GET_SIZE(piece.octets) - piece.sent
        with nogil:
            count = fs_send(self.fd, at, size, more)
        if count > 0:
            piece.sent += count
            self.queued -= count
        return count

    cdef Py_ssize_t _send_range(self, Piece piece) except? -3:
        """One sendfile call. A file that has become shorter breaks the channel: its length was told."""
        cdef Py_ssize_t count
        cdef size_t size = <size_t>min(piece.left, <int64_t>SENDFILE_CHUNK)
        if not self.nonblocking:
            # sendfile alone knows no MSG_DONTWAIT.
            self.nonblocking = fs_set_nonblocking(self.fd, True) == 0
        with nogil:
            count = fs_sendfile(self.fd, piece.file, piece.offset, size)
        if count > 0:
            piece.offset += count
            piece.left -= count
        return FAILED if count == 0 else count

    cdef void _restore_mode(self) noexcept:
        """The socket is the handler's too, and was a blocking one."""
        if self.nonblocking and not self.broken:
            fs_set_nonblocking(self.fd, False)
        self.nonblocking = False

    cdef Py_ssize_t _send_secure(self, Piece piece) except? -3:
        """Through the TLS socket; a file is read a chunk at a time, and the same chunk until it is sent."""
        cdef Py_ssize_t count
        self.wants_write = True
        if piece.octets is None or piece.sent == PyBytes_GET_SIZE(piece.octets):
            if not self._read_chunk(piece):
                return FAILED
        try:
            count = self.sock.send(memoryview(piece.octets)[piece.sent:])
        except TLS_WAITS as wait:
            self.wants_write = isinstance(wait, TLSWantsWrite)
            return AGAIN
        except TimeoutError:
            return AGAIN
        except OSError:
            return FAILED
        piece.sent += count
        self.queued -= count
        return count

    cdef bint _read_chunk(self, Piece piece) except -1:
        cdef Py_ssize_t size = <Py_ssize_t>min(piece.left, <int64_t>SECURE_CHUNK)
        cdef bytes octets = PyBytes_FromStringAndSize(NULL, size)
        cdef char *at = PyBytes_AS_STRING(octets)
        with nogil:
            size = fs_pread(piece.file, at, size, piece.offset)
        if size <= 0:
            return False
        piece.octets = octets if size == PyBytes_GET_SIZE(octets) else octets[:size]
        piece.sent = 0
        piece.offset += size
        piece.left -= size
        self.queued += size
        return True

    cdef bint _queue(self, const uint8_t *at, Py_ssize_t size, object owner, Py_ssize_t skip) except False:
        cdef Piece piece = Piece.__new__(Piece)
        if owner is not None:
            piece.octets = owner
            piece.sent = skip
        else:
            piece.octets = PyBytes_FromStringAndSize(<const char *>at + skip, size - skip)
        self.queued += size - skip
        self._append(piece)
        return True

    cdef void _append(self, Piece piece) noexcept:
        if self.last is None:
            self.first = piece
        else:
            self.last.next = piece
        self.last = piece

    cdef void fail(self) noexcept:
        """Nothing can be said to the peer any more."""
        self.broken = True
        self._drop_queue()

    cdef void _drop_queue(self) noexcept:
        while self.first is not None:
            self.first = self.first.next
        self.last = None
        self.queued = 0

    # -- Waiting -------------------------------------------------------------------------------

    cdef double patience(self, double usual) except? -1:
        """How long to wait for the socket: its own timeout in seconds, where it has one, else `usual`."""
        timeout = self.sock.gettimeout()
        return timeout if timeout else usual

    cdef bint wait(self, bint readable, bint writable, double deadline) except False:
        """Block the calling thread until the socket is ready; `deadline` is by time.monotonic(), 0 for none.

        Raises TimeoutError past it, and whatever a signal handler raises.
        """
        cdef int milliseconds = -1, outcome = FAILED
        cdef double left
        if self.secure and readable != writable:
            readable, writable = not self.wants_write, self.wants_write
        while outcome == FAILED:
            if deadline:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                milliseconds = <int>min(left * 1000 + 1, 1e9)
            with nogil:
                outcome = fs_poll(self.fd, readable, writable, milliseconds)
            if outcome == FAILED and errno != EINTR:
                self.fail()
                return True
            PyErr_CheckSignals()
            if outcome == 0:
                outcome = FAILED
        return True
