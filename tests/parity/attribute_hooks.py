"""What a handler class says by its attributes: names, versions, dates, pages, headers, files.

hooks.py has the stage and the names, test_hooks.py runs the cases.
"""

import email.message
import http.client
import sys
from typing import Any

from .apps import answer
from .hooks import Shown, Stage, get, hook, our_handler

# -- What is said ------------------------------------------------------------------------------


@hook("server_version")
def server_version_as_a_property(stage: Stage) -> None:
    """As werkzeug has it."""

    class Handler(stage.Plain):
        @property
        def server_version(self) -> str:
            stage.note("server_version")
            return f"Mine/{self.command}"

    stage.ask(Handler)


@hook("server_version")
def server_version_and_sys_version(stage: Stage) -> None:
    class Handler(stage.Plain):
        server_version = "Mine/2"
        sys_version = "Of/3"

        def version_string(self) -> str:
            stage.note("version_string", super().version_string())
            return super().version_string()

    stage.ask(Handler)


@hook("protocol_version")
def protocol_version_of_two_classes(stage: Stage) -> None:
    for version in ("HTTP/1.0", "HTTP/1.1"):

        class Handler(stage.Plain):
            protocol_version = version

            def do_GET(self) -> None:
                stage.note("do_GET", self.close_connection)
                super().do_GET()

        stage.ask(Handler, get())


@hook("_headers_buffer")
def headers_buffer_filtered(stage: Stage) -> None:
    """As people drop the Server header."""

    class Handler(stage.Plain):
        def end_headers(self) -> None:
            names = [line.partition(b":")[0] for line in self._headers_buffer]
            stage.note("end_headers", names[1:])
            self._headers_buffer = [line for line in self._headers_buffer if not line.startswith(b"Server:")]
            super().end_headers()

    stage.ask(Handler)


