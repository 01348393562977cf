"""What programs do to a class, a server or the process while it serves: the next answer must show it.

Also where answers came from recordings before. All of it holds without any lane.
"""

import contextlib
import functools
import io
import mimetypes
import socketserver
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import Client, ask, request, wait_until

import fastserve

from .replaying import TARGET, Files, hits, partial

Base: Any = fastserve.BaseHTTPRequestHandler
Simple: Any = fastserve.SimpleHTTPRequestHandler


class Warm:
    """A server that has answered three times, from a recording where it may, and the connection for it."""

    def __init__(self, server: Any, connect: Callable[[Any], Client], target: str = TARGET) -> None:
        self.server, self.target = server, target
        self.handler: Any = None
        self._connect = connect
        self._client: Client | None = None
        for _ in range(3):
            self.again()
        self.hits = hits(server)

    @property
    def client(self) -> Client:
        """Connected again where the last answer was one's last."""
        self._client = self._client or self._connect(self.server)
        return self._client

    def again(self) -> Any:
        """On the same connection, while it lasts."""
        reply = self.client.ask(request(target=self.target))
        if reply.get("Connection") == "close" or reply.line.startswith("HTTP/1.0"):
            self._client = None
        return reply

    def anew(self) -> Any:
        """On a new one."""
        return ask(self.server.server_address, request(target=self.target))

    def was_replayed(self) -> bool:
        """Whether anything was since it was made; forgets it."""
        before, self.hits = self.hits, hits(self.server)
        return self.hits > before


@pytest.fixture
def warm(one: Path, serve: Any, client: Any) -> Callable[..., Warm]:
    """A function ``warm(base, target, server_class, **options)``, which makes a class of its own."""

    def make(base: Any = Files, target: str = TARGET, server_class: Any = fastserve.HTTPServer, /,
             **options: Any) -> Warm:
        handler = type("Handler", (base,), {})
        server = serve(partial(handler, one, **options), server_class)
        made = Warm(server, client, target)
        made.handler = handler
        return made

    return make


def test_without_a_change(warm: Any) -> None:
    """Else the tests below show nothing of the lane."""
    made = warm()
    assert made.hits == 2
    made.again()
    made.anew()
    assert hits(made.server) == 4


# -- Functions ---------------------------------------------------------------------------------

# Where they are defined, and whether they are called for every answer with a file.
EACH_TIME = {
    "do_GET": Simple, "send_head": Simple, "translate_path": Simple, "guess_type": Simple, "copyfile": Simple,
    "send_response": Base, "send_response_only": Base, "send_header": Base, "end_headers": Base,
    "flush_headers": Base, "version_string": Base, "date_time_string": Base, "handle_one_request": Base,
    "parse_request": Base, "log_request": Base, "log_message": Base,
}
EACH_CONNECTION: dict[str, Any] = {
    "__init__": Simple, "setup": Base, "finish": Base, "handle": Base,
    # of the standard library
    "socketserver setup": socketserver.StreamRequestHandler,
    "socketserver finish": socketserver.StreamRequestHandler,
}
# With a log.
PLAIN = type("Plain", (Simple,), {"protocol_version": "HTTP/1.1"})


def counting(owner: Any, name: str, calls: list[str]) -> Any:
    """What it was, and counted."""
    own = getattr(owner, name)

    @functools.wraps(own)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return own(self, *args, **kwargs)

    return method


@pytest.mark.parametrize("name", EACH_TIME)
@pytest.mark.parametrize("where", ["library", "class", "base"])
def test_a_function_that_is_patched_in(name: str, where: str, warm: Any, log: Any) -> None:
    """On the library's class, on the user's own, or on one that stands between."""
    made = warm(PLAIN)
    owner = {"library": EACH_TIME[name], "class": made.handler, "base": PLAIN}[where]
    calls: list[str] = []
    # finish() of a connection before this one may come late; what counts are the requests from here on.
    with mock.patch.object(owner, name, counting(EACH_TIME[name], name, calls)):
        for count in range(1, 4):
            assert made.again().body == b"1" * 20
            assert len(calls) >= count
        assert made.anew().body == b"1" * 20
        assert len(calls) >= 4
        if name not in ("log_request", "log_message"):
            assert not made.was_replayed()
    assert made.again().body == b"1" * 20


@pytest.mark.parametrize("name", EACH_CONNECTION)
def test_a_function_of_a_connection_that_is_patched_in(name: str, warm: Any) -> None:
    made = warm()
    made.client.close()  # it may have had no handler yet, and then one whose handle() has all of it
    owner, method = EACH_CONNECTION[name], name.rpartition(" ")[2]
    calls: list[str] = []
    with mock.patch.object(owner, method, counting(owner, method, calls)):
        for count in range(1, 4):
            assert made.anew().body == b"1" * 20
            assert wait_until(lambda count=count: calls.count(method) >= count)
        assert not made.was_replayed()
    made.client.close()  # else a handle() that was patched in goes on with it
    assert made.anew().body == b"1" * 20


