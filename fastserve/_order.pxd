# The order of entries: as http.server has it, or folders first by name, size or date, where 9 is before 10.
#
# Header-only. Knows rows, and no file. For _listing.

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp
from posix.stat cimport S_ISDIR

from fastserve._ascii cimport DIGIT, is_a, lower
from fastserve._entries cimport Row, Text
from fastserve._octets cimport Octets, add, add_lower, add_octet

cdef extern from *:
    """
    /* Farther than any size or time. */
    #define FS_FAR ((int64_t)1 << 62)
    """
    int64_t FAR "FS_FAR"

# Of a row, while rows are sorted.
cdef struct Place:
    int64_t first       # what is compared before the key
    uint64_t word       # the key's first octets behind those that all keys begin with, as a number
    Text key
    Row *row


cdef inline int64_t first_of(const Row *row, char how, bint descending) noexcept nogil:
    """What a row is compared by before its name: folders by that they are folders, and not by size."""
    cdef bint folder = S_ISDIR(row.kind)
    cdef int64_t first = 0
    if how == b"d":
        first = max(row.modified, -FAR // 2)
    elif how == b"s" and not folder:
        first = row.size
    first = -first if descending else first
    return first - FAR if folder else first


cdef inline void make_plain(Place *place, Octets *keys) noexcept nogil:
    """Make its key one in lower case."""
    cdef size_t start = keys.length
    add_lower(keys, place.key.octets, place.key.size)
    place.key.octets = keys.data + start


cdef inline void make_natural(Place *place, Octets *keys) noexcept nogil:
    """Make its key one in lower case, in which numbers come in the order of their values.

    A number is told by a zero, how many digits it has without zeros in front, and those. Behind it all
    stands the key itself, for two that are the same by this. The page's script makes the same.
    """
    cdef const uint8_t *at = place.key.octets
    cdef const uint8_t *end = at + place.key.size
    cdef const uint8_t *number
    cdef size_t start = keys.length
    # SAFETY: each step leaves `at` at `end` or before it.
    while at < end:
        if not is_a(at[0], DIGIT):
            add_octet(keys, lower(at[0]))
            at += 1
            continue
        while at < end and at[0] == b"0":
            at += 1
        number = at
        while at < end and is_a(at[0], DIGIT):
            at += 1
        add_octet(keys, b"0")
        add_octet(keys, <uint8_t>min(at - number, 255))
        add(keys, number, at - number)
    add_octet(keys, 0)
    add_lower(keys, place.key.octets, place.key.size)
    place.key.octets, place.key.size = keys.data + start, keys.length - start


cdef inline size_t common_start(const Place *places, size_t count) noexcept nogil:
    """How many octets all keys begin with."""
    cdef size_t common = places[0].key.size, i, same
    for i in range(1, count):
        common = min(common, places[i].key.size)
        same = 0
        # SAFETY: both keys are that long.
        while same < common and places[i].key.octets[same] == places[0].key.octets[same]:
            same += 1
        common = same
    return common


cdef inline void make_words(Place *places, size_t count) noexcept nogil:
    """Between most keys these decide, so that the keys themselves need not be read."""
    cdef size_t common = common_start(places, count) if count else 0, i, j, size
    for i in range(count):
        size = places[i].key.size - common
        places[i].word = 0
        for j in range(8):
            # SAFETY: what is behind the key's end is not read.
            places[i].word = places[i].word << 8 | (places[i].key.octets[common + j] if j < size else 0)


cdef inline bint comes_before(const Place *a, const Place *b, bint backwards) noexcept nogil:
    """Whether ``a`` must stand before ``b``; of equals neither must."""
    cdef int order
    if a.first != b.first:
        return a.first < b.first
    if a.word != b.word:
        return a.word > b.word if backwards else a.word < b.word
    order = memcmp(a.key.octets, b.key.octets, min(a.key.size, b.key.size))
    if order == 0:
        order = (a.key.size > b.key.size) - (a.key.size < b.key.size)
    return order > 0 if backwards else order < 0


cdef inline Place *merge(Place *places, Place *spare, size_t count, bint backwards) noexcept nogil:
    """Sort by merging; equals stay in their order. Returns which of the two arrays has it."""
    cdef size_t width = 1, start, left, right, middle, end, i
    cdef Place *swap
    while width < count:
        start = 0
        while start < count:
            left, middle = start, min(start + width, count)
            right, end = middle, min(start + 2 * width, count)
            # SAFETY: left and right stay within their halves of what was cut off, i within both.
            for i in range(start, end):
                if right >= end or (left < middle
                                    and not comes_before(places + right, places + left, backwards)):
                    spare[i] = places[left]
                    left += 1
                else:
                    spare[i] = places[right]
                    right += 1
            start = end
        swap, places, spare = places, spare, places
        spare = swap
        width *= 2
    return places
