"""Endpoints of any size: octets that anybody can tell, lines of JSON, letters at a pace, pages of links.

What is long is read from a file of 16 MiB again and again, or made while it is sent: memory stays the same.
Knows the handler, and what handlers.ranges and handlers.conditions say of Range and If-* (RFC 9110 13, 14).
"""

import functools
import json
import string
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

from fastserve.handlers import conditions, ranges
from fastserve.handlers.conditions import Validators
from fastserve.handlers.ranges import Part, Range
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import HTML, JSON, OCTETS, Answer, Octets, Parts, digest_field
from fastserve.rig.origin.echo import facts_of
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import Refusal

endpoint = functools.partial(routes.endpoint, group="Sizes")

MOST_SEED: Final = (1 << 63) - 1
CHUNK: Final = 10 * 1024  # httpbin's
MOST_CHUNK: Final = 1 << 24
MOST_DIGESTED: Final = 1 << 26  # octets of a body that has its digest in a field
MOST_HASHED: Final = 1 << 34  # octets that /digest reads: some ten seconds of a processor
MOST_SECONDS: Final = 3600.0
MOST_LINKS: Final = 200  # httpbin's
LAST_MODIFIED: Final = 1577836800  # 2020-01-01: what is always the same has not changed since then
CONDITIONAL: Final = (
    "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range",
)


def seed_of(request: Origin) -> int:
    return request.query.integer("seed", request.seed, 0, MOST_SEED)


# -- Representations, whole or in parts --------------------------------------------------------------


def selection(request: Origin, size: int, etag: str, content_type: str) -> tuple[Answer, list[Part]]:
    """Return an answer without its body, and which parts of a representation of ``size`` octets that has.

    They are as ranges.multipart() has them; none where a condition says so. Raises Refusal (416).
    """
    fields = conditional_fields(request)
    known = Validators(etag, LAST_MODIFIED, int(time.time()))
    date = request.date_time_string(LAST_MODIFIED)
    answer = Answer(content_type=content_type, headers=[
        ("ETag", etag), ("Last-Modified", date), ("Accept-Ranges", "bytes")])
    refused = conditions.evaluate(fields, known)
    if refused is not None:
        answer.status, answer.content_type = refused, None
        return answer, []
    wanted, field = None, fields.get("range")
    if request.command == "GET" and field and conditions.is_in_range(fields.get("if-range"), known):
        wanted = wanted_of(field, size)
    if wanted is None:
        return answer, [Range(0, size)]
    answer.status = HTTPStatus.PARTIAL_CONTENT
    if len(wanted) == 1:
        answer.headers.append(("Content-Range", wanted[0].content_range(size)))
        return answer, [*wanted]
    answer.content_type, parts = ranges.multipart(wanted, size, content_type)
    return answer, parts


def conditional_fields(request: Origin) -> dict[str, str]:
    if not request._fastserve_is_conditional():
        return {}
    return {name: ", ".join(lines) for name in CONDITIONAL if (lines := request.headers.get_all(name))}


def wanted_of(field: str, size: int) -> list[Range] | None:
    """Return what a Range field asks for, None for the whole. Raises Refusal."""
    try:
        return ranges.parse(field, size)
    except ranges.Unsatisfiable:
        raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"there are {size} octets",
                      [("Content-Range", f"bytes */{size}")]) from None


# -- Octets ----------------------------------------------------------------------------------------


@endpoint("/bytes/{count:int}", "That many octets, up to some hundred TiB, the same for a seed (?seed=). "
          "Takes Range, several too, and conditions; up to 64 MiB it has a Repr-Digest.",
          example="/bytes/1024", constant=True)
def octets(request: Origin, count: int) -> Answer:
    seed = seed_of(request)
    answer, parts = selection(request, count, f'"{count}-{seed}"', OCTETS)
    if parts and count <= MOST_DIGESTED:
        answer.headers.append(("Repr-Digest", digest_field(Octets(count, seed).sha256())))
    answer.body = Parts(tuple(
        Octets(part.stop - part.start, seed, part.start) if isinstance(part, Range) else part
        for part in parts), seed)
    return answer


