"""UploadMixin: files that come in by PUT (RFC 9110 9.3.4) and by POST of forms (RFC 7578).

Everything that can be known before the body is looked at before it, so that a client that waits for
100 Continue need not send it in vain. A body is stored whole or not at all.

Knows what SimpleHTTPRequestHandler has, and no page that shows a form. The command line mixes it in.
"""

import contextlib
import errno
import json
import os
import stat
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastserve._reader import RequestReader
from fastserve.handlers import conditions, multipart
from fastserve.handlers.paths import is_beneath, is_dotfile, split_target, unquote_path
from fastserve.handlers.representations import SECOND, entity_tag, modified
from fastserve.handlers.storing import Folder, Upload, is_name, keep_all
from fastserve.limits import MAX_UPLOAD

if TYPE_CHECKING:
    from fastserve.handlers.static import SimpleHTTPRequestHandler as Handler
else:
    Handler = object

BLOCK: Final = 1 << 18
PORTS: Final = {"http": ":80", "https": ":443"}

NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}
NOT_ALLOWED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
NOT_THERE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
IN_THE_WAY: Final = {errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY}
NO_NAME: Final = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}


class Refusal(Exception):
    """How a request is refused; ``allow`` is what the Allow field of a 405 says."""

    def __init__(self, status: HTTPStatus, message: str | None = None, allow: str = "") -> None:
        super().__init__(status, message)
        self.status, self.message, self.allow = status, message, allow


def refusal_of(error: OSError) -> Refusal:
    """What a client is told of what the file system says."""
    if error.errno in NO_ROOM:
        return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "No space left")
    if error.errno in NOT_ALLOWED:
        return Refusal(HTTPStatus.FORBIDDEN, "May not be written to")
    if error.errno in NOT_THERE:
        return Refusal(HTTPStatus.NOT_FOUND, "Folder not found")
    if error.errno in IN_THE_WAY:
        return Refusal(HTTPStatus.CONFLICT, "Something of that name is there")
    if error.errno in NO_NAME:
        return Refusal(HTTPStatus.BAD_REQUEST, "Not a name for a file")
    if error.errno == errno.EFBIG:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Larger than files may be")
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Cannot be stored: {error.strerror}")


def too_large(limit: int) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"An upload may have {limit} octets")


class Place(NamedTuple):
    """Where a request stores.

    ``folder`` is a file name; below ``base`` no links are followed to it. ``name`` is the file's, '' for a
    form; ``url`` is the folder's, as it is sent, and ends with a slash.
    """

    base: str
    folder: str
    name: str
    url: str


class Body:
    """A request's body: of ``length`` octets, or None where it is in chunks, of no more than ``limit``."""

    def __init__(self, rfile: Any, length: int | None, limit: int) -> None:
        self._rfile, self._left, self._limit = rfile, length, limit
        self._read = 0

    def read(self, size: int) -> bytes:
        """Return that many octets, fewer only at the end.

        Raises ConnectionError where the client is gone, TimeoutError where it is too slow, and Refusal.
        """
        if self._left is None:
            return self._read_chunks(size)
        data: bytes = self._rfile.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        if self._left and not data:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the body broke off")
        return data

    def _read_chunks(self, size: int) -> bytes:
        try:
            data: bytes = self._rfile.read(size)
        except ValueError:
            raise Refusal(HTTPStatus.BAD_REQUEST, "Bad chunks") from None
        self._read += len(data)
        if self._read > self._limit:
            raise too_large(self._limit)
        return data

    def blocks(self) -> Iterator[bytes]:
        """Return an iterator of all of it."""
        return iter(lambda: self.read(BLOCK), b"")


def way_beneath(directory: str, inner: str) -> list[str] | None:
    """Return the components that lead from one folder to another, None where that is not beneath it."""
    for plain in (os.path.abspath, os.path.realpath):
        root, path = os.path.join(plain(directory), ""), os.path.join(plain(inner), "")
        if path.startswith(root):
            return [part for part in path[len(root) :].split(os.sep) if part]
    return None


