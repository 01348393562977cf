"""Octets to all that the parser and the chunk decoder make of them, wherever they are cut.

Knows these two, and holds what is true of whatever they return. The properties and the fuzz targets ask.
"""

from typing import Any

from fastserve._chunks import ChunkDecoder
from fastserve._head import RequestHead
from fastserve._parser import RequestParser


def everything(head: RequestHead) -> dict[str, Any]:
    """Return all that can be asked of a head; the request line of a refused one ends where the octets did."""
    names = ["rejection", "method", "target", "version", "version_number", "content_length", "chunked",
             "keep_alive", "expect_continue", "upgrade"] + ([] if head.rejection else ["raw", "requestline"])
    answers = {name: getattr(head, name) for name in names} | {"fields": head.fields()}
    for name, value in head.fields():
        assert head.get(name.swapcase()) == head.get_all(name)[0]
        assert value in head.get_all(name.upper())
    assert isinstance(head.requestline, str)
    assert isinstance(head.raw, bytes)
    return answers


def parse(octets: bytes, ends: list[int], **limits: int) -> tuple[int, int, dict[str, Any] | None]:
    """Return (verdict, octets scanned, all that is known) when the octets arrive up to each end in turn."""
    parser = RequestParser()
    for name, limit in limits.items():
        setattr(parser, name, limit)
    verdict = 0
    for end in ends:
        verdict = parser.feed(octets[:end])
        assert parser.scanned <= end
        if verdict:
            scanned = parser.scanned
            return verdict, scanned, everything(parser.take(octets[:end]))
    return verdict, parser.scanned, None


def decode(octets: bytes, ends: list[int]) -> tuple[bytes, int, bool] | None:
    """Return (decoded, consumed, done) of a chunked body in parts, None where it is refused."""
    decoder, decoded, start = ChunkDecoder(), b"", 0
    for end in ends:
        try:
            piece, used = decoder.feed(octets[start:end])
        except ValueError:
            return None
        assert used == end - start or decoder.done
        decoded, start = decoded + piece, start + used
    return decoded, start, decoder.done
