"""BaseHTTPRequestHandler: http.server's, with the compiled reader, parser and writer underneath.

The names, call orders and texts are http.server's: every method may be overridden on its own, and each
calls the others by name. Where the handler has the streams it was given, a loop may drive it; anywhere
else (the standard library's socketserver, a replaced rfile, a BytesIO in a test) it drives itself.

Knows the compiled core and no loop. fastserve.server re-exports it.
"""

import contextlib
import functools
import io
import socket
import socketserver
import sys
import time
from collections.abc import Iterable
from http import HTTPStatus
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from fastserve._head import RequestHead
from fastserve._offers import attach, open_streams
from fastserve._own import OwnMethods
from fastserve._reader import RequestReader
from fastserve._response import CONNECTION_CLOSE, ResponseHead, http_date
from fastserve._tls import ssl_socket
from fastserve._writer import ResponseWriter
from fastserve.errors import REJECTIONS
from fastserve.handlers.heads import read_head
from fastserve.limits import MAX_LINE
from fastserve.log import CONTROL_CHARS, MONTHS, format_address, format_date
from fastserve.overrides import is_own

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

DEFAULT_ERROR_MESSAGE: Final = """\
<!DOCTYPE HTML>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <style type="text/css">
            :root {
                color-scheme: light dark;
            }
        </style>
        <title>Error response</title>
    </head>
    <body>
        <h1>Error response</h1>
        <p>Error code: %(code)d</p>
        <p>Message: %(message)s.</p>
        <p>Error code explanation: %(code)s - %(explain)s.</p>
    </body>
</html>
"""
DEFAULT_ERROR_CONTENT_TYPE: Final = "text/html;charset=utf-8"

# A socket class whose descriptors the compiled streams may use; the other is ssl's, whose methods they do. A
# subclass may have changed what recv and send mean, so it gets http.server's own streams.
PLAIN_SOCKET: Final = socket.socket

# A class between ours and socketserver's may have another __init__() and setup() than these.
PLAIN_INIT: Final = socketserver.BaseRequestHandler.__init__
PLAIN_SETUP: Final = socketserver.StreamRequestHandler.setup

UNSET: Final = object()

ERROR_LINE: Final = "code %d, message %s"  # what send_error() logs

LINE_LIMIT: Final = MAX_LINE + 1  # what readline() is asked for: one that is too long is told by that

NO_PHRASE: Final = ("", "")

STATUS_TEXTS: Final[dict[int | str, str]] = {status.value: str(status.value) for status in HTTPStatus}

# The usual ones, made once: CPython finds an attribute faster by the same str than by an equal one.
METHOD_NAMES: Final[dict[str | None, str]] = {
    command: sys.intern(f"do_{command}")
    for command in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
}

BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)


@functools.cache
def headers_module() -> ModuleType:
    """The module of the fields, which brings http.client and email along, for those who ask for fields."""
    from fastserve import headers

    return headers


class UsualMessageClass:
    """As a class attribute: http.client.HTTPMessage, imported when it is first looked at."""

    def __get__(self, instance: object, owner: type | None = None) -> "type[Message]":
        usual: type[Message] = headers_module().HTTPMessage
        return usual


