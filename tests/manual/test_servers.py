"""The manual on servers: their classes, the arguments of each, and what an instance keeps of them."""

import http.server
import inspect
import socket
import socketserver
import ssl
import sys
import threading
from typing import Any

import pytest
from helpers import PATIENCE, Client, nothing_left_behind, running, wait_until
from pairs import TLSClient, certificate

import fastserve

from .answers import GET, answer
from .conftest import Library, quiet

LOCAL = ("127.0.0.1", 0)
SECURE = pytest.mark.parametrize("secure", [fastserve.HTTPSServer, fastserve.ThreadingHTTPSServer])


class Hello(fastserve.BaseHTTPRequestHandler):
    do_GET = answer
    log_message = quiet


def test_run() -> None:
    """The manual's first example."""
    servers: list[Any] = []

    def run(
        server_class: Any = fastserve.HTTPServer, handler_class: Any = fastserve.BaseHTTPRequestHandler
    ) -> None:
        server_address = ("", 0)
        httpd = server_class(server_address, handler_class)
        servers.append(httpd)
        httpd.serve_forever()

    with nothing_left_behind():
        thread = threading.Thread(target=run, kwargs={"handler_class": Hello})
        thread.start()
        assert wait_until(lambda: servers)
        with servers[0] as server, Client(("127.0.0.1", server.server_port)) as client:
            assert client.ask(GET).body == b"answer"
            server.shutdown()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_HTTPServer(library: Library, client: Any) -> None:
    """A TCPServer that listens and hands each request to an instance of its handler class."""
    handlers: list[Any] = []

    class Handler(library.BaseHTTPRequestHandler):
        log_message = quiet

        def do_GET(self) -> None:
            handlers.append(self)
            answer(self)

    assert issubclass(library.HTTPServer, socketserver.TCPServer)
    with nothing_left_behind(), library.HTTPServer(LOCAL, Handler) as server:
        assert server.RequestHandlerClass is Handler
        with running(server), Client(server.server_address) as peer:
            assert peer.ask(GET).body == b"answer"
    assert [type(each) for each in handlers] == [Handler]
    assert handlers[0].server is server


def test_server_name(library: Library) -> None:
    """The host's full name."""
    with library.HTTPServer(LOCAL, library.BaseHTTPRequestHandler) as server:
        assert server.server_name == socket.getfqdn("127.0.0.1")
        server.server_name = "another"
        assert server.server_name == "another"


def test_server_port(library: Library) -> None:
    with library.HTTPServer(LOCAL, library.BaseHTTPRequestHandler) as server:
        assert server.server_port == server.server_address[1] == server.socket.getsockname()[1] > 0


@pytest.mark.parametrize("module", [fastserve, http.server])
def test_ThreadingHTTPServer(module: Any, serve: Any, client: Any) -> None:
    """HTTPServer with ThreadingMixIn: handlers run side by side, and sockets opened ahead hold nobody."""
    together = threading.Barrier(3)

    class Handler(module.BaseHTTPRequestHandler):
        log_message = quiet

        def do_GET(self) -> None:
            together.wait(PATIENCE)
            answer(self, threading.current_thread().name)

    assert issubclass(module.ThreadingHTTPServer, socketserver.ThreadingMixIn)
    assert issubclass(module.ThreadingHTTPServer, module.HTTPServer)
    assert module.ThreadingHTTPServer.daemon_threads is True
    server = serve(Handler, module.ThreadingHTTPServer)
    client(server)  # a browser's, which sends nothing yet
    peers = [client(server) for _ in range(3)]
    for peer in peers:
        peer.send(GET)
    assert len({peer.reply().body for peer in peers}) == 3


# -- HTTPS -----------------------------------------------------------------------------------------


