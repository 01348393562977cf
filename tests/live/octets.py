"""Bodies that both sides can make anew from two numbers, so that every octet of an answer can be compared.

Knows nothing else. The handlers of host.py, the clients of habits.py and handover.py use it.
"""

import hashlib
import random
from collections.abc import Iterable

PERIOD = 1_000_003  # a prime: what is off by a page or a buffer is other octets
PATTERN = random.Random(4).randbytes(PERIOD)


def body(seed: int, size: int) -> bytes:
    """That many octets, from a place of the pattern that the seed names."""
    start = seed % PERIOD
    if start + size <= PERIOD:
        return PATTERN[start : start + size]
    return (PATTERN * ((start + size) // PERIOD + 1))[start : start + size]


def cut(data: bytes, parts: int) -> list[bytes]:
    """The same in so many pieces, none of them empty as long as there are octets."""
    size = max(-(-len(data) // parts), 1)
    return [data[at : at + size] for at in range(0, len(data), size)]


def chunked(pieces: list[bytes]) -> bytes:
    """A body in chunks, as it is on the wire."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def event(number: int, seed: int) -> bytes:
    """One event of an event stream."""
    return b"id: %d\ndata: %s\n\n" % (number, body(seed + number, 40).hex().encode())


def digest(pieces: Iterable[bytes]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest().encode()
