# An answer that is being read, as _drive sees it.

from libc.stdint cimport int64_t, uint8_t


cdef enum:
    LINE_ROOM = 512         # of a line that comes in pieces; what is behind it is of no interest

cdef enum AnswerPhase:
    STATUS_LINE
    FIELDS
    BODY                    # Content-Length
    UNTIL_END               # of the connection
    CHUNK_SIZE
    CHUNK
    CHUNK_END
    TRAILERS
    COMPLETE
    UNREADABLE


cdef struct Answer:
    AnswerPhase phase
    int status              # of the last head, interim ones too
    bint bodiless           # whatever its fields say: it answers HEAD
    bint coded              # it has Transfer-Encoding
    bint chunked            # the last one of these
    bint close              # the connection ends with it
    int64_t length          # Content-Length, -1 where there is none
    int64_t left            # of the body, or of a chunk
    int64_t octets          # of the body so far, chunked coding taken off
    Py_ssize_t head         # octets of lines since the last octet of a body
    Py_ssize_t filled
    uint8_t[LINE_ROOM] line     # the beginning of one whose end has not come


cdef void begin_answer(Answer *answer, bint bodiless) noexcept nogil
cdef Py_ssize_t read_answer(Answer *answer, const uint8_t *at, Py_ssize_t size) noexcept nogil
cdef bint end_answer(Answer *answer) noexcept nogil
