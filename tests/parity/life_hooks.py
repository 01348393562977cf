"""The life of a server: how it is bound, run, driven by somebody else's loop, stopped and closed.

hooks.py has the stage and the names, test_hooks.py runs the cases.
"""

import contextlib
import select
import selectors
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, running

from .hooks import LOCAL, Stage, get, hook, our_handler
from .server_hooks import noting

LAST = get("/last")


@contextlib.contextmanager
def serving(server: Any, *args: Any, **kwargs: Any) -> Iterator[None]:
    """serve_forever() in a thread; the block sees to its end."""
    worker = threading.Thread(target=server.serve_forever, args=args, kwargs=kwargs, daemon=True)
    worker.start()
    yield
    worker.join(PATIENCE)
    if worker.is_alive():
        server.shutdown()
        pytest.fail("serve_forever() has not returned")


def one_reply(stage: Stage, address: Any, data: bytes = LAST) -> None:
    """One request on a connection of its own."""
    with Client(address) as client:
        client.send(data)
        stage.told += stage.replies(client, data)


def calling(stage: Stage) -> Any:
    """A server that notes every connection."""
    return noting(stage, "finish_request")


# -- serve_forever() and shutdown() ------------------------------------------------------------


@hook("serve_forever() and shutdown()")
def serve_in_a_thread(stage: Stage) -> None:
    """Started in one thread, stopped from another, and once more."""
    with calling(stage)(LOCAL, stage.Plain) as server:
        for _ in range(2):
            with serving(server, 0.02):
                one_reply(stage, server.server_address)
                stage.told.append(server.shutdown())


@hook("serve_forever() and shutdown()")
def shutdown_by_keyword(stage: Stage) -> None:
    """The poll interval by its name, and a shutdown that a request asked for, in a thread of its own."""

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            stage.note("do_GET")
            threading.Thread(target=self.server.shutdown).start()
            super().do_GET()

    with stage.Server(LOCAL, Handler) as server, serving(server, poll_interval=0.02):
        one_reply(stage, server.server_address)


@hook("serve_forever() and shutdown()")
def serve_forever_overridden(stage: Stage) -> None:
    """A loop of one's own, as SimpleXMLRPCServer's users have it."""

    class Server(calling(stage)):
        running = True
        timeout = 0.02

        def serve_forever(self, poll_interval: float = 0.5) -> None:
            while self.running:
                self.handle_request()

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            self.server.running = self.path != "/last"
            super().do_GET()

    with Server(LOCAL, Handler) as server, serving(server):
        one_reply(stage, server.server_address, get("/first"))
        one_reply(stage, server.server_address)


@hook("serve_forever() and shutdown()")
def an_exception_ends_serve_forever(stage: Stage) -> None:
    """Its socket stays open, and it can serve again."""

    class Server(calling(stage)):
        failures = 1

        def service_actions(self) -> None:
            if self.failures:
                self.failures -= 1
                raise KeyboardInterrupt

    with Server(LOCAL, stage.Plain) as server:
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever(0.01)
        with serving(server, 0.02):
            one_reply(stage, server.server_address)
            server.shutdown()


@hook("_BaseServer__shutdown_request")
def stopped_by_the_private_flag(stage: Stage) -> None:
    """As old code stops a server without waiting for it; it can serve again."""
    with calling(stage)(LOCAL, stage.Plain) as server:
        for _ in range(2):
            with serving(server, 0.02):
                one_reply(stage, server.server_address)
                server._BaseServer__shutdown_request = True
        stage.told.append(server._BaseServer__shutdown_request)


@hook("_BaseServer__shutdown_request")
def stopped_by_the_private_flag_from_a_handler(stage: Stage) -> None:
    class Handler(stage.Plain):
        def do_GET(self) -> None:
            stage.note("do_GET")
            self.server._BaseServer__shutdown_request = True
            super().do_GET()

    with stage.Server(LOCAL, Handler) as server:
        for _ in range(2):
            with serving(server, 0.02):
                one_reply(stage, server.server_address)


@hook("_BaseServer__shutdown_request")
def stopped_by_the_private_flag_before_it_serves(stage: Stage) -> None:
    with calling(stage)(LOCAL, stage.Plain) as server:
        stage.note("flag", server._BaseServer__shutdown_request)
        server._BaseServer__shutdown_request = True
        stage.told.append(server.serve_forever(0.02))
        stage.note("flag", server._BaseServer__shutdown_request)
        with serving(server, 0.02):
            one_reply(stage, server.server_address)
            server.shutdown()


# -- handle_request() --------------------------------------------------------------------------


@hook("handle_request()")
def handle_request(stage: Stage) -> None:
    """One connection each time, all its requests."""
    with calling(stage)(LOCAL, stage.Plain) as server:
        for _ in range(2):
            with Client(server.server_address) as client:
                client.send(get("/1") + LAST)
                client.end()
                stage.told.append(server.handle_request())
                stage.told += [stage.replies(client, LAST) for _ in range(2)]


