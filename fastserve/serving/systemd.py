"""What a service manager gives and is told: sockets that listen already (sd_listen_fds(3)), and states of
the service (sd_notify(3)).

Knows the two protocols, which are some variables of the environment and a datagram, and no server. The
command line calls it, and so may any program.
"""

import contextlib
import os
import socket
import stat
from typing import Final

FIRST_DESCRIPTOR: Final = 3
VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
# The manager reads at once. If it does not, serving is more important than what it is told.
NOTIFY_TIMEOUT: Final = 1.0

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def listening_sockets() -> list[socket.socket]:
    """Return the listening sockets that were passed to this process, in order; the caller closes them.

    None where LISTEN_PID names another process. The variables are removed, and no child inherits the
    sockets. Raises ValueError where the variables are not right, or a descriptor is not a listening stream
    socket of family INET, INET6 or UNIX.
    """
    pid, count, _ = (os.environ.pop(name, None) for name in VARIABLES)
    if pid is None or count is None or _number("LISTEN_PID", pid) != os.getpid():
        return []
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + _number("LISTEN_FDS", count))
    for descriptor in descriptors:
        _check(descriptor)
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _number(name: str, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    raise ValueError(f"{name} is {text!r}, and no number")


def _check(descriptor: int) -> None:
    """Raise ValueError where a server cannot accept on it."""
    trouble = _trouble(descriptor)
    if trouble:
        raise ValueError(f"descriptor {descriptor}, passed by LISTEN_FDS, {trouble}")
    os.set_inheritable(descriptor, False)


def _trouble(descriptor: int) -> str | None:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return "is no socket"
    except OSError:
        return "is not open"
    sock = socket.socket(fileno=descriptor)
    try:
        if sock.family not in FAMILIES or sock.type != socket.SOCK_STREAM:
            return "is no stream socket of family INET, INET6 or UNIX"
        return None if _listens(sock) else "is a socket that does not listen"
    finally:
        sock.detach()


def _listens(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # a system that does not tell; accept() will
        return True


def notify(state: str) -> bool:
    """Tell the service manager a state such as READY; return whether it was told.

    Nothing is raised: where NOTIFY_SOCKET is not set nobody waits for it, and a manager that cannot be
    reached is no reason to stop serving.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return False
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(NOTIFY_TIMEOUT)
        sock.connect("\0" + path[1:] if path[0] == "@" else path)
        sock.sendall(state.encode())
        return True
    return False
