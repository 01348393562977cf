"""Many clients at once against a running server: whole answers, nobody held up, everything given back."""

import contextlib
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from helpers import Client, request, wait_until
from live.process import WAIT, Download, Process, crowd, finish, gives_back, run
from pairs import Task, receive_all, reset

GET_SMALL = request(target="/small")
GET_PATTERN = request(target="/pattern")


def latencies(server: Process, pattern: bytes, count: int) -> list[float]:
    """How long each of that many requests took, in order of length; every answer is looked at."""
    times = []
    with Client(server.address, WAIT) as client:
        for _ in range(count):
            began = time.monotonic()
            assert client.ask(GET_SMALL).body == pattern[:1024]
            times.append(time.monotonic() - began)
    return sorted(times)


# -- Downloads -------------------------------------------------------------------------------------


def test_two_hundred_downloads_at_once(server: Process, pattern: bytes) -> None:
    with gives_back(server, memory=64 << 20), contextlib.ExitStack() as stack:
        downloads = [Download(server, GET_PATTERN, pattern) for _ in range(200)]
        for download in downloads:
            stack.callback(download.sock.close)
        finish(downloads)
        assert [download.fault for download in downloads if download.fault] == []
        assert {download.received for download in downloads} == {len(pattern)}


@contextlib.contextmanager
def slow_reader(server: Process, pattern: bytes) -> Iterator[Download]:
    """One download at about 10 kB/s, for the length of the block."""
    enough = threading.Event()
    download = Download(server, GET_PATTERN, pattern)
    download.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def read() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(download.sock, selectors.EVENT_READ)
            while not enough.wait(0.05) and selector.select(WAIT) and slowly(download):
                pass

    reading = Task(read)
    try:
        yield download
    finally:
        enough.set()
        reading.result(WAIT)
        download.sock.close()


def slowly(download: Download) -> bool:
    data = download.sock.recv(500)
    download.received += len(data)
    return bool(data)


def test_a_slow_reader_disturbs_nobody(server: Process, pattern: bytes) -> None:
    with gives_back(server), slow_reader(server, pattern) as download:
        assert wait_until(lambda: download.received)
        times = latencies(server, pattern, 1000)
        assert times[989] < 1, f"{times[989]:.3f} s at the 99th percentile"
        fast = Download(server, GET_PATTERN, pattern)
        with fast.sock:
            finish([fast])
        assert fast.fault == ""
        before = download.received
        assert wait_until(lambda: download.received > before), "the slow one has stopped"
        assert download.received < len(pattern)


def test_clients_that_go_in_the_middle(server: Process, pattern: bytes) -> None:
    with gives_back(server):
        downloads = [Download(server, GET_PATTERN, pattern) for _ in range(200)]
        for n, download in enumerate(downloads):
            assert download.sock.recv(1)
            (reset if n % 2 else socket.socket.close)(download.sock)
        assert latencies(server, pattern, 10)
    assert latencies(server, pattern, 10)


# -- Idle and half-sent ----------------------------------------------------------------------------


def test_two_thousand_idle_connections_disturb_nobody(server: Process, pattern: bytes) -> None:
    with gives_back(server), contextlib.ExitStack() as stack:
        resident, descriptors = server.memory(), server.descriptors()
        socks = crowd(stack, server, 2000)
        for n, sock in enumerate(socks):
            sock.sendall((b"", GET_SMALL[:20], GET_SMALL)[n % 3])
        for sock in socks[2::3]:
            assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
        assert wait_until(lambda: server.descriptors() >= descriptors + 2000 or not descriptors, WAIT)
        times = latencies(server, pattern, 200)
        assert times[197] < 1, f"{times[197]:.3f} s at the 99th percentile"
        assert server.memory() - resident < 2000 * (40 << 10)
        for sock in socks[1::3]:  # the rest of their requests
            sock.sendall(GET_SMALL[20:])
        for sock in socks[1::3]:
            assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_burst_of_connections(server: Process, pattern: bytes) -> None:
    """Each with one request, all opened before any is answered."""
    with gives_back(server), contextlib.ExitStack() as stack:
        socks = crowd(stack, server, 500)
        for sock in socks:
            sock.sendall(request("GET", "/small", "Connection: close"))
        for sock in socks:
            octets = receive_all(sock)
            assert octets.startswith(b"HTTP/1.1 200 OK\r\n")
            assert octets.endswith(b"\r\n\r\n" + pattern[:1024])


# -- Other habits ----------------------------------------------------------------------------------


def test_pipelined_requests(server: Process, pattern: bytes) -> None:
    wishes = [("/small", pattern[:1024]), ("/pattern", pattern), ("/small?again", pattern[:1024])] * 7
    with gives_back(server), Client(server.address, WAIT) as client:
        sending = Task(client.send, b"".join(request(target=target) for target, _ in wishes))
        for _, body in wishes:
            reply = client.reply()
            assert reply is not None
            assert reply.body == body
        sending.result()
        client.send(b"".join(request("HEAD", target) for target, _ in wishes))
        for _, body in wishes:
            reply = client.reply("HEAD")
            assert reply is not None
            assert reply.get("Content-Length") == str(len(body))


def test_half_closed_clients(server: Process, pattern: bytes) -> None:
    with gives_back(server):
        for octets, body in ((GET_SMALL, pattern[:1024]), (GET_PATTERN, pattern)):
            with Client(server.address, WAIT) as client:
                client.send(octets + GET_SMALL)
                client.end()
                replies = [client.reply(), client.reply(), client.reply()]
                assert [reply and reply.body for reply in replies] == [body, pattern[:1024], None]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.parametrize(("path", "connections"), [("small", 64), ("pattern", 8)])
def test_under_load(server: Process, path: str, connections: int) -> None:
    """As many for the large one as have their answers within that time, under the sanitizers too."""
    with gives_back(server, memory=64 << 20):
        load = ["-t1", f"-c{connections}", "-d2s", "--timeout", "20s"]
        report = run("wrk", *load, f"{server.url}/{path}").decode()
    assert "Socket errors" not in report, report
    assert "Non-2xx" not in report, report
    assert int(report.split(" requests in ")[0].split()[-1]) > 10, report
