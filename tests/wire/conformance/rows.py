"""What a row of the table is: octets that are sent, and a judgement of all that comes back.

Knows no server. The other modules of this package are the rows; table.py asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from helpers import Reply

# The files that every server has; all were changed at the same time.
BODY = b"0123456789"
MTIME = 1_000_000_000
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
EARLIER, LATER = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:41 GMT"
LAST = b"sentinel"
# A row is sent with this request behind it: whether it is answered tells where the server saw the row end.
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

IMF_FIXDATE = r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"


class Talk(NamedTuple):
    """What came back on one connection, the answer to the sentinel left out.

    ``stays``: the sentinel was answered. ``ended``: "fin", "reset", or "open" where nothing came for a while.
    ``rest`` is what is no answer. ``keeps``: whether the server keeps connections at all (HTTP/1.1).
    """

    replies: tuple[Reply, ...]
    stays: bool
    ended: str
    rest: bytes
    keeps: bool

    @property
    def goes_on(self) -> bool:
        """Whether the connection is used on, as far as the server's version lets it."""
        return not self.rest and (self.stays or not self.keeps) and self.ended == "fin"

    @property
    def is_over(self) -> bool:
        return not self.rest and not self.stays and self.ended == "fin"

    @property
    def last(self) -> Reply:
        return self.replies[-1] if self.replies else Reply("", [], b"")


Judge = Callable[[Talk], bool]


class Row(NamedTuple):
    """``section`` says who asks for it, ``level`` how strongly: MUST, SHOULD, or the CVE it is about.

    ``behaviour`` is its number in the list of forty. ``methods`` are those of the requests, in order.
    ``ends``: the client sends nothing more behind it.
    """

    behaviour: int
    section: str
    level: str
    what: str
    octets: bytes
    judge: Judge
    methods: str = "GET"
    sentinel: bool = True
    ends: bool = False


# -- Requests --------------------------------------------------------------------------------------


def get(
    target: str = "/a.txt", *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b""
) -> bytes:
    return raw(f"{method} {target} HTTP/{version}", "Host: test", *fields, body=body)


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body: bytes, *fields: str, target: str = "/a.txt", method: str = "GET") -> bytes:
    return get(target, "Transfer-Encoding: chunked", *fields, method=method, body=body)


# -- Judgements ------------------------------------------------------------------------------------


def served(*bodies: bytes, status: int = 200) -> Judge:
    """Each request is answered with that body, and the connection goes on."""
    wanted = bodies or (BODY,)

    def judge(talk: Talk) -> bool:
        expected = wanted if talk.keeps else wanted[:1]
        return talk.goes_on and [(reply.status, reply.body) for reply in talk.replies] == [
            (status, body) for body in expected
        ]

    return judge


def served_last(body: bytes = BODY, status: int = 200) -> Judge:
    """It is answered, and the connection ends."""
    return lambda talk: (
        talk.is_over and [(each.status, each.body) for each in talk.replies] == [(status, body)]
    )


def refused(*statuses: int) -> Judge:
    """One answer, an error, and the end of the connection."""
    return lambda talk: talk.is_over and len(talk.replies) == 1 and talk.last.status in (statuses or (400,))


def answered(*statuses: int, **fields: str | None) -> Judge:
    """One answer, with those fields (their names with _ for -, None for none), and the connection goes on."""

    def judge(talk: Talk) -> bool:
        return (
            talk.goes_on
            and len(talk.replies) == 1
            and talk.last.status in statuses
            and all(talk.last.get(name.replace("_", "-")) == value for name, value in fields.items())
        )

    return judge


def status(*wanted: int) -> Judge:
    """The last answer has one of them, whatever becomes of the connection."""
    return lambda talk: talk.last.status in wanted


def statuses(*wanted: list[int]) -> Judge:
    """Those of all answers are one of these lists."""
    return lambda talk: [each.status for each in talk.replies] in wanted


def over(talk: Talk) -> bool:
    return talk.is_over


def on(talk: Talk) -> bool:
    return talk.goes_on


def silent_on(octets: bytes) -> Judge:
    """There is an answer, and its body has not these octets."""
    return lambda talk: bool(talk.replies) and octets not in talk.last.body


def either(*judges: Judge) -> Judge:
    return lambda talk: any(judge(talk) for judge in judges)


def both(*judges: Judge) -> Judge:
    return lambda talk: all(judge(talk) for judge in judges)


def nothing(talk: Talk) -> bool:
    """No answer, and the end of the connection."""
    return talk.is_over and not talk.replies


def never(judge: Judge) -> Judge:
    """There is an answer, and that does not hold of it."""
    return lambda talk: bool(talk.replies) and not judge(talk)


def has(name: str, pattern: str) -> Judge:
    """The last answer has that field, once, and it matches."""

    def judge(talk: Talk) -> bool:
        values = [value for key, value in talk.last.headers if key.lower() == name.lower()]
        return len(values) == 1 and re.fullmatch(pattern, values[0]) is not None

    return judge


def lacks(*names: str) -> Judge:
    """The last answer has none of those fields."""
    return lambda talk: bool(talk.replies) and all(talk.last.get(name) is None for name in names)
