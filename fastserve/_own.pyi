# What Python sees of the question who overrides. tests/test_imports.py holds names and parameters to it.

from typing import final

@final
class OwnMethods:
    def __new__(cls, kind: type, *names: str) -> OwnMethods: ...
    def are_of(self, obj: object) -> bool: ...
