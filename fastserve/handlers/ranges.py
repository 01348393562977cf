"""Parts of a representation: which ones a Range field asks for, and the octets that answer it.

RFC 9110 section 14. Knows numbers, texts and seekable files, and no handler. handlers.static asks.
"""

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from fastserve.limits import MAX_COPIED_FILE, MAX_RANGES, RANGE_GAP

PIECE: Final = MAX_COPIED_FILE  # of a file, that is read at a time

SPEC: Final = r"(?!-\Z)(?P<first>[0-9]*)-(?P<last>[0-9]*)"


class Range(NamedTuple):
    """Octets ``start`` up to and without ``stop``."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """Return what Content-Range says of it (RFC 9110 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class Unsatisfiable(Exception):
    """No part that is asked for exists."""


def parse(value: str, size: int) -> list[Range] | None:
    """Return the ranges of a representation of ``size`` octets that a Range field asks for.

    They are in the order asked for; those that overlap, or between which there is less than the words between
    two parts would be, are one. None where the field is to be ignored: another unit, wrong syntax, more than
    MAX_RANGES, or nothing that can be told apart from the whole. Raises Unsatisfiable (416) where it is
    understood and there is nothing of it.
    """
    unit, equals, specs = value.partition("=")
    if unit.lower() != "bytes" or not equals:
        return None
    wanted = _specs(specs)
    if not wanted:
        return None
    found = [each for first, last in wanted if (each := _clamp(first, last, size))]
    if found:
        return coalesce(found)
    if size == 0 and any(first < 0 and last for first, last in wanted):
        return None  # all that an empty file has; but no Content-Range can say so
    raise Unsatisfiable


def _specs(text: str) -> list[tuple[int, int]] | None:
    """(first, last) of each, last -1 for the end; (-1, length) of a suffix. None for wrong syntax."""
    found: list[tuple[int, int]] = []
    for element in text.split(","):
        spec = element.strip(" \t")
        if not spec:
            continue  # an empty element, which RFC 9110 5.6.1 has us pass over
        match = re.fullmatch(SPEC, spec)
        if not match or len(found) == MAX_RANGES or _ends_before_it_begins(match["first"], match["last"]):
            return None
        first = _number(match["first"]) if match["first"] else -1
        found.append((first, _number(match["last"]) if match["last"] else -1))
    return found


def _ends_before_it_begins(first: str, last: str) -> bool:
    """By the digits, of which there may be more than int() takes."""
    if not (first and last):
        return False
    first, last = first.lstrip("0"), last.lstrip("0")
    return (len(last), last) < (len(first), first)


def _number(digits: str) -> int:
    """No file is as long as 18 digits say; int() takes time for many."""
    return int(digits[-18:]) if not digits[:-18].strip("0") else 10**18


def _clamp(first: int, last: int, size: int) -> Range | None:
    if first < 0:
        return Range(max(size - last, 0), size) if last and size else None
    return Range(first, min(last + 1, size) if last >= 0 else size) if first < size else None


def coalesce(ranges: Iterable[Range]) -> list[Range]:
    """Join what overlaps or nearly touches. What was asked for first is in the first part."""
    parts: list[list[Any]] = []  # start, stop, when it was asked for
    for when, (start, stop) in sorted(enumerate(ranges), key=lambda each: each[1]):
        if parts and start <= parts[-1][1] + RANGE_GAP:
            parts[-1][1] = max(parts[-1][1], stop)
            parts[-1][2] = min(parts[-1][2], when)
        else:
            parts.append([start, stop, when])
    return [Range(start, stop) for start, stop, _ in sorted(parts, key=lambda part: part[2])]


# -- The octets ----------------------------------------------------------------------------------

Part: TypeAlias = bytes | Range


def multipart(ranges: list[Range], size: int, content_type: str) -> tuple[str, list[Part]]:
    """Return the content type and the parts of a multipart/byteranges answer (RFC 9110 14.6).

    ``content_type`` is that of the whole, of ``size`` octets.
    """
    boundary = os.urandom(16).hex()  # which the file cannot know
    parts: list[Part] = []
    for number, each in enumerate(ranges):
        head = (f"{'' if number == 0 else chr(13) + chr(10)}--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: {each.content_range(size)}\r\n\r\n")
        parts += [head.encode("latin-1"), each]
    parts.append(f"\r\n--{boundary}--\r\n".encode("latin-1"))
    return f"multipart/byteranges; boundary={boundary}", parts


class RangeReader(io.RawIOBase):
    """Parts of a file, and what stands between them, as one stream. Closing it closes the file."""

    def __init__(self, file: Any, parts: Sequence[Part]) -> None:
        self.file = file
        self.parts = parts
        self._pieces = self._read_pieces()
        self._left = memoryview(b"")  # of the last piece

    @property
    def length(self) -> int:
        """How many octets there are in all."""
        return sum(map(_length, self.parts))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what comes next; 0 at the end, or where the file has become too short."""
        view = memoryview(buffer).cast("B")
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count

    def _read_pieces(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            for start in range(part.start, part.stop, PIECE):
                length = min(part.stop - start, PIECE)
                octets = self._read(start, length)
                yield octets
                if len(octets) < length:
                    return

    def _read(self, start: int, length: int) -> bytes:
        self.file.seek(start)
        octets: bytes = self.file.read(length)
        return octets

    def send_to(self, stream: Any) -> None:
        """Write all of it to a ResponseWriter, which reads what is long itself, when the client takes it."""
        first = self.parts[0]
        if len(self.parts) == 1 and isinstance(first, Range):
            stream.send_file(self.file.fileno(), first.start, _length(first))
        elif self.length <= PIECE:
            stream.write(self.readall())
        else:
            stream.send_parts(self.file.fileno(), self.parts)

    def close(self) -> None:
        try:
            self.file.close()
        finally:
            super().close()


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.stop - part.start
