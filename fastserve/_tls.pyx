"""TLS over memory: what OpenSSL reads and writes is carried by recv and send, as plain octets are.

An ``ssl.SSLSocket`` lets OpenSSL use the descriptor itself. That reads each record in two calls, writes
each in one, and waits or does not as the descriptor's mode says, so that a loop has to change the mode before
and after every call: the handler, whose socket it is too, counts on one that blocks. A Layer takes the
place of OpenSSL's object inside such a socket (its ``_sslobj``). Beneath it OpenSSL has memory, and the
socket's own methods work as ever on top: they block, heed its timeout, and leave in the kernel what they need
not read, so that select() sees it.

Where a socket is not plainly one that a Layer can stand in, there is none, and all is done by the socket's
methods; so it is where a context asks for kernel TLS, which OpenSSL arranges on a descriptor only. It knows
no HTTP. _channel calls take() and put(), _conn calls shake(), the socket the rest.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_get_thread_ident, PyThread_release_lock,
)
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastserve._sys cimport AGAIN, FAILED, fs_encrypts, fs_poll, fs_recv, fs_send_spans, iovec

import contextlib
import os
import sys
import time
import weakref

cdef extern from "errno.h":
    int errno, EBADF, EINTR

cdef enum:
    HEADER = 5                      # of a record: its type, a version, and the length of the rest
    RECORD = 16384                  # octets that one holds at most
    SPANS = 16                      # records sent in one call
    FILLED = 16384                  # received at a time, of one record
    LEAST_ROOM = 1024               # for what comes beside the begun record
    COPY_LIMIT = 16384              # above this the GIL is released around send
    WRITTEN = 1 << 18               # of one write() encrypted at a time

# What shake() waits for, as selectors names it.
cdef enum:
    DONE = 0
    EVENT_READ = 1
    EVENT_WRITE = 2

cdef tuple NAMES = ("read", "write", "handshake", "shutdown")

# All that is ssl's is None or empty until is_known(): most servers need nothing of it.
cdef object ssl = None
cdef object SSLSocket = None
cdef object SSLObject = None
cdef object TLSWantsRead = ()
cdef object TLSWantsWrite = ()
cdef tuple TLSEnded = ()
cdef tuple WANTS = ()               # by what shake() answers
cdef dict WAITS = {}                # what ssl says with them

# SSL_OP_ENABLE_KTLS of OpenSSL 3, which Python has a name for from 3.12 on.
OP_ENABLE_KTLS = 1 << 3

# What the core goes around. Where somebody has put another in its place, on the class or a socket, it counts.
cdef tuple GONE_AROUND = ("read", "recv", "recv_into", "send", "pending", "do_handshake")
cdef list ORIGINALS = []


@cython.final
cdef class Layer:
    """In place of ``inner``, which was made by SSLContext._wrap_bio() over the two MemoryBIOs."""

    def __cinit__(self, sock, inner, incoming, outgoing):
        self.sock = weakref.ref(sock)
        self.inner = inner
        self.incoming = incoming
        self.outgoing = outgoing
        self.leaving = []
        self.decrypt = inner.read
        self.encrypt = inner.write
        self.mutex = PyThread_allocate_lock()
        if self.mutex == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.mutex != NULL:
            PyThread_free_lock(self.mutex)

    cdef bint lock(self) except False:
        """Keep other threads away from OpenSSL and the order of the octets.

        Raises RuntimeError in a signal handler that came while this thread had the lock.
        """
        if not PyThread_acquire_lock(self.mutex, NOWAIT_LOCK):
            if self.holder == PyThread_get_thread_ident():
                raise RuntimeError("reentrant call")
            with nogil:
                PyThread_acquire_lock(self.mutex, WAIT_LOCK)
        self.holder = PyThread_get_thread_ident()
        return True

    cdef void unlock(self) noexcept:
        self.holder = 0
        PyThread_release_lock(self.mutex)

    # -- From the core: nothing waits ------------------------------------------------------------

    cdef int shake(self, int fd) except -1:
        """Go on with the handshake: DONE, or the event that it waits for. Raises OSError where it fails."""
        cdef bint waits = False
        self.lock()
        try:
            while not (waits or self.agreed):
                waits = self._fill(fd) == AGAIN
                # Part of a record may show already that it is none.
                if not waits or self.incoming.pending:
                    self.agreed = self._agree(fd)
                if self._push(fd) == AGAIN:
                    return EVENT_WRITE
            if self.agreed:
                return EVENT_WRITE if self._push(fd) == AGAIN else DONE
            return EVENT_READ
        finally:
            self.unlock()

    cdef bint _agree(self, int fd) except -1:
        """Let OpenSSL look at what the client has sent; whether that was the end of the handshake."""
        self.whole = 0
        try:
            self.inner.do_handshake()
            return True
        except TLSWantsRead:
            return False
        except OSError:
            self._push_alert(fd)
            raise

    cdef Py_ssize_t take(self, int fd, uint8_t *at, Py_ssize_t room) except? -3:
        """Receive, and decrypt all that is whole: a count, 0 at the end of the stream, AGAIN or FAILED.

        `room` is at least needs().
        """
        cdef Py_ssize_t count
        if self.over:
            return 0
        self.lock()
        try:
            if not self._holds():
                # Octets are never fewer when they are encrypted: whatever comes will have room.
                count = fs_recv(fd, at, room - self._under_way())
                if count <= 0:
                    return count
                self._came(at, count)
            return self._open(fd, at, room)
        finally:
            self.unlock()

    cdef Py_ssize_t put(self, int fd, const uint8_t *at, Py_ssize_t size, bint more) except? -3:
        """Encrypt and send: how many octets, once they have left, AGAIN or FAILED.

        What has not left is to be given again. With `more` others are given next, and these leave with them.
        """
        cdef Py_ssize_t count
        self.reads_first = False
        self.lock()
        try:
            if not self.owed:
                self.owed = self._seal(PyMemoryView_FromMemory(<char *>at, size, PyBUF_READ))
            if not more and self._push(fd) == AGAIN:
                return AGAIN
            count, self.owed = self.owed, 0
            return count
        except TLSWantsRead:                # a client that wants to shake hands again
            self.reads_first = self._push(fd) != AGAIN and self._fill(fd) == AGAIN
            return AGAIN
        except OSError:
            return FAILED
        finally:
            self.unlock()

    cdef bint part(self, int fd) except False:
        """Say goodbye, where that can be said at once.

        Who is told knows that nothing was cut off, and OpenSSL keeps a session for the client's next
        connection only where one of the two has said it.
        """
        if self.parted or not self.agreed:
            return True
        self.parted = True
        self.lock()
        try:
            self.inner.shutdown()
        except OSError:                     # for one that we would have to wait for the client's
            pass
        finally:
            self._push_alert(fd)
            self.unlock()
        return True

    cdef Py_ssize_t needs(self) noexcept:
        """How much room take() must have."""
        return self._under_way() + LEAST_ROOM

    cdef bint holds(self) except -1:
        """Whether take() would give something, or the end, that the descriptor does not show."""
        return self.over or self._holds()

    cdef bint _holds(self) except -1:
        if self.taken_from:
            self.taken_from = self.inner.pending() > 0
        return self.taken_from or self.whole > 0

    # -- Records ---------------------------------------------------------------------------------

    cdef Py_ssize_t _open(self, int fd, uint8_t *at, Py_ssize_t room) except? -3:
        """Decrypt what is left of a record, and the whole ones that are here."""
        cdef Py_ssize_t total = 0, count
        cdef bint rest = self.taken_from
        try:
            while total < room and not self.over and (rest or self.whole):
                self.whole -= not rest
                rest = False
                count = self.decrypt(
                    room - total, PyMemoryView_FromMemory(<char *>at + total, room - total, PyBUF_WRITE))
                total += count
                self.over = count == 0      # a goodbye
            self.taken_from = total == room
        except TLSWantsRead:                # the last held none of the client's octets
            self.whole = 0
            self.taken_from = False
            self._push_alert(fd)
        except TLSEnded:
            self.over = True
            return total
        except OSError:
            self.over = True
            self._push_alert(fd)
            return total if total else FAILED
        return total if total or self.over else AGAIN

    cdef Py_ssize_t _under_way(self) noexcept:
        """How many octets have come of a record that is not whole."""
        if self.headed < HEADER:
            return self.headed
        return HEADER + (self.header[3] << 8 | self.header[4]) - self.missing

    cdef bint _came(self, const uint8_t *at, Py_ssize_t size) except False:
        """Give OpenSSL what was received, and see where in a record that ends."""
        cdef Py_ssize_t count
        self.incoming.write(PyBytes_FromStringAndSize(<const char *>at, size))
        while size > 0:
            if self.headed < HEADER:
                count = min(HEADER - self.headed, size)
                # SAFETY: `count` octets are there, and `header` has room for them.
                memcpy(self.header + self.headed, at, count)
                self.headed += <int>count
                self.missing = self.header[3] << 8 | self.header[4]
            else:
                count = min(self.missing, size)
                self.missing -= count
            if self.headed == HEADER and self.missing == 0:
                self.headed = 0
                self.whole += 1
            at += count
            size -= count
        return True

    cdef Py_ssize_t _fill(self, int fd) except? -3:
        """Receive the rest of a record, and nothing behind it: 1, AGAIN, or 0 at the end of the stream."""
        cdef uint8_t[FILLED] octets
        cdef Py_ssize_t count
        while True:
            count = min(self.missing, <Py_ssize_t>FILLED) if self.headed == HEADER else HEADER - self.headed
            count = fs_recv(fd, octets, count)
            if count == FAILED:
                raise OSError(errno, os.strerror(errno))
            if count == 0:
                self.incoming.write_eof()
            if count <= 0:
                return count
            self._came(octets, count)
            if self.headed == 0:
                return 1

    # -- Sending -----------------------------------------------------------------------------------

    cdef Py_ssize_t _seal(self, object octets) except -1:
        """Encrypt: how many. OpenSSL's memory never shrinks, so that it holds one record at a time."""
        cdef Py_ssize_t size = len(octets), done = 0
        if size <= RECORD:
            return self.encrypt(octets)
        try:
            while done < size:
                done += self.encrypt(octets[done:done + RECORD])
                self.leaving.append(self.outgoing.read())
        except TLSWantsRead:
            if done == 0:
                raise
        return done

    cdef Py_ssize_t _push(self, int fd) except? -3:
        """Send what OpenSSL wants sent: 0 once all of it has left, or AGAIN. Raises OSError."""
        cdef Py_ssize_t count
        cdef bytes octets = self.outgoing.read()
        if octets:
            self.leaving.append(octets)
        while self.leaving:
            count = self._send(fd)
            if count == FAILED:
                raise OSError(errno, os.strerror(errno))
            if count == AGAIN:
                return AGAIN
            self.carried += count
            self.left += count
            while self.leaving and self.left >= len(<bytes>self.leaving[0]):
                self.left -= len(<bytes>self.leaving.pop(0))
        return 0

    cdef Py_ssize_t _send(self, int fd) except? -3:
        """One call for as much of `leaving` as it takes."""
        cdef iovec[SPANS] spans
        cdef Py_ssize_t count = 0, total = -self.left
        cdef bytes octets
        for octets in self.leaving[:SPANS]:
            spans[count].iov_base = PyBytes_AS_STRING(octets)
            spans[count].iov_len = len(octets)
            total += len(octets)
            count += 1
        spans[0].iov_base = PyBytes_AS_STRING(self.leaving[0]) + self.left
        spans[0].iov_len -= self.left
        if total <= COPY_LIMIT:
            return fs_send_spans(fd, spans, count)
        with nogil:
            count = fs_send_spans(fd, spans, count)
        return count

    cdef bint _push_alert(self, int fd) except False:
        """What OpenSSL says by itself leaves if it can."""
        with contextlib.suppress(OSError):
            self._push(fd)
        return True

    # -- From the socket's methods: as its timeout says --------------------------------------------

    def read(self, Py_ssize_t size=1024, buffer=None):
        """Return octets of one record, at most ``size``, or put them into ``buffer`` and return how many."""
        return self._until_done(READ, size, buffer)

    def write(self, data):
        """Send ``data`` and return how many bytes that was."""
        cdef object view = memoryview(data).cast("B")
        cdef Py_ssize_t count = self._until_done(WRITE, 0, view[:WRITTEN])
        while count < len(view) and self.sock().gettimeout() != 0:
            count += self._until_done(WRITE, 0, view[count:count + WRITTEN])
        return count

    def do_handshake(self):
        """Make the handshake."""
        self._until_done(HANDSHAKE, 0, None)

    def shutdown(self):
        """Say goodbye, wait for the client's, and return the socket, a plain one from then on."""
        self._until_done(SHUTDOWN, 0, None)
        self.unwrapped = self.parted = True
        return self.sock()

    @property
    def context(self):
        """The ssl.SSLContext."""
        return self.inner.context

    @context.setter
    def context(self, context):
        self.inner.context = context

    @property
    def session(self):
        """The ssl.SSLSession."""
        return self.inner.session

    @session.setter
    def session(self, session):
        self.inner.session = session

    def __getattr__(self, name):
        """What only asks, OpenSSL's own object answers."""
        return getattr(self.inner, name)

    cdef object _until_done(self, Operation operation, Py_ssize_t size, object buffer):
        """Repeat until it is done, or raise what a socket with such a timeout raises."""
        cdef object result, sock = self.sock()
        cdef int fd = -1 if sock is None else sock.fileno()
        if fd < 0:
            raise OSError(EBADF, os.strerror(EBADF))
        timeout = sock.gettimeout()
        cdef double deadline = time.monotonic() + timeout if timeout else 0
        while True:
            result = self._attempt(operation, size, buffer, fd)
            if result is not TLSWantsRead and result is not TLSWantsWrite:
                return result
            if timeout == 0:
                raise result(*WAITS[result])
            self._wait(fd, result is TLSWantsRead, deadline, operation)

    cdef object _attempt(self, Operation operation, Py_ssize_t size, object buffer, int fd):
        """One attempt: a result, or the class of the exception that says what has to be waited for."""
        if operation == HANDSHAKE:
            return WANTS[self.shake(fd)]
        self.lock()
        try:
            if operation == READ:
                return self._read(size, buffer, fd)
            if operation == WRITE:
                return self._write(buffer, fd)
            return self._shut(fd)
        finally:
            self.unlock()

    cdef object _read(self, Py_ssize_t size, object buffer, int fd):
        while True:
            if size > 0 and not self._holds() and self._fill(fd) == AGAIN:
                return TLSWantsRead
            self.whole -= self.whole > 0 and not self.taken_from
            self.taken_from = True
            try:
                return self.decrypt(size) if buffer is None else self.decrypt(size, buffer)
            except TLSWantsRead:            # the record held none of the client's octets
                self.whole = 0
                if self._push(fd) == AGAIN:
                    return TLSWantsWrite

    cdef object _write(self, object data, int fd):
        cdef Py_ssize_t count
        while not self.promised and len(data):
            try:
                self.promised = self._seal(data)
            except TLSWantsRead:            # a client that wants to shake hands again
                if self._push(fd) == AGAIN:
                    return TLSWantsWrite
                if self._fill(fd) == AGAIN:
                    return TLSWantsRead
        if self._push(fd) == AGAIN:
            return TLSWantsWrite
        count, self.promised = self.promised, 0
        return count

    cdef object _shut(self, int fd):
        while True:
            try:
                self.inner.shutdown()
                return TLSWantsWrite if self._push(fd) == AGAIN else None
            except TLSWantsRead:
                if self._push(fd) == AGAIN:
                    return TLSWantsWrite
                if self._fill(fd) == AGAIN:
                    return TLSWantsRead

    cdef bint _wait(self, int fd, bint readable, double deadline, Operation operation) except False:
        """Block until the socket is ready. Raises TimeoutError, and whatever a signal handler raises."""
        cdef int milliseconds = -1, outcome = FAILED
        cdef double left
        while outcome <= 0:
            if deadline:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"The {NAMES[operation]} operation timed out")
                milliseconds = <int>min(left * 1000 + 1, 1e9)
            with nogil:
                outcome = fs_poll(fd, readable, not readable, milliseconds)
            if outcome == FAILED and errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            PyErr_CheckSignals()
        return True


