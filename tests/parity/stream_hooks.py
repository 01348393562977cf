"""What else a handler class may bring: other callables, mixins, streams and sockets of its own.

hooks.py has the stage and the names, test_hooks.py runs the cases.
"""

import functools
import io
import socket
import socketserver
from typing import Any
from unittest import mock

from helpers import PATIENCE, Client
from pairs import client_context, server_context

from .apps import answer, echo
from .hooks import Stage, get, hook, post

# -- What makes handlers -----------------------------------------------------------------------


def named(stage: Stage) -> Any:
    """A handler with an option, kept before super().__init__(), which answers."""

    class Handler(stage.Plain):
        def __init__(self, *args: Any, name: str = "nobody") -> None:
            stage.note("__init__", *args, name=name)
            self.name = name
            super().__init__(*args)

        def do_GET(self) -> None:
            answer(self, self.name.encode())

    return Handler


@hook("attributes before super().__init__()")
def attributes_before_init(stage: Stage) -> None:
    stage.ask(named(stage), get(), get())


@hook("attributes before super().__init__()")
def attributes_of_the_library_before_init(stage: Stage) -> None:
    """Its own names too."""

    class Handler(stage.Files):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            stage.note("__init__", *args)
            self.protocol_version = "HTTP/1.0"
            self.server_version, self.sys_version = "Mine", "1"
            self.timeout = PATIENCE
            self.extensions_map = {".txt": "text/mine"}
            super().__init__(*args, **kwargs)

    stage.ask_files(Handler, get("/hello.txt"))


@hook("functools.partial")
def partial(stage: Stage) -> None:
    stage.ask(functools.partial(named(stage), name="partial"), get(), get())


@hook("function")
def function_that_makes_a_handler(stage: Stage) -> None:
    handler = named(stage)

    def make(request: Any, client_address: Any, server: Any) -> Any:
        return handler(request, client_address, server, name="function")

    stage.ask(make, get(), get())


@hook("function")
def function_that_answers(stage: Stage) -> None:
    def serve(request: Any, client_address: Any, server: Any) -> None:
        stage.note("serve", request, client_address, server)
        line = request.recv(65536).partition(b"\r\n")[0]
        request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))

    stage.ask(serve, get())


# -- Mixins ------------------------------------------------------------------------------------


def mixin(stage: Stage, base: Any, *names: str) -> Any:
    """A class that notes what it is called for and goes on to the next class."""

    def method(name: str) -> Any:
        def noted(self: Any, *args: Any) -> Any:
            stage.note(name, *args)
            return getattr(super(kind, self), name)(*args)

        return noted

    kind: Any = type("Mixin", (base,), {name: method(name) for name in names})
    return kind


@hook("handler mixin before")
def mixin_before(stage: Stage) -> None:
    names = ["__init__", "setup", "do_GET", "send_response", "end_headers", "log_message", "finish"]
    stage.ask(type("Handler", (mixin(stage, object, *names), stage.Plain), {}))


@hook("handler mixin before")
def mixin_before_with_handle(stage: Stage) -> None:
    stage.ask(type("Handler", (mixin(stage, object, "handle", "handle_one_request"), stage.Plain), {}))


@hook("handler mixin after")
def mixin_after(stage: Stage) -> None:
    """Between the library's class and socketserver's."""
    names = ["__init__", "setup", "finish"]
    after = mixin(stage, socketserver.StreamRequestHandler, *names)
    stage.ask(type("Handler", (stage.Plain, after), {}))


# -- Streams -----------------------------------------------------------------------------------


