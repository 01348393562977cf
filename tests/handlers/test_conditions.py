"""Preconditions: dates in three forms, entity tags, and which field decides. RFC 9110's examples first."""

import datetime
from http import HTTPStatus

import pytest

from fastserve.handlers.conditions import (
    Validators,
    evaluate,
    is_in_range,
    matches_strongly,
    matches_weakly,
    parse_date,
    tags,
)

SECONDS = 784111777  # of RFC 9110's example
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
NOW = int(datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc).timestamp())
PAST, NOT_MODIFIED = HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_MODIFIED


def year(text: str) -> int | None:
    seconds = parse_date(text, NOW)
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).year


@pytest.mark.parametrize("text", [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_three_forms(text: str) -> None:
    assert parse_date(text, NOW) == SECONDS


@pytest.mark.parametrize("text", [
    "", "0", "784111777", "now", DATE.lower(), DATE.upper(), f" {DATE}", f"{DATE} ", f"{DATE}, {DATE}",
    "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT",
    "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 06 Nov 1994 08:49:37 EST", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, 29 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT", "Son, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
    "1994-11-06T08:49:37Z", "\u0661, 06 Nov 1994 08:49:37 GMT", "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT\n",
])
def test_no_dates(text: str) -> None:
    assert parse_date(text, NOW) is None


@pytest.mark.parametrize(("text", "expected"), [
    ("Sunday, 06-Nov-26 08:49:37 GMT", 2026),
    ("Sunday, 06-Nov-75 08:49:37 GMT", 2075),
    ("Friday, 01-Jan-76 00:00:00 GMT", 2076),
    ("Friday, 31-Dec-76 23:59:59 GMT", 1976),
    ("Sunday, 06-Nov-77 08:49:37 GMT", 1977),
    ("Sunday, 06-Nov-99 08:49:37 GMT", 1999),
    ("Sunday, 06-Nov-00 08:49:37 GMT", 2000),
    ("Sunday, 29-Feb-00 08:49:37 GMT", 2000),
])
def test_two_digits_of_a_year(text: str, expected: int) -> None:
    """At most 50 years ahead."""
    assert year(text) == expected


def test_other_days_and_seconds() -> None:
    assert parse_date("Thu, 01 Jan 1970 00:00:00 GMT", NOW) == 0
    assert parse_date("Wed, 31 Dec 1969 23:59:59 GMT", NOW) == -1
    assert year("Fri, 31 Dec 9999 23:59:59 GMT") == 9999
    assert parse_date("Sun, 06 Nov 1994 08:49:60 GMT", NOW) == SECONDS + 22
    assert parse_date("Mon, 06 Nov 1994 08:49:37 GMT", NOW) == SECONDS, "the day of the week says nothing"
    assert parse_date("Sun Nov 16 08:49:37 1994", NOW) == SECONDS + 10 * 86400


# -- Entity tags ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "expected"), [
    ("", []),
    ('"a"', [(False, '"a"')]),
    ('W/"a"', [(True, '"a"')]),
    ('""', [(False, '""')]),
    ('"a", W/"b"', [(False, '"a"'), (True, '"b"')]),
    ('"a","b"', [(False, '"a"'), (False, '"b"')]),
    ('\t"a" ,\t"b" ', [(False, '"a"'), (False, '"b"')]),
    (', ,"a",,"b",', [(False, '"a"'), (False, '"b"')]),
    ('"a, b"', []),  # a blank is no part of a tag
    ('"a,b"', [(False, '"a,b"')]),
    ('"a\\"', [(False, '"a\\"')]),  # nothing is escaped
    ('"\xe4"', [(False, '"\xe4"')]),
    ('"a', []),
    ("a", []),
    ('"a" "b"', []),
    ('"a", b, "c"', [(False, '"a"')]),
    ('w/"a"', []),
    ('W / "a"', []),
    ("*", []),
])
def test_lists_of_tags(value: str, expected: list[tuple[bool, str]]) -> None:
    assert tags(value) == expected


@pytest.mark.parametrize(("one", "other", "strong", "weak"), [
    ('W/"1"', 'W/"1"', False, True),
    ('W/"1"', 'W/"2"', False, False),
    ('W/"1"', '"1"', False, True),
    ('"1"', 'W/"1"', False, True),
    ('"1"', '"1"', True, True),
    ('"1"', '"11"', False, False),
    ('"11"', '"1"', False, False),
])
def test_comparison(one: str, other: str, strong: bool, weak: bool) -> None:
    """RFC 9110 8.8.3.2 has the first rows."""
    assert matches_strongly(one, other) == strong
    assert matches_weakly(one, other) == weak


