"""What the methods of the parity table's one big handler do, each a case's or a few cases'.

They are what people write for http.server, and some of what they should not have written. apps.py makes
handler classes of them, with either library's base.
"""

import http.client
import io
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote


def hello(self: Any) -> None:
    body = b"hello " + self.path.encode("latin-1")
    self.send_response(200)
    self.send_header("Content-Type", "text/plain")
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    if self.command != "HEAD":
        self.wfile.write(body)


def answer(self: Any, body: bytes, *headers: tuple[str, Any]) -> None:
    """Whatever the method is."""
    begin(self, len(body), *headers)
    self.wfile.write(body)


def begin(self: Any, length: int | None = None, *headers: tuple[str, Any]) -> None:
    """200 and the head, with a length or without."""
    self.send_response(200)
    for name, value in headers:
        self.send_header(name, value)
    if length is not None:
        self.send_header("Content-Length", str(length))
    self.end_headers()


def declared(self: Any) -> int:
    return int(self.headers.get("Content-Length", 0))


def echo(self: Any) -> None:
    echoed(self, self.rfile.read(declared(self)))


def echoed(self: Any, body: bytes) -> None:
    self.send_response(201, "Echoed")
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)


# -- What the request is -----------------------------------------------------------------------


def do_FIELDS(self: Any) -> None:
    """What a handler sees of the request."""
    seen = [self.command, self.path, self.request_version, self.requestline, repr(self.raw_requestline)]
    seen += [f"{name}={value!r}" for name, value in self.headers.items()]
    seen += [str(self.close_connection), self.headers.get_content_type(), str(len(self.headers))]
    answer(self, "\n".join(seen).encode("utf-8"))


def do_LOOKUP(self: Any) -> None:
    """The fields by name, in any case."""
    fields = self.headers
    seen = [
        fields.get("X-Name"), fields["x-NAME"], fields.get_all("X-Name"), "X-NAME" in fields,
        fields.get("None", "default"), fields["None"], fields.get_all("None", "default"), "None" in fields,
        fields.keys(), fields.values(), list(fields), bool(fields),
        fields.get_content_maintype(), fields.get_content_subtype(), fields.get_content_charset(),
        fields.get_params(), fields.get_param("a"), fields.get_boundary(), fields.get_filename(),
    ]
    answer(self, "\n".join(map(repr, seen)).encode())


def do_CHANGE(self: Any) -> None:
    """The fields may be changed."""
    fields = self.headers
    fields["X-Name"] = "third"
    fields.add_header("X-Other", "value", param="x")
    del fields["host"]
    fields.replace_header("X-NAME", "new")
    answer(self, repr(fields.items()).encode())


def do_MESSAGE(self: Any) -> None:
    """The fields as email sees them."""
    fields = self.headers
    seen = [
        isinstance(fields, http.client.HTTPMessage), str(fields), fields.as_bytes(), len(fields.defects),
        fields.preamble, fields.get_payload(), fields.is_multipart(), fields.get_content_type(),
        fields.get_boundary(),
    ]
    answer(self, "\n".join(map(repr, seen)).encode())


# -- Its body ----------------------------------------------------------------------------------

do_ECHO = echo


def do_IGNORE(self: Any) -> None:
    """A handler that does not read the body it is sent."""
    answer(self, b"ignored")


def do_PART(self: Any) -> None:
    answer(self, self.rfile.read(3))


def do_LINES(self: Any) -> None:
    left, lines = declared(self), []
    while left > 0:
        lines.append(self.rfile.readline(left))
        left -= len(lines[-1])
    answer(self, repr(lines).encode())


def do_PIECEMEAL(self: Any) -> None:
    left, pieces = declared(self), []
    while left > 0 and (piece := self.rfile.read(min(left, 7))):
        pieces.append(piece)
        left -= len(piece)
    answer(self, b"|".join(pieces))


def do_INTO(self: Any) -> None:
    body = bytearray(declared(self))
    count = self.rfile.readinto(body)
    answer(self, b"%d %b" % (count, body))


def do_ALL(self: Any) -> None:
    echoed(self, self.rfile.read())


def do_MORE(self: Any) -> None:
    echoed(self, self.rfile.read(declared(self) + 10))


def do_DECHUNK(self: Any) -> None:
    """As werkzeug decodes a chunked body."""
    answer(self, b"".join(chunks(self.rfile)))


