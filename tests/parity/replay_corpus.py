"""The requests of the replay tests, the same in every run: every target, and what else may be asked of some.

Of those that are ``stated`` it is known that they must be answered from a recording once they have been
answered. All others need only be answered alike. Knows no server, and must be told what the folder's entity
tags are; test_replay.py sends them.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .apps import MTIME
from .replay_files import CONDITIONED, SIZED, TARGETS, encoded

DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
assert MTIME == 1_000_000_000
EARLIER, LATER = "Sun, 09 Sep 2001 01:46:39 GMT", "Mon, 10 Sep 2001 00:00:00 GMT"

CODINGS = ["", "gzip", "br", "zstd", "gzip, br", "gzip, deflate, br, zstd", "gzip;q=0", "identity", "*",
           "identity;q=0", "identity;q=0, gzip", "br;q=0.5, gzip;q=0.8", "GZIP", "x-gzip", "gzip;q=0.001",
           "*;q=0", "gzip;q=nothing", "deflate", " , gzip,", "gzip ;q=1"]

CONNECTIONS = ["close", "keep-alive", "Close", "KEEP-ALIVE", "keep-alive, close", "close, keep-alive", "te",
               "", ","]


class Asked(NamedTuple):
    """One request. ``stated``: what it is called among those that must come from a recording."""

    octets: bytes
    stated: str = ""

    @property
    def method(self) -> str:
        return self.octets.lstrip(b"\r\n").partition(b" ")[0].decode("latin-1")

    @property
    def is_last(self) -> bool:
        """Whether the connection ends although no answer says so: the body was asked for, and not read."""
        return b"\r\nExpect: 100-continue\r\n" in self.octets


class Known(NamedTuple):
    """What a server says of the file behind a target: '' where there is none."""

    etag: str
    modified: str


Facts = dict[tuple[str, str], Known]  # by target and Accept-Encoding, '' for none


def made(method: str, target: str, *fields: str, version: str = "HTTP/1.1", host: str | None = "Host: test",
         stated: str = "", body: str = "") -> Asked:
    lines = [f"{method} {target} {version}", *([host] if host else []), *fields]
    return Asked("\r\n".join([*lines, "", body]).encode("latin-1"), stated)


# -- Those of which more is known --------------------------------------------------------------


def stated(facts: Facts) -> Iterator[Asked]:
    """Of every class."""
    yield from stated_of_files()
    yield from stated_conditions(facts["/plain.txt", ""].etag)
    for name, target in {
        "404": "/missing", "404 in a folder": "/dir/missing", "404 below a file": "/plain.txt/",
        "301": "/dir", "301 with a query": "/site?query", "index": "/site/", "second index": "/old/",
        "200 in a folder": "/deep/a/b/c/d/file.txt",
    }.items():
        yield made("GET", target, stated=name)
        yield made("HEAD", target, stated=f"HEAD {name}")


def stated_of_files() -> Iterator[Asked]:
    for target in SIZED:
        yield made("GET", target, stated=f"GET {target}")
        yield made("HEAD", target, stated=f"HEAD {target}")
    for version in ("HTTP/1.0", "HTTP/1.1"):
        for connection in ("keep-alive", "close", ""):
            fields = [f"Connection: {connection}"] if connection else []
            yield made("GET", "/plain.txt", *fields, version=version, stated=f"{version} {connection}")
    for target in ("/plain.txt?query", "/sp%20ace.txt", "/%70lain.txt", "/dir/../plain.txt"):
        yield made("GET", target, stated=target)
    browser = ["User-Agent: Mozilla/5.0", "Accept: */*", "Accept-Language: en", "Cookie: a=b", "DNT: 1",
               "Accept-Encoding: gzip, deflate, br, zstd", "Cache-Control: no-cache", "Referer: http://test/"]
    yield made("GET", "/plain.txt", *browser, stated="of a browser")


def stated_conditions(etag: str) -> Iterator[Asked]:
    """Of /plain.txt, whose entity tag that is."""
    for method in ("GET", "HEAD"):
        for name, field in {
            "304": f"If-None-Match: {etag}", "304 by date": f"If-Modified-Since: {DATE}",
            "304 for any": "If-None-Match: *", "200 for another": 'If-None-Match: "other"',
            "200 by date": f"If-Modified-Since: {EARLIER}", "412": 'If-Match: "other"',
            "412 by date": f"If-Unmodified-Since: {EARLIER}", "200 for this": f"If-Match: {etag}",
        }.items():
            yield made(method, "/plain.txt", field, stated=f"{method} {name}")
    for target in ("/plain.txt", "/65537.bin"):
        for part in ("0-9", "5-", "-5", "0-0"):
            yield made("GET", target, f"Range: bytes={part}", stated=f"206 {part} of {target}")
    yield made("GET", "/plain.txt", "Range: bytes=100000-", stated="416")
    yield made("GET", "/plain.txt", "Range: bytes=0-9", f"If-Range: {etag}", stated="206 if the same")
    yield made("GET", "/plain.txt", "Range: bytes=0-9", 'If-Range: "other"', stated="200 if another")


def stated_siblings(facts: Facts) -> Iterator[Asked]:
    """Of a class that looks for files that are compressed already."""
    for target in ("/coded.txt", "/only.css", "/plain.txt", "/zipped/", "/stale.txt"):
        for coding in ("gzip", "br", "gzip, deflate, br, zstd"):
            for method in ("GET", "HEAD"):
                fields = (f"Accept-Encoding: {coding}",)
                yield made(method, target, *fields, stated=f"{method} {target} in {coding}")
    etag = facts["/coded.txt", "gzip"].etag
    yield made("GET", "/coded.txt", "Accept-Encoding: gzip", f"If-None-Match: {etag}", stated="304 in gzip")
    yield made("GET", "/coded.txt", "Accept-Encoding: gzip", "Range: bytes=0-9", stated="206 in gzip")


# -- By chance ---------------------------------------------------------------------------------


def conditions(chance: random.Random, known: Known) -> list[str]:
    """Up to three fields of those that decide, of tags and dates that are right or nearly."""
    tag, date = known.etag or '"none"', known.modified or DATE
    tags = [tag, tag, f"W/{tag}", "*", '"other"', f'"other", {tag}', f'{tag}, "other"', f'W/"other", {tag} ,',
            tag[1:-1], tag.upper(), "", '"', f"{tag}x", f" {tag}\t", f"{tag[:-1]}-gzip\""]
    dates = [date, date, EARLIER, LATER, "nonsense", "0", "", f"{date} ", date.replace("GMT", "UTC"),
             "Sunday, 09-Sep-01 01:46:40 GMT", "Sun Sep  9 01:46:40 2001", "Fri, 01 Jan 2100 00:00:00 GMT"]
    parts = ["0-0", "0-9", "5-", "-1", "-0", "0-", "1-0", "00-09", "0-9999999999", "100000000-", "5-5,7-7",
             "0-4,5-9", "0-9,0-9", "a-b", "", "-", "0 - 9", "0-65535", "65536-65536", "1048576-2097151",
             "-4000000"]
    fields = {
        "If-None-Match": tags, "If-Match": tags, "If-Modified-Since": dates, "If-Unmodified-Since": dates,
        "If-Range": [*tags, *dates],
        "Range": [f"bytes={part}" for part in parts] + ["bytes 0-9", "lines=0-9"],
    }
    names = chance.choices(list(fields), [4, 1, 3, 1, 2, 4], k=chance.choice([1, 1, 1, 2, 2, 3]))
    return [f"{spelt(chance, name)}: {chance.choice(fields[name])}" for name in names]


def spelt(chance: random.Random, name: str) -> str:
    return chance.choice([name, name, name, name.lower(), name.upper()])


def rest_of_head(chance: random.Random) -> list[str]:
    """Fields that decide nothing, or how the connection goes on, or that it is not for a recording."""
    choices: list[tuple[int, Callable[[], list[str]]]] = [
        (40, list),
        (12, lambda: [f"User-Agent: agent/{chance.randint(0, 9)}", "Accept: */*"]),
        (4, lambda: [f"X-{number}: {'v' * chance.randint(0, 90)}" for number in range(chance.randint(1, 9))]),
        (10, lambda: [f"{spelt(chance, 'Connection')}: {chance.choice(CONNECTIONS)}"]),
        (2, lambda: ["Connection: keep-alive", "Connection: close"]),
        (2, lambda: ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAA"]), (2, lambda: ["Upgrade: websocket", "Connection: Upgrade"]),
        (1, lambda: ["Expect: 100-continue"]),
        (1, lambda: ["Expect: the unexpected"]),
        (2, lambda: ["Content-Length: 0"]),
        (1, lambda: ["Transfer-Encoding: chunked"]),
        (2, lambda: ["Cache-Control: no-cache", "Pragma: no-cache"]),
        (1, lambda: ["Cache-Control: only-if-cached"]),
        (1, lambda: ["Authorization: Basic Og=="]),
        (1, lambda: ["Keep-Alive: timeout=5, max=2", "Proxy-Connection: close"]),
    ]
    return chance.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()


def by_chance(chance: random.Random, facts: Facts) -> Asked:
    method = chance.choices(["GET", "HEAD", "POST", "OPTIONS", "get", "GETS"], [70, 25, 2, 1, 1, 1])[0]
    version = chance.choices(["1.1", "1.0", "1.2", "2.0", "0.9"], [80, 17, 1, 1, 1])[0]
    host = chance.choices(["Host: test", "host:other", "Host: ", "Host: test:80", None], [85, 6, 3, 3, 3])[0]
    coding = chance.choice(["", *CODINGS]) if chance.random() < 0.5 else ""
    fields = rest_of_head(chance)
    body = ""
    if "Transfer-Encoding: chunked" in fields:
        body = "0\r\n\r\n"
    elif "Expect: 100-continue" in fields:
        fields, body = [*fields, "Content-Length: 4"], "body"
    if chance.random() < 0.6:
        target = chance.choice(CONDITIONED)
        known = facts.get((target, coding)) or facts[target, ""]
        if chance.random() < 0.7:
            fields += conditions(chance, known)
    else:
        target = chance.choice(TARGETS)
        if chance.random() < 0.15:
            target = encoded(target)
    if coding or chance.random() < 0.05:
        fields.append(f"{spelt(chance, 'Accept-Encoding')}: {coding}")
    chance.shuffle(fields)
    return made(method, target, *fields, version=f"HTTP/{version}", host=host, body=body)


ODD = [
    b"GET /plain.txt\r\n", b"GET /missing\r\n", b"GET /plain.txt \r\nHost: test\r\n\r\n",
    b"\r\n\r\nGET /plain.txt HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET  /plain.txt HTTP/1.1\r\nHost: test\r\n\r\n", b"GET /plain.txt HTTP/1.1 \r\nHost: test\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\nHost: test\n\n", b"GET\t/plain.txt HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET /plain.txt http/1.1\r\nHost: test\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nHost: test\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\nAccept-Encoding: br\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nIf-None-Match: \"a\"\r\nIf-None-Match: *\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nRange : bytes=0-1\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\n Range: bytes=0-1\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nX: a\r\n folded\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n",
    b"GET /pl\0ain.txt HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nNo colon\r\n\r\n", b"GET /plain.txt HTTP/1.1\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody",
    b"HEAD /plain.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    b"GET /one HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"GET /" + b"p" * 70000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\n" + b"X: y\r\n" * 98 + b"\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\n" + b"X: y\r\n" * 100 + b"\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nX: " + b"y" * 60000 + b"\r\n\r\n",
    b"GET /plain.txt HTTP/1.1\r\nHost: test\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
]


# -- All of them -------------------------------------------------------------------------------


def requests(seed: str, facts: Facts, more: int, siblings: bool = False) -> list[Asked]:
    """All for one class, no two alike, ``more`` of them by chance."""
    chance = random.Random(seed)
    found = [*stated(facts), *(stated_siblings(facts) if siblings else ())]
    found += [made(method, target) for target in TARGETS for method in ("GET", "HEAD")]
    found += map(Asked, ODD)
    found += [by_chance(chance, facts) for _ in range(more)]
    return list({asked.octets: asked for asked in reversed(found)}.values())[::-1]
