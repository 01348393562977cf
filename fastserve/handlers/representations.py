"""A file as a representation of a resource, and the answer to a request for it (RFC 9110).

What is said here of a file is true of its octets as they lie there: a handler that sends others must not ask.
Knows open files and the texts of fields, and no handler. handlers.static asks.
"""

import functools
import io
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias

from fastserve.handlers import codings, conditions, ranges
from fastserve.limits import CLOCK_GRAIN, COARSE_CLOCK_GRAIN

# The fields of a request that decide how it is answered; where it has none of them the answer is the file.
CONDITIONAL: Final = (
    "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range",
)

VARY: Final = [("Vary", "Accept-Encoding")]

SECOND: Final = 10**9  # ns
SETTLED: Final = int(COARSE_CLOCK_GRAIN * SECOND)

KEPT_HEADERS: Final = 1024

Opener: TypeAlias = Callable[[str], io.FileIO]
Headers: TypeAlias = Sequence[tuple[str, str]]


class Representation(NamedTuple):
    """An open regular file, and what the system says of it.

    ``exact``: its octets are sent as they are, else nothing is said of them but when they changed last.
    ``negotiated``: others could be sent in its place, encoded; ``coding`` is what these are encoded in, and
    None where the client takes nothing of what there is.
    """

    file: io.FileIO
    status: os.stat_result
    exact: bool = True
    negotiated: bool = False
    coding: str | None = codings.IDENTITY


class Answer(NamedTuple):
    """``body`` is what is to be copied behind the head, a file or a RangeReader, or None.

    ``modified``: when it changed, in seconds since the epoch, where that is to be said.
    """

    status: HTTPStatus
    headers: Headers
    body: Any
    modified: float | None = None


def entity_tag(status: os.stat_result, now: int) -> str:
    """Return an entity tag for a file (RFC 9110 8.8.3); ``now`` is in ns since the epoch.

    It is strong: who writes to the file changes its ctime, which nobody can set, and another file in its
    place has another inode. (What is changed through mmap() is seen when the system writes it back.) But the
    clock of a file system ticks every few milliseconds, and a second change within one tick is not seen. So
    while the last one is that young the tag is weak, and no other is ever the same: the next request gets the
    file again.
    """
    changed = status.st_ctime_ns
    tag = _strong_tag(status.st_size, status.st_mtime_ns, changed, status.st_ino)
    grain = CLOCK_GRAIN if changed % SECOND else COARSE_CLOCK_GRAIN
    return tag if now - changed > grain * SECOND else f'W/{tag[:-1]}-{now:x}"'


def _strong_tag(size: int, mtime: int, ctime: int, inode: int) -> str:
    return f'"{mtime:x}-{size:x}-{ctime ^ inode:x}"'


def modified(status: os.stat_result, now: int) -> float:
    """Return what Last-Modified says, in seconds: never later than Date (RFC 9110 8.8.2.1)."""
    return float(min(status.st_mtime_ns, now) // SECOND)


def whole(status: os.stat_result, content_type: str, now: int) -> Headers:
    """Return the fields of a 200 for a file as it is; ``now`` is in ns since the epoch.

    What they are for a file that has not just changed is kept: most requests are for the same few.
    """
    changed = status.st_ctime_ns
    if now - changed > SETTLED:
        return _settled(content_type, status.st_size, status.st_mtime_ns, changed, status.st_ino)
    return _whole(content_type, status.st_size, entity_tag(status, now))


@functools.lru_cache(KEPT_HEADERS)
def _settled(content_type: str, size: int, mtime: int, ctime: int, inode: int) -> Headers:
    return _whole(content_type, size, _strong_tag(size, mtime, ctime, inode))


def _whole(content_type: str, size: int, etag: str) -> Headers:
    return (("Content-type", content_type), ("Content-Length", str(size)), ("ETag", etag),
            ("Accept-Ranges", "bytes"))


def best_sibling(
    path: str, plain: os.stat_result, wanted: tuple[str, ...], opener: Opener
) -> Representation | None:
    """Return what there is beside a file that a client would rather have, None where that is the file itself.

    Only what is at least as new as the file counts. ``wanted`` is in the client's order; who calls closes it.
    """
    for coding in wanted:
        if coding == codings.IDENTITY:
            break
        try:
            file = opener(path + codings.SIBLINGS[coding])
        except (OSError, ValueError):
            continue
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_mtime_ns >= plain.st_mtime_ns:
            return Representation(file, status, negotiated=True, coding=coding)
        file.close()
    return None


def answer(
    found: Representation, content_type: str, fields: Mapping[str, str], now: int, reads: bool, parts: bool
) -> Answer:
    """Return the answer to a request for a representation; ``now`` is in ns since the epoch.

    ``fields`` are those of CONDITIONAL that the request has, by name in lower case. ``reads``: it is a GET or
    a HEAD; ``parts``: it may be answered with a part, as a GET alone may (RFC 9110 14.2).
    """
    if found.coding is None:
        return Answer(HTTPStatus.NOT_ACCEPTABLE, [("Content-Length", "0"), *VARY], None)
    status = found.status
    etag = entity_tag(status, now) if found.exact else ""
    known = conditions.Validators(etag, int(modified(status, now)), now // SECOND)
    if fields:
        verdict = conditions.evaluate(fields, known, reads)
        if verdict == HTTPStatus.NOT_MODIFIED:
            return Answer(verdict, _validators(found, known), None)
        if verdict:
            return Answer(verdict, [("Content-Length", "0"), *_vary(found)], None)
        part = _part(found, content_type, fields, known) if parts and found.exact else None
        if part is not None:
            return part
    headers = _headers(found, content_type, status.st_size, known)
    return Answer(HTTPStatus.OK, headers, found.file, float(known.modified))


def _part(
    found: Representation, content_type: str, fields: Mapping[str, str], known: conditions.Validators
) -> Answer | None:
    """206 or 416 for a Range, None where there is none, or it is to be ignored."""
    size = found.status.st_size
    if not conditions.is_in_range(fields.get("if-range"), known):
        return None
    try:
        wanted = ranges.parse(fields.get("range", ""), size)
    except ranges.Unsatisfiable:
        headers = [("Content-Range", f"bytes */{size}"), ("Content-Length", "0"), *_vary(found)]
        return Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, None)
    if wanted is None:
        return None
    parts: list[ranges.Part] = [*wanted]
    if len(wanted) > 1:
        content_type, parts = ranges.multipart(wanted, size, content_type)
    body = ranges.RangeReader(found.file, parts)
    if len(wanted) > 1 and body.length >= size:
        return None  # what there is around the parts makes more than the whole (RFC 9110 15.3.7.2)
    headers = _headers(found, content_type, body.length, known)
    if len(wanted) == 1:
        headers.append(("Content-Range", wanted[0].content_range(size)))
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, body, float(known.modified))


def _headers(
    found: Representation, content_type: str, length: int, known: conditions.Validators
) -> list[tuple[str, str]]:
    headers = [("Content-type", content_type), ("Content-Length", str(length))]
    if found.exact:
        headers += [*_validators(found, known), ("Accept-Ranges", "bytes")]
    if found.coding and found.coding != codings.IDENTITY:
        headers.append(("Content-Encoding", found.coding))
    return headers


def _validators(found: Representation, known: conditions.Validators) -> list[tuple[str, str]]:
    """What a 304 says, too (RFC 9110 15.4.5)."""
    return [("ETag", known.etag), *_vary(found)] if found.exact else _vary(found)


def _vary(found: Representation) -> list[tuple[str, str]]:
    return VARY if found.negotiated else []
