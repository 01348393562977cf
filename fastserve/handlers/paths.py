"""From a request target to an open file: decoding, resolving, opening. Nothing of it leads out of a folder.

Percent-decoding comes once, then normalising, then joining. Knows names and files, and no handler.
handlers.static and handlers.cgi call it.
"""

import contextlib
import errno
import functools
import io
import os
import posixpath
import stat
import urllib.parse
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Final

# A FIFO without a writer must not hold the server, nor a terminal become its own.
OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

UNFINISHED: Final = ".fastserve-"  # how names begin until all of an upload is there
WELL_KNOWN: Final = ".well-known"  # RFC 8615

# What depends on nothing but its arguments is worked out once; a longer path is not worth the memory.
KEPT_PATHS: Final = 1024
KEPT_LENGTH: Final = 256


def unquote_path(path: str) -> str:
    """Decode a request path once, to the form in which os functions take file names.

    Octets that are no UTF-8 are those of a name that is none; http.server's links to such names are read too.
    """
    try:
        octets = urllib.parse.unquote_to_bytes(path)
    except UnicodeEncodeError:  # a program's own path, made of a file's name
        octets = urllib.parse.unquote_to_bytes(path.encode("utf-8", "surrogateescape"))
    for errors in ("strict", "surrogatepass"):
        with contextlib.suppress(UnicodeError):
            name = octets.decode("utf-8", errors)
            os.fsencode(name)
            return name
    return os.fsdecode(octets)


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
    encoded = split_target(path)[0]
    path = unquote_path(encoded)
    parts = [part for part in posixpath.normpath(path).split("/") if part not in ("", os.curdir, os.pardir)]
    # What the platform takes for a path of its own (C:, a\\b) is no component.
    name = os_path.join(directory, *(part for part in parts if not os_path.dirname(part)))
    return f"{name}/" if unquote_path(encoded.rstrip()).endswith("/") else f"{name}"


resolve_known = functools.lru_cache(KEPT_PATHS)(resolve)


def open_file(path: str) -> io.FileIO:
    """Open a file for reading, under its name. Raises OSError (of a directory IsADirectoryError), ValueError.

    FileIO's own opener would cost a system call more for each file.
    """
    return named(os.open(path, OPEN_FLAGS), path)


def named(fd: int, path: str) -> io.FileIO:
    """Make a file of a descriptor, which is closed where that fails."""
    try:
        file = io.FileIO(fd)
    except BaseException:
        os.close(fd)
        raise
    file.name = path
    return file


def is_hidden(target: str) -> bool:
    """Whether a request target names something, or leads through something, that begins with a dot."""
    first, *rest = unquote_path(split_target(target)[0]).lstrip("/").split("/")
    return (is_dotfile(first) and first != WELL_KNOWN) or any(map(is_dotfile, rest))


def is_dotfile(name: str) -> bool:
    return name.startswith(".") and name not in (os.curdir, os.pardir)


def is_one_of(path: str, status: os.stat_result, withheld: Iterable[str]) -> bool:
    """Whether a file that is open is one of those, by its name or by another."""
    for other in withheld:
        if path == other:
            return True
        with contextlib.suppress(OSError):
            if os.path.samestat(status, os.stat(other)):
                return True
    return False


# -- Without symbolic links ----------------------------------------------------------------------

NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
FOLDER_FLAGS: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
STEP_FLAGS: Final = FOLDER_FLAGS | getattr(os, "O_PATH", 0)
LOOK_FLAGS: Final = OPEN_FLAGS | getattr(os, "O_PATH", 0)
CAN_REFUSE_LINKS: Final = bool(NO_LINK) and os.open in os.supports_dir_fd


def open_beneath(directory: str, path: str) -> io.FileIO:
    """As open_file(), of a name below ``directory``, as descend() finds it."""
    return named(descend(directory, path, OPEN_FLAGS), path)


def is_beneath(directory: str, path: str, kind: Callable[[int], bool]) -> bool:
    """Whether what descend() finds is of that kind, a function of module stat."""
    with contextlib.suppress(OSError, ValueError):
        fd = descend(directory, path, LOOK_FLAGS)
        try:
            mode = os.fstat(fd).st_mode
            return kind(mode) and not stat.S_ISLNK(mode)  # which O_PATH opens
        finally:
            os.close(fd)
    return False


def descend(directory: str, path: str, flags: int) -> int:
    """Return a descriptor of a name below ``directory`` none of whose components there is a symbolic link.

    Each is opened from the one before, so that nobody can put a link in its place meanwhile. ``directory``
    itself may lead through links. Raises OSError where there is a link, or ``path`` lies elsewhere, or the
    system cannot do this, and ValueError for a NUL.
    """
    if not CAN_REFUSE_LINKS:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), path)
    *folders, last = components_beneath(directory, path) or [os.curdir]
    at = os.open(directory, STEP_FLAGS)
    try:
        for folder in folders:
            above, at = at, os.open(folder, STEP_FLAGS | NO_LINK, dir_fd=at)
            os.close(above)
        return os.open(last, flags | NO_LINK, dir_fd=at)
    finally:
        os.close(at)


def components_beneath(directory: str, path: str) -> list[str]:
    """Return what leads from ``directory`` to ``path``. Raises FileNotFoundError where nothing does."""
    root = os.path.join(directory, "")
    parts = [part for part in path[len(root):].split(os.sep) if part]
    if not os.path.join(path, "").startswith(root) or os.curdir in parts or os.pardir in parts:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return parts
