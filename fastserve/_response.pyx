"""The head of a response: status line and header lines into one growable buffer.

One author of bytes: every head fastserve sends is written here, by handler code. Refuses CR, LF and
NUL, so that no value can end its line (CWE-113). It remembers what the head says of the body and the
connection, which is what the writer and the handler decide by.

It knows no socket and no clock, and no handler. handlers.base and _writer call it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsLatin1String, PyUnicode_DecodeLatin1
from libc.math cimport floor
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy

from fastserve._ascii cimport DIGIT, fs_find_control, is_a, same_nocase

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    FIRST_ROOM = 512
    SPARE = 2           # what ends a line, or a name
    KEPT_OPENINGS = 16  # a power of two

# The openings written last, one for each of the last four bits of a status.
cdef list openings = [None] * KEPT_OPENINGS

# What header() tells of a Connection field, as http.server reads it: the whole value, in any case.
CONNECTION_CLOSE = 1
CONNECTION_KEEP_ALIVE = 2


@cython.final
cdef class Opening:
    """Status line, Server and Date, and what they were made of."""

    cdef int status
    cdef object protocol, reason, server, system, date
    cdef bytes octets


@cython.final
cdef class ResponseHead:
    """The head being written. Emptied by ``take()``, after which it goes on, or the next one begins."""

    def __cinit__(self):
        self.data = NULL
        self.length = self.room = 0
        self._forget()

    def __dealloc__(self):
        free(self.data)

    def status_line(self, str protocol not None, code, reason):
        """Begin a head: ``protocol`` such as 'HTTP/1.1', ``code`` a status (int), ``reason`` a phrase.

        Raises ValueError for CR, LF or NUL, UnicodeEncodeError past latin-1.
        """
        reason = text_of(reason)
        cdef Py_ssize_t start = self.length, end
        cdef int status = code
        if start == 0 and not self.pieces:
            self._forget()              # of a head that was never ended
        end = self._put(start, protocol)
        end = self._put_status(end, status)
        end = self._put(end, reason)
        self._end_line(end)
        if self.pieces is not None:
            self.pieces.append(self._cut(start))
        self.status = status
        self.persistent = protocol >= "HTTP/1.1"

    def begin(self, str protocol not None, code, reason, server, system, date):
        """As status_line(), and then header() with Server, which has two parts, and with Date.

        Most are made of the same objects as the last with that code, and are copied.
        """
        cdef int status = code
        cdef Py_ssize_t start = self.length
        cdef Opening kept = openings[status & (KEPT_OPENINGS - 1)]
        if (kept is not None and self.pieces is None and kept.status == status and kept.date is date
                and kept.reason is reason and kept.protocol is protocol
                and kept.server is server and kept.system is system):
            if start == 0:
                self._forget()
            self._add(PyBytes_AS_STRING(kept.octets), PyBytes_GET_SIZE(kept.octets))
            self.status = status
            self.persistent = protocol >= "HTTP/1.1"
            return
        self.status_line(protocol, status, reason)
        self.header("Server", server + " " + system)
        self.header("Date", date)
        # What is no str may be another one the next time.
        if self.pieces is None and type(reason) is type(server) is type(system) is type(date) is str:
            kept = Opening.__new__(Opening)
            kept.status, kept.protocol, kept.reason = status, protocol, reason
            kept.server, kept.system, kept.date = server, system, date
            kept.octets = PyBytes_FromStringAndSize(<const char *>self.data + start, self.length - start)
            openings[status & (KEPT_OPENINGS - 1)] = kept

    def header(self, name, value):
        """Add ``name: value``, each a str or something str() takes.

        Returns CONNECTION_CLOSE or CONNECTION_KEEP_ALIVE where that is what the line says, else 0.
        Raises ValueError for CR, LF or NUL, UnicodeEncodeError past latin-1.
        """
        name, value = text_of(name), text_of(value)
        cdef Py_ssize_t start = self.length, colon, end
        colon = self._put(start, name)
        # SAFETY: _put leaves room for them.
        memcpy(self.data + colon, b": ", 2)
        end = self._put(colon + 2, value)
        self._end_line(end)
        # RFC 9110 8.6 forbids it; and who counts by it would wait for a body that never comes.
        if self._is_lengthless() and colon - start == 14 and same_nocase(
                self.data + start, b"content-length", 14):
            self.length = start
            return 0
        return self._note_line(start, colon)

    def headers(self, pairs):
        """Add a line for each pair ``(name, value)``, as header() does; none of them is Connection."""
        for name, value in pairs:
            self.header(name, value)

    def end(self, method, version, bint close):
        """Close the head with what RFC 9112 9.6 asks of it, and an empty line.

        ``method`` and ``version`` are the request's (str or None). Adds ``Connection: close`` to an
        HTTP/1.1 answer after which the connection ends, which is also so where the answer has no
        length of its own, and ``Connection: keep-alive`` where an HTTP/1.0 client asked to stay.
        Returns whether the connection closes. An interim answer to HTTP/1.0, which knows none, is dropped
        (RFC 9110 15.2); 101 is none.
        """
        self.gather()
        cdef bint final = self.status >= 200
        if not final and self.status != 101 and version == "HTTP/1.0":
            self.length = 0
            self._forget()
            return close
        if final and self.persistent and not self.connection:
            close = close or self._endless(method)
            if close:
                self.header("Connection", "close")
            elif version == "HTTP/1.0":
                self.header("Connection", "keep-alive")
        self._add(b"\r\n", 2)
        self.ended = True
        return close

    def take(self):
        """Return all that was written (bytes)."""
        cdef bytes head
        self.gather()
        head = PyBytes_FromStringAndSize(<const char *>self.data, self.length)
        self.clear()
        return head

    @property
    def pending(self):
        """Whether anything was written that has not been taken."""
        return self.is_pending()

    @property
    def lines(self):
        """The lines as a list of bytes, CRLF included. It may be edited: it is what is sent."""
        if self.pieces is None:
            self.pieces = (<bytes>self._cut(0)).splitlines(True)
        return self.pieces

    @lines.setter
    def lines(self, list lines not None):
        self.length = 0
        self.pieces = lines

    # For _writer.

    cdef bint is_pending(self) noexcept:
        return self.length > 0 if self.pieces is None else len(self.pieces) > 0

    cdef bint bodiless(self, object method):
        """Whether no body follows, whatever the head says of its length (RFC 9112 6.3)."""
        return self.status < 200 or self.status == 204 or self.status == 304 or method == "HEAD"

    cdef bint part(self) except -1:
        """Say in an ended head that the connection closes behind it. Returns whether that is so then.

        What the handler wrote is not doubled: a keep-alive, which is not true any more, becomes close. Other
        options (upgrade) stay alone, and so does a field that has left already.
        """
        if self.connection:
            return self._part_as_written()
        if self.persistent:
            if not self._ends_empty():
                return False            # somebody has edited it
            self.length -= 2            # the empty line comes behind it
            self.header("Connection", "close")
            self._add(b"\r\n", 2)
        return True

    cdef bint _ends_empty(self) noexcept:
        """Whether an empty line is the last one of those that have not left."""
        # SAFETY: as many octets as are looked at stand before `length`.
        return (self.length == 2 and memcmp(self.data, b"\r\n", 2) == 0
                or self.length >= 4 and memcmp(self.data + self.length - 4, b"\r\n\r\n", 4) == 0)

    cdef bint _part_as_written(self) except -1:
        cdef bint closes = False
        lines = self.lines
        for i, line in enumerate(lines):
            name, _, value = line.partition(b":")
            if name.lower() == b"connection":
                options = [option.strip() for option in value.lower().split(b",")]
                if options == [b"keep-alive"]:
                    lines[i] = name + b": close\r\n"
                closes = closes or options == [b"keep-alive"] or b"close" in options
        self.gather()
        return closes

    cdef bint gather(self) except False:
        """Take back the lines that were given out: they may have been edited, and what they say counts."""
        cdef bytes line, name, value
        if self.pieces is None:
            return True
        lines = b"".join(self.pieces).splitlines(True)
        self.pieces = None
        if not self.parted:
            self._forget_fields()
        for line in lines:
            name, _, value = line.partition(b":")
            value = value.strip()
            self._note(name, PyBytes_GET_SIZE(name), value, PyBytes_GET_SIZE(value))
            self._add(PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        return True

    cdef void clear(self) noexcept:
        """The lines have left. What they said counts until the head ends."""
        self.length = 0
        self.pieces = None
        self.parted = True
        if self.ended:
            self._forget()

    # -- Inside --------------------------------------------------------------------------------

    cdef bint _is_lengthless(self) noexcept:
        """Whether the answer may not even say that its length is 0."""
        return self.status == 204 or 100 <= self.status < 200

    cdef void _forget(self) noexcept:
        self.status = 0
        self.persistent = self.parted = self.ended = False
        self._forget_fields()

    cdef void _forget_fields(self) noexcept:
        self.content_length = -1
        self.transfer_encoding = self.connection = False

    cdef bint _endless(self, object method):
        """Only the end of the connection would end this answer. A tunnel (CONNECT) is not an answer."""
        return (self.content_length < 0 and not self.transfer_encoding
                and not self.bodiless(method) and method != "CONNECT")

    cdef bint _reserve(self, Py_ssize_t length) except False:
        """Room for so many octets in all."""
        cdef Py_ssize_t room = self.room
        cdef void *data
        while room < length:
            room = room * 2 if room else FIRST_ROOM
        data = realloc(self.data, room)
        if data == NULL:
            raise MemoryError
        self.data = <uint8_t *>data
        self.room = room
        return True

    cdef bint _add(self, const void *octets, Py_ssize_t length) except False:
        self.length = self._put_octets(self.length, octets, length)
        return True

    # A line is put behind what is there, and is a part of it once it is whole. No other code runs meanwhile.

    cdef Py_ssize_t _put_octets(self, Py_ssize_t at, const void *octets, Py_ssize_t length) except -1:
        """Put octets at an offset; returns the offset of their end, behind which is room for SPARE more."""
        if at + length + SPARE > self.room:
            self._reserve(at + length + SPARE)
        # SAFETY: there is room for `length` octets.
        memcpy(self.data + at, octets, length)
        return at + length

    cdef Py_ssize_t _put(self, Py_ssize_t at, str text) except -1:
        cdef bytes octets
        # A str of kind 1 holds its latin-1 form; of any other kind it has no such form.
        if PyUnicode_KIND(text) == 1:
            return self._put_octets(at, PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
        octets = PyUnicode_AsLatin1String(text)
        return self._put_octets(at, PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))

    cdef Py_ssize_t _put_status(self, Py_ssize_t at, int status) except -1:
        cdef char[5] text
        if not 100 <= status <= 999:
            return self._put(at, f" {status} ")
        text[0] = text[4] = c' '
        text[1] = <char>(c'0' + status // 100)
        put_number(text + 2, status % 100)
        return self._put_octets(at, text, 5)

    cdef bint _end_line(self, Py_ssize_t length) except False:
        """The line that reaches to there is whole. Raises ValueError where it holds an end of its own."""
        cdef const uint8_t *at = self.data + self.length
        cdef const uint8_t *end = self.data + length
        while True:
            at = fs_find_control(at, end)
            if at == end:
                break
            if at[0] == c'\r' or at[0] == c'\n' or at[0] == 0:
                raise ValueError("a header line must not hold CR, LF or NUL")
            at += 1
        # SAFETY: _put left room for them.
        memcpy(self.data + length, b"\r\n", 2)
        self.length = length + 2
        return True

    cdef object _note_line(self, Py_ssize_t start, Py_ssize_t colon):
        cdef int connection = self._note(self.data + start, colon - start, self.data + colon + 2,
                                         self.length - 2 - (colon + 2))
        if self.pieces is not None:
            self.pieces.append(self._cut(start))
        return connection

    cdef bytes _cut(self, Py_ssize_t start):
        """Take what was written from `start` on out of the buffer."""
        cdef bytes octets = PyBytes_FromStringAndSize(<const char *>self.data + start, self.length - start)
        self.length = start
        return octets

    cdef int _note(self, const uint8_t *name, Py_ssize_t size, const uint8_t *value,
                   Py_ssize_t length) noexcept:
        """Remember what a line says of the body and the connection."""
        if size == 14 and same_nocase(name, b"content-length", 14):
            self.content_length = declared_length(value, length)
        elif size == 17 and same_nocase(name, b"transfer-encoding", 17):
            self.transfer_encoding = True
        elif size == 10 and same_nocase(name, b"connection", 10):
            self.connection = True
            if length == 5 and same_nocase(value, b"close", 5):
                return 1
            if length == 10 and same_nocase(value, b"keep-alive", 10):
                return 2
        return 0


cdef inline object text_of(object value):
    """What str() makes of it; which may be anybody's code."""
    return value if isinstance(value, str) else str(value)


