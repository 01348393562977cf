# One entry of a folder, and how the system is asked about many of them: by several threads, where that is
# worth it, as each question is a call of its own.
#
# Header-only. Knows descriptors and names. For _listing.

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t
from posix.stat cimport S_ISLNK, S_ISREG

from fastserve._sys cimport fs_file, fs_look_in

cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>

    #define FS_MOST_THREADS 8

    typedef void (*fs_work)(void *what, size_t start, size_t end);

    typedef struct {
        fs_work work;
        void *what;
        size_t next, count, block;
    } fs_share;

    static void *fs_take_part(void *argument)
    {
        fs_share *share = argument;
        size_t start;
        while ((start = __atomic_fetch_add(&share->next, share->block, __ATOMIC_RELAXED)) < share->count) {
            size_t rest = share->count - start;
            share->work(share->what, start, start + (rest < share->block ? rest : share->block));
        }
        return NULL;
    }

    /* Do `work` on all of `count` things, a block at a time, by as many threads as there are CPUs and blocks,
       FS_MOST_THREADS beside this one at most. Signals are not theirs; they have ended when this returns. */
    static void fs_do_in_threads(fs_work work, void *what, size_t count, size_t block)
    {
        fs_share share = {work, what, 0, count, block};
        pthread_t threads[FS_MOST_THREADS];
        sigset_t all, before;
        long helpers = count > block ? fs_usable_cpus() - 1 : 0;
        int started = 0;
        if (helpers > FS_MOST_THREADS) helpers = FS_MOST_THREADS;
        if (helpers > (long)(count / block)) helpers = (long)(count / block);
        if (helpers > 0) {
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            while (started < helpers && pthread_create(&threads[started], NULL, fs_take_part, &share) == 0)
                started++;
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        fs_take_part(&share);
        while (started) pthread_join(threads[--started], NULL);
    }
    """
    ctypedef void (*fs_work)(void *what, size_t start, size_t end) noexcept nogil
    void fs_do_in_threads(fs_work work, void *what, size_t count, size_t block) noexcept nogil

cdef enum:
    BLOCK = 1024        # entries that one thread asks about before it takes more: some two milliseconds

# Where a text stands among the texts of a folder, of which there are less than 4 GiB.
cdef struct Span:
    uint32_t start
    uint32_t size

cdef struct Row:
    Span name           # octets, as the system has them, and a NUL behind them
    Span shown          # the same in UTF-8, with U+FFFD for what has no form there
    Span link           # what a page's link is made of
    Span old_link       # what http.server's link is made of
    Span key            # its text in lower case
    int64_t size        # octets; -1 of what is no file
    int64_t modified    # seconds since the epoch, INT64_MIN where that is not known
    int kind            # of what it leads to: S_IFMT's bits, 0 where that is not known
    bint is_link

cdef struct Question:
    int fd              # of the folder
    Row *rows
    const uint8_t *names
    bint details        # whether sizes and times are asked for


cdef inline void ask(void *what, size_t start, size_t end) noexcept nogil:
    """About the rows from ``start`` to ``end``, whose kind is that of the entry itself until then."""
    cdef Question *question = <Question *>what
    cdef size_t i
    for i in range(start, end):
        # SAFETY: they are rows of the question, and their names are among its names.
        ask_about(question, question.rows + i)


cdef inline void ask_about(const Question *question, Row *row) noexcept nogil:
    cdef const char *name = <const char *>question.names + row.name.start
    cdef fs_file found
    found.kind = 0
    row.size, row.modified = -1, INT64_MIN
    if row.kind == 0 or (question.details and not S_ISLNK(row.kind)):
        fs_look_in(question.fd, name, False, &found)
        row.kind = max(found.kind, 0)
    row.is_link = S_ISLNK(row.kind)
    if row.is_link:
        fs_look_in(question.fd, name, True, &found)
        row.kind = max(found.kind, 0)
        if row.kind == 0 and question.details:
            fs_look_in(question.fd, name, False, &found)    # of one that leads nowhere, its own time
    if question.details and found.kind > 0:
        row.modified = found.second
        if S_ISREG(row.kind):
            row.size = found.size
