"""SimpleHTTPRequestHandler: files and directory listings of one folder, as http.server serves them.

Only regular files are sent; percent-decoding, then normalising, then joining cannot leave the folder.
A file leaves by sendfile, and never as more or fewer bytes than its head declared.

Knows BaseHTTPRequestHandler and the writer's send_file(). fastserve.server re-exports it.
"""

import contextlib
import datetime
import email.utils
import functools
import html
import io
import mimetypes
import os
import posixpath
import re
import shutil
import stat
import sys
import urllib.parse
from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final

from fastserve._writer import ResponseWriter
from fastserve.handlers.base import BaseHTTPRequestHandler

# 3.13 took file names away from guess_type().
GUESS_FILE_TYPE: Final = getattr(mimetypes, "guess_file_type", mimetypes.guess_type)

# A FIFO without a writer must not hold the server, nor a terminal become its own.
OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

# What no octet of a file name was decoded to; a page cannot have it.
LONE_SURROGATE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")

# What depends on nothing but its arguments is worked out once; a longer path is not worth the memory.
KEPT_PATHS: Final = 1024
KEPT_LENGTH: Final = 256


def unquote_path(path: str) -> str:
    """Decode a request path once, to the form in which os functions take file names."""
    try:
        return urllib.parse.unquote(path, errors="surrogatepass")
    except UnicodeDecodeError:
        return urllib.parse.unquote(path)


def split_target(target: str) -> tuple[str, str, str]:
    """Return a request target's path, still encoded, its query and its fragment; each may be ''.

    Of an absolute-form target (RFC 9112 3.2.2) scheme and host are dropped.
    """
    target, _, fragment = target.partition("#")
    path, _, query = target.partition("?")
    if path[:8].lower().startswith(("http://", "https://")):
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    return path, query, fragment


def resolve(directory: str, path: str, os_path: ModuleType) -> str:
    """Return the file name for a request path below ``directory``; ``os_path`` is os.path."""
    path = unquote_path(split_target(path)[0])
    parts = [part for part in posixpath.normpath(path).split("/") if part not in ("", os.curdir, os.pardir)]
    # What the platform takes for a path of its own (C:, a\\b) is no component.
    name = os_path.join(directory, *(part for part in parts if not os_path.dirname(part)))
    return f"{name}/" if path.rstrip().endswith("/") else f"{name}"


resolve_known = functools.lru_cache(KEPT_PATHS)(resolve)


def open_file(path: str) -> io.FileIO:
    """Open a file for reading, under its name. Raises OSError (of a directory IsADirectoryError), ValueError.

    FileIO's own opener would cost a system call more for each file.
    """
    fd = os.open(path, OPEN_FLAGS)
    try:
        file = io.FileIO(fd)
    except BaseException:
        os.close(fd)
        raise
    file.name = path
    return file


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


@functools.lru_cache(KEPT_PATHS)
def split_extension(name: str) -> str:
    """Return the extension of a file name, with its dot, or ''."""
    return posixpath.splitext(name)[1]


def surely(question: Callable[[], bool]) -> bool:
    """Return what a directory's entry answers, False where it cannot tell: of links in a circle, say."""
    try:
        return question()
    except OSError:
        return False


class SimpleHTTPRequestHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from ``directory`` (a path; the current one by default) and below.

    ``extra_response_headers`` is an iterable of (name, value) pairs for answers that carry a file or a
    listing; a pair is left out where the answer has that header already.
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
        """Answer with a file, a listing, a redirect or an error."""
        file = self.send_head()
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
        path = self.translate_path(self.path)
        try:
            file = open_file(path)
        except IsADirectoryError:
            return self.__send_directory(path)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            # A directory that may be searched but not read can still have an index page.
            return self.__send_directory(path) if os.path.isdir(path) else self.__send_file(path, None)
        return self.__send_file(path, file)

    def __send_directory(self, path: str) -> Any:
        """A redirect to the name with a slash, an index page, or a listing."""
        target, query, fragment = split_target(self.path)
        if target and not target.endswith(("/", "%2f", "%2F")):
            self.__redirect(target, query, fragment)
            return None
        for page in self.index_pages:
            index = os.path.join(path, page)
            if os.path.isfile(index):
                file = None
                with contextlib.suppress(OSError):  # not ours to read, or gone since
                    file = open_file(index)
                return self.__send_file(index, file)
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

    def __send_file(self, path: str, file: io.FileIO | None) -> io.FileIO | None:
        """Send the head for an open file, or 404 for none. The file is closed where no body follows."""
        follows = False
        try:
            follows = self.__send_file_head(path, file)
        finally:
            if file is not None and not follows:
                file.close()
        return file if follows else None

    def __send_file_head(self, path: str, file: io.FileIO | None) -> bool:
        """Send the head, or 404; return whether a body follows."""
        content_type = self.guess_type(path)
        status = None if file is None else os.fstat(file.fileno())
        if status is None or not stat.S_ISREG(status.st_mode) or path.endswith("/"):
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return False
        if self.__is_unmodified(status.st_mtime):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.end_headers()
            return False
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-type", content_type)
        self.send_header("Content-Length", str(status.st_size))
        self.send_header("Last-Modified", self.date_time_string(status.st_mtime))
        self.__send_extra_headers({"server", "date", "content-type", "content-length", "last-modified"})
        self.end_headers()
        return True

    def __is_unmodified(self, mtime: float) -> bool:
        """Whether If-Modified-Since spares us the file (RFC 9110 13.1.3)."""
        if "If-Modified-Since" not in self.headers or "If-None-Match" in self.headers:
            return False
        try:
            since = email.utils.parsedate_to_datetime(self.headers["If-Modified-Since"])
        except (TypeError, IndexError, OverflowError, ValueError):
            return False  # not a date: as if it were not there
        if since.tzinfo is None:
            since = since.replace(tzinfo=datetime.timezone.utc)
        return int(mtime) <= since.timestamp()

    def __send_extra_headers(self, sent: set[str]) -> None:
        for name, value in self.extra_response_headers or ():
            if name.lower() not in sent:
                self.send_header(name, value)

    def list_directory(self, path: str) -> io.BytesIO | None:
        """Send the head of a directory's listing.

        Returns a file object with the page, or None where the directory cannot be read (404).
        """
        try:
            with os.scandir(path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name.lower())
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, "No permission to list directory")
            return None
        encoding = sys.getfilesystemencoding()
        page = self.__listing_page(entries, encoding).encode(encoding, "surrogateescape")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-type", f"text/html; charset={encoding}")
        self.send_header("Content-Length", str(len(page)))
        self.__send_extra_headers({"server", "date", "content-type", "content-length"})
        self.end_headers()
        return io.BytesIO(page)

    def __listing_page(self, entries: Iterable[os.DirEntry[str]], encoding: str) -> str:
        """http.server's page, line by line: programs parse it."""
        path = LONE_SURROGATE.sub("\ufffd", unquote_path(split_target(self.path)[0] or "/"))
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
                "<hr>\n<ul>",
                *map(self.__listing_item, entries),
                "</ul>\n<hr>\n</body>\n</html>\n",
            ]
        )

    def __listing_item(self, entry: os.DirEntry[str]) -> str:
        """A link; directories end with a slash, and symbolic links are shown with @."""
        link = shown = entry.name
        if surely(entry.is_dir):
            link = shown = entry.name + "/"
        if surely(entry.is_symlink):
            shown = entry.name + "@"
        target = urllib.parse.quote(link, errors="surrogatepass")
        return f'<li><a href="{target}">{html.escape(shown, quote=False)}</a></li>'

    # -- Names -----------------------------------------------------------------------------------

    def translate_path(self, path: str) -> str:
        """Return the file name (str) for a request path: ``directory`` and the path's own components.

        The query is dropped, and of an absolute-form target (RFC 9112 3.2.2) the host. Components that
        would lead elsewhere are ignored. A slash at the end is kept.
        """
        find = resolve_known if len(path) <= KEPT_LENGTH else resolve
        return find(self.directory, path, os.path)

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return the content type for a file name, by ``extensions_map`` and then the system's tables."""
        path = os.fspath(path)
        extension = split_extension(path[-KEPT_LENGTH:])
        for key in (extension, extension.lower()):
            if key in self.extensions_map:
                return self.extensions_map[key]
        if not mimetypes.inited:
            mimetypes.init()
        lower = extension.lower()
        if lower in mimetypes.suffix_map or extension in mimetypes.encodings_map:
            return GUESS_FILE_TYPE(path)[0] or self.default_content_type  # such as .tgz, .svg.br
        return mimetypes.types_map.get(lower) or self.default_content_type

    # -- Bytes -----------------------------------------------------------------------------------

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Copy ``source``, which has read(), to ``outputfile``, which has write().

        A regular file goes to our own stream by sendfile, which may happen after this method has returned:
        as much as the head declared, else as much as there is now.
        """
        if type(outputfile) is ResponseWriter and type(source) in (io.BufferedReader, io.FileIO):
            rest = rest_of_file(source, outputfile.unwritten)
            if rest:
                outputfile.send_file(*rest)
                return
        shutil.copyfileobj(source, outputfile)
