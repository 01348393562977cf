"""What endpoints keep for a server: counters, nonces, connections that are held. It goes with the server.

Knows no endpoint. Those that keep something call of_server(); a new server in the same process begins anew,
so that what it does by chance can be told beforehand.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

Kept = TypeVar("Kept")

LOCK: Final = threading.Lock()
KEPT: Final[weakref.WeakKeyDictionary[Any, dict[Any, Any]]] = weakref.WeakKeyDictionary()


def of_server(server: Any, make: Callable[[], Kept]) -> Kept:
    """Return what ``make``, a class or a function, has made for a server: once for each server.

    ``make`` is called with no arguments, while nobody else comes in here: it takes no time.
    """
    with LOCK:
        kept = KEPT.setdefault(server, {})
        if make not in kept:
            kept[make] = make()
        found: Kept = kept[make]
        return found
