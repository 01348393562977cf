"""If-Modified-Since in all its forms, and the fields beside it."""

from .table import SAME_DAY, Case, bare, get, head, old, post


def since(date: str, *fields: str) -> bytes:
    return get("/hello.txt", f"If-Modified-Since: {date}", *fields)


CASES = [
    Case("not modified", "files11", get("/hello.txt", SAME_DAY)),
    Case("not modified, HTTP/1.0", "files", old("/hello.txt", SAME_DAY)),
    Case("not modified, HEAD", "files11", head("/hello.txt", SAME_DAY), "HEAD"),
    Case("modified since", "files11", since("Sun, 09 Sep 2001 01:46:39 GMT")),
    Case("modified since, HEAD", "files11",
         head("/hello.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT"), "HEAD"),
    Case("not modified since a later time", "files11", since("Mon, 10 Sep 2001 01:46:40 GMT")),
    Case("not modified since a time to come", "files11", since("Fri, 01 Jan 2100 00:00:00 GMT")),
    Case("the name in lower case", "files11",
         get("/hello.txt", "if-modified-since: Sun, 09 Sep 2001 01:46:40 GMT")),
    Case("two dates", "files11", get("/hello.txt", SAME_DAY, "If-Modified-Since: yesterday"))
    .differs("dates", like=get("/hello.txt")),
    Case("two dates, the first is none", "files11",
         get("/hello.txt", "If-Modified-Since: yesterday", SAME_DAY)),
    # -- Forms of a date -----------------------------------------------------------------------
    Case("a date in the old form", "files11", since("Sunday, 09-Sep-01 01:46:40 GMT")),
    Case("a date in the old form that is earlier", "files11", since("Sunday, 09-Sep-01 01:46:39 GMT")),
    Case("a date in the old form, of 1970", "files11", since("Thursday, 01-Jan-70 00:00:00 GMT"))
    .differs("dates", like=get("/hello.txt", SAME_DAY)),
    Case("a date in the old form, of 1968 or 2068", "files11", since("Sunday, 01-Jan-68 00:00:00 GMT")),
    Case("a date in asctime's form", "files11", since("Sun Sep  9 01:46:40 2001")),
    Case("a date in asctime's form that is earlier", "files11", since("Sun Sep  9 01:46:39 2001")),
    Case("a date without a zone", "files11", since("Sun, 09 Sep 2001 01:46:40"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date without seconds", "files11", since("Sun, 09 Sep 2001 01:47 GMT"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date without a day of the week", "files11", since("09 Sep 2001 01:46:40 GMT"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date with another day of the week", "files11", since("Mon, 09 Sep 2001 01:46:40 GMT")),
    Case("a date with one digit for the day", "files11", since("Sun, 9 Sep 2001 01:46:40 GMT"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date in lower case", "files11", since("sun, 09 sep 2001 01:46:40 gmt"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date with a length behind it", "files11", since("Sun, 09 Sep 2001 01:46:40 GMT; length=6"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date with a comment", "files11", since("Sun, 09 Sep 2001 01:46:40 GMT (then)"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date in numbers", "files11", since("2001-09-09T01:46:40Z")),
    Case("a date in seconds", "files11", since("1000000000")),
    Case("a date with a leap second", "files11", since("Fri, 31 Dec 2100 23:59:60 GMT"))
    .differs("dates", like=get("/hello.txt", SAME_DAY)),
    Case("a date that is none", "files11", since("yesterday")),
    Case("a date of one word", "files11", since("x")),
    Case("an empty date", "files11", since("")),
    Case("a date out of range", "files11", since("Sun, 99 Sep 2001 99:46:40 GMT")),
    Case("a date before 1970", "files11", since("Wed, 31 Dec 1969 23:59:59 GMT")),
    Case("a date of the year 1", "files11", since("Mon, 01 Jan 0001 00:00:00 GMT")),
    Case("a date of the year 0", "files11", since("Mon, 01 Jan 0000 00:00:00 GMT")),
    Case("a date of the year 9999", "files11", since("Fri, 31 Dec 9999 23:59:59 GMT")),
    Case("a date of the year 10000", "files11", since("Sat, 01 Jan 10000 00:00:00 GMT")),
    Case("a date of a year of many digits", "files11", since("Sat, 01 Jan " + "9" * 30 + " 00:00:00 GMT")),
    Case("a date of latin-1", "files11", since("Sun, 09 Sep\xe4 2001 01:46:40 GMT")),
    # -- Zones ---------------------------------------------------------------------------------
    Case("a date in UTC", "files11", since("Sun, 09 Sep 2001 01:46:40 UTC"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date at +0000", "files11", since("Sun, 09 Sep 2001 01:46:40 +0000"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date at -0000", "files11", since("Sun, 09 Sep 2001 01:46:40 -0000"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date in a zone that nobody knows", "files11", since("Sun, 09 Sep 2001 01:46:40 XYZ"))
    .differs("dates", like=get("/hello.txt")),
    Case("a date in another zone", "files11", since("Sat, 08 Sep 2001 20:46:40 -0500")),
    Case("a date in a zone with a name", "files11", since("Sat, 08 Sep 2001 20:46:40 EST")),
    Case("a date in another zone that is earlier", "files11", since("Sat, 08 Sep 2001 20:46:39 -0500")),
    # -- Beside it -----------------------------------------------------------------------------
    Case("If-None-Match beside a date", "files11", get("/hello.txt", SAME_DAY, 'If-None-Match: "x"')),
    Case("an empty If-None-Match beside a date", "files11", get("/hello.txt", SAME_DAY, "If-None-Match:")),
    Case("If-None-Match alone", "files11", get("/hello.txt", "If-None-Match: *"))
    .differs("validators", like=get("/hello.txt", SAME_DAY)),
    Case("If-None-Match with other tags", "files11", get("/hello.txt", 'If-None-Match: "x", W/"y"')),
    Case("If-Match", "files11", get("/hello.txt", 'If-Match: "x"'))
    .differs("validators", bare(412, ("Content-Length", "0"))),
    Case("If-Match with any", "files11", get("/hello.txt", "If-Match: *")),
    Case("If-Unmodified-Since", "files11",
         get("/hello.txt", "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"))
    .differs("validators", bare(412, ("Content-Length", "0"))),
    Case("If-Unmodified-Since that is met", "files11",
         get("/hello.txt", "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT")),
    Case("a date and no-cache", "files11", get("/hello.txt", SAME_DAY, "Cache-Control: no-cache")),
    Case("a date and a range", "files11", get("/hello.txt", SAME_DAY, "Range: bytes=0-1")),
    # -- For something else --------------------------------------------------------------------
    Case("a date for an index page", "files11", get("/index/", SAME_DAY)),
    Case("a date for a listing", "files11", get("/list/", SAME_DAY)),
    Case("a date for a redirect", "files11", get("/list", SAME_DAY)),
    Case("a date for a file that is not there", "files11", get("/nothing", SAME_DAY)),
    Case("a date and POST", "files11", post("/hello.txt", b"", SAME_DAY)),
]
