"""Both ends of a connection in one process, and work done beside a test, for the tests of the core.

A pair of records keeps the borders of send() calls: one recv() gives what one send() took, in both
directions. Knows sockets, the compiled streams and connections, and no server.
"""

import atexit
import contextlib
import functools
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client

from fastserve._conn import SETTLE, WAIT, Connection
from fastserve._deadlines import Ending, of_server
from fastserve._head import RequestHead
from fastserve._offers import attach, offer, open_streams, withdraw
from fastserve._response import ResponseHead
from fastserve._timers import Timers
from fastserve._tls import Layer
from fastserve.limits import Timeouts

NOW = 1000.0
READ, WRITE = 1, 2


class Task(threading.Thread):
    """Work in a thread of its own, whose result is waited for no longer than PATIENCE."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        super().__init__(daemon=True)
        self._work, self._args = work, args
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._work(*self._args)
        except BaseException as error:
            self._error = error

    def result(self, patience: float = PATIENCE) -> Any:
        """What the work returned; raises what it raised."""
        self.join(patience)
        assert not self.is_alive(), f"{self._work} is still waiting after {patience} s"
        if self._error is not None:
            raise self._error
        return self._result


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname(), PATIENCE)
        return listener.accept()[0], peer


def record_pair() -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        pytest.skip("this system has no sequential packets between local sockets")


def tls_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    server = server_context().wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    client = client_context().wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
    shaking = Task(client.do_handshake)
    server.do_handshake()
    shaking.result()
    return server, client


def layer_pair() -> tuple[socket.socket, socket.socket]:
    """The same, but that a loop makes the handshake: beneath the socket is a Layer."""
    ours, theirs = socket.socketpair()
    server = server_context().wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    client = client_context().wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False)
    conn = Connection(server, ("client", 1), NOW, handshaking=True)
    shaking = Task(client.do_handshake)
    while conn.state_name == "HANDSHAKING":
        assert select.select([server], [], [], PATIENCE)[0]
        conn.ready(NOW)
    shaking.result()
    assert isinstance(vars(server)["_sslobj"], Layer)
    return server, client


PAIRS = {
    "unix": socket.socketpair, "tcp": tcp_pair, "records": record_pair, "tls": tls_pair, "layer": layer_pair,
}

# Without a layer and with one.
TLS = pytest.mark.parametrize("kind", ["tls", "layer"])

REQUEST_CONFIG = """
[req]
distinguished_name = name
x509_extensions = more
prompt = no
[name]
CN = localhost
[more]
subjectAltName = DNS:localhost,IP:127.0.0.1
"""


@functools.cache
def certificate() -> Path:
    """A PEM file with a private key and its certificate for localhost, made once."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes a certificate, is missing")
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    (home / "request.cnf").write_text(REQUEST_CONFIG)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-nodes", "-days", "2", "-config", "request.cnf", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=home, check=True, capture_output=True, timeout=60)
    both = home / "both.pem"
    both.write_bytes((home / "key.pem").read_bytes() + (home / "cert.pem").read_bytes())
    return both


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate()))


class TLSClient(Client):
    """A client over TLS, to whom an end without a goodbye is an end."""

    def __init__(self, address: Any, context: ssl.SSLContext | None = None) -> None:
        super().__init__(address)
        context = context or client_context()
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ssl.SSLEOFError):
            super().send(data)


class Ends:
    """``rfile`` and ``wfile`` over ``sock``, a blocking socket, and ``peer``, the client's end."""

    def __init__(self, kind: str = "unix", block: int = 0, timeouts: Timeouts | None = None) -> None:
        self.sock, self.peer = PAIRS[kind]()
        self.peer.settimeout(PATIENCE)
        self.rfile, self.wfile = open_streams(self.sock, block, timeouts)

    def give(self, data: bytes, end: bool = True) -> "Ends":
        """Let the client send what fits into the socket, and by default nothing more."""
        self.peer.sendall(data)
        if end:
            self.peer.shutdown(socket.SHUT_WR)
        return self

    def take(self, data: bytes, end: bool = True) -> RequestHead:
        """Let the client send a request; return its head, so that ``rfile`` gives its body."""
        self.give(data, end)
        head = next_head(self.rfile)
        assert head is not None
        return head

    def receive(self) -> bytes:
        """What the client gets by one recv()."""
        return self.peer.recv(1 << 20)

    def receive_all(self, slowly: Callable[[], object] = lambda: None) -> bytes:
        """What the client gets until the end."""
        return receive_all(self.peer, slowly)

    def has_nothing(self) -> bool:
        """Whether nothing has been sent to the client that it has not read."""
        self.peer.setblocking(False)
        try:
            return not self.peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        finally:
            self.peer.settimeout(PATIENCE)

    def close(self) -> None:
        self.peer.close()
        for stream in ("rfile", "wfile"):  # they hold the descriptor, as files of makefile() would
            if hasattr(self, stream):
                with contextlib.suppress(OSError):
                    getattr(self, stream).close()
        self.sock.close()

    def __enter__(self) -> "Ends":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Handler:
    """What is attached: anything."""


