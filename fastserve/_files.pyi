# What Python sees of recorded answers. tests/test_imports.py holds names and parameters to it.

from typing import Any, final

from fastserve._tally import Tally

DATE_FIELD: bytes

@final
class Source: ...

@final
class Recording:
    @property
    def status(self) -> int: ...

@final
class Take:
    def note(self, message: str) -> None: ...

@final
class Recordings:
    def __init__(
        self, policy: Any, kinds: tuple[type, ...], most: int = ..., tally: Tally | None = None
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def most(self) -> int: ...
    @property
    def octets(self) -> int: ...
    @property
    def descriptors(self) -> int: ...
    @property
    def hits(self) -> int: ...
    @property
    def hooked(self) -> bool: ...
    def clear(self) -> None: ...
