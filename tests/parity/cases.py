"""The cases of the parity table: a request, the handler it is sent to, and where fastserve means to differ.

A case that differs names the row of differences.py and what is expected instead. That is another request,
and fastserve answers as http.server answers to that one; or a function from what http.server did to what
fastserve should do; or both. test_table.py runs the cases, apps.py has the handlers.
"""

import sys
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
    (reply,) = seen.replies
    said = reply._replace(headers=[*reply.headers, ("Connection", "keep-alive")])
    return seen._replace(replies=(said,))


def closes(seen: Seen) -> Seen:
    return seen._replace(stays=False)


def escaped(message: str) -> str:
    """As it stands in the log."""
    text = message.replace("\\", "\\\\")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


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
    log = escaped(f"code {status}, message {message}"), escaped(f'"{line}" {status} -')
    return lambda seen: Seen((reply,), False, log, seen.calls)


# -- Requests ----------------------------------------------------------------------------------


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head(target: str, *fields: str) -> bytes:
    return get(target, *fields, method="HEAD")


def old(target: str, *fields: str, method: str = "GET") -> bytes:
    return get(target, *fields, method=method, version="1.0")


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
    Case("a NUL", "files11", get("/a%00b"), "GET", "nul-in-path", Instead(get("/nothing"))),
    Case("an absolute-form target", "files11", get("http://any.host:80/hello.txt?x"), "GET", "absolute-form",
         Instead(get("/hello.txt?x"))),
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
    Case("a listing with a query", "files11", get("/list/?sort=name"), "GET", "listing-title",
         Instead(get("/list/"))),
    Case("a directory with an encoded slash", "files11", get("/list%2F"), "GET", "encoded-slash",
         Instead(get("/list/"))),
    Case("an empty query", "files11", get("/list?")),
    Case("two slashes before a directory", "files11", get("//list")),
    Case("another host in a redirect", "files11", get("//evil.test/..%2flist")),
    Case("another host behind a backslash", "files11", get("/\\evil.test/..%2flist"), "GET", "location",
         Instead(get("/%5Cevil.test/..%2flist"))),
    Case("a redirect of an absolute-form target", "files11", get("http://any.host/list?a"), "GET", "location",
         Instead(get("/list?a"))),
    Case("a redirect without a slash in front", "files11", get("list"), "GET", "location",
         Instead(get("/list"))),
    Case("a query alone", "files11", get("?q"), "GET", "location", Instead(get("/"))),
    Case("an absolute-form target without a path", "files11", get("http://any.host?q"), "GET",
         "absolute-form", Instead(get("/"))),
    Case("an absolute-form target with half an address", "files11", get("http://[/list"), "GET",
         "absolute-form", Instead(get("/list"))),
    Case("an absolute-form listing", "files11", get("http://any.host/list/"), "GET", "absolute-form",
         Instead(get("/list/"))),
]

VALIDATORS = [
    Case("not modified", "files11", get("/hello.txt", SAME_DAY)),
    Case("not modified, HTTP/1.0", "files", old("/hello.txt", SAME_DAY)),
    Case("not modified, HEAD", "files11", head("/hello.txt", SAME_DAY), "HEAD"),
    Case("modified since", "files11", get("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT")),
    Case("not modified since a later time", "files11",
         get("/hello.txt", "If-Modified-Since: Mon, 10 Sep 2001 01:46:40 GMT")),
    Case("a date in the old form", "files11",
         get("/hello.txt", "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT")),
    Case("a date in asctime's form", "files11",
         get("/hello.txt", "If-Modified-Since: Sun Sep  9 01:46:40 2001")),
    Case("a date without a zone", "files11",
         get("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40")),
    Case("a date that is none", "files11", get("/hello.txt", "If-Modified-Since: yesterday")),
    Case("an empty date", "files11", get("/hello.txt", "If-Modified-Since:")),
    Case("a date out of range", "files11",
         get("/hello.txt", "If-Modified-Since: Sun, 99 Sep 2001 99:46:40 GMT")),
    Case("If-None-Match beside a date", "files11", get("/hello.txt", SAME_DAY, 'If-None-Match: "x"')),
    Case("a date for an index page", "files11", get("/index/", SAME_DAY)),
    Case("a date for a listing", "files11", get("/list/", SAME_DAY)),
    Case("a date in another zone", "files11",
         get("/hello.txt", "If-Modified-Since: Sat, 08 Sep 2001 20:46:40 -0500"), "GET", "date-zones",
         Instead(get("/hello.txt", SAME_DAY))),
]

