"""What is logged, whatever it is made of."""

from .table import Case, get

CASES = [
    Case("what is logged", "plain11", get('/a"b\\c', method="LOG")),
    Case("what is logged of latin-1", "plain11", get("/\xe4\xff")),
    Case("what is logged of C1 control characters", "plain11", get("/\x9b31m")),
    Case("what is logged of percent signs", "plain11", get("/%s%d%(key)s%")),
    Case("what is logged of encoded control characters", "plain11", get("/%1b[31m%0d%0a")),
    Case("what is logged of quotes", "plain11", get('/"%22\'')),
    Case("what is logged of backslashes", "plain11", get("/\\x1b\\\\")),
    Case("what is logged of 60000 letters", "plain11", get("/" + "l" * 60000)),
    Case("what is logged of a missing file with markup", "files11", get("/<b>%3Cb%3E")),
    Case("ESC in a message", "plain11", get("/%1b[31mred%1b[0m", method="LOGTEXT")),
    Case("line ends in a message", "plain11", get("/one%0d%0atwo%0athree", method="LOGTEXT")),
    Case("a NUL in a message", "plain11", get("/%00", method="LOGTEXT")),
    Case("DEL and C1 control characters in a message", "plain11",
         get("/%7f%C2%80%C2%9f%C2%A0", method="LOGTEXT")),
    Case("backslashes in a message", "plain11", get("/%5cx1b%5c%5c", method="LOGTEXT")),
    Case("UTF-8 in a message", "plain11", get("/%E2%82%AC%F0%9F%98%80", method="LOGTEXT")),
    Case("line separators in a message", "plain11", get("/a%E2%80%A8b%E2%80%AEc", method="LOGTEXT")),
    Case("messages without arguments, and of other types", "plain11", get("/", method="LOGALONE")),
    Case("a log of the class's own", "own log", get("/") + get("/404", method="ERROR"), "GET GET"),
    Case("an address of the class's own", "anonymous", get("/")),
]
