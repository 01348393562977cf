"""What can be seen of a server from outside, in a form in which http.server and fastserve can be compared.

Masked are only the parts that cannot be equal: the value of Date, the number in Server, the HTML around the
words of a page the library wrote, and what only fastserve says of a file, an ETag and that there are ranges
(rows ``server-field``, ``pages``, ``validators`` and ``ranges`` of differences.py).
"""

import contextlib
import html
import io
import re
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import NamedTuple

from helpers import Client, Reply, log_messages

DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
SERVER = re.compile(r"(BaseHTTP|SimpleHTTP)(/0\.6)? Python/\d+\.\d+\.\d+\S*")
OUR_TAG = re.compile(r'(W/)?"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+(-[0-9a-f]+)?"')
PROBE = b"PROBE / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
# 501 from a handler that has no such method, or the answer of one that has every method.
PROBE_ANSWER = re.compile(rb"\('PROBE'\)|do_PROBE")
PROBE_LOG = re.compile(r"\('PROBE'\)|^\"PROBE ")

# The types of the library's own pages. HEAD has their length too, and no page.
OWN_TYPES = ("text/html;charset=utf-8", "text/html; charset=utf-8")


class Seen(NamedTuple):
    """All replies on one connection, whether it can be used again, the log, and recorded calls."""

    replies: tuple[Reply, ...]
    stays: bool
    log: tuple[str, ...]
    calls: tuple[str, ...]


def words(page: bytes) -> bytes:
    """What a reader or a program takes from a page: its text, and the items of a listing as they stand."""
    text = page.decode("utf-8", "surrogateescape")
    items = re.findall("(?s)<li>.*?</li>", text)
    text = re.sub("(?s)<style.*?</style>|<li>.*?</li>", "", text)
    text = html.unescape(re.sub("<[^>]*>", "\n", text))
    # Python 3.10 writes the name of a status for its number.
    text = re.sub(r"HTTPStatus\.(\w+)", lambda match: str(HTTPStatus[match[1]].value), text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join([*lines, *items]).encode("utf-8", "surrogateescape")


def mask(reply: Reply) -> Reply:
    if not reply.line:  # octets that are out of step, which may be an answer
        return reply._replace(body=DATE.sub("DATE", reply.body.decode("latin-1")).encode("latin-1"))
    own = reply.get("Content-Type") in OWN_TYPES
    headers = [(name, mask_value(name, value, own)) for name, value in reply.headers
               if not is_added(name, value)]
    return Reply(reply.line, headers, words(reply.body) if own else reply.body)


def is_added(name: str, value: str) -> bool:
    ours = {"Accept-Ranges": "bytes", "ETag": OUR_TAG.pattern}
    return name in ours and re.fullmatch(ours[name], value) is not None


def mask_value(name: str, value: str, own: bool) -> str:
    if name == "Date" and DATE.fullmatch(value):
        return "DATE"
    if name == "Server" and SERVER.fullmatch(value):
        return SERVER.sub(r"\1 PYTHON", value)
    return "PAGE" if name == "Content-Length" and own else value


def read_replies(client: Client, methods: list[str]) -> list[Reply]:
    """One reply for each method, interim ones between them, fewer where the connection ends."""
    replies: list[Reply] = []
    for method in methods:
        reply = client.reply(method)
        while reply is not None and 100 <= reply.status < 200:
            replies.append(reply)
            reply = client.reply(method)
        if reply is None:
            break
        replies.append(reply)
    return replies


def is_still_open(client: Client) -> bool:
    """Whether another request is understood and answered, whatever octets stand before the answer."""
    client.send(PROBE)
    return PROBE_ANSWER.search(client.rest()) is not None


@contextlib.contextmanager
def stderr_as(log: io.StringIO) -> Iterator[None]:
    """By assignment, so that servers in other threads write there too."""
    before, sys.stderr = sys.stderr, log
    try:
        yield
    finally:
        sys.stderr = before


def observe(
    connect: Callable[[], Client], request: bytes, methods: list[str], ends: bool, calls: list[str]
) -> Seen:
    """Send ``request``, which may be several, on a connection of its own, which then ends or does not."""
    calls.clear()
    log = io.StringIO()
    with stderr_as(log), connect() as client:
        client.send(request)
        if ends:
            client.end()
        try:
            replies = read_replies(client, methods)
        except EOFError as error:
            replies = [Reply("cut off", [], str(error).encode())]
        noted = list(calls)
        stays = is_still_open(client)
    # What came before the end of the connection has all happened by now.
    if not stays:
        noted = list(calls)
    logged = [line for line in log_messages(log.getvalue()) if not PROBE_LOG.search(line)]
    return Seen(tuple(map(mask, replies)), stays, tuple(logged), tuple(noted))
