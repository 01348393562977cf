"""The methods of a handler class: each overridden alone, noted, and with an outcome of its own.

hooks.py has the stage and the names, test_hooks.py runs the cases.
"""

import functools
import io
import os
from http import HTTPStatus
from typing import Any
from unittest import mock

from .apps import HOOKS as METHODS
from .apps import answer
from .hooks import Shown, Stage, breaking, get, hook, our_handler, post

EXPECTING = post(b"body", "Expect: 100-continue")


# -- A connection ------------------------------------------------------------------------------


@hook("setup")
def setup(stage: Stage) -> None:
    class Handler(stage.Plain):
        def setup(self) -> None:
            stage.note("setup", self.request, self.client_address, hasattr(self, "rfile"))
            super().setup()
            stage.note("setup", self.connection is self.request, self.rfile.closed, self.wfile.closed)
            self.count = 0

        def do_GET(self) -> None:
            self.count += 1
            answer(self, b"%d" % self.count)

    stage.ask(Handler, get(), get())


@hook("handle")
def handle(stage: Stage) -> None:
    class Handler(stage.Plain):
        def handle(self) -> None:
            stage.note("handle", self.connection.gettimeout())
            super().handle()
            stage.note("handle", self.close_connection, self.raw_requestline)

    stage.ask(Handler)


