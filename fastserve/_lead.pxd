# Which thread leads, as serving._driver asks.

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport uint64_t


cdef class Lead:
    cdef uint64_t word              # run and phase
    cdef uint64_t asleep            # whether the next run has to wake the watcher
    cdef uint64_t rung              # whether its watch() is to end
    cdef uint64_t wanted            # whether it wants the lead for itself
    cdef uint64_t seen              # the word, as the watcher saw it last
    cdef int quiet                  # for how many looks it has been the same
    cdef unsigned long leader       # the thread, 0 for none
    cdef object conn                # whose handler is run, from enter() to leave()
    cdef PyThread_type_lock alarm   # wakes the watcher
    cdef PyThread_type_lock vacancy     # wakes the reserve

    cdef void begin_run(self, object conn) noexcept
    cdef bint end_run(self) noexcept
    cdef bint _watch(self) noexcept nogil
    cdef void _look(self) noexcept nogil
    cdef bint _sleep(self) noexcept nogil
