"""The cases of the parity table: a request, the handler it is sent to, and where fastserve means to differ.

A case that differs names the row of differences.py and what is expected instead. That is another request,
and fastserve answers as http.server answers to that one; or a function from what http.server did to what
fastserve should do; or both. test_table.py runs the cases, apps.py has the handlers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from helpers import Reply

from .observe import Seen

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

    ``row`` is the key of a difference, ``instead`` what is expected then.
    """

    name: str
    app: str
    request: bytes
    methods: str = "GET"
    row: str = ""
    instead: Instead = Instead()


# -- What may be different ---------------------------------------------------------------------


def says_close(seen: Seen) -> Seen:
    """The last answer says that it is the last."""
    last = seen.replies[-1]
    said = last._replace(headers=[*last.headers, ("Connection", "close")])
    return seen._replace(replies=(*seen.replies[:-1], said), stays=False)


def says_keep_alive(seen: Seen) -> Seen:
    replies = tuple(reply._replace(headers=[*reply.headers, ("Connection", "keep-alive")]) for reply in seen.replies)
    return seen._replace(replies=replies)


def closes(seen: Seen) -> Seen:
    return seen._replace(stays=False)


def refused(status: int, message: str, explain: str | None = None, protocol: str = "HTTP/1.1",
            line: str = "GET / HTTP/1.1", server: str = "BaseHTTP") -> Callable[[Seen], Seen]:
    """An error page, nothing else, and the end of the connection."""
    code = HTTPStatus(status)
    explain = explain or code.description
    page = f"Error response\nError response\nError code: {status}\nMessage: {message}.\n"
    page += f"Error code explanation: {status} - {explain}."
    headers = [
        ("Server", f"{server} PYTHON"), ("Date", "DATE"), ("Connection", "close"),
        ("Content-Type", "text/html;charset=utf-8"), ("Content-Length", "PAGE"),
    ]
    reply = Reply(f"{protocol} {status} {message}", headers, page.encode())
    log = (f"code {status}, message {message}".replace("\\", "\\\\"), f'"{line}" {status} -'.replace("\\", "\\\\"))
    return lambda seen: Seen((reply,), False, log, seen.calls)


# -- Requests ----------------------------------------------------------------------------------


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head(target: str, *fields: str) -> bytes:
    return get(target, *fields, method="HEAD")


def old(target: str, *fields: str) -> bytes:
    return get(target, *fields, version="1.0")


def post(target: str, body: bytes, *fields: str, method: str = "POST") -> bytes:
    return get(target, *fields, f"Content-Length: {len(body)}", method=method, body=body)


SAME_DAY = "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
CLOSE = "Connection: close"

FILES = [
    Case("a file", "files", get("/hello.txt")),
    Case("a file, HTTP/1.0", "files", old("/hello.txt")),
    Case("a file, HEAD", "files", head("/hello.txt"), "HEAD"),
    Case("a file on HTTP/1.1", "files11", get("/hello.txt")),
    Case("an empty file", "files11", get("/empty.txt")),
    Case("an HTML file", "files11", get("/page.html")),
    Case("an extension in upper case", "files11", get("/UPPER.HTML")),
    Case("a compressed file", "files11", get("/pack.tar.gz")),
    Case("a file without extension", "files11", get("/noext")),
    Case("a hidden file", "files11", get("/.hidden")),
    Case("a file of 70 KiB", "files11", get("/medium.bin")),
    Case("a file of 2 MiB", "files11", get("/large.bin")),
    Case("HEAD for a file of 2 MiB", "files11", head("/large.bin"), "HEAD"),
    Case("types of the class's own", "files with their own types", get("/hello.txt")),
    Case("a type for everything else", "files with their own types", get("/noext")),
    Case("an encoded space", "files11", get("/sp%20ace.txt")),
    Case("a name in UTF-8", "files11", get("/%C3%BCn%C3%AF.txt")),
    Case("a name with markup", "files11", get("/a%26b%3C.txt")),
    Case("a name with a percent sign", "files11", get("/per%25cent.txt")),
    Case("a name with a backslash", "files11", get("/back%5Cslash.txt")),
    Case("a query", "files11", get("/hello.txt?a=b&c")),
    Case("a query with a slash at its end", "files11", get("/hello.txt?a/")),
    Case("a fragment", "files11", get("/hello.txt#top")),
    Case("a file with a slash behind", "files11", get("/hello.txt/")),
    Case("a file that is not there", "files", get("/nothing")),
    Case("a file that is not there, on HTTP/1.1", "files11", get("/nothing")),
    Case("HEAD for a file that is not there", "files11", head("/nothing"), "HEAD"),
    Case("a file below a file", "files11", get("/hello.txt/x")),
    Case("dots that lead out", "files11", get("/../../hello.txt")),
    Case("encoded dots that lead out", "files11", get("/%2e%2e/%2e%2e%2fhello.txt")),
    Case("dots inside", "files11", get("/list/../hello.txt")),
    Case("a dot", "files11", get("/./list/./b.txt")),
    Case("two slashes in front", "files11", get("//hello.txt")),
    Case("two slashes inside", "files11", get("/list//b.txt")),
    Case("encoded slashes", "files11", get("/list%2fb.txt")),
    Case("a percent sign that encodes nothing", "files11", get("/%zz%")),
    Case("octets that are no UTF-8", "files11", get("/%ff%fe")),
    Case("an encoded question mark", "files11", get("/list/q%3F.txt")),
    Case("no slash in front", "files11", get("hello.txt")),
    Case("a star", "files11", get("*")),
    Case("a NUL", "files11", get("/a%00b"),
         "GET", "nul-in-path", Instead(get("/nothing"))),
    Case("an absolute-form target", "files11", get("http://any.host:80/hello.txt?x"),
         "GET", "absolute-form", Instead(get("/hello.txt?x"))),
    Case("POST to files", "files11", get("/hello.txt", method="POST")),
    Case("a method in lower case", "files11", get("/hello.txt", method="get")),
    Case("OPTIONS", "files11", get("*", method="OPTIONS")),
    Case("a symbolic link", "files11", get("/list/link")),
    Case("a broken link", "files11", get("/list/broken")),
]

