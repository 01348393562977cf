# The chunked coding, as other compiled modules see it.

from fastserve._ascii cimport Cursor
from libc.stdint cimport int64_t, uint8_t


cdef class ChunkDecoder:
    cdef int phase
    cdef int64_t left           # octets of the current chunk still to come
    cdef int digits             # octets of the size, or parts of the trailer's name, read so far
    cdef Py_ssize_t line        # octets of the size line or trailer section so far
    cdef readonly bint done     # the last chunk and its trailers have been read

    cdef Py_ssize_t advance(self, Cursor *c, uint8_t *out) except -1
    cdef Py_ssize_t _copy(self, Cursor *c, uint8_t *out) noexcept
    cdef int _size(self, Cursor *c) noexcept
    cdef int _expect(self, Cursor *c, uint8_t octet, int next_phase) noexcept
    cdef int _size_end(self, Cursor *c) noexcept
    cdef int _extension(self, Cursor *c) noexcept
    cdef int _trailer(self, Cursor *c) noexcept
    cdef int _trailer_part(self, Cursor *c) noexcept
    cdef bint _count(self, Py_ssize_t octets, Py_ssize_t most) noexcept
