"""Preconditions: whether a request for a representation is carried out (RFC 9110 section 13).

Works on what a file is known by, an entity tag and a time of change, and on the texts of fields. Knows no
handler, no file and no clock. handlers.static asks.
"""

import functools
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

MONTHS: Final = {name: number for number, name in enumerate(
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH: Final = f"(?P<month>{'|'.join(MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# The three forms of an HTTP-date, by their names in RFC 9110 5.6.7.
FORMS: Final = (
    rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",  # IMF-fixdate
    rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",  # rfc850-date
    rf"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",  # asctime-date
)

# An element of a list of entity tags, with what separates it from the next (RFC 9110 8.8.3, 5.6.1).
TAG: Final = r'[ \t,]*(?P<weak>W/)?(?P<opaque>"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|\Z)'

# Two digits of a year are at most so many years ahead (RFC 9110 5.6.7).
AHEAD: Final = 50

# A date is a strong validator once so many seconds have passed since (RFC 9110 8.8.2.2).
STRONG_AFTER: Final = 1


class Validators(NamedTuple):
    """What tells one state of a representation from another.

    ``etag`` is an entity tag as it is sent, W/ and quotes included; ``modified`` what Last-Modified says, and
    ``now`` what Date does, in whole seconds since the epoch.
    """

    etag: str
    modified: int
    now: int


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile it the first time: that takes longer than a server otherwise needs to start."""
    return re.compile(pattern)


def parse_date(text: str, now: int) -> int | None:
    """Return an HTTP-date in seconds since the epoch, None for anything else (RFC 9110 5.6.7).

    A year of two digits is at most 50 years after ``now``. A leap second is the one before it.
    """
    for form in FORMS:
        match = compiled(form).fullmatch(text)
        if match:
            return _seconds(match, now)
    return None


def _seconds(match: re.Match[str], now: int) -> int | None:
    import datetime

    year, month = int(match["year"]), MONTHS[match["month"]]
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    if len(match["year"]) == 2:
        today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
        year += today.year - today.year % 100
        if (year - AHEAD, month, day, hour, minute, second) > today.timetuple()[:6]:
            year -= 100
    if second > 60:
        return None
    try:
        date = datetime.datetime(
            year, month, day, hour, minute, min(second, 59), tzinfo=datetime.timezone.utc)
    except ValueError:  # the 31st of February, the year 0
        return None
    return int(date.timestamp())


def tags(value: str) -> list[tuple[bool, str]]:
    """Return the entity tags of a list, each as (whether it is weak, its opaque part), up to what is none."""
    found, at = [], 0
    pattern = compiled(TAG)
    while match := pattern.match(value, at):
        found.append((bool(match["weak"]), match["opaque"]))
        at = match.end()
    return found


def is_weak(etag: str) -> bool:
    return etag.startswith("W/")


def matches_weakly(value: str, etag: str) -> bool:
    """Whether an If-None-Match names ``etag``, weak or not (RFC 9110 8.8.3.2)."""
    opaque = etag.removeprefix("W/")
    return any(opaque == other for _, other in tags(value))


def matches_strongly(value: str, etag: str) -> bool:
    """Whether an If-Match names ``etag``, and neither is weak."""
    return (False, etag) in tags(value)


def is_any(value: str) -> bool:
    return value.strip(" \t") == "*"


def evaluate(fields: Mapping[str, str], known: Validators, reads: bool = True) -> HTTPStatus | None:
    """Return 412 or 304 where a request is not to be carried out, in the order of RFC 9110 13.2.2.

    ``fields`` are the request's by their names in lower case, several lines of one joined by a comma.
    ``reads``: it is a GET or a HEAD; of others there is no 304.
    """
    match, none_match = fields.get("if-match"), fields.get("if-none-match")
    if match is not None:
        if not (is_any(match) or matches_strongly(match, known.etag)):
            return HTTPStatus.PRECONDITION_FAILED
    elif _is_changed(known, fields.get("if-unmodified-since")):
        return HTTPStatus.PRECONDITION_FAILED
    if none_match is not None:
        if is_any(none_match) or matches_weakly(none_match, known.etag):
            return HTTPStatus.NOT_MODIFIED if reads else HTTPStatus.PRECONDITION_FAILED
    elif reads and _is_unchanged(known, fields.get("if-modified-since")):
        return HTTPStatus.NOT_MODIFIED
    return None


def _is_changed(known: Validators, date: str | None) -> bool:
    """Whether the last change came after a date. What is no date is as if it were not there."""
    seconds = None if date is None else parse_date(date, known.now)
    return seconds is not None and known.modified > seconds


def _is_unchanged(known: Validators, date: str | None) -> bool:
    seconds = None if date is None else parse_date(date, known.now)
    return seconds is not None and known.modified <= seconds


def is_in_range(value: str | None, known: Validators) -> bool:
    """Whether an If-Range allows a part of the representation to be sent (RFC 9110 13.1.5).

    A date must be the very one, of a second that is over. Whether there were two changes in it, nobody can
    tell from a date.
    """
    if value is None:
        return True
    value = value.strip(" \t")
    if value.startswith(('"', "W/")):
        return value == known.etag and not is_weak(value)
    return parse_date(value, known.now) == known.modified <= known.now - STRONG_AFTER
