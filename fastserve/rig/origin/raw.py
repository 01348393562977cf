"""Octets that fastserve's writer would not write, and ends of connections that its loop would not make.

What is written here is counted like any other answer, but not held to what it declares, so that the wire has
it just so; and a socket that was taken is the loop's no more. Knows handlers, the writer and sockets, and no
endpoint; faults calls it, and so do the few others that need it.
"""

import contextlib
import fcntl
import selectors
import socket
import struct
import sys
import termios
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastserve._response import ResponseHead
from fastserve.rig.origin.handler import EVERYBODY, Origin
from fastserve.rig.origin.kept import of_server

LOOK: Final = 0.2  # seconds between two looks whether a server has closed
DELIVERY: Final = 2.0  # seconds that a client may take to take what comes before a reset
BLOCK: Final = 1 << 16
NO_STATUS: Final = 999  # one that is counted as "other"
MACOS_SO_NWRITE: Final = 0x1024

Fields = Iterable[tuple[str, str]]


# -- Octets ----------------------------------------------------------------------------------------


def head(request: Origin, status: int, fields: Fields, version: str = "HTTP/1.1") -> bytes:
    """Return the octets of a head; ``status`` is one that HTTPStatus has.

    It says of the connection what ``request.close_connection`` does.
    """
    if request.request_version == "HTTP/0.9":
        return b""
    phrase = request.responses[HTTPStatus(status)][0]
    lines = [f"{version} {status} {phrase}", f"Server: {request.version_string()}",
             f"Date: {request.date_time_string()}",
             *(f"{name}: {value}" for name, value in (*EVERYBODY, *fields))]
    if request.close_connection:
        lines.append("Connection: close")
    elif request.request_version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class RawHead:
    """Octets of a head, as they are: nothing is added, and its body is not held to what they declare.

    With the first of them an answer to ``request`` is counted: with ``status``, as "other" where that is "-".
    What is written behind its end is counted as its body.
    """

    def __init__(self, request: Origin, status: int | str = "-") -> None:
        self._wfile: Any = request.wfile
        self._method = request.command
        self._head = ResponseHead()
        # The line does not leave, but is what the writer counts by. To a head of HTTP/1.0 it adds nothing.
        self._head.status_line("HTTP/1.0", NO_STATUS if status == "-" else int(status), "")

    def write(self, octets: bytes) -> None:
        """Send some of it, behind which there is more."""
        self._head.lines = [octets]
        self._wfile.send_head(self._head, self._method)

    def end(self, octets: bytes = b"") -> None:
        """Send the rest of it. One that declares a body may wait for that, or for a flush()."""
        self._head.end(None, None, True)
        self.write(octets)
        self._wfile.begin_response()  # what it declares counts no more


def answer(request: Origin, head: bytes, body: bytes = b"", status: int | str = 200) -> None:
    """Log a request and send these octets at once, the body not for HEAD. The connection stays as it is.

    ``status`` is that of the head, "-" where it has none.
    """
    request.log_request(status)
    wfile: Any = request.wfile
    wfile.gather(len(head) + 1)  # so that the body's first octets send the head, too
    RawHead(request, status).end(head)
    if request.command != "HEAD":
        wfile.write(body)
    wfile.gather(0)
    wfile.flush()


# -- Ends ------------------------------------------------------------------------------------------


def take(request: Origin) -> socket.socket:
    """Take the connection away from who serves it. All that was written has been given to the kernel.

    Of a TLS connection it is the socket beneath. It does not block, and who calls closes it.
    """
    sock = request.connection
    request.close_connection = True
    taken = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    taken.setblocking(False)
    return taken


def reset(request: Origin) -> None:
    """End the connection with a reset, once the client's kernel has what was written."""
    with take(request) as sock:
        await_delivery(sock)
        with contextlib.suppress(OSError):  # the client is gone
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def part(request: Origin) -> None:
    """End the connection without TLS's goodbye: the client's is the next word, if any."""
    sock = take(request)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    keep(request.server, sock)


def hold(request: Origin) -> None:
    """Say nothing more to the client, until it goes or the server has closed. No thread waits meanwhile."""
    keep(request.server, take(request))


def await_delivery(sock: socket.socket) -> None:
    """Wait until the peer's kernel has confirmed all that was sent: a reset would overtake the rest."""
    end = time.monotonic() + DELIVERY
    while unconfirmed(sock) and time.monotonic() < end:
        time.sleep(0.001)


def unconfirmed(sock: socket.socket) -> int:
    """Return how many octets the peer has not confirmed; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        if sys.platform.startswith("linux"):
            return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0])
        if sys.platform == "darwin":
            return sock.getsockopt(socket.SOL_SOCKET, MACOS_SO_NWRITE)
    return 0


# -- Connections that are held -----------------------------------------------------------------------


class Holder:
    """Those of one server. A thread looks after them while there are some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: deque[socket.socket] = deque()
        self._runs = False

    def add(self, server: Any, sock: socket.socket) -> None:
        with self._lock:
            self._new.append(sock)
            if not self._runs:
                threading.Thread(target=self._run, args=(weakref.ref(server),), daemon=True).start()
                self._runs = True

    def join(self, timeout: float) -> bool:
        """Wait so many seconds for the thread to end. Returns whether none looks after any."""
        end = time.monotonic() + timeout
        while self._runs and time.monotonic() < end:
            time.sleep(LOOK / 50)
        return not self._runs

    def _run(self, server: "weakref.ref[Any]") -> None:
        with selectors.DefaultSelector() as held:
            while self._take_in(held):
                for key, _ in held.select(LOOK):
                    if is_over(key.fileobj):
                        held.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
                if has_closed(server()):
                    self._let_go(held)

    def _take_in(self, held: selectors.BaseSelector) -> bool:
        """Watch those that have come. False where there are none: the thread ends."""
        with self._lock:
            while self._new:
                held.register(self._new.popleft(), selectors.EVENT_READ)
            self._runs = bool(held.get_map())
            return self._runs

    def _let_go(self, held: selectors.BaseSelector) -> None:
        for key in list(held.get_map().values()):
            held.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]


def keep(server: Any, sock: socket.socket) -> None:
    """Keep a socket open until its peer or the server has closed."""
    of_server(server, Holder).add(server, sock)


def is_over(sock: Any) -> bool:
    """Whether the peer has closed. What it says is passed over."""
    try:
        return not sock.recv(BLOCK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def has_closed(server: Any) -> bool:
    return server is None or server.socket.fileno() < 0
