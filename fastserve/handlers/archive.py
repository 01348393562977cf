"""A folder as one zip or tar archive, written while it is sent, with as much memory for many GB as for none.

What goes in is what GET would give: links to files are followed where the handler follows links, links to
folders where they lead to one within the served directory, and each of these once, so that there is an end.
A file is as long as it was when it was opened: what is added meanwhile is not sent, and what is missing of a
tar's file is sent as zeros.

Knows open folders and files, and of a handler what SimpleHTTPRequestHandler has. stream() is for
handlers that show folders.
"""

import contextlib
import errno
import os
import stat
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastserve.handlers.paths import (
    FOLDER_FLAGS,
    NO_LINK,
    OPEN_FLAGS,
    UNFINISHED,
    descend,
    is_dotfile,
    is_one_of,
)
from fastserve.handlers.zipping import ZipWriter
from fastserve.limits import MAX_ARCHIVE_DEPTH

BLOCK: Final = 1 << 18  # octets that are read at a time, and about what is sent at a time
TYPES: Final = {"zip": "application/zip", "tar": "application/x-tar"}
ZEROS: Final = bytes(1 << 16)

# What ends an archive: it is not that one file which cannot be read, and without it nobody would know.
NO_MORE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

# What deflating makes no smaller, by the type's beginning, or by the end of a name.
PACKED_TYPES: Final = ("audio/", "video/", "image/", "font/woff", "application/zip",
                       "application/vnd.openxml")
UNPACKED_IMAGES: Final = ("image/svg", "image/bmp", "image/x-ms-bmp", "image/x-portable")
PACKED_NAMES: Final = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".br", ".7z", ".rar", ".jar", ".whl", ".apk",
                       ".deb", ".rpm", ".epub", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".lz4", ".lzma")


class Entry(NamedTuple):
    """A folder, or a file that is open; ``name`` is that in the archive, and a folder's ends with a slash."""

    name: str
    status: os.stat_result
    fd: int = -1


class BrokenOff(Exception):
    """The archive cannot be finished."""


def stream(handler: Any, folder: str, kind: str) -> None:
    """Answer a GET, or a HEAD, of a SimpleHTTPRequestHandler with what is in ``folder`` (a file name).

    ``kind`` is "zip" or "tar". To HTTP/1.1 the archive goes in chunks; where it cannot be finished the last
    one is not sent, and the connection ends. Raises ValueError for another kind, and TimeoutError, as writing
    does, for a client that has stopped reading.
    """
    if kind not in TYPES:
        raise ValueError(f"no archive of that kind: {kind!r}")
    tree = Tree(handler.directory, folder, handler.follow_symlinks, handler.hide_dotfiles, handler.withheld)
    try:
        tree.open()
    except (OSError, ValueError):
        handler.send_error(HTTPStatus.NOT_FOUND, "File not found")
        return
    with contextlib.closing(tree):
        in_chunks = send_head(handler, tree.name, kind)
        if handler.command != "HEAD":
            send_body(handler, tree, kind, in_chunks)


def send_head(handler: Any, name: str, kind: str) -> bool:
    """Returns whether the body goes in chunks."""
    in_chunks = bool(handler.request_version >= "HTTP/1.1" and handler.protocol_version >= "HTTP/1.1")
    fields = [("Content-Type", TYPES[kind]), ("Content-Disposition", disposition(f"{name}.{kind}")),
              ("Cache-Control", "no-store")]
    if in_chunks:
        fields.append(("Transfer-Encoding", "chunked"))
    handler._fastserve_send_head_of(fields)
    return in_chunks


