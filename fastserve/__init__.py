"""fastserve: http.server's documented API on a compiled core.

    from fastserve import HTTPServer, BaseHTTPRequestHandler

or, for a folder, ``python -m fastserve``.
"""

from fastserve.server import (
    BaseHTTPRequestHandler,
    HTTPServer,
    HTTPSServer,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
    ThreadingHTTPSServer,
)

__version__ = "0.1.0"

__all__ = [
    "BaseHTTPRequestHandler",
    "HTTPSServer",
    "HTTPServer",
    "SimpleHTTPRequestHandler",
    "ThreadingHTTPSServer",
    "ThreadingHTTPServer",
    "__version__",
]
