"""Every case of the corpus, at every segmentation, and against memory that cannot be read.

The Reader below is the shortest honest user of the parser: it keeps what was not consumed, and asks
again when more has come. It knows no socket; what it finds must not depend on how the octets arrived.
"""

import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from fastserve._chunks import ChunkDecoder
from fastserve._head import RequestHead
from fastserve._parser import RequestParser
from fastserve.errors import REJECTIONS

from . import guard
from .corpus import CHUNKS, REQUESTS, Case, Rejected, Request

Place = Callable[[bytes], Any]


class Reader:
    """What a connection does with its receive buffer."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.parser = RequestParser()
        self.found: list[Request | Rejected] = []
        self.closed = False
        self.request: Request | None = None     # the one whose body is being read
        self.decoder: ChunkDecoder | None = None

    def read(self, octets: bytes) -> int:
        """Take what can be taken from the octets not consumed so far; returns how many were."""
        if self.closed:
            return 0
        used = self._read_body(octets) if self.request else self._read_head(octets)
        assert 0 <= used <= len(octets)
        return used

    def _read_head(self, octets: bytes) -> int:
        before = self.parser.scanned
        verdict = self.parser.feed(self.place(octets))
        assert before <= self.parser.scanned <= len(octets)
        assert verdict != 1 or self.parser.length == self.parser.scanned
        if verdict == 0:
            assert self.parser.length == -1
            return 0
        used = self.parser.length
        head = self.parser.take(self.place(octets))
        if verdict < 0:
            assert head.rejection == -verdict
            self.found.append(Rejected(REJECTIONS[-verdict].name))
            self.closed = True
            return 0
        self._begin(head, octets[:used])
        return used

    def _begin(self, head: RequestHead, octets: bytes) -> None:
        assert head.rejection == 0
        assert head.raw == octets.lstrip(b"\r\n")
        assert head.requestline == f"{head.method} {head.target} {head.version}"
        self.request = Request(
            head.method, head.target, head.version, head.fields(), head.content_length, head.chunked,
            head.keep_alive, head.expect_continue, head.upgrade, size=len(octets))
        self.found.append(self.request)
        self.decoder = ChunkDecoder() if head.chunked else None
        self._end_if(not head.chunked and head.content_length <= 0)

    def _read_body(self, octets: bytes) -> int:
        request = self.request
        assert request
        try:
            piece, used = self._decode(request, octets)
        except ValueError:
            request.broken = self.closed = True
            request.body, request.size = b"", 0
            return 0
        request.body += piece
        request.size += used
        self._end_if(self.decoder.done if self.decoder else len(request.body) == request.length)
        return used

    def _decode(self, request: Request, octets: bytes) -> tuple[bytes, int]:
        if self.decoder:
            return self.decoder.feed(self.place(octets))
        piece = octets[: request.length - len(request.body)]
        return piece, len(piece)

    def _end_if(self, ended: bool) -> None:
        if ended:
            self.request = self.decoder = None


def converse(octets: bytes, ends: Iterable[int], place: Place = bytes) -> list[Request | Rejected]:
    """Return what a connection finds in the octets when they arrive up to each of `ends` in turn."""
    reader, start = Reader(place), 0
    for end in ends:
        while used := reader.read(octets[start:end]):
            start += used
    return reader.found


def decode(octets: bytes, ends: Iterable[int], place: Place = bytes) -> tuple[bytes, int] | None:
    """Return (decoded, consumed) of a chunked body, None where it is refused."""
    decoder, decoded, start = ChunkDecoder(), b"", 0
    for end in ends:
        try:
            piece, used = decoder.feed(place(octets[start:end]))
        except ValueError:
            return None
        assert used == end - start or decoder.done
        decoded, start = decoded + piece, start + used
    return decoded, start


# -- The ways in which octets arrive ---------------------------------------------------------------

def whole(octets: bytes) -> list[list[int]]:
    return [[len(octets)]]


def byte_by_byte(octets: bytes) -> list[list[int]]:
    return [list(range(1, len(octets) + 1))]


def random_splits(octets: bytes) -> list[list[int]]:
    chance = random.Random(octets)
    cuts = [chance.sample(range(len(octets)), min(len(octets), chance.randint(1, 9))) for _ in range(8)]
    return [[*sorted(cut), len(octets)] for cut in cuts]


WAYS = pytest.mark.parametrize("way", [whole, byte_by_byte, random_splits], ids=lambda way: way.__name__)


def each_of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture(scope="module")
def room() -> guard.GuardedRoom:
    try:
        return guard.GuardedRoom()
    except OSError as error:
        pytest.skip(f"no unreadable pages here: {error}")


# -- Requests --------------------------------------------------------------------------------------

@WAYS
@each_of(REQUESTS)
def test_request(case: Case, way: Callable[[bytes], list[list[int]]]) -> None:
    for ends in way(case.octets):
        assert converse(case.octets, ends) == case.found


@pytest.mark.parametrize("side", ["at_end", "at_start"])
@each_of(REQUESTS)
def test_request_beside_an_unreadable_page(case: Case, side: str, room: guard.GuardedRoom) -> None:
    for way in (whole, byte_by_byte):
        for ends in way(case.octets):
            assert converse(case.octets, ends, getattr(room, side)) == case.found


@each_of([case for case in REQUESTS if case.valid])
def test_every_proper_prefix_of_a_head_needs_more(case: Case) -> None:
    parser = RequestParser()
    assert parser.feed(case.octets) == 1
    for end in range(parser.length):
        fresh = RequestParser()
        assert fresh.feed(case.octets[:end]) == 0
        assert fresh.scanned <= end


@each_of([case for case in REQUESTS if isinstance(case.found[0], Rejected)])
def test_a_refusal_is_final(case: Case) -> None:
    """However much has come, the answer is need-more first and the same refusal from one octet on."""
    verdicts = [RequestParser().feed(case.octets[:end]) for end in range(len(case.octets) + 1)]
    assert verdicts == sorted(verdicts, reverse=True)
    assert set(verdicts) <= {0, verdicts[-1]}
    assert verdicts[-1] < 0


@each_of(REQUESTS)
def test_a_mutated_request_means_the_same_at_any_split(case: Case) -> None:
    """No expectation but this: what is found in damaged octets does not depend on how they came."""
    chance = random.Random(case.name)
    for _ in range(6):
        octets = mutated(case.octets, chance)
        found = converse(octets, [len(octets)])
        assert converse(octets, range(1, len(octets) + 1)) == found
        assert all(converse(octets, ends) == found for ends in random_splits(octets)[:3])


def mutated(octets: bytes, chance: random.Random) -> bytes:
    """Return the octets with one of them replaced, removed, doubled or preceded by another."""
    at = chance.randrange(len(octets))
    octet = octets[at : at + 1]
    odd = bytes([chance.choice([0, 9, 10, 11, 13, 32, 44, 58, 59, 127, 133, 255, chance.randrange(256)])])
    return octets[:at] + chance.choice([odd, b"", octet + octet, odd + octet]) + octets[at + 1 :]


# -- Chunked bodies --------------------------------------------------------------------------------

@WAYS
@each_of(CHUNKS)
def test_chunks(case: Case, way: Callable[[bytes], list[list[int]]]) -> None:
    for ends in way(case.octets):
        assert decode(case.octets, ends) == chunks_expected(case)


@each_of(CHUNKS)
def test_chunks_beside_an_unreadable_page(case: Case, room: guard.GuardedRoom) -> None:
    for way in (whole, byte_by_byte):
        for ends in way(case.octets):
            assert decode(case.octets, ends, room.at_end) == chunks_expected(case)


def chunks_expected(case: Case) -> tuple[bytes, int] | None:
    return None if case.decoded is None else (case.decoded, case.used)


@each_of([case for case in CHUNKS if case.decoded is not None])
def test_every_proper_prefix_of_a_chunked_body_needs_more(case: Case) -> None:
    for end in range(case.used):
        decoder = ChunkDecoder()
        assert decoder.feed(case.octets[:end])[1] == end
        assert not decoder.done


# -- The corpus itself -----------------------------------------------------------------------------

def test_names_are_unique() -> None:
    names = [case.name for case in REQUESTS + CHUNKS]
    assert len(names) == len(set(names))


def test_the_corpus_is_as_large_as_promised() -> None:
    valid = [case for case in REQUESTS if case.valid]
    assert len(valid) >= 60
    assert len(REQUESTS) - len(valid) >= 80


def test_every_refusal_that_needs_no_size_has_a_case() -> None:
    shown = {each.name for case in REQUESTS for each in case.found if isinstance(each, Rejected)}
    by_size_or_time = {"REQUEST_LINE_TOO_LONG", "HEADER_LINE_TOO_LONG", "TOO_MANY_HEADERS", "HEAD_TOO_LONG",
                       "REQUEST_TIMEOUT"}
    assert shown == {row.name for row in REJECTIONS[1:]} - by_size_or_time


@pytest.mark.usefixtures("room")
def test_the_unreadable_page_is_unreadable() -> None:
    """The tests beside it could not fail otherwise."""
    overread = subprocess.run([sys.executable, guard.__file__], capture_output=True, check=False)
    assert overread.returncode != 0
    assert b"Traceback" not in overread.stderr
