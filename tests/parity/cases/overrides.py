"""Handlers with something of their own: what http.server lets a subclass set or override counts here too."""

import sys

from .table import SAME_DAY, Case, Change, Seen, get, head, post, same, with_header

EXTRA_HEADERS = (("X-Extra", "one"), ("Cache-Control", "no-cache"))

OWN = [
    Case("names of the class's own", "named", get("/")),
    Case("names of the class's own in an error", "named", get("/404", method="ERROR")),
    Case("a name that is a property", "named late", get("/7") + get("/8"), "GET GET"),
    Case("version_string() of the class's own", "branded", get("/")),
    Case("end_headers() of the class's own", "cors", get("/") + get("/", method="NOPE"), "GET GET"),
    Case("end_headers() of the class's own and an interim response", "cors", get("/", method="HINTS")),
    Case("end_headers() of the class's own and Expect", "cors",
         post("/", b"x", "Expect: 100-continue"), "POST"),
    Case("send_error() of the class's own", "own errors", get("/404", method="ERROR") + get("/"), "GET GET"),
    Case("send_error() of the class's own for a method nobody has", "own errors",
         get("/", method="NOPE") + get("/"), "GET GET"),
    Case("send_error() of the class's own for too many headers", "own errors", get("/", *["X: x"] * 99))
    .says_close(),
    Case("parse_request() of the class's own", "prefixed", get("/prefix/path")),
    Case("parse_request() of the class's own that refuses", "prefixed", get("/prefix", *["X: x"] * 99)),
    Case("handle() of the class's own", "once", get("/1") + get("/2"), "GET GET"),
    Case("handle() of the class's own and a long line", "once", get("/" + "x" * 65521)),
    Case("handle() of the class's own and no request", "once", b"", "GET", ends=True),
]

FILES = [
    Case("guess_type() of the class's own", "files of one type", get("/hello.txt")),
    Case("list_directory() of the class's own", "files with their own listings", get("/list/")),
    Case("list_directory() of the class's own that refuses", "files without listings", get("/list/")),
    Case("list_directory() of the class's own, HEAD", "files with their own listings",
         head("/list/"), "HEAD"),
    Case("translate_path() of the class's own", "files below list", get("/b.txt")),
    Case("translate_path() of the class's own and a directory", "files below list", get("/deep")),
    Case("copyfile() of the class's own", "files in upper case",
         get("/hello.txt") + get("/hello.txt"), "GET GET"),
    Case("copyfile() of the class's own and a listing", "files in upper case", get("/index/")),
    Case("send_head() of the class's own", "files and one made up",
         get("/made-up") + get("/hello.txt"), "GET GET"),
    Case("send_head() of the class's own, HEAD", "files and one made up", head("/made-up"), "HEAD"),
    Case("do_GET() of the class's own", "files and a page", get("/page") + get("/hello.txt"), "GET GET"),
    Case("end_headers() of the class's own and a file", "files with cors", get("/hello.txt")),
    Case("end_headers() of the class's own and a listing", "files with cors", get("/list/")),
    Case("end_headers() of the class's own and a redirect", "files with cors", get("/list")),
    Case("end_headers() of the class's own and a missing file", "files with cors", get("/nothing")),
]


def since(version: tuple[int, int], case: Case, change: Change = same, like: bytes | None = None) -> Case:
    """A case of something that http.server has from that Python on."""
    return case if sys.version_info >= version else case.differs("extra-headers", change, like=like)


def has_extra_headers(seen: Seen) -> Seen:
    (reply,) = seen.replies
    for name, value in EXTRA_HEADERS:
        reply = with_header(reply, name, value)
    return seen._replace(replies=(reply,))


def has_default_type(seen: Seen) -> Seen:
    (reply,) = seen.replies
    headers = [(name, "x/default" if name == "Content-type" else value) for name, value in reply.headers]
    return seen._replace(replies=(reply._replace(headers=headers),))


def extra(name: str, request: bytes, method: str = "GET") -> Case:
    return since((3, 15), Case(name, "files with extra headers", request, method), has_extra_headers)


EXTRA = [
    extra("extra headers", get("/hello.txt")),
    extra("extra headers, HEAD", head("/hello.txt"), "HEAD"),
    extra("extra headers of a listing", get("/list/")),
    extra("extra headers of an index page", get("/index/")),
    Case("no extra headers of a redirect", "files with extra headers", get("/list")),
    Case("no extra headers of an error", "files with extra headers", get("/nothing")),
    Case("no extra headers of 304", "files with extra headers", get("/hello.txt", SAME_DAY))
    .differs("validators", has_extra_headers),
    since((3, 15), Case("a default type", "files of a default type", get("/noext")), has_default_type),
    Case("a default type beside a known one", "files of a default type", get("/hello.txt")),
    since((3, 12), Case("an index page of the class's own", "files with their own index", get("/own/")),
          like=get("/own/start.html")),
    Case("a directory without an index page of the class's own", "files with their own index", get("/list/")),
]

CASES = [*OWN, *FILES, *EXTRA]
