"""Endpoints about how an answer is encoded and cut: content codings, chunks, trailers, what comes before it.

Brotli and zstd come from libraries, where there are some; Python 3.14 has one for zstd. Knows the table of
endpoints; files asks for the compressors.
"""

import contextlib
import functools
import gzip as gzip_module
import hashlib
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from fastserve.rig.origin import raw, routes
from fastserve.rig.origin.answers import OCTETS, TEXT, Answer, Octets, as_json, digest_field
from fastserve.rig.origin.echo import fields_of, origin_of
from fastserve.rig.origin.handler import EVERYBODY, Origin
from fastserve.rig.origin.routes import Refusal
from fastserve.rig.origin.semantics import check_field, fields_named
from fastserve.rig.origin.sizes import seed_of
from fastserve.rig.origin.timing import seconds_in_ms, seconds_of

Compressor: TypeAlias = Callable[..., bytes]

MOST_OCTETS: Final = 1 << 30
MOST_CHUNK: Final = 1 << 20
BLOCK: Final = 1 << 16
MOST_TRAILERS: Final = 1000

endpoint = functools.partial(routes.endpoint, group="Codings")

# Fields that may not come behind the body (RFC 9110 6.5.1): they bear on framing, routing and the rest.
NOT_IN_TRAILERS: Final = frozenset({
    "authorization", "cache-control", "connection", "content-encoding", "content-range", "content-type",
    "cookie", "expect", "host", "keep-alive", "set-cookie", "te", "upgrade", "www-authenticate",
})


# -- Content codings -------------------------------------------------------------------------------


@functools.cache
def brotli_compressor() -> Compressor | None:
    """Return what encodes bytes in Brotli, None where no library does."""
    compress: Compressor | None = None
    with contextlib.suppress(ImportError):
        import brotlicffi  # type: ignore[import-untyped, import-not-found, unused-ignore]

        compress = brotlicffi.compress
    with contextlib.suppress(ImportError):
        import brotli  # type: ignore[import-untyped, import-not-found, unused-ignore]

        compress = brotli.compress
    return compress


@functools.cache
def zstd_compressor() -> Compressor | None:
    """Return what encodes bytes in Zstandard, None where no library does."""
    compress: Compressor | None = None
    with contextlib.suppress(ImportError):
        import zstandard  # type: ignore[import-not-found, unused-ignore]

        compress = zstandard.compress
    with contextlib.suppress(ImportError):
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        compress = zstd.compress
    return compress


def encoded(request: Origin, coding: str, name: str, compress: Compressor | None) -> Answer:
    """Return the request, told in a coding; ``name`` is what httpbin says that it is."""
    if compress is None:
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, f"no library for {coding}: pip install {LIBRARIES[coding]}")
    answer = as_json({
        name: True, "headers": fields_of(request), "method": request.command, "origin": origin_of(request)})
    assert isinstance(answer.body, bytes)
    answer.body = compress(answer.body)
    answer.headers.append(("Content-Encoding", coding))
    return answer


LIBRARIES: Final = {"br": "brotli", "zstd": "zstandard"}


@endpoint("/gzip", "The request, told in gzip (RFC 1952).")
def gzip(request: Origin) -> Answer:
    return encoded(request, "gzip", "gzipped", lambda octets: gzip_module.compress(octets, mtime=0))


@endpoint("/deflate", "The request, told in deflate, which is zlib's format (RFC 9110 8.4.1.2).")
def deflate(request: Origin) -> Answer:
    return encoded(request, "deflate", "deflated", zlib.compress)


@endpoint("/brotli", "The request, told in Brotli (RFC 7932), where there is a library for it.")
def brotli(request: Origin) -> Answer:
    return encoded(request, "br", "brotli", brotli_compressor())


@endpoint("/zstd", "The request, told in Zstandard (RFC 8878), where there is a library for it.")
def zstd(request: Origin) -> Answer:
    return encoded(request, "zstd", "zstd", zstd_compressor())


# -- Chunks and trailers ---------------------------------------------------------------------------


@endpoint("/chunked/{count:int}", "That many octets in chunks of random sizes from min= to max=, with a "
          "digest of them as a trailer if trailer=1, and chunk extensions if extensions=1.",
          example="/chunked/65536?min=1&max=4096&trailer=1")
def chunked(request: Origin, count: int) -> Answer | None:
    """The octets are those of Octets(count, seed), the sizes those of sizes()."""
    seed = seed_of(request)
    octets = Octets(int(routes.bounded("count", count, 0, MOST_OCTETS, int)), seed)
    least = request.query.integer("min", 1, 1, MOST_CHUNK)
    most = request.query.integer("max", max(least, 4096), least, MOST_CHUNK)
    found = Digest(cut(octets, sizes(count, least, most, seed)))
    trailing = request.query.flag("trailer")
    fields = [("Trailer", "Content-Digest")] if trailing else []
    trailers = (lambda: [("Content-Digest", found.value())]) if trailing else None
    if request.query.flag("extensions") and request.request_version >= "HTTP/1.1":
        send_extended(request, found, fields, trailers)
        return None
    return Answer(found, OCTETS, headers=fields, trailers=trailers)


def sizes(count: int, least: int, most: int, seed: int) -> Iterator[int]:
    """How many octets each chunk has: random.Random(seed).randint(least, most), the last one what is left."""
    chance = random.Random(seed)
    while count:
        size = min(count, chance.randint(least, most))
        yield size
        count -= size


