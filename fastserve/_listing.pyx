"""What is in a folder, read at once, and written as lines of a page or of JSON: for folders of any size.

The names are octets from the system to the page; only those that are not ASCII become text on the way. Where
that text has no form in UTF-8, as the octets were none, a page shows U+FFFD and links to the octets.

Knows descriptors and octets, no handler and no request. handlers.static and handlers.listing call it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.errno cimport errno
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, strlen, strncmp
from posix.stat cimport S_ISDIR, S_ISREG
from posix.unistd cimport close

from fastserve._ascii cimport DIGIT, fs_is_ascii, is_a, lower
from fastserve._entries cimport BLOCK, Question, Row, Span, ask, fs_do_in_threads
from fastserve._octets cimport (
    Clock, Octets, add, add_escaped, add_human, add_json, add_local_time, add_number, add_octet, add_quoted,
    add_text, add_universal_time, make_room,
)
from fastserve._sys cimport DIR, FAILED, fs_next_entry

import os

cdef extern from "Python.h":
    PyObject *fs_new_bytes "PyBytes_FromStringAndSize" (const char *octets, Py_ssize_t size)
    int _PyBytes_Resize(PyObject **octets, Py_ssize_t size) except -1
    str PyUnicode_DecodeFSDefaultAndSize(const char *octets, Py_ssize_t size)

cdef extern from "<dirent.h>" nogil:
    DIR *fdopendir(int fd)
    int closedir(DIR *folder)

cdef extern from "<errno.h>" nogil:
    enum: ENOMEM

cdef enum:
    FIRST_ROWS = 64
    CHUNK = 200             # rows of a table's body: what a browser lays out, or passes over, as a whole
    FIXED = 320             # more than the octets of a row of any form without its name
    USUAL = 160             # those of most rows without their names
    LONGEST_DOTTED = 8      # a file's kind is known by a name's end of so many octets at most
    MOST_KINDS = 256

cdef size_t MOST_TEXT = UINT32_MAX
cdef int64_t FAR = <int64_t>1 << 62


# -- Kinds of files, by the ends of their names ------------------------------------------------------

# A letter for each: image, audio, video, text, code, archive ("z"). "d" is a folder, "f" any other file.
KINDS = {
    "i": "apng avif bmp gif heic heif ico jpe jpeg jpg jxl png psd raw svg tif tiff webp xcf",
    "a": "aac aif aiff flac m4a mid midi mka mp3 oga ogg opus wav weba wma",
    "v": "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg ogv webm wmv",
    "t": "adoc csv doc docx epub log md odp ods odt org pdf ppt pptx ps rst rtf tex tsv txt xls xlsx",
    "c": "bat c cc cfg conf cpp cs css cxx diff el go h hpp htm html ini ipynb java js json jsonl jsx kt lua"
         " mjs patch php pl ps1 pxd py pyi pyx r rb rs scss sh sql swift toml ts tsx vue wasm xhtml xml yaml"
         " yml zig",
    "z": "7z apk br bz2 deb dmg gz iso jar lz lz4 rar rpm tar tbz2 tgz txz whl xz zip zst",
}

cdef uint64_t known_ends[MOST_KINDS]
cdef char known_letters[MOST_KINDS]
cdef int known_count = 0


cdef uint64_t packed(const uint8_t *end, Py_ssize_t size) noexcept nogil:
    """At most eight octets in lower case, as a number."""
    cdef uint64_t word = 0
    cdef Py_ssize_t i
    for i in range(size):
        # SAFETY: the caller has that many octets there.
        word = word << 8 | lower(end[i])
    return word


cdef void learn(dict kinds):
    global known_count
    cdef bytes octets
    pairs = sorted((packed(octets, len(octets)), ord(letter)) for letter, ends in kinds.items()
                   for octets in ends.encode().split())
    assert len(pairs) <= MOST_KINDS
    for known_count, (word, letter) in enumerate(pairs, 1):
        known_ends[known_count - 1], known_letters[known_count - 1] = word, letter


cdef char kind_of(const uint8_t *name, Py_ssize_t size) noexcept nogil:
    """The letter of a file's kind."""
    cdef Py_ssize_t dot = size - 1, low = 0, high = known_count, middle
    cdef uint64_t word
    # SAFETY: dot stays within the name.
    while dot > 0 and size - dot <= LONGEST_DOTTED and name[dot] != b".":
        dot -= 1
    if dot <= 0 or name[dot] != b".":
        return b"f"
    word = packed(name + dot + 1, size - dot - 1)
    while low < high:
        middle = (low + high) // 2
        if known_ends[middle] < word:
            low = middle + 1
        else:
            high = middle
    return known_letters[low] if low < known_count and known_ends[low] == word else <char>b"f"


