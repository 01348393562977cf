# What Python sees of the driver. tests/test_imports.py holds names and parameters to it.

from array import array
from typing import final

from _typeshed import WriteableBuffer

from fastserve.rig._records import Records

@final
class Drive:
    def __new__(
        cls,
        address: tuple[str, int],
        requests: list[bytes],
        order: array[int],
        connections: int,
        timeout: float,
        most: int,
        plain: bool = False,
    ) -> Drive: ...
    def __init__(
        self,
        address: tuple[str, int],
        requests: list[bytes],
        order: array[int],
        connections: int,
        timeout: float,
        most: int,
        plain: bool = False,
    ) -> None: ...
    def expect(self, request: int, status: int, length: int = -1) -> None: ...
    def plan_rate(self, rate: float, seconds: float, poisson: bool = False, seed: int = 0) -> None: ...
    def plan_closed(self, seconds: float) -> None: ...
    def plan_think(self, seconds: float, pause: float, by_chance: bool = False, seed: int = 0) -> None: ...
    def plan_churn(self, seconds: float) -> None: ...
    def spin_for(self, ns: int) -> None: ...
    def show(self, buffer: WriteableBuffer) -> None: ...
    def run(self) -> None: ...
    def stop(self) -> None: ...
    @property
    def records(self) -> Records: ...
