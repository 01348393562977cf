"""The hooks of a server class: each overridden alone, noted, and where that makes sense with another outcome.

hooks.py has the stage and the names, test_hooks.py runs the cases.
"""

import contextlib
import socket
import socketserver
import sys
import threading
from typing import Any
from unittest import mock

from helpers import PATIENCE, Client, Running, wait_until

from .apps import answer
from .hooks import LOCAL, Shown, Stage, breaking, get, hook, our_loop, our_server, post

# What is called for every connection on either kind of server.
EACH = ["get_request", "verify_request", "process_request", "finish_request", "shutdown_request",
        "close_request"]


def noting(stage: Stage, name: str, base: Any = None) -> Any:
    """A server class with one override, that notes its call and goes on."""
    base = base or stage.Server

    def override(self: Any, *args: Any) -> Any:
        stage.note(name, *args)
        return getattr(base, name)(self, *args)

    return type("Noting", (base,), {name: override})


# -- A connection begins -----------------------------------------------------------------------


@hook("get_request")
def get_request(stage: Stage) -> None:
    class Server(stage.Server):
        def get_request(self) -> Any:
            sock, address = super().get_request()
            stage.note("get_request", sock, address)
            return sock, address

    stage.ask(stage.Plain, server=Server)


@hook("get_request")
def get_request_returns_another_socket(stage: Stage) -> None:
    class Socket(socket.socket):
        def sendall(self, data: bytes) -> None:
            stage.note("sendall", bytes(data).startswith(b"HTTP/1.1 "))
            super().sendall(data)

    class Server(stage.Server):
        def get_request(self) -> Any:
            sock, address = super().get_request()
            return Socket(sock.family, sock.type, sock.proto, sock.detach()), address

    def raw(self: Any) -> None:
        self.close_connection = True
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")

    stage.ask(type("Raw", (stage.Bare,), {"do_GET": raw}), get(), server=Server)


@hook("get_request")
def get_request_returns_another_address(stage: Stage) -> None:
    """Of a proxy's client, say."""

    class Server(stage.Server):
        def get_request(self) -> Any:
            return super().get_request()[0], ("192.0.2.7", 5)

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            stage.note("do_GET", self.client_address)
            super().do_GET()

    stage.ask(Handler, server=Server)


@hook("get_request")
def get_request_fails(stage: Stage) -> None:
    """With OSError: the next one is served."""

    class Server(stage.Server):
        failed = False

        def get_request(self) -> Any:
            sock, address = super().get_request()
            stage.note("get_request", sock)
            if not Server.failed:
                Server.failed = True
                sock.close()
                raise OSError("not this one")
            return sock, address

    with stage.serving(stage.Plain, Server) as server:
        with Client(server.server_address) as client:
            stage.told.append(client.is_closed())
        stage.talk(server.server_address, get())


@hook("verify_request")
def verify_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "verify_request"))


