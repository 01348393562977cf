# The entries of a folder, as they are read: where they are kept, and how the system is asked about each. That
# is a call of its own for each, so other threads do it, where it is worth it, while names are still read.
#
# Header-only. Knows descriptors and names. For _listing.

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t
from posix.stat cimport S_ISLNK, S_ISREG

from fastserve._sys cimport fs_file, fs_look_in

cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>

    #define FS_MOST_HELPERS 8

    /* What work is cut into stands in a list, and never moves. */
    typedef struct fs_piece {
        struct fs_piece *next;
    } fs_piece;

    typedef void (*fs_work)(void *what, fs_piece *piece);

    typedef struct {
        fs_work work;
        void *what;
        fs_piece *untaken, *last;
        int ended, helpers;
        pthread_t threads[FS_MOST_HELPERS];
        pthread_mutex_t lock;
        pthread_cond_t more;
    } fs_crew;

    /* There is a first piece from the start. The last one is still being made, so nobody takes it yet. */
    static void fs_begin(fs_crew *crew, fs_work work, void *what, fs_piece *first)
    {
        crew->work = work;
        crew->what = what;
        crew->untaken = crew->last = first;
        crew->ended = crew->helpers = 0;
        pthread_mutex_init(&crew->lock, NULL);
        pthread_cond_init(&crew->more, NULL);
    }

    static void fs_add_piece(fs_crew *crew, fs_piece *piece)
    {
        pthread_mutex_lock(&crew->lock);
        crew->last = crew->last->next = piece;
        pthread_cond_signal(&crew->more);
        pthread_mutex_unlock(&crew->lock);
    }

    /* Work as long as there are pieces. */
    static void *fs_take_part(void *argument)
    {
        fs_crew *crew = argument;
        fs_piece *piece;
        pthread_mutex_lock(&crew->lock);
        for (;;) {
            while (!crew->ended && !crew->untaken->next) pthread_cond_wait(&crew->more, &crew->lock);
            if (!(piece = crew->untaken)) break;
            crew->untaken = piece->next;
            pthread_mutex_unlock(&crew->lock);
            crew->work(crew->what, piece);
            pthread_mutex_lock(&crew->lock);
        }
        pthread_mutex_unlock(&crew->lock);
        return NULL;
    }

    /* One more thread, unless each CPU has one or there are FS_MOST_HELPERS. Signals are not theirs. */
    static void fs_add_helper(fs_crew *crew)
    {
        sigset_t all, before;
        if (crew->helpers == FS_MOST_HELPERS || crew->helpers >= fs_usable_cpus() - 1) return;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (pthread_create(&crew->threads[crew->helpers], NULL, fs_take_part, crew) == 0) crew->helpers++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }

    /* Take part in what is left. All is done, and no helper runs, when this returns. */
    static void fs_end(fs_crew *crew)
    {
        pthread_mutex_lock(&crew->lock);
        crew->ended = 1;
        pthread_cond_broadcast(&crew->more);
        pthread_mutex_unlock(&crew->lock);
        fs_take_part(crew);
        while (crew->helpers) pthread_join(crew->threads[--crew->helpers], NULL);
        pthread_cond_destroy(&crew->more);
        pthread_mutex_destroy(&crew->lock);
    }
    """
    ctypedef struct fs_piece:
        fs_piece *next
    ctypedef void (*fs_work)(void *what, fs_piece *piece) noexcept nogil
    ctypedef struct fs_crew:
        pass
    void fs_begin(fs_crew *crew, fs_work work, void *what, fs_piece *first) noexcept nogil
    void fs_add_piece(fs_crew *crew, fs_piece *piece) noexcept nogil
    void fs_add_helper(fs_crew *crew) noexcept nogil
    void fs_end(fs_crew *crew) noexcept nogil

cdef enum:
    BATCH = 128             # rows that one thread asks about before it takes more: some 0.2 ms
    HELPED = 1024           # a thread more is worth it for each so many rows: some two milliseconds

cdef struct Text:
    const uint8_t *octets
    size_t size

# Of a name that is not ASCII.
cdef struct Forms:
    Text shown              # UTF-8, with U+FFFD for what has no form there
    Text link               # what a page's link is made of
    Text old_link           # what http.server's link is made of
    Text key                # in lower case

cdef struct Row:
    const uint8_t *name     # octets, as the system has them, and a NUL behind them
    Forms *forms            # NULL where all are the name
    int64_t size            # octets; -1 of what is no file
    int64_t modified        # seconds since the epoch, INT64_MIN where that is not known
    uint32_t length         # of the name
    int kind                # of what it leads to: S_IFMT's bits, 0 where that is not known
    bint is_link

cdef struct Batch:
    fs_piece piece
    size_t count
    Row[BATCH] rows

cdef struct Question:
    int fd                  # of the folder
    bint details            # whether sizes and times are asked for


cdef inline Text name_of(const Row *row) noexcept nogil:
    cdef Text text
    text.octets, text.size = row.name, row.length
    return text


cdef inline Forms forms_of(const Row *row) noexcept nogil:
    cdef Forms forms
    if row.forms != NULL:
        return row.forms[0]
    forms.shown = forms.link = forms.old_link = forms.key = name_of(row)
    return forms


cdef inline void ask(void *what, fs_piece *piece) noexcept nogil:
    """About the rows of a batch, whose kind is that of the entry itself until then."""
    cdef Batch *batch = <Batch *>piece
    cdef size_t i
    for i in range(batch.count):
        ask_about(<Question *>what, &batch.rows[i])


cdef inline void ask_about(const Question *question, Row *row) noexcept nogil:
    cdef const char *name = <const char *>row.name
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
