"""What can be seen of a server from outside, in a form in which http.server and fastserve can be compared.

Masked are only the parts that cannot be equal: the value of Date, the number in Server, and the HTML around
the words of a page the library wrote (rows ``server-field`` and ``pages`` of differences.py).
"""

import html
import io
import re
import sys
from typing import Any, NamedTuple

from helpers import Client, Reply, log_messages

DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
SERVER = re.compile(r"(BaseHTTP|SimpleHTTP)(/0\.6)? Python/\d+\.\d+\.\d+\S*")
PROBE = b"PROBE / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"

# The types of the library's own pages. HEAD has their length too, and no page.
OWN_TYPES = ("text/html;charset=utf-8", "text/html; charset=utf-8")


class Seen(NamedTuple):
    """All replies on one connection, whether it can be used again, the log, and recorded calls."""

    replies: tuple[Reply, ...]
    stays: bool
    log: tuple[str, ...]
    calls: tuple[str, ...]


def words(page: bytes) -> bytes:
    """A page's visible text and links, a line each: what a reader or a program takes from it."""
    text = page.decode("utf-8", "surrogateescape")
    text = re.sub(r"(?s)<style.*?</style>", "", text)
    text = re.sub(r'<a href="([^"]*)">', r"[\1] ", text)
    text = html.unescape(re.sub(r"<[^>]*>", "\n", text))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def mask(reply: Reply) -> Reply:
    own = reply.get("Content-Type") in OWN_TYPES
    headers = []
    for name, value in reply.headers:
        if name == "Date" and DATE.fullmatch(value):
            value = "DATE"
        elif name == "Server" and SERVER.fullmatch(value):
            value = SERVER.sub(r"\1 PYTHON", value)
        elif name == "Content-Length" and own:
            assert value == str(len(reply.body)) or not reply.body
            value = "PAGE"
        headers.append((name, value))
    return Reply(reply.line, headers, words(reply.body) if own else reply.body)


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
    """Whether another request gets an answer, whatever octets stand before it."""
    client.send(PROBE)
    return b"HTTP/1." in client.rest()


def observe(address: Any, request: bytes, methods: list[str], calls: list[str]) -> Seen:
    """Send ``request``, which may be several, on a connection of its own."""
    calls.clear()
    log = sys.stderr = io.StringIO()
    with Client(address) as client:
        client.send(request)
        try:
            replies = read_replies(client, methods)
        except EOFError as error:
            replies = [Reply("cut off", [], str(error).encode())]
        noted, logged = list(calls), log.getvalue()
        stays = is_still_open(client)
    if not stays:
        # What came before the end of the connection has all happened.
        noted, logged = list(calls), log.getvalue()
    return Seen(tuple(map(mask, replies)), stays, tuple(log_messages(logged)), tuple(noted))