def components_of(target: str) -> list[str]:
    """Return the decoded components of a request target, the last one '' for a folder. Raises Refusal."""
    path = split_target(target)[0]
    *folders, last = map(unquote_path, path.split("/")[1:] or [""])
    parts = [*filter(None, folders), last]
    if not path.startswith("/") or not all(is_name(part) for part in parts if part):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Not a name for a file")
    return parts


def quoted(*parts: str) -> str:
    """Components as a URL has them."""
    return "/".join(urllib.parse.quote(os.fsencode(part), safe="") for part in parts)


def plain_host(scheme: str, host: str) -> str:
    """A host, and its port where that is not the scheme's own."""
    return host.lower().removesuffix(PORTS.get(scheme, ""))


def is_from_elsewhere(site: str | None, origin: str | None, host: str | None) -> bool:
    """Whether a page of another site has made a browser send a request.

    ``site`` is what Sec-Fetch-Site says, which no page can set: where it is "same-origin" a proxy may have
    changed the Host.
    """
    site = (site or "").strip().lower()
    if site == "cross-site":
        return True
    if origin is None or site == "same-origin":
        return False
    scheme, mark, rest = origin.strip().lower().partition("://")
    return not mark or plain_host(scheme, rest) != plain_host(scheme, (host or "").strip())


