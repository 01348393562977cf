"""SimpleHTTPRequestHandler: files and directory listings of one folder, as http.server serves them.

Only regular files are sent; percent-decoding, then normalising, then joining cannot leave the folder.
A file leaves by sendfile, and never as more or fewer bytes than its head declared.

Knows BaseHTTPRequestHandler and the writer's send_file(). fastserve.server re-exports it.
"""

import contextlib
import errno
import io
import os
import stat
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastserve._writer import ResponseWriter
from fastserve.handlers import codings
from fastserve.handlers.base import ERROR_LINE, BaseHTTPRequestHandler
from fastserve.handlers.paths import (
    FOLDER_FLAGS,
    KEPT_LENGTH,
    UNFINISHED,
    descend,
    is_beneath,
    is_hidden,
    is_one_of,
    open_beneath,
    open_file,
    resolve,
    resolve_known,
    split_target,
    unquote_path,
)
from fastserve.handlers.ranges import RangeReader
from fastserve.handlers.representations import (
    CONDITIONAL,
    Answer,
    Headers,
    Representation,
    answer,
    best_sibling,
    modified,
    whole,
)
from fastserve.handlers.types import guess_type
from fastserve.overrides import is_own

if TYPE_CHECKING:
    from fastserve._listing import Folder

# What a 304 says of the file is how it may be kept and used, and where it is (RFC 9110 15.4.5).
NOT_IN_304: Final = {
    "content-type", "content-length", "content-encoding", "content-language", "content-range", "content-md5",
}


def rest_of_file(source: Any, declared: int) -> tuple[int, int, int] | None:
    """Return descriptor, offset and length of what is left of a regular file, None of anything else.

    ``declared`` is the length that the head told, -1 for none. Without one there is no range of a file
    whose length the system does not know, such as those of /proc: it is read to its end.
    """
    try:
        # With another stream inside it a reader's octets need not be those of the descriptor.
        if type(getattr(source, "raw", source)) is not io.FileIO:
            return None
        fd, offset = source.fileno(), source.tell()
        status = os.fstat(fd)
    except (OSError, ValueError):  # no descriptor, a pipe, a closed file
        return None
    if not stat.S_ISREG(status.st_mode) or (declared < 0 and not status.st_size):
        return None
    return fd, offset, status.st_size - offset if declared < 0 else declared


class SimpleHTTPRequestHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from ``directory`` (a path; the current one by default) and below.

    ``extra_response_headers`` is an iterable of (name, value) pairs for answers that carry a file or a
    listing; a pair is left out where the answer has that header already.

    What http.server has no word for:

    default_charset   the charset of a text whose content type names none, such as "utf-8" (str or None)
    precompressed     whether name.br, name.zst or name.gz is sent for a name, to clients that take it (bool)
    follow_symlinks   whether a name may lead through symbolic links, out of ``directory`` too (bool)
    hide_dotfiles     whether names that begin with a dot are as if they were not there (bool), but for
                      /.well-known (RFC 8615)
    list_directories  whether a folder without an index page is listed (bool), else it is 404
    fallback_page     what is sent for a name that is not there, unless its end says that it is a file: the
                      name of a page below ``directory`` that finds its way by itself (str or None)
    withheld          names of files (a tuple of str) that are not sent, by whatever name they are asked for
    not_found_page    the name of a file below ``directory`` that is the body of a 404 (str or None)
    replay            whether an answer may be recorded, and be sent again without a handler while the files
                      it is made of are the same; where a subclass has changed more than data none is (bool)
    pure_end_headers  whether what end_headers() of a subclass adds to an answer depends on nothing but the
                      class, so that the answer may be recorded all the same (bool)
    """

    server_version = "SimpleHTTP"
    index_pages: Iterable[str] = ("index.html", "index.htm")
    extensions_map = _encodings_map_default = {
        ".gz": "application/gzip",
        ".Z": "application/octet-stream",
        ".bz2": "application/x-bzip2",
        ".xz": "application/x-xz",
    }
    default_content_type = "application/octet-stream"
    default_charset: str | None = None
    precompressed = False
    follow_symlinks = True
    hide_dotfiles = False
    list_directories = True
    fallback_page: str | None = None
    not_found_page: str | None = None
    withheld: tuple[str, ...] = ()
    replay = True
    pure_end_headers = False

    __takes_parts = False  # whether what send_head() returns goes to copyfile()

    def __init__(
        self,
        *args: Any,
        directory: str | os.PathLike[str] | None = None,
        extra_response_headers: Iterable[tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.directory = os.getcwd() if directory is None else os.fspath(directory)
        self.extra_response_headers = extra_response_headers
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        """Answer with a file, a part of it, a listing, a redirect or an error."""
        # A do_GET() of somebody else's may do with the file what cannot be done with a part.
        self.__takes_parts = self.command == "GET"
        try:
            file = self.send_head()
        finally:
            self.__takes_parts = False
        if file:
            try:
                self.copyfile(file, self.wfile)
            finally:
                file.close()

    def do_HEAD(self) -> None:
        """Answer with the head that GET would have."""
        file = self.send_head()
        if file:
            file.close()

    # -- What there is ---------------------------------------------------------------------------

    def send_head(self) -> Any:
        """Send the head for the requested path.

        Returns a file object that the caller copies to ``wfile`` (not for HEAD) and closes, or None where
        the answer is complete already.
        """
        if self.hide_dotfiles and is_hidden(self.path):
            return self.__send_missing()
        path = self.translate_path(self.path)
        file = None
        try:
            file = self.__open(path)
        except IsADirectoryError:
            return self.__send_directory(path)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            # A directory that may be searched but not read can still have an index page.
            if self._fastserve_has(path, stat.S_ISDIR):
                return self.__send_directory(path)
        return self.__send_file(path, file)

    def __open(self, path: str) -> io.FileIO:
        """Raises OSError, of a directory IsADirectoryError, and ValueError."""
        file = open_file(path) if self.follow_symlinks else open_beneath(self.directory, path)
        if self.withheld and is_one_of(path, os.fstat(file.fileno()), self.withheld):
            file.close()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return file

    def _fastserve_has(self, path: str, kind: Callable[[int], bool]) -> bool:
        """Whether there is something of that kind, a function of module stat."""
        if not self.follow_symlinks:
            return is_beneath(self.directory, path, kind)
        with contextlib.suppress(OSError, ValueError):
            return kind(os.stat(path).st_mode)
        return False

    def __send_directory(self, path: str) -> Any:
        """A redirect to the name with a slash, an index page, or a listing."""
        target, query, fragment = split_target(self.path)
        if target and not target.endswith(("/", "%2f", "%2F")):
            self.__redirect(target, query, fragment)
            return None
        for page in self.index_pages:
            index = os.path.join(path, page)
            if self._fastserve_has(index, stat.S_ISREG):
                file = None
                with contextlib.suppress(OSError):  # not ours to read, or gone since
                    file = self.__open(index)
                return self.__send_file(index, file)
        if not self.list_directories:
            return self.__send_instead(path, "No permission to list directory")
        return self.list_directory(path)

    def __redirect(self, path: str, query: str, fragment: str) -> None:
        """To the same path with a slash at its end.

        Only a path is given, which begins with one slash: browsers take // and /\\ for a host.
        """
        path = "/" + path.replace("\\", "%5C").lstrip("/") + "/"
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", urllib.parse.urlunsplit(("", "", path, query, fragment)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file_head(self, path: str, file: io.FileIO) -> Any:
        """Send the head for a regular file that is open, as send_head() does: for overrides of that.

        ``path`` gives the content type. Preconditions, ranges and codings are seen to. Returns what
        send_head() is to return; the file is closed where that is not it.
        """
        return self.__send_file(path, file)

    def __send_file(self, path: str, file: io.FileIO | None) -> Any:
        """Send the head for an open file, or 404 for none. Returns what is to be copied, or None.

        What is not to be copied is closed.
        """
        body = None
        try:
            content_type = self.__type_of(path)
            status = None if file is None or path.endswith("/") else os.fstat(file.fileno())
            if file is None or status is None or not stat.S_ISREG(status.st_mode):
                if file is not None:
                    file.close()
                body = self.__send_instead(path)
            elif self.__is_plain():
                now = time.time_ns()
                self.__send_fields(HTTPStatus.OK, whole(status, content_type, now), modified(status, now))
                body = file
            else:
                found = self.__represent(path, file, status)
                if found.file is not file:
                    file, plain = found.file, file
                    plain.close()
                body = self.__send_answer(self.__answer(found, content_type))
        finally:
            if file is not None and body is None:
                file.close()
        return body

    # -- What there is not -----------------------------------------------------------------------

    def __send_instead(self, path: str, message: str = "File not found") -> Any:
        """Send what there is in the place of a file that is not there, as __send_file() does."""
        if self.fallback_page is not None and not guess_type(path.rstrip("/"), self.extensions_map, ""):
            name, page = self.__open_page(self.fallback_page)
            if page is not None:
                return self.__send_file(name, page)
        return self.__send_missing(message)

    def __send_missing(self, message: str = "File not found") -> None:
        """404, with the page that there is for it, or with the usual one."""
        if self.not_found_page is not None and self.command in ("GET", "HEAD"):
            name, page = self.__open_page(self.not_found_page)
            if page is not None:
                with page:
                    self.__send_page(HTTPStatus.NOT_FOUND, message, self.__type_of(name), page.read())
                return
        self.send_error(HTTPStatus.NOT_FOUND, message)

    def __open_page(self, name: str) -> tuple[str, io.FileIO | None]:
        """A regular file of one's own below ``directory``: its name, and None where it is not there."""
        path = os.path.join(self.directory, name)
        with contextlib.suppress(OSError, ValueError):
            file = self.__open(path)
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return path, file
            file.close()
        return path, None

    def __send_page(self, status: HTTPStatus, message: str, content_type: str, page: bytes) -> None:
        """As send_error() does, but that the connection stays."""
        self.log_error(ERROR_LINE, status, message)
        self.send_response(status, message)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    # -- A file ----------------------------------------------------------------------------------

    def __is_plain(self) -> bool:
        """Whether nothing can be sent for a file but all of it, as it is."""
        return (
            not self.precompressed
            and is_own(self.copyfile, PLAIN_COPYFILE)
            and not self._fastserve_is_conditional()
        )

    def __represent(self, path: str, file: io.FileIO, status: os.stat_result) -> Representation:
        """It, or what is beside it that the client would rather have."""
        exact = is_own(self.copyfile, PLAIN_COPYFILE)
        plain = Representation(file, status, exact)
        return self.__negotiate(path, plain) if exact and self.precompressed else plain

    def __negotiate(self, path: str, plain: Representation) -> Representation:
        """The file itself, or what there is beside it in a coding that the client would rather have."""
        field = self._fastserve_field("Accept-Encoding")
        wanted = codings.acceptable(codings.IDENTITY if field is None else field)
        coding = codings.IDENTITY if codings.IDENTITY in wanted else None
        sibling = best_sibling(path, plain.status, wanted, self.__open)
        return sibling or plain._replace(negotiated=True, coding=coding)

    def __type_of(self, path: str) -> str:
        content_type = self.guess_type(path)
        if self.default_charset and content_type.startswith("text/") and ";" not in content_type:
            return f"{content_type}; charset={self.default_charset}"
        return content_type

    def __answer(self, found: Representation, content_type: str) -> Answer:
        fields = self._fastserve_conditional_fields() if self._fastserve_is_conditional() else {}
        reads = self.command in ("GET", "HEAD")
        return answer(found, content_type, fields, time.time_ns(), reads, self.__takes_parts)

    def _fastserve_conditional_fields(self) -> dict[str, str]:
        return {name: value for name in CONDITIONAL if (value := self._fastserve_field(name)) is not None}

    def _fastserve_field(self, name: str) -> str | None:
        """All lines of a field as one; a program may have put any mapping in the place of its headers."""
        get_all = getattr(self.headers, "get_all", None)
        if get_all is None:
            value: str | None = self.headers.get(name)
            return value
        lines = get_all(name)
        return None if lines is None else ", ".join(lines)

    def __send_answer(self, answer: Answer) -> Any:
        """Returns what is to be copied behind the head, or None."""
        self.__send_fields(answer.status, answer.headers, answer.modified)
        return answer.body

    def __send_fields(self, status: HTTPStatus, headers: Headers, changed: float | None) -> None:
        """Send a head; ``changed`` is what Last-Modified says, if anything, in seconds since the epoch."""
        self.send_response(status)
        self._fastserve_send_headers(headers)
        if changed is not None:
            self.send_header("Last-Modified", self.date_time_string(changed))
        if self.extra_response_headers and status < HTTPStatus.BAD_REQUEST:
            sent = {name.lower() for name, _ in headers} - {"vary"}  # of which there may be several
            if status == HTTPStatus.NOT_MODIFIED:
                sent |= NOT_IN_304
            self.__send_extra_headers({"server", "date", "last-modified"} | sent)
        self.end_headers()

    def __send_extra_headers(self, sent: set[str]) -> None:
        """But for those that are sent already."""
        for name, value in self.extra_response_headers or ():
            if name.lower() not in sent:
                self.send_header(name, value)

    def list_directory(self, path: str) -> io.BytesIO | None:
        """Send the head of a directory's listing.

        Returns a file object with the page, or None where the directory cannot be read (404).
        """
        folder = self._fastserve_read_folder(path)
        if folder is None:
            return None
        folder.sort("text")
        encoding = sys.getfilesystemencoding()
        begin, end = (part.encode(encoding, "surrogateescape") for part in self.__around_listing(encoding))
        content_type = f"text/html; charset={encoding}"
        return self._fastserve_send_page(folder.old_lines(begin, end), [("Content-type", content_type)])

    def _fastserve_read_folder(self, path: str, details: bool = False) -> "Folder | None":
        """Return what a listing of a folder shows, with sizes and times if asked for; or send 404."""
        from fastserve._listing import Folder

        try:
            if self.follow_symlinks:
                fd = os.open(path, FOLDER_FLAGS)
            else:
                fd = descend(self.directory, path, FOLDER_FLAGS)
            without = UNFINISHED.encode() if details else b""  # http.server's page has all names
            return Folder(fd, self.follow_symlinks, not self.hide_dotfiles, details, without)
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, "No permission to list directory")
            return None

    def _fastserve_send_page(self, page: bytes, headers: list[tuple[str, str]]) -> io.BytesIO:
        """Send the head of a page that says what there is, and return what is to be copied behind it."""
        self._fastserve_send_head_of([*headers, ("Content-Length", str(len(page)))])
        return io.BytesIO(page)

    def _fastserve_send_head_of(self, headers: list[tuple[str, str]]) -> None:
        """A 200 for what is no file: these fields, and those that the server has for all, but a length."""
        self.send_response(HTTPStatus.OK)
        for name, value in headers:
            self.send_header(name, value)
        sent = {name.lower() for name, _ in headers} - {"vary"}
        self.__send_extra_headers({"server", "date", "content-length"} | sent)
        self.end_headers()

    def __around_listing(self, encoding: str) -> tuple[str, str]:
        """http.server's page, line by line, but for its list: programs parse it."""
        import html

        path = unquote_path(split_target(self.path)[0] or "/")
        title = f"Directory listing for {html.escape(path, quote=False)}"
        return "\n".join(
            [
                "<!DOCTYPE HTML>",
                '<html lang="en">',
                "<head>",
                f'<meta charset="{encoding}">',
                '<style type="text/css">\n:root {\ncolor-scheme: light dark;\n}\n</style>',
                f"<title>{title}</title>\n</head>",
                f"<body>\n<h1>{title}</h1>",
                "<hr>\n<ul>\n",
            ]
        ), "</ul>\n<hr>\n</body>\n</html>\n"

    # -- Names -----------------------------------------------------------------------------------

    def translate_path(self, path: str) -> str:
        """Return the file name (str) for a request path: ``directory`` and the path's own components.

        The query is dropped, and of an absolute-form target (RFC 9112 3.2.2) the host. Components that
        would lead elsewhere are ignored. A slash at the end is kept.
        """
        find = resolve_known if len(path) <= KEPT_LENGTH else resolve
        return find(self.directory, path, os.path)

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return the content type for a file name, by ``extensions_map``, then ours and the system's."""
        return guess_type(os.fspath(path), self.extensions_map, self.default_content_type)

    # -- Bytes -----------------------------------------------------------------------------------

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Copy ``source``, which has read(), to ``outputfile``, which has write().

        A regular file goes to our own stream by sendfile, which may happen after this method has returned:
        as much as the head declared, else as much as there is now.
        """
        if type(outputfile) is ResponseWriter:
            if type(source) is RangeReader:
                source.send_to(outputfile)
                return
            if type(source) in (io.BufferedReader, io.FileIO):
                rest = rest_of_file(source, outputfile.unwritten)
                if rest:
                    outputfile.send_file(*rest)
                    return
            if type(source) is io.BytesIO:  # a listing
                outputfile.write(source.read())
                return
        import shutil  # with compressors

        shutil.copyfileobj(source, outputfile)


PLAIN_COPYFILE: Final = SimpleHTTPRequestHandler.copyfile
