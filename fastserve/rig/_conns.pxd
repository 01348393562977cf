# What the load driver knows of a connection, and how it keeps them in order: lines, in which the first has
# waited longest, and a heap of those that come again at a time of their own.
#
# A connection is in one line at most, by its number. Header-only; knows no socket and no clock. For _drive.

from libc.stdint cimport int64_t, uint8_t

from fastserve.rig._answer cimport Answer


cdef enum State:
    BROKEN                      # no socket
    OPENING
    FREE                        # nothing is asked
    SENDING                     # a part of a request has not left
    WAITING                     # for an answer, or the rest of one

cdef struct Asked:              # one of the requests that there are
    const uint8_t *octets
    Py_ssize_t size
    bint bodiless               # its answer
    int status                  # of that; 0: any
    int64_t length              # of its body; -1: any

cdef struct Conn:
    int fd
    State state
    int64_t turn                # in which it was opened: what was told of its number before is not of it
    bint due                    # a request is to be sent as soon as it is free
    bint used                   # an answer has come on it
    bint cut                    # the server takes no more octets of this request
    int request                 # which is asked
    Py_ssize_t gone             # octets of it that have left
    int64_t intended
    int64_t sent
    int64_t first               # when the answer's first octet came, 0 before
    int64_t since               # when it became free
    int64_t deadline
    Answer answer


cdef inline bint take_request(Asked *asked, bytes request) except False:
    """A request that is to be answered with 200, until something else is said. Who calls keeps its octets."""
    asked.octets, asked.size = <const uint8_t *>request, len(request)
    asked.bodiless = request.startswith(b"HEAD ")
    asked.status, asked.length = 200, -1
    if not request:
        raise ValueError("a request cannot be empty")
    return True


# -- Order -------------------------------------------------------------------------------------------


cdef struct Line:
    int first               # -1 where it is empty
    int last

cdef struct Place:          # of a connection
    int before              # its neighbours, -1 where there is none
    int after

cdef struct Rest:
    int64_t until           # ns
    int number


cdef inline void join(Line *line, Place *places, int number) noexcept nogil:
    """Put it behind the others."""
    # SAFETY: there is a place for every number.
    places[number].before = line.last
    places[number].after = -1
    if line.last < 0:
        line.first = number
    else:
        places[line.last].after = number
    line.last = number


cdef inline void leave(Line *line, Place *places, int number) noexcept nogil:
    """Take out one that is in this line."""
    # SAFETY: there is a place for every number, and neighbours are numbers.
    cdef Place place = places[number]
    if place.before < 0:
        line.first = place.after
    else:
        places[place.before].after = place.after
    if place.after < 0:
        line.last = place.before
    else:
        places[place.after].before = place.before


cdef inline void push(Rest *heap, int *count, int64_t until, int number) noexcept nogil:
    """Add one to a heap that has room for it; the first to come again is heap[0]."""
    # SAFETY: at, and what is above it, are below count.
    cdef int at = count[0], above
    count[0] += 1
    while at > 0:
        above = (at - 1) >> 1
        if heap[above].until <= until:
            break
        heap[at] = heap[above]
        at = above
    heap[at].until = until
    heap[at].number = number


cdef inline Rest pop(Rest *heap, int *count) noexcept nogil:
    """Take the first of a heap that is not empty."""
    # SAFETY: below is tested against count.
    cdef Rest first = heap[0], last
    cdef int at = 0, below
    count[0] -= 1
    last = heap[count[0]]
    while True:
        below = 2 * at + 1
        if below >= count[0]:
            break
        if below + 1 < count[0] and heap[below + 1].until < heap[below].until:
            below += 1
        if last.until <= heap[below].until:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = last
    return first
