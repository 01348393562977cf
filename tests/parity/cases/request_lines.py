"""Request lines: methods, targets and versions, and the white space between them.

"version 1.1 by default" is the handler that takes a line without a version for HTTP/1.1, so that
http.server, too, answers with a status line and headers.
"""

import sys

from .table import Case, get, raw

BY_DEFAULT = "version 1.1 by default"
BAD_LINE_END = "Bad line end: bare CR, LF or NUL in the head"


def bad_line(line: str) -> str:
    return f"Bad request syntax ({line!r})"


def malformed(name: str, line: str) -> Case:
    """A line that fastserve refuses and http.server takes, or refuses in other words."""
    return Case(name, "plain11", raw(line, "Host: test")).refused("malformed", 400, bad_line(line))


def bad_version(name: str, version: str) -> Case:
    """A version that both refuse, in the same words."""
    return Case(name, BY_DEFAULT, get("/", version=version))


METHODS = [
    Case("GET", "plain", get("/path?query")),
    Case("HEAD", "plain11", get("/path", method="HEAD"), "HEAD"),
    Case("a method nobody has", "plain11", get("/", method="NOPE")),
    Case("a method nobody has, HTTP/1.0", "plain", get("/", method="NOPE", version="1.0")),
    Case("HEAD where nobody has it", "bare", get("/", method="HEAD"), "HEAD"),
    Case("any method", "any", get("/", method="WHATEVER") + get("/", method="GET"), "GET GET"),
    Case("a method in lower case to a handler", "plain11", get("/", method="get")),
    Case("a method in mixed case to a handler", "plain11", get("/", method="Get")),
    Case("a method with a hyphen", "any", get("/", method="M-SEARCH")),
    Case("a method of one letter", "plain11", get("/", method="G")),
    Case("a method of digits", "plain11", get("/", method="123")),
    Case("a method of other token characters", "plain11", get("/", method="!#$%&'*+-.^_`|~")),
    Case("a method of 1000 letters", "plain11", get("/", method="M" * 1000)),
    Case("a method that is an attribute of every object", "plain11", get("/", method="__class__")),
    Case("OPTIONS to a handler", "plain11", get("*", method="OPTIONS")),
    Case("CONNECT to a handler", "plain11", get("any.host:443", method="CONNECT")),
    Case("the preface of HTTP/2", BY_DEFAULT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    malformed("a method with a colon", "GET: / HTTP/1.1"),
    malformed("a method in brackets", "(GET) / HTTP/1.1"),
    malformed("a method with an umlaut", "G\xc4T / HTTP/1.1"),
    malformed("a method with a control character", "G\x1bT / HTTP/1.1"),
]

TARGETS = [
    Case("a target as it came", "plain11", get("/a%2fb;c?d=e/../f#g", method="FIELDS")),
    Case("two slashes in front of a target", "plain11", get("//host/path", method="FIELDS")),
    Case("many slashes in front of a target", "plain11", get("////host//path", method="FIELDS")),
    Case("an absolute-form target to a handler", "plain11", get("http://any.host/path", method="FIELDS")),
    Case("a target without a slash", "plain11", get("path", method="FIELDS")),
    Case("a star to a handler", "plain11", get("*", method="FIELDS")),
    Case("a target of one question mark", "plain11", get("?", method="FIELDS")),
    Case("a backslash in a target", "plain11", get("/a\\b", method="FIELDS")),
    Case("quotes and brackets in a target", "plain11", get("/'\"<>{}[]|^`", method="FIELDS")),
    Case("latin-1 in a path", "plain11", get("/\xe4\xff", method="FIELDS")),
    Case("UTF-8 in a path", "plain11", get("/\xe2\x82\xac", method="FIELDS")),
    Case("a request line of 65536 octets", "plain11", get("/" + "x" * 65520)),
    Case("a request line of 65537 octets", "plain11", get("/" + "x" * 65521)),
    Case("a request line of 65537 octets after a good request", "plain11", get("/1") + get("/" + "x" * 65521),
         "GET GET"),
    malformed("ESC in a target", "GET /\x1b[31m HTTP/1.1"),
    malformed("DEL in a target", "GET /\x7f HTTP/1.1"),
    malformed("a NUL in a target", "GET /\0 HTTP/1.1"),
    malformed("VT for a space", "GET\x0b/ HTTP/1.1"),
    Case("FF in a target", "plain11", get("/a\x0cb")),
    # What str.split() takes for white space, and is none in HTTP.
    Case("NEL in a target", "plain11", get("/a\x85b", method="IGNORE"))
    .differs("malformed", like=get("/", method="IGNORE")),
    Case("a no-break space in a target", "plain11", get("/a\xa0b", method="IGNORE"))
    .differs("malformed", like=get("/", method="IGNORE")),
]

SPACES = [
    malformed("two spaces", "GET  / HTTP/1.1"),
    malformed("two spaces before the version", "GET /  HTTP/1.1"),
    malformed("a space in front", " GET / HTTP/1.1"),
    malformed("a space at the end", "GET / HTTP/1.1 "),
    malformed("a tab for a space", "GET\t/ HTTP/1.1"),
    Case("four words", BY_DEFAULT, raw("GET / x HTTP/1.1", "Host: test")),
    Case("a single word", BY_DEFAULT, b"GET\r\n\r\n"),
    Case("a space in a target", BY_DEFAULT, raw("GET /a b HTTP/1.1", "Host: test")),
    Case("LF for CRLF", "plain11", b"GET / HTTP/1.1\nHost: test\n\n")
    .refused("malformed", 400, BAD_LINE_END, line="GET / HTTP/1.1"),
    Case("CR for CRLF", "plain11", b"GET / HTTP/1.1\rHost: test\r\r")
    .refused("malformed", 400, BAD_LINE_END, line="GET / HTTP/1.1\rHost: test", hangs=True),
]

VERSIONS = [
    Case("HTTP/1.2", "plain11", get("/", version="1.2", method="FIELDS")),
    Case("HTTP/1.9", "plain11", get("/", version="1.9", method="FIELDS")),
    Case("HTTP/2.0", BY_DEFAULT, get("/", version="2.0")),
    Case("HTTP/3.0", BY_DEFAULT, get("/", version="3.0")),
    Case("HTTP/2.0, default_request_version HTTP/0.9", "plain11", get("/", version="2.0"))
    .refused("http09", 505, "Invalid HTTP version (2.0)"),
    Case("HTTP/0.9", "plain11", b"GET /x HTTP/0.9\r\n\r\n")
    .refused("http09", 505, "Invalid HTTP version (0.9)"),
    Case("HTTP/0.9 with a field", "plain11", b"GET /x HTTP/0.9\r\nHost: test\r\n\r\n")
    .refused("http09", 505, "Invalid HTTP version (0.9)"),
    Case("no version", "plain11", b"GET /x\r\n\r\n").refused("http09", 400, bad_line("GET /x")),
    Case("no version and not GET", "plain11", b"POST /x\r\n\r\n")
    .refused("http09", 400, bad_line("POST /x")),
    Case("a bad version, default_request_version HTTP/0.9", "plain11", get("/", version="x"))
    .refused("http09", 400, "Bad request version ('HTTP/x')"),
    bad_version("a bad version", "x"),
    bad_version("an empty version", ""),
    bad_version("a version of one number", "1"),
    bad_version("a version of three numbers", "1.1.1"),
    bad_version("a version without a major number", ".1"),
    bad_version("a version without a minor number", "1."),
    bad_version("a version with a letter", "1.x"),
    bad_version("a version with a comma", "1,1"),
    Case("a version in lower case", BY_DEFAULT, raw("GET / http/1.1", "Host: test")),
    Case("a version of another protocol", BY_DEFAULT, raw("GET / HTTPS/1.1", "Host: test")),
    Case("a version without a name", BY_DEFAULT, raw("GET / 1.1", "Host: test")),
    Case("HTTP/1.10", "plain11", get("/", version="1.10"))
    .refused("malformed", 400, "Bad request version ('HTTP/1.10')"),
    Case("HTTP/01.1", "plain11", get("/", version="01.1"))
    .refused("malformed", 400, "Bad request version ('HTTP/01.1')"),
    Case("HTTP/1.01", "plain11", get("/", version="1.01"))
    .refused("malformed", 400, "Bad request version ('HTTP/1.01')"),
]

# Python 3.10 takes these for numbers, by int(): 505, or an answer.
NUMBERS = [
    bad_version("a version of many digits", "99999999999.1"),
    bad_version("a version with a plus sign", "+1.1"),
    bad_version("a version with a minus sign", "1.-1"),
    bad_version("a version with an underscore", "1_0.1"),
]
if sys.version_info < (3, 11):
    NUMBERS = [
        case.refused("malformed", 400, f"Bad request version ('{case.request.split()[2].decode()}')")
        for case in NUMBERS
    ]

CASES = [*METHODS, *TARGETS, *SPACES, *VERSIONS, *NUMBERS]
