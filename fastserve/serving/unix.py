"""Unix sockets as servers bind them: what a dead server has left is replaced, what a live one has is not.

Knows the file system and socketserver's hooks, and no HTTP. fastserve.server and the command line call it.
"""

import errno
import os
import socket
import socketserver
import stat
from typing import Any

from fastserve.log import printable


class UnixServer(socketserver.TCPServer):
    """Listens on the unix socket whose path (str) is its address; a mixin that stands before a server class.

    The socket's permissions are what the process's umask leaves. The file is removed when the server closes,
    in the process that made it, if it is still that file.
    """

    address_family = socket.AF_UNIX
    __path = ""
    __made: tuple[int, int, int] | None = None

    def server_bind(self) -> None:
        """Bind. Raises OSError where there is a file that is no socket, or a socket that is in use."""
        clear(str(self.server_address))
        super().server_bind()
        self.__path = os.path.abspath(str(self.server_address))
        self.__made = identity(self.__path)

    def server_close(self) -> None:
        """Close the socket, and remove its file."""
        super().server_close()
        made, self.__made = self.__made, None
        if made is not None and made == identity(self.__path):
            os.unlink(self.__path)


def clear(path: str) -> None:
    """Remove the socket that a dead server has left at ``path``, if there is one.

    Raises OSError where anything else is there, which is never removed, or where a server listens.
    """
    if not path:  # which to the kernel is: choose one
        raise OSError(errno.ENOENT, "the path is empty")
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file of that name, which is no socket")
    if is_alive(path):
        raise OSError(errno.EADDRINUSE, "another server listens there")
    os.unlink(path)


def is_alive(path: str) -> bool:
    """Whether somebody has the socket at ``path`` open; True where that cannot be told."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)  # a backlog that is full is one of somebody who is there
        return sock.connect_ex(path) != errno.ECONNREFUSED


def identity(path: str) -> tuple[int, int, int] | None:
    """Return this process's id, and device and inode of the file at ``path``; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return os.getpid(), status.st_dev, status.st_ino


def shown(address: Any) -> str:
    """Return a unix socket's address in one line of text, an abstract one with ``@`` in front."""
    name = os.fsdecode(address)
    name = "@" + name[1:] if name.startswith("\0") else name
    return printable(name)