class Wrapped:
    """Anything, with one method that is told of."""

    def __init__(self, stage: Stage, thing: Any, name: str) -> None:
        self.thing = thing
        setattr(self, name, stage.noted(name, getattr(thing, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.thing, name)


class Upper:
    """A wfile of somebody's own."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, data: Any) -> int:
        return self.stream.write(bytes(data).replace(b"hello", b"HELLO"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def replacing(stage: Stage, replace: Any) -> Any:
    """A handler that calls ``replace(self)`` in its first do_GET, behind the answer."""

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            super().do_GET()
            stage.note("do_GET", self.path)
            if self.path == "/first":
                replace(self)

    return Handler


def files_of_the_socket(handler: Any) -> None:
    handler.rfile = handler.connection.makefile("rb")
    handler.wfile = handler.connection.makefile("wb")


@hook("rfile")
def rfile_wrapped_in_setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            super().setup()
            self.rfile = Wrapped(stage, self.rfile, "read")

    stage.ask(Handler, get(), post(b"body"), get())


@hook("rfile")
def both_streams_in_setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            super().setup()
            files_of_the_socket(self)
            stage.note("setup", self.rfile, self.wfile)

    stage.ask(Handler, get(), post(b"body"), get())


@hook("rfile")
def both_streams_in_a_method(stage: Stage) -> None:
    """From then on they are the connection's."""
    stage.ask(replacing(stage, files_of_the_socket), get("/first"), get("/second"), post(b"body"), get())


@hook("rfile")
def rfile_wrapped_in_a_method(stage: Stage) -> None:
    def wrap(handler: Any) -> None:
        handler.rfile = Wrapped(stage, handler.rfile, "read")

    stage.ask(replacing(stage, wrap), get("/first"), post(b"body"), get("/third"))


@hook("rfile")
def rfile_of_memory_for_one_request(stage: Stage) -> None:
    """What was read is put back for another's code to read."""

    class Handler(stage.Plain):
        def do_POST(self) -> None:
            kept, length = self.rfile, int(self.headers["Content-Length"])
            self.rfile = io.BytesIO(self.rfile.read(length).upper())
            stage.note("do_POST", self.rfile.getvalue())
            echo(self)
            self.rfile = kept

    stage.ask(Handler, post(b"body"), post(b"another"), get())


@hook("rfile")
def rfile_of_memory_that_holds_a_request(stage: Stage) -> None:
    """It is answered, without another one from the client, and the connection ends where it ends."""
    again = get("/again")

    def replace(handler: Any) -> None:
        handler.rfile = io.BytesIO(again)

    with stage.serving(replacing(stage, replace)) as server, Client(server.server_address) as client:
        client.send(get("/first"))
        stage.told += [*stage.replies(client, again), *stage.replies(client, again), client.rest()]


@hook("rfile")
def streams_after_construction(stage: Stage) -> None:
    """As tests make a handler without its __init__, on a real connection."""

    class Server(stage.Server):
        def finish_request(self, request: Any, client_address: Any) -> None:
            kind = self.RequestHandlerClass
            handler = kind.__new__(kind)
            handler.request, handler.client_address, handler.server = request, client_address, self
            handler.setup()
            handler.rfile = Wrapped(stage, handler.rfile, "readline")
            handler.wfile = Upper(handler.wfile)
            handler.handle()
            handler.finish()

    stage.ask(replacing(stage, None), get("/1"), post(b"hello"), get("/2"), server=Server)


@hook("wfile")
def streams_of_memory_after_construction(stage: Stage) -> None:
    """As CPython's own tests have it: on a socket that is none, and by hand."""
    sock = mock.Mock()
    sock.makefile.return_value = io.BytesIO()
    handler = stage.Plain(sock, ("127.0.0.1", 5), None)
    handler.rfile, handler.wfile = io.BytesIO(get("/1") + post(b"body")), io.BytesIO()
    handler.handle_one_request()
    handler.handle_one_request()
    stage.note("written", handler.wfile.getvalue().decode(), handler.close_connection)


@hook("wfile")
def wfile_wrapped_in_setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            super().setup()
            self.wfile = Upper(self.wfile)
            stage.note("setup", self.wfile)

    stage.ask(Handler, get(), post(b"hello"), get())


@hook("wfile")
def wfile_wrapped_in_a_method(stage: Stage) -> None:
    def wrap(handler: Any) -> None:
        handler.wfile = Upper(handler.wfile)

    stage.ask(replacing(stage, wrap), get("/first"), get("/second"), post(b"hello"))


@hook("wfile")
def wfile_of_memory_for_one_answer(stage: Stage) -> None:
    """As compressing mixins have it: the whole answer is caught, and another one is written."""

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            stream, self.wfile = self.wfile, io.BytesIO()
            super().do_GET()
            caught, self.wfile = self.wfile.getvalue(), stream
            stage.note("do_GET", caught.count(b"hello"))
            self.wfile.write(caught.replace(b"hello", b"HELLO"))

    stage.ask(Handler, get("/1"), get("/2"), post(b"body"))


@hook("wfile")
def wfile_of_the_socket_in_a_method(stage: Stage) -> None:
    def replace(handler: Any) -> None:
        handler.wfile = handler.connection.makefile("wb")

    stage.ask(replacing(stage, replace), get("/first"), get("/second"), post(b"hello"))


# -- The socket --------------------------------------------------------------------------------


@hook("connection")
def connection_wrapped_in_setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            super().setup()
            self.connection = Wrapped(stage, self.connection, "getpeername")

        def do_GET(self) -> None:
            answer(self, self.connection.getpeername()[0].encode())

    stage.ask(Handler)


@hook("connection")
def connection_declared_by_the_class(stage: Stage) -> None:
    class Handler(stage.Plain):
        connection = None
        request = None

        def do_GET(self) -> None:
            stage.note("do_GET", self.connection, self.request)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.connection.sendall(b"body")

    stage.ask(Handler)


@hook("connection")
def connection_to_tls_in_a_method(stage: Stage) -> None:
    """As a proxy does that looks into TLS: the handler goes on with the requests inside."""

    class Handler(stage.Plain):
        def do_CONNECT(self) -> None:
            stage.note("do_CONNECT", self.path)
            self.send_response(200, "Connection Established")
            self.end_headers()
            self.connection = theirs.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb", self.rbufsize)
            self.wfile = self.connection.makefile("wb", self.wbufsize or -1)
            self.close_connection = False

        def do_GET(self) -> None:
            stage.note("do_GET", self.path)
            super().do_GET()

        def finish(self) -> None:
            stage.note("finish")
            super().finish()
            self.connection.close()

    ours, theirs = client_context(), server_context()
    with stage.serving(Handler) as server, Client(server.server_address) as client:
        client.send(get("inside.test:443", method="CONNECT"))
        assert client.sock.recv(65536).endswith(b"\r\n\r\n")
        client.sock = ours.wrap_socket(client.sock, server_hostname="localhost")
        for target in ("/1", "/2"):
            client.send(get(target))
            stage.told += stage.replies(client, get(target))


@hook("request")
def request_wrapped_before_setup(stage: Stage) -> None:
    """As websockify swaps it."""

    class Handler(stage.Plain):
        def setup(self) -> None:
            self.request = Wrapped(stage, self.request, "makefile")
            super().setup()

        def do_GET(self) -> None:
            answer(self, type(self.request).__name__.encode())

    stage.ask(Handler)


@hook("request")
def request_wrapped_after_setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            super().setup()
            self.request = Wrapped(stage, self.request, "getpeername")

        def do_GET(self) -> None:
            answer(self, self.request.getpeername()[0].encode())

    stage.ask(Handler)


@hook("request")
def request_given_by_init(stage: Stage) -> None:
    class Handler(stage.Plain):
        def __init__(self, request: Any, *args: Any) -> None:
            super().__init__(Wrapped(stage, request, "makefile"), *args)

    stage.ask(Handler)


@hook("request")
def request_wrapped_in_a_method(stage: Stage) -> None:
    def wrap(handler: Any) -> None:
        handler.request = handler.connection = Wrapped(stage, handler.request, "sendall")

    stage.ask(replacing(stage, wrap), get("/first"), get("/second"), post(b"body"))


# -- Buffers and options of the socket ---------------------------------------------------------


@hook("timeout")
def timeout(stage: Stage) -> None:
    class Handler(stage.Plain):
        timeout = 0.1

        def do_GET(self) -> None:
            stage.note("do_GET", self.connection.gettimeout())
            super().do_GET()

    with stage.serving(Handler) as server, Client(server.server_address) as client:
        client.send(get())
        stage.told += [*stage.replies(client, get()), client.is_closed()]


@hook("rbufsize")
def rbufsize_of_nothing(stage: Stage) -> None:
    """What follows the head is still in the socket."""

    class Handler(stage.Plain):
        rbufsize = 0

        def do_GET(self) -> None:
            stage.note("do_GET", self.rfile)
            self.close_connection = True
            answer(self, self.connection.recv(100), ("Connection", "close"))

    stage.ask(Handler, get() + b"raw")


@hook("rbufsize")
def rbufsize_of_some(stage: Stage) -> None:
    class Handler(stage.Plain):
        rbufsize = 100

        def do_GET(self) -> None:
            stage.note("do_GET", self.rfile)
            super().do_GET()

    stage.ask(Handler, get(), post(b"x" * 5000), get())


def gathering(stage: Stage, size: int) -> Any:
    class Handler(stage.Plain):
        wbufsize = size

        def do_GET(self) -> None:
            stage.note("do_GET", self.wfile)
            answer(self, b"x" * 300)
            self.wfile.flush()

    return Handler


@hook("wbufsize")
def wbufsize(stage: Stage) -> None:
    for size in (-1, 0, 100, 100_000):
        stage.ask(gathering(stage, size), get(), post(b"x" * 200_000), get())


@hook("disable_nagle_algorithm")
def disable_nagle_algorithm(stage: Stage) -> None:
    class Handler(stage.Plain):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            on = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            stage.note("TCP_NODELAY", bool(on))
            super().do_GET()

    stage.ask(Handler)
