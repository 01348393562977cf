"""The headers object of a handler: `pytest bench/micro`. http.server's way is to read all of it by email."""

import email.parser
from http.client import HTTPMessage

import pytest
from parsers import BROWSER, FIELDS

ASKED = "Cookie", "accept-encoding", "Range"
GIVEN = [dict(FIELDS)["Cookie"], dict(FIELDS)["Accept-Encoding"], None]
TEXT = BROWSER.partition(b"\r\n")[2].decode()


def lazy():
    make_headers = pytest.importorskip("fastserve.headers").make_headers
    parser = pytest.importorskip("fastserve._parser").RequestParser()
    parser.feed(BROWSER)
    head = parser.take(BROWSER)
    return lambda: make_headers(head, HTTPMessage)


def by_email():
    return lambda: email.parser.Parser(_class=HTTPMessage).parsestr(TEXT)


MAKERS = {"fastserve": lazy, "email": by_email}


def looked_at(make):
    """What most handlers do: some fields, by name."""
    def ask():
        headers = make()
        return [headers.get(name) for name in ASKED]
    return ask, GIVEN


def listed(make):
    """What makes all of it."""
    return lambda: make().items(), FIELDS


@pytest.mark.benchmark(group=f"the headers of a browser's request, {len(FIELDS)} fields")
@pytest.mark.parametrize("use", [looked_at, listed])
@pytest.mark.parametrize("name", MAKERS)
def test_headers(benchmark, name, use):
    work, expected = use(MAKERS[name]())
    assert work() == expected
    assert work() == expected, "the second time"
    benchmark(work)
