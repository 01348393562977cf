"""fastserve: http.server's documented API on a compiled core.

    from fastserve import HTTPServer, BaseHTTPRequestHandler

or, for a folder, ``python -m fastserve``; or, for a program that is not to be edited, install() before it
imports http.server, or ``python -m fastserve.patched program.py``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastserve.installing import install, uninstall
    from fastserve.server import (
        BaseHTTPRequestHandler,
        CGIHTTPRequestHandler,
        HTTPServer,
        HTTPSServer,
        SimpleHTTPRequestHandler,
        ThreadingHTTPServer,
        ThreadingHTTPSServer,
    )

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
    """Import a name when it is asked for: pytest's plugin is in this package, and needs none of them."""
    if name in ("install", "uninstall"):
        import fastserve.installing as module
    elif name in __all__ or name in ("server", "handlers", "serving"):
        import fastserve.server as module  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(module, name) if name in __all__ else globals()[name]
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
