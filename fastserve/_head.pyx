"""A request head on its own: what RequestParser found, in a form that outlives the buffer it came from.

A string is made when it is asked for. Knows octets and spans; not how they are found, and no I/O.
_parser makes them; _reader, headers and handlers.base ask.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from fastserve._ascii cimport fs_is_ascii, fs_same, same_nocase

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t length, Py_UCS4 largest)
    void *PyUnicode_DATA(object text)


# -- Strings -------------------------------------------------------------------------------------

cdef enum:
    SHARED_NAMES = 512      # a power of two

cdef struct SharedName:
    PyObject *text          # owned; NULL where none has been seen
    const uint8_t *octets   # what it holds
    Py_ssize_t length

cdef SharedName[SHARED_NAMES] shared_names


cdef inline object ascii_text(const uint8_t *at, Py_ssize_t length):
    """The str of octets that are known to be ASCII."""
    cdef object text
    if length < 2:      # of which there is one each
        return PyUnicode_DecodeLatin1(<const char *>at, length, NULL)
    text = PyUnicode_New(length, 127)
    # SAFETY: the str is new, nobody else has it, and it holds `length` octets.
    memcpy(PyUnicode_DATA(text), at, length)
    return text


cdef object latin1_text(const uint8_t *at, Py_ssize_t length):
    """The str of octets, each one character. Almost all are ASCII, which need not be measured first."""
    if fs_is_ascii(at, length):
        return ascii_text(at, length)
    return PyUnicode_DecodeLatin1(<const char *>at, length, NULL)


cdef object shared_text(const uint8_t *at, Py_ssize_t length):
    """The str of a method or field name: few exist, so the last one of each hash is kept."""
    cdef size_t slot
    cdef SharedName *shared
    cdef object text
    if length == 0 or length > 32:
        return latin1_text(at, length)
    slot = (at[0] * 7 + at[length >> 1] * 31 + at[length - 1] * 131 + length * 17) % SHARED_NAMES
    shared = &shared_names[slot]
    if shared.text != NULL and shared.length == length and fs_same(shared.octets, at, length):
        return <object>shared.text
    text = ascii_text(at, length)       # a TOKEN is ASCII
    Py_INCREF(text)
    Py_XDECREF(shared.text)
    shared.text = <PyObject *>text
    shared.octets = <const uint8_t *>PyUnicode_DATA(text)
    shared.length = length
    return text


@cython.final
@cython.freelist(16)
cdef class RequestHead:
    """A request head on its own: it outlives the buffer it came from.

    Strings are latin-1, as http.server decodes them, and are made when asked for.
    """

    def __cinit__(self):
        self.spans.fields = NULL

    def __dealloc__(self):
        if self.spans.fields != self.few:
            free(self.spans.fields)

    # For _reader.

    cdef bytes request_line(self):
        """The request line of a good head, CRLF included."""
        if self.opening is None:
            self.opening = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.raw), self.spans.line.length + 2)
        return self.opening

    cdef bint is_repeated(self, const uint8_t *data, Py_ssize_t size) noexcept:
        """Whether octets begin with this very head: then all that was found of it holds for them."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(self.raw)
        if self.rejection or size < length:
            return False
        # SAFETY: both hold `length` octets.
        return memcmp(data, PyBytes_AS_STRING(self.raw), length) == 0

    cdef bint may_change(self) noexcept:
        """Whether it asks for another protocol."""
        return self.framing.upgrade or self._is_method(b"CONNECT", 7)

    # -- Inside ----------------------------------------------------------------------------------

    cdef bint _is_method(self, const char *name, uint32_t length) noexcept:
        # SAFETY: the parser measured the span within `raw`.
        return (self.spans.method.length == length
                and memcmp(PyBytes_AS_STRING(self.raw) + self.spans.method.start, name, length) == 0)

    cdef object _path(self):
        """The target; one slash begins it, for // would be a host in a redirect (CVE-2021-28861)."""
        cdef Span path = self.spans.target
        cdef const char *base = PyBytes_AS_STRING(self.raw)
        # SAFETY: `path` stays within the target's span.
        while path.length > 1 and base[path.start] == c'/' and base[path.start + 1] == c'/':
            path.start += 1
            path.length -= 1
        return self._text(path)

    cdef object _text(self, Span span):
        # SAFETY: the parser measured every span within the octets that `raw` was copied from.
        return latin1_text(<const uint8_t *>PyBytes_AS_STRING(self.raw) + span.start, span.length)

    cdef Py_ssize_t _find(self, const char *name, Py_ssize_t length, Py_ssize_t start) noexcept:
        """The index of the next field of that name (in lower case) from `start` on, or -1."""
        cdef const uint8_t *base = <const uint8_t *>PyBytes_AS_STRING(self.raw)
        cdef Py_ssize_t i
        for i in range(start, self.spans.count):
            if (<Py_ssize_t>self.spans.fields[i].name.length == length
                    and same_nocase(base + self.spans.fields[i].name.start, name, length)):
                return i
        return -1

    @property
    def requestline(self):
        """The request line without its CRLF (str)."""
        return self._text(self.spans.line)

    @property
    def method(self):
        """The method (str), None where the request line was refused before it ended."""
        if self.spans.method.length == 0:
            return None
        if self._is_method(b"GET", 3):
            return "GET"
        return shared_text(<const uint8_t *>PyBytes_AS_STRING(self.raw) + self.spans.method.start,
                           self.spans.method.length)

    @property
    def target(self):
        """The request target (str, undecoded), None where the request line was refused before it ended."""
        return self._text(self.spans.target) if self.spans.target.length else None

    @property
    def version(self):
        """The version as it was sent (str), such as ``HTTP/1.1``; '' where there was none."""
        if self.spans.major == 1 and self.spans.minor <= 1:
            return "HTTP/1.1" if self.spans.minor else "HTTP/1.0"
        return self._text(self.spans.version)

    @property
    def version_number(self):
        """(major, minor); (0, 0) where the version was refused."""
        return self.spans.major, self.spans.minor

    def request(self):
        """Return (requestline, method, path, version, keep_alive, is_plain), made once.

        The path is the target, with one slash where several begin it. None where the head was refused.
        """
        if self.rejection:              # a body that did not come in time is told so, too
            return None
        if self.said is None:
            self.said = (self.requestline, self.method, self._path(), self.version, self.keep_alive,
                         self.is_plain)
        return self.said

    def fields(self):
        """Return the header fields as a list of (name, value), in order, all of them."""
        cdef const uint8_t *base = <const uint8_t *>PyBytes_AS_STRING(self.raw)
        cdef bint is_ascii = fs_is_ascii(base, PyBytes_GET_SIZE(self.raw))     # once for all
        cdef Field *field
        cdef Py_ssize_t i
        cdef object pair, value
        cdef list pairs = PyList_New(self.spans.count)
        for i in range(self.spans.count):
            field = &self.spans.fields[i]
            if is_ascii:
                value = ascii_text(base + field.value.start, field.value.length)
            else:
                value = self._text(field.value)
            pair = shared_text(base + field.name.start, field.name.length), value
            # SAFETY: the list was made with room for every field; it steals the reference.
            Py_INCREF(pair)
            PyList_SET_ITEM(pairs, i, pair)
        return pairs

    def get(self, str name not None, default=None):
        """Return the value of the first field of that name in any case, or ``default``."""
        # Beyond ASCII no name is a token, so whatever it is encoded to is not found.
        cdef bytes octets = name.lower().encode("utf-8", "replace")
        cdef Py_ssize_t i = self._find(octets, len(octets), 0)
        return default if i < 0 else self._text(self.spans.fields[i].value)

    def get_all(self, str name not None):
        """Return the values of all fields of that name, in order (list of str)."""
        cdef bytes octets = name.lower().encode("utf-8", "replace")
        cdef Py_ssize_t i = self._find(octets, len(octets), 0)
        cdef list values = []
        while i >= 0:
            values.append(self._text(self.spans.fields[i].value))
            i = self._find(octets, len(octets), i + 1)
        return values

    @property
    def content_length(self):
        """Content-Length, or -1 where there is none."""
        return self.framing.content_length

    @property
    def chunked(self):
        """Whether the body is chunked (RFC 9112 7.1)."""
        return self.framing.chunked

    @property
    def keep_alive(self):
        """Whether the client lets the connection stay, by version and Connection (RFC 9112 9.3)."""
        return self.framing.keep_alive

    @property
    def expect_continue(self):
        """Whether the client waits for 100 (Continue) before it sends the body (RFC 9110 10.1.1)."""
        return self.framing.expect_continue

    @property
    def is_plain(self):
        """Whether the handler need not do anything about the body before it answers."""
        return not self.framing.chunked and not self.framing.expect_continue

    @property
    def upgrade(self):
        """Whether the client offers another protocol (RFC 9110 7.8)."""
        return self.framing.upgrade

    @property
    def is_conditional(self):
        """Whether a field may bear on which octets are sent: Range, or one whose name begins with If-."""
        cdef const uint8_t *base = <const uint8_t *>PyBytes_AS_STRING(self.raw)
        cdef Span name
        cdef Py_ssize_t i
        for i in range(self.spans.count):
            name = self.spans.fields[i].name
            if (name.length > 3 and same_nocase(base + name.start, b"if-", 3)
                    or name.length == 5 and same_nocase(base + name.start, b"range", 5)):
                return True
        return False
