"""The one table from the parser's rejection codes to the answers a client gets.

A code is an index into REJECTIONS; the same names stand in _parser.pxd, in the same order, and a test
holds the two together. Status and text are http.server's where it has them. Knows no I/O.
"""

from typing import Final, NamedTuple


class Rejection(NamedTuple):
    """What is answered to a request that is refused before any do_* method runs.

    ``message`` may name ``%(requestline)r`` and ``%(version)s``; ``explain`` is the longer text of
    the error page where http.server gives one, None for the status code's own. Not more often: there are
    overrides of send_error() that take a code and a message.
    """

    name: str
    status: int
    message: str
    explain: str | None = None


REJECTIONS: Final = (
    Rejection("NONE", 0, ""),
    # The request line (RFC 9112 section 3).
    Rejection("BAD_REQUEST_LINE", 400, "Bad request syntax (%(requestline)r)"),
    Rejection("BAD_VERSION", 400, "Bad request version (%(version)r)"),
    Rejection("UNSUPPORTED_VERSION", 505, "Invalid HTTP version (%(version)s)"),
    Rejection("REQUEST_LINE_TOO_LONG", 414, ""),
    # The header section (RFC 9112 section 5).
    Rejection("BAD_LINE_END", 400, "Bad line end: bare CR, LF or NUL in the head"),
    Rejection("BAD_HEADER_NAME", 400, "Bad header name: a line must be name:value"),
    Rejection("BAD_HEADER_VALUE", 400, "Bad header value: control character in it"),
    Rejection("FOLDED_HEADER", 400, "Folded header line: it starts with a space"),
    Rejection("HEADER_LINE_TOO_LONG", 431, "Line too long",
              "got more than 65536 bytes when reading header line"),
    Rejection("TOO_MANY_HEADERS", 431, "Too many headers", "got more than 100 headers"),
    Rejection("HEAD_TOO_LONG", 431, "Request head too long"),
    # Host and framing (RFC 9112 sections 3.2 and 6).
    Rejection("MISSING_HOST", 400, "Missing Host header"),
    Rejection("BAD_HOST", 400, "Bad Host header"),
    Rejection("BAD_CONTENT_LENGTH", 400, "Bad Content-Length"),
    Rejection("LENGTH_AND_TRANSFER_ENCODING", 400, "Content-Length with Transfer-Encoding"),
    Rejection("BAD_TRANSFER_ENCODING", 400, "Bad Transfer-Encoding"),
    Rejection("UNSUPPORTED_TRANSFER_ENCODING", 501, "Unsupported Transfer-Encoding"),
    # What the connection, not the parser, finds.
    Rejection("REQUEST_TIMEOUT", 408, ""),
)
