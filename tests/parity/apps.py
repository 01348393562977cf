"""The handler classes of the parity table, written once and made from either library's base classes.

They are what people write for http.server. ``make_apps`` is called with http.server's classes and with
fastserve's; cases.py names the results, test_table.py runs them.
"""

import email.message
import functools
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

# A time in the past for all files, so that Last-Modified is the same for every host: 2001-09-09.
MTIME = 1_000_000_000

# What may be called for a response, and around requests. handle() is not here: to override it changes how
# a connection travels, which cases of their own look at.
HOOKS = [
    "handle_one_request", "parse_request", "handle_expect_100", "do_GET", "do_HEAD",
    "send_head", "translate_path", "guess_type", "list_directory", "copyfile",
    "send_error", "send_response", "send_response_only", "send_header", "end_headers", "flush_headers",
    "version_string", "date_time_string",
    "log_request", "log_error", "log_message", "address_string", "log_date_time_string",
]

Namespace = dict[str, Any]


def make_folder(path: Path) -> Path:
    """The folder that the file handlers serve."""
    files = {
        "hello.txt": b"hello\n",
        "empty.txt": b"",
        "page.html": b"<p>page</p>",
        "pack.tar.gz": b"gz",
        "noext": b"plain",
        "UPPER.HTML": b"upper",
        "sp ace.txt": b"space",
        "ünï.txt": b"unicode",
        "a&b<.txt": b"markup",
        "per%cent.txt": b"percent",
        "back\\slash.txt": b"backslash",
        ".hidden": b"hidden",
        "medium.bin": bytes(range(256)) * 280,
        "large.bin": bytes(range(256)) * 8000,
        "index/index.html": b"the index",
        "htm/index.htm": b"the other index",
        "list/b.txt": b"b",
        "list/A.txt": b"A",
        "list/q?.txt": b"q",
        "list/deep/file.txt": b"deep",
        "list/<i>&amp;.txt": b"markup",
        "list/\"quo'tes\".txt": b"quotes",
        "list/ünï % +.txt": b"odd",
        "dir.txt/x": b"x",
    }
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (path / "list" / "link").symlink_to("b.txt")
    (path / "list" / "dirlink").symlink_to("deep")
    (path / "list" / "broken").symlink_to("nowhere")
    for file in path.rglob("*"):
        os.utime(file, (MTIME, MTIME), follow_symlinks=False)
    return path


def hello(self: Any) -> None:
    body = b"hello " + self.path.encode("latin-1")
    self.send_response(200)
    self.send_header("Content-Type", "text/plain")
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    if self.command != "HEAD":
        self.wfile.write(body)


def echo(self: Any) -> None:
    body = self.rfile.read(int(self.headers["Content-Length"]))
    self.send_response(201, "Echoed")
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)


def answer(self: Any, body: bytes, *headers: tuple[str, Any]) -> None:
    self.send_response(200)
    for name, value in headers:
        self.send_header(name, value)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)


# -- What the methods of one big handler do; each is a case's ----------------------------------


def do_FIELDS(self: Any) -> None:
    """What a handler sees of the request."""
    seen = [self.command, self.path, self.request_version, self.requestline, repr(self.raw_requestline)]
    seen += [f"{name}={value!r}" for name, value in self.headers.items()]
    seen += [str(self.close_connection), self.headers.get_content_type(), str(len(self.headers))]
    answer(self, "\n".join(seen).encode("utf-8"))


def do_MANY(self: Any) -> None:
    headers = [("X-One", "1"), ("x-one", "2"), ("X-Int", 3), ("X-Latin", "D\xe4ngerous"), ("X-Empty", "")]
    answer(self, b"x", *headers)


def do_ENDLESS(self: Any) -> None:
    self.send_response(200)
    self.end_headers()
    self.wfile.write(b"until the end")


def do_CHUNKED(self: Any) -> None:
    self.send_response(200)
    self.send_header("Transfer-Encoding", "chunked")
    self.end_headers()
    self.wfile.writelines([b"3\r\nabc\r\n", b"0\r\n\r\n"])


def do_SHORT(self: Any) -> None:
    self.send_response(200)
    self.send_header("Content-Length", "10")
    self.end_headers()
    self.wfile.write(b"12345")


def do_LONG(self: Any) -> None:
    self.send_response(200)
    self.send_header("Content-Length", "2")
    self.end_headers()
    self.wfile.write(b"12345")


def do_ONLY(self: Any) -> None:
    self.send_response_only(200)
    self.send_header("Content-Length", "0")
    self.end_headers()


def do_STATUS(self: Any) -> None:
    self.send_response(int(self.path[1:]))
    self.send_header("Content-Length", "0")
    self.end_headers()


def do_BARE(self: Any) -> None:
    """A status alone, as 204 and 304 are sent."""
    self.send_response(int(self.path[1:]))
    self.end_headers()


def do_ERROR(self: Any) -> None:
    self.send_error(int(self.path[1:]))


def do_WORDS(self: Any) -> None:
    self.send_error(418, "Short & <bold>", "Long\nand > explained")


def do_HINTS(self: Any) -> None:
    self.send_response_only(103, "Early Hints")
    self.send_header("Link", "</style.css>")
    self.end_headers()
    hello(self)


