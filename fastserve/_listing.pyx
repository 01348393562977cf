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
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen, strncmp
from posix.stat cimport S_ISDIR, S_ISREG
from posix.unistd cimport close

from fastserve._ascii cimport fs_is_ascii, lower
from fastserve._entries cimport (
    BATCH, HELPED, Batch, Forms, Question, Row, Text, ask, forms_of, fs_add_helper, fs_add_piece, fs_begin,
    fs_crew, fs_end, name_of,
)
from fastserve._octets cimport (
    Clock, Octets, add, add_escaped, add_human, add_json, add_local_time, add_number, add_octet,
    add_quoted, add_text, add_universal_time, make_room, start_clock,
)
from fastserve._order cimport Place, first_of, make_natural, make_plain, make_words, merge
from fastserve._sys cimport DIR, FAILED, fs_next_entry

import os

cdef extern from "Python.h":
    void fs_set_size "Py_SET_SIZE" (void *octets, Py_ssize_t size)
    PyObject *fs_new_bytes "PyBytes_FromStringAndSize" (const char *octets, Py_ssize_t size)
    int _PyBytes_Resize(PyObject **octets, Py_ssize_t size) except -1
    str PyUnicode_DecodeFSDefaultAndSize(const char *octets, Py_ssize_t size)

cdef extern from "<dirent.h>" nogil:
    DIR *fdopendir(int fd)
    int closedir(DIR *folder)

cdef extern from "<errno.h>" nogil:
    enum: ENOMEM

cdef enum:
    SHEET = 4096            # octets of names that are kept together
    ALIGNED = 8             # whatever is kept among them
    CHUNK = 200             # rows of a table's body: what a browser lays out, or passes over, as a whole
    FIXED = 320             # more than the octets of a row of any form without its name
    USUAL = 160             # those of most rows without their names
    LONGEST_DOTTED = 8      # a file's kind is known by a name's end of so many octets at most
    PLACE_BITS = 9          # of the places for ends of names
    PLACES = 1 << 9         # twice as many as there are ends, or more

cdef uint64_t MIXED = 0x9e3779b97f4a7c15    # what is multiplied by it differs in its first bits


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

# Where an end is looked for, and behind that, as more ends may begin there. A place that has none has 0.
cdef uint64_t known_ends[PLACES]
cdef char known_letters[PLACES]


cdef size_t place_of(uint64_t end) noexcept nogil:
    """Where that stands, or the place that it may have."""
    cdef size_t place = <size_t>((end * MIXED) >> (64 - PLACE_BITS))
    # SAFETY: it is one of the places, and half of them are free.
    while known_ends[place] != 0 and known_ends[place] != end:
        place = (place + 1) % PLACES
    return place


cdef uint64_t packed(const uint8_t *end, Py_ssize_t size) noexcept nogil:
    """At most eight octets in lower case, as a number."""
    cdef uint64_t word = 0
    cdef Py_ssize_t i
    for i in range(size):
        # SAFETY: the caller has that many octets there.
        word = word << 8 | lower(end[i])
    return word


cdef void learn(dict kinds):
    cdef bytes octets
    cdef size_t place
    assert sum(len(ends.split()) for ends in kinds.values()) <= PLACES // 2
    for letter, ends in kinds.items():
        for octets in ends.encode().split():
            place = place_of(packed(octets, len(octets)))
            known_ends[place], known_letters[place] = packed(octets, len(octets)), ord(letter)


cdef char kind_of(const uint8_t *name, Py_ssize_t size) noexcept nogil:
    """The letter of a file's kind."""
    cdef Py_ssize_t dot = size - 1
    cdef uint64_t end
    cdef size_t place
    # SAFETY: dot stays within the name.
    while dot > 0 and size - dot <= LONGEST_DOTTED and name[dot] != b".":
        dot -= 1
    if dot <= 0 or name[dot] != b".":
        return b"f"
    end = packed(name + dot + 1, size - dot - 1)
    place = place_of(end)
    return known_letters[place] if end != 0 and known_ends[place] == end else <char>b"f"


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


cdef bint cut(PyObject **page, size_t room, size_t size) except False:
    """Make octets that nobody else has, and that have that room, as many as there are.

    Their memory stays as it is where less than half of it is unused. The C library keeps a large block for
    the next that needs as much; but of one that has become smaller it learns a smaller size, and the next
    comes from the system again, page by page, which takes longer than to write into it.
    """
    if room - size > size:
        return resize(page, size)
    # SAFETY: there is an octet more than the room, for the NUL behind them.
    PyBytes_AS_STRING(<object>page[0])[size] = 0
    fs_set_size(page[0], size)
    return True


# -- Rows --------------------------------------------------------------------------------------------

# Octets that are kept, and never move, so that threads may read them while more are added.
cdef struct Sheet:
    Sheet *before
    size_t left
    uint8_t *at


