# Recorded answers, as _writer, _conn and _lane see them.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from fastserve._channel cimport Descriptor
from fastserve._head cimport Framing, HeadSpans, RequestHead
from fastserve._sys cimport fs_file
from fastserve._tally cimport Tally


cdef class Source:
    cdef bytes path
    cdef bint follows       # a symbolic link at its end
    cdef bint whole         # every change counts, else only what kind of thing it is
    cdef fs_file state      # as it was before the answer was made
    cdef uint64_t round     # when it was last looked at
    cdef bint stale         # it has changed
    cdef int users          # recordings that depend on it

    cdef bint is_as_it_was(self) noexcept
    cdef bint is_settled(self, int64_t now) noexcept


cdef class Recording:
    cdef bytes key
    cdef tuple sources
    cdef uint8_t *octets    # the head, and behind it a body that is kept in memory
    cdef Py_ssize_t size
    cdef Py_ssize_t head_size
    cdef Py_ssize_t date_at     # where the Date value stands
    cdef int64_t second     # what it says
    cdef Descriptor file    # whose octets follow, or None
    cdef int64_t offset
    cdef int64_t count
    cdef bint close         # the connection ends behind it
    cdef readonly int status
    cdef int cell           # of a Tally, where it is counted
    cdef list log           # what was logged, each line's message as bytes
    cdef Recording newer    # of those that were used, from the oldest to the newest
    cdef Recording older


cdef int64_t body_of(Recording recording) noexcept


cdef class Take:
    cdef bytes key
    cdef list sources
    cdef int64_t began      # in ns since the epoch
    cdef list parts         # the octets that were sent
    cdef Py_ssize_t size
    cdef Py_ssize_t head_size   # 0: no head has ended yet
    cdef int status
    cdef Descriptor file
    cdef int64_t offset
    cdef int64_t count
    cdef list log
    cdef object handler     # that gives it
    cdef bint spoiled       # what was sent cannot be sent again

    cdef bint head(self, const uint8_t *octets, Py_ssize_t size, int status, bint ended) except False
    cdef bint body(self, const uint8_t *octets, Py_ssize_t size) except False
    cdef bint range_of(self, Descriptor file, int64_t offset, int64_t count) except False


cdef class Recordings:
    cdef object policy
    cdef tuple kinds        # types whose every change counts
    cdef list versions      # of these, when `fingerprint` was taken
    cdef object fingerprint     # what else counts; None: nothing may be recorded or sent
    cdef double look_again  # when it is taken anew, by the clock of `now`
    cdef double looked      # when that was asked last
    cdef uint8_t *key       # of the request that is looked for
    cdef Py_ssize_t size    # of that, 0: it has none
    cdef list heads         # heads of requests that had a recording, and the keys of these
    cdef list keys_of_heads
    cdef dict by_key
    cdef dict by_source
    cdef Recording newest
    cdef Recording oldest
    cdef readonly Py_ssize_t most
    cdef readonly int64_t octets
    cdef readonly Py_ssize_t descriptors
    cdef readonly int64_t hits
    cdef uint64_t round     # of looks at files
    cdef int64_t second     # of `date`
    cdef uint8_t[32] date
    cdef bint lines         # whether what is sent again is logged
    cdef readonly bint hooked   # ... by the handler itself
    cdef bint stateless         # whether handlers keep nothing from one request to the next
    cdef bint negotiates    # whether Accept-Encoding counts
    cdef bytes log_opening  # of a line, in the same second
    cdef list log           # lines that are to be written
    cdef Tally tally        # what counts the answers, or None

    cdef bint is_open(self, double now) except -1
    cdef Py_ssize_t key_of(self, const uint8_t *base, const HeadSpans *spans, const Framing *framing) noexcept
    cdef Recording find(self, Py_ssize_t size)
    cdef Recording recall(self, const uint8_t *head, Py_ssize_t size)
    cdef bint remember(self, const uint8_t *head, Py_ssize_t size, Recording recording) except False
    cdef Recording _find(self, bytes key)
    cdef Recording seek(self, RequestHead head, double now)
    cdef Take begin(self, RequestHead head, object handler)
    cdef bint trusts(self, object handler) except -1
    cdef bint keep(self, Take take, bint close) except -1
    cdef bint begin_round(self) except False
    cdef bint is_fresh(self, Recording recording) except -1
    cdef void stamp(self, Recording recording) noexcept
    cdef bint note(self, Recording recording, bytes host) except False
    cdef bint write_log(self) except False
    cdef bint _prove(self, double now) except -1
    cdef uint8_t _counted(self, const uint8_t *name, Py_ssize_t length) noexcept
    cdef bint _are_same(self) except -1
    cdef bint _add(self, Take take, bint close, Py_ssize_t date_at) except -1
    cdef tuple _share(self, list sources)
    cdef bint _make_room(self) except False
    cdef bint _drop(self, Recording recording) except False
    cdef void _tell(self) noexcept
    cdef void _link(self, Recording recording) noexcept
    cdef void _unlink(self, Recording recording) noexcept
