"""fastserve: http.server's documented API on a compiled core.

    from fastserve import HTTPServer, BaseHTTPRequestHandler

or, for a folder, ``python -m fastserve``; or, for a program that is not to be edited, install() before it
imports http.server, or ``python -m fastserve.patched program.py``.
"""

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
