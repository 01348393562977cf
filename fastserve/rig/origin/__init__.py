"""The origin: a server whose answers are as a client asks for them, for tests and for measurements.

As httpbin, with its endpoints and more, deterministic, and fast enough to measure clients and proxies with:
make_server() makes one, ``python -m fastserve.rig origin`` serves one. Each module of endpoints registers its
own when it is imported; which one comes first does not matter.
"""

import socket
from os import PathLike
from typing import Any, Final

from fastserve.rig.origin import (
    answers,
    codings,
    connection,
    echo,
    faults,
    files,
    fixed,
    index,
    observed,
    routes,
    semantics,
    sizes,
    timing,
)
from fastserve.rig.origin.handler import Origin, QuietOrigin
from fastserve.rig.origin.statistics import Statistics
from fastserve.server import ThreadingHTTPServer, ThreadingHTTPSServer

__all__ = ["METRICS", "OriginServer", "make_server"]

MODULES: Final = (
    index, fixed, sizes, timing, echo, semantics, codings, connection, faults, files, observed,
)
METRICS: Final = "/metrics"


class OriginServer(ThreadingHTTPServer):
    """Counts what it answers, and shares what it counts with its workers."""

    metrics_path = METRICS
    statistics: Statistics
    seed: int

    def _fastserve_forks(self, workers: int) -> None:
        super()._fastserve_forks(workers)
        self.statistics.share(workers)

    def server_close(self) -> None:
        """Stop listening, and let go of the files that long answers are read from."""
        super().server_close()
        answers.block_file.cache_clear()


class SecureOriginServer(OriginServer, ThreadingHTTPSServer):
    """The same over TLS."""


def make_server(
    address: Any = ("127.0.0.1", 0),
    *,
    seed: int = 0,
    log: bool = False,
    certfile: str | PathLike[str] | None = None,
    keyfile: str | PathLike[str] | None = None,
    password: Any = None,
    mixins: tuple[type, ...] = (),
    **attributes: Any,
) -> OriginServer:
    """Return an origin that listens; its serve_forever() serves.

    ``address`` is (host, port), port 0 for any free one. All chance comes from ``seed``. With ``log`` each
    request is logged to stderr, as http.server does it. With ``certfile`` (PEM) it serves HTTPS; ``keyfile``
    and ``password`` are as HTTPSServer has them. ``attributes`` are set on the server's class, such as
    ``timeouts``, ``max_connections`` or ``max_threads``, and ``mixins`` are put before it.

    Raises OSError where it cannot listen, or the certificate's files are not right.
    """
    statistics = Statistics(routes.names())
    secure = certfile is not None
    own = {"seed": seed, "statistics": statistics}
    base = Origin if log else QuietOrigin
    handler = type("Handler", (base,), {**own, "scheme": "https" if secure else "http"})
    if ":" in str(address[0]):
        attributes.setdefault("address_family", socket.AF_INET6)
    bases = (*mixins, SecureOriginServer if secure else OriginServer)
    server_class: Any = type("Server", bases, {**own, **attributes})
    tls = {"certfile": certfile, "keyfile": keyfile, "password": password} if secure else {}
    server: OriginServer = server_class(address, handler, **tls)
    return server