CONNECTIONS = [
    Case("two requests", "plain11", get("/1") + get("/2"), "GET GET"),
    Case("forty pipelined requests", "plain11", b"".join(get(f"/{n}") for n in range(40)), "GET " * 40),
    Case("HEAD and GET pipelined", "plain11", head("/1") + get("/2"), "HEAD GET"),
    Case("files pipelined", "files11", get("/hello.txt") + get("/medium.bin") + get("/empty.txt"),
         "GET GET GET"),
    Case("a large file and another pipelined", "files11", get("/large.bin") + get("/hello.txt"), "GET GET"),
    Case("304 and a file pipelined", "files11", get("/hello.txt", SAME_DAY) + get("/hello.txt"), "GET GET"),
    Case("a redirect and a file pipelined", "files11", get("/list") + get("/hello.txt"), "GET GET"),
    Case("an error ends a pipeline", "plain11", get("/1") + get("/404", method="ERROR") + get("/2"),
         "GET ERROR GET"),
    Case("an unknown method ends a pipeline", "plain11", get("/1", method="NOPE") + get("/2"), "NOPE GET"),
    Case("protocol_version HTTP/1.0 ends a pipeline", "plain", get("/1") + get("/2"), "GET GET"),
    Case("state on the handler", "plain11", get("/", method="STATE") * 3, "GET GET GET"),
    Case("close", "plain11", get("/", CLOSE), "GET", "says-close", Instead(change=says_close)),
    Case("close in any case", "plain11", get("/", "CONNECTION: CLOSE"), "GET", "says-close",
         Instead(change=says_close)),
    Case("close among others", "plain11", get("/", "Connection: TE, close"), "GET", "connection-tokens",
         Instead(change=says_close)),
    Case("keep-alive", "plain11", get("/", "Connection: keep-alive")),
    Case("other connection options", "plain11", get("/", "Connection: TE")),
    Case("HTTP/1.0", "plain11", old("/"), "GET", "says-close", Instead(change=says_close)),
    Case("HTTP/1.0 with keep-alive", "plain11", old("/", "Connection: Keep-Alive"), "GET", "keep-alive-1.0",
         Instead(change=says_keep_alive)),
    Case("HTTP/1.0 with keep-alive among others", "plain11", old("/", "Connection: keep-alive, TE"), "GET",
         "connection-tokens", Instead(change=lambda seen: says_keep_alive(seen)._replace(stays=True))),
    Case("HTTP/1.0 with keep-alive, protocol_version HTTP/1.0", "plain", old("/", "Connection: keep-alive")),
    Case("HTTP/1.1 with keep-alive, protocol_version HTTP/1.0", "plain", get("/", "Connection: keep-alive")),
    Case("a handler sets close_connection", "plain11", get("/", method="CLOSE"), "GET", "says-close",
         Instead(change=says_close)),
    Case("a handler says close", "plain11", get("/", method="SAYCLOSE")),
    Case("a handler says keep-alive", "plain11", get("/", method="SAYKEEP")),
    Case("a handler says keep-alive to HTTP/1.0", "plain11", old("/", method="SAYKEEP")),
    Case("a handler says keep-alive with HTTP/1.0", "plain", get("/", method="SAYKEEP")),
    Case("a handler says close with HTTP/1.0", "plain", get("/", method="SAYCLOSE")),
    Case("an empty line in front", "plain11", b"\r\n" + get("/"), "GET", "empty-lines", Instead(get("/"))),
    Case("an empty line between", "plain11", get("/1") + b"\r\n" + get("/2"), "GET GET", "empty-lines",
         Instead(get("/1") + get("/2"))),
]

