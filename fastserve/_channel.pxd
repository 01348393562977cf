# A connected socket and its two buffers, as _reader, _writer and _conn see them.

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t, uint8_t

from fastserve._deadlines cimport Deadlines
from fastserve._tls cimport Layer


cdef class Descriptor:
    cdef int fd


cdef Descriptor duplicate(int file)


cdef class Piece:
    cdef bytes owner        # the object whose octets are to be sent, or None: then `at` is the piece's own
    cdef uint8_t *at        # what is to be sent, or the part of a file that was read for TLS
    cdef Py_ssize_t size    # octets there
    cdef Py_ssize_t room
    cdef Py_ssize_t sent    # of `size`
    cdef Descriptor file    # None: octets in memory
    cdef int64_t offset     # of the next octet to read from it
    cdef int64_t left       # octets of the file still to send

    cdef bint copy(self, const uint8_t *octets, Py_ssize_t size) except False
    cdef bint _reserve(self, Py_ssize_t size) except False
    cdef bint load(self) except -1


cdef class Channel:
    cdef object sock            # keeps the descriptor open; whoever made the channel closes it. Or None
    cdef int fd
    cdef bint blocks            # the descriptor may have a socket, which is to behave as a blocking one
    cdef int streams            # open ones: for them the descriptor stays, whoever closes the socket
    cdef bint driven            # a loop needs the descriptor longer than they do
    cdef bint secure            # a TLS socket: only its layer, or its own methods, may touch the descriptor
    cdef Layer layer            # of a TLS socket that has one, or None
    cdef bint kernel            # the kernel encrypts what is written to the descriptor
    cdef bint ended             # the peer has ended its stream
    cdef bint broken            # nothing can be sent or received any more
    cdef bint shrunk            # that is so because a file that was being sent has become shorter
    cdef bint reading_writes    # TLS must write before it can read
    cdef bint writing_reads     # or the other way round
    cdef bint tunnel            # another protocol has begun: HTTP's framing counts no more
    cdef bint answered          # a response to the request whose body is being read has begun
    cdef Deadlines deadlines
    # Of the request whose body is being read, and its answer: what begin_request() sets to nothing.
    cdef int64_t came           # octets received since the body began
    cdef double awaited         # seconds we waited for them
    cdef int64_t gone           # octets that the socket has taken since then
    cdef double held_up         # seconds we waited for that
    # Received: data[start:stop], in a buffer that exists only while it holds something.
    cdef uint8_t *data
    cdef Py_ssize_t start
    cdef Py_ssize_t stop
    cdef Py_ssize_t room
    cdef bint receiving         # into the buffer, without the GIL
    # To be sent: under the lock.
    cdef int users              # threads that have the lock or wait for it
    cdef unsigned long holder   # the one that has it, 0 for none
    cdef PyThread_type_lock turn    # locked; one who leaves unlocks it for one who waits
    cdef object queue           # a deque of Piece
    cdef int64_t queued         # octets of all pieces that lie in memory

    cdef bint lock(self) except False
    cdef bint _wait_for_turn(self) except False
    cdef void unlock(self) noexcept
    cdef bint stream_closed(self) except False
    cdef bint let_go(self) except False
    cdef bint carry(self, object sock) except False
    cdef bint preload(self, const uint8_t *octets, Py_ssize_t size) except False
    cdef Py_ssize_t receive(self) except? -3
    cdef bint has_more(self) except -1
    cdef bint hides(self) except -1
    cdef void consume(self, Py_ssize_t count) noexcept
    cdef bint send(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body, Py_ssize_t length,
                   object owner) except False
    cdef bint add_range(self, Descriptor file, int64_t offset, int64_t count) except False
    cdef int flush(self) except? -3
    cdef int _flush(self) except? -3
    cdef bint wait(self, bint readable, bint writable, double deadline) except False
    cdef bint _wait(self, bint readable, bint writable, double deadline) except False
    cdef bint waits_to_read(self, bint readable) noexcept
    cdef double patience(self, double usual) except? -1
    cdef void begin_request(self, Py_ssize_t head_size) noexcept
    cdef double body_deadline(self, double now, double patience) noexcept
    cdef double answer_deadline(self, double now, double patience) noexcept
    cdef void fail(self) noexcept
    cdef bint part(self) except False
    cdef bint give_up(self) except False
    cdef bint _make_room(self, Py_ssize_t least) except False
    cdef void _release(self) noexcept
    cdef Py_ssize_t _receive_secure(self) except? -3
    cdef Layer _layer(self)
    cdef Py_ssize_t _send_layered(self, const uint8_t *at, Py_ssize_t size) except? -3
    cdef Py_ssize_t _secure(self, object method, object octets, bint *turned) except? -3
    cdef Py_ssize_t _send_now(self, const uint8_t *head, Py_ssize_t size, const uint8_t *body,
                              Py_ssize_t length) noexcept
    cdef Py_ssize_t _send_secure(self, Piece piece) except? -3
    cdef Py_ssize_t _send_piece(self, Piece piece) except? -3
    cdef Py_ssize_t _send_range(self, Piece piece) except? -3
    cdef bint _append(self, Piece piece) except False
    cdef bint add(self, const uint8_t *at, Py_ssize_t size, object owner, Py_ssize_t skip) except False
