"""What a subclass may override, and the stage on which each override is shown: the names, and what is seen.

A hook's case is a function of one of the tables, the ..._hooks.py files. It makes its classes from the bases
that the stage gives it, of http.server or of fastserve, serves, and sends requests. What the overrides note,
what the client gets and what is logged is what test_hooks.py compares.

NAMES is the whole list: test_hooks.py sees that every name has a case, and no case another name.
"""

import contextlib
import functools
import http.server
import io
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from helpers import Client, Reply, Running, request

import fastserve

from .apps import echo, hello
from .observe import DATE, OUR_TAG, SERVER, is_still_open, mask, read_replies, stderr_as

NAMES = {
    "server": [
        "process_request", "finish_request", "get_request", "verify_request", "shutdown_request",
        "close_request", "handle_error", "handle_timeout", "service_actions", "server_bind",
        "server_activate", "process_request_thread", "server mixin before", "server mixin after",
        "hooks on the server instance", "hooks on the server class",
    ],
    "life": [
        "handle_request()", "serve_forever() and shutdown()", "port 0", "IPv6", "unix socket", "fileno()",
        "_handle_request_noblock()", "context manager", "bind_and_activate=False",
        "_BaseServer__shutdown_request",
    ],
    "handler": [
        "setup", "handle", "finish", "handle_one_request", "parse_request", "send_error", "send_response",
        "send_response_only", "send_header", "end_headers", "flush_headers", "log_request", "log_error",
        "log_message", "translate_path", "send_head", "list_directory", "copyfile", "guess_type",
        "version_string", "date_time_string", "log_date_time_string", "address_string", "handle_expect_100",
        "__getattr__", "hooks on the handler instance", "hooks on the handler class",
    ],
    "stream": [
        "functools.partial", "function", "attributes before super().__init__()", "handler mixin before",
        "handler mixin after", "rfile", "wfile", "connection", "request", "timeout", "rbufsize", "wbufsize",
        "disable_nagle_algorithm",
    ],
    "attribute": [
        "server_version", "protocol_version", "_headers_buffer", "MessageClass", "responses",
        "error_message_format", "monthname", "weekdayname", "extensions_map", "index_pages", "directory",
    ],
}

LOCAL = ("127.0.0.1", 0)
LIBRARIES: dict[str, Any] = {"http.server": http.server, "fastserve": fastserve}
KINDS = {"HTTPServer": "HTTPServer", "threads": "ThreadingHTTPServer"}

LOG_TIME = re.compile(r"\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4} \d\d:\d\d:\d\d")


class Pairing(NamedTuple):
    """Whose server runs whose handler: keys of LIBRARIES."""

    server: str
    handler: str


ORACLE = Pairing("http.server", "http.server")


class Shown(NamedTuple):
    """What the overrides noted, what the client saw, and what was logged."""

    calls: tuple[str, ...]
    told: tuple[Any, ...]
    log: tuple[str, ...]


# -- The table ---------------------------------------------------------------------------------


Case = Callable[["Stage"], None]


@dataclass(frozen=True)
class Hook:
    """One case, and where fastserve means to differ.

    Where ``differs`` says so of a pairing and a kind, by the row of differences.py whose key is ``row``,
    fastserve shows ``change`` of what http.server shows of ``instead``, by default of the same case.
    """

    name: str
    case: Case
    kinds: tuple[str, ...]
    row: str = ""
    differs: Callable[[Pairing, str], bool] = lambda pairing, kind: False
    change: Callable[[Shown], Shown] = lambda shown: shown
    instead: Case | None = None


HOOKS: list[Hook] = []


def hook(name: str, *kinds: str, **difference: Any) -> Callable[[Any], Any]:
    """Enter a case under a name of NAMES; it runs on the server classes of ``kinds``, by default on all."""

    def enter(case: Any) -> Any:
        HOOKS.append(Hook(name, case, kinds or tuple(KINDS), **difference))
        return case

    return enter


def our_handler(pairing: Pairing, kind: str) -> bool:
    return pairing.handler == "fastserve"


def our_server(pairing: Pairing, kind: str) -> bool:
    return pairing.server == "fastserve"


def our_loop(pairing: Pairing, kind: str) -> bool:
    """Where a handler of ours is driven."""
    return our_handler(pairing, kind) and our_server(pairing, kind)


# -- The stage ---------------------------------------------------------------------------------


