"""One browser's request and the ways to read it, for test_parser.py and ratio.py.

Each reader keeps what a server would keep between the requests of a connection (the parser object) and starts
every request clean. What a reader gives back, `answer` turns into one common form, so that the benchmarks can
assert it before they time it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any, NamedTuple

AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)
FIELDS = [
    ("Host", "garden.example:8000"),
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", '"Chromium";v="130", "Not?A_Brand";v="99"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("User-Agent", AGENT),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Referer", "http://garden.example:8000/plants/index.html"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.7"),
    ("Cookie", "theme=dark; session=3f2b8c1e9a7d4560b1c2d3e4f5a69788; last-visit=1731499200"),
]
TARGET = "/plants/ferns.html?sort=height&page=2"
BROWSER = "".join([f"GET {TARGET} HTTP/1.1\r\n", *(f"{n}: {v}\r\n" for n, v in FIELDS), "\r\n"]).encode()


class Answer(NamedTuple):
    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]


EXPECTED = Answer("GET", TARGET, "HTTP/1.1", FIELDS)


class Reader(NamedTuple):
    read: Callable[[], Any]  # what is timed
    answer: Callable[[Any], Answer]  # what it found, in the common form


def fastserve_all() -> Reader:
    """Every header as Python strings."""
    parser = importlib.import_module("fastserve._parser").RequestParser()

    def read() -> tuple[str, str, str, list[tuple[str, str]]]:
        parser.feed(BROWSER)
        head = parser.take(BROWSER)
        return head.method, head.target, head.version, head.fields()

    return Reader(read, lambda found: Answer(*found))


def fastserve_unread() -> Reader:
    """A complete, checked head of which nothing has been asked yet."""
    parser = importlib.import_module("fastserve._parser").RequestParser()

    def read() -> Any:
        parser.feed(BROWSER)
        return parser.take(BROWSER)

    return Reader(read, lambda head: Answer(head.method, head.target, head.version, head.fields()))


def fastserve_object() -> Reader:
    """What http.server's parse_request leaves on a handler; an object that answers for every field."""
    parser = importlib.import_module("fastserve._parser").RequestParser()
    make_headers = importlib.import_module("fastserve.headers").make_headers

    def read() -> tuple[str, str, str, HTTPMessage]:
        parser.feed(BROWSER)
        head = parser.take(BROWSER)
        return head.method, head.target, head.version, make_headers(head, HTTPMessage)

    return Reader(read, lambda found: Answer(*found[:3], found[3].items()))


class _Callbacks:
    """Collects what httptools calls back with: bytes, which it need not decode."""

    def on_message_begin(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def httptools_all() -> Reader:
    protocol = _Callbacks()
    parser = importlib.import_module("httptools").HttpRequestParser(protocol)

    def read() -> tuple[bytes, bytes, str, list[tuple[bytes, bytes]]]:
        parser.feed_data(BROWSER)
        return parser.get_method(), protocol.url, parser.get_http_version(), protocol.fields

    def answer(found: tuple[bytes, bytes, str, list[tuple[bytes, bytes]]]) -> Answer:
        method, url, version, fields = found
        pairs = [(name.decode(), value.decode()) for name, value in fields]
        return Answer(method.decode(), url.decode(), f"HTTP/{version}", pairs)

    return Reader(read, answer)


class _Unconnected(BaseHTTPRequestHandler):
    """A handler that reads bytes it is given; setting one up is not what is measured."""

    raw_requestline: bytes

    def __init__(self) -> None:
        self.client_address = ("127.0.0.1", 0)


def http_server() -> Reader:
    handler = _Unconnected()

    def read() -> BaseHTTPRequestHandler:
        handler.rfile = BytesIO(BROWSER)
        handler.raw_requestline = handler.rfile.readline(65537)
        handler.parse_request()
        return handler

    return Reader(read, lambda h: Answer(h.command, h.path, h.request_version, h.headers.items()))


READERS = {
    "fastserve, all headers": fastserve_all,
    "fastserve, unread": fastserve_unread,
    "fastserve, a headers object": fastserve_object,
    "httptools": httptools_all,
    "http.server": http_server,
}
