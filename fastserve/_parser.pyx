"""The request head and the chunked body, as RFC 9112 sections 2 to 7 define them, from raw octets.

RequestParser is fed the receive buffer from its first unconsumed octet, again and again while it
grows; it resumes where it stopped, so no octet is scanned twice however the head was split. Nothing is
copied and no Python object is made before the head is complete. What is wanted of it then is taken
from a RequestHead, which makes a string the first time it is asked for one.

Strict where RFC 9112 leaves a choice that request smuggling lives on: one SP between the parts of the
request line, CRLF alone ends a line, no folding, no space before a colon, digits only in a length.
Need-more is a value and rejection is a code; exceptions exist only past the `def` border.

It knows no socket, no clock, no handler. _stream and handlers.base call it.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from fastserve._ascii cimport (
    DIGIT, FIELD, HEX, HOST, TARGET, TOKEN,
    fs_is_ascii, has_more, is_a, lower, peek, same_nocase, skip_blanks, skip_class, skip_value, step,
)

from fastserve import limits

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t length, Py_UCS4 largest)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

# The parts of a head, in the order in which they are passed.
cdef enum Phase:
    EMPTY_LINES
    METHOD
    TARGET_PART
    VERSION
    REQUEST_LINE_END
    FIELD_START
    FIELD_NAME
    FIELD_BLANKS
    FIELD_VALUE
    FIELD_END
    HEAD_END
    AFTER_HEAD

# What a step through a part answers; a rejection is its code, negated.
cdef enum Step:
    MORE = 0        # the octets ran out
    NEXT = 1        # `phase` names the part to go on with
    DONE = 2        # the head is complete

cdef enum TransferCodings:
    NO_CODING = 0
    CHUNKED_CODING = 1

cdef enum:
    FIRST_ROOM = 16     # fields; grows twofold
    # The lengths of the field names that _note looks for, a bit each.
    NOTED_LENGTHS = 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 17

cdef Py_ssize_t MAX_EMPTY_LINES = limits.MAX_EMPTY_LINES
cdef Py_ssize_t MAX_CHUNK_LINE = limits.MAX_CHUNK_LINE
cdef Py_ssize_t MAX_TRAILERS = limits.MAX_TRAILERS


# -- Strings -------------------------------------------------------------------------------------

cdef enum:
    SHARED_NAMES = 512      # a power of two

cdef list shared_names = [None] * SHARED_NAMES


cdef object latin1_text(const uint8_t *at, Py_ssize_t length):
    """The str of octets, each one character. Almost all are ASCII, which need not be measured first."""
    cdef object text
    if length < 2 or not fs_is_ascii(at, length):
        return PyUnicode_DecodeLatin1(<const char *>at, length, NULL)
    text = PyUnicode_New(length, 127)
    # SAFETY: the str is new, nobody else has it, and it holds `length` octets.
    memcpy(PyUnicode_DATA(text), at, length)
    return text


cdef object shared_text(const uint8_t *at, Py_ssize_t length):
    """The str of a method or field name: few exist, so the last one of each hash is kept."""
    if length == 0 or length > 32:
        return latin1_text(at, length)
    cdef size_t slot = (at[0] * 7 + at[length >> 1] * 31 + at[length - 1] * 131 + length * 17) % SHARED_NAMES
    cdef object text = shared_names[slot]
    # SAFETY: a TOKEN is ASCII, so its str holds one octet a character.
    if (text is not None and PyUnicode_GET_LENGTH(text) == length
            and memcmp(PyUnicode_DATA(text), at, length) == 0):
        return text
    text = latin1_text(at, length)
    shared_names[slot] = text
    return text


# -- The request head ----------------------------------------------------------------------------

@cython.final
cdef class RequestParser:
    """Finds the end of a request head and what it says, in octets that arrive in any pieces.

    ``max_line`` and ``max_head`` are bytes, ``max_headers`` counts the ending blank line as
    http.client does. ``require_host=False`` lets HTTP/1.1 requests without Host pass (RFC 9112 3.2
    asks for 400); it is meant for heads that no network client sent.
    """

    def __cinit__(self, bint require_host=True):
        self.require_host = require_host
        self.max_line = limits.MAX_LINE
        self.max_headers = limits.max_headers()
        self.max_head = limits.MAX_HEAD
        self.spans.fields = NULL
        self.clear()

    def __dealloc__(self):
        free(self.spans.fields)

    # The border: the same three calls for Python.

    def feed(self, data):
        """Scan ``data`` (bytes-like, from the head's first octet on; each time with more at its end).

        Returns 0 while octets are missing, 1 when the head is complete, and minus an index into
        ``errors.REJECTIONS`` when it is refused. Raises ValueError where ``data`` has become shorter.
        """
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len < self.pos:
                raise ValueError("fewer octets than were fed before")
            return self.advance(<const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def take(self, data):
        """Return the RequestHead of a complete or refused head, given the ``data`` last fed, and reset."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len < self.pos or not (self.rejection or self.phase == AFTER_HEAD):
                raise ValueError("no complete head to take")
            return self.release(<const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def reset(self):
        """Forget the head: the next octet fed is the first of another."""
        self.clear()

    @property
    def scanned(self):
        """How many octets have been looked at."""
        return self.pos

    @property
    def length(self):
        """How many octets a complete head has, empty lines before it counted."""
        return self.pos if self.phase == AFTER_HEAD else -1

    # The core: for _stream.

    cdef int advance(self, const uint8_t *data, Py_ssize_t size) noexcept:
        """NEED_MORE, COMPLETE, or a negated RejectionCode; asking again gives the same answer."""
        cdef Cursor c
        cdef int verdict
        if self.rejection:
            return -self.rejection
        c.base = data
        c.pos = self.pos
        c.end = size
        verdict = self._scan(&c)
        self.pos = c.pos
        if verdict < 0:
            self.rejection = -verdict
            return verdict
        return COMPLETE if verdict == DONE else NEED_MORE

    cdef RequestHead release(self, const uint8_t *data, Py_ssize_t size):
        """Hand everything known of the head over to a RequestHead, and start anew."""
        cdef RequestHead head = RequestHead.__new__(RequestHead)
        if self.phase <= REQUEST_LINE_END:
            self._close_line(data, size)
        head.rejection = self.rejection
        head.framing = self.framing
        head.raw = PyBytes_FromStringAndSize(<const char *>data + self.head_start, self.pos - self.head_start)
        head.spans = self.spans
        if self.spans.count <= FEW_FIELDS:
            head.spans.fields = head.few
            if self.spans.count:
                memcpy(head.few, self.spans.fields, self.spans.count * sizeof(Field))
        else:
            self.spans.fields = NULL
        self.clear()
        return head

    cdef void clear(self) noexcept:
        cdef Field *fields = self.spans.fields
        cdef uint32_t room = self.spans.room if fields else 0
        memset(&self.spans, 0, sizeof(HeadSpans))
        memset(&self.framing, 0, sizeof(Framing))
        self.spans.fields = fields
        self.spans.room = room
        self.framing.content_length = -1
        self.phase = EMPTY_LINES
        self.rejection = NONE
        self.pos = self.line_start = self.mark = self.head_start = 0
        self.empty_lines = self.hosts = 0
        self.codings = NO_CODING
        self.host_is_bad = self.says_keep_alive = self.says_upgrade = self.has_upgrade = False

    # -- The walk ------------------------------------------------------------------------------

    cdef int _scan(self, Cursor *c) noexcept:
        """Go on where the octets ran out. A field line is walked by tail calls: it is most of a head."""
        cdef int answer = NEXT
        while answer == NEXT:
            if self.phase == FIELD_START:
                answer = self._field_start(c)
            elif self.phase == FIELD_NAME:
                answer = self._field_name(c)
            elif self.phase == FIELD_BLANKS:
                answer = self._field_blanks(c)
            elif self.phase == FIELD_VALUE:
                answer = self._field_value(c)
            elif self.phase == FIELD_END:
                answer = self._field_end(c)
            elif self.phase == EMPTY_LINES:
                answer = self._skip_empty_lines(c)
            elif self.phase == METHOD:
                answer = self._method(c)
            elif self.phase == TARGET_PART:
                answer = self._target(c)
            elif self.phase == VERSION:
                answer = self._version(c)
            elif self.phase == REQUEST_LINE_END:
                answer = self._request_line_end(c)
            elif self.phase == HEAD_END:
                answer = self._head_end(c)
            else:
                answer = DONE
        if answer == DONE or self.rejection:
            return answer
        return self._within_limits(c.end if answer == MORE else c.pos, answer)

    cdef int _within_limits(self, Py_ssize_t passed, int answer) noexcept:
        """`answer`, unless a limit was met in the octets before `passed`, which did not end the line.

        So it is asked where the octets ran out, at the octet that is wrong, and at the LF of each line:
        then a limit is met at the same octet however the head was split.
        """
        cdef Py_ssize_t line = self.line_start + self.max_line
        cdef Py_ssize_t head = self.head_start + self.max_head
        if passed >= line and line <= head:
            return -REQUEST_LINE_TOO_LONG if self.phase <= REQUEST_LINE_END else -HEADER_LINE_TOO_LONG
        return -HEAD_TOO_LONG if passed >= head else answer

    cdef int _skip_empty_lines(self, Cursor *c) noexcept:
        """RFC 9112 2.2: at least one CRLF before the request line is passed over."""
        while has_more(c) and (peek(c) == c'\r' or peek(c) == c'\n'):
            # `mark` is set while the CR of an empty line has been passed and its LF has not.
            if (peek(c) == c'\n') != (self.mark > 0):
                return -BAD_LINE_END
            step(c)
            self.mark = c.pos if self.mark == 0 else 0
            if self.mark == 0:
                self.empty_lines += 1
                self.head_start = self.line_start = c.pos
            if self.empty_lines > MAX_EMPTY_LINES:
                return -BAD_REQUEST_LINE
        if not has_more(c):
            return MORE
        if self.mark > 0:
            return -BAD_LINE_END
        self.head_start = self.line_start = self.mark = c.pos
        self.phase = METHOD
        return NEXT

    cdef int _method(self, Cursor *c) noexcept:
        if not skip_class(c, TOKEN):
            return MORE
        if peek(c) != c' ' or c.pos == self.mark:
            return -BAD_REQUEST_LINE
        self._close_span(&self.spans.method, c.pos)
        step(c)
        self.mark = c.pos
        self.phase = TARGET_PART
        return NEXT

    cdef int _target(self, Cursor *c) noexcept:
        if not skip_class(c, TARGET):
            return MORE
        if peek(c) != c' ' or c.pos == self.mark:
            return -BAD_REQUEST_LINE
        self._close_span(&self.spans.target, c.pos)
        step(c)
        self.mark = c.pos
        self.phase = VERSION
        return NEXT

    cdef int _version(self, Cursor *c) noexcept:
        """Everything up to the CR must be HTTP/d.d, and d.d be 1.d."""
        if not skip_class(c, TARGET):
            return MORE
        if peek(c) == c'\n':
            return -BAD_LINE_END
        if peek(c) != c'\r':
            return -BAD_REQUEST_LINE
        self._close_span(&self.spans.version, c.pos)
        cdef const uint8_t *version = c.base + self.mark
        if (c.pos - self.mark != 8 or memcmp(version, b"HTTP/", 5) != 0
                or not is_a(version[5], DIGIT) or version[6] != c'.' or not is_a(version[7], DIGIT)):
            return -BAD_VERSION
        if version[5] != c'1':
            return -UNSUPPORTED_VERSION
        self.spans.major = 1
        self.spans.minor = version[7] - c'0'
        step(c)
        self.phase = REQUEST_LINE_END
        return NEXT

    cdef int _request_line_end(self, Cursor *c) noexcept:
        if not has_more(c):
            return MORE
        if peek(c) != c'\n':
            return -BAD_LINE_END
        if self._within_limits(c.pos, NEXT) < 0:
            return -BAD_LINE_END
        step(c)
        self.spans.line.length = <uint32_t>(c.pos - self.line_start - 2)
        self.line_start = c.pos
        self.phase = FIELD_START
        return NEXT

    cdef int _field_start(self, Cursor *c) noexcept:
        if not has_more(c):
            return MORE
        cdef uint8_t octet = peek(c)
        if octet == c'\r':
            step(c)
            self.phase = HEAD_END
            return NEXT
        if octet == c' ' or octet == c'\t':
            return -FOLDED_HEADER
        if self.spans.count + 1 >= self.max_headers:
            return -TOO_MANY_HEADERS
        self.mark = c.pos
        self.phase = FIELD_NAME
        return self._field_name(c)

    cdef int _field_name(self, Cursor *c) noexcept:
        if not skip_class(c, TOKEN):
            return MORE
        if peek(c) != c':' or c.pos == self.mark:
            return -BAD_LINE_END if peek(c) == c'\n' or peek(c) == 0 else -BAD_HEADER_NAME
        if not self._make_room():
            return -TOO_MANY_HEADERS
        self._close_span(&self.spans.fields[self.spans.count].name, c.pos)
        step(c)
        self.phase = FIELD_BLANKS
        return self._field_blanks(c)

    cdef int _field_blanks(self, Cursor *c) noexcept:
        if not skip_blanks(c):
            return MORE
        self.mark = c.pos
        self.phase = FIELD_VALUE
        return self._field_value(c)

    cdef int _field_value(self, Cursor *c) noexcept:
        if not skip_value(c):
            return MORE
        if peek(c) != c'\r':
            return -BAD_LINE_END if peek(c) == c'\n' or peek(c) == 0 else -BAD_HEADER_VALUE
        step(c)
        self.phase = FIELD_END
        return self._field_end(c)

    cdef int _field_end(self, Cursor *c) noexcept:
        if not has_more(c):
            return MORE
        if peek(c) != c'\n':
            return -BAD_LINE_END
        if self._within_limits(c.pos, NEXT) < 0:
            return -BAD_LINE_END
        step(c)
        self.line_start = c.pos
        self.phase = FIELD_START
        return self._add_field(c)

    cdef int _head_end(self, Cursor *c) noexcept:
        if not has_more(c):
            return MORE
        if peek(c) != c'\n':
            return -BAD_LINE_END
        if self._within_limits(c.pos, NEXT) < 0:
            return -BAD_LINE_END
        step(c)
        self.phase = AFTER_HEAD
        self.rejection = self._conclude()
        return -self.rejection if self.rejection else DONE

    # -- What has been passed ------------------------------------------------------------------

    cdef void _close_span(self, Span *span, Py_ssize_t end) noexcept:
        span.start = <uint32_t>(self.mark - self.head_start)
        span.length = <uint32_t>(end - self.mark)

    cdef bint _make_room(self) noexcept:
        cdef uint32_t room
        cdef Field *fields
        if self.spans.count < self.spans.room:
            return True
        room = self.spans.room * 2 if self.spans.room else FIRST_ROOM
        fields = <Field *>realloc(self.spans.fields, room * sizeof(Field))
        if fields == NULL:
            return False
        self.spans.fields = fields
        self.spans.room = room
        return True

    cdef int _add_field(self, Cursor *c) noexcept:
        """`mark` begins the value, the cursor stands behind its CRLF."""
        cdef Py_ssize_t end = c.pos - 2
        cdef Field *field = &self.spans.fields[self.spans.count]
        # SAFETY: end > mark >= 0, so the octet before `end` is in the buffer.
        while end > self.mark and (c.base[end - 1] == c' ' or c.base[end - 1] == c'\t'):
            end -= 1
        self._close_span(&field.value, end)
        self.spans.count += 1
        self._note(c.base + self.head_start, field)
        return -self.rejection if self.rejection else NEXT

    cdef void _close_line(self, const uint8_t *data, Py_ssize_t size) noexcept:
        """A refused request line ends at its LF, or where the octets ended."""
        cdef Py_ssize_t end = min(size, self.head_start + max(self.max_line, 0))
        # SAFETY: head_start <= pos <= size.
        cdef const void *newline = memchr(data + self.head_start, c'\n', end - self.head_start)
        if newline != NULL:
            end = <const uint8_t *>newline - data
        while end > self.head_start and data[end - 1] == c'\r':
            end -= 1
        self.spans.line.length = <uint32_t>(end - self.head_start)
        self.pos = max(self.pos, end)

    # -- Framing: RFC 9112 sections 3.2, 6 and 9.3 ---------------------------------------------

    cdef void _note(self, const uint8_t *base, const Field *field) noexcept:
        """Remember what a field says of the body, the connection and the host."""
        cdef const uint8_t *name = base + field.name.start
        cdef const uint8_t *value = base + field.value.start
        cdef Py_ssize_t length = field.value.length
        if field.name.length >= 32 or not NOTED_LENGTHS & (<uint32_t>1 << field.name.length):
            return
        if field.name.length == 4 and same_nocase(name, b"host", 4):
            self.hosts += 1
            self.host_is_bad |= not is_host(value, length)
        elif field.name.length == 10 and same_nocase(name, b"connection", 10):
            self._note_connection(value, length)
        elif field.name.length == 14 and same_nocase(name, b"content-length", 14):
            self._note_length(value, length)
        elif field.name.length == 17 and same_nocase(name, b"transfer-encoding", 17):
            self._note_codings(value, length)
        elif field.name.length == 6 and same_nocase(name, b"expect", 6):
            self.framing.expect_continue |= length == 12 and same_nocase(value, b"100-continue", 12)
        elif field.name.length == 7 and same_nocase(name, b"upgrade", 7):
            self.has_upgrade = True

    cdef void _note_length(self, const uint8_t *value, Py_ssize_t length) noexcept:
        """1*DIGIT that fits; a second one must be the same (RFC 9112 6.3)."""
        cdef int64_t number = 0
        cdef Py_ssize_t i
        for i in range(length):
            if not is_a(value[i], DIGIT) or number > (INT64_MAX - (value[i] - c'0')) // 10:
                self.rejection = BAD_CONTENT_LENGTH
                return
            number = number * 10 + (value[i] - c'0')
        if length == 0 or self.framing.content_length not in (-1, number):
            self.rejection = BAD_CONTENT_LENGTH
            return
        self.framing.content_length = number

    cdef void _note_connection(self, const uint8_t *value, Py_ssize_t length) noexcept:
        """The tokens that concern us, in any case and order (RFC 9110 7.6.1)."""
        cdef Span token
        cdef Py_ssize_t at = 0
        while next_element(value, length, &at, &token):
            if token.length == 5 and same_nocase(value + token.start, b"close", 5):
                self.framing.close = True
            elif token.length == 10 and same_nocase(value + token.start, b"keep-alive", 10):
                self.says_keep_alive = True
            elif token.length == 7 and same_nocase(value + token.start, b"upgrade", 7):
                self.says_upgrade = True

    cdef void _note_codings(self, const uint8_t *value, Py_ssize_t length) noexcept:
        """`chunked`, once and last; any other coding is one we do not have (RFC 9112 6.1, 7)."""
        cdef Span token
        cdef Py_ssize_t at = 0
        while next_element(value, length, &at, &token):
            if token.length == 0 or self.codings == CHUNKED_CODING:
                self.rejection = BAD_TRANSFER_ENCODING
                return
            if token.length == 7 and same_nocase(value + token.start, b"chunked", 7):
                self.codings = CHUNKED_CODING
            else:
                self.rejection = UNSUPPORTED_TRANSFER_ENCODING

    cdef int _conclude(self) noexcept:
        """The verdict on a complete head: a RejectionCode, NONE where it is good."""
        cdef Framing *framing = &self.framing
        cdef bint current = self.spans.minor >= 1
        if self.host_is_bad or self.hosts > 1:
            return BAD_HOST
        if self.hosts == 0 and current and self.require_host:
            return MISSING_HOST
        framing.chunked = self.codings == CHUNKED_CODING
        if framing.chunked and framing.content_length >= 0:
            return LENGTH_AND_TRANSFER_ENCODING
        # HTTP/1.0 has no chunks: whoever sends them there is not trusted with another request (6.1).
        framing.keep_alive = not framing.close and (current or self.says_keep_alive and not framing.chunked)
        framing.expect_continue &= current
        framing.upgrade = current and self.says_upgrade and self.has_upgrade
        return NONE


cdef bint next_element(const uint8_t *value, Py_ssize_t length, Py_ssize_t *at, Span *element) noexcept:
    """The next of a comma-separated list, its white space left out; an empty list has one empty element."""
    cdef Cursor c
    cdef Py_ssize_t end
    if at[0] > length:
        return False
    c.base = value
    c.pos = at[0]
    c.end = length
    skip_blanks(&c)
    element.start = <uint32_t>c.pos
    while has_more(&c) and peek(&c) != c',':
        step(&c)
    at[0] = c.pos + 1
    end = c.pos
    while end > <Py_ssize_t>element.start and (value[end - 1] == c' ' or value[end - 1] == c'\t'):
        end -= 1
    element.length = <uint32_t>(end - element.start)
    return True


cdef bint skip_name(Cursor *c) noexcept:
    """Pass a reg-name (RFC 3986 3.2.2); False where a percent sign encodes nothing."""
    while skip_class(c, HOST) and peek(c) == c'%':
        if c.end - c.pos < 3 or not (is_a(c.base[c.pos + 1], HEX) and is_a(c.base[c.pos + 2], HEX)):
            return False
        c.pos += 3
    return True


cdef bint is_host(const uint8_t *value, Py_ssize_t length) noexcept:
    """uri-host [":" port] (RFC 9110 7.2); an empty host is valid (RFC 3986 3.2.2)."""
    cdef Cursor c
    c.base = value
    c.pos = 0
    c.end = length
    if length and value[0] == c'[':
        step(&c)
        while has_more(&c) and (is_a(peek(&c), HEX) or peek(&c) == c':' or peek(&c) == c'.'):
            step(&c)
        if not has_more(&c) or peek(&c) != c']' or c.pos < 3:
            return False
        step(&c)
    elif not skip_name(&c):
        return False
    if has_more(&c) and peek(&c) == c':':
        step(&c)
        skip_class(&c, DIGIT)
    return not has_more(&c)


# -- What a head says ----------------------------------------------------------------------------

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

    def line(self):
        """Return (requestline, method, target, version), the four that http.server's handlers keep."""
        return self.requestline, self.method, self.target, self.version

    def fields(self):
        """Return the header fields as a list of (name, value), in order, all of them."""
        cdef const uint8_t *base = <const uint8_t *>PyBytes_AS_STRING(self.raw)
        cdef Field *field
        cdef Py_ssize_t i
        cdef object pair
        cdef list pairs = PyList_New(self.spans.count)
        for i in range(self.spans.count):
            field = &self.spans.fields[i]
            pair = shared_text(base + field.name.start, field.name.length), self._text(field.value)
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


# -- The chunked coding --------------------------------------------------------------------------

cdef enum ChunkPhase:
    SIZE
    SIZE_END
    EXTENSION
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER_START
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    AFTER_CHUNKS
    BROKEN


@cython.final
cdef class ChunkDecoder:
    """Takes the chunked coding off a body that arrives in any pieces (RFC 9112 7.1).

    Extensions and trailers are bounded and dropped.
    """

    def feed(self, data):
        """Decode ``data`` (bytes-like, what follows what was consumed before).

        Returns (decoded, consumed): bytes and the count of octets used, which is less than
        ``len(data)`` only past the end of the body. Raises ValueError where the coding is broken.
        """
        cdef Py_buffer view
        cdef Cursor c
        cdef bytes out
        cdef Py_ssize_t written
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            c.base = <const uint8_t *>view.buf
            c.pos = 0
            c.end = view.len
            out = PyBytes_FromStringAndSize(NULL, view.len)
            written = self.advance(&c, <uint8_t *>PyBytes_AS_STRING(out))
            return out[:written], c.pos
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t advance(self, Cursor *c, uint8_t *out) except -1:
        """Decode into `out`, which has room for every octet of the cursor; returns how many it got."""
        cdef Py_ssize_t written = 0
        cdef bint good = True
        while good and has_more(c) and not self.done:
            if self.phase == DATA:
                written += self._copy(c, out + written)
            elif self.phase == SIZE:
                good = self._size(c)
            elif self.phase == SIZE_END:
                good = self._size_end(c)
            elif self.phase == EXTENSION:
                good = self._extension(c)
            elif self.phase == SIZE_LF:
                good = self._expect(c, c'\n', DATA if self.left else TRAILER_START)
            elif self.phase == DATA_CR:
                good = self._expect(c, c'\r', DATA_LF)
            elif self.phase == DATA_LF:
                good = self._expect(c, c'\n', SIZE)
            elif self.phase == LAST_LF:
                good = self._expect(c, c'\n', AFTER_CHUNKS)
                self.done = good
            else:
                good = self._trailer(c)
        if not good or self.phase == BROKEN:
            self.phase = BROKEN
            raise ValueError("broken chunked coding")
        return written

    cdef Py_ssize_t _copy(self, Cursor *c, uint8_t *out) noexcept:
        cdef Py_ssize_t length = <Py_ssize_t>min(self.left, <int64_t>(c.end - c.pos))
        # SAFETY: length octets stand between pos and end, and `out` has room for all of the cursor's.
        memcpy(out, c.base + c.pos, length)
        c.pos += length
        self.left -= length
        if self.left == 0:
            self.phase = DATA_CR
        return length

    cdef int _size(self, Cursor *c) noexcept:
        """1*HEXDIG, which may not wrap (CVE-2025-22871 and its kin)."""
        cdef uint8_t octet = peek(c)
        if is_a(octet, HEX):
            if self.left > (INT64_MAX >> 4) or self.digits > 32:
                return False
            self.left = (self.left << 4) | (octet - c'0' if octet <= c'9' else lower(octet) - c'a' + 10)
            self.digits += 1
            step(c)
            return True
        self.line = self.digits
        self.phase = SIZE_END
        return self.digits > 0

    cdef int _size_end(self, Cursor *c) noexcept:
        """White space may stand before an extension's semicolon, and nothing else may."""
        cdef Py_ssize_t start = c.pos
        cdef bint more = skip_blanks(c)
        if not self._count(c.pos - start, MAX_CHUNK_LINE):
            return False
        if more:
            self.phase = EXTENSION
        return not more or peek(c) == c';' or peek(c) == c'\r'

    cdef int _extension(self, Cursor *c) noexcept:
        """Whatever a field value may hold, up to the CR."""
        cdef Py_ssize_t start = c.pos
        cdef bint more = skip_class(c, FIELD)
        if not self._count(c.pos - start, MAX_CHUNK_LINE):
            return False
        return self._expect(c, c'\r', SIZE_LF) if more else True

    cdef int _trailer(self, Cursor *c) noexcept:
        """Field lines, bounded together with their ends, up to an empty one."""
        cdef Py_ssize_t start = c.pos
        cdef bint good = self._trailer_part(c)
        return good and (self.phase == LAST_LF or self._count(c.pos - start, MAX_TRAILERS))

    cdef int _trailer_part(self, Cursor *c) noexcept:
        """`digits` counts the octets of the name, which may not be empty."""
        cdef Py_ssize_t start = c.pos
        if self.phase == TRAILER_LF:
            return self._expect(c, c'\n', TRAILER_START)
        if self.phase == TRAILER_VALUE:
            return self._expect(c, c'\r', TRAILER_LF) if skip_class(c, FIELD) else True
        if self.phase == TRAILER_START and peek(c) == c'\r':
            return self._expect(c, c'\r', LAST_LF)
        self.phase = TRAILER_NAME
        cdef bint more = skip_class(c, TOKEN)
        self.digits += c.pos > start
        if not more:
            return True
        return self.digits > 0 and self._expect(c, c':', TRAILER_VALUE)

    cdef bint _count(self, Py_ssize_t octets, Py_ssize_t most) noexcept:
        self.line += octets
        return self.line <= most

    cdef int _expect(self, Cursor *c, uint8_t octet, int next_phase) noexcept:
        if peek(c) != octet:
            return False
        step(c)
        if self.phase == SIZE_LF:
            self.line = 0
        if next_phase == SIZE or next_phase == TRAILER_START:
            self.digits = 0
        self.phase = next_phase
        return True
