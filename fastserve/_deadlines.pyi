# What Python sees of what a loop's connections share; tests/test_imports.py holds names and parameters to it.

from typing import final

from fastserve.limits import Timeouts

@final
class Deadlines:
    def __new__(cls, timeouts: Timeouts) -> Deadlines: ...

@final
class Ending:
    begun: bool

def of_server(timeouts: object) -> Deadlines: ...
