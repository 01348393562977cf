"""Conditions, ranges, and which file a target names (behaviours 30 to 40)."""

from .rows import (
    BODY,
    DATE,
    EARLIER,
    LATER,
    Row,
    answered,
    both,
    either,
    get,
    has,
    lacks,
    never,
    on,
    raw,
    refused,
    served,
    silent_on,
    status,
)

SIZE = len(BODY)
NOT_MODIFIED = served(b"", status=304)
FAILED = either(answered(412), refused(412))
WHOLE = served()
RFC850, ASCTIME = "Sunday, 09-Sep-01 01:46:40 GMT", "Sun Sep  9 01:46:40 2001"


def since(value: str) -> bytes:
    return get("/a.txt", f"If-Modified-Since: {value}")


CONDITIONS = [
    *[
        Row(30, "9110 5.6.7", "MUST", f"If-Modified-Since as {what}", since(value), NOT_MODIFIED)
        for what, value in (("IMF-fixdate", DATE), ("rfc850-date", RFC850), ("asctime-date", ASCTIME))
    ],
    Row(30, "9110 13.1.3", "SHOULD", "a later date", since(LATER), NOT_MODIFIED),
    Row(30, "9110 13.1.3", "MUST", "an earlier date", since(EARLIER), WHOLE),
    Row(30, "9110 5.6.7", "MUST", "a year of two digits, over 50 years ahead",
        since("Sunday, 06-Nov-94 08:49:37 GMT"), WHOLE),
    *[
        Row(30, "9110 13.1.3", "MUST", f"an invalid date: {value}", since(value), WHOLE)
        for value in (
            "yesterday",
            "1000000000",
            "Sun, 99 Sep 2001 01:46:40 GMT",
            "",
            "2099-01-01T00:00:00Z",
            "Sun, 09 Sep 2001 01:46:40",
        )
    ],
    Row(30, "9110 13.1.4", "MUST", "an invalid If-Unmodified-Since is ignored",
        get("/a.txt", "If-Unmodified-Since: x"), WHOLE),
    Row(30, "9110 13.1.3", "MUST", "If-Modified-Since with another method is ignored",
        get("/a.txt", f"If-Modified-Since: {DATE}", method="DELETE"), lambda talk: talk.last.status >= 400,
        "DELETE"),
    Row(31, "9110 13.1.2", "MUST", "If-None-Match: *", get("/a.txt", "If-None-Match: *"), NOT_MODIFIED),
    Row(31, "9110 13.1.2", "MUST", "If-None-Match with another tag", get("/a.txt", 'If-None-Match: "x"'),
        WHOLE),
    Row(31, "9110 13.1.3", "MUST", "If-None-Match overrides If-Modified-Since",
        get("/a.txt", 'If-None-Match: "x"', f"If-Modified-Since: {DATE}"), WHOLE),
    Row(31, "9110 13.1.2", "MUST", "If-None-Match with part of a tag", get("/a.txt", 'If-None-Match: "'),
        WHOLE),
    Row(32, "9110 13.1.1", "MUST", "If-Match with another tag", get("/a.txt", 'If-Match: "x"'), FAILED),
    Row(32, "9110 13.1.1", "MUST", "If-Match: *", get("/a.txt", "If-Match: *"), WHOLE),
    Row(32, "9110 13.1.4", "MUST", "If-Unmodified-Since, and it was",
        get("/a.txt", f"If-Unmodified-Since: {EARLIER}"), FAILED),
    Row(32, "9110 13.1.4", "MUST", "If-Unmodified-Since, and it was not",
        get("/a.txt", f"If-Unmodified-Since: {DATE}"), WHOLE),
    Row(32, "9110 13.1.4", "MUST", "If-Match overrides If-Unmodified-Since",
        get("/a.txt", "If-Match: *", f"If-Unmodified-Since: {EARLIER}"), WHOLE),
    Row(32, "9110 13.2.2", "MUST", "412 comes before 304",
        get("/a.txt", 'If-Match: "x"', f"If-Modified-Since: {DATE}"), FAILED),
    Row(32, "9110 13.2.1", "MUST", "no condition is looked at for what is not there",
        get("/none", "If-None-Match: *"), either(answered(404), refused(404))),
    Row(33, "9110 8.8.3", "SHOULD", "an entity tag", get(), has("ETag", r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')),
]


def part(start: int, stop: int) -> object:
    return both(
        served(BODY[start:stop], status=206),
        has("Content-Range", f"bytes {start}-{stop - 1}/{SIZE}"),
        has("Content-Length", str(stop - start)),
    )


def ranged(value: str, *fields: str) -> bytes:
    return get("/a.txt", f"Range: {value}", *fields)


UNSATISFIABLE = either(
    *[both(judge(416), has("Content-Range", rf"bytes \*/{SIZE}")) for judge in (answered, refused)]
)
MULTIPART = both(
    on, status(206),
    has("Content-Type", "multipart/byteranges; ?boundary=.+"),
    lacks("Content-Range"),
)

RANGES = [
    *[
        Row(34, "9110 14.1.2", "MUST", f"a range {value}", ranged(f"bytes={value}"),
            either(part(start, stop), WHOLE))
        for value, start, stop in (
            ("0-0", 0, 1),
            ("0-4", 0, 5),
            ("5-", 5, 10),
            ("9-9", 9, 10),
            ("-1", 9, 10),
            ("-10", 0, 10),
            ("-99", 0, 10),
            ("0-99", 0, 10),
            ("9-99", 9, 10),
        )
    ],
    *[
        Row(34, "9110 14.1.2", "SHOULD", f"a range {value}", ranged(f"bytes={value}"),
            either(part(0, 10), WHOLE))
        for value in (f"0-{2**64}", f"-{2**64}", "0-" + "9" * 100)
    ],
    Row(34, "9110 14.2", "SHOULD", "ranges are answered", ranged("bytes=2-4"), part(2, 5)),
    Row(34, "9110 14.3", "SHOULD", "Accept-Ranges", get(), has("Accept-Ranges", "bytes")),
    Row(34, "CVE-2017-7529", "CVE-2017-7529", "ranges whose lengths overflow",
        ranged(f"bytes=-{2**63 - 10},-{2**63 - 10}"), either(part(0, 10), WHOLE, UNSATISFIABLE)),
    Row(34, "9110 14.2", "MUST", "a range and HEAD", get("/a.txt", "Range: bytes=0-4", method="HEAD"),
        served(b""), "HEAD"),
    *[
        Row(35, "9110 15.5.17", "SHOULD", f"nothing is there: {value}", ranged(f"bytes={value}"),
            either(UNSATISFIABLE, WHOLE))
        for value in ("10-", "10-20", "-0", f"{2**64}-")
    ],
    *[
        Row(35, "9110 14.2", "MUST", f"ignored: {value!r}", ranged(value),
            either(WHOLE, UNSATISFIABLE) if "=" in value and value.startswith("bytes") else WHOLE)
        for value in (
            "lines=0-4",
            "x=0-4",
            "bytes",
            "bytes=",
            "bytes=x",
            "bytes=4-0",
            "bytes=--1",
            "bytes=0-4-5",
            "0-4",
            "bytes=+0-4",
            "bytes:0-4",
        )
    ],
    Row(36, "9110 15.3.7.2", "MUST", "two ranges", get("/big", "Range: bytes=0-9,1000-1009"),
        either(MULTIPART, status(200))),
    Row(36, "9110 15.3.7.2", "MUST", "a single range is no multipart", ranged("bytes=2-4"),
        either(part(2, 5), WHOLE)),
    Row(36, "CVE-2011-3192", "CVE-2011-3192", "1,000 ranges that overlap",
        get("/big", "Range: bytes=" + ",".join(["0-"] * 1000)),
        lambda talk: talk.goes_on and len(talk.last.body) <= 3_100_000),
    Row(36, "CVE-2025-62727", "CVE-2025-62727", "a list of 60 kB",
        get("/big", "Range: bytes=" + "0-1," * 15_000),
        lambda talk: (talk.goes_on or talk.is_over) and len(talk.last.body) <= 3_100_000),
    *[
        Row(37, "9110 13.1.5", "MUST", f"If-Range: {value}", ranged("bytes=2-4", f"If-Range: {value}"),
            WHOLE)
        for value in ('"x"', 'W/"x"', EARLIER, LATER, "x")
    ],
    Row(37, "9110 13.1.5", "SHOULD", "If-Range with the date", ranged("bytes=2-4", f"If-Range: {DATE}"),
        either(part(2, 5), WHOLE)),
    Row(37, "9110 13.2.2", "MUST", "304 comes before a range",
        ranged("bytes=2-4", f"If-Modified-Since: {DATE}"), NOT_MODIFIED),
    Row(37, "9110 13.2.2", "MUST", "412 comes before a range", ranged("bytes=2-4", 'If-Match: "x"'), FAILED),
    Row(37, "9110 14.2", "MUST", "If-Range without Range", get("/a.txt", 'If-Range: "x"'), WHOLE),
]

NOT_FOUND = either(*[judge(400, 403, 404) for judge in (answered, refused)])

PATHS = [
    *[
        Row(38, "CWE-22", "CVE-2024-23334", f"no way out: {target}", get(target),
            both(either(NOT_FOUND, answered(200, 301), refused(200, 301)), silent_on(b"secret")))
        for target in (
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/%2e%2e%2fsecret",
            "/dir/../../secret",
            "/..%5csecret",
            "/%c0%ae%c0%ae/secret",
            "/%252e%252e/secret",
            "/..%00/secret",
            "//../secret",
            "/.%2e/%2e./secret",
            "/dir/..%2f..%2fsecret",
            "/%e0%80%ae%e0%80%ae%e0%80%af/secret",
        )
    ],
    Row(38, "CWE-22", "CVE-2023-29159", "a folder with the same beginning", get("/../site-evil/secret"),
        both(NOT_FOUND, silent_on(b"secret"))),
    Row(38, "3986 2.4", "MUST", "decoding comes once", get("/%2561.txt"), NOT_FOUND),
    Row(38, "3986 2.3", "MUST", "any letter may be encoded", get("/%61%2etxt"), WHOLE),
    Row(38, "CWE-158", "MUST", "NUL in a path", get("/a.txt%00.html"), NOT_FOUND),
    Row(38, "9110 15.5.5", "SHOULD", "a name of 300 octets", get("/" + "a" * 300),
        either(answered(404), refused(404))),
    Row(38, "9110 15.5.5", "SHOULD", "a file taken for a folder", get("/a.txt/b"),
        either(answered(404), refused(404))),
    Row(38, "9110 15.5.5", "SHOULD", "a file with a slash behind it", get("/a.txt/"),
        either(answered(404), refused(404))),
    Row(38, "9110 15.5.5", "SHOULD", "a link in a circle", get("/round"),
        either(*[judge(403, 404) for judge in (answered, refused)])),
    Row(38, "3986 2.5", "SHOULD", "a name that is no UTF-8", get("/%ff.txt"), served(b"octets")),
    Row(39, "9110 15.4.2", "SHOULD", "a folder without its slash", get("/dir"),
        both(status(301), has("Location", r"(http://test(:\d+)?)?/dir/"))),
    Row(39, "9110 15.4.2", "SHOULD", "and with a query", get("/dir?a=b&c"),
        both(status(301), has("Location", r"(http://test(:\d+)?)?/dir/\?a=b&c"))),
    Row(39, "CWE-113", "MUST", "an encoded line end in a redirect", get("/dir%0d%0aX-Evil:%20yes"),
        lacks("X-Evil")),
    *[
        Row(39, "CVE-2021-28861", "CVE-2021-28861", f"no other host: {target}", get(target),
            never(has("Location", r"(//|/?\\|http://evil).*")))
        for target in (
            "//evil/..%2fdir",
            "//evil/%2e%2e/dir",
            "/\\evil/..%2fdir",
            "//dir",
            "///dir",
            "/\\dir",
            "//evil//dir/..",
        )
    ],
    Row(39, "9112 3.2.2", "MUST", "absolute-form", get("http://test/a.txt"), WHOLE),
    Row(39, "9112 3.2.2", "MUST", "absolute-form in any case", get("HTTP://test/a.txt"), WHOLE),
    Row(39, "9112 3.2.2", "MUST", "absolute-form without a path", get("http://test"),
        status(200, 403)),
    Row(39, "9112 3.2", "MUST", "absolute-form beside no Host", raw("GET http://test/a.txt HTTP/1.1"),
        refused()),
    Row(39, "CWE-79", "MUST", "nothing is echoed unescaped", get("/<script>alert(1)</script>"),
        silent_on(b"<script>alert")),
    *[
        Row(40, "merecat #2", "MUST", f"{what} is not sent", get(target),
            NOT_FOUND)
        for what, target in (("a FIFO", "/fifo"), ("a device", "/null"), ("a link to nowhere", "/nowhere"))
    ],
]

ROWS = [*CONDITIONS, *RANGES, *PATHS]
