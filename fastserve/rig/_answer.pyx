"""Where an answer ends, and what its status is (RFC 9112): all that a load driver wants to know of it.

Octets come in any pieces. Of the fields only those are looked at that tell where the body ends; interim
answers (1xx) are passed over. Knows octets and no connection. _drive calls it; AnswerReader is the same for
Python.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp, memcpy

from fastserve._ascii cimport DIGIT, HEX, is_a, lower, same_nocase

cdef enum:
    MOST_HEAD = 1 << 20         # octets of a head, or of what stands between two chunks
    MOST_DIGITS = 18            # of a Content-Length
    MOST_HEX_DIGITS = 15


# -- What _drive calls -------------------------------------------------------------------------------


cdef void begin_answer(Answer *answer, bint bodiless) noexcept nogil:
    """Expect an answer; ``bodiless``: to HEAD."""
    answer.phase = STATUS_LINE
    answer.bodiless = bodiless
    answer.octets = answer.left = 0
    answer.head = answer.filled = 0
    answer.status = 0
    _begin_head(answer)


cdef Py_ssize_t read_answer(Answer *answer, const uint8_t *at, Py_ssize_t size) noexcept nogil:
    """Read on. Returns how many octets are its own: fewer than `size` where it has become COMPLETE or
    UNREADABLE.
    """
    cdef Py_ssize_t pos = 0
    # SAFETY: neither _skip() nor _read_line() takes more than it is given.
    while pos < size and answer.phase < COMPLETE:
        if answer.phase == BODY or answer.phase == CHUNK or answer.phase == UNTIL_END:
            pos += _skip(answer, size - pos)
        else:
            pos += _read_line(answer, at + pos, size - pos)
    return pos


cdef bint end_answer(Answer *answer) noexcept nogil:
    """The connection has ended. Returns whether the answer has done so too."""
    if answer.phase == UNTIL_END:
        answer.phase = COMPLETE
    return answer.phase == COMPLETE


# -- Inside ------------------------------------------------------------------------------------------


cdef void _begin_head(Answer *answer) noexcept nogil:
    answer.coded = answer.chunked = answer.close = False
    answer.length = -1


cdef Py_ssize_t _skip(Answer *answer, Py_ssize_t size) noexcept nogil:
    """Pass over a part of the body."""
    cdef Py_ssize_t count = size
    answer.head = 0
    if answer.phase != UNTIL_END:
        count = <Py_ssize_t>min(<int64_t>size, answer.left)
        answer.left -= count
        if answer.left == 0:
            answer.phase = COMPLETE if answer.phase == BODY else CHUNK_END
    answer.octets += count
    return count


cdef Py_ssize_t _read_line(Answer *answer, const uint8_t *at, Py_ssize_t size) noexcept nogil:
    """Read a line, or what is here of it."""
    cdef const uint8_t *end = <const uint8_t *>memchr(at, c'\n', size)
    cdef Py_ssize_t length = size if end == NULL else end - at
    cdef Py_ssize_t kept = min(length, LINE_ROOM - answer.filled)
    answer.head += length
    if answer.head > MOST_HEAD:
        answer.phase = UNREADABLE
    elif end != NULL and answer.filled == 0:
        _take_line(answer, at, length)
    else:
        # SAFETY: the line has room for `kept` octets more, and there are so many.
        memcpy(&answer.line[answer.filled], at, kept)
        answer.filled += kept
        if end != NULL:
            kept, answer.filled = answer.filled, 0
            _take_line(answer, answer.line, kept)
    return length + (end != NULL)


cdef void _take_line(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    """A line without its LF."""
    cdef bint good = True
    # SAFETY: length is above 0 where an octet is looked at.
    if length > 0 and at[length - 1] == c'\r':
        length -= 1
    if answer.phase == STATUS_LINE:
        good = _take_status(answer, at, length)
    elif answer.phase == CHUNK_SIZE:
        good = _take_size(answer, at, length)
    elif answer.phase == CHUNK_END:
        good = length == 0
        answer.phase = CHUNK_SIZE
    elif length == 0:
        _end_fields(answer)
    elif answer.phase == FIELDS:
        good = _take_field(answer, at, length)
    if not good:
        answer.phase = UNREADABLE


cdef bint _take_status(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    # SAFETY: no octet beyond the twelfth is looked at unless it is there.
    cdef int i
    if length < 12 or memcmp(at, b"HTTP/1.", 7) != 0 or not is_a(at[7], DIGIT) or at[8] != c' ':
        return False
    answer.status = 0
    for i in range(9, 12):
        if not is_a(at[i], DIGIT):
            return False
        answer.status = answer.status * 10 + at[i] - c'0'
    answer.close = at[7] == c'0'
    answer.phase = FIELDS
    return answer.status >= 100 and (length == 12 or at[12] == c' ')


cdef bint _take_field(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    cdef const uint8_t *colon = <const uint8_t *>memchr(at, c':', length)
    cdef Py_ssize_t name, start
    if at[0] == c' ' or at[0] == c'\t':     # obsolete folding
        return True
    if colon == NULL:
        return False
    # SAFETY: both ends stay within the line.
    name = colon - at
    start = name + 1
    while start < length and (at[start] == c' ' or at[start] == c'\t'):
        start += 1
    while length > start and (at[length - 1] == c' ' or at[length - 1] == c'\t'):
        length -= 1
    if name == 14 and same_nocase(at, b"content-length", 14):
        return _take_length(answer, at + start, length - start)
    if name == 17 and same_nocase(at, b"transfer-encoding", 17):
        answer.coded = True
        answer.chunked = length - start >= 7 and same_nocase(at + length - 7, b"chunked", 7)
    elif name == 10 and same_nocase(at, b"connection", 10):
        _take_options(answer, at + start, length - start)
    return True


cdef bint _take_length(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    """Content-Length; two that differ are none."""
    cdef int64_t value = 0
    cdef Py_ssize_t i
    if not 0 < length <= MOST_DIGITS:
        return False
    for i in range(length):
        if not is_a(at[i], DIGIT):
            return False
        value = value * 10 + at[i] - c'0'
    if answer.length >= 0 and answer.length != value:
        return False
    answer.length = value
    return True


cdef void _take_options(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    """Connection: a list of words, of which two tell whether it stays."""
    cdef Py_ssize_t start = 0, end
    # SAFETY: start and end stay within the value.
    while start < length:
        end = start
        while end < length and at[end] != c',':
            end += 1
        while start < end and (at[start] == c' ' or at[start] == c'\t'):
            start += 1
        if end - start >= 5 and same_nocase(at + start, b"close", 5):
            answer.close = True
        elif end - start >= 10 and same_nocase(at + start, b"keep-alive", 10):
            answer.close = False
        start = end + 1


cdef void _end_fields(Answer *answer) noexcept nogil:
    """RFC 9112 6.3."""
    cdef bint switches = answer.status == 101
    if answer.phase == TRAILERS:
        answer.phase = COMPLETE
    elif answer.status < 200 and not switches:
        _begin_head(answer)
        answer.phase = STATUS_LINE
    elif answer.bodiless or switches or answer.status == 204 or answer.status == 304:
        answer.close |= switches
        answer.phase = COMPLETE
    elif answer.chunked:
        answer.phase = CHUNK_SIZE
    elif answer.length >= 0 and not answer.coded:
        answer.left = answer.length
        answer.phase = BODY if answer.left else COMPLETE
    else:
        answer.close = True
        answer.phase = UNTIL_END


cdef bint _take_size(Answer *answer, const uint8_t *at, Py_ssize_t length) noexcept nogil:
    """The size of a chunk; extensions are passed over."""
    cdef int64_t value = 0
    cdef Py_ssize_t i = 0
    cdef uint8_t octet
    # SAFETY: i is below length wherever an octet is looked at.
    while i < length and is_a(at[i], HEX):
        octet = lower(at[i])
        value = value << 4 | (octet - c'0' if octet <= c'9' else octet - c'a' + 10)
        i += 1
        if i > MOST_HEX_DIGITS:
            return False
    answer.left = value
    answer.phase = CHUNK if value else TRAILERS
    return i > 0 and (i == length or at[i] == c';' or at[i] == c' ' or at[i] == c'\t')


# -- For Python --------------------------------------------------------------------------------------


@cython.final
cdef class AnswerReader:
    """Reads one answer in any pieces; ``bodiless``: to a request with HEAD."""

    cdef Answer answer

    def __init__(self, bint bodiless=False):
        begin_answer(&self.answer, bodiless)

    def feed(self, bytes data not None):
        """Read on. Returns how many octets are the answer's own (int): fewer than there are where it has
        ended, or cannot be read.
        """
        return read_answer(&self.answer, data, len(data))

    def end(self):
        """The connection has ended. Returns whether the answer has done so too (bool)."""
        return end_answer(&self.answer)

    @property
    def status(self):
        """The status code (int), 0 before the status line."""
        return self.answer.status

    @property
    def octets(self):
        """How many octets of the body have come (int), chunked coding taken off."""
        return self.answer.octets

    @property
    def complete(self):
        """Whether all of it has come (bool)."""
        return self.answer.phase == COMPLETE

    @property
    def unreadable(self):
        """Whether it is no answer of HTTP/1 (bool)."""
        return self.answer.phase == UNREADABLE

    @property
    def close(self):
        """Whether the connection ends with it (bool)."""
        return bool(self.answer.close)
