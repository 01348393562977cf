"""The replay lane itself: connections that had a handler before, slow readers, pipelines, descriptors."""

import contextlib
import os
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, request, wait_until

import fastserve

from .replaying import SETTLING, Files, hits

SIZE = 24 << 20  # more than any socket's buffers hold


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lane")
    (folder / "small").write_bytes(b"small")
    with open(folder / "large", "wb") as file:
        file.truncate(SIZE)
    time.sleep(SETTLING)
    return folder


class Bounded(fastserve.HTTPServer):
    """One that accepts by itself: its connections have sockets from the start."""

    max_connections = 100


@pytest.mark.parametrize("server_class", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer, Bounded])
def test_a_slow_reader_of_a_recorded_file_holds_up_nobody(home: Path, serve: Any, server_class: Any) -> None:
    server = serve(partial(Files, directory=home), server_class)
    for _ in range(2):
        assert ask(server.server_address, request(target="/small")).body == b"small"
    with socket.create_connection(server.server_address) as slow:
        slow.sendall(request(target="/large"))  # a handler answers, and records it
        assert received(slow) == SIZE
        before = hits(server)
        slow.sendall(request(target="/large"))
        for _ in range(20):
            assert ask(server.server_address, request(target="/small")).body == b"small"
        assert hits(server) > before
        assert received(slow) == SIZE


def received(sock: socket.socket) -> int:
    """Read one whole answer; return the length of its body."""
    sock.settimeout(20)
    octets = b""
    while b"\r\n\r\n" not in octets:
        octets += sock.recv(65536)
    head, _, body = octets.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    count = len(body)
    while count < length:
        count += len(sock.recv(1 << 20))
    return count


def test_pipelined_requests_of_every_kind_are_answered_in_order(home: Path, serve: Any) -> None:
    server = serve(partial(Files, directory=home))
    targets = ["/small", "/small?1", "/large", "/small", "/missing"]
    for _ in range(2):
        for target in targets:
            ask(server.server_address, request(target=target))
    for number in (1, 2, 50, 400):
        with Client(server.server_address) as client:
            client.send(request(target="/small") * number + request(target="/large")
                        + request(target="/small?1") + request(target="/missing") + request(target="/small"))
            replies = [client.reply() for _ in range(number + 3)]
            lengths = [len(reply.body) for reply in replies if reply is not None]
            assert lengths[:-1] == [5] * number + [SIZE, 5]
            assert replies[-1] is not None
            assert replies[-1].status == 404
            assert client.is_closed(), "nothing is answered behind an answer that ends the connection"


def test_a_method_that_keeps_something_keeps_its_handler(home: Path, serve: Any) -> None:
    """What do_POST() has left on it is there at the next one, whatever comes between."""

    class Counting(Files):
        count = 0

        def do_POST(self) -> None:
            self.count += 1
            body = str(self.count).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = serve(partial(Counting, directory=home))
    with Client(server.server_address) as client:
        for number in range(1, 5):
            post = request("POST", "/", "Content-Length: 0")
            assert client.ask(post).body == str(number).encode()
            for _ in range(3):
                assert client.ask(request(target="/small")).body == b"small"
    assert hits(server) >= 8


def test_many_clients_at_once(home: Path, serve: Any) -> None:
    server = serve(partial(Files, directory=home))
    wrong: list[bytes] = []

    def hammer() -> None:
        for _ in range(30):
            with Client(server.server_address) as client:
                for _ in range(10):
                    reply = client.ask(request(target="/small"))
                    if reply.body != b"small":
                        wrong.append(reply.body)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert hits(server) >= 2000


def test_a_handler_that_closed_its_descriptor_behind_our_back(home: Path, serve: Any) -> None:
    """The next clients' sockets get that number, and may be harmed by it; the server is not."""

    class Closing(Files):
        def do_POST(self) -> None:
            self.send_response(204)
            self.end_headers()
            self.wfile.flush()
            os.close(self.connection.fileno())

    server = serve(partial(Closing, directory=home))
    server.handle_error = lambda *args: None
    address = server.server_address
    small = request(target="/small")
    for _ in range(5):
        with contextlib.suppress(OSError, AssertionError), Client(address) as client:
            client.ask(small)
            client.ask(request("POST", "/", "Content-Length: 0"))
            with Client(address) as other:
                other.ask(small)
    assert wait_until(lambda: attempt(address, small) == b"small")


def attempt(address: Any, octets: bytes) -> bytes | None:
    with contextlib.suppress(OSError, AssertionError):
        return ask(address, octets).body
    return None
