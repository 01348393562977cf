# What Python sees of the compiled parser. tests/test_imports.py holds names and parameters to the module.

from typing import final

from _typeshed import ReadableBuffer

from fastserve._head import RequestHead

@final
class RequestParser:
    max_line: int
    max_headers: int
    max_head: int
    require_host: bool
    def __new__(cls, require_host: bool = True) -> RequestParser: ...
    def feed(self, data: ReadableBuffer) -> int: ...
    def take(self, data: ReadableBuffer) -> RequestHead: ...
    def reset(self) -> None: ...
    @property
    def scanned(self) -> int: ...
    @property
    def length(self) -> int: ...