def test_a_function_that_is_not_on_the_way(warm: Any) -> None:
    """It might be soon, so it does not matter what it is."""
    made = warm()
    with mock.patch.object(Simple, "list_directory", counting(Simple, "list_directory", [])):
        assert made.again().body == b"1" * 20
        assert not made.was_replayed()


def test_a_method_that_comes_back(warm: Any) -> None:
    made = warm()
    with mock.patch.object(Simple, "send_head", counting(Simple, "send_head", [])):
        made.again()
    for _ in range(4):
        assert made.again().body == b"1" * 20
    assert made.anew().body == b"1" * 20


def test_a_class_that_is_put_between(warm: Any) -> None:
    class Between(Files):
        def version_string(self) -> str:
            return "between"

    made = warm()
    made.handler.__bases__ = (Between,)
    assert made.again().get("Server") == "between"
    assert made.anew().get("Server") == "between"


def test_a_property_that_is_put_in(warm: Any) -> None:
    made = warm()
    versions = iter("abcd")
    made.handler.server_version = property(lambda self: next(versions))
    said = [made.again().get("Server").partition(" ")[0] for _ in range(3)]
    assert [*said, made.anew().get("Server").partition(" ")[0]] == list("abcd")


def test_replay_that_is_switched_off(warm: Any) -> None:
    made = warm()
    made.handler.replay = False
    made.again()
    made.anew()
    assert not made.was_replayed()


def test_end_headers_that_is_not_pure_any_more(warm: Any) -> None:
    class Adding(Files):
        pure_end_headers = True
        count = 0

        def end_headers(self) -> None:
            Adding.count += 1
            super().end_headers()

    made = warm(Adding)
    Adding.pure_end_headers = False
    before = Adding.count
    made.again()
    made.anew()
    assert Adding.count == before + 2
    assert not made.was_replayed()


# -- Data --------------------------------------------------------------------------------------

# A target, an attribute, another value of it, and what shows it.
DATA: dict[str, tuple[str, Any, Callable[[Any], Any], Any]] = {
    "server_version": (TARGET, "Own/1", lambda reply: reply.get("Server").split(" ")[0], "Own/1"),
    "sys_version": (TARGET, "Own", lambda reply: reply.get("Server").split(" ")[1], "Own"),
    "protocol_version": (TARGET, "HTTP/1.0", lambda reply: reply.line[:8], "HTTP/1.0"),
    "extensions_map": (TARGET, {".txt": "x/own"}, lambda reply: reply.get("Content-Type"), "x/own"),
    "default_content_type": ("/large", "x/own", lambda reply: reply.get("Content-Type"), "x/own"),
    "default_charset": (TARGET, "own", lambda reply: reply.get("Content-Type"), "text/plain; charset=own"),
    "index_pages": ("/dir/", (), lambda reply: b"Directory listing" in reply.body, True),
    "error_message_format": ("/missing", "own", lambda reply: reply.body, b"own"),
    "error_content_type": ("/missing", "x/own", lambda reply: reply.get("Content-Type"), "x/own"),
    "responses": (TARGET, {200: ("Fine", "")}, lambda reply: reply.line, "HTTP/1.1 200 Fine"),
    "precompressed": (TARGET, True, lambda reply: reply.get("Vary"), "Accept-Encoding"),
}


