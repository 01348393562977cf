"""What a case of the parity table is, how one may differ, and the requests they are made of.

Knows no case and no handler. The other modules of this package are the cases.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from helpers import Reply

from ..observe import Seen

Change = Callable[[Seen], Seen]


def same(seen: Seen) -> Seen:
    return seen


@dataclass(frozen=True)
class Instead:
    """What fastserve does where it differs: ``change`` of what http.server does with ``request``.

    Without a request it is the case's own. ``hangs``: http.server cannot be asked, it would not answer.
    """

    request: bytes | None = None
    change: Change = same
    hangs: bool = False


@dataclass(frozen=True)
class Case:
    """``methods`` are those of the requests, in order; one reply is read for each.

    ``ends``: the client says that it sends nothing more. ``row`` is the key of a difference, ``instead``
    what is expected then.
    """

    name: str
    app: str
    request: bytes
    methods: str = "GET"
    ends: bool = False
    row: str = ""
    instead: Instead = Instead()

    def differs(
        self, row: str, change: Change = same, *, like: bytes | None = None, hangs: bool = False
    ) -> Case:
        """The case, with fastserve doing what http.server does with ``like``, but for ``change``."""
        return replace(self, row=row, instead=Instead(like, change, hangs))

    def refused(self, row: str, status: int, message: str, *, hangs: bool = False, **words: Any) -> Case:
        """The case, with an error page from fastserve and the end of the connection."""
        words = {"line": request_line(self.request), **words}
        return self.differs(row, error_page(status, message, **words), hangs=hangs)

    def says_close(self) -> Case:
        """The case, with an answer from fastserve that says it is the last."""
        return self.differs("says-close", says_close)


# -- What may be different ---------------------------------------------------------------------


def with_header(reply: Reply, name: str, value: str) -> Reply:
    return reply._replace(headers=[*reply.headers, (name, value)])


def says(value: str, which: int) -> Change:
    """One of the answers says that of the connection."""

    def change(seen: Seen) -> Seen:
        replies = list(seen.replies)
        replies[which] = with_header(replies[which], "Connection", value)
        return seen._replace(replies=tuple(replies))

    return change


def closes(seen: Seen) -> Seen:
    return seen._replace(stays=False)


def stays(seen: Seen) -> Seen:
    return seen._replace(stays=True)


def both(*changes: Change) -> Change:
    """One change after the other."""
    return lambda seen: functools.reduce(lambda changed, change: change(changed), changes, seen)


says_close = both(says("close", -1), closes)
says_keep_alive = both(says("keep-alive", 0), stays)


def logs(words: str) -> Change:
    """One line more."""
    return lambda seen: seen._replace(log=(*seen.log, escaped(words)))


def one_answer(method: str, lines: int) -> Change:
    """The first to a request for /, the end of the connection, and so many lines of the log and one more."""
    told = logs(f'"{method} / HTTP/1.1" was answered with more bytes than its Content-Length')
    return lambda seen: told(seen._replace(replies=seen.replies[:1], stays=False, log=seen.log[:lines]))


def nothing(seen: Seen) -> Seen:
    """The end of the connection, and no word about it."""
    return Seen((), False, (), seen.calls)


def raises(error: str) -> Change:
    """The handler raises that before it has answered."""
    return lambda seen: Seen((), False, seen.log, (*seen.calls, f"handle_error {error}"))


def error_page(status: int, message: str, explain: str | None = None, line: str = "GET / HTTP/1.1",
               server: str = "BaseHTTP") -> Change:
    """An error page, nothing else, and the end of the connection."""
    explain = explain or HTTPStatus(status).description
    page = f"Error response\nError response\nError code: {status}\nMessage: {message}.\n"
    page += f"Error code explanation: {status} - {explain}."
    headers = [
        ("Server", f"{server} PYTHON"), ("Date", "DATE"), ("Connection", "close"),
        ("Content-Type", "text/html;charset=utf-8"), ("Content-Length", "PAGE"),
    ]
    reply = Reply(f"HTTP/1.1 {status} {message}", headers, page.encode())
    log = escaped(f"code {status}, message {message}"), escaped(f'"{line}" {status} -')
    return lambda seen: Seen((reply,), False, log, seen.calls)


def escaped(message: str) -> str:
    """As it stands in the log."""
    controls = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    return message.translate({**controls, ord("\\"): "\\\\"})


def bare(status: int, *headers: tuple[str, str]) -> Change:
    """An answer from the file handler that has no body, and the connection goes on."""

    def change(seen: Seen) -> Seen:
        server = [header for header in seen.replies[0].headers if header[0] in ("Server", "Date")]
        reply = Reply(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", [*server, *headers], b"")
        return seen._replace(replies=(reply,), log=with_status(seen.log, status))

    return change


def part(start: int, stop: int, version: str = "1.1") -> Change:
    """That part of the file."""

    def change(seen: Seen) -> Seen:
        whole = seen.replies[0]
        lengths = {"Content-Length": str(stop - start)}
        headers = [(name, lengths.get(name, value)) for name, value in whole.headers]
        headers.insert(-1, ("Content-Range", f"bytes {start}-{stop - 1}/{len(whole.body)}"))
        reply = Reply(f"HTTP/{version} 206 Partial Content", headers, whole.body[start:stop])
        return seen._replace(replies=(reply,), log=with_status(seen.log, 206))

    return change


def with_status(log: tuple[str, ...], status: int) -> tuple[str, ...]:
    return tuple(line.replace(" 200 ", f" {status} ") for line in log)


def typed(content_type: str) -> Change:
    """Another content type."""

    def change(seen: Seen) -> Seen:
        headers = [(name, content_type if name == "Content-type" else value)
                   for name, value in seen.replies[0].headers]
        return seen._replace(replies=(seen.replies[0]._replace(headers=headers),))

    return change


# -- Requests ----------------------------------------------------------------------------------


def request_line(request: bytes) -> str:
    """The first one of a request, without its end."""
    return request.lstrip(b"\r\n").split(b"\r\n")[0].decode("latin-1")


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head(target: str, *fields: str) -> bytes:
    return get(target, *fields, method="HEAD")


def old(target: str, *fields: str, method: str = "GET") -> bytes:
    return get(target, *fields, method=method, version="1.0")


def post(target: str, body: bytes, *fields: str, method: str = "POST", version: str = "1.1") -> bytes:
    return get(target, *fields, f"Content-Length: {len(body)}", method=method, version=version, body=body)


def chunked(target: str, body: bytes, *fields: str, method: str = "POST", version: str = "1.1") -> bytes:
    """With a body that is chunked already."""
    return get(target, *fields, "Transfer-Encoding: chunked", method=method, version=version, body=body)


def raw(*lines: str) -> bytes:
    """A head of those lines, whatever they are."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


SAME_DAY = "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
CLOSE = "Connection: close"
KEEP_ALIVE = "Connection: keep-alive"