@hook("handle")
def handle_of_its_own(stage: Stage) -> None:
    """As wsgiref has it: one request, read by hand."""

    class Handler(stage.Plain):
        def handle(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            stage.note("handle", self.raw_requestline)
            if self.parse_request():
                answer(self, self.headers["X-Name"].encode(), ("Connection", "close"))

    stage.ask(Handler, get("/", "X-Name: value"))


@hook("finish")
def finish(stage: Stage) -> None:
    class Handler(stage.Plain):
        def finish(self) -> None:
            stage.note("finish", self.requestline, self.wfile.closed)
            super().finish()
            stage.note("finish", self.rfile.closed, self.wfile.closed, self.connection.fileno() > 0)

    stage.ask(Handler)


@hook("finish")
def finish_after_an_exception(stage: Stage) -> None:
    """First finish(), then handle_error()."""
    stage.ask(breaking(stage), get())


# -- A request ---------------------------------------------------------------------------------


@hook("handle_one_request")
def handle_one_request(stage: Stage) -> None:
    class Handler(stage.Plain):
        def handle_one_request(self) -> None:
            stage.note("handle_one_request")
            super().handle_one_request()
            stage.note("handle_one_request", self.raw_requestline, self.close_connection)

    stage.ask(Handler)


@hook("handle_one_request")
def handle_one_request_of_its_own(stage: Stage) -> None:
    """As the manual describes it."""

    class Handler(stage.Plain):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            stage.note("handle_one_request", self.raw_requestline)
            self.close_connection = not self.raw_requestline
            if self.raw_requestline and self.parse_request():
                getattr(self, f"do_{self.command}", functools.partial(answer, self, b"any"))()
                self.wfile.flush()

    stage.ask(Handler)


@hook("parse_request")
def parse_request(stage: Stage) -> None:
    class Handler(stage.Plain):
        def parse_request(self) -> bool:
            stage.note("parse_request", self.raw_requestline)
            good = super().parse_request()
            stage.note("parse_request", good, self.command, self.path, self.close_connection)
            self.path = self.path.upper()
            return good

    stage.ask(Handler)


@hook("parse_request")
def parse_request_of_its_own(stage: Stage) -> None:
    """Reading the head by itself."""

    class Handler(stage.Plain):
        def parse_request(self) -> bool:
            self.requestline = self.raw_requestline.decode().rstrip()
            self.command, self.path, self.request_version = self.requestline.split()
            lines = list(iter(self.rfile.readline, b"\r\n"))
            stage.note("parse_request", lines)
            self.headers = {"Content-Length": str(sum(map(len, lines)))}
            self.close_connection = False
            return True

        def do_GET(self) -> None:
            answer(self, self.headers["Content-Length"].encode())

    stage.ask(Handler, get("/1"), get("/2", "X-Name: value"))


@hook("parse_request")
def parse_request_that_refuses(stage: Stage) -> None:
    class Handler(stage.Plain):
        def parse_request(self) -> bool:
            if super().parse_request() and "X-Key" in self.headers:
                return True
            self.send_error(401)
            stage.note("parse_request", self.close_connection)
            return False

    stage.ask(Handler, get("/", "X-Key: 1"), get("/"))


@hook("handle_expect_100")
def handle_expect_100(stage: Stage) -> None:
    class Handler(stage.Plain):
        def handle_expect_100(self) -> bool:
            stage.note("handle_expect_100", self.command, self.headers["Expect"])
            return super().handle_expect_100()

    stage.ask(Handler, EXPECTING, get())


@hook("handle_expect_100")
def handle_expect_100_refuses(stage: Stage) -> None:
    class Handler(stage.Plain):
        def handle_expect_100(self) -> bool:
            self.send_error(HTTPStatus.EXPECTATION_FAILED)
            stage.note("handle_expect_100", self.close_connection)
            return False

    stage.ask(Handler, get(), get("/", "Expect: 100-continue"))


@hook("__getattr__")
def getattr_answers_for_methods(stage: Stage) -> None:
    """As werkzeug has it."""

    class Handler(stage.Bare):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("do_"):
                raise AttributeError(name)
            return functools.partial(self.run, name)

        def run(self, name: str) -> None:
            stage.note("run", name)
            answer(self, name.encode())

    stage.ask(Handler, get(), get(method="MKCOL"), get(method="M-SEARCH"))


# -- A response --------------------------------------------------------------------------------


@hook("send_error")
def send_error(stage: Stage) -> None:
    class Handler(stage.Plain):
        def send_error(self, code: int, message: Any = None, explain: Any = None) -> None:
            stage.note("send_error", code, message, explain)
            super().send_error(code, f"{message}!", explain)

    stage.ask(Handler, get(method="BREW"))


@hook("send_error")
def send_error_takes_less(stage: Stage) -> None:
    """And answers with no page, on a connection that stays."""

    class Handler(stage.Files):
        def send_error(self, code: int, message: Any = None) -> None:
            stage.note("send_error", code, message)
            self.send_response(code, message)
            self.send_header("Content-Length", "0")
            self.end_headers()

    stage.ask_files(Handler, get("/nothing"), get("/nowhere/", method="HEAD"), get(method="BREW"))


@hook("send_response")
def send_response(stage: Stage) -> None:
    class Handler(stage.Files):
        def send_response(self, code: int, message: Any = None) -> None:
            stage.note("send_response", code, message)
            super().send_response(code, message or "Hooked")
            self.send_header("X-Hooked", "1")

    stage.ask_files(Handler, get("/hello.txt"), get("/list"), get("/list/"), get("/nothing"))


@hook("send_response_only")
def send_response_only(stage: Stage) -> None:
    class Handler(stage.Plain):
        def send_response_only(self, code: int, message: Any = None) -> None:
            stage.note("send_response_only", code, message)
            super().send_response_only(code, "Hooked")

    stage.ask(Handler, get(), EXPECTING)


def says_more(shown: Shown) -> Shown:
    """An ETag and Accept-Ranges."""
    more = "send_header('ETag', TAG)", "send_header('Accept-Ranges', 'bytes')"
    at = shown.calls.index("send_header('Last-Modified', 'DATE')")
    return shown._replace(calls=(*shown.calls[:at], *more, *shown.calls[at:]))


@hook("send_header", row="validators", differs=our_handler, change=says_more)
def send_header(stage: Stage) -> None:
    class Handler(stage.Files):
        def send_header(self, keyword: str, value: str) -> None:
            stage.note("send_header", keyword, "PAGE" if keyword == "Content-Length" else value)
            super().send_header(keyword, "text/hooked" if keyword.lower() == "content-type" else value)

    stage.ask_files(Handler, get("/hello.txt"), get("/list"), get("/nothing"))


@hook("end_headers")
def end_headers(stage: Stage) -> None:
    """The most common override: a header for every answer."""

    class Handler(stage.Files):
        def end_headers(self) -> None:
            stage.note("end_headers", self.path)
            self.send_header("Access-Control-Allow-Origin", "*")
            super().end_headers()

    stage.ask_files(Handler, get("/hello.txt"), get("/list"), get("/list/"), get("/nothing"))


@hook("flush_headers")
def flush_headers(stage: Stage) -> None:
    class Handler(stage.Plain):
        def flush_headers(self) -> None:
            stage.note("flush_headers", [line[:6] for line in self._headers_buffer])
            super().flush_headers()
            stage.note("flush_headers", self._headers_buffer)

    stage.ask(Handler)


@hook("version_string")
def version_string(stage: Stage) -> None:
    class Handler(stage.Plain):
        def version_string(self) -> str:
            stage.note("version_string", super().version_string())
            return "Hooked/1"

    stage.ask(Handler)


@hook("date_time_string")
def date_time_string(stage: Stage) -> None:
    class Handler(stage.Files):
        def date_time_string(self, timestamp: Any = None) -> str:
            stage.note("date_time_string", timestamp, super().date_time_string(timestamp))
            return super().date_time_string(0)

    stage.ask_files(Handler, get("/hello.txt"), get("/list/"))


# -- The log -----------------------------------------------------------------------------------


@hook("log_request")
def log_request(stage: Stage) -> None:
    class Handler(stage.Plain):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            stage.note("log_request", code, size, self.requestline)
            super().log_request(code, 7)

    stage.ask(Handler)


@hook("log_error")
def log_error(stage: Stage) -> None:
    class Handler(stage.Plain):
        def log_error(self, format: str, *args: Any) -> None:
            stage.note("log_error", format, *args)
            super().log_error("hooked " + format, *args)

    stage.ask(Handler, get(method="BREW"))


@hook("log_message")
def log_message(stage: Stage) -> None:
    class Handler(stage.Plain):
        def log_message(self, format: str, *args: Any) -> None:
            stage.note("log_message", format, *args)
            super().log_message("hooked " + format, *args)

    stage.ask(Handler)


@hook("log_message")
def log_message_that_is_silent(stage: Stage) -> None:
    class Handler(stage.Plain):
        def log_message(self, *args: Any) -> None:
            stage.note("log_message")

    stage.ask(Handler)


@hook("log_date_time_string")
def log_date_time_string(stage: Stage) -> None:
    class Handler(stage.Plain):
        def log_date_time_string(self) -> str:
            stage.note("log_date_time_string", len(super().log_date_time_string()))
            return "a day"

    stage.ask(Handler)


@hook("address_string")
def address_string(stage: Stage) -> None:
    class Handler(stage.Plain):
        def address_string(self) -> str:
            stage.note("address_string", super().address_string())
            return "somebody"

    stage.ask(Handler)


# -- Files -------------------------------------------------------------------------------------


@hook("translate_path")
def translate_path(stage: Stage) -> None:
    class Handler(stage.Files):
        def translate_path(self, path: str) -> str:
            name = super().translate_path(path)
            stage.note("translate_path", path, os.path.relpath(name, stage.folder), name[-1])
            return name + ".txt" if path == "/hello" else name

    stage.ask_files(Handler, get("/hello"), get("/list/deep/"), get("/list?x"), get("/nothing#y"))


@hook("send_head")
def send_head(stage: Stage) -> None:
    class Handler(stage.Files):
        def send_head(self) -> Any:
            file = super().send_head()
            stage.note("send_head", file is None, file and file.read(2))
            return file

    stage.ask_files(Handler, get("/hello.txt", method="HEAD"), get("/list"), get("/list/", method="HEAD"))


@hook("send_head")
def send_head_of_its_own(stage: Stage) -> None:
    """Whatever it returns is copied and closed."""

    class Page(io.BytesIO):
        def close(self) -> None:
            stage.note("close", self.closed)
            super().close()

    class Handler(stage.Files):
        def send_head(self) -> Any:
            stage.note("send_head", self.command)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            return Page(b"page")

    stage.ask_files(Handler, get(), get(method="HEAD"), get())


@hook("list_directory")
def list_directory(stage: Stage) -> None:
    class Handler(stage.Files):
        def list_directory(self, path: str) -> Any:
            stage.note("list_directory", os.path.relpath(path, stage.folder), path[-1])
            page = super().list_directory(path)
            stage.note("list_directory", page, page.tell())
            return page

    stage.ask_files(Handler, get("/list/"), get("/index/"), get("/list/", method="HEAD"))


@hook("list_directory")
def list_directory_is_forbidden(stage: Stage) -> None:
    class Handler(stage.Files):
        def list_directory(self, path: str) -> None:
            stage.note("list_directory")
            self.send_error(403, "No listing")

    stage.ask_files(Handler, get("/hello.txt"), get("/list/"))


def unbuffered(shown: Shown) -> Shown:
    return shown._replace(calls=tuple(call.replace("BufferedIOBase", "RawIOBase") for call in shown.calls))


@hook("copyfile", row="raw-files", change=unbuffered, differs=our_handler)
def copyfile(stage: Stage) -> None:
    class Handler(stage.Files):
        def copyfile(self, source: Any, outputfile: Any) -> None:
            stage.note("copyfile", source, outputfile is self.wfile, source.tell())
            super().copyfile(source, outputfile)

    stage.ask_files(Handler, get("/hello.txt"), get("/list/"), get("/medium.bin"))


@hook("copyfile")
def copyfile_of_its_own(stage: Stage) -> None:
    class Handler(stage.Files):
        def copyfile(self, source: Any, outputfile: Any) -> None:
            stage.note("copyfile", isinstance(source.name, str), source.fileno() > 0)
            while data := source.read(4096):
                outputfile.write(data[::-1])

    stage.ask_files(Handler, get("/hello.txt"), get("/medium.bin"))


@hook("guess_type")
def guess_type(stage: Stage) -> None:
    class Handler(stage.Files):
        def guess_type(self, path: Any) -> str:
            stage.note("guess_type", os.path.relpath(path, stage.folder), super().guess_type(path))
            return "text/hooked"

    stage.ask_files(Handler, get("/hello.txt"), get("/index/"), get("/list/"), get("/nothing"))


# -- Hooks that come while a connection is open ------------------------------------------------


def kept(stage: Stage, handler: Any, patch: Any) -> None:
    """Two requests on one connection, the second with a patch in place that the first has made."""

    class Handler(handler):
        def do_GET(self) -> None:
            super().do_GET()
            if self.path == "/first":
                patch(self)

    stage.ask(Handler, get("/first"), get("/patched"), EXPECTING)


@hook("hooks on the handler instance")
def each_on_the_handler_instance(stage: Stage) -> None:
    for name in set_on_instances(stage):

        def replace(handler: Any, name: str = name) -> None:
            setattr(handler, name, stage.noted(name, getattr(handler, name)))

        kept(stage, stage.Plain, replace)


@hook("hooks on the handler instance")
def each_on_the_handler_instance_in_setup(stage: Stage) -> None:
    for name in [*set_on_instances(stage), "handle", "finish"]:

        class Handler(stage.Plain):
            def setup(self, name: str = name) -> None:
                super().setup()
                setattr(self, name, stage.noted(name, getattr(self, name)))

        stage.ask(Handler)


def set_on_instances(stage: Stage) -> list[str]:
    return [name for name in METHODS if hasattr(stage.Plain, name)]


@hook("hooks on the handler class")
def each_on_the_handler_class(stage: Stage) -> None:
    """On the library's class, as tests patch it."""
    for name in [*set_on_instances(stage), "setup", "handle", "finish"]:
        owner = next(base for base in stage.Plain.__mro__ if name in vars(base))
        before = vars(owner)[name]

        def noting(self: Any, *args: Any, name: str = name, before: Any = before) -> Any:
            stage.note(name, *args)
            return before(self, *args)

        with mock.patch.object(owner, name, noting):
            stage.ask(stage.Plain, get("/patched"), EXPECTING)


@hook("hooks on the handler class")
def each_on_the_handler_class_between_requests(stage: Stage) -> None:
    for name in set_on_instances(stage):
        owner = next(base for base in stage.Plain.__mro__ if name in vars(base))
        patch = mock.patch.object(owner, name, autospec=True, side_effect=vars(owner)[name])

        def begin(self: Any, patch: Any = patch) -> None:
            patch.start()

        try:
            kept(stage, stage.Plain, begin)
            stage.note(name, getattr(owner, name).call_count)
        finally:
            patch.stop()
