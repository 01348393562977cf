"""A file with the process's id, for scripts that stop or watch a service.

Knows the file system, and no server. The command line calls it.
"""

import contextlib
import errno
import os
import stat


class PidFile:
    """The file at ``path`` (str), once write() has put this process's id there.

    A file of a process that is gone is replaced. Raises OSError where it is one of a process that runs, or
    holds anything but a process id: such a file is somebody's.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self._check()

    def write(self) -> None:
        """Write the id; whoever reads the file sees all of it or none. Raises OSError as the class says."""
        self._check()
        draft = f"{self.path}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "w") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(draft, self.path)
        except BaseException:
            os.unlink(draft)
            raise

    def remove(self) -> None:
        """Remove the file, if it still holds this process's id. Raises nothing: the process is leaving."""
        with contextlib.suppress(OSError, ValueError):
            if self._read() == os.getpid():
                os.unlink(self.path)

    def _check(self) -> None:
        try:
            pid = self._read()
        except FileNotFoundError:
            return
        except ValueError as error:
            raise OSError(errno.EEXIST, "there is a file of that name, which holds no process id") from error
        if pid not in (0, os.getpid()) and is_running(pid):
            raise OSError(errno.EEXIST, f"it is that of process {pid}, which runs")

    def _read(self) -> int:
        """Return the id that the file holds, 0 where it is empty: its writer did not come to write."""
        if not stat.S_ISREG(os.stat(self.path).st_mode):  # a pipe, say, whose end may never come
            raise ValueError("not a regular file")
        with open(self.path, "rb") as file:
            text = file.read(100).strip()
        if text and not (text.isdigit() and len(text) < 10):
            raise ValueError("not a process id")
        return int(text or b"0")


def is_running(pid: int) -> bool:
    """Whether there is a process of that id, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
