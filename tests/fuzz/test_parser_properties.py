"""Properties of the parser that hold for all octets: the same at any split, no crash, and the grammar.

The grammar of RFC 9112 stands here a second time, as regular expressions, and the two must agree.
"""

import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from fastserve._parser import RequestParser

from .reading import decode, parse

# -- What is tried ---------------------------------------------------------------------------------

PIECES = [
    b"GET", b"POST", b" ", b"  ", b"/", b"/a?b", b"*", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.9", b"HTTP/2.0",
    b"http/1.1", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"GET /\xff?x HTTP/1.1\r\nHost: a\r\n",
    b"\r\n", b"\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"\0", b"\t", b"\x0b", b"\x7f", b"\x85",
    b"\xe2\x80\xa8", b":", b": ", b",", b";", b"A", b"A: b", b"chunked", b"gzip", b"close",
    b"Host: a\r\n", b"Host: [::1]:80\r\n", b"hOST:", b"Upgrade: x\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive, upgrade\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: 05\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:",
]
CHUNK_PIECES = [
    b"0", b"1", b"5", b"a", b"F", b"\r\n", b"\r\n", b"\r", b"\n", b" ", b"\t", b";", b";a=b", b';a="b"',
    b"hello", b"x", b"-1", b"0x", b"A: b\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"1;x\r\n\0\r\n", b"\0",
    b"\xff", b"00", b"f" * 15, b"0" * 20,
]


def soup(pieces: list[bytes]) -> st.SearchStrategy[bytes]:
    """Octets that look like what is wanted, more or less, and now and then do not at all."""
    return st.lists(st.sampled_from(pieces) | st.binary(max_size=3), max_size=16).map(b"".join)


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """One of each part, in order."""
    return st.tuples(*parts).map(b"".join)