@SECURE
def test_HTTPSServer(secure: Any, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPServer over TLS; a RuntimeError where Python has no ssl."""
    assert issubclass(secure, fastserve.HTTPServer)
    server = serve(Hello, secure, certfile=certificate())
    assert isinstance(server.socket, ssl.SSLSocket)
    with TLSClient(server.server_address) as client:
        assert client.ask(GET).body == b"answer"
    parameters = inspect.signature(secure).parameters.values()
    optional = [("keyfile", None), ("password", None), ("alpn_protocols", None)]
    assert [(each.name, each.default) for each in parameters if each.kind is each.KEYWORD_ONLY] == [
        ("certfile", inspect.Parameter.empty), *optional]
    if hasattr(http.server, secure.__name__):  # from Python 3.14 on
        oracle = inspect.signature(getattr(http.server, secure.__name__)).parameters
        assert [(each.name, each.kind, each.default) for each in parameters] == [
            (each.name, each.kind, each.default) for each in oracle.values()]
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(RuntimeError):
        secure(LOCAL, Hello, certfile=certificate())


def test_ThreadingHTTPSServer(serve: Any) -> None:
    """HTTPSServer with ThreadingMixIn."""
    assert issubclass(fastserve.ThreadingHTTPSServer, socketserver.ThreadingMixIn)
    assert issubclass(fastserve.ThreadingHTTPSServer, fastserve.HTTPSServer)
    assert fastserve.ThreadingHTTPSServer.daemon_threads is True
    together = threading.Barrier(2)

    class Handler(Hello):
        def do_GET(self) -> None:
            together.wait(PATIENCE)
            answer(self)

    server = serve(Handler, fastserve.ThreadingHTTPSServer, certfile=certificate())
    with TLSClient(server.server_address) as one, TLSClient(server.server_address) as other:
        one.send(GET)
        assert other.ask(GET).body == b"answer"
        assert one.reply().body == b"answer"


@SECURE
def test_certfile(secure: Any) -> None:
    """The path of a certificate chain; there is no server without one that can be read."""
    with nothing_left_behind():
        with pytest.raises(TypeError):
            secure(LOCAL, Hello)
        with pytest.raises(FileNotFoundError):
            secure(LOCAL, Hello, certfile=certificate().with_name("none.pem"))
    with secure(LOCAL, Hello, certfile=str(certificate())) as server:
        assert server.certfile == str(certificate())


@SECURE
def test_keyfile(secure: Any, serve: Any) -> None:
    """The path of the private key; None where it stands in the certificate's file."""
    cert, key = certificate().with_name("cert.pem"), certificate().with_name("key.pem")
    server = serve(Hello, secure, certfile=cert, keyfile=key)
    assert server.keyfile == key
    with TLSClient(server.server_address) as client:
        assert client.ask(GET).body == b"answer"
    with secure(LOCAL, Hello, certfile=certificate()) as server:
        assert server.keyfile is None
    with nothing_left_behind(), pytest.raises(ssl.SSLError):
        secure(LOCAL, Hello, certfile=cert)


@SECURE
def test_password(secure: Any) -> None:
    """Opens the key; None where it is not locked. Locked ones are in serving/test_tls.py."""
    with secure(LOCAL, Hello, certfile=certificate()) as server:
        assert server.password is None
    with secure(LOCAL, Hello, certfile=certificate(), password="not needed") as server:
        assert server.password == "not needed"


@SECURE
def test_alpn_protocols(secure: Any, serve: Any) -> None:
    """What the server offers, ["http/1.1"] unless it is told."""
    context = ssl.create_default_context(cafile=str(certificate()))
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = serve(Hello, secure, certfile=certificate())
    assert server.alpn_protocols == ["http/1.1"]
    with TLSClient(server.server_address, context) as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.ask(GET).body == b"answer"
    server = serve(Hello, secure, certfile=certificate(), alpn_protocols=["other"])
    assert server.alpn_protocols == ["other"]
    with TLSClient(server.server_address, context) as client:
        assert client.sock.selected_alpn_protocol() is None
