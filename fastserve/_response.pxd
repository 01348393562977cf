# The response head as other compiled modules see it.

from libc.stdint cimport int64_t, uint8_t


cdef class ResponseHead:
    cdef uint8_t *data              # what has been written, while `pieces` is None
    cdef Py_ssize_t length
    cdef Py_ssize_t room
    cdef list pieces                # the lines as bytes, once someone has asked for them
    cdef readonly int status        # of the status line last written, 0 for none
    cdef readonly int64_t content_length    # declared, -1 for none
    cdef readonly bint transfer_encoding    # a Transfer-Encoding field was written
    cdef readonly bint connection           # a Connection field was written
    cdef bint persistent            # the status line says HTTP/1.1 or later
    cdef bint parted                # a part of it has left
    cdef bint ended                 # its empty line was written

    cdef bint _reserve(self, Py_ssize_t length) except False
    cdef bint _add(self, const void *octets, Py_ssize_t length) except False
    cdef Py_ssize_t _put_octets(self, Py_ssize_t at, const void *octets, Py_ssize_t length) except -1
    cdef Py_ssize_t _put(self, Py_ssize_t at, str text) except -1
    cdef Py_ssize_t _put_status(self, Py_ssize_t at, int status) except -1
    cdef bint _end_line(self, Py_ssize_t length) except False
    cdef bint _endless(self, object method)
    cdef object _note_line(self, Py_ssize_t start, Py_ssize_t colon)
    cdef bytes _cut(self, Py_ssize_t start)
    cdef int _note(self, const uint8_t *name, Py_ssize_t size, const uint8_t *value,
                   Py_ssize_t length) noexcept
    cdef bint is_pending(self) noexcept
    cdef bint bodiless(self, object method)
    cdef bint part(self) except -1
    cdef bint _ends_empty(self) noexcept
    cdef bint _part_as_written(self) except -1
    cdef bint gather(self) except False
    cdef void clear(self) noexcept
    cdef bint _is_lengthless(self) noexcept
    cdef void _forget(self) noexcept
    cdef void _forget_fields(self) noexcept