DIRECTORIES = [
    Case("a directory without a slash", "files11", get("/list")),
    Case("a directory without a slash, HTTP/1.0", "files", old("/list")),
    Case("HEAD for a directory without a slash", "files11", head("/list"), "HEAD"),
    Case("a directory without a slash, with a query", "files11", get("/list?a=b")),
    Case("a directory that looks like a file", "files11", get("/dir.txt")),
    Case("a linked directory", "files11", get("/list/dirlink")),
    Case("an index page", "files11", get("/index/")),
    Case("HEAD for an index page", "files11", head("/index/"), "HEAD"),
    Case("an index page with a query", "files11", get("/index/?q")),
    Case("index.htm", "files11", get("/htm/")),
    Case("a listing", "files11", get("/list/")),
    Case("a listing on HTTP/1.0", "files", get("/list/")),
    Case("a listing of the root", "files11", get("/")),
    Case("HEAD for a listing", "files11", head("/list/"), "HEAD"),
    Case("a listing by an encoded name", "files11", get("/%6Cist/")),
    Case("a listing with a query", "files11", get("/list/?sort=name"),
         "GET", "listing-title", Instead(get("/list/"))),
    Case("a directory with an encoded slash", "files11", get("/list%2F"),
         "GET", "encoded-slash", Instead(get("/list/"))),
    Case("two slashes before a directory", "files11", get("//list")),
    Case("another host in a redirect", "files11", get("//evil.test/..%2flist")),
    Case("another host behind a backslash", "files11", get("/\\evil.test/..%2flist"),
         "GET", "location", Instead(get("/%5Cevil.test/..%2flist"))),
    Case("a redirect of an absolute-form target", "files11", get("http://any.host/list?a"),
         "GET", "location", Instead(get("/list?a"))),
    Case("a redirect without a slash in front", "files11", get("list"),
         "GET", "location", Instead(get("/list"))),
]

VALIDATORS = [
    Case("not modified", "files11", get("/hello.txt", SAME_DAY)),
    Case("not modified, HTTP/1.0", "files", old("/hello.txt", SAME_DAY)),
    Case("not modified, HEAD", "files11", head("/hello.txt", SAME_DAY), "HEAD"),
    Case("modified since", "files11", get("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT")),
    Case("not modified since a later time", "files11", get("/hello.txt", "If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT")),
    Case("a date in the old form", "files11", get("/hello.txt", "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT")),
    Case("a date in asctime's form", "files11", get("/hello.txt", "If-Modified-Since: Sun Sep  9 01:46:40 2001")),
    Case("a date without a zone", "files11", get("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40")),
    Case("a date that is none", "files11", get("/hello.txt", "If-Modified-Since: yesterday")),
    Case("an empty date", "files11", get("/hello.txt", "If-Modified-Since:")),
    Case("a date out of range", "files11", get("/hello.txt", "If-Modified-Since: Sun, 99 Sep 2001 99:46:40 GMT")),
    Case("If-None-Match beside a date", "files11", get("/hello.txt", SAME_DAY, 'If-None-Match: "x"')),
    Case("a date for an index page", "files11", get("/index/", SAME_DAY)),
    Case("a date for a listing", "files11", get("/list/", SAME_DAY)),
    Case("a date in another zone", "files11", get("/hello.txt", "If-Modified-Since: Sat, 08 Sep 2001 20:46:40 -0500"),
         "GET", "date-zones", Instead(get("/hello.txt", SAME_DAY))),
]
