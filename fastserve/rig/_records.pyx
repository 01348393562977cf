"""What a run of the load driver leaves: a latency of each right answer, and counts of all else.

Arrays have room from the beginning, so that to note an answer takes no memory and no Python. Knows numbers,
and neither sockets nor a clock. _drive writes; who made the driver reads, from any thread and at any time.
"""

cimport cython
from cpython cimport array
from libc.stdint cimport int32_t, int64_t

from fastserve.rig._calls cimport rig_get, rig_put

import array

# Names of the kinds of errors, in the order of enum Error.
ERRORS = ("connect", "read", "timeout", "status", "body")

cdef array.array NS = array.array("q"), NUMBERS = array.array("i")


@cython.final
cdef class Records:
    """Room for ``most`` answers (int), 36 octets each, of which the system gives what is used.

    Counts (int): ``sent`` requests; ``unsent`` ones whose time had come, and which could not be sent;
    ``octets`` received; connections ``opened``, and ``reopened`` as the server had ended them between two
    requests; ``late`` requests, which left more than 0.1 ms after they could have left, and by how much at
    worst, ``most_late`` (ns); ``duration`` (ns) from the plan's beginning to its end, or to the last answer
    where that came later.
    """

    def __cinit__(self, int64_t most):
        if not 0 < most < 1 << 40:
            raise ValueError("room is needed for one answer at least")
        self.most = most
        # Memory that nobody has written to yet is not there yet.
        self.arrays_of_ns = array.clone(NS, 4 * most, False)
        self.arrays_of_numbers = array.clone(NUMBERS, most, False)
        # SAFETY: there are four arrays of `most` in the first, and one in the second.
        self.latencies = <int64_t *>self.arrays_of_ns.data.as_longlongs
        self.uncorrecteds = self.latencies + most
        self.first_bytes = self.latencies + 2 * most
        self.intendeds = self.latencies + 3 * most
        self.requests = <int32_t *>self.arrays_of_numbers.data.as_ints

    cdef bint is_full(self) noexcept nogil:
        return self.answered >= self.most

    cdef int64_t failed(self) noexcept nogil:
        cdef int64_t count = 0
        cdef int kind
        for kind in range(<int>ERROR_KINDS):
            count += self.errors_seen[kind]
        return count

    cdef void see(self, int status) noexcept nogil:
        # SAFETY: a status has three digits.
        self.statuses_seen[status] = self.statuses_seen[status] + 1

    cdef void fail(self, Error kind) noexcept nogil:
        # SAFETY: there is a cell for each kind.
        self.errors_seen[<int>kind] = self.errors_seen[<int>kind] + 1

    cdef void note(self, int request, int64_t intended, int64_t sent, int64_t first,
                   int64_t done) noexcept nogil:
        """A right answer: all times from the plan's beginning. Where there is no room it is forgotten."""
        cdef int64_t n = self.answered
        if n < self.most:
            # SAFETY: all of them have room for `most`.
            self.latencies[n] = done - intended
            self.uncorrecteds[n] = done - sent
            self.first_bytes[n] = first - intended
            self.intendeds[n] = intended
            self.requests[n] = request
            rig_put(&self.answered, n + 1)

    # -- For who asks -------------------------------------------------------------------------------

    @property
    def done(self):
        """How many right answers there are so far (int)."""
        return rig_get(&self.answered)

    @property
    def busy(self):
        """In which part of its time the driver had something to do (float, 0 to 1). Near 1 it was the slow
        one.
        """
        return max(0.0, 1 - self.idle / <double>self.ran) if self.ran > 0 else 0.0

    @property
    def errors(self):
        """How many errors there were (dict of int), by the names of ERRORS."""
        return {name: self.errors_seen[<int>kind] for kind, name in enumerate(ERRORS)}

    @property
    def statuses(self):
        """How many answers there were, by their status codes (dict of int by int)."""
        cdef int code
        return {code: self.statuses_seen[code] for code in range(CODES) if self.statuses_seen[code]}

    @property
    def latency(self):
        """ns from when each request was meant to be sent to its answer's end (memoryview of "q"), in the
        order of the answers, as are the others.
        """
        return self._ns(0)

    @property
    def uncorrected(self):
        """ns from when each request was sent to its answer's end (memoryview of "q")."""
        return self._ns(1)

    @property
    def first_byte(self):
        """ns from when each request was meant to be sent to its answer's first octet (memoryview of "q")."""
        return self._ns(2)

    @property
    def intended(self):
        """ns from the plan's beginning to when each request was meant to be sent (memoryview of "q")."""
        return self._ns(3)

    @property
    def request(self):
        """Which request each was, as an index (memoryview of "i")."""
        return memoryview(self.arrays_of_numbers)[:rig_get(&self.answered)].toreadonly()

    cdef object _ns(self, int which):
        start = which * self.most
        return memoryview(self.arrays_of_ns)[start:start + rig_get(&self.answered)].toreadonly()
