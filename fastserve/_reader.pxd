# rfile, as _conn sees it.

from libc.stdint cimport int64_t, uint8_t

from fastserve._chunks cimport ChunkDecoder
from fastserve._deadlines cimport Ending
from fastserve._head cimport RequestHead
from fastserve._parser cimport RequestParser
from fastserve._stream cimport Stream


cdef enum Rest:         # what stands between a request that was answered and the next one
    READY               # nothing
    DRAIN               # octets of its body that are still to arrive
    CLOSE               # nobody can tell where the next one would begin


cdef class RequestReader(Stream):
    cdef Ending ending          # of the loop, where the connection is one's
    cdef RequestParser parser
    cdef RequestHead head       # found and not yet taken, or the one the body belongs to
    cdef RequestHead last       # the one that was found before the next
    cdef bint timed_out         # the next read is to say so
    cdef int mode               # which part of a request the next octet belongs to
    cdef Py_ssize_t line_start  # where the request line begins in the buffer, behind empty lines
    cdef Py_ssize_t head_size   # octets of the head in the buffer, those empty lines counted
    cdef bytes line             # the request line as it was read, None where only a part of it was
    cdef Py_ssize_t line_size   # octets of it that were read
    cdef int64_t left           # of the body; -1 where only the end of the stream ends it
    cdef int64_t drained        # of an unread body
    cdef double missed          # when read_now() last found nothing, 0 where it did not
    cdef bint may_change        # the request asks for another protocol, and has no body
    cdef ChunkDecoder decoder   # where the body is decoded
    cdef bytes decoded          # what it gave and nobody has read
    cdef Py_ssize_t decoded_pos

    cdef RequestHead awaited_head(self)
    cdef void pass_head(self)
    cdef int look(self) except? -100
    cdef void refuse(self, int rejection)
    cdef int _found(self, const uint8_t *data, Py_ssize_t size) except? -100
    cdef int _has(self, RequestHead head, Py_ssize_t start) noexcept
    cdef bytes _head_line(self, Py_ssize_t limit)
    cdef Py_ssize_t _line_length(self) noexcept
    cdef void begin_body(self, RequestHead head)
    cdef Rest finish(self) except *
    cdef bint has_body(self, Py_ssize_t size) noexcept
    cdef void _leave_head(self) noexcept
    cdef bint _await_head(self) except -1
    cdef bint _check(self) except False
    cdef Py_ssize_t _window(self, const uint8_t **at) except -1
    cdef void _eat(self, Py_ssize_t count) noexcept
    cdef bint _more(self, bint waits=*) except -1
    cdef bint _watch(self) except False
    cdef double _body_deadline(self) except? -1
    cdef bint _decode(self) except -1
    cdef bint _fill(self, double deadline) except -1
    cdef bytes _peek_head(self)
    cdef bytes _cut(self, Py_ssize_t count)
    cdef bytes _gather(self, Py_ssize_t count)
    cdef bytes _generic_line(self, Py_ssize_t limit)
    cdef Py_ssize_t _into(self, target, bint once) except -1
    cdef bint is_spent(self) noexcept
    cdef bint is_last_head(self) except -1
    cdef bint is_last(self) except -1
    cdef bint _is_next_line(self, Py_ssize_t limit) noexcept
    cdef bint _begin_next(self) except -1
    cdef void _end(self) noexcept
