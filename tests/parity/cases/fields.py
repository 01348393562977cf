"""Header fields of a request: what a handler sees of them, their quirks, their limits, and Host."""

from .table import Case, get, head, nothing, old, raw

BAD_NAME = 400, "Bad header name: a line must be name:value"
BAD_LINE_END = 400, "Bad line end: bare CR, LF or NUL in the head"
BAD_VALUE = 400, "Bad header value: control character in it"
FOLDED = 400, "Folded header line: it starts with a space"


def fields(*lines: str) -> bytes:
    return get("/", *lines, method="FIELDS")


SEEN = [
    Case("what a handler sees", "plain11",
         get("/a?b#c", "X-Name: value", "x-name: other", "X-Empty:", method="FIELDS")),
    Case("what a handler sees of HTTP/1.0", "plain11", old("/", "X-Name: value", method="FIELDS"))
    .says_close(),
    Case("what a handler looks up", "plain11",
         get("/", "X-Name: first", "X-NAME: second", "Content-Type: Text/HTML; Charset=UTF-8; a=b",
             method="LOOKUP")),
    Case("what a handler looks up in few fields", "plain11", get("/", method="LOOKUP")),
    Case("what a handler changes", "plain11", get("/", "X-Name: first", "X-Name: second", method="CHANGE")),
    Case("the fields as a message", "plain11",
         get("/", "X-Name: value", "Content-Type: text/html; charset=utf-8", method="MESSAGE")),
    Case("the fields of a multipart request as a message", "plain11",
         get("/", "Content-Type: multipart/form-data; boundary=xyz", method="MESSAGE")),
    Case("the fields of the last request alone", "plain11",
         fields("X-One: 1") + fields("X-Two: 2"), "GET GET"),
    Case("a MessageClass", "message", get("/", "X-Name: value", method="FIELDS")),
    Case("fields as a MessageClass", "message", get("/", "X-Name: value", method="MESSAGE")),
    Case("duplicates: all are kept, the first is found", "plain11",
         get("/", "X-Name: 1", "Other: x", "x-name: 2", "X-NAME: 3", method="LOOKUP")),
]

VALUES = [
    Case("names in any case", "plain11", fields("CONTENT-type: text/x-y; a=b")),
    Case("a name of other token characters", "plain11", fields("!#$%&'*+-.^_`|~: x")),
    Case("a name of 1000 letters", "plain11", fields("N" * 1000 + ": x")),
    Case("no blank behind the colon", "plain11", fields("X-Name:value")),
    Case("blanks before a value", "plain11", fields("X-Name: \t  value")),
    Case("blanks inside a value", "plain11", fields("X-Name: a \t b")),
    Case("colons in a value", "plain11", fields("X-Name: a: b:: c")),
    Case("quotes and backslashes in a value", "plain11", fields('X-Name: "a\\"b"; c=\'d\'')),
    Case("a tab inside a value", "plain11", fields("X-Name: a\tb")),
    Case("an empty value", "plain11", fields("X-Name: ", "Y-Name:")),
    Case("latin-1 in a value", "plain11", fields("X-Name: \xc4rger")),
    Case("UTF-8 in a value", "plain11", fields("X-Name: \xe2\x82\xac")),
    Case("an encoded word in a value", "plain11", fields("X-Name: =?utf-8?q?=C3=BC?=")),
    Case("a no-break space around a value", "plain11", fields("X-Name: \xa0value\xa0")),
    Case("a value of 60000 octets", "plain11", fields("X-Name: " + "v" * 60000)),
    Case("blanks behind a value", "plain11", fields("X-Name: value \t"))
    .differs("value-blanks", like=fields("X-Name: value")),
    Case("a value of blanks", "plain11", fields("X-Name: \t ")),
]

