"""Counts of what a server has done, in memory that its processes may share.

Each process counts in a row of its own, and whoever is asked adds them up. What has been counted stays when
the process has ended, and the next one goes on from there: a sum never becomes less. What a process only has
for the moment, such as connections, counts as long as it owns the row.

It knows numbers and memory. Who made the memory, and whether the owner of a row is alive, serving.metrics
knows. _conn, _writer and _files count; where nobody wants to know, they have None.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t

cdef extern from *:
    """
    /* Rows may have two owners when there are more processes than rows. */
    static inline void fs_count(int64_t *cell, int64_t count)
    {
        __atomic_fetch_add(cell, count, __ATOMIC_RELAXED);
    }
    static inline void fs_put(int64_t *cell, int64_t count)
    {
        __atomic_store_n(cell, count, __ATOMIC_RELAXED);
    }
    static inline int64_t fs_get(const int64_t *cell)
    {
        return __atomic_load_n(cell, __ATOMIC_RELAXED);
    }
    static inline int fs_swap(int64_t *cell, int64_t before, int64_t after)
    {
        return __atomic_compare_exchange_n(cell, &before, after, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    """
    void fs_count(int64_t *cell, int64_t count) noexcept
    void fs_put(int64_t *cell, int64_t count) noexcept
    int64_t fs_get(const int64_t *cell) noexcept
    bint fs_swap(int64_t *cell, int64_t before, int64_t after) noexcept

# The label of a method; whatever else clients may think of is one, so that they cannot make the table grow.
METHODS = ("other", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
TOTALS = ("body_octets", "connections", "turned_away", "hits")
GAUGES = ("open", "recordings", "recorded_octets", "recorded_files")
ROW_SIZE = ROW_CELLS * sizeof(int64_t)

cdef dict NUMBERS = {name: number for number, name in enumerate(METHODS)}


cdef int cell_of(object method, int status) except -1:
    """The cell for answers with that status to requests with that method (str or None)."""
    cdef int number = NUMBERS.get(method, 0)
    cdef int code = status - FIRST_CODE
    return number * CODES_COUNTED + (code if 0 < code < CODES_COUNTED else 0)


@cython.final
cdef class Tally:
    """``memory`` is a writable buffer, zeros at first: ROW_SIZE octets for each row. It counts in the first.

    Raises ValueError where there is not room for one.
    """

    def __cinit__(self, memory):
        PyObject_GetBuffer(memory, &self.memory, PyBUF_WRITABLE)
        self.rows = self.memory.len // <Py_ssize_t>ROW_SIZE
        if self.rows < 1:
            raise ValueError("no room for a row")
        self.base = self.cells = <int64_t *>self.memory.buf

    def __dealloc__(self):
        PyBuffer_Release(&self.memory)

    cdef void add(self, Cell cell, int64_t count) noexcept:
        # SAFETY: a row has a cell for each of these.
        fs_count(self.cells + <int>cell, count)

    cdef void put(self, Cell cell, int64_t count) noexcept:
        # SAFETY: as above.
        fs_put(self.cells + <int>cell, count)

    cdef void answer(self, int cell, int64_t octets) noexcept:
        """An answer, as cell_of() has it, and octets of its body."""
        # SAFETY: cell_of() gives no cell beyond ANSWERS.
        fs_count(self.cells + cell, 1)
        if octets:
            fs_count(self.cells + <int>BODY_OCTETS, octets)

    cdef int64_t *_row(self, Py_ssize_t row) except NULL:
        if not 0 <= row < self.rows:
            raise IndexError(row)
        # SAFETY: there are so many rows.
        return self.base + row * ROW_CELLS

    # -- For whoever serves -------------------------------------------------------------------------

    def turn_away(self):
        """Count a connection for which there was no room."""
        self.add(TURNED_AWAY, 1)

    def owner(self, Py_ssize_t row):
        """Return the id of the process that counts in a row, 0 for none."""
        return fs_get(self._row(row) + <int>OWNER)

    def claim(self, Py_ssize_t row, int64_t before, int64_t owner):
        """Count in a row from now on, if ``before`` is its owner still. Returns whether.

        What another owner had for the moment is gone.
        """
        cdef int64_t *cells = self._row(row)
        cdef int cell
        # SAFETY: a row has all these cells.
        if not fs_swap(cells + <int>OWNER, before, owner):
            return False
        if before != owner:
            for cell in range(<int>OPEN, <int>OWNER):
                fs_put(cells + cell, 0)
        self.cells = cells
        return True

    def share(self, Py_ssize_t row):
        """Count in a row that has another owner: connections are of both, the rest is the last writer's."""
        self.cells = self._row(row)

    # -- For whoever asks ---------------------------------------------------------------------------

    def totals(self):
        """Return what has been counted in all rows, by the names of TOTALS (a dict of int)."""
        return {name: self._sum(number + BODY_OCTETS) for number, name in enumerate(TOTALS)}

    def gauges(self, Py_ssize_t row):
        """Return what the owner of a row has just now, by the names of GAUGES (a dict of int)."""
        cdef int64_t *cells = self._row(row)
        # SAFETY: a row has all these cells.
        return {name: fs_get(cells + <int>OPEN + <int>number) for number, name in enumerate(GAUGES)}

    def answers(self):
        """Return (method, code, count) for whatever was answered, a str and two ints; 0 for odd codes."""
        cdef list found = []
        cdef int cell, code
        cdef int64_t count
        for cell in range(ANSWERS):
            count = self._sum(cell)
            if count:
                code = cell % CODES_COUNTED
                found.append((METHODS[cell // CODES_COUNTED], code + FIRST_CODE if code else 0, count))
        return found

    cdef int64_t _sum(self, Py_ssize_t cell) except -1:
        cdef int64_t found = 0
        cdef Py_ssize_t row
        for row in range(self.rows):
            found += fs_get(self._row(row) + cell)
        return found