def do_REORDER(self: Any) -> None:
    """Code that edits the buffered head, as some do to drop or reorder headers."""
    self.send_response(200)
    self.send_header("X-Last", "1")
    self.send_header("Content-Length", "2")
    self._headers_buffer[:] = [line for line in self._headers_buffer if not line.startswith(b"Date")]
    self._headers_buffer.insert(1, b"X-First: 0\r\n")
    self.end_headers()
    self.wfile.write(b"ok")


def do_PIECES(self: Any) -> None:
    """A head flushed in two parts, and a body in three."""
    self.send_response(200)
    self.flush_headers()
    self.send_header("Content-Length", "6")
    self.end_headers()
    for piece in (b"12", bytearray(b"34"), memoryview(b"56")):
        self.wfile.write(piece)
        self.wfile.flush()


def do_EARLY(self: Any) -> None:
    """A head that is flushed before it ends, and has no length."""
    self.send_response(200)
    self.flush_headers()
    self.end_headers()
    self.wfile.write(b"until the end")


def do_BYHAND(self: Any) -> None:
    """A head whose end is written like a body."""
    self.send_response(200)
    self.send_header("Content-Length", "2")
    self.flush_headers()
    self.wfile.write(b"\r\nok")


def do_CLOSE(self: Any) -> None:
    self.close_connection = True
    answer(self, b"bye")


def do_SAYCLOSE(self: Any) -> None:
    answer(self, b"bye", ("Connection", "Close"))


def do_SAYKEEP(self: Any) -> None:
    answer(self, b"stay", ("Connection", "keep-alive"))


def do_IGNORE(self: Any) -> None:
    """A handler that does not read the body it is sent."""
    answer(self, b"ignored")


def do_LOG(self: Any) -> None:
    self.log_message("plain %s %d%%", "\x1b[31m\\ \x7f\x9f", 5)
    self.log_error("an error, %r", "text")
    self.log_request(HTTPStatus.OK, 12)
    self.log_request()
    answer(self, b"logged")


def do_RAISE(self: Any) -> None:
    raise KeyError("from the handler")


def do_LATE(self: Any) -> None:
    self.send_response(200)
    self.send_header("Content-Length", "4")
    self.end_headers()
    self.wfile.write(b"late")
    raise KeyError("after the answer")


def do_STATE(self: Any) -> None:
    """State on self lives as long as the connection."""
    self.count = getattr(self, "count", 0) + 1
    answer(self, str(self.count).encode())


def end_headers_with_cors(self: Any) -> None:
    self.send_header("Access-Control-Allow-Origin", "*")
    super(type(self), self).end_headers()


def refuse_expectation(self: Any) -> bool:
    self.send_error(HTTPStatus.EXPECTATION_FAILED)
    return False


def any_method(self: Any, name: str) -> Any:
    """As werkzeug answers every do_* method."""
    if name.startswith("do_"):
        return functools.partial(answer, self, name.encode())
    raise AttributeError(name)


METHODS: Namespace = {name: value for name, value in list(globals().items()) if name.startswith("do_")}


def recorded(base: Any, calls: list[str], names: list[str]) -> Namespace:
    """Overrides that note their name and call the base's."""

    def override(name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return getattr(base, name)(self, *args, **kwargs)

        return method

    return {name: override(name) for name in names if hasattr(base, name)}


def make_apps(base: Any, simple: Any, folder: Path, calls: list[str]) -> dict[str, Any]:
    """All handlers by name, made of BaseHTTPRequestHandler and SimpleHTTPRequestHandler."""

    own_types = {".txt": "text/x-own", "": "x/none"}

    def of(parent: Any, **namespace: Any) -> Any:
        return type("Handler", (parent,), namespace)

    served = functools.partial(functools.partial, directory=str(folder))
    plain = of(base, do_GET=hello, do_HEAD=hello, do_POST=echo, **METHODS)
    plain11 = of(plain, protocol_version="HTTP/1.1")
    files11 = of(simple, protocol_version="HTTP/1.1")
    return {
        "files": served(simple),
        "files11": served(files11),
        "files with their own types": served(of(files11, extensions_map=own_types)),
        "recorded files": served(of(simple, **recorded(simple, calls, HOOKS))),
        "plain": plain,
        "plain11": plain11,
        "recorded": of(plain11, **recorded(plain11, calls, HOOKS)),
        "life": of(plain11, **recorded(plain11, calls, ["setup", "handle", "handle_one_request", "finish"])),
        "driven life": of(plain11, **recorded(plain11, calls, ["setup", "handle_one_request", "finish"])),
        "cors": of(plain11, end_headers=end_headers_with_cors),
        "named": of(
            plain11,
            server_version="Mine/2",
            sys_version="",
            date_time_string=lambda self, timestamp=None: "today",
        ),
        "branded": of(plain11, version_string=lambda self: "Brand"),
        "own page": of(
            plain11,
            error_message_format="%(code)s|%(message)s|%(explain)s",
            error_content_type="text/plain",
        ),
        "own responses": of(plain11, responses={200: ("Fine", "really"), 404: ("Gone fishing", "no fish")}),
        "picky": of(plain11, handle_expect_100=refuse_expectation),
        "any": of(base, protocol_version="HTTP/1.1", __getattr__=any_method),
        "buffered": of(plain11, wbufsize=-1),
        "unbuffered": of(plain11, rbufsize=0),
        "message": of(plain11, MessageClass=email.message.Message),
        "version 1.1 by default": of(plain11, default_request_version="HTTP/1.1"),
    }
