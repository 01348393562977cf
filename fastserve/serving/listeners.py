"""Listening sockets for several processes on one address: one for each, where the kernel spreads connections.

Knows socketserver's servers and no process; serving.processes calls it.
"""

import contextlib
import socket
import socketserver
import sys
from typing import Final

# Elsewhere a socket that joins others on a port is given every connection, or none (macOS, the BSDs).
SPREADS: Final = sys.platform.startswith("linux") and hasattr(socket, "SO_REUSEPORT")

# What the listening sockets of one port have in common, where they have it.
SHARED_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)),
    (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)


def spread(server: socketserver.TCPServer, count: int, share: bool) -> list[socket.socket]:
    """Return a listening socket for each of ``count`` processes, the server's own among them.

    All are the server's own with ``share``, and where more of them would not be given connections alike.
    """
    own = server.socket
    # A flag of what all processes share. A worker that ends puts back what was there when it began.
    own.setblocking(False)
    twins: list[socket.socket] = []
    if share or not SPREADS or own.family not in (socket.AF_INET, socket.AF_INET6):
        return [own] * count
    try:
        if count > 1:  # only now: a port that somebody else has was refused to us before
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(twins) < count - 1:
            twins.append(_twin(own, server.request_queue_size))
    except OSError:
        for twin in twins:
            twin.close()
        return [own] * count
    return [own, *twins]


def _twin(listener: socket.socket, backlog: int) -> socket.socket:
    """Return another socket that listens where that one does."""
    twin = socket.socket(listener.family, socket.SOCK_STREAM)
    try:
        for option in SHARED_OPTIONS:
            with contextlib.suppress(OSError):
                twin.setsockopt(*option, listener.getsockopt(*option))
        twin.bind(listener.getsockname())
        twin.listen(backlog)
        twin.setblocking(False)
    except BaseException:
        twin.close()
        raise
    return twin
