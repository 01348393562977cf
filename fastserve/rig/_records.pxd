# What a run of the load driver leaves, as _drive writes it down.

from cpython cimport array
from libc.stdint cimport int32_t, int64_t


cdef enum Error:
    CONNECT                     # no connection could be made
    READ                        # it broke, or what came is no answer
    TIMEOUT                     # no answer, or no end of one, in time
    STATUS                      # another one than was expected
    LENGTH                      # of the body: another one than was expected
    ERROR_KINDS

cdef enum:
    CODES = 1000                # that a status can be


cdef class Records:
    cdef int64_t most           # for which there is room
    cdef array.array arrays_of_ns, arrays_of_numbers    # one behind the other; they own the memory
    cdef int64_t *latencies
    cdef int64_t *uncorrecteds
    cdef int64_t *first_bytes
    cdef int64_t *intendeds
    cdef int32_t *requests
    cdef int64_t[ERROR_KINDS] errors_seen
    cdef int64_t[CODES] statuses_seen
    cdef int64_t answered               # other threads read it
    cdef readonly int64_t sent
    cdef readonly int64_t unsent
    cdef readonly int64_t octets
    cdef readonly int64_t opened
    cdef readonly int64_t reopened
    cdef readonly int64_t late
    cdef readonly int64_t most_late
    cdef readonly int64_t duration      # ns
    cdef int64_t idle                   # ns without anything to do
    cdef int64_t ran                    # ns, all

    cdef bint is_full(self) noexcept nogil
    cdef int64_t failed(self) noexcept nogil
    cdef void see(self, int status) noexcept nogil
    cdef void fail(self, Error kind) noexcept nogil
    cdef void note(self, int request, int64_t intended, int64_t sent, int64_t first,
                   int64_t done) noexcept nogil
    cdef object _ns(self, int which)
