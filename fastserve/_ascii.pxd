# Character classes of RFC 9110 and 9112, and the cursor through which the parser reads bytes.
#
# Header-only. Knows bytes and bounds; not what a request is. For _parser and _response.
#
# The cursor is the one way to move through borrowed memory. It never passes `end`: the debug build
# checks each step (fs_check), the others trust the callers, who test has_more() or the class first.

from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif

    #ifdef FASTSERVE_DEBUG
    #include <stdio.h>
    #include <stdlib.h>
    static void fs_check(int held, const char *what)
    {
        if (!held) { fprintf(stderr, "fastserve: broken invariant: %s\\n", what); abort(); }
    }
    #else
    #define fs_check(held, what) ((void)(held), (void)(what))
    #endif

    /* TOKEN: tchar. FIELD: what a field value may hold. TARGET: what a request target may hold,
       which is everything but controls and space, so that raw UTF-8 passes as http.server lets it.
       HOST: reg-name without its port. */
    enum { TOKEN = 1, FIELD = 2, TARGET = 4, DIGIT = 8, HEX = 16, HOST = 32 };

    static const uint8_t fs_classes[256] = {
        /* 0x00 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
        /* 0x10 */  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
        /* 0x20 */  2, 39,  6,  7, 39,  7, 39, 39, 38, 38, 39, 39, 38, 39, 39,  6,
        /* 0x30 */ 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,  6, 38,  6, 38,  6,  6,
        /* 0x40 */  6, 55, 55, 55, 55, 55, 55, 39, 39, 39, 39, 39, 39, 39, 39, 39,
        /* 0x50 */ 39, 39, 39, 39, 39, 39, 39, 39, 39, 39, 39,  6,  6,  6,  7, 39,
        /* 0x60 */  7, 55, 55, 55, 55, 55, 55, 39, 39, 39, 39, 39, 39, 39, 39, 39,
        /* 0x70 */ 39, 39, 39, 39, 39, 39, 39, 39, 39, 39, 39,  6,  7,  6, 39,  0,
        /* 0x80 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0x90 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xa0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xb0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xc0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xd0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xe0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
        /* 0xf0 */  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,
    };

    #ifdef __SSE2__
    /* A bit for each of sixteen octets that is below `low`, or DEL. */
    static inline unsigned fs_below_bits(const uint8_t *at, const int low)
    {
        const __m128i octets = _mm_loadu_si128((const __m128i *)at);
        const __m128i below = _mm_cmpeq_epi8(_mm_min_epu8(octets, _mm_set1_epi8((char)(low - 1))), octets);
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(below, _mm_cmpeq_epi8(octets, _mm_set1_epi8(0x7f))));
    }

    /* A bit for each of sixteen octets that is no ASCII letter, no digit and no hyphen. */
    static inline unsigned fs_unusual_bits(const uint8_t *at)
    {
        const __m128i octets = _mm_loadu_si128((const __m128i *)at);
        /* A range is moved to the least of signed octets, where one comparison tells what is within it. */
        const __m128i letter = _mm_add_epi8(_mm_or_si128(octets, _mm_set1_epi8(0x20)),
                                            _mm_set1_epi8((char)(0x80 - 'a')));
        const __m128i digit = _mm_add_epi8(octets, _mm_set1_epi8((char)(0x80 - '0')));
        const __m128i usual = _mm_or_si128(
            _mm_or_si128(_mm_cmplt_epi8(letter, _mm_set1_epi8((char)(0x80 + 26))),
                         _mm_cmplt_epi8(digit, _mm_set1_epi8((char)(0x80 + 10)))),
            _mm_cmpeq_epi8(octets, _mm_set1_epi8('-')));
        return (unsigned)_mm_movemask_epi8(usual) ^ 0xffffu;
    }
    #endif

    /* The first octet in [at, end) that is below `low` (128 at most), or DEL; or end.
       Sixteen octets a step where the CPU has SSE2, which is every x86-64; the last step ends at `end`,
       and what it sees again has been found clean. Else eight: subtracting `low` borrows into the top bit
       of those below it. A borrow can only disturb octets above the first hit, so the lowest flag is
       always true. */
    static inline const uint8_t *fs_find_below(const uint8_t *at, const uint8_t *end, const int low)
    {
    #ifdef __SSE2__
        if (end - at >= 16) {
            const uint8_t *const last = end - 16;
            unsigned found;
            for (; at < last; at += 16) {
                found = fs_below_bits(at, low);
                if (found) return at + __builtin_ctz(found);
            }
            found = fs_below_bits(last, low);
            return found ? last + __builtin_ctz(found) : end;
        }
    #endif
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        while (end - at >= 8) {
            uint64_t octets, deletes, flags;
            memcpy(&octets, at, 8);
            deletes = octets ^ (ones * 0x7f);
            flags = (((octets - ones * (unsigned)low) & ~octets) | ((deletes - ones) & ~deletes)) & tops;
            if (flags) return at + (__builtin_ctzll(flags) >> 3);
            at += 8;
        }
    #endif
        while (at < end && *at >= low && *at != 0x7f) at++;
        return at;
    }

    /* The first octet in [at, end) that a field value may not hold, HTAB counted among those; or end. */
    static inline const uint8_t *fs_find_control(const uint8_t *at, const uint8_t *end)
    {
        return fs_find_below(at, end, 0x20);
    }

    /* The first octet in [at, end) that is no TARGET; or end. */
    static inline const uint8_t *fs_find_target_end(const uint8_t *at, const uint8_t *end)
    {
        return fs_find_below(at, end, 0x21);
    }

    /* The first octet in [at, end) that is no TOKEN; or end. Few tokens hold more than letters, digits
       and hyphens, which are passed sixteen a step. */
    static inline const uint8_t *fs_find_token_end(const uint8_t *at, const uint8_t *end)
    {
        for (;; at++) {
    #ifdef __SSE2__
            while (end - at >= 16) {
                const unsigned found = fs_unusual_bits(at);
                if (found) {
                    at += __builtin_ctz(found);
                    break;
                }
                at += 16;
            }
    #endif
            if (at == end || *at == ':' || !(fs_classes[*at] & TOKEN)) return at;
        }
    }

    static inline int fs_is_ascii(const uint8_t *at, size_t length)
    {
        uint64_t seen = 0, octets;
    #ifdef __SSE2__
        __m128i many = _mm_setzero_si128();
        for (; length >= 16; at += 16, length -= 16)
            many = _mm_or_si128(many, _mm_loadu_si128((const __m128i *)at));
        if (_mm_movemask_epi8(many)) return 0;
    #endif
        for (; length >= 8; at += 8, length -= 8) {
            memcpy(&octets, at, 8);
            seen |= octets;
        }
        while (length--) seen |= (uint64_t)*at++ << 56;
        return !(seen & 0x8080808080808080u);
    }

    /* Eight octets, the ASCII capitals among them made small: adding to the seven low bits of each sets
       its top bit where it is past a bound. */
    static inline uint64_t fs_lower8(uint64_t octets)
    {
        const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        const uint64_t low = octets & ~tops;
        const uint64_t from_a = low + ones * (0x80 - 'A'), past_z = low + ones * (0x7f - 'Z');
        return octets | ((from_a & ~past_z & ~octets & tops) >> 2);
    }

    static inline uint64_t fs_load8(const void *at)
    {
        uint64_t octets;
        memcpy(&octets, at, 8);
        return octets;
    }

    static inline uint32_t fs_load4(const void *at)
    {
        uint32_t octets;
        memcpy(&octets, at, 4);
        return octets;
    }

    /* Whether two spans are one word but for the case of ASCII; `b` is in lower case already. The last
       step of eight, or of four, ends where the word does, and may see some octets again. */
    static inline int fs_same_nocase(const uint8_t *a, const char *b, size_t length)
    {
        size_t i;
        if (length >= 8) {
            for (i = 0; i + 8 < length; i += 8)
                if (fs_lower8(fs_load8(a + i)) != fs_load8(b + i)) return 0;
            return fs_lower8(fs_load8(a + length - 8)) == fs_load8(b + length - 8);
        }
        if (length >= 4)
            return fs_lower8(fs_load4(a)) == fs_load4(b)
                && fs_lower8(fs_load4(a + length - 4)) == fs_load4(b + length - 4);
        for (i = 0; i < length; i++)
            if (fs_lower8(a[i]) != (uint8_t)b[i]) return 0;
        return 1;
    }

    /* memcmp for short spans: whether they are the same. */
    static inline int fs_same(const uint8_t *a, const uint8_t *b, size_t length)
    {
        size_t i;
        if (length >= 8) {
            for (i = 0; i + 8 < length; i += 8)
                if (fs_load8(a + i) != fs_load8(b + i)) return 0;
            return fs_load8(a + length - 8) == fs_load8(b + length - 8);
        }
        if (length >= 4)
            return fs_load4(a) == fs_load4(b)
                && fs_load4(a + length - 4) == fs_load4(b + length - 4);
        for (i = 0; i < length; i++)
            if (a[i] != b[i]) return 0;
        return 1;
    }
    """
    enum: TOKEN
    enum: FIELD
    enum: TARGET
    enum: DIGIT
    enum: HEX
    enum: HOST
    const uint8_t fs_classes[256]
    const uint8_t *fs_find_control(const uint8_t *at, const uint8_t *end) noexcept nogil
    const uint8_t *fs_find_target_end(const uint8_t *at, const uint8_t *end) noexcept nogil
    const uint8_t *fs_find_token_end(const uint8_t *at, const uint8_t *end) noexcept nogil
    bint fs_is_ascii(const uint8_t *at, size_t length) noexcept nogil
    bint fs_same(const uint8_t *a, const uint8_t *b, size_t length) noexcept nogil
    bint same_nocase "fs_same_nocase"(const uint8_t *a, const char *b, size_t length) noexcept nogil
    void fs_check(bint held, const char *what) noexcept nogil


cdef struct Cursor:
    const uint8_t *base     # the first octet; offsets count from here
    Py_ssize_t pos          # the next octet to read; INVARIANT: 0 <= pos <= end
    Py_ssize_t end          # one past the last octet


cdef inline bint is_a(uint8_t octet, int classes) noexcept nogil:
    return fs_classes[octet] & classes


cdef inline bint has_more(const Cursor *c) noexcept nogil:
    return c.pos < c.end


cdef inline uint8_t peek(const Cursor *c) noexcept nogil:
    fs_check(c.pos < c.end, "peek within the buffer")
    # SAFETY: pos < end by the invariant and the caller's has_more().
    return c.base[c.pos]


cdef inline void step(Cursor *c) noexcept nogil:
    fs_check(c.pos < c.end, "step within the buffer")
    c.pos += 1


cdef inline bint skip_class(Cursor *c, int classes) noexcept nogil:
    """Pass every octet of the classes; True where another octet stands next."""
    # Local copies: an octet may alias anything, so the compiler would read the cursor anew each time.
    cdef const uint8_t *base = c.base
    cdef Py_ssize_t pos = c.pos, end = c.end
    while end - pos >= 4 and (fs_classes[base[pos]] & fs_classes[base[pos + 1]]
                              & fs_classes[base[pos + 2]] & fs_classes[base[pos + 3]] & classes):
        pos += 4
    while pos < end and fs_classes[base[pos]] & classes:
        pos += 1
    c.pos = pos
    return pos < end


cdef inline bint skip_token(Cursor *c) noexcept nogil:
    """Pass every TOKEN; True where another octet stands next."""
    # SAFETY: this and the next answer within [base + pos, base + end].
    c.pos = fs_find_token_end(c.base + c.pos, c.base + c.end) - c.base
    return c.pos < c.end


cdef inline bint skip_target(Cursor *c) noexcept nogil:
    """Pass every TARGET; True where another octet stands next."""
    c.pos = fs_find_target_end(c.base + c.pos, c.base + c.end) - c.base
    return c.pos < c.end


cdef inline bint skip_blanks(Cursor *c) noexcept nogil:
    """Pass SP and HTAB (OWS); True where another octet stands next."""
    while c.pos < c.end and (c.base[c.pos] == c' ' or c.base[c.pos] == c'\t'):
        c.pos += 1
    return c.pos < c.end


cdef inline bint skip_value(Cursor *c) noexcept nogil:
    """Pass everything a field value may hold; True where another octet stands next."""
    while True:
        # SAFETY: fs_find_control answers within [base + pos, base + end].
        c.pos = fs_find_control(c.base + c.pos, c.base + c.end) - c.base
        if c.pos == c.end or c.base[c.pos] != c'\t':
            return c.pos < c.end
        c.pos += 1


cdef inline uint8_t lower(uint8_t octet) noexcept nogil:
    """The octet in lower case, if it is an ASCII letter."""
    return octet | 0x20 if c'A' <= octet <= c'Z' else octet