cdef int64_t declared_length(const uint8_t *value, Py_ssize_t length) noexcept:
    """The number a handler declared, or -1 where it is none: then nobody counts by it."""
    cdef int64_t number = 0
    cdef Py_ssize_t i
    for i in range(length):
        if not is_a(value[i], DIGIT) or number > (INT64_MAX - 9) // 10:
            return -1
        number = number * 10 + (value[i] - c'0')
    return number if length else -1


# -- Dates ---------------------------------------------------------------------------------------

cdef const char *DAYS = "ThuFriSatSunMonTueWed"
cdef const char *MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

# The dates of the last seconds asked for: now, and the times of the files being served.
cdef enum:
    KEPT_DATES = 64         # a power of two

cdef int64_t[KEPT_DATES] kept_seconds
cdef list kept_dates = [None] * KEPT_DATES


def http_date(double timestamp):
    """Return an IMF-fixdate (RFC 9110 5.6.7) such as 'Sun, 06 Nov 1994 08:49:37 GMT'.

    ``timestamp`` is in seconds since the epoch, fractions dropped. The last ones are kept, so the
    Date field costs nothing but the first time in each second. Raises ValueError outside the years
    1 to 9999.
    """
    # Half a microsecond up, as datetime rounds: a time held in a double can be just below its second.
    cdef double seconds = floor(timestamp + 5e-7)
    if not -62135596800.0 <= seconds < 253402300800.0:
        raise ValueError(f"timestamp out of range: {timestamp}")
    cdef int64_t second = <int64_t>seconds
    cdef Py_ssize_t slot = <Py_ssize_t>(second & (KEPT_DATES - 1))
    if kept_seconds[slot] != second or kept_dates[slot] is None:
        kept_dates[slot] = format_date(second)
        kept_seconds[slot] = second
    return kept_dates[slot]


