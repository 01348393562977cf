"""fastserve: http.server's documented API on a compiled core.

    from fastserve import HTTPServer, BaseHTTPRequestHandler

or, for a folder, ``python -m fastserve``; or, for a program that is not to be edited, install() before it
imports http.server, or ``python -m fastserve.patched program.py``.
"""

from typing import TYPE_CHECKING, Any

from fastserve.server import (
    BaseHTTPRequestHandler,
    HTTPServer,
    HTTPSServer,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
    ThreadingHTTPSServer,
)

if TYPE_CHECKING:
    from fastserve.installing import install, uninstall
    from fastserve.server import CGIHTTPRequestHandler

__version__ = "0.1.0"

__all__ = [
    "BaseHTTPRequestHandler",
    "CGIHTTPRequestHandler",
    "HTTPSServer",
    "HTTPServer",
    "SimpleHTTPRequestHandler",
    "ThreadingHTTPSServer",
    "ThreadingHTTPServer",
    "__version__",
    "install",
    "uninstall",
]


def __getattr__(name: str) -> Any:
    """Import what few programs need when it is asked for."""
    found: Any
    if name == "CGIHTTPRequestHandler":
        from fastserve import server

        found = server.CGIHTTPRequestHandler
    elif name in ("install", "uninstall"):
        from fastserve import installing

        found = getattr(installing, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