# What has been read of a folder.
cdef struct Contents:
    Batch *first
    Batch *last
    Sheet *sheet
    Row **order
    size_t count        # of what stands in that order
    size_t names        # their octets together
    int folders
    int files
    int64_t octets


cdef uint8_t *keep(Contents *it, size_t size) noexcept nogil:
    """Room for that many octets, as long as the contents are; or NULL where there is no memory."""
    cdef Sheet *sheet = it.sheet
    cdef size_t room
    size = (size + ALIGNED - 1) // ALIGNED * ALIGNED
    room = max(size, <size_t>SHEET)
    if sheet == NULL or sheet.left < size:
        sheet = <Sheet *>malloc(sizeof(Sheet) + room)
        if sheet == NULL:
            return NULL
        # SAFETY: the room begins behind the sheet itself, and is aligned as that is.
        sheet.before, sheet.left, sheet.at = it.sheet, room, <uint8_t *>(sheet + 1)
        it.sheet = sheet
    sheet.left -= size
    sheet.at += size
    return sheet.at - size


cdef Batch *new_batch() noexcept nogil:
    cdef Batch *batch = <Batch *>malloc(sizeof(Batch))
    if batch != NULL:
        batch.piece.next, batch.count = NULL, 0
    return batch


cdef void forget(Contents *it) noexcept nogil:
    cdef Batch *batch = it.first
    cdef Sheet *sheet = it.sheet
    while batch != NULL:
        it.first = <Batch *>batch.piece.next
        free(batch)
        batch = it.first
    while sheet != NULL:
        it.sheet = sheet.before
        free(sheet)
        sheet = it.sheet
    free(it.order)


cdef Row *new_row(Contents *it, const char *name, fs_crew *crew) noexcept nogil:
    """With its name alone; NULL where there is no memory."""
    cdef size_t size = strlen(name)
    cdef uint8_t *kept = keep(it, size + 1)
    cdef Batch *batch = it.last
    cdef Row *row
    if kept == NULL:
        return NULL
    memcpy(kept, name, size + 1)
    if batch.count == BATCH:
        batch = new_batch()
        if batch == NULL:
            return NULL
        it.last = batch
        fs_add_piece(crew, &batch.piece)
    # SAFETY: there is room for one more.
    row = &batch.rows[batch.count]
    row.name, row.length, row.forms = kept, <uint32_t>size, NULL
    batch.count += 1
    return row


cdef int read_names(
    Contents *it, DIR *folder, bint dotfiles, const char *without, size_t length, fs_crew *crew, bint helped
) noexcept nogil:
    """Make a row of each entry; with help in what is done with them. Returns 0, or an errno."""
    cdef const char *name
    cdef int kind, more
    cdef size_t count = 0
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
        row = new_row(it, name, crew)
        if row == NULL:
            return ENOMEM
        row.kind = kind
        count += 1
        if helped and count % HELPED == 0:
            fs_add_helper(crew)


cdef int read_folder(
    Contents *it, DIR *folder, Question *question, bint dotfiles, const char *without, size_t length
) noexcept nogil:
    """All of it. Returns 0, or an errno."""
    cdef fs_crew crew
    cdef int fault
    it.first = it.last = new_batch()
    if it.first == NULL:
        return ENOMEM
    fs_begin(&crew, ask, question, &it.first.piece)
    fault = read_names(it, folder, dotfiles, without, length, &crew, question.details)
    fs_end(&crew)
    return fault


cdef void count(Contents *it, const Row *row) noexcept nogil:
    if S_ISDIR(row.kind):
        it.folders += 1
    else:
        it.files += 1
        it.octets += max(row.size, 0)


cdef size_t rows_of(const Contents *it) noexcept nogil:
    cdef const Batch *batch = it.first
    cdef size_t count = 0
    while batch != NULL:
        count += batch.count
        batch = <const Batch *>batch.piece.next
    return count


cdef bint in_order(Contents *it, bint links) noexcept nogil:
    """That in which the system has told of them; and count them. False where there is no memory."""
    cdef Batch *batch = it.first
    cdef Row *row
    cdef size_t i
    it.order = <Row **>malloc((rows_of(it) + 1) * sizeof(Row *))
    if it.order == NULL:
        return False
    while batch != NULL:
        for i in range(batch.count):
            row = &batch.rows[i]
            if links or not row.is_link:
                # SAFETY: there is room for as many as there are rows.
                it.order[it.count] = row
                it.count += 1
                it.names += row.length
                count(it, row)
        batch = <Batch *>batch.piece.next
    return True


cdef void place_all(
    const Contents *it, Place *places, Octets *keys, char how, bint descending
) noexcept nogil:
    """Of each row, what it is compared by. There is room in ``keys``."""
    cdef size_t i
    cdef Place *place
    for i in range(it.count):
        place = places + i
        place.row, place.first = it.order[i], 0
        place.key = forms_of(place.row).key
        if how == b"t":
            make_plain(place, keys)
        else:
            place.first = first_of(place.row, how, descending)
            make_natural(place, keys)
    make_words(places, it.count)