@hook("verify_request")
def verify_request_refuses(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        welcome = 0

        def verify_request(self, request: Any, client_address: Any) -> int:
            stage.note("verify_request", request, client_address)
            return self.welcome

    with stage.serving(stage.Plain, Server) as server:
        with Client(server.server_address) as client:
            stage.told.append(client.is_closed())
        server.welcome = 1
        stage.talk(server.server_address, get())


def verify_request_that_reports(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            stage.note("verify_request", request, client_address)
            try:
                raise KeyError("broken")
            except KeyError:
                self.handle_error(request, client_address)
            return False

    with stage.serving(stage.Plain, Server) as server, Client(server.server_address) as client:
        stage.told.append(client.is_closed())


@hook("verify_request", row="hook-errors", differs=our_server, instead=verify_request_that_reports)
def verify_request_raises(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            stage.note("verify_request", request, client_address)
            request.close()  # http.server does not
            raise KeyError("broken")

    try:
        with stage.serving(stage.Plain, Server) as server, Client(server.server_address) as client:
            stage.told.append(client.is_closed())
    except KeyError as error:
        stage.note("serve_forever() raised", repr(error))


@hook("process_request")
def process_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "process_request"))


@hook("process_request")
def process_request_in_a_thread_of_its_own(stage: Stage) -> None:
    """As programs had it before ThreadingMixIn, and as pools have it."""

    class Server(stage.Server):
        def process_request(self, request: Any, client_address: Any) -> None:
            stage.note("process_request", request, client_address)
            thread = threading.Thread(target=self.work, args=(request, client_address))
            thread.start()
            self.thread = thread

        def work(self, request: Any, client_address: Any) -> None:
            self.finish_request(request, client_address)
            self.shutdown_request(request)

        def server_close(self) -> None:
            super().server_close()
            self.thread.join(PATIENCE)

    stage.ask(stage.Plain, server=Server)


@hook("process_request")
def process_request_raises(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        def process_request(self, request: Any, client_address: Any) -> None:
            raise KeyError("no")

    stage.ask(stage.Plain, get(), server=Server)


@hook("process_request_thread", "threads")
def process_request_thread(stage: Stage) -> None:
    class Server(stage.Server):
        def process_request_thread(self, request: Any, client_address: Any) -> None:
            stage.note("process_request_thread", request, client_address)
            stage.note("in a thread of its own", threading.current_thread() is not self.serving)
            super().process_request_thread(request, client_address)

        def service_actions(self) -> None:
            self.serving = threading.current_thread()

        serving = None

    stage.ask(stage.Plain, server=Server)


@hook("finish_request")
def finish_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "finish_request"))


def at_the_beginning(shown: Shown) -> Shown:
    """What stands behind super() comes second, not last."""
    first, *requests, last = shown.calls
    return shown._replace(calls=(first, last, *requests))


@hook("finish_request", row="lifetime", differs=our_loop, change=at_the_beginning)
def finish_request_and_after(stage: Stage) -> None:
    class Server(stage.Server):
        def finish_request(self, request: Any, client_address: Any) -> None:
            stage.note("finish_request")
            super().finish_request(request, client_address)
            stage.note("and after")

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            stage.note("do_GET")
            super().do_GET()

    stage.ask(Handler, server=Server)


@hook("finish_request")
def finish_request_gives_more_arguments(stage: Stage) -> None:
    class Server(stage.Server):
        def finish_request(self, request: Any, client_address: Any) -> None:
            stage.note("finish_request", request, client_address)
            self.RequestHandlerClass(request, client_address, self, directory=stage.folder / "list")

    with stage.serving(stage.Files, Server) as server:
        stage.talk(server.server_address, get("/b.txt"), get("/deep/"))


@hook("finish_request")
def finish_request_makes_no_handler(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        def finish_request(self, request: Any, client_address: Any) -> None:
            stage.note("finish_request", request, client_address)

    stage.ask(stage.Plain, get(), server=Server)


@hook("finish_request")
def finish_request_answers_itself(stage: Stage) -> None:
    class Server(stage.Server):
        def finish_request(self, request: Any, client_address: Any) -> None:
            stage.note("finish_request", request.recv(65536).partition(b"\r\n")[0])
            request.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    stage.ask(stage.Plain, get(), server=Server)


# -- A connection ends -------------------------------------------------------------------------


@hook("shutdown_request")
def shutdown_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "shutdown_request"))


@hook("shutdown_request")
def shutdown_request_of_a_kept_socket(stage: Stage) -> None:
    """Somebody else goes on with the connection."""
    kept: list[socket.socket] = []

    class Server(stage.Server):
        def shutdown_request(self, request: Any) -> None:
            stage.note("shutdown_request", request)
            kept.append(request)

    class Handler(stage.Plain):
        protocol_version = "HTTP/1.0"

    with stage.serving(Handler, Server) as server, Client(server.server_address) as client:
        client.send(get())
        head = stage.replies(client, get())
        assert wait_until(lambda: kept)
        kept[0].sendall(b" and more")
        kept[0].close()
        stage.told += [*head, client.rest()]


