"""multipart/form-data read part by part as it comes (RFC 7578, RFC 2046), with memory for one block.

Strict: lines end with CRLF, each part has a name, and what is malformed raises MultipartError with a text
that may be shown to the client. Names and file names are in UTF-8; octets that are not are kept as
os.fsdecode() keeps those of files' names.

Knows a function that gives octets, and no handler and no file. handlers.upload calls it.
"""

import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Final

from fastserve.limits import MAX_BOUNDARY, MAX_PART_HEAD, MAX_PARTS

BLOCK: Final = 1 << 18

TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# In a quoted string a backslash stands for itself, as browsers write it, but before a quote and another one.
PARAMETER: Final = re.compile(
    rf';[ \t]*(?P<name>{TOKEN})=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^";\x00-\x20\x7f]*))[ \t]*')
FIELD: Final = re.compile(rf"(?P<name>{TOKEN}):(?P<value>[^\x00-\x08\x0a-\x1f\x7f]*)")
ESCAPED: Final = re.compile(r'\\(["\\])')
# How browsers write what cannot stand in a quoted string (WHATWG HTML, 4.10.21.8); all else is as it is.
PERCENT: Final = {"%22": '"', "%0D": "\r", "%0d": "\r", "%0A": "\n", "%0a": "\n"}
EXTENDED: Final = re.compile(
    r"(?P<charset>[A-Za-z0-9-]+)'[A-Za-z0-9-]*'(?P<octets>(?:[^%\x00-\x20\x7f]|%[0-9A-Fa-f]{2})*)")
CHARSETS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}  # those of RFC 8187 3.2.1
AS_IT_IS: Final = ("", "7bit", "8bit", "binary")


class MultipartError(ValueError):
    """What was sent is no multipart/form-data; the text says why."""


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first semicolon, in lower case, and the parameters, names in lower case.

    Raises MultipartError.
    """
    first, _, _ = value.partition(";")
    found: dict[str, str] = {}
    at = len(first)
    while at < len(value):
        match = PARAMETER.match(value, at)
        if match is None:
            if not value[at:].strip("; \t"):
                break
            raise MultipartError("a parameter is malformed")
        name, quoted = match["name"].lower(), match["quoted"]
        if name in found:
            raise MultipartError(f"the parameter {name} is there twice")
        found[name] = match["plain"] if quoted is None else ESCAPED.sub(r"\1", quoted)
        at = match.end()
    return first.strip(" \t").lower(), found


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type tells. Raises MultipartError where it is of another type."""
    kind, parameters = parse_parameters(content_type)
    if kind != "multipart/form-data":
        raise MultipartError("the type is not multipart/form-data")
    boundary = parameters.get("boundary", "")
    if not boundary or not boundary.isascii() or not boundary.isprintable() or boundary.endswith(" "):
        raise MultipartError("there is no proper boundary in the Content-Type")
    if len(boundary) > MAX_BOUNDARY:
        raise MultipartError(f"the boundary has more than {MAX_BOUNDARY} characters")
    return boundary.encode("ascii")


class Part:
    """One part of a form.

    name          the form's field (str)
    filename      of a file its name without folders (str, '' where none was chosen), else None
    content_type  what the client says that it is (str), or None

    Its octets come from blocks(), once.
    """

    def __init__(self, fields: dict[str, str], blocks: Iterator[bytes]) -> None:
        kind, parameters = parse_parameters(fields.get("content-disposition", ""))
        if kind != "form-data" or "name" not in parameters:
            raise MultipartError("a part has no Content-Disposition with a name")
        if fields.get("content-transfer-encoding", "").lower() not in AS_IT_IS:
            raise MultipartError("a part has a Content-Transfer-Encoding")
        self.name = unescape(parameters["name"])
        self.filename = filename_of(parameters)
        self.content_type = fields.get("content-type")
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        """Return an iterator of its octets, in pieces. To ask for the next part is to pass over them."""
        return self._blocks


def unescape(value: str) -> str:
    return re.sub("%(?:22|0[ADad])", lambda match: PERCENT[match[0]], value)


def filename_of(parameters: dict[str, str]) -> str | None:
    """Return the last component of a file's name, None where the part is no file.

    Some clients send the whole path, and some of these have backslashes in it.
    """
    extended = parameters.get("filename*")
    if extended is not None:
        name = decode_extended(extended)
    elif "filename" in parameters:
        name = unescape(parameters["filename"])
    else:
        return None
    return re.split(r"[/\\]", name)[-1]