def cut(octets: Octets, lengths: Iterable[int]) -> Iterator[bytes]:
    at = octets.start
    for length in lengths:
        yield bytes(Octets(length, octets.seed, at))
        at += length


class Digest:
    """Pieces, as they come, and what RFC 9530 says of those that have come so far."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            yield piece

    def value(self) -> str:
        """Return the value of Content-Digest."""
        return digest_field(self._digest.hexdigest())


def send_extended(
    request: Origin, pieces: Iterable[bytes], fields: list[tuple[str, str]],
    trailers: Callable[[], list[tuple[str, str]]] | None,
) -> None:
    """Send chunks with extensions (RFC 9112 7.1.1), which whoever does not know them has to pass over."""
    request.send_head(HTTPStatus.OK, [
        *EVERYBODY, ("Content-Type", OCTETS), ("Transfer-Encoding", "chunked"), *fields])
    if request.command == "HEAD":
        return
    for n, piece in enumerate(pieces):
        request.wfile.write(b'%x;n=%d;note="a \\"quoted\\"; one"\r\n%b\r\n' % (len(piece), n, piece))
    lines = "".join(f"{name}: {value}\r\n" for name, value in (trailers() if trailers else ()))
    request.wfile.write(b"0;last\r\n" + lines.encode("latin-1") + b"\r\n")


@endpoint("/trailers", "The query's names and values as trailers, and count= more of them.",
          example="/trailers?X-One=1&X-Two=2")
def trailers(request: Origin) -> Answer:
    count = request.query.integer("count", 0, 0, MOST_TRAILERS)
    pairs = [(name, value) for name, value in request.query.pairs if name != "count"]
    for name, value in pairs:
        check_field(name, value)
        if name.lower() in NOT_IN_TRAILERS:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} may not be a trailer (RFC 9110 6.5.1)")
    pairs += [(f"X-Trailer-{n}", str(n)) for n in range(count)]
    names = ", ".join(dict.fromkeys(name for name, _ in pairs))
    body = as_json(dict(pairs)).body
    assert isinstance(body, bytes)
    return Answer([body], "application/json", headers=[("Trailer", names)] if names else [], trailers=pairs)


# -- What comes before the answer ------------------------------------------------------------------


@endpoint("/1.0", "An answer in HTTP/1.0, whose end is that of the connection if length=0.")
def old(request: Origin) -> None:
    body = b"An answer of 1996.\n"
    fields = [("Content-Type", TEXT)]
    if request.query.flag("length", True):
        fields.append(("Content-Length", str(len(body))))
    request.close_connection = True
    raw.answer(request, raw.head(request, HTTPStatus.OK, fields, "HTTP/1.0"), body)


@endpoint("/100-continue", "Says whether the client has waited for 100 (Continue) with its body.",
          methods=("POST", "PUT", "PATCH"), continues=True)
def expect_continue(request: Origin) -> Answer:
    """``expected``: whether it said so; ``waited``: whether no octet of the body came before 100 was sent.

    100 is sent once nothing has come for ms= milliseconds.
    """
    due, request.continue_is_due = request.continue_is_due, False
    pause = seconds_in_ms(request, "ms", 20) if due else 0
    expected = "100-continue" in fields_named(request, "Expect").get("expect", "").lower()
    try:
        early = octets_within(request, pause) if expected and request.content_length != 0 else b""
        if due and early is None:
            request.send_response_only(HTTPStatus.CONTINUE)
            request.end_headers()
        count = octets_in_all(request, len(early or b""))
    except ValueError:
        request.close_connection = True
        raise Refusal(HTTPStatus.BAD_REQUEST, "the chunks of the body are malformed") from None
    return as_json({"expected": expected, "waited": early is None, "octets": count})


def octets_within(request: Origin, seconds: float) -> bytes | None:
    """Return what comes of the body, None where nothing does in that time; b'' at its end.

    Raises ValueError where it is in chunks, and they are broken.
    """
    rfile: Any = request.rfile
    end = time.monotonic() + seconds
    while True:
        octets: bytes | None = rfile.read_now(BLOCK)
        if octets is not None or time.monotonic() >= end:
            return octets
        request.pause(0.001)


def octets_in_all(request: Origin, count: int) -> int:
    """Read what is left of a body of which ``count`` octets are read; return how many it has. As above."""
    rfile: Any = request.rfile
    while count != request.content_length and (piece := rfile.read1(BLOCK)):
        count += len(piece)
    return count


@endpoint("/early-hints", "103 with two links, and 200 behind it after delay= seconds (RFC 8297).")
def early_hints(request: Origin) -> Answer:
    links = [("Link", "</static/reset.css>; rel=preload; as=style"),
             ("Link", "</static/app.js>; rel=preload; as=script")]
    before = seconds_of(request, "delay", 0)
    request.send_response_only(HTTPStatus.EARLY_HINTS)
    for name, value in links:
        request.send_header(name, value)
    request.end_headers()
    request.pause(before)
    page = (b'<!DOCTYPE html><title>Hinted</title><link rel="stylesheet" href="/static/reset.css">'
            b'<script src="/static/app.js"></script><p>Hinted.</p>\n')
    return Answer(page, "text/html; charset=utf-8", headers=links)
