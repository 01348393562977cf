"""Answers that are wrong, on purpose, octet by octet as it is said here: to see what a client makes of them.

The tables are what clients, of these versions, show to who calls them: curl an exit status, the others an
exception; "-" is an answer that seems right. What requests shows wraps what urllib3 does.

    /fault/                curl 7.88  requests 2.34         httpx 0.28
    truncate               18         ChunkedEncodingError  RemoteProtocolError
    slow-truncate          18         ChunkedEncodingError  RemoteProtocolError
    chunk-truncate         18         ChunkedEncodingError  RemoteProtocolError
    reset                  56         ChunkedEncodingError  ReadError
    reset?head=0           56         ConnectionError       ReadError
    empty                  52         ConnectionError       RemoteProtocolError
    garbage                1          ConnectionError       RemoteProtocolError
    wrong-length           -          -                     -
    dup-length             18         InvalidHeader         RemoteProtocolError
    bad-chunk              56         ChunkedEncodingError  RemoteProtocolError
    bad-header             8          -                     RemoteProtocolError
    bad-header?kind=space  -          -                     RemoteProtocolError
    bad-header?kind=nul    8          -                     RemoteProtocolError
    bad-header?kind=name   -          -                     RemoteProtocolError
    bad-status-line        1          ConnectionError       RemoteProtocolError

    /fault/                aiohttp 3.14             http.client 3.11
    truncate               ClientPayloadError       IncompleteRead
    slow-truncate          ClientPayloadError       IncompleteRead
    chunk-truncate         ClientPayloadError       IncompleteRead
    reset                  ClientPayloadError       ConnectionResetError
    reset?head=0           ClientOSError            ConnectionResetError
    empty                  ServerDisconnectedError  RemoteDisconnected
    garbage                ClientResponseError      BadStatusLine
    wrong-length           ClientResponseError      -
    dup-length             ClientResponseError      -
    bad-chunk              ClientResponseError      IncompleteRead
    bad-header             ClientResponseError      -
    bad-header?kind=space  ClientResponseError      -
    bad-header?kind=nul    ClientResponseError      -
    bad-header?kind=name   ClientResponseError      -
    bad-status-line        ClientResponseError      BadStatusLine

What is written is not held to what it declares (raw), so that nothing is withheld, or logged but the request.
It is counted with its status, or as other where it has none; empty and reset?head=0 answer nothing that could
be counted. after= says how many octets of the body leave before it happens; abrupt=1 ends a TLS connection
without its goodbye, which is what a crash looks like. HEAD gets the head alone. Knows the table of endpoints.
"""

import functools
from http import HTTPStatus
from typing import Final

from fastserve.rig.origin import raw, routes
from fastserve.rig.origin.answers import TEXT, Octets
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import ANY_METHOD
from fastserve.rig.origin.sizes import seed_of
from fastserve.rig.origin.timing import check_total, letters, seconds_in_ms, trickle

MOST: Final = 1 << 20
USUAL: Final = 100  # octets that are sent

# What stands in a head between two good lines.
BAD_LINES: Final = {
    "colon": b"This line has no colon\r\n",
    "space": b"X-Space : before the colon\r\n",
    "nul": b"X-Nul: a\0b\r\n",
    "name": b"X(Name): of no token\r\n",
}

endpoint = functools.partial(routes.endpoint, group="Faults", methods=ANY_METHOD)


def octets_after(request: Origin, usual: int = USUAL) -> int:
    return request.query.integer("after", usual, 0, MOST)


def head_of(request: Origin, *fields: tuple[str, str]) -> bytes:
    return raw.head(request, HTTPStatus.OK, [("Content-Type", TEXT), *fields])


def end(request: Origin) -> None:
    """End the connection behind what was sent: a FIN, and over TLS a goodbye before it, unless abrupt=1."""
    request.close_connection = True
    if request.query.flag("abrupt"):
        raw.part(request)


def chunk(octets: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(octets), octets)


# -- Too little ------------------------------------------------------------------------------------


@endpoint("/fault/truncate", "Content-Length is length=, and the connection ends after after= octets.",
          example="/fault/truncate?after=100")
