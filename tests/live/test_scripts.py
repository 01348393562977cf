"""CGI scripts behind `fastserve --cgi`: what passes through takes no memory, and nothing is left of it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgi_scripts import ScriptFolder
from helpers import Client, ask, request
from live.process import WAIT, Process, gives_back

SIZE = 256 << 20
PIECE = b"0123456789abcdef" * 65536
MOST = 16 << 20  # what the server may grow by


@pytest.fixture
def cgi(scripts: ScriptFolder, tmp_path: Path) -> Iterator[Process]:
    scripts.add("echo output")
    server = Process(scripts.path, tmp_path / "stderr", "--cgi")
    try:
        ask(server.address, request("GET", "/cgi-bin/script"))  # now it has imported all that it needs
        yield server
    finally:
        server.stop()


def check_memory(server: Process, before: int) -> None:
    if os.environ.get("FASTSERVE_KIND") != "sanitize":  # which keeps what is freed
        assert server.memory() - before < MOST


def test_much_output(cgi: Process, scripts: ScriptFolder) -> None:
    scripts.add(f"head -c {SIZE} /dev/zero")
    before, received = cgi.memory(), 0
    with Client(cgi.address, WAIT) as client:
        client.send(request("GET", "/cgi-bin/script"))
        while piece := client.sock.recv(1 << 20):
            received += len(piece)
            if received % (32 << 20) < len(piece):
                check_memory(cgi, before)
    assert SIZE < received < SIZE + 300


def test_a_large_body(cgi: Process, scripts: ScriptFolder) -> None:
    scripts.add("wc -c")
    before = cgi.memory()
    with Client(cgi.address, WAIT) as client:
        client.send(request("POST", "/cgi-bin/script", f"Content-Length: {SIZE}"))
        for _ in range(SIZE // len(PIECE)):
            client.send(PIECE)
            check_memory(cgi, before)
        assert int(client.reply().body) == SIZE


def test_both_at_once(cgi: Process, scripts: ScriptFolder) -> None:
    scripts.add("cat")
    before, size = cgi.memory(), SIZE // 4
    with Client(cgi.address, WAIT) as client:
        client.send(request("POST", "/cgi-bin/script", f"Content-Length: {size}"))
        sending = threading.Thread(target=lambda: [client.send(PIECE) for _ in range(size // len(PIECE))])
        sending.start()
        body = client.rest().partition(b"\r\n\r\n")[2]
        sending.join(WAIT)
        check_memory(cgi, before)
    assert body.endswith(PIECE)
    assert body.count(PIECE) == size // len(PIECE)


def test_many_scripts_leave_nothing(cgi: Process, scripts: ScriptFolder) -> None:
    with gives_back(cgi):
        for number in range(100):
            scripts.add("exec cat", f"cgi-bin/script{number % 10}")
            reply = ask(cgi.address, request("POST", f"/cgi-bin/script{number % 10}", body=b"%d" % number))
            assert reply.body == b"%d" % number