def shape(value: Any) -> str:
    """An argument in a form in which two runs can be compared: ports, dates and classes are their own."""
    if isinstance(value, str):
        if OUR_TAG.fullmatch(value):
            return "TAG"
        return repr(SERVER.sub(r"\1 PYTHON", DATE.sub("DATE", value)))
    if isinstance(value, (bool, int, float, bytes, list, dict, type(None))):
        return repr(value)
    if isinstance(value, tuple):
        items = ("PORT" if type(item) is int and item > 1023 else shape(item) for item in value)
        return f"({', '.join(items)})"
    if isinstance(value, socket.socket):
        return "socket"
    for kind in (io.BytesIO, io.BufferedIOBase, io.RawIOBase):
        if isinstance(value, kind):
            return kind.__name__
    return type(value).__name__


class Stage:
    """One pairing and kind of server: the bases to subclass, and what is to be seen of a case."""

    def __init__(self, pairing: Pairing, kind: str, folder: Path) -> None:
        server, handler = LIBRARIES[pairing.server], LIBRARIES[pairing.handler]
        self.folder = folder
        self.calls: list[str] = []
        self.told: list[Any] = []
        # Threads that server_close() waits for: then all that is to be noted has been.
        namespace = {"daemon_threads": False, "handle_error": self._note_error}
        self.Server: Any = type("Server", (getattr(server, KINDS[kind]),), namespace)
        methods = {"do_GET": hello, "do_HEAD": hello, "do_POST": echo}
        # The library's own page is another one in each version of Python.
        common = {"protocol_version": "HTTP/1.1", "error_message_format": "%(code)d %(message)s %(explain)s"}
        self.Bare: Any = handler.BaseHTTPRequestHandler
        self.Plain: Any = type("Plain", (self.Bare,), {**common, **methods})
        self.Files: Any = type("Files", (handler.SimpleHTTPRequestHandler,), common)

    def _note_error(self, request: Any, client_address: Any) -> None:
        self.note("handle_error", repr(sys.exc_info()[1]))

    def note(self, name: str, *args: Any, **kwargs: Any) -> None:
        """An override was called so."""
        words = [*map(shape, args), *(f"{key}={shape(value)}" for key, value in kwargs.items())]
        self.calls.append(f"{name}({', '.join(words)})")

    def noted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """A function that notes its call and makes it."""

        def noting(*args: Any, **kwargs: Any) -> Any:
            self.note(name, *args, **kwargs)
            return call(*args, **kwargs)

        return noting

    @contextlib.contextmanager
    def serving(self, handler: Any, server: Any = None) -> Iterator[Any]:
        """A server that runs for the length of a block."""
        made = (server or self.Server)(LOCAL, handler)
        runner = Running(made, poll_interval=0.005)  # which http.server's shutdown() waits for
        try:
            yield made
        finally:
            runner.stop()

    def talk(self, address: Any, *requests: bytes) -> None:
        """Send requests one after the other, on one connection, and see whether it stays."""
        with Client(address) as client:
            for data in requests:
                client.send(data)
                self.told += self.replies(client, data)
            self.told.append("stays" if is_still_open(client) else "ends")

    def replies(self, client: Client, data: bytes) -> list[Reply]:
        """What there is to one request, interim answers first; an answer that breaks off is told as such."""
        try:
            return [mask(reply) for reply in read_replies(client, [data.split(b" ", 1)[0].decode()])]
        except EOFError as error:
            return [Reply("cut off", [], str(error).encode())]

    def ask(self, handler: Any, *requests: bytes, server: Any = None) -> None:
        """Serve with these classes, and talk: by default a GET and a POST with a body."""
        with self.serving(handler, server) as made:
            self.talk(made.server_address, *(requests or (get("/path"), post(b"body"))))

    def ask_files(self, handler: Any, *requests: bytes) -> None:
        """The same with a handler that serves the folder: by default a file and a listing."""
        self.ask(self.of_folder(handler), *(requests or (get("/hello.txt"), get("/list/deep/"))))

    def of_folder(self, handler: Any) -> Any:
        return functools.partial(handler, directory=str(self.folder))


def breaking(stage: Stage) -> Any:
    """A handler whose do_GET() raises."""

    class Breaking(stage.Plain):
        def do_GET(self) -> None:
            stage.note("do_GET")
            raise KeyError("broken")

        def finish(self) -> None:
            stage.note("finish")
            super().finish()

    return Breaking


def get(target: str = "/path", *fields: str, method: str = "GET") -> bytes:
    return request(method, target, *fields)


def post(body: bytes, *fields: str) -> bytes:
    return request("POST", "/", *fields, body=body)


def show(case: Case, pairing: Pairing, kind: str, folder: Path) -> Shown:
    """Run a case and return what there was to see."""
    stage = Stage(pairing, kind, folder)
    log = io.StringIO()
    with stderr_as(log):
        case(stage)
    lines = (LOG_TIME.sub("TIME", line) for line in log.getvalue().splitlines())
    return Shown(tuple(stage.calls), tuple(stage.told), tuple(lines))
