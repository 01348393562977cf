"""When a connection goes on and when it ends, and what a server may send on it (behaviours 18 to 29)."""

from .rows import (
    BODY,
    DATE,
    IMF_FIXDATE,
    SENTINEL,
    Row,
    answered,
    both,
    either,
    get,
    has,
    lacks,
    nothing,
    on,
    over,
    raw,
    refused,
    served,
    served_last,
    silent_on,
    status,
    statuses,
)

FILE = b"file"

PIPELINES = [
    Row(18, "9112 9.3.2", "MUST", "a pipeline in order", get() + get("/dir/file.txt") + get(),
        served(BODY, FILE, BODY), "GET GET GET"),
    Row(18, "9112 9.3.2", "MUST", "a pipeline of 100", get() * 100, served(*[BODY] * 100), "GET " * 100),
    Row(18, "9112 9.3.2", "MUST", "a pipeline with HEAD", get(method="HEAD") + get(), served(b"", BODY),
        "HEAD GET"),
    Row(21, "9112 9.6", "MUST", "a pipeline with an error in the middle",
        get() + raw("GET /a.txt HTTP/1.1", "Host: a", "Host: b") + get("/dir/file.txt"),
        both(over, statuses([200, 400], [200])), "GET GET GET"),
    Row(21, "9112 9.6", "MUST", "an error behind a large answer", get("/big") + raw("GET", "x"),
        both(over, statuses([200, 400], [200]), lambda talk: len(talk.replies[0].body) == 3_000_000),
        "GET GET"),
    Row(21, "9112 9.6", "SHOULD", "an error, and 200 kB behind it", raw("GET /a.txt", "x") + b"x" * 200_000,
        refused(400), sentinel=False),
]

CLOSING = [
    *[
        Row(19, "9112 9.6", "MUST", f"Connection: {value}", get("/a.txt", f"Connection: {value}"),
            both(served_last(), either(has("Connection", "(?i).*close.*"), lambda talk: not talk.keeps)))
        for value in (
            "close",
            "Close",
            "CLOSE",
            "close, x",
            "x, close",
            "x,close ,y",
            "keep-alive, close",
            "close,",
            "\tclose\t",
        )
    ],
    Row(19, "9112 9.6", "MUST", "two lines of Connection",
        get("/a.txt", "Connection: x", "Connection: close"), served_last()),
    Row(19, "9112 9.6", "MUST", "close and then keep-alive",
        get("/a.txt", "Connection: close", "Connection: keep-alive"), served_last()),
    *[
        Row(19, "9110 7.6.1", "SHOULD", f"Connection: {value} does not close",
            get("/a.txt", f"Connection: {value}"), served())
        for value in ("x", "keep-alive", "closed", "not-close", "", "upgrade")
    ],
    Row(19, "9112 9.6", "MUST", "nothing behind close is answered",
        get("/a.txt", "Connection: close") + get(),
        lambda talk: [each.body for each in talk.replies] == [BODY] and talk.is_over),
    Row(20, "9112 9.3", "MUST", "HTTP/1.0 closes", get(version="1.0"), served_last()),
    Row(20, "9112 9.3", "SHOULD", "HTTP/1.0 with keep-alive",
        get("/a.txt", "Connection: keep-alive", version="1.0"),
        either(served_last(), both(served(), has("Connection", "(?i)keep-alive")))),
    Row(20, "9112 6.1", "MUST", "nothing is chunked for HTTP/1.0", get("/list/", version="1.0"),
        lacks("Transfer-Encoding")),
    Row(20, "9112 9.3", "MUST", "HTTP/1.0 with close", get("/a.txt", "Connection: close", version="1.0"),
        served_last()),
    Row(22, "9112 9.6", "SHOULD", "a client that has sent all is answered", get(), served_last(),
        sentinel=False, ends=True),
    Row(22, "9112 9.6", "SHOULD", "a client that has sent all gets a large answer", get("/big"),
        lambda talk: talk.is_over and len(talk.last.body) == 3_000_000, sentinel=False, ends=True),
    Row(22, "9112 8", "CVE-2022-41556", "a client that leaves in its body",
        get("/a.txt", "Content-Length: 50", body=b"x"), either(nothing, refused(400, 408), served_last()),
        sentinel=False, ends=True),
    Row(22, "9112 9.6", "MUST", "a client that sends nothing", b"", nothing, sentinel=False, ends=True),
    Row(23, "9110 10.1.1", "MUST", "Expect in HTTP/1.0 is ignored",
        get("/a.txt", "Expect: 100-continue", "Content-Length: 0", version="1.0"),
        either(served_last(), refused(400))),
    Row(23, "9110 10.1.1", "MUST", "Expect without a body", get("/a.txt", "Expect: 100-continue"),
        either(served(), served_last(), both(on, statuses([100, 200]))), "GET GET"),
    Row(23, "9110 10.1.1", "MUST", "Expect and a body that comes at once",
        get("/a.txt", "Expect: 100-continue", "Content-Length: 5", body=b"hello"),
        both(either(on, over), statuses([200], [100, 200], [400], [417])), "GET GET"),
    Row(23, "9110 10.1.1", "MAY", "an expectation that nobody knows", get("/a.txt", "Expect: more"),
        either(served(), answered(417), refused(417))),
]

