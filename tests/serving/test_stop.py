"""How the loop ends: from any thread, at any moment, with the answers that are leaving left to leave."""

import contextlib
import functools
import gc
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, Running, ask, connect, nothing_left_behind, request, wait_until
from pairs import Task, receive_exactly, receive_until
from serving.apps import LARGE, Files, Gate, HTTPServer, Quiet, ThreadingHTTPServer

from fastserve import limits

SERVERS = pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
GET = request()


@SERVERS
@pytest.mark.parametrize("poll_interval", [0.01, 3600])
def test_a_stop_wakes_an_idle_loop(server_class: Any, poll_interval: float) -> None:
    with nothing_left_behind(), server_class(("127.0.0.1", 0), Quiet) as server:
        running = Running(server, poll_interval)
        with Client(server.server_address) as client:
            assert client.ask(GET).status == 200
            Task(server.shutdown).result()
        running.thread.join(PATIENCE)
        assert not running.thread.is_alive()
        server.shutdown()  # a second one has nothing to wait for


def test_a_stop_from_a_handler() -> None:
    """The answer in which it was asked for still arrives."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.server.shutdown()
            super().do_GET()

    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = Task(server.serve_forever)
        assert ask(server.server_address, request(target="/last")).body == b"/last"
        serving.result()
        assert server.errors == []


def test_a_stop_from_service_actions() -> None:
    class Server(HTTPServer):
        def service_actions(self) -> None:
            self.shutdown()

    with Server(("127.0.0.1", 0), Quiet) as server:
        Task(server.serve_forever, 0.01).result()


def test_a_stop_from_many_threads_at_once() -> None:
    for _ in range(20):
        with HTTPServer(("127.0.0.1", 0), Quiet) as server:
            serving = Task(server.serve_forever)
            assert ask(server.server_address, GET).status == 200
            for stopping in [Task(server.shutdown) for _ in range(5)]:
                stopping.result()
            serving.result()


def test_a_stop_that_comes_just_before_the_start() -> None:
    """As it happens to programs that start a thread and stop it at once; http.server stops there too."""
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        stopping = Task(server.shutdown)
        stopping.join(0.05)
        serving = Task(server.serve_forever)
        serving.join(1)
        forgotten = serving.is_alive()
        server.shutdown()
        serving.result()
        stopping.result()
        assert not forgotten, "the server runs on"


def test_a_stop_and_a_close_just_before_the_start() -> None:
    """As a block does that starts a thread and is left at once (pytest-httpbin); http.server waits for it."""
    with nothing_left_behind():
        server = HTTPServer(("127.0.0.1", 0), Quiet)
        server.shutdown()
        server.server_close()
        Task(server.serve_forever).result()


@pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
def test_a_close_just_before_the_start(server_class: Any) -> None:
    """That is an error, and leaves nothing behind."""
    with nothing_left_behind():
        server = server_class(("127.0.0.1", 0), Quiet)
        server.server_close()
        with pytest.raises((OSError, ValueError)):
            server.serve_forever()


def test_garbage_that_stops_another_server_as_one_starts() -> None:
    """As programs do whose server objects stop themselves in __del__ (pytest-localserver)."""

    class Owner:
        def __init__(self) -> None:
            self.itself = self  # so that only the garbage collector finds it
            self.server = HTTPServer(("127.0.0.1", 0), Quiet)
            self.serving = Task(self.server.serve_forever)
            assert ask(self.server.server_address, GET).status == 200

        def __del__(self) -> None:
            self.server.shutdown()
            self.server.server_close()
            stopped.append(self.serving)

    class Server(HTTPServer):
        @property
        def process_request(self) -> Any:
            """What is looked at before the first request."""
            gc.collect()
            return super().process_request

    stopped: list[Task] = []
    with nothing_left_behind(), Server(("127.0.0.1", 0), Quiet) as server:
        Owner()
        running = Running(server)
        assert ask(server.server_address, GET).status == 200
        assert len(stopped) == 1
        stopped[0].result()
        running.stop()


def test_serving_again_after_a_stop() -> None:
    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket.settimeout(12)
        for _ in range(3):
            serving = Task(server.serve_forever)
            assert ask(server.server_address, GET).status == 200
            server.shutdown()
            serving.result()
            assert server.socket.gettimeout() == 12


def test_a_single_request_without_the_loop() -> None:
    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), Quiet) as server:
        for target in ("/one", "/two"):
            handling = Task(server.handle_request)
            with Client(server.server_address) as client:
                assert client.ask(request(target=target)).body == target.encode()
            handling.result()
        server.timeout = 0.01
        server.handle_request()
        assert server.errors == []


def test_idle_connections_end_with_the_loop() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Quiet))
        running = Running(server)
        clients = [stack.enter_context(Client(server.server_address)) for _ in range(40)]
        for n, client in enumerate(clients):
            client.send(GET * (n % 3) + GET[: n // 3])
            for _ in range(n % 3):
                assert client.reply() is not None
        running.stop()
        assert all(client.is_closed() for client in clients)


def test_a_server_closed_while_it_serves() -> None:
    """Not asked for in this order, and done all the same."""
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    serving = Task(server.serve_forever)
    assert ask(server.server_address, GET).status == 200
    server.server_close()
    server.shutdown()
    serving.result()


@pytest.mark.parametrize("kind", ["file", "write"])
def test_a_download_is_finished(folder: Path, kind: str) -> None:
    body = LARGE if kind == "file" else LARGE[:900000]
    (folder / "large").write_bytes(LARGE)

    class Handler(Files):
        def do_GET(self) -> None:
            if kind == "file":
                super().do_GET()
            else:
                Quiet.answer(self, body)  # type: ignore[arg-type]

    make = functools.partial(Handler, directory=folder)
    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), make) as server:
        serving = Task(server.serve_forever)
        with connect(server.server_address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            client.sendall(request(target="/large"))
            receive_until(client, b"\r\n\r\n")
            stopping = Task(server.shutdown)
            assert wait_until(lambda: not accepts(server)), "it goes on accepting"
            assert receive_exactly(client, len(body)) == body
            assert client.recv(1) == b""
        stopping.result()
        serving.result()


def accepts(server: Any) -> bool:
    """Whether new clients are answered; a listening socket takes them until it is closed."""
    with Client(server.server_address, 0.05) as client:
        client.send(GET)
        try:
            return client.reply() is not None
        except TimeoutError:
            return False


def test_a_download_that_does_not_go_on_is_not_waited_for(
        folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SHUTDOWN_GRACE", 0.2)
    (folder / "large").write_bytes(LARGE)
    make = functools.partial(Files, directory=folder)
    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), make) as server:
        running = Running(server)
        with connect(server.server_address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            client.sendall(request(target="/large"))
            assert client.recv(1) == b"H"
            began = time.monotonic()
            running.stop()
            assert time.monotonic() - began >= 0.1


def test_threads_are_waited_for_as_asked() -> None:
    """block_on_close and daemon_threads keep socketserver's meaning."""
    gate, ended = Gate(), threading.Event()

    class Handler(Quiet):
        def do_GET(self) -> None:
            gate.wait()
            super().do_GET()
            ended.set()

    class Server(ThreadingHTTPServer):
        daemon_threads = False

    server = Server(("127.0.0.1", 0), Handler)
    serving = Task(server.serve_forever)
    with Client(server.server_address) as client:
        client.send(request("GET", "/", "Connection: close"))
        assert gate.reached.wait(PATIENCE)
        server.shutdown()
        serving.result()
        closing = Task(server.server_close)
        closing.join(0.05)
        assert closing.is_alive()
        gate.open.set()
        closing.result()
        assert ended.is_set()
        assert client.reply() is not None
