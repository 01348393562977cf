"""How the loop ends gracefully: what has been asked for is answered, and no client is cut off.

stop() is in test_stop.py, one connection by itself in test_conn_ending.py, the command line's signals in
test_cli_end.py, many clients at once in live/test_drain.py.
"""

import contextlib
import functools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, connect, nothing_left_behind, request, wait_until
from pairs import Task, TLSClient, certificate, receive_exactly, receive_until, small_buffers
from serving.apps import LARGE, Files, Gate, HTTPServer, Quiet, ThreadingHTTPServer
from serving.secure import HTTPSServer

from fastserve import limits
from fastserve.serving.loop import Loop

GET = request()
LONG = 3600.0  # seconds that no test waits for


class Served:
    """A server that serves in a thread until it has drained."""

    def __init__(self, server_class: Any, handler: Any = Quiet, **options: Any) -> None:
        self.server = server_class(("127.0.0.1", 0), handler, **options)
        self.address = self.server.server_address
        self._serving = Task(self.server.serve_forever, LONG)

    def client(self, octets: bytes = b"") -> Client:
        """A connected client that has sent that, and been seen: another that came after it is answered."""
        client = Client(self.address)
        client.send(octets)
        with Client(self.address) as other:
            assert other.ask(request("GET", "/", "Connection: close")).status == 200
        return client

    def has_ended(self, within: float = PATIENCE) -> bool:
        self._serving.join(within)
        return not self._serving.is_alive()

    def close(self) -> None:
        """It has ended by itself, and well."""
        try:
            self._serving.result()
            assert self.server.errors == []
        finally:
            self.server.shutdown()
            self.server.server_close()


