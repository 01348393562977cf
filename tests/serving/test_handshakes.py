"""TLS handshakes that fail: one line of the log each, whoever makes them, and nobody else is harmed."""

import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

import pytest
from helpers import LOG_LINE, PATIENCE, Client, connect, request, wait_until
from pairs import Task, TLSClient, certificate, reset, server_context
from serving.apps import HTTPServer, Quiet, ThreadingHTTPServer
from serving.secure import (
    ALL_SERVERS,
    SERVERS,
    HTTPSServer,
    Wrapping,
    answers,
    hello,
    wrapped,
)

from fastserve import limits
from fastserve.serving import tls

Serve = Callable[..., Any]
GET = request()

EVERYWHERE = pytest.mark.parametrize("kind", ALL_SERVERS)
# Where a get_request() makes the handshake, it waits for its client.
WITHOUT_WAITING = pytest.mark.parametrize("kind", [kind for kind in ALL_SERVERS if kind != "get_request"])


def lines(log: Any) -> list[tuple[str, str]]:
    """The address and the message of each line."""
    matches = [LOG_LINE.fullmatch(line) for line in log.text().splitlines()]
    assert all(matches), log.text()
    return [(match[1], match[2]) for match in matches if match]


def told(kind: str, words: str) -> list[tuple[str, str]]:
    """The one line; in get_request() nobody knows yet whose handshake it is."""
    return [("-" if kind == "get_request" else "127.0.0.1", f"TLS handshake failed: {words}")]


# -- What is told ----------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize(("octets", "words"), [
    (GET, "http request"),
    (b"EHLO client.test\r\n" * 9, "wrong version number"),
    (b"\0" * 1000, "wrong version number"),
], ids=["http", "another protocol", "zeros"])
def test_octets_that_are_no_handshake(
    serve: Serve, log: Any, kind: str, octets: bytes, words: str
) -> None:
    server = serve(Quiet, ALL_SERVERS[kind])
    with Client(server.server_address) as client:
        client.send(octets)
        assert not client.rest().startswith(b"HTTP/")
    assert wait_until(lambda: lines(log) == told(kind, words)), log.text()
    assert answers(server)
    assert len(lines(log)) == 1
    assert server.errors == []


@WITHOUT_WAITING
@pytest.mark.parametrize("size", [0, 1, 50], ids=["nothing", "one octet", "half a greeting"])
def test_a_client_that_goes_no_further(serve: Serve, log: Any, clock: Any, kind: str, size: int) -> None:
    server = serve(Quiet, ALL_SERVERS[kind])
    with Client(server.server_address) as client:
        client.send(hello()[:size])
        assert answers(server)
        assert log.text() == ""

        def time_is_up() -> bool:
            clock.ahead += limits.HANDSHAKE_TIMEOUT
            return lines(log) == told(kind, "timed out")

        assert wait_until(time_is_up), log.text()
        assert client.is_closed()
    assert answers(server)
    assert len(lines(log)) == 1
    assert server.errors == []


def test_a_get_request_that_sets_a_time(serve: Serve, log: Any) -> None:
    """It waits, and so do the others, but no longer than it says."""

    class Server(Wrapping):
        patience = 0.1

        def wrapped(self, sock: Any) -> Any:
            sock.settimeout(self.patience)
            return super().wrapped(sock)

    server = serve(Quiet, Server)
    with Client(server.server_address) as client:
        assert client.is_closed()
        assert wait_until(lambda: lines(log) == told("get_request", "timed out")), log.text()
    Server.patience = PATIENCE
    assert answers(server)
    assert len(lines(log)) == 1


@EVERYWHERE
def test_a_client_that_trusts_nobody(serve: Serve, log: Any, kind: str) -> None:
    server = serve(Quiet, ALL_SERVERS[kind])
    with pytest.raises(ssl.SSLCertVerificationError):
        TLSClient(server.server_address, ssl.create_default_context())
    assert wait_until(lambda: log.text().endswith("\n"))
    [(_, message)] = lines(log)
    assert message.startswith("TLS handshake failed: ")
    assert "unknown ca" in message
    assert answers(server)
    assert len(lines(log)) == 1


