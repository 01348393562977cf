# What Python sees of the driver. tests/test_imports.py holds names and parameters to it.

from collections import deque
from collections.abc import Callable
from typing import Any, final

from fastserve._conn import Connection
from fastserve._lane import Lane
from fastserve._lead import Lead

@final
class Driver:
    def __init__(self, loop: Any, lane: Lane, ready: deque[Any], spares: bool = False) -> None: ...
    def move(self, lead: Lead, experience: Any, away: set[Connection], most: float) -> None: ...
    def turn(self, timeout: float, once: bool, monotonic: Callable[[], float]) -> None: ...
    def run(self, conn: Connection) -> bool: ...
