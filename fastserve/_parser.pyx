"""The request head as RFC 9112 sections 2 to 6 and 9.3 define it, from raw octets.

RequestParser is fed the receive buffer from its first unconsumed octet, again and again while it
grows; it resumes where it stopped, so no octet is scanned more than twice however the head was split.
Nothing is copied and no Python object is made before the head is complete. What is wanted of it then is taken
from a RequestHead, which makes a string the first time it is asked for one.

Strict where RFC 9112 leaves a choice that request smuggling lives on: one SP between the parts of the
request line, CRLF alone ends a line, no folding, no space before a colon, digits only in a length.
Need-more is a value and rejection is a code; exceptions exist only past the `def` border.

It knows no socket, no clock, no handler. _reader and handlers.base call it.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from fastserve._ascii cimport (
    DIGIT, HEX, HOST,
    fs_check, fs_find_control, fs_find_token_end,
    has_more, is_a, peek, same_nocase, skip_blanks, skip_class, skip_target, skip_token, skip_value, step,
)
from fastserve._head cimport FEW_FIELDS

from fastserve import limits

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

cdef Py_ssize_t MAX_EMPTY_LINES = limits.MAX_EMPTY_LINES


@cython.final
cdef class RequestParser:
    """Finds the end of a request head and what it says, in octets that arrive in any pieces.

    ``max_line`` and ``max_head`` are bytes, ``max_headers`` counts the ending blank line as
    http.client does. ``require_host=False`` lets HTTP/1.1 requests without Host pass (RFC 9112 3.2
    asks for 400); it is meant for heads that no network client sent.
    """

    def __cinit__(self, bint require_host=True):
        self.require_host = require_host
        self.max_line = limits.max_line()
        self.max_headers = limits.max_headers()
        self.max_head = max(limits.MAX_HEAD, 4 * self.max_line)
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
        if type(data) is bytes:     # which need not be held
            return self._feed(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self._feed(<const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def take(self, data):
        """Return the RequestHead of a complete or refused head, given the ``data`` last fed, and reset."""
        cdef Py_buffer view
        if type(data) is bytes:
            return self._take(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self._take(<const uint8_t *>view.buf, view.len)
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

    cdef int _feed(self, const uint8_t *data, Py_ssize_t size) except? -1:
        if size < self.pos:
            raise ValueError("fewer octets than were fed before")
        return self.advance(data, size)

    cdef RequestHead _take(self, const uint8_t *data, Py_ssize_t size):
        if size < self.pos or not (self.rejection or self.phase == AFTER_HEAD):
            raise ValueError("no complete head to take")
        return self.release(data, size)

    # The core: for _reader.

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
        """Go on where the octets ran out. Whole field lines, most of a head, go first."""
        cdef int answer = NEXT
        while answer == NEXT:
            if self.phase == FIELD_START:
                answer = self._whole_fields(c)
                if answer == NEXT:
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
        # Empty lines before the request line have a bound of their own.
        if answer == DONE or self.rejection or self.phase == EMPTY_LINES:
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
        if not skip_token(c):
            return MORE
        if peek(c) != c' ' or c.pos == self.mark:
            return -BAD_REQUEST_LINE
        self._close_span(&self.spans.method, c.pos)
        step(c)
        self.mark = c.pos
        self.phase = TARGET_PART
        return self._target(c)

    cdef int _target(self, Cursor *c) noexcept:
        if not skip_target(c):
            return MORE
        if peek(c) != c' ' or c.pos == self.mark:
            return -BAD_REQUEST_LINE
        self._close_span(&self.spans.target, c.pos)
        step(c)
        self.mark = c.pos
        self.phase = VERSION
        return self._version(c)

    cdef int _version(self, Cursor *c) noexcept:
        """Everything up to the CR must be HTTP/d.d, and d.d be 1.d."""
        if not skip_target(c):
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
        return self._request_line_end(c)

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

    cdef int _whole_fields(self, Cursor *c) noexcept:
        """Pass the field lines that have come whole and are as lines should be.

        A line is passed or left as it was: what is unfinished, odd or met a limit is for _field_start,
        which knows what to say. So an octet is looked at twice at most.
        """
        cdef const uint8_t *base = c.base
        cdef const uint8_t *end = base + c.end
        cdef const uint8_t *line = base + c.pos
        cdef const uint8_t *colon
        cdef const uint8_t *value
        cdef const uint8_t *stop                                # the CR
        cdef const uint8_t *head = base + self.head_start
        # As in _within_limits: a limit is met where no LF stands before it.
        cdef bint may_meet_limit = end - line > self.max_line or end - head > self.max_head
        cdef int answer = NEXT
        while answer == NEXT and self.spans.count + 1 < self.max_headers:
            colon = fs_find_token_end(line, end)
            if colon == end or colon[0] != c':' or colon == line:
                break
            value = colon + 1
            # SAFETY: each is looked at only before `end`.
            while value < end and (value[0] == c' ' or value[0] == c'\t'):
                value += 1
            stop = fs_find_control(value, end)
            if end - stop < 2 or stop[0] != c'\r' or stop[1] != c'\n':
                break
            if may_meet_limit and (stop + 1 - line >= self.max_line or stop + 1 - head >= self.max_head):
                break
            if not self._make_room():
                break
            answer = self._add_field(head, line, colon, value, stop)
            line = stop + 2
        fs_check(line <= end, "lines end within the buffer")
        c.pos = self.line_start = line - base
        return answer

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
        if not skip_token(c):
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
        self.phase = FIELD_START
        cdef const uint8_t *head = c.base + self.head_start
        cdef Span name = self.spans.fields[self.spans.count].name
        # The name's span was closed by _field_name; `mark` begins the value, which ends before the CRLF.
        cdef const uint8_t *line = head + name.start
        self.line_start = c.pos
        return self._add_field(head, line, line + name.length, c.base + self.mark, c.base + c.pos - 2)

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

    cdef int _add_field(self, const uint8_t *head, const uint8_t *name, const uint8_t *colon,
                        const uint8_t *value, const uint8_t *stop) noexcept:
        """Keep a field of a line without fault; there is room for it."""
        cdef Field *field = &self.spans.fields[self.spans.count]
        # SAFETY: stop > value, so the octet before it is in the buffer.
        while stop > value and ((stop - 1)[0] == c' ' or (stop - 1)[0] == c'\t'):
            stop -= 1
        field.name.start = <uint32_t>(name - head)
        field.name.length = <uint32_t>(colon - name)
        field.value.start = <uint32_t>(value - head)
        field.value.length = <uint32_t>(stop - value)
        self.spans.count += 1
        self._note(name, colon - name, value, stop - value)
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

    cdef void _note(self, const uint8_t *name, Py_ssize_t name_length,
                    const uint8_t *value, Py_ssize_t length) noexcept:
        """Remember what a field says of the body, the connection and the host."""
        # By length first, which is a jump in C: most names are of another.
        if name_length == 4:
            if same_nocase(name, b"host", 4):
                self.hosts += 1
                self.host_is_bad |= not is_host(value, length)
        elif name_length == 6:
            if same_nocase(name, b"expect", 6):
                self.framing.expect_continue |= length == 12 and same_nocase(value, b"100-continue", 12)
        elif name_length == 7:
            if same_nocase(name, b"upgrade", 7):
                self.has_upgrade = True
        elif name_length == 10:
            if same_nocase(name, b"connection", 10):
                self._note_connection(value, length)
        elif name_length == 14:
            if same_nocase(name, b"content-length", 14):
                self._note_length(value, length)
        elif name_length == 17:
            if same_nocase(name, b"transfer-encoding", 17):
                self._note_codings(value, length)

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
        if length == 10 and same_nocase(value, b"keep-alive", 10):      # most often it is all there is
            self.says_keep_alive = True
            return
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
