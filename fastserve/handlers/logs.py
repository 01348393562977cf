"""Access logs in other forms than http.server's, as mixins for a handler class: log_class() chooses one.

  http.server  its own lines, with the colours that Python 3.15 gives them on a terminal
  common       NCSA's common log format
  combined     the same, with Referer and User-Agent
  json         an object a line
  quiet        no line for a request, and of errors those that are the server's

A line of common, combined and json is written when a request has been answered, so that it can tell how many
octets the body had; those of a large file may still be on their way. Each line is one write, and no control
character of a client's reaches it. For an error there is no other line: JSON has what it was in the same one.

Answers that are sent again from a recording get the same lines. Where nothing in a line is the client's but
its address, the lane writes them itself; where Referer and User-Agent are, it asks a handler.

Knows BaseHTTPRequestHandler, and no stream but sys.stderr. The command line calls it, and handlers.replay has
the names of its classes.
"""

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from fastserve.handlers.base import ERROR_LINE, STATUS_TEXTS, BaseHTTPRequestHandler, headers_module
from fastserve.log import CONTROL_CHARS, MONTHS, format_date

Status: TypeAlias = int | str

# As Apache escapes what is a client's: nothing that is no printable ASCII gets through.
APACHE_ESCAPES: Final = str.maketrans(
    {code: rf"\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0x100))}
    | {ord("\b"): r"\b", ord("\n"): r"\n", ord("\r"): r"\r", ord("\t"): r"\t", ord("\v"): r"\v"}
    | {ord('"'): r"\"", ord("\\"): r"\\"}
)

RESET: Final = "\x1b[0m"
GREEN: Final = "\x1b[32m"
YELLOW: Final = "\x1b[33m"
RED: Final = "\x1b[31m"
CYAN: Final = "\x1b[36m"
INTENSE_CYAN: Final = "\x1b[96m"
GREY: Final = "\x1b[90m"

# Of a status, by its first digit.
COLOURS: Final = {"2": GREEN, "3": INTENSE_CYAN, "4": YELLOW, "5": RED}


def status_text(code: Status) -> str:
    """Return a status as the log has it; an HTTPStatus is written as its number."""
    return STATUS_TEXTS.get(code) or str(code)


def painted(text: str, colour: str) -> str:
    """Return ``text`` in a colour, '' for none."""
    return f"{colour}{text}{RESET}" if colour else text


def escaped(text: object) -> str:
    """Return a client's words as Apache writes them to its log, '-' for none."""
    if text is None or text == "":
        return "-"
    octets = str(text)
    if not octets.isascii():  # a header is latin-1; a name that somebody has decoded may be anything
        try:
            octets.encode("latin-1")
        except UnicodeEncodeError:
            octets = octets.encode("utf-8", "surrogateescape").decode("latin-1")
    return octets.translate(APACHE_ESCAPES)


# -- http.server's lines, in colour ------------------------------------------------------------


def painted_opening(second: int) -> str:
    """Return what stands between the client's address and the message."""
    return f" - - {painted(f'[{format_date(second)}]', GREY)} "


class ColouredLog(BaseHTTPRequestHandler):
    """http.server's lines, coloured: the time, the path, the status, the size, and errors."""

    def log_request(self, code: Status = "-", size: Status = "-") -> None:
        status = status_text(code)
        method, *target = self.requestline.translate(CONTROL_CHARS).split(" ")
        if len(target) == 2:  # else it is no request
            target[0] = painted(target[0], CYAN)
        request = " ".join([method, *target])
        shown = painted(status, COLOURS.get(status[:1], ""))
        self.__write(f'"{request}" {shown} {painted(str(size), GREY)}')

    def log_error(self, format: str, *args: Any) -> None:
        self.__write(painted((format % args).translate(CONTROL_CHARS), YELLOW))

    def log_message(self, format: str, *args: Any) -> None:
        self.__write((format % args).translate(CONTROL_CHARS))

    def __write(self, message: str) -> None:
        self._fastserve_note(message)
        sys.stderr.write(f"{self.address_string()}{painted_opening(int(time.time()))}{message}\n")

    _fastserve_log_opening = staticmethod(painted_opening)


# -- A line for an answer ----------------------------------------------------------------------


class AnswerLog(BaseHTTPRequestHandler):
    """Tells of a request once it has been answered. In which form, subclasses say: by log_answer()."""

    __answering = False
    __said: tuple[Status, Status] | None = None
    _error: str | None = None  # what send_error() said of the request
    user: str | None = None  # by whom it was made, where somebody has found out

    def log_answer(self, code: Status, size: Status | None, duration: float) -> None:
        """Write a line. ``size`` is that of the body, None where nobody knows; ``duration`` is in seconds."""
        raise NotImplementedError

    def _fastserve_seconds(self) -> float:
        """How long it has taken by now; where the form has no place for it, it is not measured."""
        return 0.0

    def handle_one_request(self) -> None:
        """Answer a request, and log it."""
        self.__answering, self.__said, self._error = True, None, None
        try:
            super().handle_one_request()
        finally:
            self.__answering = False
            if self.__said is not None:
                code, size = self.__said
                known = self._fastserve_body_size() if size == "-" else size
                self.log_answer(code, known, self._fastserve_seconds())

    def log_request(self, code: Status = "-", size: Status = "-") -> None:
        """Keep it for the end of the answer. Of several the first counts that is none of 1xx."""
        if not self.__answering:
            self.log_answer(code, None if size == "-" else size, 0.0)
        elif self.__said is None or status_text(self.__said[0]).startswith("1"):
            self.__said = code, size

    def log_error(self, format: str, *args: Any) -> None:
        """Keep what send_error() says for the line of the request."""
        if format == ERROR_LINE and self.__answering:
            self._error = str(args[1])
            return
        super().log_error(format, *args)

    def log_message(self, format: str, *args: Any) -> None:
        self._fastserve_forgo_recording()  # of which it would be no part
        super().log_message(format, *args)


@functools.lru_cache(maxsize=2)
def common_date(second: int) -> str:
    """Return local time as NCSA's format has it: ``10/Oct/2000:13:55:36 -0700``."""
    now = time.localtime(second)
    offset = offset_of(now, "")
    clock = f"{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
    return f"{now.tm_mday:02d}/{MONTHS[now.tm_mon]}/{now.tm_year:04d}:{clock} {offset}"


def offset_of(moment: time.struct_time, mark: str) -> str:
    """Return how far local time is from UTC: ``+0530``, with ``mark`` between hours and minutes."""
    minutes = (moment.tm_gmtoff or 0) // 60
    hours, minutes = divmod(abs(minutes), 60)
    sign = "-" if (moment.tm_gmtoff or 0) < 0 else "+"
    return f"{sign}{hours:02d}{mark}{minutes:02d}"


def common_opening(second: int) -> str:
    """Return what stands between the client's address and the message, where nobody has logged in."""
    return f" - - [{common_date(second)}] "


class CommonLog(AnswerLog):
    """NCSA's common log format: ``host - user [time] "request" status size``."""

    _fastserve_log_opening: Any = staticmethod(common_opening)

    def log_answer(self, code: Status, size: Status | None, duration: float) -> None:
        message = self._message(code, size)
        if self.user is None:
            opening = common_opening(int(time.time()))
            self._fastserve_note(message)
        else:
            opening = f" - {escaped(self.user)} [{common_date(int(time.time()))}] "
            self._fastserve_forgo_recording()
        sys.stderr.write(f"{self.address_string()}{opening}{message}\n")

    def _message(self, code: Status, size: Status | None) -> str:
        return f'"{escaped(self.requestline)}" {status_text(code)} {"-" if size is None else size}'


class FieldsLog(AnswerLog):
    """For forms that have something of each request: the lane has a handler write the line."""

    def _fastserve_log_recorded(self, status: int, size: int) -> None:
        """A recorded answer is sent, of which the request is the handler's just now."""
        self._error = None
        self.log_answer(status, size, 0.0)

    def _field(self, name: str) -> str | None:
        """A field of the request, None where there is none or no request."""
        headers = getattr(self, "headers", None)
        value = None if headers is None else headers.get(name)
        return None if value is None else str(value)


class CombinedLog(FieldsLog, CommonLog):
    """The common log format with ``"Referer" "User-Agent"`` at its end."""

    _fastserve_log_opening = None

    def _message(self, code: Status, size: Status | None) -> str:
        fields = f'"{escaped(self._field("Referer"))}" "{escaped(self._field("User-Agent"))}"'
        return f"{super()._message(code, size)} {fields}"


# -- JSON --------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def iso_parts(second: int) -> tuple[str, str]:
    """Return local time as ISO 8601 has it, cut where fractions of the second stand."""
    now = time.localtime(second)
    return time.strftime("%Y-%m-%dT%H:%M:%S", now), offset_of(now, ":")


def iso_time(moment: float) -> str:
    """Return a time since the epoch, to the millisecond: ``2026-11-21T10:33:07.042+01:00``."""
    second, rest = divmod(int(moment * 1000), 1000)
    date, offset = iso_parts(second)
    return f"{date}.{rest:03d}{offset}"


@functools.cache
def encoder() -> Callable[[Any], str]:
    """What makes JSON; its module is imported for those who want some. All of it is ASCII."""
    import json

    return json.JSONEncoder(check_circular=False, separators=(", ", ": ")).encode


class JsonLines(BaseHTTPRequestHandler):
    """What is no request is an object, too: ``time``, ``client`` and ``message``."""

    def log_message(self, format: str, *args: Any) -> None:
        self._fastserve_forgo_recording()
        self._write({"message": format % args})

    def _write(self, said: dict[str, Any]) -> None:
        host = self.address_string()
        line = {"time": iso_time(time.time()), "client": None if host == "-" else host, **said}
        sys.stderr.write(encoder()(line).replace("\x7f", "\\u007f") + "\n")


class JsonLog(JsonLines, FieldsLog):
    """An object for each answer; what is not known is null.

    ``time`` is when the line was written, ``duration`` how many seconds the handler took, 0 of what was
    recorded. ``error`` is there where send_error() has said one.
    """

    __began = 0.0

    def parse_request(self) -> bool:
        """Parse the request, which is here."""
        self.__began = time.monotonic()
        return super().parse_request()

    def _fastserve_seconds(self) -> float:
        began, self.__began = self.__began, 0.0
        return round(time.monotonic() - began, 6) if began else 0.0

    def log_answer(self, code: Status, size: Status | None, duration: float) -> None:
        said = {
            "method": self.command or None,
            "target": getattr(self, "path", None) or None,
            "version": self.request_version or None,
            "status": int(code) if isinstance(code, int) else code,
            "size": size,
            "duration": duration,
            "referer": self._field("Referer"),
            "user_agent": self._field("User-Agent"),
            "user": self.user,
        }
        if self._error is not None:
            said["error"] = self._error
        self._write(said)


# -- Quiet -------------------------------------------------------------------------------------


class QuietLog(BaseHTTPRequestHandler):
    """Says nothing of requests, but what is wrong here: an error of a client's is none of it."""

    def log_request(self, code: Status = "-", size: Status = "-") -> None:
        pass

    def log_error(self, format: str, *args: Any) -> None:
        if format != ERROR_LINE or args[0] >= 500:
            super().log_error(f'"%s" {format}', self.requestline, *args)


class QuietColouredLog(QuietLog, ColouredLog):
    """The same in colour."""


class QuietJsonLog(QuietLog, JsonLines):
    """The same as objects."""


# -- Which ---------------------------------------------------------------------------------------

CLASSES: Final[dict[str, type[BaseHTTPRequestHandler]]] = {
    "common": CommonLog, "combined": CombinedLog, "json": JsonLog,
}
FORMATS: Final = ("http.server", *CLASSES)


def log_class(log_format: str, colour: bool, quiet: bool) -> type[BaseHTTPRequestHandler] | None:
    """Return what a handler class is to have in front of its other bases, to log in one of FORMATS.

    ``colour`` is for a terminal, and counts for http.server's form alone. ``quiet`` leaves errors. None: no
    mixin is needed. Raises ValueError for a form that is none.
    """
    if log_format not in FORMATS:
        raise ValueError(f"log format {log_format!r} is none of {', '.join(FORMATS)}")
    if not quiet and log_format in ("combined", "json"):
        headers_module()  # not when the first line is due
    if log_format == "json":
        encoder()
    coloured = colour and log_format == "http.server"
    if quiet:
        return QuietColouredLog if coloured else QuietJsonLog if log_format == "json" else QuietLog
    return ColouredLog if coloured else CLASSES.get(log_format)
