"""What handlers answer: statuses, headers, bodies with and without a length, exceptions."""

from .table import CLOSE, Case, Seen, both, closes, get, head, logs, old, one_answer, post, raises, says_close

TOO_SHORT = logs('"SHORT / HTTP/1.1" was answered with 5 bytes fewer than its Content-Length')
TOO_LONG = both(closes, logs('"LONG / HTTP/1.1" was answered with more bytes than its Content-Length'))

ENDLESS = logs('"UNENDED / HTTP/1.1" was answered with a head that does not end')


def answers_both(seen: Seen) -> Seen:
    """Without the octets that http.server sends behind the first head."""
    return seen._replace(replies=seen.replies[:1] * 2, stays=True, log=seen.log * 2)


def says_no_length(seen: Seen) -> Seen:
    first, *rest = seen.replies
    headers = [header for header in first.headers if header[0] != "Content-Length"]
    return seen._replace(replies=(first._replace(headers=headers), *rest))


STATUSES = (200, 201, 206, 299, 301, 304, 400, 404, 500, 599, 999)

STATUS_LINES = [
    *[Case(f"status {code}", "plain11", get(f"/{code}", method="STATUS")) for code in STATUSES],
    Case("status 204 with a length of none", "plain11", get("/204", method="STATUS") + get("/"), "GET GET")
    .differs("no-body", says_no_length),
    Case("204", "plain11", get("/204", method="BARE") + get("/"), "GET GET"),
    Case("304", "plain11", get("/304", method="BARE") + get("/"), "GET GET"),
    Case("a phrase of the handler's own", "plain11", get("/Fine", method="PHRASE")),
    Case("an empty phrase", "plain11", get("/", method="PHRASE")),
    Case("a phrase in latin-1", "plain11", get("/Sch\xf6n", method="PHRASE")),
    Case("a response without Server and Date", "plain11", get("/", method="ONLY")),
    Case("an interim response", "plain11", get("/", method="HINTS")),
    Case("two interim responses", "plain11", get("/", method="HINTSTWICE")),
]

HEADERS = [
    Case("many headers", "plain11", get("/", method="MANY")),
    Case("a hundred headers", "plain11", get("/", method="HUNDRED")),
    Case("a header of 100 KB", "plain11", get("/", method="WIDE")),
    Case("edited headers", "plain11", get("/", method="REORDER")),
    Case("headers that are thrown away", "plain11", get("/", method="STARTAGAIN")),
    Case("a header past latin-1", "plain11", get("/", method="EURO")),
    Case("a phrase past latin-1", "plain11", get("/", method="EUROPHRASE")),
    Case("a line end in a header", "plain11", get("/", method="INJECT"))
    .differs("header-injection", raises("ValueError")),
    Case("a line end in a phrase", "plain11", get("/a%0D%0AX-Other:%20b", method="PHRASE"))
    .differs("header-injection", raises("ValueError")),
    Case("a date of long ago", "plain11", get("/", method="DATES")),
]

BODIES = [
    Case("no length, HTTP/1.0", "plain", get("/", method="ENDLESS")),
    Case("no length, close", "plain11", get("/", CLOSE, method="ENDLESS")).says_close(),
    Case("no length, HTTP/1.0 on protocol_version HTTP/1.1", "plain11", old("/", method="ENDLESS"))
    .says_close(),
    Case("no length, keep-alive", "plain11", get("/", method="ENDLESS"))
    .differs("no-length", says_close, like=get("/", CLOSE, method="ENDLESS"), hangs=True),
    Case("no length and no body, keep-alive", "plain11", get("/200", method="BARE"))
    .differs("no-length", says_close, like=get("/200", CLOSE, method="BARE"), hangs=True),
    Case("no length, HEAD", "plain11", head("/", CLOSE), "HEAD").says_close(),
    Case("no length, a head flushed early", "plain11", get("/", method="EARLY"))
    .differs("no-length", says_close, like=get("/", CLOSE, method="EARLY"), hangs=True),
    Case("a head that ends by hand", "plain11", get("/", method="BYHAND") + get("/"), "GET GET"),
    Case("chunked by hand", "plain11", get("/", method="CHUNKED") + get("/"), "GET GET"),
    Case("chunked by hand on HTTP/1.0", "plain", get("/", method="CHUNKED")),
    Case("fewer bytes than declared", "plain11", get("/", method="SHORT"))
    .differs("wrong-length", TOO_SHORT, like=get("/", CLOSE, method="SHORT"), hangs=True),
    Case("more bytes than declared", "plain11", get("/", method="LONG")).differs("wrong-length", TOO_LONG),
    Case("more bytes than declared, and another request", "plain11", get("/", method="LONG") + get("/2"))
    .differs("wrong-length", TOO_LONG, like=get("/", method="LONG")),
    Case("a body to HEAD", "sloppy", head("/"), "HEAD"),
    Case("a body to HEAD, and another request", "sloppy", head("/") + head("/"), "HEAD HEAD")
    .differs("no-body", answers_both, like=head("/", CLOSE), hangs=True),
    Case("a body to HEAD on HTTP/1.0", "sloppy", head("/", CLOSE), "HEAD").says_close(),
    Case("a head and a body in pieces", "plain11", get("/", method="PIECES")),
    Case("a body of a thousand writes", "plain11", get("/", method="THOUSAND")),
    Case("a body of 3 MB", "plain11", get("/", method="MEGABYTES") + get("/"), "GET GET"),
    Case("an empty body, written", "plain11", get("/", method="NOTHING") + get("/"), "GET GET"),
    Case("a body by print", "plain11", get("/", method="PRINT")),
    Case("a body by copyfileobj", "plain11", get("/", method="COPY")),
    Case("buffered writes", "buffered", get("/1") + get("/", method="PIECES"), "GET GET"),
    Case("unbuffered reads", "unbuffered", post("/", b"a body") + get("/2"), "POST GET"),
    Case("what wfile says of itself", "plain11", get("/", method="WFILE")),
    Case("what rfile says of itself", "plain11", get("/", method="RFILE")),
]

FAULTS = [
    Case("an exception", "plain11", get("/", method="RAISE")),
    Case("an exception on HTTP/1.0", "plain", get("/", method="RAISE")),
    Case("an exception after the answer", "plain11", get("/", method="LATE")),
    Case("an exception after the head", "plain11", get("/", method="HALF")),
    Case("a handler that ends the program", "plain11", get("/", method="EXIT")),
    Case("a handler that times out", "plain11", get("/", method="TIMEOUT")),
    Case("a handler that answers nothing, close", "plain11", get("/", CLOSE, method="SILENT")),
    Case("a handler that answers nothing on HTTP/1.0", "plain", get("/", method="SILENT")),
    Case("a handler that answers nothing", "plain11", get("/", method="SILENT"), ""),
    Case("a head that nobody ends", "plain11", get("/", CLOSE, method="UNENDED"))
    .differs("wrong-length", ENDLESS),
    Case("an answer behind a head that nobody ended", "plain11",
         get("/", method="UNENDED") + get("/404", method="ERROR"), "GET")
    .differs("wrong-length", ENDLESS, like=get("/", CLOSE, method="UNENDED")),
    Case("two answers to one request", "plain11", get("/", method="TWO") + get("/"), "GET GET GET")
    .differs("wrong-length", one_answer("TWO", 2)),
]

CASES = [*STATUS_LINES, *HEADERS, *BODIES, *FAULTS]