@hook("handle_request()")
def handle_request_with_a_timeout(stage: Stage) -> None:
    class Server(noting(stage, "handle_timeout", calling(stage))):
        timeout = 0.05

    with Server(LOCAL, stage.Plain) as server:
        server.handle_request()
        server.socket.settimeout(0.01)
        server.handle_request()
        server.socket.settimeout(None)
        server.timeout = PATIENCE
        with Client(server.server_address) as client:
            client.send(LAST)
            client.end()
            server.handle_request()
            stage.told += stage.replies(client, LAST)


@hook("fileno()")
def somebody_else_s_selector(stage: Stage) -> None:
    """As pydoc and GUI programs run a server."""
    with calling(stage)(LOCAL, stage.Plain) as server, selectors.DefaultSelector() as selector:
        stage.told.append(server.fileno() == server.socket.fileno())
        selector.register(server, selectors.EVENT_READ)
        for _ in range(2):
            with Client(server.server_address) as client:
                client.send(LAST)
                client.end()
                stage.told.append(len(selector.select(PATIENCE)))
                server.handle_request()
                stage.told += stage.replies(client, LAST)


@hook("_handle_request_noblock()")
def handle_request_noblock(stage: Stage) -> None:
    """By programs with a loop of their own, where socketserver's handle_request() would wait."""
    with calling(stage)(LOCAL, stage.Plain) as server:
        for _ in range(2):
            with Client(server.server_address) as client:
                client.send(LAST)
                client.end()
                assert select.select([server], [], [], PATIENCE)[0]
                stage.told.append(server._handle_request_noblock())
                stage.told += stage.replies(client, LAST)


# -- Binding and closing -----------------------------------------------------------------------


@hook("port 0")
def port_0(stage: Stage) -> None:
    with calling(stage)(LOCAL, stage.Plain) as server:
        host, port = server.server_address
        same = port == server.server_port == server.socket.getsockname()[1] > 0
        stage.told += [host, same, server.server_name]
        with running(server):
            stage.talk(("127.0.0.1", server.server_port), get())


@hook("IPv6")
def ipv6(stage: Stage) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")

    class Server(calling(stage)):
        address_family = socket.AF_INET6

    try:
        server = Server(("::1", 0), stage.Plain)
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    stage.told += [len(server.server_address), server.server_port == server.server_address[1]]
    with running(server):
        stage.talk(server.server_address, get())


@contextlib.contextmanager
def unix_server(stage: Stage, handler: Any) -> Iterator[Any]:
    class Server(calling(stage)):
        address_family = socket.AF_UNIX

    with tempfile.TemporaryDirectory() as home, running(Server(f"{home}/s", handler)) as address:
        stage.told.append(Path(address).name)
        yield address


@hook("unix socket")
def unix_socket(stage: Stage) -> None:
    """Its clients have no address, so that a handler must say what is logged."""

    class Handler(stage.Plain):
        def address_string(self) -> str:
            stage.note("address_string", self.client_address)
            return "local"

    with unix_server(stage, Handler) as address:
        stage.talk(address, get())


def unix_socket_of_a_dash(stage: Stage) -> None:
    with unix_server(stage, type("Handler", (stage.Plain,), {"address_string": lambda self: "-"})) as address:
        stage.talk(address, get())


@hook("unix socket", row="unix-clients", differs=our_handler, instead=unix_socket_of_a_dash)
def unix_socket_as_it_is(stage: Stage) -> None:
    with unix_server(stage, stage.Plain) as address:
        stage.talk(address, get())


@hook("context manager")
def context_manager(stage: Stage) -> None:
    class Server(calling(stage)):
        def server_close(self) -> None:
            stage.note("server_close")
            super().server_close()

    with Server(LOCAL, stage.Plain) as server, running(server):
        stage.talk(server.server_address, get())
    stage.told.append(server.socket.fileno())


@hook("bind_and_activate=False")
def bind_and_activate_later(stage: Stage) -> None:
    class Server(noting(stage, "server_activate", noting(stage, "server_bind"))):
        pass

    server = Server(LOCAL, stage.Plain, bind_and_activate=False)
    stage.told.append(server.socket.getsockname()[1])
    server.allow_reuse_address = True
    server.server_bind()
    server.server_activate()
    with running(server):
        stage.talk(server.server_address, get())


@hook("bind_and_activate=False")
def a_socket_that_is_given(stage: Stage) -> None:
    """As a supervisor, or a test, hands one down."""
    server = calling(stage)(LOCAL, stage.Plain, False)
    server.socket.close()
    server.socket = socket.create_server(LOCAL)
    server.server_address = server.socket.getsockname()
    with running(server):
        stage.talk(server.server_address, get())