@pytest.fixture(params=[HTTPServer, ThreadingHTTPServer], ids=["loop", "threads"])
def served(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A function that makes one, of either class. At the end all must have drained, and nothing be left."""
    def start(handler: Any = Quiet, server_class: Any = None, **options: Any) -> Served:
        return stack.enter_context(
            contextlib.closing(Served(server_class or request.param, handler, **options)))

    with nothing_left_behind(), contextlib.ExitStack() as stack:
        yield start


def is_last(reply: Reply | None) -> bool:
    """Whether it is an answer, and says once that the connection ends."""
    assert reply is not None, "the connection ended without a reply"
    said = [value for name, value in reply.headers if name.lower() == "connection"]
    assert len(said) <= 1
    return reply.status == 200 and said == ["close"]


# -- Who is served ---------------------------------------------------------------------------------


def test_a_server_without_clients_ends(served: Any) -> None:
    served().server.drain(LONG)


@pytest.mark.parametrize("server_class", [HTTPServer, ThreadingHTTPServer])
def test_who_waits_to_be_accepted_is_answered(server_class: Any) -> None:
    """All that the kernel has, more than one batch of them; also where it is called before the start."""
    with server_class(("127.0.0.1", 0), Quiet) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.server_address)) for _ in range(3 * limits.ACCEPT_BATCH)]
        for client in clients:
            client.send(GET)
        server.drain(LONG)
        Task(server.serve_forever, LONG).result()
        for client in clients:
            assert is_last(client.reply())
            assert client.is_closed()
        assert server.errors == []


def test_who_is_accepted_by_a_hook_one_by_one() -> None:
    class Server(HTTPServer):
        def get_request(self) -> Any:
            self.socket.settimeout(LONG)  # it may wait as long as it likes
            return super().get_request()

    with Server(("127.0.0.1", 0), Quiet) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.server_address)) for _ in range(9)]
        server.drain(LONG)
        serving = Task(server.serve_forever, LONG)
        for client in clients:
            assert is_last(client.ask(GET))
        serving.result()


def test_who_comes_later_is_left_to_the_next(served: Any) -> None:
    one, accepted = served(), threading.Event()
    one.server._fastserve_accepts_no_more = accepted.set
    with one.client() as idle, contextlib.ExitStack() as stack:
        one.server.drain(LONG)
        assert accepted.wait(PATIENCE)
        late = stack.enter_context(Client(one.address))
        late.send(GET)
        assert is_last(idle.ask(GET))
        assert one.has_ended()
        serving = Task(one.server.serve_forever)
        reply = late.reply()
        assert reply is not None
        assert reply.get("Connection") is None
        one.server.shutdown()
        serving.result()


@pytest.mark.parametrize("sent", [b"", GET[:1], GET[:-1], request("POST", "/", body=b"x" * 99)[:-50]],
                         ids=["nothing", "an octet", "a head", "a body"])
def test_a_request_that_is_arriving_is_answered(served: Any, sent: bytes) -> None:
    one = served()
    whole = GET if GET.startswith(sent) else request("POST", "/", body=b"x" * 99)
    with one.client(sent) as client:
        one.server.drain(LONG)
        client.send(whole[len(sent) :])
        assert is_last(client.reply())
        assert client.is_closed()


def test_a_kept_connection_may_ask_once_more(served: Any) -> None:
    one = served()
    with Client(one.address) as client:
        assert client.ask(GET).get("Connection") is None
        one.server.drain(LONG)
        assert is_last(client.ask(GET))
        assert client.is_closed()


def test_a_pipeline_is_answered_to_its_end(served: Any) -> None:
    """More requests than one turn answers: only the last answer says so."""
    count, gate = 3 * limits.PIPELINE_BATCH, Gate()

    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/0":
                gate.wait()
            super().do_GET()

    one = served(Handler)
    with Client(one.address) as client:
        client.send(b"".join(request(target=f"/{n}") for n in range(count)))
        assert gate.reached.wait(PATIENCE)
        one.server.drain(LONG)
        gate.open.set()
        replies = [client.reply() for _ in range(count)]
        assert [reply and reply.body for reply in replies] == [b"/%d" % n for n in range(count)]
        assert [is_last(reply) for reply in replies] == [False] * (count - 1) + [True]
        assert client.is_closed()


@pytest.mark.parametrize("kind", ["file", "write"])
def test_an_answer_that_is_leaving_leaves(folder: Path, served: Any, kind: str) -> None:
    body = LARGE if kind == "file" else LARGE[:900000]
    (folder / "large").write_bytes(LARGE)

    class Handler(Files):
        def do_GET(self) -> None:
            if kind == "file" or self.path == "/":
                super().do_GET()
            else:
                Quiet.answer(self, body)  # type: ignore[arg-type]

    one = served(functools.partial(Handler, directory=folder))
    with connect(one.address) as client:
        small_buffers(client)
        client.sendall(request(target="/large"))
        receive_until(client, b"\r\n\r\n")
        one.server.drain(LONG)
        assert receive_exactly(client, len(body)) == body
        # Its head had left before, so it may ask once more.
        client.sendall(request("HEAD", "/large"))
        assert b"\r\nConnection: close\r\n" in receive_until(client, b"\r\n\r\n")
        assert client.recv(1) == b""


def test_idle_clients_are_waited_for_a_moment_only(served: Any) -> None:
    one = served()
    with one.client() as silent, one.client() as kept:
        kept.ask(GET)
        one.server.drain(LONG)
        assert silent.is_closed()
        assert kept.is_closed()


class OwnHandle(Quiet):
    """Its connections are read in a thread each, which waits for the next request."""

    def handle(self) -> None:
        super().handle()


def test_an_idle_client_of_a_handler_that_reads_by_itself(served: Any) -> None:
    one = served(OwnHandle)
    with Client(one.address) as client:
        assert client.ask(GET).get("Connection") is None
        one.server.drain(LONG)
        assert client.is_closed()


def test_a_last_request_to_a_handler_that_reads_by_itself(served: Any) -> None:
    """Begun in time; it may take as long as any."""
    one = served(OwnHandle)
    with Client(one.address) as client:
        assert client.ask(GET).get("Connection") is None
        one.server.drain(LONG)
        client.send(GET[:1])
        assert not client.is_closed(1.5 * limits.LAST_REQUEST_TIMEOUT)
        client.send(GET[1:])
        assert is_last(client.reply())
        assert client.is_closed()


def test_its_own_timeout_is_kept(served: Any) -> None:
    """Also where it is longer than the thread waits between two looks at the loop."""
    told, patience = [], 1.2 * limits.LAST_REQUEST_TIMEOUT

    class Handler(OwnHandle):
        timeout = patience

        def log_error(self, format: str, *args: Any) -> None:
            told.append(format % args)

    one = served(Handler)
    with Client(one.address) as client:
        began = time.monotonic()
        client.ask(GET)
        assert client.is_closed()
        assert time.monotonic() - began >= patience
        assert len(told) == 1
        assert told[0].startswith("Request timed out")
    one.server.drain(LONG)


@pytest.mark.parametrize("asks", [True, False])
def test_clients_over_tls(served: Any, asks: bool) -> None:
    one = served(Quiet, HTTPSServer, certfile=certificate())
    with TLSClient(one.address) as client, Client(one.address) as shaking:
        assert client.ask(GET).status == 200
        one.server.drain(LONG)
        if asks:
            assert is_last(client.ask(GET))
        assert client.is_closed()
        assert shaking.is_closed(), "a handshake that was never begun"


# -- What handlers do ------------------------------------------------------------------------------


class Keeping(Quiet):
    """Says keep-alive itself."""

    def do_GET(self) -> None:
        self.answer(self.path.encode(), Connection="keep-alive")
        assert self.close_connection


class OwnLoop(Quiet):
    def handle(self) -> None:
        self.handle_one_request()
        while not self.close_connection:
            self.handle_one_request()


class OwnHeads(Quiet):
    """Edits the lines of its heads."""

    def end_headers(self) -> None:
        self._headers_buffer.append(b"X-Own: yes\r\n")
        super().end_headers()


class Failing(Quiet):
    def do_GET(self) -> None:
        self.send_error(200)


@pytest.mark.parametrize("handler", [Quiet, Keeping, OwnLoop, OwnHeads, Failing])
def test_any_handlers_answer_says_so(served: Any, handler: Any) -> None:
    gate = Gate()

    class Handler(handler):  # type: ignore[misc]
        def parse_request(self) -> bool:
            gate.wait()
            return bool(super().parse_request())

    one = served(Handler)
    with Client(one.address) as client:
        client.send(GET)
        assert gate.reached.wait(PATIENCE)
        one.server.drain(LONG)
        gate.open.set()
        assert is_last(client.reply())
        assert client.is_closed()


def test_octets_that_are_no_head_of_ours(served: Any) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            self.close_connection = False
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")

    one = served(Handler)
    with Client(one.address) as client:
        one.server.drain(LONG)
        assert client.ask(GET).body == b"raw"
        assert client.ask(GET).body == b"raw"
        assert client.is_closed()


# -- Who asks for it -------------------------------------------------------------------------------


def test_a_drain_from_a_handler(served: Any) -> None:
    class Handler(Quiet):
        def do_GET(self) -> None:
            self.server.drain(LONG)
            super().do_GET()

    one = served(Handler)
    with Client(one.address) as client:
        assert is_last(client.ask(GET))


def test_a_drain_from_a_signal_handler() -> None:
    """In the thread that serves, wherever it is at that moment."""
    def work() -> None:
        with Client(server.server_address) as client:
            assert client.ask(GET).get("Connection") is None
            os.kill(os.getpid(), signal.SIGUSR1)
            assert drained.wait(PATIENCE)
            assert is_last(client.ask(GET))

    def drain(*args: object) -> None:
        server.drain(LONG)
        drained.set()

    drained, before = threading.Event(), signal.signal(signal.SIGUSR1, drain)
    try:
        with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), Quiet) as server:
            working = Task(work)
            server.serve_forever(0.05)
            working.result()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_drain_from_many_threads_at_once(served: Any) -> None:
    for _ in range(20):
        one = served()
        with Client(one.address) as client:
            for draining in [Task(one.server.drain, LONG) for _ in range(5)]:
                draining.result()
            assert is_last(client.ask(GET))


def test_serving_again_after_a_drain() -> None:
    with nothing_left_behind(), HTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket.settimeout(12)
        for _ in range(3):
            serving = Task(server.serve_forever)
            with Client(server.server_address) as client:
                assert client.ask(GET).get("Connection") is None
                server.drain(LONG)
                assert is_last(client.ask(GET))
            serving.result()
            assert server.socket.gettimeout() == 12


# -- The deadline ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [GET[:9], request(target="/large")], ids=["a head", "a download"])
def test_who_does_not_go_on_is_left(folder: Path, served: Any, sent: bytes) -> None:
    (folder / "large").write_bytes(LARGE)
    one = served(functools.partial(Files, directory=folder))
    with connect(one.address) as client:
        small_buffers(client)
        client.sendall(sent)
        with Client(one.address) as other:
            other.ask(request("HEAD", "/", "Connection: close"))
        one.server.drain(LONG)
        assert not one.has_ended(0.1)
        began = time.monotonic()
        one.server.drain(0.2)
        one.server.drain(LONG)  # the earliest counts
        assert one.has_ended()
        assert time.monotonic() - began >= 0.2


def test_no_time_at_all(served: Any) -> None:
    one = served()
    with one.client(GET[:9]) as client, one.client() as idle:
        one.server.drain(0)
        assert client.is_closed()
        assert idle.is_closed()


def test_a_stop_ends_it(served: Any) -> None:
    one = served()
    with one.client(GET[:9]) as client:
        one.server.drain(LONG)
        Task(one.server.shutdown).result()
        assert client.is_closed()


def test_a_server_closed_while_it_drains(served: Any) -> None:
    one = served()
    with one.client(GET[:9]) as client:
        one.server.server_close()
        one.server.drain(LONG)
        client.send(GET[9:])
        assert is_last(client.reply())


class Large(Files):
    """A download, and a path that ends the server from within a turn of its loop."""

    def do_GET(self) -> None:
        if self.path == "/drain":
            self.server.drain(0)
        super().do_GET()


@pytest.fixture
def large(folder: Path) -> Any:
    (folder / "large").write_bytes(LARGE)
    return functools.partial(Large, directory=folder)


def downloading(one: Served) -> socket.socket:
    """A client that has read no more than the head of its answer."""
    client = connect(one.address)
    small_buffers(client)
    client.sendall(request(target="/large"))
    receive_until(client, b"\r\n\r\n")
    return client


def test_no_time_at_all_from_a_handler(served: Any, large: Any) -> None:
    """The octet that wakes the loop is seen only after its last turn."""
    one = served(large)
    with downloading(one), Client(one.address) as client:
        client.send(request(target="/drain"))
        assert one.has_ended()


def test_a_drain_behind_a_stop(served: Any, large: Any) -> None:
    one = served(large)
    with downloading(one) as client, one.client() as idle:
        idle.send(b"GET")  # of one that says nothing the kernel may not have told yet
        stopping = Task(one.server.shutdown)
        assert idle.is_closed()
        one.server.drain(LONG)
        assert receive_exactly(client, len(LARGE)) == LARGE
        stopping.result()


# -- Handlers elsewhere ----------------------------------------------------------------------------


@pytest.mark.parametrize("returns", [True, False])
def test_handlers_that_wait_in_threads(returns: bool) -> None:
    """They are waited for, up to the deadline, and so is what their clients ask behind that."""
    gate = Gate()

    class Handler(Quiet):
        def do_GET(self) -> None:
            if self.path == "/gate":
                gate.wait()
            super().do_GET()

    with nothing_left_behind(), contextlib.ExitStack() as stack:
        one = stack.enter_context(contextlib.closing(Served(ThreadingHTTPServer, Handler)))
        stack.callback(gate.open.set)
        clients = [stack.enter_context(Client(one.address)) for _ in range(9)]
        for client in clients:
            client.send(request(target="/gate") + GET)
        with Client(one.address) as client:
            assert client.ask(GET).status == 200
            assert gate.reached.wait(PATIENCE)
            one.server.drain(LONG)
            assert is_last(client.ask(GET))
        assert not one.has_ended(0.1)
        if returns:
            gate.open.set()
            for client in clients:
                assert not is_last(client.reply())
                assert is_last(client.reply())
                assert client.is_closed()
        else:
            one.server.drain(0.1)
        assert one.has_ended()


class Elsewhere(Loop):
    """Some of its handlers run where it does not see them."""

    running = True

    def _is_busy(self) -> bool:
        return self.running or super()._is_busy()


@pytest.mark.parametrize("returns", [True, False])
def test_handlers_elsewhere_are_waited_for(returns: bool) -> None:
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        loop = Elsewhere(server)
        looping = Task(loop.run, 0.01)
        loop.drain(LONG)
        looping.join(0.1)
        assert looping.is_alive()
        if returns:
            loop.running = False
        else:
            loop.drain(0.1)
        looping.result()


def test_a_listener_that_nobody_needs_any_more() -> None:
    """A server may close it once the backlog is empty: who comes then is refused at once."""
    class Server(HTTPServer):
        def _fastserve_accepts_no_more(self) -> None:
            self.socket.close()

    with nothing_left_behind(), Server(("127.0.0.1", 0), Quiet) as server:
        serving = Task(server.serve_forever, LONG)
        with Client(server.server_address) as client:
            assert client.ask(GET).status == 200
            server.drain(LONG)
            assert wait_until(lambda: server.socket.fileno() < 0)
            with pytest.raises(ConnectionRefusedError), socket.create_connection(server.server_address):
                pass
            assert is_last(client.ask(GET))
        serving.result()