def decode_extended(value: str) -> str:
    """Decode an ext-value (RFC 8187 3.2). Raises MultipartError."""
    match = EXTENDED.fullmatch(value)
    charset = CHARSETS.get(match["charset"].lower()) if match else None
    if match is None or charset is None:
        raise MultipartError("a filename* is malformed")
    return urllib.parse.unquote_to_bytes(match["octets"]).decode(charset, "surrogateescape")


def parse_head(octets: bytes) -> dict[str, str]:
    """Return the fields of a part's head, by their names in lower case. Raises MultipartError."""
    fields: dict[str, str] = {}
    for line in octets.decode("utf-8", "surrogateescape").split("\r\n"):
        match = FIELD.fullmatch(line)
        if match is None:
            raise MultipartError("a line in the head of a part is malformed")
        name = match["name"].lower()
        if name in fields:
            raise MultipartError(f"the head of a part has {match['name']} twice")
        fields[name] = match["value"].strip(" \t")
    return fields


class MultipartReader:
    """An iterator of the parts of a body.

    ``read(size)`` gives up to that many octets, and b'' at the end of the body, whose ``boundary`` this is.
    At the end the whole body has been read. Raises MultipartError, and what read() raises.
    """

    def __init__(self, read: Callable[[int], bytes], boundary: bytes) -> None:
        self._read = read
        self._delimiter = b"\r\n--" + boundary
        # A delimiter is a line of its own, and before the first line there is none that would have to end.
        self._buffer = bytearray(b"\r\n")
        self._inside = True  # of a part, or of what stands before the first one

    def __iter__(self) -> Iterator[Part]:
        self._skip()
        count = 0
        while self._has_next():
            count += 1
            if count > MAX_PARTS:
                raise MultipartError(f"there are more than {MAX_PARTS} parts")
            fields = self._head()
            self._inside = True
            yield Part(fields, self._blocks())
            self._skip()
        self._buffer.clear()
        while self._read(BLOCK):  # what stands behind the last boundary says nothing
            pass

    def _skip(self) -> None:
        for _ in self._blocks():
            pass

    def _blocks(self) -> Iterator[bytes]:
        """What comes before the next delimiter, which is taken."""
        buffer, delimiter = self._buffer, self._delimiter
        while self._inside:
            at = buffer.find(delimiter)
            # Without one, the end of what is here may be the beginning of it.
            ready = max(len(buffer) - len(delimiter) + 1, 0) if at < 0 else at
            block = bytes(memoryview(buffer)[:ready])
            if at < 0:
                del buffer[:ready]
                self._fill("the body ends before its last boundary")
            else:
                del buffer[: at + len(delimiter)]
                self._inside = False
            if block:
                yield block

    def _fill(self, otherwise: str) -> None:
        data = self._read(BLOCK)
        if not data:
            raise MultipartError(otherwise)
        self._buffer += data

    def _has_next(self) -> bool:
        """Whether what stands behind a delimiter says that a part follows, and not that it was the last."""
        while len(self._buffer) < 2:
            self._fill("the body ends within a boundary")
        if self._buffer.startswith(b"--"):
            return False
        # Mail programs may add blanks to a line (RFC 2046 5.1.1). No more than a head may have.
        while not (end := self._line_end()):
            self._fill("the body ends within a boundary")
        del self._buffer[:end]
        return True

    def _line_end(self) -> int:
        """How many octets there are to the end of an empty line, 0 where it has not come yet."""
        blanks = len(self._buffer) - len(self._buffer.lstrip(b" \t"))
        end = self._buffer[blanks : blanks + 2]
        if not b"\r\n".startswith(end) or blanks > MAX_PART_HEAD:
            raise MultipartError("behind a boundary its line does not end")
        return blanks + 2 if len(end) == 2 else 0

    def _head(self) -> dict[str, str]:
        at, seen = -1, 0
        while at < 0:
            at = self._buffer.find(b"\r\n\r\n", max(seen - 3, 0), MAX_PART_HEAD + 4)
            if at < 0 and len(self._buffer) >= MAX_PART_HEAD + 4:
                raise MultipartError(f"the head of a part has more than {MAX_PART_HEAD} octets")
            seen = len(self._buffer)
            if at < 0:
                self._fill("the body ends within the head of a part")
        fields = parse_head(bytes(self._buffer[:at]))
        del self._buffer[: at + 4]
        return fields