def chunks(rfile: Any) -> Iterator[bytes]:
    while size := int(rfile.readline().split(b";")[0], 16):
        yield rfile.read(size)
        rfile.readline()
    while rfile.readline() not in (b"\r\n", b""):
        pass


def do_RFILE(self: Any) -> None:
    """What a stream says of itself."""
    rfile = self.rfile
    answer(self, repr([rfile.readable(), rfile.writable(), rfile.seekable(), rfile.closed]).encode())


def do_WFILE(self: Any) -> None:
    wfile = self.wfile
    said = [wfile.readable(), wfile.writable(), wfile.seekable(), wfile.isatty(), wfile.closed]
    answer(self, repr([*said, wfile.fileno() == self.connection.fileno()]).encode())


# -- Statuses and headers ----------------------------------------------------------------------


def do_MANY(self: Any) -> None:
    headers = [("X-One", "1"), ("x-one", "2"), ("X-Int", 3), ("X-Latin", "D\xe4ngerous"), ("X-Empty", "")]
    answer(self, b"x", *headers)


def do_HUNDRED(self: Any) -> None:
    answer(self, b"x", *[(f"X-{n}", n) for n in range(100)])


def do_WIDE(self: Any) -> None:
    answer(self, b"x", ("X-Wide", "w" * 100_000))


def do_EURO(self: Any) -> None:
    answer(self, b"x", ("X-Price", "\u20ac"))


def do_INJECT(self: Any) -> None:
    answer(self, b"x", ("X-Name", "value\r\nX-Other: value"))


def do_DATES(self: Any) -> None:
    answer(self, b"x", *[(f"X-{n}", self.date_time_string(n)) for n in (0, 1, 951_782_400, 4_102_444_799.9)])


def do_STATUS(self: Any) -> None:
    self.send_response(int(self.path[1:]))
    self.send_header("Content-Length", "0")
    self.end_headers()


def do_PHRASE(self: Any) -> None:
    self.send_response(200, unquote(self.path[1:]))
    self.send_header("Content-Length", "0")
    self.end_headers()


def do_BARE(self: Any) -> None:
    """A status alone, as 204 and 304 are sent."""
    self.send_response(int(self.path[1:]))
    self.end_headers()


def do_ONLY(self: Any) -> None:
    self.send_response_only(200)
    self.send_header("Content-Length", "0")
    self.end_headers()


def do_HINTS(self: Any) -> None:
    hint(self, "</style.css>")
    hello(self)


def do_HINTSTWICE(self: Any) -> None:
    hint(self, "</style.css>")
    hint(self, "</script.js>")
    hello(self)


def hint(self: Any, link: str) -> None:
    self.send_response_only(103, "Early Hints")
    self.send_header("Link", link)
    self.end_headers()


def do_REORDER(self: Any) -> None:
    """Code that edits the buffered head, as some do to drop or reorder headers."""
    self.send_response(200)
    self.send_header("X-Last", "1")
    self.send_header("Content-Length", "2")
    self._headers_buffer[:] = [line for line in self._headers_buffer if not line.startswith(b"Date")]
    self._headers_buffer.insert(1, b"X-First: 0\r\n")
    self.end_headers()
    self.wfile.write(b"ok")


def do_STARTAGAIN(self: Any) -> None:
    self.send_response(500)
    self.send_header("Content-Length", "1000")
    self._headers_buffer = []
    answer(self, b"again")


# -- Bodies ------------------------------------------------------------------------------------


def do_ENDLESS(self: Any) -> None:
    begin(self)
    self.wfile.write(b"until the end")


def do_CHUNKED(self: Any) -> None:
    begin(self, None, ("Transfer-Encoding", "chunked"))
    self.wfile.writelines([b"3\r\nabc\r\n", b"0\r\n\r\n"])


def do_SHORT(self: Any) -> None:
    begin(self, 10)
    self.wfile.write(b"12345")


def do_LONG(self: Any) -> None:
    begin(self, 2)
    self.wfile.write(b"12345")


def do_PIECES(self: Any) -> None:
    """A head flushed in two parts, and a body in three."""
    self.send_response(200)
    self.flush_headers()
    self.send_header("Content-Length", "6")
    self.end_headers()
    for piece in (b"12", bytearray(b"34"), memoryview(b"56")):
        self.wfile.write(piece)
        self.wfile.flush()


def do_EARLY(self: Any) -> None:
    """A head that is flushed before it ends, and has no length."""
    self.send_response(200)
    self.flush_headers()
    self.end_headers()
    self.wfile.write(b"until the end")


