"""``python -m fastserve.patched script.py args...``: run a program written for http.server, unedited.

Takes a script, or ``-m`` and a module, as Python itself and its profilers do. Knows runpy and install().
"""

import importlib.util
import os
import runpy
import sys
from typing import Final

from fastserve.installing import install

USAGE: Final = """\
usage: python -m fastserve.patched SCRIPT [ARGUMENT ...]
       python -m fastserve.patched -m MODULE [ARGUMENT ...]

Runs a program whose imports from http.server give it fastserve's classes.
"""


def main() -> None:
    """Run what ``sys.argv`` names, as ``__main__``; return when it has ended."""
    words = sys.argv[1:]
    if words[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return
    as_module = words[:1] == ["-m"]
    words = words[as_module:]
    if not words or words[0].startswith("-"):
        _refuse("name a script, or -m and a module")
    install()
    sys.argv = words
    if as_module:
        _run_module(words[0])
    else:
        _run_script(words[0])


def _run_module(name: str) -> None:
    # http.server's own source, run as a program, would make its classes once more.
    name = "fastserve" if name == "http.server" else name
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # of what it would be a part
        found = None
    if found is None:
        _refuse(f"there is no module {name!r}")
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(path: str) -> None:
    if not os.path.exists(path):
        _refuse(f"there is no file {path!r}")
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    runpy.run_path(path, run_name="__main__")


def _refuse(why: str) -> None:
    print(f"fastserve.patched: error: {why} (see python -m fastserve.patched --help)", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