# -- Sockets ---------------------------------------------------------------------------------------


cdef bint is_known() except -1:
    """Whether ssl is, as it is when somebody first asks after it has been imported.

    Before that nobody can have a TLS socket, and importing it takes as long as all of the core.
    """
    global ssl, SSLSocket, SSLObject, TLSWantsRead, TLSWantsWrite, TLSEnded, WANTS, WAITS, ORIGINALS
    if ssl is not None:
        return True
    if sys.modules.get("ssl") is None:      # None: somebody forbids it
        return False
    import ssl as module                    # whole, where another thread is at it

    from _ssl import _SSLSocket as SSLObject

    SSLSocket = module.SSLSocket
    TLSWantsRead, TLSWantsWrite = module.SSLWantReadError, module.SSLWantWriteError
    TLSEnded = (module.SSLZeroReturnError, module.SSLEOFError)
    WANTS = (None, TLSWantsRead, TLSWantsWrite)
    WAITS = {
        TLSWantsRead: (module.SSL_ERROR_WANT_READ, "The operation did not complete (read)"),
        TLSWantsWrite: (module.SSL_ERROR_WANT_WRITE, "The operation did not complete (write)"),
    }
    ORIGINALS = [(name, vars(SSLSocket)[name]) for name in GONE_AROUND]
    ssl = module                            # last, as other threads see it
    return True