def do_BYHAND(self: Any) -> None:
    """A head whose end is written like a body."""
    self.send_response(200)
    self.send_header("Content-Length", "2")
    self.flush_headers()
    self.wfile.write(b"\r\nok")


def do_THOUSAND(self: Any) -> None:
    begin(self, 4000)
    for n in range(1000):
        self.wfile.write(b"%4d" % n)


def do_MEGABYTES(self: Any) -> None:
    answer(self, b"0123456789ab" * 250_000)


def do_NOTHING(self: Any) -> None:
    answer(self, b"")


def do_PRINT(self: Any) -> None:
    begin(self, 8)
    text = io.TextIOWrapper(self.wfile, "utf-8", newline="\n")
    print("printed", file=text)
    text.detach()


def do_COPY(self: Any) -> None:
    begin(self, 100_000)
    shutil.copyfileobj(io.BytesIO(b"c" * 100_000), self.wfile)


# -- Errors ------------------------------------------------------------------------------------


def do_ERROR(self: Any) -> None:
    self.send_error(int(self.path[1:]))


def do_WORDS(self: Any) -> None:
    self.send_error(418, "Short & <bold>", "Long\nand > explained")


def do_SAY(self: Any) -> None:
    """The arguments are in the path, percent-encoded; a hyphen for None."""
    code, *words = self.path[1:].split("/")
    self.send_error(int(code), *[None if word == "-" else unquote(word) for word in words])


def do_NAMED(self: Any) -> None:
    self.send_error(HTTPStatus[self.path[1:]], explain="by its name")


def do_ERRORTWICE(self: Any) -> None:
    self.send_error(404)
    self.send_error(500)


def do_ERRORLATE(self: Any) -> None:
    """The head is begun, and then there is an error."""
    self.send_response(200)
    self.send_header("X-Name", "value")
    self.send_error(500)


# -- The connection ----------------------------------------------------------------------------


def do_CLOSE(self: Any) -> None:
    self.close_connection = True
    answer(self, b"bye")


def do_CLOSELATER(self: Any) -> None:
    answer(self, b"bye")
    self.close_connection = True


def do_KEEP(self: Any) -> None:
    self.close_connection = False
    answer(self, b"stay")


def do_SAYCLOSE(self: Any) -> None:
    answer(self, b"bye", ("Connection", "Close"))


def do_SAYKEEP(self: Any) -> None:
    answer(self, b"stay", ("Connection", "keep-alive"))


def do_SAYOTHER(self: Any) -> None:
    answer(self, b"stay", ("Connection", "X-Other"), ("X-Other", "1"))


def do_STATE(self: Any) -> None:
    """State on self lives as long as the connection."""
    self.count = getattr(self, "count", 0) + 1
    answer(self, str(self.count).encode())


# -- The log -----------------------------------------------------------------------------------


def do_LOG(self: Any) -> None:
    self.log_message("plain %s %d%%", "\x1b[31m\\ \x7f\x9f", 5)
    self.log_error("an error, %r", "text")
    self.log_request(HTTPStatus.OK, 12)
    self.log_request()
    answer(self, b"logged")


def do_LOGTEXT(self: Any) -> None:
    """What the path stands for."""
    self.log_message("%s", unquote(self.path[1:]))
    answer(self, b"logged")


def do_LOGALONE(self: Any) -> None:
    self.log_message("no arguments")
    self.log_message("a mapping: %(key)s", {"key": "value"})
    self.log_request("200", "many")
    self.log_request(HTTPStatus.NOT_FOUND, "-")
    answer(self, b"logged")


# -- What should not happen --------------------------------------------------------------------


def do_RAISE(self: Any) -> None:
    raise KeyError("from the handler")


def do_LATE(self: Any) -> None:
    answer(self, b"late")
    raise KeyError("after the answer")


def do_HALF(self: Any) -> None:
    begin(self, 100)
    self.wfile.flush()
    raise KeyError("after the head")


def do_TIMEOUT(self: Any) -> None:
    raise TimeoutError("of something else")


def do_SILENT(self: Any) -> None:
    """No answer."""


def do_UNENDED(self: Any) -> None:
    self.send_response(200)
    self.send_header("X-Name", "value")


def do_TWO(self: Any) -> None:
    answer(self, b"one")
    answer(self, b"two")


METHODS: dict[str, Any] = {name: value for name, value in list(globals().items()) if name.startswith("do_")}
