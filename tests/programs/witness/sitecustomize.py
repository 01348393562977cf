"""Tells which classes the HTTP servers are made of that start in a Python with this folder on its path.

Python imports a sitecustomize before the program. This one changes no class, and so no way that a request
takes: an audit hook looks at who makes a socket, and writes a line to the file FASTSERVE_WITNESS. With
FASTSERVE_INSTALL in the environment it calls install() as well, which reaches what a test suite starts.

Knows those two names and socketserver's attribute RequestHandlerClass. process.py and suites.py use it.
"""

import functools
import json
import os
import sys
import weakref
from typing import Any

told: weakref.WeakSet[Any] = weakref.WeakSet()


def look(event: str, arguments: Any) -> None:
    """Write a line about a server, as soon as it has a socket. Each accepted one comes here as well."""
    if event != "socket.__new__":
        return
    frame: Any = sys._getframe(1)
    while frame is not None and not is_server(frame.f_locals.get("self")):
        frame = frame.f_back
    if frame is not None and frame.f_locals["self"] not in told:
        told.add(frame.f_locals["self"])
        tell(frame.f_locals["self"])


def is_server(whatever: Any) -> bool:
    """By what socketserver gives an instance. Others may claim to have any attribute, as a proxy does."""
    return "RequestHandlerClass" in getattr(whatever, "__dict__", ())


def tell(server: Any) -> None:
    line = json.dumps({"server": names(type(server)), "handler": names(server.RequestHandlerClass)})
    fd = os.open(os.environ["FASTSERVE_WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, line.encode() + b"\n")
    os.close(fd)


def names(maker: Any) -> list[str]:
    """A class and those it is made from; none for a function."""
    while isinstance(maker, functools.partial):
        maker = maker.func
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in getattr(maker, "__mro__", ())]


if os.environ.get("FASTSERVE_INSTALL"):
    import fastserve

    fastserve.install()

if os.environ.get("FASTSERVE_WITNESS"):
    sys.addaudithook(look)
