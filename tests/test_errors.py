"""The table of refusals against the codes that the compiled parser answers with."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from fastserve._parser import RequestParser
from fastserve.errors import REJECTIONS, Rejection

PARSER_PXD = Path(__file__).parents[1] / "fastserve" / "_parser.pxd"

EACH_REFUSAL = pytest.mark.parametrize("row", REJECTIONS[1:], ids=lambda row: row.name)


def names_in_pxd() -> list[str]:
    """Return the members of RejectionCode in order; the enum may give a value to the first one only."""
    text = PARSER_PXD.read_text("utf-8")
    block = re.search(r"^cdef enum RejectionCode:.*\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert block
    return re.findall(r"^    (\w+)(?: = 0)?$", re.sub(r" *#.*", "", block[1]), re.MULTILINE)


def test_the_order_is_that_of_the_compiled_codes() -> None:
    assert [row.name for row in REJECTIONS] == names_in_pxd()


def test_names_are_unique() -> None:
    assert len({row.name for row in REJECTIONS}) == len(REJECTIONS)


def test_the_first_row_refuses_nothing() -> None:
    assert REJECTIONS[0] == Rejection("NONE", 0, "")


@EACH_REFUSAL
def test_status_is_a_real_one_and_an_error(row: Rejection) -> None:
    assert 400 <= HTTPStatus(row.status) < 600


@EACH_REFUSAL
def test_messages_can_be_filled_in(row: Rejection) -> None:
    message = row.message % {"requestline": "GET / HTTP/1.1", "version": "HTTP/1.1"}
    assert "%" not in message
    assert message.isprintable()
    assert row.explain is None or row.explain.isprintable()


def test_only_431_is_explained() -> None:
    """As in http.server: an override of send_error() may take a code and a message, and no more."""
    assert {row.status for row in REJECTIONS if row.explain} == {431}


@pytest.mark.parametrize(("octets", "name", "status"), [
    (b"GET\r\n", "BAD_REQUEST_LINE", 400),
    (b"GET / HTTP/3.0\r\n", "UNSUPPORTED_VERSION", 505),
    (b"A" * 65536, "REQUEST_LINE_TOO_LONG", 414),
    (b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 100, "TOO_MANY_HEADERS", 431),
    (b"GET / HTTP/1.1\r\n\r\n", "MISSING_HOST", 400),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: br\r\n", "UNSUPPORTED_TRANSFER_ENCODING", 501),
])
def test_a_verdict_is_minus_an_index_into_the_table(octets: bytes, name: str, status: int) -> None:
    row = REJECTIONS[-RequestParser().feed(octets)]
    assert (row.name, row.status) == (name, status)
