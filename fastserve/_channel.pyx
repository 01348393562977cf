"""A connected socket between two buffers: octets received and not yet read, pieces not yet sent.

Nothing here waits but wait(): receive() and flush() do what the socket takes at once, so one channel
serves the loop, which waits in its selector, and a thread of its own, which waits in poll(). Plain
sockets are used by descriptor, whatever their mode; a TLS socket through the Layer that stands in it, or
else through its own methods.

One thread reads. Several may write: whoever touches what is to be sent, or the TLS socket, holds the
channel's lock, and never while it waits.

It knows no HTTP. _reader, _writer and _conn call it.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_get_thread_ident, PyThread_release_lock,
)
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from posix.unistd cimport close as close_fd, dup

from fastserve._ascii cimport fs_check
from fastserve._deadlines cimport PLAIN, Deadlines
from fastserve._sys cimport (
    AGAIN, FAILED, fs_poll, fs_pread, fs_recv, fs_reset_at_end, fs_send, fs_send_two, fs_sendfile,
    fs_set_nonblocking,
)
from fastserve._tls cimport Layer, is_end, is_secure, is_wait, layer_of, waits_to_write

import contextlib
import socket
import struct
import time
from collections import deque

from fastserve import _tls, limits

cdef extern from "errno.h":
    int errno, EINTR

cdef enum:
    RECEIVE_ROOM = 16384            # the first buffer; it doubles while a head or body needs it
    COPY_LIMIT = 16384              # above this the GIL is released around send
    GATHERED = 4096                 # a queued write up to this size is copied to those before it
    SECURE_CHUNK = 131072           # of a file, read at a time for TLS

cdef Py_ssize_t SENDFILE_CHUNK = limits.SENDFILE_CHUNK

# One buffer of RECEIVE_ROOM that nobody uses, so that busy connections do not allocate.
cdef uint8_t *spare = NULL


@cython.final
cdef class Descriptor:
    """A file's, which is closed with the last piece that is to be read from it."""

    def __dealloc__(self):
        if self.fd >= 0:
            close_fd(self.fd)


cdef Descriptor duplicate(int file):
    """Return a descriptor of our own for the same file: the caller keeps his."""
    cdef Descriptor copy = Descriptor.__new__(Descriptor)
    copy.fd = dup(file)
    if copy.fd < 0:
        raise OSError(errno, "cannot duplicate a file descriptor")
    return copy


@cython.final
cdef class Piece:
    """Octets in memory, or a range of a file."""

    def __dealloc__(self):
        if self.owner is None:
            free(self.at)

    cdef bint copy(self, const uint8_t *octets, Py_ssize_t size) except False:
        """Add octets to those the piece holds."""
        self._reserve(self.size + size)
        # SAFETY: _reserve made room for `size` octets behind those that are there.
        memcpy(self.at + self.size, octets, size)
        self.size += size
        return True

    cdef bint _reserve(self, Py_ssize_t size) except False:
        cdef Py_ssize_t room = max(self.room, 512)
        cdef void *at
        while room < size:
            room *= 2
        if room > self.room:
            at = realloc(self.at, room)
            if at == NULL:
                raise MemoryError
            self.at = <uint8_t *>at
            self.room = room
        return True

    cdef bint load(self) except -1:
        """Read the next part of the file into memory; False where it has become too short."""
        cdef Py_ssize_t size = <Py_ssize_t>min(self.left, <int64_t>SECURE_CHUNK)
        cdef int file = self.file.fd
        self._reserve(size)
        with nogil:
            size = fs_pread(file, self.at, size, self.offset)
        self.sent = 0
        self.size = max(size, 0)
        self.offset += self.size
        self.left -= self.size
        return size > 0