ANSWERS = [
    *[
        Row(25, "9110 9.3.2", "MUST", f"HEAD of {what} has no body", get(target, method="HEAD"),
            both(either(on, over), status(code)), "HEAD")
        for what, target, code in (
            ("a file", "/a.txt", 200),
            ("an empty file", "/empty", 200),
            ("nothing", "/none", 404),
            ("a folder without its slash", "/dir", 301),
            ("a listing", "/list/", 200),
        )
    ],
    Row(25, "9110 9.3.2", "SHOULD", "HEAD has the length of GET", get(method="HEAD"),
        has("Content-Length", "10"), "HEAD"),
    Row(26, "9110 15.4.5", "MUST", "a 304 has no body", get("/a.txt", f"If-Modified-Since: {DATE}"),
        served(b"", status=304)),
    Row(26, "9110 8.6", "MUST", "a 304 has no other length", get("/a.txt", f"If-Modified-Since: {DATE}"),
        both(status(304), lambda talk: talk.last.get("Content-Length") in (None, "10"))),
    Row(26, "9110 8.6", "MUST", "an empty file", get("/empty"),
        both(served(b""), has("Content-Length", "0"))),
    *[
        Row(27, "9110 6.6.1", "MUST", f"Date in a {code}", get(target, *fields),
            both(status(code), has("Date", IMF_FIXDATE)))
        for code, target, fields in (
            (200, "/a.txt", ()),
            (301, "/dir", ()),
            (404, "/none", ()),
            (304, "/a.txt", (f"If-Modified-Since: {DATE}",)),
        )
    ],
    Row(27, "9110 6.6.1", "MUST", "Date in a 400", raw("GET /a.txt HTTP/1.1"),
        both(refused(), has("Date", IMF_FIXDATE))),
    Row(27, "9110 8.8.2", "SHOULD", "Last-Modified of a file", get(), has("Last-Modified", DATE)),
    Row(27, "9110 8.8.2.1", "MUST", "Last-Modified is not later than Date", get("/future"),
        both(status(200), lambda talk: talk.last.get("Last-Modified") in (None, talk.last.get("Date")))),
    *[
        Row(29, "9110 15.5.6", "MUST", f"{method} is refused, and a 405 says what is allowed",
            get(method=method, target="/a.txt"),
            either(status(400, 403, 404, 501), both(status(405), has("Allow", ".+"))), method)
        for method in ("PUT", "DELETE", "POST", "PATCH")
    ],
    Row(29, "9110 9.1", "SHOULD", "an unknown method is 501", get(method="BREW"),
        either(answered(501), refused(501)), "BREW"),
    Row(29, "9110 9.1", "MUST", "methods are case-sensitive", get(method="get"),
        status(400, 405, 501), "get"),
    Row(29, "9110 9.3.6", "MUST", "CONNECT is refused", raw("CONNECT test:443 HTTP/1.1", "Host: test:443"),
        lambda talk: talk.last.status >= 400, "CONNECT"),
    Row(29, "9110 9.3.8", "MUST", "TRACE sends no fields back", get("/", "X-Secret: sesame", method="TRACE"),
        silent_on(b"sesame"), "TRACE"),
    Row(29, "9112 3.2.4", "MUST", "OPTIONS *", raw("OPTIONS * HTTP/1.1", "Host: test"),
        lambda talk: talk.last.status in (200, 204, 400, 403, 405, 501) and not talk.rest, "OPTIONS"),
]

ROWS = [*PIPELINES, *CLOSING, *ANSWERS]
assert SENTINEL