# -- What is not -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # by CPython's accept()
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@EVERYWHERE
def test_clients_that_leave_are_not_told_of(serve: Serve, log: Any, kind: str) -> None:
    """Nor are those that have nothing to say after their handshake."""
    server = serve(Quiet, ALL_SERVERS[kind])
    greeting = hello()
    for octets in (b"", greeting[:1], greeting[:50], greeting):
        with Client(server.server_address) as client:
            client.send(octets)
            client.end()
            client.rest()
        sock = connect(server.server_address)
        sock.sendall(octets)
        reset(sock)
    TLSClient(server.server_address).close()
    assert answers(server)
    assert log.text() == ""
    assert server.errors == []


def test_what_get_request_raises_for_other_reasons(serve: Serve, log: Any) -> None:
    failures = [OSError("no"), TimeoutError("too slow"), ConnectionAbortedError(), ssl.SSLEOFError(8, "end")]

    class Server(Wrapping):
        def get_request(self) -> Any:
            failure = failures.pop()  # before the client is told
            HTTPServer.get_request(self)[0].close()
            raise failure

    server = serve(Quiet, Server)
    while failures:
        with Client(server.server_address) as client:
            assert client.is_closed()
    assert log.text() == ""


# -- Without a loop --------------------------------------------------------------------------------


@pytest.fixture(params=SERVERS.values(), ids=SERVERS)
def unserved(request: pytest.FixtureRequest, serve: Serve) -> Any:
    """A server for handle_request(), which waits for no handshake longer than a moment."""
    server = request.param(("127.0.0.1", 0), Quiet)
    server.daemon_threads = False  # so that its end waits for them
    yield server
    server.server_close()


def test_octets_that_are_no_handshake_without_a_loop(unserved: Any, log: Any) -> None:
    with Client(unserved.server_address) as client:
        client.send(GET)
        unserved.handle_request()
        assert client.rest() == b""
        assert lines(log) == told("", "http request")
    assert answers_one(unserved)
    assert len(lines(log)) == 1


def test_a_silent_client_without_a_loop(unserved: Any, log: Any) -> None:
    unserved.timeouts = limits.Timeouts(handshake=0.1)
    with Client(unserved.server_address) as client:
        unserved.handle_request()
        assert client.is_closed()
        assert lines(log) == told("", "timed out")
    unserved.timeouts = "of something else"
    assert answers_one(unserved)
    assert len(lines(log)) == 1


def test_clients_that_leave_without_a_loop(unserved: Any, log: Any) -> None:
    for octets in (b"", hello()[:50], hello()):
        with Client(unserved.server_address) as client:
            client.send(octets)
            client.end()
            unserved.handle_request()
    assert answers_one(unserved)
    assert log.text() == ""


def answers_one(server: Any) -> bool:
    """Whether handle_request() answers, on a socket that waits as long as its handler likes."""
    handling = Task(server.handle_request)
    try:
        return answers(server)
    finally:
        handling.result()


def test_a_handler_s_socket_waits_without_a_loop(unserved: Any) -> None:
    timeouts: list[Any] = []

    class Telling(Quiet):
        def do_GET(self) -> None:
            timeouts.append(self.connection.gettimeout())
            super().do_GET()

    unserved.RequestHandlerClass = Telling
    assert answers_one(unserved)
    assert timeouts == [None]


# -- Certificates of clients -----------------------------------------------------------------------


def demanding() -> ssl.SSLContext:
    """The context of a server that wants to know who its clients are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    context.load_verify_locations(certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Demanding(HTTPSServer):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args, certfile=certificate())

    def _create_context(self) -> ssl.SSLContext:
        return demanding()


DEMANDING = {
    "loop": Demanding,
    "loop, old habit": lambda *args: wrapped(HTTPServer, *args, context=demanding()),
    "threads, old habit": lambda *args: wrapped(ThreadingHTTPServer, *args, context=demanding()),
}


class Who(Quiet):
    """Answers with the name in its client's certificate."""

    def do_GET(self) -> None:
        self.answer(repr(self.connection.getpeercert()["subject"]).encode())


def context_with(pem: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate()))
    if pem:
        context.load_cert_chain(pem)
    return context


@pytest.mark.parametrize("kind", DEMANDING)
def test_a_handler_sees_its_client_s_certificate(serve: Serve, log: Any, kind: str) -> None:
    server = serve(Who, DEMANDING[kind])
    with TLSClient(server.server_address, context_with(certificate())) as client:
        assert client.ask(GET).body == b"((('commonName', 'localhost'),),)"
    assert log.text() == ""
    assert server.errors == []


