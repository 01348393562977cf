"""install() and uninstall(): programs that import from http.server get fastserve's classes, unedited.

The module http.server stays what it is; its names are bound to those of fastserve.server, and bound back.
What a program took from it before keeps the old classes, so install() comes first.

Knows the names and no class. Programs call it through the package; fastserve.patched calls it for them.
"""

import sys
import threading
import warnings
from types import ModuleType
from typing import Any, Final

from fastserve import server

# What http.server has beside the names in its __all__.
NAMES: Final = (
    "__all__",
    *server.__all__,
    "_get_best_family",
    "_make_server",
    "_url_collapse_path",
    "executable",
    "nobody_uid",
    "test",
)

ABSENT: Final = object()

_lock = threading.Lock()
_replaced: dict[str, Any] = {}  # what http.server's names were bound to; empty while it is itself


def install() -> None:
    """Bind http.server's names to fastserve's classes and functions, until uninstall().

    What imports from http.server later gets these. Doing it twice is doing it once; any thread may. A
    RuntimeWarning names the modules that hold the old classes already and go on with them.
    """
    import http.server

    with _lock:
        if _replaced:
            return
        for name in NAMES:
            _replaced[name] = vars(http.server).get(name, ABSENT)
            setattr(http.server, name, getattr(server, name))
        late = _modules_with([value for value in _replaced.values() if isinstance(value, type)])
    if late:
        told = ", ".join(sorted(late))
        warnings.warn(f"imported before fastserve.install(), so not changed: {told}", RuntimeWarning, 2)


def uninstall() -> None:
    """Give http.server its own names back. Without install() it does nothing.

    A name that somebody has bound to something else since is left alone.
    """
    import http.server

    with _lock:
        for name, before in _replaced.items():
            if vars(http.server).get(name) is not getattr(server, name):
                continue
            if before is ABSENT:
                delattr(http.server, name)
            else:
                setattr(http.server, name, before)
        _replaced.clear()


def _modules_with(classes: list[type]) -> set[str]:
    """Return the names of the modules that have one of the classes, or a class made from one."""
    holders = {
        name
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and any(vars(module).get(cls.__name__) is cls for cls in classes)
    }
    for cls in classes:
        heirs: list[type] = cls.__subclasses__()
        holders.update(heir.__module__ for heir in heirs)
    return holders - {"http.server"}