def truncate(request: Origin) -> None:
    after = octets_after(request)
    length = request.query.integer("length", after + USUAL, after + 1, 2 * MOST)
    raw.answer(request, head_of(request, ("Content-Length", str(length))), letters(after))
    end(request)


@endpoint("/fault/slow-truncate", "The same, each octet ms= milliseconds behind the last one.",
          example="/fault/slow-truncate?after=20&ms=50")
def slow_truncate(request: Origin) -> None:
    after = octets_after(request, 10)
    pause = seconds_in_ms(request, "ms", 20)
    duration = check_total(request, pause * max(after - 1, 0))
    raw.answer(request, head_of(request, ("Content-Length", str(after + USUAL))))
    if request.command != "HEAD":
        for piece in trickle(request, letters(after), duration):
            request.wfile.write(piece)
    end(request)


@endpoint("/fault/chunk-truncate", "The connection ends after= octets into a chunk that was to have more.",
          example="/fault/chunk-truncate?after=100")
def chunk_truncate(request: Origin) -> None:
    after = octets_after(request)
    head = head_of(request, ("Transfer-Encoding", "chunked"))
    raw.answer(request, head, chunk(b"A whole chunk.\n") + b"%x\r\n%b" % (after + USUAL, letters(after)))
    end(request)


@endpoint("/fault/reset", "A reset after after= octets of the body; before any octet if head=0.",
          example="/fault/reset?after=100")
def reset(request: Origin) -> None:
    after = octets_after(request)
    if request.query.flag("head", True):
        raw.answer(request, head_of(request, ("Content-Length", str(after + USUAL))), letters(after))
    else:
        request.log_request()
    raw.reset(request)


@endpoint("/fault/empty", "The connection ends without an octet.")
def empty(request: Origin) -> None:
    request.log_request()
    end(request)


# -- Too much --------------------------------------------------------------------------------------


@endpoint("/fault/wrong-length", "Content-Length is less than the body has: after= octets, and surplus= "
          "more. The connection stays.", example="/fault/wrong-length?after=10&surplus=10")
def wrong_length(request: Origin) -> None:
    after = octets_after(request)
    surplus = request.query.integer("surplus", USUAL, 1, MOST)
    raw.answer(request, head_of(request, ("Content-Length", str(after))), letters(after + surplus))


@endpoint("/fault/dup-length", "Two Content-Lengths: the body's, and one more than that.")
def dup_length(request: Origin) -> None:
    after = octets_after(request)
    lengths = [("Content-Length", str(length)) for length in (after, after + 1)]
    end_after(request, head_of(request, *lengths), letters(after))


def end_after(request: Origin, head: bytes, body: bytes, status: int | str = HTTPStatus.OK) -> None:
    raw.answer(request, head, body, status)
    end(request)


# -- What is no HTTP -------------------------------------------------------------------------------


@endpoint("/fault/bad-chunk", "A chunk, and then one whose size is no number.")
def bad_chunk(request: Origin) -> None:
    body = chunk(b"A whole chunk.\n") + b"size?\r\nNobody knows.\r\n0\r\n\r\n"
    end_after(request, head_of(request, ("Transfer-Encoding", "chunked")), body)


@endpoint("/fault/bad-header", "A head with a line that is no field: kind= is colon (it has none), space "
          "(before the colon), nul (in its value) or name (which is no token).",
          example="/fault/bad-header?kind=nul")
def bad_header(request: Origin) -> None:
    kind = request.query.choice("kind", BAD_LINES, "colon")
    body = letters(octets_after(request))
    before, middle, rest = head_of(request, ("Content-Length", str(len(body)))).partition(b"Content-Type")
    end_after(request, before + BAD_LINES[kind] + middle + rest, body)


@endpoint("/fault/bad-status-line", "A status line without a status.")
def bad_status_line(request: Origin) -> None:
    body = letters(octets_after(request))
    head = head_of(request, ("Content-Length", str(len(body))))
    end_after(request, head.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 fine OK", 1), body, "-")


@endpoint("/fault/garbage", "after= octets that are no HTTP at all, the same for the same seed.")
def garbage(request: Origin) -> None:
    after = octets_after(request)
    octets = (b"\0" + bytes(Octets(after, seed_of(request))))[:after]
    request.log_request()
    if octets:
        raw.RawHead(request).end()
        request.wfile.write(octets)
    end(request)