BODIES = [
    Case("POST", "plain11", post("/", b"a body"), "POST"),
    Case("POST with an empty body", "plain11", post("/", b""), "POST"),
    Case("POST of 200 KB", "plain11", post("/", b"0123456789" * 20000), "POST"),
    Case("POST and GET pipelined", "plain11", post("/", b"a body") + get("/2"), "POST GET"),
    Case("POST on HTTP/1.0", "plain", post("/", b"a body"), "POST"),
    Case("Expect", "plain11", post("/", b"a body", "Expect: 100-continue"), "POST"),
    Case("Expect in any case", "plain11", post("/", b"a body", "expect: 100-Continue"), "POST"),
    Case("Expect from HTTP/1.0", "plain11",
         b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "POST", "says-close",
         Instead(change=says_close)),
    Case("Expect on protocol_version HTTP/1.0", "plain", post("/", b"a body", "Expect: 100-continue"),
         "POST"),
    Case("another Expect", "plain11", post("/", b"a body", "Expect: something"), "POST"),
    Case("Expect refused", "picky", post("/", b"", "Expect: 100-continue"), "POST"),
    Case("Expect without a body", "plain11", get("/", "Expect: 100-continue")),
    Case("an unread body", "plain11", post("/", b"unread", method="IGNORE"), "GET", "unread-body",
         Instead(post("/", b"", method="IGNORE"))),
    Case("an unread body and GET", "plain11", post("/", b"unread ", method="IGNORE") + get("/2"), "GET GET",
         "unread-body", Instead(post("/", b"", method="IGNORE") + get("/2"))),
    Case("an unread body that looks like a request", "plain11",
         post("/", get("/1"), method="IGNORE") + get("/2"), "GET GET", "unread-body",
         Instead(post("/", b"", method="IGNORE") + get("/2"))),
    Case("an unread body to a file", "files11", post("/hello.txt", b"unread", method="GET"), "GET",
         "unread-body", Instead(get("/hello.txt"))),
    Case("an unread body that was asked for", "plain11",
         post("/", b"x", "Expect: 100-continue", method="IGNORE"), "GET", "unread-body",
         Instead(post("/", b"", "Expect: 100-continue", method="IGNORE"), closes)),
    Case("an unread chunked body", "plain11",
         get("/", "Transfer-Encoding: chunked", method="IGNORE", body=b"1\r\nx\r\n0\r\n\r\n"), "GET",
         "unread-body", Instead(get("/", method="IGNORE"), says_close)),
    Case("lengths that are the same", "plain11", post("/", b"abc", "Content-Length: 3"), "POST"),
    Case("lengths that differ", "plain11", post("/", b"abc", "Content-Length: 5"), "POST", "framing",
         Instead(hangs=True, change=refused(400, "Bad Content-Length", line="POST / HTTP/1.1"))),
    Case("a length that is none", "plain11", get("/", "Content-Length: +3"), "GET", "framing",
         Instead(change=refused(400, "Bad Content-Length"))),
    Case("length and transfer-encoding", "plain11",
         get("/", "Content-Length: 3", "Transfer-Encoding: chunked"), "GET", "framing",
         Instead(change=refused(400, "Content-Length with Transfer-Encoding"))),
    Case("an unknown transfer-encoding", "plain11", get("/", "Transfer-Encoding: gzip"), "GET", "framing",
         Instead(change=refused(501, "Unsupported Transfer-Encoding"))),
]

BAD_NAME = refused(400, "Bad header name: a line must be name:value")
BAD_LINE_END = refused(400, "Bad line end: bare CR, LF or NUL in the head")