class UploadMixin(Handler):
    """Lets a class that is derived from SimpleHTTPRequestHandler store what clients send.

    upload_directory   the folder (str, absolute) into which, and beneath which, files may come. Where it lies
                       outside of ``directory`` it is a drop box: all files come into it by their names, at
                       the URL "/", and none is shown. '' takes none.
    upload_limit       octets that the body of one request may have (int)
    upload_overwrite   whether what is there may be overwritten (bool)

    Below upload_directory no symbolic link is followed, and none is written through, whatever follow_symlinks
    says of reading.
    """

    upload_directory = ""
    upload_limit = MAX_UPLOAD
    upload_overwrite = False
    decode_chunked = True

    def accepts_uploads_in(self, path: str) -> bool:
        """Whether a form may be posted to the folder with that file name (str)."""
        if not self.upload_directory:
            return False
        way = way_beneath(self.directory, self.upload_directory)
        if way is None:
            here = os.path.abspath(path) == os.path.abspath(self.directory)
            return here and os.access(self.upload_directory, os.W_OK | os.X_OK)
        inner = way_beneath(self.directory, path)
        if inner is None or inner[: len(way)] != way:
            return False
        if self.__is_hidden(inner) or self.__has_scripts(inner):
            return False
        base, path = self.__base(way, inner)
        return is_beneath(base, path, stat.S_ISDIR) and os.access(path, os.W_OK | os.X_OK)

    def do_PUT(self) -> None:
        """Store the body as a file (RFC 9110 9.3.4)."""
        self.__carry_out(self.__put)

    def do_POST(self) -> None:
        """Store the files of a form. What is posted elsewhere is left to the next class, if that takes it."""
        post = getattr(super(), "do_POST", None)
        if post is not None and not self.__is_ours():
            post()
            return
        self.__carry_out(self.__post)

    def handle_expect_100(self) -> bool:
        """Refuse an upload before its body is sent, where that is known (RFC 9110 10.1.1)."""
        ours = self.command in ("PUT", "POST")
        if self.command == "POST" and hasattr(super(), "do_POST"):
            ours = self.__is_ours()
        if ours and not self.__carry_out(self.__look):
            return False
        return super().handle_expect_100()

    def __carry_out(self, act: Callable[[], None]) -> bool:
        """Returns whether nothing was in the way; what was is answered with."""
        try:
            act()
        except Refusal as refusal:
            self.__refuse(refusal)
        except multipart.MultipartError as error:
            self.__refuse(Refusal(HTTPStatus.BAD_REQUEST, f"Bad form: {error}"))
        except TimeoutError:
            raise
        except ConnectionError:  # nobody is there to be told
            self.close_connection = True
        except OSError as error:
            self.__refuse(refusal_of(error))
        else:
            return True
        return False

    def __refuse(self, refusal: Refusal) -> None:
        if not refusal.allow:
            self.send_error(refusal.status, refusal.message)
            return
        body = f"Allowed here: {refusal.allow}\n".encode("ascii")
        self.__answer(refusal.status, body, ("Allow", refusal.allow), ("Connection", "close"))

    def __answer(self, status: HTTPStatus, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if body and not any(name == "Content-Type" for name, _ in fields):
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

    # -- What may be -----------------------------------------------------------------------------

    def __is_ours(self) -> bool:
        with contextlib.suppress(Refusal):
            self.__place()
            return True
        return False

    def __admit(self) -> tuple[Place, Folder]:
        """Look at all that is known without the body. Raises Refusal, MultipartError and OSError."""
        headers = self.headers
        if is_from_elsewhere(headers.get("Sec-Fetch-Site"), headers.get("Origin"), headers.get("Host")):
            raise Refusal(HTTPStatus.FORBIDDEN, "Not from a page of another site")
        place = self.__place()
        if self.command == "POST":
            self.__boundary()
        else:
            self.__check_name(place, place.name)
            self.__check_content()
        length = self.__length()
        folder = Folder(place.base, place.folder)
        try:
            if place.name:
                self.__check_target(folder, place.name)
            if not folder.has_room(length or 0):
                raise Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "No space left")
        except BaseException:
            folder.close()
            raise
        return place, folder

    def __look(self) -> None:
        """See whether a body would be taken."""
        self.__admit()[1].close()

    def __place(self) -> Place:
        """Where the request stores, if anywhere. Raises Refusal."""
        *folders, name = components_of(self.path)
        if self.command == "POST" and name:
            folders, name = [*folders, name], ""
        way = way_beneath(self.directory, self.upload_directory) if self.upload_directory else None
        elsewhere = folders if way is None else folders[: len(way)] != way
        if elsewhere or not self.upload_directory:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, allow="GET, HEAD")
        if self.__is_hidden(folders):
            raise Refusal(HTTPStatus.FORBIDDEN, "Hidden names are not taken")
        if way is not None and self.__has_scripts(folders):
            raise Refusal(HTTPStatus.FORBIDDEN, "Scripts are not taken")
        if way is None:
            return Place(self.upload_directory, self.upload_directory, name, "/")
        base, folder = self.__base(way, folders)
        if self.command == "POST" and is_beneath(base, folder, stat.S_ISREG):
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, allow="GET, HEAD, PUT")
        return Place(base, folder, name, "/" + "".join(quoted(each) + "/" for each in folders))

    def __is_hidden(self, parts: list[str]) -> bool:
        return self.hide_dotfiles and any(map(is_dotfile, parts))

    def __has_scripts(self, folders: list[str]) -> bool:
        """Whether what is stored there would be run (CGIHTTPRequestHandler)."""
        path = "/".join(["", *folders, ""])
        return any(path.startswith(f"{each}/") for each in getattr(self, "cgi_directories", ()))

    def __base(self, way: list[str], folders: list[str]) -> tuple[str, str]:
        """Below which folder no link is followed, and what those components lead to."""
        directory = os.path.join(self.directory, *folders)
        if self.follow_symlinks:  # on the way to where files may come
            return os.path.join(self.directory, *way), directory
        return self.directory, directory

    def __check_name(self, place: Place, name: str) -> None:
        if not is_name(name):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Not a name for a file")
        if self.__is_hidden([name]):
            raise Refusal(HTTPStatus.FORBIDDEN, "Hidden names are not taken")
        if os.path.realpath(os.path.join(place.folder, name)) in map(os.path.realpath, self.withheld):
            raise Refusal(HTTPStatus.FORBIDDEN, "That file is the server's own")

    def __check_content(self) -> None:
        """Of a PUT: it must be the whole file, as it is to be kept."""
        if "Content-Range" in self.headers:  # RFC 9110 14.4
            raise Refusal(HTTPStatus.BAD_REQUEST, "A part of a file is not taken")
        if self.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "An encoded file is not taken")

    def __boundary(self) -> bytes:
        content_type = self.headers.get("Content-Type", "")
        if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a form with files (multipart/form-data)")
        return multipart.boundary_of(content_type)

    def __length(self) -> int | None:
        """Of the body, None where it comes in chunks. Raises Refusal."""
        length = self.headers.get("Content-Length")
        if "Transfer-Encoding" in self.headers:
            if self.decode_chunked and type(self.rfile) is RequestReader:
                return None
            length = None
        if length is None:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED)
        if int(length) > self.upload_limit:
            raise too_large(self.upload_limit)
        return int(length)

    def __check_target(self, folder: Folder, name: str) -> bool:
        """Whether there is a file that a PUT may overwrite. Raises Refusal where something is in the way."""
        if not folder.takes(name):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Not a name for a file: it is too long")
        there = folder.find(name)
        if there is not None and not stat.S_ISREG(there.st_mode):
            raise Refusal(HTTPStatus.CONFLICT, "What has that name is no file")
        if not self.__is_expected(there):
            raise Refusal(HTTPStatus.PRECONDITION_FAILED)
        if there is not None and not self.upload_overwrite:
            raise Refusal(HTTPStatus.CONFLICT, "A file of that name is there")
        return there is not None

    def __is_expected(self, there: os.stat_result | None) -> bool:
        """Whether the preconditions hold of what is there (RFC 9110 13.2.2)."""
        fields = self._fastserve_conditional_fields()
        if there is None:
            return "if-match" not in fields
        now = time.time_ns()
        known = conditions.Validators(entity_tag(there, now), int(modified(there, now)), now // SECOND)
        return conditions.evaluate(fields, known, reads=False) is None

    # -- What is done ----------------------------------------------------------------------------

    def __body(self) -> Body:
        return Body(self.rfile, self.__length(), self.upload_limit)

    def __put(self) -> None:
        place, folder = self.__admit()
        with folder, Upload(folder) as upload:
            for block in self.__body().blocks():
                upload.write(block)
            upload.close()
            overwrites = self.__check_target(folder, place.name)  # it has been a while
            upload.keep(place.name, overwrites)
        if overwrites:
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()
        else:
            self.__tell([place.url + quoted(place.name)])

    def __post(self) -> None:
        place, folder = self.__admit()
        with folder, contextlib.ExitStack() as stack:
            received: list[tuple[Upload, str]] = []
            for part in multipart.MultipartReader(self.__body().read, self.__boundary()):
                if part.filename:  # else a field, or a file that nobody has chosen
                    self.__check_name(place, part.filename)
                    upload = stack.enter_context(Upload(folder))
                    for block in part.blocks():
                        upload.write(block)
                    upload.close()
                    received.append((upload, part.filename))
            if not received:
                raise Refusal(HTTPStatus.BAD_REQUEST, "There is no file in the form")
            names = keep_all(received, self.upload_overwrite)
        if "text/html" in self.__accepted():  # a browser, which shows the folder
            self.__answer(HTTPStatus.SEE_OTHER, b"", ("Location", place.url))
        else:
            self.__tell([place.url + quoted(name) for name in names])

    def __accepted(self) -> str:
        return (self._fastserve_field("Accept") or "").lower()

    def __tell(self, urls: list[str]) -> None:
        """What was stored, in the order in which it came."""
        fields = [("Location", urls[0])] if len(urls) == 1 else []
        if "application/json" in self.__accepted():
            fields.append(("Content-Type", "application/json"))
            body = json.dumps(urls) + "\n"
        else:
            body = "".join(f"{url}\n" for url in urls)
        self.__answer(HTTPStatus.CREATED, body.encode("ascii"), *fields)
