"""Origin: the handler of the rig's origin. It finds the endpoint of a request, and sends what that returns.

Knows the table of endpoints and none of them. origin/__init__.py makes servers of it.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from fastserve.handlers.base import BaseHTTPRequestHandler
from fastserve.handlers.paths import split_target
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import Answer, Body, Octets, Parts, as_json, block_file
from fastserve.rig.origin.routes import Endpoint, Query, Refusal
from fastserve.rig.origin.statistics import OTHER, Statistics

BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
BUFFERED: Final = 1 << 16  # octets of a body that leave with the head, so that such an answer may be recorded
QUEUED: Final = 64  # pieces of a body, each of up to 16 MiB, that are queued for sendfile at a time
BLOCK: Final = 1 << 18  # of a request's body
MOST_CONTENT: Final = 1 << 26  # octets of a request's body that an endpoint is given as a whole

# Fields of which a head may have several.
MANY: Final = frozenset({"set-cookie", "www-authenticate", "link", "vary", "x-many"})

EVERYBODY: Final = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]
PREFLIGHT_AGE: Final = "3600"  # seconds

Found: TypeAlias = tuple[Endpoint, dict[str, Any]]  # with what the path has in its places


class Origin(BaseHTTPRequestHandler):
    """Answers every method by the table of endpoints.

    ``seed`` (int) is what all chance comes from, ``statistics`` what was answered so far, ``scheme`` that of
    its URLs. Endpoints have ``query``, and content() or blocks() for the body.
    """

    server_version = "fastserve-origin"
    protocol_version = "HTTP/1.1"
    decode_chunked = True
    seed = 0
    scheme = "http"
    statistics = Statistics()

    query: Query
    endpoint: Endpoint | None
    continue_is_due = False  # whether 100 (Continue) is still to be sent, which is the endpoint's then

    @classmethod
    def constant_target(cls, target: str) -> bool:
        """Whether GET and HEAD of it are always answered alike, but for Range and conditions."""
        found = routes.find(split_target(target)[0])
        return next((each.constant for each, _ in found if "GET" in each.methods), False)

    def answer_request(self) -> None:
        """Answer whatever the request's method is."""
        began = time.perf_counter()
        path, query, _ = split_target(self.path)
        self.endpoint = None
        try:
            answer = self.__answer(path, query)
            if answer is not None:
                self.send(answer)
        finally:
            name = OTHER if self.endpoint is None else self.endpoint.path
            self.statistics.record(name, time.perf_counter() - began)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = answer_request

    def __answer(self, path: str, query: str) -> Answer | None:
        """What is to be sent, None where that has been done."""
        try:
            self.query = Query(query)
            found = routes.find(path)
            chosen = self.__choose(found)
            if chosen is None:
                return self.__options(methods_of(endpoint for endpoint, _ in found))
            self.endpoint, arguments = chosen
            answer: Answer | None = self.endpoint.answer(self, **arguments)
        except Refusal as refusal:
            return as_json({"error": refusal.message}, refusal.status, refusal.headers)
        return answer

    def __choose(self, found: list[Found]) -> Found | None:
        """That of the endpoints for a path that knows the method; None where OPTIONS asks what there is."""
        method = "GET" if self.command == "HEAD" else self.command
        for each in found:
            if method in each[0].methods:
                return each
        path = split_target(self.path)[0]
        if method == "OPTIONS" and (found or path == "*"):
            return None
        if not found:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no endpoint {path}; / has a list")
        allowed = methods_of(endpoint for endpoint, _ in found)
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} knows {allowed}", [("Allow", allowed)])

    def __options(self, allowed: str) -> Answer:
        """What there is for a path (RFC 9110 9.3.7), and for a browser whether a page may ask for it."""
        fields = [("Allow", allowed), ("Access-Control-Allow-Methods", allowed),
                  ("Access-Control-Max-Age", PREFLIGHT_AGE)]
        asked = self.headers.get("Access-Control-Request-Headers")
        if asked:
            fields += [("Access-Control-Allow-Headers", asked), ("Vary", "Access-Control-Request-Headers")]
        return Answer(headers=fields, content_type=None)

    def pause(self, seconds: float) -> None:
        """Wait before something is sent. Endpoints wait by this alone, so that a server may end sooner."""
        time.sleep(seconds)

    # -- The request -----------------------------------------------------------------------------

    def handle_expect_100(self) -> bool:
        """Tell a client that waits to send its body, unless the endpoint does so by itself."""
        found = routes.find(split_target(self.path)[0])
        self.continue_is_due = any(endpoint.continues for endpoint, _ in found)
        return self.continue_is_due or super().handle_expect_100()

    @property
    def content_length(self) -> int | None:
        """Octets of the body (int), 0 where there is none, None where it is in chunks."""
        if self.headers.get("Transfer-Encoding"):
            return None
        return int(self.headers.get("Content-Length") or 0)

    def blocks(self) -> Iterator[bytes]:
        """Give the body piece by piece as it comes, decoded where it is chunked.

        Raises Refusal where its chunks are broken, or it ends too soon.
        """
        left = self.content_length
        rfile: Any = self.rfile
        while left != 0:
            try:
                piece: bytes = rfile.read1(BLOCK)
            except ValueError:
                raise self.__broken("the chunks of the body are malformed") from None
            if not piece:
                break
            left = None if left is None else left - len(piece)
            yield piece
        if left:
            raise self.__broken("the body broke off")

    def content(self, most: int = MOST_CONTENT) -> bytes:
        """Return the body, decoded where it is chunked.

        Raises Refusal where it has more than ``most`` octets, its chunks are broken, or it ends too soon.
        """
        if (self.content_length or 0) > most:
            raise self.__too_large(most)
        pieces, size = [], 0
        for piece in self.blocks():
            size += len(piece)
            if size > most:
                raise self.__too_large(most)
            pieces.append(piece)
        return b"".join(pieces)

    def __broken(self, message: str) -> Refusal:
        self.close_connection = True
        return Refusal(HTTPStatus.BAD_REQUEST, message)

    def __too_large(self, most: int) -> Refusal:
        self.close_connection = True
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                       f"a body may have {most} octets here; /upload takes any number")

    # -- The answer ------------------------------------------------------------------------------

    def send(self, answer: Answer) -> None:
        """Send an answer, and of it what the request's method asks for."""
        body = b"" if answer.status == HTTPStatus.RESET_CONTENT else answer.body  # RFC 9110 15.3.6
        fields = self.__shared()
        if answer.content_type is not None:
            fields.append(("Content-Type", answer.content_type))
        size = size_of(body, answer.length)
        bodiless = answer.status < 200 or answer.status in BODILESS
        in_chunks = size is None and self.request_version >= "HTTP/1.1"
        if not bodiless:
            fields.append(self.__framing(size, in_chunks))
        self.send_head(answer.status, [*fields, *answer.headers], answer.reason)
        if bodiless or self.command == "HEAD":
            return
        if isinstance(body, bytes):
            self.wfile.write(body)
        elif isinstance(body, Octets):
            self.__send_parts(Parts((body,), body.seed))
        elif isinstance(body, Parts):
            self.__send_parts(body)
        else:
            self.__send_pieces(answer, self.__chunked if in_chunks else self.__plain)

    def __shared(self) -> list[tuple[str, str]]:
        """Let pages of every origin read it; where that may differ by request, with credentials too."""
        fields = list(EVERYBODY)
        if self.endpoint is None or not self.endpoint.constant:
            origin = self.headers.get("Origin")
            if origin:
                fields[0] = ("Access-Control-Allow-Origin", origin)
                fields.append(("Vary", "Origin"))
        return fields

    def __framing(self, size: int | None, in_chunks: bool) -> tuple[str, str]:
        if size is not None:
            return "Content-Length", str(size)
        return ("Transfer-Encoding", "chunked") if in_chunks else ("Connection", "close")

    def send_head(self, status: int, fields: Iterable[tuple[str, str]], reason: str | None = None) -> None:
        """Send a status line and header fields. Of two of a name that may not be twice the last counts."""
        self.send_response(status, reason)
        single: dict[str, tuple[str, str]] = {}
        several = []
        for field in fields:
            name = field[0].lower()
            if name in MANY:
                several.append(field)
            else:
                single[name] = field
        connection = single.pop("connection", None)
        self._fastserve_send_headers([*single.values(), *several])
        if connection is not None:
            self.send_header(*connection)
        self.end_headers()

    def __send_parts(self, parts: Parts) -> None:
        """What is long is read from a file when the client takes it, a bounded number of pieces at a time."""
        wfile: Any = self.wfile
        if parts.count <= BUFFERED:
            wfile.write(bytes(parts))
            return
        file, pieces = block_file(parts.seed), parts.pieces()
        batch = list(itertools.islice(pieces, QUEUED))
        while batch:
            wfile.send_parts(file.fileno(), batch)
            batch = list(itertools.islice(pieces, QUEUED))
            if batch:
                wfile.drain()

    def __send_pieces(self, answer: Answer, send: Callable[[Iterable[bytes], Any], None]) -> None:
        """Where they are of the request's body, and that is not right, the answer cannot be whole either."""
        try:
            send(answer.body, answer.trailers)  # type: ignore[arg-type]
        except Refusal as refusal:
            self.log_error("%s", refusal.message)
            self.close_connection = True

    def __chunked(self, pieces: Iterable[bytes], trailers: Any) -> None:
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        trailers = trailers() if callable(trailers) else trailers or ()
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
        self.wfile.write(b"0\r\n" + lines.encode("latin-1") + b"\r\n")

    def __plain(self, pieces: Iterable[bytes], trailers: Any) -> None:
        for piece in pieces:
            self.wfile.write(piece)


class QuietOrigin(Origin):
    """The same, and nothing is logged."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def methods_of(endpoints: Iterable[Endpoint]) -> str:
    """Return what an Allow field says; of no endpoint, what there is at all."""
    methods = {each for endpoint in endpoints for each in endpoint.methods} or {*routes.ANY_METHOD}
    return ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def size_of(body: Body, length: int | None) -> int | None:
    """Return how many octets a body has, None where only its end will tell; ``length`` is that of pieces."""
    if isinstance(body, bytes):
        return len(body)
    return body.count if isinstance(body, (Octets, Parts)) else length
