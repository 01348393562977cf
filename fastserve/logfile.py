"""A file in the place of stderr: appended to, never replaced, and opened anew when SIGUSR1 says so.

A tool such as logrotate moves the file away and sends SIGUSR1 to the server, as it does to nginx; a file of
the same name is opened then. What writes to stderr goes on as it is (console.Log), and so do scripts, and
whatever else has descriptor 2.

Knows descriptors and one signal, and nothing of what is written. cli calls it.
"""

import contextlib
import errno
import os
import signal
import stat
import sys
from types import TracebackType
from typing import Any, Final

# Who reads logs is in the group; nobody else needs to know who has asked for what.
MODE: Final = 0o640
STDERR: Final = 2

# O_NONBLOCK: to open a named pipe that nobody reads would wait; what is opened waits again.
FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC

SIGNALS: Final = (signal.SIGUSR1,)  # what the processes that serve are to hear of


def open_log_file(path: str) -> "LogFile":
    """Open a file for a log, or whatever ``path`` names that can be written to.

    stderr is what it was until the result is entered. Raises OSError, also where the path has a NUL.
    """
    return LogFile(path)


class LogFile:
    """A context in which descriptor 2 is the file. It is entered in the main thread."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)  # wherever we are when it is opened anew
        self._opened = _open(self.path)
        self._before = -1  # what descriptor 2 was
        self._handler: Any = None  # of the signal

    def __enter__(self) -> "LogFile":
        sys.stderr.flush()
        self._before = os.dup(STDERR)
        os.dup2(self._opened, STDERR)
        os.close(self._opened)
        self._handler = signal.signal(signal.SIGUSR1, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complaints go where they went before."""
        signal.signal(signal.SIGUSR1, self._handler)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(self._before, STDERR)
        os.close(self._before)

    def _hear(self, signum: int, frame: object) -> None:
        """Where it cannot be opened the old one stays, and is told so: past streams, which may be in use."""
        try:
            opened = _open(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                line = f"fastserve: cannot open the log file {self.path!r} anew: {error.strerror}\n"
                os.write(STDERR, line.encode("utf-8", "backslashreplace"))
            return
        os.dup2(opened, STDERR)
        os.close(opened)


def _open(path: str) -> int:
    try:
        fd = os.open(path, FLAGS, MODE)
    except ValueError as error:  # a NUL in it
        raise OSError(errno.EINVAL, "no file can have that name", path) from error
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):  # some systems open those
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        os.set_blocking(fd, True)
    except OSError:
        os.close(fd)
        raise
    return fd