cdef size_t key_octets(const Contents *it) noexcept nogil:
    """Room for all keys: a digit that is alone becomes three octets, and behind the key stands its text."""
    cdef size_t room = 0, i
    for i in range(it.count):
        room += 4 * forms_of(it.order[i]).key.size + 1
    return room


cdef void take_order(Contents *it, const Place *places) noexcept nogil:
    cdef size_t i
    for i in range(it.count):
        it.order[i] = places[i].row


cdef void add_old_line(Octets *to, const Row *row, const Forms *forms) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    add_text(to, '<li><a href="')
    add_quoted(to, forms.old_link.octets, forms.old_link.size)
    add_text(to, '/">' if folder else '">')
    add_escaped(to, row.name, row.length)
    if folder or row.is_link:
        add_octet(to, b"@" if row.is_link else b"/")
    add_text(to, "</a></li>\n")


cdef void add_table_row(
    Octets *to, const Row *row, const Forms *forms, size_t i, Clock *clock
) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    if i % CHUNK == 0:
        add_text(to, "<tbody>")
    add_text(to, '<tr><td><a class="' if row.is_link else "<tr><td><a class=")
    add_octet(to, b"d" if folder else kind_of(row.name, row.length))
    if row.is_link:
        add_text(to, ' l"' if row.kind else ' l n"')
    add_text(to, ' href="')
    add_quoted(to, forms.link.octets, forms.link.size)
    add_text(to, '/"><bdi>' if folder else '"><bdi>')
    add_escaped(to, forms.shown.octets, forms.shown.size)
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


cdef void add_element(Octets *to, const Row *row, const Forms *forms, size_t i) noexcept nogil:
    cdef bint folder = S_ISDIR(row.kind)
    add_text(to, ',\n{"name":"' if i else '{"name":"')
    add_json(to, forms.shown.octets, forms.shown.size)
    add_text(to, '","href":"')
    add_quoted(to, forms.link.octets, forms.link.size)
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
    cdef Forms forms
    while i < it.count:
        row = it.order[i]
        forms = forms_of(row)
        if to.room - to.length < FIXED + 3 * forms.old_link.size + 6 * (forms.shown.size + row.length):
            break
        if form == b"o":
            add_old_line(to, row, &forms)
        elif form == b"h":
            add_table_row(to, row, &forms, i, clock)
        else:
            add_element(to, row, &forms, i)
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
        cdef Question question
        cdef DIR *folder
        cdef int fault
        question.fd, question.details = fd, details
        with nogil:
            folder = fdopendir(fd)
            if folder == NULL:
                fault = errno
                close(fd)
            else:
                fault = read_folder(&self.it, folder, &question, dotfiles, prefix, length)
                closedir(folder)
            if not fault and not in_order(&self.it, links):
                fault = ENOMEM
        if fault == ENOMEM:
            raise MemoryError
        if fault:
            raise OSError(fault, os.strerror(fault))
        self.read_texts()

    def __dealloc__(self):
        forget(&self.it)

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
            row = self.it.order[i]
            if not fs_is_ascii(row.name, row.length):
                self.read_text(row)
        return True

    cdef bint read_text(self, Row *row) except False:
        cdef str text = PyUnicode_DecodeFSDefaultAndSize(<const char *>row.name, row.length)
        cdef Forms *forms = <Forms *>self.room(sizeof(Forms))
        forms.old_link = forms.link = forms.shown = self.kept(text.encode("utf-8", "surrogatepass"))
        forms.key = self.kept(text.lower().encode("utf-8", "surrogatepass"))
        try:
            text.encode()
        except UnicodeEncodeError:
            forms.link = name_of(row)
            forms.shown = self.kept(shown(text).encode())
        row.forms = forms
        return True

    cdef void *room(self, size_t size) except NULL:
        cdef void *kept = keep(&self.it, size)
        if kept == NULL:
            raise MemoryError
        return kept

    cdef Text kept(self, bytes text):
        cdef Text copy
        cdef void *room = self.room(len(text))
        memcpy(room, PyBytes_AS_STRING(text), len(text))
        copy.octets, copy.size = <const uint8_t *>room, len(text)
        return copy

    # -- Order -----------------------------------------------------------------------------------

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
            known = make_room(&keys, key_octets(&self.it))
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
        cdef size_t room = len(begin) + len(end) + self.it.count * USUAL + 4 * self.it.names, at = 0
        cdef PyObject *page = NULL
        cdef Octets to = [NULL, 0, 0]
        cdef Clock clock
        start_clock(&clock)
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
            cut(&page, room, to.length)
            return <bytes>page
        finally:
            Py_XDECREF(page)


learn(KINDS)