HEADS = soup(PIECES)
# Mostly well-formed: a good request line, then anything.
LIKELY_HEADS = joined(st.sampled_from([b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.0\r\n"]), HEADS)
ANY_HEADS = HEADS | LIKELY_HEADS | st.binary(max_size=64)
# Mostly well-formed: one fault, or none, in a whole body.
LIKELY_CHUNKS = joined(
    st.sampled_from([b"", b"5\r\nhello\r\n", b"1;a\r\nx\r\n"]),
    st.sampled_from([b"0", b"0\r\n", b"1"]),
    st.lists(st.sampled_from(CHUNK_PIECES), max_size=3).map(b"".join),
    st.sampled_from([b"\r\n\r\n", b"\r\n", b"\r\nx\r\n0\r\n\r\n"]),
)
CHUNKS = soup(CHUNK_PIECES) | LIKELY_CHUNKS

TOKENS = st.text("!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ", min_size=1, max_size=40)
TARGETS = st.text([chr(octet) for octet in range(0x21, 0x100) if octet != 0x7F], min_size=1, max_size=60)
VALUES = st.text([chr(octet) for octet in range(0x20, 0x100) if octet != 0x7F] + ["\t"], max_size=60)
BLANKS = st.text(" \t", max_size=4)
SPECIAL = {"host", "content-length", "transfer-encoding"}


@st.composite
def cut(draw: Any, octets: st.SearchStrategy[bytes]) -> tuple[bytes, list[int]]:
    """Octets, and where each part of them ends."""
    drawn = draw(octets)
    ends = draw(st.lists(st.integers(0, len(drawn)), max_size=8))
    return drawn, [*sorted(ends), len(drawn)]


# -- The same at any split -------------------------------------------------------------------------

@given(cut(ANY_HEADS))
def test_a_head_means_the_same_at_any_split(case: tuple[bytes, list[int]]) -> None:
    octets, ends = case
    whole = parse(octets, [len(octets)])
    assert parse(octets, ends) == whole
    assert parse(octets, list(range(len(octets) + 1))) == whole


@given(cut(ANY_HEADS), st.integers(1, 40), st.integers(0, 5), st.integers(1, 80))
def test_limits_are_met_the_same_at_any_split(case: tuple[bytes, list[int]], line: int, headers: int,
                                              head: int) -> None:
    """Only what is known of a head that is too long may depend on how much of it had come."""
    octets, ends = case
    limits = {"max_line": line, "max_headers": headers, "max_head": head}
    whole = parse(octets, [len(octets)], **limits)
    for other in (ends, list(range(len(octets) + 1))):
        found = parse(octets, other, **limits)
        assert found[0] == whole[0]
        assert found == whole or whole[0] != 1


@given(cut(CHUNKS))
def test_chunks_mean_the_same_at_any_split(case: tuple[bytes, list[int]]) -> None:
    octets, ends = case
    whole = decode(octets, [len(octets)])
    assert decode(octets, ends) == whole
    assert decode(octets, list(range(len(octets) + 1))) == whole


# -- The grammar, a second time --------------------------------------------------------------------

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TARGET = rb"[\x21-\x7e\x80-\xff]+"
FIELD = rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n"
LINE = rb"(" + TOKEN + rb") (" + TARGET + rb") HTTP/1\.([0-9])\r\n"
HEAD = re.compile(rb"(?:\r\n){0,8}" + LINE + rb"((?:" + FIELD + rb")*)\r\n")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,32})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
TRAILERS = re.compile(rb"(?:" + FIELD + rb")*\r\n")

PLAIN_PIECES = [piece for piece in PIECES if not re.search(rb"(?i)host|content-l|transfer", piece)]
PLAIN_HEADS = soup(PLAIN_PIECES) | joined(st.just(b"GET / HTTP/1.1\r\n"), soup(PLAIN_PIECES))


@given(PLAIN_HEADS)
def test_a_head_is_complete_where_the_grammar_matches(octets: bytes) -> None:
    parser = RequestParser(require_host=False)
    match = HEAD.match(octets)
    assert (parser.feed(octets) == 1) == bool(match)
    if not match:
        return
    assert parser.length == match.end()
    head = parser.take(octets)
    pairs = [(name, value.rstrip(b" \t")) for name, value in re.findall(FIELD, match[4])]
    assert [(name.encode(), value.encode("latin-1")) for name, value in head.fields()] == pairs
    assert (head.method, head.target, head.version_number) == (
        match[1].decode(), match[2].decode("latin-1"), (1, int(match[3])))


# One of these makes a good head of every octets that can become one.
WHOLE = b"GET / HTTP/1.1\r\n\r\n"
RESTS = [WHOLE[at:] for at in range(len(WHOLE) + 1)] + [b"\n" + WHOLE, b"a" + WHOLE[5:], b":" + WHOLE[14:],
                                                      b"a:" + WHOLE[14:]]
# A version is judged when it is whole, so that the answer can name it.
IN_VERSION = re.compile(rb"(?:\r\n){0,8}" + TOKEN + b" " + TARGET + b" (?:" + TARGET + b")?")


@given(PLAIN_HEADS)
def test_a_refusal_cannot_be_mended(octets: bytes) -> None:
    """Need-more is answered while something could still follow; no refusal comes too early or too late."""
    refused = RequestParser(require_host=False).feed(octets) < 0
    goes_on = any(HEAD.match(octets + rest) for rest in RESTS) or IN_VERSION.fullmatch(octets)
    assert refused == (not goes_on)


def reference_decode(octets: bytes) -> tuple[bytes, int] | None:
    """Return (decoded, consumed) of a whole chunked body, None where it is broken or not whole."""
    decoded, at = b"", 0
    while line := CHUNK_LINE.match(octets, at):
        at, size = line.end(), int(line[1], 16)
        if size == 0:
            end = TRAILERS.match(octets, at)
            return (decoded, end.end()) if end else None
        if octets[at + size : at + size + 2] != b"\r\n":
            return None
        decoded, at = decoded + octets[at : at + size], at + size + 2
    return None


@given(CHUNKS)
def test_chunks_are_decoded_where_the_grammar_matches(octets: bytes) -> None:
    found = decode(octets, [len(octets)])
    expected = reference_decode(octets)
    assert (found[:2] if found and found[2] else None) == expected


# -- There and back --------------------------------------------------------------------------------

@given(TOKENS, TARGETS, st.integers(0, 9), st.lists(st.tuples(TOKENS, BLANKS, VALUES, BLANKS), max_size=20))
def test_a_head_that_was_written_is_read(method: str, target: str, minor: int,
                                         fields: list[tuple[str, str, str, str]]) -> None:
    assume(not any(name.lower() in SPECIAL for name, *_ in fields))
    lines = [f"{method} {target} HTTP/1.{minor}", "Host: a"]
    lines += [f"{name}:{before}{value}{after}" for name, before, value, after in fields]
    octets = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
    verdict, scanned, head = parse(octets + b"\0", [len(octets) + 1])
    assert (verdict, scanned) == (1, len(octets))
    assert head
    assert (head["method"], head["target"], head["version"]) == (method, target, f"HTTP/1.{minor}")
    assert head["fields"] == [("Host", "a"), *((name, value.strip(" \t")) for name, _, value, _ in fields)]
    assert (head["raw"], head["requestline"]) == (octets, lines[0])


@given(st.integers(0, 2**63 - 10), st.integers(0, 40))
def test_a_length_that_was_written_is_read(length: int, zeros: int) -> None:
    octets = b"GET / HTTP/1.0\r\nContent-Length: %b%d\r\n\r\n" % (b"0" * zeros, length)
    head = parse(octets, [len(octets)])[2]
    assert head
    assert head["content_length"] == length


EXTENSIONS = st.sampled_from([b"", b";a", b";a=b", b' ; a="b c"', b";\xff"])


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), EXTENSIONS, st.booleans())), EXTENSIONS,
       st.lists(st.tuples(TOKENS, VALUES), max_size=3), st.binary(max_size=9), st.data())
def test_chunks_that_were_written_are_read(chunks: list[tuple[bytes, bytes, bool]], last: bytes,
                                           trailers: list[tuple[str, str]], more: bytes,
                                           data: st.DataObject) -> None:
    body = b"".join((b"%X" if large else b"%x") % len(chunk) + extension + b"\r\n" + chunk + b"\r\n"
                    for chunk, extension, large in chunks)
    body += b"0" + last + b"\r\n"
    body += "".join(f"{name}:{value}\r\n" for name, value in trailers).encode("latin-1") + b"\r\n"
    octets, ends = data.draw(cut(st.just(body + more)))
    assert decode(octets, ends) == (b"".join(chunk for chunk, *_ in chunks), len(body), True)
