"""What the tests of handlers share: handlers without a connection, a quiet file handler, its requests."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from helpers import request

from fastserve import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from fastserve.handlers.conditions import is_weak
from fastserve.handlers.representations import entity_tag


class Bare(BaseHTTPRequestHandler):
    """A handler without a connection, as tests and recipes make them."""

    def __init__(self, data: bytes = b"") -> None:
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.client_address = ("192.0.2.1", 5)
        self.requestline = "GET /path HTTP/1.1"
        self.request_version = "HTTP/1.1"
        self.command = "GET"

    def written(self) -> bytes:
        return self.wfile.getvalue()


class WriteOnly:
    """The least that a wfile must have."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.writes.append(bytes(data))
        return len(data)


class Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass


def get(target: str, *fields: str) -> bytes:
    return request("GET", target, *fields)


def head(target: str, *fields: str) -> bytes:
    return request("HEAD", target, *fields)


def handler_for(directory: Any) -> Files:
    """A handler without a connection."""
    handler = Files.__new__(Files)
    handler.directory = os.fspath(directory)
    return handler


@contextlib.contextmanager
def refusing(is_meant: Callable[[str], bool], error: type[OSError] = PermissionError) -> Iterator[None]:
    """While this is so nothing is opened whose name is meant."""
    open_file = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if is_meant(str(path)):
            raise error(path)
        return open_file(path, *args, **kwargs)

    with mock.patch("os.open", refuse):
        yield


def settle(path: Path) -> None:
    """Wait until a file's entity tag stays as it is."""
    while is_weak(entity_tag(path.stat(), time.time_ns())):
        time.sleep(0.005)
