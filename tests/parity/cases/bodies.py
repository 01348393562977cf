"""Bodies of requests: read wholly, in part or not at all, by a length or chunked, asked for by Expect."""

from .table import (
    CLOSE,
    KEEP_ALIVE,
    Case,
    chunked,
    closes,
    get,
    head,
    post,
    says_close,
    says_keep_alive,
)

EXPECT = "Expect: 100-continue"
CHUNKS = b"4\r\nWiki\r\n6;ext=1\r\npedia.\r\n0\r\nTrailer: x\r\n\r\n"
LARGE = b"0123456789" * 20000

READ = [
    Case("POST", "plain11", post("/", b"a body"), "POST"),
    Case("POST with an empty body", "plain11", post("/", b""), "POST"),
    Case("POST with octets of all kinds", "plain11", post("/", bytes(range(256))), "POST"),
    Case("POST of 64 KiB", "plain11", post("/", b"x" * 65536), "POST"),
    Case("POST of 64 KiB and one", "plain11", post("/", b"x" * 65537), "POST"),
    Case("POST of 200 KB", "plain11", post("/", LARGE), "POST"),
    Case("POST of 200 KB and GET pipelined", "plain11", post("/", LARGE) + get("/2"), "POST GET"),
    Case("POST on HTTP/1.0", "plain", post("/", b"a body"), "POST"),
    Case("POST from HTTP/1.0", "plain11", post("/", b"a body", version="1.0"), "POST").says_close(),
    Case("POST from HTTP/1.0 with keep-alive", "plain11",
         post("/", b"a body", KEEP_ALIVE, version="1.0"), "POST")
    .differs("keep-alive-1.0", says_keep_alive),
    Case("POST with close", "plain11", post("/", b"a body", CLOSE), "POST").says_close(),
    Case("POST with a length that begins with zeros", "plain11",
         get("/", "Content-Length: 0003", method="POST", body=b"abc"), "POST"),
    Case("POST without a length", "plain11", get("/", method="POST"), "POST"),
    Case("GET with a body that is read", "plain11",
         post("/", b"a body", method="ECHO") + get("/2"), "GET GET"),
    Case("lengths that are the same", "plain11", post("/", b"abc", "Content-Length: 3"), "POST"),
    Case("a body read line by line", "plain11", post("/", b"one\ntwo\r\nthree", method="LINES") + get("/2"),
         "GET GET"),
    Case("a body read in pieces", "plain11", post("/", b"0123456789" * 10, method="PIECEMEAL") + get("/2"),
         "GET GET"),
    Case("a body read into a buffer", "plain11",
         post("/", b"0123456789", method="INTO") + get("/2"), "GET GET"),
    Case("a body read to its end", "plain11", post("/", b"a body", method="ALL"))
    .differs("rfile-ends", like=post("/", b"a body", method="ECHO"), hangs=True),
    Case("no body read to its end", "plain11", get("/", method="ALL"))
    .differs("rfile-ends", like=post("/", b"", method="ECHO"), hangs=True),
    Case("a body read past its end", "plain11", post("/", b"a body", method="MORE"))
    .differs("rfile-ends", like=post("/", b"a body", method="ECHO"), hangs=True),
]

# A body that the loop collects, up to 64 KiB, and that breaks off: handlers/test_bodies.py.
CUT_OFF = [
    Case("a large body that breaks off", "plain11",
         get("/", "Content-Length: 300000", method="POST", body=LARGE), "POST", ends=True),
    Case("a body that was asked for and breaks off", "plain11",
         get("/", "Content-Length: 10", EXPECT, method="POST", body=b"part"), "POST", ends=True),
]

