"""Range fields, and the octets of several parts: no handler, no socket."""

import contextlib
import io
import random
from typing import Any

import pytest

from fastserve import limits
from fastserve.handlers import ranges
from fastserve.handlers.ranges import Range, RangeReader, Unsatisfiable, coalesce, multipart, parse

GAP = limits.RANGE_GAP
HUGE = "9" * 5000


@pytest.mark.parametrize(("value", "expected"), [
    # RFC 9110 14.1.2, of 10,000 octets.
    ("bytes=0-499", [(0, 500)]),
    ("bytes=500-999", [(500, 1000)]),
    ("bytes=-500", [(9500, 10000)]),
    ("bytes=9500-", [(9500, 10000)]),
    ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
    ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
    ("bytes=500-600,601-999", [(500, 1000)]),
    ("bytes=500-700,601-999", [(500, 1000)]),
    # At the edges.
    ("bytes=0-", [(0, 10000)]),
    ("bytes=0-9999", [(0, 10000)]),
    ("bytes=0-10000", [(0, 10000)]),
    ("bytes=9999-9999", [(9999, 10000)]),
    ("bytes=9999-", [(9999, 10000)]),
    ("bytes=-1", [(9999, 10000)]),
    ("bytes=-9999", [(1, 10000)]),
    ("bytes=-10000", [(0, 10000)]),
    ("bytes=-10001", [(0, 10000)]),
    (f"bytes=0-{HUGE}", [(0, 10000)]),
    (f"bytes=-{HUGE}", [(0, 10000)]),
    (f"bytes=9998-{2**64}", [(9998, 10000)]),
    (f"bytes={'0' * 5000}1-2", [(1, 3)]),
    # Where some of them are not there.
    ("bytes=0-1,10000-", [(0, 2)]),
    ("bytes=20000-30000,-0,5-5", [(5, 6)]),
    # Spelling.
    ("BYTES=0-1", [(0, 2)]),
    ("bytes=0-1,", [(0, 2)]),
    ("bytes=,,0-1 ,\t,", [(0, 2)]),
    # In the order asked for, and no octet twice.
    ("bytes=5000-5001,0-1", [(5000, 5002), (0, 2)]),
    ("bytes=0-1,5000-5001,1-2", [(0, 3), (5000, 5002)]),
    ("bytes=0-,0-,0-", [(0, 10000)]),
    ("bytes=-1,0-", [(0, 10000)]),
])
def test_ranges(value: str, expected: list[tuple[int, int]]) -> None:
    assert parse(value, 10000) == expected


@pytest.mark.parametrize("value", [
    "", "bytes", "bytes=", "bytes= ", "bytes=,", "bytes=-", "bytes=a-b", "bytes=0", "bytes=0-1-2",
    "bytes=--1",
    "bytes=1-0", "bytes=0-1,1-0", "bytes=0-1;2-3", "bytes=0 - 1", "bytes=+0-1", "bytes=0x0-1", "bytes=0-1_0",
    "bytes=0-1,x", "bytes=\u0660-1", "bytes 0-1", "bytes =0-1", " bytes=0-1", "bytes:0-1", "octets=0-1",
    "none=0-1", "seconds=0-1", "bytes=0-1\n", "bytes=-1-", "bytes=0.5-1", "bytes=0-1,bytes=2-3", "=0-1",
])
def test_what_is_ignored(value: str) -> None:
    assert parse(value, 10000) is None


