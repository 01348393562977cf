"""What a loop answers by itself, when no handler runs: the health of the server, and that there is no room.

Its figures are in serving.metrics.

Knows heads and octets, and of a handler class no more than the name that it gives to the software.
serving.loop calls it.
"""

import time
from typing import Any, Final

from fastserve._conn import Connection
from fastserve._head import RequestHead
from fastserve._response import ResponseHead, http_date
from fastserve.limits import RETRY_AFTER

ENDS: Final = (" ", "?")  # of a path, in a request line


class Spared:
    """Answers GET and HEAD of ``path`` (str, as it stands in a request line), whatever its query is.

    ``handler_class`` is the server's RequestHandlerClass. Raises ValueError where no request could have
    that path. What is said is a subclass's.
    """

    content_type = "text/plain"

    def __init__(self, path: str, handler_class: Any) -> None:
        check_path(path)
        lines = [f"{method} {path}{end}" for method in ("GET", "HEAD") for end in ENDS]
        self._starts = tuple(line.encode() for line in lines)
        self._software = software(handler_class)

    def answer(self, conn: Connection, head: RequestHead | None) -> tuple[bytes, bool] | None:
        """Return the octets that ``conn`` is to reply to the request of ``head``, and whether it closes.

        None for any other request, and where the head is not here.

        Also for one with a body: what is done with bodies is the handler's.
        """
        if head is None or not head.raw.startswith(self._starts):
            return None
        if head.rejection or not head.is_plain or head.content_length > 0:
            return None
        closes = conn.last or not head.keep_alive
        fields = {"Cache-Control": "no-store"}
        return text_answer(
            head, closes, 200, "OK", self.text(), self._software, fields, self.content_type)

    def text(self) -> str:
        """Return what is said."""
        raise NotImplementedError


class Health(Spared):
    """Says that the server is well."""

    def text(self) -> str:
        return "ok\n"


def check_path(path: str) -> None:
    """Raise ValueError where ``path`` is not what a request can ask for: without query, and encoded."""
    if path[:1] != "/" or any(not "!" <= c <= "~" or c in "?#" for c in path):
        raise ValueError("it must begin with /, be encoded as in a URL, and have no query")


def no_room(handler_class: Any) -> bytes:
    """Return the octets of 503 (Service Unavailable), for a client whose request nobody has read."""
    fields = {"Retry-After": str(RETRY_AFTER)}
    words = "Service Unavailable", "too many connections\n"
    return text_answer(None, True, 503, *words, software(handler_class), fields)[0]


def software(handler_class: Any) -> str | None:
    """Return what handlers say in the Server field, where the class alone tells: None where a method does."""
    kind = getattr(handler_class, "func", handler_class)  # of a partial
    makers = [base for base in getattr(kind, "__mro__", ()) if "version_string" in vars(base)]
    names = [getattr(kind, name, None) for name in ("server_version", "sys_version")]
    if len(makers) != 1 or not all(isinstance(name, str) for name in names):
        return None
    return " ".join(names)  # type: ignore[arg-type]


def text_answer(
    request: RequestHead | None,
    closes: bool,
    status: int,
    reason: str,
    text: str,
    server: str | None,
    fields: dict[str, str],
    content_type: str = "text/plain",
) -> tuple[bytes, bool]:
    """Return a whole answer to a request (None: nobody has read it), and whether it closes the connection."""
    method, version = (request.method, request.version) if request is not None else (None, None)
    head = ResponseHead()
    head.status_line("HTTP/1.1", status, reason)
    if server is not None:
        head.header("Server", server)
    head.header("Date", http_date(time.time()))
    head.header("Content-Type", content_type)
    body = text.encode()
    head.header("Content-Length", len(body))
    for name, value in fields.items():
        head.header(name, value)
    head.end(method, version, closes)
    return head.take() + (b"" if method == "HEAD" else body), closes