UNREAD = [
    Case("an unread body", "plain11", post("/", b"unread", method="IGNORE"))
    .differs("unread-body", like=post("/", b"", method="IGNORE")),
    Case("an unread body and GET", "plain11", post("/", b"unread ", method="IGNORE") + get("/2"), "GET GET")
    .differs("unread-body", like=post("/", b"", method="IGNORE") + get("/2")),
    Case("an unread body that looks like a request", "plain11",
         post("/", get("/1"), method="IGNORE") + get("/2"), "GET GET")
    .differs("unread-body", like=post("/", b"", method="IGNORE") + get("/2")),
    Case("an unread body of 64 KiB", "plain11",
         post("/", b"x" * 65536, method="IGNORE") + get("/2"), "GET GET")
    .differs("unread-body", like=post("/", b"", method="IGNORE") + get("/2")),
    Case("an unread body of 200 KB", "plain11", post("/", LARGE, method="IGNORE") + get("/2"), "GET GET")
    .differs("unread-body", like=post("/", b"", method="IGNORE") + get("/2")),
    Case("a body read in part", "plain11", post("/", b"abcrest", method="PART") + get("/2"), "GET GET")
    .differs("unread-body", like=post("/", b"abc", method="PART") + get("/2")),
    Case("a body of 200 KB read in part", "plain11", post("/", b"abc" + LARGE, method="PART") + get("/2"),
         "GET GET")
    .differs("unread-body", like=post("/", b"abc", method="PART") + get("/2")),
    Case("an unread body to a file", "files11", post("/hello.txt", b"unread", method="GET"))
    .differs("unread-body", like=get("/hello.txt")),
    Case("an unread body to a file, and another", "files11",
         post("/hello.txt", b"unread", method="GET") + get("/empty.txt"), "GET GET")
    .differs("unread-body", like=get("/hello.txt") + get("/empty.txt")),
    Case("an unread body to HEAD for a file", "files11", post("/hello.txt", b"unread", method="HEAD"), "HEAD")
    .differs("unread-body", like=head("/hello.txt")),
    Case("an unread body that was asked for", "plain11", post("/", b"x", EXPECT, method="IGNORE"))
    .differs("unread-body", closes, like=post("/", b"", EXPECT, method="IGNORE")),
    Case("an unread body and close", "plain11", post("/", b"unread", CLOSE, method="IGNORE")).says_close(),
    Case("an unread body on HTTP/1.0", "plain", post("/", b"unread", method="IGNORE")),
    Case("an unread body from HTTP/1.0 with keep-alive", "plain11",
         post("/", b"unread", KEEP_ALIVE, method="IGNORE", version="1.0"))
    .differs("unread-body", says_keep_alive, like=post("/", b"", KEEP_ALIVE, method="IGNORE", version="1.0")),
    Case("an unread body and an error", "plain11", post("/404", b"unread", method="ERROR")),
    Case("a body for a method nobody has", "plain11", post("/", b"unread", method="NOPE")),
    Case("a body for a file that is not there", "files11", post("/nothing", b"unread", method="GET")),
    Case("a body and an exception", "plain11", post("/", b"unread", method="RAISE")),
]

CHUNKED = [
    Case("an unread chunked body", "plain11", chunked("/", b"1\r\nx\r\n0\r\n\r\n", method="IGNORE"))
    .differs("unread-body", says_close, like=get("/", method="IGNORE")),
    Case("an unread chunked body that looks like a request", "plain11",
         chunked("/", get("/1"), method="IGNORE") + get("/2"), "GET GET")
    .differs("unread-body", says_close, like=get("/", CLOSE, method="IGNORE")),
    Case("a chunked body that the handler decodes", "plain11", chunked("/", CHUNKS, method="DECHUNK"))
    .differs("unread-body", says_close),
    Case("a chunked body read in part", "plain11", chunked("/", CHUNKS, method="PART"))
    .differs("unread-body", says_close, like=post("/", CHUNKS[:3], method="PART")),
    Case("a chunked body and close", "plain11", chunked("/", CHUNKS, CLOSE, method="DECHUNK")).says_close(),
    Case("a chunked body in another case", "plain11",
         get("/", "TRANSFER-ENCODING: Chunked", method="DECHUNK", body=CHUNKS))
    .differs("unread-body", says_close),
    Case("a chunked body on HTTP/1.0", "plain", chunked("/", CHUNKS, method="DECHUNK")),
    Case("a chunked body from HTTP/1.0", "plain11", chunked("/", CHUNKS, method="DECHUNK", version="1.0"))
    .says_close(),
    Case("a chunked body from HTTP/1.0 with keep-alive", "plain11",
         chunked("/", CHUNKS, KEEP_ALIVE, method="DECHUNK", version="1.0"))
    .differs("unread-body", says_close),
    Case("a chunked body for a method nobody has", "plain11", chunked("/", CHUNKS, method="NOPE")),
    Case("a chunked body to a file", "files11", chunked("/hello.txt", CHUNKS, method="GET"))
    .differs("unread-body", says_close, like=get("/hello.txt")),
]


def bad_length(name: str, *values: str, hangs: bool = False) -> Case:
    """A length that fastserve refuses; the handler does not look at it, or waits for what does not come."""
    lines = [f"Content-Length: {value}" for value in values]
    return Case(name, "plain11", get("/", *lines)).refused("framing", 400, "Bad Content-Length", hangs=hangs)


def bad_coding(name: str, value: str, status: int, message: str) -> Case:
    return Case(name, "plain11", get("/", f"Transfer-Encoding: {value}")).refused("framing", status, message)


UNSUPPORTED = 501, "Unsupported Transfer-Encoding"
BAD_CODING = 400, "Bad Transfer-Encoding"

