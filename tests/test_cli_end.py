"""How the command ends: by which signals, beside which clients, and when nobody hears what it says.

Starting and asking is test_cli.py's, whose helpers these tests use. What counts as a second signal is in
test_stopping.py, many clients at once in live/test_drain.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, request, wait_until
from test_cli import BODY, GOODBYE, WAIT, Server, refused, serving, spawn

LONG = "3600"  # seconds of grace that no test waits for
GET = request(target="/data.bin")


@pytest.fixture(autouse=True)
def data(folder: Path) -> None:
    (folder / "data.bin").write_bytes(BODY)


# -- Signals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "last_words"), [(signal.SIGINT, GOODBYE), (signal.SIGTERM, "")])
def test_a_signal_ends_it(number: int, last_words: str) -> None:
    with serving("0", "--grace", LONG) as server:
        assert server.signal(number) == (0, last_words, "")


@contextlib.contextmanager
def asking(folder: Path, *options: str) -> Iterator[tuple[Server, Client]]:
    """A server, and a client that has sent a part of a request and been seen."""
    with (
        serving("0", "-b", "127.0.0.1", "-d", str(folder), *(options or ("--grace", LONG))) as server,
        Client(("127.0.0.1", server.port), WAIT) as client,
    ):
        client.send(GET[:20])
        assert server.get("/data.bin")[1] == BODY
        yield server, client


def is_answered(client: Client) -> bool:
    """Whether the client gets the last answer, now that it sends the rest of its request."""
    reply = client.ask(GET[20:])
    return (reply.status, reply.get("Connection"), reply.body) == (200, "close", BODY) and client.is_closed()


def words(server: Server, size: int) -> str:
    """As much of what it says on stdout."""
    assert server.process.stdout
    return os.read(server.process.stdout.fileno(), size).decode()


@pytest.mark.parametrize("numbers", [
    [signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM],
], ids=["term", "int", "int and term"])
def test_a_request_under_way_is_answered(folder: Path, numbers: list[int]) -> None:
    """Also where a wrapper passes on a signal that we have had already."""
    with asking(folder) as (server, client):
        server.process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
        for number in numbers:
            server.process.send_signal(number)
        server.process.send_signal(signal.SIGCONT)
        if signal.SIGINT in numbers:
            assert words(server, len(GOODBYE)) == GOODBYE, "it is said at once"
        assert wait_until(lambda: refuses(server), WAIT), "new clients are left to wait"
        assert is_answered(client)
        out, err = server.process.communicate(timeout=WAIT)
        assert (server.process.returncode, out) == (0, b"")
        assert err.count(b"\n") == err.count(b'"GET /data.bin HTTP/1.1" 200 -\n'), err


INTERRUPTED = """
import io, os, signal, sys
from fastserve import cli