# -- Which field decides -------------------------------------------------------------------------

KNOWN = Validators('"now"', SECONDS, NOW)
SAME, OTHER = '"now"', '"then"'


@pytest.mark.parametrize(("fields", "expected"), [
    ({}, None),
    ({"if-match": SAME}, None),
    ({"if-match": "*"}, None),
    ({"if-match": " * "}, None),
    ({"if-match": f"{OTHER}, {SAME}"}, None),
    ({"if-match": OTHER}, PAST),
    ({"if-match": f"W/{SAME}"}, PAST),
    ({"if-match": ""}, PAST),
    ({"if-match": "now"}, PAST),
    ({"if-unmodified-since": DATE}, None),
    ({"if-unmodified-since": LATER}, None),
    ({"if-unmodified-since": EARLIER}, PAST),
    ({"if-unmodified-since": "yesterday"}, None),
    ({"if-none-match": SAME}, NOT_MODIFIED),
    ({"if-none-match": f"W/{SAME}"}, NOT_MODIFIED),
    ({"if-none-match": "*"}, NOT_MODIFIED),
    ({"if-none-match": f"{OTHER}, {SAME}"}, NOT_MODIFIED),
    ({"if-none-match": OTHER}, None),
    ({"if-none-match": ""}, None),
    ({"if-none-match": "now"}, None),
    ({"if-modified-since": DATE}, NOT_MODIFIED),
    ({"if-modified-since": LATER}, NOT_MODIFIED),
    ({"if-modified-since": EARLIER}, None),
    ({"if-modified-since": "yesterday"}, None),
    ({"if-modified-since": f"{DATE}, {DATE}"}, None),
    # RFC 9110 13.2.2, step by step.
    ({"if-match": SAME, "if-unmodified-since": EARLIER}, None),
    ({"if-match": OTHER, "if-unmodified-since": LATER}, PAST),
    ({"if-match": OTHER, "if-none-match": SAME}, PAST),
    ({"if-match": SAME, "if-none-match": SAME}, NOT_MODIFIED),
    ({"if-unmodified-since": EARLIER, "if-none-match": SAME}, PAST),
    ({"if-unmodified-since": DATE, "if-modified-since": DATE}, NOT_MODIFIED),
    ({"if-none-match": OTHER, "if-modified-since": LATER}, None),
    ({"if-none-match": SAME, "if-modified-since": EARLIER}, NOT_MODIFIED),
    ({"if-none-match": "", "if-modified-since": LATER}, None),
])
def test_preconditions(fields: dict[str, str], expected: HTTPStatus | None) -> None:
    assert evaluate(fields, KNOWN) == expected


@pytest.mark.parametrize(("fields", "expected"), [
    ({"if-match": '"now"'}, PAST),  # a weak tag of ours is no strong one of theirs
    ({"if-match": 'W/"now"'}, PAST),
    ({"if-match": "*"}, None),
    ({"if-none-match": '"now"'}, NOT_MODIFIED),
])
def test_a_weak_tag_of_ours(fields: dict[str, str], expected: HTTPStatus | None) -> None:
    assert evaluate(fields, KNOWN._replace(etag='W/"now"')) == expected


@pytest.mark.parametrize(("value", "expected"), [
    (None, True),
    (SAME, True),
    (f" {SAME}\t", True),
    (OTHER, False),
    (f"W/{SAME}", False),
    (f"{SAME}, {SAME}", False),
    ("*", False),
    ("", False),
    ("now", False),
    (DATE, True),
    ("Sunday, 06-Nov-94 08:49:37 GMT", True),
    (EARLIER, False),
    (LATER, False),
])
def test_if_range(value: str | None, expected: bool) -> None:
    assert is_in_range(value, KNOWN) is expected


def test_if_range_and_weak_validators() -> None:
    assert not is_in_range('W/"now"', KNOWN._replace(etag='W/"now"'))
    assert not is_in_range('"now"', KNOWN._replace(etag='W/"now"'))
    assert is_in_range(DATE, KNOWN._replace(now=SECONDS + 1))
    assert not is_in_range(DATE, KNOWN._replace(now=SECONDS)), "it may change again within this second"
