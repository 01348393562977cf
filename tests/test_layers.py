"""The layer table of the house: every import, from and cimport of every module points strictly down.

Reads the sources and imports none of them. LAYERS is the table; docs/architecture.md shows it to people. A
module that is not in it fails, as does a row without a module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fastserve"

# From the ground up. Inside a row a module may use those to its left and nobody else.
LAYERS = {
    "0": ("limits", "errors", "overrides", "log"),
    "1": ("_ascii", "_head", "_parser", "_chunks", "_response", "_deadlines", "_own", "_tally", "_octets"),
    "2": ("_sys", "_states", "_tls", "_channel", "_files", "_entries", "_order", "_listing", "_stream",
          "_reader", "_writer", "_peek", "_peer", "_conn", "_offers", "_timers", "_poller", "_lane",
          "_lead", "_signals"),
    "3": ("headers",),
    "4a": ("handlers", "handlers.heads", "handlers.base", "handlers.paths", "handlers.types",
           "handlers.codings", "handlers.conditions", "handlers.ranges", "handlers.representations",
           "handlers.static", "handlers.logs", "handlers.sharing", "handlers.authentication",
           "handlers.script", "handlers.cgi", "handlers.zipping", "handlers.storing", "handlers.archive",
           "handlers.listing", "handlers.folder", "handlers.replay", "handlers.multipart", "handlers.upload"),
    "4b": ("serving", "serving.tls", "serving.unix", "serving.systemd", "serving.pidfile",
           "serving.listeners", "serving.processes", "serving.answers", "serving.metrics", "serving.bound",
           "serving._driver", "serving.loop",
           "serving.experience", "serving.threads", "serving.leader"),
    "5": ("server",),
    "6": ("installing", "__init__", "stopping", "console", "logfile", "words", "settings", "options",
          "reach", "selfsigned", "assembly", "welcome", "cli", "__main__", "patched"),
    "7": ("rig", "rig.origin.answers", "rig.origin.digest", "rig.origin.kept", "rig.origin.routes",
          "rig.origin.statistics", "rig.origin.handler", "rig.origin.echo", "rig.origin.fixed",
          "rig.origin.index", "rig.origin.raw", "rig.origin.sizes", "rig.origin.chance",
          "rig.origin.observed", "rig.origin.semantics", "rig.origin.connection", "rig.origin.timing",
          "rig.origin.codings", "rig.origin.faults", "rig.origin.files", "rig.origin", "rig._answer",
          "rig._calls", "rig._conns", "rig._plan", "rig._records", "rig._drive", "rig.measure",
          "rig.measure.interruptions", "rig.measure.latency", "rig.measure.driver", "rig.measure.lawful",
          "rig.measure.shaped", "rig.measure.result", "rig.measure.compare", "rig.measure.scenario",
          "rig.measure.asking", "rig.measure.load", "rig.measure.observe", "rig.measure.contestants",
          "rig.measure.idle", "rig.measure.closed", "rig.measure.loads", "rig.measure.machine",
          "rig.measure.truth", "rig.report", "rig.report.svg", "rig.report.units", "rig.report.figures",
          "rig.measure.terminal", "rig.measure.engine", "rig.report.as_csv", "rig.report.summary",
          "rig.report.tables", "rig.report.as_markdown", "rig.report.charts", "rig.report.html",
          "rig.report.cli", "rig.measure.cli", "rig.locust_results", "rig.locusts", "rig.cli", "rig.__main__",
          "rig.scripted", "rig.testing", "rig.pytest_plugin"),
}

STANDARD = sys.stdlib_module_names | {"__future__"}
EXTRAS = {  # libraries that are asked for when they are needed, and the modules that ask
    "bcrypt": ("handlers.authentication",), "segno": ("welcome",), "shtab": ("cli",),
    "tomli": ("settings", "rig.measure.scenario"), "trustme": ("selfsigned", "rig.testing"),
    "brotli": ("rig.origin.codings",), "brotlicffi": ("rig.origin.codings",),
    "zstandard": ("rig.origin.codings",), "compression": ("rig.origin.codings",),  # Python 3.14 has the last
    "psutil": ("rig.measure.observe",), "hdrh": ("rig.measure.latency",), "rich": ("rig.measure.terminal",),
    "jinja2": ("rig.report.html",), "plotly": ("rig.report.html",), "pytest": ("rig.pytest_plugin",),
}
FOR_TYPES = {"_typeshed"}  # exists for the type checker only
C_LIBRARIES = {"cpython", "cython", "libc", "posix"}

# What would bring a clock, a descriptor or a socket into layer 1 (rule 5).
IMPURE = {"asyncio", "datetime", "os", "select", "selectors", "socket", "ssl", "threading", "time", "posix"}


class Import(NamedTuple):
    """One imported module, and whether only the type checker imports it."""

    line: int
    module: str
    for_types: bool = False


# -- Reading -----------------------------------------------------------------------------------


def sources() -> dict[str, list[Path]]:
    """Return the files of every module, by its name without `fastserve.`."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd"):
            found.setdefault(module_name(path), []).append(path)
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