HEADS = [
    Case("what a handler sees", "plain11",
         get("/a?b#c", "X-Name: value", "x-name: other", "X-Empty:", method="FIELDS")),
    Case("latin-1 in a value", "plain11", get("/", "X-Name: \xc4rger", method="FIELDS")),
    Case("latin-1 in a path", "plain11", get("/\xe4\xff", method="FIELDS")),
    Case("names in any case", "plain11", get("/", "CONTENT-type: text/x-y; a=b", method="FIELDS")),
    Case("blanks before a value", "plain11", get("/", "X-Name: \t  value", method="FIELDS")),
    Case("blanks inside a value", "plain11", get("/", "X-Name: a \t b", method="FIELDS")),
    Case("blanks behind a value", "plain11", get("/", "X-Name: value \t", method="FIELDS"), "GET",
         "value-blanks", Instead(get("/", "X-Name: value", method="FIELDS"))),
    Case("no Host on HTTP/1.0", "plain", b"GET / HTTP/1.0\r\n\r\n"),
    Case("99 header lines", "plain11", get("/", *["X-Name: x"] * 98)),
    Case("100 header lines", "plain11", get("/", *["X-Name: x"] * 99)),
    Case("a header line of 65536 octets", "plain11", get("/", "X: " + "x" * 65531)),
    Case("a header line of 65537 octets", "plain11", get("/", "X: " + "x" * 65532)),
    Case("a request line of 65536 octets", "plain11", get("/" + "x" * 65520)),
    Case("a request line of 65537 octets", "plain11", get("/" + "x" * 65521)),
    Case("HTTP/1.9", "plain11", get("/", version="1.9", method="FIELDS")),
    Case("HTTP/2.0", "version 1.1 by default", get("/", version="2.0")),
    Case("HTTP/2.0, default_request_version HTTP/0.9", "plain11", get("/", version="2.0"), "GET", "http09",
         Instead(change=refused(505, "Invalid HTTP version (2.0)", line="GET / HTTP/2.0"))),
    Case("a bad version", "version 1.1 by default", get("/", version="x")),
    # Python 3.10 still takes it for a number: 505.
    Case("a version of many digits", "version 1.1 by default", get("/", version="99999999999.1"), "GET",
         "malformed" if sys.version_info < (3, 11) else "",
         Instead(change=refused(400, "Bad request version ('HTTP/99999999999.1')",
                                line="GET / HTTP/99999999999.1"))),
    Case("a bad version, default_request_version HTTP/0.9", "plain11", get("/", version="x"), "GET", "http09",
         Instead(change=refused(400, "Bad request version ('HTTP/x')", line="GET / HTTP/x"))),
    Case("HTTP/0.9", "plain11", b"GET /x HTTP/0.9\r\n\r\n", "GET", "http09",
         Instead(change=refused(505, "Invalid HTTP version (0.9)", line="GET /x HTTP/0.9"))),
    Case("no version", "plain11", b"GET /x\r\n\r\n", "GET", "http09",
         Instead(change=refused(400, "Bad request syntax ('GET /x')", line="GET /x"))),
    Case("no version and not GET", "plain11", b"POST /x\r\n\r\n", "GET", "http09",
         Instead(change=refused(400, "Bad request syntax ('POST /x')", line="POST /x"))),
    Case("four words", "version 1.1 by default", b"GET / x HTTP/1.1\r\nHost: test\r\n\r\n"),
    Case("a single word", "version 1.1 by default", b"GET\r\n\r\n"),
    Case("two spaces", "plain11", b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n", "GET", "malformed",
         Instead(change=refused(400, "Bad request syntax ('GET  / HTTP/1.1')", line="GET  / HTTP/1.1"))),
    Case("a tab for a space", "plain11", b"GET\t/ HTTP/1.1\r\nHost: test\r\n\r\n", "GET", "malformed",
         Instead(change=refused(400, "Bad request syntax ('GET\\t/ HTTP/1.1')", line="GET\t/ HTTP/1.1"))),
    Case("LF for CRLF", "plain11", b"GET / HTTP/1.1\nHost: test\n\n", "GET", "malformed",
         Instead(change=BAD_LINE_END)),
    Case("a line without a colon", "plain11", get("/", "nonsense"), "GET", "malformed",
         Instead(change=BAD_NAME)),
    Case("a space before a colon", "plain11", get("/", "Name : x"), "GET", "malformed",
         Instead(change=BAD_NAME)),
    Case("an empty name", "plain11", get("/", ": x"), "GET", "malformed", Instead(change=BAD_NAME)),
    Case("a CR in a value", "plain11", get("/", "Name: x\ry: z"), "GET", "malformed",
         Instead(change=BAD_LINE_END)),
    Case("a NUL in a value", "plain11", get("/", "Name: x\0y"), "GET", "malformed",
         Instead(change=BAD_LINE_END)),
    Case("a control character in a value", "plain11", get("/", "Name: x\x01y"), "GET", "malformed",
         Instead(change=refused(400, "Bad header value: control character in it"))),
    Case("a folded line", "plain11", get("/", "Name: x", " y"), "GET", "folding",
         Instead(change=refused(400, "Folded header line: it starts with a space"))),
    Case("no Host", "plain11", b"GET / HTTP/1.1\r\n\r\n", "GET", "host",
         Instead(change=refused(400, "Missing Host header"))),
    Case("two Hosts", "plain11", get("/", "Host: other"), "GET", "host",
         Instead(change=refused(400, "Bad Host header"))),
    Case("a Host that is none", "plain11", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET", "host",
         Instead(change=refused(400, "Bad Host header"))),
    Case("a head of 300 KB", "plain11", get("/", *["X: " + "x" * 60000] * 5), "GET", "head-size",
         Instead(change=refused(431, "Request head too long"))),
]

ERRORS = (400, 404, 500, 999, 204, 304, 205)

