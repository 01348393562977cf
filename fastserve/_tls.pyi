# What Python sees of the compiled layer: what ssl.SSLSocket asks of its _sslobj.

import ssl
from typing import Any, final

from _typeshed import ReadableBuffer, WriteableBuffer

OP_ENABLE_KTLS: int

@final
class Layer:
    context: ssl.SSLContext
    session: ssl.SSLSession | None
    unwrapped: bool

    def __new__(
        cls, sock: ssl.SSLSocket, inner: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> Layer: ...
    def read(self, size: int = 1024, buffer: WriteableBuffer | None = None) -> Any: ...
    def write(self, data: ReadableBuffer) -> int: ...
    def do_handshake(self) -> None: ...
    def shutdown(self) -> ssl.SSLSocket: ...
    def __getattr__(self, name: str) -> Any: ...

def kernel_encrypts(sock: ssl.SSLSocket) -> bool: ...
