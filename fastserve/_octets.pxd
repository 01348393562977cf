# Octets that grow, and what is written into them: numbers, sizes as people say them, times, names for a URL,
# for HTML and for JSON.
#
# Header-only. Knows no file, no Python object, and of time the zone, not the clock. For _listing.

from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, strlen
from libc.time cimport time_t, tm

from fastserve._ascii cimport lower

cdef extern from "<time.h>" nogil:
    tm *localtime_r(const time_t *when, tm *found)
    tm *gmtime_r(const time_t *when, tm *found)

cdef extern from *:
    """
    static const char fs_digits[] = "0123456789ABCDEF";
    static const char fs_units[] = "kMGTPE";

    /* What RFC 3986 2.3 calls unreserved, and the slash: what urllib.parse.quote() leaves as it is. */
    static int fs_is_unreserved(unsigned char c)
    {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '-' && c <= '9')
            || c == '_' || c == '~';
    }

    /* Local time minus UTC in seconds (POSIX.1-2024; Linux, macOS and the BSDs have had it for long). */
    static long fs_offset(const struct tm *local)
    {
        return local->tm_gmtoff;
    }
    """
    const char *fs_digits
    const char *fs_units
    bint fs_is_unreserved(uint8_t octet) noexcept nogil
    long fs_offset(const tm *local) noexcept nogil


cdef enum:
    ROOM = 32               # for any number
    WRITTEN = 96            # for any time as HTML has it
    BEFORE_SECOND = 32      # octets of such a time


cdef struct Octets:
    uint8_t *data
    size_t length
    size_t room


cdef inline bint make_room(Octets *octets, size_t count) noexcept nogil:
    """Whether that many more fit in."""
    cdef size_t room
    cdef void *moved
    if octets.room - octets.length >= count:
        return True
    room = octets.room * 2 + count
    moved = realloc(octets.data, room)
    if moved == NULL:
        return False
    octets.data, octets.room = <uint8_t *>moved, room
    return True


# Those below add what make_room() has made room for, and look no further: an octet becomes at most three in a
# URL, five in HTML, six in JSON.
# SAFETY: so their callers ask for as much.

cdef inline void add(Octets *to, const void *octets, size_t size) noexcept nogil:
    memcpy(to.data + to.length, octets, size)
    to.length += size


cdef inline void add_text(Octets *to, const char *text) noexcept nogil:
    add(to, text, strlen(text))


cdef inline void add_octet(Octets *to, uint8_t octet) noexcept nogil:
    to.data[to.length] = octet
    to.length += 1


cdef inline void add_lower(Octets *to, const uint8_t *octets, size_t size) noexcept nogil:
    """With ASCII's letters in lower case."""
    cdef uint8_t *at = to.data + to.length
    cdef size_t i
    for i in range(size):
        at[i] = lower(octets[i])
    to.length += size


cdef inline void add_number(Octets *to, int64_t number, int width, bint grouped) noexcept nogil:
    """A number that is not below 0, with zeros in front up to that width; or in groups of three digits."""
    cdef uint8_t[ROOM] digits
    cdef uint64_t rest = <uint64_t>number
    cdef int at = ROOM, written = 0
    # SAFETY: 19 digits and 6 commas at most.
    while rest > 0 or written < width:
        if grouped and written and written % 3 == 0:
            at -= 1
            digits[at] = b","
        at -= 1
        digits[at] = fs_digits[rest % 10]
        written, rest = written + 1, rest // 10
    add(to, &digits[at], ROOM - at)


# Those two write behind a pointer of their own, as for all the compiler knows each octet might change `to`.

cdef inline void add_quoted(Octets *to, const uint8_t *octets, size_t size) noexcept nogil:
    """Percent-encoded (RFC 3986 2.1)."""
    cdef uint8_t *at = to.data + to.length
    cdef size_t i
    for i in range(size):
        at[0] = octets[i]
        if fs_is_unreserved(octets[i]):
            at += 1
        else:
            at[0], at[1], at[2] = b"%", fs_digits[octets[i] >> 4], fs_digits[octets[i] & 15]
            at += 3
    to.length = at - to.data


cdef inline void add_escaped(Octets *to, const uint8_t *octets, size_t size) noexcept nogil:
    """As text of HTML."""
    cdef uint8_t *at = to.data + to.length
    cdef size_t i
    for i in range(size):
        at[0] = octets[i]
        at += 1
        if octets[i] == b"&" or octets[i] == b"<" or octets[i] == b">":
            to.length = at - 1 - to.data
            add_text(to, "&amp;" if octets[i] == b"&" else "&lt;" if octets[i] == b"<" else "&gt;")
            at = to.data + to.length
    to.length = at - to.data


cdef inline void add_json(Octets *to, const uint8_t *octets, size_t size) noexcept nogil:
    """As what stands in a string of JSON (RFC 8259 7)."""
    cdef size_t i
    cdef uint8_t octet
    for i in range(size):
        octet = octets[i]
        if octet < 0x20:
            add_text(to, "\\u00")
            add_octet(to, fs_digits[octet >> 4])
            add_octet(to, fs_digits[octet & 15])
            continue
        if octet == b'"' or octet == b"\\":
            add_octet(to, b"\\")
        add_octet(to, octet)


