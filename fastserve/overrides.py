"""Whether a method is still the library's own: what a class or an instance has overridden is called by name.

Knows no class of ours; handlers and serving decide by it which shorter way they may take.
"""

from typing import Any


def is_own(method: Any, own: Any) -> bool:
    """Whether the bound ``method`` is the function ``own``: no class and no instance has another."""
    return getattr(method, "__func__", None) is own
