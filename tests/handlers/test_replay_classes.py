"""Which classes are answered from recordings: those of which nothing is the user's but data and its log.

Whatever else is overridden, the handler must run for every request. What changes while a server serves is
test_replay_changes.py's, what the hooks of the log see is test_replay_hooks.py's.
"""

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Running, ask, request, wait_until

import fastserve

from .replaying import TARGET, Files, hits, partial, replays

Simple: Any = fastserve.SimpleHTTPRequestHandler


def subclass(base: Any = Files, /, **attributes: Any) -> Any:
    return type("Handler", (base,), attributes)


# -- Those that are ----------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "protocol_version": "HTTP/1.0", "server_version": "Own/1", "sys_version": "", "timeout": 30,
    "extensions_map": {".txt": "text/own"}, "index_pages": ("page.html",), "default_charset": "utf-8",
    "default_content_type": "text/own", "precompressed": True, "follow_symlinks": False,
    "hide_dotfiles": True, "error_message_format": "%(code)d", "error_content_type": "text/plain",
    "responses": {200: ("Fine", "")}, "own_setting": {"any": "thing"},
}


class Tells(Simple):
    def log_message(self, *args: Any) -> None:
        pass


class TellsRequests(Simple):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass


class TellsBoth(TellsRequests, Tells):
    pass


class Ends(Files):
    """Nobody has said that it adds the same every time."""

    def end_headers(self) -> None:
        self.send_header("X-Own", "value")
        super().end_headers()


class EndsAlike(Files):
    pure_end_headers = True

    def end_headers(self) -> None:
        self.send_header("X-Own", "value")
        super().end_headers()


class MixedIn:
    pure_end_headers = True

    def end_headers(self: Any) -> None:
        self.send_header("X-Own", "value")
        super().end_headers()  # type: ignore[misc]


class Settings:
    """A mixin without any function."""

    server_version = "Own/2"
    index_pages = ["page.html"]


RIDING: dict[str, Any] = {
    "the library's": Simple,
    "a subclass of it": subclass(Simple),
    **{f"with {name}": subclass(**{name: value}) for name, value in DATA.items()},
    "with all data": subclass(**DATA),
    "with data of a mixin": type("Handler", (Settings, Files), {}),
    "log_message": Tells,
    "log_request": TellsRequests,
    "both of the log": TellsBoth,
    "pure end_headers": EndsAlike,
    "inherited pure end_headers": subclass(EndsAlike),
    "a subclass says pure": subclass(Ends, pure_end_headers=True),
    "pure by a mixin": type("Handler", (MixedIn, Files), {}),
    "pure and log_message": type("Handler", (EndsAlike, Tells), {}),
    "replay again": subclass(subclass(replay=False), replay=True),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "a list of headers": {"extra_response_headers": [("X-Own", "value")]},
    "a tuple of headers": {"extra_response_headers": (("X-Own", "value"), ("X-Own", "other"))},
    "no headers": {"extra_response_headers": None},
}


@pytest.mark.parametrize("handler", RIDING.values(), ids=RIDING)
def test_a_class_that_rides(handler: Any, one: Path, serve: Any, log: Any) -> None:
    server = serve(partial(handler, one))
    assert replays(server)
    assert len(server.recordings) > 0


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_what_a_partial_may_give(options: dict[str, Any], one: Path, serve: Any) -> None:
    assert replays(serve(partial(Files, one, **options)))


def test_partials_that_ride(one: Path, serve: Any) -> None:
    assert replays(serve(functools.partial(Files, directory=one)))
    assert replays(serve(functools.partial(partial(Files, one / "missing"), directory=str(one))))


@pytest.mark.parametrize("target", ["/file.txt", "/dir/", "/dir", "/missing", "/large", "/file.txt?query"])
@pytest.mark.parametrize("server_class", [fastserve.HTTPServer, fastserve.ThreadingHTTPServer])
def test_what_is_replayed(server_class: Any, target: str, one: Path, serve: Any) -> None:
    assert replays(serve(partial(Files, one), server_class), target)


@pytest.mark.parametrize("target", ["/", "/large", "/missing", "/new"])
def test_a_pipeline_that_leaves_the_lane(target: str, one: Path, serve: Any, client: Any) -> None:
    """On a connection that has not needed a handler yet."""
    server = serve(partial(Files, one))
    replays(server)
    for count in (1, 2, 40) * 3:
        peer = client(server)
        peer.send(request(target=TARGET) * count + request(target=target))
        assert [peer.reply().body for _ in range(count)] == [b"1" * 20] * count
        assert peer.reply().status in (200, 404)
        peer.close()


