"""Where a request begins and ends: lines, fields, lengths, chunks, limits (behaviours 1 to 17)."""

from .rows import (
    Row,
    answered,
    both,
    chunked,
    either,
    get,
    has,
    nothing,
    raw,
    refused,
    served,
    served_last,
)

HELLO = b"hello"
# A body that would be a request, were it read as one.
SMUGGLED = b"GET /dir/file.txt HTTP/1.1\r\nHost: test\r\n\r\n"
LENGTH = f"Content-Length: {len(SMUGGLED)}"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"

# Answered as it should be, or refused; and in no case is what follows misread.
SERVED_OR_REFUSED = either(served(), served_last(), refused(400, 411, 413, 415, 501))
# As a static server does with what it has no handler for.
NOT_DONE = either(answered(405), answered(501), refused(405, 501, 400, 403, 404, 411, 413))

BODIES = [
    Row(1, "9112 9.3", "MUST", "GET with a body", get("/a.txt", LENGTH, body=SMUGGLED), SERVED_OR_REFUSED),
    Row(1, "9112 9.3", "MUST", "HEAD with a body", get("/a.txt", LENGTH, method="HEAD", body=SMUGGLED),
        either(served(b""), served_last(b""), refused(400, 413)), "HEAD"),
    Row(1, "9112 9.3", "MUST", "POST with a body", get("/a.txt", LENGTH, method="POST", body=SMUGGLED),
        NOT_DONE, "POST"),
    Row(1, "9112 9.3", "MUST", "PUT with a body", get("/new", LENGTH, method="PUT", body=SMUGGLED), NOT_DONE,
        "PUT"),
    Row(1, "9112 9.3", "MUST", "DELETE with a body", get("/a.txt", LENGTH, method="DELETE", body=SMUGGLED),
        NOT_DONE, "DELETE"),
    Row(1, "9112 9.3", "MUST", "an unknown method with a body",
        get("/", LENGTH, method="BREW", body=SMUGGLED), NOT_DONE, "BREW"),
    Row(1, "9112 9.3", "MUST", "a body of what is not there", get("/none", LENGTH, body=SMUGGLED),
        either(answered(404), refused(404, 400))),
    Row(1, "9112 9.3", "MUST", "a body behind a 304",
        get("/a.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", LENGTH, body=SMUGGLED),
        either(served(b"", status=304), served_last(b"", status=304), refused(400))),
    Row(1, "9112 9.3", "MUST", "a body behind a redirect", get("/dir", LENGTH, body=SMUGGLED),
        either(answered(301), refused(301, 400))),
    Row(1, "9112 9.3", "MUST", "GET with a chunked body",
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), SERVED_OR_REFUSED),
    Row(1, "9112 9.3", "MUST", "POST with a chunked body", chunked(CHUNKS, method="POST"), NOT_DONE, "POST"),
    Row(1, "9112 9.3", "MUST", "a body of 100 kB",
        get("/a.txt", "Content-Length: 100000", body=(SMUGGLED * 3000)[:100000]),
        SERVED_OR_REFUSED),
    Row(1, "9112 6.3", "MUST", "an empty body", get("/a.txt", "Content-Length: 0"), served()),
]

BAD_LENGTHS = [
    "+5",
    "-5",
    "-1",
    "5.0",
    "5,",
    "5 5",
    "0x5",
    "1_0",
    "5;",
    "five",
    "\xb25",
    "5\x0b",
    "\x0b5",
    "5\x0c",
    "5\xa0",
    "5\x85",
    "",
    " ",
    '"5"',
    "5e0",
    "0b101",
    "0o5",
    "5L",
    "5,6",
    "6, 5",
    "5,+5",
    "NaN",
    "\t+5",
]