def disposition(name: str) -> str:
    """Return a Content-Disposition for a file to be kept under that name (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\/%' else "_" for c in name)
    exact = urllib.parse.quote(os.fsencode(name).decode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def send_body(handler: Any, tree: "Tree", kind: str, in_chunks: bool) -> None:
    output = Output(handler.wfile, in_chunks)
    write = write_zip if kind == "zip" else write_tar
    handler_closes, handler.close_connection = handler.close_connection, True
    try:
        write(tree, output.write, handler.guess_type)
        output.end()
        handler.close_connection = handler_closes
    except ConnectionError:
        pass  # the client is gone, and has not to be told of anything
    except TimeoutError:  # which handle_one_request() tells of
        raise
    except (BrokenOff, OSError) as error:
        handler.log_error('"%s" was broken off: %s', handler.requestline, error)
    if tree.left_out:
        handler.log_error('"%s" leaves out %d that cannot be read', handler.requestline, tree.left_out)


class Output:
    """Gathers what is written, and sends it, as chunks (RFC 9112 7.1) or as it is."""

    def __init__(self, wfile: Any, in_chunks: bool) -> None:
        self._wfile, self._in_chunks = wfile, in_chunks
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._send()

    def _send(self) -> None:
        if self._in_chunks:
            self._parts = [b"%x\r\n" % self._size, *self._parts, b"\r\n"]
        data, self._parts, size, self._size = b"".join(self._parts), [], self._size, 0
        if size:  # a chunk of none is the last one
            self._wfile.write(data)

    def end(self) -> None:
        """Send the rest, and say that it was all."""
        self._send()
        if self._in_chunks:
            self._wfile.write(b"0\r\n\r\n")


# -- What goes in ------------------------------------------------------------------------------


class Level:
    """A folder that is open, and the names in it that are still to come."""

    def __init__(self, fd: int, prefix: str, path: str, status: os.stat_result) -> None:
        self.fd, self.prefix, self.path = fd, prefix, path
        self.identity = status.st_dev, status.st_ino
        self.names = iter(sorted(os.listdir(fd)))


class Tree:
    """What is beneath ``folder``, a file name in ``directory``, in the order of names.

    ``follows``: whether through links; ``hides``: whether names with a dot in front are as if they were not
    there; ``withheld``: file names of what is not sent. ``left_out`` counts what could not be read.
    """

    def __init__(
        self, directory: str, folder: str, follows: bool, hides: bool, withheld: tuple[str, ...] = ()
    ) -> None:
        self.left_out = 0
        self._withheld = withheld
        self._directory, self._folder = directory, folder
        self._follows, self._hides = follows, hides
        self._levels: list[Level] = []
        self._followed: set[tuple[int, int]] = set()

    @property
    def name(self) -> str:
        """What the archive is called, and what every name in it begins with."""
        path = self._folder.rstrip("/") or "/"
        if os.path.abspath(path) == os.path.abspath(self._directory):
            path = os.path.realpath(path)
        return os.path.basename(path) or "root"

    def open(self) -> None:
        """Open the folder itself. Raises OSError, and ValueError for a NUL."""
        if self._follows:
            fd = os.open(self._folder, FOLDER_FLAGS)
        else:
            fd = descend(self._directory, self._folder, FOLDER_FLAGS)
        self._enter(fd, f"{self.name}/", self._folder)

    def _enter(self, fd: int, prefix: str, path: str) -> os.stat_result:
        try:
            status = os.fstat(fd)
            self._levels.append(Level(fd, prefix, path, status))
        except BaseException:
            os.close(fd)
            raise
        return status

    def close(self) -> None:
        """Close what is open. An entry's file is the caller's."""
        while self._levels:
            os.close(self._levels.pop().fd)

    def __iter__(self) -> Iterator[Entry]:
        yield Entry(self._levels[0].prefix, os.fstat(self._levels[0].fd))
        while self._levels:
            level = self._levels[-1]
            name = next(level.names, None)
            if name is None:
                os.close(self._levels.pop().fd)
                continue
            # What is being uploaded is nobody's file yet.
            is_shown = not (self._hides and is_dotfile(name)) and not name.startswith(UNFINISHED)
            entry = self._look(level, name) if is_shown else None
            if entry is not None:
                yield entry

    def _look(self, level: Level, name: str) -> Entry | None:
        """Open what has that name; None where it is to be left out."""
        try:
            mode = os.lstat(name, dir_fd=level.fd).st_mode
            is_link = stat.S_ISLNK(mode)
            if (is_link and not self._follows) or not (is_link or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return None
            fd = os.open(name, OPEN_FLAGS | (0 if self._follows else NO_LINK), dir_fd=level.fd)
        except OSError as error:
            self._leave_out(error)
            return None
        return self._opened(level, name, fd, is_link)

    def _leave_out(self, error: OSError) -> None:
        if error.errno in NO_MORE:
            raise BrokenOff(error.strerror) from None
        # What has vanished since, or leads nowhere, is not there to be read.
        self.left_out += error.errno not in (errno.ENOENT, errno.ELOOP)

    def _opened(self, level: Level, name: str, fd: int, is_link: bool) -> Entry | None:
        status = os.fstat(fd)
        path = os.path.join(level.path, name)
        if is_one_of(path, status, self._withheld):
            os.close(fd)
            return None
        if stat.S_ISREG(status.st_mode):
            return Entry(level.prefix + name, status, fd)
        is_folder = stat.S_ISDIR(status.st_mode) and not self._is_circle(status)
        if not is_folder or (is_link and not self._may_follow(path, status)):
            os.close(fd)
            return None
        if len(self._levels) >= MAX_ARCHIVE_DEPTH:
            os.close(fd)
            raise BrokenOff(f"there are more than {MAX_ARCHIVE_DEPTH} folders in one another")
        try:
            return Entry(f"{level.prefix}{name}/", self._enter(fd, f"{level.prefix}{name}/", path))
        except OSError as error:  # it may be opened and not be listed
            self._leave_out(error)
            return None

    def _is_circle(self, status: os.stat_result) -> bool:
        """Whether we are inside that folder."""
        return any((status.st_dev, status.st_ino) == level.identity for level in self._levels)

    def _may_follow(self, path: str, status: os.stat_result) -> bool:
        """Whether a link to a folder stays within the directory, and is the first that leads there."""
        identity = status.st_dev, status.st_ino
        root = os.path.join(os.path.realpath(self._directory), "")
        if identity in self._followed:
            return False
        self._followed.add(identity)
        return os.path.join(os.path.realpath(path), "").startswith(root)


def blocks_of(fd: int, size: int) -> Iterator[bytes]:
    """Read up to ``size`` octets of a file."""
    while size > 0 and (block := os.read(fd, min(BLOCK, size))):
        yield block
        size -= len(block)


# -- The archives ------------------------------------------------------------------------------


def write_zip(tree: Tree, write: Callable[[bytes], None], type_of: Callable[[str], str]) -> None:
    """Write what is in a tree as a zip archive."""
    with contextlib.closing(ZipWriter(write)) as archive:
        for name, status, fd in tree:
            if fd < 0:
                archive.add_folder(os.fsencode(name), status)
                continue
            with closing_fd(fd):
                level = 0 if is_packed(name, type_of(name)) else 1
                archive.add_file(os.fsencode(name), status, blocks_of(fd, status.st_size), level)
        archive.finish()


def is_packed(name: str, content_type: str) -> bool:
    """Whether deflating it is probably in vain."""
    if name.lower().endswith(PACKED_NAMES):
        return True
    return content_type.startswith(PACKED_TYPES) and not content_type.startswith(UNPACKED_IMAGES)


def write_tar(tree: Tree, write: Callable[[bytes], None], type_of: object = None) -> None:
    """Write what is in a tree as a tar archive, with pax headers where they are needed (POSIX.1-2001)."""
    for name, status, fd in tree:
        if fd < 0:
            write(tar_head(name, status, tarfile.DIRTYPE))
            continue
        with closing_fd(fd):
            write(tar_head(name, status, tarfile.REGTYPE))
            missing = status.st_size
            for block in blocks_of(fd, status.st_size):
                write(block)
                missing -= len(block)
            pad(write, missing + -status.st_size % tarfile.BLOCKSIZE)
    pad(write, 2 * tarfile.BLOCKSIZE)


def tar_head(name: str, status: os.stat_result, kind: bytes) -> bytes:
    """Return the head of an entry. It does not tell who owns it here."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = stat.S_IMODE(status.st_mode) & 0o777
    info.mtime = int(status.st_mtime)
    info.size = status.st_size if kind == tarfile.REGTYPE else 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def pad(write: Callable[[bytes], None], size: int) -> None:
    while size > 0:
        write(ZEROS[:size])
        size -= len(ZEROS)


@contextlib.contextmanager
def closing_fd(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)