QUIRKS = [
    Case("a space before a colon", "plain11", get("/", "Name : x")).refused("malformed", *BAD_NAME),
    Case("a tab before a colon", "plain11", get("/", "Name\t: x")).refused("malformed", *BAD_NAME),
    Case("a space before the colon of a length", "plain11", get("/", "Content-Length : 5"))
    .refused("malformed", *BAD_NAME),
    Case("a line without a colon", "plain11", get("/", "nonsense")).refused("malformed", *BAD_NAME),
    Case("a name that is not ASCII", "plain11", get("/", "N\xe4me: x")).refused("malformed", *BAD_NAME),
    Case("a name with a blank inside", "plain11", get("/", "My Name: x")).refused("malformed", *BAD_NAME),
    Case("a name in brackets", "plain11", get("/", "(Name): x")).refused("malformed", *BAD_NAME),
    Case("an empty name", "plain11", get("/", ": x")).refused("malformed", *BAD_NAME),
    Case("a line as at the head of a mailbox", "plain11", get("/", "From me@here Sun Sep  9 01:46:40 2001"))
    .refused("malformed", *BAD_NAME),
    Case("the first line as at the head of a mailbox", "plain11",
         raw("GET / HTTP/1.1", "From x", "Host: test")).refused("malformed", *BAD_NAME),
    Case("a CR in a value", "plain11", get("/", "Name: x\ry: z")).refused("malformed", *BAD_LINE_END),
    Case("two CRs at the end of a line", "plain11", get("/", "Name: x\r"))
    .refused("malformed", *BAD_LINE_END),
    Case("a CR at the beginning of a line", "plain11", get("/", "\rName: x"))
    .refused("malformed", *BAD_LINE_END),
    Case("a LF in a value", "plain11", get("/", "Name: x\ny: z")).refused("malformed", *BAD_LINE_END),
    Case("a NUL in a value", "plain11", get("/", "Name: x\0y")).refused("malformed", *BAD_LINE_END),
    Case("a NUL in a name", "plain11", get("/", "Na\0me: x")).refused("malformed", *BAD_LINE_END),
    Case("a control character in a value", "plain11", get("/", "Name: x\x01y"))
    .refused("malformed", *BAD_VALUE),
    Case("VT in a value", "plain11", get("/", "Name: x\x0by")).refused("malformed", *BAD_VALUE),
    Case("FF in a value", "plain11", get("/", "Name: x\x0cy")).refused("malformed", *BAD_VALUE),
    Case("DEL in a value", "plain11", get("/", "Name: x\x7fy")).refused("malformed", *BAD_VALUE),
    Case("NEL in a value", "plain11", fields("X-Name: x\x85y")),
    Case("a folded line", "plain11", get("/", "Name: x", " y")).refused("folding", *FOLDED),
    Case("a line folded by a tab", "plain11", get("/", "Name: x", "\ty")).refused("folding", *FOLDED),
    Case("a folded line of blanks", "plain11", get("/", "Name: x", " ")).refused("folding", *FOLDED),
    Case("a first line that is folded", "plain11", raw("GET / HTTP/1.1", " Name: x", "Host: test"))
    .refused("folding", *FOLDED),
]

LIMITS = [
    Case("99 header lines", "plain11", get("/", *["X-Name: x"] * 98)),
    Case("100 header lines", "plain11", get("/", *["X-Name: x"] * 99)),
    Case("HEAD with 100 header lines", "plain11", head("/", *["X-Name: x"] * 99), "HEAD"),
    Case("a header line of 65536 octets", "plain11", get("/", "X: " + "x" * 65531)),
    Case("a header line of 65537 octets", "plain11", get("/", "X: " + "x" * 65532)),
    Case("a header line without an end", "plain11", get("/", "X: " + "x" * 65534)[:-4]),
    Case("a head of 300 KB", "plain11", get("/", *["X: " + "x" * 60000] * 5))
    .refused("head-size", 431, "Request head too long"),
]

HOSTS = [
    Case("no Host on HTTP/1.0", "plain", raw("GET / HTTP/1.0")),
    Case("a Host with a port", "plain11", raw("GET / HTTP/1.1", "Host: test:8000")),
    Case("an empty Host", "plain11", raw("GET / HTTP/1.1", "Host:")),
    Case("a Host that is an IPv6 address", "plain11", raw("GET / HTTP/1.1", "Host: [::1]:8000")),
    Case("another Host than the target's", "plain11", raw("GET http://one/ HTTP/1.1", "Host: two")),
    Case("no Host", "plain11", raw("GET / HTTP/1.1")).refused("host", 400, "Missing Host header"),
    Case("two Hosts", "plain11", get("/", "Host: other")).refused("host", 400, "Bad Host header"),
    Case("two Hosts that are the same", "plain11", get("/", "Host: test"))
    .refused("host", 400, "Bad Host header"),
    Case("two Hosts on HTTP/1.0", "plain11", old("/", "Host: other")).refused("host", 400, "Bad Host header"),
    Case("a Host that is none", "plain11", raw("GET / HTTP/1.1", "Host: a/b"))
    .refused("host", 400, "Bad Host header"),
    Case("a Host with a user", "plain11", raw("GET / HTTP/1.1", "Host: me@test"))
    .refused("host", 400, "Bad Host header"),
    Case("a list of Hosts with a blank", "plain11", raw("GET / HTTP/1.1", "Host: one, two"))
    .refused("host", 400, "Bad Host header"),
]

BROKEN_OFF = [
    Case("no request at all", "plain11", b"", ends=True),
    Case("a request and an end", "plain11", get("/"), "GET GET", ends=True),
    Case("a request line that breaks off", "plain11", b"GET / HT", ends=True).differs("cut-off", nothing),
    Case("a request line without its fields", "plain11", b"GET / HTTP/1.1\r\n", ends=True)
    .differs("cut-off", nothing),
    Case("a head that breaks off in a line", "plain11", b"GET / HTTP/1.1\r\nHost: te", ends=True)
    .differs("cut-off", nothing),
    Case("a head without its empty line", "plain11", b"GET / HTTP/1.1\r\nHost: test\r\n", ends=True)
    .differs("cut-off", nothing),
    Case("a request and a half", "plain11", get("/1") + b"GET /2 HTTP", "GET GET", ends=True)
    .differs("cut-off", like=get("/1")),
]

CASES = [*SEEN, *VALUES, *QUIRKS, *LIMITS, *HOSTS, *BROKEN_OFF]