def ssl_socket():
    """Return the class ssl.SSLSocket; None as long as nobody has imported ssl."""
    return SSLSocket if is_known() else None


cdef bint is_secure(object sock) except -1:
    return is_known() and isinstance(sock, SSLSocket)


cdef bint is_wait(object error) except -1:
    """Whether a TLS socket would have to wait."""
    return is_known() and isinstance(error, (TLSWantsRead, TLSWantsWrite))


cdef bint waits_to_write(object error) except -1:
    return is_known() and isinstance(error, TLSWantsWrite)


cdef bint is_end(object error) except -1:
    """Whether a TLS socket has come to the end of what the client sends."""
    return is_known() and isinstance(error, TLSEnded)


cdef Layer layer_of(object sock):
    """The Layer that stands in a socket, or None."""
    inner = getattr(sock, "_sslobj", None)
    return inner if type(inner) is Layer else None


cdef Layer layered(object sock):
    """Put a Layer into a TLS socket that has not begun its handshake; None where that cannot be."""
    if not _is_plainly_tls(sock):
        return None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = sock.context._wrap_bio(incoming, outgoing, True, None, owner=sock)
    sock._sslobj = Layer(sock, inner, incoming, outgoing)
    return sock._sslobj


cdef bint _is_plainly_tls(object sock) except -1:
    """Whether all that it does is done by ssl's own methods, and nothing has been done yet."""
    if not is_known() or type(sock) is not SSLSocket:
        return False
    if not sock.server_side or type(sock._sslobj) is not SSLObject:
        return False
    if sock.context.options & OP_ENABLE_KTLS:
        return False
    for name, original in ORIGINALS:
        if vars(SSLSocket).get(name) is not original or name in vars(sock):
            return False
    return sock._sslobj.shared_ciphers() is None


cdef int shake(object sock, bint begun) except -1:
    """Make a handshake as far as what has come goes: EVENT_READ or EVENT_WRITE, which to wait for, or DONE.

    ``begun``: it is not the first time for this socket. Raises OSError where it fails.
    """
    cdef Layer layer = layer_of(sock) if begun else layered(sock)
    if layer is not None:
        return layer.shake(sock.fileno())
    timeout = sock.gettimeout()
    try:
        sock.settimeout(0)
        try:
            sock.do_handshake()
        finally:
            sock.settimeout(timeout)
    except OSError as error:
        if not is_wait(error):
            raise
        return EVENT_WRITE if waits_to_write(error) else EVENT_READ
    return DONE


def kernel_encrypts(sock):
    """Whether what is written to the descriptor of a TLS socket leaves encrypted: OpenSSL asked for that."""
    return bool(sock.context.options & OP_ENABLE_KTLS) and fs_encrypts(sock.fileno()) != 0