def test_the_current_folder_rides(one: Path, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(one)
    assert replays(serve(Files))


def test_the_answers_are_kept_apart_by_their_class(home: Path, serve: Any) -> None:
    """Each server has its own."""
    servers = [serve(partial(Files, home / name)) for name in ("one", "two")]
    for _ in range(3):
        bodies = [ask(server.server_address, request(target="/file.txt")).body for server in servers]
        assert bodies == [b"1" * 20, b"2" * 20]
    assert [hits(server) for server in servers] == [2, 2]


def test_the_figures(one: Path, serve: Any) -> None:
    server = serve(partial(Files, one))
    ask(server.server_address, request(target="/missing"))
    assert replays(server)
    small = server.recordings.octets
    assert 20 < small < 10_000
    assert server.recordings.descriptors == 0
    assert replays(server, "/large")
    assert server.recordings.descriptors == 1
    assert small < server.recordings.octets < small + 10_000
    assert len(server.recordings) == 3


def test_the_figures_before_and_after(one: Path) -> None:
    with fastserve.HTTPServer(("127.0.0.1", 0), partial(Files, one)) as server:
        assert server.recordings is None
        runner = Running(server)
        try:
            assert replays(server)
        finally:
            runner.stop()
        assert server.recordings.hits == 2


def test_no_recordings_are_wanted(one: Path, serve: Any) -> None:
    server = serve(partial(Files, one), type("Server", (fastserve.HTTPServer,), {"max_recordings": 0}))
    assert not replays(server)
    assert server.recordings is None


# -- Those that are not ------------------------------------------------------------------------

# All that may be called on the way to an answer, but for what the log and end_headers() are allowed.
METHODS = [
    "do_GET", "send_head", "send_file_head", "translate_path", "guess_type", "copyfile", "list_directory",
    "send_error", "send_response", "send_response_only", "send_header", "end_headers", "flush_headers",
    "version_string", "date_time_string",
    "setup", "handle", "finish", "handle_one_request", "parse_request", "handle_expect_100",
    "__init__", "__getattribute__", "__setattr__", "__new__",
]
UNUSED = {"send_file_head", "list_directory", "send_error", "handle_expect_100"}


def overriding(name: str, calls: list[str], base: Any = Files) -> Any:
    """A subclass with a method of its own that does what it did."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if name == "__new__":
            return object.__new__(self)
        return getattr(super(made, self), name)(*args, **kwargs)

    made = subclass(base, **{name: method})
    return made


@pytest.mark.parametrize("name", METHODS)
def test_an_override_is_called(name: str, one: Path, serve: Any) -> None:
    """Each time that it would be."""
    calls: list[str] = []
    server = serve(partial(overriding(name, calls), one))
    assert not replays(server)
    assert name in UNUSED or wait_until(lambda: len(calls) >= 3)  # finish() comes when the client has left


@pytest.mark.parametrize("name", METHODS)
def test_an_override_of_a_class_above(name: str, one: Path, serve: Any) -> None:
    calls: list[str] = []
    server = serve(partial(subclass(overriding(name, calls), server_version="Own"), one))
    assert not replays(server)
    assert name in UNUSED or wait_until(lambda: len(calls) >= 3)


def test_an_override_of_head(one: Path, serve: Any) -> None:
    """GET's answer is not its business, but may be."""
    calls: list[str] = []
    server = serve(partial(overriding("do_HEAD", calls), one))
    for _ in range(3):
        assert ask(server.server_address, request("HEAD", "/file.txt")).get("Content-Length") == "20"
    assert calls == ["do_HEAD"] * 3


PROPERTIES = [
    "protocol_version", "server_version", "sys_version", "index_pages", "extensions_map",
    "default_content_type", "default_charset", "precompressed", "follow_symlinks", "hide_dotfiles", "timeout",
    "responses", "error_message_format",
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_is_read_each_time(name: str, one: Path, serve: Any) -> None:
    reads: list[str] = []

    def read(self: Any) -> Any:
        reads.append(name)
        return getattr(Files, name)

    server = serve(partial(subclass(**{name: property(read)}), one))
    assert not replays(server)
    assert name in ("error_message_format", "index_pages") or len(reads) >= 3


@pytest.mark.parametrize("name", ["directory", "extra_response_headers", "path", "command", "headers",
                                  "close_connection", "requestline", "client_address", "wfile"])
def test_a_property_that_may_be_set(name: str, one: Path, serve: Any) -> None:
    """Of what a handler is given, or keeps for itself."""
    reads: list[str] = []

    class Handler(Files):
        @property
        def own(self) -> Any:
            reads.append(name)
            return self.__dict__[name]

        @own.setter
        def own(self, value: Any) -> None:
            self.__dict__[name] = value

    setattr(Handler, name, Handler.own)
    server = serve(partial(Handler, one))
    assert not replays(server)
    assert len(reads) >= 3 or name in ("client_address", "requestline")


class Slots(Files):
    __slots__ = ("directory",)


class Text(str):
    """A str that is no constant."""

    count = 0

    def __add__(self, other: str) -> str:
        Text.count += 1
        return f"{self}/{Text.count}{other}"


def test_a_server_version_that_is_no_plain_str(one: Path, serve: Any) -> None:
    server = serve(partial(subclass(server_version=Text("Own")), one))
    said = [ask(server.server_address, request(target="/file.txt")).get("Server") for _ in range(3)]
    assert len(set(said)) == 3


class Initialised(Files):
    def __init__(self, *args: Any, own: str = "", **kwargs: Any) -> None:
        self.own = own
        super().__init__(*args, **kwargs)


class Called:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: Any) -> Any:
        return Files(*args, directory=str(self.folder))


class Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)