@cython.final
cdef class Channel:
    """Made over a connected ``socket.socket`` or ``ssl.SSLSocket``, which the maker closes.

    Or over a descriptor alone, ``fd``, until there are streams that need a socket.
    """

    def __cinit__(self, sock, Deadlines deadlines=None, int fd=-1):
        self.deadlines = PLAIN if deadlines is None else deadlines
        self.fd = fd
        self.blocks = True
        self.data = NULL
        self.start = self.stop = self.room = 0
        if sock is not None:
            self.carry(sock)

    def __dealloc__(self):
        self._release()
        if self.turn != NULL:
            PyThread_release_lock(self.turn)
            PyThread_free_lock(self.turn)
        if self.streams and self.sock is not None:
            # Nobody closed them, as a handler's finish() does: go as a file object of makefile() would.
            self.sock._decref_socketios()

    cdef bint carry(self, object sock) except False:
        """Streams are to be made over it."""
        self.blocks = True
        self.sock = sock
        self.fd = sock.fileno()
        self.secure = is_secure(sock)
        self.layer = layer_of(sock) if self.secure else None
        self.kernel = self.secure and self.layer is None and _tls.kernel_encrypts(sock)
        # As socket.makefile() does: else the number could be another socket's while we still use it.
        sock._io_refs += 1
        self.streams = 2
        return True

    cdef bint stream_closed(self) except False:
        """rfile or wfile has been closed."""
        if self.streams > 1 or self.driven:
            self.streams = 1
            return True
        return self.let_go()

    cdef bint let_go(self) except False:
        """Use the descriptor no more: a socket that was closed meanwhile really closes now."""
        if self.streams:
            self.streams = 0
            self.fail()
            self.sock._decref_socketios()
        return True

    cdef bint lock(self) except False:
        """Keep other threads away from what is to be sent.

        Raises RuntimeError in a signal handler that came while this thread had the lock. Only one who meets
        another here needs a lock of the system: all else happens under the GIL.
        """
        if self.users:
            if self.holder == PyThread_get_thread_ident():
                raise RuntimeError("reentrant call")
            self._wait_for_turn()
        else:
            self.users = 1
        self.holder = PyThread_get_thread_ident()
        return True

    cdef bint _wait_for_turn(self) except False:
        """Until one who leaves hands the channel over."""
        if self.turn == NULL:
            self.turn = PyThread_allocate_lock()
            if self.turn == NULL:
                raise MemoryError
            PyThread_acquire_lock(self.turn, NOWAIT_LOCK)
        self.users += 1
        with nogil:
            PyThread_acquire_lock(self.turn, WAIT_LOCK)
        return True

    cdef void unlock(self) noexcept:
        self.holder = 0
        self.users -= 1
        if self.users:
            PyThread_release_lock(self.turn)

    # -- Receiving -----------------------------------------------------------------------------

    cdef Py_ssize_t receive(self) except? -3:
        """Add what has arrived to the buffer: a count, 0 at the end of the stream, AGAIN or FAILED."""
        cdef Py_ssize_t count
        if self.ended or self.broken:
            return 0 if self.ended else FAILED
        if self.receiving:
            raise RuntimeError("another thread is reading")
        self._make_room(self.layer.needs() if self.layer is not None else 1)
        if self.secure:
            count = self._receive_secure()
        else:
            # SAFETY: _make_room left room - stop octets behind `stop`.
            count = fs_recv(self.fd, self.data + self.stop, self.room - self.stop)
        if count > 0:
            self.stop += count
            self.came += count
        elif count == 0:
            self.ended = True
        elif count == FAILED:
            self.fail()
        if self.start == self.stop:
            self._release()
        return count

    cdef bint preload(self, const uint8_t *octets, Py_ssize_t size) except False:
        """Add octets that somebody else has received to an empty buffer."""
        fs_check(self.data == NULL and size <= RECEIVE_ROOM, "preload an empty buffer")
        self._make_room(size)
        # SAFETY: the first buffer has RECEIVE_ROOM octets.
        memcpy(self.data, octets, size)
        self.stop = size
        self.came += size
        return True

    cdef bint has_more(self) except -1:
        """Whether more than is in the buffer has come from the client, or the end of its stream."""
        return self.ended or self.hides() or fs_poll(self.fd, True, False, 0) > 0

    cdef bint hides(self) except -1:
        """Whether receive() would give something that the descriptor does not show."""
        if self._layer() is not None:
            return self.layer.holds()
        # Of OpenSSL's own reading nothing is ahead of the record that it gives.
        return self.secure and self.sock.pending() > 0

    cdef void consume(self, Py_ssize_t count) noexcept:
        """Take octets from the front; whoever pointed at them must be done with them."""
        fs_check(0 <= count <= self.stop - self.start, "consume what was received")
        self.start += count
        if self.start == self.stop:
            self._release()

    cdef bint _make_room(self, Py_ssize_t least) except False:
        global spare
        cdef uint8_t *data
        cdef Py_ssize_t room
        if self.data == NULL:
            self.data = spare if spare != NULL else <uint8_t *>malloc(RECEIVE_ROOM)
            spare = NULL
            self.room = RECEIVE_ROOM
        if self.data == NULL:
            raise MemoryError
        if self.room - self.stop < least and self.start >= self.room // 2:
            memmove(self.data, self.data + self.start, self.stop - self.start)
            self.stop -= self.start
            self.start = 0
        room = self.room
        while room - self.stop < least:
            room *= 2
        if room != self.room:
            data = <uint8_t *>realloc(self.data, room)
            if data == NULL:
                raise MemoryError
            self.data = data
            self.room = room
        return True

    cdef void _release(self) noexcept:
        global spare
        if self.receiving:
            return
        if spare == NULL and self.room == RECEIVE_ROOM:
            spare = self.data
        else:
            free(self.data)
        self.data = NULL
        self.start = self.stop = self.room = 0

    cdef Py_ssize_t _receive_secure(self) except? -3:
        """What has come, or, without a layer, one TLS record or what was left of the last one."""
        self.lock()
        self.receiving = True           # the GIL is given away, the buffer is not
        try:
            if self._layer() is not None:
                return self.layer.take(self.fd, self.data + self.stop, self.room - self.stop)
            return self._secure(self.sock.recv_into, PyMemoryView_FromMemory(
                <char *>self.data + self.stop, self.room - self.stop, PyBUF_WRITE), &self.reading_writes)
        finally:
            self.receiving = False
            self.unlock()

    cdef Layer _layer(self):
        """The layer, while the socket has it: a handler may have unwrapped that."""
        if self.layer is not None and self.layer.unwrapped:
            self.layer = None
        return self.layer

    cdef Py_ssize_t _secure(self, object method, object octets, bint *turned) except? -3:
        """Call a TLS socket's method without waiting; its handler sees a blocking socket all the same.

        It has `turned` where it waits for the other direction.
        """
        cdef object sock = self.sock
        cdef bint reads = turned == &self.reading_writes
        turned[0] = False
        timeout = sock.gettimeout()
        try:
            sock.settimeout(0)
            try:
                return method(octets)
            finally:
                sock.settimeout(timeout)
        except OSError as error:        # also of a socket that somebody closed
            if is_wait(error):
                turned[0] = waits_to_write(error) == reads
                return AGAIN
            return 0 if reads and is_end(error) else FAILED

    # -- Sending -------------------------------------------------------------------------------

    cdef bint send(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body, Py_ssize_t length,
                   object owner) except False:
        """Send two spans in one call as far as the socket takes them, and queue the rest.

        `owner` is the bytes object that `body` lies in, or None: then what is left of it is copied. The
        caller holds the lock.
        """
        cdef Py_ssize_t count = 0
        if self.queue:
            self._flush()
        if self.broken or size + length == 0:
            return True
        if not self.queue and not self.secure:
            count = self._send_now(head, size, body, length)
            if count == FAILED:
                self.fail()
                return True
            count = max(count, 0)
            self.gone += count
        if count < size:
            self.add(head, size, None, count)
            count = size
        if count - size < length:
            self.add(body, length, owner, count - size)
        if self.secure:
            self._flush()
        return True

    cdef Py_ssize_t _send_now(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body,
                              Py_ssize_t length) noexcept:
        cdef Py_ssize_t count
        if size == 0 and length <= COPY_LIMIT:
            return fs_send(self.fd, body, length, False)
        if length == 0 and size <= COPY_LIMIT:
            return fs_send(self.fd, head, size, False)
        if size + length <= COPY_LIMIT:
            return fs_send_two(self.fd, head, size, body, length)
        with nogil:
            count = fs_send_two(self.fd, head, size, body, length)
        return count

    cdef bint add(self, const uint8_t *at, Py_ssize_t size, object owner, Py_ssize_t skip) except False:
        """Queue octets behind the first `skip`; few of them are copied behind those that wait already.

        The caller holds the lock.
        """
        cdef Piece piece = self.queue[len(self.queue) - 1] if self.queue else None
        self.queued += size - skip
        if owner is not None and size > GATHERED:
            piece = Piece.__new__(Piece)
            piece.owner = owner
            piece.at = <uint8_t *>at
            piece.size = size
            piece.sent = skip
            self._append(piece)
            return True
        if piece is None or piece.owner is not None or piece.file is not None or piece.size > COPY_LIMIT:
            piece = Piece.__new__(Piece)
            self._append(piece)
        return piece.copy(at + skip, size - skip)

    cdef bint add_range(self, Descriptor file, int64_t offset, int64_t count) except False:
        """Queue a range of a regular file. The caller holds the lock."""
        cdef Piece piece = Piece.__new__(Piece)
        piece.file = file
        piece.offset = offset
        piece.left = count
        return self._append(piece)

    cdef bint _append(self, Piece piece) except False:
        if self.queue is None:
            self.queue = deque()
        self.queue.append(piece)
        return True

    cdef int flush(self) except? -3:
        """Send from the queue: 0 when it is empty, AGAIN while the socket takes no more, FAILED.

        One large file gives way after each call that sent some of it, so that the others have their turn.
        """
        self.lock()
        try:
            return self._flush()
        finally:
            self.unlock()

    cdef int _flush(self) except? -3:
        cdef Piece piece
        cdef Py_ssize_t count
        cdef bint yielded = False
        while self.queue and not self.broken:
            piece = self.queue[0]
            if yielded and piece.file is not None:
                return AGAIN
            count = self._send_secure(piece) if self.secure else self._send_piece(piece)
            if count == AGAIN:
                return AGAIN
            if count == FAILED:
                self.fail()
            elif count > 0 and self.layer is None:
                self.gone += count
            if self.broken:             # or because a thread that reads has found it so
                break
            if piece.left == 0 and piece.sent == piece.size:
                self.queue.popleft()
            yielded = piece.file is not None
        return FAILED if self.broken else 0

    cdef Py_ssize_t _send_piece(self, Piece piece) except? -3:
        cdef Py_ssize_t count
        cdef bint more = len(self.queue) > 1
        if piece.file is not None:
            return self._send_range(piece)
        with nogil:
            count = fs_send(self.fd, piece.at + piece.sent, piece.size - piece.sent, more)
        if count > 0:
            piece.sent += count
            self.queued -= count
        return count

    cdef Py_ssize_t _send_range(self, Piece piece) except? -3:
        """One sendfile call. A file that has become shorter breaks the channel: its length was told."""
        cdef Py_ssize_t count
        cdef int file = piece.file.fd
        cdef size_t size = <size_t>min(piece.left, <int64_t>SENDFILE_CHUNK)
        # sendfile alone knows no MSG_DONTWAIT, and the socket is the handler's too: it stays as it was.
        cdef int before = fs_set_nonblocking(self.fd, True) if self.blocks else True
        with nogil:
            count = fs_sendfile(self.fd, file, piece.offset, size)
        if before == 0:
            fs_set_nonblocking(self.fd, False)
        if count > 0:
            piece.offset += count
            piece.left -= count
        if count == 0:
            self.shrunk = True
            return FAILED
        return count

    cdef Py_ssize_t _send_secure(self, Piece piece) except? -3:
        """Through the TLS socket; a file is read a part at a time, and the same part until it is sent."""
        cdef Py_ssize_t count
        if self.kernel and piece.file is not None:
            self.writing_reads = False
            return self._send_range(piece)      # as OpenSSL's SSL_sendfile() does
        if piece.sent == piece.size and not piece.load():
            self.shrunk = True
            return FAILED
        if self._layer() is not None:
            count = self._send_layered(piece.at + piece.sent, piece.size - piece.sent)
        else:
            count = self._secure(self.sock.send, PyMemoryView_FromMemory(
                <char *>piece.at + piece.sent, piece.size - piece.sent, PyBUF_READ), &self.writing_reads)
        if count > 0:
            piece.sent += count
            if piece.file is None:
                self.queued -= count
        return count

    cdef Py_ssize_t _send_layered(self, const uint8_t *at, Py_ssize_t size) except? -3:
        """Octets of the first piece; what the client has taken counts before all of them have left."""
        cdef int64_t before = self.layer.carried
        cdef Py_ssize_t count = self.layer.put(self.fd, at, size, len(self.queue) > 1)
        self.gone += self.layer.carried - before
        self.writing_reads = self.layer.reads_first
        return count

    cdef void fail(self) noexcept:
        """Nothing can be said to the peer any more."""
        self.broken = True
        self.queue = None
        self.queued = 0

    cdef bint part(self) except False:
        """All has been said: over TLS that is said too, to a client that may still listen."""
        if self._layer() is not None and not self.broken and (self.layer.over or not self.ended):
            self.layer.part(self.fd)
        return True

    cdef bint give_up(self) except False:
        """A client that does not read: what it has not taken is not kept for it in the kernel either.

        Its end is a reset then, whoever closes the socket (nginx: reset_timedout_connection).
        """
        self.fail()
        if self.sock is None:
            fs_reset_at_end(self.fd)
            return True
        with contextlib.suppress(OSError):      # closed by somebody
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True

    # -- Waiting -------------------------------------------------------------------------------

    cdef bint waits_to_read(self, bint readable) noexcept:
        """What to wait for in order to read, or to write: TLS may have to do the other first."""
        return not self.reading_writes if readable else self.writing_reads

    cdef double patience(self, double usual) except? -1:
        """How long to wait for the socket: its own timeout in seconds, where it has one, else `usual`."""
        timeout = self.sock.gettimeout() if self.sock is not None else None
        return timeout if timeout else usual

    cdef void begin_request(self, Py_ssize_t head_size) noexcept:
        """A body begins behind that many octets of what is here, and an answer is to come."""
        self.came = self.stop - self.start - head_size
        self.gone = 0
        self.awaited = self.held_up = 0

    cdef double body_deadline(self, double now, double patience) noexcept:
        """By when more of the body must have come, to who waits no longer than `patience` seconds for it."""
        return self.deadlines.moving(now, patience, self.awaited, self.came)

    cdef double answer_deadline(self, double now, double patience) noexcept:
        """By when the socket must have taken more. What another protocol says may be read at leisure."""
        if self.tunnel:
            return now + patience
        return self.deadlines.moving(now, patience, self.held_up, self.gone)

    cdef bint wait(self, bint readable, bint writable, double deadline) except False:
        """Block the calling thread until the socket is ready; `deadline` is by time.monotonic(), 0 for none.

        Raises TimeoutError past it, and whatever a signal handler raises.
        """
        cdef double began = time.monotonic()
        try:
            return self._wait(readable, writable, deadline)
        finally:
            if readable:
                self.awaited += time.monotonic() - began
            else:
                self.held_up += time.monotonic() - began

    cdef bint _wait(self, bint readable, bint writable, double deadline) except False:
        cdef int milliseconds = -1, outcome = FAILED
        cdef double left
        if readable != writable:
            readable = self.waits_to_read(readable)
            writable = not readable
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
