# What Python sees of the compiled channel: that there is one. tests/test_imports.py holds names to it.

import socket
from typing import final

from fastserve._deadlines import Deadlines

@final
class Descriptor: ...
@final
class Piece: ...

@final
class Channel:
    def __new__(
        cls, sock: socket.socket | None, deadlines: Deadlines | None = None, fd: int = -1
    ) -> Channel: ...
