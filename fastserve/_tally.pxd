# Counts of answers and connections, as those who count see them.

from libc.stdint cimport int64_t


cdef enum:
    METHODS_COUNTED = 8
    CODES_COUNTED = 512     # from FIRST_CODE on; the first of them stands for all others
    FIRST_CODE = 99
    ANSWERS = METHODS_COUNTED * CODES_COUNTED


# A row's cells: one for each method and code, and behind them these.
cdef enum Cell:
    BODY_OCTETS = ANSWERS
    CONNECTIONS             # that have begun
    TURNED_AWAY
    HITS                    # answers that were sent from recordings
    OPEN                    # connections; from here on what the owner has just now
    RECORDINGS
    RECORDED_OCTETS
    RECORDED_FILES
    OWNER                   # a process id, 0 for none
    ROW_CELLS = ANSWERS + 512    # whole pages


cdef class Tally:
    cdef Py_buffer memory
    cdef int64_t *base          # of its first row
    cdef int64_t *cells         # of the row that counts here
    cdef readonly Py_ssize_t rows

    cdef void add(self, Cell cell, int64_t count) noexcept
    cdef void put(self, Cell cell, int64_t count) noexcept
    cdef void answer(self, int cell, int64_t octets) noexcept
    cdef int64_t *_row(self, Py_ssize_t row) except NULL
    cdef int64_t _sum(self, Py_ssize_t cell) except -1


cdef int cell_of(object method, int status) except -1