def do_as_ever(self: Any) -> None:
    Simple.do_GET(self)


def ends_with_a_flag_beside() -> Any:
    """pure_end_headers stands in a class that knows nothing of the end_headers()."""
    says = type("Says", (), {"pure_end_headers": True})
    return type("Handler", (says, Ends), {})


DECLINING: dict[str, Any] = {
    "replay = False": subclass(replay=False),
    "inherited replay = False": subclass(subclass(replay=False)),
    "end_headers": Ends,
    "end_headers below a pure one": subclass(EndsAlike, end_headers=Files.end_headers),
    "pure below, taken back": subclass(EndsAlike, pure_end_headers=False),
    "pure beside": ends_with_a_flag_beside(),
    "log_message and do_GET": type("Handler", (Tells, subclass(do_GET=do_as_ever)), {}),
    "__init__": Initialised,
    "slots": Slots,
    "a metaclass": Meta("Handler", (Files,), {}),
    "__getattr__": subclass(__getattr__=lambda self, name: {}[name]),
    "do_GET that is no function": subclass(do_GET=functools.partialmethod(Simple.do_GET)),
}


@pytest.mark.parametrize("handler", DECLINING.values(), ids=DECLINING)
def test_a_class_that_declines(handler: Any, one: Path, serve: Any) -> None:
    server = serve(partial(handler, one))
    assert not replays(server)
    assert hits(server) == 0


def make_files(folder: Path) -> Any:
    return lambda *args: Files(*args, directory=str(folder))


MAKERS: dict[str, Callable[[Path], Any]] = {
    "a function": make_files,
    "an object": Called,
    "a partial with an argument of its own": functools.partial(partial, Initialised, own="value"),
    "a partial of a function": lambda folder: functools.partial(make_files(folder)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_makes_handlers_and_declines(make: Any, one: Path, serve: Any) -> None:
    server = serve(make(one))
    assert not replays(server)
    assert hits(server) == 0


class Taken(fastserve.HTTPServer):
    """Its connections are not the loop's."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


def test_connections_that_are_taken(one: Path, serve: Any) -> None:
    handler = subclass(protocol_version="HTTP/1.0")
    assert not replays(serve(partial(handler, one), Taken))


# -- Folders and headers that are not what they were -------------------------------------------


def bodies(server: Any, times: int = 3) -> list[bytes]:
    return [ask(server.server_address, request(target="/file.txt")).body[:1] for _ in range(times)]


def test_a_maker_that_makes_different_handlers(home: Path, serve: Any) -> None:
    """It is called for each connection, and is all that knows the folder."""
    folders = iter(["one", "two", "one", "two"])
    assert bodies(serve(lambda *args: Files(*args, directory=str(home / next(folders)))), 4) == [
        b"1", b"2", b"1", b"2"]


def test_a_finish_request_that_makes_different_handlers(home: Path, serve: Any) -> None:
    folders = iter(["one", "two", "one", "two"])

    class Server(fastserve.HTTPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            Files(request, client_address, self, directory=str(home / next(folders)))

    assert bodies(serve(partial(Files, home / "one"), Server), 4) == [b"1", b"2", b"1", b"2"]


def test_a_folder_that_names_itself_anew(home: Path, serve: Any) -> None:
    class Changing(os.PathLike):
        names = iter(["one", "two", "one", "two"])

        def __fspath__(self) -> str:
            return str(home / next(self.names))

    server = serve(functools.partial(Files, directory=Changing()))
    assert bodies(server, 4) == [b"1", b"2", b"1", b"2"]


def own_fields(server: Any, times: int = 3) -> list[str | None]:
    return [ask(server.server_address, request(target="/file.txt")).get("X-Own") for _ in range(times)]


def test_headers_that_can_be_read_once(one: Path, serve: Any) -> None:
    server = serve(partial(Files, one, extra_response_headers=iter([("X-Own", "value")])))
    assert own_fields(server) == ["value", None, None]


def test_headers_that_are_different_each_time(one: Path, serve: Any) -> None:
    class Counting:
        count = 0

        def __iter__(self) -> Iterator[tuple[str, str]]:
            self.count += 1
            yield "X-Own", str(self.count)

    server = serve(partial(Files, one, extra_response_headers=Counting()))
    assert own_fields(server) == ["1", "2", "3"]