@pytest.mark.parametrize(("value", "size"), [
    ("bytes=10000-", 10000), ("bytes=10000-10000", 10000), ("bytes=-0", 10000), (f"bytes={HUGE}-", 10000),
    ("bytes=10000-,20000-", 10000), ("bytes=0-", 0), ("bytes=0-0", 0), ("bytes=-0", 0), ("bytes=1-,0-", 0),
])
def test_what_is_not_there(value: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse(value, size)


def test_the_end_of_an_empty_file_is_all_of_it() -> None:
    assert parse("bytes=-1", 0) is None


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_number_of_ranges(over: int) -> None:
    count = limits.MAX_RANGES + over
    value = "bytes=" + ",".join(f"{1000 * number}-{1000 * number}" for number in range(count))
    found = parse(value, 1000 * count)
    assert found is None if over > 0 else found is not None and len(found) == count


def test_an_end_before_the_beginning_of_many_digits() -> None:
    """Wrong syntax, which is ignored, however long the numbers are."""
    assert parse(f"bytes={10**30 + 5}-{10**30 + 1}", 100) is None
    assert parse(f"bytes={'0' * 30}5-{'0' * 40}1", 100) is None
    with pytest.raises(Unsatisfiable):
        parse(f"bytes={10**30 + 1}-{10**30 + 5}", 100)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_gap_that_is_sent(over: int) -> None:
    found = coalesce([Range(0, 10), Range(10 + GAP + over, 500)])
    assert len(found) == 1 + (over > 0)


@pytest.mark.parametrize("size", [0, 1, 10**12])
@pytest.mark.parametrize("text", [
    "0-,", "-,", " ,", "0-0,", "9" * 100 + "-,", "\t", "-0,", "0-1" + " " * 100 + ",", "0", "-"])
def test_the_longest_fields(text: str, size: int) -> None:
    """In as many steps as they have characters; the square of that would be a matter of minutes."""
    with contextlib.suppress(Unsatisfiable):
        parse("bytes=" + text * (limits.MAX_LINE // len(text)), size)


def test_what_is_sent_is_what_was_asked_for() -> None:
    """Beside a set of octets: each range is in it, and what more is sent is less than words would be."""
    chance = random.Random(1)
    for _ in range(500):
        size = chance.choice([1, 2, 10, 1000])
        wanted = [sorted(chance.choices(range(size), k=2)) for _ in range(chance.randint(1, 8))]
        found = parse("bytes=" + ",".join(f"{first}-{last}" for first, last in wanted), size)
        assert found
        octets = [octet for each in found for octet in range(each.start, each.stop)]
        asked = {octet for first, last in wanted for octet in range(first, last + 1)}
        assert len(octets) == len(set(octets)), "none twice"
        assert asked <= set(octets)
        assert len(octets) - len(asked) <= GAP * len(wanted)
        assert found[0].start <= wanted[0][0] < found[0].stop


# -- The octets ----------------------------------------------------------------------------------

BODY = bytes(range(256)) * 1000


def parts_of(content_type: str, octets: bytes) -> list[tuple[dict[str, str], bytes]]:
    """What a client makes of a multipart answer: the fields and the octets of each part."""
    boundary = content_type.partition("boundary=")[2].encode()
    preamble, *pieces, end = (b"\r\n" + octets).split(b"\r\n--" + boundary)
    assert (preamble, end) == (b"", b"--\r\n")
    found = []
    for piece in pieces:
        head, _, body = piece.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
        found.append(({name.lower(): value for name, value in lines}, body))
    return found


def test_a_multipart_answer() -> None:
    wanted = [Range(500, 1000), Range(0, 1), Range(100_000, 256_000)]
    content_type, parts = multipart(wanted, len(BODY), "text/plain")
    assert content_type.startswith("multipart/byteranges; boundary=")
    with RangeReader(io.BytesIO(BODY), parts) as reader:
        octets = reader.read()
    assert len(octets) == reader.length
    assert parts_of(content_type, octets) == [
        ({"content-type": "text/plain", "content-range": each.content_range(len(BODY))}, BODY[slice(*each)])
        for each in wanted]
    assert multipart(wanted, len(BODY), "text/plain")[0] != content_type, "a boundary is used once"


@pytest.mark.parametrize("size", [1, 7, 4096, 65536, 1 << 20])
def test_reading_in_pieces(size: int) -> None:
    parts: list[ranges.Part] = [b"", b"one", Range(5, 5), Range(3, 200_000), b"two", Range(0, 1), b""]
    expected = b"one" + BODY[3:200_000] + b"two" + BODY[:1]
    reader = RangeReader(io.BytesIO(BODY), parts)
    assert reader.read(0) == b""
    pieces = []
    while piece := reader.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert b"".join(pieces) == expected
    assert reader.read(size) == b""


def test_a_file_that_has_become_shorter() -> None:
    """What follows is not sent in its place."""
    assert RangeReader(io.BytesIO(BODY[:100]), [Range(90, 110), b"end"]).read() == BODY[90:100]


class Stream:
    """What a ResponseWriter is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def write(self, octets: Any) -> int:
        self.calls.append(("write", bytes(octets)))
        return len(octets)

    def send_file(self, fd: int, offset: int, count: int) -> None:
        self.calls.append(("send_file", offset, count))

    def send_parts(self, fd: int, parts: list[ranges.Part]) -> None:
        self.calls.append(("send_parts", *parts))


class File(io.BytesIO):
    def fileno(self) -> int:
        return 99


@pytest.mark.parametrize(("parts", "calls"), [
    ([Range(5, 10)], [("send_file", 5, 5)]),
    ([Range(0, 100_000)], [("send_file", 0, 100_000)]),
    ([b"a", Range(0, 2), b"b", Range(4, 5), b"c"], [("write", b"a" + BODY[:2] + b"b" + BODY[4:5] + b"c")]),
    ([b"a", Range(0, ranges.PIECE - 2), b"b"], [("write", b"a" + BODY[:ranges.PIECE - 2] + b"b")]),
    ([b"a", Range(0, ranges.PIECE), b"b"], [("send_parts", b"a", Range(0, ranges.PIECE), b"b")]),
])
def test_to_a_stream(parts: list[ranges.Part], calls: list[tuple[Any, ...]]) -> None:
    stream = Stream()
    RangeReader(File(BODY), parts).send_to(stream)
    assert stream.calls == calls


def test_to_a_stream_where_the_file_has_become_shorter() -> None:
    stream = Stream()
    RangeReader(File(BODY[:100]), [b"a", Range(90, 110), b"b"]).send_to(stream)
    assert stream.calls == [("write", b"a" + BODY[90:100])]


def test_closing_closes_the_file() -> None:
    file = io.BytesIO(b"")
    RangeReader(file, []).close()
    assert file.closed