LENGTHS = [
    *[
        Row(2, "9112 6.3", "MUST", f"Content-Length {value!r}",
            get("/a.txt", f"Content-Length: {value}", body=HELLO), refused())
        for value in BAD_LENGTHS
    ],
    Row(2, "9110 8.6", "MUST", "zeros before a length", get("/a.txt", "Content-Length: 00005", body=HELLO),
        SERVED_OR_REFUSED),
    Row(2, "9110 5.5", "MUST", "white space around a length",
        get("/a.txt", "Content-Length: \t5 \t", body=HELLO), SERVED_OR_REFUSED),
    Row(3, "9112 6.3", "MUST", "two lengths that differ",
        get("/a.txt", "Content-Length: 5", "Content-Length: 6", body=HELLO + b"x"), refused()),
    Row(3, "9112 6.3", "MUST", "two lengths that differ, in any case",
        get("/a.txt", "Content-Length: 5", "content-LENGTH: 0", body=HELLO), refused()),
    Row(3, "9112 6.3", "MUST", "a list of lengths that differ",
        get("/a.txt", "Content-Length: 5, 6", body=HELLO), refused()),
    Row(3, "9112 6.3", "MUST", "two equal lengths",
        get("/a.txt", "Content-Length: 5", "Content-Length: 5", body=HELLO), SERVED_OR_REFUSED),
    Row(3, "9112 6.3", "MUST", "a list of equal lengths", get("/a.txt", "Content-Length: 5, 5", body=HELLO),
        SERVED_OR_REFUSED),
    *[
        Row(9, "9110 8.6", "MUST", f"a length of {what}",
            get("/a.txt", f"Content-Length: {value}", body=HELLO),
            either(refused(400, 413, 431), nothing, served_last()), ends=True)
        for what, value in (
            ("2^63", 2**63),
            ("2^64 + 5", 2**64 + 5),
            ("2^32 + 5", 2**32 + 5),
            ("6,000 digits", "9" * 6000),
        )
    ],
]

BAD_CODINGS = [
    "chunked, identity",
    "identity",
    "gzip",
    "chunked, gzip",
    "xchunked",
    "chunkedx",
    "chunked;q=1",
    "chunke d",
    "\x0bchunked",
    "chunked\x0b",
    "\x0cchunked",
    "chunked\xa0",
    '"chunked"',
    "chunked, chunked",
    "",
    "x",
    "chunk",
    "cHuNkEd,,gzip",
    "\\chunked",
    "chunked\t\x00",
]

CODINGS = [
    *[
        Row(5, "9112 6.1", "CVE-2024-6827", f"Transfer-Encoding {value!r}",
            get("/a.txt", f"Transfer-Encoding: {value}", body=CHUNKS), refused(400, 501))
        for value in BAD_CODINGS
    ],
    Row(5, "9112 7", "MUST", "chunked in any case", get("/a.txt", "transfer-ENCODING: ChunKeD", body=CHUNKS),
        SERVED_OR_REFUSED),
    Row(5, "9110 5.5", "MUST", "white space around chunked",
        get("/a.txt", "Transfer-Encoding: \tchunked \t", body=CHUNKS), SERVED_OR_REFUSED),
    Row(5, "9112 6.1", "MUST", "two lines of Transfer-Encoding",
        get("/a.txt", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body=CHUNKS),
        either(refused(400, 501), served_last())),
    Row(5, "9112 6.1", "MUST", "chunked twice, on two lines",
        get("/a.txt", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKS),
        refused(400, 501)),
    *[
        Row(4, "9112 6.1", "CVE-2024-1135", f"Content-Length {what} Transfer-Encoding",
            get("/a.txt", *fields, body=CHUNKS), either(refused(), served_last()))
        for what, fields in (
            ("before", ("Content-Length: 15", "Transfer-Encoding: chunked")),
            ("behind", ("Transfer-Encoding: chunked", "Content-Length: 15")),
            ("of none beside", ("Content-Length: 0", "Transfer-Encoding: chunked")),
        )
    ],
    Row(6, "9112 6.1", "MUST", "Transfer-Encoding in HTTP/1.0",
        get("/a.txt", "Transfer-Encoding: chunked", "Connection: keep-alive", version="1.0", body=CHUNKS),
        either(refused(400, 501), served_last())),
]

BAD_CHUNKS = {
    "a size that is no number": b"x\r\nhello\r\n0\r\n\r\n",
    "a size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size below zero": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with _": b"1_0\r\nhellohellohellox\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a blank before a size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64 + 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a size of 2^32 + 5 and five octets": b"100000005\r\nhello\r\n0\r\n\r\n",
    "a bare LF behind a size": b"5\nhello\r\n0\r\n\r\n",
    "a bare CR behind a size": b"5\rhello\r\n0\r\n\r\n",
    "a bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "data that is longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "data that is shorter than its size": b"6\r\nhello\r\n0\r\n\r\n",
    "a bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "NUL for a size": b"\x005\r\nhello\r\n0\r\n\r\n",
}

