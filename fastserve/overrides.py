"""Whether a method is still the library's own: what a class or an instance has overridden is called by name.

Knows no class of ours; handlers, serving and server decide by it which shorter way they may take.
"""

import socketserver
from typing import Any, Final

# How socketserver gives each connection a thread.
THREADING: Final = (
    ("process_request", socketserver.ThreadingMixIn.process_request),
    ("process_request_thread", socketserver.ThreadingMixIn.process_request_thread),
)


def is_own(method: Any, own: Any) -> bool:
    """Whether the bound ``method`` is the function ``own``: no class and no instance has another."""
    return getattr(method, "__func__", None) is own


def gives_threads(server: socketserver.BaseServer) -> bool:
    """Whether a server gives each connection a thread in socketserver's own way."""
    return all(is_own(getattr(server, name, None), own) for name, own in THREADING)
