# What _reader and _writer share.

from fastserve._channel cimport Channel


cdef class Stream:
    cdef Channel channel
    cdef readonly bint closed