CHUNKED = [
    # The answer may come before the body has been read, but then nothing behind the body is.
    *[
        Row(7, "9112 7.1", "CVE-2025-22871", what, chunked(octets), either(refused(400, 413), served_last()),
            ends=True)
        for what, octets in BAD_CHUNKS.items()
    ],
    Row(7, "9112 7.1.1", "MUST", "chunk extensions", chunked(b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'),
        SERVED_OR_REFUSED),
    Row(7, "9112 7.1.1", "SHOULD", "an extension of 100 kB",
        chunked(b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"),
        either(refused(400, 413, 431), served_last())),
    Row(8, "9110 6.5.1", "MUST", "trailers", chunked(b"0\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"),
        SERVED_OR_REFUSED),
    Row(8, "9110 6.5.1", "MUST", "a trailer that closes",
        chunked(b"0\r\nConnection: keep-alive\r\n\r\n", "Connection: close"),
        either(served_last(), refused(400, 501))),
    Row(8, "9110 6.5.1", "SHOULD", "trailers of 200 kB",
        chunked(b"0\r\n" + b"X-A: b\r\n" * 25_000 + b"\r\n"), either(refused(400, 413, 431), served_last())),
]

BAD_FIELDS = {
    "a blank before the colon": (10, "CVE-2021-22959", "X-A : b"),
    "a tab before the colon": (10, "CVE-2021-22959", "X-A\t: b"),
    "a blank before the colon of Content-Length": (10, "CVE-2021-22959", "Content-Length : 5"),
    "a bare CR in a value": (11, "CVE-2023-30589", "X-A: b\rContent-Length: 5"),
    "NUL in a value": (11, "MUST", "X-A: b\0c"),
    "NUL in a name": (11, "MUST", "X\0A: b"),
    "a bare CR in a name": (11, "MUST", "X\rA: b"),
    "a bare CR at the end of a value": (11, "SHOULD", "X-A: b\r"),
    "a folded line": (12, "CVE-2022-32215", "X-A: b\r\n c"),
    "a folded Transfer-Encoding": (12, "CVE-2022-32215", "Transfer-Encoding:\r\n chunked"),
    "a line that begins with a blank, before any field": (12, "MUST", None),
    "a line without a colon": (13, "SHOULD", "X-A"),
    "a line that begins with a colon": (13, "SHOULD", ": b"),
    "a blank in a name": (13, "SHOULD", "X A: b"),
    "a name with a slash": (13, "SHOULD", "X/A: b"),
    "a name with parentheses": (13, "SHOULD", "X(A): b"),
    "a name beyond ASCII": (13, "SHOULD", "X-\xc4: b"),
    "a name with DEL": (13, "SHOULD", "X\x7f: b"),
}

FIELDS = [
    *[
        Row(number, "9112 5.1", level, what,
            raw("GET /a.txt HTTP/1.1", " X-A: b", "Host: test") if line is None else get("/a.txt", line),
            refused())
        for what, (number, level, line) in BAD_FIELDS.items()
    ],
    *[
        Row(11, "9112 2.2", "MUST", f"{what} is no line end",
            get("/a.txt", f"X-A: b{octet}Connection: close"), either(served(), refused()))
        for what, octet in (
            ("VT", "\x0b"),
            ("FF", "\x0c"),
            ("NEL", "\x85"),
            ("U+2028", "\xe2\x80\xa8"),
            ("FS", "\x1c"),
        )
    ],
    Row(13, "9112 2.2", "MUST", "a line without a colon hides no others",
        get("/a.txt", "oops", "Connection: close"), either(refused(), served_last())),
    Row(11, "9110 5.5", "MUST", "octets beyond ASCII in a value", get("/a.txt", "X-A: \xe4\xff"), served()),
    Row(11, "9110 5.1", "MUST", "names in any case", get("/a.txt", "cOnNeCtIoN: close"), served_last()),
    Row(12, "9110 5.5", "MUST", "an empty value", get("/a.txt", "X-A:"), served()),
    Row(12, "9110 5.5", "MUST", "no blank behind the colon", get("/a.txt", "Connection:close"),
        served_last()),
    Row(11, "9112 2.2", "MAY", "lines that end with LF alone", b"GET /a.txt HTTP/1.1\nHost: test\n\n",
        either(served(), refused())),
]

HOSTS = {
    "no Host": [],
    "two Hosts": ["Host: test", "Host: test"],
    "two Hosts that differ": ["Host: test", "Host: other"],
    "a Host with a blank": ["Host: te st"],
    "a Host with a path": ["Host: test/a"],
    "a Host with a user": ["Host: a@test"],
    "a Host with a port that is none": ["Host: test:x"],
    "a list of Hosts": ["Host: a b, c"],
    "a Host with a bad address": ["Host: [::1"],
    "a Host with a control character": ["Host: te\x01st"],
}

HOST = [
    *[
        Row(14, "9112 3.2", "MUST", what, raw("GET /a.txt HTTP/1.1", *lines), refused())
        for what, lines in HOSTS.items()
    ],
    *[
        Row(14, "9110 7.2", "MUST", f"Host {value!r}", raw("GET /a.txt HTTP/1.1", f"Host: {value}"),
            served())
        for value in (
            "test",
            "test:80",
            "TEST",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:80",
            "test:",
            "a_b",
            "t%65st",
            "\ttest\t",
        )
    ],
    Row(14, "9110 7.2", "SHOULD", "an empty Host", raw("GET /a.txt HTTP/1.1", "Host:"), served()),
    Row(14, "9112 3.2", "MUST", "HTTP/1.0 without Host", raw("GET /a.txt HTTP/1.0"), served_last()),
]

BAD_LINES = {
    "no version": "GET /a.txt",
    "two blanks before the target": "GET  /a.txt HTTP/1.1",
    "two blanks before the version": "GET /a.txt  HTTP/1.1",
    "a tab for a blank": "GET\t/a.txt\tHTTP/1.1",
    "a blank in the target": "GET /a .txt HTTP/1.1",
    "a blank at the end": "GET /a.txt HTTP/1.1 ",
    "a blank before the method": " GET /a.txt HTTP/1.1",
    "no method": "/a.txt HTTP/1.1",
    "nothing but a word": "GET",
    "no target": "GET HTTP/1.1",
    "a version in lower case": "GET /a.txt http/1.1",
    "another protocol": "GET /a.txt HTCPCP/1.1",
    "a version of two digits": "GET /a.txt HTTP/1.10",
    "a version with a zero before it": "GET /a.txt HTTP/01.1",
    "a version without a minor": "GET /a.txt HTTP/1",
    "a version with a sign": "GET /a.txt HTTP/+1.1",
    "a method with a colon": "GET: /a.txt HTTP/1.1",
    "NUL in the target": "GET /a\0.txt HTTP/1.1",
    "a bare CR in the line": "GET /a.txt\rHTTP/1.1",
    "HTTP/2.0": "GET /a.txt HTTP/2.0",
    "HTTP/3.0": "GET /a.txt HTTP/3.0",
    "HTTP/0.9 by name": "GET /a.txt HTTP/0.9",
}

LINES = [
    *[
        Row(15, "9112 3", "SHOULD", what, raw(line, "Host: test"),
            both(refused(400, 505, 501, 414), has("Date", ".*")))
        for what, line in BAD_LINES.items()
    ],
    Row(15, "9112 2.2", "SHOULD", "an empty line before the request", b"\r\n" + get(), served()),
    Row(15, "9110 2.5", "SHOULD", "HTTP/1.2", raw("GET /a.txt HTTP/1.2", "Host: test"),
        either(served(), refused(505))),
    Row(15, "9112 3", "MUST", "TLS to a plain port",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200, either(refused(400), nothing),
        ends=True),
    Row(15, "9113 3.4", "MUST", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        refused(400, 505), sentinel=False),
    Row(16, "9112 3", "SHOULD", "a target of 7,900 octets", get("/" + "a" * 7900),
        either(answered(404), refused(404))),
    Row(16, "9112 3", "MUST", "a target of 70,000 octets", get("/" + "a" * 70_000), refused(414, 400, 431)),
    Row(16, "9110 5.4", "MUST", "a field of 70,000 octets", get("/a.txt", "X-A: " + "a" * 70_000),
        refused(431, 400)),
    Row(16, "9110 5.4", "MUST", "a name of 70,000 octets", get("/a.txt", "a" * 70_000 + ": b"),
        refused(431, 400)),
    Row(16, "9110 5.4", "MUST", "10,000 fields", get("/a.txt", *["X-A: b"] * 10_000), refused(431, 400)),
    Row(16, "9110 5.4", "MUST", "50 fields", get("/a.txt", *["X-A: b"] * 50), served()),
    Row(16, "9112 3", "MUST", "a method without end", b"A" * 300_000,
        either(refused(400, 414, 501), nothing), sentinel=False, ends=True),
    Row(17, "9110 5.3", "MUST", "a head that breaks off", b"GET /a.txt HTTP/1.1\r\nHost: test\r\n",
        either(nothing, refused(400, 408)), sentinel=False, ends=True),
    Row(17, "9110 5.3", "MUST", "a head that breaks off in a field", b"GET /a.txt HTTP/1.1\r\nHost: te",
        either(nothing, refused(400, 408)), sentinel=False, ends=True),
    Row(17, "9110 5.3", "MUST", "a request line that breaks off", b"GET /a.txt HTTP/1.1",
        either(nothing, refused(400, 408)), sentinel=False, ends=True),
]

ROWS = [*BODIES, *LENGTHS, *CODINGS, *CHUNKED, *FIELDS, *HOST, *LINES]