def imports(path: Path) -> list[Import]:
    text = path.read_text("utf-8")
    return list(python_imports(ast.parse(text)) if path.suffix == ".py" else cython_imports(text))


def python_imports(tree: ast.AST, for_types: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            assert node.module
            for module in members(node.module, [alias.name for alias in node.names]):
                yield Import(node.lineno, module, for_types)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from python_imports(ast.Module(node.body, []), True)
            yield from python_imports(ast.Module(node.orelse, []), for_types)
        else:
            yield from python_imports(node, for_types)


FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+c?import[ \t]*(\([^)]*\)|.*)", re.MULTILINE)
PLAIN = re.compile(r"^[ \t]*c?import[ \t]+(.+)", re.MULTILINE)
TEXTUAL = re.compile(r"^[ \t]*include[ \t]", re.MULTILINE)
TEXTS = re.compile(r'"""(?:.|\n)*?"""')
COMMENT = re.compile(r"#.*")


def cython_imports(text: str) -> Iterator[Import]:
    text = COMMENT.sub("", TEXTS.sub(lambda match: "\n" * match[0].count("\n"), text))
    assert not TEXTUAL.search(text), "include is no import"
    for match in FROM.finditer(text):
        names = [name.split()[0] for name in match[2].strip("() \n").split(",") if name.strip()]
        for module in members(match[1], names):
            yield Import(text.count("\n", 0, match.start()) + 1, module)
    for match in PLAIN.finditer(text):
        for name in match[1].split(","):
            yield Import(text.count("\n", 0, match.start()) + 1, name.split()[0])


def members(module: str, names: list[str]) -> list[str]:
    """Return what `from module import names` imports: names of a package are modules of it."""
    package = PACKAGE.parent.joinpath(*module.split("."))
    if not (module + ".").startswith("fastserve.") or not package.is_dir():
        return [module]
    known = sources()
    inner = [f"{module}.{name}" for name in names]
    return [name if name.removeprefix("fastserve.") in known else module for name in inner]


# -- Judging -----------------------------------------------------------------------------------


def place(module: str) -> tuple[str, int]:
    """Return the layer of a module and its position there."""
    for layer, row in LAYERS.items():
        if module in row:
            return layer, row.index(module)
    raise LookupError(f"{module} has no layer")


def may_use(user: str, used: str) -> bool:
    layer, position = place(user)
    lower, lower_position = place(used)
    if layer == lower:
        return lower_position < position
    return layer[0] > lower[0]  # 4a and 4b are wings of one height


def fault(user: str, found: Import, compiled: bool) -> str | None:
    """Say what is wrong with an import, None if nothing is."""
    top, _, rest = found.module.partition(".")
    if top == "fastserve":
        used = rest or "__init__"
        if user == used or may_use(user, used):  # a .pyx may name its own .pxd
            return None
        return f"{user} (layer {place(user)[0]}) may not use {used} (layer {place(used)[0]})"
    if found.module.startswith("http.server") and user != "installing":
        return "http.server is the oracle, never a part"
    if place(user)[0] == "1" and top in IMPURE:
        return f"layer 1 does no I/O and reads no clock, so it has no use for {top}"
    if top in STANDARD or (compiled and top in C_LIBRARIES) or (found.for_types and top in FOR_TYPES):
        return None
    if user in EXTRAS.get(top, ()):
        return None
    return f"{top} is neither the standard library nor fastserve"