@hook("close_request")
def close_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "close_request"))


@hook("close_request")
def close_request_after_shutdown_request(stage: Stage) -> None:
    stage.ask(stage.Plain, server=noting(stage, "close_request", noting(stage, "shutdown_request")))


# -- What goes wrong, and what goes on ---------------------------------------------------------


@hook("handle_error")
def handle_error(stage: Stage) -> None:
    class Server(noting(stage, "shutdown_request")):
        def handle_error(self, request: Any, client_address: Any) -> None:
            stage.note("handle_error", request, client_address, repr(sys.exc_info()[1]))

    stage.ask(breaking(stage), get(), server=Server)


@hook("handle_error")
def handle_error_of_a_failing_end(stage: Stage) -> None:
    """One exception, the last; the first is its context."""

    class Server(stage.Server):
        def handle_error(self, request: Any, client_address: Any) -> None:
            error = sys.exc_info()[1]
            stage.note("handle_error", repr(error), repr(error.__context__))

    class Handler(breaking(stage)):
        def finish(self) -> None:
            super().finish()
            raise ValueError("in finish()")

    stage.ask(Handler, get(), server=Server)


@hook("handle_error")
def handle_error_of_a_failing_beginning(stage: Stage) -> None:
    """Without setup() there is no finish()."""

    class Handler(breaking(stage)):
        def setup(self) -> None:
            raise ValueError("in setup()")

    stage.ask(Handler, get())


@hook("handle_error", "HTTPServer")
def handle_error_raises(stage: Stage) -> None:
    """As those write it who want to see the first error of a test: it ends serve_forever()."""

    class Server(stage.Server):
        def handle_error(self, request: Any, client_address: Any) -> None:
            stage.note("handle_error", request, client_address)
            self.left = request
            raise  # noqa: PLE0704  (the exception that is being handled)

    server = Server(LOCAL, breaking(stage))
    runner = Running(server)
    with server, Client(server.server_address) as client:
        client.send(get())
        runner.thread.join(PATIENCE)
        assert not runner.thread.is_alive()
    server.left.close()
    stage.told.append(repr(runner.error))


@hook("handle_timeout")
def handle_timeout(stage: Stage) -> None:
    class Server(noting(stage, "handle_timeout")):
        timeout = 0.05

    with Server(LOCAL, stage.Plain) as server:
        stage.told.append(server.handle_request())


@hook("service_actions")
def service_actions(stage: Stage) -> None:
    """Called at each poll, and after each request."""
    turned = threading.Event()

    class Server(stage.Server):
        def service_actions(self) -> None:
            super().service_actions()
            turned.set()

    with stage.serving(stage.Plain, Server) as server:
        for _ in range(3):
            turned.clear()
            stage.note("service_actions", turned.wait(PATIENCE))
            stage.talk(server.server_address, get())


# -- Binding -----------------------------------------------------------------------------------


@hook("server_bind")
def server_bind(stage: Stage) -> None:
    class Server(stage.Server):
        def server_bind(self) -> None:
            stage.note("server_bind", self.server_address, self.socket.getsockname()[1])
            super().server_bind()
            same = self.server_port == self.server_address[1] == self.socket.getsockname()[1]
            stage.note("server_bind", same, self.server_name)

    stage.ask(stage.Plain, server=Server)


@hook("server_bind")
def server_bind_without_a_look_up(stage: Stage) -> None:
    """As programs avoid http.server's reverse look-up."""

    class Server(stage.Server):
        def server_bind(self) -> None:
            socketserver.TCPServer.server_bind(self)
            self.server_name, self.server_port = self.server_address
            stage.note("server_bind", self.server_name, self.server_port > 0)

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            same = self.server.server_port == self.server.socket.getsockname()[1]
            answer(self, f"{self.server.server_name} {same}".encode())

    stage.ask(Handler, server=Server)


