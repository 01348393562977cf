"""A connection without a network: `pytest bench/micro`. One request and its answer, over a pair of sockets.

The connection is driven by hand, as the tests of the core do it, with their tools (tests/pairs.py); a handler
class as the loop does it. `sockets` is what the four system calls cost, and nothing else.
"""

import socket

import pytest
from parsers import BROWSER

BODY = b"Hello, World!"


def sockets():
    """The same octets there and back."""
    answer = b"x" * 165
    client, server = socket.socketpair()

    def exchange():
        client.send(BROWSER)
        server.recv(65536)
        server.send(answer)
        return client.recv(65536)

    return exchange, lambda octets: octets == answer, lambda: (client.close(), server.close())


def connection():
    """Parsed, answered by the compiled streams, and ready for the next; no handler."""
    conn = pytest.importorskip("fastserve._conn")
    driven = pytest.importorskip("pairs").Driven()
    assert driven.begin() == conn.WAIT

    def exchange():
        assert driven.more(BROWSER) == conn.ANSWER
        driven.answer(BODY)
        return driven.peer.recv(65536)

    return exchange, lambda octets: octets.endswith(b"\r\n\r\n" + BODY), driven.close


def handler():
    """With the handler that everyone writes."""
    fastserve = pytest.importorskip("fastserve")
    conn = pytest.importorskip("fastserve._conn")

    class Hello(fastserve.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, format, *args):
            pass

    client, server = socket.socketpair()
    server.setblocking(False)
    offers = pytest.importorskip("fastserve._offers")
    connection = conn.Connection(server, ("client", 1), 0.0)
    offers.offer(connection)
    hello = Hello(server, ("client", 1), None)
    assert offers.withdraw(connection), "it cannot be driven"
    connection.begin(0.0)

    def exchange():
        client.send(BROWSER)
        assert connection.ready(0.0) == conn.ANSWER
        hello.handle_one_request()
        connection.answered(hello.close_connection, 0.0)
        return client.recv(65536)

    def close():
        client.close()
        connection.closed()
        server.close()

    return exchange, lambda octets: octets.endswith(b"\r\n\r\n" + BODY), close


@pytest.mark.benchmark(group="a request and its answer, in memory")
@pytest.mark.parametrize("make", [sockets, connection, handler])
def test_exchange(benchmark, make):
    exchange, is_right, close = make()
    try:
        assert is_right(exchange())
        assert is_right(exchange()), "the second request of a connection"
        benchmark(exchange)
        assert is_right(exchange()), "the last one"
    finally:
        close()