RESPONSES = [
    Case("GET", "plain", get("/path?query")),
    Case("HEAD", "plain11", head("/path"), "HEAD"),
    Case("a method nobody has", "plain11", get("/", method="NOPE")),
    Case("any method", "any", get("/", method="WHATEVER") + get("/", method="GET"), "GET GET"),
    Case("many headers", "plain11", get("/", method="MANY")),
    Case("no length, HTTP/1.0", "plain", get("/", method="ENDLESS")),
    Case("no length, close", "plain11", get("/", CLOSE, method="ENDLESS"), "GET", "says-close",
         Instead(change=says_close)),
    Case("no length, keep-alive", "plain11", get("/", method="ENDLESS"), "GET", "no-length",
         Instead(get("/", CLOSE, method="ENDLESS"), says_close, hangs=True)),
    Case("no length, a head flushed early", "plain11", get("/", method="EARLY"), "GET", "no-length",
         Instead(get("/", CLOSE, method="EARLY"), says_close, hangs=True)),
    Case("a head that ends by hand", "plain11", get("/", method="BYHAND") + get("/"), "GET GET"),
    Case("chunked by hand", "plain11", get("/", method="CHUNKED") + get("/"), "GET GET"),
    Case("fewer bytes than declared", "plain11", get("/", method="SHORT"), "GET", "wrong-length",
         Instead(get("/", CLOSE, method="SHORT"), hangs=True)),
    Case("more bytes than declared", "plain11", get("/", method="LONG"), "GET", "wrong-length",
         Instead(change=closes)),
    Case("a response without Server and Date", "plain11", get("/", method="ONLY")),
    Case("status 200", "plain11", get("/200", method="STATUS")),
    Case("status 299", "plain11", get("/299", method="STATUS")),
    Case("status 999", "plain11", get("/999", method="STATUS")),
    Case("204", "plain11", get("/204", method="BARE") + get("/"), "GET GET"),
    Case("304", "plain11", get("/304", method="BARE") + get("/"), "GET GET"),
    Case("an interim response", "plain11", get("/", method="HINTS")),
    Case("edited headers", "plain11", get("/", method="REORDER")),
    Case("a head and a body in pieces", "plain11", get("/", method="PIECES")),
    *[Case(f"error {code}", "plain11", get(f"/{code}", method="ERROR")) for code in ERRORS],
    Case("error 200", "plain", get("/200", method="ERROR")),
    Case("an error in other words", "plain11", get("/", method="WORDS")),
    Case("an error page of the class's own", "own page", get("/", method="WORDS")),
    Case("responses of the class's own", "own responses", get("/404", method="ERROR")),
    Case("responses of the class's own, without the code", "own responses", get("/500", method="ERROR")),
    Case("names of the class's own", "named", get("/")),
    Case("version_string() of the class's own", "branded", get("/")),
    Case("end_headers() of the class's own", "cors", get("/") + get("/", method="NOPE"), "GET GET"),
    Case("what is logged", "plain11", get('/a"b\\c', method="LOG")),
    Case("an exception", "plain11", get("/", method="RAISE")),
    Case("an exception after the answer", "plain11", get("/", method="LATE")),
    Case("buffered writes", "buffered", get("/1") + get("/", method="PIECES"), "GET GET"),
    Case("unbuffered reads", "unbuffered", post("/", b"a body") + get("/2"), "POST GET"),
    Case("a MessageClass", "message", get("/", "X-Name: value", method="FIELDS")),
]

CALLS = [
    Case("calls for GET", "recorded", get("/", CLOSE), "GET", "says-close", Instead(change=says_close)),
    Case("calls for a method nobody has", "recorded", get("/", method="NOPE")),
    Case("calls for an error", "recorded", get("/404", method="ERROR")),
    Case("calls for Expect", "recorded", post("/", b"x", "Expect: 100-continue", CLOSE), "POST", "says-close",
         Instead(change=says_close)),
    Case("calls for a refused request", "recorded", get("/", *["X-Name: x"] * 99)),
    Case("calls for a line too long", "recorded", get("/" + "x" * 65521)),
    Case("calls for an exception", "recorded", get("/", method="RAISE")),
    Case("calls for a log", "recorded", get("/", CLOSE, method="LOG"), "GET", "says-close",
         Instead(change=says_close)),
    Case("calls for a file", "recorded files", get("/hello.txt")),
    Case("calls for a file, HEAD", "recorded files", head("/hello.txt"), "HEAD"),
    Case("calls for 304", "recorded files", get("/hello.txt", SAME_DAY)),
    Case("calls for a redirect", "recorded files", get("/list")),
    Case("calls for an index page", "recorded files", get("/index/")),
    Case("calls for a listing", "recorded files", get("/list/")),
    Case("calls for a missing file", "recorded files", get("/nothing")),
    Case("calls around one request", "life", get("/", CLOSE), "GET", "says-close",
         Instead(change=says_close)),
    Case("calls around two requests", "life", get("/1") + get("/", method="SAYCLOSE"), "GET GET"),
    Case("calls around one request, driven", "driven life", get("/", method="SAYCLOSE")),
    Case("calls around two requests, driven", "driven life", get("/1") + get("/", method="SAYCLOSE"),
         "GET GET"),
]

CASES = [*FILES, *DIRECTORIES, *VALIDATORS, *CONNECTIONS, *BODIES, *HEADS, *RESPONSES, *CALLS]
