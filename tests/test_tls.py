"""TLS over memory: a socket that a loop made the handshake of is what it was to whoever uses it directly.

The same on a socket of ssl's own shows that this is so, and where a Layer may not stand in, there is none.
"""

import contextlib
import functools
import hashlib
import os
import select
import socket
import ssl
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, nothing_left_behind, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import (
    NOW,
    PAIRS,
    TLS,
    Driven,
    Ends,
    Task,
    certificate,
    client_context,
    next_head,
    receive_exactly,
    receive_until,
    server_context,
    small_buffers,
)

from fastserve import _tls
from fastserve._conn import Connection
from fastserve._offers import open_streams
from fastserve._tls import Layer

BLOCK = bytes(range(256)) * 64  # one record
LARGE = BLOCK * 200  # 3 MB
MOMENT = 0.05  # seconds

Pair = tuple[Any, Any]


@pytest.fixture(params=["tls", "layer"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with nothing_left_behind():
        ours, theirs = PAIRS[request.param]()
        theirs.settimeout(PATIENCE)
        with ours, theirs:
            yield ours, theirs


# -- Reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 16384, 16385, 1 << 20])
def test_what_is_sent_is_received(pair: Pair, size: int) -> None:
    ours, theirs = pair
    sending = Task(theirs.sendall, LARGE[: size * 100])
    data = b""
    while len(data) < len(LARGE[: size * 100]):
        data += ours.recv(size)
    assert data == LARGE[: size * 100]
    sending.result()


def test_receives_into_a_buffer(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"twelve bytes")
    room = bytearray(b"-" * 12)
    assert ours.recv_into(memoryview(room)[2:], 5) == 5
    assert room == b"--twelv-----"
    assert ours.pending() == 7
    assert ours.recv_into(room) == 7
    assert room == b"e bytes-----"
    assert ours.recv(0) == b""


def test_one_record_at_a_time_and_select_sees_the_next(pair: Pair) -> None:
    """Proxies wait by select() and read by recv(), and ask nobody whether more is inside."""
    ours, theirs = pair
    for n in range(3):
        theirs.sendall(b"record %d" % n)
    for n in range(3):
        assert select.select([ours], [], [], PATIENCE)[0]
        assert ours.recv(1000) == b"record %d" % n
    assert select.select([ours], [], [], 0)[0] == []


def test_a_part_of_a_record_is_waited_for(pair: Pair) -> None:
    ours, theirs = pair
    reading = Task(ours.recv, 100)
    with cut_in_two(theirs) as send:
        send(b"one record")
    assert reading.result() == b"one record"


@contextlib.contextmanager
def cut_in_two(sock: Any) -> Iterator[Any]:
    """What is sent goes through a relay that sends the last octet of it by itself."""
    near, far = socket.socketpair()
    raw = os.dup(sock.fileno())
    try:
        os.dup2(near.fileno(), sock.fileno())
        near.close()
        yield sock.sendall
        octets = far.recv(1 << 16)
        for piece in (octets[:3], octets[3:-1], octets[-1:]):
            os.write(raw, piece)
            select.select([], [], [], 0.01)
    finally:
        os.dup2(raw, sock.fileno())
        os.close(raw)
        far.close()


def test_a_socket_that_is_not_to_wait(pair: Pair) -> None:
    ours, theirs = pair
    ours.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        ours.recv(1)
    theirs.sendall(b"now")
    assert select.select([ours], [], [], PATIENCE)[0]
    assert ours.recv(100) == b"now"


def test_a_socket_with_a_timeout(pair: Pair) -> None:
    ours, theirs = pair
    small_buffers(ours, theirs)
    ours.settimeout(0.02)
    with pytest.raises(TimeoutError, match="The read operation timed out"):
        ours.recv(1)
    with pytest.raises(TimeoutError, match="The write operation timed out"):
        ours.sendall(LARGE)


# -- Writing ---------------------------------------------------------------------------------------


def test_sendall(pair: Pair) -> None:
    ours, theirs = pair
    small_buffers(ours, theirs)
    reading = Task(receive_exactly, theirs, len(LARGE) + 3)
    assert ours.send(b"") == 0
    ours.sendall(LARGE)
    assert ours.send(memoryview(b"end")) == 3
    assert reading.result() == LARGE + b"end"


def test_send_takes_all_of_it(pair: Pair) -> None:
    """That of a blocking socket does, which those rely on who do not look at what it returns."""
    ours, theirs = pair
    small_buffers(ours, theirs)
    reading = Task(receive_exactly, theirs, len(LARGE))
    assert ours.send(LARGE) == len(LARGE)
    assert reading.result() == LARGE


def test_nothing_is_sent_twice_by_a_socket_that_is_not_to_wait(pair: Pair) -> None:
    ours, theirs = pair
    small_buffers(ours, theirs)
    ours.setblocking(False)
    reading, rest = Task(receive_exactly, theirs, len(LARGE)), memoryview(LARGE)
    refused = 0
    while rest:
        try:
            rest = rest[ours.send(rest[:50000]) :]
        except ssl.SSLWantWriteError:
            refused += 1
            assert select.select([], [ours], [], PATIENCE)[1]
    assert hashlib.sha1(reading.result()).digest() == hashlib.sha1(LARGE).digest()
    assert refused


def test_both_directions_at_once_by_two_threads() -> None:
    ours, theirs = PAIRS["layer"]()
    with ours, theirs:
        tasks = [Task(ours.sendall, LARGE), Task(receive_exactly, ours, len(LARGE))]
        relay = Task(echo, theirs, len(LARGE))
        assert tasks[1].result() == LARGE
        tasks[0].result()
        relay.result()


def echo(sock: Any, size: int) -> None:
    while size:
        octets = sock.recv(1 << 16)
        sock.sendall(octets)
        size -= len(octets)


def test_a_file_of_a_socket(pair: Pair) -> None:
    ours, theirs = pair
    with ours.makefile("rwb") as file:
        theirs.sendall(b"line\nrest")
        assert file.readline() == b"line\n"
        file.write(b"answer\n")
        file.flush()
    assert receive_until(theirs, b"\n") == b"answer\n"


# -- Ends ------------------------------------------------------------------------------------------


def test_a_client_that_says_goodbye(pair: Pair) -> None:
    ours, theirs = pair
    leaving = Task(theirs.unwrap)
    assert ours.recv(1) == b""
    ours.unwrap()
    leaving.result().close()


def test_a_client_that_goes_without(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with contextlib.suppress(ConnectionResetError):  # of the tickets that it did not read
        assert ours.recv(1) == b""
    with pytest.raises(OSError, match=r"\w"):
        ours.sendall(LARGE)


def test_a_socket_that_is_unwrapped_is_a_plain_one(pair: Pair) -> None:
    ours, theirs = pair
    parting = Task(ours.unwrap)
    plain = theirs.unwrap()
    assert parting.result() is ours or parting.result().fileno() == ours.fileno()
    with plain:
        plain.sendall(b"in the clear")
        assert ours.recv(100) == b"in the clear"
        ours.sendall(b"so are we")
        assert plain.recv(100) == b"so are we"


@TLS
def test_streams_go_on_in_the_clear(kind: str) -> None:
    with Ends(kind) as ends:
        parting = Task(ends.sock.unwrap)  # type: ignore[attr-defined]
        plain = ends.peer.unwrap()  # type: ignore[attr-defined]
        parting.result()
        with plain:
            plain.sendall(request(target="/clear"))
            head = next_head(ends.rfile)
            assert head is not None
            assert head.target == "/clear"
            ends.wfile.write(b"answer")
            assert plain.recv(100) == b"answer"


def test_a_closed_socket(pair: Pair) -> None:
    ours, _ = pair
    ours.close()
    with pytest.raises(OSError, match=r"\w"):
        ours.send(b"x")


def test_what_is_no_record_ends_reading(pair: Pair) -> None:
    ours, theirs = pair
    os.write(theirs.fileno(), b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" + BLOCK)
    with pytest.raises(ssl.SSLError):
        ours.recv(1)


@TLS
def test_what_is_no_record_ends_a_connection(kind: str) -> None:
    driven = Driven(kind)
    driven.begin()
    os.write(driven.peer.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
    assert driven.ready() == 4
    driven.close()


# -- What it tells ---------------------------------------------------------------------------------


def test_what_is_asked_of_the_socket(pair: Pair) -> None:
    ours, theirs = pair
    assert ours.version() == theirs.version()
    assert ours.cipher() == theirs.cipher()
    assert ours.selected_alpn_protocol() is None
    assert ours.getpeercert() is None
    assert ours.get_channel_binding("tls-unique") == theirs.get_channel_binding("tls-unique")
    assert ours.session_reused is False
    assert ours.shared_ciphers()
    assert ours.context is server_context()
    assert ours.server_side
    assert ours.compression() is None


def test_a_certificate_by_name() -> None:
    """The callback for a server's name is given the socket, and may give that another context."""
    context, other = [ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2)]
    other.load_cert_chain(certificate())
    asked = []

    def choose(sock: ssl.SSLSocket, name: str | None, first: ssl.SSLContext) -> None:
        asked.append((sock, name, first))
        sock.context = other

    context.sni_callback = choose  # type: ignore[assignment]
    with shaking(context, client_context()) as (ours, theirs):
        assert asked == [(ours, "localhost", context)]
        assert ours.context is other
        assert vars(ours)["_sslobj"].context is other
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


def test_a_certificate_of_the_client() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate()))
    context.load_cert_chain(certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(certificate()))
    client.load_cert_chain(certificate())
    with shaking(context, client) as (ours, theirs):
        assert ours.getpeercert() == theirs.getpeercert()
        assert ours.getpeercert(True)


@contextlib.contextmanager
def shaking(
    ours: ssl.SSLContext, theirs: ssl.SSLContext, disturb: Callable[[Any], None] = lambda sock: None
) -> Iterator[Pair]:
    """Both ends of a connection, ours as a loop has it, after ``disturb`` was called with it."""
    near, far = socket.socketpair()
    server = ours.wrap_socket(near, server_side=True, do_handshake_on_connect=False)
    client = theirs.wrap_socket(far, server_hostname="localhost", do_handshake_on_connect=False)
    with server, client:
        conn = Connection(server, ("client", 1), NOW, handshaking=True)
        task = Task(client.do_handshake)
        disturb(server)
        for _ in range(int(PATIENCE / MOMENT)):
            if conn.state_name != "HANDSHAKING":
                break
            select.select([server], [], [], MOMENT)  # in vain where ``disturb`` has read the last octet
            conn.ready(NOW)
        task.result()
        assert conn.state_name != "HANDSHAKING"
        yield server, client


def test_nobody_is_kept_alive() -> None:
    """The socket has the layer, and the layer none of the socket: both go at once."""
    with nothing_left_behind():
        ours, theirs = PAIRS["layer"]()
        with contextlib.closing(theirs):
            layer, gone = vars(ours)["_sslobj"], weakref.ref(ours)
            ours.close()
            del ours
            assert gone() is None
            with pytest.raises(OSError, match=r"\w"):
                layer.read(1)


# -- TLS in the kernel -----------------------------------------------------------------------------
#
# Where the kernel has none we say that it has: then what it should encrypt leaves as it is.


def kernel_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate())
    context.options |= _tls.OP_ENABLE_KTLS
    return context


def test_a_context_that_asks_the_kernel_has_openssl_at_the_descriptor() -> None:
    with shaking(kernel_context(), client_context()) as (ours, _):
        assert not isinstance(vars(ours)["_sslobj"], Layer)
        assert not _tls.kernel_encrypts(ours)  # no TCP: no kernel does


def test_a_kernel_that_was_not_asked_is_not_asked(pair: Pair) -> None:
    assert not _tls.kernel_encrypts(pair[0])


@pytest.mark.parametrize("encrypts", [False, True])
def test_files_leave_by_descriptor_where_the_kernel_encrypts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encrypts: bool
) -> None:
    monkeypatch.setattr(_tls, "kernel_encrypts", lambda sock: encrypts)
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    with shaking(kernel_context(), client_context()) as (ours, theirs), path.open("rb") as file:
        rfile, wfile = open_streams(ours)
        sending = Task(send_file, wfile, file.fileno())
        assert receive_exactly(theirs, 6) == b"before"
        octets = receive_raw(theirs, len(LARGE)) if encrypts else receive_exactly(theirs, len(LARGE))
        assert octets == LARGE
        assert receive_exactly(theirs, 5) == b"after"  # OpenSSL's records go on
        sending.result()
        rfile.close()
        wfile.close()


