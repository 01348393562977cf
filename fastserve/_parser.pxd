# What other compiled modules see of the parser: its codes, and the class.

from fastserve._ascii cimport Cursor
from fastserve._head cimport Field, Framing, HeadSpans, RequestHead, Span
from libc.stdint cimport uint8_t


cdef enum Verdict:
    NEED_MORE = 0
    COMPLETE = 1


# The order is that of errors.REJECTIONS; tests/test_errors.py holds the two together.
cdef enum RejectionCode:
    NONE = 0
    BAD_REQUEST_LINE
    BAD_VERSION
    UNSUPPORTED_VERSION
    REQUEST_LINE_TOO_LONG
    BAD_LINE_END
    BAD_HEADER_NAME
    BAD_HEADER_VALUE
    FOLDED_HEADER
    HEADER_LINE_TOO_LONG
    TOO_MANY_HEADERS
    HEAD_TOO_LONG
    MISSING_HOST
    BAD_HOST
    BAD_CONTENT_LENGTH
    LENGTH_AND_TRANSFER_ENCODING
    BAD_TRANSFER_ENCODING
    UNSUPPORTED_TRANSFER_ENCODING
    REQUEST_TIMEOUT


cdef class RequestParser:
    cdef public Py_ssize_t max_line, max_headers, max_head
    cdef public bint require_host
    cdef int phase              # which part of the head `pos` stands in
    cdef int rejection          # RejectionCode, once something is wrong
    cdef Py_ssize_t pos         # everything before it has been scanned
    cdef Py_ssize_t line_start  # where the line that `pos` stands in begins
    cdef Py_ssize_t mark        # where the token or value that `pos` stands in begins
    cdef Py_ssize_t head_start  # the first octet that is not an empty line
    cdef int empty_lines
    cdef int hosts              # Host fields seen
    cdef bint host_is_bad
    cdef int codings            # TransferCodings seen
    cdef bint says_keep_alive, says_upgrade, has_upgrade
    cdef HeadSpans spans
    cdef Framing framing

    cdef int _feed(self, const uint8_t *data, Py_ssize_t size) except? -1
    cdef RequestHead _take(self, const uint8_t *data, Py_ssize_t size)
    cdef int advance(self, const uint8_t *data, Py_ssize_t size) noexcept
    cdef RequestHead release(self, const uint8_t *data, Py_ssize_t size)
    cdef void clear(self) noexcept
    cdef int _scan(self, Cursor *c) noexcept
    cdef int _skip_empty_lines(self, Cursor *c) noexcept
    cdef int _method(self, Cursor *c) noexcept
    cdef int _target(self, Cursor *c) noexcept
    cdef int _version(self, Cursor *c) noexcept
    cdef int _request_line_end(self, Cursor *c) noexcept
    cdef int _whole_fields(self, Cursor *c) noexcept
    cdef int _field_start(self, Cursor *c) noexcept
    cdef int _field_name(self, Cursor *c) noexcept
    cdef int _field_blanks(self, Cursor *c) noexcept
    cdef int _field_value(self, Cursor *c) noexcept
    cdef int _field_end(self, Cursor *c) noexcept
    cdef int _head_end(self, Cursor *c) noexcept
    cdef void _close_span(self, Span *span, Py_ssize_t end) noexcept
    cdef bint _make_room(self) noexcept
    cdef void _close_line(self, const uint8_t *data, Py_ssize_t size) noexcept
    cdef int _add_field(self, const uint8_t *head, const uint8_t *name, const uint8_t *colon,
                        const uint8_t *value, const uint8_t *stop) noexcept
    cdef int _within_limits(self, Py_ssize_t passed, int answer) noexcept
    cdef void _note(self, const uint8_t *name, Py_ssize_t name_length,
                    const uint8_t *value, Py_ssize_t length) noexcept
    cdef void _note_length(self, const uint8_t *value, Py_ssize_t length) noexcept
    cdef void _note_connection(self, const uint8_t *value, Py_ssize_t length) noexcept
    cdef void _note_codings(self, const uint8_t *value, Py_ssize_t length) noexcept
    cdef int _conclude(self) noexcept
