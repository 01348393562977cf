"""Fixtures for every test that needs a server: started in a thread, stopped, and nothing left behind."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, Running, nothing_left_behind

import fastserve


class QuietMixin:
    """Logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


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


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What servers write to sys.stderr, also from other threads."""
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to serve, apart from anything else that a test writes."""
    path = tmp_path / "served"
    path.mkdir()
    return path
