# A parsed request head, as other compiled modules see it.

from libc.stdint cimport int64_t, uint8_t, uint32_t


cdef struct Span:
    uint32_t start          # offset from the first octet of the buffer
    uint32_t length


cdef struct Field:
    Span name
    Span value              # without the white space around it


cdef struct Framing:        # RFC 9112 section 6 and 9.3, decided when the head is complete
    int64_t content_length  # -1: none given
    bint chunked            # the body is chunked
    bint keep_alive         # the client lets the connection stay
    bint close              # ... it asked for its end by name
    bint expect_continue    # Expect: 100-continue on HTTP/1.1
    bint upgrade            # Connection: upgrade, with an Upgrade field


cdef struct HeadSpans:
    Span line               # the request line without CRLF
    Span method
    Span target
    Span version
    uint8_t major
    uint8_t minor
    Field *fields           # owned by whoever holds the struct, unless they lie within it
    uint32_t count
    uint32_t room


cdef enum:
    FEW_FIELDS = 16         # a head with no more needs no memory of its own for them


cdef class RequestHead:
    cdef readonly int rejection     # RejectionCode; NONE for a good head
    cdef readonly bytes raw         # the head as received, empty lines before it left out
    cdef HeadSpans spans            # offsets into `raw`
    cdef Field[FEW_FIELDS] few
    cdef Framing framing
    cdef bytes opening              # the request line with its end, once asked for
    cdef tuple said                 # what request() gives, once asked for

    cdef bytes request_line(self)
    cdef bint is_repeated(self, const uint8_t *data, Py_ssize_t size) noexcept
    cdef bint may_change(self) noexcept
    cdef bint _is_method(self, const char *name, uint32_t length) noexcept
    cdef object _text(self, Span span)
    cdef object _path(self)
    cdef Py_ssize_t _find(self, const char *name, Py_ssize_t length, Py_ssize_t start) noexcept