# -- The house ---------------------------------------------------------------------------------


def test_the_table_names_every_module_and_no_other() -> None:
    table = [module for row in LAYERS.values() for module in row]
    assert sorted(table) == sorted(sources())


@pytest.mark.parametrize("path", [path for paths in sources().values() for path in paths],
                         ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    user, compiled = module_name(path), path.suffix != ".py"
    faults = [f"{path.name}:{found.line}: {said}" for found in imports(path)
              if (said := fault(user, found, compiled))]
    assert faults == []


def test_nothing_is_imported_by_text() -> None:
    """Imports that the test above could not read."""
    dynamic = re.compile(r"\b(import_module|__import__|exec|eval)\s*\(")
    assert [str(path) for paths in sources().values() for path in paths
            if dynamic.search(path.read_text("utf-8"))] == []


# -- The test itself can fail ------------------------------------------------------------------


def faults_of(user: str, text: str, compiled: bool) -> list[str]:
    found = cython_imports(text) if compiled else python_imports(ast.parse(text))
    return [said for each in found if (said := fault(user, each, compiled))]


@pytest.mark.parametrize(("user", "text"), [
    ("_parser", "from fastserve._reader cimport RequestReader"),
    ("_parser", "from fastserve cimport _sys"),
    ("_parser", "from fastserve._ascii cimport (\n    is_a,\n)\n\nimport time"),
    ("_parser", "from libc.math cimport floor\nfrom posix.unistd cimport close"),
    ("_channel", "from fastserve._reader cimport RequestReader"),
    ("_channel", "    from fastserve.handlers import base"),
    ("_reader", "cimport numpy"),
    ("_reader", "import io, httptools"),
    ("_conn", "cimport cython\nfrom fastserve import limits, server"),
    ("limits", "from fastserve import errors"),
    ("headers", "import http.server"),
    ("headers", "from http.server import BaseHTTPRequestHandler"),
    ("handlers.base", "from fastserve.serving import loop"),
    ("handlers.base", "from fastserve.handlers.static import SimpleHTTPRequestHandler"),
    ("serving.loop", "def late():\n    from fastserve.handlers.base import BaseHTTPRequestHandler"),
    ("serving.tls", "if TYPE_CHECKING:\n    from fastserve.server import HTTPServer"),
    ("serving.unix", "import fastserve"),
    ("server", "from fastserve import HTTPServer"),
    ("server", "import fastserve.cli"),
    ("cli", "from fastserve.__main__ import main"),
    ("cli", "import http.server"),
    ("cli", "from _typeshed import StrPath"),
    ("cli", "try:\n    import uvloop\nexcept ImportError:\n    pass"),
])
def test_what_the_table_forbids_is_found(user: str, text: str) -> None:
    assert faults_of(user, text, compiled=user.startswith("_"))


@pytest.mark.parametrize(("user", "text"), [
    ("_parser", "from fastserve._ascii cimport is_a\nfrom libc.string cimport memcpy\ncimport cython"),
    ("_reader", "from fastserve import limits\nimport io\n# import numpy\n\"\"\"\nimport numpy\n\"\"\""),
    ("_conn", "from fastserve._reader cimport (\n    CLOSE, READY,  # states\n)"),
    ("handlers.static", "from fastserve.handlers.base import BaseHTTPRequestHandler\nimport os"),
    ("serving.loop", "from fastserve.serving import tls\nfrom fastserve._conn import Connection"),
    ("server", "if TYPE_CHECKING:\n    import ssl"),
    ("cli", "if TYPE_CHECKING:\n    from _typeshed import StrPath"),
    ("__main__", "from fastserve.cli import main"),
    ("installing", "import http.server"),
])
def test_what_the_table_allows_is_let_through(user: str, text: str) -> None:
    assert faults_of(user, text, compiled=user.startswith("_") and not user.endswith("__")) == []
