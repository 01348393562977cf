"""Files that come in: written beside their targets, and given their names once they are whole.

Nothing here follows a symbolic link below the folder that it is given, nor leaves it. A file that is not kept
leaves nothing behind, also where the process is told to end meanwhile.

Knows folders and names, and no HTTP. handlers.upload calls it.
"""

import atexit
import contextlib
import errno
import os
import secrets
import stat
from typing import Final

from fastserve.handlers.paths import FOLDER_FLAGS, NO_LINK, UNFINISHED, descend
from fastserve.limits import MAX_NUMBERED

NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK | getattr(os, "O_CLOEXEC", 0)
MODE: Final = 0o666  # less the umask

# What a file system says that has no hard links, or not for everybody.
NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.ENOTSUP,
                   errno.EOPNOTSUPP, errno.EINVAL}

unfinished: Final[set["Upload"]] = set()


def is_name(name: str) -> bool:
    """Whether it may be the name of a file that comes in: one component, nothing that a terminal obeys."""
    return name not in ("", os.curdir, os.pardir) and not name.startswith(UNFINISHED) and not any(
        c in "/\x7f" or c < " " or "\x80" <= c < "\xa0" for c in name)


class Folder:
    """An open folder below ``directory`` (file names both) that no symbolic link leads to from there.

    Raises OSError where there is none, and ValueError for a NUL.
    """

    def __init__(self, directory: str, path: str) -> None:
        self.fd = descend(directory, path, FOLDER_FLAGS)

    def close(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def find(self, name: str) -> os.stat_result | None:
        """Return what has that name, a link too; None where nothing has. Raises OSError."""
        try:
            return os.lstat(name, dir_fd=self.fd)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Raises OSError."""
        os.unlink(name, dir_fd=self.fd)

    def takes(self, name: str) -> bool:
        """Whether a name is no longer than the file system takes."""
        try:
            longest = os.fpathconf(self.fd, "PC_NAME_MAX")
        except (OSError, ValueError):
            longest = 255
        return len(os.fsencode(name)) <= longest

    def has_room(self, size: int) -> bool:
        """Whether that many octets might be written, as far as the file system tells."""
        with contextlib.suppress(OSError):
            status = os.fstatvfs(self.fd)
            return status.f_bavail * status.f_frsize >= size or not status.f_blocks
        return True


class Upload:
    """A file in a folder that is being written, and has no name yet. Raises OSError.

    It is gone at the end of a ``with`` block unless it was given a name.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._temporary = f"{UNFINISHED}{secrets.token_hex(8)}"
        self._fd = os.open(self._temporary, NEW_FILE, MODE, dir_fd=folder.fd)
        self.process = os.getpid()
        unfinished.add(self)

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Write no more. Raises OSError: some file systems tell only now that they are full."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def keep(self, name: str, overwrite: bool = False) -> None:
        """Give it its name. Raises FileExistsError where something has that, unless it may be overwritten."""
        self.close()
        if overwrite:
            self._replace(name)
        else:
            self._link(name)
        unfinished.discard(self)

    def keep_numbered(self, name: str) -> str:
        """As keep(), under the first free one of name, "name (1)" and so on, which is returned."""
        stem, extension = os.path.splitext(name)
        for number in range(MAX_NUMBERED):
            numbered = f"{stem} ({number}){extension}" if number else name
            with contextlib.suppress(FileExistsError):
                self.keep(numbered)
                return numbered
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)

    def _replace(self, name: str) -> None:
        os.replace(self._temporary, name, src_dir_fd=self.folder.fd, dst_dir_fd=self.folder.fd)

    def _link(self, name: str) -> None:
        """To rename it could overwrite what somebody else has put there meanwhile."""
        fd = self.folder.fd
        try:
            os.link(self._temporary, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self._reserve(name)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=fd)

    def _reserve(self, name: str) -> None:
        """The name is made ours by an empty file, which this one then replaces."""
        os.close(os.open(name, NEW_FILE, MODE, dir_fd=self.folder.fd))
        try:
            self._replace(name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.folder.fd)
            raise

    def discard(self) -> None:
        """Remove it, unless it has its name."""
        with contextlib.suppress(OSError):
            self.close()
        if self in unfinished:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self.folder.fd)
            unfinished.discard(self)

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()


def keep_all(received: list[tuple[Upload, str]], overwrite: bool = False) -> list[str]:
    """Give several files of one folder their names, or such as are free; returns these.

    All or none: where one fails the others are removed, but not what was there before. Raises OSError.
    """
    kept: list[str] = []
    new: list[tuple[Folder, str]] = []
    try:
        for upload, name in received:
            there = upload.folder.find(name) if overwrite and name not in kept else None
            if there is not None and stat.S_ISREG(there.st_mode):
                upload.keep(name, overwrite=True)
                kept.append(name)
            else:
                kept.append(upload.keep_numbered(name))
                new.append((upload.folder, kept[-1]))
    except BaseException:
        for folder, name in new:
            with contextlib.suppress(OSError):
                folder.remove(name)
        raise
    return kept


@atexit.register
def discard_all() -> None:
    """Leave no half file behind: threads that still receive are not waited for."""
    for upload in list(unfinished):
        if upload.process == os.getpid():  # and not of whom we were forked
            upload.discard()
