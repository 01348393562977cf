"""Answers that were given, to be given again, and the files they are true of.

An answer is recorded while a handler gives it (Take), with everything that it depends on: names, and what
they stood for before it was made (Source). It may be sent again as long as all of them stand for the same.
The system is asked for that each time, once for all the requests that have been received by then (a round).
What names a request is its key: method, version, whether the connection stays, target, and the fields that
count.

Answers that were not used for the longest leave first, when there are too many, or they hold too much. A file
is open as long as a recording or a connection needs it.

It knows octets, names and descriptors, no connection and no handler; which answers may be recorded, and what
they depend on, it asks a policy (handlers.replay). _writer fills a Take; _conn and _lane send recordings.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

from fastserve._ascii cimport same_nocase
from fastserve._head cimport Field, RequestHead
from fastserve._parser cimport NONE
from fastserve._sys cimport fs_is_local, fs_look, fs_wall_clock
from fastserve._tally cimport HITS, RECORDED_FILES, RECORDED_OCTETS, RECORDINGS, Tally, cell_of

from fastserve import limits
from fastserve._response import http_date

cdef extern from "Python.h":
    ctypedef struct fs_type "PyTypeObject":
        unsigned int tp_version_tag

cdef enum:
    # The lengths of the names of the fields that count, a bit each: range, if-match and if-range,
    # if-none-match, accept-encoding, if-modified-since, if-unmodified-since.
    COUNTED_LENGTHS = 1 << 5 | 1 << 8 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19
    DATE_SIZE = 29
    KEPT_HEADS = 1024           # a power of two

# The fields that count, as a key has them. Those of the last three, and If-Range, may hold dates.
cdef enum Counted:
    NOT_COUNTED = 0
    ACCEPT_ENCODING
    RANGE
    IF_MATCH
    IF_NONE_MATCH
    IF_RANGE
    IF_MODIFIED_SINCE
    IF_UNMODIFIED_SINCE

cdef Py_ssize_t KEY_ROOM = limits.MAX_RECORDING_KEY
cdef Py_ssize_t MOST_OCTETS = limits.MAX_RECORDED_OCTETS
cdef Py_ssize_t MOST_FILES = limits.MAX_RECORDED_FILES
cdef int64_t SECOND = 1_000_000_000
cdef int64_t SETTLED = <int64_t>(limits.SETTLED * 1e9)
cdef int64_t SETTLED_COARSELY = <int64_t>(limits.COARSE_CLOCK_GRAIN * 1e9)
cdef double TICK = limits.TICK

DATE_FIELD = b"\r\nDate: "


# -- What an answer depends on -------------------------------------------------------------------

@cython.final
cdef class Source:
    """A name, and what it stands for."""

    cdef bint is_as_it_was(self) noexcept:
        """Ask the system."""
        cdef fs_file now
        fs_look(self.path, self.follows, &now)
        return same_file(&now, &self.state, self.whole)

    cdef bint is_settled(self, int64_t now) noexcept:
        """Whether its next change will be seen: the last one is older than the clock's grain."""
        cdef int64_t changed = max(self.state.changed, self.state.modified)
        if self.state.kind < 0 or not self.whole:
            return True
        return now - changed > (SETTLED if self.state.changed % SECOND else SETTLED_COARSELY)


cdef bint same_file(const fs_file *a, const fs_file *b, bint whole) noexcept:
    if a.kind != b.kind or not whole:
        return a.kind == b.kind
    return (a.device == b.device and a.inode == b.inode and a.size == b.size
            and a.modified == b.modified and a.changed == b.changed)


cdef Source look_at(bytes path, bint follows, bint whole):
    cdef Source source = Source.__new__(Source)
    source.path, source.follows, source.whole = path, follows, whole
    fs_look(path, follows, &source.state)
    return source


@cython.final
@cython.trashcan(True)
cdef class Recording:
    """An answer, as it was sent. Its Date is written anew each second."""

    def __dealloc__(self):
        free(self.octets)


cdef int64_t body_of(Recording recording) noexcept:
    """How many octets its body has, those of a file too."""
    return recording.size - recording.head_size + recording.count


