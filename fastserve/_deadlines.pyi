# What Python sees of a server's timeouts. tests/test_imports.py holds names and parameters to the module.

from typing import final

from fastserve.limits import Timeouts

@final
class Deadlines:
    def __new__(cls, timeouts: Timeouts) -> Deadlines: ...

def of_server(timeouts: object) -> Deadlines: ...
