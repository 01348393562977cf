# What Python sees of the timers. tests/test_imports.py holds names and parameters to it.

from typing import Any, Protocol, final

class Timed(Protocol):
    timer: float

    @property
    def deadline(self) -> float: ...

@final
class Timers:
    def watch(self, conn: Timed) -> None: ...
    def forget(self, conn: Timed) -> None: ...
    def due(self, now: float) -> list[Any]: ...
    @property
    def next_tick(self) -> float: ...
