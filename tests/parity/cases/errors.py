"""send_error() with every class of status, and with odd messages."""

from .table import CLOSE, KEEP_ALIVE, Case, Change, Seen, escaped, get, head, old, one_answer

# Every class, with and without a phrase of its own, and all that have no body.
CODES = (200, 204, 205, 206, 299, 301, 304, 399, 400, 401, 404, 405, 408, 413, 414, 416, 418, 431, 451, 499,
         500, 501, 503, 505, 599, 600, 999)


def say(*arguments: object) -> bytes:
    """A request for send_error() with these, percent-encoded; a hyphen stands for None."""
    return get("/" + "/".join(map(str, arguments)), method="SAY")


def worded(message: str, reason: str) -> Change:
    """``message`` on the page and in the log, where the status line has ``reason``."""

    def change(seen: Seen) -> Seen:
        (reply,) = seen.replies
        body = reply.body.replace(reason.encode(), message.replace("\r\n", "\n").encode())
        log = seen.log[0].replace(escaped(reason), escaped(message)), *seen.log[1:]
        return seen._replace(replies=(reply._replace(body=body),), log=log)

    return change


STATUSES = [
    *[Case(f"error {code}", "plain11", get(f"/{code}", method="ERROR")) for code in CODES],
    Case("error 404 on HTTP/1.0", "plain", get("/404", method="ERROR")),
    Case("error 404 to HTTP/1.0", "plain11", old("/404", method="ERROR")),
    Case("error 404 to HTTP/1.0 with keep-alive", "plain11", old("/404", KEEP_ALIVE, method="ERROR")),
    Case("error 404 with close", "plain11", get("/404", CLOSE, method="ERROR")),
    Case("error 404 to HEAD", "failing", head("/404"), "HEAD"),
    Case("error 204 to HEAD", "failing", head("/204"), "HEAD"),
    Case("error 404 by its name", "plain11", get("/NOT_FOUND", method="NAMED")),
    Case("error 204 by its name", "plain11", get("/NO_CONTENT", method="NAMED")),
    Case("an error with an interim status", "plain11", get("/102", method="ERROR")),
    Case("an error with a status of two digits", "plain11", get("/42", method="ERROR")),
    Case("an error with a status of four digits", "plain11", get("/1000", method="ERROR")),
]

WORDS = [
    Case("an error in other words", "plain11", get("/", method="WORDS")),
    Case("an error with a message", "plain11", say(404, "Gone%20fishing")),
    Case("an error with an explanation", "plain11", say(404, "-", "It%20was%20here%20yesterday")),
    Case("an error with an empty message", "plain11", say(404, "")),
    Case("an error with an empty explanation", "plain11", say(404, "-", "")),
    Case("an error with neither", "plain11", say(404, "", "")),
    Case("an error without a phrase and with a message", "plain11", say(599, "Own")),
    Case("an error with markup", "plain11",
         say(404, "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%26lt;%20%3Cb%3E")),
    Case("an error with quotes", "plain11", say(404, "%22'", "'%22")),
    Case("an error with percent signs", "plain11", say(404, "100%25%20%25s", "%25(code)d%20%25")),
    Case("an error with braces", "plain11", say(404, "%7Bcode%7D")),
    Case("an error with a backslash", "plain11", say(404, "a%5Cb")),
    Case("an error with latin-1", "plain11", say(404, "Sch%C3%B6n")),
    Case("an error with a no-break space", "plain11", say(404, "a%C2%A0b")),
    Case("an error with a message of 5000 letters", "plain11", say(404, "m" * 5000)),
    Case("an error with an explanation of 100 lines", "plain11", say(404, "-", "line%0a" * 100)),
    Case("an error with an explanation past latin-1", "plain11", say(404, "-", "%E2%82%AC")),
    Case("an error with a lone surrogate in its explanation", "surrogate", get("/")),
    Case("204 with a message", "plain11", say(204, "Nothing", "at%20all")),
    Case("an error past latin-1", "plain11", say(404, "5%20%E2%82%AC"))
    .differs("error-reason", worded("5 \u20ac", "5 ?"), like=say(404, "5%20%3F")),
    Case("an error of another plane", "plain11", say(404, "%F0%9F%98%80"))
    .differs("error-reason", worded("\U0001f600", "?"), like=say(404, "%3F")),
    Case("an error with a line end", "plain11", say(404, "one%0atwo"))
    .differs("error-reason", worded("one\ntwo", "one\\x0atwo"), like=say(404, "one%5Cx0atwo")),
    Case("an error with a header inside", "plain11", say(404, "a%0d%0aX-Other:%20b"))
    .differs("error-reason", worded("a\r\nX-Other: b", "a\\x0d\\x0aX-Other: b"),
             like=say(404, "a%5Cx0d%5Cx0aX-Other:%20b")),
    Case("an error with a tab", "plain11", say(404, "a%09b"))
    .differs("error-reason", worded("a\tb", "a\\x09b"), like=say(404, "a%5Cx09b")),
    Case("an error with ESC", "plain11", say(404, "a%1b[31mb"))
    .differs("error-reason", worded("a\x1b[31mb", "a\\x1b[31mb"), like=say(404, "a%5Cx1b[31mb")),
]

PLACES = [
    Case("two errors for one request", "plain11", get("/", method="ERRORTWICE"), "GET GET")
    .differs("wrong-length", one_answer("ERRORTWICE", 4)),
    Case("an error behind a head that was begun", "plain11", get("/", method="ERRORLATE")),
    Case("an error page of the class's own", "own page", get("/", method="WORDS")),
    Case("an error page of the class's own for too many headers", "own page", get("/", *["X: x"] * 99)),
    Case("responses of the class's own", "own responses", get("/404", method="ERROR")),
    Case("responses of the class's own, without the code", "own responses", get("/500", method="ERROR")),
    Case("responses of the class's own, no error", "own responses", get("/")),
]

CASES = [*STATUSES, *WORDS, *PLACES]
