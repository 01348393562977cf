# What Python sees of the chunked coding. tests/test_imports.py holds names and parameters to the module.

from typing import final

from _typeshed import ReadableBuffer

@final
class ChunkDecoder:
    @property
    def done(self) -> bool: ...
    def feed(self, data: ReadableBuffer) -> tuple[bytes, int]: ...