FRAMING = [
    Case("lengths that differ", "plain11", post("/", b"abc", "Content-Length: 5"), "POST")
    .refused("framing", 400, "Bad Content-Length", hangs=True),
    bad_length("lengths that differ, unread", "3", "5"),
    bad_length("a length that is none", "+3"),
    bad_length("a negative length", "-1"),
    bad_length("an empty length", ""),
    bad_length("a length with a fraction", "3.0"),
    bad_length("a length in hexadecimal digits", "0x3"),
    bad_length("a length with an underscore", "1_0"),
    bad_length("a length of a superscript", "\xb2"),
    bad_length("a length of a word", "three"),
    bad_length("a list of lengths", "3, 3"),
    bad_length("a length with a blank inside", "1 0"),
    bad_length("a length past 64 bits", "18446744073709551621"),
    bad_length("a length of 6000 digits", "9" * 6000),
    Case("length and transfer-encoding", "plain11",
         get("/", "Content-Length: 3", "Transfer-Encoding: chunked"))
    .refused("framing", 400, "Content-Length with Transfer-Encoding"),
    Case("transfer-encoding and length", "plain11",
         get("/", "Transfer-Encoding: chunked", "Content-Length: 3"))
    .refused("framing", 400, "Content-Length with Transfer-Encoding"),
    bad_coding("an unknown transfer-encoding", "gzip", *UNSUPPORTED),
    bad_coding("an unknown transfer-encoding before chunked", "gzip, chunked", *UNSUPPORTED),
    bad_coding("identity as transfer-encoding", "identity", *UNSUPPORTED),
    bad_coding("chunked in quotes", '"chunked"', *UNSUPPORTED),
    bad_coding("chunked with a parameter", "chunked;a=b", *UNSUPPORTED),
    bad_coding("chunked behind VT", "\x0bchunked", 400, "Bad header value: control character in it"),
    bad_coding("chunked before another", "chunked, gzip", *BAD_CODING),
    bad_coding("chunked twice", "chunked, chunked", *BAD_CODING),
    bad_coding("an empty transfer-encoding", "", *BAD_CODING),
    Case("chunked on two lines", "plain11",
         get("/", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))
    .refused("framing", *BAD_CODING),
]

EXPECTATIONS = [
    Case("Expect", "plain11", post("/", b"a body", EXPECT), "POST"),
    Case("Expect in any case", "plain11", post("/", b"a body", "expect: 100-Continue"), "POST"),
    Case("Expect with 200 KB", "plain11", post("/", LARGE, EXPECT), "POST"),
    Case("Expect and GET pipelined", "plain11", post("/", b"a body", EXPECT) + get("/2"), "POST GET"),
    Case("Expect with close", "plain11", post("/", b"a body", EXPECT, CLOSE), "POST").says_close(),
    Case("Expect with chunks", "plain11", chunked("/", CHUNKS, EXPECT, method="DECHUNK"))
    .differs("unread-body", says_close),
    Case("Expect from HTTP/1.0", "plain11", post("/", b"x", EXPECT, version="1.0"), "POST").says_close(),
    Case("Expect on protocol_version HTTP/1.0", "plain", post("/", b"a body", EXPECT), "POST"),
    Case("another Expect", "plain11", post("/", b"a body", "Expect: something"), "POST"),
    Case("an empty Expect", "plain11", post("/", b"a body", "Expect:"), "POST"),
    Case("Expect with a parameter", "plain11", post("/", b"a body", "Expect: 100-continue;a=b"), "POST"),
    Case("Expect among others", "plain11", post("/", b"a body", "Expect: 100-continue, x"), "POST"),
    Case("Expect twice", "plain11", post("/", b"a body", EXPECT, EXPECT), "POST"),
    Case("Expect refused", "picky", post("/", b"", EXPECT), "POST"),
    Case("Expect refused, and its body", "picky", post("/", b"a body", EXPECT), "POST"),
    Case("Expect refused, HEAD", "picky", head("/", EXPECT), "HEAD"),
    Case("Expect without a body", "plain11", get("/", EXPECT)),
    Case("Expect with HEAD", "plain11", head("/", EXPECT), "HEAD"),
    Case("Expect for a file", "files11", get("/hello.txt", EXPECT)),
    Case("Expect for a method nobody has", "plain11", post("/", b"x", EXPECT, method="NOPE"), "POST"),
    Case("Expect and an error", "plain11", post("/404", b"x", EXPECT, method="ERROR"), "POST"),
]

CASES = [*READ, *CUT_OFF, *UNREAD, *CHUNKED, *FRAMING, *EXPECTATIONS]