cdef object format_date(int64_t second):
    cdef char text[29]
    cdef int64_t days = second // 86400 if second >= 0 else -((86399 - second) // 86400)
    cdef int rest = <int>(second - days * 86400)
    cdef int year, month, day
    civil_date(days, &year, &month, &day)
    memcpy(text, DAYS + 3 * ((days % 7 + 7) % 7), 3)
    memcpy(text + 3, b", 00 Mmm 0000 00:00:00 GMT", 26)
    put_number(text + 5, day)
    memcpy(text + 8, MONTHS + 3 * (month - 1), 3)
    put_number(text + 12, year // 100)
    put_number(text + 14, year % 100)
    put_number(text + 17, rest // 3600)
    put_number(text + 20, rest // 60 % 60)
    put_number(text + 23, rest % 60)
    return PyUnicode_DecodeLatin1(text, 29, NULL)


cdef inline void put_number(char *text, int number) noexcept:
    """Two digits."""
    text[0] = <char>(c'0' + number // 10)
    text[1] = <char>(c'0' + number % 10)


cdef void civil_date(int64_t days, int *year, int *month, int *day) noexcept:
    """The Gregorian date of a day counted from 1970-01-01.

    Years are counted from March here, so that the leap day comes last, in eras of 400 years.
    """
    cdef int64_t shifted = days + 719468            # from 0000-03-01
    cdef int64_t era = (shifted if shifted >= 0 else shifted - 146096) // 146097
    cdef int64_t day_of_era = shifted - era * 146097
    cdef int64_t year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524
                                - day_of_era // 146096) // 365
    cdef int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef int64_t march_month = (5 * day_of_year + 2) // 153
    day[0] = <int>(day_of_year - (153 * march_month + 2) // 5 + 1)
    month[0] = <int>(march_month + 3 if march_month < 10 else march_month - 9)
    year[0] = <int>(year_of_era + era * 400 + (1 if month[0] <= 2 else 0))