def send_file(wfile: Any, file: int) -> None:
    wfile.write(b"before")
    wfile.send_file(file, 0, len(LARGE))
    wfile.write(b"after")


def receive_raw(sock: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += os.read(sock.fileno(), size - len(data))
    return bytes(data)


# -- Where there is none ---------------------------------------------------------------------------


class OwnSocket(ssl.SSLSocket):
    pass


def own_class(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    context.sslsocket_class = OwnSocket


def patched_class(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    monkeypatch.setattr(ssl.SSLSocket, "send", functools.partialmethod(ssl.SSLSocket.send))


def nothing_else(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    pass


@pytest.mark.parametrize(("prepare", "expected"), [
    (nothing_else, True), (own_class, False), (patched_class, False),
])
def test_a_socket_whose_methods_are_others(
    monkeypatch: pytest.MonkeyPatch, prepare: Any, expected: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate())
    prepare(monkeypatch, context)
    with shaking(context, client_context()) as (ours, theirs):
        assert isinstance(vars(ours)["_sslobj"], Layer) is expected
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


def patched_socket(sock: ssl.SSLSocket) -> None:
    sock.send = sock.send  # type: ignore[method-assign]


def begun_by_another(sock: ssl.SSLSocket) -> None:
    assert select.select([sock], [], [], PATIENCE)[0]
    sock.setblocking(False)
    with contextlib.suppress(ssl.SSLWantReadError):
        sock.do_handshake()
    sock.setblocking(True)


@pytest.mark.parametrize("disturb", [patched_socket, begun_by_another])
def test_a_socket_that_somebody_had(disturb: Any) -> None:
    with shaking(server_context(), client_context(), disturb) as (ours, theirs):
        assert not isinstance(vars(ours)["_sslobj"], Layer)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


# -- Records cut anywhere --------------------------------------------------------------------------


def records(client: ssl.SSLObject, outgoing: ssl.MemoryBIO, sizes: list[int]) -> bytes:
    """Of these sizes, as they are on their way."""
    data = memoryview(LARGE)
    for size in sizes:
        client.write(data[:size])
        data = data[size:]
    return outgoing.read()


@contextlib.contextmanager
def by_hand() -> Iterator[tuple[Any, Any, ssl.SSLObject, ssl.MemoryBIO]]:
    """A socket over TLS, the other end of it, and the client's side of TLS, whose records we carry."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    near, far = socket.socketpair()
    server = server_context().wrap_socket(near, server_side=True, do_handshake_on_connect=False)
    with far, server:
        far.settimeout(PATIENCE)
        conn = Connection(server, ("client", 1), NOW, handshaking=True)
        while conn.state_name == "HANDSHAKING":
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            far.sendall(outgoing.read())
            conn.ready(NOW)
            with contextlib.suppress(BlockingIOError):
                incoming.write(far.recv(1 << 16, socket.MSG_DONTWAIT))
        yield server, far, client, outgoing


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.integers(1, 16384), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 20000), min_size=1, max_size=30),
    ways=st.lists(st.sampled_from(["stream", "socket", "a little"]), min_size=1, max_size=10),
)
def test_records_cut_anywhere_and_read_by_turns(sizes: list[int], cuts: list[int], ways: list[str]) -> None:
    """By the stream, which reads ahead, and by the socket, which does not: every octet once, in order."""
    with by_hand() as (server, far, client, outgoing):
        rfile, wfile = open_streams(server)
        rfile.leave_body()
        octets, total, got, turn = records(client, outgoing, sizes), sum(sizes), b"", 0
        server.setblocking(False)
        far.setblocking(False)
        while len(got) < total:
            with contextlib.suppress(BlockingIOError):  # while nobody reads it, no more finds room
                octets = octets[far.send(octets[: cuts[turn % len(cuts)]]) :]
            way = ways[turn % len(ways)]
            turn += 1
            if way == "stream":
                got += rfile.read_now() or b""  # all that has come, so that it keeps nothing back
                continue
            with contextlib.suppress(ssl.SSLWantReadError):
                got += server.recv(1 << 20 if way == "socket" else 10)
        assert got == LARGE[:total]
        rfile.close()
        wfile.close()
