"""The chunked transfer coding (RFC 9112 section 7.1), taken off a body that arrives in any pieces.

Strict: hexadecimal digits that do not wrap, CRLF exactly, extensions and trailers checked, bounded and
dropped. Knows octets and no I/O; _reader calls it.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memcpy

from fastserve._ascii cimport (
    FIELD, HEX, TOKEN, Cursor, has_more, is_a, lower, peek, skip_blanks, skip_class, step,
)

from fastserve import limits

cdef int MAX_CHUNK_DIGITS = limits.MAX_CHUNK_DIGITS
cdef Py_ssize_t MAX_CHUNK_LINE = limits.MAX_CHUNK_LINE
cdef Py_ssize_t MAX_TRAILERS = limits.MAX_TRAILERS

cdef enum ChunkPhase:
    SIZE
    SIZE_END
    EXTENSION
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER_START
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    AFTER_CHUNKS
    BROKEN


@cython.final
cdef class ChunkDecoder:
    """Takes the chunked coding off a body that arrives in any pieces (RFC 9112 7.1).

    Extensions and trailers are bounded and dropped.
    """

    def feed(self, data):
        """Decode ``data`` (bytes-like, what follows what was consumed before).

        Returns (decoded, consumed): bytes and the count of octets used, which is less than
        ``len(data)`` only past the end of the body. Raises ValueError where the coding is broken.
        """
        cdef Py_buffer view
        cdef Cursor c
        cdef bytes out
        cdef Py_ssize_t written
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            c.base = <const uint8_t *>view.buf
            c.pos = 0
            c.end = view.len
            out = PyBytes_FromStringAndSize(NULL, view.len)
            written = self.advance(&c, <uint8_t *>PyBytes_AS_STRING(out))
            return out[:written], c.pos
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t advance(self, Cursor *c, uint8_t *out) except -1:
        """Decode into `out`, which has room for every octet of the cursor; returns how many it got."""
        cdef Py_ssize_t written = 0
        cdef bint good = True
        while good and has_more(c) and not self.done:
            if self.phase == DATA:
                written += self._copy(c, out + written)
            elif self.phase == SIZE:
                good = self._size(c)
            elif self.phase == SIZE_END:
                good = self._size_end(c)
            elif self.phase == EXTENSION:
                good = self._extension(c)
            elif self.phase == SIZE_LF:
                good = self._expect(c, c'\n', DATA if self.left else TRAILER_START)
            elif self.phase == DATA_CR:
                good = self._expect(c, c'\r', DATA_LF)
            elif self.phase == DATA_LF:
                good = self._expect(c, c'\n', SIZE)
            elif self.phase == LAST_LF:
                good = self._expect(c, c'\n', AFTER_CHUNKS)
                self.done = good
            else:
                good = self._trailer(c)
        if not good or self.phase == BROKEN:
            self.phase = BROKEN
            raise ValueError("broken chunked coding")
        return written

    cdef Py_ssize_t _copy(self, Cursor *c, uint8_t *out) noexcept:
        cdef Py_ssize_t length = <Py_ssize_t>min(self.left, <int64_t>(c.end - c.pos))
        # SAFETY: length octets stand between pos and end, and `out` has room for all of the cursor's.
        memcpy(out, c.base + c.pos, length)
        c.pos += length
        self.left -= length
        if self.left == 0:
            self.phase = DATA_CR
        return length

    cdef int _size(self, Cursor *c) noexcept:
        """1*HEXDIG, which may not wrap (CVE-2025-22871 and its kin)."""
        cdef uint8_t octet = peek(c)
        if is_a(octet, HEX):
            if self.left > (INT64_MAX >> 4) or self.digits >= MAX_CHUNK_DIGITS:
                return False
            self.left = (self.left << 4) | (octet - c'0' if octet <= c'9' else lower(octet) - c'a' + 10)
            self.digits += 1
            step(c)
            return True
        self.line = self.digits
        self.phase = SIZE_END
        return self.digits > 0

    cdef int _size_end(self, Cursor *c) noexcept:
        """White space may stand before an extension's semicolon, and nothing else may."""
        cdef Py_ssize_t start = c.pos
        cdef bint more = skip_blanks(c)
        if not self._count(c.pos - start, MAX_CHUNK_LINE):
            return False
        if more:
            self.phase = EXTENSION
        return not more or peek(c) == c';' or (peek(c) == c'\r' and self.line == self.digits)

    cdef int _extension(self, Cursor *c) noexcept:
        """Whatever a field value may hold, up to the CR."""
        cdef Py_ssize_t start = c.pos
        cdef bint more = skip_class(c, FIELD)
        if not self._count(c.pos - start, MAX_CHUNK_LINE):
            return False
        return self._expect(c, c'\r', SIZE_LF) if more else True

    cdef int _trailer(self, Cursor *c) noexcept:
        """Field lines, bounded together with their ends, up to an empty one."""
        cdef Py_ssize_t start = c.pos
        cdef bint good = self._trailer_part(c)
        return good and (self.phase == LAST_LF or self._count(c.pos - start, MAX_TRAILERS))

    cdef int _trailer_part(self, Cursor *c) noexcept:
        """`digits` counts the octets of the name, which may not be empty."""
        cdef Py_ssize_t start = c.pos
        if self.phase == TRAILER_LF:
            return self._expect(c, c'\n', TRAILER_START)
        if self.phase == TRAILER_VALUE:
            return self._expect(c, c'\r', TRAILER_LF) if skip_class(c, FIELD) else True
        if self.phase == TRAILER_START and peek(c) == c'\r':
            return self._expect(c, c'\r', LAST_LF)
        self.phase = TRAILER_NAME
        cdef bint more = skip_class(c, TOKEN)
        self.digits += c.pos > start
        if not more:
            return True
        return self.digits > 0 and self._expect(c, c':', TRAILER_VALUE)

    cdef bint _count(self, Py_ssize_t octets, Py_ssize_t most) noexcept:
        self.line += octets
        return self.line <= most

    cdef int _expect(self, Cursor *c, uint8_t octet, int next_phase) noexcept:
        if peek(c) != octet:
            return False
        step(c)
        if self.phase == SIZE_LF:
            self.line = 0
        if next_phase == SIZE or next_phase == TRAILER_START:
            self.digits = 0
        self.phase = next_phase
        return True
