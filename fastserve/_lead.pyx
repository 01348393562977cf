"""The lead: which one of several threads runs a loop, and who notices that it is held up.

    FREE     nobody leads; whoever comes first may
    LEADING  the leader is in the loop's own code, or waits in its selector
    BUSY     it runs a handler's code, which may take any time
    LATE     so long that the watcher has called the reserve

The leader calls enter() and leave() around a handler's code. The watcher looks every now and then, without
the GIL and with no system call but its sleep, whether the leader is still inside the run it was inside the
last time; then the lead is LATE, and the reserve, which sleeps in follow(), may take it over by adopt(). A
leader that comes back before that keeps it. Where nothing runs the watcher sleeps until something does, and
wakes up now and then to see to signals.

All but the watcher's step from BUSY to LATE is done under the GIL, so that one word and one compare-and-swap
are all there is to agree on. It knows no loop and no connection; serving.leader calls it.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport (
    WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_get_thread_ident,
    PyThread_release_lock,
)
from libc.stdint cimport uint64_t

from fastserve._ascii cimport fs_check

from fastserve import limits

cdef extern from *:
    """
    #include <stdint.h>

    static inline uint64_t fs_load(uint64_t *word)
    {
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
    }

    static inline void fs_store(uint64_t *word, uint64_t value)
    {
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    }

    static inline int fs_swap(uint64_t *word, uint64_t before, uint64_t after)
    {
        return __atomic_compare_exchange_n(word, &before, after, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    """
    uint64_t fs_load(uint64_t *word) noexcept nogil
    void fs_store(uint64_t *word, uint64_t value) noexcept nogil
    bint fs_swap(uint64_t *word, uint64_t before, uint64_t after) noexcept nogil

cdef extern from "pythread.h":
    # Where a signal ends the wait it says so, if it is asked to.
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds,
                                             int intr_flag) noexcept nogil

# The lowest bits of the word; above them the number of the run, so that two runs are never taken for one.
cdef enum Phase:
    FREE = 0
    LEADING = 1
    BUSY = 2
    LATE = 3
    PHASES = 3
    NEXT_RUN = 4

cdef enum:
    QUIET_LOOKS = 16        # without a run, before the watcher goes to sleep

# In microseconds.
cdef long long LOOK = <long long>(limits.LATE * 1e6)
cdef long long SLEEP = <long long>(limits.SIGNAL_DELAY * 1e6)
# Until the watcher, who needs the GIL for that, sees to signals.
cdef int LOOKS = <int>(limits.SIGNAL_DELAY / limits.LATE)


@cython.final
cdef class Lead:
    """Free at first."""

    def __cinit__(self):
        self.alarm = PyThread_allocate_lock()
        self.vacancy = PyThread_allocate_lock()
        if self.alarm == NULL or self.vacancy == NULL:
            raise MemoryError
        PyThread_acquire_lock(self.alarm, WAIT_LOCK)
        PyThread_acquire_lock(self.vacancy, WAIT_LOCK)

    def __dealloc__(self):
        if self.alarm != NULL:
            PyThread_free_lock(self.alarm)
        if self.vacancy != NULL:
            PyThread_free_lock(self.vacancy)

    # -- The leader ----------------------------------------------------------------------------------

    def enter(self, conn):
        """Code that may take any time is run from here on, for the sake of ``conn``."""
        self.begin_run(conn)

    def leave(self):
        """It is over. Returns whether this thread still leads; another one does where not."""
        return self.end_run()

    cdef void begin_run(self, object conn) noexcept:
        fs_check(self.leader == PyThread_get_thread_ident(), "only the leader enters")
        self.conn = conn
        fs_store(&self.word, (self.word & ~<uint64_t>PHASES) + NEXT_RUN + BUSY)
        if fs_load(&self.asleep) and fs_swap(&self.asleep, True, False):
            PyThread_release_lock(self.alarm)

    cdef bint end_run(self) noexcept:
        cdef uint64_t run
        if self.leader != PyThread_get_thread_ident():
            return False
        run = self.word & ~<uint64_t>PHASES
        if not fs_swap(&self.word, run + BUSY, run + LEADING):
            fs_store(&self.word, run + LEADING)     # it was late, and nobody has taken over yet
        self.conn = None
        return True

    def leads(self):
        """Whether the calling thread leads and is in the loop's own code."""
        return self.leader == PyThread_get_thread_ident() and self.word & PHASES == LEADING

    def release(self):
        """The leader leads no more, and nobody else does yet."""
        fs_check(self.leader == PyThread_get_thread_ident(), "only the leader releases")
        self.leader = 0
        fs_store(&self.word, (self.word & ~<uint64_t>PHASES) + FREE)
        self.wake_watcher()

    # -- Any thread -----------------------------------------------------------------------------------

    def adopt(self):
        """Take the lead if it is free or late. Returns whether this thread leads now."""
        cdef uint64_t phase = fs_load(&self.word) & PHASES
        if phase != FREE and phase != LATE:
            return False
        self.leader = PyThread_get_thread_ident()
        fs_store(&self.word, (self.word & ~<uint64_t>PHASES) + NEXT_RUN + LEADING)
        return True

    def taken(self):
        """After adopt(): the connection whose handler the last leader still runs, once; else None."""
        conn, self.conn = self.conn, None
        return conn

    def wake_watcher(self):
        """End a watch()."""
        fs_store(&self.rung, True)
        PyThread_release_lock(self.alarm)

    def wake_reserve(self):
        """End a follow()."""
        PyThread_release_lock(self.vacancy)

    # -- The reserve, and the watcher -----------------------------------------------------------------

    def follow(self):
        """Wait until somebody may have to adopt()."""
        with nogil:
            PyThread_acquire_lock(self.vacancy, WAIT_LOCK)

    def want(self):
        """From now on a watch() ends when the lead is late too: whoever watches is to adopt() it."""
        fs_store(&self.wanted, True)

    def watch(self):
        """Watch the leader until wake_watcher(). Raises what a signal handler raises."""
        cdef bint rung = False
        while not rung:
            with nogil:
                rung = self._watch()
            PyErr_CheckSignals()

    cdef bint _watch(self) noexcept nogil:
        """Look some times, or sleep once and look. Returns whether somebody has ended the watch.

        Not for ever: a signal that comes between two waits, when the system has given this thread's core to
        another say, ends none of them.
        """
        cdef PyLockStatus status = PY_LOCK_FAILURE
        cdef int looks = 0
        while status != PY_LOCK_INTR and looks < LOOKS:
            if fs_swap(&self.rung, True, False):
                return True
            if self.quiet < QUIET_LOOKS:
                status = PyThread_acquire_lock_timed(self.alarm, LOOK, True)
                looks += 1
            else:
                # What has woken us may be late, and keep the GIL: we look before we go back for that.
                looks = max(looks, LOOKS - <int>QUIET_LOOKS) if self._sleep() else LOOKS
            self._look()
        return False

    cdef void _look(self) noexcept nogil:
        cdef uint64_t word = fs_load(&self.word)
        self.quiet = min(self.quiet + 1, <int>QUIET_LOOKS) if word == self.seen else 0
        if word == self.seen and word & PHASES == BUSY and fs_swap(&self.word, word, word | LATE):
            PyThread_release_lock(self.vacancy)
            if fs_load(&self.wanted):
                fs_store(&self.rung, True)
        self.seen = word

    cdef bint _sleep(self) noexcept nogil:
        """Until a run begins, unless one has: either it sees `asleep`, or we see it.

        Returns whether one is known to have; where it began just as our time was up it is not.
        """
        cdef bint runs
        fs_store(&self.asleep, True)
        runs = fs_load(&self.word) != self.seen
        if not runs and PyThread_acquire_lock_timed(self.alarm, SLEEP, True) == PY_LOCK_ACQUIRED:
            return True
        if not fs_swap(&self.asleep, True, False):
            PyThread_acquire_lock(self.alarm, WAIT_LOCK)    # which enter() gives back this very moment
        return runs