@endpoint("/digest/{count:int}", "The SHA-256 of /bytes/{count}, in hexadecimal digits (?seed=).",
          example="/digest/1024", constant=True)
def digest(request: Origin, count: int) -> Answer:
    seed = seed_of(request)
    if count > MOST_HASHED:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"a digest is made of up to {MOST_HASHED} octets")
    return Answer(f"{Octets(count, seed).sha256()}\n".encode())


@endpoint("/stream-bytes/{count:int}", "The octets of /bytes/{count} in chunks (?chunk_size=, ?seed=).",
          example="/stream-bytes/4096?chunk_size=1024")
def stream_bytes(request: Origin, count: int) -> Answer:
    size = chunk_size_of(request)
    return Answer(slices(count, seed_of(request), size), OCTETS)


def chunk_size_of(request: Origin) -> int:
    return request.query.integer("chunk_size", CHUNK, 1, MOST_CHUNK)


def slices(count: int, seed: int, size: int) -> Iterator[bytes]:
    for start in range(0, count, size):
        yield bytes(Octets(min(size, count - start), seed, start))


# -- Letters ---------------------------------------------------------------------------------------

LETTERS: Final = string.ascii_lowercase.encode()


def letters(start: int, stop: int) -> bytes:
    """Return those of the alphabet, again and again, from one position to another."""
    at = start % len(LETTERS)
    count = stop - start
    return (LETTERS * ((at + count) // len(LETTERS) + 1))[at : at + count]


@endpoint("/range/{count:int}", "The alphabet, again and again, that many octets long, in pieces "
          "(?chunk_size=) over so many seconds (?duration=). Takes Range and conditions.",
          example="/range/26?duration=1&chunk_size=5")
def letters_in_range(request: Origin, count: int) -> Answer:
    size = chunk_size_of(request)
    duration = request.query.number("duration", 0, 0, MOST_SECONDS)
    answer, parts = selection(request, count, f'"range{count}"', OCTETS)
    answer.length = sum(part.stop - part.start if isinstance(part, Range) else len(part) for part in parts)
    pieces = pieces_of(parts, size)
    answer.body = paced(request, pieces, duration / count) if duration and count else pieces
    return answer


def pieces_of(parts: Iterable[Part], size: int) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, bytes):
            yield part
        else:
            for start in range(part.start, part.stop, size):
                yield letters(start, min(start + size, part.stop))


def paced(request: Origin, pieces: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """Give each piece when so many seconds have passed for each octet up to its end."""
    due = time.monotonic()
    for piece in pieces:
        due += len(piece) * seconds
        request.pause(max(due - time.monotonic(), 0))
        yield piece


# -- Lines and links -------------------------------------------------------------------------------


@endpoint("/stream/{count:int}", "That many lines of JSON, each of which tells of the request.",
          example="/stream/3")
def stream(request: Origin, count: int) -> Answer:
    facts = facts_of(request)
    text = json.dumps({name: facts[name] for name in ("url", "args", "headers", "origin")}).removesuffix("}")
    return Answer((f'{text}, "id": {number}}}\n'.encode() for number in range(count)), JSON)


@endpoint("/links/{count:int}", "Leads to /links/{count}/0.", example="/links/10", constant=True)
def links(request: Origin, count: int) -> Answer:
    return Answer(status=302, headers=[("Location", f"/links/{count}/0")])


@endpoint("/links/{count:int}/{offset:int}", "A page with that many links to pages like it, but to itself; "
          f"up to {MOST_LINKS}.", example="/links/10/3", constant=True)
def page_of_links(request: Origin, count: int, offset: int) -> Answer:
    count = min(max(count, 1), MOST_LINKS)
    found = " ".join(f"{number}" if number == offset else f"<a href='/links/{count}/{number}'>{number}</a>"
                     for number in range(count))
    return Answer(f"<html><head><title>Links</title></head><body>{found} </body></html>".encode(), HTML)