@cython.final
cdef class Take:
    """An answer while it is given. What can be sent in one piece again is kept, all else spoils it."""

    def __cinit__(self):
        self.parts = []
        self.sources = []
        self.log = []

    cdef bint head(self, const uint8_t *octets, Py_ssize_t size, int status, bint ended) except False:
        if self.head_size or not ended or status < 200:
            self.spoiled = True
            return True
        self.status = status
        self.body(octets, size)
        self.head_size = size
        return True

    cdef bint body(self, const uint8_t *octets, Py_ssize_t size) except False:
        if self.file is not None or self.size + size > MOST_OCTETS:
            self.spoiled = True
        if size and not self.spoiled:
            self.parts.append(PyBytes_FromStringAndSize(<const char *>octets, size))
            self.size += size
        return True

    cdef bint range_of(self, Descriptor file, int64_t offset, int64_t count) except False:
        if self.file is not None or self.size != self.head_size:
            self.spoiled = True
        self.file, self.offset, self.count = file, offset, count
        return True

    def note(self, str message not None):
        """A line of the log was written for it."""
        try:
            self.log.append(message.encode("latin-1"))
        except UnicodeEncodeError:
            self.spoiled = True


cdef bint is_lasting(uint8_t counted, const uint8_t *value, Py_ssize_t length) noexcept:
    """Whether what a field asks for is the same at each time.

    Not so a year of two digits (RFC 9110 5.6.7), nor the boundary between several ranges.
    """
    if counted == RANGE:
        return memchr(value, c',', length) == NULL
    if counted == IF_RANGE and length and (value[0] == c'"' or value[0] == c'W'):
        return True
    return counted < IF_RANGE or memchr(value, c'-', length) == NULL


cdef size_t place_of(const uint8_t *octets, Py_ssize_t size) noexcept:
    """Where a head is remembered: of all that have one place the last."""
    cdef uint64_t mixed = <uint64_t>size, word
    cdef Py_ssize_t at = 0
    while at < size:
        word = 0
        # SAFETY: min() keeps within the `size` octets.
        memcpy(&word, octets + at, min(size - at, 8))
        mixed = (mixed ^ word) * <uint64_t>0x9e3779b97f4a7c15u
        mixed ^= mixed >> 29
        at += 8
    return <size_t>(mixed & (KEPT_HEADS - 1))


# -- All of them ---------------------------------------------------------------------------------