def is_refused(server: Any, context: ssl.SSLContext) -> bool:
    """In TLS 1.3 a client learns of it when it reads."""
    try:
        with TLSClient(server.server_address, context) as client:
            client.send(GET)
            return not client.sock.recv(1)
    except OSError:
        return True


@pytest.mark.parametrize("kind", DEMANDING)
@pytest.mark.parametrize(("make", "words"), [
    (lambda: None, "peer did not return a certificate"),
    (certificate.__wrapped__, "certificate verify failed: self"),  # of the same name, by somebody else
], ids=["none", "a stranger's"])
def test_a_client_with_the_wrong_certificate(
    serve: Serve, log: Any, kind: str, make: Any, words: str
) -> None:
    server = serve(Who, DEMANDING[kind])
    assert is_refused(server, context_with(make()))
    assert wait_until(lambda: log.text().endswith("\n"))
    [(address, message)] = lines(log)
    assert address == "127.0.0.1"
    assert message.startswith(f"TLS handshake failed: {words}")
    with TLSClient(server.server_address, context_with(certificate())) as client:
        assert client.ask(GET).status == 200
    assert len(lines(log)) == 1


# -- Made by somebody else -------------------------------------------------------------------------


def test_a_handshake_that_get_request_made_is_over(serve: Serve, clock: Any) -> None:
    """What its client is given from then on is the time of an idle one."""
    turns: list[int] = []

    class Server(Wrapping):
        def service_actions(self) -> None:
            turns.append(1)

    server = serve(Quiet, Server)
    with TLSClient(server.server_address) as client:
        clock.ahead = limits.HANDSHAKE_TIMEOUT + 1
        before = len(turns)
        assert wait_until(lambda: len(turns) > before + 3)
        assert client.ask(GET).status == 200


@pytest.mark.parametrize("kind", ["get_request", "get_request, handshake later"])
def test_requests_to_a_get_request_of_one_s_own(serve: Serve, kind: str) -> None:
    server = serve(Quiet, ALL_SERVERS[kind])
    with TLSClient(server.server_address) as client:
        for n in range(5):
            assert client.ask(request(target=f"/{n}")).body == b"/%d" % n
    assert server.errors == []


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
def test_the_old_habit_holds_nobody_up(serve: Serve, server_class: Any, at_once: bool) -> None:
    """Whatever was asked for: a handshake inside accept() would hold up everybody."""

    def make(*args: Any) -> Any:
        server = server_class(*args)
        server.socket = server_context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=at_once)
        return server

    server = serve(Quiet, make)
    with connect(server.server_address), connect(server.server_address):
        assert answers(server)


# -- The line --------------------------------------------------------------------------------------


class Broken:
    """A stderr whose reader has gone."""

    def write(self, text: str) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [None, Broken()], ids=["none", "broken"])
def test_a_line_that_nobody_can_read(serve: Serve, monkeypatch: pytest.MonkeyPatch, stderr: Any) -> None:
    server = serve(Quiet, SERVERS["loop"])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        with Client(server.server_address) as client:
            client.send(GET)
            assert client.is_closed()
        assert answers(server)


def test_errors_are_told_in_openssl_s_words() -> None:
    def error(kind: Any = ssl.SSLError, code: int = ssl.SSL_ERROR_SSL, **attributes: Any) -> Any:
        error = kind(code, "[SSL] unknown (_ssl.c:1)")
        for name, value in attributes.items():
            setattr(error, name, value)
        return error

    expired = {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_message": "certificate has expired"}
    refused = error(ssl.SSLCertVerificationError, **expired)
    assert tls.complaint(refused) == "certificate verify failed: certificate has expired"
    assert tls.complaint(error(reason="HTTP_REQUEST")) == "http request"
    assert "unknown" in tls.complaint(error(reason=None))
    assert tls.complaint(error(code=ssl.SSL_ERROR_EOF, reason="UNEXPECTED_EOF_WHILE_READING")) == ""
    assert tls.complaint(PermissionError(1, "not of TLS")) == ""
    assert tls.complaint(TimeoutError("_ssl.c:1: The handshake operation timed out")) == "timed out"
    assert tls.complaint(TimeoutError("of something else")) == ""


def test_without_the_ssl_module_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    assert tls.complaint(ssl.SSLError(ssl.SSL_ERROR_SSL, "text")) == ""
    with socket.socket() as plain:
        tls.shake_hands(plain, None, 1)
