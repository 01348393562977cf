# What Python sees of the lane. tests/test_imports.py holds names and parameters to it.

from typing import final

from fastserve._conn import Connection
from fastserve._deadlines import Deadlines, Ending
from fastserve._files import Recordings
from fastserve._poller import Poller
from fastserve._tally import Tally
from fastserve._timers import Timers

@final
class Asked: ...

@final
class Lane:
    def __init__(
        self,
        poller: Poller,
        timers: Timers,
        connections: set[Connection],
        ending: Ending,
        deadlines: Deadlines,
        recordings: Recordings | None = None,
        tally: Tally | None = None,
    ) -> None: ...
    @property
    def recordings(self) -> Recordings | None: ...
    @property
    def now(self) -> float: ...
    def accept_from(self, target: object, fd: int, patience: float) -> None: ...
    def close_plainly(self, ends: bool) -> None: ...

def consents(conn: Connection) -> bool: ...
def replay(conn: Connection, now: float) -> int: ...