class BaseHTTPRequestHandler(socketserver.StreamRequestHandler):
    """Answers requests by calling ``do_METHOD()`` for each, as http.server.BaseHTTPRequestHandler does.

    Attributes of an instance, while it answers:

    client_address      (host, port), or what the server's address family has
    server              the server instance
    raw_requestline     the request line as received (bytes)
    requestline         the same without its CRLF (str); '' before one was read
    command, path, request_version   its three parts (str)
    headers             a MessageClass
    rfile, wfile        io.BufferedIOBase streams; rfile ends where the request's body ends
    close_connection    whether this request is the last one (bool)
    """

    server_version = "BaseHTTP"
    sys_version = "Python/" + sys.version.split()[0]
    error_message_format = DEFAULT_ERROR_MESSAGE
    error_content_type = DEFAULT_ERROR_CONTENT_TYPE
    default_request_version = "HTTP/0.9"
    # What responses say. Keep-alive needs HTTP/1.1 here, and a length in every answer.
    protocol_version = "HTTP/1.0"
    MessageClass: "type[Message]" = UsualMessageClass()  # type: ignore[assignment]
    responses = {status: (status.phrase, status.description) for status in HTTPStatus.__members__.values()}

    weekdayname = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    monthname = [None, *MONTHS[1:]]

    # By this method, called with a target (str), a class promises that GET and HEAD of the targets for which
    # it returns True are always answered alike, but for Date, the log and what Range and If-... ask for: our
    # servers record such an answer, and send it again without a handler.
    constant_target: "Callable[[str], bool] | None" = None

    # A chunked request body is given raw, as http.server gives it, and its connection is not used again;
    # a class that sets this gets it decoded.
    decode_chunked = False

    _control_char_table = CONTROL_CHARS

    command: str | None = None
    path: str
    requestline = ""
    request_version: str = ""
    raw_requestline: bytes = b""
    close_connection = True
    # What is made when it is needed. Not by cached_property, whose use of __dict__ would slow down every
    # other attribute of the instance.
    _fastserve_head: RequestHead | None = None
    __headers: "Message | None" = None
    __response: ResponseHead | None = None
    # Which setup() opened, a RequestReader and a ResponseWriter, whatever rfile and wfile are now. None is no
    # rfile, so to be one of these is to be the reader or the writer.
    __reader: Any = None
    __writer: Any = None
    __request: Any = UNSET
    __connection: Any = UNSET

    # -- One connection --------------------------------------------------------------------------

    def __init__(
        self, request: Any, client_address: Any, server: socketserver.BaseServer, *args: Any, **kwargs: Any
    ) -> None:
        begin = super().__init__
        if args or kwargs or not is_own(begin, PLAIN_INIT):
            # A class that stands between this one and socketserver's: http.server has no __init__.
            begin(request, client_address, server, *args, **kwargs)
            return
        self.request = request
        self.client_address = client_address
        self.server = server
        self.setup()
        if self.__is_driven():
            return
        try:
            self.handle()
        finally:
            self.finish()

    def __is_driven(self) -> bool:
        """Whether a loop takes it from here, calling handle_one_request() for each request."""
        return (
            is_own(self.handle, PLAIN_HANDLE)
            and self.connection is self.request
            and attach(self.request, self, self.rfile, self.wfile)
        )

    def setup(self) -> None:
        """Make ``connection``, ``rfile`` and ``wfile`` from ``request``."""
        self.connection = sock = self.request
        if (
            (type(sock) is not PLAIN_SOCKET and type(sock) is not ssl_socket())
            # A class has attributes of these names: who asks for the socket is not seen.
            or not (self.__request is self.__connection is sock)
            or not self._fastserve_reads_ahead()
            or not is_own(super().setup, PLAIN_SETUP)
        ):
            super().setup()
            return
        if self.timeout is not None:
            sock.settimeout(self.timeout)
        if self.disable_nagle_algorithm:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        block = io.DEFAULT_BUFFER_SIZE if self.wbufsize < 0 else self.wbufsize
        # http.server's setup() needs no server.
        timeouts = getattr(getattr(self, "server", None), "timeouts", None)
        self.__reader, self.__writer = self.rfile, self.wfile = open_streams(sock, block, timeouts)

    def _fastserve_reads_ahead(self) -> bool:
        """Whether rfile may hold more than was asked of it: not where rbufsize says that others read too."""
        return self.rbufsize != 0

    @property
    def request(self) -> Any:
        """What the server accepted, as a rule the connection's socket."""
        return self.__give_out("request", self.__request)

    @request.setter
    def request(self, request: Any) -> None:
        self.__request = request

    @property
    def connection(self) -> Any:
        """The socket that ``rfile`` and ``wfile`` use."""
        return self.__give_out("connection", self.__connection)

    @connection.setter
    def connection(self, connection: Any) -> None:
        self.__connection = connection

    def __give_out(self, name: str, sock: Any) -> Any:
        """Who asks for a socket may write to it, so a head that waits for its body is sent first."""
        if sock is UNSET:
            raise AttributeError(name)
        writer = self.__writer
        if writer is not None and not writer.closed:
            with contextlib.suppress(OSError):  # a client that is gone: what uses the socket will see
                writer.drain()
        return sock

    def finish(self) -> None:
        """Close the streams."""
        super().finish()
        if self.__writer is not None and self.__writer.is_cut_short():
            self.log_error('"%s" was cut off: the file has become shorter', self.requestline)

    def handle(self) -> None:
        """Answer requests until one is the last."""
        self.close_connection = True
        self.handle_one_request()
        while not self.close_connection and self.__is_in_step():
            self.handle_one_request()

    def __is_in_step(self) -> bool:
        """Wait for the next request, if the answer had the length it declared.

        Else nobody can tell where the next one begins.
        """
        writer = self.wfile if type(self.wfile) is ResponseWriter else self.__writer
        if writer is not None:
            if not writer.is_complete():
                return False
            writer.begin_response()
        if type(self.rfile) is RequestReader:
            self.rfile.await_request()
        elif self.__reader is not None:  # behind another stream, as far as we know
            self.__reader.leave_body()
        return True

    def handle_one_request(self) -> None:
        """Read one request, parse it, and call the method for it."""
        rfile: Any = self.rfile
        try:
            waits = rfile is self.__reader
            line = rfile.next_line(LINE_LIMIT) if waits else rfile.readline(LINE_LIMIT)
            self.raw_requestline = line
            if len(line) > MAX_LINE:
                self.__refuse_line()
                return
            if not line:
                self.close_connection = True
                return
            if not self.parse_request():
                return
            name = METHOD_NAMES.get(self.command) or f"do_{self.command}"
            method = getattr(self, name, None)
            if method is None:
                self.send_error(HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
                return
            method()
            wfile: Any = self.wfile
            if wfile is not self.__writer:
                wfile.flush()
            elif not wfile.end_response(self.__response):
                self.__end_out_of_step(wfile.missing)
        except TimeoutError as error:
            self.log_error("Request timed out: %r", error)
            self.close_connection = True
        except ConnectionError:
            if not (type(self.wfile) is ResponseWriter and self.wfile.is_broken()):
                raise
            self.close_connection = True

    def __end_out_of_step(self, missing: int) -> None:
        """Log an answer that has not the length it declared, or no end of its head: it is the last one.

        Nobody could tell where the next one begins.
        """
        self.close_connection = True
        if not missing:
            self.log_error('"%s" was answered with a head that does not end', self.requestline)
            return
        wrong = f"{missing} bytes fewer" if missing > 0 else "more bytes"
        self.log_error('"%s" was answered with %s than its Content-Length', self.requestline, wrong)

    # -- The request -----------------------------------------------------------------------------

    def parse_request(self) -> bool:
        """Parse the request whose line is in ``raw_requestline`` and whose rest ``rfile`` gives.

        Returns True when ``command``, ``path``, ``request_version``, ``headers`` and
        ``close_connection`` are set; False when the request was refused, and answered with an error.
        """
        rfile = self.rfile
        head = rfile.take_head(self.raw_requestline) if rfile is self.__reader else None
        if head is None:
            self.command = None
            self.request_version = self.default_request_version
            self.close_connection = True
            if not self.raw_requestline.strip():
                return False
            head = self.__read_head()
            if self.__writer is not None:
                self.__writer.begin_response()
        said = head.request()
        if said is None:
            self.__refuse(head)
            return False
        self.requestline, self.command, self.path, self.request_version, stays, plain = said
        self._fastserve_head = head
        self.__headers = None
        if type(self).headers is not LAZY_HEADERS:  # a subclass has an attribute of that name
            self.headers = headers_module().make_headers(head, self.MessageClass)
        self.close_connection = not stays or self.protocol_version < "HTTP/1.1"
        return plain or self.__begin_body(head)

    def _fastserve_begin(self, head: RequestHead) -> None:
        """Be as in the midst of a request with that head, which somebody else answers."""
        self.raw_requestline = head.raw.partition(b"\n")[0] + b"\n"
        said = head.request()
        assert said is not None  # a refused one has no recorded answer
        self.requestline, self.command, self.path, self.request_version, stays, _ = said
        self._fastserve_head, self.__headers = head, None
        self.close_connection = not stays or self.protocol_version < "HTTP/1.1"

    @property
    def headers(self) -> "Message":
        """The request's fields, a MessageClass; made when first asked for."""
        if self.__headers is None:
            if self._fastserve_head is None:
                raise AttributeError("headers")
            self.__headers = headers_module().make_headers(self._fastserve_head, self.MessageClass)
        return self.__headers

    @headers.setter
    def headers(self, headers: "Message") -> None:
        self.__headers = headers

    def _fastserve_is_conditional(self) -> bool:
        """Whether the request may have conditions or a range; False makes no headers for nothing."""
        untouched = self.__headers is None and type(self).headers is LAZY_HEADERS
        return not untouched or self._fastserve_head is None or self._fastserve_head.is_conditional

    def __read_head(self) -> RequestHead:
        """A head whose request line was read from something else than a waiting reader of ours."""
        head = read_head(self.rfile, self.raw_requestline)
        if type(self.rfile) is RequestReader:
            self.rfile.expect_body(head)
        return head

    def __begin_body(self, head: RequestHead) -> bool:
        """See to a chunked body, and to a client that waits with its body; whether the request goes on."""
        if head.chunked:
            if self.decode_chunked and type(self.rfile) is RequestReader:
                self.rfile.decode_chunks()
            else:
                self.close_connection = True
        if head.expect_continue and self.protocol_version >= "HTTP/1.1":
            return self.handle_expect_100()
        return True

    def __refuse(self, head: RequestHead) -> None:
        """Answer a request that the parser rejected. Its fields are not shown, nor the last request's."""
        self.requestline = head.requestline
        self.close_connection = True
        rejection = REJECTIONS[head.rejection]
        if rejection.status == HTTPStatus.REQUEST_URI_TOO_LONG:
            self.__refuse_line()
            return
        self.command, self.path = head.method, head.target or ""
        # A version that is not ours to answer in, HTTP/0.9 above all, does not take the status line away.
        self.request_version = head.version if head.version_number[0] else ""
        self.headers = headers_module().no_headers(self.MessageClass)
        message = rejection.message % {
            "requestline": self.requestline,
            "version": head.version.removeprefix("HTTP/") if rejection.status == 505 else head.version,
        }
        # An override of send_error() may take no more than http.server gives it.
        self.send_error(rejection.status, *(words for words in (message, rejection.explain) if words))

    def __refuse_line(self) -> None:
        """Answer a request line that is too long, of which nothing is kept."""
        self.requestline = self.request_version = self.command = self.path = ""
        self.headers = headers_module().no_headers(self.MessageClass)
        self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)

    def handle_expect_100(self) -> bool:
        """Tell a client that waits with its body to send it.

        An override may answer with an error and return False; the request is over then.
        """
        self.send_response_only(HTTPStatus.CONTINUE)
        self.end_headers()
        return True

    # -- The response ----------------------------------------------------------------------------

    def __begin_head(self) -> ResponseHead:
        """The head to write to: made once, also for an object that no __init__ of ours has seen."""
        if self.__response is None:
            self.__response = ResponseHead()
        return self.__response

    @property
    def _headers_buffer(self) -> list[bytes]:
        """The lines of the head being written. The list may be edited: it is what is sent."""
        return self.__begin_head().lines

    @_headers_buffer.setter
    def _headers_buffer(self, lines: list[bytes]) -> None:
        self.__begin_head().lines = lines

    @_headers_buffer.deleter
    def _headers_buffer(self) -> None:
        self.__begin_head().lines = []

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Log and answer a request with an error page, and make it the last one.

        ``code`` is a status, ``message`` its phrase and ``explain`` a longer text for the page; both
        default to the code's own. Nothing may have been sent before.
        """
        try:
            phrase, description = self.responses[code]  # type: ignore[index]
        except KeyError:
            phrase, description = "???", "???"
        message = phrase if message is None else message
        explain = description if explain is None else explain
        self.log_error(ERROR_LINE, code, message)
        # A reason phrase is latin-1 and one line, whatever the message is.
        reason = message.translate(self._control_char_table).encode("latin-1", "replace").decode("latin-1")
        self.send_response(code, message if message.isascii() and message.isprintable() else reason)
        self.send_header("Connection", "close")
        body = None
        if code >= 200 and code not in BODILESS:
            import html

            page = self.error_message_format % {
                "code": int(code),  # to Python 3.10 a status is written by its name
                "message": html.escape(message, quote=False),
                "explain": html.escape(explain, quote=False),
            }
            body = page.encode("utf-8", "replace")
            self.send_header("Content-Type", self.error_content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def send_response(self, code: int, message: str | None = None) -> None:
        """Log the request and begin the head: status line, Server and Date."""
        self.log_request(code)
        if self.request_version != "HTTP/0.9" and PLAIN_OPENING.are_of(self):
            # What the calls below come to, in one: most answers of a second begin with the same octets.
            if message is None:
                message = self.responses.get(code, NO_PHRASE)[0]  # type: ignore[call-overload]
            (self.__response or self.__begin_head()).begin(
                self.protocol_version, code, message, self.server_version, self.sys_version,
                http_date(time.time()),
            )
            return
        self.send_response_only(code, message)
        self.send_header("Server", self.version_string())
        self.send_header("Date", self.date_time_string())

    def send_response_only(self, code: int, message: str | None = None) -> None:
        """Begin the head with the status line alone."""
        if self.request_version != "HTTP/0.9":
            if message is None:
                message = self.responses.get(code, NO_PHRASE)[0]  # type: ignore[call-overload]
            response = self.__response or self.__begin_head()
            response.status_line(self.protocol_version, code, message)

    def send_header(self, keyword: str, value: str) -> None:
        """Add a header line. Raises ValueError for CR, LF or NUL in it."""
        if self.request_version != "HTTP/0.9":
            response = self.__response or self.__begin_head()
            said = response.header(keyword, value)
            if said:
                self.close_connection = said == CONNECTION_CLOSE

    def _fastserve_send_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """As send_header() for each, of which none is Connection; that is called where it is overridden."""
        if is_own(self.send_header, PLAIN_SEND_HEADER) and self.request_version != "HTTP/0.9":
            (self.__response or self.__begin_head()).headers(headers)
            return
        for name, value in headers:
            self.send_header(name, value)

    def end_headers(self) -> None:
        """End the head and send it; one that declares a body leaves together with the body's first bytes."""
        if self.request_version != "HTTP/0.9":
            response = self.__response or self.__begin_head()
            self.close_connection = response.end(self.command, self.request_version, self.close_connection)
            self.flush_headers()

    def flush_headers(self) -> None:
        """Send the header lines written so far."""
        response = self.__response
        if response is not None:
            wfile = self.wfile
            if wfile is not self.__writer:
                if response.pending:
                    wfile.write(response.take())
            elif wfile.send_head(response, self.command):
                self.close_connection = True

    def version_string(self) -> str:
        """Return the Server field's value: server_version and sys_version."""
        return self.server_version + " " + self.sys_version

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return now, or ``timestamp`` in seconds since the epoch, as an IMF-fixdate (RFC 9110 5.6.7)."""
        return http_date(time.time() if timestamp is None else timestamp)

    # -- The log ---------------------------------------------------------------------------------

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a request that is being answered with ``code``."""
        # An HTTPStatus is found, too, and written as its number.
        self.log_message('"%s" %s %s', self.requestline, STATUS_TEXTS.get(code) or str(code), str(size))

    def log_error(self, format: str, *args: Any) -> None:
        """Log what went wrong with a request; goes where log_message() goes."""
        self.log_message(format, *args)

    def log_message(self, format: str, *args: Any) -> None:
        """Write ``format % args`` to sys.stderr, behind the client's address and the local time.

        Control characters are written as ``\\xNN``, so that no client can reach the terminal.
        """
        message = (format % args).translate(self._control_char_table)
        self._fastserve_note(message)
        sys.stderr.write(f"{self.address_string()} - - [{self.log_date_time_string()}] {message}\n")

    def _fastserve_note(self, message: str) -> None:
        """A line with this message was logged of the answer, and is to be again when that is."""
        if self.__writer is not None:
            self.__writer.note(message)

    def _fastserve_forgo_recording(self) -> None:
        """What is logged of the answer is true of no other request."""
        if self.__writer is not None:
            self.__writer.forgo()

    def _fastserve_body_size(self) -> int | None:
        """How many bytes of a body have been written; None where the writer cannot tell."""
        wfile: Any = self.wfile
        size: int = wfile.body_size if wfile is self.__writer else -1
        return size if size >= 0 else None

    def log_date_time_string(self) -> str:
        """Return the local time as the log has it."""
        return format_date(int(time.time()), self.monthname)

    def address_string(self) -> str:
        """Return the client's address, never looked up in the DNS."""
        return format_address(self.client_address)


LAZY_HEADERS: Final = BaseHTTPRequestHandler.headers
PLAIN_HANDLE: Final = BaseHTTPRequestHandler.handle
PLAIN_OPENING: Final = OwnMethods(
    BaseHTTPRequestHandler, "send_response_only", "send_header", "version_string", "date_time_string"
)
PLAIN_SEND_HEADER: Final = BaseHTTPRequestHandler.send_header
