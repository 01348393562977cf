"""Servers over TLS with real clients: handshakes hold nobody up, and nothing is lost on the way."""

import contextlib
import functools
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, connect, nothing_left_behind, request
from pairs import (
    Task,
    TLSClient,
    certificate,
    client_context,
    closing,
    receive_exactly,
    receive_until,
    reset,
    server_context,
    tls_pair,
)
from serving.apps import LARGE, Echo, Files, Quiet
from serving.secure import SERVERS, HTTPSServer, answers, hello

import fastserve
from fastserve._tls import OP_ENABLE_KTLS, kernel_encrypts
from fastserve.serving import tls

Serve = Callable[..., Any]
GET = request()


# -- Requests and answers --------------------------------------------------------------------------


def test_requests_one_after_the_other(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    with TLSClient(server.server_address) as client:
        for n in range(10):
            assert client.ask(request(target=f"/{n}")).body == b"/%d" % n
            body = bytes(n * 20000)
            assert client.ask(request("POST", "/", body=body)).body == b"%d" % len(body)
    assert server.errors == []


def test_no_certificate_of_the_client_is_asked_for(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    with TLSClient(server.server_address) as client:
        assert client.ask(GET).status == 200
        assert client.sock.getpeercert()


def test_pipelined_requests(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    octets = b"".join(request(target=f"/{n}") for n in range(1000))
    with TLSClient(server.server_address) as client:
        for start in range(0, len(octets), 5000):  # records that end anywhere
            client.send(octets[start : start + 5000])
        for n in range(1000):
            reply = client.reply()
            assert reply is not None
            assert reply.body == b"/%d" % n
    assert server.errors == []


def test_octet_by_octet(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    with TLSClient(server.server_address) as client:
        for octet in request("POST", "/", body=b"body"):
            client.send(bytes([octet]))
        reply = client.reply()
        assert reply is not None
        assert reply.body == b"4"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_of_tls(serve: Serve, version: str) -> None:
    server = serve(Quiet, SERVERS["loop"])
    context = ssl.create_default_context(cafile=str(certificate()))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_alpn_protocols(["h2", "http/1.1"])
    with TLSClient(server.server_address, context) as client:
        assert client.sock.version() == version.replace("_", ".")
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.ask(GET).status == 200


# -- Large bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_a_large_file_is_whole(serve: Serve, https: Any, folder: Path, slow: bool) -> None:
    (folder / "large").write_bytes(LARGE)
    server = serve(functools.partial(Files, directory=folder), https)
    with TLSClient(server.server_address) as client:
        if slow:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.send(request(target="/large") + request(target="/large"))
        for _ in range(2):
            receive_until(client.sock, b"\r\n\r\n")
            if slow:
                with TLSClient(server.server_address) as other:
                    assert other.ask(request("HEAD", "/large")).status == 200
            assert receive_exactly(client.sock, len(LARGE)) == LARGE
    assert server.errors == []


def test_a_large_upload(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    with TLSClient(server.server_address) as client:
        sending = Task(client.send, request("POST", "/", body=LARGE))
        sending.result()
        reply = client.reply()
        assert reply is not None
        assert reply.body == b"%d" % len(LARGE)


@pytest.mark.parametrize("kind", ["loop", "threads"])
def test_what_is_written_leaves_while_the_handler_runs(serve: Serve, kind: str) -> None:
    asked = threading.Semaphore(0)

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for n in range(5):
                assert asked.acquire(timeout=PATIENCE)
                self.wfile.write(b"event %d" % n)
                self.wfile.flush()

    server = serve(Handler, SERVERS[kind])
    with TLSClient(server.server_address) as client:
        client.sock.settimeout(1)
        client.send(GET)
        try:
            receive_until(client.sock, b"\r\n\r\n")
            for n in range(5):
                asked.release()
                assert receive_exactly(client.sock, 7) == b"event %d" % n
        finally:
            asked.release(5)


# -- What handlers may count on --------------------------------------------------------------------


def test_a_handler_may_keep_the_connection(serve: Serve, https: Any) -> None:
    server = serve(Echo, https)
    with TLSClient(server.server_address) as client:
        client.send(request("GET", "/", "Connection: upgrade", "Upgrade: echo"))
        assert receive_until(client.sock, b"\r\n\r\nready").startswith(b"HTTP/1.1 101")
        for _ in range(3):
            client.send(b"to and fro")
            assert receive_exactly(client.sock, 10) == b"to and fro"
    assert server.errors == []


def test_a_handler_that_drives_itself(serve: Serve, https: Any) -> None:
    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                self.wfile.write(line.upper())

    class Raw(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(100):
                self.request.sendall(data.upper())

    for handler in (Line, Raw):
        server = serve(handler, https)
        with TLSClient(server.server_address) as client:
            for line in (b"one\n", b"two\n"):
                client.send(line)
                assert receive_exactly(client.sock, 4) == line.upper()
        assert server.errors == []


@pytest.mark.parametrize("kind", ["loop", "loop, old habit"])
def test_a_single_request_without_the_loop(kind: str) -> None:
    with SERVERS[kind](("127.0.0.1", 0), Quiet) as server:
        handling = Task(server.handle_request)
        with TLSClient(server.server_address) as client:
            assert client.ask(GET).status == 200
        handling.result()


# -- Handshakes that hold nobody up ----------------------------------------------------------------


def test_clients_without_a_handshake_disturb_nobody(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    greeting = hello()
    with contextlib.ExitStack() as stack:
        for octets in (b"", greeting[:1], greeting[:50], greeting):
            for _ in range(10):
                stack.enter_context(connect(server.server_address)).sendall(octets)
        for _ in range(5):
            assert answers(server)
        for _ in range(10):  # handshakes that were made, and nothing after them
            stack.enter_context(TLSClient(server.server_address))
        assert answers(server)


def test_a_slow_handshake_ends_well(serve: Serve, https: Any) -> None:
    server = serve(Quiet, https)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connect(server.server_address) as sock:
        done = False
        while not done:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                done = True
            for octet in outgoing.read():
                sock.sendall(bytes([octet]))
            if not done:
                incoming.write(sock.recv(1 << 16))
        client.write(GET)
        sock.sendall(outgoing.read())
        reply = b""
        while not reply.endswith(b"\r\n\r\n/"):
            incoming.write(sock.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                reply += client.read(1 << 16)
    assert reply.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("octets", [GET, b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"x" * 70000],
                         ids=["http", "zeros", "record"])
def test_what_is_no_handshake_does_no_harm(serve: Serve, https: Any, clean_log: Any, octets: bytes) -> None:
    server = serve(Quiet, https)
    for _ in range(3):
        with Client(server.server_address) as client:
            client.send(octets)
            assert not client.rest().startswith(b"HTTP/1.1 200")
    assert answers(server)
    assert server.errors == []


def test_a_client_that_trusts_nobody(serve: Serve, https: Any, clean_log: Any) -> None:
    server = serve(Quiet, https)
    for _ in range(3):
        with pytest.raises(ssl.SSLCertVerificationError):
            TLSClient(server.server_address, ssl.create_default_context())
    assert answers(server)
    assert server.errors == []


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # by CPython's accept()
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_resets_at_any_moment(serve: Serve, https: Any, clean_log: Any) -> None:
    server = serve(Quiet, https)
    greeting = hello()
    for octets in (b"", greeting[:50], greeting):
        sock = connect(server.server_address)
        sock.sendall(octets)
        reset(sock)
    for octets in (b"", GET[:-1], GET, GET * 100):
        client = TLSClient(server.server_address)
        client.send(octets)
        reset(socket.socket(fileno=client.sock.detach()))
    assert answers(server)
    assert server.errors == []


# -- Contexts --------------------------------------------------------------------------------------


def test_a_context_from_files() -> None:
    context = tls.make_context(certificate(), None, None, ["http/1.1"])
    assert context.verify_mode == ssl.CERT_NONE
    with pytest.raises(OSError, match=r"\w"):
        tls.make_context(certificate().with_name("none.pem"), None, None, [])
    with pytest.raises(ssl.SSLError):
        tls.make_context(certificate().with_name("cert.pem"), None, None, [])  # no key in it


KERNELS = {"tls\n": True, "espintcp mptcp tls\n": True, "mptcp\n": False, "mptls\n": False, "": False}


@pytest.mark.parametrize(("protocols", "offered"), KERNELS.items())
def test_what_a_kernel_offers(tmp_path: Path, protocols: str, offered: bool) -> None:
    (tmp_path / "available").write_text(protocols)
    assert tls.kernel_offers_tls(tmp_path / "available") is (offered and ssl.OPENSSL_VERSION_INFO >= (3,))


def test_a_kernel_that_tells_nothing_offers_nothing(tmp_path: Path) -> None:
    assert not tls.kernel_offers_tls(tmp_path / "missing")
    (tmp_path / "strange").write_bytes(b"tls \xff")
    assert not tls.kernel_offers_tls(tmp_path / "strange")


@pytest.mark.parametrize("version", [(1, 1, 1, 23, 15), (2, 0, 0, 0, 0)])
def test_an_openssl_without_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: Any) -> None:
    (tmp_path / "available").write_text("tls\n")
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", version)
    assert not tls.kernel_offers_tls(tmp_path / "available")


@pytest.mark.parametrize(("wanted", "offered"), [(True, True), (True, False), (False, True)])
def test_the_kernel_is_asked_where_it_offers_and_may(
    monkeypatch: pytest.MonkeyPatch, wanted: bool, offered: bool
) -> None:
    monkeypatch.setattr(tls, "kernel_offers_tls", lambda: offered)
    with fastserve.HTTPSServer(("127.0.0.1", 0), Quiet, certfile=certificate()) as server:
        assert not server.kernel_tls
    made: list[ssl.SSLContext] = []

    class Server(HTTPSServer):
        kernel_tls = wanted

        def _create_context(self) -> ssl.SSLContext:
            made.append(super()._create_context())
            return made[-1]

    with Server(("127.0.0.1", 0), Quiet, certfile=certificate()):
        assert bool(made[0].options & OP_ENABLE_KTLS) == (wanted and offered)


@pytest.mark.parametrize("kernel", [True, False])
def test_a_server_whose_context_asks_the_kernel(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch, kernel: bool
) -> None:
    """Asked or not, and also where it is asked in vain, every octet arrives."""
    monkeypatch.setattr(tls, "kernel_offers_tls", lambda: kernel)
    monkeypatch.setattr(HTTPSServer, "kernel_tls", True)
    (folder / "large").write_bytes(LARGE)
    server = serve(functools.partial(Files, directory=folder), SERVERS["loop"])
    download_twice(server)


def download_twice(server: Any) -> None:
    with TLSClient(server.server_address) as client:
        for _ in range(2):
            client.send(request(target="/large"))
            receive_until(client.sock, b"\r\n\r\n")
            assert receive_exactly(client.sock, len(LARGE)) == LARGE


@pytest.mark.skipif(not tls.kernel_offers_tls(), reason="this kernel has no TLS: modprobe tls, where it can")
def test_the_kernel_encrypts(serve: Serve, folder: Path) -> None:
    (folder / "large").write_bytes(LARGE)
    seen = []

    class Handler(Files):
        def do_GET(self) -> None:
            seen.append(kernel_encrypts(self.connection))
            super().do_GET()

    download_twice(serve(functools.partial(Handler, directory=folder), SERVERS["loop"]))
    assert seen == [True, True]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate, and its key with a password."""
    key = tmp_path_factory.mktemp("locked") / "key.pem"
    lock = ["openssl", "pkey", "-aes256", "-passout", "pass:sesame", "-in", certificate(), "-out", key]
    subprocess.run(lock, check=True, capture_output=True, timeout=60)
    return {"certfile": certificate().with_name("cert.pem"), "keyfile": key}


KINDS_OF_PASSWORD: dict[str, Callable[[str], Any]] = {
    "str": str,
    "bytes": str.encode,
    "bytearray": lambda word: bytearray(word.encode()),
    "callable": lambda word: lambda: word,
    "callable of bytes": lambda word: word.encode,
}
PASSWORDS = pytest.mark.parametrize("password", KINDS_OF_PASSWORD.values(), ids=KINDS_OF_PASSWORD)


@PASSWORDS
def test_a_key_with_a_password(serve: Serve, locked: Any, password: Any) -> None:
    server = serve(Quiet, functools.partial(HTTPSServer, **locked, password=password("sesame")))
    assert answers(server)


@PASSWORDS
@pytest.mark.parametrize("server_class", [fastserve.HTTPSServer, fastserve.ThreadingHTTPSServer])
def test_the_wrong_password_is_an_error_at_once(locked: Any, password: Any, server_class: Any) -> None:
    with nothing_left_behind(), pytest.raises(ssl.SSLError):
        server_class(("127.0.0.1", 0), Quiet, **locked, password=password("wrong"))


class Protocol(Quiet):
    """Answers with the protocol that was agreed on."""

    def do_GET(self) -> None:
        self.answer(str(self.connection.selected_alpn_protocol()).encode())


@pytest.mark.parametrize(("ours", "theirs", "selected"), [
    (None, ["h2", "http/1.1"], "http/1.1"),
    (None, ["http/1.1"], "http/1.1"),
    (None, ["h2"], "None"),
    (None, None, "None"),
    (["x", "http/1.1"], ["http/1.1", "x"], "x"),  # the server's order counts
    (("http/1.1",), ["h2", "http/1.1"], "http/1.1"),
    ([], ["http/1.1"], "None"),
])
@pytest.mark.parametrize("server_class", [fastserve.HTTPSServer, fastserve.ThreadingHTTPSServer])
def test_alpn_protocols(serve: Serve, server_class: Any, ours: Any, theirs: Any, selected: str) -> None:
    server = serve(Protocol, server_class, certfile=certificate(), alpn_protocols=ours)
    context = ssl.create_default_context(cafile=str(certificate()))
    if theirs is not None:
        context.set_alpn_protocols(theirs)
    with TLSClient(server.server_address, context) as client:
        assert client.ask(GET).body == selected.encode()
        assert str(client.sock.selected_alpn_protocol()) == selected
    assert server.alpn_protocols == (["http/1.1"] if ours is None else ours)


def test_which_sockets_await_a_handshake() -> None:
    with socket.socket() as plain:
        assert not tls.awaits_handshake(plain)
        tls.defer_handshakes(plain)
    assert not tls.awaits_handshake(None)
    with server_context().wrap_socket(socket.socket(), server_side=True) as secure:
        assert tls.awaits_handshake(secure)
        tls.defer_handshakes(secure)
        assert not secure.do_handshake_on_connect
    with closing(*(ends := tls_pair())):
        assert not tls.awaits_handshake(ends[0])


def test_without_the_ssl_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(RuntimeError, match="ssl"):
        fastserve.HTTPSServer(("127.0.0.1", 0), Quiet, certfile="none.pem")
    with socket.socket() as plain:
        tls.defer_handshakes(plain)
        assert not tls.awaits_handshake(plain)
