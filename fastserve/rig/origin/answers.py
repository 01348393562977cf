"""What endpoints return: a status, header fields and a body.

That may have many TiB, and is never held as a whole. Knows no connection; handler.py sends it.
"""

import base64
import functools
import hashlib
import json
import os
import random
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
BLOCK: Final = 1 << 20
REPEATS: Final = 16  # of a block in its file: fewer and longer parts are to be sent


@dataclass(frozen=True)
class Octets:
    """``count`` octets from ``start`` on of the endless sequence of a seed: 1 MiB, again and again.

    The block is what random.Random(seed).randbytes(2**20) returns, so that anybody can tell each octet.
    """

    count: int
    seed: int = 0
    start: int = 0

    def ranges(self, period: int = BLOCK) -> Iterator[tuple[int, int]]:
        """Where they are in a file of so many octets, whole blocks: (start, stop), in order."""
        at, left = self.start % period, self.count
        while left:
            size = min(left, period - at)
            yield at, at + size
            at, left = 0, left - size

    def __bytes__(self) -> bytes:
        data = block(self.seed)
        return b"".join(data[start:stop] for start, stop in self.ranges())

    def sha256(self) -> str:
        """SHA-256 of them in hexadecimal digits; of a GiB it takes a second or two, once."""
        return digest(self)


@dataclass(frozen=True)
class Parts:
    """Octets of one seed, and what stands between them, as one body."""

    parts: tuple[bytes | Octets, ...]
    seed: int = 0

    @property
    def count(self) -> int:
        return sum(len(part) if isinstance(part, bytes) else part.count for part in self.parts)

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self.parts))

    def pieces(self) -> Iterator[bytes | tuple[int, int]]:
        """Give what stands between, and where in the file of block_file() the octets are."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.ranges(BLOCK * REPEATS)


Body: TypeAlias = bytes | Octets | Parts | Iterable[bytes]


@dataclass
class Answer:
    """``body`` is octets, an Octets, Parts, or pieces (bytes), which are sent as they come.

    Pieces are sent as chunks, or where ``length`` says how many octets they have in all, as they are.
    ``trailers`` (pairs, or what returns them when the last piece has been sent) go behind the last chunk.
    """

    body: Body = b""
    content_type: str | None = TEXT
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    reason: str | None = None
    trailers: Any = None
    length: int | None = None


def as_json(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """The value as httpbin writes JSON: indented, with sorted keys, and an end of line."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    return Answer(text.encode(), JSON, status, list(headers))


def digest_field(sha256: str) -> str:
    """What Repr-Digest and Content-Digest say of hexadecimal digits (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


@functools.lru_cache(32)
def block(seed: int) -> bytes:
    """Return the octets that are repeated for a seed."""
    return random.Random(seed).randbytes(BLOCK)


class BlockFile:
    """A file without a name that has the block of a seed REPEATS times, for sendfile.

    It is closed when nobody has it any more.
    """

    def __init__(self, seed: int) -> None:
        self._descriptor = unnamed_file()
        weakref.finalize(self, os.close, self._descriptor)
        with open(self._descriptor, "wb", closefd=False) as file:
            file.writelines([block(seed)] * REPEATS)

    def fileno(self) -> int:
        return self._descriptor


def unnamed_file() -> int:
    """Return the descriptor of an empty file, which needs no folder where the system has files in memory."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fastserve-block")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


block_file = functools.lru_cache(4)(BlockFile)


@functools.lru_cache(1024)
def digest(octets: Octets) -> str:
    """SHA-256 in hexadecimal digits."""
    data = memoryview(block(octets.seed))
    found = hashlib.sha256()
    for start, stop in octets.ranges():
        found.update(data[start:stop])
    return found.hexdigest()
