"""The handler classes of the parity table and the folder they serve, made from either library's base classes.

``make_apps`` is called with http.server's classes and with fastserve's. The cases name what it returns;
test_table.py runs them. What the methods of the big handler do is in methods.py.
"""

import contextlib
import email.message
import functools
import inspect
import io
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .methods import METHODS, answer, echo, hello

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

# The last one is left out, as there is one already.
EXTRA_HEADERS = (("X-Extra", "one"), ("Cache-Control", "no-cache"), ("CONTENT-TYPE", "none"))

OWN_TYPES = {".txt": "text/x-own", "": "x/none"}

Namespace = dict[str, Any]


# -- The folder --------------------------------------------------------------------------------

FILES = {
    "hello.txt": b"hello\n",
    "empty.txt": b"",
    "page.html": b"<p>page</p>",
    "pack.tar.gz": b"gz",
    "noext": b"plain",
    "UPPER.HTML": b"upper",
    "sp ace.txt": b"space",
    "pl+us.txt": b"plus",
    "ünï.txt": b"unicode",
    "a&b<.txt": b"markup",
    "per%cent.txt": b"percent",
    "%41.txt": b"encoded",
    "back\\slash.txt": b"backslash",
    "semi;colon.txt": b"semicolon",
    "co:lon.txt": b"colon",
    "ha#sh.txt": b"hash",
    "~user": b"tilde",
    ".hidden": b"hidden",
    "medium.bin": bytes(range(256)) * 280,
    "large.bin": bytes(range(256)) * 8000,
    "index/index.html": b"the index",
    "htm/index.htm": b"the other index",
    "both/index.html": b"the index",
    "both/index.htm": b"the other index",
    "indexdir/index.html/x": b"x",
    "own/start.html": b"an index of the class's own",
    "list/b.txt": b"b",
    "list/A.txt": b"A",
    "list/q?.txt": b"q",
    "list/deep/file.txt": b"deep",
    "list/<i>&amp;.txt": b"markup",
    "list/\"quo'tes\".txt": b"quotes",
    "list/ünï % +.txt": b"odd",
    "dir.txt/x": b"x",
    "sp ace dir/x": b"x",
    "dïr/x": b"x",
    "<b>/x": b"x",
    "octets/plain": b"plain",
    **{f"a.{extension}": extension.encode()
       for extension in ("js", "css", "json", "tgz", "svgz", "Z", "bz2", "xz", "unknown")},
}


def make_folder(path: Path) -> Path:
    """The folder that the file handlers serve, below ``path``, which has a file that is none of it."""
    (path / "outside.txt").write_bytes(b"outside")
    path = path / "served"
    for name, content in FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (path / "list" / "empty").mkdir()
    (path / "list" / "link").symlink_to("b.txt")
    (path / "list" / "dirlink").symlink_to("deep")
    (path / "list" / "broken").symlink_to("nowhere")
    (path / "list" / "outside").symlink_to(path.parent / "outside.txt")
    with contextlib.suppress(OSError):  # a file system that takes no such name: nobody has it then
        (path / "octets" / os.fsdecode(b"\xff\xfe.txt")).write_bytes(b"no UTF-8")
    (path / "special").mkdir()
    os.mkfifo(path / "special" / "fifo")
    for file in path.rglob("*"):
        os.utime(file, (MTIME, MTIME), follow_symlinks=False)
    return path


# -- Overrides, as people write them -----------------------------------------------------------


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


def sloppy_head(self: Any) -> None:
    """HEAD as if it were GET."""
    answer(self, b"a body")


def fail(self: Any) -> None:
    self.send_error(int(self.path[1:]))


def fail_with_surrogate(self: Any) -> None:
    """A file name that is no UTF-8, in an explanation."""
    self.send_error(404, explain=os.fsdecode(b"no file \xff"))


def json_error(self: Any, code: int, message: str | None = None, explain: str | None = None) -> None:
    body = f'{{"code": {int(code)}, "message": "{message}"}}'.encode()
    self.send_response(code, message)
    self.send_header("Content-Type", "application/json")
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    if self.command != "HEAD":
        self.wfile.write(body)


def rewrite_request(self: Any) -> bool:
    """A prefix taken off the path, as behind a proxy."""
    good: bool = super(type(self), self).parse_request()
    if good:
        self.path = self.path.removeprefix("/prefix")
    return good


def handle_once(self: Any) -> None:
    """As wsgiref handles a connection."""
    self.raw_requestline = self.rfile.readline(65537)
    if len(self.raw_requestline) > 65536:
        self.requestline = self.request_version = self.command = ""
        self.send_error(414)
    elif self.parse_request():
        hello(self)


def send_made_up_head(self: Any) -> Any:
    """A page that no file has, as a file object of its own."""
    if self.path != "/made-up":
        return super(type(self), self).send_head()
    self.send_response(200)
    self.send_header("Content-Length", "7")
    self.end_headers()
    return io.BytesIO(b"made up")


def list_nothing(self: Any, path: str) -> None:
    self.send_error(403, "No listing")


def list_names(self: Any, path: str) -> io.BytesIO:
    names = "\n".join(sorted(os.listdir(path))).encode("utf-8", "surrogateescape")
    self.send_response(200)
    self.send_header("Content-Length", str(len(names)))
    self.end_headers()
    return io.BytesIO(names)


def translate_below_list(self: Any, path: str) -> str:
    name: str = super(type(self), self).translate_path("/list" + path)
    return name


def guess_always(self: Any, path: str) -> str:
    return "text/x-guessed"


def copy_upper(self: Any, source: Any, outputfile: Any) -> None:
    outputfile.write(source.read().upper())