@hook("server_activate")
def server_activate(stage: Stage) -> None:
    class Server(noting(stage, "server_activate")):
        request_queue_size = 3

        def server_bind(self) -> None:
            super().server_bind()
            stage.note("server_bind")

    stage.ask(stage.Plain, server=Server)


@hook("server_activate")
def server_activate_on_a_socket_of_its_own(stage: Stage) -> None:
    class Server(stage.Server):
        def server_activate(self) -> None:
            stage.note("server_activate")
            self.socket.close()
            self.socket = socket.create_server(LOCAL)
            self.server_address = self.socket.getsockname()

    stage.ask(stage.Plain, server=Server)


# -- Mixins ------------------------------------------------------------------------------------


def mixin(stage: Stage, base: Any) -> Any:
    """A class that has every hook of a connection, and goes on to the next class."""

    def method(name: str) -> Any:
        def noted(self: Any, *args: Any) -> Any:
            stage.note(name, *args)
            return getattr(super(kind, self), name)(*args)

        return noted

    names = [*EACH, "server_bind", "server_activate"]
    kind: Any = type("Mixin", (base,), {name: method(name) for name in names})
    return kind


@hook("server mixin before")
def server_mixin_before(stage: Stage) -> None:
    stage.ask(stage.Plain, server=type("Server", (mixin(stage, object), stage.Server), {}))


@hook("server mixin after")
def server_mixin_after(stage: Stage) -> None:
    """Between http.server's class and socketserver's."""
    stage.ask(stage.Plain, server=type("Server", (stage.Server, mixin(stage, socketserver.TCPServer)), {}))


# -- Hooks that come while the server runs -----------------------------------------------------


class Ended:
    """Tells when a connection is over, which is after its client has seen the end."""

    ended: threading.Event

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self.ended.set()


def talk_to_the_end(stage: Stage, server: Any, *requests: bytes) -> None:
    server.ended = threading.Event()
    stage.talk(server.server_address, *requests)
    assert server.ended.wait(PATIENCE)


@hook("hooks on the server instance")
def all_on_the_server_instance(stage: Stage) -> None:
    with stage.serving(stage.Plain, type("Server", (Ended, stage.Server), {})) as server:
        talk_to_the_end(stage, server, get("/before"))
        with contextlib.ExitStack() as patches:
            for name in EACH:
                patch = mock.patch.object(server, name, stage.noted(name, getattr(server, name)))
                patches.enter_context(patch)
            talk_to_the_end(stage, server, get("/patched"))
        talk_to_the_end(stage, server, get("/after"))


@hook("hooks on the server instance")
def each_on_the_server_instance(stage: Stage) -> None:
    """One at a time: what the others are may decide what is called."""
    for name in EACH:
        with stage.serving(stage.Plain, type("Server", (Ended, stage.Server), {})) as server:
            talk_to_the_end(stage, server, get("/before"))
            setattr(server, name, stage.noted(name, getattr(server, name)))
            talk_to_the_end(stage, server, get("/after"), post(b"body"))


@hook("hooks on the server class")
def each_on_the_server_class(stage: Stage) -> None:
    """On the class that has it, be it socketserver's; while the server runs, and before."""
    for name in EACH:
        owner = next(kind for kind in stage.Server.__mro__ if name in vars(kind))
        kept = vars(owner)[name]

        def noting(self: Any, *args: Any, name: str = name, kept: Any = kept) -> Any:
            stage.note(name, *args)
            return kept(self, *args)

        with stage.serving(stage.Plain, type("Server", (Ended, stage.Server), {})) as server:
            talk_to_the_end(stage, server, get("/before"))
            with mock.patch.object(owner, name, noting):
                talk_to_the_end(stage, server, get("/patched"))
                talk_to_the_end(stage, server, get("/patched-again"))
            talk_to_the_end(stage, server, get("/after"))
        with mock.patch.object(owner, name, noting), stage.serving(stage.Plain) as server:
            stage.talk(server.server_address, get("/patched-before"))