def human_size(int64_t octets):
    """Return a size (str) as people say it: 999 B, 1.2 kB, 12 kB, with units of 1000; 0 for less."""
    cdef uint8_t room[32]
    cdef Octets to = [room, 0, 32]
    add_human(&to, max(octets, 0))
    return room[:to.length].decode("ascii")


cdef bint resize(PyObject **page, size_t size) except False:
    """Make new octets, or give those that nobody else has yet another size."""
    if page[0] == NULL:
        page[0] = fs_new_bytes(NULL, size)
        if page[0] == NULL:
            raise MemoryError
    else:
        _PyBytes_Resize(page, size)
    return True


# -- Rows --------------------------------------------------------------------------------------------

# Of a row, while rows are sorted.
cdef struct Place:
    const uint8_t *key
    size_t size
    int64_t first       # what is compared before the key
    uint32_t row


cdef int64_t first_of(const Row *row, char how, bint descending) noexcept nogil:
    """What a row is compared by before its name: folders by that they are folders, and not by size."""
    cdef bint folder = S_ISDIR(row.kind)
    cdef int64_t first = 0
    if how == b"d":
        first = max(row.modified, -FAR // 2)
    elif how == b"s" and not folder:
        first = row.size
    first = -first if descending else first
    return first - FAR if folder else first


cdef void make_natural(Place *place, Octets *keys) noexcept nogil:
    """Make its key one in which numbers come in the order of their values.

    A number is told by a zero, how many digits it has without zeros in front, and those. Behind it all
    stands the key itself, for two that are the same by this. The page's script makes the same.
    """
    cdef const uint8_t *at = place.key
    cdef const uint8_t *end = at + place.size
    cdef const uint8_t *number
    cdef size_t start = keys.length
    # SAFETY: each step leaves `at` at `end` or before it.
    while at < end:
        if not is_a(at[0], DIGIT):
            add_octet(keys, at[0])
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
    add(keys, place.key, place.size)
    place.key, place.size = keys.data + start, keys.length - start


cdef bint comes_before(const Place *a, const Place *b, bint backwards) noexcept nogil:
    """Whether ``a`` must stand before ``b``; of equals neither must."""
    cdef int order
    if a.first != b.first:
        return a.first < b.first
    order = memcmp(a.key, b.key, min(a.size, b.size))
    if order == 0:
        order = (a.size > b.size) - (a.size < b.size)
    return order > 0 if backwards else order < 0


cdef Place *merge(Place *places, Place *spare, size_t count, bint backwards) noexcept nogil:
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


# What has been read of a folder.
cdef struct Contents:
    Row *rows
    uint32_t *order     # indices of rows
    size_t count
    size_t room
    Octets texts
    int folders
    int files
    int64_t octets


cdef Row *new_row(Contents *it, const char *name) noexcept nogil:
    """With its name alone; NULL where there is no memory."""
    cdef Row *row
    cdef void *moved
    cdef size_t size = strlen(name), room = it.room * 2 + FIRST_ROWS, i
    if it.count == it.room:
        moved = realloc(it.rows, room * sizeof(Row))
        if moved == NULL:
            return NULL
        it.rows, it.room = <Row *>moved, room
    if it.texts.length + 2 * size >= MOST_TEXT or not make_room(&it.texts, 2 * size + 1):
        return NULL
    # SAFETY: there is room for one more.
    row = it.rows + it.count
    row.name.start, row.name.size = <uint32_t>it.texts.length, <uint32_t>size
    row.shown = row.link = row.old_link = row.name
    add(&it.texts, name, size + 1)
    row.key.start, row.key.size = <uint32_t>it.texts.length, <uint32_t>size
    for i in range(size):
        add_octet(&it.texts, lower(<uint8_t>name[i]))
    it.count += 1
    return row


cdef int read_names(
    Contents *it, DIR *folder, bint dotfiles, const char *without, size_t length
) noexcept nogil:
    """Make a row of each entry. Returns 0, or an errno."""
    cdef const char *name
    cdef int kind, more
    cdef Row *row
    while True:
        more = fs_next_entry(folder, &name, &kind)
        if more == FAILED:
            return errno
        if more == 0:
            return 0
        if name[0] == b"." and (not dotfiles or name[1] == 0 or (name[1] == b"." and name[2] == 0)):
            continue
        if length and strncmp(name, without, length) == 0:
            continue
        row = new_row(it, name)
        if row == NULL:
            return ENOMEM
        row.kind = kind


cdef void count(Contents *it, const Row *row) noexcept nogil:
    if S_ISDIR(row.kind):
        it.folders += 1
    else:
        it.files += 1
        it.octets += max(row.size, 0)


cdef void ask_all(Contents *it, int fd, bint links, bint details) noexcept nogil:
    """Ask for what is to be known of the entries, and is not yet; and count them."""
    cdef Question question
    cdef size_t i, kept = 0
    question.fd, question.details = fd, details
    question.rows, question.names = it.rows, it.texts.data
    fs_do_in_threads(ask, &question, it.count, BLOCK if details else it.count + 1)
    for i in range(it.count):
        if links or not it.rows[i].is_link:
            # SAFETY: it is i, or lies before it.
            it.rows[kept] = it.rows[i]
            count(it, it.rows + kept)
            kept += 1
    it.count = kept


cdef void place_all(
    const Contents *it, Place *places, Octets *keys, char how, bint descending
) noexcept nogil:
    """Of each row, what it is compared by. There is room in ``keys``."""
    cdef size_t i
    cdef Place *place
    for i in range(it.count):
        place = places + i
        place.row, place.first = <uint32_t>i, 0
        place.key = it.texts.data + it.rows[i].key.start
        place.size = it.rows[i].key.size
        if how != b"t":
            place.first = first_of(it.rows + i, how, descending)
            make_natural(place, keys)


cdef void take_order(Contents *it, const Place *places) noexcept nogil:
    cdef size_t i
    for i in range(it.count):
        it.order[i] = places[i].row


cdef void add_old_line(const Contents *it, Octets *to, const Row *row) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    add_text(to, '<li><a href="')
    add_quoted(to, it.texts.data + row.old_link.start, row.old_link.size)
    add_text(to, '/">' if folder else '">')
    add_escaped(to, it.texts.data + row.name.start, row.name.size)
    if folder or row.is_link:
        add_octet(to, b"@" if row.is_link else b"/")
    add_text(to, "</a></li>\n")


cdef void add_table_row(
    const Contents *it, Octets *to, const Row *row, size_t i, Clock *clock
) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    cdef uint8_t *name = it.texts.data + row.name.start
    if i % CHUNK == 0:
        add_text(to, "<tbody>")
    add_text(to, '<tr><td><a class="' if row.is_link else "<tr><td><a class=")
    add_octet(to, b"d" if folder else kind_of(name, row.name.size))
    if row.is_link:
        add_text(to, ' l"' if row.kind else ' l n"')
    add_text(to, ' href="')
    add_quoted(to, it.texts.data + row.link.start, row.link.size)
    add_text(to, '/"><bdi>' if folder else '"><bdi>')
    add_escaped(to, it.texts.data + row.shown.start, row.shown.size)
    add_text(to, "</bdi>/</a>" if folder else "</bdi></a>")
    if row.size < 0:
        add_text(to, "<td>")
    else:
        add_text(to, '<td title="')
        add_number(to, row.size, 1, True)
        add_text(to, ' byte">' if row.size == 1 else ' bytes">')
        add_human(to, row.size)
    add_text(to, "<td>")
    add_local_time(to, clock, row.modified)
    add_octet(to, b"\n")


cdef void add_element(const Contents *it, Octets *to, const Row *row, size_t i) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    add_text(to, ',\n{"name":"' if i else '{"name":"')
    add_json(to, it.texts.data + row.shown.start, row.shown.size)
    add_text(to, '","href":"')
    add_quoted(to, it.texts.data + row.link.start, row.link.size)
    add_text(to, '/","type":"directory"' if folder else
             '","type":"file"' if S_ISREG(row.kind) else '","type":"other"')
    add_text(to, ',"link":true' if row.is_link else ',"link":false')
    add_text(to, ',"size":')
    if row.size < 0:
        add_text(to, "null")
    else:
        add_number(to, row.size, 1, False)
    add_text(to, ',"modified":')
    if not add_universal_time(to, row.modified):
        add_text(to, "null")
    add_octet(to, b"}")


cdef size_t add_rows(const Contents *it, Octets *to, char form, size_t i, Clock *clock) noexcept nogil:
    """From that one on, as long as they have room. Returns which is next."""
    cdef const Row *row
    while i < it.count:
        row = it.rows + it.order[i]
        if to.room - to.length < FIXED + 3 * row.old_link.size + 6 * (row.shown.size + row.name.size):
            break
        if form == b"o":
            add_old_line(it, to, row)
        elif form == b"h":
            add_table_row(it, to, row, i, clock)
        else:
            add_element(it, to, row, i)
        i += 1
    return i


def shown(str text not None):
    """Return a text that UTF-8 has a form for, with U+FFFD for what it has none for."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@cython.final
cdef class Folder:
    """The entries of a folder.

    ``fd`` is a descriptor of it, which is taken over and closed. ``links`` says whether symbolic links are
    among them, ``dotfiles`` whether names are that begin with a dot, ``details`` whether sizes and times
    are asked for; names that begin with ``without`` (bytes) are not, unless that is b"". Raises OSError.
    """

    cdef Contents it

    def __cinit__(self, int fd, bint links, bint dotfiles, bint details, bytes without=b""):
        cdef const char *prefix = without
        cdef size_t length = len(without)
        cdef DIR *folder
        cdef int fault
        with nogil:
            folder = fdopendir(fd)
            if folder == NULL:
                fault = errno
                close(fd)
            else:
                fault = read_names(&self.it, folder, dotfiles, prefix, length)
                if not fault:
                    ask_all(&self.it, fd, links, details)
                closedir(folder)
        if fault == ENOMEM:
            raise MemoryError
        if fault:
            raise OSError(fault, os.strerror(fault))
        self.read_texts()
        self.in_order()

    def __dealloc__(self):
        free(self.it.rows)
        free(self.it.order)
        free(self.it.texts.data)

    def __len__(self):
        return self.it.count

    @property
    def folders(self):
        """How many of the entries are, or lead to, folders."""
        return self.it.folders

    @property
    def files(self):
        """How many are anything else."""
        return self.it.files

    @property
    def octets(self):
        """Of all files together, where details were asked for."""
        return self.it.octets

    cdef bint read_texts(self) except False:
        """Of the names that are not ASCII."""
        cdef size_t i
        cdef Row *row
        for i in range(self.it.count):
            row = self.it.rows + i
            # SAFETY: the name stands among the texts.
            if not fs_is_ascii(self.it.texts.data + row.name.start, row.name.size):
                self.read_text(row)
        return True

    cdef bint read_text(self, Row *row) except False:
        cdef str text = PyUnicode_DecodeFSDefaultAndSize(
            <char *>self.it.texts.data + row.name.start, row.name.size)
        row.old_link = row.link = row.shown = self.keep(text.encode("utf-8", "surrogatepass"))
        row.key = self.keep(text.lower().encode("utf-8", "surrogatepass"))
        try:
            text.encode()
        except UnicodeEncodeError:
            row.link = row.name
            row.shown = self.keep(shown(text).encode())
        return True

    cdef Span keep(self, bytes text):
        cdef Span span
        if self.it.texts.length + len(text) >= MOST_TEXT or not make_room(&self.it.texts, len(text)):
            raise MemoryError
        span.start, span.size = <uint32_t>self.it.texts.length, <uint32_t>len(text)
        add(&self.it.texts, PyBytes_AS_STRING(text), span.size)
        return span

    # -- Order -----------------------------------------------------------------------------------

    cdef bint in_order(self) except False:
        """That in which the system has told of them."""
        cdef size_t i
        self.it.order = <uint32_t *>malloc((self.it.count + 1) * sizeof(uint32_t))
        if self.it.order == NULL:
            raise MemoryError
        for i in range(self.it.count):
            self.it.order[i] = <uint32_t>i
        return True

    def sort(self, str by not None, bint descending=False):
        """Sort by "text", as http.server does, or folders first by "name", "size" or "date".

        In the order of "name", which is that of equals too, 9 comes before 10. Raises ValueError.
        """
        if by not in ("text", "name", "size", "date"):
            raise ValueError(by)
        cdef char how = ord(by[0])
        cdef size_t count = self.it.count
        cdef Octets keys = [NULL, 0, 0]
        cdef Place *places = <Place *>malloc((2 * count + 1) * sizeof(Place))
        cdef bint known
        if places == NULL:
            raise MemoryError
        with nogil:
            # A digit that is alone becomes three octets, and its key stands behind it.
            known = how == b"t" or make_room(&keys, 4 * self.it.texts.length + count)
            if known:
                place_all(&self.it, places, &keys, how, descending)
                take_order(&self.it, merge(places, places + count, count, descending and how == b"n"))
            free(places)
            free(keys.data)
        if not known:
            raise MemoryError

    # -- Forms -----------------------------------------------------------------------------------

    # Each returns octets, with those of ``begin`` and ``end`` around them.

    def old_lines(self, bytes begin=b"", bytes end=b""):
        """Return http.server's lines of a list, each with a line's end: links; @ is a symbolic one."""
        return self.written(b"o", begin, end)

    def table(self, bytes begin=b"", bytes end=b""):
        """Return rows of a table of HTML in UTF-8, in bodies of some hundred: name, size, date."""
        return self.written(b"h", begin, end)

    def json(self, bytes begin=b"", bytes end=b""):
        """Return the elements of an array of JSON, comma and line's end between them."""
        return self.written(b"j", begin, end)

    cdef bytes written(self, char form, bytes begin, bytes end):
        """Write straight into the octets that are returned, of which there may be millions."""
        cdef size_t room = len(begin) + len(end) + self.it.count * USUAL + 2 * self.it.texts.length, at = 0
        cdef PyObject *page = NULL
        cdef Octets to = [NULL, 0, 0]
        cdef Clock clock
        clock.known = False
        clock.when = 0
        try:
            while True:
                resize(&page, room)
                to.data, to.room = <uint8_t *>PyBytes_AS_STRING(<object>page), room
                if not to.length:
                    add(&to, PyBytes_AS_STRING(begin), len(begin))
                with nogil:
                    at = add_rows(&self.it, &to, form, at, &clock)
                if at == self.it.count and to.room - to.length >= <size_t>len(end):
                    break
                room = 2 * room + FIXED + len(end)
            add(&to, PyBytes_AS_STRING(end), len(end))
            resize(&page, to.length)
            return <bytes>page
        finally:
            Py_XDECREF(page)


learn(KINDS)
