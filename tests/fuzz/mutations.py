"""Octets that are HTTP/1.1 requests, more or less: what differential.py sends to every server.

Knows the grammar, and where servers are known to read it differently: seeds() gives good and bad requests,
Mutator changes them. Knows no server. The same random.Random makes the same octets in every run of a tree.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from wire import corpus
from wire.conformance import connections, framing

LARGEST: Final = 4096  # octets; a longer input finds nothing more, and fills the buffers of a batch
SMUGGLED: Final = b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n"
GET: Final = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
POST: Final = b"POST /1 HTTP/1.1\r\nHost: a\r\n"


def _length(body: bytes) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailers + b"\r\n"


PIPELINES: Final = [
    GET + SMUGGLED + GET,
    _length(b"hello") + GET,
    _length(SMUGGLED) + SMUGGLED,
    _chunked(b"hello", b"x" * 20) + GET,
    _chunked(SMUGGLED, SMUGGLED) + SMUGGLED,
    _chunked(b"0\r\n\r\n" + SMUGGLED, trailers=b"A: b\r\n") + GET,
    _length(_chunked(SMUGGLED)) + GET,
    _chunked(_length(SMUGGLED)) + _length(b""),
    b"HEAD /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + GET,
    b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + SMUGGLED + b"GET /3 HTTP/1.0\r\n\r\n",
    b"PUT http://a/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
]


def seeds() -> tuple[list[bytes], list[bytes]]:
    """Good requests, and all of the corpus and of the conformance table where it is about framing.

    Among both are pipelines with requests in bodies.
    """
    good = [case.octets for case in corpus.REQUESTS if case.valid]
    known = [case.octets for case in corpus.REQUESTS]
    known += [row.octets for row in framing.ROWS + connections.ROWS if 0 < len(row.octets) <= LARGEST]
    return PIPELINES + good, PIPELINES + known


# -- What stands where -----------------------------------------------------------------------------

ODD: Final = [
    b"\r", b"\n", b"\0", b"\t", b"\x0b", b"\x0c", b"\x7f", b"\x85", b"\xa0", b" ", b",", b";", b":", b"\r\n",
]
REQUEST_LINE: Final = re.compile(rb"(?m)^[A-Z]+ [^ \r\n]+ HTTP/1\.\d\r$")
NUMBERED: Final = re.compile(rb"(?m)^([A-Z]+ (?:http://\w+)?/)\w(?=[^ \r\n]* HTTP/)")
FIELD_LINE: Final = re.compile(rb"[!-9;-~]+:[^\r\n]*\r\n")
LENGTH: Final = re.compile(rb"(?i)content-length:[^\r\n]*\r\n")
CODING: Final = re.compile(rb"(?i)transfer-encoding:[^\r\n]*\r\n")
CHUNK_SIZE: Final = re.compile(rb"(?mi)^[0-9a-f]{1,8}(?=\r\n)")
VERSION: Final = re.compile(rb"HTTP/\d\.\d")
METHOD: Final = re.compile(rb"(?m)^[A-Z]{3,7}(?= )")
TARGET: Final = re.compile(rb"(?<=[A-Z] )[^ \r\n]+(?= HTTP/)")

LENGTHS: Final = [
    b"%d", b"+%d", b"-%d", b"0%d", b"0x%x", b"%d, %d", b"%d,%d", b"%d, 0", b"0, %d", b"%d_0", b"%d.0",
    b" %d ", b"\t%d\t", b"%d\x0b", b"\x0c%d", b"%d\xa0", b"\x85%d", b'"%d"', b"%d;", b"1%d", b"%d5",
    b"00000000%d", b"18446744073709551616", b"9223372036854775808", b"4294967296", b"99999999999999999999%d",
    b"", b"%d 0",
]
CODINGS: Final = [
    b"chunked", b"Chunked", b"CHUNKED", b"identity", b"chunked, chunked", b"xchunked", b"chunkedx",
    b"gzip, chunked", b"chunked, identity", b"identity, chunked", b"\tchunked\t", b" chunked ,", b", chunked",
    b"chunked;q=1", b"x", b'"chunked"', b"chunked\x0b", b"\x0cchunked", b"chunked\xa0", b"chunked\r\n ",
    b"\r\n chunked", b"", b"deflate", b"chunked\r\nTransfer-Encoding: chunked",
    b"chunked\r\nTransfer-Encoding: identity", b"chunked\r\n\r\n",
]
CODING_NAMES: Final = [b"Transfer-Encoding"] * 8 + [
    b"transfer-encoding", b"TRANSFER-ENCODING", b"Transfer_Encoding", b"Transfer-Encoding ",
    b" Transfer-Encoding", b"Transfer-Encoding\t", b"X: y\nTransfer-Encoding", b"X: y\rTransfer-Encoding",
    b"\0Transfer-Encoding",
]
CHUNK_SIZES: Final = [
    b"%b;a", b"%b;a=b", b'%b;a="b;c"', b'%b;a="\r\n', b"0%b", b"0000000000000000%b", b"%b0", b"%b ", b" %b",
    b"%b\t", b"%b ;a", b"%b\n", b"%b;\n", b"%b;a\nb", b"%b\r", b"0x%b", b"+%b", b"-%b", b"%b_0", b"%b.0",
    b"%b,0", b"", b"1000000000000000%b", b"ffffffffffffffff%b", b"%bg", b"%b\x0b", b"%b\xa0", b"%b;\x0b",
    b"\r\n%b", b"%b;\0",
]
VERSIONS: Final = [
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/1.01",
    b"HTTP/01.1", b"HTTP/1", b"http/1.1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1,1", b"HTTPS/1.1", b"",
    b"HTTP /1.1",
]
METHODS: Final = [
    b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE", b"PATCH", b"CONNECT", b"TRACE", b"PRI", b"get",
    b"G!T", b"BREW", b"GET ", b" GET", b"\tGET", b"G", b"PROPFIND", b"\0GET", b"GET\t",
]
TARGETS: Final = [
    b"/", b"//", b"/1?a=b", b"*", b"http://a/1", b"http://a", b"http://b:80/3?", b"https://a/", b"a:80", b"a",
    b"/1%0d%0a", b"/%2e%2e/", b"/../1", b"/1#x", b"/\xff", b"/1 2", b"/1\t", b"HTTP://A/1", b"http:///1",
    b"/%", b"/%00", b"/a\\b", b"?", b"", b"http://u@a/1", b"http://[::1]/1", b"/1;x", b'/"', b"/\x80\x85\xa0",
    b"foo://a/1",
]
FIELDS: Final = [
    b"Connection: close", b"Connection: keep-alive", b"Connection: keep-alive, close", b"Connection: xclose",
    b"Connection: Close,", b"Connection: content-length", b"Connection: transfer-encoding",
    b"Connection: upgrade", b"Upgrade: x", b"Upgrade: h2c", b"Expect: 100-continue", b"Expect: x", b"Host: b",
    b"Host:", b"Host: a b", b"Host: a:80", b"TE: chunked", b"Trailer: Content-Length", b"Content-Length: 5",
    b"Content-Length: 0", b"A", b": b", b"A : b", b" A: b", b"A\t: b", b"A:", b"A: " + b"x" * 900,
    b"Content-Length\0: 5", b"Content_Length: 5", b"A_B: c", b"Proxy-Connection: close",
    b"Keep-Alive: timeout=5", b"Range: bytes=0-1", b"\x0bA: b", b"A: b\x00c", b"A: \xff",
    b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0)", b"X-HTTP-Method-Override: PUT", b"A\x80: b", b"(A): b",
]
EMPTY_LINES: Final = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\r\n", b"\r\n" * 9, b" \r\n", b"\r\r\n", b"\0"]
LINE_ENDS: Final = [
    b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"", b"\r\n ", b"\r\n\t", b" \r\n", b"\0\r\n", b"\n\n",
]


class Input(NamedTuple):
    """What is sent on a connection, in pieces with a little time between them."""

    pieces: tuple[bytes, ...]

    @property
    def octets(self) -> bytes:
        return b"".join(self.pieces)


class Mutator:
    """Changes octets, each time in one place, by what it draws from ``draw``."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.good, self.seeds = seeds()
        self.changes: list[Callable[[bytes], bytes]] = [
            *[self.length, self.coding, self.chunk_size, self.field, self.line_end, self.odd] * 2,
            *[self.version, self.method, self.target, self.empty_lines],
            *[self.duplicate_line, self.delete_line, self.move_line, self.flip, self.delete, self.copy],
            *[self.splice, self.behind, self.as_body, self.in_chunks],
        ]

    def inputs(self) -> Iterator[Input]:
        """Without end. What is wrong in two places is often refused for one: most are wrong in one."""
        while True:
            octets = self.draw.choice(self.good if self.draw.random() < 0.6 else self.seeds)
            for _ in range(self.draw.choice((1, 1, 1, 2, 2, 3))):
                octets = self.draw.choice(self.changes)(octets)
            yield Input(self.cut(self.number(octets[:LARGEST])))

    def number(self, octets: bytes) -> bytes:
        """Tell the requests apart, whether they will be taken for some or not. No length may change."""
        count = iter(range(1, LARGEST))
        return NUMBERED.sub(lambda match: b"%b%d" % (match[1], next(count) % 10), octets)

    def cut(self, octets: bytes) -> tuple[bytes, ...]:
        """Mostly one piece."""
        count = self.draw.choice((0, 0, 0, 0, 1, 2))
        ends = sorted(self.draw.randrange(len(octets) + 1) for _ in range(count))
        starts = [0, *ends]
        return tuple(octets[start:end] for start, end in zip(starts, [*ends, None], strict=True))

    # -- The grammar ---------------------------------------------------------------------------

    def replace(self, pattern: re.Pattern[bytes], octets: bytes, new: bytes) -> bytes:
        """One of the matches, if there is one."""
        found = list(pattern.finditer(octets))
        if not found:
            return octets
        match = self.draw.choice(found)
        return octets[: match.start()] + new + octets[match.end() :]

    def put_field(self, line: bytes, octets: bytes) -> bytes:
        """Before or behind one of the lines of a head."""
        found = [match.end() for match in FIELD_LINE.finditer(octets)] or [0]
        at = self.draw.choice(found)
        return octets[:at] + line + b"\r\n" + octets[at:]

    def length(self, octets: bytes) -> bytes:
        number = re.search(rb"(?i)content-length: *(\d{1,9})", octets)
        value = self.draw.choice(LENGTHS)
        wanted = int(number[1]) if number else self.draw.choice((0, 5, len(SMUGGLED)))
        wanted = max(0, wanted + self.draw.choice((0, 0, 0, -1, 1)))
        line = b"Content-Length: " + value.replace(b"%d", b"%d" % wanted).replace(b"%x", b"%x" % wanted)
        if number and self.draw.random() < 0.7:
            return self.replace(LENGTH, octets, line + b"\r\n")
        return self.put_field(line, octets)

    def coding(self, octets: bytes) -> bytes:
        blank = self.draw.choice((b" ", b"", b"\t"))
        line = self.draw.choice(CODING_NAMES) + b":" + blank + self.draw.choice(CODINGS)
        if CODING.search(octets) and self.draw.random() < 0.7:
            return self.replace(CODING, octets, line + b"\r\n")
        return self.put_field(line, octets)

    def chunk_size(self, octets: bytes) -> bytes:
        found = list(CHUNK_SIZE.finditer(octets))
        if not found:
            return self.in_chunks(octets)
        match = self.draw.choice(found)
        new = self.draw.choice(CHUNK_SIZES).replace(b"%b", match[0])
        return octets[: match.start()] + new + octets[match.end() :]

    def version(self, octets: bytes) -> bytes:
        return self.replace(VERSION, octets, self.draw.choice(VERSIONS))

    def method(self, octets: bytes) -> bytes:
        return self.replace(METHOD, octets, self.draw.choice(METHODS))

    def target(self, octets: bytes) -> bytes:
        return self.replace(TARGET, octets, self.draw.choice(TARGETS))

    def field(self, octets: bytes) -> bytes:
        return self.put_field(self.draw.choice(FIELDS), octets)

    def empty_lines(self, octets: bytes) -> bytes:
        at = self.draw.choice([0, *(match.start() for match in REQUEST_LINE.finditer(octets))])
        return octets[:at] + self.draw.choice(EMPTY_LINES) + octets[at:]

    def line_end(self, octets: bytes) -> bytes:
        return self.replace(re.compile(rb"\r\n"), octets, self.draw.choice(LINE_ENDS))

    def odd(self, octets: bytes) -> bytes:
        """Before or behind a separator."""
        found = [at for match in re.finditer(rb"[:\r\n, ;]", octets) for at in match.span()] or [0]
        at = self.draw.choice(found)
        return octets[:at] + self.draw.choice(ODD) + octets[at:]

    # -- Lines and requests --------------------------------------------------------------------

    def lines(self, octets: bytes) -> tuple[list[bytes], int]:
        lines = re.findall(rb"[^\n]*\n|[^\n]+$", octets) or [b""]
        return lines, self.draw.randrange(len(lines))

    def duplicate_line(self, octets: bytes) -> bytes:
        lines, at = self.lines(octets)
        return b"".join([*lines[:at], lines[at], *lines[at:]])

    def delete_line(self, octets: bytes) -> bytes:
        lines, at = self.lines(octets)
        return b"".join(lines[:at] + lines[at + 1 :])

    def move_line(self, octets: bytes) -> bytes:
        lines, at = self.lines(octets)
        lines.insert(self.draw.randrange(len(lines)), lines.pop(at))
        return b"".join(lines)

    def behind(self, octets: bytes) -> bytes:
        return octets + self.draw.choice(self.seeds)

    def as_body(self, octets: bytes) -> bytes:
        return _length(octets)

    def in_chunks(self, octets: bytes) -> bytes:
        at = self.draw.randrange(len(octets) + 1)
        return _chunked(*filter(None, (octets[:at], octets[at:])))

    # -- Octets --------------------------------------------------------------------------------

    def place(self, octets: bytes) -> tuple[int, int]:
        start = self.draw.randrange(len(octets) + 1)
        return start, min(len(octets), start + self.draw.choice((1, 1, 2, 4, 8, 30)))

    def flip(self, octets: bytes) -> bytes:
        start, _ = self.place(octets)
        changed = bytes(octet ^ (1 << self.draw.randrange(8)) for octet in octets[start : start + 1])
        return octets[:start] + changed + octets[start + 1 :]

    def delete(self, octets: bytes) -> bytes:
        start, end = self.place(octets)
        return octets[:start] + octets[end:]

    def copy(self, octets: bytes) -> bytes:
        start, end = self.place(octets)
        at, _ = self.place(octets)
        return octets[:at] + octets[start:end] + octets[at:]

    def splice(self, octets: bytes) -> bytes:
        other = self.draw.choice(self.seeds)
        return octets[: self.place(octets)[0]] + other[self.place(other)[0] :]