cdef inline void add_human(Octets *to, int64_t size) noexcept nogil:
    """A size as people say it: 999 B, 1.2 kB, 12 kB, with units of 1000."""
    cdef int64_t unit = 1000
    cdef int which = 0
    if size < 1000:
        add_number(to, size, 1, False)
        add_text(to, " B")
        return
    # What would be rounded up to 1000 of a unit is 1.0 of the next.
    while which < 5 and size >= unit * 1000 - unit // 2:
        unit, which = unit * 1000, which + 1
    if size - 9 * unit < unit - unit // 20:
        size = (size // (unit // 20) + 1) // 2
        add_number(to, size // 10, 1, False)
        add_octet(to, b".")
        add_number(to, size % 10, 1, False)
    else:
        add_number(to, size // unit + (size % unit >= unit // 2), 1, False)
    add_octet(to, b" ")
    add_octet(to, fs_units[which])
    add_octet(to, b"B")


cdef inline void add_day(Octets *to, const tm *when) noexcept nogil:
    add_number(to, when.tm_year + 1900, 4, False)
    add_octet(to, b"-")
    add_number(to, when.tm_mon + 1, 2, False)
    add_octet(to, b"-")
    add_number(to, when.tm_mday, 2, False)


cdef inline void add_hour(Octets *to, const tm *when, bint seconds) noexcept nogil:
    add_number(to, when.tm_hour, 2, False)
    add_octet(to, b":")
    add_number(to, when.tm_min, 2, False)
    if seconds:
        add_octet(to, b":")
        add_number(to, when.tm_sec, 2, False)


cdef inline void add_time(Octets *to, const tm *when) noexcept nogil:
    """To the second, without its zone (RFC 3339)."""
    add_day(to, when)
    add_octet(to, b"T")
    add_hour(to, when, True)


cdef inline bint is_writable(const tm *when) noexcept nogil:
    """Whether the year has four digits, as it must have in RFC 3339."""
    return 0 <= when.tm_year + 1900 <= 9999


# The last local time that was asked for, and how it is written: many files of a folder are of one minute.
cdef struct Clock:
    bint known
    time_t when
    tm there
    size_t size         # of the text, 0 where it is none
    uint8_t[WRITTEN] text


cdef inline void start_clock(Clock *clock) noexcept nogil:
    clock.known, clock.when, clock.size = False, 0, 0


cdef inline bint read_clock(Clock *clock, time_t when) noexcept nogil:
    """Whether there is a local time for it, which the clock has then."""
    clock.known = localtime_r(&when, &clock.there) != NULL and is_writable(&clock.there)
    clock.when = when
    return clock.known


cdef inline bint is_in_minute(const Clock *clock, time_t when) noexcept nogil:
    """Of the time that the clock has."""
    cdef int64_t later = <int64_t>when - <int64_t>clock.when
    return clock.known and -60 < later < 60 and 0 <= clock.there.tm_sec + later < 60


cdef inline void add_local_time(Octets *to, Clock *clock, int64_t when) noexcept nogil:
    """As HTML has it: for people to the minute, for programs to the second and with its zone."""
    cdef uint8_t *second
    if when == INT64_MIN:
        return
    if is_in_minute(clock, when):
        clock.there.tm_sec += <int>(when - clock.when)
        clock.when = when
    elif read_clock(clock, when):
        write_clock(clock)
    else:
        return
    second = to.data + to.length + BEFORE_SECOND
    add(to, clock.text, clock.size)
    # SAFETY: they are within what was added.
    second[0], second[1] = fs_digits[clock.there.tm_sec // 10], fs_digits[clock.there.tm_sec % 10]


cdef inline void write_clock(Clock *clock) noexcept nogil:
    cdef Octets to = [clock.text, 0, WRITTEN]
    cdef long offset = fs_offset(&clock.there) // 60
    add_text(&to, "<time datetime=")
    add_time(&to, &clock.there)
    add_octet(&to, b"-" if offset < 0 else b"+")
    offset = -offset if offset < 0 else offset
    add_number(&to, offset // 60, 2, False)
    add_octet(&to, b":")
    add_number(&to, offset % 60, 2, False)
    add_octet(&to, b">")
    add_day(&to, &clock.there)
    add_octet(&to, b" ")
    add_hour(&to, &clock.there, False)
    add_text(&to, "</time>")
    clock.size = to.length


cdef inline bint add_universal_time(Octets *to, int64_t when) noexcept nogil:
    """As JSON has it, with its quotes; or nothing, and False, where it cannot be written."""
    cdef tm there
    cdef time_t second = when
    if when == INT64_MIN or gmtime_r(&second, &there) == NULL or not is_writable(&there):
        return False
    add_octet(to, b'"')
    add_time(to, &there)
    add_text(to, 'Z"')
    return True