@pytest.mark.parametrize("where", ["class", "library"])
@pytest.mark.parametrize("name", DATA)
def test_data_that_is_assigned(name: str, where: str, warm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target, value, show, expected = DATA[name]
    made = warm(Files, target)
    owner = made.handler if where == "class" or name == "protocol_version" else Simple
    monkeypatch.setattr(owner, name, value)
    assert show(made.again()) == expected
    assert show(made.anew()) == expected
    monkeypatch.undo()
    assert show(made.anew()) != expected


def own_tables() -> Any:
    """A class with tables that may be changed."""
    tables = {"extensions_map": {".txt": "x/first"}, "index_pages": ["index.html"],
              "responses": {200: ("First", "")}}
    return type("Own", (Files,), tables)


def test_a_table_of_types_that_is_edited(warm: Any) -> None:
    tables = own_tables()
    made = warm(tables)
    tables.extensions_map[".txt"] = "x/second"
    assert wait_until(lambda: made.again().get("Content-Type") == "x/second")
    assert made.anew().get("Content-Type") == "x/second"


def test_the_index_pages_that_are_edited(warm: Any) -> None:
    tables = own_tables()
    made = warm(tables, "/dir/")
    tables.index_pages.clear()
    assert wait_until(lambda: b"Directory listing" in made.again().body)
    assert b"Directory listing" in made.anew().body


def test_a_table_of_words_that_is_edited(warm: Any) -> None:
    tables = own_tables()
    made = warm(tables)
    tables.responses[200] = ("Second", "")
    assert wait_until(lambda: made.again().line == "HTTP/1.1 200 Second")
    assert made.anew().line == "HTTP/1.1 200 Second"


def test_headers_of_a_partial_that_are_edited(warm: Any) -> None:
    fields = [("X-Own", "first")]
    made = warm(Files, TARGET, extra_response_headers=fields)
    fields[0] = ("X-Own", "second")
    assert wait_until(lambda: made.again().get("X-Own") == "second")
    assert made.anew().get("X-Own") == "second"


def test_a_partial_that_is_edited(home: Path, serve: Any) -> None:
    """Its keywords are a dict that anybody may change."""
    make = partial(Files, home / "one")
    server = serve(make)
    ask(server.server_address, request(target=TARGET))
    ask(server.server_address, request(target=TARGET))
    make.keywords["directory"] = str(home / "two")
    assert wait_until(lambda: ask(server.server_address, request(target=TARGET)).body == b"2" * 20)


def test_a_type_that_is_added_to_the_system_s(warm: Any) -> None:
    made = warm(Files, "/data.own")
    assert made.again().get("Content-Type") == "application/octet-stream"
    mimetypes.add_type("x/added", ".own")
    try:
        assert wait_until(lambda: made.again().get("Content-Type") == "x/added")
        assert made.anew().get("Content-Type") == "x/added"
    finally:
        del mimetypes.types_map[".own"]


# -- The server and the process ----------------------------------------------------------------


def test_another_handler_for_a_server(home: Path, warm: Any) -> None:
    """For the connections that come from then on."""
    made = warm()
    made.server.RequestHandlerClass = partial(Files, home / "two")
    assert wait_until(lambda: made.anew().body == b"2" * 20)
    for _ in range(3):
        assert made.anew().body == b"2" * 20


def test_a_hook_of_the_server_that_is_patched_in(home: Path, warm: Any) -> None:
    made = warm()

    def finish_request(request: Any, client_address: Any) -> None:
        Files(request, client_address, made.server, directory=str(home / "two"))

    made.server.finish_request = finish_request
    assert wait_until(lambda: made.anew().body == b"2" * 20)
    for _ in range(3):
        assert made.anew().body == b"2" * 20


def test_a_verify_request_that_is_patched_in(warm: Any) -> None:
    made = warm()
    made.server.verify_request = lambda request, client_address: False

    def is_refused() -> bool:
        with Client(made.server.server_address) as client:
            client.send(request(target=TARGET))
            return client.reply() is None

    assert wait_until(is_refused)


def test_another_current_folder(home: Path, serve: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a handler looks up when its connection begins."""
    monkeypatch.chdir(home / "one")
    server = serve(Files)
    made = Warm(server, client)
    monkeypatch.chdir(home / "two")
    assert wait_until(lambda: made.anew().body == b"2" * 20)
    for _ in range(3):
        assert made.anew().body == b"2" * 20


def test_a_folder_named_from_the_current_one(
    home: Path, serve: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is looked up for every file."""
    monkeypatch.chdir(home / "one")
    server = serve(functools.partial(Files, directory="."))
    made = Warm(server, client)
    monkeypatch.chdir(home / "two")
    assert made.again().body == b"2" * 20
    assert made.anew().body == b"2" * 20
    monkeypatch.chdir(home / "one")
    assert made.again().body == b"1" * 20


def test_a_folder_that_is_a_link(home: Path, serve: Any, client: Any) -> None:
    link = home / "link"
    link.symlink_to("one")
    server = serve(partial(Files, link))
    made = Warm(server, client)
    for name, body in (("two", b"2" * 20), ("one", b"1" * 20), ("two", b"2" * 20)):
        (home / "next").symlink_to(name)
        (home / "next").rename(link)
        assert made.again().body == body
        assert made.anew().body == body


@contextlib.contextmanager
def stderr(stream: Any) -> Iterator[None]:
    with mock.patch.object(sys, "stderr", stream):
        yield


def test_another_stderr(warm: Any) -> None:
    """Where the log is written from then on."""
    made = warm(PLAIN)
    for _ in range(2):
        lines = io.StringIO()
        with stderr(lines):
            made.again()
            made.anew()
            assert wait_until(lambda lines=lines: lines.getvalue().count("\n") == 2)
        assert lines.getvalue().count('"GET /file.txt HTTP/1.1" 200 -\n') == 2


@pytest.mark.parametrize("kind", ["closed", "none"])
def test_a_log_that_cannot_be_written(kind: str, warm: Any) -> None:
    """A handler raises then, as http.server's, and a lane may have answered already; the server goes on."""
    made = warm(PLAIN)
    made.server.handle_error = lambda *args: None
    closed = io.StringIO()
    closed.close()
    with stderr(closed if kind == "closed" else None):
        made.client.send(request(target=TARGET))
        reply = made.client.reply()
        assert reply is None or reply.body == b"1" * 20
    for _ in range(3):
        assert made.anew().body == b"1" * 20
