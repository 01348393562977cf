# TLS over memory, as _channel and _conn see it.

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t, uint8_t

cdef enum Operation:
    READ
    WRITE
    HANDSHAKE
    SHUTDOWN


cdef class Layer:
    cdef object __weakref__
    cdef object sock            # a weak reference to the socket whose _sslobj this is
    cdef object inner           # OpenSSL's object: an _ssl._SSLSocket that reads and writes memory
    cdef object incoming        # ssl.MemoryBIO: received, and not yet looked at
    cdef object outgoing        # ssl.MemoryBIO: to be sent
    cdef object decrypt         # inner.read
    cdef object encrypt         # inner.write
    cdef bint agreed            # the handshake is over, but for what we have still to send
    cdef bint parted            # we have said goodbye
    cdef bint over              # the client's stream has ended, or what it sent was no TLS
    cdef readonly bint unwrapped    # the socket is a plain one again
    # The record that the octets received end in.
    cdef uint8_t[5] header
    cdef int headed             # octets of its header that have come
    cdef Py_ssize_t missing     # octets behind that that have not
    cdef Py_ssize_t whole       # records before it that OpenSSL has not seen
    cdef bint taken_from        # a part of a record may be decrypted and not taken
    # To be sent.
    cdef list leaving           # taken out of `outgoing`: bytes objects, in order
    cdef Py_ssize_t left        # octets of the first that have been sent
    cdef Py_ssize_t owed        # octets that put() was given and encrypted, and that have not left
    cdef Py_ssize_t promised    # the same of write()
    cdef bint reads_first       # put() waits for the client's octets, not for room
    cdef int64_t carried        # octets that the socket has taken, ever
    # Other threads stay away from OpenSSL, and from the order of the octets.
    cdef PyThread_type_lock mutex
    cdef unsigned long holder   # the thread that has it, 0 for none

    cdef int shake(self, int fd) except -1
    cdef Py_ssize_t take(self, int fd, uint8_t *at, Py_ssize_t room) except? -3
    cdef Py_ssize_t put(self, int fd, const uint8_t *at, Py_ssize_t size, bint more) except? -3
    cdef bint part(self, int fd) except False
    cdef Py_ssize_t needs(self) noexcept
    cdef bint holds(self) except -1
    cdef bint lock(self) except False
    cdef void unlock(self) noexcept
    cdef bint _agree(self, int fd) except -1
    cdef bint _holds(self) except -1
    cdef Py_ssize_t _open(self, int fd, uint8_t *at, Py_ssize_t room) except? -3
    cdef Py_ssize_t _seal(self, object octets) except -1
    cdef Py_ssize_t _under_way(self) noexcept
    cdef bint _came(self, const uint8_t *at, Py_ssize_t size) except False
    cdef Py_ssize_t _fill(self, int fd) except? -3
    cdef Py_ssize_t _push(self, int fd) except? -3
    cdef Py_ssize_t _send(self, int fd) except? -3
    cdef bint _push_alert(self, int fd) except False
    cdef object _until_done(self, Operation operation, Py_ssize_t size, object buffer)
    cdef object _attempt(self, Operation operation, Py_ssize_t size, object buffer, int fd)
    cdef object _read(self, Py_ssize_t size, object buffer, int fd)
    cdef object _write(self, object data, int fd)
    cdef object _shut(self, int fd)
    cdef bint _wait(self, int fd, bint readable, double deadline, Operation operation) except False


cdef Layer layer_of(object sock)
cdef Layer layered(object sock)
cdef int shake(object sock, bint begun) except -1
cdef bint is_secure(object sock) except -1
cdef bint is_wait(object error) except -1
cdef bint waits_to_write(object error) except -1
cdef bint is_end(object error) except -1
