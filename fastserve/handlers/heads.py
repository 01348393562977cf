"""A request's head from any file object: for handlers whose rfile is none of ours, as in tests and recipes.

Knows the parser, and no handler. handlers.base calls it.
"""

from typing import Any

from fastserve._head import RequestHead
from fastserve._parser import RequestParser


def has_descriptor(rfile: Any) -> bool:
    """Whether a file object reads from the system, where a network client may be."""
    try:
        return isinstance(rfile.fileno(), int)
    except (AttributeError, OSError):
        return False


def with_crlf(line: bytes) -> bytes:
    """Return a line whose end is CRLF, where it has one."""
    return line[:-1].removesuffix(b"\r") + b"\r\n" if line.endswith(b"\n") else line


def read_head(rfile: Any, raw_requestline: bytes) -> RequestHead:
    """Read a head line by line from any file object, its request line given, and parse it.

    Such a head need not come from a network client (tests and recipes use BytesIO), so it may lack Host
    and its end may stand for the empty line. From memory its lines may end as http.server takes them.
    """
    parser = RequestParser(require_host=False)
    lines = [raw_requestline]
    while (
        lines[-1].endswith(b"\n") and lines[-1] not in (b"\r\n", b"\n") and len(lines) <= parser.max_headers
    ):
        lines.append(rfile.readline(parser.max_line + 1))
    data = b"".join(lines if has_descriptor(rfile) else map(with_crlf, lines))
    while not parser.feed(data):
        data += b"\r\n"  # ends the line that broke off, and then the head
    return parser.take(data)