class Interrupting(io.FileIO):
    def write(self, data):
        os.kill(os.getpid(), signal.SIGINT)
        return super().write(data)

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
sys.stdout = io.TextIOWrapper(io.BufferedWriter(Interrupting(1, "w", closefd=False)))
sys.exit(cli.main(["0", "-b", "127.0.0.1"]))
"""


def test_a_signal_that_interrupts_a_print() -> None:
    """The last words do not go through the stream that is being written to."""
    command = [sys.executable, "-c", INTERRUPTED]
    run = subprocess.run(command, capture_output=True, timeout=WAIT, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.count(b"Serving HTTP") == run.stdout.count(b"Keyboard interrupt received") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_without_end(number: int) -> None:
    """Also while the interpreter ends, which gives up its handlers."""
    with serving("0") as server:
        def ended() -> bool:
            server.process.send_signal(number)
            return server.process.poll() is not None

        deadline = time.monotonic() + WAIT
        while not ended():
            assert time.monotonic() < deadline
        assert server.process.returncode == 0


def refuses(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), WAIT).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # came as the socket was being closed
        pass
    return False


@pytest.mark.parametrize(("first", "second", "last_words"), [
    (signal.SIGTERM, signal.SIGTERM, ""),
    (signal.SIGTERM, signal.SIGINT, GOODBYE),
    (signal.SIGINT, signal.SIGINT, GOODBYE),
])
def test_a_second_signal_ends_it_at_once(folder: Path, first: int, second: int, last_words: str) -> None:
    with asking(folder) as (server, client):
        server.process.send_signal(first)
        assert wait_until(lambda: refuses(server), WAIT)

        def ended() -> bool:
            server.process.send_signal(second)  # more than once: it may still be the echo of the first
            return server.process.poll() is not None

        assert wait_until(ended, WAIT)
        out, err = server.process.communicate(timeout=WAIT)
        assert (server.process.returncode, out.decode()) == (0, last_words)
        assert b"Traceback" not in err
        assert client.is_closed()


@pytest.mark.parametrize("grace", ["0", "0.2"])
def test_nobody_is_waited_for_longer_than_that(folder: Path, grace: str) -> None:
    with asking(folder, "--grace", grace) as (server, client):
        assert server.signal(signal.SIGTERM)[0] == 0
        assert client.is_closed()


@pytest.mark.parametrize("grace", ["-1", "x", "", "nan", "inf"])
def test_what_is_no_grace(grace: str) -> None:
    assert refused(f"--grace={grace}") == f"grace {grace!r} is not a number of seconds"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_beside_idle_and_slow_clients(folder: Path, number: int) -> None:
    with serving("0", "-d", str(folder), "--grace", "0.2") as server, contextlib.ExitStack() as clients:
        for sent in (b"", b"GET /data", b"GET /data.bin HTTP/1.1\r\nHost: x\r\n\r\n"):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT))
            client.sendall(sent)
        assert client.recv(1) == b"H"  # so the others have been accepted
        assert server.signal(number)[0] == 0


# -- Nobody listens ----------------------------------------------------------------------------


def free_port() -> int:
    """A port that no other socket is given meanwhile: systems take those from higher up."""
    for port in random.sample(range(20000, 32000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    pytest.fail("no port is free")


def serves_unheard(folder: Path, number: int, **options: Any) -> None:
    """A server whose words nobody can read answers, and stops without a complaint."""
    port = free_port()
    process = spawn(str(port), "-b", "127.0.0.1", "-d", str(folder), **options)
    try:
        for _ in range(2):
            assert get_when_up(Server(process, "", "http", "127.0.0.1", port), "/data.bin") == BODY
        process.send_signal(number)
        _, err = process.communicate(timeout=WAIT)
    finally:
        process.kill()
    assert process.returncode == 0
    assert not re.search(b"Traceback|BrokenPipe|Exception", err or b"")


def get_when_up(server: Server, path: str) -> bytes:
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return server.get(path)[1]
        except ConnectionRefusedError:
            assert server.process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_nobody_reads(folder: Path, stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        serves_unheard(folder, signal.SIGINT, **{stream: writer})
    finally:
        os.close(writer)


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_standard_stream(folder: Path, closed: int) -> None:
    serves_unheard(folder, signal.SIGTERM, preexec_fn=functools.partial(os.close, closed))


# -- A pipe that nobody empties ----------------------------------------------------------------


def fill(server: Server, attempts: int = 1000) -> None:
    """Ask until the log has no more room: the server waits inside a write then, and answers no more."""
    for _ in range(attempts):
        with socket.create_connection(("127.0.0.1", server.port), WAIT) as client:
            client.settimeout(0.5)
            try:
                client.sendall(b"GET /" + b"x" * 8000 + b" HTTP/1.0\r\n\r\n")
                while client.recv(65536):
                    pass
            except TimeoutError:
                return
    pytest.fail("the log takes everything")


@pytest.mark.parametrize("numbers", [
    [signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGINT, signal.SIGTERM],
], ids=["term", "int", "several"])
def test_a_log_that_nobody_reads_does_not_hold_it(folder: Path, numbers: list[int]) -> None:
    with serving("0", "-b", "127.0.0.1", "-d", str(folder)) as server:
        fill(server)
        for number in numbers:
            server.process.send_signal(number)
        assert server.process.wait(WAIT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_pipe_for_log_and_words_that_nobody_reads(folder: Path, number: int) -> None:
    """As ``fastserve 2>&1 | less``: the last words find no room either."""
    with serving("0", "-b", "127.0.0.1", "-d", str(folder), stderr=subprocess.STDOUT) as server:
        fill(server)
        server.process.send_signal(number)
        assert server.process.wait(WAIT) == 0