class Driven:
    """A connection, the client's end of it, and the streams of the handler that is attached."""

    def __init__(
        self, kind: str = "unix", timeout: float | None = None, timeouts: Timeouts | None = None
    ) -> None:
        self.sock, self.peer = PAIRS[kind]()
        self.peer.settimeout(PATIENCE)
        self.ending = Ending()
        self.conn = Connection(
            self.sock, ("client", 1), NOW, ending=self.ending, deadlines=of_server(timeouts))
        self.handler = Handler()
        self.timers = Timers()
        self.timeout = timeout

    def done(self, action: int) -> int:
        """What a loop does with SETTLE, which is WAIT then."""
        if action != SETTLE:
            return action
        self.conn.registered = self.conn.interest
        self.timers.watch(self.conn)
        return WAIT

    def ready(self, now: float = NOW) -> int:
        """The selector says that the socket is ready; the action."""
        return self.done(self.conn.ready(now))

    def answered(self, close: bool = False, now: float = NOW) -> int:
        """The handler has returned; the action."""
        return self.done(self.conn.answered(close, now))

    def attach(self) -> None:
        offer(self.conn)
        if self.timeout:
            self.sock.settimeout(self.timeout)
        self.rfile, self.wfile = open_streams(self.sock)
        assert attach(self.sock, self.handler, self.rfile, self.wfile)
        assert withdraw(self.conn)

    def begin(self, data: bytes = b"", end: bool = False) -> int:
        """The client sends that, and a handler is attached; the action."""
        self.give(data, end)
        self.attach()
        return self.done(self.conn.begin(NOW))

    def give(self, data: bytes, end: bool = False) -> None:
        self.peer.sendall(data) if data else None
        if end:
            self.peer.shutdown(socket.SHUT_WR)

    def more(self, data: bytes, end: bool = False, now: float = NOW) -> int:
        """The client sends that, and the selector says so; the action."""
        self.give(data, end)
        return self.ready(now)

    def answer(self, body: bytes = b"ok", read: int = -1, close: bool = False, now: float = NOW) -> int:
        """What a handler does with one request; the action."""
        head = next_head(self.rfile)
        assert head is not None
        assert (head.request() is None) == bool(head.rejection)
        self.rfile.read(read)
        self.wfile.send_head(response(len(body)), head.method)
        self.wfile.write(body)
        return self.answered(close or bool(head.rejection), now)

    @property
    def state(self) -> str:
        return self.conn.state_name

    def received(self, body: bytes = b"ok") -> bool:
        """Whether the client gets that answer, and now."""
        octets = response(len(body)).take() + body
        return receive_exactly(self.peer, len(octets)) == octets

    def close(self) -> None:
        self.peer.close()
        self.conn.closed()
        self.sock.close()


def flushed(driven: Driven) -> int:
    """As a loop would, until all that was written has left; the action."""
    action = WAIT
    while action == WAIT and driven.state == "SENDING":
        wait_for(driven)
        action = driven.ready()
    return action


def wait_for(driven: Driven) -> None:
    reads, writes = [[driven.sock] if driven.conn.interest == way else [] for way in (READ, WRITE)]
    assert any(select.select(reads, writes, [], PATIENCE)), f"nothing happens in {driven.state}"


def next_head(rfile: Any) -> RequestHead | None:
    rfile.await_head()
    return rfile.take_head(rfile.readline(65537))


def response(length: int | None = None, status: int = 200, method: str = "GET") -> ResponseHead:
    """A head that declares that length."""
    head = ResponseHead()
    head.status_line("HTTP/1.1", status, "Reason")
    if length is not None:
        head.header("Content-Length", str(length))
    head.end(method, "HTTP/1.1", False)
    return head


def receive_all(sock: socket.socket, slowly: Callable[[], object] = lambda: None) -> bytes:
    """Read to the end, calling ``slowly`` between the pieces."""
    pieces = []
    while piece := sock.recv(1 << 20):
        pieces.append(piece)
        slowly()
    return b"".join(pieces)


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """As many octets, or fewer at the end."""
    data = bytearray()
    while len(data) < size and (piece := sock.recv(min(size - len(data), 1 << 20))):
        data += piece
    return bytes(data)


def receive_until(sock: socket.socket, mark: bytes) -> bytes:
    """Read up to and with the mark, and nothing behind it."""
    data = b""
    while not data.endswith(mark) and (octet := sock.recv(1)):
        data += octet
    return data


def small_buffers(*socks: socket.socket) -> None:
    """Let the kernel keep little between the two ends, but not so little that TCP waits for its timers."""
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)


def reset(sock: socket.socket) -> None:
    """Close a TCP socket with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def closing(*ends: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for end in ends:
            end.close()
