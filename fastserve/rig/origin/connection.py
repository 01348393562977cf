"""Endpoints about connections: when they end, what a head may weigh, and how they change their protocol.

All of them may be asked for in a pipeline. Knows the table of endpoints.
"""

import contextlib
import functools
import socket
import weakref
from http import HTTPStatus
from typing import Any, Final

from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import Answer, as_json
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import Refusal
from fastserve.rig.origin.semantics import fields_named

MOST_ANSWERS: Final = 1_000_000
MOST_FIELD: Final = 1 << 20
MOST_FIELDS: Final = 10_000
PROTOCOL: Final = "echo"

# How many answers of /keepalive a connection has had. A handler may not last as long as its connection.
ANSWERED: Final[weakref.WeakKeyDictionary[socket.socket, int]] = weakref.WeakKeyDictionary()

endpoint = functools.partial(routes.endpoint, group="Connection")


@endpoint("/close", "An answer with Connection: close, and the end of the connection.")
def close(request: Origin) -> Answer:
    return Answer(b"The last one.\n", headers=[("Connection", "close")])


@endpoint("/keepalive", "Ends the connection with the max=th answer of this endpoint on it.",
          example="/keepalive?max=3")
def keep_alive(request: Origin) -> Answer:
    most = request.query.integer("max", 10, 1, MOST_ANSWERS)
    count = ANSWERED[request.connection] = ANSWERED.get(request.connection, 0) + 1
    left = max(most - count, 0)
    fields = [("Keep-Alive", f"max={left}")] if left else [("Connection", "close")]
    return as_json({"answer": count, "left": left}, headers=fields)


@endpoint("/headers-big", "A head with one field of bytes= octets, up to 1 MiB.",
          example="/headers-big?bytes=16384", constant=True)
def headers_big(request: Origin) -> Answer:
    count = request.query.integer("bytes", 1 << 16, 0, MOST_FIELD)
    return Answer(b"ok\n", headers=[("X-Big", "x" * count)])


@endpoint("/many-headers", "A head with n= fields of one name, X-Many, with the numbers from 0 up.",
          example="/many-headers?n=50", constant=True)
def many_headers(request: Origin) -> Answer:
    count = request.query.integer("n", 100, 0, MOST_FIELDS)
    return Answer(b"ok\n", headers=[("X-Many", str(n)) for n in range(count)])


@endpoint("/upgrade", "101 to a client that asks for the protocol echo, which sends back what comes; 426 to "
          "others.")
def upgrade(request: Origin) -> None:
    """Until the client has said all. The handler keeps its thread, as long as the server waits for octets."""
    fields = fields_named(request, "Upgrade", "Connection", "Content-Length", "Transfer-Encoding")
    if not asks_for_echo(fields) or request.request_version < "HTTP/1.1":
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, f"Upgrade: {PROTOCOL} is what this is for", [
            ("Upgrade", PROTOCOL), ("Connection", "Upgrade")])
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        raise Refusal(HTTPStatus.BAD_REQUEST, "a request to change the protocol has no body here")
    request.send_head(HTTPStatus.SWITCHING_PROTOCOLS, [("Upgrade", PROTOCOL), ("Connection", "Upgrade")])
    request.close_connection = True
    read: Any = getattr(request.rfile, "read1", request.rfile.read)
    with contextlib.suppress(OSError):  # the client is gone, or has been silent for too long
        while octets := read(1 << 16):
            request.wfile.write(octets)


def asks_for_echo(fields: dict[str, str]) -> bool:
    offered, options = ({part.strip().lower() for part in fields.get(name, "").split(",")}
                        for name in ("upgrade", "connection"))
    return PROTOCOL in offered and "upgrade" in options
