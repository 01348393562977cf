"""Fixtures for every test that needs a server: started in a thread, stopped, and nothing left behind.

And how hypothesis tries examples.
"""

import contextlib
import signal
import socketserver
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cgi_scripts import ScriptFolder
from helpers import Client, Running, log_messages, nothing_left_behind
from hypothesis import settings
from pairs import Ends

import fastserve

# The same examples in every run of one tree: a failure can be looked at again, and no run is slower than
# another. Hypothesis also tries constants that it finds in imported modules, so any change brings new ones.
settings.register_profile("fastserve", deadline=None, derandomize=True, database=None, max_examples=500)
settings.load_profile("fastserve")


class TCPServer(socketserver.TCPServer):
    """As a program uses a handler class with the standard library alone."""

    allow_reuse_address = True


# Who runs the tests under nohup ignores SIGHUP, and so would all the servers that they start.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where a handler class must work.
HOSTS: dict[str, Any] = {
    "loop": fastserve.HTTPServer,
    "threads": fastserve.ThreadingHTTPServer,
    "socketserver": TCPServer,
}


@pytest.fixture(params=HOSTS.values(), ids=HOSTS.keys())
def host(request: pytest.FixtureRequest) -> Any:
    """A server class; a test that asks for it runs on each."""
    return request.param


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """A function ``serve(handler, server_class=HTTPServer, address=('127.0.0.1', 0), **options)``.

    It returns the running server; ``server_class`` may be any callable that makes one. At the end all of
    them are shut down; a thread or a descriptor that is left is an error.
    """
    with nothing_left_behind(), contextlib.ExitStack() as stack:

        def start(
            handler: Any,
            server_class: Any = fastserve.HTTPServer,
            address: Any = ("127.0.0.1", 0),
            **options: Any,
        ) -> Any:
            server = server_class(address, handler, **options)
            stack.callback(Running(server).stop)
            return server

        yield start


@pytest.fixture
def client(serve: Any) -> Iterator[Callable[[Any], Client]]:
    """A function ``client(server)`` that connects; all clients are closed before the servers stop."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(Client(getattr(server, "server_address", server)))


class Log:
    """What has been written to sys.stderr, by any thread."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._text = ""

    def text(self) -> str:
        self._text += self._capture.readouterr().err
        return self._text

    def messages(self) -> list[str]:
        """The lines, which must all be of the log, without their address and time."""
        return log_messages(self.text())


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to serve, apart from anything else that a test writes."""
    path = tmp_path / "served"
    path.mkdir()
    return path


@pytest.fixture
def scripts() -> Iterator[ScriptFolder]:
    """A folder to serve with CGI scripts. No process may be left of them."""
    with tempfile.TemporaryDirectory() as path:
        folder = ScriptFolder(Path(path))
        yield folder
        folder.check_nothing_runs()


@pytest.fixture(params=["unix", "tcp", "records"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """rfile and wfile over a pair of sockets, without a server."""
    with Ends(request.param) as ends:
        yield ends


@pytest.fixture
def records() -> Iterator[Ends]:
    """A pair on which every send() is met by one recv()."""
    with Ends("records") as ends:
        yield ends