@cython.final
cdef class Recordings:
    """The recorded answers of one loop, ``most`` of them, by the word of ``policy``.

    ``kinds`` are types: as soon as one of them, or a base of it, has changed, the policy is asked again, as
    it is every now and then. It has

    ``fingerprint()``       what answers depend on beside those and the files, comparable; None: do not record
    ``sources(target)``     what the answer to a request for a target (str) depends on: a list of (name,
                            whether a link at its end is followed, whether more than its kind counts), or None
    ``negotiates``, ``lines``, ``hooked``, ``stateless``    as the fields, read behind each fingerprint()
    ``log_opening(second)``, ``write(text)``    what a line has between host and message (str), and where
                            lines go
    ``tell(handler, head, status, size)``   have a handler log a request, where it is ``hooked``, and how many
                            octets the body has; whether it need not answer it, too
    ``is_plain(handler)``   whether an answer of it is one of its class, where it is not ``stateless``
    """

    def __cinit__(self):
        self.key = <uint8_t *>malloc(KEY_ROOM)
        if self.key == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.key)

    def __init__(self, policy, tuple kinds not None, Py_ssize_t most=limits.MAX_RECORDINGS, Tally tally=None):
        self.policy = policy
        self.tally = tally
        self.kinds = kinds
        self.most = most
        self.versions = []
        self.by_key = {}
        self.by_source = {}
        self.log = []
        self.heads = [None] * KEPT_HEADS
        self.keys_of_heads = [None] * KEPT_HEADS

    def __len__(self):
        return len(self.by_key)

    def clear(self):
        """Forget every answer."""
        self.heads = [None] * KEPT_HEADS
        while self.oldest is not None:
            self._drop(self.oldest)

    # -- Whether ------------------------------------------------------------------------------------

    cdef bint is_open(self, double now) except -1:
        """Whether answers may be recorded and sent again just now."""
        self.looked = now
        if now >= self.look_again or not self._are_same():
            self._prove(now)
        return self.fingerprint is not None

    cdef bint _are_same(self) except -1:
        """Whether no type has changed: CPython gives one that has another number."""
        cdef Py_ssize_t i
        for i in range(len(self.versions)):
            if (<fs_type *>self.kinds[i]).tp_version_tag != self.versions[i]:
                return False
        return True

    cdef bint _prove(self, double now) except -1:
        cdef list versions = []
        fingerprint = self.policy.fingerprint()
        for kind in self.kinds:
            getattr(kind, "__init__")       # so that it has a number
            versions.append((<fs_type *>kind).tp_version_tag)
        if 0 in versions:                   # CPython has run out of numbers
            fingerprint, versions = None, []
        if fingerprint is None or fingerprint != self.fingerprint or versions != self.versions:
            self.clear()
        self.versions, self.fingerprint = versions, fingerprint
        self.look_again = now + TICK
        self.negotiates, self.lines = self.policy.negotiates, self.policy.lines
        self.hooked, self.stateless = self.policy.hooked, self.policy.stateless
        return True

    # -- Keys ---------------------------------------------------------------------------------------

    cdef Py_ssize_t key_of(self, const uint8_t *base, const HeadSpans *spans,
                           const Framing *framing) noexcept:
        """Write the key of a request to `key`, and return its size; 0 where it can have no recording."""
        cdef uint8_t *key = self.key
        cdef const Field *field
        cdef Py_ssize_t i, size
        cdef uint8_t counted
        cdef bint reads = (spans.method.length == 3 and memcmp(base + spans.method.start, b"GET", 3) == 0
                           or spans.method.length == 4 and memcmp(base + spans.method.start, b"HEAD", 4) == 0)
        if (not reads or framing.content_length > 0 or framing.chunked or framing.expect_continue
                or framing.upgrade or <Py_ssize_t>spans.line.length + 2 > KEY_ROOM):
            return 0
        key[0] = framing.keep_alive
        # SAFETY: KEY_ROOM octets are there, and `size` of them are written, which is looked at before.
        memcpy(key + 1, base + spans.line.start, spans.line.length)
        size = 1 + spans.line.length
        for i in range(spans.count):
            field = &spans.fields[i]
            counted = self._counted(base + field.name.start, field.name.length)
            if counted:
                if not is_lasting(counted, base + field.value.start, field.value.length):
                    return 0
                if size + 2 + <Py_ssize_t>field.value.length > KEY_ROOM:
                    return 0
                key[size] = c'\n'            # which is in no line and no value
                key[size + 1] = counted
                memcpy(key + size + 2, base + field.value.start, field.value.length)
                size += 2 + field.value.length
        return size

    cdef uint8_t _counted(self, const uint8_t *name, Py_ssize_t length) noexcept:
        """A number for each field that decides on the answer, 0 for the others."""
        if length >= 32 or not COUNTED_LENGTHS & (<uint32_t>1 << length):
            return 0
        if length == 15:
            return ACCEPT_ENCODING if self.negotiates and same_nocase(name, b"accept-encoding", 15) else 0
        if length == 5:
            return RANGE if same_nocase(name, b"range", 5) else 0
        if not same_nocase(name, b"if-", 3):
            return 0
        if length == 8:
            if same_nocase(name, b"if-match", 8):
                return IF_MATCH
            return IF_RANGE if same_nocase(name, b"if-range", 8) else 0
        if length == 13:
            return IF_NONE_MATCH if same_nocase(name, b"if-none-match", 13) else 0
        if length == 17:
            return IF_MODIFIED_SINCE if same_nocase(name, b"if-modified-since", 17) else 0
        return IF_UNMODIFIED_SINCE if same_nocase(name, b"if-unmodified-since", 19) else 0

    cdef Recording seek(self, RequestHead head, double now):
        """A recording of the answer to a request that is here, fresh; None where there is none."""
        cdef Recording recording = None
        self.size = 0
        if head.rejection == NONE and self.is_open(now):
            self.size = self.key_of(<const uint8_t *>PyBytes_AS_STRING(head.raw), &head.spans, &head.framing)
        if self.size:
            recording = self.find(self.size)
        if recording is not None:
            self.begin_round()
            recording = recording if self.is_fresh(recording) else None
        return recording

    # -- Sending again --------------------------------------------------------------------------------

    cdef Recording find(self, Py_ssize_t size):
        """The recording for `key`, or None; is_fresh() and stamp() come before it is sent."""
        return self._find(PyBytes_FromStringAndSize(<const char *>self.key, size))

    cdef Recording recall(self, const uint8_t *head, Py_ssize_t size):
        """The recording for a request whose head was remembered, octet for octet; None says nothing."""
        cdef size_t place = place_of(head, size)
        cdef bytes same = self.heads[place]
        if same is None or PyBytes_GET_SIZE(same) != size or memcmp(PyBytes_AS_STRING(same), head, size) != 0:
            return None
        return self._find(self.keys_of_heads[place])

    cdef bint remember(self, const uint8_t *head, Py_ssize_t size, Recording recording) except False:
        """A request with this head is one for a recording: clients send the same head again and again."""
        cdef size_t place = place_of(head, size)
        if size <= KEY_ROOM:
            self.heads[place] = PyBytes_FromStringAndSize(<const char *>head, size)
            self.keys_of_heads[place] = recording.key
        return True

    cdef Recording _find(self, bytes key):
        cdef Recording recording = self.by_key.get(key)
        if recording is not None and recording is not self.newest:
            self._unlink(recording)
            self._link(recording)
        return recording

    cdef bint begin_round(self) except False:
        """The requests that are answered from here on have been received: a look counts for all of them."""
        cdef int64_t second = fs_wall_clock() // SECOND
        cdef bytes date
        self.round += 1
        if second != self.second:
            date = http_date(<double>second).encode()
            memcpy(self.date, PyBytes_AS_STRING(date), DATE_SIZE)
            self.log_opening = self.policy.log_opening(second).encode("latin-1", "replace")
            self.second = second
        return True

    cdef bint is_fresh(self, Recording recording) except -1:
        """Whether everything is as it was when it was made; else it is forgotten."""
        cdef Source source
        for source in recording.sources:
            if source.round != self.round:
                source.round = self.round
                source.stale = source.stale or not source.is_as_it_was()
            if source.stale:
                if recording.key in self.by_key and self.by_key[recording.key] is recording:
                    self._drop(recording)
                return False
        return True

    cdef void stamp(self, Recording recording) noexcept:
        """It is about to be sent: make its Date that of now."""
        if recording.second != self.second:
            # SAFETY: the Date value of that length was found there.
            memcpy(recording.octets + recording.date_at, self.date, DATE_SIZE)
            recording.second = self.second
        self.hits += 1
        if self.tally is not None:
            self.tally.answer(recording.cell, body_of(recording))
            self.tally.add(HITS, 1)

    cdef bint note(self, Recording recording, bytes host) except False:
        """Log what was logged with it, in the name of another client."""
        for message in recording.log:
            self.log.append(host + self.log_opening + message + b"\n")
        return True

    cdef bint write_log(self) except False:
        """Write the lines of all that has been answered since the last time."""
        if self.log:
            lines, self.log = self.log, []
            self.policy.write((<bytes>b"".join(lines)).decode("latin-1"))
        return True

    # -- Recording --------------------------------------------------------------------------------------

    cdef Take begin(self, RequestHead head, object handler):
        """The answer to the request that seek() was for is about to be made: look at what it may depend on.

        None: it is not to be recorded.
        """
        cdef Take take
        named = self.policy.sources(head.target) if self.size else None
        if named is None:
            return None
        take = Take()
        take.handler = handler
        take.key = PyBytes_FromStringAndSize(<const char *>self.key, self.size)
        take.began = fs_wall_clock()
        for path, follows, whole in named:
            take.sources.append(look_at(path, follows, whole))
        return take

    cdef bint trusts(self, handler) except -1:
        """Whether what a handler answers is what its class does."""
        return self.stateless or self.policy.is_plain(handler)

    cdef bint keep(self, Take take, bint close) except -1:
        """The answer was made, and is complete. Returns whether it will be sent again."""
        cdef Source source
        cdef Py_ssize_t date_at
        cdef bytes head
        if not self.trusts(take.handler):
            return False
        if take.spoiled or not take.head_size or take.size > MOST_OCTETS or not self.is_open(self.looked):
            return False
        if self.hooked and take.status == 404:      # there is more to be told of it than log_request() does
            return False
        for source in take.sources:
            if not source.is_settled(take.began) or not fs_is_local(source.path):
                return False
        head = take.parts[0]
        date_at = head.find(DATE_FIELD) + len(DATE_FIELD)
        if head.count(DATE_FIELD) != 1 or head[date_at + DATE_SIZE:date_at + DATE_SIZE + 2] != b"\r\n":
            return False
        return self._add(take, close, date_at)

    cdef bint _add(self, Take take, bint close, Py_ssize_t date_at) except -1:
        cdef Recording recording = Recording.__new__(Recording)
        cdef bytes octets = b"".join(take.parts)
        recording.octets = <uint8_t *>malloc(take.size)
        if recording.octets == NULL:
            raise MemoryError
        # SAFETY: take.size is the sum of the parts' sizes.
        memcpy(recording.octets, PyBytes_AS_STRING(octets), take.size)
        recording.size, recording.head_size, recording.date_at = take.size, take.head_size, date_at
        recording.key, recording.status, recording.close = take.key, take.status, close
        recording.file, recording.offset, recording.count = take.file, take.offset, take.count
        recording.log = take.log
        recording.cell = cell_of("GET" if take.key[1] == c"G" else "HEAD", take.status)
        if take.key in self.by_key:
            self._drop(self.by_key[take.key])
        recording.sources = self._share(take.sources)
        self.by_key[take.key] = recording
        self._link(recording)
        self.octets += recording.size + len(recording.key)
        self.descriptors += recording.file is not None
        self._make_room()
        self._tell()
        return True

    cdef tuple _share(self, list sources):
        """Sources of which there is one for each name, so that each is looked at once a round."""
        cdef Source source, known
        cdef list shared = []
        for source in sources:
            name = source.path, source.follows, source.whole
            known = self.by_source.get(name)
            if known is None or known.stale or not same_file(&known.state, &source.state, source.whole):
                if known is not None:
                    known.stale = True
                self.by_source[name] = known = source
            known.users += 1
            shared.append(known)
        return tuple(shared)

    cdef bint _make_room(self) except False:
        """The answers that were not used for the longest leave, as many as have to."""
        cdef Recording recording = self.oldest, newer
        while len(self.by_key) > self.most or self.octets > MOST_OCTETS:
            self._drop(self.oldest)
        recording = self.oldest
        while self.descriptors > MOST_FILES:
            newer = recording.newer
            if recording.file is not None:
                self._drop(recording)
            recording = newer
        return True

    cdef bint _drop(self, Recording recording) except False:
        cdef Source source
        del self.by_key[recording.key]
        self._unlink(recording)
        self.octets -= recording.size + len(recording.key)
        self.descriptors -= recording.file is not None
        for source in recording.sources:
            source.users -= 1
            name = source.path, source.follows, source.whole
            if not source.users and self.by_source.get(name) is source:
                del self.by_source[name]
        self._tell()
        return True

    cdef void _tell(self) noexcept:
        """How many there are, and what they hold."""
        if self.tally is not None:
            self.tally.put(RECORDINGS, len(self.by_key))
            self.tally.put(RECORDED_OCTETS, self.octets)
            self.tally.put(RECORDED_FILES, self.descriptors)

    cdef void _link(self, Recording recording) noexcept:
        """It was used just now."""
        recording.older = self.newest
        if self.newest is not None:
            self.newest.newer = recording
        self.newest = recording
        if self.oldest is None:
            self.oldest = recording

    cdef void _unlink(self, Recording recording) noexcept:
        cdef Recording newer = recording.newer, older = recording.older
        if newer is None:
            self.newest = older
        else:
            newer.older = older
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        recording.newer = recording.older = None
