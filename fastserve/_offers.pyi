# What Python sees of offered connections. tests/test_imports.py holds names and parameters to it.

import socket
from typing import Any

from fastserve._conn import Connection
from fastserve._reader import RequestReader
from fastserve._writer import ResponseWriter

def open_streams(
    sock: socket.socket, block: int = 0, timeouts: object = None
) -> tuple[RequestReader, ResponseWriter]: ...
def attach(sock: socket.socket, handler: Any, rfile: object, wfile: object) -> bool: ...
def offer(conn: Connection) -> None: ...
def withdraw(conn: Connection) -> bool: ...