@hook("_headers_buffer")
def headers_buffer_edited_in_place(stage: Stage) -> None:
    class Handler(stage.Plain):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("X-Last", "1")
            stage.note("do_GET", len(self._headers_buffer), self._headers_buffer.pop(1)[:7])
            self._headers_buffer.insert(1, b"X-First: 0\r\n")
            self._headers_buffer[-1] = b"X-Length: none\r\n"
            self._headers_buffer += [b"Content-Length: 2\r\n"]
            self.send_header("X-Behind", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    stage.ask(Handler, get(), get())


@hook("_headers_buffer")
def headers_buffer_begun_anew(stage: Stage) -> None:
    """An answer that is taken back before it has left."""

    class Handler(stage.Plain):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("X-Forgotten", "1")
            stage.note("do_GET", len(self._headers_buffer))
            self._headers_buffer = []
            self.send_error(404)

    stage.ask(Handler, get())


@hook("_headers_buffer")
def headers_buffer_ended_by_hand(stage: Stage) -> None:
    """As an end_headers() that somebody copied from http.server has it."""

    class Handler(stage.Plain):
        def end_headers(self) -> None:
            stage.note("end_headers", len(self._headers_buffer))
            self._headers_buffer.append(b"X-Hand: 1\r\n\r\n")
            self.flush_headers()

    stage.ask(Handler)


@hook("_headers_buffer")
def headers_buffer_deleted(stage: Stage) -> None:
    class Handler(stage.Plain):
        def do_GET(self) -> None:
            self.send_response(200)
            del self._headers_buffer
            self.send_response_only(202)
            stage.note("do_GET", self._headers_buffer)
            self.send_header("Content-Length", "0")
            self.end_headers()

    stage.ask(Handler, get())


@hook("MessageClass")
def message_class(stage: Stage) -> None:
    class Mine(http.client.HTTPMessage):
        def mine(self) -> str:
            return f"mine {self['X-Name']}"

    for kind in (email.message.Message, Mine):

        class Handler(stage.Plain):
            MessageClass = kind

            def do_GET(self) -> None:
                stage.note("do_GET", type(self.headers).__name__, self.headers.items())
                answer(self, getattr(self.headers, "mine", str)().encode())

        stage.ask(Handler, get("/", "X-Name: value"), get("/", "X-Name: other", "x-name: second"))


@hook("responses")
def responses(stage: Stage) -> None:
    class Handler(stage.Plain):
        responses = {200: ("Fine", "really"), 404: ("Gone fishing", "no fish")}

        def do_GET(self) -> None:
            stage.note("do_GET", self.responses[200])
            super().do_GET()

        def do_HEAD(self) -> None:
            self.send_error(404 if self.path == "/known" else 418)

    stage.ask(Handler, get(), get("/known", method="HEAD"))
    stage.ask(Handler, get("/unknown", method="HEAD"))


@hook("responses")
def responses_that_know_any_code(stage: Stage) -> None:
    class Known(dict[int, Any]):
        def __missing__(self, code: int) -> Any:
            stage.note("__missing__", code)
            return f"Code {code}", "made up"

    class Handler(stage.Plain):
        responses = Known()

        def do_GET(self) -> None:
            self.send_error(499)

    stage.ask(Handler, get())


@hook("error_message_format")
def error_message_format(stage: Stage) -> None:
    class Handler(stage.Files):
        error_message_format = "<%(code)d|%(message)s|%(explain)s>"
        error_content_type = "text/mine"

        def send_error(self, *args: Any) -> None:
            stage.note("send_error", *args)
            super().send_error(*args)

    stage.ask_files(Handler, get("/nothing"))
    stage.ask_files(Handler, get("/<&>", method="BREW"))


@hook("monthname")
def monthname(stage: Stage) -> None:
    """The log has it; dates of HTTP are by email.utils."""

    class Handler(stage.Plain):
        monthname = [None, *["Moon"] * 12]

        def log_date_time_string(self) -> str:
            stage.note("log_date_time_string", super().log_date_time_string()[2:8])
            return super().log_date_time_string()[2:8]

        def do_GET(self) -> None:
            answer(self, self.date_time_string(86400 * 40).encode())

    stage.ask(Handler)


@hook("weekdayname")
def weekdayname(stage: Stage) -> None:
    """Nothing has it."""

    class Handler(stage.Plain):
        weekdayname = ["day"] * 7

        def do_GET(self) -> None:
            stage.note("do_GET", self.weekdayname[0])
            answer(self, self.date_time_string(86400 * 40).encode())

    stage.ask(Handler)


# -- Files -------------------------------------------------------------------------------------


@hook("extensions_map")
def extensions_map(stage: Stage) -> None:
    class Handler(stage.Files):
        extensions_map = {".txt": "text/mine", "": "x/none", ".HTML": "text/loud"}

        def guess_type(self, path: Any) -> str:
            stage.note("guess_type", super().guess_type(path))
            return super().guess_type(path)

    stage.ask_files(Handler, get("/hello.txt"), get("/noext"), get("/UPPER.HTML"), get("/page.html"))


@hook("extensions_map")
def extensions_map_copied_and_extended(stage: Stage) -> None:
    """As the manual's readers do it."""

    class Handler(stage.Files):
        extensions_map = {**stage.Files.extensions_map, ".bin": "x/bin"}

        def do_GET(self) -> None:
            stage.note("do_GET", sorted(self._encodings_map_default))
            super().do_GET()

    stage.ask_files(Handler, get("/medium.bin"), get("/pack.tar.gz"))


def as_an_index(shown: Shown) -> Shown:
    """For the listing the file that was asked for next."""
    _, file, *rest = shown.told
    return shown._replace(told=(file, file, *rest), calls=shown.calls[1:])


@hook("index_pages", row="extra-headers", change=as_an_index,
      differs=lambda pairing, kind: our_handler(pairing, kind) and sys.version_info < (3, 12))
def index_pages(stage: Stage) -> None:
    class Handler(stage.Files):
        index_pages = ("none.html", "b.txt")

        def list_directory(self, path: str) -> Any:
            stage.note("list_directory", path[-6:])
            return super().list_directory(path)

    stage.ask_files(Handler, get("/list/"), get("/list/b.txt"), get("/list/deep/"))


@hook("directory")
def directory(stage: Stage) -> None:
    """By the constructor, by setup() and between two requests."""

    class Handler(stage.Files):
        def setup(self) -> None:
            super().setup()
            stage.note("setup", self.directory == str(stage.folder))
            self.directory += "/list"

        def do_GET(self) -> None:
            super().do_GET()
            self.directory += "/deep"

    stage.ask_files(Handler, get("/b.txt"), get("/file.txt"))


@hook("directory")
def directory_of_an_object(stage: Stage) -> None:
    class Handler(stage.Files):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=stage.folder)

        def do_GET(self) -> None:
            stage.note("do_GET", self.directory == str(stage.folder))
            super().do_GET()

    stage.ask(Handler, get("/hello.txt"))