def copy_grown(self: Any, source: Any, outputfile: Any) -> None:
    """The file grows when its head has been sent."""
    with changed(source, b"hello\nand more"):
        super(type(self), self).copyfile(source, outputfile)


def copy_shrunk(self: Any, source: Any, outputfile: Any) -> None:
    with changed(source, b"he"):
        super(type(self), self).copyfile(source, outputfile)


@contextlib.contextmanager
def changed(file: Any, content: bytes) -> Iterator[None]:
    """Other content for the length of a block."""
    path = Path(file.name)
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, (MTIME, MTIME))


def page_or_file(self: Any) -> None:
    """Some paths are pages, the others files."""
    if self.path == "/page":
        answer(self, b"a page")
    else:
        super(type(self), self).do_GET()


def recorded(base: Any, calls: list[str], names: list[str]) -> Namespace:
    """Overrides that note their name and call the base's."""

    def override(name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return getattr(base, name)(self, *args, **kwargs)

        return method

    return {name: override(name) for name in names if hasattr(base, name)}


def noted_log(calls: list[str]) -> Namespace:
    """A log of the class's own."""

    def log_message(self: Any, format: str, *args: Any) -> None:
        calls.append(format % args)

    return {"log_message": log_message}


# -- All of them -------------------------------------------------------------------------------


def make_apps(base: Any, simple: Any, folder: Path, calls: list[str]) -> dict[str, Any]:
    """All handlers by name, made of BaseHTTPRequestHandler and SimpleHTTPRequestHandler."""
    return {**base_apps(base, calls), **file_apps(simple, folder, calls)}


def of(parent: Any, **namespace: Any) -> Any:
    return type("Handler", (parent,), namespace)


def base_apps(base: Any, calls: list[str]) -> dict[str, Any]:
    plain = of(base, do_GET=hello, do_HEAD=hello, do_POST=echo, **METHODS)
    plain11 = of(plain, protocol_version="HTTP/1.1")
    return {
        "bare": of(base, protocol_version="HTTP/1.1"),
        "plain": plain,
        "plain11": plain11,
        "sloppy": of(plain11, do_HEAD=sloppy_head),
        "failing": of(plain11, do_HEAD=fail),
        "surrogate": of(plain11, do_GET=fail_with_surrogate),
        "recorded": of(plain11, **recorded(plain11, calls, HOOKS)),
        "life": of(plain11, **recorded(plain11, calls, ["setup", "handle", "handle_one_request", "finish"])),
        "driven life": of(plain11, **recorded(plain11, calls, ["setup", "handle_one_request", "finish"])),
        "once": of(plain11, handle=handle_once),
        "cors": of(plain11, end_headers=end_headers_with_cors),
        "named": of(
            plain11,
            server_version="Mine/2",
            sys_version="",
            date_time_string=lambda self, timestamp=None: "today",
        ),
        "named late": of(plain11, server_version=property(lambda self: f"Mine{self.path}")),
        "branded": of(plain11, version_string=lambda self: "Brand"),
        "own page": of(
            plain11,
            error_message_format="%(code)d|%(message)s|%(explain)s",
            error_content_type="text/plain",
        ),
        "own errors": of(plain11, send_error=json_error),
        "own responses": of(plain11, responses={200: ("Fine", "really"), 404: ("Gone fishing", "no fish")}),
        "own log": of(plain11, **noted_log(calls)),
        "anonymous": of(plain11, address_string=lambda self: "somebody"),
        "picky": of(plain11, handle_expect_100=refuse_expectation),
        "prefixed": of(plain11, parse_request=rewrite_request),
        "any": of(base, protocol_version="HTTP/1.1", __getattr__=any_method),
        "buffered": of(plain11, wbufsize=-1),
        "unbuffered": of(plain11, rbufsize=0),
        "message": of(plain11, MessageClass=email.message.Message),
        "version 1.1 by default": of(plain11, default_request_version="HTTP/1.1"),
    }


def file_apps(simple: Any, folder: Path, calls: list[str]) -> dict[str, Any]:
    def served(handler: Any, **options: Any) -> Any:
        return functools.partial(handler, directory=folder, **options)

    files11 = of(simple, protocol_version="HTTP/1.1")
    # http.server before 3.15 does not know the option.
    knows = "extra_response_headers" in inspect.signature(simple).parameters
    extra: Namespace = {"extra_response_headers": EXTRA_HEADERS} if knows else {}
    return {
        "files": served(simple),
        "files11": served(files11),
        "files with their own types": served(of(files11, extensions_map=OWN_TYPES)),
        "files of one type": served(of(files11, guess_type=guess_always)),
        "files of a default type": served(of(files11, default_content_type="x/default")),
        "files with extra headers": served(files11, **extra),
        "files with cors": served(of(files11, end_headers=end_headers_with_cors)),
        "files with their own index": served(of(files11, index_pages=("start.html",))),
        "files without index": served(of(files11, index_pages=())),
        "files without listings": served(of(files11, list_directory=list_nothing)),
        "files with their own listings": served(of(files11, list_directory=list_names)),
        "files below list": served(of(files11, translate_path=translate_below_list)),
        "files in upper case": served(of(files11, copyfile=copy_upper)),
        "files that grow": served(of(files11, copyfile=copy_grown)),
        "files that shrink": served(of(files11, copyfile=copy_shrunk)),
        "files and one made up": served(of(files11, send_head=send_made_up_head)),
        "files and a page": served(of(files11, do_GET=page_or_file)),
        "recorded files": served(of(simple, **recorded(simple, calls, HOOKS))),
    }
